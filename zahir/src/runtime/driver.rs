//! The loop around one engine: the only place that changes it.
//!
//! Reads everything that was reported, hands out job slots, carries out actions until there are
//! none, starts what is to be started, and sleeps until there is more.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use zahir_store::{Append, Attempt, Ending, Failure, Position, Record, RunStart, Timestamp};

use crate::engine::{Action, AttemptOutcome, Engine, Evaluation, Place, Refusal, Report};
use crate::error::{FailedNode, RunError};
use crate::event::{Event, Pending};
use crate::plan::SignalId;
use crate::runtime::clock::RunClock;
use crate::runtime::core::Core;
use crate::runtime::executor::{self, Key, Start};
use crate::runtime::run::{Left, Message, Outcome, Run, paths};
use crate::runtime::seat::{self, line_report};
use crate::runtime::shared::Landings;
use crate::runtime::slots::Held;
use crate::runtime::writer::Submission;
use crate::runtime::{ACTIONS_MAX, backoff, lane};
use crate::value::Value;

/// No sleep is longer: the wall clock may be set forward meanwhile, or the machine suspended.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// The ticket of a cancel.
const CANCEL: u64 = 0;

/// Drives one run.
pub(crate) struct Driver {
    core: Arc<Core>,
    run: Arc<Run>,
    engine: Engine<Value>,
    clock: RunClock,
    now: Timestamp,
    held: Held,
    /// How many of them were waited for, and not used yet.
    fresh: usize,
    /// The wait for another slot, while there are too few.
    queued: Option<BoxFuture<'static, Held>>,
    lane: lane::Turn,
    alarm: Option<Alarm>,
    /// Messages being read; empty otherwise, kept for its memory.
    mail: Vec<Message>,
    /// Attempts about to be started; empty otherwise.
    starts: Vec<Start>,
    events: Pending,
    landings: Landings,
    /// Those who sent a signal and wait for it to be durable, by ticket.
    senders: BTreeMap<u64, oneshot::Sender<Result<(), Refusal>>>,
    /// The ticket of the last signal.
    ticket: u64,
    is_stopping: bool,
}

struct Alarm {
    due: Timestamp,
    sleep: Pin<Box<Sleep>>,
}

/// What is to be done after one round.
enum Turn {
    /// Another round.
    Again,
    /// Another round, but all others first.
    Yield,
    /// Wait for something to happen.
    Wait,
    /// The run is over, or is left.
    Over(Outcome),
}

impl Driver {
    /// The driver of a run that begins now.
    pub(crate) fn start(
        core: &Arc<Core>,
        run: &Arc<Run>,
        start: RunStart,
        inputs: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Self {
        let plan = Arc::clone(&run.executable.plan);
        // A run in memory makes records, too, if somebody watches: events are made of them.
        let is_recorded = run.is_durable || core.hub.is_watched();
        let start = is_recorded.then_some(start);
        let engine = Engine::start(plan, run.id, start, inputs, Value::new(()));
        Self::new(core, run, engine.with_timeout(timeout))
    }

    /// The driver of a run that is where `engine` is, and has not begun in this process.
    pub(crate) fn new(core: &Arc<Core>, run: &Arc<Run>, engine: Engine<Value>) -> Self {
        let clock = RunClock::new(&core.clock, engine.now());
        let now = clock.now();
        let engine = engine
            .with_crashes_max(core.crash_attempts_max)
            .with_children_max(core.children_max)
            .begin(now);
        run.publish(engine.progress());
        Self {
            core: Arc::clone(core),
            run: Arc::clone(run),
            engine,
            clock,
            now,
            held: Held::none(Arc::clone(&core.slots)),
            fresh: 0,
            queued: None,
            lane: lane::Turn::default(),
            alarm: None,
            mail: Vec::new(),
            starts: Vec::new(),
            events: Pending::default(),
            landings: Landings::default(),
            senders: BTreeMap::new(),
            ticket: CANCEL,
            is_stopping: false,
        }
    }

    /// Drives the run to its end, whatever happens.
    pub(crate) async fn drive(self) -> Outcome {
        let run = self.run.id;
        let outcome = AssertUnwindSafe(self.steer()).catch_unwind().await;
        outcome.unwrap_or_else(|payload| {
            let panic = executor::panicked(payload).message;
            tracing::error!(target: "zahir", %run, "the driver of the run panicked");
            Outcome::Left(Left::Broken(format!("the driver panicked: {panic}")))
        })
    }

    async fn steer(mut self) -> Outcome {
        loop {
            match self.turn() {
                Turn::Over(outcome) => {
                    self.run.publish(self.engine.progress());
                    if let Some(tallies) = self.engine.tally() {
                        self.run.set_tallies(tallies);
                    }
                    executor::drop_quietly(self);
                    return outcome;
                }
                Turn::Again => {
                    tokio::task::consume_budget().await;
                    if self.engine.poll_timeout().is_some() {
                        // Something has a deadline, which jobs that never wait could run past.
                        self.now = self.clock.now();
                    }
                }
                Turn::Yield => {
                    tokio::task::yield_now().await;
                    self.now = self.clock.now();
                }
                Turn::Wait => {
                    std::future::poll_fn(|context| self.poll_wake(context)).await;
                    self.now = self.clock.now();
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        if let Some(left) = self.read_mail() {
            return Turn::Over(Outcome::Left(left));
        }
        if self
            .engine
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.engine.handle_timeout(self.now);
        }
        if self.lane.enter() {
            self.engine.handle(self.now, Report::LaneGranted);
        }
        let mut budget = ACTIONS_MAX;
        loop {
            // First, so that what starts at once is in the same append as what it follows from.
            self.grant();
            while budget > 0
                && let Some(action) = self.engine.poll_action()
            {
                budget -= 1;
                if let Some(outcome) = self.perform(action) {
                    return Turn::Over(outcome);
                }
            }
            if budget == 0 || self.engine.wanted() == 0 || self.queued.is_some() {
                break;
            }
        }
        if budget > 0 {
            self.landings.settle();
        }
        self.mind_lane();
        // What was aborted has given its slot back, and nobody may come to ask for it.
        self.held.keep(self.running());
        if self.is_stopping && self.engine.is_idle() {
            return Turn::Over(Outcome::Left(Left::Stopped));
        }
        let turn = self.launch();
        self.run.publish(self.engine.progress());
        if budget == 0 { Turn::Yield } else { turn }
    }

    /// Feeds what was reported into the engine.
    fn read_mail(&mut self) -> Option<Left> {
        let mut mail = std::mem::take(&mut self.mail);
        self.run.inbox.take(&mut mail);
        let mut left = None;
        for message in mail.drain(..) {
            match message {
                Message::Ended {
                    place,
                    attempt,
                    outcome,
                } => self.end_attempt(place, attempt, outcome),
                Message::Parked { .. } | Message::Woken { .. } | Message::Kept { .. } => {
                    self.hear(message);
                }
                Message::Faulty { key, failure } => self.give_up(key, failure),
                Message::Durable { seq } => self.acknowledge(seq),
                Message::Cancel { reason } => {
                    let ticket = CANCEL;
                    self.engine
                        .handle(self.now, Report::CancelRequested { reason, ticket });
                }
                Message::Signal {
                    signal,
                    payload,
                    answer,
                } => self.receive(signal, payload, answer),
                Message::Tally { answer } => {
                    // Whoever asked may be gone.
                    drop(answer.send(self.engine.tally()));
                }
                Message::Stop => {
                    self.is_stopping = true;
                    self.engine.handle(self.now, Report::ShutdownRequested);
                }
                Message::Interrupt => self.interrupt(),
                Message::Leave(reason) => left = Some(reason),
            }
        }
        self.mail = mail;
        left
    }

    fn end_attempt(&mut self, place: Place, attempt: Attempt, mut outcome: AttemptOutcome<Value>) {
        backoff::decide(&self.run, &self.engine, place, &mut outcome);
        let waits = matches!(
            outcome,
            AttemptOutcome::Failed { .. } | AttemptOutcome::Postponed { .. }
        );
        if waits || self.run.executable.plan.is_timed {
            // What waits from here on, for a retry, a time or a signal, waits from when this ended.
            self.now = self.clock.now();
        }
        self.share(Key { place, attempt }, &outcome);
        self.engine.handle(
            self.now,
            Report::AttemptEnded {
                place,
                attempt,
                outcome,
            },
        );
    }

    /// What an attempt reports while it is under way.
    fn hear(&mut self, message: Message) {
        if let Some(report) = line_report(message) {
            self.engine.handle(self.now, report);
        }
    }

    /// Ends an attempt that did what can't be done.
    fn give_up(&mut self, key: Key, failure: Failure) {
        self.abort(key);
        self.end_attempt(key.place, key.attempt, AttemptOutcome::faulty(failure));
    }

    /// Lets other runs have the result of an attempt, if it is one that is shared: as soon as it is
    /// durable.
    fn share(&mut self, key: Key, outcome: &AttemptOutcome<Value>) {
        if let Some(ticket) = self.run.earned.take(key)
            && let AttemptOutcome::Succeeded { encoded, extra, .. } = outcome
            && let Some((_, lasts)) = extra.as_ref().and_then(|extra| extra.shared)
        {
            self.landings.take_in(ticket, encoded, lasts);
        }
    }

    fn receive(
        &mut self,
        signal: SignalId,
        payload: Vec<u8>,
        answer: oneshot::Sender<Result<(), Refusal>>,
    ) {
        self.ticket += 1;
        let ticket = self.ticket;
        self.senders.insert(ticket, answer);
        self.engine.handle(
            self.now,
            Report::SignalReceived {
                signal,
                payload,
                ticket,
            },
        );
    }

    /// Tells whoever sent a signal what became of it. Whoever cancels waits for the outcome of the
    /// run, which follows.
    fn answer(&mut self, ticket: u64, answer: Result<(), Refusal>) {
        if let Some(sender) = self.senders.remove(&ticket) {
            // A sender that stopped waiting need not be told.
            sender.send(answer).ok();
        }
    }

    fn acknowledge(&mut self, seq: u64) {
        self.run.set_started();
        self.events.release(seq, &self.core.hub);
        self.landings.land(seq);
        self.engine.handle(self.now, Report::Durable { seq });
    }

    /// Drops what is under way, so that it is recorded as interrupted.
    fn interrupt(&mut self) {
        self.is_stopping = true;
        self.engine.handle(self.now, Report::ShutdownRequested);
        for Key { place, attempt } in self.run.crew.close() {
            self.end_attempt(place, attempt, AttemptOutcome::Interrupted);
        }
    }

    /// Waits for the lane if an attempt needs it, and is out of it when none does. Nothing else waits
    /// for that.
    fn mind_lane(&mut self) {
        if self.lane.is_in() && self.engine.uses_lane() {
            return;
        }
        if self.lane.is_in() || !self.engine.wants_lane() {
            self.lane.leave();
        }
        if self.engine.wants_lane() {
            self.lane.wait(&self.core.lane);
        }
    }

    /// Takes slots for what could start, and lets go of those that are not needed. What counts as
    /// in use is what the engine has running; there is no second count of it.
    ///
    /// While other runs wait, a slot that a job gave back is theirs: this run waits in line for
    /// each.
    fn grant(&mut self) {
        let wanted = self.engine.wanted();
        let running = self.running();
        self.held.pay(running);
        if wanted == 0 {
            self.held.keep(running);
            self.queued = None;
            return;
        }
        let fresh = std::mem::take(&mut self.fresh);
        let own_wait = usize::from(self.queued.is_some());
        if self.held.slots().waiting() > own_wait {
            self.held.keep(running + fresh);
        } else {
            let spare = self.held.count().saturating_sub(running);
            self.held.take(wanted.saturating_sub(spare));
        }
        let slots = wanted.min(self.held.count().saturating_sub(running));
        self.held.keep(running + slots);
        if slots == wanted {
            self.queued = None;
        } else if self.queued.is_none() {
            self.queued = Some(Arc::clone(self.held.slots()).wait());
        }
        if slots > 0 {
            self.engine.handle(self.now, Report::Granted { slots });
        }
    }

    /// How many attempts are under way.
    fn running(&self) -> usize {
        usize::try_from(self.engine.progress().running).unwrap_or(usize::MAX)
    }

    fn perform(&mut self, action: Action<Value>) -> Option<Outcome> {
        match action {
            Action::Append {
                seq,
                first,
                records,
            } => self.append(seq, first, records),
            Action::Start {
                place,
                attempt,
                frames,
                timeout,
                inputs,
                work,
            } => {
                self.starts.push(Start {
                    key: Key { place, attempt },
                    frames,
                    timeout,
                    inputs,
                    work,
                });
            }
            Action::Evaluate {
                place,
                what,
                inputs,
            } => self.evaluate(place, what, inputs),
            Action::EncodeOutput { output } => self.encode_output(output),
            Action::Abort { place, attempt } => self.abort(Key { place, attempt }),
            Action::Answer { ticket } => self.answer(ticket, Ok(())),
            Action::Refuse { ticket, why } => self.answer(ticket, Err(why)),
            Action::Skip { at } => self.skip(&at),
            Action::Resume { .. } | Action::Kept { .. } | Action::Diverge { .. } => {
                if let Some((key, failure)) = seat::answer(&self.run, action) {
                    self.give_up(key, failure);
                }
            }
            Action::Finish {
                ending,
                attempt,
                output,
            } => return Some(self.finish(ending, attempt, output)),
            Action::Halt(violation) => {
                tracing::error!(
                    target: "zahir",
                    run = %self.run.id, workflow = self.run.executable.name, %violation,
                    "a run halted: this is a bug in zahir, please report it"
                );
                return Some(Outcome::Left(Left::Broken(violation.to_string())));
            }
        }
        None
    }

    fn evaluate(&mut self, place: Place, what: Evaluation, inputs: Vec<Value>) {
        let result = executor::evaluate(&self.run, place, what, inputs);
        if self.run.executable.plan.is_timed {
            // A sleep begins when its time is known, however long that took.
            self.now = self.clock.now();
        }
        self.engine
            .handle(self.now, Report::Evaluated { place, result });
    }

    /// Drops an attempt, which may not have been started yet.
    fn abort(&mut self, key: Key) {
        match self.starts.iter().position(|start| start.key == key) {
            Some(at) => executor::drop_quietly(self.starts.remove(at)),
            None => self.run.crew.abort(key),
        }
    }

    fn skip(&self, node: &Position) {
        if self.core.hub.is_watched() {
            let run = (self.run.id, &*self.run.executable);
            let event = Event::skipped(run, self.clock.now().max(self.now), node);
            self.core.hub.emit(std::iter::once(event));
        }
    }

    fn append(&mut self, seq: u64, first: u64, records: Vec<Record>) {
        let sets_limit = |record: &Record| matches!(record, Record::DeadlineSet { at: None, .. });
        let at = if records.iter().any(sets_limit) {
            // How long a run may take is only on record as the time from here to its deadline.
            self.now
        } else {
            self.clock.now().max(self.now)
        };
        if self.core.hub.is_watched() {
            let run = (self.run.id, &*self.run.executable);
            self.events.keep(seq, run, at, &records);
        }
        if !self.run.is_durable {
            return self.acknowledge(seq);
        }
        self.landings.append(seq, &records);
        let names_it = first == 0 || matches!(records.first(), Some(Record::RunRevised(_)));
        let definition = names_it.then(|| Arc::clone(&self.run.executable.definition_bytes));
        self.core.writer.submit(Submission {
            run: Arc::clone(&self.run),
            seq,
            append: Append {
                run: self.run.id,
                first,
                at,
                records,
                definition,
            },
        });
    }

    fn encode_output(&mut self, output: Value) {
        let result = if self.run.is_durable {
            let executable = &self.run.executable;
            let bytes_max = self.run.value_bytes_max;
            executor::contain(AssertUnwindSafe(|| {
                executable.encode_output(&output, bytes_max)
            }))
            .and_then(|encoded| encoded)
            .map(|encoded| (output, encoded))
        } else {
            Ok((output, Vec::new()))
        };
        self.engine
            .handle(self.now, Report::OutputEncoded { result });
    }

    fn finish(
        &mut self,
        ending: Ending,
        attempt: Option<Attempt>,
        output: Option<Value>,
    ) -> Outcome {
        self.events.finish(&self.core.hub);
        match ending {
            Ending::Succeeded { output: encoded } => Outcome::Succeeded {
                value: output,
                encoded,
            },
            Ending::Failed { at, failure } => {
                let failed = at.map(|at| FailedNode {
                    path: self.run.executable.path(&at),
                    attempt: attempt.map(Attempt::number),
                });
                let not_undone = paths(&self.run.executable, self.engine.not_undone());
                let error = RunError::new(failure)
                    .of_run(self.run.id, self.run.executable.name)
                    .not_undone_at(not_undone)
                    .at(failed);
                Outcome::Failed(error)
            }
            Ending::Cancelled => Outcome::Cancelled,
        }
    }

    /// Starts the attempts of this round. One that is alone is polled right here.
    fn launch(&mut self) -> Turn {
        if self.engine.progress().running == 1
            && let Some(start) = self.starts.pop()
        {
            let Key { place, attempt } = start.key;
            return match executor::run_in_place(&self.run, start) {
                Some(outcome) => {
                    // What it has reported comes before its end.
                    if self.run.seats.is_used()
                        && let Some(left) = self.read_mail()
                    {
                        return Turn::Over(Outcome::Left(left));
                    }
                    self.end_attempt(place, attempt, outcome);
                    Turn::Again
                }
                None => Turn::Wait,
            };
        }
        if !self.starts.is_empty() {
            executor::enqueue(&self.run, &mut self.starts, self.core.runners_max);
        }
        Turn::Wait
    }

    /// Ready when there is something to do.
    fn poll_wake(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut is_awake = self.run.inbox.poll_filled(context).is_ready();
        if let Some(queued) = &mut self.queued
            && let Poll::Ready(more) = queued.poll_unpin(context)
        {
            self.held.join(more);
            self.fresh += 1;
            self.queued = None;
            is_awake = true;
        }
        is_awake |= self.lane.poll(context).is_ready();
        is_awake |= self.poll_alarm(context).is_ready();
        if is_awake {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.engine.poll_timeout() else {
            self.alarm = None;
            return Poll::Pending;
        };
        if self.alarm.as_ref().is_none_or(|alarm| alarm.due != due) {
            let wait = due.since(self.clock.now()).min(SLEEP_MAX);
            let sleep = Box::pin(tokio::time::sleep(wait));
            self.alarm = Some(Alarm { due, sleep });
        }
        let Some(alarm) = &mut self.alarm else {
            return Poll::Pending;
        };
        let woken = alarm.sleep.as_mut().poll(context);
        if woken.is_ready() {
            // Looked at again, and set again if it is not due yet.
            self.alarm = None;
        }
        woken
    }
}
