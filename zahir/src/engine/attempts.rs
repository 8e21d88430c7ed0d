//! Attempts of jobs: how they start, end, and are tried again; and the recovery jobs that take over.

use std::sync::Arc;

use zahir_store::{Attempt, Failure, FailureKind, Record, Timestamp};

use super::action::{Action, KeptValue, Violation, Work};
use super::advance::violation;
use super::blocks::can_be_handled;
use super::frame::Place;
use super::report::{AttemptOutcome, Extra, Verdict};
use super::spawning::{Asked, Denied};
use super::state::{Change, Failing, Kept, State, Tries};
use super::{Engine, Phase, mix};
use crate::job::policy::Policy;

/// How an attempt failed.
pub(super) struct Failed<V> {
    pub(super) failure: Failure,
    /// The error itself and its encoding, if a handler may be given it.
    pub(super) error: Option<(V, Vec<u8>)>,
}

impl<V> From<Failure> for Failed<V> {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            error: None,
        }
    }
}

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
            if self.is_ready(place) {
                free -= 1;
                self.ready_count -= 1;
                if self.parked.contains(&place) {
                    self.resume_attempt(place);
                } else {
                    self.start_attempt(place);
                }
            }
        }
    }

    fn is_ready(&self, place: Place) -> bool {
        if let Some(number) = place.frame.undo() {
            return self.undoing.is_ready(number);
        }
        self.instance(place)
            .is_some_and(|instance| instance.state.is_ready())
    }

    /// A job waits for a slot; or first for the lane, if its next crash would be its last.
    pub(super) fn make_ready(&mut self, place: Place) {
        self.change(place, Change::Unblocked);
        if self.tries(place).is_some_and(|it| self.is_suspect(it)) {
            self.suspects.push_back(place);
            self.in_lane.take_if(|holder| *holder == place);
        } else {
            self.ready.push_back(place);
            self.ready_count += 1;
        }
    }

    /// Whether the next crash of a job would be its last.
    pub(super) const fn is_suspect(&self, tries: Tries) -> bool {
        let Tries { crashes, .. } = tries;
        crashes > 0 && crashes.saturating_add(1) >= self.crashes_max
    }

    /// A job that waited for a slot does so no more.
    pub(super) fn take_back(&mut self, place: Place) {
        match self.suspects.iter().position(|suspect| *suspect == place) {
            Some(at) => drop(self.suspects.remove(at)),
            // A suspect that holds the lane was counted, too.
            None => self.ready_count = self.ready_count.saturating_sub(1),
        }
        self.change(place, Change::Interrupted);
    }

    /// Lets the first suspect wait for a slot, before all others.
    pub(super) fn enter_lane(&mut self) {
        if let Some(place) = self.suspects.pop_front() {
            self.in_lane = Some(place);
            self.ready.push_front(place);
            self.ready_count += 1;
        }
    }

    /// Whether an attempt waits for the lane: no two attempts whose next crash would be their last run
    /// at the same time, so that none is blamed for another.
    pub(crate) fn wants_lane(&self) -> bool {
        self.phase == Phase::Going && !self.suspects.is_empty() && !self.uses_lane()
    }

    /// Whether the attempt that was let into the lane has not ended.
    pub(crate) fn uses_lane(&self) -> bool {
        let suspect = self.in_lane.and_then(|place| self.instance(place));
        suspect.is_some_and(|it| it.state.is_ready() || matches!(it.state, State::Running(_)))
    }

    fn start_attempt(&mut self, place: Place) {
        if let Some(number) = place.frame.undo() {
            return self.start_undo(number);
        }
        let Some(attempt) = self.tries(place).and_then(Tries::next) else {
            return self.halt(violation("I4 attempts are numbered from 1", place));
        };
        let Some(inputs) = self.inputs(place) else {
            return;
        };
        let policy = self.policy(place);
        if let Some(limit) = policy.total_timeout {
            self.set_deadline(place, limit);
        }
        self.outbox.record(|| Record::AttemptStarted {
            at: self.frames.position(place),
            attempt,
        });
        self.begin_attempt(place, attempt, &policy);
        if !self.owed.remove(&place) {
            self.shift_live(place.frame, true);
        }
        self.progress.running += 1;
        let frames = self
            .frames
            .get(place.frame)
            .and_then(|frame| frame.path.clone());
        let work = self.work(place);
        self.outbox.gate(Action::Start {
            place,
            attempt,
            frames,
            timeout: policy.timeout,
            inputs,
            work,
        });
    }

    /// An attempt begins; the same for what is live and for what is on record.
    pub(super) fn begin_attempt(&mut self, place: Place, attempt: Attempt, policy: &Policy) {
        self.change(place, Change::Started(attempt));
        if policy.at_most_once {
            self.spend_children(place.frame);
        }
    }

    /// What the next attempt is, if it is not just the job.
    fn work(&self, place: Place) -> Option<Box<Work<V>>> {
        let kept = self.kept(place);
        let replaced = kept.and_then(|kept| kept.arguments.clone());
        let arguments = replaced.or_else(|| self.child_of(place.frame)?.arguments.clone());
        if let Some(failing) = kept.and_then(|kept| kept.failing.as_deref()) {
            let recovery = self.plan.node(place.node).recovery.as_deref();
            let is_typed = recovery.is_some_and(|recovery| recovery.is_typed);
            let caught = failing.caught();
            let error = failing.error.clone().filter(|_| is_typed);
            return Some(Box::new(Work::Recover {
                caught,
                error,
                arguments,
            }));
        }
        let state = kept.and_then(|kept| kept.state.clone());
        let values = kept.into_iter().flat_map(|kept| &kept.values);
        let values: Vec<KeptValue> = values
            .map(|(name, value)| (Arc::clone(name), Arc::clone(value)))
            .collect();
        if state.is_none() && arguments.is_none() && values.is_empty() {
            return None;
        }
        Some(Box::new(Work::Resume {
            state,
            arguments,
            kept: values,
        }))
    }

    /// Whether an attempt is under way, in a run that is not over.
    pub(super) fn is_live(&self, place: Place, attempt: Attempt) -> bool {
        self.phase != Phase::Ended
            && self
                .instance(place)
                .is_some_and(|instance| instance.state.is_running(attempt))
    }

    /// An attempt ended.
    pub(super) fn end_attempt(
        &mut self,
        place: Place,
        attempt: Attempt,
        outcome: AttemptOutcome<V>,
    ) {
        if let Some(number) = place.frame.undo() {
            return self.end_undo(number, attempt, outcome);
        }
        if !self.is_live(place, attempt) {
            return;
        }
        let (outcome, asked) = match self.ask_last(place, attempt, outcome) {
            Ok((outcome, asked)) => (outcome, asked),
            Err(Denied::TooMany(failure)) => (AttemptOutcome::faulty(failure), Asked::default()),
            Err(Denied::Told) => return,
        };
        self.shift_live(place.frame, false);
        self.progress.running = self.progress.running.saturating_sub(1);
        match outcome {
            AttemptOutcome::Succeeded {
                value,
                encoded,
                extra,
            } => {
                let extra = extra.map_or_else(Extra::default, |extra| *extra);
                self.spawn_behind(place, attempt, asked, &extra.left);
                self.succeed(place, attempt, (value, encoded), extra);
            }
            AttemptOutcome::Failed {
                failure,
                error,
                verdict,
            } => self.fail_attempt(place, attempt, Failed { failure, error }, verdict),
            AttemptOutcome::Postponed {
                after, state, left, ..
            } => {
                let due = self.now.after(after);
                self.spawn_behind(place, attempt, asked, &left);
                self.outbox.record(|| Record::AttemptPostponed {
                    at: self.frames.position(place),
                    attempt,
                    due,
                    state: state.clone(),
                });
                self.postpone(place, due, state.into());
            }
            AttemptOutcome::Continued { heir, .. } => {
                self.continue_as(place, attempt, asked, *heir);
            }
            AttemptOutcome::Interrupted => {
                self.record_interrupted(place, attempt);
                self.change(place, Change::Interrupted);
                self.unblock_if_free(place);
            }
        }
        self.settle(place.frame);
    }

    /// An attempt was dropped and is neither failed nor crashed. What must not be started twice
    /// counts as under way, and so as lost.
    pub(super) fn record_interrupted(&mut self, place: Place, attempt: Attempt) {
        if !self.policy(place).at_most_once {
            self.outbox.record(|| Record::AttemptInterrupted {
                at: self.frames.position(place),
                attempt,
            });
        }
    }

    fn succeed(&mut self, place: Place, attempt: Attempt, result: (V, Vec<u8>), extra: Extra) {
        let (value, output) = result;
        let Extra { undo, shared, .. } = extra;
        if let Some(arguments) = undo {
            self.outbox.record(|| Record::UndoOwed {
                at: self.frames.position(place),
                arguments: arguments.clone(),
            });
            let at = self.frames.position(place);
            self.undoing
                .owe(at, arguments.into(), output.as_slice().into());
        }
        if let Some((key, lasts)) = shared {
            let until = lasts.map(|lasts| self.now.after(lasts));
            self.outbox.record(|| Record::ResultShared {
                at: self.frames.position(place),
                key,
                until,
            });
        }
        let is_recovered = self.is_recovering(place);
        self.outbox.record(|| {
            let at = self.frames.position(place);
            if is_recovered {
                Record::AttemptRecovered {
                    at,
                    attempt,
                    output,
                }
            } else {
                Record::AttemptSucceeded {
                    at,
                    attempt,
                    output,
                }
            }
        });
        self.give(place, value);
    }

    /// A job has its result.
    pub(super) fn give(&mut self, place: Place, value: V) {
        self.progress.done += 1;
        self.forget(place);
        self.release_children(place);
        self.complete(place, value);
    }

    /// A job is tried again at `due`, with this state.
    pub(super) fn postpone(&mut self, place: Place, due: Timestamp, state: Arc<[u8]>) {
        self.keep(place, |kept| {
            kept.state = Some(state);
            kept.values.clear();
        });
        self.release_children(place);
        self.change(place, Change::Postponed(due));
        self.await_next(place, due);
    }

    fn fail_attempt(
        &mut self,
        place: Place,
        attempt: Attempt,
        failed: Failed<V>,
        verdict: Verdict,
    ) {
        let policy = self.policy(place);
        let failures = self.tries(place).map_or(1, |tries| tries.failed().failures);
        if verdict == Verdict::Final || policy.at_most_once || failures > policy.retry {
            return self.spend(place, attempt, failed);
        }
        let delay = if let Verdict::After(delay) = verdict {
            delay
        } else {
            policy.delay(failures, self.jitter_seed(place))
        };
        let due = self.now.after(delay);
        self.outbox.record(|| Record::AttemptFailed {
            at: self.frames.position(place),
            attempt,
            failure: failed.failure,
            retry_at: Some(due),
        });
        self.change(place, Change::Retried(due));
        self.loosen_children(place, attempt);
        self.await_next(place, due);
    }

    /// The next attempt is due then, unless its frame has stopped.
    fn await_next(&mut self, place: Place, due: Timestamp) {
        if self.phase == Phase::Replaying {
            // The timer is set when its frame is awake.
        } else if self.is_stopped(place.frame) {
            self.drop_deadline(place);
        } else {
            self.timers.insert((due, place));
        }
    }

    /// An attempt failed, and the job is not tried again: its recovery job is, if it has one.
    pub(super) fn spend(&mut self, place: Place, attempt: Attempt, failed: Failed<V>) {
        let at = self.frames.position(place);
        let Failed { failure, error } = failed;
        let is_first = !self.is_recovering(place);
        let kept = error.filter(|_| is_first && self.plan.node(place.node).keeps_error);
        let (error, encoded) = kept.unzip();
        if let Some(error) = encoded {
            let at = at.clone();
            self.outbox.record(|| Record::ErrorKept { at, error });
        }
        let failing = Failing {
            at: at.clone(),
            attempt: Some(attempt),
            failure: failure.clone(),
            error,
        };
        if is_first && self.can_recover(place, &failing) {
            self.outbox.record(|| Record::RecoveryBegan {
                at,
                attempt,
                failure,
            });
            self.recover_from(place, failing);
            return self.unblock_if_free(place);
        }
        self.outbox.record(|| Record::AttemptFailed {
            at,
            attempt,
            failure,
            retry_at: None,
        });
        self.give_up(place, failing);
    }

    pub(super) fn can_recover(&self, place: Place, failing: &Failing<V>) -> bool {
        let recovery = self.plan.node(place.node).recovery.as_deref();
        recovery.is_some_and(|recovery| {
            let fits = !recovery.is_typed || failing.error.is_some();
            fits && can_be_handled(failing.failure.kind) && !self.is_stopped(place.frame)
        })
    }

    /// The recovery job of a job takes over.
    pub(super) fn recover_from(&mut self, place: Place, failing: Failing<V>) {
        self.drop_deadline(place);
        self.disown(place);
        self.release_children(place);
        self.keep(place, |kept| {
            *kept = Kept {
                arguments: kept.arguments.take(),
                failing: Some(Box::new(failing)),
                ..Kept::default()
            }
        });
        self.change(place, Change::Recovering);
    }

    /// A job has failed for good; and so has its recovery job, if that was tried.
    pub(super) fn give_up(&mut self, place: Place, failing: Failing<V>) {
        let first = self.forget(place).and_then(|kept| kept.failing);
        let failing = match first {
            None => Box::new(failing),
            Some(mut first) => {
                let second = failing.failure.message;
                first.attempt = failing.attempt;
                first.failure.message =
                    format!("{}; its recovery failed: {second}", first.failure.message);
                first
            }
        };
        self.fail_with(place, failing);
    }

    /// Why a job can't be tried again, after the process died during an attempt of it.
    pub(super) fn loss(&self, place: Place, tries: Tries) -> Option<Failure> {
        let Tries { crashes, .. } = tries;
        if crashes >= self.crashes_max {
            Some(poisoned(crashes))
        } else if crashes > 0 && self.policy(place).at_most_once {
            let message = "the process ended while it was under way, and it is never started twice";
            Some(Failure {
                kind: FailureKind::Interrupted,
                message: message.to_owned(),
            })
        } else {
            None
        }
    }

    /// A job whose attempt died with the process is not tried again.
    pub(super) fn lose(&mut self, place: Place) {
        let Some(State::Blocked(tries)) = self.instance(place).map(|it| &it.state) else {
            return;
        };
        let tries = *tries;
        let may_fail = !self.is_stopped(place.frame) || self.is_owed(place);
        let Some(failure) = self.loss(place, tries).filter(|_| may_fail) else {
            return;
        };
        if self.owed.remove(&place) {
            self.shift_live(place.frame, false);
        }
        match Attempt::new(tries.attempts) {
            Some(attempt) => self.spend(place, attempt, failure.into()),
            None => self.halt(violation("I4 attempts are numbered from 1", place)),
        }
        self.settle(place.frame);
    }

    /// The policy of the attempt under way, and which failure in a row it would be if it failed.
    pub(crate) fn next_failure(&self, place: Place) -> Option<(Policy, u32)> {
        if let Some(number) = place.frame.undo() {
            return self.next_undo_failure(number);
        }
        let tries = self.tries(place)?;
        Some((self.policy(place), tries.failed().failures))
    }

    /// What holds for the next attempt, which may be one of the recovery job.
    pub(super) fn policy(&self, place: Place) -> Policy {
        let node = self.plan.node(place.node);
        match &node.recovery {
            Some(recovery) if self.is_recovering(place) => recovery.policy,
            _ => {
                let child = self.child_of(place.frame);
                let limits = child.and_then(|child| child.limits.as_deref());
                limits.map_or(node.policy, |limits| node.policy.limited(limits))
            }
        }
    }

    pub(super) fn is_recovering(&self, place: Place) -> bool {
        self.kept(place).is_some_and(|kept| kept.failing.is_some())
    }

    pub(super) fn kept(&self, place: Place) -> Option<&Kept<V>> {
        self.frames.get(place.frame)?.kept.get(&place.node)
    }

    /// Changes what is kept for a job.
    pub(super) fn keep(&mut self, place: Place, change: impl FnOnce(&mut Kept<V>)) {
        if let Some(frame) = self.frames.get_mut(place.frame) {
            change(frame.kept.entry(place.node).or_default());
        }
    }

    /// Nothing more is to be kept for a job: gives what was.
    pub(super) fn forget(&mut self, place: Place) -> Option<Kept<V>> {
        let frame = self.frames.get_mut(place.frame)?;
        let kept = frame.kept.remove(&place.node)?;
        if let Some(due) = kept.deadline {
            self.deadlines.remove(&(due, place));
        }
        Some(kept)
    }

    /// The same for a node instance over restarts, different for its neighbors.
    fn jitter_seed(&self, place: Place) -> u64 {
        let item = self.frames.get(place.frame).map_or(0, |frame| frame.index);
        let instance = u64::from(place.node.number()) << 32 | u64::from(item);
        mix(self.seed ^ mix(instance))
    }

    pub(super) fn tries(&self, place: Place) -> Option<Tries> {
        self.instance(place)?.state.tries()
    }
}

/// The failure of what kills the process.
pub(super) fn poisoned(crashes: u32) -> Failure {
    let times = if crashes == 1 {
        "once".to_owned()
    } else {
        format!("{crashes} times")
    };
    Failure {
        kind: FailureKind::Poisoned,
        message: format!("the process died {times} while it was under way"),
    }
}
