//! Failure and cancellation: what they stop, how far they reach, and what runs nevertheless.
//!
//! A failure reaches as far as the next block or race around it. The frame there is *stopped*: it
//! starts nothing more, and so are the frames inside it. When nothing of it is under way any more
//! it is *settled*: each `finally` inside it that is owed runs, innermost first, and then the block
//! or race is given the failure. A child of a job is a block, too: its parent is given the failure,
//! or, if the child follows that, what is around the parent.
//!
//! Attempts that wait for children are dropped where everything comes to its end: nothing begins
//! there any more that they could wait for.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use zahir_store::Failure;

use super::action::Action;
use super::frame::{FrameId, Place, Stop};
use super::state::{Change, Failing, Outcome, State};
use super::{Engine, Phase, Task};
use crate::plan::PlanKind;

impl<V: Clone> Engine<V> {
    /// A node instance failed for good, outside of an attempt.
    pub(super) fn fail(&mut self, place: Place, failure: Failure) {
        let failing = Failing {
            at: self.frames.position(place),
            attempt: None,
            failure,
            error: None,
        };
        self.fail_with(place, Box::new(failing));
    }

    /// A node instance has no result and will have none.
    pub(super) fn fail_with(&mut self, place: Place, failing: Box<Failing<V>>) {
        self.change(place, Change::Failed);
        self.raise(place.frame, failing);
    }

    /// A failure in a frame reaches as far as it does.
    pub(super) fn raise(&mut self, from: FrameId, failing: Box<Failing<V>>) {
        let catcher = self.catcher(from);
        let Some(frame) = self.frames.get_mut(catcher) else {
            return;
        };
        if frame.failure.is_none() {
            frame.failure = Some(failing);
            self.note_failed_child(catcher);
        }
        self.stop(catcher, Stop::Failed);
        self.settle(from);
        if self.is_over_in_replay(catcher) {
            self.tasks.push_back(Task::EndChild(catcher));
        }
    }

    /// The frame at which the failure of a node in `frame` stops.
    fn catcher(&self, frame: FrameId) -> FrameId {
        let mut at = frame;
        while let Some(owner) = self.frames.get(at).and_then(|frame| frame.owner) {
            let kind = self.plan.node(owner.node).kind;
            if kind.catches() || kind == PlanKind::Job {
                break;
            }
            at = owner.frame;
        }
        at
    }

    /// Whether nothing new starts in a frame.
    pub(super) fn is_stopped(&self, id: FrameId) -> bool {
        self.frames.get(id).is_none_or(|frame| frame.stop.is_some())
    }

    /// Whether a frame of `owner` that is opened now has stopped already.
    pub(super) fn stop_inside(&self, owner: Place, index: u32) -> Option<Stop> {
        let is_last = self.plan.node(owner.node).kind == PlanKind::Finally && index == 1;
        self.frames
            .get(owner.frame)
            .filter(|_| !is_last)
            .and_then(|around| around.stop)
    }

    /// Whether an attempt that was under way when the process died is to be made again, although its
    /// frame has stopped: what is under way there runs to its end.
    pub(super) fn is_owed(&self, place: Place) -> bool {
        self.owed.contains(&place)
            && self
                .frames
                .get(place.frame)
                .is_some_and(|frame| frame.stop != Some(Stop::Cancelled))
    }

    /// Stops a frame and all frames inside it, but for `finally`s under way.
    pub(super) fn stop(&mut self, root: FrameId, why: Stop) {
        let mut found = vec![root];
        let mut at = 0;
        let mut bodies = Vec::new();
        let mut aborted = BTreeSet::new();
        while let Some(id) = found.get(at).copied() {
            at += 1;
            let Some(frame) = self.frames.get_mut(id) else {
                continue;
            };
            if frame.stop == Some(why) || frame.stop == Some(Stop::Cancelled) {
                continue;
            }
            frame.stop = Some(why);
            let region = frame.region;
            for slot in 0..self.plan.region(region).nodes.len() {
                let node = self.plan.region(region).nodes[slot];
                self.quiet(Place { frame: id, node }, why, &mut aborted);
            }
            for (inner, frame) in self.frames.inside(id) {
                let Some(owner) = frame.owner else { continue };
                let is_block = self.plan.node(owner.node).kind == PlanKind::Finally;
                if is_block && frame.index == 1 {
                    continue;
                }
                if is_block {
                    bodies.push(inner);
                }
                found.push(inner);
            }
        }
        self.abort(&aborted);
        for body in bodies.into_iter().rev() {
            self.settle(body);
        }
    }

    /// Takes back what a node of a frame that stops waits for, and what it has under way if that is
    /// to be dropped.
    fn quiet(&mut self, place: Place, why: Stop, aborted: &mut BTreeSet<Place>) {
        let Some(instance) = self.instance(place) else {
            return;
        };
        let is_dropped = why == Stop::Cancelled;
        let goes_on = matches!(instance.state, State::Running(_)) || self.owed.contains(&place);
        if is_dropped || !goes_on {
            self.drop_deadline(place);
        }
        let Some(instance) = self.instance(place) else {
            return;
        };
        let is_awake = self.frames.get(place.frame).is_some_and(|it| it.is_awake);
        let is_owed = self.owed.contains(&place);
        let state = &instance.state;
        if let State::Running(_) = state
            && is_dropped
        {
            if is_awake {
                aborted.insert(place);
            } else {
                // An attempt of an earlier process.
                self.change(place, Change::Interrupted);
                self.shift_live(place.frame, false);
            }
        } else if let State::Parked(_) | State::Resuming(_) = state {
            // What it waits for may never begin.
            if is_awake {
                aborted.insert(place);
            } else {
                self.change(place, Change::Interrupted);
            }
        } else if !is_awake {
            // No timer is set yet, and a sleep may have been over by then.
            if let State::Sleeping(due) = state
                && *due > self.now
            {
                self.change(place, Change::Skipped);
            }
        } else if let State::Ready(_) = state
            && (is_dropped || !is_owed)
        {
            self.take_back(place);
        } else if let State::Backoff(_, due) = state {
            self.timers.remove(&(*due, place));
            self.change(place, Change::Due);
        } else if let State::Sleeping(due) = state {
            self.timers.remove(&(*due, place));
            self.change(place, Change::Skipped);
        } else if let State::Waiting(_) = state {
            self.forget_wait(place);
            self.change(place, Change::Skipped);
        }
        if is_dropped && self.owed.remove(&place) {
            self.shift_live(place.frame, false);
        }
    }

    /// Drops attempts, as soon as the reason is durable.
    pub(super) fn abort(&mut self, places: &BTreeSet<Place>) {
        if places.is_empty() {
            return;
        }
        let not_started = self.outbox.take_starts(|place| places.contains(&place));
        for place in places {
            let (tries, is_running) = match self.instance(*place).map(|it| &it.state) {
                Some(State::Running(tries)) => (tries, true),
                Some(State::Parked(tries) | State::Resuming(tries)) => (tries, false),
                _ => continue,
            };
            let attempt = zahir_store::Attempt::new(tries.attempts);
            if is_running {
                self.shift_live(place.frame, false);
                self.progress.running = self.progress.running.saturating_sub(1);
                self.change(*place, Change::Interrupted);
            } else {
                self.drop_parked(*place);
            }
            let was_started = !not_started.iter().any(|(known, _)| known == place);
            if let Some(attempt) = attempt
                && was_started
            {
                let place = *place;
                self.outbox.gate(Action::Abort { place, attempt });
            }
        }
    }

    /// Something ended in a frame, which may have to be settled now.
    pub(super) fn settle(&mut self, id: FrameId) {
        if self
            .frames
            .get(id)
            .is_some_and(|frame| frame.stop.is_some())
        {
            let depth = self.frames.way(id).len();
            self.settling.insert((Reverse(depth), id));
        }
    }

    /// If nothing is under way in a frame that has stopped, goes on with what comes after it. What is
    /// owed when the process is about to end is for the next one to do.
    pub(super) fn settle_now(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get(id) else {
            return;
        };
        let is_quiet = frame.live == 0 && frame.closing == 0 && frame.is_awake;
        if self.phase != Phase::Going || !is_quiet {
            return;
        }
        let (owner, index, has_failed) = (frame.owner, frame.index, frame.failure.is_some());
        let Some(owner) = owner else {
            return self.settle_run();
        };
        match (self.plan.node(owner.node).kind, index) {
            (PlanKind::Finally, 0) => self.settle_block(id, owner),
            (PlanKind::Race, _) if !self.is_stopped(owner.frame) || self.is_decided(owner) => {
                self.settle_entry(id, owner);
            }
            (PlanKind::Race, _) => self.settle(owner.frame),
            // Also where something around it has stopped: that may have been later.
            _ if has_failed => self.settle_failure(id),
            _ => self.settle(owner.frame),
        }
    }

    /// The body of a `finally` has stopped, because of its own failure or one around it.
    fn settle_block(&mut self, body: FrameId, owner: Place) {
        let failing = self.frames.get_mut(body).and_then(|it| it.failure.take());
        let outcome = failing.map_or(Outcome::Stopped, Outcome::Failed);
        self.remove_tree(body);
        self.begin_last(owner, outcome);
    }

    /// An entry of a race has stopped: it failed, or lost.
    fn settle_entry(&mut self, entry: FrameId, owner: Place) {
        let failed = self
            .frames
            .get(entry)
            .is_some_and(|it| it.failure.is_some());
        if failed {
            self.settle_failure(entry);
        } else {
            self.remove_tree(entry);
            self.end_race(owner);
        }
        // Where more has stopped than the race, its winner may have nothing to give.
        self.settle(owner.frame);
    }

    /// Hands the failure of a frame to whoever opened it.
    pub(super) fn settle_failure(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get_mut(id) else {
            return;
        };
        if let (Some(owner), Some(failing)) = (frame.owner, frame.failure.take()) {
            let index = frame.index;
            self.remove_tree(id);
            self.catch(owner, index, failing);
        }
    }

    /// The body of the run is quiet.
    fn settle_run(&mut self) {
        if self.is_cancelled {
            return self.end_cancelled();
        }
        if let Some(failure) = self.expired.take() {
            return self.end_failed(None, None, failure);
        }
        let failing = self
            .frames
            .get_mut(self.body)
            .and_then(|body| body.failure.take());
        if let Some(failing) = failing {
            self.end_failed(Some(failing.at), failing.attempt, failing.failure);
        }
    }
}
