//! A run with very many children, 64 at once: undisturbed, and killed when half of them have ended.
//!
//! `ZAHIR_CHILDREN` sets how many (default 1,000,000).

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zahir::{Context, JoinError, RunHandle, Runtime, job, workflow};

use crate::{Outcome, memory};

const AT_ONCE: usize = 64;

#[job]
pub async fn double(number: u64) -> u64 {
    number * 2
}

/// Awaits them all.
#[job(spawns(double))]
pub async fn gather(ctx: &Context, count: u64) -> Result<u64, JoinError<Infallible>> {
    let doubled = ctx.map(0..count, double).limit(AT_ONCE).await?;
    Ok(doubled.iter().sum())
}

/// Awaits none of them.
#[job(spawns(double))]
pub async fn scatter(ctx: &Context, count: u64) -> u64 {
    for number in 0..count {
        ctx.spawn(double(number));
    }
    count
}

workflow! { pub async fn gathered(count: u64) -> u64 { gather(count) } }
workflow! { pub async fn scattered(count: u64) -> u64 { scatter(count) } }

/// Each run in a process of its own: for its memory, and to be killed.
pub fn measure() -> Outcome {
    let count: u64 = match std::env::var("ZAHIR_CHILDREN") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    for form in ["awaited", "following"] {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let told = last_line(begin(form, &path("undisturbed.redb"), count)?)?;
        println!("{:<44} {told}", format!("{count} {form} children durable"));
        let store = path("killed.redb");
        let mut killed = begin(form, &store, count)?;
        let out = killed.stdout.take().ok_or("it tells how far it is")?;
        for line in BufReader::new(out).lines() {
            if line?.parse::<u64>().is_ok_and(|done| done >= count / 2) {
                break;
            }
        }
        killed.kill()?;
        killed.wait()?;
        let told = last_line(begin(form, &store, count)?)?;
        println!("{:<44} {told}", "  killed when half of them were done");
    }
    Ok(())
}

fn begin(form: &str, store: &Path, count: u64) -> Outcome<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--children", form])
        .arg(store)
        .arg(count.to_string());
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

fn last_line(process: Child) -> Outcome<String> {
    let output = process.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let told = text.lines().last().filter(|_| output.status.success());
    Ok(told.ok_or("it tells what it took")?.to_owned())
}

/// `--children FORM STORE COUNT`: tells how many are done, and in the end what it took.
pub async fn run() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(2).collect();
    let [form, store, count] = arguments.as_slice() else {
        return Err("FORM STORE COUNT".into());
    };
    let count: u64 = count.parse()?;
    let begin = Instant::now();
    let builder = Runtime::open(store).jobs_max(AT_ONCE);
    let builder = builder.children_per_job_max(usize::try_from(count)?.max(1));
    if form == "awaited" {
        let runtime = builder.workflow::<Gathered>().start().await?;
        let opened = begin.elapsed();
        let run = runtime.run(gathered(count)).key("one").start().await?;
        watch(&run, begin, opened, count * count.saturating_sub(1)).await?;
        runtime.shutdown().await?;
    } else {
        let runtime = builder.workflow::<Scattered>().start().await?;
        let opened = begin.elapsed();
        let run = runtime.run(scattered(count)).key("one").start().await?;
        watch(&run, begin, opened, count).await?;
        runtime.shutdown().await?;
    }
    Ok(())
}

async fn watch(run: &RunHandle<u64>, begin: Instant, opened: Duration, expected: u64) -> Outcome {
    let mut output = std::pin::pin!(run.output());
    let given = loop {
        tokio::select! {
            given = &mut output => break given?,
            () = tokio::time::sleep(Duration::from_millis(20)) => println!("{}", run.progress().done()),
        }
    };
    assert_eq!(given, expected);
    println!(
        "open after {:.2} s, done after {:.2} s, at most {} MiB",
        opened.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
        memory::peak() >> 20,
    );
    Ok(())
}
