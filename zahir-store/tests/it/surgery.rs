//! Rows that are lost, old or in each other's place are noticed, each by the check meant for it.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use redb::{Database, Key, TableDefinition};
use zahir_store::conformance::{attempt, finish, revise, run, share, start};
use zahir_store::{Append, RedbStore, SharedResult, Store, StoreErrorKind, Timestamp};

use crate::support::Workload;

type Rows<K> = TableDefinition<'static, K, &'static [u8]>;
const ENTRIES: Rows<u64> = TableDefinition::new("entries");
const LIVE: Rows<u64> = TableDefinition::new("live");
const ENDED: Rows<u64> = TableDefinition::new("ended");
const STARTS: Rows<u64> = TableDefinition::new("starts");
const INDEX: Rows<&[u8]> = TableDefinition::new("index");
const SHARED: Rows<u128> = TableDefinition::new("shared");

/// A file with run 1, finished, and runs 2 and 3, not; their numbers are 0, 1 and 2.
struct Patient {
    folder: tempfile::TempDir,
}

impl Patient {
    fn new() -> Self {
        let patient = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let store = patient.open();
        let starts = [1, 2, 3].map(|number| start(number, "order", None));
        store.append(&starts).unwrap();
        store.append(&[attempt(2, 1), finish(1, 1)]).unwrap();
        patient
    }

    fn open(&self) -> RedbStore {
        RedbStore::open(self.folder.path().join("store")).unwrap()
    }

    fn row<'k, K: Key>(&self, table: Rows<K>, key: impl Borrow<K::SelfType<'k>>) -> Vec<u8> {
        let database = Database::open(self.folder.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        let table = transaction.open_table(table).unwrap();
        let row = redb::ReadableTable::get(&table, key).unwrap().unwrap();
        row.value().to_vec()
    }

    /// Puts a row in the place of another, or takes one away.
    fn put<'k, K: Key>(
        &self,
        table: Rows<K>,
        key: impl Borrow<K::SelfType<'k>>,
        row: Option<&[u8]>,
    ) {
        let database = Database::open(self.folder.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(table).unwrap();
            match row {
                Some(row) => drop(table.insert(key, row).unwrap()),
                None => drop(table.remove(key).unwrap()),
            }
        }
        transaction.commit().unwrap();
    }
}

/// The name of a run or of a shared result in the index.
fn name(tag: u8, id: u128) -> Vec<u8> {
    [&[tag][..], &id.to_be_bytes()].concat()
}

/// Checks that these runs, and only these, are damaged, and whether the store takes records.
#[track_caller]
fn check(store: &RedbStore, damaged: &[u128], takes_records: bool) {
    for number in [1, 2, 3] {
        match store.load(run(number)) {
            Ok(stored) => {
                assert!(stored.is_some(), "run {number} is gone");
                assert!(!damaged.contains(&number), "run {number} is read");
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
                assert_eq!(error.run(), Some(run(number)), "{error}");
                assert!(damaged.contains(&number), "{error}");
            }
        }
    }
    match store.append(&[start(4, "order", None)]) {
        Ok(()) => assert!(takes_records),
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
            assert!(!takes_records, "{error}");
        }
    }
}

#[test]
fn a_lost_head_is_noticed_and_its_run_is_still_named() {
    let patient = Patient::new();
    patient.put(LIVE, 2, None);
    let store = patient.open();
    assert_eq!(store.unfinished().unwrap(), [run(2), run(3)]);
    check(&store, &[2, 3], false);
}

#[test]
fn a_damaged_head_costs_its_run_alone() {
    let patient = Patient::new();
    let whole = patient.row(LIVE, 1);
    for place in 0..whole.len() {
        let mut row = whole.clone();
        row[place] ^= 16;
        patient.put(LIVE, 1, Some(&row));
        let store = patient.open();
        assert_eq!(store.unfinished().unwrap(), [run(2), run(3)]);
        check(&store, &[2], false);
    }
}

#[test]
fn an_old_head_is_noticed() {
    let patient = Patient::new();
    let old = patient.row(LIVE, 1);
    patient.open().append(&[attempt(2, 2)]).unwrap();
    patient.put(LIVE, 1, Some(&old));
    let store = patient.open();
    assert_eq!(store.unfinished().unwrap(), [run(2), run(3)]);
    check(&store, &[2, 3], false);
}

#[test]
fn a_lost_start_is_noticed_when_the_file_is_opened() {
    let patient = Patient::new();
    patient.put(STARTS, 0, None);
    let store = patient.open();
    let error = store.runs(None, 3).unwrap_err();
    assert_eq!(
        (error.kind(), error.run()),
        (StoreErrorKind::Damaged, Some(run(1)))
    );
    assert_eq!(store.runs(Some(run(2)), 3).unwrap().len(), 1);
    check(&store, &[1], false);
}

#[test]
fn a_lost_entry_is_noticed() {
    let patient = Patient::new();
    patient.put(ENTRIES, 1, None);
    check(&patient.open(), &[1], false);
}

/// The entry of one run in the place of another's: each is whole, but neither is in its place.
#[test]
fn entries_in_each_others_place_are_noticed() {
    let patient = Patient::new();
    let (second, third) = (patient.row(ENTRIES, 2), patient.row(ENTRIES, 3));
    patient.put(ENTRIES, 2, Some(&third));
    patient.put(ENTRIES, 3, Some(&second));
    check(&patient.open(), &[2, 3], true);
}

/// Two entries of one run exchanged, so that its first is read as its second.
#[test]
fn entries_of_one_run_in_the_wrong_order_are_noticed() {
    let patient = Patient::new();
    let (first, second) = (patient.row(ENTRIES, 2), patient.row(ENTRIES, 4));
    patient.put(ENTRIES, 2, Some(&second));
    patient.put(ENTRIES, 4, Some(&first));
    check(&patient.open(), &[2], true);
}

#[test]
fn a_lost_name_is_not_read_as_one_that_was_never_there() {
    let patient = Patient::new();
    patient.put(INDEX, name(b'R', 1).as_slice(), None);
    let store = patient.open();
    let error = store.load(run(1)).unwrap_err();
    assert_eq!(
        (error.kind(), error.run()),
        (StoreErrorKind::Damaged, Some(run(1)))
    );
    assert_eq!(store.load(run(0)).unwrap(), None);
    let error = store.append(&[start(1, "order", None)]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
}

/// What proves that a name is not there: each row has the name of the next one, the last one none.
#[test]
fn every_name_has_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut workload = Workload::new(1);
    let store = RedbStore::open(&path).unwrap();
    for _ in 0..60 {
        store.append(&workload.batch()).unwrap();
    }
    drop(store);
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = transaction.open_table(INDEX).unwrap();
    let mut next = Vec::new();
    let mut tags = BTreeSet::new();
    for row in redb::ReadableTable::iter(&table).unwrap() {
        let (name, row) = row.unwrap();
        assert_eq!(name.value(), next);
        tags.extend(name.value().first().copied());
        // Behind the number the length, which is one byte here; before the checksum the name.
        let row = row.value();
        assert_eq!(row.len(), 8 + 1 + usize::from(row[8]) + 8);
        next = row[9..row.len() - 8].to_vec();
    }
    assert!(next.is_empty());
    assert_eq!(tags, BTreeSet::from(*b"DKRSV"));
}

/// A run that went on behind its end and ended again has had several heads in the same place.
#[test]
fn an_old_head_of_a_run_that_is_over_is_noticed() {
    let patient = Patient::new();
    let first = patient.row(ENDED, 0);
    let append = |batch: &[Append]| patient.open().append(batch).unwrap();
    append(&[revise(1, 2)]);
    append(&[finish(1, 3)]);
    let second = patient.row(ENDED, 0);
    append(&[revise(1, 4), finish(1, 5)]);
    for old in [first, second] {
        patient.put(ENDED, 0, Some(&old));
        let store = patient.open();
        let run_1 = (StoreErrorKind::Damaged, Some(run(1)));
        let error = store.append(&[revise(1, 2)]).unwrap_err();
        assert_eq!((error.kind(), error.run()), run_1);
        let error = store.runs(None, 3).unwrap_err();
        assert_eq!((error.kind(), error.run()), run_1);
        assert!(error.to_string().contains("its head is an old one"));
    }
    check(&patient.open(), &[1], true);
}

#[test]
fn a_head_that_did_not_leave_with_its_run_is_noticed() {
    let patient = Patient::new();
    let old = patient.row(ENDED, 0);
    patient.open().append(&[revise(1, 2)]).unwrap();
    patient.put(ENDED, 0, Some(&old));
    let store = patient.open();
    assert_eq!(store.unfinished().unwrap(), [run(1), run(2), run(3)]);
    check(&store, &[], false);
}

#[test]
fn a_lost_head_of_a_run_that_goes_on_is_noticed() {
    let patient = Patient::new();
    patient.open().append(&[revise(1, 2)]).unwrap();
    patient.put(LIVE, 0, None);
    let store = patient.open();
    assert_eq!(store.unfinished().unwrap(), [run(1), run(2), run(3)]);
    check(&store, &[1, 2, 3], false);
}

/// A file in which run 2 shared a result with key 8, and one with key 9.
fn shared_patient() -> Patient {
    let patient = Patient::new();
    let store = patient.open();
    store.append(&[share(2, 2, 8, shared("first"))]).unwrap();
    store.append(&[share(2, 4, 9, shared("other"))]).unwrap();
    drop(store);
    patient
}

fn shared(output: &str) -> SharedResult {
    SharedResult {
        output: output.into(),
        until: None,
    }
}

/// Checks that the result with key 8 is damaged, and nothing else.
#[track_caller]
fn check_shared(patient: &Patient, what: &str) {
    let store = patient.open();
    let error = store.shared(8).unwrap_err();
    assert_eq!((error.kind(), error.run()), (StoreErrorKind::Damaged, None));
    assert!(error.to_string().contains(what), "{error}");
    assert_eq!(store.shared(9).unwrap(), Some(shared("other")));
    assert_eq!(store.shared(10).unwrap(), None);
    check(&store, &[], true);
}

#[test]
fn a_lost_shared_result_is_not_read_as_one_that_was_never_there() {
    let patient = shared_patient();
    patient.put(SHARED, 8, None);
    check_shared(&patient, "it is missing");
}

#[test]
fn a_shared_result_in_the_place_of_another_is_noticed() {
    let patient = shared_patient();
    let other = patient.row(SHARED, 9);
    patient.put(SHARED, 8, Some(&other));
    check_shared(&patient, "its checksum is wrong");
}

#[test]
fn an_old_shared_result_is_noticed() {
    let patient = shared_patient();
    let old = patient.row(SHARED, 8);
    let again = share(2, 6, 8, shared("second"));
    patient.open().append(&[again]).unwrap();
    patient.put(SHARED, 8, Some(&old));
    check_shared(&patient, "it is not the last one");
}

#[test]
fn a_damaged_shared_result_is_noticed() {
    let patient = shared_patient();
    let whole = patient.row(SHARED, 8);
    for place in 0..whole.len() {
        let mut row = whole.clone();
        row[place] ^= 16;
        patient.put(SHARED, 8, Some(&row));
        let error = patient.open().shared(8).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
    }
    patient.put(SHARED, 8, Some(&whole[..7]));
    check_shared(&patient, "it ends too early");
}

/// An index that is as it was before the result was shared.
#[test]
fn a_shared_result_without_its_name_is_noticed() {
    let patient = shared_patient();
    let row = patient.row(SHARED, 8);
    patient.put(SHARED, 7, Some(&row));
    let error = patient.open().shared(7).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    assert!(error.to_string().contains("its name is missing"), "{error}");
    patient.put(SHARED, 7, None);
    patient.put(INDEX, name(b'S', 9).as_slice(), None);
    let store = patient.open();
    let error = store.shared(9).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    let error = store.shared(10).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    assert_eq!(store.shared(8).unwrap(), Some(shared("first")));
    let error = store.append(&[share(2, 6, 10, shared("new"))]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
}

/// What is damaged is not taken away by the way: whoever asks for it is to be told.
#[test]
fn a_damaged_shared_result_is_not_removed_when_its_time_is_over() {
    let patient = Patient::new();
    let over = SharedResult {
        until: Some(Timestamp::from_millis(1)),
        ..shared("over")
    };
    let shares = (8..14).zip((2..).step_by(2));
    for (key, first) in shares {
        let append = share(2, first, key, over.clone());
        patient.open().append(&[append]).unwrap();
    }
    let row = patient.row(SHARED, 9);
    patient.put(SHARED, 9, Some(&row[..7]));
    let old = patient.row(SHARED, 13);
    let again = share(2, 14, 13, shared("for ever"));
    patient.open().append(&[again]).unwrap();
    patient.put(SHARED, 13, Some(&old));
    patient.put(INDEX, name(b'S', 12).as_slice(), Some(&row[..7]));
    let store = patient.open();
    let now = Timestamp::from_millis(1);
    assert_eq!(store.remove_expired(now, None, 64).unwrap(), None);
    for key in [8, 10, 11] {
        assert_eq!(store.shared(key).unwrap(), None);
    }
    for key in [9, 12, 13] {
        let error = store.shared(key).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
    }
    check(&store, &[], true);
}
