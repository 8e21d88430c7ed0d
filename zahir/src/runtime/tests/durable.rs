//! What is on disk when, what a restart finds, and what a failing store does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Semaphore;
use zahir_store::{FailureKind, Record, RunStatus, StoreError, StoreErrorKind};

use super::*;
use crate::error::Error;
use crate::plan::{Exit, PlanKind};
use crate::runtime::recovery::ProblemKind;
use crate::wire::{Failed, Outcome, Produced, Step};

/// A job that ends when it is let through, and counts how often it began.
pub(super) struct Gate {
    pub(super) open: Semaphore,
    begun: AtomicU64,
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Semaphore::new(0),
            begun: AtomicU64::new(0),
        })
    }

    pub(super) fn job(self: &Arc<Self>) -> Work {
        let gate = Arc::clone(self);
        work(move |inputs, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.begun.fetch_add(1, Ordering::SeqCst);
                gate.open.acquire().await.unwrap().forget();
                Ok(inputs.iter().sum::<u64>() + 1)
            }
        })
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }
}

fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::runtime::Handle::current().spawn(future)
}

/// The records of a run, shortened.
fn told(records: &[Record]) -> Vec<String> {
    let tell = |record: &Record| match record {
        Record::RunStarted(_) => "run started".to_owned(),
        Record::AttemptStarted { at, attempt } => format!("{at:?}#{attempt} started"),
        Record::AttemptSucceeded { at, attempt, .. } => format!("{at:?}#{attempt} succeeded"),
        Record::AttemptFailed { at, attempt, .. } => format!("{at:?}#{attempt} failed"),
        Record::AttemptInterrupted { at, attempt } => format!("{at:?}#{attempt} interrupted"),
        Record::ItemsCounted { at, items } => format!("{at:?} has {items}"),
        Record::CancelRequested(request) => format!("cancel: {}", request.reason),
        Record::RunFinished(ending) => format!("{ending:?}").chars().take(9).collect(),
        Record::BranchTaken { .. }
        | Record::BlockEntered { .. }
        | Record::ErrorKept { .. }
        | Record::RaceWon { .. }
        | Record::TimerSet { .. }
        | Record::SignalReceived { .. }
        | Record::SignalConsumed { .. }
        | Record::WaitTimedOut { .. }
        | Record::RecoveryBegan { .. }
        | Record::AttemptRecovered { .. }
        | Record::AttemptPostponed { .. }
        | Record::DeadlineSet { .. }
        | Record::DeadlinePassed { .. }
        | Record::UndoOwed { .. }
        | Record::UndoingBegan { .. }
        | Record::UndoStarted { .. }
        | Record::UndoSucceeded { .. }
        | Record::UndoFailed { .. }
        | Record::UndoInterrupted { .. }
        | Record::ResultShared { .. }
        | Record::ArgumentsReplaced { .. }
        | Record::ChildrenSpawned { .. }
        | Record::AttemptParked { .. }
        | Record::AttemptResumed { .. }
        | Record::ChildrenLeft { .. }
        | Record::ValueKept { .. }
        | Record::AttemptContinued { .. }
        | Record::AttemptsDropped { .. }
        | Record::ChildrenSuspended { .. }
        | Record::ChildrenResumed { .. }
        | Record::RunRevised(_) => format!("{record:?}"),
    };
    records.iter().map(tell).collect()
}

/// `charge().rescue(|err| refund(err))`; the error is `5`.
fn rescued(refund: Work) -> Arc<Executable> {
    let decline = |_| {
        Step::Run(Box::pin(std::future::ready(Outcome::Failed(Failed {
            failure: error("declined"),
            error: Some(Produced {
                value: Value::new(vec![5_u64]),
                encoded: flow::encode(&[5]),
                extra: None,
            }),
            is_final: false,
        }))))
    };
    Flow::new("rescued")
        .block("paid", PlanKind::Rescue { is_typed: true }, &[])
        .inside(Exit::Value, |flow| {
            flow.pure("charge", PlanKind::Job, &[], decline)
                .keeps_error()
        })
        .inside(Exit::Value, |mut flow| {
            let caught = flow.input("err");
            flow.job("refund", &[caught], refund)
        })
        .build()
}

#[tokio::test]
async fn a_handler_is_given_the_recorded_error_after_a_restart() {
    let _watch = watch();
    let gate = Gate::new();
    let flow = rescued(gate.job());
    let store = TestStore::default();
    let first = over(&store, &flow).await;
    let id = begin(&first, &flow, &[1]).await.id();
    until(|| gate.begun() == 1).await;
    first.shutdown_within(Duration::ZERO).await.unwrap();
    let is_kept = |record: &Record| matches!(record, Record::ErrorKept { .. });
    assert!(store.records(id).iter().any(is_kept));
    gate.open.add_permits(1);
    let second = over(&store, &flow).await;
    let run = start::find(second.core(), &flow, id).await.unwrap();
    let run: Handle = RunHandle::new(Arc::clone(second.core()), run);
    assert_eq!(run.output().await.unwrap(), [6]);
    assert_eq!(gate.begun(), 2);
    second.shutdown().await.unwrap();
}

fn broken() -> StoreError {
    StoreError::new(StoreErrorKind::Io, "the disk is gone").outcome_unknown()
}

#[tokio::test]
async fn a_start_is_on_record_when_it_returns() {
    let _watch = watch();
    let gate = Gate::new();
    let flow = Flow::new("held").job("held", &[0], gate.job()).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    assert!(matches!(store.records(run.id())[0], Record::RunStarted(_)));
    gate.open.add_permits(1);
    assert_eq!(run.output().await.unwrap(), [2]);
    let expected = ["run started", "1#1 started", "1#1 succeeded", "Succeeded"];
    assert_eq!(told(&store.records(run.id())), expected);
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_attempt_is_polled_only_when_it_is_on_record() {
    let _watch = watch();
    let store = TestStore::default();
    let seen = store.clone();
    let job = work(move |_, _| {
        let run = seen.all().last().unwrap().id;
        let last = seen.records(run).pop();
        std::future::ready(match last {
            Some(Record::AttemptStarted { .. }) => Ok(1),
            other => Err(error(&format!("{other:?}"))),
        })
    });
    let mut flow = Flow::new("chain");
    for at in 0..5 {
        flow = flow.job("next", &[at], Arc::clone(&job));
    }
    let flow = flow.build();
    let runtime = over(&store, &flow).await;
    assert_eq!(
        begin(&runtime, &flow, &[1]).await.output().await.unwrap(),
        [1]
    );
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_never_called_on_an_async_worker() {
    let _watch = watch();
    let flow = Flow::new("fan").each("all", 0, add(1)).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let run = try_begin(&runtime, &flow, &[0; 100], Some("key"))
        .await
        .unwrap();
    run.output().await.unwrap();
    assert_eq!(runtime.runs(None, 10).await.unwrap().len(), 1);
    start::find(runtime.core(), &flow, run.id()).await.unwrap();
    runtime.shutdown().await.unwrap();
    assert_eq!(store.threads(), ["zahir-reader", "zahir-writer"]);
    assert_eq!(store.holders(), 1, "a shutdown closes the store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_is_one_run() {
    let _watch = watch();
    let gate = Gate::new();
    let flow = Flow::new("once").job("once", &[0], gate.job()).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let starts = (0..64).map(|_| {
        let (runtime, flow) = (runtime.clone(), Arc::clone(&flow));
        spawn(async move {
            try_begin(&runtime, &flow, &[4], Some("k"))
                .await
                .unwrap()
                .id()
        })
    });
    let mut ids = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        ids.push(start.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let taken = try_begin(&runtime, &flow, &[5], Some("k"))
        .await
        .unwrap_err();
    assert_eq!(
        taken.to_string(),
        format!(
            "the key `k` of `once` belongs to run {}, which has another input: use another key, or \
             the input it was started with",
            ids[0]
        )
    );
    gate.open.add_permits(1);
    let run = try_begin(&runtime, &flow, &[4], Some("k")).await.unwrap();
    assert_eq!(run.output().await.unwrap(), [5]);
    // It is over, here and after a restart.
    for _ in 0..2 {
        let runtime = over(&store, &flow).await;
        let again = try_begin(&runtime, &flow, &[4], Some("k")).await.unwrap();
        assert_eq!(
            (again.id(), again.output().await.unwrap()),
            (ids[0], vec![5])
        );
        let taken = try_begin(&runtime, &flow, &[5], Some("k"))
            .await
            .unwrap_err();
        assert!(
            matches!(taken, StartError::KeyTaken { run, .. } if run == ids[0]),
            "{taken}"
        );
        runtime.shutdown().await.unwrap();
    }
    assert_eq!((store.all().len(), gate.begun()), (1, 1));
}

#[tokio::test]
async fn a_dropped_start_with_a_key_can_be_repeated() {
    let _watch = watch();
    let flow = Flow::new("once").job("once", &[0], add(1)).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    // Polled once, then dropped.
    let start = try_begin(&runtime, &flow, &[4], Some("k"));
    assert!(futures_util::FutureExt::now_or_never(start).is_none());
    let run = try_begin(&runtime, &flow, &[4], Some("k")).await.unwrap();
    assert_eq!(run.output().await.unwrap(), [5]);
    assert_eq!(store.all().len(), 1);
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_goes_on_where_it_was() {
    let _watch = watch();
    let (gate, first) = (Gate::new(), Gate::new());
    first.open.add_permits(9);
    let flow = Flow::new("two").job("first", &[0], first.job());
    let flow = flow.job("second", &[1], gate.job()).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| gate.begun() == 1).await;
    drop(runtime);
    assert_eq!(store.holders(), 1, "a dropped runtime closes its store");
    assert_eq!(
        run.output().await.unwrap_err().kind(),
        RunErrorKind::Stopped
    );

    let runtime = over(&store, &flow).await;
    assert_eq!(runtime.recovered().runs()[0].id(), run.id());
    let again = start::find(runtime.core(), &flow, run.id()).await.unwrap();
    gate.open.add_permits(1);
    let again: Handle = RunHandle::new(Arc::clone(runtime.core()), again);
    assert_eq!(again.output().await.unwrap(), [3]);
    assert_eq!((first.begun(), gate.begun()), (1, 2));
    let expected = [
        "run started",
        "1#1 started",
        "1#1 succeeded",
        "2#1 started",
        "2#2 started",
        "2#2 succeeded",
        "Succeeded",
    ];
    assert_eq!(told(&store.records(run.id())), expected);
    runtime.shutdown().await.unwrap();
    assert!(over(&store, &flow).await.recovered().runs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_keeps_results_and_interrupts_the_rest() {
    let _watch = watch();
    let begun = Arc::new(AtomicU64::new(0));
    let timed = |seconds, more| {
        let begun = Arc::clone(&begun);
        work(move |inputs, _| {
            begun.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(inputs[0] + more)
            }
        })
    };
    let flow = Flow::new("mixed")
        .job("quick", &[0], timed(3, 1))
        .job("slow", &[0], timed(1000, 2))
        .job("both", &[1, 2], add(0))
        .build();
    let store = TestStore::default();
    let clock = Arc::new(Clock::steady());
    let runtime = Runtime::with_store(store.clone()).clock(&clock);
    let runtime = runtime.executable(&flow).start().await.unwrap();
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| begun.load(Ordering::SeqCst) == 2).await;
    runtime.shutdown().await.unwrap();
    assert_eq!(
        run.output().await.unwrap_err().kind(),
        RunErrorKind::Stopped
    );
    let mut records = told(&store.records(run.id()));
    assert!(records.contains(&"1#1 succeeded".to_owned()), "{records:?}");
    assert_eq!(records.pop().unwrap(), "2#1 interrupted");

    let runtime = Runtime::with_store(store.clone()).clock(&clock);
    let runtime = runtime.executable(&flow).start().await.unwrap();
    let again = start::find(runtime.core(), &flow, run.id()).await.unwrap();
    let again: Handle = RunHandle::new(Arc::clone(runtime.core()), again);
    assert_eq!(again.output().await.unwrap(), [5]);
    assert!(told(&store.records(run.id())).contains(&"2#2 succeeded".to_owned()));
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_store_halts_and_loses_nothing_acknowledged() {
    let _watch = watch();
    for fail_at in 0..12 {
        for is_written in [false, true] {
            check_halt(fail_at, is_written).await;
        }
    }
}

async fn check_halt(fail_at: u64, is_written: bool) {
    let mut flow = Flow::new("chain");
    for at in 0..3 {
        flow = flow.job("next", &[at], add(1));
    }
    let flow = flow.build();
    let store = TestStore::default();
    let writes = Arc::new(AtomicU64::new(0));
    let (counted, inner) = (Arc::clone(&writes), store.clone());
    store.on_append(move |batch| {
        let count = counted.fetch_add(1, Ordering::SeqCst);
        if count == fail_at {
            if is_written {
                inner.write_behind(batch);
            }
            return Err(broken());
        }
        Ok(())
    });
    let runtime = over(&store, &flow).await;
    let (acknowledged, ended) = run_until_halted(&runtime, &flow).await;
    if let Some(run) = acknowledged.last() {
        let cancelled = run.cancel("too late").await;
        assert!(cancelled.is_err() || ended.len() == acknowledged.len());
    }
    assert!(matches!(runtime.shutdown().await, Err(Error::Halted(_))));
    store.heal();

    let runtime = over(&store, &flow).await;
    assert!(runtime.recovered().problems().is_empty());
    for run in acknowledged {
        let found = start::find(runtime.core(), &flow, run.id()).await.unwrap();
        let found: Handle = RunHandle::new(Arc::clone(runtime.core()), found);
        assert_eq!(found.output().await.unwrap(), [4]);
    }
    for id in ended {
        let finishes = told(&store.records(id));
        assert_eq!(finishes.iter().filter(|it| *it == "Succeeded").count(), 1);
    }
    runtime.shutdown().await.unwrap();
}

/// The runs whose start was acknowledged, and those whose end was.
async fn run_until_halted(
    runtime: &Runtime,
    flow: &Arc<Executable>,
) -> (Vec<Handle>, Vec<zahir_store::RunId>) {
    let (mut acknowledged, mut ended) = (Vec::new(), Vec::new());
    loop {
        let run = match try_begin(runtime, flow, &[1], None).await {
            Ok(run) => run,
            Err(error) => {
                assert!(matches!(error, StartError::Halted(_)), "{error}");
                return (acknowledged, ended);
            }
        };
        match run.output().await {
            Ok(_) => ended.push(run.id()),
            Err(error) => assert_eq!(error.kind(), RunErrorKind::Halted, "{error}"),
        }
        acknowledged.push(run);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_after_a_failure() {
    let _watch = watch();
    let flow = Flow::new("one").job("one", &[0], add(1)).build();
    let store = TestStore::default();
    let (fail, failing) = mpsc::channel::<()>();
    let (entered, mut entering) = tokio::sync::mpsc::unbounded_channel();
    let mut failing = Some(failing);
    store.on_append(move |_| match failing.take() {
        Some(failing) => {
            entered.send(()).unwrap();
            failing.recv().unwrap();
            Err(broken())
        }
        None => Ok(()),
    });
    let runtime = over(&store, &flow).await;
    let begin = || {
        let (runtime, flow) = (runtime.clone(), Arc::clone(&flow));
        spawn(async move { try_begin(&runtime, &flow, &[1], None).await.unwrap_err() })
    };
    let first = begin();
    entering.recv().await.unwrap();
    let second = begin();
    until(|| runtime.core().writer.queued() > 0).await;
    fail.send(()).unwrap();
    for error in [first.await.unwrap(), second.await.unwrap()] {
        assert!(matches!(error, StartError::Halted(_)), "{error}");
    }
    assert!(runtime.shutdown().await.is_err());
    assert!(store.all().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_panics_halts_the_runtime_alone() {
    let _watch = watch();
    let flow = Flow::new("one").job("one", &[0], add(1)).build();
    let store = TestStore::default();
    store.on_append(|_| panic!("garbage"));
    let runtime = over(&store, &flow).await;
    let error = try_begin(&runtime, &flow, &[1], None).await.unwrap_err();
    let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert_eq!(told.matches("restart the program").count(), 1, "{told}");
    let StartError::Halted(halted) = error else {
        panic!("{error}");
    };
    assert_eq!(halted.cause().to_string(), "the store panicked: garbage");
    assert!(halted.cause().is_outcome_unknown());
    assert!(
        runtime.runs(None, 10).await.unwrap().is_empty(),
        "reads go on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_file_halts_the_runtime() {
    let _watch = watch();
    let flow = Flow::new("one").job("one", &[0], add(1)).build();
    let store = TestStore::default();
    let runtime = Runtime::with_store(store.clone()).attached_interval(Duration::ZERO);
    let runtime = runtime.executable(&flow).start().await.unwrap();
    store.detach();
    let halted = try_begin(&runtime, &flow, &[1], None).await.unwrap_err();
    assert!(matches!(halted, StartError::Halted(_)), "{halted}");
    assert!(store.all().is_empty());
    let refused = Runtime::with_store(store.clone())
        .start()
        .await
        .unwrap_err();
    assert!(matches!(refused, OpenError::Store(error) if error.kind() == StoreErrorKind::Detached));
}

#[tokio::test]
async fn a_cancel_is_on_record_before_anything_is_dropped() {
    let _watch = watch();
    let store = TestStore::default();
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let too_early = Arc::new(Mutex::new(None));
    let verdict = Arc::clone(&too_early);
    let tokio = tokio::runtime::Handle::current();
    store.on_append(move |batch| {
        // Whatever tokio was told to drop is dropped when it has run another task to its end.
        let (ran, has_run) = mpsc::channel();
        drop(tokio.spawn(async move {
            tokio::task::yield_now().await;
            ran.send(())
        }));
        has_run.recv().unwrap();
        let mut records = batch.iter().flat_map(|append| &append.records);
        if records.any(|record| matches!(record, Record::CancelRequested(_))) {
            *verdict.lock().unwrap() = Some(seen.load(Ordering::SeqCst));
        }
        Ok(())
    });
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let job = work(move |_, _| {
        let dropped = SetOnDrop(Arc::clone(&dropped));
        begins.store(true, Ordering::SeqCst);
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    });
    let flow = Flow::new("stuck").job("stuck", &[0], job).build();
    let runtime = over(&store, &flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| begun.load(Ordering::SeqCst)).await;
    assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
    assert_eq!(*too_early.lock().unwrap(), Some(false));
    let records = told(&store.records(run.id()));
    assert_eq!(records[2..], ["cancel: enough", "Cancelled"], "{records:?}");
    runtime.shutdown().await.unwrap();
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn events_are_told_only_of_what_is_durable() {
    let _watch = watch();
    let flow = Flow::new("one").job("one", &[0], add(1)).build();
    let store = TestStore::default();
    store.on_append(|_| Err(broken()));
    let runtime = over(&store, &flow).await;
    let mut events = runtime.events();
    try_begin(&runtime, &flow, &[1], None).await.unwrap_err();
    assert!(runtime.shutdown().await.is_err());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_the_name_of_the_limit() {
    let _watch = watch();
    let flow = Flow::new("big")
        .each("all", 0, add(1))
        .job("sum", &[1], add(0));
    let flow = flow.build();
    let store = TestStore::default();
    let runtime = Runtime::with_store(store.clone()).value_bytes_max(100);
    let runtime = runtime.executable(&flow).start().await.unwrap();
    let refused = try_begin(&runtime, &flow, &[1; 100], None)
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        StartError::TooLarge {
            bytes: 801,
            bytes_max: 100,
            ..
        }
    ));
    assert!(store.all().is_empty());
    runtime.shutdown().await.unwrap();

    let runtime = Runtime::with_store(store.clone()).value_bytes_max(8);
    let runtime = runtime.executable(&flow).start().await.unwrap();
    let run = begin(&runtime, &flow, &[]).await;
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TooLarge));
    assert_eq!(
        error.to_string(),
        "node `sum` failed: the output of `sum` has 9 bytes; `value_bytes_max` allows 8: raise it, \
         or pass a reference to where the data is"
    );
    runtime.shutdown().await.unwrap();
    let refused = Runtime::in_memory().value_bytes_max(1 << 30).start().await;
    assert!(matches!(
        refused,
        Err(OpenError::Setting {
            setting: "value_bytes_max",
            ..
        })
    ));
}

#[tokio::test]
async fn a_run_that_cannot_go_on_is_reported_and_left_alone() {
    let _watch = watch();
    let store = TestStore::default();
    let gate = Gate::new();
    let held = |name, job| {
        Flow::new(name)
            .job("first", &[0], add(1))
            .job(job, &[1], gate.job())
    };
    let (lost, changed, good) = (held("lost", "a"), held("changed", "a"), held("good", "a"));
    let (lost, changed, good) = (lost.build(), changed.build(), good.build());
    let runtime = Runtime::with_store(store.clone()).executable(&lost);
    let runtime = runtime
        .executable(&changed)
        .executable(&good)
        .start()
        .await
        .unwrap();
    let lost = begin(&runtime, &lost, &[1]).await.id();
    let old = begin(&runtime, &changed, &[1]).await.id();
    let fine = begin(&runtime, &good, &[1]).await.id();
    until(|| gate.begun() == 3).await;
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    let before = [store.records(lost), store.records(old)];

    let changed = held("changed", "b").build();
    let runtime = Runtime::with_store(store.clone()).executable(&changed);
    let runtime = runtime.executable(&good).start().await.unwrap();
    let recovered = runtime.recovered();
    assert_eq!(
        recovered
            .runs()
            .iter()
            .map(|run| run.id())
            .collect::<Vec<_>>(),
        [fine]
    );
    let [first, second] = recovered.problems() else {
        panic!("{recovered:?}");
    };
    assert_eq!((first.run(), first.workflow()), (lost, Some("lost")));
    assert!(matches!(first.kind(), ProblemKind::UnknownWorkflow));
    assert_eq!(second.run(), old);
    assert!(matches!(second.kind(), ProblemKind::DefinitionChanged { nodes } if nodes.is_empty()));
    let parked = start::find(runtime.core(), &changed, old)
        .await
        .unwrap_err();
    assert!(
        matches!(parked, StartError::Parked { run, .. } if run == old),
        "{parked}"
    );
    gate.open.add_permits(1);
    let fine = start::find(runtime.core(), &good, fine).await.unwrap();
    let fine: Handle = RunHandle::new(Arc::clone(runtime.core()), fine);
    assert_eq!(fine.output().await.unwrap(), [3]);
    runtime.shutdown().await.unwrap();
    assert_eq!([store.records(lost), store.records(old)], before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_runs_go_on() {
    let _watch = watch();
    let gate = Gate::new();
    let flow = Flow::new("held").job("first", &[0], add(1));
    let flow = flow.job("held", &[1], gate.job()).build();
    let store = TestStore::default();
    let runtime = Runtime::with_store(store.clone()).jobs_max(5000);
    let runtime = runtime.executable(&flow).start().await.unwrap();
    let starts = (0..3000).map(|from| {
        let (runtime, flow) = (runtime.clone(), Arc::clone(&flow));
        spawn(async move { begin(&runtime, &flow, &[from]).await.id() })
    });
    let mut ids = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        ids.push(start.await.unwrap());
    }
    until(|| gate.begun() == 3000).await;
    drop(runtime);

    // Jobs of the dropped runtime may take some before they are dropped.
    gate.open.add_permits(6000);
    let runtime = over(&store, &flow).await;
    assert_eq!(runtime.recovered().runs().len(), 3000);
    for (id, from) in ids.into_iter().zip(0..) {
        let run = start::find(runtime.core(), &flow, id).await.unwrap();
        let run: Handle = RunHandle::new(Arc::clone(runtime.core()), run);
        assert_eq!(run.output().await.unwrap(), [from + 2]);
    }
    runtime.shutdown().await.unwrap();
}
