//! Two things at once: a key asked for by several, a lookup beside a start, a start beside the end
//! of tokio's runtime or of this one.

use std::sync::Mutex;

use tokio::sync::Semaphore;
use zahir_store::{Record, RunStatus, TEXT_BYTES_MAX};

use super::*;

/// A run with key `k` and input 4 that is over.
async fn one_with_a_key(runtime: &Runtime, flow: &Arc<Executable>) -> Handle {
    let run = try_begin(runtime, flow, &[4], Some("k")).await.unwrap();
    assert_eq!(run.output().await.unwrap(), [5]);
    run
}

#[tokio::test]
async fn the_right_input_is_not_refused_because_a_wrong_one_asked_first() {
    let _watch = watch();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let run = one_with_a_key(&runtime, &flow).await;
    let (wrong, right, other) = tokio::join!(
        try_begin(&runtime, &flow, &[5], Some("k")),
        try_begin(&runtime, &flow, &[4], Some("k")),
        try_begin(&runtime, &flow, &[6], Some("k")),
    );
    assert_eq!(right.unwrap().id(), run.id());
    for taken in [wrong.unwrap_err(), other.unwrap_err()] {
        assert!(
            matches!(taken, StartError::KeyTaken { run: id, .. } if id == run.id()),
            "{taken}"
        );
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_run_is_found_while_somebody_asks_for_its_key_with_another_input() {
    let _watch = watch();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let run = one_with_a_key(&runtime, &flow).await;
    let (wrong, found) = tokio::join!(
        try_begin(&runtime, &flow, &[5], Some("k")),
        start::find_key(runtime.core(), &flow, "k"),
    );
    assert!(matches!(wrong, Err(StartError::KeyTaken { .. })));
    assert_eq!(found.unwrap().unwrap().id, run.id());
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_key_that_no_store_can_hold_is_refused_and_harms_nobody() {
    let _watch = watch();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    for runtime in [in_memory(&flow).await, over(&store, &flow).await] {
        let long = "k".repeat(TEXT_BYTES_MAX + 1);
        let refused = try_begin(&runtime, &flow, &[1], Some(&long))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the input of `once` can't be stored: its key has 4097 bytes, of which 4096 are \
             possible: use a shorter one"
        );
        let fits = try_begin(&runtime, &flow, &[1], Some(&long[1..])).await;
        assert_eq!(fits.unwrap().output().await.unwrap(), [2]);
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_start_after_the_shutdown_says_so_with_a_key_and_without() {
    let _watch = watch();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    for runtime in [in_memory(&flow).await, over(&store, &flow).await] {
        runtime.shutdown().await.unwrap();
        for key in [None, Some("k")] {
            let refused = try_begin(&runtime, &flow, &[1], key).await.unwrap_err();
            assert!(matches!(refused, StartError::ShutDown), "{refused}");
        }
        runtime.shutdown().await.unwrap();
    }
}

#[test]
fn without_its_tokio_runtime_nothing_starts_and_nothing_hangs() {
    let _watch = watch();
    let first = tokio::runtime::Runtime::new().unwrap();
    let second = tokio::runtime::Runtime::new().unwrap();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    let (memory, durable) =
        first.block_on(async { (in_memory(&flow).await, over(&store, &flow).await) });
    drop(first);
    second.block_on(async {
        for runtime in [memory, durable] {
            for key in [None, Some("k")] {
                match try_begin(&runtime, &flow, &[1], key).await {
                    Ok(run) => {
                        let error = run.output().await.unwrap_err();
                        assert_eq!(error.kind(), RunErrorKind::Stopped);
                    }
                    Err(refused) => assert!(matches!(refused, StartError::ShutDown), "{refused}"),
                }
            }
            runtime.shutdown().await.unwrap();
        }
    });
    assert_eq!(store.holders(), 1, "the store is closed");
}

#[test]
fn runs_under_way_are_left_when_tokio_ends() {
    let _watch = watch();
    let first = tokio::runtime::Runtime::new().unwrap();
    let second = tokio::runtime::Runtime::new().unwrap();
    let stuck = work(|_, _| std::future::pending());
    let flow = Flow::new("stuck").job("stuck", &[0], stuck).build();
    let store = TestStore::default();
    let (runtime, run) = first.block_on(async {
        let runtime = over(&store, &flow).await;
        let run = try_begin(&runtime, &flow, &[1], Some("k")).await.unwrap();
        (runtime, run)
    });
    drop(first);
    second.block_on(async {
        assert_eq!(
            run.output().await.unwrap_err().kind(),
            RunErrorKind::Stopped
        );
        assert_eq!(
            run.cancel("too late").await.unwrap_err().kind(),
            RunErrorKind::Stopped
        );
        runtime.shutdown().await.unwrap();
    });
    assert_eq!(store.holders(), 1, "the store is closed");
}

/// Lets one `load` wait in the store, from the moment it has read.
fn hold_a_load(store: &TestStore) -> (Arc<Semaphore>, mpsc::Sender<()>) {
    let entered = Arc::new(Semaphore::new(0));
    let (go, going) = mpsc::channel();
    let (seen, going) = (Arc::clone(&entered), Mutex::new(Some(going)));
    store.after_load(move || {
        if let Some(going) = going.lock().unwrap().take() {
            seen.add_permits(1);
            going.recv().unwrap();
        }
    });
    (entered, go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_while_it_is_looked_up_is_found() {
    let _watch = watch();
    let open = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&open);
    let job = work(move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(9)
        }
    });
    let flow = Flow::new("held").job("held", &[0], job).build();
    let store = TestStore::default();
    let first = over(&store, &flow).await;
    let id = try_begin(&first, &flow, &[1], Some("k"))
        .await
        .unwrap()
        .id();
    first.shutdown_within(Duration::ZERO).await.unwrap();
    // A run that was recovered has no claim: a start with its key asks the store.
    let runtime = over(&store, &flow).await;
    let run = start::find(runtime.core(), &flow, id).await.unwrap();
    let (entered, go) = hold_a_load(&store);
    let again = {
        let (runtime, flow) = (runtime.clone(), Arc::clone(&flow));
        tokio::runtime::Handle::current()
            .spawn(async move { try_begin(&runtime, &flow, &[1], Some("k")).await })
    };
    entered.acquire().await.unwrap().forget();
    open.add_permits(1);
    run.finished().await;
    go.send(()).unwrap();
    let again = again.await.unwrap().unwrap();
    assert_eq!((again.id(), again.status()), (id, RunStatus::Succeeded));
    assert_eq!(again.output().await.unwrap(), [9]);
    assert_eq!(
        runtime.core().claims.count(),
        0,
        "no claim outlives its run"
    );
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_claim_outlives_its_run() {
    let _watch = watch();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    for runtime in [in_memory(&flow).await, over(&store, &flow).await] {
        let starts = (0..200_u64).map(|at| {
            let (runtime, flow) = (runtime.clone(), Arc::clone(&flow));
            tokio::runtime::Handle::current().spawn(async move {
                let key = format!("k{}", at % 5);
                let run = try_begin(&runtime, &flow, &[at % 5], Some(&key)).await;
                run.unwrap().output().await.unwrap()
            })
        });
        for (start, at) in starts.collect::<Vec<_>>().into_iter().zip(0..) {
            assert_eq!(start.await.unwrap(), [at % 5 + 1]);
        }
        until(|| runtime.core().claims.count() == 0).await;
        runtime.shutdown().await.unwrap();
    }
}

/// A job that ends when it is let through.
fn gated() -> (Arc<Semaphore>, Work) {
    let open = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&open);
    let job = work(move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(9)
        }
    });
    (open, job)
}

#[tokio::test]
async fn the_events_of_a_run_in_memory_that_nobody_watched_end_with_it() {
    let _watch = watch();
    let (open, job) = gated();
    let flow = Flow::new("held").job("held", &[0], job).build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    let mut events = run.events();
    open.add_permits(1);
    while events.next().await.is_some() {}
    assert_eq!(run.status(), RunStatus::Succeeded);
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_asked_for_while_the_last_record_is_written_end_with_the_run() {
    let _watch = watch();
    let flow = Flow::new("one").job("one", &[0], add(1)).build();
    let store = TestStore::default();
    let (entered, mut entering) = tokio::sync::mpsc::unbounded_channel();
    let (go, going) = mpsc::channel::<()>();
    store.on_append(move |batch| {
        let mut records = batch.iter().flat_map(|append| &append.records);
        if records.any(|record| matches!(record, Record::RunFinished(_))) {
            entered.send(()).unwrap();
            going.recv().unwrap();
        }
        Ok(())
    });
    let runtime = over(&store, &flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    entering.recv().await.unwrap();
    let mut events = run.events();
    go.send(()).unwrap();
    while events.next().await.is_some() {}
    assert_eq!(run.status(), RunStatus::Succeeded);
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_recorded_while_other_jobs_of_the_run_compute() {
    let _watch = watch();
    let store = TestStore::default();
    let seen = store.clone();
    let job = work(move |_, _| {
        let start = tokio::time::Instant::now();
        while start.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let run = seen.all().last().unwrap().id;
        let records = seen.records(run);
        let is_result = |record: &&Record| matches!(record, Record::AttemptSucceeded { .. });
        let results = records.iter().filter(is_result).count();
        std::future::ready(Ok(u64::try_from(results).unwrap()))
    });
    let flow = Flow::new("busy").each("all", 0, job).build();
    let runtime = over(&store, &flow).await;
    let run = begin(&runtime, &flow, &[0; 100]).await;
    let seen = run.output().await.unwrap();
    assert!(seen.iter().any(|results| *results > 50), "{seen:?}");
    runtime.shutdown().await.unwrap();
}
