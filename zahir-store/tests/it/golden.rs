//! Files of format version 1 stay readable.
//!
//! | file in `golden` | what is in it |
//! |---|---|
//! | `format-1.zahir` | the records with tags up to 8 |
//! | `format-1-tag-16.zahir` | those with tags up to 16 |
//! | `format-1-tag-30.zahir` | those with tags up to 30, runs that went on behind their ends, shared results |
//! | `format-1-tag-37.zahir` | the same with tags up to 37 |
//! | `format-1-tag-39.zahir` | the same with tags up to 39 |
//!
//! A file was written by this test with `ZAHIR_GOLDEN=write` set, and one that exists is never
//! written again: a record that is added gets a file of its own, any other change of the format a
//! version too.

use std::path::{Path, PathBuf};

use zahir_store::conformance::{attempt, finish, inner_records, more, revise, run, share, start};
use zahir_store::{
    Append, CancelRequest, Ending, Record, RedbStore, SharedResult, Store, Timestamp,
};

use crate::support::Content;

/// How many of [`inner_records`] are in the first file.
const FIRST: usize = 13;
/// And in the second.
const SECOND: usize = 25;
/// And in the third.
const THIRD: usize = 51;
/// And in the fourth.
const FOURTH: usize = 59;

/// Every ending, runs with and without a key, finished and not, and these records.
fn batches(records: Vec<Record>) -> Vec<Vec<Append>> {
    let reason = "too late".to_owned();
    let cancel = vec![
        Record::CancelRequested(CancelRequest { reason }),
        Record::RunFinished(Ending::Cancelled),
    ];
    vec![
        vec![start(3, "order", Some("a")), start(1, "order", None)],
        vec![attempt(3, 1), start(2, "refund", Some("a"))],
        vec![more(3, 2, records), finish(1, 1)],
        vec![more(2, 1, cancel), start(4, "order", Some("b"))],
    ]
}

/// With the first of [`inner_records`].
fn first_batches(records: usize) -> Vec<Vec<Append>> {
    batches(inner_records()[..records].to_vec())
}

/// The same; run 1 goes on and runs 2 and 5 have ended twice and three times.
fn last_batches(records: usize) -> Vec<Vec<Append>> {
    let mut batches = first_batches(records);
    let result = |output: &[u8], until| SharedResult {
        output: output.to_vec(),
        until,
    };
    let until = Some(Timestamp::from_millis(1_700_000_000_000));
    batches.extend([
        vec![start(5, "order", None), revise(1, 2), finish(5, 1)],
        vec![
            share(1, 3, 8, result(b"first", until)),
            revise(2, 3),
            revise(5, 2),
            finish(2, 4),
        ],
        vec![finish(5, 3), share(1, 5, 8, result(b"second", None))],
        vec![
            revise(5, 4),
            finish(5, 5),
            share(1, 7, 9, result(b"", until)),
        ],
    ]);
    batches
}

fn golden(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(file)
}

#[track_caller]
fn check(file: &str, batches: &[Vec<Append>]) {
    let golden = golden(file);
    let is_write = std::env::var("ZAHIR_GOLDEN").is_ok_and(|value| value == "write");
    if is_write && !golden.exists() {
        let store = RedbStore::open(&golden).unwrap();
        for batch in batches {
            store.append(batch).unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::copy(golden, &path).unwrap();
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(batches));
    // Both stores decode: what they agree on has to be what was appended.
    for append in batches.iter().flatten() {
        let stored = store.load(append.run).unwrap().unwrap();
        let records = stored.steps.into_iter().flat_map(|step| step.records);
        let first = usize::try_from(append.first).unwrap();
        let records = records.skip(first).take(append.records.len());
        assert_eq!(records.collect::<Vec<_>>(), append.records);
    }
    assert_eq!(store.find("refund", "a").unwrap(), Some(run(2)));
    assert_eq!(store.shared(10).unwrap(), None);
    store.append(&[attempt(4, 1)]).unwrap();
}

#[test]
fn a_file_with_tags_up_to_8_stays_readable() {
    check("format-1.zahir", &first_batches(FIRST));
}

#[test]
fn a_file_with_tags_up_to_16_stays_readable() {
    check("format-1-tag-16.zahir", &first_batches(SECOND));
}

#[test]
fn a_file_with_tags_up_to_30_stays_readable() {
    check("format-1-tag-30.zahir", &last_batches(THIRD));
}

#[test]
fn a_file_with_tags_up_to_37_stays_readable() {
    check("format-1-tag-37.zahir", &last_batches(FOURTH));
}

#[test]
fn a_file_with_tags_up_to_39_stays_readable() {
    check(
        "format-1-tag-39.zahir",
        &last_batches(inner_records().len()),
    );
}

#[test]
fn an_older_file_takes_what_came_later() {
    let revised = vec![vec![revise(1, 2), revise(2, 3)]];
    let files = [
        (
            "format-1.zahir",
            FIRST,
            first_batches(FIRST),
            revised.clone(),
        ),
        (
            "format-1-tag-16.zahir",
            SECOND,
            first_batches(SECOND),
            revised,
        ),
        (
            "format-1-tag-30.zahir",
            THIRD,
            last_batches(THIRD),
            Vec::new(),
        ),
        (
            "format-1-tag-37.zahir",
            FOURTH,
            last_batches(FOURTH),
            Vec::new(),
        ),
    ];
    for (file, records, mut batches, revised) in files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        std::fs::copy(golden(file), &path).unwrap();
        let known = batches.len();
        batches.push(vec![more(4, 1, inner_records()[records..].to_vec())]);
        batches.extend(revised);
        let store = RedbStore::open(&path).unwrap();
        for last in &batches[known..] {
            store.append(last).unwrap();
        }
        drop(store);
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(&batches));
    }
}

/// The bytes of a record, which no version may read as another one.
#[test]
fn the_bytes_of_records_stay_the_same() {
    let hash = |batches: &[Vec<Append>]| {
        let mut bytes = Vec::new();
        let records = batches.iter().flatten().flat_map(|append| &append.records);
        for record in records {
            record.encode(&mut bytes).unwrap();
        }
        (bytes.len(), xxhash_rust::xxh3::xxh3_64(&bytes))
    };
    assert_eq!(hash(&first_batches(FIRST)), (483, 0x6DD8_BF90_757F_38D6));
    assert_eq!(hash(&first_batches(SECOND)), (670, 0xEB03_6D53_EB07_8C1D));
    assert_eq!(hash(&last_batches(THIRD)), (1_646, 0xBF81_158C_9EB5_1258));
    assert_eq!(hash(&last_batches(FOURTH)), (1_924, 0x00A8_8B0A_C8C2_4007));
    let all = last_batches(inner_records().len());
    assert_eq!(hash(&all), (1_963, 0xF7F8_2088_D55A_FE90));
}
