//! The only writer to the store: one thread, which turns whatever is queued, from all runs, into
//! one transaction, and then acknowledges.
//!
//! Behind what it has written it removes shared results whose time is over, a few at a time.
//!
//! When an append fails, nobody knows what is on disk. The runtime halts: nothing more is written,
//! and whoever waits is told. What is really there is learnt by opening the store again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use zahir_store::{
    Append, ChildCall, Ending, Inherited, Record, Store, StoreError, StoreErrorKind,
};

use crate::runtime::core::Core;
use crate::runtime::executor::panicked;
use crate::runtime::run::{Message, Run, lock};

/// At most this many appends in one transaction.
const BATCH_APPENDS_MAX: usize = 4096;

/// No append is added to a transaction that has this many bytes of values.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// At most so many shared results are looked at behind one batch, and removed in one transaction.
const SHARED_MAX: usize = 64;

/// Records of one run on their way to the store.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) run: Arc<Run>,
    pub(crate) seq: u64,
    pub(crate) append: Append,
}

/// The writer's end that everybody else sees.
///
/// Its length is bounded by construction: each run has under way what its slots allow.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    submissions: Vec<Submission>,
    is_closed: bool,
}

impl Writer {
    /// Queues records. They are never acknowledged once the writer is closed or the runtime halted.
    pub(crate) fn submit(&self, submission: Submission) {
        let was_empty = {
            let mut queue = lock(&self.queue);
            if queue.is_closed {
                return;
            }
            queue.submissions.push(submission);
            queue.submissions.len() == 1
        };
        if was_empty {
            self.work.notify_one();
        }
    }

    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        lock(&self.queue).submissions.len()
    }

    /// Lets the thread end when it has written what is queued.
    pub(crate) fn close(&self) {
        lock(&self.queue).is_closed = true;
        self.work.notify_one();
    }

    /// Waits for work; `None` if there will be none. An empty list after `patience`.
    fn take(&self, patience: Duration) -> Option<Vec<Submission>> {
        let mut queue = lock(&self.queue);
        if queue.submissions.is_empty() && !queue.is_closed {
            let waited = self.work.wait_timeout(queue, patience);
            queue = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        if queue.submissions.is_empty() && queue.is_closed {
            return None;
        }
        Some(std::mem::take(&mut queue.submissions))
    }
}

/// The writer's thread.
pub(crate) fn write(core: &Core, store: &dyn Store) {
    let mut checked = Instant::now();
    let mut cleaner = Cleaner::new();
    while let Some(submissions) = core.writer.take(cleaner.patience(core)) {
        if core.halted().is_some() {
            continue;
        }
        if checked.elapsed() >= core.attached_interval {
            checked = Instant::now();
            if let Err(error) = guard(|| store.check_attached()) {
                core.halt(error);
                continue;
            }
        }
        cleaner.notice(&submissions);
        let written = append_all(store, submissions).and_then(|()| cleaner.go_on(core, store));
        if let Err(error) = written {
            core.halt(error);
        }
    }
}

/// Removes shared results whose time is over: goes over all of them when the runtime begins, and on by
/// a few whenever one is added that will be over some day. So nothing waits for a time, and there are
/// never more of them than were added while it went over them once.
struct Cleaner {
    /// Behind which key it goes on.
    after: Option<u128>,
    /// Whether it goes on until it has seen them all.
    is_beginning: bool,
    /// Whether it goes on for another step.
    is_asked: bool,
}

impl Cleaner {
    const fn new() -> Self {
        Self {
            after: None,
            is_beginning: true,
            is_asked: false,
        }
    }

    /// How long the writer may wait for work.
    fn patience(&self, core: &Core) -> Duration {
        if self.is_beginning && core.halted().is_none() {
            Duration::ZERO
        } else {
            core.attached_interval
        }
    }

    /// Takes note of what is about to be written.
    fn notice(&mut self, submissions: &[Submission]) {
        let mut records = submissions.iter().flat_map(|it| &it.append.records);
        self.is_asked |= records
            .any(|record| matches!(record, Record::ResultShared { until, .. } if until.is_some()));
    }

    /// What can't be read now may be another time, and whoever asks for it is told.
    fn go_on(&mut self, core: &Core, store: &dyn Store) -> Result<(), StoreError> {
        if !self.is_beginning && !std::mem::take(&mut self.is_asked) {
            return Ok(());
        }
        let now = core.clock.now();
        match guard(|| store.remove_expired(now, self.after, SHARED_MAX)) {
            Ok(after) => {
                self.after = after;
                self.is_beginning &= after.is_some();
                Ok(())
            }
            Err(error) if error.is_outcome_unknown() => Err(error),
            Err(error) => {
                tracing::warn!(
                    target: "zahir", kind = ?error.kind(),
                    "shared results whose time is over can't be removed"
                );
                *self = Self {
                    is_beginning: false,
                    ..Self::new()
                };
                Ok(())
            }
        }
    }
}

fn append_all(store: &dyn Store, submissions: Vec<Submission>) -> Result<(), StoreError> {
    let mut submissions = submissions.into_iter().peekable();
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    let mut bytes = 0;
    while let Some(submission) = submissions.next() {
        bytes += push(&mut batch, submission.append);
        waiting.push((submission.run, submission.seq));
        let is_full = batch.len() >= BATCH_APPENDS_MAX || bytes >= BATCH_BYTES_MAX;
        if is_full || submissions.peek().is_none() {
            guard(|| store.append(&batch))?;
            for (run, seq) in waiting.drain(..) {
                run.inbox.push(Message::Durable { seq });
            }
            batch.clear();
            bytes = 0;
        }
    }
    Ok(())
}

/// Adds an append to a batch, and says how many bytes of values it has. One that is large is cut
/// into several for the same transaction: a store takes so many bytes at a time and no more.
fn push(batch: &mut Vec<Append>, mut append: Append) -> usize {
    let mut bytes = 0;
    let mut since_cut = 0;
    let mut at = 0;
    while let Some(record) = append.records.get(at) {
        let more = weight(record);
        bytes += more;
        since_cut += more;
        at += 1;
        if since_cut >= BATCH_BYTES_MAX && at < append.records.len() {
            let rest = append.records.split_off(at);
            let next = Append {
                run: append.run,
                first: append.first + u64::try_from(at).unwrap_or(u64::MAX),
                at: append.at,
                records: rest,
                definition: None,
            };
            batch.push(std::mem::replace(&mut append, next));
            (since_cut, at) = (0, 0);
        }
    }
    batch.push(append);
    bytes
}

/// How many bytes of values a record has.
fn weight(record: &Record) -> usize {
    match record {
        Record::AttemptSucceeded { output, .. }
        | Record::AttemptRecovered { output, .. }
        | Record::UndoingBegan {
            ending: Ending::Succeeded { output },
        }
        | Record::RunFinished(Ending::Succeeded { output }) => output.len(),
        Record::RunStarted(start) => start.input.len(),
        Record::AttemptFailed { failure, .. }
        | Record::RecoveryBegan { failure, .. }
        | Record::DeadlinePassed { failure, .. }
        | Record::UndoFailed { failure, .. }
        | Record::UndoingBegan {
            ending: Ending::Failed { failure, .. },
        }
        | Record::RunFinished(Ending::Failed { failure, .. }) => failure.message.len(),
        Record::ErrorKept { error, .. } => error.len(),
        Record::SignalReceived { payload, .. } => payload.len(),
        Record::AttemptPostponed { state, .. } => state.len(),
        Record::UndoOwed { arguments, .. } | Record::ArgumentsReplaced { arguments, .. } => {
            arguments.len()
        }
        Record::RunRevised(revision) => 8 * (revision.moved.len() + revision.dropped.len()),
        Record::ChildrenSpawned { children, .. } => {
            let bytes = children.iter().map(|child| {
                let key = match &child.call {
                    ChildCall::Number(_) => 0,
                    ChildCall::Key(key) => key.len(),
                };
                child.arguments.len() + key + 8
            });
            bytes.sum()
        }
        Record::ValueKept { name, value, .. } => name.len() + value.len(),
        Record::AttemptContinued { heir, .. } => {
            let bytes = heir.inputs.iter().map(|input| match &input.value {
                Inherited::Value(value) => value.len(),
                Inherited::Child(_) => 4,
                Inherited::Children(children) => 4 * children.len(),
            });
            bytes.sum()
        }
        Record::AttemptParked { .. }
        | Record::AttemptResumed { .. }
        | Record::ChildrenLeft { .. }
        | Record::AttemptsDropped { .. }
        | Record::ChildrenSuspended { .. }
        | Record::ChildrenResumed { .. }
        | Record::AttemptStarted { .. }
        | Record::AttemptInterrupted { .. }
        | Record::ItemsCounted { .. }
        | Record::BranchTaken { .. }
        | Record::BlockEntered { .. }
        | Record::RaceWon { .. }
        | Record::TimerSet { .. }
        | Record::SignalConsumed { .. }
        | Record::WaitTimedOut { .. }
        | Record::DeadlineSet { .. }
        | Record::UndoStarted { .. }
        | Record::UndoSucceeded { .. }
        | Record::UndoInterrupted { .. }
        | Record::ResultShared { .. }
        | Record::CancelRequested(_)
        | Record::UndoingBegan {
            ending: Ending::Cancelled,
        }
        | Record::RunFinished(Ending::Cancelled) => 0,
    }
}

/// Calls the store; its panic is an error of unknown outcome.
pub(crate) fn guard<T>(call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let message = format!("the store panicked: {}", panicked(payload).message);
        Err(StoreError::new(StoreErrorKind::Damaged, message).outcome_unknown())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zahir_store::{Bond, ChildLimits, NodeId, Position, SpawnedChild};

    #[test]
    fn names_have_a_weight() {
        let at = Position {
            frames: Vec::new(),
            node: NodeId::new(1),
        };
        let child = |call| SpawnedChild {
            kind: NodeId::new(2),
            call,
            bond: Bond::Held,
            arguments: vec![0; 10],
            fan: None,
            limits: ChildLimits::default(),
        };
        let spawned = Record::ChildrenSpawned {
            at: at.clone(),
            children: vec![
                child(ChildCall::Number(0)),
                child(ChildCall::Key("k".repeat(1000))),
            ],
        };
        assert_eq!(weight(&spawned), 18 + 1018);
        let kept = Record::ValueKept {
            at,
            name: "n".repeat(500),
            value: vec![0; 3],
        };
        assert_eq!(weight(&kept), 503);
    }
}
