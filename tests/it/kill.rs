//! kill -9, for real: a child process fulfils, settles, ships and packs orders on one file and is killed at
//! random moments, also while it opens the file and recovers. What its jobs did is in a ledger that
//! knows nothing of zahir.
//!
//! `ZAHIR_KILLS` sets how many times (default 100).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use zahir::{FailureKind, RunErrorKind, RunHandle, Runtime, SignalError, Workflow};
use zahir_tests::orders::{
    Fulfil, Kind, Pack, Settle, Ship, customer, expected, fulfil, is_refused, packed, packed_by,
    refused, settled, settled_by, shipped, stage, takes_other,
};

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
    let before = Ledger::read(&ledger);

    let builder = Runtime::open(&store).workflow::<Fulfil>();
    let builder = builder.workflow::<Settle>().workflow::<Ship>();
    let builder = builder.workflow::<Pack>();
    let runtime = builder.crash_attempts_max(u32::MAX).start().await.unwrap();
    assert!(
        runtime.recovered().problems().is_empty(),
        "{:?}",
        runtime.recovered().problems()
    );
    let mut shipments = BTreeMap::new();
    for order in &started {
        match Kind::of(*order) {
            Kind::Fulfil => check_fulfilled(&runtime, *order).await,
            Kind::Settle => check_settled(&runtime, *order).await,
            Kind::Ship => drop(shipments.insert(*order, shipment(&runtime, *order).await)),
            Kind::Pack => check_packed(&runtime, *order).await,
        }
    }
    let after = Ledger::read(&ledger);
    for order in &sent {
        let of_order = after.of(*order);
        assert_eq!(
            before.of(*order),
            of_order,
            "order {order} was done, and ran again"
        );
        let jobs = of_order.iter().collect::<BTreeSet<_>>().len() as u64;
        match Kind::of(*order) {
            Kind::Fulfil => assert_eq!(jobs, order % 5 + 3, "every job of order {order} ran"),
            Kind::Settle => assert_eq!(jobs, settled_by(*order), "every job of order {order} ran"),
            Kind::Pack => assert_eq!(jobs, packed_by(*order), "every child of order {order} ran"),
            Kind::Ship => {}
        }
    }
    after.check_stages();
    after.check_accounts();
    for (order, shipment) in &shipments {
        check_shipment(*order, *shipment, after.of(*order));
    }
    let count = |what| shipments.values().filter(|it| **it == what).count();
    println!(
        "{} shipments: {} refused and undone, {} cut off at their label and undone; {} executions",
        shipments.len(),
        count(Shipment::Refused),
        count(Shipment::Interrupted),
        after.lines.len(),
    );
    // The same key and input give the run that is there.
    if let Some(order) = sent.iter().find(|order| Kind::of(**order) == Kind::Fulfil) {
        let call = fulfil(ledger.display().to_string(), *order);
        let again = runtime.run(call).key(order.to_string());
        let again = again.start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), expected(*order));
        assert_eq!(Ledger::read(&ledger), after);
    }
    runtime.shutdown().await.unwrap();
}

/// The run of an order whose start was acknowledged.
async fn find<W: Workflow>(runtime: &Runtime, order: u64) -> RunHandle<W::Output> {
    let run = runtime.find::<W>(&order.to_string()).await.unwrap();
    run.unwrap_or_else(|| panic!("the start of order {order} was acknowledged"))
}

async fn check_fulfilled(runtime: &Runtime, order: u64) {
    let output = find::<Fulfil>(runtime, order).await.output().await;
    assert_eq!(output.unwrap(), expected(order), "order {order}");
}

async fn check_packed(runtime: &Runtime, order: u64) {
    let output = find::<Pack>(runtime, order).await.output().await;
    assert_eq!(output.unwrap(), packed(order), "order {order}");
}

async fn check_settled(runtime: &Runtime, order: u64) {
    let run = find::<Settle>(runtime, order).await;
    // It may have been sent already, and be used or not.
    match run.signal(Settle::RECEIPT, order).await {
        Ok(()) | Err(SignalError::Over { .. }) => {}
        Err(error) => panic!("the receipt of order {order}: {error}"),
    }
    assert_eq!(run.output().await.unwrap(), settled(order), "order {order}");
}

/// How a shipment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shipment {
    /// With this account.
    Delivered(u64),
    Refused,
    /// Its label was being printed when the process was killed.
    Interrupted,
}

async fn shipment(runtime: &Runtime, order: u64) -> Shipment {
    match find::<Ship>(runtime, order).await.output().await {
        Ok((account, output)) => {
            assert!(!is_refused(order), "order {order}");
            assert_eq!(output, shipped(order), "order {order}");
            Shipment::Delivered(account)
        }
        Err(error) => {
            assert!(error.not_undone().is_empty(), "order {order}: {error}");
            if error.kind() == RunErrorKind::Failed(FailureKind::Interrupted) {
                assert_eq!(error.node(), Some("printed"), "order {order}");
                return Shipment::Interrupted;
            }
            assert!(is_refused(order), "order {order}: {error}");
            assert_eq!(error.message(), refused(order));
            Shipment::Refused
        }
    }
}

/// What was done for an order is undone if it was not delivered, and nothing else is.
fn check_shipment(order: u64, shipment: Shipment, lines: &[String]) {
    let count = |what: &str| {
        let start = format!("{order} {what} ");
        lines.iter().filter(|line| line.starts_with(&start)).count()
    };
    assert!(count("label") <= 1, "order {order}: {lines:?}");
    let attempts: BTreeSet<_> = lines.iter().collect();
    assert_eq!(
        attempts.len(),
        lines.len(),
        "an attempt ran twice: {lines:?}"
    );
    let (done, undone): (&[&str], &[&str]) = match shipment {
        Shipment::Delivered(account) => {
            let own = format!("reserve for {account}");
            assert!(count(&own) > 0, "order {order}: {lines:?}");
            (&["reserve", "label", "book", "charge", "deliver"], &[])
        }
        Shipment::Refused => (
            &["reserve", "label", "book", "charge", "deliver"],
            &["refund", "unbook", "release"],
        ),
        Shipment::Interrupted => (&["reserve"], &["release"]),
    };
    for what in [
        "reserve", "book", "charge", "deliver", "refund", "unbook", "release",
    ] {
        let is_there = done.contains(&what) || undone.contains(&what);
        assert_eq!(
            count(what) > 0,
            is_there,
            "{what} of order {order}: {lines:?}"
        );
    }
    let other = takes_other(order) && shipment != Shipment::Interrupted;
    assert_eq!(count("book other") > 0, other, "order {order}: {lines:?}");
}

/// What was executed, in order.
#[derive(Debug, PartialEq, Eq)]
struct Ledger {
    lines: Vec<String>,
    by_order: BTreeMap<u64, Vec<String>>,
}

impl Ledger {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut by_order: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for line in &lines {
            by_order.entry(order(line)).or_default().push(line.clone());
        }
        Self { lines, by_order }
    }

    fn of(&self, order: u64) -> &[String] {
        self.by_order.get(&order).map_or(&[], Vec::as_slice)
    }

    /// A job begins when what it rests on is on record, and that never runs again.
    fn check_stages(&self) {
        for lines in self.by_order.values() {
            // Nothing rests on who tidies up.
            let lines = lines.iter().filter(|line| !line.ends_with(" tidy"));
            let lines: Vec<_> = lines.collect();
            let stages = lines.iter().map(|line| stage(line));
            assert!(
                stages.is_sorted(),
                "a result on record was made again: {lines:?}"
            );
        }
    }

    /// A customer has one account, whatever was cut off while it was opened.
    fn check_accounts(&self) {
        let mut accounts = BTreeMap::new();
        for line in &self.lines {
            let words: Vec<_> = line.split(' ').collect();
            let customer = customer(order(line));
            match words.as_slice() {
                [_, "account", ..] => {
                    let known = accounts.get(&customer);
                    assert_eq!(known, None, "customer {customer} has an account: {line}");
                }
                [_, "reserve", "for", account, ..] => {
                    let known = accounts.entry(customer).or_insert(*account);
                    assert_eq!(known, account, "customer {customer} has two accounts");
                }
                _ => {}
            }
        }
    }
}

fn order(line: &str) -> u64 {
    let (order, _) = line.split_once(' ').expect("a line of the ledger");
    order.parse().expect("the number of an order")
}
