//! A file of format version 1 stays readable.
//!
//! `golden/format-1.zahir` was written by this test with `ZAHIR_GOLDEN=write` set. It is never
//! written again: a change of the format gets a version and a file of its own.

use std::path::{Path, PathBuf};

use zahir_store::conformance::{attempt, finish, inner_records, more, run, start};
use zahir_store::{Append, CancelRequest, Ending, Record, RedbStore, Store};

use crate::support::Content;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.zahir")
}

/// Every kind of record and of ending, runs with and without a key, finished and not.
fn batches() -> Vec<Vec<Append>> {
    let reason = "too late".to_owned();
    let cancel = vec![
        Record::CancelRequested(CancelRequest { reason }),
        Record::RunFinished(Ending::Cancelled),
    ];
    vec![
        vec![start(3, "order", Some("a")), start(1, "order", None)],
        vec![attempt(3, 1), start(2, "refund", Some("a"))],
        vec![more(3, 2, inner_records()), finish(1, 1)],
        vec![more(2, 1, cancel), start(4, "order", Some("b"))],
    ]
}

#[test]
fn a_file_of_format_1_stays_readable() {
    if std::env::var("ZAHIR_GOLDEN").is_ok_and(|value| value == "write") {
        let store = RedbStore::open(golden()).unwrap();
        for batch in batches() {
            store.append(&batch).unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::copy(golden(), &path).unwrap();
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(&batches()));
    assert_eq!(store.find("refund", "a").unwrap(), Some(run(2)));
    store.append(&[attempt(4, 1)]).unwrap();
}

/// The bytes of a record, which no version may read as another one.
#[test]
fn the_bytes_of_records_stay_the_same() {
    let mut bytes = Vec::new();
    for append in batches().iter().flatten() {
        for record in &append.records {
            record.encode(&mut bytes).unwrap();
        }
    }
    let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
    assert_eq!((bytes.len(), hash), (483, 0x6DD8_BF90_757F_38D6));
}
