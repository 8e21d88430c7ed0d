//! Jobs under way when the process dies. A runtime that is dropped leaves what a killed process does.

use std::sync::atomic::{AtomicU64, Ordering};

use zahir_store::{FailureKind, Record, RunId, RunStatus};

use super::durable::Gate;
use super::*;

/// A job that never ends, and counts how often it was begun.
fn deadly() -> (Arc<AtomicU64>, Work) {
    let begun = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&begun);
    let job = work(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    (begun, job)
}

/// Attempts that began, over all lives of the process.
fn begun(store: &TestStore, id: RunId) -> usize {
    let is_start = |record: &&Record| matches!(record, Record::AttemptStarted { .. });
    store.records(id).iter().filter(is_start).count()
}

#[tokio::test]
async fn a_job_that_kills_the_process_three_times_is_poisoned() {
    let _watch = watch();
    let (count, job) = deadly();
    let flow = Flow::new("deadly").job("deadly", &[0], job).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let id = begin(&runtime, &flow, &[1]).await.id();
    until(|| count.load(Ordering::SeqCst) == 1).await;
    drop(runtime);
    for crash in 2..=3 {
        let runtime = over(&store, &flow).await;
        until(|| count.load(Ordering::SeqCst) == crash).await;
        drop(runtime);
    }
    let runtime = over(&store, &flow).await;
    let run = find(&runtime, &flow, id).await;
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Poisoned));
    assert_eq!(
        error.to_string(),
        "node `deadly` is poisoned at attempt 3: the process died 3 times while it was under way"
    );
    assert_eq!(run.status(), RunStatus::Failed);
    assert_eq!((count.load(Ordering::SeqCst), begun(&store, id)), (3, 3));
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_is_no_crash() {
    let _watch = watch();
    let (count, job) = deadly();
    let flow = Flow::new("slow").job("slow", &[0], job).build();
    let store = TestStore::default();
    let builder = || Runtime::with_store(store.clone()).crash_attempts_max(1);
    let runtime = builder().executable(&flow).start().await.unwrap();
    let id = begin(&runtime, &flow, &[1]).await.id();
    for life in 1..=5 {
        let runtime = if life == 1 {
            runtime.clone()
        } else {
            builder().executable(&flow).start().await.unwrap()
        };
        until(|| count.load(Ordering::SeqCst) == life).await;
        runtime.shutdown_within(Duration::ZERO).await.unwrap();
    }
    let runtime = builder().executable(&flow).start().await.unwrap();
    assert_eq!(find(&runtime, &flow, id).await.status(), RunStatus::Running);
    until(|| count.load(Ordering::SeqCst) == 6).await;
    drop(runtime);
    let runtime = builder().executable(&flow).start().await.unwrap();
    let error = find(&runtime, &flow, id).await.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Poisoned));
    assert_eq!(
        error.message(),
        "the process died once while it was under way"
    );
}

#[tokio::test]
async fn none_is_blamed_for_the_crash_of_another() {
    let _watch = watch();
    let (count, job) = deadly();
    let gate = Gate::new();
    let bad = Flow::new("bad").job("deadly", &[0], job).build();
    let good = Flow::new("good").job("held", &[0], gate.job()).build();
    let store = TestStore::default();
    let start = async || {
        let builder = Runtime::with_store(store.clone());
        let builder = builder.executable(&bad).executable(&good);
        builder.start().await.unwrap()
    };
    let runtime = start().await;
    let id = begin(&runtime, &bad, &[1]).await.id();
    let mut others = Vec::new();
    for from in 0..5 {
        others.push(begin(&runtime, &good, &[from]).await.id());
    }
    until(|| count.load(Ordering::SeqCst) == 1 && gate.begun() == 5).await;
    drop(runtime);
    let runtime = start().await;
    until(|| count.load(Ordering::SeqCst) == 2 && gate.begun() == 10).await;
    drop(runtime);

    // Each may be what kills the process: one at a time, in the order they were begun.
    let runtime = start().await;
    until(|| count.load(Ordering::SeqCst) == 3).await;
    let fresh = begin(&runtime, &good, &[7]).await;
    until(|| gate.begun() == 11).await;
    gate.open.add_permits(1);
    assert_eq!(fresh.output().await.unwrap(), [8], "the others go on");
    assert_eq!(gate.begun(), 11);
    drop(runtime);

    let runtime = start().await;
    let error = find(&runtime, &bad, id).await.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Poisoned));
    for (other, nth) in others.iter().zip(12..) {
        until(|| gate.begun() == nth).await;
        tokio::task::yield_now().await;
        assert_eq!(gate.begun(), nth, "one at a time");
        gate.open.add_permits(1);
        let run = find(&runtime, &good, *other).await;
        assert_eq!(run.output().await.unwrap(), [nth - 11]);
    }
    runtime.shutdown().await.unwrap();
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
    assert!(runtime.core().lane.try_lock().is_ok());
    for other in others {
        assert_eq!(begun(&store, other), 3);
    }
}

#[tokio::test]
async fn who_is_in_the_lane_leaves_it_when_its_run_is_cancelled() {
    let _watch = watch();
    let (count, job) = deadly();
    let flow = Flow::new("deadly").job("deadly", &[0], job).build();
    let store = TestStore::default();
    let start = async || {
        let builder = Runtime::with_store(store.clone()).crash_attempts_max(2);
        builder.executable(&flow).start().await.unwrap()
    };
    let runtime = start().await;
    let mut ids = Vec::new();
    for nth in 1..=3 {
        ids.push(begin(&runtime, &flow, &[1]).await.id());
        until(|| count.load(Ordering::SeqCst) == nth).await;
    }
    drop(runtime);
    let runtime = start().await;
    for (id, nth) in ids.iter().zip(4..) {
        until(|| count.load(Ordering::SeqCst) == nth).await;
        let run = find(&runtime, &flow, *id).await;
        assert_eq!(run.progress().running(), 1);
        assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
    }
    assert!(runtime.core().lane.try_lock().is_ok());
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn who_waits_for_the_lane_holds_no_slot_and_can_be_left() {
    let _watch = watch();
    let (count, job) = deadly();
    let flow = Flow::new("deadly").job("deadly", &[0], job).build();
    let other = Flow::new("other").job("job", &[0], add(1)).build();
    let store = TestStore::default();
    let start = async || {
        let builder = Runtime::with_store(store.clone()).crash_attempts_max(2);
        let builder = builder.executable(&flow).executable(&other);
        builder.jobs_max(2).start().await.unwrap()
    };
    let runtime = start().await;
    for _ in 0..2 {
        drop(begin(&runtime, &flow, &[1]).await);
    }
    until(|| count.load(Ordering::SeqCst) == 2).await;
    drop(runtime);
    let runtime = start().await;
    until(|| count.load(Ordering::SeqCst) == 3).await;
    let run = begin(&runtime, &other, &[1]).await;
    assert_eq!(run.output().await.unwrap(), [2]);
    assert_eq!(runtime.core().slots.free(), 1);
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn who_is_through_the_lane_leaves_it_to_others() {
    let _watch = watch();
    let (count, job) = deadly();
    let gate = Gate::new();
    let flow = Flow::new("two")
        .job("suspect", &[0], gate.job())
        .job("other", &[1], job)
        .build();
    let store = TestStore::default();
    let start = async || {
        let builder = Runtime::with_store(store.clone()).crash_attempts_max(2);
        builder.executable(&flow).start().await.unwrap()
    };
    let runtime = start().await;
    for _ in 0..3 {
        drop(begin(&runtime, &flow, &[1]).await);
    }
    until(|| gate.begun() == 3).await;
    drop(runtime);
    let runtime = start().await;
    for nth in 1..=3 {
        until(|| gate.begun() == 3 + nth).await;
        gate.open.add_permits(1);
        until(|| count.load(Ordering::SeqCst) == nth).await;
    }
    assert!(runtime.core().lane.try_lock().is_ok());
}

#[tokio::test]
async fn no_crash_at_all_can_not_be_asked_for() {
    let _watch = watch();
    let refused = Runtime::in_memory().crash_attempts_max(0).start().await;
    let error = refused.err().unwrap();
    assert_eq!(
        error.to_string(),
        "`crash_attempts_max` is 0: a job would fail before it was ever started"
    );
}
