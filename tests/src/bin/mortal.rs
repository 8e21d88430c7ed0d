//! Has a job that ends this process, and others beside it.
//!
//! `mortal STORE LEDGER HOW FIRST COUNT AWAITED`: takes up what is unfinished, starts the run that
//! ends the process in this way if there is none yet, and COUNT others from the number FIRST on. That
//! happens as soon as AWAITED others are under way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use zahir::Runtime;
use zahir_tests::poison::{AWAITED, Killer, Patient, killer, patient};

/// It is dead long before.
const LIFE_MAX: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: mortal STORE LEDGER HOW FIRST COUNT AWAITED";
    let mut next = || arguments.next().ok_or(usage);
    let (store, ledger, how) = (next()?, next()?, next()?);
    let (first, count) = (next()?.parse::<u64>()?, next()?.parse::<u64>()?);
    AWAITED.store(next()?.parse()?, Ordering::SeqCst);
    let builder = Runtime::open(store)
        .workflow::<Killer>()
        .workflow::<Patient>();
    let runtime = builder.start().await?;
    for nth in first..first + count {
        let call = patient(ledger.clone(), nth);
        let _ = runtime.run(call).key(nth.to_string()).start().await?;
    }
    let run = runtime.run(killer(ledger, how)).key("killer");
    let run = run.start().await?;
    let ended = tokio::time::timeout(LIFE_MAX, run.output()).await;
    Err(format!("it lives: {ended:?}").into())
}
