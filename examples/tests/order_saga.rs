//! Orders that are undone, killed wherever they can be.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use zahir_store::{Ending, Record, RedbStore, Store};

/// The example, which cargo builds beside its package's tests.
fn order_saga() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.join("examples").join("order_saga")
}

fn command(folder: &Path, city: &str, cut: Option<u32>) -> Command {
    let mut command = Command::new(order_saga());
    command.args(["--to", city, "--folder"]).arg(folder);
    if let Some(step) = cut {
        command.args(["--cut", &step.to_string()]);
    }
    command
}

/// Runs the example until it ends, or its power is cut. Whether it ended.
fn runs(folder: &Path, city: &str, cut: Option<u32>) -> bool {
    let output = command(folder, city, cut).output();
    let Output { status, stdout, .. } = output.expect("it runs");
    let said = String::from_utf8(stdout).expect("text");
    assert_eq!(status.success(), !said.contains("-- the power is cut --"));
    status.success()
}

/// Everything in the books, in the order it happened, without the keys.
fn happened(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for service in ["warehouse", "bank", "courier", "post"] {
        let book = fs::read_to_string(folder.join(format!("{service}.book")));
        for line in book.unwrap_or_default().lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let number: usize = parts[0].parse().expect("a number");
            lines.push((number, format!("{service}: {}", parts[1])));
        }
    }
    lines.sort();
    for (place, (number, _)) in lines.iter().enumerate() {
        assert_eq!(*number, place + 1, "{lines:#?}");
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

const DELIVERED: [&str; 4] = [
    "warehouse: two chairs kept back for Ada",
    "bank: 180 € from Ada for what is on shelf 1",
    "courier: a parcel to Berlin, see payment 1",
    "post: to Ada: parcel 1 is on its way",
];

/// The empty one is the courier, who refuses.
const UNDONE: [&str; 5] = [
    "warehouse: two chairs kept back for Ada",
    "bank: 180 € from Ada for what is on shelf 1",
    "",
    "bank: 180 € of payment 1 back to Ada",
    "warehouse: what is on shelf 1 is for sale again",
];

/// What has to be in the books if the power is cut at these steps, one after the other: what has had
/// its effect and was not on record is asked for again, and nothing else is.
fn expected(effects: &[&str], cuts: &[u32]) -> Vec<String> {
    let (mut lines, mut recorded, mut done) = (Vec::new(), 0, 0);
    for cut in cuts.iter().copied().chain([u32::MAX]) {
        let mut step = 0;
        let mut is_cut = || {
            step += 1;
            step == cut
        };
        while let Some(effect) = effects.get(recorded) {
            if is_cut() {
                break;
            }
            if !effect.is_empty() {
                let again = if done > recorded { ", asked again" } else { "" };
                lines.push(format!("{effect}{again}"));
                done = recorded + 1;
                if is_cut() {
                    break;
                }
            }
            recorded += 1;
        }
    }
    lines
}

/// Plays an order that is cut off at these steps.
fn check(city: &str, effects: &[&str], cuts: &[u32]) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for cut in cuts {
        if runs(folder, city, Some(*cut)) {
            break;
        }
    }
    assert!(runs(folder, city, None), "{cuts:?}");
    assert_eq!(happened(folder), expected(effects, cuts), "{cuts:?}");
    let before = happened(folder);
    assert!(runs(folder, city, None), "it is over");
    assert_eq!(happened(folder), before, "{cuts:?}");
}
/// How the only run ended, and its records of undoing.
fn records(folder: &Path) -> (Ending, Vec<Record>) {
    let store = RedbStore::open(folder.join("runs.redb")).expect("nobody else has it");
    let runs = store.runs(None, 10).expect("a list of runs");
    assert_eq!(runs.len(), 1, "an order is placed once");
    let run = store.load(runs[0].id).expect("a readable run");
    let steps = run.expect("a run that is there").steps;
    let records: Vec<Record> = steps.into_iter().flat_map(|step| step.records).collect();
    let Some(Record::RunFinished(ending)) = records.last().cloned() else {
        panic!("not over: {:?}", records.last());
    };
    (ending, records)
}

#[test]
fn what_was_done_is_undone_in_reverse_wherever_the_power_is_cut() {
    check("Atlantis", &UNDONE, &[]);
    for cut in 1..=9 {
        check("Atlantis", &UNDONE, &[cut]);
    }
}

#[test]
fn an_order_that_is_cut_off_twice_goes_on_a_third_time() {
    for first in 1..=9 {
        for second in 1..=10 - first {
            check("Atlantis", &UNDONE, &[first, second]);
        }
    }
    check("Atlantis", &UNDONE, &[2, 3, 2, 3, 2]);
}

#[test]
fn an_order_that_succeeds_is_not_undone() {
    check("Berlin", &DELIVERED, &[]);
    for cut in 1..=8 {
        check("Berlin", &DELIVERED, &[cut]);
    }
}

/// Killed from outside, at whatever it does after it has said so much.
#[test]
fn a_killed_order_is_undone_all_the_same() {
    for lines in 1..=4 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = command(folder.path(), "Atlantis", None)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        assert_eq!(output.lines().take(lines).count(), lines);
        child.kill().expect("it can be killed");
        child.wait().expect("it is dead");
        assert!(runs(folder.path(), "Atlantis", None));
        let mut happened = happened(folder.path());
        let repeated = happened
            .iter()
            .filter(|line| line.contains(", asked again"));
        assert!(repeated.count() <= 1, "{happened:#?}");
        happened.retain(|line| !line.contains(", asked again"));
        let effects: Vec<&str> = UNDONE.into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(happened, effects);
    }
}

#[test]
fn the_run_has_failed_when_all_is_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(runs(folder.path(), "Atlantis", None));
    let (ending, records) = records(folder.path());
    let Ending::Failed { failure, .. } = &ending else {
        panic!("{ending:?}");
    };
    assert_eq!(failure.message, "no courier goes to Atlantis");
    let count =
        |is_meant: fn(&Record) -> bool| records.iter().filter(|record| is_meant(record)).count();
    assert_eq!(
        count(|record| matches!(record, Record::AttemptStarted { .. })),
        3
    );
    assert_eq!(count(|record| matches!(record, Record::UndoOwed { .. })), 2);
    assert_eq!(
        count(|record| matches!(record, Record::UndoSucceeded { .. })),
        2
    );
    let began = records.iter().find_map(|record| match record {
        Record::UndoingBegan { ending } => Some(ending),
        _ => None,
    });
    assert_eq!(began, Some(&ending));
}

#[test]
fn the_story_is_told() {
    let output = Command::new(order_saga()).output().expect("it runs");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{said}");
    let parts = [
        "order 1: DONE, to Ada: parcel 1 is on its way",
        "order 2: courier    no courier goes to Atlantis",
        "order 2: bank       180 € of payment 2 back to Ada",
        "-- the power is cut --",
        "order 2: goes on",
        "order 2: bank       180 € of payment 2 back to Ada, asked again",
        "order 2: warehouse  what is on shelf 2 is for sale again",
        "order 2: UNDONE, no courier goes to Atlantis",
        "what is in the books:",
    ];
    let mut rest = said.as_str();
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no {part:?} in {rest}");
        };
        rest = after;
    }
}

#[test]
fn the_power_is_cut_where_there_is_a_step_or_not_at_all() {
    for (arguments, problem) in [
        (&["--to", "Berlin", "--cut", "0"][..], "0 is not in 1..=9"),
        (&["--to", "Berlin", "--cut", "10"], "10 is not in 1..=9"),
        (&["--cut", "1"], "--to <CITY>"),
    ] {
        let output = Command::new(order_saga())
            .args(arguments)
            .output()
            .expect("it ran");
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(
            text.starts_with("error: ") && text.contains(problem),
            "{text}"
        );
    }
}
