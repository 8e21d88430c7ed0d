//! Jobs that end the process, and jobs that are under way when that happens.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Semaphore;
use zahir::{Context, job, workflow};

use crate::orders::note;

/// Whether this process is to stay alive: everybody who is patient ends.
pub static IS_CALM: AtomicBool = AtomicBool::new(false);

/// How many others have to be under way before one ends the process.
pub static AWAITED: AtomicU32 = AtomicU32::new(0);

/// One for each of them that is.
static BEGUN: Semaphore = Semaphore::const_new(0);

#[job]
pub async fn kill(ledger: &str, how: &str) -> u64 {
    note(ledger, &format!("{how} kills"));
    let others = BEGUN.acquire_many(AWAITED.load(Ordering::SeqCst)).await;
    others.expect("an open semaphore").forget();
    match how {
        "abort" => std::process::abort(),
        "overflow" => dig(0),
        "exit" => std::process::exit(3),
        _ => panic!("`{how}` kills nobody"),
    }
}

/// Needs more stack than there is.
#[allow(unconditional_recursion)]
fn dig(depth: u64) -> u64 {
    let hole = black_box([depth; 64]);
    hole[0] + dig(depth + 1)
}

/// Ends in a calm process, or when it has survived two others.
#[job]
pub async fn wait_patiently(ctx: &Context, ledger: &str, nth: u64) -> u64 {
    note(ledger, &format!("{nth} waits"));
    BEGUN.add_permits(1);
    if ctx.attempt() < 3 && !IS_CALM.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    nth
}

workflow! {
    /// Ends the process.
    pub async fn killer(ledger: String, how: String) -> u64 {
        kill(&ledger, &how)
    }
}

workflow! {
    /// Is under way when that happens.
    pub async fn patient(ledger: String, nth: u64) -> u64 {
        wait_patiently(&ledger, nth)
    }
}
