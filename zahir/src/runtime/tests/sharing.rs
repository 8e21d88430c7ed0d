//! Results that runs share: one runs the job, and the others have what it gave.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use zahir_store::{
    Append, Attempt, DefinitionId, Ending, FailureKind, NodeId, Position, Record, RunId, RunStart,
    RunStatus, Store, Timestamp,
};

use super::evaluation::any_place;
use super::flow::{Raw, produced, raw};
use super::waits::TWO;
use super::*;
use crate::job::context::Context;
use crate::plan::{Exit, PlanKind};
use crate::runtime::RuntimeBuilder;
use crate::runtime::executor::Key;
use crate::runtime::run::{Message, Run};
use crate::runtime::shared::Recalled;
use crate::wire::{Extra, Outcome, Step};

const KEY: u128 = 7;
const HOUR: Duration = Duration::from_secs(3600);

/// A job with one result for all, and what is to be seen of it.
struct Single {
    /// How often it ran.
    ran: AtomicU64,
    /// How many attempts were given the result of another.
    given: AtomicU64,
    /// How many asked.
    asked: AtomicU64,
    /// It goes on when it is let through.
    open: Semaphore,
    /// How often it fails first.
    failures: u64,
    lasts: Option<Duration>,
    /// What a job can do: keep its context.
    leaked: Mutex<Vec<Context>>,
}

impl Single {
    fn new() -> Self {
        Self {
            ran: AtomicU64::new(0),
            given: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            open: Semaphore::new(0),
            failures: 0,
            lasts: None,
            leaked: Mutex::default(),
        }
    }

    /// One that is let through at once.
    fn open() -> Self {
        let open = Semaphore::new(1000);
        Self {
            open,
            ..Self::new()
        }
    }

    fn job(self: &Arc<Self>) -> Raw {
        let single = Arc::clone(self);
        raw(move |inputs, context| Arc::clone(&single).run(inputs, context))
    }

    async fn run(self: Arc<Self>, inputs: Vec<u64>, context: Context) -> Outcome {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(shared) = context.shared() {
            match shared.recall(KEY).await {
                Ok(None) => {}
                Ok(Some(encoded)) => {
                    self.given.fetch_add(1, Ordering::SeqCst);
                    let mut known = produced(u64::from_le_bytes(encoded[1..].try_into().unwrap()));
                    known.encoded = encoded;
                    return Outcome::Produced(known);
                }
                Err(failure) => return failure.into(),
            }
        }
        self.leaked.lock().unwrap().push(context);
        let nth = self.ran.fetch_add(1, Ordering::SeqCst) + 1;
        self.open.acquire().await.unwrap().forget();
        if nth <= self.failures {
            return error("no").into();
        }
        let mut produced = produced(inputs[0] + 100 * nth);
        let shared = Some((KEY, self.lasts));
        produced.extra = Some(Box::new(Extra { undo: None, shared }));
        Outcome::Produced(produced)
    }

    fn flow(self: &Arc<Self>) -> Arc<Executable> {
        let flow = Flow::new("single").raw("single", &[0], self.job());
        flow.shared().build()
    }

    fn ran(&self) -> u64 {
        self.ran.load(Ordering::SeqCst)
    }

    fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// In memory and over a store.
fn both() -> [RuntimeBuilder; 2] {
    [
        Runtime::in_memory(),
        Runtime::with_store(TestStore::default()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_runs() {
    let _watch = watch();
    for jobs_max in [1, 2, 1000] {
        for builder in both() {
            let single = Arc::new(Single::open());
            let flow = single.flow();
            let builder = builder.jobs_max(jobs_max).executable(&flow);
            let runtime = builder.start().await.unwrap();
            let mut runs = Vec::new();
            for from in 0..64 {
                runs.push(begin(&runtime, &flow, &[from]).await);
            }
            let first = runs[0].output().await.unwrap();
            for run in &runs {
                assert_eq!(run.output().await.unwrap(), first);
            }
            assert_eq!((single.ran(), single.given()), (1, 63));
            assert_eq!(runtime.core().slots.free(), jobs_max);
            runtime.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn two_nodes_of_one_run_share_too() {
    let _watch = watch();
    for builder in both() {
        let single = Arc::new(Single::open());
        let flow = Flow::new("two")
            .raw("one", &[0], single.job())
            .shared()
            .raw("other", &[0], single.job())
            .shared()
            .job("sum", &[1, 2], add(0))
            .build();
        let runtime = builder.executable(&flow).start().await.unwrap();
        let run = begin(&runtime, &flow, &[1]).await;
        assert_eq!(run.output().await.unwrap(), [202]);
        assert_eq!((single.ran(), single.given()), (1, 1));
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn if_one_fails_the_next_runs() {
    let _watch = watch();
    for builder in both() {
        let single = Arc::new(Single {
            failures: 2,
            ..Single::new()
        });
        let flow = single.flow();
        let runtime = builder.executable(&flow).start().await.unwrap();
        let mut runs = Vec::new();
        for from in 0..6 {
            runs.push(begin(&runtime, &flow, &[from]).await);
        }
        until(|| single.asked() == 6).await;
        single.open.add_permits(3);
        let mut failed = 0;
        for run in runs {
            match run.output().await {
                Ok(output) => assert_eq!(output[0] / 100, 3),
                Err(error) => {
                    assert_eq!(error.to_string(), "node `single` failed: no");
                    failed += 1;
                }
            }
        }
        assert_eq!((failed, single.ran(), single.given()), (2, 3, 3));
        assert_eq!(single.leaked.lock().unwrap().len(), 3);
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn if_one_is_cancelled_the_next_runs() {
    let _watch = watch();
    for builder in both() {
        let single = Arc::new(Single::new());
        let flow = single.flow();
        let runtime = builder.executable(&flow).start().await.unwrap();
        let first = begin(&runtime, &flow, &[1]).await;
        until(|| single.ran() == 1).await;
        let second = begin(&runtime, &flow, &[2]).await;
        let third = begin(&runtime, &flow, &[3]).await;
        until(|| single.asked() == 3).await;
        // One that waits can be cancelled, too.
        second.cancel("enough").await.unwrap();
        assert_eq!(single.ran(), 1);
        first.cancel("enough").await.unwrap();
        until(|| single.ran() == 2).await;
        single.open.add_permits(1);
        assert_eq!(third.output().await.unwrap(), [203]);
        runtime.shutdown().await.unwrap();
        assert_eq!(runtime.core().slots.free(), JOBS_MAX);
    }
}

#[tokio::test]
async fn who_waits_leaves_its_slot_to_others() {
    let _watch = watch();
    for builder in both() {
        let single = Arc::new(Single::new());
        let flow = single.flow();
        let other = Flow::new("other").each("all", 0, add(1)).build();
        let builder = builder.executable(&flow).executable(&other);
        let runtime = builder.jobs_max(2).start().await.unwrap();
        let mut runs = Vec::new();
        for from in 0..5 {
            runs.push(begin(&runtime, &flow, &[from]).await);
        }
        until(|| single.asked() == 5).await;
        let others = begin(&runtime, &other, &[1, 2, 3]).await;
        assert_eq!(others.output().await.unwrap(), [2, 3, 4]);
        single.open.add_permits(1);
        for run in runs {
            assert_eq!(run.output().await.unwrap(), [100]);
        }
        until(|| runtime.core().slots.free() == 2).await;
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_result_is_there_for_others_while_its_run_goes_on() {
    let _watch = watch();
    for builder in both() {
        let single = Arc::new(Single::open());
        let flow = Flow::new("long")
            .raw("single", &[0], single.job())
            .shared()
            .job("stuck", &[1], work(|_, _| std::future::pending()))
            .build();
        let other = single.flow();
        let builder = builder.executable(&flow).executable(&other);
        let runtime = builder.start().await.unwrap();
        let long = begin(&runtime, &flow, &[1]).await;
        let run = begin(&runtime, &other, &[2]).await;
        assert_eq!(run.output().await.unwrap(), [101]);
        assert_eq!(long.status(), RunStatus::Running);
        long.cancel("enough").await.unwrap();
        runtime.shutdown().await.unwrap();
    }
}

/// Holds back the append that has the result of one run, until it is told to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_a_result_that_is_not_durable() {
    let _watch = watch();
    let store = TestStore::default();
    let (go, gone) = mpsc::channel::<()>();
    let is_held = Arc::new(AtomicU64::new(0));
    let held = Arc::clone(&is_held);
    store.on_append(move |batch| {
        let mut records = batch.iter().flat_map(|append| &append.records);
        if records.any(|record| matches!(record, Record::ResultShared { .. })) {
            held.store(1, Ordering::SeqCst);
            gone.recv().unwrap();
        }
        Ok(())
    });
    let single = Arc::new(Single::new());
    let flow = single.flow();
    let runtime = over(&store, &flow).await;
    let first = begin(&runtime, &flow, &[1]).await;
    let second = begin(&runtime, &flow, &[2]).await;
    until(|| single.asked() == 2).await;
    single.open.add_permits(1);
    until(|| is_held.load(Ordering::SeqCst) == 1).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((single.ran(), single.given()), (1, 0));
    go.send(()).unwrap();
    let output = first.output().await.unwrap();
    assert_eq!(second.output().await.unwrap(), output);
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_result_is_there_after_a_restart() {
    let _watch = watch();
    let single = Arc::new(Single::open());
    let flow = single.flow();
    let store = TestStore::default();
    for from in 1..=3 {
        let runtime = over(&store, &flow).await;
        let run = begin(&runtime, &flow, &[from]).await;
        assert_eq!(run.output().await.unwrap(), [101]);
        runtime.shutdown().await.unwrap();
    }
    assert_eq!((single.ran(), single.given()), (1, 2));
}

#[tokio::test]
async fn if_the_process_is_killed_one_of_them_runs_again() {
    let _watch = watch();
    let held = Arc::new(Single::new());
    let flow = held.flow();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let first = begin(&runtime, &flow, &[1]).await.id();
    let second = begin(&runtime, &flow, &[2]).await.id();
    until(|| held.asked() == 2 && held.ran() == 1).await;
    drop(runtime);

    let again = Arc::new(Single::open());
    let flow = again.flow();
    let runtime = over(&store, &flow).await;
    let output = find(&runtime, &flow, first).await.output().await.unwrap();
    let other = find(&runtime, &flow, second).await;
    assert_eq!(other.output().await.unwrap(), output);
    assert_eq!((again.ran(), again.given()), (1, 1));
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_result_is_made_again_when_its_time_is_over() {
    let _watch = watch();
    static WALL: AtomicU64 = AtomicU64::new(1_000_000_000_000);
    for builder in both() {
        let single = Arc::new(Single {
            lasts: Some(HOUR),
            ..Single::open()
        });
        let flow = single.flow();
        let clock = Arc::new(Clock::new(|| WALL.load(Ordering::SeqCst)));
        let builder = builder.executable(&flow).clock(&clock);
        let runtime = builder.start().await.unwrap();
        let mut outputs = Vec::new();
        for minutes in [0, 30, 29, 2, 58, 3] {
            WALL.fetch_add(minutes * 60_000, Ordering::SeqCst);
            let run = begin(&runtime, &flow, &[0]).await;
            outputs.extend(run.output().await.unwrap());
        }
        assert_eq!(outputs, [100, 100, 100, 200, 200, 300]);
        runtime.shutdown().await.unwrap();
    }
}

/// A store in which an earlier process has left results with the keys from 100 on: so many that are
/// over at `until`, and the one behind them that is not.
fn left(count: u128, until: Timestamp) -> TestStore {
    let store = TestStore::default();
    let definition = DefinitionId::from_u128(1);
    let mut records = vec![Record::RunStarted(RunStart {
        workflow: "earlier".to_owned(),
        key: None,
        definition,
        input: Vec::new(),
    })];
    for number in 0..=count {
        let at = Position {
            frames: Vec::new(),
            node: NodeId::new(0),
        };
        records.push(Record::ResultShared {
            at: at.clone(),
            key: 100 + number,
            until: (number < count).then_some(until),
        });
        records.push(Record::AttemptSucceeded {
            at,
            attempt: Attempt::FIRST,
            output: Vec::new(),
        });
    }
    let output = Vec::new();
    records.push(Record::RunFinished(Ending::Succeeded { output }));
    store.write_behind(&[Append {
        run: RunId::from_u128(1),
        first: 0,
        at: Timestamp::default(),
        records,
        definition: Some(Arc::new([])),
    }]);
    store
}

fn left_in(store: &TestStore, count: u128) -> Vec<u128> {
    let keys = 100..=100 + count;
    keys.filter(|key| store.shared(*key).unwrap().is_some())
        .collect()
}

/// Results whose time was over stayed in the file for ever.
#[tokio::test]
async fn results_whose_time_is_over_are_removed_when_a_runtime_begins() {
    let _watch = watch();
    let clock = Arc::new(Clock::steady());
    for (count, looks) in [(0, 1), (62, 1), (63, 2), (150, 3)] {
        let store = left(count, clock.now());
        let flow = Arc::new(Single::open()).flow();
        let builder = Runtime::with_store(store.clone()).executable(&flow);
        let runtime = builder.clock(&clock).start().await.unwrap();
        until(|| left_in(&store, count) == [100 + count] && store.looks() == looks).await;
        // What is kept for ever asks for nothing.
        let run = begin(&runtime, &flow, &[0]).await;
        run.output().await.unwrap();
        runtime.shutdown().await.unwrap();
        assert_eq!(store.looks(), looks);
    }
}

#[tokio::test]
async fn who_adds_a_result_removes_some_whose_time_is_over() {
    let _watch = watch();
    static WALL: AtomicU64 = AtomicU64::new(1_000_000_000_000);
    let clock = Arc::new(Clock::new(|| WALL.load(Ordering::SeqCst)));
    let store = left(150, clock.now().after(HOUR));
    let single = Arc::new(Single {
        lasts: Some(HOUR / 60),
        ..Single::open()
    });
    let flow = single.flow();
    let builder = Runtime::with_store(store.clone()).executable(&flow);
    let runtime = builder.clock(&clock).start().await.unwrap();
    until(|| store.looks() == 3).await;
    assert_eq!(left_in(&store, 150).len(), 151);
    for most in [90, 30, 1] {
        WALL.fetch_add(3_600_000, Ordering::SeqCst);
        let before = store.looks();
        let run = begin(&runtime, &flow, &[0]).await;
        run.output().await.unwrap();
        until(|| store.looks() > before).await;
        assert!(left_in(&store, 150).len() <= most);
    }
    runtime.shutdown().await.unwrap();
    assert_eq!(left_in(&store, 150), [250]);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_another_is_no_time_of_the_attempt() {
    let _watch = watch();
    for wait in [HOUR / 2, HOUR * 10] {
        let single = Arc::new(Single::new());
        let first = single.flow();
        let second = Flow::new("limited")
            .raw("single", &[0], single.job())
            .policy(|policy| policy.timeout = Some(HOUR))
            .shared()
            .build();
        let builder = Runtime::in_memory().executable(&first).executable(&second);
        let clock = Arc::new(Clock::steady());
        let runtime = builder.clock(&clock).start().await.unwrap();
        let first = begin(&runtime, &first, &[1]).await;
        until(|| single.ran() == 1).await;
        let second = begin(&runtime, &second, &[2]).await;
        until(|| single.asked() == 2).await;
        tokio::time::sleep(wait).await;
        assert_eq!(second.status(), RunStatus::Running);
        first.cancel("enough").await.unwrap();
        until(|| single.ran() == 2).await;
        let begun = tokio::time::Instant::now();
        let error = second.output().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TimedOut));
        let took = begun.elapsed();
        assert!(took <= HOUR && took > HOUR * 9 / 10, "{took:?}");
    }
}

/// Both entries of a race end at the same moment: the result of the second is not taken.
#[tokio::test]
async fn a_result_that_its_run_does_not_take_is_nobodys() {
    let _watch = watch();
    for builder in both() {
        let single = Arc::new(Single::new());
        let (other, raced) = (Arc::clone(&single), Arc::clone(&single));
        let winner = raw(move |_, _| {
            let other = Arc::clone(&other);
            async move {
                other.open.acquire().await.unwrap().forget();
                Outcome::Produced(produced(1))
            }
        });
        let flow = Flow::new("race")
            .block("race", PlanKind::Race, &[])
            .described(TWO)
            .inside(Exit::Value, |flow| flow.raw("winner", &[], winner))
            .inside(Exit::Value, |flow| {
                flow.pure("seven", PlanKind::Value, &[], |_| {
                    Step::Value(Value::new(vec![7_u64]))
                })
                .raw("loser", &[3], raced.job())
                .shared()
            })
            .job("stuck", &[1], work(|_, _| std::future::pending()))
            .build();
        let alone = single.flow();
        let builder = builder.executable(&flow).executable(&alone);
        let runtime = builder.start().await.unwrap();
        let long = begin(&runtime, &flow, &[1]).await;
        until(|| single.ran() == 1 && long.progress().running() == 2).await;
        single.open.add_permits(2);
        until(|| single.open.available_permits() == 0).await;
        single.open.add_permits(1);
        let run = begin(&runtime, &alone, &[2]).await;
        run.output().await.unwrap();
        assert_eq!(long.status(), RunStatus::Running);
        long.cancel("enough").await.unwrap();
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_is_over_keeps_no_ticket() {
    let _watch = watch();
    let single = Arc::new(Single::open());
    let flow = single.flow();
    let runtime = in_memory(&flow).await;
    let shared = Arc::clone(&runtime.core().shared);
    let stuck = Flow::new("stuck").job("stuck", &[0], work(|_, _| std::future::pending()));
    let run = try_start(&runtime, &stuck.build()).await;
    let key = Key {
        place: any_place(),
        attempt: Attempt::FIRST,
    };
    for is_over in [false, true] {
        if is_over {
            run.inbox.push(Message::Cancel {
                reason: String::new(),
            });
            run.finished().await;
        }
        let Ok(Recalled::Unknown(ticket)) = shared.recall(KEY).await else {
            panic!("it is somebody's");
        };
        run.earned.keep(key, ticket);
    }
    let Ok(Recalled::Unknown(_)) = shared.recall(KEY).await else {
        panic!("it is somebody's");
    };
}

async fn try_start(runtime: &Runtime, flow: &Arc<Executable>) -> Arc<Run> {
    let run = start::start(runtime.core(), request(flow, &[1]));
    run.await.unwrap()
}

#[tokio::test]
async fn a_workflow_that_is_awaited_shares_with_nobody() {
    let _watch = watch();
    let single = Arc::new(Single::open());
    for nth in 1..=2 {
        let output = inline::execute(single.flow(), vec![Value::new(vec![1_u64])]).await;
        assert_eq!(output.unwrap().get::<Vec<u64>>().unwrap(), &[1 + 100 * nth]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_waits_for_those_who_wait() {
    let _watch = watch();
    let single = Arc::new(Single::new());
    let flow = single.flow();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let first = begin(&runtime, &flow, &[1]).await;
    let second = begin(&runtime, &flow, &[2]).await;
    until(|| single.asked() == 2).await;
    let (ending, opening) = (runtime.shutdown(), async {
        until(|| runtime.core().live.is_closed()).await;
        single.open.add_permits(1);
    });
    let (ended, ()) = tokio::join!(ending, opening);
    ended.unwrap();
    assert_eq!((single.ran(), single.given()), (1, 1));
    let runtime = over(&store, &flow).await;
    let output = find(&runtime, &flow, first.id()).await.output().await;
    let other = find(&runtime, &flow, second.id()).await.output().await;
    assert_eq!(output.unwrap(), other.unwrap());
    assert_eq!(single.ran(), 1);
    runtime.shutdown().await.unwrap();
}
