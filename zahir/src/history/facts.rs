//! What is on record of each node instance.

use std::collections::BTreeMap;

use zahir_store::{Attempt, Failure, Position, Record};

use super::entries::Entry;

/// What is on record of the node instances of a run.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) nodes: BTreeMap<Position, Fact>,
}

/// What is on record of one node instance.
#[derive(Debug, Default)]
pub(crate) struct Fact {
    /// The number of its first record.
    pub(crate) first: usize,
    /// Whether an attempt of it was started.
    pub(crate) is_tried: bool,
    /// The attempt that has no end on record.
    pub(crate) open: Option<Attempt>,
    /// Whether it has a result, or what it waited for.
    pub(crate) is_done: bool,
    /// How it failed for good, and the number of that record.
    pub(crate) failed: Option<(usize, Failed)>,
    /// How its job failed, if its recovery job took over.
    recovering: Option<Failed>,
    /// Whether its error, which the next record tells of, is kept.
    keeps_error: bool,
    /// The entry of the race that won, if it is a race.
    pub(crate) won: Option<u32>,
    /// Whether its result can be undone, and was not.
    pub(crate) is_owed: bool,
    /// The inputs that it was given in place of those it is wired to.
    pub(crate) arguments: Option<Vec<u8>>,
    /// Whether it is a job, a sleep or a wait: what runs by itself.
    pub(crate) is_run: bool,
}

/// A failure for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// Whether the error itself is on record.
    pub(crate) has_error: bool,
    /// Whether its recovery job took over.
    pub(crate) is_recovered: bool,
}

impl Facts {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut facts = Self::default();
        for entry in entries {
            facts.add(entry);
        }
        facts
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    fn add(&mut self, entry: &Entry) {
        let number = entry.number;
        match &entry.record {
            Record::AttemptStarted { at, attempt } => {
                let fact = self.run(number, at);
                fact.is_tried = true;
                fact.open = Some(*attempt);
            }
            Record::AttemptSucceeded { at, .. } | Record::AttemptRecovered { at, .. } => {
                let fact = self.run(number, at);
                (fact.open, fact.is_done) = (None, true);
            }
            Record::AttemptFailed {
                at,
                failure,
                retry_at,
                ..
            } => {
                let fact = self.run(number, at);
                fact.open = None;
                if retry_at.is_none() {
                    fact.fail(number, failure);
                }
            }
            Record::DeadlinePassed {
                at: Some(at),
                failure,
            } => {
                let fact = self.run(number, at);
                fact.open = None;
                fact.fail(number, failure);
            }
            Record::RecoveryBegan { at, failure, .. } => {
                let fact = self.run(number, at);
                fact.open = None;
                let has_error = std::mem::take(&mut fact.keeps_error);
                fact.recovering = Some(Failed {
                    failure: failure.clone(),
                    has_error,
                    is_recovered: true,
                });
            }
            Record::AttemptInterrupted { at, .. } | Record::AttemptPostponed { at, .. } => {
                self.run(number, at).open = None;
            }
            Record::ErrorKept { at, .. } => self.run(number, at).keeps_error = true,
            Record::SignalConsumed { at, .. } | Record::WaitTimedOut { at } => {
                self.run(number, at).is_done = true;
            }
            Record::TimerSet { at, .. } => {
                self.run(number, at);
            }
            Record::RaceWon { at, entry } => self.fact(number, at).won = Some(*entry),
            Record::UndoOwed { at, .. } => self.run(number, at).is_owed = true,
            Record::UndoSucceeded { at, .. } => self.run(number, at).is_owed = false,
            Record::ArgumentsReplaced { at, arguments } => {
                self.run(number, at).arguments = Some(arguments.clone());
            }
            Record::ItemsCounted { at, .. }
            | Record::BranchTaken { at, .. }
            | Record::BlockEntered { at }
            | Record::ChildrenSpawned { at, .. }
            | Record::AttemptParked { at, .. }
            | Record::AttemptResumed { at, .. }
            | Record::ChildrenLeft { at, .. }
            | Record::ValueKept { at, .. }
            | Record::AttemptContinued { at, .. }
            | Record::AttemptsDropped { at } => {
                self.fact(number, at);
            }
            Record::RunStarted(_)
            | Record::CancelRequested(_)
            | Record::RunFinished(_)
            | Record::SignalReceived { .. }
            | Record::DeadlineSet { .. }
            | Record::DeadlinePassed { at: None, .. }
            | Record::UndoingBegan { .. }
            | Record::UndoStarted { .. }
            | Record::UndoFailed { .. }
            | Record::UndoInterrupted { .. }
            | Record::ResultShared { .. }
            | Record::RunRevised(_) => {}
        }
    }

    fn run(&mut self, number: usize, at: &Position) -> &mut Fact {
        let fact = self.fact(number, at);
        fact.is_run = true;
        fact
    }

    fn fact(&mut self, number: usize, at: &Position) -> &mut Fact {
        self.nodes.entry(at.clone()).or_insert_with(|| Fact {
            first: number,
            ..Fact::default()
        })
    }
}

impl Fact {
    fn fail(&mut self, number: usize, failure: &Failure) {
        let has_error = std::mem::take(&mut self.keeps_error);
        let failed = self.recovering.take().unwrap_or_else(|| Failed {
            failure: failure.clone(),
            has_error,
            is_recovered: false,
        });
        self.failed = Some((number, failed));
    }
}
