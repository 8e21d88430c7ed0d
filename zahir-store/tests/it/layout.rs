//! Records byte by byte, as `record::encode` describes them.

use zahir_store::{
    Attempt, Bond, ChildCall, ChildLimits, DefinitionId, Dropped, Ending, Failure, FailureKind,
    Fan, FrameStep, Heir, HeirInput, Inherited, NodeId, Position, Record, Revision, SpawnedChild,
    Timestamp,
};

/// Checks that `record` is these bytes, and that they are nothing else.
#[track_caller]
fn check(record: &Record, bytes: &[u8]) {
    let mut encoded = Vec::new();
    record.encode(&mut encoded).unwrap();
    assert_eq!(encoded, bytes, "{record:?}");
    assert_eq!(&Record::decode(bytes).unwrap(), record);
}

/// `2[300]/4`, and its bytes.
fn sample_position() -> Position {
    Position {
        frames: vec![FrameStep {
            node: NodeId::new(2),
            index: 300,
        }],
        node: NodeId::new(4),
    }
}

#[test]
fn a_record_is_its_tag_and_its_fields_in_order() {
    let at = sample_position();
    check(
        &Record::BranchTaken {
            at: at.clone(),
            arm: 5,
        },
        &[9, 1, 2, 0xac, 2, 4, 5],
    );
    check(
        &Record::BlockEntered { at: at.clone() },
        &[10, 1, 2, 0xac, 2, 4],
    );
    check(
        &Record::ErrorKept {
            at: at.clone(),
            error: vec![6, 7],
        },
        &[11, 1, 2, 0xac, 2, 4, 2, 6, 7],
    );
    check(
        &Record::RaceWon {
            at: at.clone(),
            entry: 5,
        },
        &[12, 1, 2, 0xac, 2, 4, 5],
    );
    check(
        &Record::TimerSet {
            at: at.clone(),
            due: Timestamp::from_millis(128),
        },
        &[13, 1, 2, 0xac, 2, 4, 0x80, 1],
    );
    check(
        &Record::SignalReceived {
            name: "paid".to_owned(),
            payload: vec![6],
        },
        b"\x0e\x04paid\x01\x06",
    );
    check(
        &Record::SignalConsumed {
            at: at.clone(),
            signal: 5,
        },
        &[15, 1, 2, 0xac, 2, 4, 5],
    );
    check(&Record::WaitTimedOut { at }, &[16, 1, 2, 0xac, 2, 4]);
}

#[test]
fn a_record_of_an_effect_is_its_tag_and_its_fields_in_order() {
    let at = sample_position();
    let attempt = Attempt::new(3).unwrap();
    let due = Timestamp::from_millis(128);
    let failure = Failure {
        kind: FailureKind::Poisoned,
        message: "no".to_owned(),
    };
    check(
        &Record::RecoveryBegan {
            at: at.clone(),
            attempt,
            failure: failure.clone(),
        },
        b"\x11\x01\x02\xac\x02\x04\x03\x0c\x02no",
    );
    check(
        &Record::AttemptRecovered {
            at: at.clone(),
            attempt,
            output: vec![6],
        },
        &[18, 1, 2, 0xac, 2, 4, 3, 1, 6],
    );
    check(
        &Record::AttemptPostponed {
            at: at.clone(),
            attempt,
            due,
            state: vec![6],
        },
        &[19, 1, 2, 0xac, 2, 4, 3, 0x80, 1, 1, 6],
    );
    check(
        &Record::DeadlineSet {
            at: Some(at.clone()),
            due,
        },
        &[20, 1, 1, 2, 0xac, 2, 4, 0x80, 1],
    );
    check(&Record::DeadlineSet { at: None, due }, &[20, 0, 0x80, 1]);
    check(
        &Record::DeadlinePassed { at: None, failure },
        b"\x15\x00\x0c\x02no",
    );
    check(
        &Record::ArgumentsReplaced {
            at,
            arguments: vec![6, 7],
        },
        &[30, 1, 2, 0xac, 2, 4, 2, 6, 7],
    );
}

#[test]
fn a_shared_result_has_a_key_of_16_bytes() {
    let at = sample_position();
    let mut bytes = vec![28, 1, 2, 0xac, 2, 4, 0x10, 0xff];
    bytes.extend([0; 14]);
    bytes.extend([1, 0x80, 1]);
    check(
        &Record::ResultShared {
            at,
            key: 0xff10,
            until: Some(Timestamp::from_millis(128)),
        },
        &bytes,
    );
}

#[test]
fn a_record_of_an_undo_is_its_tag_and_its_fields_in_order() {
    let at = sample_position();
    let attempt = Attempt::new(3).unwrap();
    check(
        &Record::UndoOwed {
            at: at.clone(),
            arguments: vec![6],
        },
        &[22, 1, 2, 0xac, 2, 4, 1, 6],
    );
    check(
        &Record::UndoingBegan {
            ending: Ending::Cancelled,
        },
        &[23, 3],
    );
    check(
        &Record::UndoStarted {
            at: at.clone(),
            attempt,
        },
        &[24, 1, 2, 0xac, 2, 4, 3],
    );
    check(
        &Record::UndoSucceeded {
            at: at.clone(),
            attempt,
        },
        &[25, 1, 2, 0xac, 2, 4, 3],
    );
    check(
        &Record::UndoFailed {
            at: at.clone(),
            attempt,
            failure: Failure {
                kind: FailureKind::Error,
                message: "no".to_owned(),
            },
            retry_at: Some(Timestamp::from_millis(128)),
        },
        b"\x1a\x01\x02\xac\x02\x04\x03\x01\x02no\x01\x80\x01",
    );
    check(
        &Record::UndoInterrupted {
            at: at.clone(),
            attempt,
        },
        &[27, 1, 2, 0xac, 2, 4, 3],
    );
}

#[test]
fn a_record_of_children_is_its_tag_and_its_fields_in_order() {
    let at = sample_position();
    let attempt = Attempt::new(3).unwrap();
    let child = |call, bond| SpawnedChild {
        kind: NodeId::new(5),
        call,
        bond,
        arguments: vec![6, 7],
        fan: None,
        limits: ChildLimits::default(),
    };
    let limits = ChildLimits {
        retry: Some(9),
        timeout: Some(128),
        total_timeout: None,
    };
    let (number, limit) = (1, 300);
    let children = vec![
        child(ChildCall::Number(300), Bond::Held),
        child(ChildCall::Key("é".to_owned()), Bond::Followed),
        SpawnedChild {
            fan: Some(Fan { number, limit }),
            limits,
            ..child(ChildCall::Number(0), Bond::Detached)
        },
    ];
    let mut bytes = vec![31, 1, 2, 0xac, 2, 4, 3];
    bytes.extend([5, 1, 0xac, 2, 1, 2, 6, 7, 0, 0, 0, 0]);
    bytes.extend([5, 2, 2, 0xc3, 0xa9, 2, 2, 6, 7, 0, 0, 0, 0]);
    bytes.extend([5, 1, 0, 3, 2, 6, 7, 1, 1, 0xac, 2, 1, 9, 1, 0x80, 1, 0]);
    let spawned = Record::ChildrenSpawned {
        at: at.clone(),
        children,
    };
    check(&spawned, &bytes);
    let parked = Record::AttemptParked {
        at: at.clone(),
        attempt,
    };
    check(&parked, &[32, 1, 2, 0xac, 2, 4, 3]);
    let resumed = Record::AttemptResumed {
        at: at.clone(),
        attempt,
    };
    check(&resumed, &[33, 1, 2, 0xac, 2, 4, 3]);
}

#[test]
fn a_record_of_a_parent_is_its_tag_and_its_fields_in_order() {
    let at = sample_position();
    let attempt = Attempt::new(3).unwrap();
    let limits = ChildLimits {
        retry: Some(9),
        timeout: Some(128),
        total_timeout: None,
    };
    let left = Record::ChildrenLeft {
        at: at.clone(),
        children: vec![0, 300],
    };
    check(&left, &[34, 1, 2, 0xac, 2, 4, 2, 0, 0xac, 2]);
    let suspended = Record::ChildrenSuspended {
        at: at.clone(),
        children: vec![0, 300],
    };
    check(&suspended, &[38, 1, 2, 0xac, 2, 4, 2, 0, 0xac, 2]);
    let resumed = Record::ChildrenResumed {
        at: at.clone(),
        children: vec![300],
    };
    check(&resumed, &[39, 1, 2, 0xac, 2, 4, 1, 0xac, 2]);
    let kept = Record::ValueKept {
        at: at.clone(),
        name: "é".to_owned(),
        value: vec![6],
    };
    check(&kept, &[35, 1, 2, 0xac, 2, 4, 2, 0xc3, 0xa9, 1, 6]);
    let input = |name: &str, value| HeirInput {
        name: name.to_owned(),
        value,
    };
    let heir = Heir {
        kind: NodeId::new(5),
        inputs: vec![
            input("a", Inherited::Value(vec![6])),
            input("b", Inherited::Child(300)),
            input("c", Inherited::Children(vec![1, 300])),
        ],
        limits,
    };
    let mut bytes = vec![36, 1, 2, 0xac, 2, 4, 3, 5, 3];
    bytes.extend(b"\x01a\x01\x01\x06\x01b\x02\xac\x02\x01c\x03\x02\x01\xac\x02");
    bytes.extend([1, 9, 1, 0x80, 1, 0]);
    let continued = Record::AttemptContinued {
        at: at.clone(),
        attempt,
        heir,
    };
    check(&continued, &bytes);
    check(&Record::AttemptsDropped { at }, &[37, 1, 2, 0xac, 2, 4]);
}

#[test]
fn a_revision_is_a_definition_and_two_lists() {
    let at = sample_position();
    let mut bytes = vec![29, 0x10, 0xff];
    bytes.extend([0; 14]);
    bytes.extend([1, 5, 0xac, 2]);
    bytes.extend([2, 1, 2, 0xac, 2, 4, 0, 0, 6, 1, 7]);
    let (whole, inside) = (None, Some(7));
    let sixth = Position {
        frames: Vec::new(),
        node: NodeId::new(6),
    };
    check(
        &Record::RunRevised(Revision {
            definition: DefinitionId::from_u128(0xff10),
            moved: vec![(NodeId::new(5), NodeId::new(300))],
            dropped: vec![
                Dropped { at, from: whole },
                Dropped {
                    at: sixth,
                    from: inside,
                },
            ],
        }),
        &bytes,
    );
}
