//! Records as bytes.
//!
//! A record is its tag, one byte, and then its fields in the order of their declaration. A number
//! is a varint (seven bits a byte, low ones first, the high bit set on all but the last byte); text
//! and payloads are their length and their bytes; an absent option is a 0, a present one a 1 and
//! its value; a position is the count of its frames, each a node and an index, and its node.
//! Neither `usize` nor the layout of a Rust type reaches the disk.
//!
//! | tag | record | fields |
//! |---|---|---|
//! | 1 | `RunStarted` | workflow, text; key, option of a text; definition id, 16 bytes; input, payload |
//! | 2 | `AttemptStarted` | position; attempt, number |
//! | 3 | `AttemptSucceeded` | position; attempt, number; output, payload |
//! | 4 | `AttemptFailed` | position; attempt, number; failure; time of the retry, option of a number |
//! | 5 | `AttemptInterrupted` | position; attempt, number |
//! | 6 | `ItemsCounted` | position; items, number |
//! | 7 | `CancelRequested` | reason, text |
//! | 8 | `RunFinished` | ending |
//! | 9 | `BranchTaken` | position; arm, number |
//! | 10 | `BlockEntered` | position |
//! | 11 | `ErrorKept` | position; error, payload |
//! | 12 | `RaceWon` | position; entry, number |
//! | 13 | `TimerSet` | position; due, number |
//! | 14 | `SignalReceived` | name, text; payload |
//! | 15 | `SignalConsumed` | position; signal, number |
//! | 16 | `WaitTimedOut` | position |
//! | 17 | `RecoveryBegan` | position; attempt, number; failure |
//! | 18 | `AttemptRecovered` | position; attempt, number; output, payload |
//! | 19 | `AttemptPostponed` | position; attempt, number; due, number; state, payload |
//! | 20 | `DeadlineSet` | option of a position; due, number |
//! | 21 | `DeadlinePassed` | option of a position; failure |
//! | 22 | `UndoOwed` | position; arguments, payload |
//! | 23 | `UndoingBegan` | ending |
//! | 24 | `UndoStarted` | position; attempt, number |
//! | 25 | `UndoSucceeded` | position; attempt, number |
//! | 26 | `UndoFailed` | position; attempt, number; failure; time of the retry, option of a number |
//! | 27 | `UndoInterrupted` | position; attempt, number |
//! | 28 | `ResultShared` | position; key, 16 bytes; until, option of a number |
//! | 29 | `RunRevised` | revision |
//! | 30 | `ArgumentsReplaced` | position; arguments, payload |
//! | 31 | `ChildrenSpawned` | position; the count of the children, and each |
//! | 32 | `AttemptParked` | position; attempt, number |
//! | 33 | `AttemptResumed` | position; attempt, number |
//! | 34 | `ChildrenLeft` | position; the count of the children, and the number of each |
//! | 35 | `ValueKept` | position; name, text; value, payload |
//! | 36 | `AttemptContinued` | position; attempt, number; heir |
//! | 37 | `AttemptsDropped` | position |
//! | 38 | `ChildrenSuspended` | position; the count of the children, and the number of each |
//! | 39 | `ChildrenResumed` | position; the count of the children, and the number of each |
//!
//! A time is its milliseconds; all numbers but times and lengths have at most 32 bits. A definition
//! id is little-endian. A failure is its kind, one byte, and its message, text: 1 `Error`,
//! 2 `Panic`, 3 `TimedOut`, 4 `TooLarge`, 5 `Unencodable`, 6 `Undecodable`, 7 `Bug`, 8 `Diverged`,
//! 9 `Refused`, 10 `Unverified`, 11 `Interrupted`, 12 `Poisoned`. A revision is a definition id; the
//! count of nodes that moved, each its number before and now; the count of what was dropped, each a
//! position and an option of a number.
//!
//! A child is the number of its kind; its call, one byte and its field: 1 `Number`, number; 2 `Key`,
//! text; its bond, one byte: 1 `Held`, 2 `Followed`, 3 `Detached`; its arguments, payload; an option of
//! its fan, two numbers; its limits. Limits are an option of the number of retries and options of two
//! times. An heir is the number of its kind; the count of its inputs, each a name, text, and one byte
//! and its field: 1 `Value`, payload; 2 `Child`, number; 3 `Children`, the count and each number; and
//! its limits.
//!
//! An ending is one byte and its fields: 1 `Succeeded`, output,
//! payload; 2 `Failed`, option of a position, failure; 3 `Cancelled`.

use crate::record::{PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX, cut};
use crate::{
    Attempt, Bond, ChildCall, ChildLimits, Ending, Failure, FailureKind, Fan, Heir, HeirInput,
    Inherited, Position, Record, Revision, RunStart, SpawnedChild, StoreError, StoreErrorKind,
    Timestamp,
};

pub(super) const RUN_STARTED: u8 = 1;
pub(super) const ATTEMPT_STARTED: u8 = 2;
pub(super) const ATTEMPT_SUCCEEDED: u8 = 3;
pub(super) const ATTEMPT_FAILED: u8 = 4;
pub(super) const ATTEMPT_INTERRUPTED: u8 = 5;
pub(super) const ITEMS_COUNTED: u8 = 6;
pub(super) const CANCEL_REQUESTED: u8 = 7;
pub(super) const RUN_FINISHED: u8 = 8;
pub(super) const BRANCH_TAKEN: u8 = 9;
pub(super) const BLOCK_ENTERED: u8 = 10;
pub(super) const ERROR_KEPT: u8 = 11;
pub(super) const RACE_WON: u8 = 12;
pub(super) const TIMER_SET: u8 = 13;
pub(super) const SIGNAL_RECEIVED: u8 = 14;
pub(super) const SIGNAL_CONSUMED: u8 = 15;
pub(super) const WAIT_TIMED_OUT: u8 = 16;
pub(super) const RECOVERY_BEGAN: u8 = 17;
pub(super) const ATTEMPT_RECOVERED: u8 = 18;
pub(super) const ATTEMPT_POSTPONED: u8 = 19;
pub(super) const DEADLINE_SET: u8 = 20;
pub(super) const DEADLINE_PASSED: u8 = 21;
pub(super) const UNDO_OWED: u8 = 22;
pub(super) const UNDOING_BEGAN: u8 = 23;
pub(super) const UNDO_STARTED: u8 = 24;
pub(super) const UNDO_SUCCEEDED: u8 = 25;
pub(super) const UNDO_FAILED: u8 = 26;
pub(super) const UNDO_INTERRUPTED: u8 = 27;
pub(super) const RESULT_SHARED: u8 = 28;
pub(super) const RUN_REVISED: u8 = 29;
pub(super) const ARGUMENTS_REPLACED: u8 = 30;
pub(super) const CHILDREN_SPAWNED: u8 = 31;
pub(super) const ATTEMPT_PARKED: u8 = 32;
pub(super) const ATTEMPT_RESUMED: u8 = 33;
pub(super) const CHILDREN_LEFT: u8 = 34;
pub(super) const VALUE_KEPT: u8 = 35;
pub(super) const ATTEMPT_CONTINUED: u8 = 36;
pub(super) const ATTEMPTS_DROPPED: u8 = 37;
pub(super) const CHILDREN_SUSPENDED: u8 = 38;
pub(super) const CHILDREN_RESUMED: u8 = 39;

pub(super) const ENDED_SUCCEEDED: u8 = 1;
pub(super) const ENDED_FAILED: u8 = 2;
pub(super) const ENDED_CANCELLED: u8 = 3;

pub(super) const BY_NUMBER: u8 = 1;
pub(super) const BY_KEY: u8 = 2;

pub(super) const INHERITED_VALUE: u8 = 1;
pub(super) const INHERITED_CHILD: u8 = 2;
pub(super) const INHERITED_CHILDREN: u8 = 3;

impl Record {
    /// Adds the record's bytes to the end of `out`.
    ///
    /// Of a failure's message and a cancellation's reason only the first 4 KiB are kept.
    ///
    /// # Errors
    ///
    /// If a payload is over 16 MiB or a name over 4 KiB; `out` then ends in a piece of the record.
    #[expect(clippy::too_many_lines, reason = "one arm for each shape of record")]
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), StoreError> {
        out.push(self.tag());
        match self {
            Self::RunStarted(start) => put_start(out, start)?,
            Self::AttemptStarted { at, attempt }
            | Self::AttemptInterrupted { at, attempt }
            | Self::AttemptParked { at, attempt }
            | Self::AttemptResumed { at, attempt }
            | Self::UndoStarted { at, attempt }
            | Self::UndoSucceeded { at, attempt }
            | Self::UndoInterrupted { at, attempt } => put_attempt(out, at, *attempt),
            Self::AttemptSucceeded {
                at,
                attempt,
                output,
            }
            | Self::AttemptRecovered {
                at,
                attempt,
                output,
            } => {
                put_attempt(out, at, *attempt);
                put_payload(out, output, "an output")?;
            }
            Self::AttemptFailed {
                at,
                attempt,
                failure,
                retry_at,
            }
            | Self::UndoFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => {
                put_attempt(out, at, *attempt);
                put_failure(out, failure);
                put_option(out, *retry_at, put_time);
            }
            Self::RecoveryBegan {
                at,
                attempt,
                failure,
            } => {
                put_attempt(out, at, *attempt);
                put_failure(out, failure);
            }
            Self::AttemptPostponed {
                at,
                attempt,
                due,
                state,
            } => {
                put_attempt(out, at, *attempt);
                put_time(out, *due);
                put_payload(out, state, "the saved state of a job")?;
            }
            Self::ItemsCounted { at, items: number }
            | Self::BranchTaken { at, arm: number }
            | Self::RaceWon { at, entry: number }
            | Self::SignalConsumed { at, signal: number } => {
                put_position(out, at);
                put_small(out, *number);
            }
            Self::BlockEntered { at }
            | Self::WaitTimedOut { at }
            | Self::AttemptsDropped { at } => put_position(out, at),
            Self::TimerSet { at, due } => {
                put_position(out, at);
                put_time(out, *due);
            }
            Self::DeadlineSet { at, due } => {
                put_option(out, at.as_ref(), put_position);
                put_time(out, *due);
            }
            Self::DeadlinePassed { at, failure } => {
                put_option(out, at.as_ref(), put_position);
                put_failure(out, failure);
            }
            Self::ErrorKept { at, error } => {
                put_position(out, at);
                put_payload(out, error, "an error")?;
            }
            Self::UndoOwed { at, arguments } | Self::ArgumentsReplaced { at, arguments } => {
                put_position(out, at);
                put_payload(out, arguments, "the inputs of a job")?;
            }
            Self::ResultShared { at, key, until } => {
                put_position(out, at);
                put_wide(out, *key);
                put_option(out, *until, put_time);
            }
            Self::ChildrenSpawned { at, children } => {
                put_position(out, at);
                put_length(out, children.len());
                for child in children {
                    put_child(out, child)?;
                }
            }
            Self::ChildrenLeft { at, children }
            | Self::ChildrenSuspended { at, children }
            | Self::ChildrenResumed { at, children } => {
                put_position(out, at);
                put_numbers(out, children);
            }
            Self::ValueKept { at, name, value } => {
                put_position(out, at);
                check_name(name, "the name of a recorded value")?;
                put_bytes(out, name.as_bytes());
                put_payload(out, value, "a recorded value")?;
            }
            Self::AttemptContinued { at, attempt, heir } => {
                put_attempt(out, at, *attempt);
                put_heir(out, heir)?;
            }
            Self::SignalReceived { name, payload } => put_signal(out, name, payload)?,
            Self::CancelRequested(request) => put_bytes(out, cut(&request.reason).as_bytes()),
            Self::RunRevised(revision) => put_revision(out, revision),
            Self::RunFinished(ending) | Self::UndoingBegan { ending } => put_ending(out, ending)?,
        }
        Ok(())
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::RunStarted(_) => RUN_STARTED,
            Self::AttemptStarted { .. } => ATTEMPT_STARTED,
            Self::AttemptSucceeded { .. } => ATTEMPT_SUCCEEDED,
            Self::AttemptFailed { .. } => ATTEMPT_FAILED,
            Self::AttemptInterrupted { .. } => ATTEMPT_INTERRUPTED,
            Self::ItemsCounted { .. } => ITEMS_COUNTED,
            Self::CancelRequested(_) => CANCEL_REQUESTED,
            Self::RunFinished(_) => RUN_FINISHED,
            Self::BranchTaken { .. } => BRANCH_TAKEN,
            Self::BlockEntered { .. } => BLOCK_ENTERED,
            Self::ErrorKept { .. } => ERROR_KEPT,
            Self::RaceWon { .. } => RACE_WON,
            Self::TimerSet { .. } => TIMER_SET,
            Self::SignalReceived { .. } => SIGNAL_RECEIVED,
            Self::SignalConsumed { .. } => SIGNAL_CONSUMED,
            Self::WaitTimedOut { .. } => WAIT_TIMED_OUT,
            Self::RecoveryBegan { .. } => RECOVERY_BEGAN,
            Self::AttemptRecovered { .. } => ATTEMPT_RECOVERED,
            Self::AttemptPostponed { .. } => ATTEMPT_POSTPONED,
            Self::DeadlineSet { .. } => DEADLINE_SET,
            Self::DeadlinePassed { .. } => DEADLINE_PASSED,
            Self::UndoOwed { .. } => UNDO_OWED,
            Self::UndoingBegan { .. } => UNDOING_BEGAN,
            Self::UndoStarted { .. } => UNDO_STARTED,
            Self::UndoSucceeded { .. } => UNDO_SUCCEEDED,
            Self::UndoFailed { .. } => UNDO_FAILED,
            Self::UndoInterrupted { .. } => UNDO_INTERRUPTED,
            Self::ResultShared { .. } => RESULT_SHARED,
            Self::RunRevised(_) => RUN_REVISED,
            Self::ArgumentsReplaced { .. } => ARGUMENTS_REPLACED,
            Self::ChildrenSpawned { .. } => CHILDREN_SPAWNED,
            Self::AttemptParked { .. } => ATTEMPT_PARKED,
            Self::AttemptResumed { .. } => ATTEMPT_RESUMED,
            Self::ChildrenLeft { .. } => CHILDREN_LEFT,
            Self::ValueKept { .. } => VALUE_KEPT,
            Self::AttemptContinued { .. } => ATTEMPT_CONTINUED,
            Self::AttemptsDropped { .. } => ATTEMPTS_DROPPED,
            Self::ChildrenSuspended { .. } => CHILDREN_SUSPENDED,
            Self::ChildrenResumed { .. } => CHILDREN_RESUMED,
        }
    }
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_number(out, u64::try_from(length).unwrap_or(u64::MAX));
}

pub(crate) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    put: impl FnOnce(&mut Vec<u8>, T),
) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

fn put_start(out: &mut Vec<u8>, start: &RunStart) -> Result<(), StoreError> {
    check_name(&start.workflow, "the name of a workflow")?;
    put_bytes(out, start.workflow.as_bytes());
    if let Some(key) = &start.key {
        check_name(key, "an idempotency key")?;
    }
    put_option(out, start.key.as_deref(), |out, key| {
        put_bytes(out, key.as_bytes());
    });
    put_wide(out, start.definition.as_u128());
    put_payload(out, &start.input, "an input")
}

fn put_signal(out: &mut Vec<u8>, name: &str, payload: &[u8]) -> Result<(), StoreError> {
    check_name(name, "the name of a signal")?;
    put_bytes(out, name.as_bytes());
    put_payload(out, payload, "the payload of a signal")
}

fn put_child(out: &mut Vec<u8>, child: &SpawnedChild) -> Result<(), StoreError> {
    put_small(out, child.kind.number());
    match &child.call {
        ChildCall::Number(number) => {
            out.push(BY_NUMBER);
            put_small(out, *number);
        }
        ChildCall::Key(key) => {
            check_name(key, "the key of a child")?;
            out.push(BY_KEY);
            put_bytes(out, key.as_bytes());
        }
    }
    out.push(match child.bond {
        Bond::Held => 1,
        Bond::Followed => 2,
        Bond::Detached => 3,
    });
    put_payload(out, &child.arguments, "the inputs of a child")?;
    put_option(out, child.fan, |out, Fan { number, limit }| {
        put_small(out, number);
        put_small(out, limit);
    });
    put_limits(out, child.limits);
    Ok(())
}

fn put_limits(out: &mut Vec<u8>, limits: ChildLimits) {
    put_option(out, limits.retry, put_small);
    put_option(out, limits.timeout, put_number);
    put_option(out, limits.total_timeout, put_number);
}

fn put_heir(out: &mut Vec<u8>, heir: &Heir) -> Result<(), StoreError> {
    put_small(out, heir.kind.number());
    put_length(out, heir.inputs.len());
    for HeirInput { name, value } in &heir.inputs {
        check_name(name, "the name of an input")?;
        put_bytes(out, name.as_bytes());
        match value {
            Inherited::Value(value) => {
                out.push(INHERITED_VALUE);
                put_payload(out, value, "an input of a child")?;
            }
            Inherited::Child(child) => {
                out.push(INHERITED_CHILD);
                put_small(out, *child);
            }
            Inherited::Children(children) => {
                out.push(INHERITED_CHILDREN);
                put_numbers(out, children);
            }
        }
    }
    put_limits(out, heir.limits);
    Ok(())
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u32]) {
    put_length(out, numbers.len());
    for number in numbers {
        put_small(out, *number);
    }
}

fn put_attempt(out: &mut Vec<u8>, at: &Position, attempt: Attempt) {
    put_position(out, at);
    put_small(out, attempt.number());
}

fn put_position(out: &mut Vec<u8>, at: &Position) {
    put_length(out, at.frames.len());
    for step in &at.frames {
        put_small(out, step.node.number());
        put_small(out, step.index);
    }
    put_small(out, at.node.number());
}

fn put_small(out: &mut Vec<u8>, number: u32) {
    put_number(out, u64::from(number));
}

fn put_wide(out: &mut Vec<u8>, number: u128) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    put_number(out, time.as_millis());
}

fn put_revision(out: &mut Vec<u8>, revision: &Revision) {
    put_wide(out, revision.definition.as_u128());
    put_length(out, revision.moved.len());
    for (before, now) in &revision.moved {
        put_small(out, before.number());
        put_small(out, now.number());
    }
    put_length(out, revision.dropped.len());
    for dropped in &revision.dropped {
        put_position(out, &dropped.at);
        put_option(out, dropped.from, put_small);
    }
}

fn put_failure(out: &mut Vec<u8>, failure: &Failure) {
    out.push(match failure.kind {
        FailureKind::Error => 1,
        FailureKind::Panic => 2,
        FailureKind::TimedOut => 3,
        FailureKind::TooLarge => 4,
        FailureKind::Unencodable => 5,
        FailureKind::Undecodable => 6,
        FailureKind::Bug => 7,
        FailureKind::Diverged => 8,
        FailureKind::Refused => 9,
        FailureKind::Unverified => 10,
        FailureKind::Interrupted => 11,
        FailureKind::Poisoned => 12,
    });
    put_bytes(out, cut(&failure.message).as_bytes());
}

fn put_ending(out: &mut Vec<u8>, ending: &Ending) -> Result<(), StoreError> {
    match ending {
        Ending::Succeeded { output } => {
            out.push(ENDED_SUCCEEDED);
            put_payload(out, output, "the output of a run")
        }
        Ending::Failed { at, failure } => {
            out.push(ENDED_FAILED);
            put_option(out, at.as_ref(), put_position);
            put_failure(out, failure);
            Ok(())
        }
        Ending::Cancelled => {
            out.push(ENDED_CANCELLED);
            Ok(())
        }
    }
}

fn put_payload(out: &mut Vec<u8>, bytes: &[u8], what: &str) -> Result<(), StoreError> {
    check_payload(bytes, what)?;
    put_bytes(out, bytes);
    Ok(())
}

pub(crate) fn check_payload(bytes: &[u8], what: &str) -> Result<(), StoreError> {
    if bytes.len() <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(too_large(what, bytes.len(), "16 MiB"))
}

/// A batch is in memory at once, and in redb a value of this size costs seconds already.
pub(crate) fn check_append(bytes: usize) -> Result<(), StoreError> {
    if bytes <= 64 << 20 {
        return Ok(());
    }
    Err(too_large("the records of one append", bytes, "64 MiB"))
}

fn check_name(name: &str, what: &str) -> Result<(), StoreError> {
    if name.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(too_large(what, name.len(), "4 KiB"))
}

fn too_large(what: &str, bytes: usize, limit: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::TooLarge,
        format!(
            "{what} of {bytes} bytes: a store holds at most {limit} of it; keep large data elsewhere and pass a reference"
        ),
    )
}
