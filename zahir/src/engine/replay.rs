//! From stored records back to a run that goes on.

use std::fmt;
use std::sync::Arc;

use zahir_store::{Attempt, Failure, NodeId, Position, Record, StoredRun};

use super::frame::Place;
use super::outbox::Outbox;
use super::state::Change;
use super::{Engine, Phase};
use crate::plan::{Plan, PlanKind, index};

const NO_SUCH_NODE: &str = "there is no such node";

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

/// Turns the stored bytes of a node's result into a value.
pub(crate) type Decode<'a, V> = dyn FnMut(NodeId, &[u8]) -> Result<V, Failure> + 'a;

impl<V: Clone> Engine<V> {
    /// Goes on with a run where its records end.
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
        engine.go_on(inputs);
        Ok(engine)
    }

    fn replay(
        &mut self,
        number: u64,
        record: &Record,
        decode: &mut Decode<'_, V>,
    ) -> Result<(), RecoverError> {
        let applied = match record {
            Record::RunStarted(_) if number == 0 => Ok(()),
            Record::RunStarted(_) => Err("the run started before"),
            Record::AttemptStarted { at, attempt } => {
                self.replay_change(at, None, || Change::Started(*attempt))
            }
            Record::AttemptSucceeded {
                at,
                attempt,
                output,
            } => {
                let value =
                    decode(at.node, output).map_err(|failure| RecoverError::Undecodable {
                        at: at.clone(),
                        failure,
                    })?;
                self.live_place(at, *attempt).map(|place| {
                    self.progress.done += 1;
                    self.complete(place, value);
                })
            }
            Record::AttemptFailed {
                at,
                attempt,
                retry_at: Some(due),
                ..
            } => self.replay_change(at, Some(*attempt), || Change::Retried(*due)),
            Record::AttemptFailed {
                at,
                attempt,
                failure,
                retry_at: None,
            } => self
                .live_place(at, *attempt)
                .map(|place| self.fail(place, failure.clone())),
            Record::AttemptInterrupted { at, attempt } => {
                self.replay_change(at, Some(*attempt), || Change::Interrupted)
            }
            Record::ItemsCounted { at, items } => self.replay_count(at, *items),
            _ => Err("the run is over"),
        };
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

    /// Applies a recorded change; of a live attempt, if there must be one.
    fn replay_change(
        &mut self,
        at: &Position,
        live: Option<Attempt>,
        change: impl FnOnce() -> Change<V>,
    ) -> Result<(), &'static str> {
        let place = match live {
            Some(attempt) => self.live_place(at, attempt)?,
            None => self.place(at).ok_or(NO_SUCH_NODE)?,
        };
        self.change(place, change());
        Ok(())
    }

    fn replay_count(&mut self, at: &Position, items: u32) -> Result<(), &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        let PlanKind::Each { .. } = self.plan.node(place.node).kind else {
            return Err("items of a node that is no `for`");
        };
        let body = self.plan.node(place.node).inside[0];
        let count = usize::try_from(items).map_err(|_| "too many items")?;
        self.set_count(place, body, count);
        Ok(())
    }

    /// The node instance whose attempt was under way.
    fn live_place(&mut self, at: &Position, attempt: Attempt) -> Result<Place, &'static str> {
        let place = self.place(at).ok_or(NO_SUCH_NODE)?;
        let is_running = self
            .instance(place)
            .is_some_and(|it| it.state.is_running(attempt));
        if is_running {
            Ok(place)
        } else {
            Err("that attempt was not under way")
        }
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
            let known = self.replayed.get(&(owner, step.index)).copied();
            frame = match (known, self.plan.node(step.node).kind) {
                (Some(known), _) => known,
                (None, PlanKind::Each { .. }) => {
                    let body = self.plan.node(step.node).inside[0];
                    let count = self.each(owner)?.results.len();
                    if usize::try_from(step.index).is_ok_and(|index| index >= count) {
                        return None;
                    }
                    self.open_frame(body, Some(owner), step.index)
                }
                (None, PlanKind::Call) if step.index == 0 => {
                    let body = self.plan.node(step.node).inside[0];
                    self.progress.known += self.plan.region(body).jobs;
                    self.open_frame(body, Some(owner), 0)
                }
                (None, _) => return None,
            };
            self.replayed.insert((owner, step.index), frame);
        }
        let node = self.plan.nodes.get(index(position.node))?;
        (self.frames.get(frame)?.region == node.region).then_some(Place {
            frame,
            node: position.node,
        })
    }

    /// Everything on record is in place: goes on from there.
    fn go_on(&mut self, inputs: Vec<V>) {
        self.phase = Phase::Going;
        if self.is_failing(self.body) {
            return self.settle_failure(self.body);
        }
        self.wake(self.body, inputs);
        self.open_frames();
    }
}
