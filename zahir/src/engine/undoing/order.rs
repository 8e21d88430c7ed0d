//! In which order results are undone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use zahir_store::{Position, Timestamp};

use super::{State, Undoing};
use crate::plan::{Plan, PlanKind, RegionId};

/// A frame, gone by now, with results in it or in frames inside it.
#[derive(Debug)]
pub(super) struct Level {
    /// The node that had opened it: its level and slot.
    owner: Option<(usize, usize)>,
    region: RegionId,
    /// How many nodes that rest on it are not undone, by slot.
    waits: Vec<usize>,
    /// How many nodes are not undone.
    open: usize,
    /// What there is to be undone of a node, by slot.
    nodes: BTreeMap<usize, Node>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its own result.
    owed: Option<usize>,
    /// The frames it had, by number, with the results in them.
    frames: Vec<(u32, Range<usize>)>,
    /// Those of them, of a job, that are undone before its own result.
    first: Vec<(u32, Range<usize>)>,
    depth: usize,
    /// How many of its frames are being undone.
    active: usize,
}

/// What is about to be listed: the results in `range`, whose positions begin with the `depth` steps
/// that lead to one frame.
pub(super) struct Inside {
    region: RegionId,
    owner: Option<(usize, usize)>,
    depth: usize,
    range: Range<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// Everything that rests on the node is undone.
    Reach(usize, usize),
    /// The node is undone.
    Leave(usize, usize),
}

/// A result whose turn has come: its number, and until when it waits for its next attempt.
pub(super) type Due = (usize, Option<Timestamp>);

impl Undoing {
    /// Finds the results that nothing rests on.
    pub(super) fn unroll(&mut self, plan: &Plan) {
        let body = Inside {
            region: RegionId::BODY,
            owner: None,
            depth: 0,
            range: 0..self.order.len(),
        };
        self.open(plan, body);
    }

    /// Does everything that became possible: gives the results that can be undone now.
    pub(super) fn go_on(&mut self, plan: &Plan) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Reach(level, slot) => self.reach(plan, level, slot, &mut due),
                Task::Leave(level, slot) => self.leave(plan, level, slot),
            }
        }
        self.active += due.len();
        due
    }

    /// Lists what is to be undone in a frame.
    fn open(&mut self, plan: &Plan, inside: Inside) {
        let Inside {
            region,
            owner,
            depth,
            range,
        } = inside;
        let level = self.levels.len();
        let mut nodes: BTreeMap<usize, Node> = BTreeMap::new();
        for at in range {
            let number = self.order[at];
            let owed = &mut self.owed[number];
            let Some(step) = owed.at.frames.get(depth) else {
                owed.level = Some(level);
                let node = nodes.entry(plan.node(owed.at.node).slot).or_default();
                node.owed = Some(number);
                continue;
            };
            let node = nodes.entry(plan.node(step.node).slot).or_default();
            node.depth = depth + 1;
            let goes_first = plan.node(step.node).kind == PlanKind::Job && {
                let frames = owed.at.frames.get(..depth).unwrap_or_default().to_vec();
                let parent = Position {
                    frames,
                    node: step.node,
                };
                let followers = self.followers.get(&parent);
                followers.is_some_and(|it| it.contains(&step.index))
            };
            let frames = if goes_first {
                &mut node.first
            } else {
                &mut node.frames
            };
            match frames.last_mut() {
                Some((index, range)) if *index == step.index => range.end = at + 1,
                _ => frames.push((step.index, at..at + 1)),
            }
        }
        let needs = self.needs(plan, region);
        let mut waits = vec![0; needs.len()];
        for need in needs.iter().flatten() {
            waits[*need] += 1;
        }
        let reached = waits.iter().enumerate().filter(|(_, waits)| **waits == 0);
        let reached = reached.map(|(slot, _)| Task::Reach(level, slot));
        self.tasks.extend(reached);
        self.levels.push(Level {
            owner,
            region,
            open: waits.len(),
            waits,
            nodes,
        });
    }

    fn needs(&mut self, plan: &Plan, region: RegionId) -> Arc<[Vec<usize>]> {
        let needs = self.needs.entry(region).or_insert_with(|| {
            let nodes = &plan.region(region).nodes;
            let mut needs = vec![Vec::new(); nodes.len()];
            for (slot, node) in nodes.iter().enumerate() {
                let node = plan.node(*node);
                for dependent in node.dependents.iter().chain(&node.assigned) {
                    needs[*dependent].push(slot);
                }
            }
            needs.into()
        });
        Arc::clone(needs)
    }

    fn reach(&mut self, plan: &Plan, level: usize, slot: usize, due: &mut Vec<Due>) {
        let region = self.levels[level].region;
        let Some(node) = self.levels[level].nodes.get_mut(&slot) else {
            return self.tasks.push(Task::Leave(level, slot));
        };
        if !node.first.is_empty() {
            // What is left of it comes when they are undone.
            for frame in std::mem::take(&mut node.first) {
                self.enter(plan, level, slot, frame);
            }
            return;
        }
        if let Some(number) = node.owed {
            let owed = &mut self.owed[number];
            match owed.state {
                State::Waiting(tries) => {
                    owed.state = State::Ready(tries);
                    return due.push((number, None));
                }
                State::Backoff(_, until) => return due.push((number, Some(until))),
                State::Ready(_) | State::Running(_) | State::Stuck => return,
                State::Undone => {}
            }
        }
        if node.frames.is_empty() {
            return self.tasks.push(Task::Leave(level, slot));
        }
        // What came later may rest on what came before.
        let at_once = match plan.node(plan.region(region).nodes[slot]).kind {
            PlanKind::Loop { .. } | PlanKind::Rescue { .. } | PlanKind::Finally => 1,
            PlanKind::Job => self.last_wave(level, slot),
            PlanKind::Each { .. }
            | PlanKind::Branch
            | PlanKind::Call
            | PlanKind::Result { .. }
            | PlanKind::Race
            | PlanKind::Input
            | PlanKind::Assigned
            | PlanKind::Value
            | PlanKind::Sleep
            | PlanKind::Signal { .. } => node.frames.len(),
        };
        for _ in 0..at_once {
            self.open_next(plan, level, slot);
        }
    }

    /// How many of the children of a job were spawned last, and at once.
    fn last_wave(&self, level: usize, slot: usize) -> usize {
        let Some(node) = self.levels[level].nodes.get(&slot) else {
            return 0;
        };
        let Some((last, range)) = node.frames.last() else {
            return 0;
        };
        let at = &self.owed[self.order[range.start]].at;
        let (step, frames) = (at.frames[node.depth - 1], &at.frames[..node.depth - 1]);
        let parent = Position {
            frames: frames.to_vec(),
            node: step.node,
        };
        let waves = self.waves.get(&parent);
        let firsts = waves.into_iter().flatten().rev();
        let first = firsts.copied().find(|first| first <= last).unwrap_or(0);
        let children = node.frames.iter().rev();
        children.take_while(|(number, _)| *number >= first).count()
    }

    /// Goes into the last of the frames of a node that is not being undone yet.
    fn open_next(&mut self, plan: &Plan, level: usize, slot: usize) {
        let node = self.levels[level].nodes.get_mut(&slot);
        if let Some(frame) = node.and_then(|node| node.frames.pop()) {
            self.enter(plan, level, slot, frame);
        }
    }

    /// Goes into a frame of a node: that of the results in `range`.
    fn enter(&mut self, plan: &Plan, level: usize, slot: usize, (_, range): (u32, Range<usize>)) {
        let Some(node) = self.levels[level].nodes.get_mut(&slot) else {
            return;
        };
        let depth = node.depth;
        let Some(number) = self.order.get(range.start) else {
            return;
        };
        let at = &self.owed[*number].at;
        let inner = at.frames.get(depth).map_or(at.node, |step| step.node);
        node.active += 1;
        let inside = Inside {
            region: plan.node(inner).region,
            owner: Some((level, slot)),
            depth,
            range,
        };
        self.open(plan, inside);
    }

    fn leave(&mut self, plan: &Plan, level: usize, slot: usize) {
        let needs = self.needs(plan, self.levels[level].region);
        let here = &mut self.levels[level];
        here.open -= 1;
        for need in &needs[slot] {
            here.waits[*need] -= 1;
            if here.waits[*need] == 0 {
                self.tasks.push(Task::Reach(level, *need));
            }
        }
        let Some((outer, at)) = here.owner.filter(|_| here.open == 0) else {
            return;
        };
        here.waits = Vec::new();
        here.nodes = BTreeMap::new();
        let id = plan.region(self.levels[outer].region).nodes[at];
        let is_job = plan.node(id).kind == PlanKind::Job;
        let Some(node) = self.levels[outer].nodes.get_mut(&at) else {
            return;
        };
        node.active -= 1;
        if is_job {
            // Behind those that follow comes the job itself, and then those that it held.
            if node.active == 0 {
                self.tasks.push(Task::Reach(outer, at));
            }
        } else if !node.frames.is_empty() {
            self.open_next(plan, outer, at);
        } else if node.active == 0 {
            self.tasks.push(Task::Leave(outer, at));
        }
    }

    /// What it rests on may be next.
    pub(super) fn undone(&mut self, plan: &Plan, number: usize) {
        let owed = &mut self.owed[number];
        owed.state = State::Undone;
        let slot = plan.node(owed.at.node).slot;
        if let Some(level) = owed.level {
            self.tasks.push(Task::Reach(level, slot));
        }
    }
}
