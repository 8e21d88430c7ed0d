//! Workflows that are killed in tests, and what must come out of them.

use std::fs::OpenOptions;
use std::io::Write;

use zahir::{job, workflow};

/// Appends a line to the ledger: one execution of a job. A line this short is written whole.
pub(crate) fn note(ledger: &str, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(ledger);
    file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .expect("a ledger");
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

#[job]
pub async fn bill(ledger: &str, order: u64) -> u64 {
    note(ledger, &format!("{order} bill"));
    order % 7 * 10
}

#[job]
pub async fn discount(ledger: &str, order: u64, bill: u64) -> u64 {
    note(ledger, &format!("{order} discount"));
    bill / 2
}

/// Pays ten at most, and tells what is left.
#[job]
pub async fn pay(ledger: &str, order: u64, part: u64, open: u64) -> u64 {
    note(ledger, &format!("{order} pay {part}"));
    open.saturating_sub(10)
}

#[job]
pub async fn close(ledger: &str, order: u64) {
    note(ledger, &format!("{order} close"));
}

workflow! {
    /// Has a bill paid in parts, waits for the receipt, and closes the order.
    pub async fn settle(ledger: String, order: u64) -> String {
        let bill = bill(&ledger, order);
        {
            let mut open = if order % 4 == 1 { discount(&ledger, order, bill) } else { sleep(5ms); bill };
            let mut parts = 0;
            while open > 0 {
                parts += 1;
                open = pay(&ledger, order, parts, open);
            }
            let receipt: u64 = signal("receipt");
            format!("order {order}: {parts} parts, receipt {receipt}")
        }.finally(close(&ledger, order))
    }
}

/// In how many parts the bill of an order is paid.
fn parts(order: u64) -> u64 {
    let bill = order % 7 * 10;
    let open = if order % 4 == 1 { bill / 2 } else { bill };
    open.div_ceil(10)
}

/// What a run of [`settle`] must give, when the number of the receipt is that of the order.
pub fn settled(order: u64) -> String {
    format!("order {order}: {} parts, receipt {order}", parts(order))
}

/// How many jobs a run of [`settle`] has.
pub fn settled_by(order: u64) -> u64 {
    2 + u64::from(order % 4 == 1) + parts(order)
}
