//! Rows that are lost, old or in each other's place are noticed, each by the check meant for it.

use redb::{Database, TableDefinition};
use zahir_store::conformance::{attempt, finish, run, start};
use zahir_store::{RedbStore, Store, StoreErrorKind};

type Numbered = TableDefinition<'static, u64, &'static [u8]>;
const ENTRIES: Numbered = TableDefinition::new("entries");
const LIVE: Numbered = TableDefinition::new("live");
const STARTS: Numbered = TableDefinition::new("starts");
const INDEX: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("index");

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

    fn row(&self, table: Numbered, key: u64) -> Vec<u8> {
        let database = Database::open(self.folder.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        let table = transaction.open_table(table).unwrap();
        let row = redb::ReadableTable::get(&table, key).unwrap().unwrap();
        row.value().to_vec()
    }

    /// Puts a row in the place of another, or takes one away.
    fn put(&self, table: Numbered, key: u64, row: Option<&[u8]>) {
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
    let key = [&b"R"[..], &1_u128.to_be_bytes()].concat();
    {
        let database = Database::open(patient.folder.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        drop(
            transaction
                .open_table(INDEX)
                .unwrap()
                .remove(key.as_slice())
                .unwrap(),
        );
        transaction.commit().unwrap();
    }
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
