//! Branches and loops, and what leaves them: which way a run goes.

use std::sync::Arc;

use zahir_store::{Failure, FailureKind, FrameStep, NodeId, Position, Record};

use super::action::Action;
use super::advance::violation;
use super::frame::Place;
use super::state::{Change, Departure, Rounds, State};
use super::{Engine, Phase, Task};
use crate::plan::{Exit, PlanKind};

impl<V: Clone> Engine<V> {
    /// A branch takes an arm. That is on record before anything in the arm starts.
    pub(super) fn decide(&mut self, place: Place, arm: u32) {
        self.outbox.record(|| Record::BranchTaken {
            at: self.frames.position(place),
            arm,
        });
        self.take_arm(place, arm);
        self.enter(place, arm, Change::Entered, None);
    }

    /// The same for a live decision and for one on record.
    pub(super) fn take_arm(&mut self, place: Place, arm: u32) {
        self.change(place, Change::Decided(arm));
        let around = self.frames.way(place.frame).to_vec();
        self.skip_inside(place.node, &around, Some(arm));
    }

    /// The regions of a node will not be entered, but for `taken`. Nobody knows how often a `for` or
    /// loop in them would have gone round, so what is inside those is not told of.
    fn skip_inside(&mut self, node: NodeId, around: &[FrameStep], taken: Option<u32>) {
        let plan = Arc::clone(&self.plan);
        if matches!(
            plan.node(node).kind,
            PlanKind::Each { .. } | PlanKind::Loop { .. } | PlanKind::Call
        ) {
            return;
        }
        for (region, index) in plan.node(node).inside.iter().zip(0..) {
            if taken == Some(index) {
                continue;
            }
            let frames = [around, &[FrameStep { node, index }]].concat();
            for inner in &plan.region(*region).nodes {
                self.skip_node(*inner, &frames);
            }
        }
    }

    /// A node, and what is inside it, will not run.
    fn skip_node(&mut self, node: NodeId, frames: &[FrameStep]) {
        let kind = self.plan.node(node).kind;
        if matches!(kind, PlanKind::Assigned | PlanKind::Input) {
            return;
        }
        if kind == PlanKind::Job {
            self.progress.skipped += 1;
        }
        if self.outbox.is_durable() && self.phase != Phase::Replaying {
            let frames = frames.to_vec();
            let at = Position { frames, node };
            self.outbox.gate(Action::Skip { at });
        }
        self.skip_inside(node, frames, None);
    }

    pub(super) fn begin_loop(&mut self, place: Place) {
        if let Some(inputs) = self.inputs(place) {
            self.change(
                place,
                Change::Looped(Rounds {
                    round: 0,
                    next: Some(inputs),
                }),
            );
            self.tasks.push_back(Task::Round(place));
        }
    }

    /// Begins the next round of a loop, if there is one to begin.
    pub(super) fn start_round(&mut self, place: Place) {
        if self.phase != Phase::Going {
            return;
        }
        let Some(rounds) = self.rounds_mut(place) else {
            return;
        };
        let round = rounds.round;
        let Some(inputs) = rounds.next.take() else {
            return;
        };
        let PlanKind::Loop { max, or_last } = self.plan.node(place.node).kind else {
            return;
        };
        self.drop_rebuilt(place, round);
        let max = max.unwrap_or(u32::MAX);
        if round < max {
            if let Some(frame) = self.frame_of(place, round) {
                self.wake(frame, inputs);
            }
            return;
        }
        if or_last {
            return self.complete_with(place, self.unit.clone(), inputs);
        }
        let message = format!(
            "this loop has gone round {max} times, which is as often as it may: `#[max({max})]`"
        );
        self.fail(
            place,
            Failure {
                kind: FailureKind::TooLarge,
                message,
            },
        );
    }

    /// A round of a loop came to its end. In replay the loop may not be entered yet.
    pub(super) fn finish_round(&mut self, place: Place, round: u32, departure: Departure<V>) {
        if departure.exit == Exit::Break {
            return self.complete_with(place, departure.value, departure.outs);
        }
        if departure.exit == Exit::Return {
            return self.leave(place, departure);
        }
        let next = Rounds {
            round: round.saturating_add(1),
            next: Some(departure.outs),
        };
        match self.rounds_mut(place) {
            None => self.change(place, Change::Looped(next)),
            Some(rounds) if rounds.round <= round => *rounds = next,
            Some(_) => return,
        }
        if self.phase != Phase::Replaying {
            self.tasks.push_back(Task::Round(place));
        }
    }

    /// A region of a node goes on elsewhere: so does the frame that the node is in, as soon as
    /// everything in it that comes before has its end. What comes behind is skipped.
    pub(super) fn leave(&mut self, place: Place, departure: Departure<V>) {
        if matches!(departure.exit, Exit::Value) {
            return self.halt(violation("I7 a node is left for somewhere else", place));
        }
        self.change(place, Change::Left);
        self.skip_behind(place);
        if let Some(frame) = self.frames.get_mut(place.frame) {
            frame.departure.get_or_insert(Box::new(departure));
        }
        self.close(place);
    }

    fn skip_behind(&mut self, place: Place) {
        let plan = Arc::clone(&self.plan);
        let region = plan.region(plan.node(place.node).region);
        let assigned = &plan.node(place.node).assigned;
        let around = self.frames.way(place.frame).to_vec();
        let mut behind = plan.node(place.node).dependents.clone();
        behind.extend(assigned);
        while let Some(slot) = behind.pop() {
            let node = region.nodes[slot];
            let skipped = Place { node, ..place };
            let is_blocked = self
                .instance(skipped)
                .is_some_and(|instance| matches!(instance.state, State::Blocked(_)));
            if !is_blocked {
                continue;
            }
            self.change(skipped, Change::Skipped);
            behind.extend(&plan.node(node).dependents);
            behind.extend(&plan.node(node).assigned);
            if plan.node(node).kind == PlanKind::Assigned {
                continue;
            }
            if plan.node(node).kind == PlanKind::Job {
                self.progress.known = self.progress.known.saturating_sub(1);
            }
            if let Some(frame) = self.frames.get_mut(place.frame) {
                frame.open -= 1;
            }
            self.skip_node(node, &around);
        }
    }

    fn rounds_mut(&mut self, place: Place) -> Option<&mut Rounds<V>> {
        self.instance_mut(place)?.state.rounds_mut()
    }
}
