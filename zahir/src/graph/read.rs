//! From a workflow's shape and types to its graph.

use petgraph::graph::{DiGraph, NodeIndex};
use zahir_store::NodeId;

use crate::graph::shape::{Argument, NodeShape, Shape, ShapeKind};
use crate::graph::{
    Edge, Exit, Graph, Node, NodeDef, Region, RegionId, SPAWNED, fingerprint, region, short,
};
use crate::job::children::kind::KindDef;
use crate::job::policy::{Policy, Settings};
use crate::value::Codec;
use crate::wire::{Description, SignalDef, Step, Wire};
use crate::workflow::Wired;

impl Graph {
    /// Reads the graph of `W`, running none of its code.
    #[doc(hidden)]
    #[must_use]
    pub fn of<W: Wired>() -> Self {
        let graph = Self::read(W::name(), W::SHAPE, W::INPUTS, W::wire);
        debug_assert_eq!(graph.defect(), None, "`{}`", graph.name);
        graph
    }

    /// The graph of what a job spawns: one node, which is given its inputs from what was stored of
    /// them.
    pub(crate) fn of_kind(kind: &KindDef) -> Self {
        let (def, policy) = match (kind.job(), kind.workflow()) {
            (Some(job), _) => (NodeDef::Job(*job), Policy::of(job.options, Settings::NONE)),
            (None, Some(called)) => (NodeDef::Workflow(called), Policy::ONCE),
            (None, None) => (NodeDef::Value, Policy::ONCE),
        };
        let mut nodes = vec![Node {
            id: NodeId::new(0),
            name: short(kind.name()).leak(),
            kind: def,
            region: RegionId::new(0),
            uses: Box::default(),
            lends: 0,
            inside: Box::default(),
            after: Box::default(),
            arguments: &[],
            source: "",
            line: 0,
            column: 0,
            fingerprint: 0,
            entry: 0,
            policy,
        }];
        let regions = vec![Region {
            parent: None,
            owner: None,
            label: "body".to_owned(),
            nodes: vec![NodeId::new(0)],
            result: Some(NodeId::new(0)),
            exit: Exit::Value,
            outs: Vec::new(),
        }];
        fingerprint::fill(&mut nodes, &regions);
        let mut graph = Self {
            name: format!("{}{SPAWNED}", kind.name()).leak(),
            petgraph: petgraph(&nodes, &regions),
            nodes,
            regions,
            fingerprint: 0,
            wire: |_| Step::Nothing,
        };
        graph.fingerprint = fingerprint::of_graph(&graph);
        graph
    }

    /// The graph as it is written down, whether or not that makes sense.
    pub(crate) fn read(
        name: &'static str,
        shape: &'static Shape,
        inputs: &[Codec],
        wire: for<'e> fn(Wire<'e>) -> Step<'e>,
    ) -> Self {
        let mut codecs = inputs.iter().copied();
        let mut nodes: Vec<Node> = (0..)
            .zip(shape.nodes)
            .map(|(number, shape)| node(number, shape, &mut codecs, wire))
            .collect();
        let regions = region::read(shape, &nodes);
        fingerprint::fill(&mut nodes, &regions);
        let mut graph = Self {
            name,
            petgraph: petgraph(&nodes, &regions),
            nodes,
            regions,
            fingerprint: 0,
            wire,
        };
        graph.fingerprint = fingerprint::of_graph(&graph);
        graph
    }
}

fn node(
    number: u32,
    shape: &'static NodeShape,
    inputs: &mut impl Iterator<Item = Codec>,
    wire: for<'e> fn(Wire<'e>) -> Step<'e>,
) -> Node {
    let kind = kind(number, shape, inputs, wire);
    let policy = kind
        .job()
        .map_or(Policy::ONCE, |job| Policy::of(job.options, shape.settings));
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    Node {
        id: NodeId::new(number),
        name: shape.name,
        kind,
        region: RegionId::new(shape.region),
        uses: ids(shape.uses),
        lends: lends(shape),
        inside: inside(shape.kind).into_iter().map(RegionId::new).collect(),
        after: ids(shape.after),
        arguments: shape.arguments,
        source: shape.source,
        line: shape.line,
        column: shape.column,
        fingerprint: 0,
        entry: 0,
        policy,
    }
}

/// How many of the values that a node needs its own step is lent.
fn lends(shape: &NodeShape) -> usize {
    let count = |lends: u32| usize::try_from(lends).unwrap_or(usize::MAX);
    match shape.kind {
        ShapeKind::Each { lends, .. } | ShapeKind::Branch { lends, .. } => count(lends),
        ShapeKind::Loop { .. }
        | ShapeKind::Rescue { .. }
        | ShapeKind::Result { .. }
        | ShapeKind::Finally { .. }
        | ShapeKind::Race { .. } => 0,
        ShapeKind::Input
        | ShapeKind::Item
        | ShapeKind::Carried
        | ShapeKind::Caught
        | ShapeKind::Assigned { .. }
        | ShapeKind::Value
        | ShapeKind::Call
        | ShapeKind::Sleep
        | ShapeKind::Signal { .. } => shape.uses.len(),
    }
}

/// The regions that a node enters.
fn inside(kind: ShapeKind) -> Vec<u32> {
    match kind {
        ShapeKind::Each { body, .. }
        | ShapeKind::Loop { body, .. }
        | ShapeKind::Result { body } => {
            vec![body]
        }
        ShapeKind::Branch { arms: regions, .. } | ShapeKind::Race { entries: regions } => {
            regions.to_vec()
        }
        ShapeKind::Rescue {
            body,
            handler: last,
        }
        | ShapeKind::Finally { body, last } => {
            vec![body, last]
        }
        ShapeKind::Input
        | ShapeKind::Item
        | ShapeKind::Carried
        | ShapeKind::Caught
        | ShapeKind::Assigned { .. }
        | ShapeKind::Value
        | ShapeKind::Call
        | ShapeKind::Sleep
        | ShapeKind::Signal { .. } => Vec::new(),
    }
}

fn kind(
    number: u32,
    shape: &NodeShape,
    inputs: &mut impl Iterator<Item = Codec>,
    wire: for<'e> fn(Wire<'e>) -> Step<'e>,
) -> NodeDef {
    match shape.kind {
        ShapeKind::Input => NodeDef::Input {
            codec: inputs.next().unwrap_or_else(Codec::of::<()>),
        },
        ShapeKind::Item => NodeDef::Item,
        ShapeKind::Carried => NodeDef::Carried,
        ShapeKind::Caught => NodeDef::Caught,
        ShapeKind::Assigned { by } => NodeDef::Assigned {
            by: NodeId::new(by),
        },
        ShapeKind::Value => NodeDef::Value,
        ShapeKind::Branch { .. } => NodeDef::Branch,
        ShapeKind::Loop {
            starts,
            max,
            or_last,
            ..
        } => NodeDef::Loop {
            starts: starts.iter().copied().map(NodeId::new).collect(),
            max,
            or_last,
        },
        ShapeKind::Rescue { .. } => NodeDef::Rescue,
        ShapeKind::Finally { .. } => NodeDef::Finally,
        ShapeKind::Sleep => NodeDef::Sleep,
        ShapeKind::Call
        | ShapeKind::Each { .. }
        | ShapeKind::Result { .. }
        | ShapeKind::Race { .. }
        | ShapeKind::Signal { .. } => {
            let step = wire(Wire::describe(number));
            let described = if let Step::Described(description) = step {
                described(shape.kind, description)
            } else {
                None
            };
            #[expect(
                clippy::unreachable,
                reason = "the macro writes shape and sites together"
            )]
            described.unwrap_or_else(|| {
                unreachable!(
                    "node {number} is not described as what it is: {:?}",
                    shape.kind
                )
            })
        }
    }
}

/// What only the types of a node tell, put to what its shape says.
fn described(kind: ShapeKind, description: Description) -> Option<NodeDef> {
    Some(match (kind, description) {
        (ShapeKind::Call, Description::Job(job)) => NodeDef::Job(job),
        (ShapeKind::Call, Description::Workflow(called)) => NodeDef::Workflow(called),
        (ShapeKind::Each { limit, .. }, Description::Each { join }) => {
            NodeDef::Each { limit, join }
        }
        (ShapeKind::Result { .. }, Description::Result(result)) => NodeDef::Result(result),
        (ShapeKind::Race { .. }, Description::Race(race)) => NodeDef::Race(race),
        (ShapeKind::Signal { name, timeout }, Description::Signal(payload)) => {
            NodeDef::Signal(SignalDef {
                name,
                timeout,
                payload,
            })
        }
        _ => return None,
    })
}

/// Data and order as edges. A node that has regions points at the nodes in them: they come after it
/// is begun.
fn petgraph(nodes: &[Node], regions: &[Region]) -> DiGraph<NodeId, Edge> {
    let mut graph = DiGraph::with_capacity(nodes.len(), nodes.len());
    for node in nodes {
        graph.add_node(node.id);
    }
    let at = |id: NodeId| NodeIndex::new(usize::try_from(id.number()).unwrap_or(usize::MAX));
    for node in nodes {
        for used in &node.uses {
            let arguments = positions(node.arguments, *used);
            graph.add_edge(at(*used), at(node.id), Edge::Data { arguments });
        }
        for before in &node.after {
            graph.add_edge(at(*before), at(node.id), Edge::After);
        }
        if let Some(by) = node.kind.assigned_by() {
            let arguments = Vec::new();
            graph.add_edge(at(by), at(node.id), Edge::Data { arguments });
        }
        let regions = node.inside.iter().filter_map(|id| regions.get(id.index()));
        for inner in regions.flat_map(|region| &region.nodes) {
            graph.add_edge(at(node.id), at(*inner), Edge::Inside);
        }
    }
    graph
}

/// The arguments that the value of `used` goes into, counted from 0.
fn positions(arguments: &[Argument], used: NodeId) -> Vec<usize> {
    arguments
        .iter()
        .enumerate()
        .filter(|(_, argument)| argument.nodes().contains(&used.number()))
        .map(|(position, _)| position)
        .collect()
}
