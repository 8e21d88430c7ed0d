//! Many children: never more at once than is said, and never more in memory than need be.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::*;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static AHEAD: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

#[job]
async fn counted(n: u64) -> Result<u64, Odd> {
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    MOST.fetch_max(running, Ordering::SeqCst);
    tokio::task::yield_now().await;
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    let ahead = TAKEN.load(Ordering::SeqCst) - DONE.fetch_add(1, Ordering::SeqCst);
    AHEAD.fetch_max(ahead, Ordering::SeqCst);
    Ok(n * 2)
}

#[job(spawns(counted))]
async fn fans_out(ctx: &Context, count: u64) -> Result<u64, JoinError<Odd>> {
    let items = (0..count).inspect(|_| {
        TAKEN.fetch_add(1, Ordering::SeqCst);
    });
    let doubled = ctx.map(items, counted).limit(8).await?;
    assert!(
        doubled
            .iter()
            .zip(0..)
            .all(|(doubled, n)| *doubled == n * 2)
    );
    Ok(doubled.iter().sum())
}

workflow! {
    async fn fan(count: u64) -> u64 {
        fans_out(count)
    }
}

#[tokio::test]
async fn a_fan_keeps_to_its_limit_and_takes_items_little_by_little() {
    let _watch = watch();
    let count = 5000;
    for builder in both() {
        let runtime = builder.workflow::<Fan>().start().await.unwrap();
        let run = runtime.run(fan(count)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), count * (count - 1));
        assert_eq!(MOST.swap(0, Ordering::SeqCst), 8);
        let ahead = AHEAD.swap(0, Ordering::SeqCst);
        assert!(ahead <= 8 + 1024, "{ahead}");
    }
    assert_eq!(fans_out(100).await.unwrap(), 9900);
    assert_eq!(MOST.swap(0, Ordering::SeqCst), 8, "in place, too");
}

#[job(spawns(even, plus_one))]
async fn two_fans(ctx: &Context, numbers: &[u64]) -> Result<u64, String> {
    let evens = ctx.map(numbers, |n| even(*n)).limit(3);
    // Nobody knows how many there are.
    let more = ctx.map(numbers.iter().filter(|n| **n > 2), |n| plus_one(*n));
    let (evens, more) = tokio::join!(evens, more);
    let more = more.map_err(|error| error.to_string())?;
    let last = ctx
        .spawn(plus_one(0))
        .await
        .map_err(|error| error.to_string())?;
    match evens {
        Ok(evens) => Ok(evens.iter().chain(&more).sum::<u64>() + last),
        Err(error) => Err(error.to_string()),
    }
}

workflow! {
    async fn fans(numbers: Vec<u64>) -> u64 {
        two_fans(&numbers)
    }
}

#[tokio::test]
async fn all_failures_of_a_fan_are_told() {
    let _watch = watch();
    for builder in both() {
        let runtime = builder.workflow::<Fans>().start().await.unwrap();
        let run = runtime.run(fans(vec![2, 4])).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 6 + 5 + 1);
        let run = runtime.run(fans(vec![1, 2, 3, 4])).start().await.unwrap();
        let error = run.output().await.unwrap_err();
        assert!(
            error
                .message()
                .starts_with("2 of 4 children failed: `two_fans["),
            "{error}"
        );
        assert!(error.message().ends_with("3 is odd"), "{error}");
        let run = runtime.run(fans(vec![])).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 1);
    }
    assert_eq!(two_fans(&[2, 4]).await.unwrap(), 12);
}

#[job(spawns(gated, plus_one))]
async fn fan_again(
    ctx: &Context,
    name: &str,
    count: u64,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let sum: u64 = ctx.map(0..count, plus_one).limit(5).await?.iter().sum();
    trace(&format!("{name} added"));
    Ok(sum + ctx.spawn(gated(name, 1)).await?)
}

workflow! {
    async fn fanning(name: String, count: u64) -> u64 {
        fan_again(&name, count)
    }
}

#[tokio::test]
async fn a_fan_that_is_over_answers_from_the_store() {
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<Fanning>(&store).await;
    let run = runtime
        .run(fanning("fanning".to_owned(), 3000))
        .start()
        .await
        .unwrap();
    until(|| traced("fanning") == 1).await;
    let before = store.records(run.id()).len();
    drop(runtime);
    until(|| store.holders() == 1).await;
    let runtime = knowing::<Fanning>(&store).await;
    until(|| traced("fanning") == 2).await;
    open("fanning");
    let run = runtime.handle::<Fanning>(run.id()).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 3000 * 3001 / 2 + 1);
    assert_eq!(traced("fanning added"), 2);
    let more = store.records(run.id()).len() - before;
    assert!(more < 20, "{more} more records");
}
