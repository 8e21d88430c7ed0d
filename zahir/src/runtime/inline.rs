//! Runs a workflow in the task of whoever awaits it, with nothing stored and without a runtime.
//!
//! Dropping the future drops the run: nothing of it is undone then. Retries, time-outs and sleeps need
//! tokio's timers, nothing else does. Nobody can send such a run a signal, and it shares its results
//! with no other: every run of a job that is `once`, or has a `cache`, runs it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use uuid::Uuid;
use zahir_store::{Attempt, Ending, Failure, RunId};

use crate::engine::{Action, AttemptOutcome, ChildrenMax, Engine, Report};
use crate::error::{FailedNode, RunError, RunErrorKind};
use crate::graph::Graph;
use crate::runtime::clock::Clock;
use crate::runtime::executable::Executable;
use crate::runtime::executor::{self, Ended, Key, Start};
use crate::runtime::run::{Message, Run, lock, paths};
use crate::runtime::seat::{self, line_report};
use crate::runtime::{
    ACTIONS_MAX, CHILD_DEPTH_MAX, CHILDREN_PER_JOB_MAX, CHILDREN_PER_RUN_MAX, JOBS_MAX, backoff,
};
use crate::value::Value;

/// No sleep is longer: the wall clock may be set forward meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Runs `graph` to its end.
pub(crate) async fn run(graph: &'static Graph, inputs: Vec<Value>) -> Result<Value, RunError> {
    execute(executable(graph), inputs).await
}

/// Runs a workflow to its end.
pub(crate) async fn execute(
    executable: Arc<Executable>,
    inputs: Vec<Value>,
) -> Result<Value, RunError> {
    let id = RunId::from_u128(Uuid::now_v7().as_u128());
    let run = Arc::new(Run::new(id, executable, false, usize::MAX));
    let plan = Arc::clone(&run.executable.plan);
    let clock = Clock::system();
    let engine = Engine::start(plan, id, None, inputs, Value::new(()));
    let inline = Inline {
        engine: engine.with_children_max(children_max()).begin(clock.now()),
        run,
        clock,
        attempts: FuturesUnordered::new(),
        aborted: BTreeSet::new(),
        mail: Vec::new(),
    };
    inline.steer().await
}

/// As in a runtime of which nothing else is said.
const fn children_max() -> ChildrenMax {
    ChildrenMax {
        per_job: CHILDREN_PER_JOB_MAX,
        per_run: CHILDREN_PER_RUN_MAX,
        depth: CHILD_DEPTH_MAX,
    }
}

/// Links a graph once per process.
fn executable(graph: &'static Graph) -> Arc<Executable> {
    static LINKED: OnceLock<Mutex<HashMap<usize, Arc<Executable>>>> = OnceLock::new();
    let address = std::ptr::from_ref(graph).addr();
    let mut linked = lock(LINKED.get_or_init(Mutex::default));
    let executable = linked
        .entry(address)
        .or_insert_with(|| Arc::new(Executable::unstored(graph)));
    Arc::clone(executable)
}

struct Inline {
    run: Arc<Run>,
    engine: Engine<Value>,
    clock: Clock,
    attempts: FuturesUnordered<executor::Attempted>,
    /// Attempts to be dropped; empty otherwise.
    aborted: BTreeSet<Key>,
    /// Messages being read; empty otherwise, kept for its memory.
    mail: Vec<Message>,
}

/// What ends a wait.
enum Woken {
    /// An attempt has ended.
    Ended(Ended),
    /// An attempt has reported something, or it is time to look.
    Look,
}

impl Inline {
    async fn steer(mut self) -> Result<Value, RunError> {
        loop {
            let mut budget = ACTIONS_MAX;
            while budget > 0
                && let Some(action) = self.engine.poll_action()
            {
                budget -= 1;
                if let Some(result) = self.perform(action) {
                    return result;
                }
            }
            self.drop_aborted();
            let has_more = self.grant() || budget == 0;
            if !has_more && self.needs_sender() {
                return Err(RunError::with_kind(RunErrorKind::NoSender, String::new()));
            }
            if budget == 0 {
                tokio::task::yield_now().await;
                while let Some(Some(ended)) = self.attempts.next().now_or_never() {
                    self.read_mail();
                    self.end_attempt(ended);
                }
            } else if !has_more {
                let woken = self.wait().await;
                // What an attempt has reported comes before its end.
                self.read_mail();
                if let Woken::Ended(ended) = woken {
                    self.end_attempt(ended);
                }
            }
            self.read_mail();
            self.engine.handle_timeout(self.clock.now());
        }
    }

    /// Whether only a signal can make the run go on, which nobody can send.
    fn needs_sender(&self) -> bool {
        let seats = &self.run.seats;
        self.engine.awaits_signal()
            && !(seats.is_used() && seats.may_be_woken())
            && self.run.inbox.is_empty()
    }

    /// Lets as many attempts start as may: tells whether any do.
    fn grant(&mut self) -> bool {
        let running = usize::try_from(self.engine.progress().running).unwrap_or(usize::MAX);
        let free = JOBS_MAX.saturating_sub(running);
        let slots = free.min(self.engine.wanted());
        if slots > 0 {
            let now = self.clock.now();
            self.engine.handle(now, Report::Granted { slots });
        }
        slots > 0
    }

    /// Waits for an attempt to end or to report something, or for a retry or a sleep to be due.
    async fn wait(&mut self) -> Woken {
        let due = self.engine.poll_timeout();
        let wait = due.map(|due| due.since(self.clock.now()).min(SLEEP_MAX));
        let mut sleep = std::pin::pin!(wait.map(tokio::time::sleep));
        let (attempts, inbox) = (&mut self.attempts, &self.run.inbox);
        std::future::poll_fn(|context| {
            // Attempts first: what they report they do while they are polled.
            if let Poll::Ready(Some(ended)) = attempts.poll_next_unpin(context) {
                return Poll::Ready(Woken::Ended(ended));
            }
            let sleep = sleep.as_mut().as_pin_mut();
            if sleep.is_some_and(|sleep| sleep.poll(context).is_ready())
                || inbox.poll_filled(context).is_ready()
            {
                return Poll::Ready(Woken::Look);
            }
            Poll::Pending
        })
        .await
    }

    /// Feeds what attempts have reported into the engine.
    fn read_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.run.inbox.take(&mut mail);
        for message in mail.drain(..) {
            if let Message::Faulty { key, failure } = message {
                self.give_up(key, failure);
            } else if let Some(report) = line_report(message) {
                self.engine.handle(self.clock.now(), report);
            }
        }
        self.mail = mail;
    }

    /// Ends an attempt that did what can't be done.
    fn give_up(&mut self, key: Key, failure: Failure) {
        self.aborted.insert(key);
        let outcome = AttemptOutcome::faulty(failure);
        self.end_attempt(Ended { key, outcome });
    }

    fn end_attempt(&mut self, ended: Ended) {
        let Ended { key, mut outcome } = ended;
        backoff::decide(&self.run, &self.engine, key.place, &mut outcome);
        let report = Report::AttemptEnded {
            place: key.place,
            attempt: key.attempt,
            outcome,
        };
        self.engine.handle(self.clock.now(), report);
    }

    fn perform(&mut self, action: Action<Value>) -> Option<Result<Value, RunError>> {
        match action {
            Action::Start {
                place,
                attempt,
                frames,
                timeout,
                inputs,
                work,
            } => {
                let start = Start {
                    key: Key { place, attempt },
                    frames,
                    timeout,
                    inputs,
                    work,
                };
                self.attempts
                    .push(executor::Attempted::new(&self.run, start));
            }
            Action::Evaluate {
                place,
                what,
                inputs,
            } => {
                let result = executor::evaluate(&self.run, place, what, inputs);
                let now = self.clock.now();
                self.engine.handle(now, Report::Evaluated { place, result });
            }
            Action::Abort { place, attempt } => {
                self.aborted.insert(Key { place, attempt });
            }
            Action::Finish {
                ending,
                attempt,
                output,
            } => return Some(self.finish(ending, attempt, output)),
            Action::Halt(violation) => return Some(Err(bug(violation.to_string()))),
            // A run without a store has no records, and nobody can watch it, cancel it or send it a
            // signal.
            Action::Append { .. }
            | Action::EncodeOutput { .. }
            | Action::Answer { .. }
            | Action::Refuse { .. }
            | Action::Skip { .. } => {}
            Action::Resume { .. } | Action::Kept { .. } | Action::Diverge { .. } => {
                if let Some((key, failure)) = seat::answer(&self.run, action) {
                    self.give_up(key, failure);
                }
            }
        }
        None
    }

    /// Drops attempts that were aborted. Those that stay are polled again.
    fn drop_aborted(&mut self) {
        let aborted = std::mem::take(&mut self.aborted);
        if !aborted.is_empty() {
            let attempts = std::mem::take(&mut self.attempts).into_iter();
            self.attempts = attempts
                .filter(|attempt| !aborted.contains(&attempt.key()))
                .collect();
        }
    }

    fn finish(
        &self,
        ending: Ending,
        attempt: Option<Attempt>,
        output: Option<Value>,
    ) -> Result<Value, RunError> {
        match ending {
            Ending::Succeeded { .. } => output.ok_or_else(|| bug("no output".to_owned())),
            Ending::Failed { at, failure } => {
                let failed = at.map(|at| FailedNode {
                    path: self.run.executable.path(&at),
                    attempt: attempt.map(Attempt::number),
                });
                let not_undone = paths(&self.run.executable, self.engine.not_undone());
                let error = RunError::new(failure).at(failed);
                Err(error.not_undone_at(not_undone))
            }
            Ending::Cancelled => Err(RunError::with_kind(RunErrorKind::Cancelled, String::new())),
        }
    }
}

fn bug(message: String) -> RunError {
    RunError::with_kind(RunErrorKind::Bug, message)
}
