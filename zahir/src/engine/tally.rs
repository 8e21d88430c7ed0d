//! How many children there are, folded: those of all instances of a job together, by what they are.

use std::collections::BTreeMap;

use zahir_store::NodeId;

use super::Engine;
use super::children::ChildState;
use super::frame::{FrameId, Place};

/// How many children there are of one kind, of all instances of one job together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The nodes around their parent and the parent itself. Of a job that is inside itself, once.
    pub(crate) parents: Vec<NodeId>,
    /// The node that they are instances of.
    pub(crate) kind: NodeId,
    pub(crate) counts: Counts,
}

/// How many of these children do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// They have not begun.
    pub(crate) waiting: u64,
    /// They have begun.
    pub(crate) running: u64,
    /// They have their result.
    pub(crate) done: u64,
    /// They have failed.
    pub(crate) failed: u64,
}

/// What there is to count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Spawned,
    Unspawned,
    Succeeded,
    Failed,
}

/// What was counted so far, by parents and kind. Those that run are not: they are counted when
/// somebody asks.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    counts: BTreeMap<(Vec<NodeId>, NodeId), Counts>,
}

impl<V: Clone> Engine<V> {
    /// Something became of a child of this kind.
    pub(super) fn count_child(&mut self, parent: Place, kind: NodeId, counted: Counted) {
        let parents = self.parents(parent);
        let counts = self.tallies.counts.entry((parents, kind)).or_default();
        let one_less = counts.waiting.saturating_sub(1);
        match counted {
            Counted::Spawned => counts.waiting = counts.waiting.saturating_add(1),
            Counted::Unspawned => counts.waiting = one_less,
            Counted::Succeeded => {
                counts.waiting = one_less;
                counts.done = counts.done.saturating_add(1);
            }
            Counted::Failed => {
                counts.waiting = one_less;
                counts.failed = counts.failed.saturating_add(1);
            }
        }
    }

    /// The nodes on the way to a job, and itself.
    fn parents(&self, parent: Place) -> Vec<NodeId> {
        let way = self.frames.way(parent.frame).iter().map(|step| step.node);
        let mut parents: Vec<_> = way.chain([parent.node]).collect();
        parents.dedup();
        parents
    }

    /// How many children there are. Takes a look at each that its run has in memory.
    pub(crate) fn tally(&self) -> Vec<Tally> {
        let mut counts = self.tallies.counts.clone();
        if !counts.is_empty() {
            let mut frames = vec![self.body];
            while let Some(frame) = frames.pop() {
                frames.extend(self.frames.inside(frame).map(|(inner, _)| inner));
                self.count_running(frame, &mut counts);
            }
        }
        let tallies = counts.into_iter().map(|((parents, kind), counts)| Tally {
            parents,
            kind,
            counts,
        });
        tallies.collect()
    }

    fn count_running(&self, frame: FrameId, counts: &mut BTreeMap<(Vec<NodeId>, NodeId), Counts>) {
        let Some(children) = self.frames.get(frame).map(|it| &it.children) else {
            return;
        };
        for (node, children) in children {
            let mut running = BTreeMap::<NodeId, u64>::new();
            for child in children.all() {
                if matches!(child.state, ChildState::Open) {
                    *running.entry(child.kind).or_default() += 1;
                }
            }
            let parents = self.parents(Place { frame, node: *node });
            for (kind, running) in running {
                if let Some(counts) = counts.get_mut(&(parents.clone(), kind)) {
                    counts.running = counts.running.saturating_add(running);
                    counts.waiting = counts.waiting.saturating_sub(running);
                }
            }
        }
    }
}
