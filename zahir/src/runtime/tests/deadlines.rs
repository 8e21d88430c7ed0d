//! The time limit of a run.

use std::sync::atomic::{AtomicU64, Ordering};

use zahir_store::{FailureKind, Record, RunStatus};

use super::durable::Gate;
use super::*;
use crate::event::EventKind;

const HOUR: Duration = Duration::from_secs(3600);

fn stuck() -> Work {
    work(|_, _| std::future::pending())
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_fails() {
    let _watch = watch();
    let flow = Flow::new("slow")
        .job("quick", &[0], add(1))
        .job("stuck", &[1], stuck())
        .build();
    let clock = Arc::new(Clock::steady());
    let runtime = Runtime::in_memory().clock(&clock).executable(&flow);
    let runtime = runtime.start().await.unwrap();
    let _watched = runtime.events();
    let begun = tokio::time::Instant::now();
    let run = begin_within(HOUR, &runtime, &flow, &[1]).await;
    let mut events = run.events();
    let error = run.output().await.unwrap_err();
    assert_eq!(begun.elapsed(), HOUR);
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TimedOut));
    assert_eq!(
        error.to_string(),
        format!(
            "run {} of `slow` timed out: it took longer than its `timeout` of 3600s",
            run.id()
        )
    );
    assert_eq!((run.status(), error.node()), (RunStatus::Failed, None));
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        match event.unwrap().kind {
            EventKind::DeadlineSet { node: None, .. } => told.push("set"),
            EventKind::DeadlinePassed { node: None, .. } => told.push("passed"),
            _ => {}
        }
    }
    assert_eq!(told, ["set", "passed"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_in_time_has_its_output() {
    let _watch = watch();
    let flow = Flow::new("slow").job("slow", &[0], wait(HOUR, 1)).build();
    let runtime = in_memory(&flow).await;
    let limit = HOUR + Duration::from_secs(60);
    let run = begin_within(limit, &runtime, &flow, &[1]).await;
    assert_eq!(run.output().await.unwrap(), [2]);
}

/// A job that takes an hour and never waits.
fn busy(wall: &'static AtomicU64) -> Work {
    work(move |_, _| {
        wall.fetch_add(3_600_000, Ordering::SeqCst);
        std::future::ready(Ok(1))
    })
}

#[tokio::test(start_paused = true)]
async fn jobs_that_never_wait_do_not_run_past_the_deadline() {
    let _watch = watch();
    static BUSY: AtomicU64 = AtomicU64::new(0);
    let mut flow = Flow::new("busy");
    for at in 0..20 {
        flow = flow.job("next", &[at], busy(&BUSY));
    }
    let flow = flow.build();
    let clock = Arc::new(Clock::new(|| BUSY.load(Ordering::SeqCst)));
    let runtime = Runtime::in_memory().clock(&clock).executable(&flow);
    let runtime = runtime.start().await.unwrap();
    let limit = HOUR * 9 / 2;
    let run = begin_within(limit, &runtime, &flow, &[1]).await;
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TimedOut));
    assert_eq!(run.progress().done(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_all_attempts_begins_with_the_first() {
    let _watch = watch();
    static BUSY: AtomicU64 = AtomicU64::new(0);
    let flow = Flow::new("busy")
        .job("first", &[0], busy(&BUSY))
        .job("second", &[1], wait(Duration::from_secs(1), 1))
        .policy(|policy| policy.total_timeout = Some(HOUR / 2))
        .build();
    let clock = Arc::new(Clock::new(|| BUSY.load(Ordering::SeqCst)));
    let runtime = Runtime::in_memory().clock(&clock).executable(&flow);
    let runtime = runtime.start().await.unwrap();
    let run = begin(&runtime, &flow, &[1]).await;
    assert_eq!(run.output().await.unwrap(), [2]);
}

/// The time that the next clock begins with.
static WALL: AtomicU64 = AtomicU64::new(1_000_000_000_000);

fn clock() -> Arc<Clock> {
    Arc::new(Clock::new(|| WALL.load(Ordering::SeqCst)))
}

async fn over_at(clock: &Arc<Clock>, store: &TestStore, flow: &Arc<Executable>) -> Runtime {
    let runtime = Runtime::with_store(store.clone()).clock(clock);
    runtime.executable(flow).start().await.unwrap()
}

#[tokio::test]
async fn the_time_while_the_process_is_down_counts() {
    let _watch = watch();
    let gate = Gate::new();
    let flow = Flow::new("held").job("held", &[0], gate.job()).build();
    let store = TestStore::default();
    let runtime = over_at(&clock(), &store, &flow).await;
    let id = begin_within(HOUR, &runtime, &flow, &[1]).await.id();
    until(|| gate.begun() == 1).await;
    drop(runtime);

    let later = |time: Duration| {
        let time = u64::try_from(time.as_millis()).unwrap();
        WALL.fetch_add(time, Ordering::SeqCst);
    };
    later(HOUR / 2);
    let runtime = over_at(&clock(), &store, &flow).await;
    until(|| gate.begun() == 2).await;
    assert_eq!(find(&runtime, &flow, id).await.status(), RunStatus::Running);
    drop(runtime);

    later(HOUR / 2 + Duration::from_secs(1));
    let runtime = over_at(&clock(), &store, &flow).await;
    let run = find(&runtime, &flow, id).await;
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TimedOut));
    assert_eq!(
        error.message(),
        "it took longer than its `timeout` of 3600s"
    );
    assert_eq!(
        gate.begun(),
        2,
        "nothing was started for a run that is over"
    );
    runtime.shutdown().await.unwrap();

    let records = store.records(id);
    let deadline = |record: &&Record| matches!(record, Record::DeadlineSet { at: None, .. });
    assert_eq!(records.iter().filter(deadline).count(), 1);
    let runtime = over_at(&clock(), &store, &flow).await;
    let again = find(&runtime, &flow, id).await.output().await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
}

/// The limit of a run is told as it was asked for, also by a process that knows only the deadline,
/// however long it took to write that down.
#[tokio::test]
async fn the_limit_of_a_run_is_told_the_same_after_a_restart() {
    static TICKING: AtomicU64 = AtomicU64::new(1_000_000_000_000);
    let _watch = watch();
    let gate = Gate::new();
    let flow = Flow::new("held").job("held", &[0], gate.job()).build();
    let store = TestStore::default();
    let ticking = || Arc::new(Clock::new(|| TICKING.fetch_add(10, Ordering::SeqCst)));
    let runtime = over_at(&ticking(), &store, &flow).await;
    let id = begin_within(HOUR, &runtime, &flow, &[1]).await.id();
    until(|| gate.begun() == 1).await;
    drop(runtime);

    TICKING.fetch_add(2 * 3_600_000, Ordering::SeqCst);
    let runtime = over_at(&ticking(), &store, &flow).await;
    let error = find(&runtime, &flow, id).await.output().await.unwrap_err();
    assert_eq!(
        error.message(),
        "it took longer than its `timeout` of 3600s"
    );
    runtime.shutdown().await.unwrap();
}
