//! What runs again when some node instances do: what depends on them, in their frame and around it.
//!
//! - In a frame: what uses their values or comes after them, step by step. What enters regions is
//!   dropped with all that is in it if its own step needs them. If only something in it does, that
//!   is, and the rest stays.
//! - Around it: the node that has the frame keeps what it decided, as which arm it took; what depends
//!   on it does not. Later rounds of a loop begin with what the round leaves, so they go; a handler
//!   or `finally` belongs to what the block did, so it goes; a race was decided by what it was, so
//!   all of it goes.
//!
//! - A job runs again if a child does that it asked for: its attempts are dropped, and its other
//!   children stay. Nobody depends on what a child gives that runs behind its parent.
//!
//! Where something in a `for` depends on what is around it, that is told of every item at once: the
//! work is linear in the plan, not in the items.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{Dropped, FrameStep, Position};

use super::drops::{ATTEMPTS, EVERY};
use super::facts::Facts;
use super::families::Bearing;
use crate::plan::{Plan, PlanKind, Source};

/// What runs again.
#[derive(Debug)]
pub(crate) struct Reach<'p> {
    plan: &'p Plan,
    /// What is on record, in the numbers of the plan.
    facts: &'p Facts,
    /// The nodes that have another value now, by frame and slot.
    values: BTreeSet<(Vec<FrameStep>, usize)>,
    /// What is dropped: all of it, or its frames from one on.
    dropped: BTreeMap<Position, Option<u32>>,
    /// What keeps its records and waits for something that runs again.
    waiting: BTreeSet<Position>,
    tasks: Vec<Task>,
    /// Nodes that may need a value that is another one. Looked at in their order, so that all such
    /// values are known by then.
    touched: BTreeSet<Position>,
}

#[derive(Debug)]
enum Task {
    /// The node has another value.
    Spread(Position),
    /// Something in this frame of the node runs again.
    Inside(Position, u32),
}

impl<'p> Reach<'p> {
    pub(crate) const fn new(plan: &'p Plan, facts: &'p Facts) -> Self {
        Self {
            plan,
            facts,
            values: BTreeSet::new(),
            dropped: BTreeMap::new(),
            waiting: BTreeSet::new(),
            tasks: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// These node instances run again, and what depends on them.
    pub(crate) fn again(&mut self, nodes: impl IntoIterator<Item = Position>) {
        for at in nodes {
            self.drop_all(at);
        }
        self.go_on();
    }

    /// These node instances are tried again, and what depends on them runs again; but their children
    /// stay, and so do values that they keep.
    pub(crate) fn retry(&mut self, nodes: impl IntoIterator<Item = Position>) {
        for at in nodes {
            self.drop_attempts(at);
        }
        self.go_on();
    }

    /// What is in these node instances runs again, in their frames from this one on.
    pub(crate) fn again_from(&mut self, nodes: impl IntoIterator<Item = Position>, from: u32) {
        for at in nodes {
            self.drop_from(at.clone(), from);
            self.tasks.push(Task::Inside(at, from));
        }
        self.go_on();
    }

    /// What depends on these node instances runs again.
    pub(crate) fn behind(&mut self, nodes: impl IntoIterator<Item = Position>) {
        self.tasks.extend(nodes.into_iter().map(Task::Spread));
        self.go_on();
    }

    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        let dropped = self.dropped.iter();
        let is_inside = |at: &Position| {
            // What is around it is dropped with all that is in it.
            at.frames.iter().enumerate().any(|(depth, step)| {
                let around = Position {
                    frames: at.frames.get(..depth).unwrap_or_default().to_vec(),
                    node: step.node,
                };
                self.dropped.get(&around) == Some(&None)
            })
        };
        dropped
            .filter(|(at, _)| !is_inside(at))
            .map(|(at, from)| Dropped {
                at: at.clone(),
                from: *from,
            })
            .collect()
    }

    /// Constructs that keep their records, and in which nothing goes on before something around them
    /// has run again. The number of a frame may be [`EVERY`].
    pub(crate) const fn waiting(&self) -> &BTreeSet<Position> {
        &self.waiting
    }

    fn go_on(&mut self) {
        loop {
            match self.tasks.pop() {
                Some(Task::Spread(at)) => self.spread(&at),
                Some(Task::Inside(at, index)) => self.inside(at, index),
                None => match self.touched.pop_first() {
                    Some(at) => self.touch(at),
                    None => return,
                },
            }
        }
    }

    fn drop_all(&mut self, at: Position) {
        let kind = self.plan.node(at.node).kind;
        if matches!(kind, PlanKind::Value | PlanKind::Input | PlanKind::Assigned) {
            // Never on record.
            return self.tasks.push(Task::Spread(at));
        }
        let is_known = self.dropped.get(&at) == Some(&None);
        if !is_known {
            self.dropped.insert(at.clone(), None);
            self.tasks.push(Task::Spread(at));
        }
    }

    fn drop_attempts(&mut self, at: Position) {
        if !self.facts.outlives_attempts(&at) {
            self.drop_all(at);
        } else if !self.dropped.contains_key(&at) {
            self.dropped.insert(at.clone(), Some(ATTEMPTS));
            self.tasks.push(Task::Spread(at));
        }
    }

    fn drop_from(&mut self, at: Position, from: u32) {
        let known = self.dropped.entry(at).or_insert(Some(from));
        *known = (*known).min(Some(from));
    }

    fn spread(&mut self, at: &Position) {
        let node = self.plan.node(at.node);
        let region = self.plan.region(node.region);
        let mut is_known = true;
        for slot in std::iter::once(&node.slot).chain(&node.assigned) {
            if !self.values.insert((at.frames.clone(), *slot)) {
                continue;
            }
            is_known = false;
            let needing = region
                .nodes
                .get(*slot)
                .map(|id| &self.plan.node(*id).dependents);
            for slot in needing.into_iter().flatten() {
                if let Some(id) = region.nodes.get(*slot) {
                    self.touched.insert(Position {
                        frames: at.frames.clone(),
                        node: *id,
                    });
                }
            }
        }
        if let Some((step, around)) = at.frames.split_last()
            && !is_known
        {
            let owner = Position {
                frames: around.to_vec(),
                node: step.node,
            };
            self.tasks.push(Task::Inside(owner, step.index));
        }
    }

    fn touch(&mut self, at: Position) {
        if self.needs_other(&at) {
            return self.drop_all(at);
        }
        if self.dropped.get(&at) != Some(&None) {
            self.waiting.insert(at.clone());
            self.descend(&at);
            self.tasks.push(Task::Spread(at));
        }
    }

    /// Whether the own step of a node needs a value that is another one now, or comes after it.
    fn needs_other(&self, at: &Position) -> bool {
        let node = self.plan.node(at.node);
        let mut needed = node.uses.iter().chain(&node.after);
        needed.any(|source| self.is_other(&at.frames, *source))
    }

    fn is_other(&self, frames: &[FrameStep], source: Source) -> bool {
        let up = usize::try_from(source.up).unwrap_or(usize::MAX);
        let depth = frames.len().checked_sub(up);
        let frames = depth.and_then(|depth| frames.get(..depth));
        frames.is_some_and(|frames| self.values.contains(&(frames.to_vec(), source.slot)))
    }

    /// Finds what in a node needs what is around it, and whether the node gives another value by that.
    /// Another workflow sees nothing of its caller.
    fn descend(&mut self, at: &Position) {
        let node = self.plan.node(at.node);
        if node.kind == PlanKind::Call {
            return;
        }
        for (region, number) in node.inside.iter().zip(0..) {
            let is_each = matches!(node.kind, PlanKind::Each { .. });
            let step = FrameStep {
                node: at.node,
                index: if is_each { EVERY } else { number },
            };
            let frames = [at.frames.as_slice(), &[step]].concat();
            for inner in &self.plan.region(*region).nodes {
                let inner = Position {
                    frames: frames.clone(),
                    node: *inner,
                };
                if self.needs_other(&inner) {
                    self.drop_all(inner);
                } else {
                    self.descend(&inner);
                }
            }
            let region = self.plan.region(*region);
            let mut given = region.result.iter().chain(&region.outs);
            if given.any(|source| self.is_other(&frames, *source)) {
                self.tasks.push(Task::Spread(at.clone()));
            }
        }
    }

    fn inside(&mut self, owner: Position, index: u32) {
        match self.plan.node(owner.node).kind {
            PlanKind::Race => return self.drop_all(owner),
            PlanKind::Job => return self.behind_child(owner, index),
            PlanKind::Loop { .. } => self.drop_from(owner.clone(), index.saturating_add(1)),
            PlanKind::Rescue { .. } | PlanKind::Finally if index == 0 => {
                self.drop_from(owner.clone(), 1);
            }
            PlanKind::Rescue { .. }
            | PlanKind::Finally
            | PlanKind::Each { .. }
            | PlanKind::Branch
            | PlanKind::Result { .. }
            | PlanKind::Call
            | PlanKind::Input
            | PlanKind::Assigned
            | PlanKind::Value
            | PlanKind::Sleep
            | PlanKind::Signal { .. } => {}
        }
        self.tasks.push(Task::Spread(owner));
    }

    /// A child of a job runs again, or something in it.
    fn behind_child(&mut self, parent: Position, number: u32) {
        let family = self.facts.families.get(&parent);
        let bearing = family.and_then(|family| family.bearing(number));
        match bearing {
            Some(Bearing::Held) => self.drop_attempts(parent),
            Some(Bearing::Heir) => self.behind_heir(parent),
            Some(Bearing::Inherited) => {
                let heir = family.and_then(|family| {
                    let index = family.heir()?;
                    Some((index, family.kind(index)?))
                });
                if let Some((index, node)) = heir {
                    let step = FrameStep {
                        node: parent.node,
                        index,
                    };
                    let frames = [parent.frames.as_slice(), &[step]].concat();
                    self.drop_all(Position { frames, node });
                }
                self.behind_heir(parent);
            }
            // What came of it can't be told from what came of others.
            Some(Bearing::Used) | None => self.drop_all(parent),
            Some(Bearing::Followed | Bearing::Detached) => self.behind_follower(&parent),
            Some(Bearing::Replaced) => {}
        }
    }

    /// The job that gives the result of another runs again. If the recovery job of that took over, it
    /// does so no more.
    fn behind_heir(&mut self, parent: Position) {
        let fact = self.facts.nodes.get(&parent);
        if fact.is_some_and(|fact| fact.is_recovering() || fact.is_done) {
            self.drop_attempts(parent);
        } else {
            self.tasks.push(Task::Spread(parent));
        }
    }

    /// A child runs again that runs behind its parent. Nobody has its value; but what it is in ends
    /// behind it, and may fail because of it. So a `finally` around it runs again, and so does what
    /// depends on how a block, a race or another child around it ends; and later rounds of a loop.
    fn behind_follower(&mut self, parent: &Position) {
        for (depth, step) in parent.frames.iter().enumerate().rev() {
            let owner = Position {
                frames: parent.frames.get(..depth).unwrap_or_default().to_vec(),
                node: step.node,
            };
            let kind = self.plan.node(step.node).kind;
            if kind == PlanKind::Finally {
                if step.index == 0 {
                    self.drop_from(owner, 1);
                }
            } else if kind.catches() || matches!(kind, PlanKind::Job | PlanKind::Loop { .. }) {
                return self.tasks.push(Task::Inside(owner, step.index));
            }
        }
    }
}
