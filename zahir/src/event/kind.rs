//! What an event tells, and which record tells it.

use std::sync::Arc;

use zahir_store::{Ending, Position, Record, RunStatus, Timestamp};

use crate::runtime::executable::Executable;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The run exists.
    RunStarted,
    /// An attempt of a node is about to start.
    AttemptStarted {
        /// The node, as it is written in the workflow: `words[17]/longest_word`.
        node: Arc<str>,
        /// Which try of it.
        attempt: u32,
    },
    /// A node has its result.
    AttemptSucceeded {
        /// The node.
        node: Arc<str>,
        /// Which try of it.
        attempt: u32,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The node.
        node: Arc<str>,
        /// Which try of it.
        attempt: u32,
        /// Why, in words.
        message: Arc<str>,
        /// When it is tried again; `None` if that was the last attempt.
        retry_at: Option<Timestamp>,
    },
    /// An attempt was dropped by a shutdown.
    AttemptInterrupted {
        /// The node.
        node: Arc<str>,
        /// Which try of it.
        attempt: u32,
    },
    /// A `for` knows how many items it goes over.
    ItemsCounted {
        /// The `for`.
        node: Arc<str>,
        /// How many.
        items: u32,
    },
    /// A branch took one of its arms.
    BranchTaken {
        /// The branch.
        node: Arc<str>,
        /// Which arm, counted from 0. An `if` without `else` has two.
        arm: u32,
    },
    /// A node will not run: it is in a branch that was not taken, or behind where it was left.
    Skipped {
        /// The node.
        node: Arc<str>,
    },
    /// A sleep began, or a wait with a time limit.
    TimerSet {
        /// The sleep or the wait.
        node: Arc<str>,
        /// When it ends.
        until: Timestamp,
    },
    /// Somebody sent the run a signal.
    SignalReceived {
        /// The signal's name.
        signal: Arc<str>,
    },
    /// A wait has its signal.
    SignalConsumed {
        /// The wait.
        node: Arc<str>,
        /// The signal's name.
        signal: Arc<str>,
    },
    /// A wait came to its time limit without a signal.
    WaitTimedOut {
        /// The wait.
        node: Arc<str>,
    },
    /// An entry of a race ended first. The others are dropped.
    RaceWon {
        /// The race.
        node: Arc<str>,
        /// Which entry, counted from 0.
        entry: u32,
    },
    /// The run is over.
    RunFinished {
        /// How it ended.
        status: RunStatus,
    },
}

impl EventKind {
    pub(super) fn of(record: &Record, executable: &Executable) -> Option<Self> {
        let node = |at: &Position| executable.path(at).into();
        Some(match record {
            Record::RunStarted(_) => Self::RunStarted,
            Record::AttemptStarted { at, attempt } => Self::AttemptStarted {
                node: node(at),
                attempt: attempt.number(),
            },
            Record::AttemptSucceeded { at, attempt, .. } => Self::AttemptSucceeded {
                node: node(at),
                attempt: attempt.number(),
            },
            Record::AttemptFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => Self::AttemptFailed {
                node: node(at),
                attempt: attempt.number(),
                message: failure.message.as_str().into(),
                retry_at: *retry_at,
            },
            Record::AttemptInterrupted { at, attempt } => Self::AttemptInterrupted {
                node: node(at),
                attempt: attempt.number(),
            },
            Record::ItemsCounted { at, items } => Self::ItemsCounted {
                node: node(at),
                items: *items,
            },
            Record::BranchTaken { at, arm } => Self::BranchTaken {
                node: node(at),
                arm: *arm,
            },
            Record::TimerSet { at, due } => Self::TimerSet {
                node: node(at),
                until: *due,
            },
            Record::SignalReceived { name, .. } => Self::SignalReceived {
                signal: name.as_str().into(),
            },
            Record::SignalConsumed { at, .. } => Self::SignalConsumed {
                node: node(at),
                signal: executable.signal_name(at.node).unwrap_or_default().into(),
            },
            Record::WaitTimedOut { at } => Self::WaitTimedOut { node: node(at) },
            Record::RaceWon { at, entry } => Self::RaceWon {
                node: node(at),
                entry: *entry,
            },
            Record::BlockEntered { .. }
            | Record::ErrorKept { .. }
            | Record::CancelRequested(_)
            | Record::RecoveryBegan { .. }
            | Record::AttemptRecovered { .. }
            | Record::AttemptPostponed { .. }
            | Record::DeadlineSet { .. }
            | Record::DeadlinePassed { .. }
            | Record::UndoOwed { .. }
            | Record::UndoingBegan { .. }
            | Record::UndoStarted { .. }
            | Record::UndoSucceeded { .. }
            | Record::UndoFailed { .. }
            | Record::UndoInterrupted { .. }
            | Record::ResultShared { .. }
            | Record::RunRevised(_)
            | Record::ArgumentsReplaced { .. } => {
                return None;
            }
            Record::RunFinished(ending) => Self::RunFinished {
                status: status(ending),
            },
        })
    }
}

const fn status(ending: &Ending) -> RunStatus {
    match ending {
        Ending::Succeeded { .. } => RunStatus::Succeeded,
        Ending::Failed { .. } => RunStatus::Failed,
        Ending::Cancelled => RunStatus::Cancelled,
    }
}
