//! Fulfils, settles, ships or packs orders until it is killed, and says what was acknowledged.
//!
//! `victim STORE LEDGER FIRST`: takes up what is unfinished, then starts orders from FIRST on, eight
//! at a time. Prints `ready`, then `started N` after a start returned and `sent N` after an output did.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zahir::Runtime;
use zahir_tests::orders::{
    Fulfil, Kind, Pack, Settle, Ship, customer, expected, fulfil, is_refused, pack, packed,
    refused, settle, settled, ship, shipped,
};

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("a reader");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: victim STORE LEDGER FIRST");
    let (store, ledger, first) = (next()?, next()?, next()?.parse::<u64>()?);
    let builder = Runtime::open(store).workflow::<Fulfil>();
    let builder = builder.workflow::<Settle>().workflow::<Ship>();
    let builder = builder.workflow::<Pack>();
    // It is killed from outside: no job is to blame.
    let runtime = builder.crash_attempts_max(u32::MAX).start().await?;
    assert!(
        runtime.recovered().problems().is_empty(),
        "{:?}",
        runtime.recovered().problems()
    );
    say("ready");
    let next = Arc::new(AtomicU64::new(first));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (runtime, ledger, next) = (runtime.clone(), ledger.clone(), Arc::clone(&next));
        workers.spawn(async move {
            loop {
                let order = next.fetch_add(1, Ordering::Relaxed);
                let ledger = ledger.clone();
                match Kind::of(order) {
                    Kind::Fulfil => fulfilled(&runtime, ledger, order).await,
                    Kind::Settle => closed(&runtime, ledger, order).await,
                    Kind::Ship => delivered(&runtime, ledger, order).await,
                    Kind::Pack => loaded(&runtime, ledger, order).await,
                }
                say(&format!("sent {order}"));
            }
        });
    }
    while workers.join_next().await.is_some() {}
    Ok(())
}

async fn fulfilled(runtime: &Runtime, ledger: String, order: u64) {
    let starting = runtime.run(fulfil(ledger, order)).key(order.to_string());
    let run = starting.start().await.expect("a start");
    say(&format!("started {order}"));
    assert_eq!(run.output().await.expect("an output"), expected(order));
}

async fn loaded(runtime: &Runtime, ledger: String, order: u64) {
    let starting = runtime.run(pack(ledger, order)).key(order.to_string());
    let run = starting.start().await.expect("a start");
    say(&format!("started {order}"));
    assert_eq!(run.output().await.expect("an output"), packed(order));
}

async fn closed(runtime: &Runtime, ledger: String, order: u64) {
    let starting = runtime.run(settle(ledger, order)).key(order.to_string());
    let run = starting.start().await.expect("a start");
    say(&format!("started {order}"));
    let sent = run.signal(Settle::RECEIPT, order).await;
    sent.expect("a run that waits for it");
    assert_eq!(run.output().await.expect("an output"), settled(order));
}

/// Nothing of it was cut off yet: it ends as it has to.
async fn delivered(runtime: &Runtime, ledger: String, order: u64) {
    let starting = runtime.run(ship(ledger, order)).key(order.to_string());
    let run = starting.start().await.expect("a start");
    say(&format!("started {order}"));
    match run.output().await {
        Ok((account, output)) => {
            assert!(!is_refused(order));
            assert_eq!(
                (customer(account), output),
                (customer(order), shipped(order))
            );
        }
        Err(error) => {
            assert_eq!(error.message(), refused(order));
            assert!(error.not_undone().is_empty());
        }
    }
}
