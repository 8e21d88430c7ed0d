//! The graph of a workflow: read once, without running any of its code, and never changed.
//!
//! A node's number is its index and the slot of its value. Inputs and items are nodes, too. Nodes
//! are in source order and need earlier ones only, so the graph has no cycle. Nodes live in regions,
//! which form a tree: region 0 is the body, and a `for`, a branch, a loop owns those that it enters.

mod defect;
mod dot;
pub(crate) mod fingerprint;
pub(crate) mod instance;
mod kind;
mod mermaid;
mod picture;
mod read;
mod region;
pub(crate) mod shape;

use std::fmt;

use petgraph::graph::DiGraph;
use zahir_store::NodeId;

pub(crate) use self::kind::NodeDef;
pub use self::kind::NodeKind;
pub(crate) use picture::short;
pub use region::{Region, RegionId};
pub use shape::{Argument, Exit};

use crate::job::children::kind::{KindDef, reachable};
use crate::job::context::Context;
use crate::job::policy::Policy;
use crate::value::Value;
use crate::wire::{Step, Wire};
use crate::workflow::WorkflowDef;

/// How the name of the graph of what a job spawns ends. No name of a workflow has a blank.
pub(crate) const SPAWNED: &str = " (spawned)";

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

    /// The regions, the body of the workflow first; a region is behind the one around it.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
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

    /// The workflows that it calls, and those that its jobs may spawn.
    pub(crate) fn calls(&self) -> impl Iterator<Item = WorkflowDef> {
        let called = self.nodes.iter().filter_map(|node| node.kind.workflow());
        let kinds = self.kinds().into_iter();
        called.chain(kinds.filter_map(|kind| kind.workflow()))
    }

    /// What its jobs may spawn, directly or not, each once.
    pub(crate) fn kinds(&self) -> Vec<KindDef> {
        reachable(self.nodes.iter().filter_map(|node| node.kind.job()))
    }

    /// Whether it is that of what a job spawns, and of no workflow.
    pub(crate) fn is_kind(&self) -> bool {
        self.name.ends_with(SPAWNED)
    }

    pub(crate) fn at(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(index(id))
    }

    /// The variables that each node assigns, by its number.
    pub(crate) fn assigned(&self) -> Vec<Vec<NodeId>> {
        let mut assigned = vec![Vec::new(); self.nodes.len()];
        for node in &self.nodes {
            if let Some(by) = node.kind.assigned_by()
                && let Some(variables) = assigned.get_mut(index(by))
            {
                variables.push(node.id);
            }
        }
        assigned
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

/// One use of a job, an input, a value computed in the workflow itself, or what enters regions.
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: &'static str,
    pub(crate) kind: NodeDef,
    pub(crate) region: RegionId,
    /// The values that the node needs. Its own step is lent the first [`Node::lends`] of them, in
    /// this order; the others are what the regions inside it need from around them.
    pub(crate) uses: Box<[NodeId]>,
    pub(crate) lends: usize,
    /// The regions that it enters.
    pub(crate) inside: Box<[RegionId]>,
    pub(crate) after: Box<[NodeId]>,
    pub(crate) arguments: &'static [Argument],
    pub(crate) source: &'static str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) fingerprint: u64,
    /// The fingerprint without the regions that it enters.
    pub(crate) entry: u64,
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

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.kind.kind()
    }

    /// The region it is in.
    #[must_use]
    pub fn region(&self) -> RegionId {
        self.region
    }

    /// The regions that it enters: the body of a `for`, a loop or a block, then its handler; the
    /// arms of a branch; the entries of a race.
    #[must_use]
    pub fn regions(&self) -> &[RegionId] {
        &self.inside
    }

    /// The name of the job or workflow it calls.
    #[must_use]
    pub fn calls(&self) -> Option<&'static str> {
        let workflow = self.kind.workflow();
        let job = self.kind.job().map(|job| job.name);
        job.or(workflow.map(|called| called.name))
    }

    /// The graph of the workflow it calls.
    #[must_use]
    pub fn subgraph(&self) -> Option<&'static Graph> {
        self.kind.workflow().map(|called| (called.graph)())
    }

    /// What its job may spawn: what `#[job(spawns(..))]` names, by name.
    #[must_use]
    pub fn spawns(&self) -> Vec<KindDef> {
        self.kind.job().map_or_else(Vec::new, |job| (job.kinds)())
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
        index(self.id)
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

/// A node's place in the list of nodes.
fn index(id: NodeId) -> usize {
    usize::try_from(id.number()).unwrap_or(usize::MAX)
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
