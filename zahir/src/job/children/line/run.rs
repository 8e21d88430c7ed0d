//! The side of the run: it polls the attempt, asks what that waits for, and tells how children ended.

use std::collections::BTreeSet;
use std::mem;
use std::task::Waker;

use zahir_store::{ChildCall, Failure};

use super::{ChildEnd, Entrance, Leaving, Line, Petition, Phase, wake};
use crate::job::children::asked::Wait;

/// The task that polls the attempt.
impl Line {
    /// The attempt is about to be polled by a task with this waker.
    pub(crate) fn enter(&self, task: &Waker) -> Entrance {
        let mut state = self.lock();
        if !state.task.as_ref().is_some_and(|own| own.will_wake(task)) {
            state.task = Some(task.clone());
        }
        match state.phase {
            Phase::Parking | Phase::Parked | Phase::Woken => return Entrance::Wait,
            Phase::Running | Phase::Over => {}
        }
        if state.has_more && !state.is_woken {
            return Entrance::Report;
        }
        state.is_woken = false;
        state.is_polled = true;
        Entrance::Poll
    }

    /// The attempt was polled, and is pending. `parks`: whether it may park. It may not if it is about
    /// to be polled again by a task that nobody could wake yet.
    pub(crate) fn leave(&self, parks: bool) -> Petition {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.is_polled = false;
        if let Some(fault) = state.fault.take() {
            return Petition::Fail(fault);
        }
        if let Some(heir) = state.heir.take() {
            let spawned = state.bequest(&heir);
            return Petition::Continue { spawned, heir };
        }
        if !parks || state.is_woken {
            return Petition::Nothing;
        }
        if !state.is_waiting() {
            return Petition::Nothing;
        }
        let spawned = state.report();
        state.phase = Phase::Parking;
        state.has_more = !state.fresh.is_empty();
        let waits = if state.has_more {
            // Over at once: so that the rest is reported.
            vec![Wait {
                children: Vec::new(),
                open_max: 0,
            }]
        } else {
            // Only now: they may be as many as all the children that were reported in parts.
            state.waits()
        };
        Petition::Park { spawned, waits }
    }

    /// That the attempt waits is reported: says whether it was woken meanwhile, which has to be
    /// reported behind that.
    pub(crate) fn park(&self) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Parking {
            // Whoever was told has answered already.
            return false;
        }
        if state.is_woken {
            state.phase = Phase::Woken;
        } else {
            state.phase = Phase::Parked;
        }
        state.is_woken
    }

    /// Something has woken the job: says whether that has to be reported.
    pub(crate) fn wake(&self) -> bool {
        let mut guard = self.lock();
        guard.is_woken = true;
        match guard.phase {
            Phase::Running => {
                let task = guard.task.clone();
                drop(guard);
                wake(task);
                false
            }
            Phase::Parked => {
                guard.phase = Phase::Woken;
                true
            }
            Phase::Parking | Phase::Woken | Phase::Over => false,
        }
    }

    /// How many waits for children end with this waker.
    pub(crate) fn waits_with(&self, waker: &Waker) -> usize {
        let state = self.lock();
        let wakers = state.groups.values().filter_map(|it| it.waker.as_ref());
        wakers.filter(|it| it.will_wake(waker)).count()
    }

    /// What is wrong with what the attempt did, if it has ended meanwhile.
    pub(crate) fn fault(&self) -> Option<Failure> {
        self.lock().fault.take()
    }

    /// The attempt has a result, or asks to be followed by another one.
    pub(crate) fn conclude(&self) -> Leaving {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.phase = Phase::Over;
        let spawned = state.unreported_all(&BTreeSet::new());
        let mut left = mem::take(&mut state.left);
        left.extend(mem::take(&mut state.reported).into_keys());
        Leaving {
            spawned,
            left: left.into_iter().collect(),
        }
    }

    /// The attempt is over, whatever came of it.
    pub(crate) fn close(&self) {
        let mut guard = self.lock();
        guard.phase = Phase::Over;
        let mut state = mem::take(&mut *guard);
        guard.phase = Phase::Over;
        drop(guard);
        let groups = state.groups.values_mut();
        let wakers: Vec<_> = groups.filter_map(|group| group.waker.take()).collect();
        drop(state);
        // Tasks of their own that wait for children: they are told that the attempt is over.
        for waker in wakers {
            waker.wake();
        }
    }
}

/// The driver of the run.
impl Line {
    /// These children are over. The attempt goes on.
    pub(crate) fn resume(&self, ended: Vec<(ChildCall, ChildEnd)>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.phase == Phase::Over {
            drop(guard);
            return drop(ended);
        }
        state.phase = Phase::Running;
        let mut wakers = Vec::new();
        let mut unclaimed = Vec::new();
        for (call, end) in ended {
            match state.end(&call, end) {
                Ok(waker) => wakers.extend(waker),
                Err(end) => unclaimed.push(end),
            }
        }
        wakers.extend(state.task.clone());
        drop(guard);
        drop(unclaimed);
        for waker in wakers {
            waker.wake();
        }
    }
}
