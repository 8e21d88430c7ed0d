//! A workflow made ready to run: its plan, and where each node of the plan is written.

use std::sync::Arc;

use zahir_store::NodeId;

use crate::definition::Definition;
use crate::graph::{Graph, Node, NodeKind, RegionId as GraphRegion};
use crate::job::policy::Policy;
use crate::plan::{Plan, PlanKind, PlanNode, PlanRegion, RegionId, Source, index};
use crate::value::Codec;

/// A workflow and everything it calls.
#[derive(Debug)]
pub(crate) struct Program {
    /// What the engine knows of it.
    pub(crate) plan: Arc<Plan>,
    /// What is stored of it.
    pub(crate) definition: Definition,
    /// Where each node of the plan is written.
    sites: Vec<Site>,
}

/// A node of one of the merged graphs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) graph: &'static Graph,
    pub(crate) node: &'static Node,
}

impl Program {
    /// The program of this workflow.
    pub(crate) fn of(graph: &'static Graph) -> Self {
        let mut linker = Linker::default();
        linker.add(graph);
        while let Some(graph) = linker.graphs.get(linker.linked).map(|linked| linked.graph) {
            linker.link(graph);
            linker.linked += 1;
        }
        let definition = Definition::of(graph.name(), &linker.sites);
        Self {
            plan: Arc::new(Plan::new(linker.nodes, linker.regions)),
            definition,
            sites: linker.sites,
        }
    }

    /// Where a node is written.
    pub(crate) fn site(&self, node: NodeId) -> Site {
        self.sites[index(node)]
    }

    /// How a node's result is stored; `None` if it is not.
    pub(crate) fn codec(&self, node: NodeId) -> Option<Codec> {
        match &self.sites.get(index(node))?.node.kind {
            NodeKind::Job(job) => Some(job.output),
            NodeKind::Input { codec } => Some(*codec),
            NodeKind::Item | NodeKind::Value | NodeKind::Each { .. } | NodeKind::Workflow(_) => {
                None
            }
        }
    }
}

/// Merges graphs into one plan, each once.
#[derive(Default)]
struct Linker {
    graphs: Vec<Linked>,
    /// How many of the graphs are merged.
    linked: usize,
    /// How many nodes and regions the graphs met so far have.
    nodes_met: usize,
    regions_met: usize,
    nodes: Vec<PlanNode>,
    regions: Vec<PlanRegion>,
    sites: Vec<Site>,
}

/// A graph and where in the plan it begins.
struct Linked {
    graph: &'static Graph,
    node: usize,
    region: usize,
    /// The slot of each node in its region.
    slots: Vec<usize>,
}

impl Linker {
    /// The graph's place in the plan, made if it has none yet.
    fn add(&mut self, graph: &'static Graph) -> &Linked {
        let known = self
            .graphs
            .iter()
            .position(|linked| std::ptr::eq(linked.graph, graph));
        let at = known.unwrap_or_else(|| {
            let (node, region) = (self.nodes_met, self.regions_met);
            self.graphs.push(Linked {
                graph,
                node,
                region,
                slots: slots(graph),
            });
            self.nodes_met += graph.nodes().len();
            self.regions_met += graph.regions().len();
            self.graphs.len() - 1
        });
        &self.graphs[at]
    }

    fn link(&mut self, graph: &'static Graph) {
        let linked = self.add(graph);
        let (node, region, slots) = (linked.node, linked.region, linked.slots.clone());
        for inner in graph.regions() {
            let is_job = |id: &&NodeId| matches!(graph.nodes()[index(**id)].kind, NodeKind::Job(_));
            let is_input = |id: &NodeId| {
                matches!(
                    graph.nodes()[index(*id)].kind,
                    NodeKind::Input { .. } | NodeKind::Item
                )
            };
            let numbered = inner.nodes.iter().enumerate();
            self.regions.push(PlanRegion {
                nodes: inner.nodes.iter().map(|id| shifted(*id, node)).collect(),
                inputs: numbered
                    .filter(|(_, id)| is_input(id))
                    .map(|(slot, _)| slot)
                    .collect(),
                result: None,
                jobs: u64::try_from(inner.nodes.iter().filter(is_job).count()).unwrap_or(0),
            });
        }
        for (at, inner) in graph.regions().iter().enumerate() {
            let from = GraphRegion::new(u32::try_from(at).unwrap_or(u32::MAX));
            self.regions[region + at].result = inner
                .result
                .map(|result| source(graph, &slots, from, result));
        }
        for inner in graph.nodes() {
            let linked = self.node(graph, inner, region, &slots);
            self.nodes.push(linked);
            self.sites.push(Site { graph, node: inner });
        }
    }

    fn node(
        &mut self,
        graph: &'static Graph,
        node: &'static Node,
        region: usize,
        slots: &[usize],
    ) -> PlanNode {
        let inside = |id: GraphRegion| RegionId(region + id.index());
        let (kind, lends) = match &node.kind {
            NodeKind::Input { .. } | NodeKind::Item => (PlanKind::Input, 0),
            NodeKind::Job(_) => (PlanKind::Job, node.uses.len()),
            NodeKind::Value => (PlanKind::Value, node.uses.len()),
            NodeKind::Each {
                body, limit, lends, ..
            } => (
                PlanKind::Each {
                    body: inside(*body),
                    limit: *limit,
                },
                *lends,
            ),
            NodeKind::Workflow(called) => {
                let body = RegionId(self.add((called.graph)()).region);
                (PlanKind::Call { body }, node.uses.len())
            }
        };
        let sources = |ids: &[NodeId]| {
            ids.iter()
                .map(|id| source(graph, slots, node.region, *id))
                .collect()
        };
        PlanNode {
            kind,
            region: inside(node.region),
            slot: slots[index(node.id)],
            uses: sources(&node.uses[..lends]),
            after: sources(&node.after),
            policy: if matches!(kind, PlanKind::Job) {
                node.policy
            } else {
                Policy::ONCE
            },
            waits: 0,
            dependents: Vec::new(),
        }
    }
}

fn shifted(id: NodeId, by: usize) -> NodeId {
    NodeId::new(
        id.number()
            .saturating_add(u32::try_from(by).unwrap_or(u32::MAX)),
    )
}

fn slots(graph: &Graph) -> Vec<usize> {
    let mut slots = vec![0; graph.nodes().len()];
    for region in graph.regions() {
        for (slot, id) in region.nodes.iter().enumerate() {
            slots[index(*id)] = slot;
        }
    }
    slots
}

/// Where the value of `id` is, seen from a frame of `from`.
fn source(graph: &Graph, slots: &[usize], from: GraphRegion, id: NodeId) -> Source {
    let target = graph.nodes()[index(id)].region;
    let (mut at, mut up) = (from, 0);
    while at != target {
        let Some(parent) = graph.regions()[at.index()].parent else {
            break;
        };
        (at, up) = (parent, up + 1);
    }
    Source {
        up,
        slot: slots[index(id)],
    }
}
