//! What is on record of each node instance.

use std::collections::BTreeMap;

use zahir_store::{Attempt, Failure, FrameStep, NodeId, Position, Record, Revision};

use super::drops;
use super::entries::{self, Entry, Review, Tails, is_seal};
use super::families::Family;

/// What is on record of the node instances of a run.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) nodes: BTreeMap<Position, Fact>,
    /// The children of jobs that have any.
    pub(crate) families: BTreeMap<Position, Family>,
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
    /// Whether another job gives its result.
    pub(crate) has_handed_over: bool,
    /// The number of the last record that tells that it went on: it spawned children, was told of the
    /// end of some, or one of its attempts failed.
    pub(crate) went_on: usize,
    /// Whether it keeps values for all of its attempts.
    keeps_values: bool,
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
    /// What is on record as it is.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut facts = Self::default();
        for entry in entries {
            facts.add(
                entry.number,
                &entry.record,
                entries::position(&entry.record),
                |it| it,
            );
        }
        facts
    }

    /// What is on record after a revision of it.
    pub(crate) fn revised(entries: &[Entry], revision: &Revision) -> Self {
        let review = Review::new(entries, revision);
        let attempts = drops::attempts(&revision.dropped);
        let seals = entries
            .iter()
            .filter(|it| !attempts.is_empty() && is_seal(&it.record));
        let seals = seals.filter_map(|it| Some((it.number, review.place(&it.record)??)));
        let seals: Vec<_> = seals.collect();
        let tails = Tails::new(attempts, seals.into_iter());
        let mut facts = Self::default();
        for Entry { number, record, .. } in entries {
            let number = *number;
            let Some(at) = review.place(record) else {
                continue;
            };
            let is_dropped = at
                .as_deref()
                .is_some_and(|at| tails.drop(number, record, at));
            if !is_dropped {
                facts.add(number, record, at.as_deref(), |kind| review.kind(kind));
            }
        }
        facts
    }

    /// Whether a job has something that outlives its attempts: children, or values that it keeps.
    pub(crate) fn outlives_attempts(&self, at: &Position) -> bool {
        self.families.contains_key(at) || self.nodes.get(at).is_some_and(|fact| fact.keeps_values)
    }

    /// What is on record inside of a node instance.
    pub(crate) fn within<'f>(
        &'f self,
        owner: &'f Position,
    ) -> impl Iterator<Item = (&'f Position, &'f Fact)> {
        let step = FrameStep {
            node: owner.node,
            index: 0,
        };
        let first = Position {
            frames: [owner.frames.as_slice(), &[step]].concat(),
            node: NodeId::new(0),
        };
        let depth = owner.frames.len();
        let behind = self.nodes.range(first..);
        behind.take_while(move |(at, _)| {
            at.frames.starts_with(&owner.frames)
                && at
                    .frames
                    .get(depth)
                    .is_some_and(|step| step.node == owner.node)
        })
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    fn add(
        &mut self,
        number: usize,
        record: &Record,
        at: Option<&Position>,
        kind: impl Fn(NodeId) -> NodeId,
    ) {
        let Some(at) = at else { return };
        match record {
            Record::AttemptStarted { attempt, .. } => {
                let fact = self.run(number, at);
                fact.is_tried = true;
                fact.open = Some(*attempt);
            }
            Record::AttemptResumed { attempt, .. } => {
                let fact = self.run(number, at);
                fact.open = Some(*attempt);
                fact.went_on = number;
            }
            Record::AttemptSucceeded { .. } | Record::AttemptRecovered { .. } => {
                let fact = self.run(number, at);
                (fact.open, fact.is_done) = (None, true);
            }
            Record::AttemptFailed {
                failure, retry_at, ..
            } => {
                let fact = self.run(number, at);
                fact.open = None;
                fact.went_on = number;
                if retry_at.is_none() {
                    fact.fail(number, failure);
                }
            }
            Record::DeadlinePassed { failure, .. } => {
                let fact = self.run(number, at);
                fact.open = None;
                fact.fail(number, failure);
            }
            Record::RecoveryBegan { failure, .. } => {
                let fact = self.run(number, at);
                fact.open = None;
                let has_error = std::mem::take(&mut fact.keeps_error);
                fact.recovering = Some(Failed {
                    failure: failure.clone(),
                    has_error,
                    is_recovered: true,
                });
            }
            // What waits is not under way.
            Record::AttemptInterrupted { .. } | Record::AttemptParked { .. } => {
                self.run(number, at).open = None;
            }
            Record::AttemptPostponed { .. } => {
                self.run(number, at).open = None;
                if let Some(family) = self.families.get_mut(at) {
                    family.begin_again();
                }
            }
            Record::AttemptContinued { heir, .. } => {
                let fact = self.run(number, at);
                (fact.open, fact.has_handed_over) = (None, true);
                let family = self.families.entry(at.clone()).or_default();
                family.hand_over(heir, kind(heir.kind));
            }
            Record::ChildrenSpawned { children, .. } => {
                self.fact(number, at).went_on = number;
                match self.families.get_mut(at) {
                    Some(family) => family.spawn(children, kind),
                    None => {
                        let family = self.families.entry(at.clone()).or_default();
                        family.spawn(children, kind);
                    }
                }
            }
            Record::ChildrenLeft { children, .. } => {
                if let Some(family) = self.families.get_mut(at) {
                    family.leave(children);
                }
            }
            Record::ValueKept { .. } => self.fact(number, at).keeps_values = true,
            Record::ErrorKept { .. } => self.run(number, at).keeps_error = true,
            Record::SignalConsumed { .. } | Record::WaitTimedOut { .. } => {
                self.run(number, at).is_done = true;
            }
            Record::TimerSet { .. } => {
                self.run(number, at);
            }
            Record::RaceWon { entry, .. } => self.fact(number, at).won = Some(*entry),
            Record::UndoOwed { .. } => self.run(number, at).is_owed = true,
            Record::UndoSucceeded { .. } => self.run(number, at).is_owed = false,
            Record::ArgumentsReplaced { arguments, .. } => {
                self.run(number, at).arguments = Some(arguments.clone());
            }
            Record::ItemsCounted { .. }
            | Record::BranchTaken { .. }
            | Record::BlockEntered { .. } => {
                self.fact(number, at);
            }
            Record::RunStarted(_)
            | Record::CancelRequested(_)
            | Record::RunFinished(_)
            | Record::SignalReceived { .. }
            | Record::DeadlineSet { .. }
            | Record::UndoingBegan { .. }
            | Record::UndoStarted { .. }
            | Record::UndoFailed { .. }
            | Record::UndoInterrupted { .. }
            | Record::ResultShared { .. }
            | Record::AttemptsDropped { .. }
            | Record::ChildrenSuspended { .. }
            | Record::ChildrenResumed { .. }
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
    /// Whether its recovery job has taken over.
    pub(crate) fn is_recovering(&self) -> bool {
        self.recovering.is_some() || self.failed.as_ref().is_some_and(|(_, it)| it.is_recovered)
    }

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
