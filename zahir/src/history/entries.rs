//! The records of a run that count.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{
    DefinitionId, Ending, NodeId, Position, Record, Revision, RunStart, StoredRun, StoredStep,
    Timestamp,
};

use super::drops::Drops;

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
    for (step, StoredStep { at, records }) in stored.steps.into_iter().enumerate() {
        for record in records {
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
    entries
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

/// The entries without the values in them, for what only asks what happened.
pub(crate) fn outline(entries: &[Entry]) -> Vec<Entry> {
    let outlined = |entry: &Entry| Entry {
        record: outlined(&entry.record),
        ..*entry
    };
    entries.iter().map(outlined).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what has no large value is copied"
)]
fn outlined(record: &Record) -> Record {
    match record {
        Record::AttemptSucceeded { at, attempt, .. } => Record::AttemptSucceeded {
            at: at.clone(),
            attempt: *attempt,
            output: Vec::new(),
        },
        Record::AttemptRecovered { at, attempt, .. } => Record::AttemptRecovered {
            at: at.clone(),
            attempt: *attempt,
            output: Vec::new(),
        },
        Record::ErrorKept { at, .. } => Record::ErrorKept {
            at: at.clone(),
            error: Vec::new(),
        },
        Record::UndoOwed { at, .. } => Record::UndoOwed {
            at: at.clone(),
            arguments: Vec::new(),
        },
        Record::SignalReceived { name, .. } => Record::SignalReceived {
            name: name.clone(),
            payload: Vec::new(),
        },
        record => record.clone(),
    }
}

/// How the run was started; its definition is the one that counts.
pub(crate) fn start(entries: &[Entry]) -> Option<&RunStart> {
    match entries.first().map(|entry| &entry.record) {
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
    let before = start(entries).map(|start| start.definition);
    let moved = Moved::of(before, revision);
    let drops = Drops::of(&revision.dropped);
    let is_over = ending(entries).is_some();
    let undone = retried_undo(entries, revision);
    entries.retain_mut(|Entry { record, .. }| {
        if is_over && !outlives(record, undone.as_ref()) {
            return false;
        }
        if let Record::RunStarted(start) = record {
            start.definition = revision.definition;
        }
        if let Record::UndoingBegan {
            ending: Ending::Failed { at, .. },
        } = record
        {
            *at = at.take().and_then(|at| moved.position(at));
        }
        let begins_again = is_over && matches!(record, Record::BlockEntered { .. });
        let Some(at) = position_mut(record) else {
            return true;
        };
        let Some(now) = moved.position(at.clone()) else {
            return false;
        };
        *at = now;
        if begins_again {
            !drops.touch(at)
        } else {
            !drops.cover(at)
        }
    });
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

    fn position(&self, mut at: Position) -> Option<Position> {
        let Some(nodes) = &self.nodes else {
            return Some(at);
        };
        for step in &mut at.frames {
            step.node = *nodes.get(&step.node)?;
        }
        at.node = *nodes.get(&at.node)?;
        Some(at)
    }
}

/// The node instance that a record speaks of.
fn position_mut(record: &mut Record) -> Option<&mut Position> {
    match record {
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
        | Record::AttemptsDropped { at } => Some(at),
        Record::RunStarted(_)
        | Record::CancelRequested(_)
        | Record::RunFinished(_)
        | Record::SignalReceived { .. }
        | Record::DeadlineSet { at: None, .. }
        | Record::DeadlinePassed { at: None, .. }
        | Record::UndoingBegan { .. }
        | Record::RunRevised(_) => None,
    }
}
