//! A damaged file is reported, never read as if it were right, and its whole runs stay readable.
//!
//! `ZAHIR_CORRUPT` sets how many trials are made, `ZAHIR_SEED` the first of them.

use std::collections::HashMap;

use zahir_store::{
    DefinitionId, RedbOptions, RedbStore, RunId, SharedResult, Store, StoreError, StoreErrorKind,
    StoredRun,
};

use crate::support::disk::Disk;
use crate::support::{Rng, Workload, knob, shared_key};

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// A file as a process left it, and what is in it.
struct Sample {
    image: Vec<u8>,
    runs: HashMap<RunId, StoredRun>,
    unfinished: Vec<RunId>,
    keys: Vec<(String, RunId)>,
    shared: HashMap<u128, SharedResult>,
    /// Places of pages that are not empty.
    used: Vec<usize>,
}

impl Sample {
    fn new(seed: u64, is_closed: bool, quick_repair: u64) -> Self {
        let disk = Disk::fresh();
        let options = RedbOptions::new().quick_repair_from(quick_repair);
        let store = disk.open_with(&options).unwrap();
        let mut workload = Workload::new(seed);
        for _ in 0..60 {
            store.append(&workload.batch()).unwrap();
        }
        let heads = store.runs(None, usize::MAX).unwrap();
        let runs = heads
            .iter()
            .map(|head| (head.id, store.load(head.id).unwrap().unwrap()));
        let runs: HashMap<RunId, StoredRun> = runs.collect();
        let records = runs.values().flat_map(|run| &run.steps);
        let records = records.flat_map(|step| &step.records);
        let shared = records
            .filter_map(shared_key)
            .map(|key| (key, store.shared(key).unwrap().unwrap()));
        let shared = shared.collect();
        let unfinished = store.unfinished().unwrap();
        let keys = heads
            .into_iter()
            .filter_map(|head| Some((head.key?, head.id)));
        let keys = keys.collect();
        if !is_closed {
            disk.die();
        }
        drop(store);
        let image = disk.bytes();
        let used = image.chunks(PAGE).enumerate();
        let used = used.filter(|(_, page)| page.iter().any(|byte| *byte != 0));
        let used = used.map(|(index, _)| index * PAGE).collect();
        Self {
            image,
            runs,
            unfinished,
            keys,
            shared,
            used,
        }
    }

    fn page(&self, rng: &mut Rng) -> usize {
        self.used[rng.index(self.used.len())]
    }

    fn damaged(&self, rng: &mut Rng) -> (&'static str, Vec<u8>) {
        let mut image = self.image.clone();
        let page = self.page(rng);
        let what = match rng.below(6) {
            0 => {
                image[page + rng.index(PAGE)] ^= 1 << rng.below(8);
                "a flipped bit"
            }
            1 => {
                let byte = rng.index(320);
                // The lowest bit of this byte says which of the last two commits is the later one.
                // Alone it can't be told from a crash between the two phases of a commit.
                let mask = if byte == 9 { 0xfe } else { 0xff };
                image[byte] ^= (1 << rng.below(8)) & mask;
                "a flipped bit in the header"
            }
            2 => {
                let sector = page + SECTOR * rng.index(PAGE / SECTOR);
                image[sector..sector + SECTOR].fill(0);
                "an empty sector"
            }
            3 => {
                image[page..page + PAGE].copy_from_slice(&rng.bytes(PAGE));
                "a page of random bytes"
            }
            4 => {
                let from = self.page(rng);
                image.copy_within(from..from + PAGE, page);
                "a page in the wrong place"
            }
            _ => {
                // A disk without a byte is one that a store is made on.
                image.truncate(1 + rng.index(self.image.len() - 1));
                "a truncated file"
            }
        };
        (what, image)
    }

    /// Reads everything from a damaged copy; gives whether anything was reported.
    fn read(&self, image: Vec<u8>) -> Result<bool, String> {
        let store = match Disk::with(image).open() {
            Ok(store) => store,
            Err(error) => return named(&error).map(|()| true),
        };
        let result = self.compare(&store);
        // Damage that no read can see, in the lists of free pages, makes redb end the process when
        // it writes as it closes.
        store.abandon();
        result
    }

    fn compare(&self, store: &RedbStore) -> Result<bool, String> {
        let mut reported = false;
        for (run, expected) in &self.runs {
            match store.load(*run) {
                Ok(Some(found)) if found == *expected => {}
                Ok(found) => return Err(format!("run {run} is read as {found:?}")),
                Err(error) => {
                    named(&error)?;
                    reported = true;
                }
            }
        }
        match store.unfinished() {
            Ok(found) if found == self.unfinished => {}
            Ok(_) if reported => {}
            Ok(found) => return Err(format!("unfinished runs are read as {found:?}")),
            Err(error) => named(&error)?,
        }
        for (key, run) in &self.keys {
            match store.find("order", key) {
                Ok(Some(found)) if found == *run => {}
                Ok(found) => return Err(format!("key `{key}` is read as {found:?}")),
                Err(error) => {
                    named(&error)?;
                    reported = true;
                }
            }
        }
        for (key, expected) in &self.shared {
            match store.shared(*key) {
                Ok(Some(found)) if found == *expected => {}
                Ok(found) => return Err(format!("shared result {key} is read as {found:?}")),
                Err(error) => {
                    named(&error)?;
                    reported = true;
                }
            }
        }
        match store.definition(DefinitionId::from_u128(7)) {
            Ok(Some(found)) if found == b"definition" => {}
            Ok(found) => return Err(format!("the definition is read as {found:?}")),
            Err(error) => {
                named(&error)?;
                reported = true;
            }
        }
        Ok(reported)
    }
}

/// An error that says which file is damaged.
fn named(error: &StoreError) -> Result<(), String> {
    let kinds = [StoreErrorKind::Damaged, StoreErrorKind::Foreign];
    if kinds.contains(&error.kind()) && error.to_string().contains("the disk") {
        return Ok(());
    }
    Err(format!("{:?}: {error}", error.kind()))
}

#[test]
fn damage_is_reported_and_never_read_as_if_it_were_right() {
    let samples = [
        Sample::new(1, true, u64::MAX),
        Sample::new(2, true, 0),
        Sample::new(3, false, u64::MAX),
        Sample::new(4, false, 0),
    ];
    let first = knob("ZAHIR_SEED", 1);
    let mut reported = 0;
    let mut wrong = Vec::new();
    for seed in first..first + knob("ZAHIR_CORRUPT", 300) {
        let mut rng = Rng::new(seed);
        let (what, image) = samples[rng.index(samples.len())].damaged(&mut rng);
        let mut rng = Rng::new(seed);
        let sample = &samples[rng.index(samples.len())];
        match sample.read(image) {
            Ok(is_reported) => reported += u64::from(is_reported),
            Err(error) => wrong.push(format!("{what}, seed {seed}: {:.300}", error)),
        }
    }
    println!("{reported} reported");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
