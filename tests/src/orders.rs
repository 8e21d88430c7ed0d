//! A workflow that is killed in tests, and what must come out of it.

use std::fs::OpenOptions;
use std::io::Write;

use zahir::{job, workflow};

/// Appends a line to the ledger: one execution of a job. A line this short is written whole.
fn note(ledger: &str, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(ledger);
    file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())).expect("a ledger");
}

#[job]
pub async fn list_items(ledger: &str, order: u64) -> Vec<u64> {
    note(ledger, &format!("{order} list"));
    (0..order % 5).map(|item| order * 10 + item).collect()
}

#[job]
pub async fn price(ledger: &str, order: u64, item: u64) -> u64 {
    note(ledger, &format!("{order} price {item}"));
    tokio::task::yield_now().await;
    item * 3
}

#[job]
pub async fn total(ledger: &str, order: u64, prices: &[u64]) -> u64 {
    note(ledger, &format!("{order} total"));
    prices.iter().sum()
}

#[job]
pub async fn send(ledger: &str, order: u64, total: u64) -> String {
    note(ledger, &format!("{order} send"));
    format!("order {order}: {total}")
}

workflow! {
    /// Prices an order and sends it.
    pub async fn fulfil(ledger: String, order: u64) -> String {
        let items = list_items(&ledger, order);
        let prices = for item in items {
            price(&ledger, order, item)
        };
        let sum = total(&ledger, order, &prices);
        send(&ledger, order, sum)
    }
}

/// What a run of [`fulfil`] must give.
pub fn expected(order: u64) -> String {
    let total: u64 = (0..order % 5).map(|item| (order * 10 + item) * 3).sum();
    format!("order {order}: {total}")
}
