//! Runs that wait, race and go round: sleeps, signals, losers, loops without an end.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::time::Instant;
use zahir_store::{Record, RunId, RunStatus, Timestamp};

use super::*;
use crate::event::EventKind;
use crate::plan::{Exit, PlanKind};
use crate::signal::Signal;
use crate::wire::{Description, RaceDef, Step};

const GO: Signal<Vec<u64>> = Signal::new("go");
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// A race of two, each of which gives numbers or nothing.
pub(super) const TWO: Description = Description::Race(RaceDef {
    won: &[|value| value, |_| Value::new(vec![2_u64])],
});

fn stuck() -> Work {
    work(|_, _| std::future::pending())
}

/// Goes round for ever, and computes nothing that anybody waits for.
fn endless() -> Flow {
    let kind = PlanKind::Loop {
        max: None,
        or_last: false,
    };
    Flow::new("endless")
        .block("round", kind, &[])
        .inside(Exit::Continue, |flow| {
            flow.pure("branch", PlanKind::Branch, &[], |_| Step::Arm(0))
                .inside(Exit::Value, |flow| flow)
                .inside(Exit::Break, |flow| flow)
        })
}

async fn inline(flow: Flow) -> Result<Vec<u64>, RunError> {
    let value = inline::execute(flow.build(), vec![Value::new(vec![1_u64])]).await?;
    Ok(value.get::<Vec<u64>>().cloned().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_sleep_takes_its_time() {
    let _watch = watch();
    let naps = || {
        Flow::new("naps")
            .job("work", &[0], wait(SECOND, 1))
            .sleep("nap", &[1], HOUR)
            .job("rest", &[1], add(1))
    };
    let start = Instant::now();
    assert_eq!(inline(naps()).await.unwrap(), [3]);
    let slept = start.elapsed();
    assert!(
        slept >= HOUR + SECOND && slept < HOUR + 2 * SECOND,
        "{slept:?}"
    );
    let flow = naps().build();
    let runtime = in_memory(&flow).await;
    let start = Instant::now();
    let run = begin(&runtime, &flow, &[1]).await;
    assert_eq!(run.output().await.unwrap(), [3]);
    let slept = start.elapsed();
    assert!(
        slept >= HOUR + SECOND && slept < HOUR + 2 * SECOND,
        "{slept:?}"
    );
}

/// When the timers of a run end.
fn dues(store: &TestStore, run: RunId) -> Vec<Timestamp> {
    let mut dues = Vec::new();
    for record in store.records(run) {
        if let Record::TimerSet { due, .. } = record {
            dues.push(due);
        }
    }
    dues
}

#[tokio::test]
async fn a_sleep_keeps_its_end_over_a_restart() {
    let _watch = watch();
    let flow = Flow::new("nap")
        .sleep("nap", &[0], HOUR)
        .job("rest", &[0], add(1))
        .build();
    let store = TestStore::default();
    let clock = Arc::new(Clock::steady());
    let open = || {
        let runtime = Runtime::with_store(store.clone());
        runtime.executable(&flow).clock(&clock).start()
    };
    let first = open().await.unwrap();
    let id = begin(&first, &flow, &[1]).await.id();
    until(|| !dues(&store, id).is_empty()).await;
    first.shutdown().await.unwrap();
    // Only now: time that is paused goes on by itself while the store's threads are waited for.
    tokio::time::pause();
    let due = dues(&store, id)[0];
    tokio::time::advance(due.since(clock.now()) / 2).await;
    let second = open().await.unwrap();
    let run = start::find(second.core(), &flow, id).await.unwrap();
    run.finished().await;
    assert!(clock.now() >= due && clock.now().since(due) < SECOND);
    assert_eq!(dues(&store, id), [due]);
    second.shutdown().await.unwrap();
}

static SET_BACK: AtomicU64 = AtomicU64::new(1_000_000_000_000);

#[tokio::test]
async fn waits_take_no_longer_where_the_clock_was_set_back_between_two_processes() {
    let _watch = watch();
    let flow = Flow::new("naps")
        .sleep("nap", &[0], HOUR)
        .job("work", &[0], add(1))
        .sleep("again", &[1], HOUR)
        .job("rest", &[1], add(1))
        .build();
    let store = TestStore::default();
    let open = || {
        let clock = Arc::new(Clock::new(|| SET_BACK.load(Ordering::SeqCst)));
        let runtime = Runtime::with_store(store.clone());
        runtime.executable(&flow).clock(&clock).start()
    };
    let first = open().await.unwrap();
    let id = begin(&first, &flow, &[1]).await.id();
    until(|| !dues(&store, id).is_empty()).await;
    first.shutdown().await.unwrap();
    SET_BACK.fetch_sub(24 * 3_600_000, Ordering::SeqCst);
    tokio::time::pause();
    let start = Instant::now();
    let second = open().await.unwrap();
    let run = start::find(second.core(), &flow, id).await.unwrap();
    run.finished().await;
    let slept = start.elapsed();
    assert!((HOUR..3 * HOUR).contains(&slept), "{slept:?}");
    let [nap, again] = dues(&store, id)[..] else {
        panic!("two waits")
    };
    assert!((HOUR..HOUR + SECOND).contains(&again.since(nap)));
    second.shutdown().await.unwrap();
}

static WALL: AtomicU64 = AtomicU64::new(1_000_000_000_000);

#[tokio::test(start_paused = true)]
async fn a_sleep_begins_when_what_it_waits_for_ends() {
    let _watch = watch();
    let clock = Arc::new(Clock::new(|| WALL.load(Ordering::SeqCst)));
    // It blocks its thread for an hour, as seen by the clock.
    let slow = work(|_, _| {
        WALL.fetch_add(3_600_000, Ordering::SeqCst);
        std::future::ready(Ok(1))
    });
    let flow = Flow::new("slow")
        .job("slow", &[0], slow)
        .sleep("nap", &[1], HOUR)
        .build();
    let runtime = Runtime::in_memory().executable(&flow).clock(&clock);
    let runtime = runtime.start().await.unwrap();
    let mut events = runtime.events();
    let begun = clock.now();
    let _run = begin(&runtime, &flow, &[1]).await;
    loop {
        if let EventKind::TimerSet { until, .. } = events.next().await.unwrap().unwrap().kind {
            assert!(until.since(begun) >= 2 * HOUR, "{until:?}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn signals_are_given_out_in_the_order_they_came() {
    let _watch = watch();
    let flow = Flow::new("two")
        .sleep("nap", &[0], HOUR)
        .signal("go", &[1], None)
        .signal("go", &[2], None)
        .job("sum", &[3], add(0))
        .build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    run.signal(GO, vec![5]).await.unwrap();
    run.signal_named("go", &[7]).await.unwrap();
    assert_eq!(run.output().await.unwrap(), [7]);
}

#[tokio::test]
async fn a_signal_that_was_acknowledged_is_there_after_a_restart() {
    let _watch = watch();
    let flow = Flow::new("held").signal("go", &[], None).build();
    let store = TestStore::default();
    let first = over(&store, &flow).await;
    let waits = begin(&first, &flow, &[1]).await;
    let seen = store.clone();
    let (id, fed) = (waits.id(), waits.clone());
    let (sent, ()) = tokio::join!(fed.signal(GO, vec![5]), async {
        until(|| !seen.records(id).is_empty()).await;
    });
    sent.unwrap();
    let is_signal = |record: &Record| matches!(record, Record::SignalReceived { .. });
    assert!(store.records(id).iter().any(is_signal));
    drop(first);
    let second = over(&store, &flow).await;
    let run = start::find(second.core(), &flow, id).await.unwrap();
    let run: Handle = RunHandle::new(Arc::clone(second.core()), run);
    assert_eq!(run.output().await.unwrap(), [5]);
    second.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wait_comes_to_its_time_limit_and_not_before() {
    let _watch = watch();
    let flow = Flow::new("wait").signal("go", &[], Some(HOUR)).build();
    let runtime = in_memory(&flow).await;
    let start = Instant::now();
    let run = begin(&runtime, &flow, &[1]).await;
    assert_eq!(run.output().await.unwrap(), []);
    let waited = start.elapsed();
    assert!(waited >= HOUR && waited < HOUR + SECOND, "{waited:?}");
    let run = begin(&runtime, &flow, &[1]).await;
    tokio::time::sleep(HOUR / 2).await;
    run.signal(GO, vec![9]).await.unwrap();
    assert_eq!(run.output().await.unwrap(), [9]);
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicU64>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A job that never ends, and how often it was dropped.
fn counted() -> (Arc<AtomicU64>, Work) {
    let drops = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&drops);
    let job = work(move |_, _| {
        let held = Dropped(Arc::clone(&counted));
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    (drops, job)
}

/// A race of jobs.
fn race(first: Work, second: Work) -> Flow {
    Flow::new("race")
        .block("race", PlanKind::Race, &[])
        .described(TWO)
        .inside(Exit::Value, |flow| flow.job("first", &[], first))
        .inside(Exit::Value, |flow| flow.job("second", &[], second))
}

#[tokio::test(start_paused = true)]
async fn a_loser_is_dropped_and_gives_its_slot_back() {
    let _watch = watch();
    for winner in [add(1), wait(SECOND, 1)] {
        let (drops, loser) = counted();
        let flow = race(loser, winner).signal("go", &[1], None).build();
        let store = TestStore::default();
        for runtime in [in_memory(&flow).await, over(&store, &flow).await] {
            let run = begin(&runtime, &flow, &[1]).await;
            until(|| drops.swap(0, Ordering::SeqCst) == 1).await;
            until(|| runtime.core().slots.free() == JOBS_MAX).await;
            assert_eq!(run.progress().running(), 0);
            run.signal(GO, vec![3]).await.unwrap();
            assert_eq!(run.output().await.unwrap(), [3]);
            assert_eq!(runtime.core().slots.free(), JOBS_MAX);
            runtime.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loser_that_ends_all_the_same_changes_nothing() {
    let _watch = watch();
    let flow = race(add(1), add(1)).build();
    let store = TestStore::default();
    for runtime in [in_memory(&flow).await, over(&store, &flow).await] {
        for _ in 0..100 {
            let run = begin(&runtime, &flow, &[1]).await;
            let output = run.output().await.unwrap();
            assert!(output == [1] || output == [2], "{output:?}");
        }
        until(|| runtime.core().slots.free() == JOBS_MAX).await;
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_loses_against_a_signal_gives_its_slot_back() {
    let _watch = watch();
    let (drops, loser) = counted();
    let flow = Flow::new("race")
        .block("race", PlanKind::Race, &[])
        .described(TWO)
        .inside(Exit::Value, |flow| flow.job("loser", &[], loser))
        .inside(Exit::Value, |flow| flow.signal("go", &[], None))
        .signal("go", &[1], None)
        .build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| run.progress().running() == 1).await;
    run.signal(GO, vec![1]).await.unwrap();
    until(|| drops.load(Ordering::SeqCst) == 1).await;
    assert_eq!(run.progress().running(), 0);
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
    run.signal(GO, vec![3]).await.unwrap();
    assert_eq!(run.output().await.unwrap(), [3]);
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_loser_of_a_workflow_that_is_awaited_is_dropped() {
    let _watch = watch();
    let (drops, loser) = counted();
    let look = work(move |_, _| std::future::ready(Ok(drops.load(Ordering::SeqCst))));
    let flow = race(loser, wait(SECOND, 1))
        .sleep("nap", &[1], SECOND)
        .job("look", &[4], look);
    assert_eq!(inline(flow).await.unwrap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_an_end_lets_others_go_on_and_can_be_cancelled() {
    let _watch = watch();
    let endless = endless().build();
    let other = Flow::new("other").job("job", &[0], add(1)).build();
    let store = TestStore::default();
    for builder in [Runtime::in_memory(), Runtime::with_store(store)] {
        let runtime = builder.executable(&endless).executable(&other);
        let runtime = runtime.start().await.unwrap();
        let run = begin(&runtime, &endless, &[]).await;
        let others = begin(&runtime, &other, &[1]).await;
        assert_eq!(others.output().await.unwrap(), [2]);
        assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_workflow_without_an_end_that_is_awaited_lets_others_go_on() {
    let _watch = watch();
    let others = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = inline(endless()) => panic!("{ended:?}"),
        () = others => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_awaited_can_not_wait_for_a_signal_alone() {
    let _watch = watch();
    let alone = Flow::new("alone").signal("go", &[], None);
    let error = inline(alone).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::NoSender);
    assert_eq!(
        error.to_string(),
        "the run waits for a signal, which nobody can send it here: start it on a `Runtime`, and \
         send the signal with its handle"
    );
    let limited = Flow::new("limited").signal("go", &[], Some(HOUR));
    assert_eq!(inline(limited).await.unwrap(), []);
    let beside = Flow::new("beside")
        .job("stuck", &[0], stuck())
        .signal("go", &[], None);
    let waits = tokio::time::timeout(HOUR, inline(beside)).await;
    assert!(waits.is_err(), "it may still end otherwise");
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_timers_signals_races_and_branches() {
    let _watch = watch();
    let flow = race(stuck(), wait(SECOND, 1))
        .signal("go", &[1], Some(HOUR))
        .signal("late", &[4], Some(HOUR))
        .pure("choice", PlanKind::Branch, &[5], |_| Step::Arm(1))
        .inside(Exit::Value, |flow| flow.job("left", &[], add(1)))
        .inside(Exit::Value, |flow| flow.job("right", &[], add(1)))
        .build();
    let runtime = in_memory(&flow).await;
    let _watched = runtime.events();
    let run = begin(&runtime, &flow, &[1]).await;
    let mut events = run.events();
    run.signal(GO, vec![3]).await.unwrap();
    run.output().await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.next().now_or_never().flatten() {
        told.push(match event.unwrap().kind {
            EventKind::BranchTaken { node, arm } => format!("{node} takes {arm}"),
            EventKind::Skipped { node } => format!("{node} is skipped"),
            EventKind::TimerSet { node, .. } => format!("{node} has a timer"),
            EventKind::SignalReceived { signal } => format!("signal {signal}"),
            EventKind::SignalConsumed { node, signal } => format!("{node} is given {signal}"),
            EventKind::WaitTimedOut { node } => format!("{node} timed out"),
            EventKind::RaceWon { node, entry } => format!("{node} won by {entry}"),
            _ => continue,
        });
    }
    let expected = [
        "signal go",
        "race won by 1",
        "go has a timer",
        "go is given go",
        "late has a timer",
        "late timed out",
        "choice takes 1",
        "choice/left is skipped",
    ];
    assert_eq!(told, expected);
    let progress = run.progress();
    assert_eq!((progress.done(), progress.skipped()), (2, 1));
}
