//! What an event tells, and which record tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use zahir_store::{Ending, Failure, NodeId, Position, Record, RunStatus, SpawnedChild, Timestamp};

use crate::event::value::EmittedValue;
use crate::job::children::line::Told;
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
    /// An attempt failed for good, and the job's recovery job takes over. Its attempts are numbered
    /// on.
    RecoveryBegan {
        /// The node.
        node: Arc<str>,
        /// Which try of it failed last.
        attempt: u32,
        /// Why, in words.
        message: Arc<str>,
    },
    /// A node has its result from its recovery job.
    Recovered {
        /// The node.
        node: Arc<str>,
        /// Which try of it.
        attempt: u32,
    },
    /// An attempt ended and asked to be followed by another one. It has not failed.
    AttemptPostponed {
        /// The node.
        node: Arc<str>,
        /// Which try of it.
        attempt: u32,
        /// When it goes on.
        until: Timestamp,
    },
    /// All attempts of a node together, or to undo its result, or the whole run, have a time limit.
    DeadlineSet {
        /// The node; `None` for the run.
        node: Option<Arc<str>>,
        /// When it is over.
        until: Timestamp,
    },
    /// That limit is over: what was under way is dropped.
    DeadlinePassed {
        /// The node; `None` for the run.
        node: Option<Arc<str>>,
        /// What that means to it, in words.
        message: Arc<str>,
    },
    /// The run has failed or was cancelled, and what can be undone is being undone.
    UndoingBegan {
        /// How the run ends when that is done.
        status: RunStatus,
    },
    /// An attempt to undo the result of a node is about to start.
    UndoStarted {
        /// The node whose result is undone.
        node: Arc<str>,
        /// Which try to undo it, counted from 1.
        attempt: u32,
    },
    /// The result of a node is undone.
    UndoSucceeded {
        /// The node whose result was undone.
        node: Arc<str>,
        /// Which try did.
        attempt: u32,
    },
    /// An attempt to undo the result of a node failed.
    UndoFailed {
        /// The node.
        node: Arc<str>,
        /// Which try to undo it.
        attempt: u32,
        /// Why, in words.
        message: Arc<str>,
        /// When it is tried again; `None` if the result stays as it is.
        retry_at: Option<Timestamp>,
    },
    /// An attempt to undo the result of a node was dropped by a shutdown.
    UndoInterrupted {
        /// The node.
        node: Arc<str>,
        /// Which try to undo it.
        attempt: u32,
    },
    /// A job has children.
    ChildrenSpawned {
        /// The job: the parent.
        node: Arc<str>,
        /// How many there are of each job or workflow. Large numbers of children are told in several
        /// events.
        children: Arc<[(Arc<str>, u32)]>,
    },
    /// A job tells something while it runs: [`Context::emit`](crate::Context::emit). Nothing of that
    /// is stored.
    Emitted {
        /// The job.
        node: Arc<str>,
        /// What it tells.
        value: EmittedValue,
    },
    /// A job tells how far it has come: [`Context::progress`](crate::Context::progress). Nothing of
    /// that is stored.
    Progress {
        /// The job.
        node: Arc<str>,
        /// How far it has come ..
        done: u64,
        /// .. and how far it has to go, in whatever it counts.
        total: u64,
    },
    /// The run goes on with a part of what it has: the rest runs again.
    RunRevised,
    /// A node was given other inputs than those it is wired to.
    ArgumentsReplaced {
        /// The node.
        node: Arc<str>,
    },
    /// The run is over.
    RunFinished {
        /// How it ended.
        status: RunStatus,
    },
}

impl EventKind {
    /// What a record tells; `None` if that follows from another one, or tells nobody anything.
    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    pub(super) fn of(record: &Record, executable: &Executable) -> Option<Self> {
        let node = |at: &Position| executable.path(at).into();
        Some(match record {
            Record::RunStarted(_) => Self::RunStarted,
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
            Record::DeadlineSet { at, .. } | Record::DeadlinePassed { at, .. } => {
                return Self::of_deadline(record, at.as_ref().map(node));
            }
            Record::RunRevised(_) => Self::RunRevised,
            Record::ArgumentsReplaced { at, .. } => Self::ArgumentsReplaced { node: node(at) },
            Record::RunFinished(ending) => Self::RunFinished {
                status: status(ending),
            },
            Record::AttemptStarted { at, attempt }
            | Record::AttemptSucceeded { at, attempt, .. }
            | Record::AttemptFailed { at, attempt, .. }
            | Record::AttemptInterrupted { at, attempt }
            | Record::AttemptPostponed { at, attempt, .. }
            | Record::RecoveryBegan { at, attempt, .. }
            | Record::AttemptRecovered { at, attempt, .. } => {
                return Self::of_attempt(record, node(at), attempt.number());
            }
            Record::UndoStarted { at, attempt }
            | Record::UndoSucceeded { at, attempt }
            | Record::UndoFailed { at, attempt, .. }
            | Record::UndoInterrupted { at, attempt } => {
                return Self::of_undo(record, node(at), attempt.number());
            }
            Record::UndoingBegan { ending } => Self::UndoingBegan {
                status: status(ending),
            },
            Record::ChildrenSpawned { at, children } => Self::ChildrenSpawned {
                node: node(at),
                children: counted(children, executable),
            },
            Record::BlockEntered { .. }
            | Record::ErrorKept { .. }
            | Record::UndoOwed { .. }
            | Record::AttemptParked { .. }
            | Record::AttemptResumed { .. }
            | Record::ChildrenLeft { .. }
            | Record::ValueKept { .. }
            | Record::AttemptContinued { .. }
            | Record::AttemptsDropped { .. }
            | Record::ChildrenSuspended { .. }
            | Record::ChildrenResumed { .. }
            | Record::ResultShared { .. }
            | Record::CancelRequested(_) => return None,
        })
    }

    fn of_deadline(record: &Record, node: Option<Arc<str>>) -> Option<Self> {
        if let Record::DeadlineSet { due, .. } = record {
            let until = *due;
            Some(Self::DeadlineSet { node, until })
        } else if let Record::DeadlinePassed { failure, .. } = record {
            let message = failure.message.as_str().into();
            Some(Self::DeadlinePassed { node, message })
        } else {
            None
        }
    }

    /// What a job tells by itself.
    pub(super) fn of_told(node: Arc<str>, told: Told) -> Self {
        match told {
            Told::Value(value) => Self::Emitted {
                node,
                value: EmittedValue::new(value),
            },
            Told::Progress(done, total) => Self::Progress { node, done, total },
        }
    }

    fn of_attempt(record: &Record, node: Arc<str>, attempt: u32) -> Option<Self> {
        let text = |failure: &Failure| failure.message.as_str().into();
        Some(if let Record::AttemptStarted { .. } = record {
            Self::AttemptStarted { node, attempt }
        } else if let Record::AttemptSucceeded { .. } = record {
            Self::AttemptSucceeded { node, attempt }
        } else if let Record::AttemptFailed {
            failure, retry_at, ..
        } = record
        {
            Self::AttemptFailed {
                node,
                attempt,
                message: text(failure),
                retry_at: *retry_at,
            }
        } else if let Record::AttemptInterrupted { .. } = record {
            Self::AttemptInterrupted { node, attempt }
        } else if let Record::AttemptPostponed { due, .. } = record {
            Self::AttemptPostponed {
                node,
                attempt,
                until: *due,
            }
        } else if let Record::RecoveryBegan { failure, .. } = record {
            Self::RecoveryBegan {
                node,
                attempt,
                message: text(failure),
            }
        } else if let Record::AttemptRecovered { .. } = record {
            Self::Recovered { node, attempt }
        } else {
            return None;
        })
    }

    fn of_undo(record: &Record, node: Arc<str>, attempt: u32) -> Option<Self> {
        Some(if let Record::UndoStarted { .. } = record {
            Self::UndoStarted { node, attempt }
        } else if let Record::UndoSucceeded { .. } = record {
            Self::UndoSucceeded { node, attempt }
        } else if let Record::UndoFailed {
            failure, retry_at, ..
        } = record
        {
            Self::UndoFailed {
                node,
                attempt,
                message: failure.message.as_str().into(),
                retry_at: *retry_at,
            }
        } else if let Record::UndoInterrupted { .. } = record {
            Self::UndoInterrupted { node, attempt }
        } else {
            return None;
        })
    }
}

/// How many children there are of each kind.
fn counted(children: &[SpawnedChild], executable: &Executable) -> Arc<[(Arc<str>, u32)]> {
    let mut counts = BTreeMap::<NodeId, u32>::new();
    for child in children {
        *counts.entry(child.kind).or_default() += 1;
    }
    let named = counts.into_iter().map(|(kind, count)| {
        let name = executable.kind_name(kind).unwrap_or_default();
        (name.into(), count)
    });
    named.collect()
}

const fn status(ending: &Ending) -> RunStatus {
    match ending {
        Ending::Succeeded { .. } => RunStatus::Succeeded,
        Ending::Failed { .. } => RunStatus::Failed,
        Ending::Cancelled => RunStatus::Cancelled,
    }
}
