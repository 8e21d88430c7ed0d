//! What a node is.

use std::time::Duration;

use zahir_store::NodeId;

use crate::job::JobDef;
use crate::value::{Codec, Value};
use crate::wire::{RaceDef, ResultDef, SignalDef};
use crate::workflow::WorkflowDef;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// An input of the workflow.
    Input,
    /// One item of a `for`.
    Item,
    /// A variable at the beginning of a loop's round.
    Carried,
    /// The error that a handler is given.
    Caught,
    /// A variable behind the branch, loop or block that assigned it.
    Assigned {
        /// The branch, loop or block.
        by: NodeId,
    },
    /// A call of a job.
    Job,
    /// A call of a workflow.
    Workflow,
    /// A pure value.
    Value,
    /// A `for`: its region runs once per item.
    Each {
        /// At most how many items at once.
        limit: Option<u32>,
    },
    /// `if` or `match`: one of its regions runs.
    Branch,
    /// `loop` or `while`: its region runs until it breaks.
    Loop {
        /// At most how many rounds.
        max: Option<u32>,
        /// Whether it ends at `max` with what its variables are then, or fails.
        or_last: bool,
    },
    /// `.rescue(..)`: its second region runs if the first fails.
    Rescue,
    /// `.result()`: the failure of its region becomes a value. (Not called `Result`: rustc would then
    /// write `std::result::Result` in its messages to users of this crate.)
    Outcome,
    /// `.finally(..)`: its second region runs behind the first, however that ends.
    Finally,
    /// `race(..)`: the first of its regions to end wins.
    Race,
    /// `sleep(..)` or `sleep_until(..)`.
    Sleep,
    /// `signal(..)`.
    Signal {
        /// Of which name.
        name: &'static str,
        /// The longest that is waited for it.
        timeout: Option<Duration>,
    },
}

/// What a node is, with all that its types tell.
#[derive(Debug)]
pub(crate) enum NodeDef {
    /// An input of the workflow. In the body only, in order, before all other nodes.
    Input { codec: Codec },
    /// One item of a `for`. The first node of its body.
    Item,
    /// A variable at the beginning of a loop's round. The first nodes of its body.
    Carried,
    /// The error that a handler is given. Its first node.
    Caught,
    /// A variable behind the branch, loop or block `by`, which assigned it.
    Assigned { by: NodeId },
    /// A call of a job.
    Job(JobDef),
    /// A pure value: computed once when it is needed, never stored.
    Value,
    /// A `for`: its body once per item.
    Each {
        limit: Option<u32>,
        join: fn(Vec<Value>) -> Value,
    },
    /// `if` or `match`: one of its arms.
    Branch,
    /// `loop` or `while`: its body until it breaks.
    Loop {
        /// What the carried variables begin with.
        starts: Box<[NodeId]>,
        max: Option<u32>,
        or_last: bool,
    },
    /// `.rescue(..)`: its handler if its body fails.
    Rescue,
    /// `.result()`: failure becomes a value.
    Result(ResultDef),
    /// `.finally(..)`: its last region behind its body, however that ends.
    Finally,
    /// `race(..)`: the first entry to end.
    Race(RaceDef),
    /// `sleep(..)`, `sleep_until(..)`.
    Sleep,
    /// `signal(..)`.
    Signal(SignalDef),
    /// A call of a workflow.
    Workflow(WorkflowDef),
}

impl NodeDef {
    /// The job it calls.
    pub(crate) const fn job(&self) -> Option<&JobDef> {
        if let Self::Job(job) = self {
            Some(job)
        } else {
            None
        }
    }

    /// The workflow it calls.
    pub(crate) const fn workflow(&self) -> Option<WorkflowDef> {
        if let Self::Workflow(called) = self {
            Some(*called)
        } else {
            None
        }
    }

    /// What carried variables begin with.
    pub(crate) fn starts(&self) -> &[NodeId] {
        if let Self::Loop { starts, .. } = self {
            starts
        } else {
            &[]
        }
    }

    /// What assigned a variable.
    pub(crate) const fn assigned_by(&self) -> Option<NodeId> {
        if let Self::Assigned { by } = self {
            Some(*by)
        } else {
            None
        }
    }

    pub(crate) const fn kind(&self) -> NodeKind {
        match self {
            Self::Input { .. } => NodeKind::Input,
            Self::Item => NodeKind::Item,
            Self::Carried => NodeKind::Carried,
            Self::Caught => NodeKind::Caught,
            Self::Assigned { by } => NodeKind::Assigned { by: *by },
            Self::Job(_) => NodeKind::Job,
            Self::Value => NodeKind::Value,
            Self::Each { limit, .. } => NodeKind::Each { limit: *limit },
            Self::Branch => NodeKind::Branch,
            Self::Loop { max, or_last, .. } => NodeKind::Loop {
                max: *max,
                or_last: *or_last,
            },
            Self::Rescue => NodeKind::Rescue,
            Self::Result(_) => NodeKind::Outcome,
            Self::Finally => NodeKind::Finally,
            Self::Race(_) => NodeKind::Race,
            Self::Sleep => NodeKind::Sleep,
            Self::Signal(SignalDef { name, timeout, .. }) => NodeKind::Signal {
                name,
                timeout: *timeout,
            },
            Self::Workflow(_) => NodeKind::Workflow,
        }
    }
}
