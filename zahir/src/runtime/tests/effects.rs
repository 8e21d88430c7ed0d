//! Jobs that recover, that ask to be run again, and that are undone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use zahir_store::{FailureKind, Record, RunStatus};

use super::durable::Gate;
use super::flow::{Raw, produced, raw};
use super::*;
use crate::job::context::{Context, Role};
use crate::job::policy::{Backoff, FOREVER, Policy};
use crate::wire::{Extra, Outcome};

const HOUR: Duration = Duration::from_secs(3600);

const TWICE: Policy = Policy {
    retry: 1,
    backoff: Backoff::Fixed(Duration::from_millis(1)),
    ..Policy::ONCE
};

/// A job that always fails; what stands in for it fails so many times, and then tells what it was
/// given.
fn recovered(failures: u64) -> Flow {
    let count = AtomicU64::new(0);
    let job = raw(move |_, context| {
        let outcome = match context.role() {
            Some(Role::Recover { error, .. }) => {
                let failure = error.get::<crate::Failure>().unwrap();
                let seen = (failure.job(), failure.attempt(), failure.kind());
                assert_eq!(seen, ("charge", 2, FailureKind::Error));
                if count.fetch_add(1, Ordering::SeqCst) < failures {
                    error_of("no account")
                } else {
                    Outcome::Produced(produced(u64::from(context.attempt())))
                }
            }
            _ => error_of("declined"),
        };
        std::future::ready(outcome)
    });
    Flow::new("recovered")
        .raw("charge", &[0], job)
        .policy(|policy| *policy = TWICE)
        .recovers(TWICE)
}

fn error_of(message: &str) -> Outcome {
    error(message).into()
}

#[tokio::test]
async fn a_recovery_takes_over_when_the_attempts_are_spent() {
    let _watch = watch();
    let flow = || recovered(1).job("more", &[1], add(10)).build();
    assert_eq!(everywhere(flow).await, Ok(vec![14]));
}

#[tokio::test]
async fn a_recovery_that_fails_too_fails_with_both() {
    let _watch = watch();
    assert_eq!(
        everywhere(|| recovered(9).build()).await.unwrap_err(),
        "node `charge` failed at attempt 4: declined; its recovery failed: no account"
    );
}

#[tokio::test]
async fn how_a_run_failed_reads_the_same_after_a_restart() {
    let _watch = watch();
    let slow = raw(|_, _| std::future::pending());
    let slow = Flow::new("slow").raw("slow", &[0], slow).policy(|policy| {
        policy.timeout = Some(Duration::from_millis(2));
        policy.total_timeout = Some(Duration::from_millis(200));
        (policy.retry, policy.backoff) = (FOREVER, Backoff::Fixed(Duration::from_millis(1)));
    });
    for flow in [recovered(9).build(), slow.build()] {
        let store = TestStore::default();
        let runtime = over(&store, &flow).await;
        let run = begin(&runtime, &flow, &[1]).await;
        let error = run.output().await.unwrap_err();
        runtime.shutdown().await.unwrap();
        let runtime = over(&store, &flow).await;
        let again = find(&runtime, &flow, run.id()).await.output().await;
        let again = again.unwrap_err();
        assert_eq!(again.to_string(), error.to_string());
        assert_eq!(again.attempt(), error.attempt());
        assert!(again.attempt().is_some(), "{again}");
        runtime.shutdown().await.unwrap();
    }
}

/// A job that counts its state up to `most`, an hour apart, and says when it was run.
fn counting(most: u64, wait: Duration) -> (Arc<Mutex<Vec<u64>>>, Raw) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let job = raw(move |_, context| {
        let state = match context.role() {
            Some(Role::Run {
                state: Some(state), ..
            }) => u64::from(state[0]),
            _ => 0,
        };
        told.lock().unwrap().push(state);
        std::future::ready(if state == most {
            Outcome::Produced(produced(state))
        } else {
            let state = vec![u8::try_from(state + 1).unwrap()];
            Outcome::Postponed { wait, state }
        })
    });
    (seen, job)
}

#[tokio::test]
async fn a_job_that_asks_for_it_is_run_again_with_its_state() {
    let _watch = watch();
    let flow = || {
        let (_, job) = counting(3, Duration::from_millis(2));
        // Not a failure: it needs no retry.
        Flow::new("counting").raw("counting", &[0], job).build()
    };
    assert_eq!(everywhere(flow).await, Ok(vec![3]));
}

#[tokio::test(start_paused = true)]
async fn who_is_run_again_later_holds_no_slot_meanwhile() {
    let _watch = watch();
    let (seen, job) = counting(3, HOUR);
    let flow = Flow::new("counting").raw("counting", &[0], job).build();
    let other = Flow::new("other")
        .job("slow", &[0], wait(HOUR / 2, 1))
        .build();
    let builder = Runtime::in_memory().executable(&flow).executable(&other);
    let runtime = builder.jobs_max(1).start().await.unwrap();
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| seen.lock().unwrap().len() == 1).await;
    let other = begin(&runtime, &other, &[1]).await;
    assert_eq!(other.output().await.unwrap(), [2]);
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(run.output().await.unwrap(), [3]);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3]);
}

static WALL: AtomicU64 = AtomicU64::new(1_000_000_000_000);

#[tokio::test]
async fn a_state_survives_a_restart_and_only_the_rest_is_waited_for() {
    let _watch = watch();
    let (seen, job) = counting(1, HOUR);
    let flow = Flow::new("counting").raw("counting", &[0], job).build();
    let store = TestStore::default();
    let start = async || {
        let clock = Arc::new(Clock::new(|| WALL.load(Ordering::SeqCst)));
        let builder = Runtime::with_store(store.clone()).clock(&clock);
        builder.executable(&flow).start().await.unwrap()
    };
    let runtime = start().await;
    let run = begin(&runtime, &flow, &[1]).await;
    let is_postponed = |record: &Record| matches!(record, Record::AttemptPostponed { .. });
    until(|| store.records(run.id()).iter().any(is_postponed)).await;
    drop(runtime);
    WALL.fetch_add(3_600_000 - 20, Ordering::SeqCst);
    let runtime = start().await;
    let again = find(&runtime, &flow, run.id()).await;
    assert_eq!(again.output().await.unwrap(), [1]);
    assert_eq!(*seen.lock().unwrap(), [0, 1]);
    runtime.shutdown().await.unwrap();
}

type Log = Arc<Mutex<Vec<String>>>;

/// A job that can be undone. What that does is given.
fn effect<F>(name: &'static str, log: &Log, undo: fn(u32) -> F) -> Raw
where
    F: Future<Output = Result<(), zahir_store::Failure>> + Send + 'static,
{
    let log = Arc::clone(log);
    raw(move |inputs, context: Context| {
        let log = Arc::clone(&log);
        async move {
            if let Some(Role::Undo { .. }) = context.role() {
                let text = format!("undo {name} {inputs:?}");
                log.lock().unwrap().push(text);
                return match undo(context.attempt()).await {
                    Ok(()) => Outcome::Produced(produced(0)),
                    Err(failure) => failure.into(),
                };
            }
            let sum = inputs.iter().sum::<u64>() + 1;
            log.lock().unwrap().push(format!("{name} {sum}"));
            let mut produced = produced(sum);
            let undo = Some(flow::encode(&inputs));
            produced.extra = Some(Box::new(Extra { undo, shared: None }));
            Outcome::Produced(produced)
        }
    })
}

async fn well(_: u32) -> Result<(), zahir_store::Failure> {
    Ok(())
}

async fn badly(_: u32) -> Result<(), zahir_store::Failure> {
    Err(error("the bank is closed"))
}

fn fails() -> Work {
    work(|_, _| async { Err(error("no truck")) })
}

/// `reserve`, then `charge` and `label` beside each other, then what is given.
fn saga(log: &Log, charge: Raw, last: Work) -> Arc<Executable> {
    Flow::new("saga")
        .raw("reserve", &[0], effect("reserve", log, well))
        .undoes(TWICE)
        .raw("charge", &[1], charge)
        .undoes(TWICE)
        .raw("label", &[1], effect("label", log, well))
        .undoes(TWICE)
        .job("ship", &[2, 3], last)
        .build()
}

/// What was logged, with what goes on side by side in the order of the alphabet.
fn sorted(log: &Log, together: std::ops::Range<usize>) -> Vec<String> {
    let mut log = log.lock().unwrap().clone();
    if let Some(together) = log.get_mut(together) {
        together.sort();
    }
    log
}

#[tokio::test]
async fn what_was_done_is_undone_backwards() {
    let _watch = watch();
    let logs = Mutex::new(Vec::new());
    let flow = || {
        let log = Log::default();
        logs.lock().unwrap().push(Arc::clone(&log));
        saga(&log, effect("charge", &log, well), fails())
    };
    assert_eq!(
        everywhere(flow).await.unwrap_err(),
        "node `ship` failed: no truck"
    );
    for log in logs.into_inner().unwrap() {
        let told = sorted(&log, 3..5);
        assert_eq!(told.len(), 6);
        let expected = [
            "undo charge [2, 3]",
            "undo label [2, 3]",
            "undo reserve [1, 2]",
        ];
        assert_eq!(told[3..], expected);
    }
}

#[tokio::test]
async fn a_wait_beside_it_does_not_keep_a_run_from_undoing() {
    let _watch = watch();
    let logs = Mutex::new(Vec::new());
    let flow = || {
        let log = Log::default();
        logs.lock().unwrap().push(Arc::clone(&log));
        let slowly = effect("charge", &log, |_| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        });
        Flow::new("waiting")
            .raw("charge", &[0], slowly)
            .undoes(TWICE)
            .signal("go", &[], None)
            .job("ship", &[1], fails())
            .build()
    };
    assert_eq!(
        everywhere(flow).await.unwrap_err(),
        "node `ship` failed: no truck"
    );
    for log in logs.into_inner().unwrap() {
        assert_eq!(log.lock().unwrap().last().unwrap(), "undo charge [1, 2]");
    }
}

#[tokio::test]
async fn a_run_that_succeeds_undoes_nothing() {
    let _watch = watch();
    let log = Log::default();
    let flow = || saga(&log, effect("charge", &log, well), add(0));
    assert_eq!(everywhere(flow).await, Ok(vec![6]));
    let log = log.lock().unwrap();
    assert!(!log.iter().any(|line| line.starts_with("undo")), "{log:?}");
}

#[tokio::test]
async fn what_can_not_be_undone_is_named_and_what_it_rests_on_stays() {
    let _watch = watch();
    let logs = Mutex::new(Vec::new());
    let flow = || {
        let log = Log::default();
        logs.lock().unwrap().push(Arc::clone(&log));
        saga(&log, effect("charge", &log, badly), fails())
    };
    assert_eq!(
        everywhere(flow).await.unwrap_err(),
        "node `ship` failed: no truck; and not all of it could be undone: the bank is closed; not \
         undone: `charge`"
    );
    for log in logs.into_inner().unwrap() {
        let log = log.lock().unwrap();
        let undone = |of: &str| log.iter().filter(|line| line.starts_with(of)).count();
        let counts = ["undo charge", "undo label", "undo reserve"].map(undone);
        assert_eq!(counts, [2, 1, 0], "{log:?}");
    }
}

#[tokio::test]
async fn a_cancel_returns_when_everything_is_undone() {
    let _watch = watch();
    for builder in [
        Runtime::in_memory(),
        Runtime::with_store(TestStore::default()),
    ] {
        let (log, gate) = (Log::default(), Gate::new());
        let held = Arc::clone(&gate);
        let charge = effect("charge", &log, well);
        let slow = raw(move |inputs, context: Context| {
            let (held, charge) = (Arc::clone(&held), Arc::clone(&charge));
            async move {
                if let Some(Role::Undo { .. }) = context.role() {
                    held.open.acquire().await.unwrap().forget();
                }
                charge(inputs, context).await
            }
        });
        let flow = saga(&log, slow, work(|_, _| std::future::pending()));
        let runtime = builder.executable(&flow).start().await.unwrap();
        let run = begin(&runtime, &flow, &[1]).await;
        until(|| run.progress().done() == 3).await;
        let mut cancel = Box::pin(run.cancel("enough"));
        assert!(futures_util::FutureExt::now_or_never(&mut cancel).is_none());
        until(|| {
            log.lock()
                .unwrap()
                .contains(&"undo label [2, 3]".to_owned())
        })
        .await;
        until(|| run.progress().running() == 1).await;
        assert_eq!(run.status(), RunStatus::Running);
        assert!(futures_util::FutureExt::now_or_never(&mut cancel).is_none());
        gate.open.add_permits(1);
        assert_eq!(cancel.await.unwrap(), RunStatus::Cancelled);
        assert_eq!(log.lock().unwrap().last().unwrap(), "undo reserve [1, 2]");
        let error = run.output().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Cancelled);
        assert_eq!(runtime.core().slots.free(), JOBS_MAX);
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_cancelled_run_that_can_not_be_undone_has_failed() {
    let _watch = watch();
    let log = Log::default();
    let charge = effect("charge", &log, badly);
    let flow = saga(&log, charge, work(|_, _| std::future::pending()));
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| run.progress().done() == 3).await;
    assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Failed);
    let error = run.output().await.unwrap_err();
    assert_eq!(error.not_undone(), ["charge"]);
    runtime.shutdown().await.unwrap();
    let runtime = over(&store, &flow).await;
    let again = find(&runtime, &flow, run.id()).await;
    let again = again.output().await.unwrap_err();
    assert_eq!(again.not_undone(), ["charge"]);
    assert_eq!(again.message(), error.message());
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn undoing_goes_on_after_a_restart() {
    let _watch = watch();
    let log = Log::default();
    let hanging = saga(
        &log,
        effect("charge", &log, |_| std::future::pending()),
        fails(),
    );
    let store = TestStore::default();
    let runtime = over(&store, &hanging).await;
    let run = begin(&runtime, &hanging, &[1]).await;
    let is_undone = |record: &Record| matches!(record, Record::UndoSucceeded { .. });
    until(|| store.records(run.id()).iter().any(is_undone)).await;
    until(|| sorted(&log, 0..0).contains(&"undo charge [2, 3]".to_owned())).await;
    drop(runtime);

    let log = Log::default();
    let flow = saga(&log, effect("charge", &log, well), fails());
    let runtime = over(&store, &flow).await;
    let again = find(&runtime, &flow, run.id()).await;
    let error = again.output().await.unwrap_err();
    assert_eq!(error.to_string(), "node `ship` failed: no truck");
    assert_eq!(error.attempt(), Some(1));
    let told = log.lock().unwrap().clone();
    assert_eq!(told, ["undo charge [2, 3]", "undo reserve [1, 2]"]);
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn undoing_is_interrupted_by_a_shutdown_and_goes_on() {
    let _watch = watch();
    let log = Log::default();
    let hanging = saga(
        &log,
        effect("charge", &log, |_| std::future::pending()),
        fails(),
    );
    let store = TestStore::default();
    let start = async |flow: &Arc<Executable>| {
        let builder = Runtime::with_store(store.clone()).crash_attempts_max(1);
        builder.executable(flow).start().await.unwrap()
    };
    let runtime = start(&hanging).await;
    let run = begin(&runtime, &hanging, &[1]).await;
    until(|| sorted(&log, 0..0).contains(&"undo charge [2, 3]".to_owned())).await;
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    let is_interrupted = |record: &Record| matches!(record, Record::UndoInterrupted { .. });
    assert!(store.records(run.id()).iter().any(is_interrupted));

    let flow = saga(&log, effect("charge", &log, well), fails());
    let runtime = start(&flow).await;
    let again = find(&runtime, &flow, run.id()).await;
    let error = again.output().await.unwrap_err();
    assert_eq!(error.to_string(), "node `ship` failed: no truck");
    assert_eq!(sorted(&log, 0..0).last().unwrap(), "undo reserve [1, 2]");
    runtime.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_undo_is_tried_by_its_own_policy() {
    let _watch = watch();
    let log = Log::default();
    let third = effect("charge", &log, |attempt| async move {
        if attempt == 3 {
            Ok(())
        } else {
            Err(error("not yet"))
        }
    });
    let flow = Flow::new("saga")
        .raw("charge", &[0], third)
        .undoes(Policy {
            retry: 5,
            backoff: Backoff::Custom(|failures| HOUR * failures),
            ..Policy::ONCE
        })
        .job("ship", &[1], fails())
        .build();
    let clock = Arc::new(Clock::steady());
    let runtime = Runtime::in_memory().clock(&clock).executable(&flow);
    let runtime = runtime.start().await.unwrap();
    let begun = tokio::time::Instant::now();
    let run = begin(&runtime, &flow, &[1]).await;
    let error = run.output().await.unwrap_err();
    assert_eq!(error.to_string(), "node `ship` failed: no truck");
    assert_eq!(begun.elapsed(), HOUR * 3);
}
