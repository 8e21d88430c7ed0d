//! Undoing: before a run ends as failed or cancelled, what its jobs have done is undone.
//!
//! A result is undone when everything that rests on it is: what used it, and what the workflow says
//! comes after it. What does not rest on each other is undone at the same time. If a result can't be
//! undone, what it rests on stays as it is.
//!
//! A job rests on the children that it held, and those that follow it rest on it. Children rest on those
//! that were spawned before them, unless that was at once. A child that gives its parent's result rests
//! on the others. `order.rs` finds what is next.

mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{Attempt, Ending, Failure, FailureKind, NodeId, Position, Record, Timestamp};

use self::order::{Level, Task};
use super::action::{Action, Work};
use super::attempts::poisoned;
use super::frame::{FrameId, Place};
use super::report::{AttemptOutcome, Verdict};
use super::state::Tries;
use super::{Engine, Phase, mix};
use crate::job::policy::Policy;
use crate::plan::RegionId;

/// The results that are owed an undo, and how far that has come.
#[derive(Debug, Default)]
pub(super) struct Undoing {
    /// In the order in which they came.
    owed: Vec<Owed>,
    /// How the run ends behind it, as soon as it has begun.
    ending: Option<Ending>,
    /// The attempt that failed the run.
    attempt: Option<Attempt>,
    /// The results by position: numbers of `owed`.
    order: Vec<usize>,
    levels: Vec<Level>,
    /// The nodes that each node of a region rests on, by slot; made when first needed.
    needs: BTreeMap<RegionId, Arc<[Vec<usize>]>>,
    tasks: Vec<Task>,
    /// How many attempts are under way, wait for a slot or for a time.
    active: usize,
    /// How many attempts are under way.
    running: usize,
    /// Whether anything in the plan can be undone.
    is_possible: bool,
    /// The children that rest on their parent or on its other children, by parent.
    followers: BTreeMap<Position, BTreeSet<u32>>,
    /// The numbers of the children that were the first of those spawned at once, by parent: those
    /// spawned later may rest on them.
    waves: BTreeMap<Position, Vec<u32>>,
    /// The first result that can't be undone.
    stuck: Option<(Position, Failure)>,
}

#[derive(Debug)]
struct Owed {
    at: Position,
    arguments: Arc<[u8]>,
    output: Arc<[u8]>,
    state: State,
    /// When all attempts to undo it have to be over.
    deadline: Option<Timestamp>,
    /// Where it is listed, while it is being undone.
    level: Option<usize>,
}

/// What has become of the undo of a result.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Something that rests on it is not undone yet.
    Waiting(Tries),
    /// It waits for a slot.
    Ready(Tries),
    Running(Tries),
    Backoff(Tries, Timestamp),
    Undone,
    /// It failed for good.
    Stuck,
}

impl Undoing {
    pub(super) fn new(is_possible: bool) -> Self {
        Self {
            is_possible,
            ..Self::default()
        }
    }

    /// A job has a result that can be undone.
    pub(super) fn owe(&mut self, at: Position, arguments: Arc<[u8]>, output: Arc<[u8]>) {
        self.owed.push(Owed {
            at,
            arguments,
            output,
            state: State::Waiting(Tries::default()),
            deadline: None,
            level: None,
        });
    }

    /// A child follows its parent.
    fn follow(&mut self, parent: Position, number: u32) {
        self.followers.entry(parent).or_default().insert(number);
    }

    fn begin_wave(&mut self, parent: Position, first: u32) {
        self.waves.entry(parent).or_default().push(first);
    }

    pub(super) const fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.ending.is_some()
    }

    pub(super) const fn running(&self) -> usize {
        self.running
    }

    pub(super) const fn active(&self) -> usize {
        self.active
    }

    pub(super) fn is_ready(&self, number: u32) -> bool {
        let owed = usize::try_from(number)
            .ok()
            .and_then(|it| self.owed.get(it));
        owed.is_some_and(|owed| matches!(owed.state, State::Ready(_)))
    }

    /// Which attempt has failed the run is on record elsewhere.
    pub(super) fn recall_attempt(&mut self, last: impl FnOnce(&Position) -> Option<Attempt>) {
        if let Some(Ending::Failed { at: Some(at), .. }) = &self.ending {
            self.attempt = last(at);
        }
    }

    /// The run is to end like this.
    pub(super) fn begin(&mut self, ending: Ending, attempt: Option<Attempt>) {
        self.ending = Some(ending);
        self.attempt = attempt;
        let mut order: Vec<usize> = (0..self.owed.len()).collect();
        order.sort_by(|one, other| self.owed[*one].at.cmp(&self.owed[*other].at));
        self.order = order;
    }

    /// The number of the result at a position.
    fn find(&self, at: &Position) -> Option<usize> {
        let found = self.order.binary_search_by(|it| self.owed[*it].at.cmp(at));
        found.ok().map(|at| self.order[at])
    }

    /// Applies what is on record.
    pub(super) fn replay(
        &mut self,
        at: &Position,
        attempt: Attempt,
        what: &Undone,
    ) -> Result<(), &'static str> {
        let number = self.find(at).ok_or("nothing there is owed an undo")?;
        let state = &mut self.owed[number].state;
        let next = match (*state, what) {
            (State::Waiting(tries) | State::Backoff(tries, _), Undone::Started) => {
                begun(tries, attempt)
            }
            (State::Running(tries), Undone::Started) => begun(tries.crashed(), attempt),
            (State::Running(tries), _) if tries.attempts != attempt.number() => None,
            (State::Running(_), Undone::Succeeded) => Some(State::Undone),
            (State::Running(tries), Undone::Interrupted) => Some(State::Waiting(tries)),
            (State::Running(tries), Undone::Failed(_, Some(due))) => {
                Some(State::Backoff(tries.failed(), *due))
            }
            // Its time may be over between two attempts.
            (
                State::Running(tries) | State::Waiting(tries) | State::Backoff(tries, _),
                Undone::Failed(failure, None),
            ) if tries.attempts == attempt.number() => {
                self.stuck.get_or_insert((at.clone(), failure.clone()));
                Some(State::Stuck)
            }
            (_, _) => None,
        };
        *state = next.ok_or("that attempt to undo was not under way")?;
        Ok(())
    }

    /// Applies what is on record of a time limit.
    pub(super) fn replay_deadline(
        &mut self,
        at: &Position,
        due: Timestamp,
    ) -> Result<(), &'static str> {
        let number = self.find(at).ok_or("nothing there is owed an undo")?;
        self.owed[number].deadline = Some(due);
        Ok(())
    }

    /// The attempts that were under way when the process died, and how often that was so.
    fn crash(&mut self) -> Vec<(usize, Tries)> {
        let mut crashed = Vec::new();
        for (number, owed) in self.owed.iter_mut().enumerate() {
            if let State::Running(tries) = owed.state {
                let tries = tries.crashed();
                owed.state = State::Waiting(tries);
                crashed.push((number, tries));
            }
        }
        crashed
    }

    /// How the run ends, with what could not be undone.
    fn end(&mut self) -> Option<(Ending, Option<Attempt>)> {
        let ending = self.ending.take()?;
        let Some((at, stuck)) = self.stuck.take() else {
            return Some((ending, self.attempt));
        };
        let Failure { kind, message } = stuck;
        let (at, kind, first) = match ending {
            Ending::Failed { at, failure } => (at, failure.kind, failure.message),
            Ending::Succeeded { .. } | Ending::Cancelled => {
                (Some(at), kind, "the run was cancelled".to_owned())
            }
        };
        let message = format!("{first}; and not all of it could be undone: {message}");
        let failure = Failure { kind, message };
        Some((Ending::Failed { at, failure }, self.attempt))
    }
}

/// What a record says of an attempt to undo a result.
pub(super) enum Undone {
    Started,
    Succeeded,
    Failed(Failure, Option<Timestamp>),
    Interrupted,
}

fn begun(tries: Tries, attempt: Attempt) -> Option<State> {
    let is_next = tries.next() == Some(attempt);
    let attempts = attempt.number();
    is_next.then_some(State::Running(Tries { attempts, ..tries }))
}

impl<V: Clone> Engine<V> {
    /// The run ends like this once everything that is owed an undo was undone.
    pub(super) fn begin_undoing(&mut self, ending: Ending, attempt: Option<Attempt>) {
        self.drop_waiting();
        self.outbox.record(|| Record::UndoingBegan {
            ending: ending.clone(),
        });
        self.undoing.begin(ending, attempt);
        self.go_on_undoing();
    }

    /// A child follows its parent: what it did is undone first.
    pub(super) fn follow(&mut self, parent: Place, number: u32) {
        if self.undoing.is_possible {
            let parent = self.frames.position(parent);
            self.undoing.follow(parent, number);
        }
    }

    /// A job has spawned children at once, of which this is the first.
    pub(super) fn begin_wave(&mut self, parent: Place, first: u32) {
        if self.undoing.is_possible {
            let parent = self.frames.position(parent);
            self.undoing.begin_wave(parent, first);
        }
    }

    /// The results that could not be undone.
    pub(crate) fn not_undone(&self) -> impl Iterator<Item = &Position> {
        let owed = self.undoing.owed.iter();
        owed.filter(|owed| matches!(owed.state, State::Stuck))
            .map(|owed| &owed.at)
    }

    /// Undoes what is left, in a process that begins with it or after another one.
    pub(super) fn go_on_undoing(&mut self) {
        self.phase = Phase::Undoing;
        for (number, tries) in self.undoing.crash() {
            if tries.crashes >= self.crashes_max
                && let Some(attempt) = Attempt::new(tries.attempts)
            {
                self.give_up_undo(number, attempt, poisoned(tries.crashes));
            }
        }
        self.rouse_undo_deadlines();
        self.undoing.unroll(&self.plan);
        self.undo_next();
    }

    /// Time limits of before the restart hold on. Those that are over by now count before anything is
    /// tried again.
    fn rouse_undo_deadlines(&mut self) {
        for number in 0..self.undoing.owed.len() {
            let owed = &self.undoing.owed[number];
            if let Some(due) = owed.deadline
                && let State::Waiting(tries) | State::Backoff(tries, _) = owed.state
            {
                match Attempt::new(tries.attempts) {
                    Some(attempt) if due <= self.now => {
                        let failure = self.undo_timed_out(number);
                        self.give_up_undo(number, attempt, failure);
                    }
                    Some(_) | None => {
                        self.deadlines.insert((due, self.undo_place(number)));
                    }
                }
            }
        }
    }

    /// Makes ready what can be undone now. If nothing is left, the run ends.
    fn undo_next(&mut self) {
        if self.phase != Phase::Undoing {
            return;
        }
        for (number, until) in self.undoing.go_on(&self.plan) {
            let place = self.undo_place(number);
            match until {
                Some(until) => {
                    self.timers.insert((until, place));
                }
                None => {
                    self.ready.push_back(place);
                    self.ready_count += 1;
                }
            }
        }
        if self.undoing.active == 0
            && let Some((ending, attempt)) = self.undoing.end()
        {
            self.finish(ending, attempt, None);
        }
    }

    fn undo_place(&self, number: usize) -> Place {
        Place {
            frame: FrameId::of_undo(u32::try_from(number).unwrap_or(u32::MAX)),
            node: self.undoing.owed[number].at.node,
        }
    }

    /// The time has come for the next attempt to undo a result.
    pub(super) fn rouse_undo(&mut self, number: u32, place: Place) {
        if let Some(owed) = self.owed_undo(number)
            && let State::Backoff(tries, _) = owed.state
        {
            owed.state = State::Ready(tries);
            self.ready.push_back(place);
            self.ready_count += 1;
        }
    }

    fn owed_undo(&mut self, number: u32) -> Option<&mut Owed> {
        self.undoing.owed.get_mut(usize::try_from(number).ok()?)
    }

    pub(super) fn start_undo(&mut self, number: u32) {
        let Some(owed) = self.owed_undo(number) else {
            return;
        };
        let State::Ready(tries) = owed.state else {
            return;
        };
        let Some(attempt) = tries.next() else {
            return;
        };
        let attempts = attempt.number();
        owed.state = State::Running(Tries { attempts, ..tries });
        let at = owed.at.clone();
        let work = Work::Undo {
            arguments: Arc::clone(&owed.arguments),
            output: Arc::clone(&owed.output),
        };
        let place = Place {
            frame: FrameId::of_undo(number),
            node: at.node,
        };
        let frames = (!at.frames.is_empty()).then(|| at.frames.as_slice().into());
        let policy = self.undo_policy(place.node);
        if let Some(limit) = policy.total_timeout {
            self.set_undo_deadline(number, place, limit);
        }
        self.outbox.record(|| Record::UndoStarted { at, attempt });
        self.progress.running += 1;
        self.undoing.running += 1;
        self.outbox.gate(Action::Start {
            place,
            attempt,
            frames,
            timeout: policy.timeout,
            inputs: Vec::new(),
            work: Some(Box::new(work)),
        });
    }

    /// An attempt to undo a result ended.
    pub(super) fn end_undo(&mut self, number: u32, attempt: Attempt, outcome: AttemptOutcome<V>) {
        let Ok(number) = usize::try_from(number) else {
            return;
        };
        let Some(owed) = self.undoing.owed.get_mut(number) else {
            return;
        };
        let State::Running(tries) = owed.state else {
            return;
        };
        if tries.attempts != attempt.number() || self.phase == Phase::Ended {
            return;
        }
        let at = owed.at.clone();
        self.progress.running = self.progress.running.saturating_sub(1);
        self.undoing.running -= 1;
        match outcome {
            AttemptOutcome::Succeeded { .. } => {
                self.outbox.record(|| Record::UndoSucceeded { at, attempt });
                self.undoing.active -= 1;
                self.drop_undo_deadline(number);
                self.undoing.undone(&self.plan, number);
            }
            AttemptOutcome::Failed {
                failure, verdict, ..
            } => self.fail_undo(number, attempt, failure, verdict),
            AttemptOutcome::Postponed { .. } | AttemptOutcome::Continued { .. } => {
                let failure = Failure {
                    kind: FailureKind::Error,
                    message: "a job that undoes ends in its own attempt".to_owned(),
                };
                self.fail_undo(number, attempt, failure, Verdict::Final);
            }
            AttemptOutcome::Interrupted => {
                owed.state = State::Waiting(tries);
                self.undoing.active -= 1;
                self.outbox
                    .record(|| Record::UndoInterrupted { at, attempt });
            }
        }
        self.undo_next();
    }

    fn fail_undo(&mut self, number: usize, attempt: Attempt, failure: Failure, verdict: Verdict) {
        let owed = &mut self.undoing.owed[number];
        let State::Running(tries) = owed.state else {
            return;
        };
        let (at, tries) = (owed.at.clone(), tries.failed());
        let policy = self.undo_policy(at.node);
        if verdict == Verdict::Final || tries.failures > policy.retry {
            self.undoing.active -= 1;
            return self.give_up_undo(number, attempt, failure);
        }
        let delay = if let Verdict::After(delay) = verdict {
            delay
        } else {
            let instance = u64::try_from(number).unwrap_or_default();
            policy.delay(tries.failures, mix(self.seed ^ mix(instance)))
        };
        let due = self.now.after(delay);
        self.undoing.owed[number].state = State::Backoff(tries, due);
        self.outbox.record(|| Record::UndoFailed {
            at,
            attempt,
            failure,
            retry_at: Some(due),
        });
        self.timers.insert((due, self.undo_place(number)));
    }

    /// All attempts to undo a result together have this long, from the first on.
    fn set_undo_deadline(&mut self, number: u32, place: Place, limit: Duration) {
        let due = self.now.after(limit);
        if let Some(owed) = self.owed_undo(number)
            && owed.deadline.is_none()
        {
            owed.deadline = Some(due);
            let at = Some(owed.at.clone());
            self.outbox.record(|| Record::DeadlineSet { at, due });
            self.deadlines.insert((due, place));
        }
    }

    fn drop_undo_deadline(&mut self, number: usize) {
        if let Some(due) = self.undoing.owed[number].deadline {
            self.deadlines.remove(&(due, self.undo_place(number)));
        }
    }

    /// The attempts to undo a result have taken longer than they may together.
    pub(super) fn pass_undo_deadline(&mut self, number: u32, place: Place) {
        let Some(owed) = self.owed_undo(number) else {
            return;
        };
        let state = owed.state;
        let (State::Ready(tries) | State::Running(tries) | State::Backoff(tries, _)) = state else {
            return;
        };
        let (Some(attempt), Ok(number)) = (Attempt::new(tries.attempts), usize::try_from(number))
        else {
            return;
        };
        let failure = self.undo_timed_out(number);
        self.undoing.active -= 1;
        self.give_up_undo(number, attempt, failure);
        match state {
            // It is passed over when it is its turn.
            State::Ready(_) => self.ready_count = self.ready_count.saturating_sub(1),
            State::Backoff(_, due) => {
                self.timers.remove(&(due, place));
            }
            State::Running(_) => {
                self.progress.running = self.progress.running.saturating_sub(1);
                self.undoing.running -= 1;
                let not_started = self.outbox.take_starts(|it| it == place);
                if not_started.is_empty() {
                    self.outbox.gate(Action::Abort { place, attempt });
                }
            }
            State::Waiting(_) | State::Undone | State::Stuck => {}
        }
        self.undo_next();
    }

    fn undo_timed_out(&self, number: usize) -> Failure {
        let policy = self.undo_policy(self.undoing.owed[number].at.node);
        let limit = policy.total_timeout.unwrap_or_default();
        Failure {
            kind: FailureKind::TimedOut,
            message: format!("its attempts took longer than its `total_timeout` of {limit:?}"),
        }
    }

    /// A result stays as it is, and so does what it rests on.
    fn give_up_undo(&mut self, number: usize, attempt: Attempt, failure: Failure) {
        self.drop_undo_deadline(number);
        let owed = &mut self.undoing.owed[number];
        owed.state = State::Stuck;
        let at = owed.at.clone();
        self.undoing
            .stuck
            .get_or_insert_with(|| (at.clone(), failure.clone()));
        self.outbox.record(|| Record::UndoFailed {
            at,
            attempt,
            failure,
            retry_at: None,
        });
    }

    /// An attempt that was not handed out never was.
    pub(super) fn take_back_undo(&mut self, number: u32, attempt: Attempt) {
        let Some(owed) = self.owed_undo(number) else {
            return;
        };
        if let State::Running(tries) = owed.state {
            owed.state = State::Waiting(tries);
            let at = owed.at.clone();
            self.progress.running = self.progress.running.saturating_sub(1);
            self.undoing.running -= 1;
            self.outbox
                .record(|| Record::UndoInterrupted { at, attempt });
        }
    }

    pub(super) fn next_undo_failure(&self, number: u32) -> Option<(Policy, u32)> {
        let owed = self.undoing.owed.get(usize::try_from(number).ok()?)?;
        if let State::Running(tries) = owed.state {
            let policy = self.undo_policy(owed.at.node);
            Some((policy, tries.failed().failures))
        } else {
            None
        }
    }

    fn undo_policy(&self, node: NodeId) -> Policy {
        let undo = self.plan.node(node).undo.as_deref();
        undo.copied().unwrap_or(Policy::ONCE)
    }
}
