//! A process killed at any moment loses nothing that was acknowledged and leaves a file that opens.
//!
//! The test binary starts itself as the process to be killed. `ZAHIR_KILLS` sets how often.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use zahir_store::{RedbStore, Store, conformance};

use crate::support::{Content, Rng, Workload, knob};

const ROLE: &str = "ZAHIR_CHILD";
const PATH: &str = "ZAHIR_CHILD_PATH";
const SEED: u64 = 11;

/// Starts this test binary as a process that plays a role.
pub(crate) fn child(role: &str, path: &Path, output: Stdio) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::plays_its_role", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .env(PATH, path)
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the process has said its first word of its own.
pub(crate) fn wait_for_line(child: &mut Child) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next().unwrap().unwrap() != "ready" {}
}

/// What a child process does; nothing in the process that is told to test.
#[test]
fn plays_its_role() {
    let (Ok(role), Some(path)) = (std::env::var(ROLE), std::env::var_os(PATH)) else {
        return;
    };
    match role.as_str() {
        "create" => {
            println!("ready");
            drop(RedbStore::open(path).unwrap());
        }
        "hold" => {
            let _store = RedbStore::open(path).unwrap();
            println!("ready");
            loop {
                std::thread::park();
            }
        }
        "append" => append_for_ever(Path::new(&path)),
        other => panic!("there is no role `{other}`"),
    }
}

/// Goes on with the workload where the file ends, and acknowledges each batch.
fn append_for_ever(path: &Path) {
    let store = RedbStore::open(path).unwrap();
    let mut workload = Workload::new(SEED);
    println!("ready");
    let found = survived(&store, &mut workload, usize::MAX);
    let mut output = std::io::stdout().lock();
    for batches in found + 1.. {
        store.append(&workload.batch()).unwrap();
        writeln!(output, "acknowledged {batches}").unwrap();
    }
}

/// How many batches of the workload are in the store; the workload goes on behind them.
fn survived(store: &RedbStore, workload: &mut Workload, batches_max: usize) -> usize {
    let found = Content::of(store).unwrap();
    let mut records = 0;
    while records < found.records() {
        assert!(
            workload.batches.len() < batches_max,
            "more than was attempted"
        );
        let batch = workload.batch();
        records += batch
            .iter()
            .map(|append| append.records.len())
            .sum::<usize>();
    }
    assert_eq!(Content::after(&workload.batches), found);
    workload.batches.len()
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut rng = Rng::new(SEED);
    let mut acknowledged = 0;
    let mut attempted_max = 0;
    for _ in 0..knob("ZAHIR_KILLS", 30) {
        let mut child = child("append", &path, Stdio::piped());
        std::thread::sleep(Duration::from_micros(rng.below(150_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut output = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut output)
            .unwrap();
        let mut last = output
            .lines()
            .filter_map(|line| line.strip_prefix("acknowledged "));
        if let Some(last) = last.next_back() {
            acknowledged = last.parse().unwrap();
            attempted_max = acknowledged;
        }
        // Each process may have been killed between a commit and its acknowledgement.
        attempted_max += 1;
        // Half of the time the next process has to recover what this one left.
        if rng.one_in(2) {
            continue;
        }
        let store = RedbStore::open(&path).unwrap();
        let found = survived(&store, &mut Workload::new(SEED), attempted_max);
        assert!(
            found >= acknowledged,
            "{acknowledged} acknowledged, {found} found"
        );
    }
    println!("{acknowledged} batches");
}

#[test]
fn a_kill_while_a_store_is_made_leaves_none_or_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(SEED);
    let mut made = 0;
    let kills = knob("ZAHIR_KILLS", 30);
    for number in 0..kills {
        let path = folder.path().join(number.to_string());
        let mut child = child("create", &path, Stdio::piped());
        wait_for_line(&mut child);
        std::thread::sleep(Duration::from_micros(rng.below(30_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        made += u64::from(path.exists());
        // What a dead process left behind is in nobody's way.
        let store = RedbStore::open(&path).unwrap();
        store
            .append(&[conformance::start(1, "order", None)])
            .unwrap();
    }
    println!("{made} of {kills} were whole");
}

#[test]
fn processes_that_make_a_store_at_once_do_not_destroy_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let children: Vec<Child> = (0..4)
        .map(|_| child("create", &path, Stdio::null()))
        .collect();
    let codes: Vec<bool> = children
        .into_iter()
        .map(|mut child| child.wait().unwrap().success())
        .collect();
    // One at least got it; those that came second may have found it in use.
    assert!(codes.contains(&true));
    drop(RedbStore::open(&path).unwrap());
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}
