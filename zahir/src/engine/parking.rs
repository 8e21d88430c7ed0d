//! Attempts that wait for children: they hold no slot, and are not under way.

use std::collections::BTreeSet;
use std::sync::Arc;

use zahir_store::{Attempt, ChildCall, Record, SpawnedChild};

use super::action::{Action, ChildEnd};
use super::children::Children;
use super::frame::Place;
use super::parents::misspawned;
use super::report::AttemptOutcome;
use super::spawning::Denied;
use super::state::{Change, State};
use super::{Engine, Phase};
use crate::job::children::asked::Wait;

/// What an attempt waits for.
#[derive(Debug)]
pub(super) struct Waiting {
    /// How many children of each wait are not over, and how many may be so at the end of it.
    waits: Vec<(usize, usize)>,
    /// Which waits a child is in, for those that are not over.
    open: BTreeSet<(u32, u32)>,
    /// Those that are over and that the attempt has not been told of.
    over: Vec<u32>,
}

impl Waiting {
    /// `None` if it waits for what is not its to wait for.
    fn new<V>(children: Option<&Children<V>>, attempt: Attempt, waits: &[Wait]) -> Option<Self> {
        let mut waiting = Self {
            waits: Vec::with_capacity(waits.len()),
            open: BTreeSet::new(),
            over: Vec::new(),
        };
        let mut found = BTreeSet::new();
        for (wait, at) in waits.iter().zip(0..) {
            let mut open = 0;
            for call in &wait.children {
                let number = children?.called(call)?;
                let child = children?.get(number).filter(|child| child.is_held())?;
                if !child.is_over() {
                    open += usize::from(waiting.open.insert((number, at)));
                } else if child.told != attempt.number() && found.insert(number) {
                    waiting.over.push(number);
                }
            }
            waiting.waits.push((open, wait.open_max));
        }
        Some(waiting)
    }

    /// Whether the attempt can go on.
    fn is_satisfied(&self) -> bool {
        self.waits.is_empty() || self.waits.iter().any(|(open, max)| open <= max)
    }

    /// A child is over: whether that satisfies a wait.
    fn end(&mut self, number: u32) -> bool {
        let mut is_satisfied = false;
        let mut is_awaited = false;
        while let Some((_, wait)) = self.open.range((number, 0)..=(number, u32::MAX)).next() {
            let wait = *wait;
            self.open.remove(&(number, wait));
            is_awaited = true;
            let wait = usize::try_from(wait).ok();
            if let Some((open, max)) = wait.and_then(|wait| self.waits.get_mut(wait)) {
                *open = open.saturating_sub(1);
                is_satisfied |= open <= max;
            }
        }
        if is_awaited {
            self.over.push(number);
        }
        is_satisfied
    }
}

impl<V: Clone> Engine<V> {
    /// An attempt waits for children, some of which it spawned just before. If there is nothing to
    /// wait for, it goes on and keeps its slot.
    pub(super) fn park(
        &mut self,
        place: Place,
        attempt: Attempt,
        spawned: Vec<SpawnedChild>,
        waits: &[Wait],
    ) {
        if !self.is_live(place, attempt) {
            return;
        }
        match self.ask(place, attempt, spawned, 0) {
            Ok(asked) => self.spawn(place, attempt, asked),
            Err(Denied::Told) => return,
            Err(Denied::TooMany(failure)) => {
                self.end_attempt(place, attempt, AttemptOutcome::faulty(failure));
                return self.outbox.gate(Action::Abort { place, attempt });
            }
        }
        let Some(waiting) = Waiting::new(self.children(place), attempt, waits) else {
            return self.halt(misspawned(place));
        };
        let is_satisfied = waiting.is_satisfied();
        if let Some(children) = self.children_mut(place) {
            children.waiting = Some(waiting);
        }
        if is_satisfied {
            return self.resume(place, attempt);
        }
        self.shift_live(place.frame, false);
        self.progress.running = self.progress.running.saturating_sub(1);
        if self.phase == Phase::Going && !self.is_stopped(place.frame) {
            self.outbox.record(|| Record::AttemptParked {
                at: self.frames.position(place),
                attempt,
            });
            self.change(place, Change::Parked);
            self.parked.insert(place);
            return;
        }
        // It would wait for what may never begin.
        self.record_interrupted(place, attempt);
        self.change(place, Change::Interrupted);
        self.outbox.gate(Action::Abort { place, attempt });
        self.settle(place.frame);
    }

    /// A child is over: its parent may have waited for that.
    pub(super) fn tell(&mut self, parent: Place, number: u32) {
        let waiting = self
            .children_mut(parent)
            .and_then(|children| children.waiting.as_mut());
        if waiting.is_some_and(|waiting| waiting.end(number)) {
            self.go_on_waking(parent);
        }
    }

    /// An attempt that is parked has something else to do.
    pub(super) fn rouse_parked(&mut self, place: Place, attempt: Attempt) {
        let is_parked = self
            .instance(place)
            .is_some_and(|it| it.state.is_parked(attempt));
        if is_parked && self.phase == Phase::Going {
            self.go_on_waking(place);
        }
    }

    /// An attempt that is parked waits for a slot, before all that has not begun; or first for the
    /// lane.
    fn go_on_waking(&mut self, place: Place) {
        let Some(State::Parked(tries)) = self.instance(place).map(|it| &it.state) else {
            return;
        };
        let tries = *tries;
        self.change(place, Change::Woken);
        if self.is_suspect(tries) {
            self.suspects.push_back(place);
            self.in_lane.take_if(|holder| *holder == place);
        } else {
            self.ready.push_front(place);
            self.ready_count += 1;
        }
    }

    /// An attempt that was parked has a slot.
    pub(super) fn resume_attempt(&mut self, place: Place) {
        let tries = self.tries(place);
        let Some(attempt) = tries.and_then(|tries| Attempt::new(tries.attempts)) else {
            return;
        };
        self.outbox.record(|| Record::AttemptResumed {
            at: self.frames.position(place),
            attempt,
        });
        self.change(place, Change::Resumed);
        self.parked.remove(&place);
        self.shift_live(place.frame, true);
        self.progress.running += 1;
        self.resume(place, attempt);
    }

    /// Lets an attempt go on, with how the children ended that it waited for.
    fn resume(&mut self, place: Place, attempt: Attempt) {
        let ended = self.endings(place, attempt);
        self.outbox.gate(Action::Resume {
            place,
            attempt,
            ended,
        });
    }

    fn endings(&mut self, place: Place, attempt: Attempt) -> Vec<(ChildCall, ChildEnd<V>)> {
        let Some(children) = self.children_mut(place) else {
            return Vec::new();
        };
        let over = children.waiting.take().map(|waiting| waiting.over);
        let mut ended = Vec::new();
        for number in over.unwrap_or_default() {
            if let Some(child) = children.get_mut(number)
                && let Some(end) = child.ending()
            {
                child.told = attempt.number();
                ended.push((child.call.clone(), end));
            }
        }
        ended
    }

    /// Drops an attempt that is parked: on record it is not under way.
    pub(super) fn drop_parked(&mut self, place: Place) {
        self.parked.remove(&place);
        if let Some(children) = self.children_mut(place) {
            children.waiting = None;
        }
        match self.instance(place).map(|it| &it.state) {
            Some(State::Resuming(_)) => self.take_back(place),
            Some(State::Parked(_)) => self.change(place, Change::Interrupted),
            _ => {}
        }
    }

    /// Drops all attempts that are parked: the process is about to end.
    pub(super) fn drop_all_parked(&mut self) {
        for place in std::mem::take(&mut self.parked) {
            let tries = self.tries(place);
            let attempt = tries.and_then(|tries| Attempt::new(tries.attempts));
            self.drop_parked(place);
            if let Some(attempt) = attempt {
                self.outbox.gate(Action::Abort { place, attempt });
            }
        }
    }

    /// An attempt under way has a value that those after it are to have, too.
    pub(super) fn keep_value(
        &mut self,
        place: Place,
        attempt: Attempt,
        name: &str,
        value: Vec<u8>,
    ) {
        if !self.is_live(place, attempt) {
            return;
        }
        let name: Arc<str> = name.into();
        let is_known = self
            .kept(place)
            .is_some_and(|kept| kept.values.contains_key(&name));
        if !is_known {
            let bytes: Arc<[u8]> = value.as_slice().into();
            self.outbox.record(|| Record::ValueKept {
                at: self.frames.position(place),
                name: name.as_ref().to_owned(),
                value,
            });
            let key = Arc::clone(&name);
            self.keep(place, |kept| drop(kept.values.insert(key, bytes)));
        }
        self.outbox.gate(Action::Kept {
            place,
            attempt,
            name,
        });
    }
}
