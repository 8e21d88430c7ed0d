//! Records as bytes: nothing is lost, and no bytes can harm the decoder.

use zahir_store::conformance::{finish, inner_records, start};
use zahir_store::{
    Attempt, Bond, ChildCall, ChildLimits, DefinitionId, Dropped, Fan, FrameStep, Inherited,
    NodeId, PAYLOAD_BYTES_MAX, Position, Record, Revision, RunId, SpawnedChild, StoreErrorKind,
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

#[expect(clippy::too_many_lines, reason = "one arm for each shape of record")]
fn any_record(rng: &mut Rng) -> Record {
    let mut records = records();
    let mut record = records.swap_remove(rng.index(records.len()));
    match &mut record {
        Record::AttemptStarted { at, attempt }
        | Record::AttemptInterrupted { at, attempt }
        | Record::AttemptParked { at, attempt }
        | Record::AttemptResumed { at, attempt }
        | Record::UndoStarted { at, attempt }
        | Record::UndoSucceeded { at, attempt }
        | Record::UndoInterrupted { at, attempt }
        | Record::RecoveryBegan { at, attempt, .. } => {
            *at = any_position(rng);
            *attempt = any_attempt(rng);
        }
        Record::AttemptSucceeded {
            at,
            attempt,
            output,
        }
        | Record::AttemptRecovered {
            at,
            attempt,
            output,
        } => {
            *at = any_position(rng);
            *attempt = any_attempt(rng);
            *output = any_bytes(rng);
        }
        Record::AttemptFailed {
            attempt, retry_at, ..
        }
        | Record::UndoFailed {
            attempt, retry_at, ..
        } => {
            *attempt = any_attempt(rng);
            *retry_at = rng.one_in(2).then(|| any_time(rng));
        }
        Record::AttemptPostponed { at, due, state, .. } => {
            *at = any_position(rng);
            *due = any_time(rng);
            *state = any_bytes(rng);
        }
        Record::ItemsCounted { at, items: field }
        | Record::BranchTaken { at, arm: field }
        | Record::RaceWon { at, entry: field }
        | Record::SignalConsumed { at, signal: field } => {
            *at = any_position(rng);
            *field = any_number(rng);
        }
        Record::BlockEntered { at } | Record::WaitTimedOut { at } => *at = any_position(rng),
        Record::ErrorKept { at, error: bytes }
        | Record::UndoOwed {
            at,
            arguments: bytes,
        }
        | Record::ArgumentsReplaced {
            at,
            arguments: bytes,
        } => {
            *at = any_position(rng);
            *bytes = any_bytes(rng);
        }
        Record::TimerSet { at, due } => {
            *at = any_position(rng);
            *due = any_time(rng);
        }
        Record::DeadlineSet { at, due } => {
            *at = rng.one_in(2).then(|| any_position(rng));
            *due = any_time(rng);
        }
        Record::DeadlinePassed { at, .. } => *at = rng.one_in(2).then(|| any_position(rng)),
        Record::SignalReceived { name, payload } => {
            *name = "é".repeat(rng.index(100));
            *payload = any_bytes(rng);
        }
        Record::ResultShared { at, key, until } => {
            *at = any_position(rng);
            *key = any_wide(rng);
            *until = rng.one_in(2).then(|| any_time(rng));
        }
        Record::RunRevised(revision) => *revision = any_revision(rng),
        Record::ChildrenSpawned { at, children } => {
            *at = any_position(rng);
            let count = rng.below(40);
            *children = (0..count).map(|_| any_child(rng)).collect();
        }
        Record::ChildrenLeft { at, children }
        | Record::ChildrenSuspended { at, children }
        | Record::ChildrenResumed { at, children } => {
            *at = any_position(rng);
            *children = any_numbers(rng);
        }
        Record::ValueKept { at, name, value } => {
            *at = any_position(rng);
            *name = "é".repeat(rng.index(100));
            *value = any_bytes(rng);
        }
        Record::AttemptContinued { at, attempt, heir } => {
            *at = any_position(rng);
            *attempt = any_attempt(rng);
            heir.limits = any_limits(rng);
            for input in &mut heir.inputs {
                input.value = match rng.below(3) {
                    0 => Inherited::Value(any_bytes(rng)),
                    1 => Inherited::Child(any_number(rng)),
                    _ => Inherited::Children(any_numbers(rng)),
                };
            }
        }
        Record::AttemptsDropped { at } => *at = any_position(rng),
        Record::RunStarted(_)
        | Record::CancelRequested(_)
        | Record::RunFinished(_)
        | Record::UndoingBegan { .. } => {}
    }
    record
}

fn any_child(rng: &mut Rng) -> SpawnedChild {
    SpawnedChild {
        kind: NodeId::new(any_number(rng)),
        call: if rng.one_in(2) {
            ChildCall::Number(any_number(rng))
        } else {
            ChildCall::Key("é".repeat(rng.index(100)))
        },
        bond: [Bond::Held, Bond::Followed, Bond::Detached][rng.index(3)],
        arguments: any_bytes(rng),
        fan: rng.one_in(2).then(|| Fan {
            number: any_number(rng),
            limit: any_number(rng),
        }),
        limits: any_limits(rng),
    }
}

fn any_limits(rng: &mut Rng) -> ChildLimits {
    ChildLimits {
        retry: rng.one_in(2).then(|| any_number(rng)),
        timeout: rng.one_in(2).then(|| rng.next()),
        total_timeout: rng.one_in(2).then(|| u64::from(any_number(rng))),
    }
}

fn any_numbers(rng: &mut Rng) -> Vec<u32> {
    let count = rng.below(40);
    (0..count).map(|_| any_number(rng)).collect()
}

fn any_revision(rng: &mut Rng) -> Revision {
    let node = |rng: &mut Rng| NodeId::new(any_number(rng));
    let (moved, dropped) = (rng.below(40), rng.below(40));
    Revision {
        definition: DefinitionId::from_u128(any_wide(rng)),
        moved: (0..moved).map(|_| (node(rng), node(rng))).collect(),
        dropped: (0..dropped)
            .map(|_| Dropped {
                at: any_position(rng),
                from: rng.one_in(2).then(|| any_number(rng)),
            })
            .collect(),
    }
}

fn any_attempt(rng: &mut Rng) -> Attempt {
    Attempt::new(any_number(rng).max(1)).unwrap()
}

/// A number of any length.
fn any_number(rng: &mut Rng) -> u32 {
    let shift = 32 + rng.below(32);
    u32::try_from(rng.next() >> shift).unwrap()
}

fn any_wide(rng: &mut Rng) -> u128 {
    u128::from(rng.next()) << 64 | u128::from(rng.next())
}

fn any_time(rng: &mut Rng) -> Timestamp {
    let shift = rng.below(64);
    Timestamp::from_millis(rng.next() >> shift)
}

fn any_bytes(rng: &mut Rng) -> Vec<u8> {
    let length = rng.index(2_000);
    rng.bytes(length)
}

fn any_position(rng: &mut Rng) -> Position {
    let frames = rng.below(5);
    Position {
        frames: (0..frames)
            .map(|_| FrameStep {
                node: NodeId::new(any_number(rng)),
                index: any_number(rng),
            })
            .collect(),
        node: NodeId::new(any_number(rng)),
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

/// Bytes that hold a text or a payload of the longest length are a record, with one more they are
/// none: what stands before it, and behind it.
#[test]
fn what_is_too_long_is_not_read() {
    let payloads: [&[u8]; 10] = [
        &[3, 0, 1, 1],
        &[8, 1],
        &[11, 0, 1],
        &[14, 0],
        &[14, 1, b'x'],
        &[18, 0, 1, 1],
        &[19, 0, 1, 1, 1],
        &[22, 0, 1],
        &[23, 1],
        &[30, 0, 1],
    ];
    for before in payloads {
        check_longest(before, PAYLOAD_BYTES_MAX, &[], "a payload is too long");
    }
    check_longest(&[7], TEXT_BYTES_MAX, &[], "a text is too long");
    check_longest(&[14], TEXT_BYTES_MAX, &[0], "a text is too long");
    for before in [&[17, 0, 1, 1, 1][..], &[21, 0, 1]] {
        check_longest(before, TEXT_BYTES_MAX, &[], "a text is too long");
    }
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
    let payloads: [&[u8]; 10] = [
        &[3, 0, 1, 1],
        &[7],
        &[11, 0, 1],
        &[14],
        &[14, 1, b'x'],
        &[18, 0, 1, 1],
        &[19, 0, 1, 1, 1],
        &[22, 0, 1],
        &[23, 1],
        &[30, 0, 1],
    ];
    for before in payloads {
        assert_eq!(
            message(&[before, &huge].concat()),
            "a length reaches beyond the end",
            "{before:?}"
        );
    }
    let positions: [&[u8]; 2] = [&[20, 1], &[21, 1]];
    let tags = (2..=6).chain(9..=13).chain(15..=19);
    let tags = tags.chain([22]).chain(24..=28).chain([30]);
    let tags: Vec<[u8; 1]> = tags.map(|tag| [tag]).collect();
    let moved = [&[29][..], &[0; 16]].concat();
    let dropped = [&moved[..], &[0]].concat();
    let lists = tags.iter().map(|tag| &tag[..]).chain(positions);
    for before in lists.chain([&moved[..], &dropped]) {
        assert_eq!(
            message(&[before, &huge[..]].concat()),
            "a list has more entries than bytes",
            "{before:?}"
        );
    }
}

/// A list may be as long as what is left says at most: two bytes for a pair of nodes, three for
/// what is dropped.
#[test]
fn a_list_is_as_long_as_its_bytes_at_most() {
    let definition = [&[29][..], &[0; 16]].concat();
    let check = |rest: &[u8], is_record: bool| {
        let bytes = [&definition, rest].concat();
        assert_eq!(Record::decode(&bytes).is_ok(), is_record, "{rest:?}");
        if !is_record {
            assert_eq!(message(&bytes), "a list has more entries than bytes");
        }
    };
    check(&[0, 0], true);
    check(&[1, 5, 6, 0], true);
    check(&[2, 5, 6, 0], false);
    check(&[0, 1, 0, 5, 0], true);
    check(&[0, 2, 0, 5, 0, 0, 5], false);
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
    for tag in [2, 6, 9, 12, 15, 18, 19, 24, 25, 26, 27] {
        assert_eq!(
            message(&[&[tag, 0, 1], &beyond_32[..]].concat()),
            "a number is out of range",
            "tag {tag}"
        );
    }
    assert_eq!(message(&[14, 1, 0xff, 0]), "a text is not UTF-8");
    assert_eq!(message(&[99]), "its tag is unknown");
    assert_eq!(message(&[2, 0, 0, 0]), "there is no attempt 0");
    let option = "an option is neither absent nor present";
    assert_eq!(message(&[20, 2]), option);
    let shared = [&[28, 0, 1][..], &[0; 16], &[2]].concat();
    assert_eq!(message(&shared), option);
    assert_eq!(
        message(&[17, 0, 1, 1, 13]),
        "its kind of failure is unknown"
    );
    assert_eq!(message(&[23, 4]), "its ending is unknown");
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
