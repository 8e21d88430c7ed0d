//! Which appends a store takes: the part of the contract that is the same for every store.

use crate::record::decode::{Malformed, Reader};
use crate::record::encode::{check_append, check_payload, put_length, put_number};
use crate::{
    Append, Ending, Record, RunStart, RunStatus, StoreError, StoreErrorKind, StoredStep, Timestamp,
};

/// What a store knows of the run that an append speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// It has this many records and is not over.
    Unfinished { records: u64 },
    /// It is over.
    Finished,
}

/// Whether a run's records go on with this append.
pub(crate) fn check(append: &Append, known: Known) -> Result<(), StoreError> {
    let Append { run, first, .. } = append;
    if append.records.is_empty() {
        return Err(refused(
            append,
            format!("an append to run {run} has no record"),
        ));
    }
    match known {
        Known::Nothing if *first > 0 => {
            return Err(refused(
                append,
                format!("record {first} of run {run}: there is no such run to append to"),
            ));
        }
        Known::Finished if *first > 0 => {
            return Err(refused(
                append,
                format!("record {first} of run {run}: the run is over, nothing can follow"),
            ));
        }
        Known::Unfinished { records } if *first > 0 && *first != records => {
            return Err(refused(
                append,
                format!("record {first} of run {run}: the next one is record {records}"),
            ));
        }
        Known::Unfinished { .. } | Known::Finished if *first == 0 => {
            return Err(started_twice(append));
        }
        Known::Nothing | Known::Unfinished { .. } | Known::Finished => {}
    }
    check_order(append)
}

/// A run starts once, with its first record, and ends once, with its last.
fn check_order(append: &Append) -> Result<(), StoreError> {
    let run = append.run;
    let last = append.records.len() - 1;
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
        if index < last && matches!(record, Record::RunFinished(_)) {
            return Err(refused(
                append,
                format!("run {run} has a record behind its RunFinished"),
            ));
        }
    }
    if let Some(definition) = &append.definition {
        check_payload(definition, "a definition")?;
    }
    Ok(())
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
