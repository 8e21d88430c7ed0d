//! Runs in one store that share results, cut at every append: each result is made once.

use std::error::Error;

use zahir::{Context, Runtime, RuntimeBuilder, job, workflow};

use super::effects::{Bad, stumble};
use super::told::{mend, mended, note};
use super::{Case, Ended, Told, add, ended};

#[job(once)]
pub async fn opens(ctx: &Context, customer: u64) -> u64 {
    note(ctx, format_args!("opens {customer}"));
    customer + 1
}

/// Fails at first.
#[job(once_by = |customer, _greeting| *customer, retry = 1, backoff = 1s)]
pub async fn greets(ctx: &Context, customer: u64, greeting: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("greets {customer}"));
    stumble(ctx, 1)?;
    tokio::task::yield_now().await;
    Ok(customer * 100 + greeting.min(1))
}

#[job(pure, cache = 1d)]
pub async fn rates(ctx: &Context, customer: u64) -> u64 {
    note(ctx, format_args!("rates {customer}"));
    customer * 2
}

/// Fails for good until it is mended.
#[job(once)]
pub async fn signs(ctx: &Context, customer: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("signs {customer}"));
    if mended() == 0 {
        return Err(Bad { number: customer });
    }
    Ok(customer * 3)
}

workflow! {
    pub async fn welcome(customer: u64, greeting: u64) -> u64 {
        let account = opens(customer);
        let card = greets(customer, greeting);
        let rate = rates(customer);
        add(account + card, rate)
    }
}

workflow! {
    pub async fn contract(customer: u64) -> u64 {
        let account = opens(customer);
        signs(account)
    }
}

type Runs = Vec<Ended<u64>>;

async fn one_by_one(runtime: Runtime) -> Result<Runs, Box<dyn Error>> {
    let mut all = Vec::new();
    for greeting in 1..4 {
        let run = runtime.run(welcome(7, greeting)).key(greeting.to_string());
        all.push(ended(&run.start().await?).await?);
    }
    Ok(all)
}

async fn at_once(runtime: Runtime) -> Result<Runs, Box<dyn Error>> {
    let mut runs = Vec::new();
    for greeting in 1..4 {
        let run = runtime.run(welcome(7, greeting)).key(greeting.to_string());
        runs.push(run.start().await?);
    }
    let mut all = Vec::new();
    for run in runs {
        all.push(ended(&run).await?);
    }
    Ok(all)
}

/// Each job made its result in one run.
fn made_once(told: &Told<Runs>) {
    assert_eq!(told.ended, vec![Ok(723); 3]);
    assert_made_once(told, &["opens 7", "greets 7", "rates 7"]);
}

fn assert_made_once(told: &Told<Runs>, jobs: &[&str]) {
    for job in jobs {
        let made = format!("{job}: succeeded");
        let made = told.attempts.values().filter(|own| own.contains(&made));
        assert_eq!(made.count(), 1, "{job}: {:?}", told.attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn runs_one_by_one_cut_anywhere_share() {
    let case = Case {
        register: RuntimeBuilder::workflow::<Welcome>,
        process: Box::new(|runtime, _| Box::pin(one_by_one(runtime))),
        compares_attempts: true,
        holds: made_once,
    };
    case.check().await;
    case.check_twice().await;
}

/// Which of the runs makes a result is open.
#[tokio::test(start_paused = true)]
async fn runs_at_once_cut_anywhere_share() {
    let case = Case {
        register: RuntimeBuilder::workflow::<Welcome>,
        process: Box::new(|runtime, _| Box::pin(at_once(runtime))),
        compares_attempts: false,
        holds: made_once,
    };
    case.check().await;
    case.check_twice().await;
}

async fn after_a_failure(runtime: Runtime) -> Result<Runs, Box<dyn Error>> {
    let mut all = Vec::new();
    for nth in 0..3 {
        let run = runtime.run(contract(7)).key(nth.to_string()).start();
        all.push(ended(&run.await?).await?);
        mend(1);
    }
    Ok(all)
}

#[tokio::test(start_paused = true)]
async fn what_failed_cut_anywhere_is_made_by_the_next() {
    let case = Case {
        register: RuntimeBuilder::workflow::<Contract>,
        process: Box::new(|runtime, _| Box::pin(after_a_failure(runtime))),
        compares_attempts: true,
        holds: |told| {
            assert_eq!(told.ended, [Err("bad 8".to_owned()), Ok(24), Ok(24)]);
            assert_made_once(told, &["opens 7", "signs 8"]);
        },
    };
    case.check().await;
    case.check_twice().await;
}
