//! From stored records back to a run that goes on.

use std::fmt;
use std::sync::Arc;

use zahir_store::{
    Attempt, Failure, FailureKind, FrameStep, Heir, NodeId, Position, Record, SpawnedChild,
    StoredRun, Timestamp,
};

use super::children::ChildState;
use super::frame::{FrameId, Place, Stop};
use super::outbox::Outbox;
use super::state::{Change, Failing, Kept, Race, State};
use super::undoing::Undone;
use super::{Engine, Phase, Task};
use crate::plan::{Plan, PlanKind, SignalId, index};

const NO_SUCH_NODE: &str = "there is no such node";
const OTHER_KIND: &str = "the node is of another kind";

/// A run that can't go on from its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecoverError {
    /// A record does not fit the workflow, or the records before it.
    Misfit {
        /// The number of the record.
        record: u64,
        /// Why.
        reason: String,
    },
    /// A recorded value can't be decoded.
    Undecodable {
        /// Whose value.
        at: Position,
        /// Why.
        failure: Failure,
    },
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misfit { record, reason } => write!(f, "record {record} does not fit: {reason}"),
            Self::Undecodable { at, failure } => {
                write!(
                    f,
                    "the result of node {at:?} can't be decoded: {}",
                    failure.message
                )
            }
        }
    }
}

/// What the stored bytes of a node are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Its result.
    Output,
    /// The error of its last attempt.
    Error,
}

/// Turns the stored bytes of a node into a value.
pub(crate) type Decode<'a, V> = dyn FnMut(NodeId, Stored, &[u8]) -> Result<V, Failure> + 'a;

impl<V: Clone> Engine<V> {
    /// A run where its records end, which goes on with [`Engine::begin`].
    ///
    /// The same state changes are applied as when the records were made. Attempts without an outcome
    /// are tried again under a new number; pure values are computed again.
    pub(crate) fn recover(
        plan: Arc<Plan>,
        stored: &StoredRun,
        inputs: Vec<V>,
        unit: V,
        decode: &mut Decode<'_, V>,
    ) -> Result<Self, RecoverError> {
        let outbox = Outbox::new(true, stored.head.records);
        let mut engine = Self::new(plan, stored.head.id, unit, outbox);
        let mut number = 0;
        for step in &stored.steps {
            engine.now = engine.now.max(step.at);
            for record in &step.records {
                engine.replay(number, record, decode)?;
                number += 1;
            }
        }
        engine.undoing.recall_attempt(|failed| {
            let records = stored.steps.iter().rev();
            last_attempt(records.flat_map(|step| step.records.iter().rev()), failed)
        });
        engine.settling.clear();
        engine.phase = Phase::Going;
        engine.inputs = inputs;
        Ok(engine)
    }

    /// Appends these records before any other: they say which of the earlier ones were replayed, and
    /// were replayed themselves.
    pub(crate) fn with_revision(mut self, records: Vec<Record>) -> Self {
        for record in records {
            self.outbox.record(|| record);
        }
        self
    }

    fn replay(
        &mut self,
        number: u64,
        record: &Record,
        decode: &mut Decode<'_, V>,
    ) -> Result<(), RecoverError> {
        let applied = self.apply(number, record, decode)?;
        while let Some(task) = self.tasks.pop_front() {
            self.run_task(task);
        }
        let reason = match applied {
            Err(reason) => reason,
            Ok(()) if self.phase == Phase::Halted => "the node can't have changed like that",
            Ok(()) => return Ok(()),
        };
        Err(RecoverError::Misfit {
            record: number,
            reason: reason.to_owned(),
        })
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    fn apply(
        &mut self,
        number: u64,
        record: &Record,
        decode: &mut Decode<'_, V>,
    ) -> Result<Result<(), &'static str>, RecoverError> {
        Ok(match record {
            Record::RunStarted(_) if number == 0 => Ok(()),
            Record::RunStarted(_) => Err("the run started before"),
            Record::AttemptStarted { at, attempt } => self.replay_start(at, *attempt),
            Record::AttemptSucceeded {
                at,
                attempt,
                output,
            }
            | Record::AttemptRecovered {
                at,
                attempt,
                output,
            } => {
                let value = decoded(decode, at, Stored::Output, output)?;
                self.replay_result(at, *attempt, output, value)
            }
            Record::ErrorKept { at, error } => {
                let error = decoded(decode, at, Stored::Error, error)?;
                self.kept = Some((at.clone(), error));
                Ok(())
            }
            Record::AttemptFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => self.replay_failure(at, *attempt, failure, *retry_at),
            Record::AttemptInterrupted { at, attempt } => self
                .ended_place(at, *attempt)
                .map(|place| self.change(place, Change::Interrupted)),
            Record::ChildrenSpawned { at, children } => self.replay_spawned(at, children),
            Record::AttemptParked { at, attempt } => self
                .ended_place(at, *attempt)
                .map(|place| self.change(place, Change::Parked)),
            Record::AttemptResumed { at, attempt } => self.replay_resumed(at, *attempt),
            Record::ChildrenLeft { at, children } => self
                .job(at)
                .map(|place| self.leave_children(place, children)),
            Record::ValueKept { at, name, value } => self.replay_kept(at, |kept| {
                let value = value.as_slice().into();
                kept.values.insert(name.as_str().into(), value);
            }),
            Record::AttemptContinued { at, attempt, heir } => {
                self.replay_continued(at, *attempt, heir)
            }
            Record::ItemsCounted { at, items } => self.replay_count(at, *items),
            Record::BranchTaken { at, arm } => self.replay_decision(at, *arm),
            Record::BlockEntered { at } => self.replay_change(at, is_finally, || Change::Begun),
            Record::RaceWon { at, entry } => {
                let winner = *entry;
                let race = Race {
                    winner,
                    outcome: None,
                    is_entered: false,
                };
                let won = self.replay_change(at, is_race, || Change::Won(race));
                won.and_then(|()| self.place(at).ok_or(NO_SUCH_NODE))
                    .map(|place| self.cancel_losers(place))
            }
            Record::TimerSet { at, due } => self.replay_timer(at, *due),
            Record::SignalReceived { name, payload } => {
                self.replay_signal(name, payload);
                Ok(())
            }
            Record::SignalConsumed { at, signal } => self.replay_consumed(at, *signal),
            Record::WaitTimedOut { at } => self.replay_change(at, is_signal, || Change::Expired),
            Record::CancelRequested(_) if self.is_cancelled => Err("the run was cancelled before"),
            Record::CancelRequested(_) => {
                self.is_cancelled = true;
                self.stop(self.body, Stop::Cancelled);
                Ok(())
            }
            Record::RunFinished(_) => Err("the run is over"),
            Record::RecoveryBegan {
                at,
                attempt,
                failure,
            } => self.replay_recovery(at, *attempt, failure),
            Record::AttemptPostponed {
                at,
                attempt,
                due,
                state,
            } => self
                .ended_place(at, *attempt)
                .map(|place| self.postpone(place, *due, state.as_slice().into())),
            Record::DeadlineSet { at: None, due } => {
                self.run_deadline = Some((self.now, *due));
                Ok(())
            }
            Record::DeadlineSet { at: Some(at), due } if self.undoing.has_begun() => {
                self.undoing.replay_deadline(at, *due)
            }
            Record::DeadlineSet { at: Some(at), due } => {
                self.replay_kept(at, |kept| kept.deadline = Some(*due))
            }
            Record::DeadlinePassed { at: None, failure } => {
                self.expire_run(failure.clone());
                Ok(())
            }
            Record::DeadlinePassed {
                at: Some(at),
                failure,
            } => self.replay_deadline(at, failure),
            Record::ArgumentsReplaced { at, arguments } => self.replay_kept(at, |kept| {
                kept.arguments = Some(arguments.as_slice().into())
            }),
            Record::UndoOwed { at, arguments } => {
                self.arguments = Some((at.clone(), arguments.as_slice().into()));
                Ok(())
            }
            Record::UndoingBegan { ending } => {
                self.undoing.begin(ending.clone(), None);
                Ok(())
            }
            Record::UndoStarted { at, attempt } => {
                self.undoing.replay(at, *attempt, &Undone::Started)
            }
            Record::UndoSucceeded { at, attempt } => {
                self.undoing.replay(at, *attempt, &Undone::Succeeded)
            }
            Record::UndoFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => {
                let failed = Undone::Failed(failure.clone(), *retry_at);
                self.undoing.replay(at, *attempt, &failed)
            }
            Record::UndoInterrupted { at, attempt } => {
                self.undoing.replay(at, *attempt, &Undone::Interrupted)
            }
            Record::AttemptsDropped { at } => {
                // A job that handed over before has its result, and may be over with the frame it is in.
                let place = self.find(at);
                if let Some(children) = place.and_then(|place| self.children_mut(place)) {
                    children.disclaim();
                }
                Ok(())
            }
            Record::ChildrenSuspended { at, children } => {
                // It may be in a child that is not called any more.
                if let Some(place) = self.find(at) {
                    self.suspend_children(place, children);
                }
                Ok(())
            }
            Record::ChildrenResumed { at, children } => self.replay_resumed_children(at, children),
            // For other runs to read.
            Record::ResultShared { .. } => Ok(()),
            Record::RunRevised(_) => Err("records before it were not revised"),
        })
    }

    fn replay_spawned(
        &mut self,
        at: &Position,
        children: &[SpawnedChild],
    ) -> Result<(), &'static str> {
        let place = self.job(at)?;
        let kinds = &self.plan.node(place.node).kinds;
        if !children.iter().all(|child| kinds.contains(&child.kind)) {
            return Err("the job does not spawn that");
        }
        let first = self.children(place).map_or(0, |children| children.len());
        self.begin_wave(place, u32::try_from(first).unwrap_or(u32::MAX));
        for child in children {
            self.adopt(place, child);
        }
        Ok(())
    }

    fn replay_resumed_children(
        &mut self,
        at: &Position,
        children: &[u32],
    ) -> Result<(), &'static str> {
        let place = self.job(at)?;
        let tries = self.tries(place);
        let attempt = tries.map_or(0, |tries| tries.attempts);
        for number in children {
            if !self.resume_child(place, *number, attempt) {
                return Err("that child was not suspended");
            }
        }
        Ok(())
    }

    fn replay_resumed(&mut self, at: &Position, attempt: Attempt) -> Result<(), &'static str> {
        let place = self.job(at)?;
        let is_parked = self
            .instance(place)
            .is_some_and(|it| it.state.is_parked(attempt));
        if !is_parked {
            return Err("that attempt did not wait");
        }
        self.change(place, Change::Resumed);
        self.shift_live(place.frame, true);
        Ok(())
    }

    fn replay_continued(
        &mut self,
        at: &Position,
        attempt: Attempt,
        heir: &Heir,
    ) -> Result<(), &'static str> {
        let place = self.ended_place(at, attempt)?;
        if !self.plan.node(place.node).kinds.contains(&heir.kind) {
            return Err("the job does not spawn that");
        }
        self.inherit(place, heir.clone());
        Ok(())
    }

    /// The job that a record speaks of.
    fn job(&mut self, at: &Position) -> Result<Place, &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        if self.plan.node(place.node).kind == PlanKind::Job {
            Ok(place)
        } else {
            Err(OTHER_KIND)
        }
    }

    fn replay_result(
        &mut self,
        at: &Position,
        attempt: Attempt,
        output: &[u8],
        value: V,
    ) -> Result<(), &'static str> {
        let place = self.ended_place(at, attempt)?;
        let arguments = self.arguments.take().filter(|(owed, _)| owed == at);
        if let Some((at, arguments)) = arguments {
            self.undoing.owe(at, arguments, output.into());
        }
        self.give(place, value);
        Ok(())
    }

    fn replay_recovery(
        &mut self,
        at: &Position,
        attempt: Attempt,
        failure: &Failure,
    ) -> Result<(), &'static str> {
        let place = self.tried_place(at)?;
        let failing = Failing {
            at: at.clone(),
            attempt: Some(attempt),
            failure: failure.clone(),
            error: self.kept_error(at),
        };
        self.recover_from(place, failing);
        Ok(())
    }

    fn replay_deadline(&mut self, at: &Position, failure: &Failure) -> Result<(), &'static str> {
        let place = self.tried_place(at)?;
        let tries = self.tries(place);
        let failing = Failing {
            at: at.clone(),
            attempt: tries.and_then(|tries| Attempt::new(tries.attempts)),
            failure: failure.clone(),
            error: None,
        };
        match self.instance(place).map(|it| &it.state) {
            Some(State::Backoff(..)) => self.change(place, Change::Due),
            Some(State::Parked(_)) => self.change(place, Change::Interrupted),
            _ => {}
        }
        self.give_up(place, failing);
        Ok(())
    }

    fn replay_kept(
        &mut self,
        at: &Position,
        change: impl FnOnce(&mut Kept<V>),
    ) -> Result<(), &'static str> {
        let place = self.job(at)?;
        self.keep(place, change);
        Ok(())
    }

    /// The job whose attempts are over. One that was under way is no more.
    fn tried_place(&mut self, at: &Position) -> Result<Place, &'static str> {
        let place = self.job(at)?;
        let state = self.instance(place).map(|it| &it.state);
        if let Some(State::Running(_)) = state {
            self.shift_live(place.frame, false);
        }
        Ok(place)
    }

    /// The error that the last record kept for this one.
    fn kept_error(&mut self, at: &Position) -> Option<V> {
        let kept = self.kept.take().filter(|(kept, _)| kept == at);
        kept.map(|(_, error)| error)
    }

    fn replay_failure(
        &mut self,
        at: &Position,
        attempt: Attempt,
        failure: &Failure,
        retry_at: Option<Timestamp>,
    ) -> Result<(), &'static str> {
        let place = self.ended_place(at, attempt)?;
        if let Some(due) = retry_at {
            self.change(place, Change::Retried(due));
            self.loosen_children(place, attempt);
            return Ok(());
        }
        let error = self.kept_error(at);
        let has_error = failure.kind == FailureKind::Error && !self.is_recovering(place);
        if has_error && self.plan.node(place.node).keeps_error && error.is_none() {
            return Err("its error, which a handler is to be given, is not on record");
        }
        let failing = Failing {
            at: at.clone(),
            attempt: Some(attempt),
            failure: failure.clone(),
            error,
        };
        self.give_up(place, failing);
        Ok(())
    }

    /// Applies a recorded change of a node of the right kind.
    fn replay_change(
        &mut self,
        at: &Position,
        fits: fn(PlanKind) -> bool,
        change: impl FnOnce() -> Change<V>,
    ) -> Result<(), &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        if !fits(self.plan.node(place.node).kind) {
            return Err(OTHER_KIND);
        }
        self.change(place, change());
        Ok(())
    }

    fn replay_count(&mut self, at: &Position, items: u32) -> Result<(), &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        let PlanKind::Each { .. } = self.plan.node(place.node).kind else {
            return Err("items of a node that is no `for`");
        };
        let count = usize::try_from(items).map_err(|_| "too many items")?;
        self.set_count(place, count);
        Ok(())
    }

    /// The arm is rebuilt at once: if nothing in it is pure, the branch is over.
    fn replay_decision(&mut self, at: &Position, arm: u32) -> Result<(), &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        if self.plan.node(place.node).kind != PlanKind::Branch {
            return Err(OTHER_KIND);
        }
        let region = self.region_of(place, arm).ok_or("there is no such arm")?;
        self.take_arm(place, arm);
        let frame = self.open_frame(region, Some(place), arm);
        self.replayed.insert((place, arm), frame);
        self.tasks.push_back(Task::Finish(frame));
        Ok(())
    }

    fn replay_timer(&mut self, at: &Position, due: Timestamp) -> Result<(), &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        let change = if self.plan.node(place.node).kind == PlanKind::Sleep {
            Change::Slept(due)
        } else if is_signal(self.plan.node(place.node).kind) {
            Change::Waited(Some(due))
        } else {
            return Err(OTHER_KIND);
        };
        self.change(place, change);
        Ok(())
    }

    /// A signal that an earlier program waited for, and this one does not, is counted all the same.
    fn replay_signal(&mut self, name: &str, payload: &[u8]) {
        match self.plan.signals.iter().position(|known| known == name) {
            Some(signal) => self.mailboxes.put(SignalId(signal), payload.into()),
            None => self.mailboxes.pass(),
        }
    }

    fn replay_consumed(&mut self, at: &Position, number: u32) -> Result<(), &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        let PlanKind::Signal { signal, .. } = self.plan.node(place.node).kind else {
            return Err(OTHER_KIND);
        };
        let payload = self.mailboxes.take(signal, number);
        let payload = payload.ok_or("there is no such signal")?;
        self.change(place, Change::Received(payload));
        Ok(())
    }

    /// An attempt was started: it counts as under way until its end is on record.
    fn replay_start(&mut self, at: &Position, attempt: Attempt) -> Result<(), &'static str> {
        let place = self.job(at)?;
        let was_running = self
            .instance(place)
            .is_some_and(|it| matches!(it.state, State::Running(_)));
        if !was_running {
            self.shift_live(place.frame, true);
        }
        let policy = self.policy(place);
        self.begin_attempt(place, attempt, &policy);
        Ok(())
    }

    /// The node instance whose attempt was under way, and is no more.
    fn ended_place(&mut self, at: &Position, attempt: Attempt) -> Result<Place, &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        let is_running = self
            .instance(place)
            .is_some_and(|it| it.state.is_running(attempt));
        if is_running {
            self.shift_live(place.frame, false);
            Ok(place)
        } else {
            Err("that attempt was not under way")
        }
    }

    /// The node instance that a record speaks of, unless the frame it was in is over.
    fn find(&self, position: &Position) -> Option<Place> {
        let mut frame = self.body;
        for FrameStep { node, index } in &position.frames {
            let owner = Place { frame, node: *node };
            frame = *self.replayed.get(&(owner, *index))?;
        }
        Some(Place {
            frame,
            node: position.node,
        })
    }

    /// The node instance that a record speaks of, in a frame that is rebuilt if it is not there.
    fn place(&mut self, position: &Position) -> Option<Place> {
        let mut frame = self.body;
        for step in &position.frames {
            let owner = Place {
                frame,
                node: step.node,
            };
            let region = self.plan.nodes.get(index(step.node))?.region;
            if self.frames.get(frame)?.region != region {
                return None;
            }
            frame = match self.replayed.get(&(owner, step.index)).copied() {
                Some(known) => known,
                None => self.rebuild(owner, step.index)?,
            };
        }
        let node = self.plan.nodes.get(index(position.node))?;
        (self.frames.get(frame)?.region == node.region).then_some(Place {
            frame,
            node: position.node,
        })
    }

    /// Whether a frame of a node had begun before the restart, and is not awake yet.
    pub(super) fn is_rebuilt(&self, owner: Place) -> bool {
        let mut of_owner = self.replayed.range((owner, 0)..=(owner, u32::MAX));
        of_owner.next().is_some()
    }

    /// Opens a frame that had begun.
    fn rebuild(&mut self, owner: Place, index: u32) -> Option<FrameId> {
        let can_be = match (
            self.plan.node(owner.node).kind,
            &self.instance(owner)?.state,
        ) {
            (PlanKind::Each { .. }, State::Going(each)) => {
                usize::try_from(index).is_ok_and(|index| index < each.results.len())
            }
            // What is decided is rebuilt with the decision.
            (PlanKind::Job, _) => return self.rebuild_child(owner, index),
            (PlanKind::Each { .. } | PlanKind::Branch, _)
            | (_, State::Succeeded(_) | State::Failed | State::Skipped | State::Left) => false,
            (_, _) => true,
        };
        let region = self.region_of(owner, index).filter(|_| can_be)?;
        let frame = self.open_frame(region, Some(owner), index);
        self.replayed.insert((owner, index), frame);
        Some(frame)
    }

    /// Opens the frame of a child that had begun, before or behind the end of its parent.
    fn rebuild_child(&mut self, parent: Place, number: u32) -> Option<FrameId> {
        let region = self.region_of_child(parent, number)?;
        let child = self.children_mut(parent)?.get_mut(number)?;
        if child.is_over() {
            return None;
        }
        child.state = ChildState::Open;
        let frame = self.open_frame(region, Some(parent), number);
        self.replayed.insert((parent, number), frame);
        Some(frame)
    }
}

/// The last attempt of a node instance, among these records, of which the last comes first.
pub(crate) fn last_attempt<'r>(
    mut backwards: impl Iterator<Item = &'r Record>,
    of: &Position,
) -> Option<Attempt> {
    backwards.find_map(|record| {
        if let Record::AttemptStarted { at, attempt } = record {
            (at == of).then_some(*attempt)
        } else {
            None
        }
    })
}

fn decoded<V>(
    decode: &mut Decode<'_, V>,
    at: &Position,
    what: Stored,
    bytes: &[u8],
) -> Result<V, RecoverError> {
    decode(at.node, what, bytes).map_err(|failure| RecoverError::Undecodable {
        at: at.clone(),
        failure,
    })
}

const fn is_finally(kind: PlanKind) -> bool {
    matches!(kind, PlanKind::Finally)
}

const fn is_race(kind: PlanKind) -> bool {
    matches!(kind, PlanKind::Race)
}

const fn is_signal(kind: PlanKind) -> bool {
    matches!(kind, PlanKind::Signal { .. })
}
