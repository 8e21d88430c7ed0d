//! From one result to the next step: what a result unblocks, and what a finished frame gives.

use zahir_store::{Failure, FailureKind};

use super::action::{Action, Evaluation, Violation};
use super::frame::{FrameId, Place};
use super::report::Evaluated;
use super::state::{Change, Instance, State};
use super::{Engine, Phase};
use crate::plan::{PlanKind, RegionId, Source, index};

/// How deep frames may lie in each other.
const DEPTH_MAX: usize = 256;

impl<V: Clone> Engine<V> {
    /// Gives a frame its inputs and lets its nodes go on from where they are.
    pub(super) fn wake(&mut self, id: FrameId, inputs: impl IntoIterator<Item = V>) {
        self.supply(id, inputs);
        let Some(frame) = self.frames.get(id) else {
            return;
        };
        let region = frame.region;
        for slot in 0..self.plan.region(region).nodes.len() {
            let node = self.plan.region(region).nodes[slot];
            self.rouse(Place { frame: id, node });
        }
        self.finish_frame(id);
    }

    /// Gives a frame its inputs.
    pub(super) fn supply(&mut self, id: FrameId, inputs: impl IntoIterator<Item = V>) {
        let Some(frame) = self.frames.get_mut(id) else {
            return;
        };
        frame.is_awake = true;
        let region = frame.region;
        let mut inputs = inputs.into_iter();
        for at in 0..self.plan.region(region).inputs.len() {
            let slot = self.plan.region(region).inputs[at];
            let node = self.plan.region(region).nodes[slot];
            let place = Place { frame: id, node };
            let Some(input) = inputs.next() else {
                return self.halt(violation("I3 a frame is given all of its inputs", place));
            };
            self.change(place, Change::Succeeded(input));
            self.release_dependents(place, false);
        }
    }

    /// Lets a node of a frame that woke up go on from the state that it, or replay, left it in.
    fn rouse(&mut self, place: Place) {
        let Some(instance) = self.instance(place) else {
            return;
        };
        match &instance.state {
            State::Running(_) | State::Ready(_) => self.change(place, Change::Interrupted),
            State::Backoff(_, due) => {
                let due = *due;
                self.timers.insert((due, place));
                return;
            }
            State::Blocked(_)
            | State::Evaluating
            | State::Calling
            | State::Going(_)
            | State::Succeeded(_)
            | State::Failed => {}
        }
        self.unblock_if_free(place);
    }

    pub(super) fn unblock_if_free(&mut self, place: Place) {
        if self
            .instance(place)
            .is_some_and(|instance| instance.waits == 0)
        {
            self.unblock(place);
        }
    }

    /// Goes on with a node whose every need is there.
    fn unblock(&mut self, place: Place) {
        if self.phase == Phase::Stopping || self.is_failing(place.frame) {
            return;
        }
        let Some(instance) = self.instance(place) else {
            return;
        };
        let kind = self.plan.node(place.node).kind;
        match (kind, &instance.state) {
            (PlanKind::Job, State::Blocked(_)) => {
                self.change(place, Change::Unblocked);
                self.ready.push_back(place);
            }
            (PlanKind::Value | PlanKind::Call | PlanKind::Each { .. }, State::Blocked(_)) => {
                self.change(place, Change::Evaluating);
                self.evaluate_step(place);
            }
            (PlanKind::Each { .. }, State::Going(each)) if each.items.is_none() => {
                self.evaluate_step(place);
            }
            (_, _) => {}
        }
    }

    fn evaluate_step(&mut self, place: Place) {
        if let Some(inputs) = self.inputs(place) {
            self.evaluate(place, Evaluation::Step, inputs);
        }
    }

    pub(super) fn evaluate(&mut self, place: Place, what: Evaluation, inputs: Vec<V>) {
        self.evaluating += 1;
        self.shift_live(place.frame, true);
        self.outbox.push(Action::Evaluate {
            place,
            what,
            inputs,
        });
    }

    /// An evaluation came back.
    pub(super) fn end_evaluation(&mut self, place: Place, result: Result<Evaluated<V>, Failure>) {
        let is_expected = self.evaluating > 0
            && self.instance(place).is_some_and(|instance| {
                matches!(instance.state, State::Evaluating | State::Going(_))
            });
        if !is_expected {
            return;
        }
        self.evaluating -= 1;
        self.shift_live(place.frame, false);
        if self.phase == Phase::Ended {
            return;
        }
        match (result, self.plan.node(place.node).kind) {
            (Ok(Evaluated::Value(value)), PlanKind::Value | PlanKind::Each { .. }) => {
                self.complete(place, value);
            }
            (Ok(Evaluated::Items(items)), PlanKind::Each { .. }) => {
                let body = self.plan.node(place.node).inside[0];
                self.count_items(place, body, items);
            }
            (Ok(Evaluated::Inputs(inputs)), PlanKind::Call) => {
                let body = self.plan.node(place.node).inside[0];
                self.call(place, body, inputs);
            }
            (Ok(_), _) => self.halt(violation("I16 an evaluation fits its node", place)),
            (Err(failure), _) => self.fail(place, failure),
        }
        self.settle_failure(place.frame);
    }

    /// Enters the workflow that a node calls.
    fn call(&mut self, place: Place, body: RegionId, inputs: Vec<V>) {
        if self.frames.depth(place.frame) >= DEPTH_MAX {
            let message = format!("workflows call each other {DEPTH_MAX} deep here, and no deeper");
            return self.fail(
                place,
                Failure {
                    kind: FailureKind::TooLarge,
                    message,
                },
            );
        }
        self.change(place, Change::Called);
        let frame = self.replayed.remove(&(place, 0)).unwrap_or_else(|| {
            self.progress.known += self.plan.region(body).jobs;
            self.open_frame(body, Some(place), 0)
        });
        self.wake(frame, inputs);
    }

    /// Gives a node instance its result, and goes on with all that follows.
    pub(super) fn complete(&mut self, place: Place, value: V) {
        self.change(place, Change::Succeeded(value));
        if let Some(frame) = self.frames.get_mut(place.frame) {
            frame.open -= 1;
        }
        self.release_dependents(place, true);
        self.finish_frame(place.frame);
    }

    /// Tells the nodes that wait for `place` that it is there.
    fn release_dependents(&mut self, place: Place, and_unblock: bool) {
        let dependents = self.plan.node(place.node).dependents.len();
        for at in 0..dependents {
            let slot = self.plan.node(place.node).dependents[at];
            let Some(frame) = self.frames.get_mut(place.frame) else {
                return;
            };
            frame.nodes[slot].waits -= 1;
            if and_unblock && frame.is_awake && frame.nodes[slot].waits == 0 {
                let node = self.plan.region(frame.region).nodes[slot];
                self.unblock(Place {
                    frame: place.frame,
                    node,
                });
            }
        }
    }

    /// If every node of the frame has its result: hands the frame's value to whoever opened it.
    fn finish_frame(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get(id) else {
            return;
        };
        if frame.open > 0 || frame.failure.is_some() {
            return;
        }
        let (owner, index) = (frame.owner, frame.index);
        let value = match self.plan.region(frame.region).result {
            None => self.unit.clone(),
            // Replay finishes a frame only when it wakes, if its value is not on record.
            Some(source) => match self.value(id, source) {
                Some(value) => value.clone(),
                None => return,
            },
        };
        let Some(owner) = owner else {
            return self.conclude(value);
        };
        self.frames.remove(id);
        self.replayed.remove(&(owner, index));
        match self.plan.node(owner.node).kind {
            PlanKind::Each { .. } => self.finish_item(owner, index, value),
            PlanKind::Call => self.complete(owner, value),
            _ => {
                self.halt(violation(
                    "I7 a frame is opened by a node that has a region",
                    owner,
                ));
            }
        }
    }

    /// The values that the step of a node is given.
    pub(super) fn inputs(&mut self, place: Place) -> Option<Vec<V>> {
        let uses = &self.plan.node(place.node).uses;
        let mut inputs = Vec::with_capacity(uses.len());
        for source in uses {
            match self.value(place.frame, *source) {
                Some(value) => inputs.push(value.clone()),
                None => {
                    self.halt(violation(
                        "I3 a step is given only values that are there",
                        place,
                    ));
                    return None;
                }
            }
        }
        Some(inputs)
    }

    fn value(&self, frame: FrameId, source: Source) -> Option<&V> {
        let id = if source.up == 0 {
            frame
        } else {
            self.frames.outwards(frame, source.up)?
        };
        self.frames.get(id)?.nodes[source.slot].state.value()
    }

    pub(super) fn instance(&self, place: Place) -> Option<&Instance<V>> {
        self.frames
            .get(place.frame)
            .map(|frame| &frame.nodes[self.plan.node(place.node).slot])
    }

    pub(super) fn instance_mut(&mut self, place: Place) -> Option<&mut Instance<V>> {
        let slot = self.plan.node(place.node).slot;
        self.frames
            .get_mut(place.frame)
            .map(|frame| &mut frame.nodes[slot])
    }

    /// Applies `change`, or halts if it makes no sense (I2).
    #[inline]
    pub(super) fn change(&mut self, place: Place, change: Change<V>) {
        let Some(instance) = self.instance_mut(place) else {
            return self.halt(violation("I2 a change meets a frame that is there", place));
        };
        let state = std::mem::replace(&mut instance.state, State::Failed);
        match state.next(change) {
            Ok(state) => instance.state = state,
            Err(illegal) => self.halt(Violation {
                invariant: "I2 a node changes only along the arrows of its state",
                seen: format!("{illegal:?} at {:?}", self.frames.position(place)),
            }),
        }
    }

    /// Counts something that began, or ended, in a frame and in all frames around it.
    pub(super) fn shift_live(&mut self, frame: FrameId, begins: bool) {
        let mut at = Some(frame);
        while let Some(frame) = at.and_then(|id| self.frames.get_mut(id)) {
            frame.live = if begins {
                frame.live + 1
            } else {
                frame.live.saturating_sub(1)
            };
            at = frame.owner.map(|owner| owner.frame);
        }
    }
}

/// A broken invariant at a node instance.
pub(super) fn violation(invariant: &'static str, place: Place) -> Violation {
    Violation {
        invariant,
        seen: format!("at node {}", index(place.node)),
    }
}
