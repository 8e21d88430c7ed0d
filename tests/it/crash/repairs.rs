//! Runs that are repaired, cut at every append before, while and after they are: what is kept does not
//! run again, and what runs again does so once.

use std::error::Error;
use std::sync::Arc;

use zahir::{Context, Runtime, RuntimeBuilder, job, workflow};
use zahir_store::MemoryStore;

use super::effects::Bad;
use super::told::{mend, mended, note};
use super::undos::does;
use super::{Case, Outside, Told, add, ended};

#[job]
pub async fn quotes(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("quotes {number}"));
    number * 10
}

#[job(retry = 1, backoff = 1s)]
pub async fn charges(ctx: &Context, cents: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("charges {cents}"));
    works_from(1, cents)
}

fn works_from(least: u32, number: u64) -> Result<u64, Bad> {
    if mended() < least {
        return Err(Bad { number });
    }
    Ok(number)
}

#[job]
pub async fn ships(ctx: &Context, seat: u64, paid: u64) -> u64 {
    note(ctx, format_args!("ships {paid} to {seat}"));
    seat * 1_000 + paid
}

workflow! {
    pub async fn order(number: u64) -> u64 {
        let price = quotes(number);
        let seat = add(number, 1);
        let paid = charges(price);
        ships(seat, paid)
    }
}

/// Fails; is tried again; and has one node run again with other inputs.
async fn order_again(runtime: Runtime) -> Result<u64, Box<dyn Error>> {
    let mut run = runtime.run(order(7)).key("the one").start().await?;
    for _repair in 0..4 {
        let repair = match ended(&run).await? {
            Err(_) => {
                mend(1);
                run.retry_failed()
            }
            Ok(8_070) => run.rerun_from("paid").with(Charges { cents: 1 }),
            Ok(8_001) => run.rerun_from("price").with(Quotes { number: 9 }),
            Ok(other) => return Ok(other),
        };
        run = repair.start().await?;
    }
    panic!("a repair did not do what it was for");
}

#[tokio::test(start_paused = true)]
async fn repairs_cut_anywhere_run_the_same_again() {
    let case = Case {
        register: RuntimeBuilder::workflow::<Order>,
        process: Box::new(|runtime, _| Box::pin(order_again(runtime))),
        compares_attempts: true,
        holds: |told: &Told<u64>| assert_eq!(told.ended, 8_090),
    };
    case.check().await;
    case.check_twice().await;
}

#[job(undo = takes_off)]
pub async fn books(ctx: &Context, what: u64, after: u64) -> u64 {
    note(ctx, format_args!("books {what} after {after}"));
    after + 1
}

#[job]
pub async fn takes_off(ctx: &Context, what: u64, _after: u64, _done: &u64) -> Result<(), Bad> {
    note(ctx, format_args!("takes off {what}"));
    works_from(1, what).map(drop)
}

#[job]
pub async fn pays(ctx: &Context, number: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("pays {number}"));
    works_from(2, number)
}

workflow! {
    pub async fn trip(number: u64) -> u64 {
        let one = does(1, number);
        let two = books(2, one);
        let three = does(3, two);
        let paid = pays(three);
        add(paid, 1)
    }
}

/// Fails, and can't be undone; is undone by a repair; and is done again by another one.
async fn trip_again(runtime: Runtime) -> Result<u64, Box<dyn Error>> {
    let mut run = runtime.run(trip(7)).key("the one").start().await?;
    for _repair in 0..3 {
        match ended(&run).await? {
            Ok(output) => return Ok(output),
            Err(error) if error.contains("left") => mend(1),
            Err(_) => mend(2),
        }
        run = run.retry_failed().start().await?;
    }
    panic!("a repair did not do what it was for");
}

#[tokio::test(start_paused = true)]
async fn what_was_undone_cut_anywhere_is_done_again() {
    let case = Case {
        register: RuntimeBuilder::workflow::<Trip>,
        process: Box::new(|runtime, _| Box::pin(trip_again(runtime))),
        compares_attempts: true,
        holds: |told: &Told<u64>| {
            assert_eq!(told.ended, 11);
            let undone = |what: &str| {
                let undone = told.attempts.values().filter(|own| own.contains(what));
                undone.filter(|own| own.ends_with("undone")).count()
            };
            for what in ["undoes 3", "takes off 2", "undoes 1"] {
                assert_eq!(undone(what), 1, "{what}: {:?}", told.attempts);
            }
        },
    };
    case.check().await;
    case.check_twice().await;
}

#[job]
pub async fn holds_on(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("holds on {number}"));
    if mended() == 0 {
        std::future::pending::<()>().await;
    }
    number
}

workflow! {
    pub async fn held(number: u64) -> u64 {
        let price = quotes(number);
        let held = { holds_on(price) }.finally(add(price, 1));
        ships(held, price)
    }
}

/// Is cancelled where it does not go on, and goes on there.
async fn held_again(runtime: Runtime, store: Arc<MemoryStore>) -> Result<u64, Box<dyn Error>> {
    let mut run = runtime.run(held(7)).key("the one").start().await?;
    if mended() == 0 {
        Outside::Cancel(2).happen(&store, &run).await?;
    }
    if let Ok(output) = ended(&run).await? {
        return Ok(output);
    }
    mend(1);
    run = run.retry("held/holds_on").start().await?;
    Ok(ended(&run).await??)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cancelled_cut_anywhere_goes_on_where_it_was() {
    let case = Case {
        register: RuntimeBuilder::workflow::<Held>,
        process: Box::new(|runtime, store| Box::pin(held_again(runtime, store))),
        compares_attempts: true,
        holds: |told: &Told<u64>| assert_eq!(told.ended, 70_070),
    };
    case.check().await;
    case.check_twice().await;
}
