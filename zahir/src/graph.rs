//! The graph of a workflow: read once, without running any of its code, and never changed.
//!
//! A node's number is its index and the slot of its value. Inputs and items are nodes, too. Nodes
//! are in source order and need earlier ones only, so the graph has no cycle. Nodes live in regions:
//! region 0 is the body, and each `for` owns one that is entered once per item.

mod dot;
pub(crate) mod fingerprint;
pub(crate) mod instance;
mod mermaid;
mod picture;
mod read;
pub(crate) mod shape;

use std::fmt;

use petgraph::graph::DiGraph;
use zahir_store::NodeId;

pub use shape::Argument;
pub(crate) use shape::Exit;

use crate::job::JobDef;
use crate::job::context::Context;
use crate::job::policy::Policy;
use crate::value::{Codec, Value};
use crate::wire::{RaceDef, ResultDef, SignalDef, Step, Wire};
use crate::workflow::WorkflowDef;

/// The graph of a workflow.
pub struct Graph {
    name: &'static str,
    nodes: Vec<Node>,
    regions: Vec<Region>,
    petgraph: DiGraph<NodeId, Edge>,
    fingerprint: u128,
    wire: for<'e> fn(Wire<'e>) -> Step<'e>,
}

impl Graph {
    /// The workflow's name: its module path and name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The nodes, in source order; a node's number is its place here.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The graph for algorithms of `petgraph`.
    #[must_use]
    pub fn petgraph(&self) -> &DiGraph<NodeId, Edge> {
        &self.petgraph
    }

    /// Changes when a stored run of this workflow may no longer fit it.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// The workflows that it calls.
    pub(crate) fn calls(&self) -> impl Iterator<Item = WorkflowDef> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Workflow(called) => Some(*called),
            _ => None,
        })
    }

    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Begins `node`. `values` are those of its `uses`, in order.
    ///
    /// Runs user code: the pure expressions of the node. It may panic.
    pub(crate) fn step<'e>(
        &self,
        node: NodeId,
        context: &'e Context,
        values: &'e [Value],
        encode: bool,
    ) -> Step<'e> {
        (self.wire)(Wire::begin(node.number(), context, values, encode))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("name", &self.name)
            .field("nodes", &self.nodes)
            .field("regions", &self.regions)
            .finish_non_exhaustive()
    }
}

/// One use of a job, an input, or a value computed in the workflow itself.
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: &'static str,
    pub(crate) kind: NodeKind,
    pub(crate) region: RegionId,
    /// The values that the node needs. Its own step is lent the first [`Node::lends`] of them, in
    /// this order; the others are what the regions inside it need from around them.
    pub(crate) uses: Box<[NodeId]>,
    pub(crate) lends: usize,
    /// The regions that it enters: the body of a `for`, a loop or a block, then its handler; the arms
    /// of a branch; the entries of a race.
    pub(crate) inside: Box<[RegionId]>,
    pub(crate) after: Box<[NodeId]>,
    pub(crate) arguments: &'static [Argument],
    pub(crate) source: &'static str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) fingerprint: u64,
    pub(crate) policy: Policy,
}

impl Node {
    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The name of its variable, of `.named(..)`, or of its job.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name of the job or workflow it calls.
    #[must_use]
    pub fn calls(&self) -> Option<&'static str> {
        match &self.kind {
            NodeKind::Job(job) => Some(job.name),
            NodeKind::Workflow(called) => Some(called.name),
            _ => None,
        }
    }

    /// The graph of the workflow it calls.
    #[must_use]
    pub fn subgraph(&self) -> Option<&'static Graph> {
        match &self.kind {
            NodeKind::Workflow(called) => Some((called.graph)()),
            _ => None,
        }
    }

    /// The nodes whose values it needs.
    #[must_use]
    pub fn uses(&self) -> &[NodeId] {
        &self.uses
    }

    /// The nodes it waits for without needing their values.
    #[must_use]
    pub fn after(&self) -> &[NodeId] {
        &self.after
    }

    /// What it hands over to its job.
    #[must_use]
    pub fn arguments(&self) -> &'static [Argument] {
        self.arguments
    }

    /// Where it is written: the line.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Where in its line it is written, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// Changes when a stored result of the node may no longer be what the node would give.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Attempts, waits and time limit.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn index(&self) -> usize {
        usize::try_from(self.id.number()).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("region", &self.region)
            .field("uses", &self.uses)
            .field("after", &self.after)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum NodeKind {
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
        starts: &'static [u32],
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

/// A part of a graph that is entered as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RegionId(u32);

impl RegionId {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What [`RegionId`] stands for.
#[derive(Debug)]
pub(crate) struct Region {
    /// The region around it.
    pub(crate) parent: Option<RegionId>,
    /// In source order.
    pub(crate) nodes: Vec<NodeId>,
    /// The node that gives its value; `None` if that is `()`.
    pub(crate) result: Option<NodeId>,
    /// Where a run goes on behind it.
    pub(crate) exit: Exit,
    /// What the assigned variables are at its end.
    pub(crate) outs: Vec<NodeId>,
}

/// Why one node comes after another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edge {
    /// It needs the other's value, for these arguments of its call, counted from 0.
    Data {
        /// Which arguments.
        arguments: Vec<usize>,
    },
    /// It was told to wait: `.after(..)`.
    After,
    /// It is inside the other: in the body of a `for`, in an arm of a branch.
    Inside,
}

#[cfg(test)]
mod tests;
