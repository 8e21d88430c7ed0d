//! A book whose reader is killed after any of its jobs is read as one that is not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use zahir_store::{Record, RedbStore, Store};

/// The example, which cargo builds beside its package's tests.
fn book() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.join("examples").join("book")
}

const CHAPTERS: usize = 6;

fn run(folder: &Path, die_after: Option<usize>) -> Output {
    let mut command = Command::new(book());
    command.arg(folder.join("novel.txt"));
    command.arg("--store").arg(folder.join("book.redb"));
    command.arg("--ledger").arg(folder.join("ledger"));
    if let Some(count) = die_after {
        command.args(["--die-after", &count.to_string()]);
    }
    command.output().expect("the example runs")
}

fn new_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let chapters: Vec<_> = (1..=CHAPTERS)
        .map(|at| "word ".repeat(at) + "longest")
        .collect();
    std::fs::write(folder.path().join("novel.txt"), chapters.join("\n\n")).unwrap();
    folder
}

fn executions(folder: &Path) -> BTreeMap<String, usize> {
    let mut executions = BTreeMap::new();
    let ledger = std::fs::read_to_string(folder.join("ledger")).unwrap_or_default();
    for line in ledger.lines() {
        *executions.entry(line.to_owned()).or_default() += 1;
    }
    executions
}

/// How many jobs have their result on record. The one that hands on has none.
fn recorded(store: &Path) -> usize {
    let store = RedbStore::open(store).unwrap();
    let runs = store.runs(None, 10).unwrap();
    let steps = runs
        .iter()
        .flat_map(|run| store.load(run.id).unwrap().unwrap().steps);
    let records = steps.flat_map(|step| step.records);
    let is_result = |record: &Record| matches!(record, Record::AttemptSucceeded { .. });
    records.filter(is_result).count()
}

const REPORT: &str = "novel: 6 chapters, 27 words, the longest is longest\n";

#[test]
fn killed_after_any_job_nothing_on_record_runs_twice_and_the_summary_is_right() {
    for die_after in 1..=CHAPTERS + 1 {
        let folder = new_folder();
        let killed = run(folder.path(), Some(die_after));
        assert!(!killed.status.success(), "{killed:?}");
        let before = executions(folder.path());
        let recorded = recorded(&folder.path().join("book.redb"));
        let done = run(folder.path(), None);
        assert!(done.status.success(), "{done:?}");
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(text.ends_with(REPORT), "{text}");
        let after = executions(folder.path());
        assert_eq!(after.len(), CHAPTERS + 1, "every job ran: {after:?}");
        let (began, ran): (usize, usize) = (before.values().sum(), after.values().sum());
        assert_eq!(
            ran,
            CHAPTERS + 1 + (began - recorded),
            "{die_after}: {before:?} {after:?}"
        );
    }
}

#[test]
fn it_plays_a_book_that_is_killed_twice() {
    let output = Command::new(book()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("-- killed after").count(), 2, "{text}");
    let last = "the_whale: 12 chapters, 90 words, the longest is aaaaaaaaaaaa\n";
    assert!(text.ends_with(last), "{text}");
}

#[test]
fn a_wrong_command_line_is_explained() {
    let output = Command::new(book()).arg("--chapters").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("error: unexpected argument '--chapters' found")
            && text.contains("Usage: book"),
        "{text}"
    );
}
