//! What the jobs of a test did, told by themselves.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often each job of each test was run, and what fails.
static LEDGER: Mutex<BTreeMap<(u64, String), u32>> = Mutex::new(BTreeMap::new());
static BROKEN: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());

/// One test: its jobs are told apart from those of others by a number.
pub fn test() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub fn run(test: u64, job: &str) -> Result<(), String> {
    let key = (test, job.to_owned());
    *LEDGER.lock().unwrap().entry(key.clone()).or_default() += 1;
    if BROKEN.lock().unwrap().contains(&key) {
        Err(format!("{job} is broken"))
    } else {
        Ok(())
    }
}

pub fn break_job(test: u64, job: &str) {
    BROKEN.lock().unwrap().push((test, job.to_owned()));
}

pub fn mend(test: u64) {
    BROKEN.lock().unwrap().retain(|(of, _)| *of != test);
}

/// What was run since this was asked last.
pub fn ran(test: u64) -> String {
    let mut ledger = LEDGER.lock().unwrap();
    let others = ledger.iter().filter(|((of, _), _)| *of != test);
    let others = others.map(|(ran, times)| (ran.clone(), *times)).collect();
    let all = std::mem::replace(&mut *ledger, others);
    let mine = all.into_iter().filter(|((of, _), _)| *of == test);
    let mine = mine.map(|((_, job), times)| match times {
        1 => job,
        _ => format!("{job} x{times}"),
    });
    mine.collect::<Vec<_>>().join(", ")
}
