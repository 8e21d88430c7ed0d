//! Which appends a store takes: the part of the contract that is the same for every store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::decode::{Malformed, Reader};
use crate::record::encode::{check_append, check_payload, put_length, put_number};
use crate::{
    Append, DefinitionId, Ending, Position, Record, Revision, RunStart, RunStatus, StoreError,
    StoreErrorKind, StoredStep, Timestamp,
};

/// What a store knows of the run that an append speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// It has this many records and is not over.
    Unfinished { records: u64 },
    /// It has this many records and is over.
    Finished { records: u64 },
}

impl Known {
    /// What is known of a run that has records.
    pub(crate) const fn of(status: RunStatus, records: u64) -> Self {
        match status {
            RunStatus::Running => Self::Unfinished { records },
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => {
                Self::Finished { records }
            }
        }
    }
}

/// Whether a run's records go on with this append.
pub(crate) fn check(append: &Append, known: Known) -> Result<(), StoreError> {
    check_place(append, known)?;
    check_order(append)?;
    check_definition(append)
}

fn check_place(append: &Append, known: Known) -> Result<(), StoreError> {
    let Append { run, first, .. } = append;
    let Some(record) = append.records.first() else {
        return Err(refused(
            append,
            format!("an append to run {run} has no record"),
        ));
    };
    match known {
        Known::Nothing if *first > 0 => Err(refused(
            append,
            format!("record {first} of run {run}: there is no such run to append to"),
        )),
        Known::Unfinished { .. } | Known::Finished { .. } if *first == 0 => {
            Err(started_twice(append))
        }
        Known::Finished { .. } if !matches!(record, Record::RunRevised(_)) => Err(refused(
            append,
            format!("record {first} of run {run}: the run is over, only a revision can follow"),
        )),
        Known::Unfinished { records } | Known::Finished { records } if *first != records => {
            Err(refused(
                append,
                format!("record {first} of run {run}: the next one is record {records}"),
            ))
        }
        Known::Nothing | Known::Unfinished { .. } | Known::Finished { .. } => Ok(()),
    }
}

/// A run starts once, with its first record. Behind an end of it there is nothing or a revision.
fn check_order(append: &Append) -> Result<(), StoreError> {
    let run = append.run;
    let mut is_over = false;
    for (index, record) in append.records.iter().enumerate() {
        let starts = matches!(record, Record::RunStarted(_));
        if starts != (append.first == 0 && index == 0) {
            let message = if starts {
                format!("run {run} has a RunStarted that is not its first record")
            } else {
                format!("run {run} begins with a record that is no RunStarted")
            };
            return Err(refused(append, message));
        }
        if is_over && !matches!(record, Record::RunRevised(_)) {
            return Err(refused(
                append,
                format!("run {run} has a record behind its RunFinished that is no revision"),
            ));
        }
        is_over = matches!(record, Record::RunFinished(_));
        if let Record::ResultShared { at, .. } = record
            && append
                .records
                .get(index + 1)
                .and_then(|next| result_of(next, at))
                .is_none()
        {
            return Err(refused(
                append,
                format!("run {run} has a ResultShared that its result does not follow"),
            ));
        }
    }
    Ok(())
}

/// The output of this node instance, if that is what the record has.
fn result_of<'a>(record: &'a Record, at: &Position) -> Option<&'a [u8]> {
    if let Record::AttemptSucceeded {
        at: found, output, ..
    }
    | Record::AttemptRecovered {
        at: found, output, ..
    } = record
        && found == at
    {
        Some(output)
    } else {
        None
    }
}

/// A result that an append shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shared<'a> {
    pub(crate) output: &'a [u8],
    pub(crate) until: Option<Timestamp>,
}

/// The results that an append shares, with their keys.
pub(crate) fn shared(append: &Append) -> impl Iterator<Item = (u128, Shared<'_>)> {
    let pairs = append.records.iter().zip(append.records.iter().skip(1));
    pairs.filter_map(|(record, next)| {
        let Record::ResultShared { at, key, until } = record else {
            return None;
        };
        let output = result_of(next, at)?;
        let until = *until;
        Some((*key, Shared { output, until }))
    })
}

/// The last result of each key that numbered appends share, with the number of its append.
pub(crate) fn last_shared<'a>(
    appends: impl Iterator<Item = (u64, &'a Append)>,
) -> BTreeMap<u128, (u64, Shared<'a>)> {
    let shared = appends.flat_map(|(number, append)| {
        shared(append).map(move |(key, shared)| (key, (number, shared)))
    });
    shared.collect()
}

/// A definition belongs to the one record that names it.
fn check_definition(append: &Append) -> Result<(), StoreError> {
    let Some(definition) = &append.definition else {
        return Ok(());
    };
    check_payload(definition, "a definition").map_err(|error| error.of_run(append.run))?;
    match named(append).count() {
        1 => Ok(()),
        records => Err(refused(
            append,
            format!(
                "an append to run {} has one definition and {records} records that name one",
                append.run
            ),
        )),
    }
}

/// The definitions that the records of an append name.
pub(crate) fn named(append: &Append) -> impl Iterator<Item = DefinitionId> {
    append.records.iter().filter_map(definition)
}

fn definition(record: &Record) -> Option<DefinitionId> {
    if let Record::RunStarted(RunStart { definition, .. })
    | Record::RunRevised(Revision { definition, .. }) = record
    {
        Some(*definition)
    } else {
        None
    }
}

/// A definition that a batch names.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) id: DefinitionId,
    /// The first append that names it.
    pub(crate) by: &'a Append,
    /// What it is, if the batch says so.
    pub(crate) bytes: Option<&'a Arc<[u8]>>,
}

/// The definitions that a batch names, each once.
pub(crate) fn definitions(batch: &[Append]) -> Vec<Named<'_>> {
    let mut definitions: Vec<Named<'_>> = Vec::new();
    for append in batch {
        for id in named(append) {
            let bytes = append.definition.as_ref();
            match definitions.iter_mut().find(|named| named.id == id) {
                Some(named) => named.bytes = named.bytes.or(bytes),
                None => definitions.push(Named {
                    id,
                    by: append,
                    bytes,
                }),
            }
        }
    }
    definitions
}

pub(crate) fn unknown_definition(named: &Named<'_>) -> StoreError {
    let message = format!(
        "run {} names definition {:?}, which is not stored and not given",
        named.by.run, named.id
    );
    refused(named.by, message)
}

fn refused(append: &Append, message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, message).of_run(append.run)
}

pub(crate) fn started_twice(append: &Append) -> StoreError {
    let message = format!("run {} exists and can't be started again", append.run);
    refused(append, message)
}

pub(crate) fn key_taken(append: &Append, start: &RunStart, key: &str) -> StoreError {
    refused(
        append,
        format!(
            "run {} can't be started with key `{key}`: another run of workflow `{}` has it",
            append.run, start.workflow
        ),
    )
}

pub(crate) fn no_such_run(run: crate::RunId) -> StoreError {
    StoreError::new(
        StoreErrorKind::Refused,
        format!("there is no run {run} to list from"),
    )
    .of_run(run)
}

/// The facts of an append's `RunStarted`, if it has one.
pub(crate) fn start(append: &Append) -> Option<&RunStart> {
    match append.records.first() {
        Some(Record::RunStarted(start)) => Some(start),
        Some(_) | None => None,
    }
}

/// The status of a run whose records end with this append.
pub(crate) fn status(append: &Append) -> RunStatus {
    match append.records.last() {
        Some(Record::RunFinished(Ending::Succeeded { .. })) => RunStatus::Succeeded,
        Some(Record::RunFinished(Ending::Failed { .. })) => RunStatus::Failed,
        Some(Record::RunFinished(Ending::Cancelled)) => RunStatus::Cancelled,
        Some(_) | None => RunStatus::Running,
    }
}

/// Adds the time and the records of an append to the end of `out`, 64 MiB at most.
pub(crate) fn put_step(out: &mut Vec<u8>, append: &Append) -> Result<(), StoreError> {
    let before = out.len();
    put_number(out, append.at.as_millis());
    put_length(out, append.records.len());
    for record in &append.records {
        record
            .encode(out)
            .and_then(|()| check_append(out.len() - before))
            .map_err(|error| error.of_run(append.run))?;
    }
    Ok(())
}

/// What [`put_step`] added; nothing may follow it.
pub(crate) fn read_step(mut reader: Reader<'_>) -> Result<StoredStep, Malformed> {
    let at = Timestamp::from_millis(reader.number()?);
    let count = reader.number()?;
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(reader.record()?);
    }
    reader.end()?;
    Ok(StoredStep { at, records })
}
