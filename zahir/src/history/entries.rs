//! The records of a run that count.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{
    DefinitionId, Ending, FrameStep, NodeId, Position, Record, Revision, RunStart, StoredRun,
    StoredStep, Timestamp,
};

use super::drops::Drops;

/// A kind that no plan has.
pub(crate) const NO_NODE: NodeId = NodeId::new(u32::MAX);

/// A record that counts, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which step of the run it is in, and when that was made.
    pub(crate) step: usize,
    pub(crate) at: Timestamp,
    /// Its number in the run, in the order in which records were made.
    pub(crate) number: usize,
    pub(crate) record: Record,
}

/// The records that count, in order, beginning with the one that started the run.
pub(crate) fn entries(stored: StoredRun) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut number = 0;
    let mut dropped = BTreeSet::new();
    for (step, StoredStep { at, records }) in stored.steps.into_iter().enumerate() {
        for record in records {
            if let Record::AttemptsDropped { at } = &record {
                // Those of one revision follow each other: the records are gone over once for all.
                dropped.insert(at.clone());
            } else {
                drop_attempts(&mut entries, std::mem::take(&mut dropped));
            }
            if let Record::RunRevised(revision) = record {
                revise(&mut entries, &revision);
            } else {
                entries.push(Entry {
                    step,
                    at,
                    number,
                    record,
                });
            }
            number += 1;
        }
    }
    drop_attempts(&mut entries, dropped);
    entries
}

/// Whether all records of a run count, as they are.
pub(crate) fn is_plain(stored: &StoredRun) -> bool {
    let mut records = stored.steps.iter().flat_map(|step| &step.records);
    !records.any(|it| matches!(it, Record::RunRevised(_) | Record::AttemptsDropped { .. }))
}

/// Records in steps, as a store has them.
pub(crate) fn steps(entries: Vec<Entry>) -> Vec<StoredStep> {
    let mut steps: Vec<StoredStep> = Vec::new();
    let mut last = None;
    for Entry {
        step, at, record, ..
    } in entries
    {
        match steps.last_mut() {
            Some(StoredStep { records, .. }) if last == Some(step) => records.push(record),
            _ => steps.push(StoredStep {
                at,
                records: vec![record],
            }),
        }
        last = Some(step);
    }
    steps
}

/// The records before those of the end of the run, and of what is undone then; and when that is.
pub(crate) fn before_end(mut entries: Vec<Entry>) -> (Vec<Entry>, Timestamp) {
    let is_end =
        |record: &Record| matches!(record, Record::RunFinished(_) | Record::UndoingBegan { .. });
    let end = entries.iter().position(|entry| is_end(&entry.record));
    let last = end.or_else(|| entries.len().checked_sub(1));
    let at = last.and_then(|last| entries.get(last)).map(|last| last.at);
    entries.truncate(end.unwrap_or(entries.len()));
    (entries, at.unwrap_or_default())
}

/// How the run was started; its definition is the one that counts.
pub(crate) fn start(entries: &[Entry]) -> Option<&RunStart> {
    match entries.first().map(|entry| &entry.record) {
        Some(Record::RunStarted(start)) => Some(start),
        Some(_) | None => None,
    }
}

/// The same of a run that a store has, if all of its records count.
pub(crate) fn stored_start(stored: &StoredRun) -> Option<&RunStart> {
    match stored.steps.first().and_then(|step| step.records.first()) {
        Some(Record::RunStarted(start)) => Some(start),
        Some(_) | None => None,
    }
}

/// How the run ended, if it has.
pub(crate) fn ending(entries: &[Entry]) -> Option<&Ending> {
    match entries.last().map(|entry| &entry.record) {
        Some(Record::RunFinished(ending)) => Some(ending),
        Some(_) | None => None,
    }
}

/// What made the run end, if it has: how it would have ended if everything could have been undone.
pub(crate) fn cause(entries: &[Entry]) -> Option<&Ending> {
    let undone = entries.iter().find_map(|entry| {
        if let Record::UndoingBegan { ending } = &entry.record {
            Some(ending)
        } else {
            None
        }
    });
    let ending = ending(entries);
    undone.filter(|_| ending.is_some()).or(ending)
}

/// Leaves of the records before a revision those that still count.
///
/// A record counts if every node on its way has moved, or is numbered as before, and nothing drops
/// it. What belongs to another record has the same position, and goes with it.
///
/// A run that was over is not, and what was said to the run as a whole does not count any more: a
/// cancel, its time limit, that it was undone. With one exception: if not everything could be undone
/// and the revision drops nothing, then that is tried again.
///
/// In a run that was over every `finally` that was owed has run. So that a block with one began does
/// not count if something in it is dropped: it begins once more, when what it waits for is there.
///
/// Signals stay, also those of names that nobody waits for any more: their numbers count them.
pub(crate) fn revise(entries: &mut Vec<Entry>, revision: &Revision) {
    let review = Review::new(entries, revision);
    entries.retain_mut(|entry| review.apply(&mut entry.record));
}

/// Which records before a revision still count, and what is in them from there on.
pub(crate) struct Review {
    definition: DefinitionId,
    moved: Moved,
    drops: Drops,
    is_over: bool,
    /// If a run that is over is to be undone again: what was undone.
    undone: Option<BTreeSet<Position>>,
}

impl Review {
    pub(crate) fn new(entries: &[Entry], revision: &Revision) -> Self {
        let before = start(entries).map(|start| start.definition);
        Self {
            definition: revision.definition,
            moved: Moved::of(before, revision),
            drops: Drops::of(&revision.dropped),
            is_over: ending(entries).is_some(),
            undone: retried_undo(entries, revision),
        }
    }

    /// Whether a record counts, and where the node instance is now that it speaks of.
    pub(crate) fn place<'r>(&self, record: &'r Record) -> Option<Option<Cow<'r, Position>>> {
        if self.is_over && !outlives(record, self.undone.as_ref()) {
            return None;
        }
        let Some(at) = position(record) else {
            return Some(None);
        };
        let now = self.moved.position(at)?;
        let is_dropped = if self.is_over && matches!(record, Record::BlockEntered { .. }) {
            self.drops.touch(&now)
        } else {
            self.drops.cover(&now)
        };
        (!is_dropped).then_some(Some(now))
    }

    /// What the number of a kind of children is now.
    pub(crate) fn kind(&self, kind: NodeId) -> NodeId {
        self.moved.kind(kind)
    }

    /// Makes of a record what it is now; gives whether it counts.
    fn apply(&self, record: &mut Record) -> bool {
        let moved = match self.place(record) {
            None => return false,
            Some(None | Some(Cow::Borrowed(_))) => None,
            Some(Some(Cow::Owned(moved))) => Some(moved),
        };
        if let Some((at, moved)) = position_mut(record).zip(moved) {
            *at = moved;
        }
        if let Record::RunStarted(start) = record {
            start.definition = self.definition;
        }
        if let Record::UndoingBegan {
            ending: Ending::Failed { at, .. },
        } = record
        {
            let now = at.as_ref().and_then(|at| self.moved.position(at));
            *at = now.map(Cow::into_owned);
        }
        if let Record::ChildrenSpawned { children, .. } = record {
            for child in children {
                child.kind = self.kind(child.kind);
            }
        }
        if let Record::AttemptContinued { heir, .. } = record {
            heir.kind = self.kind(heir.kind);
        }
        true
    }
}

/// Drops the attempts of these node instances, in the numbers that count, and all that came of them;
/// but not their children, nor what is kept for all of their attempts.
///
/// Attempts before one that asked for another stay, as that goes on where they were. So do those that
/// handed over to another job: that gives the result.
pub(crate) fn drop_attempts(entries: &mut Vec<Entry>, of: BTreeSet<Position>) {
    if of.is_empty() {
        return;
    }
    let seals = entries.iter().filter(|entry| is_seal(&entry.record));
    let seals = seals.filter_map(|it| Some((it.number, Cow::Borrowed(position(&it.record)?))));
    let tails = Tails::new(of, seals);
    entries.retain(|entry| {
        position(&entry.record).is_none_or(|at| !tails.drop(entry.number, &entry.record, at))
    });
}

/// Whether what comes behind goes on from a record, whatever was before.
pub(crate) const fn is_seal(record: &Record) -> bool {
    matches!(
        record,
        Record::AttemptPostponed { .. } | Record::AttemptContinued { .. }
    )
}

/// From where on the attempts of node instances are dropped.
pub(crate) struct Tails {
    first: BTreeMap<Position, usize>,
}

impl Tails {
    /// For these node instances, with the numbers and places of the records that seal what is before.
    pub(crate) fn new<'r>(
        of: BTreeSet<Position>,
        seals: impl Iterator<Item = (usize, Cow<'r, Position>)>,
    ) -> Self {
        let mut first: BTreeMap<Position, usize> = of.into_iter().map(|at| (at, 0)).collect();
        for (number, at) in seals {
            if let Some(first) = first.get_mut(at.as_ref()) {
                *first = number + 1;
            }
        }
        Self { first }
    }

    /// Whether a record of a node instance is dropped with its attempts.
    pub(crate) fn drop(&self, number: usize, record: &Record, at: &Position) -> bool {
        is_of_attempts(record) && self.first.get(at).is_some_and(|first| number >= *first)
    }
}

/// Whether a record tells of attempts of a node instance, or of what came of them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what stays is of the node instance, or of no job"
)]
fn is_of_attempts(record: &Record) -> bool {
    match record {
        Record::AttemptStarted { .. }
        | Record::AttemptSucceeded { .. }
        | Record::AttemptFailed { .. }
        | Record::AttemptInterrupted { .. }
        | Record::AttemptRecovered { .. }
        | Record::AttemptParked { .. }
        | Record::AttemptResumed { .. }
        | Record::ErrorKept { .. }
        | Record::RecoveryBegan { .. }
        | Record::DeadlineSet { at: Some(_), .. }
        | Record::DeadlinePassed { at: Some(_), .. }
        | Record::UndoOwed { .. }
        | Record::UndoStarted { .. }
        | Record::UndoSucceeded { .. }
        | Record::UndoFailed { .. }
        | Record::UndoInterrupted { .. }
        | Record::ResultShared { .. }
        // Without the result, the parent may wait for them again.
        | Record::ChildrenLeft { .. } => true,
        _ => false,
    }
}

/// If a run that is over is to be undone again: what was undone.
fn retried_undo(entries: &[Entry], revision: &Revision) -> Option<BTreeSet<Position>> {
    let is_stuck = revision.dropped.is_empty() && is_stuck(entries);
    is_stuck.then(|| undone(entries))
}

/// Whether the run is over, and not all of it that should have been undone could be.
pub(crate) fn is_stuck(entries: &[Entry]) -> bool {
    let failed_for_good =
        |entry: &Entry| matches!(&entry.record, Record::UndoFailed { retry_at: None, .. });
    ending(entries).is_some() && entries.iter().any(failed_for_good)
}

/// What was undone.
pub(crate) fn undone(entries: &[Entry]) -> BTreeSet<Position> {
    let undone = entries.iter().filter_map(|entry| {
        if let Record::UndoSucceeded { at, .. } = &entry.record {
            Some(at.clone())
        } else {
            None
        }
    });
    undone.collect()
}

/// Whether a record still means something when a run that was over goes on.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is said of one node instance is the rule"
)]
fn outlives(record: &Record, undone: Option<&BTreeSet<Position>>) -> bool {
    match record {
        // A job that has not ended has its time limit anew.
        Record::RunFinished(_) | Record::DeadlineSet { .. } => false,
        Record::CancelRequested(_)
        | Record::DeadlinePassed { at: None, .. }
        | Record::UndoingBegan { .. } => undone.is_some(),
        Record::UndoStarted { at, .. }
        | Record::UndoSucceeded { at, .. }
        | Record::UndoFailed { at, .. }
        | Record::UndoInterrupted { at, .. } => undone.is_some_and(|undone| undone.contains(at)),
        _ => true,
    }
}

/// What the numbers of nodes are now.
struct Moved {
    /// `None` if they are as before.
    nodes: Option<BTreeMap<NodeId, NodeId>>,
}

impl Moved {
    fn of(before: Option<DefinitionId>, revision: &Revision) -> Self {
        let is_other = before != Some(revision.definition);
        Self {
            nodes: is_other.then(|| revision.moved.iter().copied().collect()),
        }
    }

    fn position<'p>(&self, at: &'p Position) -> Option<Cow<'p, Position>> {
        let Some(nodes) = &self.nodes else {
            return Some(Cow::Borrowed(at));
        };
        let frames = at.frames.iter().map(|step| {
            Some(FrameStep {
                node: *nodes.get(&step.node)?,
                ..*step
            })
        });
        Some(Cow::Owned(Position {
            frames: frames.collect::<Option<_>>()?,
            node: *nodes.get(&at.node)?,
        }))
    }

    /// A parent counts only if all kinds that it lists do. That of one that it does not list is not
    /// made another one: the engine finds out that it is none.
    fn kind(&self, kind: NodeId) -> NodeId {
        match &self.nodes {
            None => kind,
            Some(nodes) => nodes.get(&kind).copied().unwrap_or(NO_NODE),
        }
    }
}

/// The node instance that a record, lent to be read or to be changed, speaks of.
macro_rules! position {
    ($record:expr) => {
        match $record {
            Record::AttemptStarted { at, .. }
            | Record::AttemptSucceeded { at, .. }
            | Record::AttemptFailed { at, .. }
            | Record::AttemptInterrupted { at, .. }
            | Record::ItemsCounted { at, .. }
            | Record::BranchTaken { at, .. }
            | Record::BlockEntered { at }
            | Record::ErrorKept { at, .. }
            | Record::RaceWon { at, .. }
            | Record::TimerSet { at, .. }
            | Record::SignalConsumed { at, .. }
            | Record::WaitTimedOut { at }
            | Record::RecoveryBegan { at, .. }
            | Record::AttemptRecovered { at, .. }
            | Record::AttemptPostponed { at, .. }
            | Record::DeadlineSet { at: Some(at), .. }
            | Record::DeadlinePassed { at: Some(at), .. }
            | Record::UndoOwed { at, .. }
            | Record::UndoStarted { at, .. }
            | Record::UndoSucceeded { at, .. }
            | Record::UndoFailed { at, .. }
            | Record::UndoInterrupted { at, .. }
            | Record::ResultShared { at, .. }
            | Record::ArgumentsReplaced { at, .. }
            | Record::ChildrenSpawned { at, .. }
            | Record::AttemptParked { at, .. }
            | Record::AttemptResumed { at, .. }
            | Record::ChildrenLeft { at, .. }
            | Record::ValueKept { at, .. }
            | Record::AttemptContinued { at, .. }
            | Record::AttemptsDropped { at }
            | Record::ChildrenSuspended { at, .. }
            | Record::ChildrenResumed { at, .. } => Some(at),
            Record::RunStarted(_)
            | Record::CancelRequested(_)
            | Record::RunFinished(_)
            | Record::SignalReceived { .. }
            | Record::DeadlineSet { at: None, .. }
            | Record::DeadlinePassed { at: None, .. }
            | Record::UndoingBegan { .. }
            | Record::RunRevised(_) => None,
        }
    };
}

/// The node instance that a record speaks of.
pub(crate) fn position(record: &Record) -> Option<&Position> {
    position!(record)
}

/// The same, to be changed.
fn position_mut(record: &mut Record) -> Option<&mut Position> {
    position!(record)
}
