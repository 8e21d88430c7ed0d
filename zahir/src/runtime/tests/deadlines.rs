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
    let runtime = in_memory(&flow).await;
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
        if let EventKind::DeadlineSet { node: None, .. } | EventKind::DeadlinePassed { .. } =
            event.as_ref().unwrap().kind
        {
            told.push(event.unwrap().kind);
        }
    }
    assert_eq!(told.len(), 2, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_in_time_has_its_output() {
    let _watch = watch();
    let flow = Flow::new("slow").job("slow", &[0], wait(HOUR, 1)).build();
    let runtime = in_memory(&flow).await;
    let limit = HOUR + Duration::from_millis(1);
    let run = begin_within(limit, &runtime, &flow, &[1]).await;
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

    later(HOUR / 2);
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
