//! What is on the disk, as far as the world asks for it often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zahir_store::{FailureKind, Position, Record, Timestamp};

#[derive(Debug, Default)]
pub(super) struct Facts {
    pasts: BTreeMap<Position, Past>,
    /// What failed for good, in order.
    pub(super) failed: Vec<Position>,
    /// Which entry won each race.
    pub(super) races: Vec<(Position, u32)>,
    /// All of whose attempts together took too long.
    pub(super) timed_out: BTreeSet<Position>,
    /// The same for what undoes their results.
    pub(super) undo_timed_out: BTreeSet<Position>,
    pub(super) is_cancelled: bool,
    /// Whether the run took too long.
    pub(super) is_expired: bool,
    pub(super) is_undoing: bool,
    pub(super) is_over: bool,
    /// How many records there are.
    pub(super) records: usize,
    /// How many signals came.
    pub(super) signals: u64,
}

/// What happened to a node instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The last attempt that was started.
    pub(super) started: u32,
    pub(super) failed: u32,
    /// Those of them since it asked for another attempt.
    pub(super) failed_since: u32,
    pub(super) postponed: u32,
    pub(super) recovers: bool,
    pub(super) failed_recoveries: u32,
    pub(super) failed_undos: u32,
    /// How often the process died during an attempt that was followed by another one.
    pub(super) crashes: u32,
    /// Whether an attempt is under way that is not parked.
    pub(super) is_under_way: bool,
    /// Until when it waits.
    pub(super) due: Option<Timestamp>,
    /// What it left for its next attempt.
    pub(super) state: Option<Arc<[u8]>>,
    pub(super) has_result: bool,
    pub(super) has_failed: bool,
}

impl Facts {
    pub(super) fn of<'r>(records: impl Iterator<Item = &'r Record>) -> Self {
        let mut facts = Self::default();
        for record in records {
            facts.apply(record);
        }
        facts
    }

    /// What happened to a node instance so far.
    pub(super) fn past(&self, position: &Position) -> Past {
        self.pasts.get(position).cloned().unwrap_or_default()
    }

    fn at(&mut self, position: &Position) -> &mut Past {
        self.pasts.entry(position.clone()).or_default()
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    pub(super) fn apply(&mut self, record: &Record) {
        self.records += 1;
        match record {
            Record::AttemptStarted { at, attempt } => {
                let past = self.at(at);
                past.crashes += u32::from(past.is_under_way);
                past.is_under_way = true;
                past.started = attempt.number();
            }
            Record::AttemptResumed { at, .. } => self.at(at).is_under_way = true,
            Record::AttemptInterrupted { at, .. }
            | Record::AttemptParked { at, .. }
            | Record::AttemptContinued { at, .. } => self.at(at).is_under_way = false,
            Record::AttemptSucceeded { at, .. } | Record::AttemptRecovered { at, .. } => {
                let past = self.at(at);
                past.has_result = true;
                past.is_under_way = false;
            }
            Record::AttemptFailed { at, retry_at, .. } => {
                let past = self.at(at);
                past.is_under_way = false;
                past.due = *retry_at;
                if past.recovers {
                    past.failed_recoveries += 1;
                } else {
                    past.failed += 1;
                    past.failed_since += 1;
                }
                if retry_at.is_none() {
                    self.fail(at);
                }
            }
            Record::AttemptPostponed { at, due, state, .. } => {
                let past = self.at(at);
                past.is_under_way = false;
                past.due = Some(*due);
                past.postponed += 1;
                past.failed_since = 0;
                past.crashes = 0;
                past.state = Some(state.as_slice().into());
            }
            Record::RecoveryBegan { at, failure, .. } => {
                let past = self.at(at);
                past.is_under_way = false;
                past.recovers = true;
                past.crashes = 0;
                past.due = None;
                if failure.kind == FailureKind::TimedOut {
                    self.timed_out.insert(at.clone());
                }
            }
            Record::UndoFailed {
                at,
                retry_at,
                failure,
                ..
            } => {
                if failure.kind == FailureKind::TimedOut {
                    self.undo_timed_out.insert(at.clone());
                }
                let past = self.at(at);
                past.due = *retry_at;
                past.failed_undos += 1;
            }
            Record::DeadlinePassed { at: Some(at), .. } => {
                self.timed_out.insert(at.clone());
                self.fail(at);
            }
            Record::DeadlinePassed { at: None, .. } => self.is_expired = true,
            Record::RaceWon { at, entry } => self.races.push((at.clone(), *entry)),
            Record::CancelRequested(_) => self.is_cancelled = true,
            Record::UndoingBegan { .. } => self.is_undoing = true,
            Record::RunFinished(_) => self.is_over = true,
            Record::SignalReceived { .. } => self.signals += 1,
            _ => {}
        }
    }

    fn fail(&mut self, at: &Position) {
        let past = self.at(at);
        past.has_failed = true;
        past.is_under_way = false;
        self.failed.push(at.clone());
    }
}
