//! From a workflow's shape and types to its graph.

use petgraph::graph::{DiGraph, NodeIndex};
use zahir_store::NodeId;

use crate::graph::shape::{Argument, NodeShape, Shape, ShapeKind};
use crate::graph::{Edge, Graph, Node, NodeKind, Region, RegionId, fingerprint};
use crate::job::policy::Policy;
use crate::value::Codec;
use crate::wire::{Description, Step, Wire};
use crate::workflow::Wired;

impl Graph {
    /// Reads the graph of `W`, running none of its code.
    #[doc(hidden)]
    #[must_use]
    pub fn of<W: Wired>() -> Self {
        Self::read(W::name(), W::SHAPE, W::INPUTS, W::wire)
    }

    fn read(
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
        let regions: Vec<Region> = (0..)
            .zip(shape.regions)
            .map(|(number, region)| Region {
                parent: region.parent.map(|(parent, _)| RegionId::new(parent)),
                nodes: nodes
                    .iter()
                    .filter(|node| node.region.number() == number)
                    .map(|node| node.id)
                    .collect(),
                result: region.result.map(NodeId::new),
            })
            .collect();
        fingerprint::fill(&mut nodes, &regions);
        let mut graph = Self {
            name,
            petgraph: petgraph(&nodes),
            nodes,
            regions,
            fingerprint: 0,
            wire,
        };
        graph.fingerprint = fingerprint::of_graph(&graph);
        debug_assert_eq!(graph.defect(), None, "`{name}`");
        graph
    }

    /// What is wrong with the graph. Always `None`: the macro wires backwards only.
    pub(crate) fn defect(&self) -> Option<String> {
        let count = self.nodes.len();
        for (index, node) in self.nodes.iter().enumerate() {
            let earlier = |id: &NodeId| usize::try_from(id.number()).is_ok_and(|id| id < index);
            if node.index() != index || index >= count {
                return Some(format!("`{}` has the number of another node", node.name));
            }
            if !node.uses.iter().chain(&node.after).all(earlier) {
                return Some(format!("`{}` needs a node below it", node.name));
            }
            let twin = self.nodes[..index]
                .iter()
                .any(|other| other.region == node.region && other.name == node.name);
            if twin {
                return Some(format!("two nodes are named `{}`", node.name));
            }
        }
        petgraph::algo::is_cyclic_directed(&self.petgraph).then(|| "a cycle".to_owned())
    }
}

fn node(
    number: u32,
    shape: &'static NodeShape,
    inputs: &mut impl Iterator<Item = Codec>,
    wire: for<'e> fn(Wire<'e>) -> Step<'e>,
) -> Node {
    let kind = kind(number, shape, inputs, wire);
    let policy = match &kind {
        NodeKind::Job(job) => Policy::of(&job.options, shape.settings),
        NodeKind::Input { .. }
        | NodeKind::Item
        | NodeKind::Value
        | NodeKind::Each { .. }
        | NodeKind::Workflow(_) => Policy::ONCE,
    };
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    Node {
        id: NodeId::new(number),
        name: shape.name,
        kind,
        region: RegionId::new(shape.region),
        uses: ids(shape.uses),
        after: ids(shape.after),
        arguments: shape.arguments,
        source: shape.source,
        line: shape.line,
        column: shape.column,
        fingerprint: 0,
        policy,
    }
}

fn kind(
    number: u32,
    shape: &NodeShape,
    inputs: &mut impl Iterator<Item = Codec>,
    wire: for<'e> fn(Wire<'e>) -> Step<'e>,
) -> NodeKind {
    match shape.kind {
        ShapeKind::Input => NodeKind::Input {
            codec: inputs.next().unwrap_or_else(Codec::of::<()>),
        },
        ShapeKind::Item => NodeKind::Item,
        ShapeKind::Value => NodeKind::Value,
        ShapeKind::Call | ShapeKind::Each { .. } => {
            match (wire(Wire::describe(number)), shape.kind) {
                (Step::Described(Description::Job(job)), _) => NodeKind::Job(job),
                (Step::Described(Description::Workflow(called)), _) => NodeKind::Workflow(called),
                (
                    Step::Described(Description::Each { join }),
                    ShapeKind::Each {
                        item,
                        body,
                        lends,
                        limit,
                    },
                ) => NodeKind::Each {
                    item: NodeId::new(item),
                    body: RegionId::new(body),
                    limit,
                    join,
                    lends: usize::try_from(lends).unwrap_or(usize::MAX),
                },
                #[expect(
                    clippy::unreachable,
                    reason = "the macro writes shape and sites together"
                )]
                (step, kind) => unreachable!("node {number} is a {kind:?}, described as {step:?}"),
            }
        }
    }
}

/// Data and order as edges. A `for` points at its item, so that its body comes after it.
fn petgraph(nodes: &[Node]) -> DiGraph<NodeId, Edge> {
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
        if let NodeKind::Each { item, .. } = node.kind {
            graph.add_edge(at(node.id), at(item), Edge::Item);
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
