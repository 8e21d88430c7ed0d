//! Time limits over more than one attempt: of a job with all of its attempts, and of the run.

use std::collections::BTreeSet;
use std::time::Duration;

use zahir_store::{Attempt, Failure, FailureKind, Record, Timestamp};

use super::Engine;
use super::frame::{Place, Stop};
use super::state::{Change, Failing, State};

impl<V: Clone> Engine<V> {
    /// All attempts of a job together have this long, from the first on.
    pub(super) fn set_deadline(&mut self, place: Place, limit: Duration) {
        if self.kept(place).is_some_and(|kept| kept.deadline.is_some()) {
            return;
        }
        let due = self.now.after(limit);
        self.outbox.record(|| Record::DeadlineSet {
            at: Some(self.frames.position(place)),
            due,
        });
        self.keep(place, |kept| kept.deadline = Some(due));
        self.deadlines.insert((due, place));
    }

    /// A deadline of before the restart holds on.
    pub(super) fn rouse_deadline(&mut self, place: Place) {
        let due = self.kept(place).and_then(|kept| kept.deadline);
        let is_going = !self.is_stopped(place.frame) || self.is_owed(place);
        if let Some(due) = due
            && is_going
            && !self.tallies.is_recount
        {
            self.deadlines.insert((due, place));
        }
    }

    /// The deadline of a job matters no more.
    pub(super) fn drop_deadline(&mut self, place: Place) {
        if let Some(due) = self.kept(place).and_then(|kept| kept.deadline) {
            self.deadlines.remove(&(due, place));
        }
    }

    /// The attempts of a job have taken longer than they may together.
    pub(super) fn pass_deadline(&mut self, place: Place) {
        if let Some(number) = place.frame.undo() {
            return self.pass_undo_deadline(number, place);
        }
        let Some(tries) = self.tries(place) else {
            return;
        };
        let limit = self.policy(place).total_timeout.unwrap_or_default();
        let failure = Failure {
            kind: FailureKind::TimedOut,
            message: format!("its attempts took longer than its `total_timeout` of {limit:?}"),
        };
        let failing = Failing {
            at: self.frames.position(place),
            attempt: Attempt::new(tries.attempts),
            failure: failure.clone(),
            error: None,
        };
        let at = failing.at.clone();
        match failing.attempt {
            Some(attempt) if !self.is_recovering(place) && self.can_recover(place, &failing) => {
                self.outbox.record(|| Record::RecoveryBegan {
                    at,
                    attempt,
                    failure,
                });
                self.withdraw(place);
                self.recover_from(place, failing);
                self.unblock_if_free(place);
            }
            _ => {
                let at = Some(at);
                self.outbox
                    .record(|| Record::DeadlinePassed { at, failure });
                self.withdraw(place);
                self.give_up(place, failing);
            }
        }
        self.settle(place.frame);
    }

    /// Drops the attempt of a job that is under way, or takes back what it waits for.
    pub(super) fn withdraw(&mut self, place: Place) {
        let Some(instance) = self.instance(place) else {
            return;
        };
        let state = &instance.state;
        if let State::Running(_) | State::Parked(_) | State::Resuming(_) = state {
            self.abort(&BTreeSet::from([place]));
        } else if let State::Ready(_) = state {
            self.take_back(place);
        } else if let State::Backoff(_, due) = state {
            self.timers.remove(&(*due, place));
            self.change(place, Change::Due);
        }
        if self.owed.remove(&place) {
            self.shift_live(place.frame, false);
        }
    }

    /// The run has this long from now on.
    pub(super) fn set_run_deadline(&mut self, limit: Duration) {
        let due = self.now.after(limit);
        self.outbox.record(|| Record::DeadlineSet { at: None, due });
        self.run_deadline = Some((self.now, due));
    }

    /// The run has taken longer than it may: everything under way is dropped, and it fails.
    pub(super) fn pass_run_deadline(&mut self, since: Timestamp, due: Timestamp) {
        let limit = due.since(since);
        let failure = Failure {
            kind: FailureKind::TimedOut,
            message: format!("it took longer than its `timeout` of {limit:?}"),
        };
        self.outbox.record(|| Record::DeadlinePassed {
            at: None,
            failure: failure.clone(),
        });
        self.expire_run(failure);
    }

    /// The run fails for its time limit.
    pub(super) fn expire_run(&mut self, failure: Failure) {
        self.run_deadline = None;
        self.expired = Some(failure);
        self.stop(self.body, Stop::Cancelled);
        self.settle(self.body);
    }
}
