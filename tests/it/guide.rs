//! What the guide says of control flow, and does not show.

use std::sync::Mutex;
use std::time::Duration;

use zahir::{Race2, Runtime, job, workflow};

/// What the jobs of a test did, by the name they were given.
static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[job]
async fn work(name: &str, part: &str) -> Result<u64, std::io::Error> {
    tokio::time::sleep(Duration::from_secs(if part == "slow" { 10 } else { 1 })).await;
    DONE.lock().unwrap().push(format!("{name} {part}"));
    if part == "bad" {
        return Err(std::io::Error::other("bad"));
    }
    Ok(1)
}

fn done(name: &str) -> Vec<String> {
    let done = DONE.lock().unwrap();
    let parts = done.iter().filter_map(|line| line.strip_prefix(name));
    parts.map(|part| part.trim().to_owned()).collect()
}

workflow! { async fn leaves(number: u64) -> u64 {
    let name = format!("leaves{number}");
    let mut sum = 0;
    while sum < 3 {
        {
            work(&name, "body");
            if number == 1 { return 10; }
            if number == 2 { break; }
            sum += 1;
            if number == 3 { continue; }
            sum += 1;
        }
        .finally(work(&name, "cleanup"));
    }
    sum
} }

#[tokio::test(start_paused = true)]
async fn a_finally_runs_once_however_its_block_is_left() {
    assert_eq!(leaves(1).await.unwrap(), 10);
    assert_eq!(done("leaves1"), ["body", "cleanup"]);
    assert_eq!(leaves(2).await.unwrap(), 0);
    assert_eq!(done("leaves2"), ["body", "cleanup"]);
    assert_eq!(leaves(3).await.unwrap(), 3);
    assert_eq!(done("leaves3"), ["body", "cleanup"].repeat(3));
}

workflow! { async fn cancelled() -> u64 {
    { work("cancelled", "slow"); sleep(1d); work("cancelled", "never") }
        .finally(work("cancelled", "cleanup"))
        .rescue(|_failure| work("cancelled", "rescued"))
} }

#[tokio::test(start_paused = true)]
async fn a_cancel_is_not_rescued_and_runs_what_is_owed() {
    let runtime = Runtime::in_memory()
        .workflow::<Cancelled>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(cancelled()).start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    run.cancel("no more").await.unwrap();
    assert_eq!(done("cancelled"), ["slow", "cleanup"]);
    assert_eq!(run.status(), zahir::RunStatus::Cancelled);
}

workflow! { async fn bad_cleanup() -> u64 {
    work("bad_cleanup", "body").finally(work("bad_cleanup", "bad"))
} }
workflow! { async fn stops() -> u64 {
    {
        let slow = work("stops", "slow");
        let bad = work("stops", "bad");
        let never = work("stops", "never").after(slow);
        bad + never
    }
    .rescue(|_failure| work("stops", "rescue"))
} }

#[tokio::test(start_paused = true)]
async fn a_failure_lets_end_what_runs_and_a_failed_cleanup_is_one() {
    assert!(bad_cleanup().await.unwrap_err().to_string().contains("bad"));
    assert_eq!(stops().await.unwrap(), 1);
    assert_eq!(done("stops"), ["bad", "slow", "rescue"]);
}

workflow! { async fn losers() -> u64 {
    let first = race((
        { let part = signal::<u64>("part"); sleep(1h); part }.finally(work("losers", "slow")),
        work("losers", "fast"),
    ));
    let after = work("losers", "after").after(first);
    let part = signal::<u64>("part").after(after);
    let late = signal::<u64>("late").timeout(1d);
    match (first, late) { (Race2::Second(1), Err(_)) => part, _ => 0 }
} }

#[tokio::test(start_paused = true)]
async fn what_an_entry_that_loses_was_given_is_lost_with_it() {
    let runtime = Runtime::in_memory()
        .workflow::<Losers>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(losers()).start().await.unwrap();
    run.signal(Losers::PART, 1).await.unwrap();
    run.signal(Losers::PART, 2).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 2);
    assert_eq!(done("losers"), ["fast", "slow", "after"]);
}

workflow! { async fn ordered() -> (u64, u64, u64) {
    let a = signal::<u64>("next");
    let b = signal::<u64>("next");
    work("ordered", "before");
    sleep(1d);
    let c = signal::<u64>("next");
    (a, b, c)
} }

#[tokio::test(start_paused = true)]
async fn waits_get_their_signals_in_the_order_they_are_written_in() {
    let runtime = Runtime::in_memory()
        .workflow::<Ordered>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(ordered()).start().await.unwrap();
    for number in 1..=3 {
        run.signal(Ordered::NEXT, number).await.unwrap();
    }
    assert_eq!(run.output().await.unwrap(), (1, 2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_awaited_says_that_nobody_can_send_it_a_signal() {
    let error = ordered().await.unwrap_err();
    assert_eq!(error.kind(), zahir::RunErrorKind::NoSender, "{error}");
}

workflow! { async fn fenced(number: u64) -> u64 {
    work("fenced", "above");
    if number == 1 {
        work("fenced", "arm").retry(0);
        if number > 0 { return 5; }
    }
    work("fenced", "below")
} }

#[tokio::test(start_paused = true)]
async fn what_is_below_a_return_waits_for_it() {
    assert_eq!(fenced(1).await.unwrap(), 5);
    let done = done("fenced");
    assert!(!done.contains(&"below".to_owned()), "{done:?}");
}

workflow! { async fn stopped() -> u64 {
    let other = work("stopped", "bad");
    let block = { work("stopped", "body"); sleep(1d); 1 }.finally(work("stopped", "cleanup"));
    other + block
} }

#[tokio::test(start_paused = true)]
async fn what_another_failure_stops_is_cleaned_up() {
    let begin = tokio::time::Instant::now();
    assert!(stopped().await.unwrap_err().to_string().contains("bad"));
    assert_eq!(done("stopped").last().unwrap(), "cleanup");
    assert!(
        begin.elapsed() < Duration::from_secs(3600),
        "nobody sleeps on"
    );
}
