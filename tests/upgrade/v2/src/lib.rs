//! The second version of the program: each workflow has one change.

#[path = "../../program.rs"]
pub mod program;

use serde::{Deserialize, Serialize};
use zahir::{job, workflow};

use program::{executed, wait};

#[job]
pub async fn quote(ledger: &str, order: u64) -> u64 {
    executed(ledger, "quote");
    order * 10
}

#[job]
pub async fn reserve(ledger: &str, order: u64) -> u64 {
    executed(ledger, "reserve");
    order + 1
}

#[job]
pub async fn charge(ledger: &str, cents: u64) -> u64 {
    executed(ledger, "charge");
    cents
}

#[job]
pub async fn list(ledger: &str, order: u64) -> Vec<u64> {
    executed(ledger, "list");
    (0..order).collect()
}

#[job]
pub async fn sum(ledger: &str, numbers: &[u64]) -> u64 {
    executed(ledger, "sum");
    numbers.iter().sum()
}

/// Waits for ever, unless the program was started to finish what is there.
#[job]
pub async fn hold(ledger: &str, value: u64) -> u64 {
    executed(ledger, "hold");
    wait(ledger).await;
    value
}

#[job]
pub async fn thank(ledger: &str, value: u64) -> String {
    executed(ledger, "thank");
    format!("thanks for {value}")
}

#[job]
pub async fn wrap(ledger: &str, order: u64) -> u64 {
    executed(ledger, "wrap");
    order * 100
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cents {
    pub cents: u64,
}

#[job]
pub async fn rate(ledger: &str, order: u64) -> Cents {
    executed(ledger, "rate");
    Cents { cents: order * 3 }
}

#[job(name = "shop::send")]
pub async fn deliver(ledger: &str, order: u64) -> u64 {
    executed(ledger, "deliver");
    order * 4
}

#[job(at_most_once)]
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
    pub weight: u64,
}

#[job]
pub async fn pack(ledger: &str, order: u64) -> Parcel {
    executed(ledger, "pack");
    Parcel {
        lines: vec![Line {
            count: order,
            weight: 1,
        }],
    }
}

workflow! {
    pub async fn added(ledger: String, order: u64) -> String {
        let price = quote(&ledger, order);
        let seat = reserve(&ledger, order);
        let gift = wrap(&ledger, seat);
        let held = hold(&ledger, price + seat);
        thank(&ledger, held + gift)
    }
}

workflow! {
    pub async fn retyped(ledger: String, order: u64) -> String {
        let rate = rate(&ledger, order);
        let seat = reserve(&ledger, order);
        let paid = charge(&ledger, rate.cents);
        let held = hold(&ledger, paid + seat);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn renamed(ledger: String, order: u64) -> String {
        let sent = deliver(&ledger, order);
        let held = hold(&ledger, sent);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn removed(ledger: String, order: u64) -> String {
        let price = quote(&ledger, order);
        let held = hold(&ledger, price);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn arms(ledger: String, order: u64) -> String {
        let kind = quote(&ledger, order);
        let price = if kind > 3 {
            let base = reserve(&ledger, order);
            charge(&ledger, base + 1).named("paid")
        } else {
            quote(&ledger, order).named("flat")
        };
        let held = hold(&ledger, price);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn items(ledger: String, order: u64) -> String {
        let numbers = list(&ledger, order);
        let prices = for number in numbers {
            let price = quote(&ledger, number);
            charge(&ledger, price + 1).named("paid")
        };
        let total = sum(&ledger, &prices);
        let held = hold(&ledger, total);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn rounds(ledger: String, order: u64) -> String {
        let goal = quote(&ledger, order);
        let mut at = order;
        while at < goal {
            let step = reserve(&ledger, at);
            at = charge(&ledger, step + 30).named("paid");
        }
        let held = hold(&ledger, at);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn bill(ledger: String, order: u64) -> u64 {
        let price = quote(&ledger, order);
        charge(&ledger, price + 1).named("paid")
    }
}

workflow! {
    pub async fn nested(ledger: String, order: u64) -> String {
        let seat = reserve(&ledger, order);
        let billed = bill(ledger.clone(), order);
        let held = hold(&ledger, billed + seat);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn once(ledger: String, order: u64) -> String {
        let price = quote(&ledger, order + 1);
        let paid = capture(&ledger, price);
        let held = hold(&ledger, paid);
        thank(&ledger, held)
    }
}

workflow! {
    pub async fn packed(ledger: String, order: u64) -> String {
        let seat = reserve(&ledger, order);
        let parcel = pack(&ledger, order);
        let held = hold(&ledger, parcel.lines[0].count + seat);
        thank(&ledger, held)
    }
}
