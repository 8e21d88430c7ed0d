//! A program is killed, and another version of it goes on with the same file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};

const V1: &str = env!("CARGO_BIN_EXE_upgrade_v1");
const V2: &str = env!("CARGO_BIN_EXE_upgrade_v2");
const V3: &str = env!("CARGO_BIN_EXE_upgrade_v3");

/// Where a program lives: its file, and a ledger for each of its runs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, version: &str, mode: &str) -> Command {
        let mut command = Command::new(version);
        let folder = self.folder.path();
        command.args([folder.join("shop.redb"), folder.join("ledger")]);
        command.arg(mode);
        command
    }

    /// Runs a version until all of its runs hold, and kills it. What it said before that.
    fn killed(&self, version: &str) -> String {
        let mut command = self.command(version, "hold");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut said, mut holds) = (String::new(), false);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            holds = line == "holding";
            if holds {
                break;
            }
            said.push_str(&line);
            said.push('\n');
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(holds, "it ended: {said}");
        said
    }

    /// Runs a version to its end. What it said.
    fn finished(&self, version: &str) -> String {
        let output = self.command(version, "finish").output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The jobs that were executed since this was asked last, by run.
    fn executed(&self) -> String {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if let Some(of) = ledger_of(&path) {
                let text = std::fs::read_to_string(&path).unwrap();
                let mut jobs: Vec<&str> = text.lines().collect();
                jobs.sort_unstable();
                lines.push(format!("{of}: {}", jobs.join(" ")));
                std::fs::write(&path, "").unwrap();
            }
        }
        lines.sort();
        lines.join("\n")
    }
}

fn ledger_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix("ledger.")
}

#[track_caller]
fn check(told: &str, expected: &Expect) {
    expected.assert_eq(told.trim_end());
}

#[test]
fn what_changed_runs_again_and_nothing_else() {
    let place = Place::new();
    assert_eq!(place.killed(V1), "");
    check(
        &place.executed(),
        &expect![[r#"
        added: hold quote reserve
        arms: charge hold quote reserve
        items: charge charge hold list quote quote sum
        nested: charge hold quote reserve
        once: capture hold quote
        packed: hold pack reserve
        removed: audit hold quote
        renamed: hold send
        retyped: charge hold rate reserve
        rounds: charge charge charge hold quote reserve reserve reserve"#]],
    );
    let said = place.finished(V2);
    check(
        &said,
        &expect![[r#"
        added: kept: `price`, `seat`; new: `gift`
        arms: kept: `kind`, `price/base`; runs again: `price/paid`, `held`
        items: kept: `numbers`, `prices[0]/price`, `prices[1]/price`; runs again: `prices[0]/paid`, `prices[1]/paid`, `total`, `held`
        nested: kept: `seat`, `billed/price`; runs again: `billed/paid`, `held`
        once: run RUN of `shop::once` can't go on: its workflow was changed since, and what is never started twice (`at_most_once`) would be: `paid`: it has its result, and what it depends on has changed: `price`. Let the program that it was started with finish it, or make the job what it was, or let it run again on purpose: `runtime.repair::<..>(run).rerun_from("paid")`
        packed: run RUN of `shop::packed` can't go on: the recorded value of node `parcel` can't be decoded: `shop::Parcel`: `lines[0]`: missing field `weight`; it is kept as it is
        removed: kept: `price`; runs again: `held`; gone: `audited`
        renamed: as it was
        retyped: kept: `seat`; runs again: `rate`, `paid`, `held`
        rounds: kept: `goal`; runs again: `while[0]/step`, `while[1]/step`, `while[2]/step`, `while[0]/paid`, `while[1]/paid`, `while[2]/paid`, `held`
        added = thanks for 656
        retyped = thanks for 21
        renamed = thanks for 15
        removed = thanks for 50
        arms = thanks for 7
        items = thanks for 12
        rounds = thanks for 67
        nested = thanks for 57
        once repaired: runs again: `price`, `paid`, `held`
        once = thanks for 60
        packed repaired: kept: `seat`; runs again: `parcel`, `held`
        packed = thanks for 11"#]],
    );
    check(
        &place.executed(),
        &expect![[r#"
        added: hold thank wrap
        arms: charge hold thank
        items: charge charge hold sum thank
        nested: charge hold thank
        once: capture hold quote thank
        packed: hold pack thank
        removed: hold thank
        renamed: hold thank
        retyped: charge hold rate thank
        rounds: charge charge hold reserve reserve thank"#]],
    );
}

/// Killed when its revision is on record, it goes on as if nothing had been.
#[test]
fn an_upgrade_is_made_once() {
    let place = Place::new();
    place.killed(V1);
    place.executed();
    let told = place.killed(V2);
    check(
        &told,
        &expect![[r#"
        added: kept: `price`, `seat`; new: `gift`
        arms: kept: `kind`, `price/base`; runs again: `price/paid`, `held`
        items: kept: `numbers`, `prices[0]/price`, `prices[1]/price`; runs again: `prices[0]/paid`, `prices[1]/paid`, `total`, `held`
        nested: kept: `seat`, `billed/price`; runs again: `billed/paid`, `held`
        once: run RUN of `shop::once` can't go on: its workflow was changed since, and what is never started twice (`at_most_once`) would be: `paid`: it has its result, and what it depends on has changed: `price`. Let the program that it was started with finish it, or make the job what it was, or let it run again on purpose: `runtime.repair::<..>(run).rerun_from("paid")`
        packed: run RUN of `shop::packed` can't go on: the recorded value of node `parcel` can't be decoded: `shop::Parcel`: `lines[0]`: missing field `weight`; it is kept as it is
        removed: kept: `price`; runs again: `held`; gone: `audited`
        renamed: as it was
        retyped: kept: `seat`; runs again: `rate`, `paid`, `held`
        rounds: kept: `goal`; runs again: `while[0]/step`, `while[1]/step`, `while[2]/step`, `while[0]/paid`, `while[1]/paid`, `while[2]/paid`, `held`"#]],
    );
    check(
        &place.executed(),
        &expect![[r#"
        added: hold wrap
        arms: charge hold
        items: charge charge hold sum
        nested: charge hold
        once: 
        packed: 
        removed: hold
        renamed: hold
        retyped: charge hold rate
        rounds: charge charge hold reserve reserve"#]],
    );
    let said = place.finished(V2);
    check(
        &said,
        &expect![[r#"
        added: as it was
        arms: as it was
        items: as it was
        nested: as it was
        once: run RUN of `shop::once` can't go on: its workflow was changed since, and what is never started twice (`at_most_once`) would be: `paid`: it has its result, and what it depends on has changed: `price`. Let the program that it was started with finish it, or make the job what it was, or let it run again on purpose: `runtime.repair::<..>(run).rerun_from("paid")`
        packed: run RUN of `shop::packed` can't go on: the recorded value of node `parcel` can't be decoded: `shop::Parcel`: `lines[0]`: missing field `weight`; it is kept as it is
        removed: as it was
        renamed: as it was
        retyped: as it was
        rounds: as it was
        added = thanks for 656
        retyped = thanks for 21
        renamed = thanks for 15
        removed = thanks for 50
        arms = thanks for 7
        items = thanks for 12
        rounds = thanks for 67
        nested = thanks for 57
        once repaired: runs again: `price`, `paid`, `held`
        once = thanks for 60
        packed repaired: kept: `seat`; runs again: `parcel`, `held`
        packed = thanks for 11"#]],
    );
    check(
        &place.executed(),
        &expect![[r#"
        added: hold thank
        arms: hold thank
        items: hold thank
        nested: hold thank
        once: capture hold quote thank
        packed: hold pack thank
        removed: hold thank
        renamed: hold thank
        retyped: hold thank
        rounds: hold thank"#]],
    );
}

/// Time-outs, retries, limits and documentation are no change.
#[test]
fn what_makes_no_difference_to_results_changes_nothing() {
    let place = Place::new();
    place.killed(V1);
    place.executed();
    let said = place.finished(V3);
    check(
        &said,
        &expect![[r#"
        added: as it was
        arms: as it was
        items: as it was
        nested: as it was
        once: as it was
        packed: as it was
        removed: as it was
        renamed: as it was
        retyped: as it was
        rounds: as it was
        added = thanks for 56
        retyped = thanks for 16
        renamed = thanks for 15
        removed = thanks for 50
        arms = thanks for 6
        items = thanks for 10
        rounds = thanks for 68
        nested = thanks for 56
        once = thanks for 50
        packed = thanks for 11"#]],
    );
    check(
        &place.executed(),
        &expect![[r#"
        added: hold thank
        arms: hold thank
        items: hold thank
        nested: hold thank
        once: hold thank
        packed: hold thank
        removed: hold thank
        renamed: hold thank
        retyped: hold thank
        rounds: hold thank"#]],
    );
}

/// And back to the first version, as after an upgrade that was taken back.
#[test]
fn an_upgrade_can_be_taken_back() {
    let place = Place::new();
    place.killed(V1);
    place.killed(V2);
    place.executed();
    let said = place.finished(V1);
    check(
        &said,
        &expect![[r#"
        added: kept: `price`, `seat`; gone: `gift`
        arms: kept: `kind`, `price/base`; runs again: `price/paid`, `held`
        items: kept: `numbers`, `prices[0]/price`, `prices[1]/price`; runs again: `prices[0]/paid`, `prices[1]/paid`, `total`, `held`
        nested: kept: `seat`, `billed/price`; runs again: `billed/paid`, `held`
        once: as it was
        packed: as it was
        removed: kept: `price`; runs again: `held`; new: `audited`
        renamed: as it was
        retyped: kept: `seat`; runs again: `rate`, `paid`, `held`
        rounds: kept: `goal`; runs again: `while[0]/step`, `while[1]/step`, `while[0]/paid`, `while[1]/paid`, `held`
        added = thanks for 56
        retyped = thanks for 16
        renamed = thanks for 15
        removed = thanks for 50
        arms = thanks for 6
        items = thanks for 10
        rounds = thanks for 68
        nested = thanks for 56
        once = thanks for 50
        packed = thanks for 11"#]],
    );
    check(
        &place.executed(),
        &expect![[r#"
        added: hold thank
        arms: charge hold thank
        items: charge charge hold sum thank
        nested: charge hold thank
        once: hold thank
        packed: hold thank
        removed: audit hold thank
        renamed: hold thank
        retyped: charge hold rate thank
        rounds: charge charge charge hold reserve reserve reserve thank"#]],
    );
}
