//! From one result to the next step: what a result unblocks, and what a finished frame gives.

use std::sync::Arc;

use zahir_store::{Failure, FailureKind, NodeId};

use super::action::{Action, Evaluation, Violation};
use super::frame::{FrameId, Place};
use super::report::Evaluated;
use super::state::{Change, Departure, Instance, Outcome, State};
use super::tally::Counted;
use super::{Engine, Phase, Task};
use crate::plan::{Exit, PlanKind, RegionId, Source, index};

/// How deep workflows may call each other.
const CALLS_MAX: usize = 256;

impl<V: Clone> Engine<V> {
    pub(super) fn run_task(&mut self, task: Task) {
        match task {
            Task::Unblock(place) => self.unblock_if_free(place),
            Task::Release(place) => self.release(place),
            Task::Finish(frame) => self.finish_frame(frame),
            Task::Round(place) => self.start_round(place),
            Task::Lose(place) => self.lose(place),
            Task::RouseChildren(place) => self.rouse_children(place),
            Task::EndChild(frame) => self.settle_failure(frame),
        }
    }

    /// Gives a frame its inputs and lets its nodes go on from where they are.
    pub(super) fn wake(&mut self, id: FrameId, inputs: impl IntoIterator<Item = V>) {
        self.supply(id, inputs);
        let Some(frame) = self.frames.get(id) else {
            return;
        };
        let (region, has_begun) = (frame.region, frame.live > 0);
        if has_begun {
            self.interrupt_attempts(id);
        }
        for slot in 0..self.plan.region(region).nodes.len() {
            let node = self.plan.region(region).nodes[slot];
            self.rouse(Place { frame: id, node });
        }
        if self.frames.get(id).is_some_and(|frame| frame.open == 0) {
            self.tasks.push_back(Task::Finish(id));
        }
        self.settle(id);
    }

    /// Gives a frame its inputs.
    fn supply(&mut self, id: FrameId, inputs: impl IntoIterator<Item = V>) {
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

    /// Lets a node of a frame that is awake go on from the state that it, or replay, left it in.
    pub(super) fn rouse(&mut self, place: Place) {
        self.rouse_deadline(place);
        if self.children(place).is_some() {
            self.tasks.push_back(Task::RouseChildren(place));
        }
        if let Some(State::Parked(_)) = self.instance(place).map(|it| &it.state) {
            // It waited when the process died: that is no crash.
            self.change(place, Change::Interrupted);
        }
        let Some(instance) = self.instance(place) else {
            return;
        };
        let is_going = !self.is_stopped(place.frame);
        if let State::Sleeping(due) = &instance.state
            && *due <= self.now
        {
            return self.complete(place, self.unit.clone());
        }
        if let State::Backoff(_, due) | State::Sleeping(due) = &instance.state
            && is_going
        {
            self.timers.insert((*due, place));
            return;
        }
        if let State::Waiting(due) = &instance.state
            && is_going
        {
            let due = *due;
            return self.listen(place, due);
        }
        self.unblock_if_free(place);
    }

    /// Attempts that were under way in a frame when the process died: they still count as such, and
    /// are made again.
    fn interrupt_attempts(&mut self, id: FrameId) {
        for place in self.attempts_in(id) {
            self.change(place, Change::Crashed);
            self.owed.insert(place);
        }
    }

    /// The nodes of a frame that have an attempt under way, or had when the process died.
    pub(super) fn attempts_in(&self, id: FrameId) -> Vec<Place> {
        let Some(frame) = self.frames.get(id) else {
            return Vec::new();
        };
        let nodes = frame
            .nodes
            .iter()
            .zip(&self.plan.region(frame.region).nodes);
        let running = nodes.filter(|(it, _)| matches!(it.state, State::Running(_)));
        let place = |node: NodeId| Place { frame: id, node };
        running.map(|(_, node)| place(*node)).collect()
    }

    pub(super) fn unblock_if_free(&mut self, place: Place) {
        if self
            .instance(place)
            .is_some_and(|instance| instance.waits == 0)
        {
            self.unblock(place);
        }
    }

    /// Goes on with a node whose every need is there; in a frame that has stopped, only with what is
    /// pure or on record.
    fn unblock(&mut self, place: Place) {
        if self.phase != Phase::Going {
            return;
        }
        let Some(instance) = self.instance(place) else {
            return;
        };
        let is_new = !self.is_stopped(place.frame) && !self.tallies.is_recount;
        match (self.plan.node(place.node).kind, &instance.state) {
            (PlanKind::Job, State::Blocked(tries)) if is_new || self.is_owed(place) => {
                let tries = *tries;
                match self.loss(place, tries) {
                    // When its whole frame is awake: this may stop it.
                    Some(_) => self.tasks.push_back(Task::Lose(place)),
                    None => self.make_ready(place),
                }
            }
            (PlanKind::Value | PlanKind::Call, State::Blocked(_)) => self.evaluate_step(place),
            (PlanKind::Each { .. } | PlanKind::Branch | PlanKind::Sleep, State::Blocked(_))
                if is_new =>
            {
                self.evaluate_step(place);
            }
            (PlanKind::Each { .. }, State::Going(_)) => self.compute_items(place),
            (PlanKind::Branch, State::Taken(arm)) => {
                let arm = *arm;
                self.enter(place, arm, Change::Entered, None);
            }
            (PlanKind::Loop { .. }, State::Blocked(_)) => self.begin_loop(place),
            (PlanKind::Loop { .. }, State::Looping(_)) => {
                self.tasks.push_back(Task::Round(place));
            }
            (PlanKind::Rescue { .. } | PlanKind::Result { .. }, State::Blocked(_))
            | (PlanKind::Finally, State::Begun) => {
                self.enter(place, 0, Change::Entered, None);
            }
            (PlanKind::Finally, State::Blocked(_)) if is_new => self.begin_finally(place),
            (PlanKind::Race, State::Blocked(_)) if is_new || self.is_rebuilt(place) => {
                self.enter_race(place);
            }
            (PlanKind::Race, State::Won(_)) => self.enter_race(place),
            (PlanKind::Signal { timeout, .. }, State::Blocked(_)) if is_new => {
                self.wait(place, timeout);
            }
            (PlanKind::Signal { .. }, State::Received(_) | State::Expired) => self.receive(place),
            (_, _) => {}
        }
    }

    fn evaluate_step(&mut self, place: Place) {
        let given = self.child_of(place.frame);
        let given = given.and_then(|child| child.arguments.as_ref());
        let what = given.map_or(Evaluation::Step, |given| {
            Evaluation::Given(Arc::clone(given))
        });
        if let Some(inputs) = self.inputs(place) {
            self.change(place, Change::Evaluating);
            self.evaluate(place, what, inputs);
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
                matches!(
                    instance.state,
                    State::Evaluating | State::Going(_) | State::Continuing(_)
                )
            });
        if !is_expected {
            return;
        }
        self.evaluating -= 1;
        self.shift_live(place.frame, false);
        if self.phase == Phase::Ended {
            return;
        }
        match result {
            Ok(evaluated) => self.use_evaluated(place, evaluated),
            Err(failure) if self.plan.node(place.node).kind == PlanKind::Job => {
                self.fail_inheritance(place, failure);
            }
            Err(failure) => self.fail(place, failure),
        }
        self.settle(place.frame);
    }

    fn use_evaluated(&mut self, place: Place, evaluated: Evaluated<V>) {
        let is_decision = match evaluated {
            Evaluated::Items(_) => self.each(place).is_none(),
            Evaluated::Arm(_) | Evaluated::Sleep(_) | Evaluated::SleepUntil(_) => true,
            Evaluated::Value(_) | Evaluated::Inputs(_) | Evaluated::Arguments(_) => false,
        };
        if is_decision && self.is_stopped(place.frame) {
            // Nothing new is decided where everything comes to its end.
            return;
        }
        match (evaluated, self.plan.node(place.node).kind) {
            (Evaluated::Value(error), PlanKind::Rescue { .. }) => {
                self.enter(place, 1, Change::Handled, Some(error));
            }
            (
                Evaluated::Value(value),
                PlanKind::Value
                | PlanKind::Each { .. }
                | PlanKind::Result { .. }
                | PlanKind::Race
                | PlanKind::Signal { .. },
            ) => self.complete(place, value),
            (Evaluated::Items(items), PlanKind::Each { .. }) => self.count_items(place, items),
            (Evaluated::Inputs(inputs), PlanKind::Call) => self.call(place, inputs),
            (Evaluated::Arguments(arguments), PlanKind::Job) => self.begin_heir(place, &arguments),
            (Evaluated::Arm(arm), PlanKind::Branch) => self.decide(place, arm),
            (Evaluated::Sleep(duration), PlanKind::Sleep) => {
                self.sleep(place, self.now.after(duration));
            }
            (Evaluated::SleepUntil(due), PlanKind::Sleep) => self.sleep(place, due),
            (_, _) => self.halt(violation("I16 an evaluation fits its node", place)),
        }
    }

    /// Enters the workflow that a node calls.
    fn call(&mut self, place: Place, inputs: Vec<V>) {
        let is_call = |node| self.plan.node(node).kind == PlanKind::Call;
        let way = self.frames.way(place.frame);
        if way.iter().filter(|step| is_call(step.node)).count() >= CALLS_MAX {
            let message = format!("workflows call each other {CALLS_MAX} deep here, and no deeper");
            return self.fail(
                place,
                Failure {
                    kind: FailureKind::TooLarge,
                    message,
                },
            );
        }
        self.enter(place, 0, Change::Entered, inputs);
    }

    /// Enters a region of a node: the frame that replay rebuilt of it, or a new one.
    pub(super) fn enter(
        &mut self,
        place: Place,
        index: u32,
        change: Change<V>,
        inputs: impl IntoIterator<Item = V>,
    ) {
        self.change(place, change);
        if let Some(frame) = self.frame_of(place, index) {
            self.wake(frame, inputs);
        }
    }

    /// The frame that replay rebuilt for a region of a node, or a new one.
    pub(super) fn frame_of(&mut self, place: Place, index: u32) -> Option<FrameId> {
        if let Some(frame) = self.replayed.remove(&(place, index)) {
            return Some(frame);
        }
        let Some(region) = self.region_of(place, index) else {
            self.halt(violation("I7 a node enters only regions it has", place));
            return None;
        };
        Some(self.open_frame(region, Some(place), index))
    }

    /// The region of a node's frame of this number.
    pub(super) fn region_of(&self, place: Place, index: u32) -> Option<RegionId> {
        if self.plan.node(place.node).kind == PlanKind::Job {
            return self.region_of_child(place, index);
        }
        self.plan.inside(place.node, index)
    }

    /// Gives a node instance its result, and goes on with all that follows.
    pub(super) fn complete(&mut self, place: Place, value: V) {
        self.complete_with(place, value, Vec::new());
    }

    /// The same with what the variables are that the regions of the node assign.
    pub(super) fn complete_with(&mut self, place: Place, value: V, outs: Vec<V>) {
        if outs.len() != self.plan.node(place.node).assigned.len() {
            return self.halt(violation("I3 every assigned variable is given", place));
        }
        self.change(place, Change::Succeeded(value));
        self.close(place);
        for (at, out) in outs.into_iter().enumerate() {
            let slot = self.plan.node(place.node).assigned[at];
            let region = self.plan.node(place.node).region;
            let node = self.plan.region(region).nodes[slot];
            self.change(Place { node, ..place }, Change::Succeeded(out));
        }
        // What is on record may come before what it comes behind, if that is pure or runs again.
        if self.instance(place).is_some_and(|it| it.waits == 0) {
            self.release(place);
        }
    }

    /// What comes behind a node that has its result, and behind what that assigns, may begin.
    fn release(&mut self, place: Place) {
        for at in 0..self.plan.node(place.node).assigned.len() {
            let slot = self.plan.node(place.node).assigned[at];
            let region = self.plan.node(place.node).region;
            let node = self.plan.region(region).nodes[slot];
            self.release_dependents(Place { node, ..place }, true);
        }
        self.release_dependents(place, true);
    }

    /// Nothing more is to be expected of a node.
    pub(super) fn close(&mut self, place: Place) {
        // The children of a job may be under way behind it.
        if self.plan.node(place.node).kind != PlanKind::Job {
            self.drop_rebuilt(place, u32::MAX);
        }
        if let Some(frame) = self.frames.get_mut(place.frame) {
            frame.open -= 1;
            if frame.open == 0 {
                self.tasks.push_back(Task::Finish(place.frame));
            }
        }
    }

    /// Forgets frames that replay rebuilt, and that turned out to be over: those below `index`.
    pub(super) fn drop_rebuilt(&mut self, owner: Place, index: u32) {
        // What has stopped may have left children that were not over.
        let kind = self.plan.node(owner.node).kind;
        let of_children = if kind.catches() {
            Counted::Running
        } else {
            Counted::Succeeded
        };
        while let Some((_, frame)) = self.replayed.range((owner, 0)..(owner, index)).next() {
            let frame = *frame;
            self.remove_tree_with(frame, of_children);
        }
    }

    /// Tells the nodes that wait for `place` that it is there.
    fn release_dependents(&mut self, place: Place, and_unblock: bool) {
        let dependents = self.plan.node(place.node).dependents.len();
        for at in 0..dependents {
            let slot = self.plan.node(place.node).dependents[at];
            let Some(frame) = self.frames.get_mut(place.frame) else {
                return;
            };
            let instance = &mut frame.nodes[slot];
            instance.waits -= 1;
            if instance.waits > 0 {
                continue;
            }
            let is_there = instance.state.value().is_some();
            let freed = Place {
                frame: place.frame,
                node: self.plan.region(frame.region).nodes[slot],
            };
            if is_there {
                self.tasks.push_back(Task::Release(freed));
            } else if and_unblock && frame.is_awake {
                self.tasks.push_back(Task::Unblock(freed));
            }
        }
    }

    /// If nothing more is to be expected of a frame: hands what it gives to whoever opened it.
    pub(super) fn finish_frame(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get(id) else {
            return;
        };
        if frame.open > 0 || frame.failure.is_some() {
            return;
        }
        let (owner, index) = (frame.owner, frame.index);
        if self.is_held(id, owner) {
            return;
        }
        let Some(departure) = self.depart(id) else {
            return;
        };
        let Some(owner) = owner else {
            return self.conclude(departure.value);
        };
        self.remove_tree(id);
        match (self.plan.node(owner.node).kind, index) {
            (PlanKind::Each { .. }, _) => self.finish_item(owner, index, departure),
            (PlanKind::Call, _) => self.complete(owner, departure.value),
            (PlanKind::Loop { .. }, _) => self.finish_round(owner, index, departure),
            (PlanKind::Branch | PlanKind::Rescue { .. }, _) => self.land(owner, departure),
            (PlanKind::Result { .. }, _) => self.land_result(owner, departure),
            (PlanKind::Finally, 0) => self.begin_last(owner, Outcome::Ended(departure)),
            (PlanKind::Finally, _) => self.end_last(owner, None),
            (PlanKind::Race, _) => self.win(owner, index, Outcome::Ended(departure)),
            (PlanKind::Job, _) => self.end_child(owner, index, Ok(departure.value)),
            _ => self.halt(violation(
                "I7 a frame is opened by a node that has a region",
                owner,
            )),
        }
        self.settle(owner.frame);
    }

    /// Whether a frame that is at its end has to stay: in replay, because what it gives may have to
    /// be computed; and where everything comes to its end, because it would decide something.
    fn is_held(&self, id: FrameId, owner: Option<Place>) -> bool {
        let is_replaying = self.phase == Phase::Replaying;
        let Some(owner) = owner else {
            return is_replaying || self.is_stopped(id);
        };
        let kind = self.plan.node(owner.node).kind;
        let is_race = kind == PlanKind::Race;
        is_replaying && kind.catches()
            || is_race && !self.is_decided(owner) && self.is_stopped(owner.frame)
    }

    /// Goes on behind a node whose region came to its end: right behind it, or elsewhere.
    pub(super) fn land(&mut self, place: Place, departure: Departure<V>) {
        if departure.exit == Exit::Value {
            self.complete_with(place, departure.value, departure.outs);
        } else {
            self.leave(place, departure);
        }
    }

    /// What a frame gives, if all of it is there: in replay, pure values are not.
    fn depart(&mut self, id: FrameId) -> Option<Departure<V>> {
        if let Some(departure) = self.frames.get_mut(id)?.departure.take() {
            return Some(*departure);
        }
        let region = self.plan.region(self.frames.get(id)?.region);
        let value = match region.result {
            None => self.unit.clone(),
            Some(source) => self.value(id, source)?.clone(),
        };
        let outs = region.outs.iter();
        Some(Departure {
            exit: region.exit,
            value,
            outs: outs
                .map(|out| self.value(id, *out).cloned())
                .collect::<Option<_>>()?,
        })
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
        let slot = self.plan.node(place.node).slot;
        let Some(frame) = self.frames.get_mut(place.frame) else {
            return self.halt(violation("I2 a change meets a frame that is there", place));
        };
        frame.has_begun |= change.is_on_record();
        let instance = &mut frame.nodes[slot];
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

    /// Takes a frame out, and all frames inside it: children that are not over by then never will be.
    pub(super) fn remove_tree(&mut self, id: FrameId) {
        self.remove_tree_with(id, Counted::Running);
    }

    /// The same where children in it that had begun, and have not failed, are this.
    fn remove_tree_with(&mut self, id: FrameId, of_children: Counted) {
        if self.replayed.is_empty() && self.frames.inside(id).next().is_none() {
            return self.frames.remove(id);
        }
        let all = self.frames.tree(id);
        self.count_removed(&all[1..], of_children);
        for id in all.into_iter().rev() {
            if !self.replayed.is_empty()
                && let Some(frame) = self.frames.get(id)
                && let Some(owner) = frame.owner
            {
                self.replayed.remove(&(owner, frame.index));
            }
            self.frames.remove(id);
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
