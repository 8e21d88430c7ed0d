//! What was acknowledged survives loss of power, also in the middle of a recovery from one.
//!
//! `ZAHIR_POWERLOSS` sets how many scenarios are run, `ZAHIR_SEED` the first of them.

use zahir_store::{RedbOptions, RedbStore, Store};

use crate::support::disk::{Disk, Fault};
use crate::support::{Content, Rng, Workload, knob};

#[test]
fn acknowledged_records_survive_loss_of_power() {
    let fresh = Disk::fresh().bytes();
    let first = knob("ZAHIR_SEED", 1);
    let mut losses = 0;
    for seed in first..first + knob("ZAHIR_POWERLOSS", 300) {
        match scenario(seed, &fresh) {
            Ok(count) => losses += count,
            Err(what) => panic!("{what}; see it with ZAHIR_SEED={seed} ZAHIR_POWERLOSS=1"),
        }
    }
    println!("{losses} losses of power");
}

/// The scenarios are able to fail: a disk that lies about its syncs is found out.
#[test]
fn a_disk_that_lies_is_found_out() {
    let fresh = Disk::fresh().bytes();
    let is_found_out = |seed: &u64| {
        let mut rng = Rng::new(*seed);
        let mut workload = Workload::new(*seed);
        let options = RedbOptions::new();
        let disk = Disk::with(fresh.clone());
        disk.lie();
        let acknowledged = work(&disk, &options, &mut workload, &mut rng).unwrap();
        let disk = disk.after_power_loss(&mut rng);
        match compare(&disk, &options, &workload, acknowledged) {
            // What no read meets may be damaged too, and then redb can end the process as it closes.
            Ok((store, _)) => {
                store.abandon();
                false
            }
            Err(_) => true,
        }
    };
    let found = (1..=60).filter(is_found_out).count();
    assert!(found > 10, "only {found} of 60");
}

/// Works until the power goes, recovers, compares, and goes on; gives how often the power went.
fn scenario(seed: u64, fresh: &[u8]) -> Result<u64, String> {
    let mut rng = Rng::new(seed);
    let quick_repair = if rng.one_in(2) { 0 } else { u64::MAX };
    let options = RedbOptions::new().quick_repair_from(quick_repair);
    let mut workload = Workload::new(seed);
    let mut disk = Disk::with(fresh.to_vec());
    let mut losses = 0;
    for _ in 0..1 + rng.below(3) {
        let acknowledged = work(&disk, &options, &mut workload, &mut rng)?;
        disk = disk.after_power_loss(&mut rng);
        losses += 1;
        for _ in 0..rng.below(3) {
            disk.fail(Fault::Power {
                at: 1 + rng.below(40),
            });
            drop(disk.open_with(&options));
            disk = disk.after_power_loss(&mut rng);
            losses += 1;
        }
        let copy = Disk::with(disk.bytes());
        let (store, survived) = compare(&copy, &options, &workload, acknowledged)?;
        store
            .append(&[zahir_store::conformance::start(1, "after", None)])
            .map_err(|error| error.to_string())?;
        workload.truncate(survived);
    }
    Ok(losses)
}

/// Appends until the power goes; gives how many batches were acknowledged.
fn work(
    disk: &Disk,
    options: &RedbOptions,
    workload: &mut Workload,
    rng: &mut Rng,
) -> Result<usize, String> {
    let store = disk.open_with(options).map_err(|error| error.to_string())?;
    let operations = if rng.one_in(4) { 12 } else { 400 };
    disk.fail(Fault::Power {
        at: 1 + rng.below(operations),
    });
    for _ in 0..rng.below(60) {
        let acknowledged = workload.batches.len();
        if store.append(&workload.batch()).is_err() {
            return Ok(acknowledged);
        }
    }
    // Half of the time the process dies without closing the file.
    if rng.one_in(2) {
        disk.die();
    }
    Ok(workload.batches.len())
}

/// Compares with what was acknowledged, and with one batch more; gives the store and how many
/// batches survived.
fn compare(
    disk: &Disk,
    options: &RedbOptions,
    workload: &Workload,
    acknowledged: usize,
) -> Result<(RedbStore, usize), String> {
    let store = disk.open_with(options).map_err(|error| error.to_string())?;
    let survived = match Content::of(&store) {
        Ok(found) => (acknowledged..=workload.batches.len())
            .find(|batches| Content::after(&workload.batches[..*batches]) == found)
            .ok_or("what is there is neither what was acknowledged nor one batch more".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    match survived {
        Ok(survived) => Ok((store, survived)),
        Err(what) => {
            store.abandon();
            Err(what)
        }
    }
}
