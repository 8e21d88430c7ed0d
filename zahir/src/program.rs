//! A workflow made ready to run: its plan, and where each node of the plan is written.

use std::sync::Arc;

use zahir_store::NodeId;

use crate::definition::Definition;
use crate::graph::{Graph, Node, NodeDef, RegionId as GraphRegion};
use crate::job::JobDef;
use crate::job::policy::{Policy, Settings};
use crate::plan::{
    Plan, PlanKind, PlanNode, PlanRegion, Recovery, RegionId, SignalId, Source, index,
};
use crate::value::Codec;
use crate::wire::PayloadDef;

/// A workflow and everything it calls.
#[derive(Debug)]
pub(crate) struct Program {
    graph: &'static Graph,
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
            graph,
            plan: Arc::new(Plan::new(linker.nodes, linker.regions, linker.signals)),
            definition,
            sites: linker.sites,
        }
    }

    /// The graph of the workflow, which is the first in the plan.
    pub(crate) const fn graph(&self) -> &'static Graph {
        self.graph
    }

    /// Where a node is written.
    pub(crate) fn site(&self, node: NodeId) -> Site {
        self.sites[index(node)]
    }

    /// How a node's result is stored; `None` if it is not.
    pub(crate) fn codec(&self, node: NodeId) -> Option<Codec> {
        let kind = &self.sites.get(index(node))?.node.kind;
        if let NodeDef::Input { codec } = kind {
            return Some(*codec);
        }
        kind.job().map(|job| job.output)
    }

    /// How the error of a node's job is stored; `None` if it is not.
    pub(crate) fn error_codec(&self, node: NodeId) -> Option<Codec> {
        let job = self.job(node)?;
        let recovery = || job.recovery.and_then(|recovery| recovery.error);
        job.error.or_else(recovery)
    }

    /// The job that a node calls.
    pub(crate) fn job(&self, node: NodeId) -> Option<&JobDef> {
        self.sites.get(index(node))?.node.kind.job()
    }

    /// How what a node gives is written, whether or not it is ever stored by itself.
    pub(crate) fn output(&self, node: NodeId) -> Option<Codec> {
        let called = self.sites.get(index(node))?.node.kind.workflow();
        self.codec(node).or(called.map(|called| called.output))
    }

    /// What reads the payload of a signal of this name; `None` if nothing waits for one.
    pub(crate) fn signal(&self, name: &str) -> Option<PayloadDef> {
        self.sites.iter().find_map(|site| {
            if let NodeDef::Signal(signal) = &site.node.kind {
                (signal.name == name).then_some(signal.payload)
            } else {
                None
            }
        })
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
    signals: Vec<String>,
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
        // A kind is described where it is declared, and is the same wherever that is.
        let is_same = |other: &'static Graph| {
            std::ptr::eq(other, graph) || graph.is_kind() && other.name() == graph.name()
        };
        let known = self.graphs.iter().position(|linked| is_same(linked.graph));
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
            let is_job = |id: &&NodeId| matches!(graph.nodes()[index(**id)].kind, NodeDef::Job(_));
            let is_input = |id: &NodeId| {
                matches!(
                    graph.nodes()[index(*id)].kind,
                    NodeDef::Input { .. } | NodeDef::Item | NodeDef::Carried | NodeDef::Caught
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
                exit: inner.exit,
                outs: Vec::new(),
                jobs: u64::try_from(inner.nodes.iter().filter(is_job).count()).unwrap_or(0),
            });
        }
        for (at, inner) in graph.regions().iter().enumerate() {
            let from = GraphRegion::new(u32::try_from(at).unwrap_or(u32::MAX));
            self.regions[region + at].result = inner
                .result
                .map(|result| source(graph, &slots, from, result));
            let outs = inner
                .outs
                .iter()
                .map(|out| source(graph, &slots, from, *out));
            self.regions[region + at].outs = outs.collect();
        }
        for (inner, assigned) in graph.nodes().iter().zip(graph.assigned()) {
            let mut linked = self.node(graph, inner, region, &slots);
            linked.assigned = assigned.iter().map(|id| slots[index(*id)]).collect();
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
        let shift = |id: GraphRegion| RegionId(region + id.index());
        let mut inside: Vec<_> = node.inside.iter().copied().map(shift).collect();
        if let NodeDef::Workflow(called) = &node.kind {
            inside.push(RegionId(self.add((called.graph)()).region));
        }
        let kinds = node.spawns().into_iter();
        let kinds = kinds.map(|kind| shifted(NodeId::new(0), self.add(kind.graph()).node));
        let kinds = kinds.collect();
        let kind = self.kind(graph, node);
        let sources = |ids: &[NodeId]| {
            ids.iter()
                .map(|id| source(graph, slots, node.region, *id))
                .collect()
        };
        let job = node.kind.job();
        let recovery = job.and_then(|job| job.recovery);
        let undo = job.and_then(|job| job.undo);
        let error = job.and_then(|job| job.error);
        let recovers_typed = recovery.is_some_and(|recovery| recovery.error.is_some());
        PlanNode {
            kind,
            region: shift(node.region),
            slot: slots[index(node.id)],
            uses: if let NodeDef::Loop { starts, .. } = &node.kind {
                sources(starts)
            } else {
                sources(&node.uses[..node.lends])
            },
            after: sources(&node.after),
            inside,
            kinds,
            assigned: Vec::new(),
            keeps_error: error.is_some() || recovers_typed,
            policy: node.policy,
            recovery: recovery.map(|recovery| {
                Box::new(Recovery {
                    policy: Policy::of(recovery.options, Settings::NONE),
                    is_typed: recovers_typed,
                })
            }),
            undo: undo.map(|undo| Box::new(Policy::of(undo.options, Settings::NONE))),
            waits: 0,
            dependents: Vec::new(),
        }
    }

    fn kind(&mut self, graph: &Graph, node: &Node) -> PlanKind {
        match &node.kind {
            NodeDef::Input { .. } | NodeDef::Item | NodeDef::Carried | NodeDef::Caught => {
                PlanKind::Input
            }
            NodeDef::Assigned { .. } => PlanKind::Assigned,
            NodeDef::Job(_) => PlanKind::Job,
            NodeDef::Value => PlanKind::Value,
            NodeDef::Each { limit, .. } => PlanKind::Each { limit: *limit },
            NodeDef::Branch => PlanKind::Branch,
            NodeDef::Loop { max, or_last, .. } => PlanKind::Loop {
                max: *max,
                or_last: *or_last,
            },
            NodeDef::Rescue => PlanKind::Rescue {
                is_typed: fails_typed(graph, node),
            },
            NodeDef::Result(_) => PlanKind::Result {
                is_typed: fails_typed(graph, node),
            },
            NodeDef::Finally => PlanKind::Finally,
            NodeDef::Race(_) => PlanKind::Race,
            NodeDef::Sleep => PlanKind::Sleep,
            NodeDef::Signal(signal) => PlanKind::Signal {
                signal: self.signal(signal.name),
                timeout: signal.timeout,
            },
            NodeDef::Workflow(_) => PlanKind::Call,
        }
    }

    /// The signal of this name, made if there is none yet.
    fn signal(&mut self, name: &str) -> SignalId {
        let known = self.signals.iter().position(|known| known == name);
        SignalId(known.unwrap_or_else(|| {
            self.signals.push(name.to_owned());
            self.signals.len() - 1
        }))
    }
}

/// Whether what the first region of `node` gives is a job whose error is kept for its handler.
fn fails_typed(graph: &Graph, node: &Node) -> bool {
    let body = node
        .inside
        .first()
        .and_then(|id| graph.regions().get(id.index()));
    let result = body.and_then(|body| body.result);
    let job = result.and_then(|id| graph.nodes()[index(id)].kind.job());
    job.is_some_and(|job| job.error.is_some())
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
