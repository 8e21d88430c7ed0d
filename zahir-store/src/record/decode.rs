//! Bytes as records.
//!
//! Decoding never recurses, checks each length against what is left before it allocates, and
//! refuses unknown tags, numbers out of range and bytes left over. The bytes are described in
//! `record::encode`.

use crate::record::encode::{
    ARGUMENTS_REPLACED, ATTEMPT_CONTINUED, ATTEMPT_FAILED, ATTEMPT_INTERRUPTED, ATTEMPT_PARKED,
    ATTEMPT_POSTPONED, ATTEMPT_RECOVERED, ATTEMPT_RESUMED, ATTEMPT_STARTED, ATTEMPT_SUCCEEDED,
    ATTEMPTS_DROPPED, BLOCK_ENTERED, BRANCH_TAKEN, BY_KEY, BY_NUMBER, CANCEL_REQUESTED,
    CHILDREN_LEFT, CHILDREN_RESUMED, CHILDREN_SPAWNED, CHILDREN_SUSPENDED, DEADLINE_PASSED,
    DEADLINE_SET, ENDED_CANCELLED, ENDED_FAILED, ENDED_SUCCEEDED, ERROR_KEPT, INHERITED_CHILD,
    INHERITED_CHILDREN, INHERITED_VALUE, ITEMS_COUNTED, RACE_WON, RECOVERY_BEGAN, RESULT_SHARED,
    RUN_FINISHED, RUN_REVISED, RUN_STARTED, SIGNAL_CONSUMED, SIGNAL_RECEIVED, TIMER_SET,
    UNDO_FAILED, UNDO_INTERRUPTED, UNDO_OWED, UNDO_STARTED, UNDO_SUCCEEDED, UNDOING_BEGAN,
    VALUE_KEPT, WAIT_TIMED_OUT,
};
use crate::record::{PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX};
use crate::{
    Attempt, Bond, CancelRequest, ChildCall, ChildLimits, DefinitionId, Dropped, Ending, Failure,
    FailureKind, Fan, FrameStep, Heir, HeirInput, Inherited, NodeId, Position, Record, Revision,
    RunStart, SpawnedChild, StoreError, StoreErrorKind, Timestamp,
};

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Record {
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

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
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
            UNDOING_BEGAN => Record::UndoingBegan {
                ending: self.ending()?,
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
                key: self.wide()?,
                until: self.option(Self::time)?,
            },
            RUN_REVISED => Record::RunRevised(self.revision()?),
            ARGUMENTS_REPLACED => Record::ArgumentsReplaced {
                at: self.position()?,
                arguments: self.payload()?,
            },
            CHILDREN_SPAWNED => Record::ChildrenSpawned {
                at: self.position()?,
                children: self.list(8, Self::child)?,
            },
            ATTEMPT_PARKED => Record::AttemptParked {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            ATTEMPT_RESUMED => Record::AttemptResumed {
                at: self.position()?,
                attempt: self.attempt()?,
            },
            CHILDREN_LEFT => Record::ChildrenLeft {
                at: self.position()?,
                children: self.list(1, Self::small)?,
            },
            VALUE_KEPT => Record::ValueKept {
                at: self.position()?,
                name: self.text()?.to_owned(),
                value: self.payload()?,
            },
            ATTEMPT_CONTINUED => Record::AttemptContinued {
                at: self.position()?,
                attempt: self.attempt()?,
                heir: self.heir()?,
            },
            ATTEMPTS_DROPPED => Record::AttemptsDropped {
                at: self.position()?,
            },
            CHILDREN_SUSPENDED => Record::ChildrenSuspended {
                at: self.position()?,
                children: self.list(1, Self::small)?,
            },
            CHILDREN_RESUMED => Record::ChildrenResumed {
                at: self.position()?,
                children: self.list(1, Self::small)?,
            },
            _ => return Err(Malformed("its tag is unknown")),
        })
    }

    fn child(&mut self) -> Result<SpawnedChild, Malformed> {
        Ok(SpawnedChild {
            kind: self.node()?,
            call: match self.byte()? {
                BY_NUMBER => ChildCall::Number(self.small()?),
                BY_KEY => ChildCall::Key(self.text()?.to_owned()),
                _ => return Err(Malformed("a child is of an unknown call")),
            },
            bond: match self.byte()? {
                1 => Bond::Held,
                2 => Bond::Followed,
                3 => Bond::Detached,
                _ => return Err(Malformed("a child has an unknown bond")),
            },
            arguments: self.payload()?,
            fan: self.option(|reader| {
                Ok(Fan {
                    number: reader.small()?,
                    limit: reader.small()?,
                })
            })?,
            limits: self.limits()?,
        })
    }

    fn limits(&mut self) -> Result<ChildLimits, Malformed> {
        Ok(ChildLimits {
            retry: self.option(Self::small)?,
            timeout: self.option(Self::number)?,
            total_timeout: self.option(Self::number)?,
        })
    }

    fn heir(&mut self) -> Result<Heir, Malformed> {
        Ok(Heir {
            kind: self.node()?,
            inputs: self.list(3, |reader| {
                Ok(HeirInput {
                    name: reader.text()?.to_owned(),
                    value: match reader.byte()? {
                        INHERITED_VALUE => Inherited::Value(reader.payload()?),
                        INHERITED_CHILD => Inherited::Child(reader.small()?),
                        INHERITED_CHILDREN => Inherited::Children(reader.list(1, Self::small)?),
                        _ => return Err(Malformed("an input comes from nowhere")),
                    },
                })
            })?,
            limits: self.limits()?,
        })
    }

    fn revision(&mut self) -> Result<Revision, Malformed> {
        Ok(Revision {
            definition: self.definition()?,
            moved: self.list(2, |reader| Ok((reader.node()?, reader.node()?)))?,
            dropped: self.list(3, |reader| {
                Ok(Dropped {
                    at: reader.position()?,
                    from: reader.option(Self::small)?,
                })
            })?,
        })
    }

    /// A count, and so many things of `bytes_min` bytes or more each.
    fn list<T>(
        &mut self,
        bytes_min: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = usize::try_from(self.number()?)
            .ok()
            .filter(|count| *count <= self.rest.len() / bytes_min)
            .ok_or(Malformed("a list has more entries than bytes"))?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    fn start(&mut self) -> Result<RunStart, Malformed> {
        Ok(RunStart {
            workflow: self.text()?.to_owned(),
            key: self.option(|reader| reader.text().map(str::to_owned))?,
            definition: self.definition()?,
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
        Ok(Position {
            frames: self.list(2, |reader| {
                Ok(FrameStep {
                    node: reader.node()?,
                    index: reader.small()?,
                })
            })?,
            node: self.node()?,
        })
    }

    fn node(&mut self) -> Result<NodeId, Malformed> {
        self.small().map(NodeId::new)
    }

    fn definition(&mut self) -> Result<DefinitionId, Malformed> {
        self.wide().map(DefinitionId::from_u128)
    }

    fn wide(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_le_bytes)
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
