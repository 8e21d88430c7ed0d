//! Which failures a run failed of, and what they stopped.
//!
//! A failure reaches as far as the nearest handler around it, or the run. There everything stops that
//! was under way, and each `finally` in it runs, whether or not its block had come to its end.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{FrameStep, Position};

use super::facts::{Facts, Failed};
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

/// The frame that a failure in `frames` has stopped: that of the first handler around it, or the
/// body.
pub(crate) fn stopped<'a>(
    plan: &Plan,
    facts: &Facts,
    frames: &'a [FrameStep],
    failed: &Failed,
) -> &'a [FrameStep] {
    for (depth, step) in frames.iter().enumerate().rev() {
        let is_caught = match plan.node(step.node).kind {
            PlanKind::Rescue { is_typed } | PlanKind::Result { is_typed } => {
                let fits = !is_typed || failed.has_error;
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
        };
        if is_caught {
            return frames.get(..=depth).unwrap_or_default();
        }
    }
    &[]
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
    let failed = facts.nodes.iter().filter_map(|(at, fact)| {
        let (_, failed) = fact.failed.as_ref()?;
        let stopped = stopped(plan, facts, &at.frames, failed);
        stopped.is_empty().then(|| at.clone())
    });
    failed.collect()
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
