//! The first version of the program with other time-outs, retries, tags and documentation, and the
//! same names and types.

#[path = "../../program.rs"]
pub mod program;

use serde::{Deserialize, Serialize};
use zahir::{job, workflow};

use program::{executed, wait};

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn quote(ledger: &str, order: u64) -> u64 {
    executed(ledger, "quote");
    order * 10
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn reserve(ledger: &str, order: u64) -> u64 {
    executed(ledger, "reserve");
    order + 1
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn charge(ledger: &str, cents: u64) -> u64 {
    executed(ledger, "charge");
    cents
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn list(ledger: &str, order: u64) -> Vec<u64> {
    executed(ledger, "list");
    (0..order).collect()
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn sum(ledger: &str, numbers: &[u64]) -> u64 {
    executed(ledger, "sum");
    numbers.iter().sum()
}

/// Waits for ever, unless the program was started to finish what is there.
/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn hold(ledger: &str, value: u64) -> u64 {
    executed(ledger, "hold");
    wait(ledger).await;
    value
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn thank(ledger: &str, value: u64) -> String {
    executed(ledger, "thank");
    format!("thanks for {value}")
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn rate(ledger: &str, order: u64) -> u64 {
    executed(ledger, "rate");
    order * 2
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn send(ledger: &str, order: u64) -> u64 {
    executed(ledger, "send");
    order * 3
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn audit(ledger: &str, order: u64) -> u64 {
    executed(ledger, "audit");
    order
}

/// Once.
#[job(at_most_once, timeout = 1m)]
pub async fn capture(ledger: &str, cents: u64) -> u64 {
    executed(ledger, "capture");
    cents
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parcel {
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub count: u64,
}

/// Tried more often, and not for as long.
#[job(retry = 3, backoff = 1ms..2ms, timeout = 1m, tags = ["slow"])]
pub async fn pack(ledger: &str, order: u64) -> Parcel {
    executed(ledger, "pack");
    Parcel {
        lines: vec![Line { count: order }],
    }
}

workflow! {
    /// Told of in other words.
    pub async fn added(ledger: String, order: u64) -> String {
        let price = quote(&ledger, order);
        let seat = reserve(&ledger, order).retry(7).timeout(2m);
        let held = hold(&ledger, price + seat);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn retyped(ledger: String, order: u64) -> String {
        let rate = rate(&ledger, order);
        let seat = reserve(&ledger, order).retry(7).timeout(2m);
        let paid = charge(&ledger, rate);
        let held = hold(&ledger, paid + seat);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn renamed(ledger: String, order: u64) -> String {
        let sent = send(&ledger, order);
        let held = hold(&ledger, sent);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn removed(ledger: String, order: u64) -> String {
        let audited = audit(&ledger, order);
        let price = quote(&ledger, order);
        let held = hold(&ledger, price).after(audited);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn arms(ledger: String, order: u64) -> String {
        let kind = quote(&ledger, order);
        let price = if kind > 3 {
            let base = reserve(&ledger, order);
            charge(&ledger, base).named("paid")
        } else {
            rate(&ledger, order).named("flat")
        };
        let held = hold(&ledger, price);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn items(ledger: String, order: u64) -> String {
        let numbers = list(&ledger, order);
        let prices = #[limit(2)] for number in numbers {
            let price = quote(&ledger, number);
            charge(&ledger, price).named("paid")
        };
        let total = sum(&ledger, &prices);
        let held = hold(&ledger, total);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn rounds(ledger: String, order: u64) -> String {
        let goal = quote(&ledger, order);
        let mut at = order;
        #[max(99)]
        while at < goal {
            let step = reserve(&ledger, at);
            at = charge(&ledger, step + 20).named("paid");
        }
        let held = hold(&ledger, at);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn bill(ledger: String, order: u64) -> u64 {
        let price = quote(&ledger, order);
        charge(&ledger, price).named("paid")
    }
}

workflow! {
    /// Told of in other words.
    pub async fn nested(ledger: String, order: u64) -> String {
        let seat = reserve(&ledger, order).retry(7).timeout(2m);
        let billed = bill(ledger.clone(), order);
        let held = hold(&ledger, billed + seat);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn once(ledger: String, order: u64) -> String {
        let price = quote(&ledger, order);
        let paid = capture(&ledger, price);
        let held = hold(&ledger, paid);
        thank(&ledger, held)
    }
}

workflow! {
    /// Told of in other words.
    pub async fn packed(ledger: String, order: u64) -> String {
        let seat = reserve(&ledger, order).retry(7).timeout(2m);
        let parcel = pack(&ledger, order);
        let held = hold(&ledger, parcel.lines[0].count + seat);
        thank(&ledger, held)
    }
}
