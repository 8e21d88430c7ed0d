//! Every option about failures and effects.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zahir::{Again, Context, Failure, Fatal, FatalExt, Job, Payload, fatal, job};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order { id: u64, cents: u64 }
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Receipt { id: u64 }
#[derive(Debug, Serialize, Deserialize)]
enum PayError { Declined, Busy }
impl std::fmt::Display for PayError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("pay") } }
impl std::error::Error for PayError {}

mod rules {
    pub(crate) fn is_payable(order: &super::Order, note: &str, extras: &[u8], cents: &u64) -> Result<(), String> {
        if order.cents == *cents { Ok(()) } else { Err(format!("{note}{extras:?}")) }
    }
    pub(crate) fn waits(failures: u32) -> std::time::Duration { std::time::Duration::from_secs(failures.into()) }
}
fn is_busy(error: &PayError) -> bool { matches!(error, PayError::Busy) }

#[job(
    retry = forever,
    backoff = rules::waits,
    retry_if = is_busy,
    timeout = 30s,
    total_timeout = 5m,
    check = rules::is_payable,
    verify = |receipt| if receipt.id > 0 { Ok(()) } else { Err("no receipt") },
    recover = pay_later,
    undo = refund,
)]
async fn pay(ctx: &Context, order: &Order, note: &str, extras: &[u8], cents: u64) -> Result<Receipt, PayError> {
    let _ = (ctx, note, extras, cents, PayError::Busy);
    if order.cents == 0 { Err(PayError::Declined) } else { Ok(Receipt { id: order.id }) }
}
#[job(retry = 3, backoff = 5s)]
async fn pay_later(error: &PayError, order: &Order, note: &str, extras: &[u8], cents: u64) -> Receipt {
    let _ = (error, note, extras, cents);
    Receipt { id: order.id }
}
#[job(retry = forever, backoff = [1s, 10s, 1m])]
async fn refund(order: &Order, note: &str, extras: &[u8], cents: u64, receipt: &Receipt) -> Result<(), PayError> {
    let _ = (order, note, extras, cents, receipt);
    Ok(())
}

#[job(recover = no_number, no_undo, check = |text: &str| if text.is_empty() { Err("empty") } else { Ok(()) })]
async fn number(text: String) -> Result<u64, std::num::ParseIntError> { text.parse() }
#[job]
async fn no_number(failure: &Failure, text: String) -> u64 { let _ = (failure, text); 0 }

#[job(at_most_once)]
async fn launch(id: u64) -> Result<(), Fatal> { if id == 0 { Err(fatal("no rocket")) } else { Ok(()) } }
#[job(pure, cache = 1h)]
async fn square(number: u64) -> u64 { number * number }
#[job(once)]
async fn greet(name: &str) -> Result<usize, Fatal> { let length: usize = name.parse::<usize>().fatal()?; Ok(length) }
#[job(once_by = |order, _| &order.id)]
async fn invoice(order: &Order, text: String) -> usize { text.len() + order.id as usize }
fn key<'o>(order: &'o Order, _: &String) -> (u64, &'o u64) { (1, &order.cents) }
#[job(once_by = key)]
async fn remind(order: &Order, text: String) -> usize { text.len() + order.id as usize }

#[job]
async fn poll(ctx: &Context, #[state] seen: Option<(u64, String)>, id: u64) -> Result<Again<u64, (u64, String)>, PayError> {
    let _ = ctx;
    match seen {
        None => Ok(Again::after(Duration::from_secs(1), (id, String::new()))),
        Some((number, _)) => Ok(Again::Done(number)),
    }
}
#[job]
async fn wait(id: u64) -> Again<u64> { if id == 0 { Again::after(Duration::from_secs(1), ()) } else { Again::Done(id) } }

#[job(undo = forget::<T>, recover = keep_again)]
async fn keep<T: Payload + Clone>(value: &T, count: u64) -> Result<T, PayError> { let _ = count; Ok(value.clone()) }
#[job]
async fn keep_again<T: Payload + Clone>(error: &PayError, value: &T, count: u64) -> T { let _ = (error, count); value.clone() }
#[job]
async fn forget<T: Payload + Clone>(value: &T, count: u64, kept: &T) { let _ = (value, count, kept); }

fn main() {
    assert_eq!(Pay::OPTIONS.retry_max(), zahir::FOREVER);
    assert_eq!(Pay::OPTIONS.node_timeout(), Some(Duration::from_secs(300)));
    assert!(Launch::OPTIONS.is_at_most_once() && Number::OPTIONS.needs_no_undo());
    assert!(Square::OPTIONS.is_pure() && Square::OPTIONS.cache_time() == Some(Duration::from_secs(3600)));
    assert!(Greet::OPTIONS.is_once() && Invoice::OPTIONS.is_once() && !Square::OPTIONS.is_once());
    let order = Order { id: 1, cents: 2 };
    let _ = (poll(1), wait(1), keep(&1_u8, 1), remind(&order, String::new()));
}
