//! How many children there are, folded: those of all instances of a job together, by what they are.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{Failure, NodeId, Timestamp};

use super::action::{Action, Evaluation};
use super::frame::{FrameId, Place};
use super::report::{Evaluated, Report};
use super::{Engine, Phase};

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
    /// They have begun: something of them is on record.
    pub(crate) running: u64,
    /// They have their result.
    pub(crate) done: u64,
    /// They have begun, and failed; what else they have under way may not be over.
    pub(crate) failed: u64,
}

/// What there is to count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Spawned,
    Succeeded,
    Failed,
    /// It has begun, and is neither.
    Running,
    /// Its parent does not call it again: it never was.
    Forgotten,
}

impl Counts {
    /// Takes one that was waiting for what it is, or has one more that waits.
    const fn add(&mut self, counted: Counted) {
        let is = match counted {
            Counted::Spawned => {
                self.waiting = self.waiting.saturating_add(1);
                return;
            }
            Counted::Forgotten => {
                self.waiting = self.waiting.saturating_sub(1);
                return;
            }
            Counted::Running => &mut self.running,
            Counted::Succeeded => &mut self.done,
            Counted::Failed => &mut self.failed,
        };
        *is = is.saturating_add(1);
        self.waiting = self.waiting.saturating_sub(1);
    }
}

/// The nodes around some children, and what they are.
type Key = (Vec<NodeId>, NodeId);

/// What was counted so far, by parents and kind. Those that run are counted as waiting: they are told
/// apart when somebody asks.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    counts: BTreeMap<Key, Counts>,
    /// Whether this process ended something before it had computed all that is pure: then it does not
    /// know which children were over in an earlier one.
    pub(super) is_partial: bool,
    /// Whether this is all that the engine is for: it decides and begins nothing.
    pub(super) is_recount: bool,
}

impl<V: Clone> Engine<V> {
    /// Something became of a child of this kind.
    pub(super) fn count_child(&mut self, parent: Place, kind: NodeId, counted: Counted) {
        let key = (self.parents(parent), kind);
        self.tallies.counts.entry(key).or_default().add(counted);
    }

    /// These frames are about to be removed with what is around them. The children among them that have
    /// not failed are `counted` so: as those that will not be over, or as those that were.
    pub(super) fn count_removed(&mut self, frames: &[FrameId], counted: Counted) {
        if self.tallies.counts.is_empty() {
            return;
        }
        let was_found = |id: &FrameId| {
            let is_awake = self.frames.get(*id).is_some_and(|frame| frame.is_awake);
            !is_awake && self.child_of(*id).is_some()
        };
        let is_known = self.phase == Phase::Replaying || matches!(counted, Counted::Succeeded);
        self.tallies.is_partial |= !is_known && frames.iter().any(was_found);
        for (parent, kind, counted) in self.begun_children(frames, counted) {
            self.count_child(parent, kind, counted);
        }
    }

    /// The nodes on the way to a job, and itself. What is inside itself is there once, so that there
    /// are no more of these ways than there are kinds, however deep they go.
    fn parents(&self, parent: Place) -> Vec<NodeId> {
        let way = self.frames.way(parent.frame).iter().map(|step| step.node);
        let mut parents: Vec<NodeId> = Vec::new();
        for node in way.chain([parent.node]) {
            match parents.iter().position(|known| *known == node) {
                Some(at) => parents.truncate(at + 1),
                None => parents.push(node),
            }
        }
        parents
    }

    /// How many children there are. Takes a look at each frame that its run has in memory. `None` if
    /// the records tell more than this process knows.
    pub(crate) fn tally(&self) -> Option<Vec<Tally>> {
        let is_over = self.phase == Phase::Ended || self.undoing.has_begun();
        let is_partial = self.tallies.is_partial || is_over && !self.replayed.is_empty();
        (!is_partial).then(|| self.tallied())
    }

    fn tallied(&self) -> Vec<Tally> {
        let mut counts = self.tallies.counts.clone();
        if !counts.is_empty() {
            let frames = self.frames.tree(self.body);
            for (parent, kind, counted) in self.begun_children(&frames, Counted::Running) {
                let key = (self.parents(parent), kind);
                counts.entry(key).or_default().add(counted);
            }
        }
        let tallies = counts.into_iter().map(|((parents, kind), counts)| Tally {
            parents,
            kind,
            counts,
        });
        tallies.collect()
    }

    /// The same for a run that was recovered and is not to go on, as it is `now`. What is pure is
    /// computed, as in a process that goes on with it: the end of a workflow may be nowhere else.
    pub(crate) fn recount(
        mut self,
        now: Timestamp,
        mut evaluate: impl FnMut(Place, Evaluation, Vec<V>) -> Result<Evaluated<V>, Failure>,
    ) -> Vec<Tally> {
        self.tallies.is_recount = true;
        let mut engine = self.begin(now);
        while let Some(action) = engine.poll_action() {
            if let Action::Evaluate {
                place,
                what,
                inputs,
            } = action
            {
                let result = evaluate(place, what, inputs);
                engine.handle(now, Report::Evaluated { place, result });
            }
        }
        engine.tallied()
    }

    /// The parents and kinds of the children among these frames of which something is on record, and
    /// what becomes of them: those that have not failed are `others`. The frames inside of others come
    /// behind them.
    fn begun_children(&self, frames: &[FrameId], others: Counted) -> Vec<(Place, NodeId, Counted)> {
        let (mut begun, mut children) = (BTreeSet::new(), Vec::new());
        for id in frames.iter().rev() {
            let Some(frame) = self.frames.get(*id) else {
                continue;
            };
            let Some(owner) = frame.owner else { continue };
            if !frame.has_begun && !begun.contains(id) {
                continue;
            }
            begun.insert(owner.frame);
            let counted = match frame.failure {
                Some(_) => Counted::Failed,
                None => others,
            };
            children.extend(self.child_of(*id).map(|it| (owner, it.kind, counted)));
        }
        children
    }
}
