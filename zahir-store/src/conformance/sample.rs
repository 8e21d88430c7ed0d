//! Appends that tests are made of.

use std::sync::Arc;

use crate::{
    Append, Attempt, Bond, CancelRequest, ChildCall, ChildLimits, DefinitionId, Dropped, Ending,
    Failure, FailureKind, Fan, FrameStep, Heir, HeirInput, Inherited, NodeId, Position, Record,
    Revision, RunId, RunStart, RunStatus, SharedResult, SpawnedChild, Timestamp,
};

/// The run with this number.
#[must_use]
pub const fn run(number: u128) -> RunId {
    RunId::from_u128(number)
}

/// The definition with this number.
#[must_use]
pub const fn definition(number: u128) -> DefinitionId {
    DefinitionId::from_u128(number)
}

/// An append that starts a run.
#[must_use]
pub fn start(number: u128, workflow: &str, key: Option<&str>) -> Append {
    Append {
        run: run(number),
        first: 0,
        at: Timestamp::from_millis(1_000),
        records: vec![Record::RunStarted(RunStart {
            workflow: workflow.to_owned(),
            key: key.map(str::to_owned),
            definition: definition(7),
            input: b"input".to_vec(),
        })],
        definition: Some(Arc::from(&b"definition"[..])),
    }
}

/// An append of these records to a run that has `first` so far.
#[must_use]
pub fn more(number: u128, first: u64, records: Vec<Record>) -> Append {
    Append {
        run: run(number),
        first,
        at: Timestamp::from_millis(first.saturating_add(1_000)),
        records,
        definition: None,
    }
}

/// An append of one `AttemptStarted`.
#[must_use]
pub fn attempt(number: u128, first: u64) -> Append {
    let record = Record::AttemptStarted {
        at: position(3),
        attempt: Attempt::FIRST,
    };
    more(number, first, vec![record])
}

/// An append of one `RunFinished`.
#[must_use]
pub fn finish(number: u128, first: u64) -> Append {
    let output = b"output".to_vec();
    let record = Record::RunFinished(Ending::Succeeded { output });
    more(number, first, vec![record])
}

/// An append of one `RunRevised` that keeps the definition and drops a node.
#[must_use]
pub fn revise(number: u128, first: u64) -> Append {
    revise_to(number, first, definition(7), None)
}

/// The same to another definition, which may come with it.
pub(super) fn revise_to(
    number: u128,
    first: u64,
    definition: DefinitionId,
    bytes: Option<&[u8]>,
) -> Append {
    let revision = Revision {
        definition,
        moved: Vec::new(),
        dropped: vec![Dropped {
            at: position(3),
            from: None,
        }],
    };
    Append {
        definition: bytes.map(Arc::from),
        ..more(number, first, vec![Record::RunRevised(revision)])
    }
}

/// An append of a result that is shared with this key.
#[must_use]
pub fn share(number: u128, first: u64, key: u128, shared: SharedResult) -> Append {
    let at = position(3);
    let records = vec![
        Record::ResultShared {
            at: at.clone(),
            key,
            until: shared.until,
        },
        Record::AttemptSucceeded {
            at,
            attempt: Attempt::FIRST,
            output: shared.output,
        },
    ];
    more(number, first, records)
}

/// A result to be shared.
pub(super) fn shared(output: &[u8], until: Option<u64>) -> SharedResult {
    SharedResult {
        output: output.to_vec(),
        until: until.map(Timestamp::from_millis),
    }
}

/// A record of each kind that may stand between the first and the last of a run.
///
/// What is added comes last: the files of the `golden` test hold these records in this order.
#[must_use]
pub fn inner_records() -> Vec<Record> {
    let mut records = attempt_records();
    records.extend(control_records());
    records.extend(effect_records());
    records.extend(undo_records());
    records.push(revision());
    records.extend(child_records());
    records
}

fn attempt_records() -> Vec<Record> {
    let at = deep_position();
    let attempt = Attempt::new(u32::MAX).unwrap();
    let mut records = vec![
        Record::AttemptStarted {
            at: at.clone(),
            attempt,
        },
        Record::AttemptSucceeded {
            at: at.clone(),
            attempt,
            output: vec![0, 255, 7],
        },
        Record::AttemptSucceeded {
            at: position(0),
            attempt: Attempt::FIRST,
            output: Vec::new(),
        },
        Record::AttemptInterrupted {
            at: position(1),
            attempt,
        },
        Record::ItemsCounted { at, items: 128 },
        Record::CancelRequested(CancelRequest {
            reason: "nobody wants it – really".to_owned(),
        }),
    ];
    for (kind, retry_at) in FAILURE_KINDS
        .into_iter()
        .zip([None, Some(Timestamp::MAX)].into_iter().cycle())
    {
        records.push(Record::AttemptFailed {
            at: position(5),
            attempt: Attempt::FIRST,
            failure: failure(kind),
            retry_at,
        });
    }
    records
}

fn control_records() -> Vec<Record> {
    let at = deep_position();
    vec![
        Record::AttemptFailed {
            at: position(5),
            attempt: Attempt::FIRST,
            failure: failure(FailureKind::Diverged),
            retry_at: None,
        },
        Record::BranchTaken {
            at: at.clone(),
            arm: 2,
        },
        Record::BlockEntered { at: at.clone() },
        Record::ErrorKept {
            at: at.clone(),
            error: vec![255, 0, 128],
        },
        Record::ErrorKept {
            at: position(6),
            error: Vec::new(),
        },
        Record::RaceWon {
            at: position(7),
            entry: u32::MAX,
        },
        Record::TimerSet {
            at: position(8),
            due: Timestamp::from_millis(1_700_000_000_000),
        },
        Record::TimerSet {
            at: at.clone(),
            due: Timestamp::MAX,
        },
        Record::SignalReceived {
            name: "paid – in full".to_owned(),
            payload: vec![1, 0, 254],
        },
        Record::SignalReceived {
            name: String::new(),
            payload: Vec::new(),
        },
        Record::SignalConsumed {
            at: at.clone(),
            signal: 128,
        },
        Record::WaitTimedOut { at },
    ]
}

fn effect_records() -> Vec<Record> {
    let at = deep_position();
    let attempt = Attempt::new(300).unwrap();
    let mut records: Vec<Record> = LATER_FAILURE_KINDS
        .into_iter()
        .map(|kind| Record::RecoveryBegan {
            at: at.clone(),
            attempt,
            failure: failure(kind),
        })
        .collect();
    records.extend([
        Record::AttemptRecovered {
            at: at.clone(),
            attempt,
            output: vec![7, 255, 0],
        },
        Record::AttemptPostponed {
            at: at.clone(),
            attempt,
            due: Timestamp::from_millis(1_700_000_000_000),
            state: vec![128, 0, 1],
        },
        Record::DeadlineSet {
            at: Some(at.clone()),
            due: Timestamp::MAX,
        },
        Record::DeadlineSet {
            at: None,
            due: Timestamp::from_millis(0),
        },
        Record::DeadlinePassed {
            at: Some(at.clone()),
            failure: failure(FailureKind::TimedOut),
        },
        Record::DeadlinePassed {
            at: None,
            failure: failure(FailureKind::TimedOut),
        },
        Record::ArgumentsReplaced {
            at: at.clone(),
            arguments: vec![1, 128, 255],
        },
    ]);
    for (key, until) in [(u128::MAX - 1, None), (3, Some(Timestamp::MAX))] {
        records.extend([
            Record::ResultShared {
                at: at.clone(),
                key,
                until,
            },
            Record::AttemptSucceeded {
                at: at.clone(),
                attempt,
                output: b"shared".to_vec(),
            },
        ]);
    }
    records
}

fn undo_records() -> Vec<Record> {
    let at = deep_position();
    let attempt = Attempt::new(128).unwrap();
    let mut records = vec![
        Record::UndoOwed {
            at: at.clone(),
            arguments: vec![0, 200],
        },
        Record::UndoStarted {
            at: at.clone(),
            attempt,
        },
        Record::UndoSucceeded {
            at: at.clone(),
            attempt,
        },
        Record::UndoInterrupted {
            at: at.clone(),
            attempt,
        },
    ];
    for retry_at in [None, Some(Timestamp::from_millis(300))] {
        records.push(Record::UndoFailed {
            at: at.clone(),
            attempt,
            failure: failure(FailureKind::Panic),
            retry_at,
        });
    }
    records.extend(endings().map(|(ending, _)| Record::UndoingBegan { ending }));
    records
}

fn child_records() -> Vec<Record> {
    let at = deep_position();
    let attempt = Attempt::new(128).unwrap();
    vec![
        Record::ChildrenSpawned {
            at: at.clone(),
            children: children(),
        },
        Record::ChildrenSpawned {
            at: position(0),
            children: Vec::new(),
        },
        Record::AttemptParked {
            at: at.clone(),
            attempt,
        },
        Record::AttemptResumed {
            at: at.clone(),
            attempt,
        },
        Record::ChildrenLeft {
            at: at.clone(),
            children: vec![0, 300, u32::MAX],
        },
        Record::ValueKept {
            at: at.clone(),
            name: "seed – first".to_owned(),
            value: vec![0, 255],
        },
        Record::AttemptContinued {
            at: at.clone(),
            attempt,
            heir: heir(),
        },
        Record::AttemptsDropped { at: at.clone() },
        Record::ChildrenSuspended {
            at: at.clone(),
            children: vec![0, 300],
        },
        Record::ChildrenResumed {
            at,
            children: vec![300],
        },
    ]
}

const LIMITS: ChildLimits = ChildLimits {
    retry: Some(u32::MAX),
    timeout: Some(300),
    total_timeout: Some(u64::MAX),
};

fn children() -> Vec<SpawnedChild> {
    let child = |call, bond, arguments: &[u8]| SpawnedChild {
        kind: NodeId::new(300),
        call,
        bond,
        arguments: arguments.to_vec(),
        fan: None,
        limits: ChildLimits::default(),
    };
    let key = ChildCall::Key("war – peace".to_owned());
    let (number, limit) = (128, u32::MAX);
    vec![
        child(ChildCall::Number(u32::MAX), Bond::Held, &[128, 0]),
        child(key, Bond::Followed, &[]),
        SpawnedChild {
            fan: Some(Fan { number, limit }),
            limits: LIMITS,
            ..child(ChildCall::Key(String::new()), Bond::Detached, &[255])
        },
    ]
}

fn heir() -> Heir {
    let input = |name: &str, value| HeirInput {
        name: name.to_owned(),
        value,
    };
    Heir {
        kind: NodeId::new(0),
        inputs: vec![
            input("title", Inherited::Value(vec![192])),
            input("first", Inherited::Child(300)),
            input("words", Inherited::Children(vec![1, 128])),
            input("", Inherited::Children(Vec::new())),
        ],
        limits: LIMITS,
    }
}

/// A revision that keeps the definition.
fn revision() -> Record {
    Record::RunRevised(Revision {
        definition: definition(7),
        moved: vec![
            (NodeId::new(0), NodeId::new(128)),
            (NodeId::new(u32::MAX), NodeId::new(0)),
        ],
        dropped: vec![
            Dropped {
                at: position(5),
                from: None,
            },
            Dropped {
                at: deep_position(),
                from: Some(300),
            },
        ],
    })
}

const FAILURE_KINDS: [FailureKind; 7] = [
    FailureKind::Error,
    FailureKind::Panic,
    FailureKind::TimedOut,
    FailureKind::TooLarge,
    FailureKind::Unencodable,
    FailureKind::Undecodable,
    FailureKind::Bug,
];

/// The kinds that came later, but for `Diverged`.
const LATER_FAILURE_KINDS: [FailureKind; 4] = [
    FailureKind::Refused,
    FailureKind::Unverified,
    FailureKind::Interrupted,
    FailureKind::Poisoned,
];

pub(super) fn endings() -> [(Ending, RunStatus); 4] {
    let failed = |at| Ending::Failed {
        at,
        failure: failure(FailureKind::Error),
    };
    let output = vec![1, 2];
    [
        (Ending::Succeeded { output }, RunStatus::Succeeded),
        (failed(Some(position(9))), RunStatus::Failed),
        (failed(None), RunStatus::Failed),
        (Ending::Cancelled, RunStatus::Cancelled),
    ]
}

fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        message: "the card was declined".to_owned(),
    }
}

/// A position whose numbers take from one byte to five.
fn deep_position() -> Position {
    Position {
        frames: vec![
            FrameStep {
                node: NodeId::new(3),
                index: u32::MAX,
            },
            FrameStep {
                node: NodeId::new(300),
                index: 0,
            },
        ],
        node: NodeId::new(u32::MAX),
    }
}

pub(super) const fn position(node: u32) -> Position {
    Position {
        frames: Vec::new(),
        node: NodeId::new(node),
    }
}
