//! What an append costs, as a ratio to a bare redb commit made in the same run.
//!
//! `cargo bench -p zahir-store --features test-util` prints, for a folder in `ZAHIR_BENCH_DIR` or
//! the system's temporary one:
//!
//! * one append at a time, against two-phase commits of one row of the same size;
//! * 10,000 runs of five jobs, 256 at once, against commits of as many bare rows;
//! * opening a store and loading 10,000 half-finished runs beside `ZAHIR_BENCH_RUNS` finished ones.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures time, prints and stops at the first error"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};
use zahir_store::conformance::{finish, more, run, start};
use zahir_store::{Append, Attempt, NodeId, Position, Record, RedbStore, Store};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const PAYLOAD_BYTES: usize = 110;
const AT_ONCE: usize = 256;
/// A start, five jobs, an end.
const APPENDS_PER_RUN: u64 = 7;

fn main() {
    let folder = std::env::var_os("ZAHIR_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    one_at_a_time(folder.path());
    many_at_once(folder.path());
    recovery(folder.path());
}

fn one_at_a_time(folder: &Path) {
    const COMMITS: u64 = 2_000;
    let database = Database::create(folder.join("bare-one")).unwrap();
    let store = RedbStore::open(folder.join("one")).unwrap();
    store.append(&[start(1, "order", None)]).unwrap();
    let (mut bare, mut zahir) = (Vec::new(), Vec::new());
    // In turns, so that both see the same disk.
    for number in 1..COMMITS {
        let since = Instant::now();
        commit_rows(&database, number..number + 1);
        bare.push(since.elapsed());
        let append = [job(1, number)];
        let since = Instant::now();
        store.append(&append).unwrap();
        zahir.push(since.elapsed());
    }
    let (bare, zahir) = (median(bare), median(zahir));
    println!(
        "one append: {zahir:.0?}, bare commit of one row: {bare:.0?}, ratio {:.2}",
        zahir.as_secs_f64() / bare.as_secs_f64()
    );
}

fn many_at_once(folder: &Path) {
    const RUNS: u64 = 10_000;
    let database = Database::create(folder.join("bare-many")).unwrap();
    let appends = RUNS * APPENDS_PER_RUN;
    let since = Instant::now();
    for first in (0..appends).step_by(AT_ONCE) {
        commit_rows(&database, first..(first + 256).min(appends));
    }
    let bare = since.elapsed();
    let path = folder.join("many");
    let store = RedbStore::open(&path).unwrap();
    let batches = batches(0, RUNS, APPENDS_PER_RUN);
    let since = Instant::now();
    for batch in &batches {
        store.append(batch).unwrap();
    }
    let zahir = since.elapsed();
    let appends = Duration::from_secs(appends).as_secs_f64();
    println!(
        "{RUNS} runs of 7 appends, {AT_ONCE} at once: {:.0} appends/s, bare rows {:.0}/s, ratio {:.2}, {} KiB",
        appends / zahir.as_secs_f64(),
        appends / bare.as_secs_f64(),
        zahir.as_secs_f64() / bare.as_secs_f64(),
        std::fs::metadata(&path).unwrap().len() >> 10
    );
}

fn recovery(folder: &Path) {
    let finished = std::env::var("ZAHIR_BENCH_RUNS").map_or(20_000, |text| text.parse().unwrap());
    let path = folder.join("recovery");
    let store = RedbStore::open(&path).unwrap();
    for first in (0..finished).step_by(10_000) {
        for batch in batches(first, (finished - first).min(10_000), APPENDS_PER_RUN) {
            store.append(&batch).unwrap();
        }
    }
    for batch in batches(finished, 10_000, 3) {
        store.append(&batch).unwrap();
    }
    drop(store);
    let since = Instant::now();
    let store = RedbStore::open(&path).unwrap();
    let opened = since.elapsed();
    let unfinished = store.unfinished().unwrap();
    let mut steps = 0;
    for run in &unfinished {
        steps += store.load(*run).unwrap().unwrap().steps.len();
    }
    println!(
        "recovery of {} runs ({steps} appends) beside {finished} finished: {:.0?} to open, {:.0?} in all, {} MiB",
        unfinished.len(),
        opened,
        since.elapsed(),
        std::fs::metadata(&path).unwrap().len() >> 20
    );
}

fn commit_rows(database: &Database, numbers: std::ops::Range<u64>) {
    let mut transaction = database.begin_write().unwrap();
    transaction.set_two_phase_commit(true);
    {
        let mut table = transaction.open_table(ROWS).unwrap();
        for number in numbers {
            table.insert(number, &[7; PAYLOAD_BYTES + 40][..]).unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Batches of one append each of `AT_ONCE` runs, of which one in eight is late, so that they drift
/// apart; each run gets `appends`.
fn batches(first: u64, runs: u64, appends: u64) -> Vec<Vec<Append>> {
    let mut waiting = first..first + runs;
    let mut active: Vec<(u64, u64)> = Vec::new();
    let mut batches = Vec::new();
    loop {
        active.extend(
            waiting
                .by_ref()
                .take(AT_ONCE - active.len())
                .map(|run| (run, 0)),
        );
        if active.is_empty() {
            return batches;
        }
        let mut batch = Vec::with_capacity(active.len());
        for (place, (run, done)) in active.iter_mut().enumerate() {
            if is_late(place, batches.len()) {
                continue;
            }
            batch.push(append(*run, *done));
            *done += 1;
        }
        active.retain(|(_, done)| *done < appends);
        batches.push(batch);
    }
}

fn is_late(place: usize, batch: usize) -> bool {
    (place + batch).is_multiple_of(8)
}

fn append(number: u64, done: u64) -> Append {
    let id = u128::from(number) << 64 | u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    match done {
        0 => start(id, "order", None),
        6 => finish(id, 6),
        _ => job(id, done),
    }
}

fn job(run_number: u128, first: u64) -> Append {
    let record = Record::AttemptSucceeded {
        at: Position {
            frames: Vec::new(),
            node: NodeId::new(3),
        },
        attempt: Attempt::FIRST,
        output: vec![7; PAYLOAD_BYTES],
    };
    let append = more(run_number, first, vec![record]);
    debug_assert_eq!(append.run, run(run_number));
    append
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
