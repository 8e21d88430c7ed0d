//! A disk that fails or is full costs no acknowledged record.
//!
//! `ZAHIR_IOERRORS` sets how many scenarios are run, `ZAHIR_SEED` the first of them.

use std::io::ErrorKind;

use zahir_store::{RedbOptions, RedbStore, Store, StoreError, StoreErrorKind};

use crate::support::disk::{Disk, Fault, Operation};
use crate::support::{Content, Rng, Workload, knob};

#[test]
fn an_error_costs_no_acknowledged_record() {
    let fresh = Disk::fresh().bytes();
    let first = knob("ZAHIR_SEED", 1);
    let mut failed = 0;
    for seed in first..first + knob("ZAHIR_IOERRORS", 100) {
        match scenario(seed, &fresh) {
            Ok(saw_error) => failed += u64::from(saw_error),
            Err(what) => panic!("{what}; see it with ZAHIR_SEED={seed} ZAHIR_IOERRORS=1"),
        }
    }
    println!("{failed} scenarios saw an error");
    assert!(failed > 0);
}

fn fault(rng: &mut Rng) -> Fault {
    let on = [
        Operation::Read,
        Operation::Write,
        Operation::Length,
        Operation::Sync,
    ][rng.index(4)];
    let (error, operations) = match on {
        Operation::Read => (ErrorKind::Other, 30),
        Operation::Write => (ErrorKind::StorageFull, 300),
        Operation::Length => (ErrorKind::StorageFull, 3),
        Operation::Sync => (ErrorKind::Other, 60),
    };
    Fault::Error {
        on,
        at: 1 + rng.below(operations),
        error,
        stays: rng.one_in(2),
    }
}

fn scenario(seed: u64, fresh: &[u8]) -> Result<bool, String> {
    let mut rng = Rng::new(seed);
    let mut workload = Workload::new(seed);
    let quick_repair = if rng.one_in(2) { 0 } else { u64::MAX };
    let options = RedbOptions::new().quick_repair_from(quick_repair);
    let disk = Disk::with(fresh.to_vec());
    let store = disk
        .open_with(&options)
        .map_err(|error| error.to_string())?;
    disk.fail(fault(&mut rng));
    let mut acknowledged = 0;
    let mut failed = None;
    for _ in 0..60 {
        if let Err(error) = store.append(&workload.batch()) {
            failed = Some(error);
            break;
        }
        acknowledged += 1;
    }
    if let Some(error) = &failed {
        stays_stopped(&store, &workload, error)?;
    }
    drop(store);
    let is_unknown = failed.as_ref().is_some_and(StoreError::is_outcome_unknown);
    // After a failed sync the system may have dropped what it could not write.
    let disk = if failed.is_some() && rng.one_in(2) {
        disk.without_unsynced()
    } else {
        Disk::with(disk.bytes())
    };
    let store = disk
        .open_with(&options)
        .map_err(|error| error.to_string())?;
    let found = Content::of(&store).map_err(|error| error.to_string())?;
    let possible = acknowledged + usize::from(is_unknown);
    if !(acknowledged..=possible).any(|n| Content::after(&workload.batches[..n]) == found) {
        return Err("what is there is neither what was acknowledged nor one batch more".to_owned());
    }
    let next = zahir_store::conformance::start(1, "after", None);
    store.append(&[next]).map_err(|error| error.to_string())?;
    Ok(failed.is_some())
}

fn stays_stopped(store: &RedbStore, workload: &Workload, error: &StoreError) -> Result<(), String> {
    if !matches!(error.kind(), StoreErrorKind::Io | StoreErrorKind::Full) {
        return Err(format!("{:?}: {error}", error.kind()));
    }
    let again = zahir_store::conformance::start(1, "after", None);
    match store.append(&[again]) {
        Err(again) if again.kind() == error.kind() && !again.is_outcome_unknown() => {}
        Err(again) => return Err(format!("{:?} and then {:?}", error.kind(), again.kind())),
        Ok(()) => return Err(format!("appends go on after `{error}`")),
    }
    // A read may fail, but it gives nothing that was not acknowledged.
    match workload.first_run().map(|run| store.load(run)) {
        Some(Ok(_) | Err(_)) | None => Ok(()),
    }
}

/// The disk is full: the store says so, keeps what it has, and goes on once there is room.
#[test]
fn a_full_disk_is_named_and_costs_nothing() {
    let disk = Disk::fresh();
    let store = disk.open().unwrap();
    disk.fail(Fault::Full { bytes: 3 << 20 });
    let mut workload = Workload::new(5);
    let error = loop {
        if let Err(error) = store.append(&workload.batch()) {
            break error;
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!(
        error.to_string(),
        "no space left to write the disk: make room on the disk and open it again"
    );
    let again = store.append(&workload.batch()).unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Full);
    drop(store);

    let disk = Disk::with(disk.bytes());
    let store = disk.open().unwrap();
    let found = Content::of(&store).unwrap();
    let acknowledged = workload.batches.len() - 2;
    assert!(
        found == Content::after(&workload.batches[..acknowledged])
            || found == Content::after(&workload.batches[..=acknowledged])
    );
}
