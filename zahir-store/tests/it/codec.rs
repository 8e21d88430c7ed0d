//! Records as bytes: nothing is lost, and no bytes can harm the decoder.

use zahir_store::conformance::{finish, inner_records, start};
use zahir_store::{Attempt, FrameStep, NodeId, Position, Record, RunId, StoreErrorKind, Timestamp};

use crate::support::{Rng, knob};

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes).unwrap();
    bytes
}

fn any_record(rng: &mut Rng) -> Record {
    let mut records = inner_records();
    records.extend(start(1, "order", Some("key")).records);
    records.extend(start(1, "", None).records);
    records.extend(finish(1, 1).records);
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
        Record::RunStarted(_) | Record::CancelRequested(_) | Record::RunFinished(_) => {}
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
    let mut records = inner_records();
    records.extend(start(1, "order", Some("key")).records);
    records.extend(finish(1, 1).records);
    for record in records {
        let bytes = encoded(&record);
        for kept in 0..bytes.len() {
            Record::decode(&bytes[..kept]).unwrap_err();
        }
        Record::decode(&[&bytes[..], &[0]].concat()).unwrap_err();
    }
}

/// A length that nothing stands behind is refused before memory is asked for.
#[test]
fn a_length_bomb_is_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let message = |bytes: &[u8]| Record::decode(bytes).unwrap_err().to_string();
    assert_eq!(
        message(&[&[3, 0, 1, 1], &huge[..]].concat()),
        "these bytes are no record: a length reaches beyond the end"
    );
    assert_eq!(
        message(&[&[2], &huge[..]].concat()),
        "these bytes are no record: a position has more frames than bytes"
    );
    let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(
        message(&[&[7], &beyond[..]].concat()),
        "these bytes are no record: a number is out of range"
    );
    assert_eq!(
        message(&[99]),
        "these bytes are no record: its tag is unknown"
    );
    assert_eq!(
        message(&[2, 0, 0, 0]),
        "these bytes are no record: there is no attempt 0"
    );
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
