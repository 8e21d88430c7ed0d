//! What the driver of a run shares with its attempts, its handles and the writer.
//!
//! Everything in here belongs to one run: no two runs ever meet on a lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, oneshot};
use zahir_store::{Attempt, Failure, Position, RunId, SpawnedChild};

use crate::engine::{AttemptOutcome, Place, Progress, Refusal, Tally};
use crate::error::{Halted, RunError};
use crate::history::changes::Changes;
use crate::job::children::asked::Wait;
use crate::plan::SignalId;
use crate::runtime::CHILDREN_PER_JOB_MAX;
use crate::runtime::executable::Executable;
use crate::runtime::executor::{Crew, Key};
use crate::runtime::seat::Seats;
use crate::runtime::shared::{Earned, Shared};
use crate::value::Value;

/// One run, as long as this process drives it or somebody holds a handle to it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) executable: Arc<Executable>,
    /// Whether its records are stored.
    pub(crate) is_durable: bool,
    pub(crate) value_bytes_max: usize,
    pub(crate) children_per_job_max: usize,
    /// The idempotency key, while the run is the one that new starts with this key are given.
    pub(crate) key: Option<String>,
    /// What it was told of when it went on in this process, if it was revised for that.
    pub(crate) changes: Option<Arc<Changes>>,
    pub(crate) inbox: Inbox,
    pub(crate) crew: Crew,
    /// The attempts that have a line.
    pub(crate) seats: Seats,
    /// The results that runs share; `None` without a runtime.
    pub(crate) shared: Option<Arc<Shared>>,
    pub(crate) earned: Earned,
    progress: SharedProgress,
    is_started: AtomicBool,
    /// How many children there were when it was over, or left.
    tallies: OnceLock<Vec<Tally>>,
    outcome: OnceLock<Outcome>,
    changed: Notify,
}

/// What the driver is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// An attempt ended.
    Ended {
        place: Place,
        attempt: Attempt,
        outcome: AttemptOutcome<Value>,
    },
    /// An attempt waits for children, and for nothing else that could not as well wait for a slot.
    Parked {
        key: Key,
        spawned: Vec<SpawnedChild>,
        waits: Vec<Wait>,
    },
    /// An attempt that is parked was woken by something else.
    Woken { key: Key },
    /// An attempt has computed a value that is to be kept.
    Kept {
        key: Key,
        name: String,
        value: Vec<u8>,
    },
    /// An attempt can't go on.
    Faulty { key: Key, failure: Failure },
    /// Everything up to this append is durable.
    Durable { seq: u64 },
    /// Somebody wants the run to stop; the outcome of the run is the answer.
    Cancel { reason: String },
    /// Somebody sends the run a signal, and waits for the answer.
    Signal {
        signal: SignalId,
        payload: Vec<u8>,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// Somebody wants to know how many children there are.
    Tally {
        answer: oneshot::Sender<Option<Vec<Tally>>>,
    },
    /// Start nothing more, and end when nothing is under way.
    Stop,
    /// Drop what is under way, record that, and end.
    Interrupt,
    /// Leave at once, with nothing more recorded.
    Leave(Left),
}

/// How a run ended, or why this process left it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Succeeded {
        /// `None` if it ended in an earlier process.
        value: Option<Value>,
        /// Empty if the run is not stored.
        encoded: Vec<u8>,
    },
    Failed(RunError),
    Cancelled,
    Left(Left),
}

/// Why a run was left unfinished.
#[derive(Clone, Debug)]
pub(crate) enum Left {
    /// The runtime was shut down or dropped.
    Stopped,
    /// The store failed.
    Halted(Halted),
    /// zahir has a bug, or a value of the user's panicked where nothing may.
    Broken(String),
}

impl Run {
    pub(crate) fn new(
        id: RunId,
        executable: Arc<Executable>,
        is_durable: bool,
        value_bytes_max: usize,
    ) -> Self {
        Self {
            id,
            executable,
            is_durable,
            value_bytes_max,
            children_per_job_max: CHILDREN_PER_JOB_MAX,
            key: None,
            changes: None,
            inbox: Inbox::default(),
            crew: Crew::default(),
            seats: Seats::default(),
            shared: None,
            earned: Earned::default(),
            progress: SharedProgress::default(),
            is_started: AtomicBool::new(!is_durable),
            tallies: OnceLock::new(),
            outcome: OnceLock::new(),
            changed: Notify::new(),
        }
    }

    /// A run that ended before.
    pub(crate) fn ended(id: RunId, executable: Arc<Executable>, outcome: Outcome) -> Self {
        let run = Self::new(id, executable, true, usize::MAX);
        run.set_started();
        run.set_outcome(outcome);
        run
    }

    /// Its existence is durable.
    pub(crate) fn set_started(&self) {
        if !self.is_started.swap(true, Ordering::AcqRel) {
            self.changed.notify_waiters();
        }
    }

    /// The first outcome stays.
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            self.changed.notify_waiters();
        }
    }

    /// What its driver has counted last, before the outcome is set.
    pub(crate) fn set_tallies(&self, tallies: Vec<Tally>) {
        // The first ones stay, as the outcome does.
        drop(self.tallies.set(tallies));
    }

    pub(crate) fn tallies(&self) -> Option<&[Tally]> {
        self.tallies.get().map(Vec::as_slice)
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Waits until the run's existence is durable, or never will be: tells which.
    pub(crate) async fn started(&self) -> bool {
        self.until(|| {
            let is_left = self.outcome.get().is_some();
            let is_started = self.is_started.load(Ordering::Acquire);
            (is_started || is_left).then_some(is_started)
        })
        .await
    }

    /// Waits until the run has ended, or was left.
    pub(crate) async fn finished(&self) -> &Outcome {
        self.until(|| self.outcome.get()).await
    }

    async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            let mut changed = std::pin::pin!(self.changed.notified());
            // Counts as waiting from here on, so that a change after the next look is not missed.
            changed.as_mut().enable();
            if let Some(seen) = look() {
                return seen;
            }
            changed.await;
        }
    }

    pub(crate) fn publish(&self, progress: Progress) {
        self.progress.done.store(progress.done, Ordering::Relaxed);
        self.progress
            .running
            .store(progress.running, Ordering::Relaxed);
        self.progress.known.store(progress.known, Ordering::Relaxed);
        self.progress
            .skipped
            .store(progress.skipped, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            done: self.progress.done.load(Ordering::Relaxed),
            running: self.progress.running.load(Ordering::Relaxed),
            known: self.progress.known.load(Ordering::Relaxed),
            skipped: self.progress.skipped.load(Ordering::Relaxed),
        }
    }
}

#[derive(Debug, Default)]
struct SharedProgress {
    done: AtomicU64,
    running: AtomicU64,
    known: AtomicU64,
    skipped: AtomicU64,
}

/// The messages that the driver has not read.
///
/// Bounded by what the engine has under way: a few messages per attempt, one per append, and one per
/// caller who waits for a cancel or has sent a signal. An attempt waits for the answer to what it
/// reports, but for the values that it keeps: those it has in memory anyway.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    messages: Mutex<Vec<Message>>,
    /// Spares the driver the lock when there is nothing.
    is_filled: AtomicBool,
    driver: AtomicWaker,
}

impl Inbox {
    pub(crate) fn push(&self, message: Message) {
        let was_empty = {
            let mut messages = lock(&self.messages);
            messages.push(message);
            !self.is_filled.swap(true, Ordering::Release)
        };
        if was_empty {
            self.driver.wake();
        }
    }

    /// Moves all messages into `mail`, which is empty.
    pub(crate) fn take(&self, mail: &mut Vec<Message>) {
        if self.is_filled.load(Ordering::Acquire) {
            let mut messages = lock(&self.messages);
            std::mem::swap(&mut *messages, mail);
            self.is_filled.store(false, Ordering::Release);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.is_filled.load(Ordering::Acquire)
    }

    pub(crate) fn poll_filled(&self, context: &Context<'_>) -> Poll<()> {
        self.driver.register(context.waker());
        if self.is_filled.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Where these node instances are, in the words of the source and the order of their positions.
pub(crate) fn paths<'a>(
    executable: &Executable,
    at: impl Iterator<Item = &'a Position>,
) -> Vec<String> {
    let mut found: Vec<_> = at.collect();
    found.sort();
    found.into_iter().map(|at| executable.path(at)).collect()
}

/// A lock that a panic of another thread does not take away.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
