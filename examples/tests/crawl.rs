//! The crawler, killed and gone on with, finds what an undisturbed one finds, and reads no page again
//! that was on record.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use zahir_store::{Record, RedbStore, Store};

/// The example, which cargo builds beside its package's tests.
fn crawl() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.join("examples").join("crawl")
}

/// Folders in folders: five in each, four levels of them, with four files in each.
fn tree(at: &Path, levels: u32) {
    std::fs::create_dir_all(at).unwrap();
    for file in 0..4 {
        std::fs::write(at.join(format!("file_{file}")), "words ".repeat(file)).unwrap();
    }
    for folder in 0..if levels > 1 { 5 } else { 0 } {
        tree(&at.join(format!("folder_{folder}")), levels - 1);
    }
}

fn command(root: &Path, depth: u32, store: &Path, ledger: Option<&Path>) -> Command {
    let mut command = Command::new(crawl());
    command.arg(root).arg("--store").arg(store);
    command.arg("--depth").arg(depth.to_string());
    if let Some(ledger) = ledger {
        command.arg("--ledger").arg(ledger);
    }
    command
}

fn run(root: &Path, depth: u32, store: &Path, ledger: Option<&Path>) -> Output {
    let output = command(root, depth, store, ledger).output();
    let output = output.expect("the example runs");
    assert!(output.status.success(), "{output:?}");
    output
}

/// How many pages the store has on record as read: folders that handed on, or gave up, and files.
/// The jobs that add up are no pages: they are the last child of their folder.
fn read(store: &Path) -> usize {
    let Ok(store) = RedbStore::open(store) else {
        return 0;
    };
    let runs = store.runs(None, 10).expect("a list of runs");
    let (mut pages, mut heirs) = (0, 0);
    for run in runs {
        let run = store.load(run.id).expect("a readable run");
        let steps = run.expect("a run that is there").steps;
        let mut continued = std::collections::BTreeMap::new();
        for record in steps.into_iter().flat_map(|step| step.records) {
            match record {
                Record::AttemptContinued { at, heir, .. } => {
                    pages += 1;
                    continued.insert(at, heir.kind);
                }
                Record::AttemptSucceeded { at, .. } => {
                    pages += 1;
                    let parent = at.frames.split_last();
                    let is_heir = continued.values().any(|kind| *kind == at.node);
                    heirs += usize::from(parent.is_some() && is_heir);
                }
                _ => {}
            }
        }
    }
    pages - heirs
}

fn executions(ledger: &Path) -> usize {
    let ledger = std::fs::read_to_string(ledger).unwrap_or_default();
    ledger.lines().count()
}

fn first_line(output: Output) -> String {
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with("goes on"));
    lines.next().unwrap().to_owned()
}

/// `ZAHIR_CRAWL` names another folder to crawl.
#[test]
fn a_killed_crawl_goes_on_and_reads_nothing_twice_that_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    tree(&at("tree"), 4);
    let root = std::env::var_os("ZAHIR_CRAWL").map_or_else(|| at("tree"), PathBuf::from);
    let begin = Instant::now();
    let undisturbed = run(&root, 64, &at("undisturbed.redb"), None);
    let took = begin.elapsed();
    let pages = read(&at("undisturbed.redb"));

    let (store, ledger) = (at("killed.redb"), at("ledger"));
    let (mut lost, mut kills) = (0, 0);
    for part in [5, 9, 6, 11, 3] {
        let before = (executions(&ledger), read(&store));
        let mut child = command(&root, 64, &store, Some(&ledger))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Not waiting for anything: the moment of death is what is tried here.
        std::thread::sleep(took / part);
        child.kill().unwrap();
        kills += u32::from(!child.wait().unwrap().success());
        lost += (executions(&ledger) - before.0) - (read(&store) - before.1);
    }
    let last = run(&root, 64, &store, Some(&ledger));
    assert_eq!(first_line(last), first_line(undisturbed));
    println!("{pages} pages, {kills} kills, {lost} of them read again");
    assert_eq!(kills, 5, "each time before its end");
    assert_eq!(executions(&ledger), pages + lost);
}

#[test]
fn folders_below_the_depth_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tree");
    tree(&root, 3);
    let store = folder.path().join("crawl.redb");
    let all = |folders: u64| format!("{}: {} files of ", root.display(), folders * 4);
    let found = first_line(run(&root, 2, &store, None));
    assert!(found.starts_with(&all(6)), "{found}");
    assert!(found.ends_with("in 6 folders, 25 left out"), "{found}");
    let found = first_line(run(&root, 3, &store, None));
    assert!(found.starts_with(&all(31)), "{found}");
    assert!(found.ends_with("in 31 folders, 0 left out"), "{found}");
}

#[test]
fn what_is_no_folder_is_refused_and_no_run_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("crawl.redb");
    let mut command = Command::new(crawl());
    command.arg(folder.path().join("nowhere"));
    let output = command.arg("--store").arg(&store).output().expect("it ran");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(
        text.starts_with("crawl: ") && text.ends_with("nowhere is no folder\n"),
        "{text}"
    );
    assert!(!store.exists());
}
