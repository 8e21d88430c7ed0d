//! What an attempt asks for, as data: what its line reports, and the engine is told.

use zahir_store::{ChildCall, ChildLimits, NodeId, SpawnedChild};

/// What a parked attempt waits for: that of these children at most so many are not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) children: Vec<ChildCall>,
    pub(crate) open_max: usize,
}

/// The job that is to give the result of another, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Successor {
    pub(crate) kind: NodeId,
    /// The names of its inputs and where they come from.
    pub(crate) inputs: Vec<(String, Bequest)>,
    pub(crate) limits: ChildLimits,
}

/// Where an input of the job that gives the result of another comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bequest {
    /// An encoded value.
    Value(Vec<u8>),
    /// The result of a child.
    Child(ChildCall),
    /// The list of the results of children.
    Children(Vec<ChildCall>),
}

/// About how many bytes it takes to report and to record a child.
pub(crate) const fn weight(child: &SpawnedChild) -> usize {
    let call = match &child.call {
        ChildCall::Number(_) => 0,
        ChildCall::Key(key) => key.len(),
    };
    child.arguments.len().saturating_add(call)
}
