//! The loop around one engine: the only place that changes it.
//!
//! Reads everything that was reported, hands out job slots, carries out actions until there are
//! none, starts what is to be started, and sleeps until there is more.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Sleep;
use zahir_store::{Append, Attempt, Ending, NodeId, Position, Record, RunStart, Timestamp};

use crate::engine::{Action, AttemptOutcome, Engine, Place, Report};
use crate::error::{FailedNode, RunError};
use crate::event::Pending;
use crate::runtime::core::Core;
use crate::runtime::executor::{self, Key, Start};
use crate::runtime::run::{Left, Message, Outcome, Run};
use crate::runtime::slots::Held;
use crate::runtime::writer::Submission;
use crate::value::Value;

/// No sleep is longer: the wall clock may be set forward meanwhile, or the machine suspended.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Drives one run.
pub(crate) struct Driver {
    core: Arc<Core>,
    run: Arc<Run>,
    engine: Engine<Value>,
    now: Timestamp,
    held: Held,
    /// How many of them were waited for, and not used yet.
    fresh: usize,
    /// The wait for another slot, while there are too few.
    queued: Option<BoxFuture<'static, Held>>,
    alarm: Option<Alarm>,
    /// Messages being read; empty otherwise, kept for its memory.
    mail: Vec<Message>,
    /// Attempts about to be started; empty otherwise.
    starts: Vec<Start>,
    events: Pending,
    /// The first attempt that failed with no retry left, by node.
    failed: Option<(NodeId, Attempt)>,
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
    ) -> Self {
        let plan = Arc::clone(&run.executable.plan);
        // A run in memory makes records, too, if somebody watches: events are made of them.
        let is_recorded = run.is_durable || core.hub.is_watched();
        let start = is_recorded.then_some(start);
        let engine = Engine::start(plan, run.id, start, inputs, Value::new(()));
        Self::new(core, run, engine)
    }

    /// The driver of a run that goes on where `engine` is.
    pub(crate) fn new(core: &Arc<Core>, run: &Arc<Run>, engine: Engine<Value>) -> Self {
        run.publish(engine.progress());
        Self {
            core: Arc::clone(core),
            run: Arc::clone(run),
            engine,
            now: core.clock.now(),
            held: Held::none(Arc::clone(&core.slots)),
            fresh: 0,
            queued: None,
            alarm: None,
            mail: Vec::new(),
            starts: Vec::new(),
            events: Pending::default(),
            failed: None,
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
                    executor::drop_quietly(self);
                    return outcome;
                }
                Turn::Again => tokio::task::consume_budget().await,
                Turn::Wait => {
                    std::future::poll_fn(|context| self.poll_wake(context)).await;
                    self.now = self.core.clock.now();
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
        loop {
            // First, so that what starts at once is in the same append as what it follows from.
            self.grant();
            while let Some(action) = self.engine.poll_action() {
                if let Some(outcome) = self.perform(action) {
                    return Turn::Over(outcome);
                }
            }
            if self.engine.wanted() == 0 || self.queued.is_some() {
                break;
            }
        }
        if self.is_stopping && self.engine.is_idle() {
            return Turn::Over(Outcome::Left(Left::Stopped));
        }
        let turn = self.launch();
        self.run.publish(self.engine.progress());
        turn
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
                Message::Durable { seq } => self.acknowledge(seq),
                Message::Cancel { reason } => {
                    self.engine
                        .handle(self.now, Report::CancelRequested { reason, ticket: 0 });
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

    fn end_attempt(&mut self, place: Place, attempt: Attempt, outcome: AttemptOutcome<Value>) {
        if let AttemptOutcome::Failed { .. } = &outcome {
            // The wait for a retry starts when the attempt ends.
            self.now = self.core.clock.now();
            let retry = self.run.executable.plan.node(place.node).policy.retry;
            if self.failed.is_none() && attempt.number() > retry {
                self.failed = Some((place.node, attempt));
            }
        }
        self.engine.handle(
            self.now,
            Report::AttemptEnded {
                place,
                attempt,
                outcome,
            },
        );
    }

    fn acknowledge(&mut self, seq: u64) {
        self.run.set_started();
        self.events.release(seq, &self.core.hub);
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

    /// Takes slots for what could start, and lets go of those that are not needed. What counts as
    /// in use is what the engine has running; there is no second count of it.
    ///
    /// While other runs wait, a slot that a job gave back is theirs: this run waits in line for
    /// each.
    fn grant(&mut self) {
        let wanted = self.engine.wanted();
        let running = usize::try_from(self.engine.progress().running).unwrap_or(usize::MAX);
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
            } => {
                self.starts.push(Start {
                    key: Key { place, attempt },
                    frames,
                    timeout,
                    inputs,
                });
            }
            Action::Evaluate {
                place,
                what,
                inputs,
            } => {
                let result = executor::evaluate(&self.run, place, what, inputs);
                self.engine
                    .handle(self.now, Report::Evaluated { place, result });
            }
            Action::EncodeOutput { output } => self.encode_output(output),
            Action::Abort { place, attempt } => self.run.crew.abort(Key { place, attempt }),
            // Whoever cancels waits for the outcome of the run, which follows.
            Action::Answer { ticket: _ } => {}
            Action::Refuse { .. } | Action::Skip { .. } => {}
            Action::Finish { ending, output, .. } => return Some(self.finish(ending, output)),
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

    fn append(&mut self, seq: u64, first: u64, records: Vec<Record>) {
        let at = self.core.clock.now().max(self.now);
        if self.core.hub.is_watched() {
            let run = (self.run.id, &*self.run.executable);
            self.events.keep(seq, run, at, &records);
        }
        if !self.run.is_durable {
            return self.acknowledge(seq);
        }
        let definition = (first == 0).then(|| Arc::clone(&self.run.executable.definition_bytes));
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

    fn finish(&self, ending: Ending, output: Option<Value>) -> Outcome {
        match ending {
            Ending::Succeeded { output: encoded } => Outcome::Succeeded {
                value: output,
                encoded,
            },
            Ending::Failed { at, failure } => {
                let failed = at.map(|at| self.failed_node(&at));
                let error = RunError::new(failure)
                    .of_run(self.run.id, self.run.executable.name)
                    .at(failed);
                Outcome::Failed(error)
            }
            Ending::Cancelled => Outcome::Cancelled,
        }
    }

    fn failed_node(&self, at: &Position) -> FailedNode {
        FailedNode {
            path: self.run.executable.path(at),
            attempt: self
                .failed
                .filter(|(node, _)| *node == at.node)
                .map(|(_, attempt)| attempt.number()),
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
            let wait = due.since(self.core.clock.now()).min(SLEEP_MAX);
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
