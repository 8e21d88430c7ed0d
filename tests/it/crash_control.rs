//! Workflows with branches, loops, handlers and waits, cut at every append and gone on with.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zahir::{Race2, Race3, Runtime, StartError, TimedOut, job, workflow};
use zahir_store::{Fault, FaultStore, MemoryStore, Record, Store};

use crate::crash::{add, check, collect, results, split};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Parity {
    Even(u64),
    Odd { number: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TooLarge(u64);

impl From<TooLarge> for Box<dyn std::error::Error + Send + Sync> {
    fn from(error: TooLarge) -> Self {
        format!("{} is too large", error.0).into()
    }
}

#[job]
async fn classify(number: u64) -> Parity {
    if number.is_multiple_of(2) {
        Parity::Even(number / 2)
    } else {
        Parity::Odd { number }
    }
}

#[job]
async fn small(number: u64) -> Result<u64, TooLarge> {
    if number > 3 {
        return Err(TooLarge(number));
    }
    Ok(number)
}

workflow! { async fn joins(number: u64) -> Vec<u64> {
    for item in split(number) {
        let sum = match classify(item) {
            Parity::Even(half) => { let more = add(half, 100); sleep(3ms); add(more, 1) }
            Parity::Odd { number } if number > 2 => number * 2,
            Parity::Odd { number } => add(number, number),
        };
        sum + 1
    }
} }

workflow! { async fn rounds(start: u64) -> (u64, Vec<u64>) {
    let mut number = start;
    let mut seen = vec![];
    let mut inner = 0;
    loop {
        number = add(number, 1);
        let list = split(inner);
        seen = for item in list { add(item, number) };
        if number == 15 { break; }
        while inner < number - 9 { inner = add(inner, 2); }
        if inner > 3 { continue; }
        let more = add(number, 0);
        if more == 100 { return (0, seen); }
    }
    (number, seen)
} }

workflow! { async fn handled(number: u64) -> u64 {
    let tried = small(number).result();
    let rescued = small(number + 1).rescue(|TooLarge(by)| { let less = add(by, 0); small(less - number) });
    let block = {
        let first = add(number, 1);
        { small(first); add(first, 1) }.finally({ let one = add(1, number); add(one, 2); })
    }
    .rescue(|failure| { let length = add(failure.message().len() as u64, 0); add(length, 1) })
    .finally(add(9, 9));
    match tried { Ok(number) => add(number, block), Err(TooLarge(by)) => by + block + rescued }
} }

workflow! { async fn waits(number: u64) -> u64 {
    let mut total = number;
    for item in split(2) { sleep(2ms); add(item, 1); }
    let late = signal::<u64>("never").timeout(5ms);
    if let Err(TimedOut) = late { total = add(total, 1); }
    let first = race((
        { sleep(1h); add(total, 1) }.finally(add(total, 2)),
        { sleep(3ms); add(total, 3) },
        signal::<u64>("never"),
    ));
    match first { Race3::Second(sum) => add(sum, 1000), _ => 0 }
} }

workflow! { async fn tree(number: u64) -> u64 {
    if number < 2 { return add(number, 1); }
    let below = for child in split(number) { tree(child) };
    collect(&below)
} }

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branches_that_sleep_cut_anywhere_give_the_same() {
    check(|| joins(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_cut_anywhere_give_the_same() {
    check(|| rounds(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_cut_anywhere_give_the_same() {
    check(|| handled(2)).await;
    check(|| handled(3)).await;
    check(|| handled(7)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sleeps_and_races_cut_anywhere_give_the_same() {
    check(|| waits(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recursion_cut_anywhere_gives_the_same() {
    check(|| tree(4)).await;
}

workflow! { async fn adds_up(count: u64) -> u64 {
    let mut total = 0;
    let mut left = count;
    while left > 0 {
        left -= 1;
        let first = race((signal::<u64>("number"), signal::<bool>("stop")));
        match first {
            Race2::First(number) => total = add(total, number),
            Race2::Second(_) => return total,
        }
    }
    let last = signal::<u64>("number").timeout(1h);
    match last { Ok(last) => add(total, last), Err(TimedOut) => 0 }
} }

/// Sends what was not sent yet, and waits for the output.
async fn send_and_wait(store: impl Store, sent: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let runtime = Runtime::with_store(store)
        .workflow::<AddsUp>()
        .start()
        .await?;
    let run = runtime.run(adds_up(3)).key("the one").start().await;
    let run = run.map_err(|error: StartError| error.to_string())?;
    for number in sent..4 {
        run.signal(AddsUp::NUMBER, 10_u64.pow(u32::try_from(number)?))
            .await?;
    }
    let output = tokio::time::timeout(Duration::from_secs(30), run.output()).await??;
    runtime.shutdown().await?;
    Ok(output)
}

fn received(store: &MemoryStore) -> u64 {
    let runs = store.runs(None, 10).unwrap();
    let runs = runs.iter().map(|run| store.load(run.id).unwrap().unwrap());
    let records = runs.flat_map(|run| run.steps).flat_map(|step| step.records);
    let received = records.filter(|record| matches!(record, Record::SignalReceived { .. }));
    u64::try_from(received.count()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_cut_anywhere_are_each_given_once() {
    let undisturbed = Arc::new(MemoryStore::new());
    assert_eq!(
        send_and_wait(Arc::clone(&undisturbed), 0).await.unwrap(),
        1111
    );
    for fault in [Fault::UnknownNotWritten, Fault::UnknownWritten] {
        for cut in 0.. {
            let store = Arc::new(MemoryStore::new());
            let failing = FaultStore::new(Arc::clone(&store));
            failing.fail_after(cut, fault);
            let first = send_and_wait(failing, 0).await;
            let sent = received(&store);
            let second = send_and_wait(Arc::clone(&store), sent).await;
            assert_eq!(second.unwrap(), 1111, "{fault:?} after {cut} appends");
            assert_eq!(
                results(&store),
                results(&undisturbed),
                "after {cut} appends"
            );
            if first.is_ok() {
                break;
            }
        }
    }
}
