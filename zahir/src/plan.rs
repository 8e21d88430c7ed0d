//! A workflow and everything it calls, laid out for the engine.
//!
//! The graphs of a workflow and of all workflows reachable from it are merged into one table of
//! nodes and one of regions, with every edge resolved to a place in a frame. A plan is plain data:
//! no job, no type and no user code can be reached from it.

use std::collections::BTreeSet;

use zahir_store::NodeId;

use crate::job::policy::Policy;

/// A region of a plan: a list of nodes that run in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegionId(pub(crate) usize);

impl RegionId {
    /// The body of the workflow that the plan is of.
    pub(crate) const BODY: Self = Self(0);
}

/// Everything the engine knows of a workflow.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<PlanNode>,
    pub(crate) regions: Vec<PlanRegion>,
}

/// One node of a plan.
#[derive(Debug)]
pub(crate) struct PlanNode {
    /// What it does.
    pub(crate) kind: PlanKind,
    /// The region it is in.
    pub(crate) region: RegionId,
    /// Its place in the frames of that region.
    pub(crate) slot: usize,
    /// The values its step is given, in order.
    pub(crate) uses: Vec<Source>,
    /// What it waits for without using its value.
    pub(crate) after: Vec<Source>,
    /// Retries and time-outs.
    pub(crate) policy: Policy,
    /// How many nodes of its region it waits for. Filled in by [`Plan::new`].
    pub(crate) waits: u32,
    /// The nodes of its region that wait for it, by slot, each once. Filled in by [`Plan::new`].
    pub(crate) dependents: Vec<usize>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanKind {
    /// Holds a value that the frame is given: an input of a workflow, the item of a `for`.
    Input,
    /// Runs a job, in attempts that are recorded.
    Job,
    /// Computes a pure value, which is not recorded.
    Value,
    /// Runs `body` once for each item, and joins the results in item order.
    Each {
        /// What is run for an item.
        body: RegionId,
        /// How many items at once; `None` for as many as there are slots for.
        limit: Option<u32>,
    },
    /// Runs the body of another workflow.
    Call {
        /// That workflow's body.
        body: RegionId,
    },
}

/// One region of a plan.
#[derive(Debug)]
pub(crate) struct PlanRegion {
    /// Its nodes, by slot.
    pub(crate) nodes: Vec<NodeId>,
    /// The slots of the values that a frame is given, in order.
    pub(crate) inputs: Vec<usize>,
    /// The frame's value; `None` for `()`.
    pub(crate) result: Option<Source>,
    /// How many of its nodes are jobs.
    pub(crate) jobs: u64,
}

/// Where a value is, seen from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// How many frames outwards.
    pub(crate) up: u32,
    /// The slot there.
    pub(crate) slot: usize,
}

impl Plan {
    /// A plan of these regions, region 0 the body, and their nodes.
    ///
    /// A `for` also waits for every value from around it that its body uses: a frame of the body
    /// finds them all there.
    pub(crate) fn new(nodes: Vec<PlanNode>, regions: Vec<PlanRegion>) -> Self {
        let mut plan = Self { nodes, regions };
        for at in 0..plan.nodes.len() {
            let needs = plan.needs(at);
            let node = &mut plan.nodes[at];
            node.waits = u32::try_from(needs.len()).unwrap_or(u32::MAX);
            let (region, slot) = (node.region, node.slot);
            for need in needs {
                let needed = index(plan.regions[region.0].nodes[need]);
                plan.nodes[needed].dependents.push(slot);
            }
        }
        plan
    }

    /// The slots of its region that a node waits for.
    fn needs(&self, at: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        self.collect_needs(at, 0, &mut found);
        found
    }

    /// Adds what the node needs from the region that is `depth` regions around its own.
    fn collect_needs(&self, at: usize, depth: u32, found: &mut BTreeSet<usize>) {
        let node = &self.nodes[at];
        let sources = node.uses.iter().chain(&node.after);
        found.extend(
            sources
                .filter(|source| source.up == depth)
                .map(|source| source.slot),
        );
        if let PlanKind::Each { body, .. } = node.kind {
            let body = self.region(body);
            found.extend(
                body.result
                    .iter()
                    .filter(|it| it.up == depth + 1)
                    .map(|it| it.slot),
            );
            for inner in &body.nodes {
                self.collect_needs(index(*inner), depth + 1, found);
            }
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> &PlanNode {
        &self.nodes[index(id)]
    }

    pub(crate) fn region(&self, id: RegionId) -> &PlanRegion {
        &self.regions[id.0]
    }
}

/// The node's place in a table of nodes.
#[expect(
    clippy::as_conversions,
    reason = "a usize has at least 32 bits wherever this builds"
)]
pub(crate) const fn index(id: NodeId) -> usize {
    id.number() as usize
}
