//! What zahir costs, beside plain tokio doing the same work in the same process.
//!
//! ```console
//! cargo run --release -p zahir-bench            # everything, about a minute
//! cargo run --release -p zahir-bench -- chain   # what has `chain` in its name
//! ```
//!
//! Every figure is the median of several rounds. The two sides of a ratio take turns, so that a
//! machine that changes its speed changes both.

mod children;
mod memory;
mod plain;
mod workflows;

use std::error::Error;
use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use zahir::Runtime;

use workflows::{Fan, Five, Thousand, fan, five, thousand};

/// How many rounds each side of a ratio is measured, if `ZAHIR_ROUNDS` says nothing else.
const ROUNDS: usize = 15;
/// How many runs of a short workflow.
const RUNS: u64 = 10_000;
/// How many of them at once.
const AT_ONCE: usize = 256;
/// How wide the fan-out is.
const WIDTH: u64 = 10_000;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    // On a worker, as most programs do their work: the main thread would pay for waking one up.
    tokio::spawn(measure(std::env::args().nth(1).unwrap_or_default())).await?
}

async fn measure(wanted: String) -> Outcome {
    match wanted.as_str() {
        "--pending-zahir" => return pending_zahir().await,
        "--pending-tokio" => return pending_tokio().await,
        "--children" => return children::run().await,
        _ => {}
    }
    let is_wanted = |name: &str| name.contains(&wanted);
    if is_wanted("chain of 1,000 in memory") {
        chain().await?;
    }
    if is_wanted("fan-out of 10,000 and join in memory") {
        fan_out().await?;
    }
    if is_wanted("10,000 runs of a 5-chain in memory") {
        many_in_memory().await?;
    }
    if is_wanted("10,000 runs of a 5-chain durable") {
        many_durable().await?;
    }
    if is_wanted("one run alone durable") {
        alone().await?;
    }
    if is_wanted("resume of 10,000 half-finished runs") {
        resume().await?;
    }
    if is_wanted("bytes per pending node") {
        pending()?;
    }
    if is_wanted("children of one run durable") {
        children::measure()?;
    }
    Ok(())
}

/// Prints one line: what was measured, the time of one unit on both sides, and their ratio.
fn compare(name: &str, units: u64, ours: Duration, theirs: (&str, Duration)) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / units as f64;
    println!(
        "{name:<44} {:>9.3} us   {} {:>9.3} us   ratio {:.2}",
        each(ours),
        theirs.0,
        each(theirs.1),
        ours.as_secs_f64() / theirs.1.as_secs_f64(),
    );
}

/// The medians of two sides that take turns.
async fn in_turns<A, B>(
    mut ours: impl FnMut() -> A,
    mut theirs: impl FnMut() -> B,
) -> Outcome<(Duration, Duration)>
where
    A: Future<Output = Outcome>,
    B: Future<Output = Outcome>,
{
    let rounds = std::env::var("ZAHIR_ROUNDS").map_or(Ok(ROUNDS), |text| text.parse())?;
    let (mut mine, mut plain) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let start = Instant::now();
        ours().await?;
        let between = Instant::now();
        theirs().await?;
        // The first round only warms up.
        if round > 0 {
            mine.push(between - start);
            plain.push(between.elapsed());
        }
    }
    Ok((median(mine), median(plain)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn chain() -> Outcome {
    let runtime = Runtime::in_memory().workflow::<Thousand>().start().await?;
    let (ours, theirs) = in_turns(
        || async {
            assert_eq!(
                runtime.run(thousand(0)).start().await?.output().await?,
                1_000
            );
            Ok(())
        },
        || async {
            assert_eq!(plain::chain(1_000).await?, 1_000);
            Ok(())
        },
    )
    .await?;
    compare(
        "chain of 1,000 in memory, a job",
        1_000,
        ours,
        ("tokio", theirs),
    );
    Ok(())
}

async fn fan_out() -> Outcome {
    let runtime = Runtime::in_memory().workflow::<Fan>().start().await?;
    let sum = WIDTH * (WIDTH - 1) / 2 + WIDTH;
    let (ours, theirs) = in_turns(
        || async {
            assert_eq!(runtime.run(fan(WIDTH)).start().await?.output().await?, sum);
            Ok(())
        },
        || async {
            assert_eq!(plain::fan(WIDTH).await?, sum);
            Ok(())
        },
    )
    .await?;
    compare(
        "fan-out of 10,000 and join in memory, a job",
        WIDTH,
        ours,
        ("tokio", theirs),
    );
    Ok(())
}

/// Runs the 5-chain `RUNS` times, `AT_ONCE` at once.
async fn five_many(runtime: &Runtime) -> Outcome {
    let mut runs = stream::iter(0..RUNS)
        .map(|from| async move {
            let run = runtime.run(five(from)).start().await?;
            assert_eq!(run.output().await?, from + 5);
            Outcome::Ok(())
        })
        .buffer_unordered(AT_ONCE);
    while let Some(run) = runs.next().await {
        run?;
    }
    Ok(())
}

async fn many_in_memory() -> Outcome {
    let runtime = Runtime::in_memory().workflow::<Five>().start().await?;
    let (ours, theirs) =
        in_turns(|| five_many(&runtime), || plain::five_many(RUNS, AT_ONCE)).await?;
    compare(
        "10,000 runs of a 5-chain in memory, a job",
        RUNS * 5,
        ours,
        ("tokio", theirs),
    );
    Ok(())
}

async fn many_durable() -> Outcome {
    let folder = tempfile::tempdir()?;
    let floor = plain::Journal::create(&folder.path().join("floor.redb"))?;
    let runtime = Runtime::open(folder.path().join("zahir.redb"))
        .workflow::<Five>()
        .start()
        .await?;
    let (ours, theirs) =
        in_turns(|| five_many(&runtime), || floor.five_many(RUNS, AT_ONCE)).await?;
    compare(
        "10,000 runs of a 5-chain durable, a job",
        RUNS * 5,
        ours,
        ("floor", theirs),
    );
    println!(
        "{:<44} {:>9.0} jobs/s   floor {:>9.0} jobs/s",
        "",
        (RUNS * 5) as f64 / ours.as_secs_f64(),
        (RUNS * 5) as f64 / theirs.as_secs_f64(),
    );
    runtime.shutdown().await?;
    Ok(())
}

async fn alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let floor = plain::Journal::create(&folder.path().join("floor.redb"))?;
    let runtime = Runtime::open(folder.path().join("zahir.redb"))
        .workflow::<Five>()
        .start()
        .await?;
    let (ours, theirs) = in_turns(
        || async {
            for from in 0..40 {
                runtime.run(five(from)).start().await?.output().await?;
            }
            Ok(())
        },
        || async {
            // Five jobs need six commits: the start, and one with each result.
            floor.commits(40 * 6).await
        },
    )
    .await?;
    compare(
        "one 5-chain alone durable, a job",
        200,
        ours,
        ("commit", theirs),
    );
    runtime.shutdown().await?;
    Ok(())
}

async fn resume() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("zahir.redb");
    workflows::hold(true);
    let runtime = Runtime::open(&path)
        .workflow::<workflows::Held>()
        .jobs_max(20_000)
        .start()
        .await?;
    let mut starts = stream::iter(0..RUNS)
        .map(|from| runtime.run(workflows::held(from)).start())
        .buffer_unordered(AT_ONCE);
    while let Some(run) = starts.next().await {
        drop(run?);
    }
    workflows::all_held(RUNS).await;
    drop(starts);
    runtime.shutdown_within(Duration::ZERO).await?;
    workflows::hold(false);
    let start = Instant::now();
    let runtime = Runtime::open(&path)
        .workflow::<workflows::Held>()
        .start()
        .await?;
    let opened = start.elapsed();
    assert_eq!(u64::try_from(runtime.recovered().runs().len())?, RUNS);
    for run in runtime.recovered().runs() {
        runtime
            .handle::<workflows::Held>(run.id())
            .await?
            .output()
            .await?;
    }
    println!(
        "{:<44} {:>9.1} ms until all go on, {:.1} ms until all have ended",
        "resume of 10,000 half-finished runs",
        opened.as_secs_f64() * 1e3,
        start.elapsed().as_secs_f64() * 1e3,
    );
    runtime.shutdown().await?;
    Ok(())
}

/// How many jobs are pending when memory is measured.
const PENDING: u64 = 100_000;

/// Each side in a process of its own, so that none uses memory that the other gave back.
fn pending() -> Outcome {
    let bytes = |side: &str| -> Outcome<u64> {
        let output = Command::new(std::env::current_exe()?).arg(side).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    let (ours, theirs) = (bytes("--pending-zahir")?, bytes("--pending-tokio")?);
    println!(
        "{:<44} {ours:>9} bytes   tokio {theirs:>6} bytes   ratio {:.2}",
        "memory of a pending job",
        ours as f64 / theirs as f64,
    );
    Ok(())
}

async fn pending_zahir() -> Outcome {
    workflows::hold(true);
    let jobs_max = usize::try_from(PENDING)? * 2;
    let runtime = Runtime::in_memory()
        .workflow::<workflows::HeldFan>()
        .jobs_max(jobs_max)
        .start()
        .await?;
    let before = memory::in_use();
    let run = runtime.run(workflows::held_fan(PENDING)).start().await?;
    workflows::all_held(PENDING).await;
    println!("{}", (memory::in_use() - before) / PENDING);
    drop(run);
    runtime.shutdown_within(Duration::ZERO).await?;
    Ok(())
}

async fn pending_tokio() -> Outcome {
    let before = memory::in_use();
    let tasks = plain::pending(PENDING).await;
    println!("{}", (memory::in_use() - before) / PENDING);
    drop(tasks);
    Ok(())
}
