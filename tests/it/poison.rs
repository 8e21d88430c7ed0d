//! Jobs that end the process: each is tried three times, and no other is blamed for it.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;

use zahir::{FailureKind, RunErrorKind, RunStatus, Runtime};
use zahir_tests::poison::{IS_CALM, Killer, Patient, patient};

/// Lets a process live until its job ends it: COUNT others begin in it, of which the first has the
/// number FIRST, and AWAITED are under way at its end.
fn live(folder: &Path, how: &str, [first, count, awaited]: [u64; 3]) -> ExitStatus {
    let mut mortal = Command::new(env!("CARGO_BIN_EXE_mortal"));
    mortal.arg(folder.join("runs.redb"));
    mortal.arg(folder.join("ledger")).arg(how);
    mortal.args([first, count, awaited].map(|number| number.to_string()));
    // What it says while it dies is of no interest.
    mortal.stderr(Stdio::null()).status().expect("its end")
}

/// How often this was noted.
fn noted(folder: &Path, what: &str) -> usize {
    let ledger = std::fs::read_to_string(folder.join("ledger")).expect("a ledger");
    ledger.lines().filter(|line| *line == what).count()
}

async fn check(how: &str, is_such_an_end: fn(ExitStatus) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // In the third life those of the first may be what kills, too, and wait for each other.
    for [first, count, awaited] in [[0, 4, 4], [4, 2, 6], [6, 2, 4]] {
        let status = live(folder, how, [first, count, awaited]);
        assert!(is_such_an_end(status), "{status}");
    }
    assert_eq!(noted(folder, &format!("{how} kills")), 3);

    IS_CALM.store(true, Ordering::SeqCst);
    let builder = Runtime::open(folder.join("runs.redb")).workflow::<Killer>();
    let runtime = builder.workflow::<Patient>().start().await.unwrap();
    let problems = runtime.recovered().problems();
    assert!(problems.is_empty(), "{problems:?}");
    let killer = runtime.find::<Killer>("killer").await.unwrap().unwrap();
    let error = killer.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Poisoned));
    assert_eq!(
        error.to_string(),
        "node `kill` is poisoned at attempt 3: the process died 3 times while it was under way"
    );
    assert_eq!(killer.status(), RunStatus::Failed);
    for nth in 0..8 {
        let run = runtime.find::<Patient>(&nth.to_string()).await.unwrap();
        assert_eq!(run.unwrap().output().await.unwrap(), nth);
        assert!(noted(folder, &format!("{nth} waits")) <= 3);
    }
    let ledger = folder.join("ledger").display().to_string();
    let fresh = runtime.run(patient(ledger, 8)).start().await.unwrap();
    assert_eq!(fresh.output().await.unwrap(), 8);
    runtime.shutdown().await.unwrap();
    assert_eq!(noted(folder, &format!("{how} kills")), 3);
}

fn is_aborted(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(6)
}

#[tokio::test]
async fn a_job_that_aborts_is_poisoned() {
    check("abort", is_aborted).await;
}

#[tokio::test]
async fn a_job_that_overflows_its_stack_is_poisoned() {
    check("overflow", is_aborted).await;
}

#[tokio::test]
async fn a_job_that_exits_is_poisoned() {
    check("exit", |status| status.code() == Some(3)).await;
}
