//! The survey, killed and gone on with, reports what an undisturbed one reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use zahir_store::{Record, RedbStore, Store};

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

fn command(root: &Path, store: &Path, ledger: Option<&Path>) -> Command {
    let mut command = Command::new(survey());
    command.arg(root).arg("--store").arg(store);
    if let Some(ledger) = ledger {
        command.arg("--ledger").arg(ledger);
    }
    command
}

fn run(root: &Path, store: &Path, ledger: Option<&Path>) -> Output {
    let output = command(root, store, ledger)
        .output()
        .expect("the example runs");
    assert!(output.status.success(), "{output:?}");
    output
}

/// How many files the store has on record as measured. They are the jobs two `for`s deep.
fn measured(store: &Path) -> usize {
    let Ok(store) = RedbStore::open(store) else {
        return 0;
    };
    let runs = store.runs(None, 10).expect("a list of runs");
    let records = runs.iter().flat_map(|run| {
        let run = store
            .load(run.id)
            .expect("a readable run")
            .expect("a run that is there");
        run.steps.into_iter().flat_map(|step| step.records)
    });
    let is_file = |record: &Record| matches!(record, Record::AttemptSucceeded { at, .. } if at.frames.len() == 2);
    records.filter(is_file).count()
}

fn executions(ledger: &Path) -> usize {
    std::fs::read_to_string(ledger)
        .unwrap_or_default()
        .lines()
        .count()
}

/// `ZAHIR_SURVEY` names another folder to survey.
#[test]
fn a_killed_survey_goes_on_and_measures_nothing_twice_that_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    tree(&at("tree"));
    let root = std::env::var_os("ZAHIR_SURVEY").map_or_else(|| at("tree"), PathBuf::from);
    let begin = Instant::now();
    let undisturbed = run(&root, &at("undisturbed.redb"), None).stdout;
    let took = begin.elapsed();
    let files = measured(&at("undisturbed.redb"));

    let (store, ledger) = (at("killed.redb"), at("ledger"));
    let (mut lost, mut kills) = (0, 0);
    for part in [5, 9, 6, 11, 3] {
        let before = (executions(&ledger), measured(&store));
        let mut child = command(&root, &store, Some(&ledger))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Not waiting for anything: the moment of death is what is tried here.
        std::thread::sleep(took / part);
        child.kill().unwrap();
        kills += u32::from(!child.wait().unwrap().success());
        lost += (executions(&ledger) - before.0) - (measured(&store) - before.1);
    }
    let last = run(&root, &store, Some(&ledger));
    assert_eq!(
        String::from_utf8(last.stdout),
        String::from_utf8(undisturbed)
    );

    // What ran beside the one recorded time was on the way when the process died. Had a file run
    // again that was on record, there would be more.
    println!("{files} files, {kills} kills, {lost} of them measured again");
    assert_eq!(kills, 5, "each time before its end");
    assert_eq!(executions(&ledger), files + lost);
}

#[test]
fn the_graph_is_printed_without_a_run() {
    for (format, start) in [("dot", "digraph"), ("mermaid", "flowchart")] {
        let output = Command::new(survey())
            .args(["--graph", format])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("measure"), "{text}");
    }
}

#[test]
fn a_wrong_command_line_is_explained() {
    for (arguments, problem) in [
        (
            ["--graph", "png"],
            "error: invalid value 'png' for '--graph <FORMAT>'\n  [possible values: dot, mermaid]",
        ),
        (
            ["/nowhere/at/all", "--graph"],
            "error: invalid value '/nowhere/at/all' for '[FOLDER]': No such file or directory",
        ),
    ] {
        let output = Command::new(survey()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text.starts_with(problem) && text.ends_with("try '--help'.\n"),
            "{text}"
        );
    }
}
