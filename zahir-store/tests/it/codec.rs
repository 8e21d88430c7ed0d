//! Records as bytes: nothing is lost, and no bytes can harm the decoder.

use zahir_store::conformance::{finish, inner_records, start};
use zahir_store::{
    Attempt, FrameStep, NodeId, PAYLOAD_BYTES_MAX, Position, Record, RunId, StoreErrorKind,
    TEXT_BYTES_MAX, Timestamp,
};

use crate::support::{Rng, knob};

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes).unwrap();
    bytes
}

fn message(bytes: &[u8]) -> String {
    let error = Record::decode(bytes).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    let text = error.to_string();
    let what = text.strip_prefix("these bytes are no record: ");
    what.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// A record of each kind.
fn records() -> Vec<Record> {
    let mut records = inner_records();
    records.extend(start(1, "order", Some("key")).records);
    records.extend(start(1, "", None).records);
    records.extend(finish(1, 1).records);
    records
}

fn any_record(rng: &mut Rng) -> Record {
    let mut records = records();
    let mut record = records.swap_remove(rng.index(records.len()));
    let shift = rng.below(32);
    let number = u32::try_from(rng.next() >> 32).unwrap() >> shift;
    match &mut record {
        Record::AttemptStarted { at, attempt } | Record::AttemptInterrupted { at, attempt } => {
            *at = any_position(rng);
            *attempt = Attempt::new(number.max(1)).unwrap();
        }
        Record::AttemptSucceeded { at, output, .. } => {
            *at = any_position(rng);
            let bytes = rng.index(2_000);
            *output = rng.bytes(bytes);
        }
        Record::AttemptFailed { retry_at, .. } => {
            *retry_at = rng
                .one_in(2)
                .then(|| Timestamp::from_millis(rng.next() >> shift));
        }
        Record::ItemsCounted { at, items: field }
        | Record::BranchTaken { at, arm: field }
        | Record::RaceWon { at, entry: field }
        | Record::SignalConsumed { at, signal: field } => {
            *at = any_position(rng);
            *field = number;
        }
        Record::BlockEntered { at } | Record::WaitTimedOut { at } => *at = any_position(rng),
        Record::ErrorKept { at, error } => {
            *at = any_position(rng);
            let bytes = rng.index(2_000);
            *error = rng.bytes(bytes);
        }
        Record::TimerSet { at, due } => {
            *at = any_position(rng);
            *due = Timestamp::from_millis(rng.next() >> shift);
        }
        Record::SignalReceived { name, payload } => {
            *name = "é".repeat(rng.index(100));
            let bytes = rng.index(2_000);
            *payload = rng.bytes(bytes);
        }
        Record::RunStarted(_)
        | Record::CancelRequested(_)
        | Record::RunFinished(_)
        | Record::RecoveryBegan { .. }
        | Record::AttemptRecovered { .. }
        | Record::AttemptPostponed { .. }
        | Record::DeadlineSet { .. }
        | Record::DeadlinePassed { .. }
        | Record::UndoOwed { .. }
        | Record::UndoingBegan { .. }
        | Record::UndoStarted { .. }
        | Record::UndoSucceeded { .. }
        | Record::UndoFailed { .. }
        | Record::UndoInterrupted { .. }
        | Record::ResultShared { .. }
        | Record::ArgumentsReplaced { .. }
        | Record::RunRevised(_) => {}
    }
    record
}

fn any_position(rng: &mut Rng) -> Position {
    let mut number = || {
        let shift = 32 + rng.below(32);
        u32::try_from(rng.next() >> shift).unwrap()
    };
    let frames = number() % 5;
    Position {
        frames: (0..frames)
            .map(|_| FrameStep {
                node: NodeId::new(number()),
                index: number(),
            })
            .collect(),
        node: NodeId::new(number()),
    }
}

#[test]
fn what_was_encoded_is_decoded() {
    let mut rng = Rng::new(knob("ZAHIR_SEED", 1));
    for _ in 0..knob("ZAHIR_CODEC", 20_000) {
        let record = any_record(&mut rng);
        assert_eq!(Record::decode(&encoded(&record)).unwrap(), record);
    }
}

/// Bytes that decode are those the record encodes to, so nothing is read out of what is not there.
#[test]
fn bytes_that_are_no_record_are_refused() {
    let mut rng = Rng::new(knob("ZAHIR_SEED", 1));
    for _ in 0..knob("ZAHIR_CODEC", 20_000) {
        let mut bytes = encoded(&any_record(&mut rng));
        match rng.below(4) {
            0 => bytes.truncate(rng.index(bytes.len())),
            1 => bytes.push(0),
            2 => {
                let length = rng.index(64);
                bytes = rng.bytes(length);
            }
            _ => {
                for _ in 0..1 + rng.below(3) {
                    let place = rng.index(bytes.len());
                    bytes[place] = rng.bytes(1)[0];
                }
            }
        }
        match Record::decode(&bytes) {
            Ok(record) => assert!(encoded(&record).len() <= bytes.len(), "{bytes:?}"),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Damaged),
        }
    }
}

#[test]
fn every_prefix_and_every_extension_of_a_record_is_refused() {
    for record in records() {
        let bytes = encoded(&record);
        for kept in 0..bytes.len() {
            Record::decode(&bytes[..kept]).unwrap_err();
        }
        Record::decode(&[&bytes[..], &[0]].concat()).unwrap_err();
    }
}

/// A number as a varint.
fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// The tags that are known are those of [`records`]: none is left out of these tests.
#[test]
fn every_kind_of_record_is_tested() {
    let tags: Vec<u8> = records().iter().map(|record| encoded(record)[0]).collect();
    for tag in 0..=u8::MAX {
        let is_known = message(&[tag]) != "its tag is unknown";
        assert_eq!(tags.contains(&tag), is_known, "tag {tag}");
    }
}

#[test]
fn a_record_is_its_tag_and_its_fields_in_order() {
    let at = Position {
        frames: vec![FrameStep {
            node: NodeId::new(2),
            index: 300,
        }],
        node: NodeId::new(4),
    };
    let name = "paid".to_owned();
    let bytes: [(Record, &[u8]); 8] = [
        (
            Record::BranchTaken {
                at: at.clone(),
                arm: 5,
            },
            &[9, 1, 2, 0xac, 2, 4, 5],
        ),
        (
            Record::BlockEntered { at: at.clone() },
            &[10, 1, 2, 0xac, 2, 4],
        ),
        (
            Record::ErrorKept {
                at: at.clone(),
                error: vec![6, 7],
            },
            &[11, 1, 2, 0xac, 2, 4, 2, 6, 7],
        ),
        (
            Record::RaceWon {
                at: at.clone(),
                entry: 5,
            },
            &[12, 1, 2, 0xac, 2, 4, 5],
        ),
        (
            Record::TimerSet {
                at: at.clone(),
                due: Timestamp::from_millis(128),
            },
            &[13, 1, 2, 0xac, 2, 4, 0x80, 1],
        ),
        (
            Record::SignalReceived {
                name,
                payload: vec![6],
            },
            b"\x0e\x04paid\x01\x06",
        ),
        (
            Record::SignalConsumed {
                at: at.clone(),
                signal: 5,
            },
            &[15, 1, 2, 0xac, 2, 4, 5],
        ),
        (Record::WaitTimedOut { at }, &[16, 1, 2, 0xac, 2, 4]),
    ];
    for (record, bytes) in bytes {
        assert_eq!(encoded(&record), bytes, "{record:?}");
        assert_eq!(Record::decode(bytes).unwrap(), record);
    }
}

/// Bytes that hold a text or a payload of the longest length are a record, with one more they are
/// none: what stands before it, and behind it.
#[test]
fn what_is_too_long_is_not_read() {
    let payloads: [&[u8]; 5] = [
        &[3, 0, 1, 1],
        &[8, 1],
        &[11, 0, 1],
        &[14, 0],
        &[14, 1, b'x'],
    ];
    for before in payloads {
        check_longest(before, PAYLOAD_BYTES_MAX, &[], "a payload is too long");
    }
    check_longest(&[7], TEXT_BYTES_MAX, &[], "a text is too long");
    check_longest(&[14], TEXT_BYTES_MAX, &[0], "a text is too long");
}

#[track_caller]
fn check_longest(before: &[u8], bytes_max: usize, behind: &[u8], too_long: &str) {
    let bytes = |length| [before, &varint(length), &vec![b'x'; length], behind].concat();
    let longest = bytes(bytes_max);
    assert!(encoded(&Record::decode(&longest).unwrap()) == longest);
    assert_eq!(message(&bytes(bytes_max + 1)), too_long, "{before:?}");
}

/// A length that nothing stands behind is refused before memory is asked for.
#[test]
fn a_length_bomb_is_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let payloads: [&[u8]; 5] = [&[3, 0, 1, 1], &[7], &[11, 0, 1], &[14], &[14, 1, b'x']];
    for before in payloads {
        assert_eq!(
            message(&[before, &huge].concat()),
            "a length reaches beyond the end",
            "{before:?}"
        );
    }
    for tag in [2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 15, 16] {
        assert_eq!(
            message(&[&[tag], &huge[..]].concat()),
            "a position has more frames than bytes",
            "tag {tag}"
        );
    }
}

#[test]
fn what_no_field_can_be_is_refused() {
    let beyond_64 = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(
        message(&[&[7], &beyond_64[..]].concat()),
        "a number is out of range"
    );
    assert_eq!(
        message(&[&[13, 0, 1], &beyond_64[..]].concat()),
        "a number is out of range"
    );
    let beyond_32 = [0x80, 0x80, 0x80, 0x80, 0x10];
    for tag in [2, 6, 9, 12, 15] {
        assert_eq!(
            message(&[&[tag, 0, 1], &beyond_32[..]].concat()),
            "a number is out of range",
            "tag {tag}"
        );
    }
    assert_eq!(message(&[14, 1, 0xff, 0]), "a text is not UTF-8");
    assert_eq!(message(&[99]), "its tag is unknown");
    assert_eq!(message(&[2, 0, 0, 0]), "there is no attempt 0");
}

#[test]
fn the_ids_of_runs_are_read_as_they_are_printed() {
    let mut rng = Rng::new(3);
    for _ in 0..100 {
        let run = RunId::from_u128(u128::from(rng.next()) << 64 | u128::from(rng.next()));
        assert_eq!(run.to_string().parse(), Ok(run));
    }
    "no id".parse::<RunId>().unwrap_err();
}
