//! Children of one job: what each costs, what is in memory at most, and how long a restart takes in the
//! middle of them.

use std::time::{Duration, Instant};

use zahir::{Context, JoinError, Runtime, job, workflow};

use crate::{Outcome, memory};

/// How many children, if `ZAHIR_CHILDREN` says nothing else.
const CHILDREN: u64 = 100_000;

#[job]
async fn double(value: u64) -> u64 {
    value * 2
}

#[job(spawns(double))]
async fn parent(ctx: &Context, count: u64) -> Result<u64, JoinError<std::convert::Infallible>> {
    let doubled = ctx.map(0..count, double).limit(64).await?;
    Ok(doubled.iter().sum())
}

workflow! {
    async fn children(count: u64) -> u64 {
        parent(count)
    }
}

pub(crate) async fn of_one_job() -> Outcome {
    let children = std::env::var("ZAHIR_CHILDREN").ok();
    let count = children.map_or(Ok(CHILDREN), |count| count.parse())?;
    let before = memory::in_use();
    let runtime = Runtime::in_memory().workflow::<Children>().start().await?;
    let began = Instant::now();
    let run = runtime.run(self::children(count)).start().await?;
    assert_eq!(run.output().await?, count * (count - 1));
    tell("in memory", count, began.elapsed(), before);
    runtime.shutdown().await?;
    durable(count).await
}

async fn durable(count: u64) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("zahir.redb");
    let before = memory::in_use();
    let runtime = Runtime::open(&path).workflow::<Children>().start().await?;
    let began = Instant::now();
    let run = runtime.run(children(count)).start().await?;
    while run.progress().done() < count / 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tell("durable", run.progress().done(), began.elapsed(), before);
    // As if it had been killed.
    let id = run.id();
    drop((run, runtime));
    let began = Instant::now();
    let runtime = Runtime::open(&path).workflow::<Children>().start().await?;
    let found = began.elapsed();
    let run = runtime.handle::<Children>(id).await?;
    assert_eq!(run.output().await?, count * (count - 1));
    println!(
        "{:<44} {:>9.1} ms until it goes on, {:.1} ms until it has ended",
        format!("killed in the middle of {count} children"),
        found.as_secs_f64() * 1e3,
        began.elapsed().as_secs_f64() * 1e3,
    );
    tell("with a restart", count, began.elapsed(), before);
    runtime.shutdown().await?;
    Ok(())
}

fn tell(how: &str, count: u64, time: Duration, before: u64) {
    println!(
        "{:<44} {:>9.3} us each, {} MiB in use",
        format!("{count} children of one job, {how}"),
        time.as_secs_f64() * 1e6 / count as f64,
        memory::in_use().saturating_sub(before) >> 20,
    );
}
