//! Both stores keep the contract, and what was appended is there when a file is opened again.

use zahir_store::{MemoryStore, RedbStore, conformance};

#[test]
fn memory_keeps_the_contract() {
    conformance::check(MemoryStore::new);
}

#[test]
fn a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let files = std::cell::Cell::new(0);
    let make = || {
        files.set(files.get() + 1);
        RedbStore::open(folder.path().join(files.get().to_string())).unwrap()
    };
    conformance::check(make);
}

#[test]
fn a_file_that_is_opened_again_holds_what_was_appended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    conformance::check_reopened(
        || RedbStore::open(&path).unwrap(),
        |store| {
            drop(store);
            RedbStore::open(&path).unwrap()
        },
    );
}
