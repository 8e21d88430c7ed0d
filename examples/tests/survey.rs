//! The survey, killed and gone on with, reports what an undisturbed one reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The example, which cargo builds beside its package's tests.
fn survey() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.join("examples").join("survey")
}

/// A tree of 40 folders with 50 small files each.
fn tree(at: &Path) {
    for folder in 0..40 {
        let folder_path = at.join(format!("folder_{folder}"));
        std::fs::create_dir_all(&folder_path).unwrap();
        for file in 0..50 {
            let name = format!("file_{file}.{}", ["rs", "md", "py", "bin"][file % 4]);
            let text = format!("fn name_{folder}_{file}() {{}}\nsecond line of words\n");
            std::fs::write(folder_path.join(name), text).unwrap();
        }
    }
}

fn command(root: &Path, store: &Path) -> Command {
    let mut command = Command::new(survey());
    command.arg(root).arg("--store").arg(store);
    command
}

fn run(root: &Path, store: &Path) -> Output {
    let output = command(root, store).output().expect("the example runs");
    assert!(output.status.success(), "{output:?}");
    output
}

fn executions(ledger: &Path) -> BTreeMap<String, u32> {
    let mut executions = BTreeMap::new();
    for line in std::fs::read_to_string(ledger).unwrap_or_default().lines() {
        *executions.entry(line.to_owned()).or_default() += 1;
    }
    executions
}

#[test]
fn a_killed_survey_goes_on_and_measures_nothing_twice_that_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    tree(&at("tree"));
    let undisturbed = run(&at("tree"), &at("undisturbed.redb")).stdout;
    let text = String::from_utf8(undisturbed.clone()).unwrap();
    assert!(text.contains("Rust") && text.contains("2000"), "{text}");

    let mut kills = 0;
    let mut said = Vec::new();
    for delay in [60, 130, 90, 170, 40] {
        let mut child = command(&at("tree"), &at("killed.redb"))
            .arg("--ledger")
            .arg(at("ledger"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Not waiting for anything: the moment of death is what is tried here.
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        kills += u32::from(!output.status.success());
        said.extend(output.stdout);
    }
    let mut last = command(&at("tree"), &at("killed.redb"));
    let last = last.arg("--ledger").arg(at("ledger")).output().unwrap();
    assert!(last.status.success(), "{last:?}");
    assert_eq!(String::from_utf8(last.stdout).unwrap(), text);

    let executions = executions(&at("ledger"));
    assert_eq!(executions.len(), 2_000, "every file was measured");
    // Only what was under way when the process died runs again: at most 64 jobs for each kill.
    let again = executions.values().map(|count| count - 1).sum::<u32>();
    println!("{kills} kills, {again} of 2000 files measured again");
    if said.is_empty() {
        assert!(again <= kills * 64, "{again} files were measured again after {kills} kills");
    }
}

#[test]
fn the_graph_is_printed_without_a_run() {
    for (format, start) in [("dot", "digraph"), ("mermaid", "flowchart")] {
        let output = Command::new(survey()).args(["--graph", format]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("measure"), "{text}");
    }
}

#[test]
fn a_wrong_command_line_is_explained() {
    for (arguments, problem) in [
        (["--graph", "png"], "`png` is not a format of `--graph`"),
        (["/nowhere/at/all", "--graph"], "missing argument for option '--graph'"),
    ] {
        let output = Command::new(survey()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text.starts_with(problem) && text.contains("usage:"), "{text}");
    }
}
