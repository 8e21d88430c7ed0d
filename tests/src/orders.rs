//! Workflows that are killed in tests, and what must come out of them.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::Write;

use serde::{Deserialize, Serialize};
use zahir::{Context, JoinError, job, workflow};

/// What is done with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fulfil,
    Settle,
    Ship,
    Pack,
}

impl Kind {
    pub fn of(order: u64) -> Self {
        match order % 6 {
            0 => Self::Fulfil,
            1 | 4 => Self::Settle,
            2 | 5 => Self::Ship,
            _ => Self::Pack,
        }
    }
}

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

/// What a job of [`ship`] does: so that it can be told from the ledger which attempt it was.
fn note_attempt(ctx: &Context, ledger: &str, order: u64, what: &str) {
    note(ledger, &format!("{order} {what} attempt {}", ctx.attempt()));
}

/// Whose order it is.
pub fn customer(order: u64) -> u64 {
    order / 30
}

/// One for each customer: it is named after the order that has opened it.
#[job(once_by = |_ledger, order| customer(*order))]
pub async fn open_account(ctx: &Context, ledger: &str, order: u64) -> u64 {
    note_attempt(ctx, ledger, order, "account");
    tokio::task::yield_now().await;
    order
}

#[job(undo = release)]
pub async fn reserve(ctx: &Context, ledger: &str, order: u64, account: u64) -> u64 {
    note_attempt(ctx, ledger, order, &format!("reserve for {account}"));
    order % 7
}

#[job(retry = forever)]
pub async fn release(ctx: &Context, ledger: &str, order: u64, _account: u64, shelf: &u64) {
    note_attempt(ctx, ledger, order, &format!("release {shelf}"));
}

/// Nobody knows how to print the same label again.
#[job(at_most_once)]
pub async fn label(ctx: &Context, ledger: &str, order: u64, shelf: u64) -> u64 {
    note_attempt(ctx, ledger, order, "label");
    tokio::task::yield_now().await;
    shelf + 1
}

/// Why a courier does not come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NoCourier {
    pub order: u64,
}

impl std::fmt::Display for NoCourier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no courier takes order {}", self.order)
    }
}

impl std::error::Error for NoCourier {}

/// Whether the other courier has to take an order.
pub fn takes_other(order: u64) -> bool {
    order.is_multiple_of(5)
}

/// Fails twice in vain for some orders, and at first for others.
#[job(undo = unbook, recover = book_other, retry = 1, backoff = 1ms)]
pub async fn book(ctx: &Context, ledger: &str, order: u64, label: u64) -> Result<u64, NoCourier> {
    note_attempt(ctx, ledger, order, "book");
    if takes_other(order) || (order.is_multiple_of(4) && ctx.attempt() == 1) {
        return Err(NoCourier { order });
    }
    Ok(label + 1)
}

#[job]
pub async fn book_other(
    ctx: &Context,
    no: &NoCourier,
    ledger: &str,
    order: u64,
    label: u64,
) -> u64 {
    assert_eq!(no.order, order);
    note_attempt(ctx, ledger, order, "book other");
    label + 1
}

#[job(retry = forever, backoff = 1ms)]
pub async fn unbook(
    ctx: &Context,
    ledger: &str,
    order: u64,
    _label: u64,
    parcel: &u64,
) -> Result<(), NoCourier> {
    note_attempt(ctx, ledger, order, &format!("unbook {parcel}"));
    if ctx.attempt() == 1 {
        return Err(NoCourier { order });
    }
    Ok(())
}

#[job(undo = refund)]
pub async fn charge(ctx: &Context, ledger: &str, order: u64, parcel: u64) -> u64 {
    note_attempt(ctx, ledger, order, "charge");
    parcel + 1
}

#[job(retry = forever)]
pub async fn refund(ctx: &Context, ledger: &str, order: u64, _parcel: u64, payment: &u64) {
    note_attempt(ctx, ledger, order, &format!("refund {payment}"));
}

/// Whether an order is sent back, and so all of it undone.
pub fn is_refused(order: u64) -> bool {
    order % 4 > 1
}

#[job(no_undo)]
pub async fn deliver(ctx: &Context, ledger: &str, order: u64, paid: u64) -> Result<u64, String> {
    note_attempt(ctx, ledger, order, "deliver");
    if is_refused(order) {
        return Err(refused(order));
    }
    Ok(paid + 1)
}

workflow! {
    /// Ships an order: what was done for it is undone if nobody takes it.
    pub async fn ship(ledger: String, order: u64) -> (u64, u64) {
        let account = open_account(&ledger, order);
        let shelf = reserve(&ledger, order, account);
        let printed = label(&ledger, order, shelf);
        let parcel = book(&ledger, order, printed);
        let paid = charge(&ledger, order, parcel);
        let delivered = deliver(&ledger, order, paid);
        (account, delivered)
    }
}

/// Why a run of [`ship`] fails, if it was not cut off.
pub fn refused(order: u64) -> String {
    format!("nobody takes order {order}")
}

/// What a run of [`ship`] must give, beside the account.
pub fn shipped(order: u64) -> u64 {
    order % 7 + 4
}

#[job]
pub async fn fill(ledger: &str, order: u64, number: u64) -> u64 {
    note(ledger, &format!("{order} fill {number}"));
    tokio::task::yield_now().await;
    number
}

#[job]
pub async fn weigh(ledger: &str, order: u64, number: u64) -> u64 {
    note(ledger, &format!("{order} weigh {number}"));
    tokio::task::yield_now().await;
    number * 2
}

#[job]
pub async fn tidy(ledger: &str, order: u64) {
    note(ledger, &format!("{order} tidy"));
}

#[job]
pub async fn load(ledger: &str, order: u64, weights: &[u64]) -> u64 {
    note(ledger, &format!("{order} load"));
    weights.iter().sum()
}

/// Spawns a job for each box, waits for them, and hands on to who loads them when they are weighed.
#[job(spawns(fill, weigh, tidy, load))]
pub async fn pack_boxes(
    ctx: &Context,
    ledger: &str,
    order: u64,
) -> Result<u64, JoinError<Infallible>> {
    let first: u64 = ctx.record("first", || order * 10).await;
    let numbers = first..first + boxes(order);
    let boxes: Vec<_> = numbers
        .map(|number| ctx.spawn(fill(ledger, order, number)))
        .collect();
    let boxes = ctx.join_all(boxes).await?;
    ctx.spawn(tidy(ledger, order));
    let weights: Vec<_> = boxes
        .iter()
        .map(|number| ctx.spawn(weigh(ledger, order, *number)))
        .collect();
    ctx.continue_as(Load::of(ledger, order, weights)).await
}

workflow! {
    /// Packs the boxes of an order, of which only the job that does so knows how many there are.
    pub async fn pack(ledger: String, order: u64) -> u64 {
        pack_boxes(&ledger, order)
    }
}

fn boxes(order: u64) -> u64 {
    order % 4 + 1
}

/// What a run of [`pack`] must give.
pub fn packed(order: u64) -> u64 {
    let numbers = order * 10..order * 10 + boxes(order);
    numbers.map(|number| number * 2).sum()
}

/// How many children a run of [`pack`] has.
pub fn packed_by(order: u64) -> u64 {
    boxes(order) * 2 + 2
}

/// Which job a line of the ledger is of, as a number that never goes down: each job of an order rests
/// on those before it, which are not run again when it has begun.
pub fn stage(line: &str) -> u64 {
    let mut words = line.split(' ').skip(1);
    let (job, more) = (words.next(), words.next());
    let part = || more.and_then(|more| more.parse::<u64>().ok());
    match job {
        Some("list" | "bill" | "account" | "fill") => 0,
        Some("price" | "discount" | "reserve" | "weigh") => 1,
        Some("label" | "load") => 2,
        Some("book") if more == Some("other") => 4,
        Some("book") => 3,
        Some("charge") => 5,
        Some("deliver") => 6,
        Some("refund") => 7,
        Some("unbook") => 8,
        Some("release") => 9,
        Some("pay") => 10 + part().expect("the number of a part"),
        Some("total") => 100,
        Some("send" | "close") => 101,
        _ => panic!("`{line}` is no line of a ledger"),
    }
}
