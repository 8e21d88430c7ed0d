//! kill -9, for real: a child process fulfils and settles orders on one file and is killed at random
//! moments, also while it opens the file and recovers.
//!
//! `ZAHIR_KILLS` sets how many times (default 100).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use zahir::{Runtime, SignalError};
use zahir_tests::orders::{Fulfil, Settle, expected, fulfil, settled, settled_by};

/// What the child said before it died.
#[derive(Default)]
struct Said {
    is_ready: bool,
    started: BTreeSet<u64>,
    sent: BTreeSet<u64>,
}

/// Runs the child and kills it after `delay`.
fn killed_after(delay: Duration, store: &Path, ledger: &Path, first: u64) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_victim"))
        .args([store, ledger])
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the victim");
    let out = BufReader::new(child.stdout.take().expect("its words"));
    let reader = std::thread::spawn(move || {
        let mut said = Said::default();
        for line in out.lines().map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("started", order)) => said.started.extend(order.parse::<u64>()),
                Some(("sent", order)) => said.sent.extend(order.parse::<u64>()),
                _ => said.is_ready |= line == "ready",
            }
        }
        said
    });
    // Not waiting for anything: the moment of death is what is random here.
    std::thread::sleep(delay);
    child.kill().expect("a kill");
    let status = child.wait().expect("its end");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9),
        "{status}"
    );
    reader.join().expect("what it said")
}

/// A cheap generator: the seed is printed, so that a failure can be repeated.
struct Delays(u64);

impl Delays {
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // A quarter within 8 ms: while the file is opened or recovered.
        let most = if self.0.is_multiple_of(4) {
            8_000
        } else {
            120_000
        };
        Duration::from_micros((self.0 >> 8) % most)
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let kills: u64 =
        std::env::var("ZAHIR_KILLS").map_or(100, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let (store, ledger) = (
        folder.path().join("orders.redb"),
        folder.path().join("ledger"),
    );
    let seed = u64::from(std::process::id()) | 1;
    let mut delays = Delays(seed);
    let (mut started, mut sent) = (BTreeSet::new(), BTreeSet::new());
    let mut unready = 0;
    for _ in 0..kills {
        // Above every number that was used, acknowledged or not.
        let first = started.last().map_or(0, |last| last + 100);
        let said = killed_after(delays.next(), &store, &ledger, first);
        unready += u64::from(!said.is_ready);
        started.extend(said.started);
        sent.extend(said.sent);
    }
    println!(
        "seed {seed}: {kills} kills ({unready} before it was ready), {} starts and {} outputs acknowledged",
        started.len(),
        sent.len()
    );
    let before: BTreeMap<String, u32> = executions(&ledger);

    let builder = Runtime::open(&store).workflow::<Fulfil>();
    let builder = builder.workflow::<Settle>();
    let runtime = builder.crash_attempts_max(u32::MAX).start().await.unwrap();
    assert!(
        runtime.recovered().problems().is_empty(),
        "{:?}",
        runtime.recovered().problems()
    );
    for order in &started {
        if order % 2 == 0 {
            let run = runtime.find::<Fulfil>(&order.to_string()).await.unwrap();
            let run = run.unwrap_or_else(|| panic!("the start of order {order} was acknowledged"));
            let output = run.output().await.unwrap();
            assert_eq!(output, expected(*order), "order {order}");
        } else {
            let run = runtime.find::<Settle>(&order.to_string()).await.unwrap();
            let run = run.unwrap_or_else(|| panic!("the start of order {order} was acknowledged"));
            // It may have been sent already, and be used or not.
            match run.signal(Settle::RECEIPT, *order).await {
                Ok(()) | Err(SignalError::Over { .. }) => {}
                Err(error) => panic!("the receipt of order {order}: {error}"),
            }
            let output = run.output().await.unwrap();
            assert_eq!(output, settled(*order), "order {order}");
        }
    }
    let after = executions(&ledger);
    for order in &sent {
        let of_order = |ledger: &BTreeMap<String, u32>| -> Vec<_> {
            let prefix = format!("{order} ");
            let lines = ledger.iter().filter(|(line, _)| line.starts_with(&prefix));
            lines.map(|(line, count)| (line.clone(), *count)).collect()
        };
        assert_eq!(
            of_order(&before),
            of_order(&after),
            "order {order} was done, and ran again"
        );
        let jobs = if order % 2 == 0 {
            order % 5 + 3
        } else {
            settled_by(*order)
        };
        assert_eq!(
            of_order(&after).len() as u64,
            jobs,
            "every job of order {order} ran"
        );
    }
    // The same key and input give the run that is there.
    if let Some(order) = sent.iter().find(|order| *order % 2 == 0) {
        let call = fulfil(ledger.display().to_string(), *order);
        let again = runtime
            .run(call)
            .key(order.to_string())
            .start()
            .await
            .unwrap();
        assert_eq!(again.output().await.unwrap(), expected(*order));
        assert_eq!(executions(&ledger), after);
    }
    runtime.shutdown().await.unwrap();
}

/// How often each job ran, by order and job.
fn executions(ledger: &Path) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let mut executions = BTreeMap::new();
    for line in text.lines() {
        *executions.entry(line.to_owned()).or_default() += 1;
    }
    executions
}
