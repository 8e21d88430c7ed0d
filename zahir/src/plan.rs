//! A workflow and everything it calls, laid out for the engine.
//!
//! The graphs of a workflow and of all workflows reachable from it are merged into one table of
//! nodes and one of regions, with every edge resolved to a place in a frame. A plan is plain data:
//! no job, no type and no user code can be reached from it.

use std::collections::BTreeSet;
use std::time::Duration;

use zahir_store::NodeId;

use crate::job::policy::Policy;

/// A region of a plan: a list of nodes that run in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegionId(pub(crate) usize);

impl RegionId {
    /// The body of the workflow that the plan is of.
    pub(crate) const BODY: Self = Self(0);
}

/// The name of a signal: its place in [`Plan::signals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignalId(pub(crate) usize);

/// Everything the engine knows of a workflow.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<PlanNode>,
    pub(crate) regions: Vec<PlanRegion>,
    /// The names of all signals that are waited for somewhere, each once.
    pub(crate) signals: Vec<String>,
    /// Whether something in it takes its time from the clock.
    pub(crate) is_timed: bool,
}

/// One node of a plan.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
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
    /// The regions that it enters.
    pub(crate) inside: Vec<RegionId>,
    /// What its job may spawn: nodes, each alone in a region that belongs to no other node. A child
    /// is a frame of that region, with this node as its owner.
    pub(crate) kinds: Vec<NodeId>,
    /// The slots of its region that hold variables which those regions assign: the values that a
    /// frame gives besides its own, in the order of [`PlanRegion::outs`].
    pub(crate) assigned: Vec<usize>,
    /// Whether the error of its job is kept for a handler.
    pub(crate) keeps_error: bool,
    /// Retries and time-outs.
    pub(crate) policy: Policy,
    /// What takes over when its attempts are spent.
    pub(crate) recovery: Option<Box<Recovery>>,
    /// How the attempts to undo its result go, if it can be undone.
    pub(crate) undo: Option<Box<Policy>>,
    /// How many nodes of its region it waits for. Filled in by [`Plan::new`].
    pub(crate) waits: u32,
    /// The nodes of its region that wait for it, by slot, each once. Filled in by [`Plan::new`].
    pub(crate) dependents: Vec<usize>,
}

/// A job that takes over when another has failed for good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// How its attempts go.
    pub(crate) policy: Policy,
    /// Whether only the error of the job that failed will do.
    pub(crate) is_typed: bool,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanKind {
    /// Holds a value that the frame is given: an input of a workflow, the item of a `for`, a variable
    /// of a loop, the error of a handler.
    Input,
    /// Holds a variable that the regions of the node before it assign.
    Assigned,
    /// Runs a job, in attempts that are recorded.
    Job,
    /// Computes a pure value, which is not recorded.
    Value,
    /// Runs its region once for each item, and joins the results in item order.
    Each {
        /// How many items at once; `None` for as many as there are slots for.
        limit: Option<u32>,
    },
    /// Runs the body of another workflow.
    Call,
    /// Runs one of its regions. Which is recorded.
    Branch,
    /// Runs its region again and again until that breaks. The values it uses are what the first
    /// round is given.
    Loop {
        /// At most how many rounds.
        max: Option<u32>,
        /// Whether it ends at `max` with what its variables are then, or fails.
        or_last: bool,
    },
    /// Runs its first region and, if that fails, its second, which is given the error.
    Rescue {
        /// Whether only the error of a job will do, the one node of the first region.
        is_typed: bool,
    },
    /// Runs its region and gives its outcome as a value.
    Result {
        /// Whether only the error of a job will do, the one node of the region.
        is_typed: bool,
    },
    /// Runs its first region and then, however that ends, its second. That it began is recorded.
    Finally,
    /// Runs all of its regions until one ends. Which is recorded.
    Race,
    /// Waits for a time, which is recorded.
    Sleep,
    /// Waits for a signal.
    Signal {
        /// Of which name.
        signal: SignalId,
        /// The longest it waits.
        timeout: Option<Duration>,
    },
}

impl PlanKind {
    /// Whether the failure of a region that it enters stops here.
    pub(crate) const fn catches(self) -> bool {
        matches!(
            self,
            Self::Rescue { .. } | Self::Result { .. } | Self::Finally | Self::Race
        )
    }

    /// Whether it takes its time from the clock.
    const fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Sleep
                | Self::Signal {
                    timeout: Some(_),
                    ..
                }
        )
    }
}

/// One region of a plan.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct PlanRegion {
    /// Its nodes, by slot.
    pub(crate) nodes: Vec<NodeId>,
    /// The slots of the values that a frame is given, in order.
    pub(crate) inputs: Vec<usize>,
    /// The frame's value; `None` for `()`.
    pub(crate) result: Option<Source>,
    /// Where the run goes on behind it.
    pub(crate) exit: Exit,
    /// What the assigned variables are at its end: those of the node that enters it, or, if it leaves
    /// a loop, of that.
    pub(crate) outs: Vec<Source>,
    /// How many of its nodes are jobs.
    pub(crate) jobs: u64,
}

/// Where a run goes on at the end of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "written by the macro")]
pub enum Exit {
    /// Behind the node that entered it.
    #[default]
    Value,
    /// Behind the loop around it.
    Break,
    /// At the next round of the loop around it.
    Continue,
    /// At the end of the workflow.
    Return,
}

/// Where a value is, seen from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// How many frames outwards.
    pub(crate) up: u32,
    /// The slot there.
    pub(crate) slot: usize,
}

impl PlanNode {
    /// Whether it takes its time from the clock.
    fn is_timed(&self) -> bool {
        let recovery = self.recovery.as_deref().map(|recovery| recovery.policy);
        let has_deadline = |policy: Policy| policy.total_timeout.is_some();
        let mut others = recovery.into_iter().chain(self.undo.as_deref().copied());
        // A child may be given a time limit by its call.
        self.kind.is_timed()
            || !self.kinds.is_empty()
            || has_deadline(self.policy)
            || others.any(has_deadline)
    }
}

impl Plan {
    /// A plan of these regions, region 0 the body, and their nodes.
    ///
    /// A node that enters regions also waits for every value from around it that they use: a frame
    /// finds them all there.
    pub(crate) fn new(
        nodes: Vec<PlanNode>,
        regions: Vec<PlanRegion>,
        signals: Vec<String>,
    ) -> Self {
        let mut plan = Self {
            is_timed: nodes.iter().any(PlanNode::is_timed),
            nodes,
            regions,
            signals,
        };
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
        found.extend(slots_at(sources, depth));
        if node.kind == PlanKind::Call {
            // Another workflow sees nothing of its caller.
            return;
        }
        for inside in &node.inside {
            let region = self.region(*inside);
            let given = region.result.iter().chain(&region.outs);
            found.extend(slots_at(given, depth + 1));
            for inner in &region.nodes {
                self.collect_needs(index(*inner), depth + 1, found);
            }
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> &PlanNode {
        &self.nodes[index(id)]
    }

    /// The region of a node's frame of this number.
    pub(crate) fn inside(&self, id: NodeId, index: u32) -> Option<RegionId> {
        let node = self.node(id);
        let has_one = matches!(node.kind, PlanKind::Each { .. } | PlanKind::Loop { .. });
        let at = if has_one {
            0
        } else {
            usize::try_from(index).ok()?
        };
        node.inside.get(at).copied()
    }

    pub(crate) fn region(&self, id: RegionId) -> &PlanRegion {
        &self.regions[id.0]
    }
}

/// The slots of those sources that are `depth` frames outwards.
fn slots_at<'s>(
    sources: impl Iterator<Item = &'s Source>,
    depth: u32,
) -> impl Iterator<Item = usize> {
    sources
        .filter(move |source| source.up == depth)
        .map(|source| source.slot)
}

/// The node's place in a table of nodes.
#[expect(
    clippy::as_conversions,
    reason = "a usize has at least 32 bits wherever this builds"
)]
pub(crate) const fn index(id: NodeId) -> usize {
    id.number() as usize
}
