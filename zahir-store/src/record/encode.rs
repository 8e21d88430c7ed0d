//! Records as bytes, and back.
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
//!
//! A time is its milliseconds; all numbers but times and lengths have at most 32 bits. A definition
//! id is little-endian. A failure is its kind, one byte, and its message, text: 1 `Error`,
//! 2 `Panic`, 3 `TimedOut`, 4 `TooLarge`, 5 `Unencodable`, 6 `Undecodable`, 7 `Bug`, 8 `Diverged`,
//! 9 `Refused`, 10 `Unverified`, 11 `Interrupted`, 12 `Poisoned`. A revision is a definition id; the
//! count of nodes that moved, each its number before and now; the count of what was dropped, each a
//! position and an option of a number.
//! An ending is one byte and its fields: 1 `Succeeded`, output, payload; 2 `Failed`, option of a
//! position, failure; 3 `Cancelled`.
//!
//! Decoding never recurses, checks each length against what is left before it allocates, and
//! refuses unknown tags, numbers out of range and bytes left over.

use crate::record::{PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX, cut};
use crate::{
    Attempt, CancelRequest, DefinitionId, Dropped, Ending, Failure, FailureKind, FrameStep, NodeId,
    Position, Record, Revision, RunStart, StoreError, StoreErrorKind, Timestamp,
};

const RUN_STARTED: u8 = 1;
const ATTEMPT_STARTED: u8 = 2;
const ATTEMPT_SUCCEEDED: u8 = 3;
const ATTEMPT_FAILED: u8 = 4;
const ATTEMPT_INTERRUPTED: u8 = 5;
const ITEMS_COUNTED: u8 = 6;
const CANCEL_REQUESTED: u8 = 7;
const RUN_FINISHED: u8 = 8;
const BRANCH_TAKEN: u8 = 9;
const BLOCK_ENTERED: u8 = 10;
const ERROR_KEPT: u8 = 11;
const RACE_WON: u8 = 12;
const TIMER_SET: u8 = 13;
const SIGNAL_RECEIVED: u8 = 14;
const SIGNAL_CONSUMED: u8 = 15;
const WAIT_TIMED_OUT: u8 = 16;
const RECOVERY_BEGAN: u8 = 17;
const ATTEMPT_RECOVERED: u8 = 18;
const ATTEMPT_POSTPONED: u8 = 19;
const DEADLINE_SET: u8 = 20;
const DEADLINE_PASSED: u8 = 21;
const UNDO_OWED: u8 = 22;
const UNDOING_BEGAN: u8 = 23;
const UNDO_STARTED: u8 = 24;
const UNDO_SUCCEEDED: u8 = 25;
const UNDO_FAILED: u8 = 26;
const UNDO_INTERRUPTED: u8 = 27;
const RESULT_SHARED: u8 = 28;
const RUN_REVISED: u8 = 29;
const ARGUMENTS_REPLACED: u8 = 30;

const ENDED_SUCCEEDED: u8 = 1;
const ENDED_FAILED: u8 = 2;
const ENDED_CANCELLED: u8 = 3;

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Record {
    /// Adds the record's bytes to the end of `out`.
    ///
    /// Of a failure's message and a cancellation's reason only the first 4 KiB are kept.
    ///
    /// # Errors
    ///
    /// If a payload is over 16 MiB or a name over 4 KiB; `out` then ends in a piece of the record.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), StoreError> {
        match self {
            Self::RunStarted(start) => {
                out.push(RUN_STARTED);
                put_start(out, start)?;
            }
            Self::AttemptStarted { at, attempt } => {
                put_attempt(out, ATTEMPT_STARTED, at, *attempt);
            }
            Self::AttemptSucceeded {
                at,
                attempt,
                output,
            } => {
                put_attempt(out, ATTEMPT_SUCCEEDED, at, *attempt);
                put_payload(out, output, "an output")?;
            }
            Self::AttemptFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => {
                put_attempt(out, ATTEMPT_FAILED, at, *attempt);
                put_failure(out, failure);
                put_option(out, *retry_at, put_time);
            }
            Self::AttemptInterrupted { at, attempt } => {
                put_attempt(out, ATTEMPT_INTERRUPTED, at, *attempt);
            }
            Self::ItemsCounted { at, items } => put_counted(out, ITEMS_COUNTED, at, *items),
            Self::CancelRequested(request) => {
                out.push(CANCEL_REQUESTED);
                put_bytes(out, cut(&request.reason).as_bytes());
            }
            Self::RunFinished(ending) => {
                out.push(RUN_FINISHED);
                put_ending(out, ending)?;
            }
            Self::BranchTaken { at, arm } => put_counted(out, BRANCH_TAKEN, at, *arm),
            Self::BlockEntered { at } => put_at(out, BLOCK_ENTERED, at),
            Self::ErrorKept { at, error } => {
                put_at(out, ERROR_KEPT, at);
                put_payload(out, error, "an error")?;
            }
            Self::RaceWon { at, entry } => put_counted(out, RACE_WON, at, *entry),
            Self::TimerSet { at, due } => {
                put_at(out, TIMER_SET, at);
                put_time(out, *due);
            }
            Self::SignalReceived { name, payload } => {
                out.push(SIGNAL_RECEIVED);
                put_signal(out, name, payload)?;
            }
            Self::SignalConsumed { at, signal } => put_counted(out, SIGNAL_CONSUMED, at, *signal),
            Self::WaitTimedOut { at } => put_at(out, WAIT_TIMED_OUT, at),
            Self::UndoingBegan { ending } => {
                out.push(UNDOING_BEGAN);
                put_ending(out, ending)?;
            }
            Self::RunRevised(revision) => {
                out.push(RUN_REVISED);
                put_revision(out, revision);
            }
            Self::RecoveryBegan { .. }
            | Self::AttemptRecovered { .. }
            | Self::AttemptPostponed { .. }
            | Self::DeadlineSet { .. }
            | Self::DeadlinePassed { .. }
            | Self::UndoOwed { .. }
            | Self::UndoStarted { .. }
            | Self::UndoSucceeded { .. }
            | Self::UndoFailed { .. }
            | Self::UndoInterrupted { .. }
            | Self::ResultShared { .. }
            | Self::ArgumentsReplaced { .. } => self.encode_effect(out)?,
        }
        Ok(())
    }

    /// The same for records of how failures and effects are dealt with.
    fn encode_effect(&self, out: &mut Vec<u8>) -> Result<(), StoreError> {
        match self {
            Self::RecoveryBegan {
                at,
                attempt,
                failure,
            } => {
                put_attempt(out, RECOVERY_BEGAN, at, *attempt);
                put_failure(out, failure);
            }
            Self::AttemptRecovered {
                at,
                attempt,
                output,
            } => {
                put_attempt(out, ATTEMPT_RECOVERED, at, *attempt);
                put_payload(out, output, "an output")?;
            }
            Self::AttemptPostponed {
                at,
                attempt,
                due,
                state,
            } => {
                put_attempt(out, ATTEMPT_POSTPONED, at, *attempt);
                put_time(out, *due);
                put_payload(out, state, "the saved state of a job")?;
            }
            Self::DeadlineSet { at, due } => {
                out.push(DEADLINE_SET);
                put_option(out, at.as_ref(), put_position);
                put_time(out, *due);
            }
            Self::DeadlinePassed { at, failure } => {
                out.push(DEADLINE_PASSED);
                put_option(out, at.as_ref(), put_position);
                put_failure(out, failure);
            }
            Self::UndoOwed { at, arguments } => {
                put_at(out, UNDO_OWED, at);
                put_payload(out, arguments, "the inputs of a job")?;
            }
            Self::UndoStarted { at, attempt } => put_attempt(out, UNDO_STARTED, at, *attempt),
            Self::UndoSucceeded { at, attempt } => put_attempt(out, UNDO_SUCCEEDED, at, *attempt),
            Self::UndoFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => {
                put_attempt(out, UNDO_FAILED, at, *attempt);
                put_failure(out, failure);
                put_option(out, *retry_at, put_time);
            }
            Self::UndoInterrupted { at, attempt } => {
                put_attempt(out, UNDO_INTERRUPTED, at, *attempt);
            }
            Self::ResultShared { at, key, until } => {
                put_at(out, RESULT_SHARED, at);
                out.extend_from_slice(&key.to_le_bytes());
                put_option(out, *until, put_time);
            }
            Self::ArgumentsReplaced { at, arguments } => {
                put_at(out, ARGUMENTS_REPLACED, at);
                put_payload(out, arguments, "the inputs of a job")?;
            }
            Self::RunStarted(_)
            | Self::AttemptStarted { .. }
            | Self::AttemptSucceeded { .. }
            | Self::AttemptFailed { .. }
            | Self::AttemptInterrupted { .. }
            | Self::ItemsCounted { .. }
            | Self::CancelRequested(_)
            | Self::RunFinished(_)
            | Self::BranchTaken { .. }
            | Self::BlockEntered { .. }
            | Self::ErrorKept { .. }
            | Self::RaceWon { .. }
            | Self::TimerSet { .. }
            | Self::SignalReceived { .. }
            | Self::SignalConsumed { .. }
            | Self::WaitTimedOut { .. }
            | Self::UndoingBegan { .. }
            | Self::RunRevised(_) => {}
        }
        Ok(())
    }

    /// The record that these bytes are.
    ///
    /// # Errors
    ///
    /// If they are none, or more than one.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(bytes);
        reader
            .record()
            .and_then(|record| reader.end().map(|()| record))
            .map_err(|Malformed(what)| {
                StoreError::new(
                    StoreErrorKind::Damaged,
                    format!("these bytes are no record: {what}"),
                )
            })
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
    out.extend_from_slice(&start.definition.as_u128().to_le_bytes());
    put_payload(out, &start.input, "an input")
}

fn put_signal(out: &mut Vec<u8>, name: &str, payload: &[u8]) -> Result<(), StoreError> {
    check_name(name, "the name of a signal")?;
    put_bytes(out, name.as_bytes());
    put_payload(out, payload, "the payload of a signal")
}

fn put_attempt(out: &mut Vec<u8>, tag: u8, at: &Position, attempt: Attempt) {
    put_counted(out, tag, at, attempt.number());
}

fn put_counted(out: &mut Vec<u8>, tag: u8, at: &Position, number: u32) {
    put_at(out, tag, at);
    put_number(out, u64::from(number));
}

fn put_at(out: &mut Vec<u8>, tag: u8, at: &Position) {
    out.push(tag);
    put_position(out, at);
}

fn put_position(out: &mut Vec<u8>, at: &Position) {
    put_length(out, at.frames.len());
    for step in &at.frames {
        put_number(out, u64::from(step.node.number()));
        put_number(out, u64::from(step.index));
    }
    put_number(out, u64::from(at.node.number()));
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    put_number(out, time.as_millis());
}

fn put_revision(out: &mut Vec<u8>, revision: &Revision) {
    out.extend_from_slice(&revision.definition.as_u128().to_le_bytes());
    put_length(out, revision.moved.len());
    for (before, now) in &revision.moved {
        put_number(out, u64::from(before.number()));
        put_number(out, u64::from(now.number()));
    }
    put_length(out, revision.dropped.len());
    for dropped in &revision.dropped {
        put_position(out, &dropped.at);
        put_option(out, dropped.from, |out, from| {
            put_number(out, u64::from(from));
        });
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

/// What is left of some bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes are left over"))
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (byte, rest) = self
            .rest
            .split_first()
            .ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed("a number is out of range"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number is out of range"))
    }

    fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("a number is out of range"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?)
            .map_err(|_| Malformed("a length reaches beyond the end"))?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Malformed("a length reaches beyond the end"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.bytes()?;
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(Malformed("a text is too long"));
        }
        str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
    }

    fn payload(&mut self) -> Result<Vec<u8>, Malformed> {
        let bytes = self.bytes()?;
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(Malformed("a payload is too long"));
        }
        Ok(bytes.to_vec())
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed("an option is neither absent nor present")),
        }
    }

    pub(crate) fn record(&mut self) -> Result<Record, Malformed> {
        Ok(match self.byte()? {
            RUN_STARTED => Record::RunStarted(self.start()?),
            ATTEMPT_STARTED => Record::AttemptStarted {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            ATTEMPT_SUCCEEDED => Record::AttemptSucceeded {
                at: self.position()?,
                attempt: self.attempt()?,
                output: self.payload()?,
            },
            ATTEMPT_FAILED => Record::AttemptFailed {
                at: self.position()?,
                attempt: self.attempt()?,
                failure: self.failure()?,
                retry_at: self.option(Self::time)?,
            },
            ATTEMPT_INTERRUPTED => Record::AttemptInterrupted {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            ITEMS_COUNTED => Record::ItemsCounted {
                at: self.position()?,
                items: self.small()?,
            },
            CANCEL_REQUESTED => Record::CancelRequested(CancelRequest {
                reason: self.text()?.to_owned(),
            }),
            RUN_FINISHED => Record::RunFinished(self.ending()?),
            BRANCH_TAKEN => Record::BranchTaken {
                at: self.position()?,
                arm: self.small()?,
            },
            BLOCK_ENTERED => Record::BlockEntered {
                at: self.position()?,
            },
            ERROR_KEPT => Record::ErrorKept {
                at: self.position()?,
                error: self.payload()?,
            },
            RACE_WON => Record::RaceWon {
                at: self.position()?,
                entry: self.small()?,
            },
            TIMER_SET => Record::TimerSet {
                at: self.position()?,
                due: self.time()?,
            },
            SIGNAL_RECEIVED => Record::SignalReceived {
                name: self.text()?.to_owned(),
                payload: self.payload()?,
            },
            SIGNAL_CONSUMED => Record::SignalConsumed {
                at: self.position()?,
                signal: self.small()?,
            },
            WAIT_TIMED_OUT => Record::WaitTimedOut {
                at: self.position()?,
            },
            UNDOING_BEGAN => Record::UndoingBegan {
                ending: self.ending()?,
            },
            RUN_REVISED => Record::RunRevised(self.revision()?),
            tag => return self.effect(tag),
        })
    }

    /// The same for records of how failures and effects are dealt with.
    fn effect(&mut self, tag: u8) -> Result<Record, Malformed> {
        Ok(match tag {
            RECOVERY_BEGAN => Record::RecoveryBegan {
                at: self.position()?,
                attempt: self.attempt()?,
                failure: self.failure()?,
            },
            ATTEMPT_RECOVERED => Record::AttemptRecovered {
                at: self.position()?,
                attempt: self.attempt()?,
                output: self.payload()?,
            },
            ATTEMPT_POSTPONED => Record::AttemptPostponed {
                at: self.position()?,
                attempt: self.attempt()?,
                due: self.time()?,
                state: self.payload()?,
            },
            DEADLINE_SET => Record::DeadlineSet {
                at: self.option(Self::position)?,
                due: self.time()?,
            },
            DEADLINE_PASSED => Record::DeadlinePassed {
                at: self.option(Self::position)?,
                failure: self.failure()?,
            },
            UNDO_OWED => Record::UndoOwed {
                at: self.position()?,
                arguments: self.payload()?,
            },
            UNDO_STARTED => Record::UndoStarted {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            UNDO_SUCCEEDED => Record::UndoSucceeded {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            UNDO_FAILED => Record::UndoFailed {
                at: self.position()?,
                attempt: self.attempt()?,
                failure: self.failure()?,
                retry_at: self.option(Self::time)?,
            },
            UNDO_INTERRUPTED => Record::UndoInterrupted {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            RESULT_SHARED => Record::ResultShared {
                at: self.position()?,
                key: u128::from_le_bytes(self.array()?),
                until: self.option(Self::time)?,
            },
            ARGUMENTS_REPLACED => Record::ArgumentsReplaced {
                at: self.position()?,
                arguments: self.payload()?,
            },
            _ => return Err(Malformed("its tag is unknown")),
        })
    }

    fn revision(&mut self) -> Result<Revision, Malformed> {
        let definition = DefinitionId::from_u128(u128::from_le_bytes(self.array()?));
        let mut moved = Vec::new();
        for _ in 0..self.count()? {
            moved.push((NodeId::new(self.small()?), NodeId::new(self.small()?)));
        }
        let mut dropped = Vec::new();
        for _ in 0..self.count()? {
            dropped.push(Dropped {
                at: self.position()?,
                from: self.option(Self::small)?,
            });
        }
        Ok(Revision {
            definition,
            moved,
            dropped,
        })
    }

    /// How many pairs of things follow, each of two bytes or more.
    fn count(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|count| *count <= self.rest.len() / 2)
            .ok_or(Malformed("a list has more entries than bytes"))
    }

    fn start(&mut self) -> Result<RunStart, Malformed> {
        Ok(RunStart {
            workflow: self.text()?.to_owned(),
            key: self.option(|reader| reader.text().map(str::to_owned))?,
            definition: DefinitionId::from_u128(u128::from_le_bytes(self.array()?)),
            input: self.payload()?,
        })
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.number().map(Timestamp::from_millis)
    }

    fn attempt(&mut self) -> Result<Attempt, Malformed> {
        Attempt::new(self.small()?).ok_or(Malformed("there is no attempt 0"))
    }

    fn position(&mut self) -> Result<Position, Malformed> {
        let count = usize::try_from(self.number()?)
            .ok()
            .filter(|count| *count <= self.rest.len() / 2)
            .ok_or(Malformed("a position has more frames than bytes"))?;
        let mut frames = Vec::with_capacity(count);
        for _ in 0..count {
            frames.push(FrameStep {
                node: NodeId::new(self.small()?),
                index: self.small()?,
            });
        }
        Ok(Position {
            frames,
            node: NodeId::new(self.small()?),
        })
    }

    fn failure(&mut self) -> Result<Failure, Malformed> {
        let kind = match self.byte()? {
            1 => FailureKind::Error,
            2 => FailureKind::Panic,
            3 => FailureKind::TimedOut,
            4 => FailureKind::TooLarge,
            5 => FailureKind::Unencodable,
            6 => FailureKind::Undecodable,
            7 => FailureKind::Bug,
            8 => FailureKind::Diverged,
            9 => FailureKind::Refused,
            10 => FailureKind::Unverified,
            11 => FailureKind::Interrupted,
            12 => FailureKind::Poisoned,
            _ => return Err(Malformed("its kind of failure is unknown")),
        };
        Ok(Failure {
            kind,
            message: self.text()?.to_owned(),
        })
    }

    fn ending(&mut self) -> Result<Ending, Malformed> {
        Ok(match self.byte()? {
            ENDED_SUCCEEDED => Ending::Succeeded {
                output: self.payload()?,
            },
            ENDED_FAILED => Ending::Failed {
                at: self.option(Self::position)?,
                failure: self.failure()?,
            },
            ENDED_CANCELLED => Ending::Cancelled,
            _ => return Err(Malformed("its ending is unknown")),
        })
    }
}
