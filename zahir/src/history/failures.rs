//! Which failures a run failed of, and what they stopped.
//!
//! A failure reaches as far as the nearest handler around it, or the run. There everything stops that
//! was under way, and each `finally` in it runs, whether or not its block had come to its end.
//!
//! The failure of a child is handed to its parent, if that asks for it: there it is handled, or the
//! parent fails in its turn.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{FrameStep, Position};

use super::facts::{Facts, Failed};
use super::families::Bearing;
use crate::engine::can_be_handled;
use crate::plan::{Plan, PlanKind};

/// Something that stopped frames.
#[derive(Debug)]
pub(crate) struct Stopper {
    /// The number of its record.
    pub(crate) number: usize,
    /// The frame it stopped, with all that are in it.
    pub(crate) frames: Vec<FrameStep>,
}

impl Stopper {
    /// Whether a record of this number, of something in these frames, was made behind it.
    fn stops(&self, number: usize, frames: &[FrameStep]) -> bool {
        self.number < number && frames.starts_with(&self.frames)
    }
}

/// The frame that a failure in `frames` has stopped: that of the first handler around it, of the
/// child that it is in if a parent is told of it, or the body.
pub(crate) fn stopped<'a>(
    plan: &Plan,
    facts: &Facts,
    frames: &'a [FrameStep],
    failed: &Failed,
) -> &'a [FrameStep] {
    let mut has_error = failed.has_error;
    for depth in (0..frames.len()).rev() {
        let is_caught = match passed_on(plan, facts, frames, depth) {
            Some(Bearing::Followed) => {
                // The error itself is for those who know what it is.
                has_error = false;
                false
            }
            Some(Bearing::Heir | Bearing::Inherited) if !is_recovering(facts, frames, depth) => {
                has_error = false;
                false
            }
            Some(_) => true,
            None => is_caught(plan, facts, (frames, depth), (has_error, failed)),
        };
        if is_caught {
            return frames.get(..=depth).unwrap_or_default();
        }
    }
    &[]
}

/// What a child is to its parent, if the frame of this depth is one.
fn passed_on(plan: &Plan, facts: &Facts, frames: &[FrameStep], depth: usize) -> Option<Bearing> {
    let step = frames.get(depth)?;
    if plan.node(step.node).kind != PlanKind::Job {
        return None;
    }
    let family = facts.families.get(&owner(frames, depth)?);
    let bearing = family.and_then(|family| family.bearing(step.index));
    Some(bearing.unwrap_or(Bearing::Followed))
}

/// Whether something in these frames is in a child that its parent has called another one in place of.
pub(crate) fn is_replaced(plan: &Plan, facts: &Facts, frames: &[FrameStep]) -> bool {
    let mut depths = 0..frames.len();
    depths.any(|depth| passed_on(plan, facts, frames, depth) == Some(Bearing::Replaced))
}

/// The node instance that has the frame of this depth.
fn owner(frames: &[FrameStep], depth: usize) -> Option<Position> {
    Some(Position {
        frames: frames.get(..depth)?.to_vec(),
        node: frames.get(depth)?.node,
    })
}

/// Whether the recovery job has taken over from the job that has the frame of this depth.
fn is_recovering(facts: &Facts, frames: &[FrameStep], depth: usize) -> bool {
    let parent = owner(frames, depth);
    let fact = parent.and_then(|parent| facts.nodes.get(&parent));
    fact.is_some_and(|fact| fact.is_recovering() || fact.is_done)
}

/// Whether a failure inside of the frame of this depth, whose error itself is there or not, is handled
/// there.
fn is_caught(
    plan: &Plan,
    facts: &Facts,
    (frames, depth): (&[FrameStep], usize),
    (has_error, failed): (bool, &Failed),
) -> bool {
    let Some(step) = frames.get(depth) else {
        return false;
    };
    match plan.node(step.node).kind {
        PlanKind::Rescue { is_typed } | PlanKind::Result { is_typed } => {
            let fits = !is_typed || has_error;
            step.index == 0 && fits && can_be_handled(failed.failure.kind)
        }
        // What lost a race is of no consequence.
        PlanKind::Race => is_lost(facts, frames, depth),
        PlanKind::Finally
        | PlanKind::Each { .. }
        | PlanKind::Loop { .. }
        | PlanKind::Branch
        | PlanKind::Call
        | PlanKind::Input
        | PlanKind::Assigned
        | PlanKind::Job
        | PlanKind::Value
        | PlanKind::Sleep
        | PlanKind::Signal { .. } => false,
    }
}

/// Whether a failure goes through all frames from this depth on, and nothing in them handled it.
///
/// One that a parent was to be told of goes on if the parent failed, or if nothing is known to have
/// come of it yet.
fn passes(plan: &Plan, facts: &Facts, at: &Position, from: usize) -> bool {
    let frames = at.frames.as_slice();
    let failed = facts.nodes.get(at).and_then(|fact| fact.failed.as_ref());
    let Some((mut number, mut failed)) = failed.map(|(number, failed)| (*number, failed)) else {
        return false;
    };
    let mut has_error = failed.has_error;
    for depth in (from..frames.len()).rev() {
        let Some(bearing) = passed_on(plan, facts, frames, depth) else {
            if is_caught(plan, facts, (frames, depth), (has_error, failed)) {
                return false;
            }
            continue;
        };
        let is_given_on = matches!(bearing, Bearing::Heir | Bearing::Inherited);
        match bearing {
            Bearing::Detached | Bearing::Replaced | Bearing::Used => return false,
            Bearing::Followed => has_error = false,
            Bearing::Heir | Bearing::Inherited if !is_recovering(facts, frames, depth) => {
                has_error = false;
            }
            Bearing::Held | Bearing::Heir | Bearing::Inherited => {
                let parent = owner(frames, depth);
                let Some(fact) = parent.and_then(|parent| facts.nodes.get(&parent)) else {
                    return false;
                };
                if let Some((later, of_parent)) = &fact.failed {
                    (number, failed) = (*later, of_parent);
                    has_error = of_parent.has_error;
                } else {
                    let is_handled = fact.is_done || fact.is_recovering() || is_given_on;
                    let is_pending = !is_handled && fact.went_on < number;
                    let around = frames.get(..depth).unwrap_or_default();
                    return is_pending && !has_lost(facts, around);
                }
            }
        }
    }
    true
}

/// Whether something in these frames is, or was, in an entry of a race that another one has won.
pub(crate) fn has_lost(facts: &Facts, frames: &[FrameStep]) -> bool {
    (0..frames.len()).any(|depth| is_lost(facts, frames, depth))
}

/// The same for the race that has the frame of this depth, if it is one.
fn is_lost(facts: &Facts, frames: &[FrameStep], depth: usize) -> bool {
    let Some(step) = frames.get(depth) else {
        return false;
    };
    let race = Position {
        frames: frames.get(..depth).unwrap_or_default().to_vec(),
        node: step.node,
    };
    let won = facts.nodes.get(&race).and_then(|fact| fact.won);
    won.is_some_and(|won| won != step.index)
}

/// Whether something in these frames is in a `finally`, which nothing around it stops.
pub(crate) fn is_last(plan: &Plan, frames: &[FrameStep]) -> bool {
    let mut frames = frames.iter();
    frames.any(|step| step.index == 1 && plan.node(step.node).kind == PlanKind::Finally)
}

/// The node instances that failed, and whose failure nothing handled.
pub(crate) fn unhandled(plan: &Plan, facts: &Facts) -> BTreeSet<Position> {
    let failed = facts.nodes.iter().filter(|(_, fact)| fact.failed.is_some());
    let unhandled = failed.filter(|(at, _)| passes(plan, facts, at, 0));
    unhandled.map(|(at, _)| at.clone()).collect()
}

/// What failed beside these node instances, and keeps them from running although it was handled around
/// them.
pub(crate) fn stopping(plan: &Plan, facts: &Facts, nodes: &[Position]) -> Vec<Position> {
    // The frames that would keep one of them from running if they were stopped.
    let mut around = BTreeSet::new();
    for node in nodes {
        for depth in 1..=node.frames.len() {
            let (outer, inner) = node.frames.split_at(depth);
            if !is_last(plan, inner) {
                around.insert(outer);
            }
        }
    }
    let stopping = facts.nodes.iter().filter(|(at, fact)| {
        fact.failed.as_ref().is_some_and(|(_, failed)| {
            let frames = stopped(plan, facts, &at.frames, failed);
            around.contains(frames)
        })
    });
    stopping.map(|(at, _)| at.clone()).collect()
}

/// What failed inside of a job that failed, and was not handled there.
pub(crate) fn below(plan: &Plan, facts: &Facts, job: &Position) -> Vec<Position> {
    let failed = facts.within(job).filter(|(_, fact)| fact.failed.is_some());
    let passing = failed.filter(|(at, _)| passes(plan, facts, at, job.frames.len()));
    passing.map(|(at, _)| at.clone()).collect()
}

/// Jobs that failed beside something that is taken back, and whose recovery job was not begun because
/// of that.
pub(crate) fn cut_short(plan: &Plan, facts: &Facts, stoppers: &[Stopper]) -> Vec<Position> {
    let is_short = |at: &Position, number: usize, failed: &Failed| {
        let node = plan.node(at.node);
        let can_recover = node.recovery.is_some() && !node.policy.at_most_once;
        can_recover
            && !failed.is_recovered
            && stoppers
                .iter()
                .any(|stopper| stopper.stops(number, &at.frames))
    };
    let failed = facts.nodes.iter().filter(|(at, fact)| {
        let failed = fact.failed.as_ref();
        failed.is_some_and(|(number, failed)| is_short(at, *number, failed))
    });
    failed.map(|(at, _)| at.clone()).collect()
}

/// Blocks whose `finally` ran because of something that is taken back: it is to run again when the
/// block has come to its end.
pub(crate) fn stale_lasts(plan: &Plan, facts: &Facts, stoppers: &[Stopper]) -> BTreeSet<Position> {
    let is_stale = |(at, first): &(Position, usize)| {
        let mut stoppers = stoppers.iter();
        stoppers.any(|stopper| stopper.stops(*first, &at.frames))
    };
    let stale = lasts(plan, facts).into_iter().filter(is_stale);
    stale.map(|(at, _)| at).collect()
}

/// Blocks whose `finally` ran although not all that is right in the block had run.
pub(crate) fn early_lasts(plan: &Plan, facts: &Facts) -> BTreeSet<Position> {
    let is_early = |(at, _): &(Position, usize)| {
        let body = plan.inside(at.node, 0);
        let nodes = body.map(|body| &plan.region(body).nodes);
        nodes.into_iter().flatten().any(|node| {
            let step = FrameStep {
                node: at.node,
                index: 0,
            };
            let inner = Position {
                frames: [at.frames.as_slice(), &[step]].concat(),
                node: *node,
            };
            let runs = matches!(
                plan.node(*node).kind,
                PlanKind::Job | PlanKind::Sleep | PlanKind::Signal { .. }
            );
            runs && !facts.nodes.contains_key(&inner)
        })
    };
    let early = lasts(plan, facts).into_iter().filter(is_early);
    early.map(|(at, _)| at).collect()
}

/// Blocks whose `finally` has begun, and the number of the first record of it.
fn lasts(plan: &Plan, facts: &Facts) -> BTreeMap<Position, usize> {
    let mut lasts = BTreeMap::new();
    for (at, fact) in &facts.nodes {
        for (depth, step) in at.frames.iter().enumerate() {
            if step.index == 1 && plan.node(step.node).kind == PlanKind::Finally {
                let block = Position {
                    frames: at.frames.get(..depth).unwrap_or_default().to_vec(),
                    node: step.node,
                };
                let first = lasts.entry(block).or_insert(fact.first);
                *first = fact.first.min(*first);
            }
        }
    }
    lasts
}
