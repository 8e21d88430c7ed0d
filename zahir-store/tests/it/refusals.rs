//! What is no store is refused by name, told apart, and left as it was.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use zahir_store::{RedbStore, Store, StoreErrorKind, conformance};

/// Opens a path and compares the error, in which `<path>` stands for the path.
#[track_caller]
fn check(path: &Path, kind: StoreErrorKind, message: &str) {
    let before = fs::read(path).ok();
    let error = RedbStore::open(path).unwrap_err();
    let text = error
        .to_string()
        .replace(&path.display().to_string(), "<path>");
    assert_eq!((error.kind(), text.as_str()), (kind, message));
    assert!(!error.is_outcome_unknown());
    assert!(fs::read(path).ok() == before, "the file was changed");
}

#[test]
fn an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, b"").unwrap();
    check(
        &path,
        StoreErrorKind::Foreign,
        "<path> exists and is empty: delete it, so that a store can be made there, or choose \
         another path",
    );
}

#[test]
fn a_text_file_and_random_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let random = crate::support::Rng::new(1).bytes(100_000);
    for bytes in [&b"x"[..], b"dear diary, today I lost a database", &random] {
        fs::write(&path, bytes).unwrap();
        check(
            &path,
            StoreErrorKind::Foreign,
            "<path> is not a zahir store, or its beginning is lost: nothing was changed; choose \
             another path or restore a backup",
        );
    }
}

#[test]
fn a_database_of_another_program() {
    const TABLE: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("theirs");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TABLE).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    check(
        &path,
        StoreErrorKind::Foreign,
        "<path> is a redb database of another program: choose another path",
    );
}

#[test]
fn a_store_of_a_newer_version() {
    const TABLE: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("zahir");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(RedbStore::open(&path).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    // Version 7 and the checksum that it must have.
    let version = 7_u32.to_le_bytes();
    let seed = xxhash_rust::xxh3::xxh3_64(b"format") ^ u64::from(b'F');
    let checksum = xxhash_rust::xxh3::xxh3_64_with_seed(&version, seed);
    let row = [&version[..], &checksum.to_le_bytes()].concat();
    transaction
        .open_table(TABLE)
        .unwrap()
        .insert("format", row.as_slice())
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    check(
        &path,
        StoreErrorKind::TooNew,
        "<path> has format version 7 and this zahir knows versions up to 1: use a newer zahir",
    );
}

#[test]
fn a_folder() {
    let folder = tempfile::tempdir().unwrap();
    check(
        folder.path(),
        StoreErrorKind::Unusable,
        "<path> is a folder: give the path of a file in it",
    );
}

#[test]
fn a_missing_folder() {
    let folder = tempfile::tempdir().unwrap();
    check(
        &folder.path().join("missing/store"),
        StoreErrorKind::Unusable,
        "the folder of <path> does not exist: make it or choose another path",
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_truncated_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(RedbStore::open(&path).unwrap());
    let whole = fs::read(&path).unwrap();
    for kept in [10, 4_096, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..kept]).unwrap();
        let error = RedbStore::open(&path).unwrap_err();
        assert_eq!(
            error.kind(),
            StoreErrorKind::Damaged,
            "{kept} bytes: {error}"
        );
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(
            text.ends_with("keep a copy of it and restore a backup"),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    let path = folder.path().join("store");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let message = "<path> is a symbolic link, which somebody else could point elsewhere: give \
                   the path of the file itself";
    check(&path, StoreErrorKind::Unusable, message);
    drop(RedbStore::open(&target).unwrap());
    check(&path, StoreErrorKind::Unusable, message);
}

#[cfg(unix)]
#[test]
fn a_missing_permission() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(RedbStore::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        println!("skipped: this user may write what nobody may write");
        return;
    }
    check(
        &path,
        StoreErrorKind::Unusable,
        "permission to read and write <path> is missing: grant it or choose another path",
    );
}

const IN_USE: &str = "<path> is open in another process, or twice in this one: one runtime at a \
                      time can work on a store; end the other one or choose another path";

#[test]
fn a_store_that_this_process_has_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::open(&path).unwrap();
    check(&path, StoreErrorKind::InUse, IN_USE);
    store
        .append(&[conformance::start(1, "order", None)])
        .unwrap();
}

#[test]
fn a_store_that_another_process_has_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut child = crate::crash::child("hold", &path, Stdio::piped());
    crate::crash::wait_for_line(&mut child);
    check(&path, StoreErrorKind::InUse, IN_USE);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(RedbStore::open(&path).unwrap());
}

#[test]
fn a_file_that_was_deleted_or_replaced_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let moved = folder.path().join("moved");
    let store = RedbStore::open(&path).unwrap();
    store.check_attached().unwrap();

    fs::rename(&path, &moved).unwrap();
    let error = store.check_attached().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Detached);
    assert!(
        error
            .to_string()
            .contains("was deleted or moved while it was open"),
        "{error}"
    );

    drop(RedbStore::open(&path).unwrap());
    let error = store.check_attached().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Detached);
    assert!(
        error.to_string().contains("was replaced by another file"),
        "{error}"
    );

    fs::rename(&moved, &path).unwrap();
    store.check_attached().unwrap();
}
