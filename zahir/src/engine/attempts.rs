//! Attempts of jobs: how they start, end, and are tried again.

use zahir_store::{Attempt, Failure, Record};

use super::action::{Action, Violation};
use super::advance::violation;
use super::frame::Place;
use super::report::AttemptOutcome;
use super::state::{Change, Failing, State, Tries};
use super::{Engine, Phase, mix};

impl<V: Clone> Engine<V> {
    /// Starts as many attempts as were granted.
    pub(super) fn start_attempts(&mut self, slots: usize) {
        if slots > self.wanted() {
            return self.halt(Violation {
                invariant: "I8 no more is granted than is wanted",
                seen: format!("{slots} slots for {} nodes", self.wanted()),
            });
        }
        let mut free = slots;
        while free > 0
            && let Some(place) = self.ready.pop_front()
        {
            // It may have been taken back since.
            let is_ready = self
                .instance(place)
                .is_some_and(|instance| matches!(instance.state, State::Ready(_)));
            if is_ready {
                free -= 1;
                self.ready_count -= 1;
                self.start_attempt(place);
            }
        }
    }

    /// A job waits for a slot.
    pub(super) fn make_ready(&mut self, place: Place) {
        self.change(place, Change::Unblocked);
        self.ready.push_back(place);
        self.ready_count += 1;
    }

    fn start_attempt(&mut self, place: Place) {
        let Some(attempt) = self.tries(place).and_then(Tries::next) else {
            return self.halt(violation("I4 attempts are numbered from 1", place));
        };
        let Some(inputs) = self.inputs(place) else {
            return;
        };
        self.outbox.record(|| Record::AttemptStarted {
            at: self.frames.position(place),
            attempt,
        });
        self.change(place, Change::Started(attempt));
        if !self.owed.remove(&place) {
            self.shift_live(place.frame, true);
        }
        self.progress.running += 1;
        let timeout = self.plan.node(place.node).policy.timeout;
        let frames = self
            .frames
            .get(place.frame)
            .and_then(|frame| frame.path.clone());
        self.outbox.gate(Action::Start {
            place,
            attempt,
            frames,
            timeout,
            inputs,
            work: None,
        });
    }

    /// An attempt ended.
    pub(super) fn end_attempt(
        &mut self,
        place: Place,
        attempt: Attempt,
        outcome: AttemptOutcome<V>,
    ) {
        let is_live = self.phase != Phase::Ended
            && self
                .instance(place)
                .is_some_and(|instance| instance.state.is_running(attempt));
        if !is_live {
            return;
        }
        self.shift_live(place.frame, false);
        self.progress.running = self.progress.running.saturating_sub(1);
        match outcome {
            AttemptOutcome::Succeeded { value, encoded, .. } => {
                self.outbox.record(|| Record::AttemptSucceeded {
                    at: self.frames.position(place),
                    attempt,
                    output: encoded,
                });
                self.progress.done += 1;
                self.complete(place, value);
            }
            AttemptOutcome::Failed { failure, error, .. } => {
                self.fail_attempt(place, attempt, failure, error);
            }
            AttemptOutcome::Postponed { .. } | AttemptOutcome::Interrupted => {
                self.outbox.record(|| Record::AttemptInterrupted {
                    at: self.frames.position(place),
                    attempt,
                });
                self.change(place, Change::Interrupted);
                self.unblock_if_free(place);
            }
        }
        self.settle(place.frame);
    }

    fn fail_attempt(
        &mut self,
        place: Place,
        attempt: Attempt,
        failure: Failure,
        error: Option<(V, Vec<u8>)>,
    ) {
        let policy = self.plan.node(place.node).policy;
        let failures = self
            .tries(place)
            .map_or(1, |tries| tries.failures.saturating_add(1));
        let at = self.frames.position(place);
        if failures > policy.retry {
            let kept = error.filter(|_| self.plan.node(place.node).keeps_error);
            let (error, encoded) = kept.unzip();
            if let Some(error) = encoded {
                let at = at.clone();
                self.outbox.record(|| Record::ErrorKept { at, error });
            }
            self.outbox.record(|| Record::AttemptFailed {
                at: at.clone(),
                attempt,
                failure: failure.clone(),
                retry_at: None,
            });
            let failing = Failing {
                at,
                attempt: Some(attempt),
                failure,
                error,
            };
            return self.fail_with(place, Box::new(failing));
        }
        let delay = policy.delay(failures, self.jitter_seed(place));
        let due = self.now.after(delay);
        self.outbox.record(|| Record::AttemptFailed {
            at,
            attempt,
            failure,
            retry_at: Some(due),
        });
        self.change(place, Change::Retried(due));
        if !self.is_stopped(place.frame) {
            self.timers.insert((due, place));
        }
    }

    /// The same for a node instance over restarts, different for its neighbors.
    fn jitter_seed(&self, place: Place) -> u64 {
        let item = self.frames.get(place.frame).map_or(0, |frame| frame.index);
        let instance = u64::from(place.node.number()) << 32 | u64::from(item);
        mix(self.seed ^ mix(instance))
    }

    fn tries(&self, place: Place) -> Option<Tries> {
        self.instance(place)?.state.tries()
    }
}
