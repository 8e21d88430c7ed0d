//! Why a run is not repaired.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use zahir_store::{RunId, StoreError};

use crate::error::Halted;
use crate::history::revise::BlockedJob;
use crate::runtime::recovery::ProblemKind;

/// A run that is not repaired. Nothing of it was changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RepairError {
    /// The run is under way, or is being repaired by somebody else.
    UnderWay {
        /// The run.
        run: RunId,
    },
    /// The runtime is in memory: of a run that has ended there is nothing left.
    InMemory,
    /// The workflow was not given to the builder.
    Unregistered {
        /// The workflow's name.
        workflow: &'static str,
    },
    /// There is no such run.
    Unknown {
        /// What was looked for.
        run: RunId,
    },
    /// The run is one of another workflow.
    OtherWorkflow {
        /// The run.
        run: RunId,
        /// The workflow it is of.
        workflow: String,
        /// The workflow that was asked for.
        asked: &'static str,
    },
    /// The workflow has no node of this name.
    NoSuchNode {
        /// The workflow's name.
        workflow: &'static str,
        /// The name.
        node: String,
        /// What is called much like it.
        near: Option<String>,
    },
    /// The node is a value that is computed whenever it is needed.
    Pure {
        /// The node.
        node: String,
    },
    /// The node never ran.
    NeverRan {
        /// The node.
        node: String,
    },
    /// The node is a child, or in one, that its parent does not ask for any more: it has called another
    /// one in its place.
    Replaced {
        /// The node.
        node: String,
    },
    /// The node has its result.
    HasResult {
        /// The node.
        node: String,
    },
    /// The run succeeded, or has not failed: nothing is to be tried again.
    NothingFailed {
        /// The run.
        run: RunId,
    },
    /// These jobs would run again, are `at_most_once`, and were not named.
    Blocked {
        /// The jobs, each with what is on record of it.
        jobs: Vec<BlockedJob>,
    },
    /// The inputs are not those of the node.
    Inputs {
        /// The node.
        node: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The run can't go on with the program as it is.
    Stuck {
        /// Why.
        reason: String,
    },
    /// The store could not be read.
    Store(Arc<StoreError>),
    /// The runtime is being shut down, or was.
    ShutDown,
    /// The runtime has halted.
    Halted(Halted),
}

impl RepairError {
    pub(super) fn of_problem(problem: ProblemKind) -> Self {
        match problem {
            ProblemKind::Damaged(error) => error.into(),
            ProblemKind::Blocked { jobs } => Self::Blocked { jobs },
            ProblemKind::UnknownWorkflow
            | ProblemKind::DefinitionChanged { .. }
            | ProblemKind::UndoChanged { .. }
            | ProblemKind::Undecodable { .. }
            | ProblemKind::Misfit { .. } => Self::Stuck {
                reason: problem.to_string(),
            },
        }
    }
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay { run } => {
                write!(f, "run {run} is under way: a run is repaired when it has ended")
            }
            Self::InMemory => f.write_str(
                "this runtime is in memory, and keeps nothing of a run that has ended: open it with \
                 a file",
            ),
            Self::Unregistered { workflow } => write!(
                f,
                "this runtime does not know the workflow `{workflow}`: add `.workflow::<..>()` for \
                 it where the runtime is opened"
            ),
            Self::Unknown { run } => write!(f, "there is no run {run} in this store"),
            Self::OtherWorkflow {
                run,
                workflow,
                asked,
            } => write!(f, "run {run} is one of `{workflow}`, not of `{asked}`"),
            Self::NoSuchNode {
                workflow,
                node,
                near,
            } => {
                write!(f, "`{workflow}` has no node `{node}`")?;
                match near {
                    Some(near) => write!(f, ": did you mean `{near}`?"),
                    None => Ok(()),
                }
            }
            Self::Pure { node } => write!(
                f,
                "`{node}` is a value, which is computed whenever it is needed: name the job that it \
                 is made from, or one that uses it"
            ),
            Self::NeverRan { node } => write!(f, "`{node}` has not run in this run"),
            Self::Replaced { node } => write!(
                f,
                "nobody asks for `{node}` any more: the job that did has called another child in its \
                 place since"
            ),
            Self::HasResult { node } => write!(
                f,
                "`{node}` has its result: to run it all the same, write `rerun_from(\"{node}\")`"
            ),
            Self::NothingFailed { run } => write!(
                f,
                "nothing has failed in run {run}: `rerun_from` runs a node again that has its result"
            ),
            Self::Blocked { jobs } => write_blocked(f, jobs),
            Self::Inputs { node, reason } => {
                write!(f, "these inputs are not for `{node}`: {reason}")
            }
            Self::Stuck { reason } => write!(f, "the run can't go on: {reason}"),
            Self::Store(_) => f.write_str("the store can't be read"),
            Self::ShutDown => f.write_str("the runtime is shut down, and repairs no more runs"),
            Self::Halted(_) => f.write_str("the runtime halted, and repairs no more runs"),
        }
    }
}

fn write_blocked(f: &mut fmt::Formatter<'_>, jobs: &[BlockedJob]) -> fmt::Result {
    f.write_str("what is never started twice (`at_most_once`) would be: ")?;
    for (at, job) in jobs.iter().enumerate() {
        let comma = if at == 0 { "" } else { "; " };
        write!(f, "{comma}{job}")?;
    }
    let node = jobs.first().map_or("..", BlockedJob::node);
    write!(f, ". If that is right, name it: `.also(\"{node}\")`")
}

impl StdError for RepairError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            Self::Halted(halted) => Some(halted),
            Self::UnderWay { .. }
            | Self::InMemory
            | Self::Unregistered { .. }
            | Self::Unknown { .. }
            | Self::OtherWorkflow { .. }
            | Self::NoSuchNode { .. }
            | Self::Pure { .. }
            | Self::NeverRan { .. }
            | Self::Replaced { .. }
            | Self::HasResult { .. }
            | Self::NothingFailed { .. }
            | Self::Blocked { .. }
            | Self::Inputs { .. }
            | Self::Stuck { .. }
            | Self::ShutDown => None,
        }
    }
}

impl From<StoreError> for RepairError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
