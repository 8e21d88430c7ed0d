//! What happens to jobs: panics, time-outs, retries, cancels, limits, and where they run.

use std::panic::panic_any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::time::Instant;
use zahir_store::{FailureKind, RunStatus};

use super::*;
use crate::event::EventKind;

#[tokio::test(start_paused = true)]
async fn a_chain_ends_with_its_output() {
    let _watch = watch();
    let mut flow = Flow::new("chain");
    for at in 0..1000 {
        flow = flow.job("next", &[at], add(1));
    }
    let flow = flow.build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[5]).await;
    assert_eq!(run.output().await.unwrap(), [1005]);
    assert_eq!(
        run.output().await.unwrap(),
        [1005],
        "it can be asked for again"
    );
    assert_eq!(
        (run.progress().done(), run.progress().known()),
        (1000, 1000)
    );
    assert_eq!(run.status(), RunStatus::Succeeded);
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_run_that_is_over_is_the_last_one() {
    let _watch = watch();
    let bad = work(|_, _| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(error("no"))
    });
    let flow = Flow::new("over")
        .job("done", &[0], add(1))
        .job("bad", &[0], bad)
        .job("slow", &[0], wait(Duration::from_secs(5), 1))
        .build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[5]).await;
    run.output().await.unwrap_err();
    let progress = run.progress();
    assert_eq!((progress.done(), progress.running()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_joins_in_item_order() {
    let _watch = watch();
    let shuffled = work(|inputs, _| async move {
        tokio::time::sleep(Duration::from_millis(inputs[0] * 7 % 100)).await;
        Ok(inputs[0] + 1)
    });
    let flow = Flow::new("fan").each("all", 0, shuffled).build();
    let runtime = in_memory(&flow).await;
    let items: Vec<u64> = (0..1000).collect();
    let run = begin(&runtime, &flow, &items).await;
    assert_eq!(run.output().await.unwrap(), (1..=1000).collect::<Vec<_>>());
}

/// A value whose destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

/// Runs a job that does this, and says how the run failed.
async fn failure_of(bad: Work) -> RunError {
    let flow = Flow::new("bad").job("bad", &[0], bad).build();
    let good = Flow::new("good").job("good", &[0], add(1)).build();
    let runtime = Runtime::in_memory();
    let runtime = runtime
        .executable(&flow)
        .executable(&good)
        .start()
        .await
        .unwrap();
    let error = begin(&runtime, &flow, &[1])
        .await
        .output()
        .await
        .unwrap_err();
    let other = begin(&runtime, &good, &[1]).await;
    assert_eq!(other.output().await.unwrap(), [2], "the runtime goes on");
    assert_eq!(runtime.core().slots.free(), JOBS_MAX, "no slot is leaked");
    error
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt_at_every_poll() {
    let _watch = watch();
    let error = failure_of(work(|_, _| async { panic!("at once") })).await;
    assert_eq!(error.to_string(), "node `bad` panicked: at once");
    let later = work(|_, _| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        panic!("later")
    });
    let error = failure_of(later).await;
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Panic));
    assert_eq!((error.node(), error.attempt()), (Some("bad"), Some(1)));
    assert_eq!(error.message(), "later");
    let begun = work(|_, _| -> std::future::Ready<_> { panic!("before there was a future") });
    assert_eq!(
        failure_of(begun).await.message(),
        "before there was a future"
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_panics_in_turn_goes_no_further() {
    let _watch = watch();
    let error = failure_of(work(|_, _| async { panic_any(Bomb) })).await;
    assert_eq!(error.message(), "a panic without a message");
    let held = work(|_, _| async {
        let _bomb = Bomb;
        tokio::task::yield_now().await;
        Ok(1)
    });
    assert_eq!(failure_of(held).await.message(), "in a destructor");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_job_may_panic_in_its_destructor() {
    let _watch = watch();
    let held = work(|_, _| async {
        let _bomb = Bomb;
        std::future::pending().await
    });
    let flow = Flow::new("held").job("held", &[0], held).build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    until(|| run.progress().running() == 1).await;
    assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_fails_and_is_tried_again() {
    let _watch = watch();
    let slow_once = work(|_, attempt| async move {
        if attempt == 1 {
            std::future::pending::<()>().await;
        }
        Ok(u64::from(attempt))
    });
    let flow = Flow::new("slow").job("slow", &[0], slow_once);
    let flow = flow.policy(|policy| policy.timeout = Some(Duration::from_secs(3)));
    let runtime = in_memory(&flow.build()).await;
    let flow = Arc::clone(&runtime.core().executables["slow"]);
    let error = begin(&runtime, &flow, &[])
        .await
        .output()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `slow` timed out at attempt 1: it took longer than its `timeout` of 3s"
    );
}

#[tokio::test(start_paused = true)]
async fn retries_wait_and_count() {
    let _watch = watch();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&starts);
    let third_time = work(move |_, attempt| {
        seen.lock().unwrap().push(Instant::now());
        async move {
            match attempt {
                3 => Ok(3),
                _ => Err(error("not yet")),
            }
        }
    });
    let flow = Flow::new("retry").job("third", &[0], third_time);
    let flow = flow.policy(|policy| policy.retry = 2).build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[]).await;
    assert_eq!(run.output().await.unwrap(), [3]);
    let starts = starts.lock().unwrap();
    let waits: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, least) in waits.iter().zip([100, 200].map(Duration::from_millis)) {
        assert!(*wait >= least && *wait <= least * 13 / 10, "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_names_the_attempt() {
    let _watch = watch();
    let never = work(|_, attempt| async move { Err(error(&format!("no {attempt}"))) });
    let flow = Flow::new("never").each("all", 0, never);
    let flow = flow.policy(|policy| policy.retry = 1).build();
    let runtime = in_memory(&flow).await;
    let error = begin(&runtime, &flow, &[7])
        .await
        .output()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `all[0]/body` failed at attempt 2: no 2"
    );
}

/// Counts how many jobs are under way.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_over_all_runs_and_all_runs_get_on() {
    let _watch = watch();
    let gauge = Arc::new(Gauge::default());
    let measured = Arc::clone(&gauge);
    let job = work(move |_, _| {
        let gauge = Arc::clone(&measured);
        async move {
            let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
            gauge.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            gauge.now.fetch_sub(1, Ordering::SeqCst);
            Ok(1)
        }
    });
    let flow = Flow::new("wide").each("all", 0, job).build();
    let runtime = Runtime::in_memory().executable(&flow).jobs_max(3);
    let runtime = runtime.start().await.unwrap();
    let long = begin(&runtime, &flow, &[0; 300]).await;
    let mut short = Vec::new();
    for _ in 0..5 {
        short.push(begin(&runtime, &flow, &[0; 10]).await);
    }
    for run in short {
        assert_eq!(run.output().await.unwrap().len(), 10);
    }
    assert_eq!(
        long.status(),
        RunStatus::Running,
        "nobody waits for the long one"
    );
    assert_eq!(long.output().await.unwrap().len(), 300);
    assert_eq!(gauge.most.load(Ordering::SeqCst), 3);
    assert_eq!(runtime.core().slots.free(), 3);
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicU64>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_drops_what_is_under_way() {
    let _watch = watch();
    let drops = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&drops);
    let job = work(move |_, _| {
        let held = Dropped(Arc::clone(&counted));
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    let flow = Flow::new("stuck").each("all", 0, job).build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[0; 50]).await;
    until(|| run.progress().running() == 50).await;
    let other = run.clone();
    assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
    until(|| drops.load(Ordering::SeqCst) == 50).await;
    assert_eq!(
        other.output().await.unwrap_err().kind(),
        RunErrorKind::Cancelled
    );
    assert_eq!(other.cancel("again").await.unwrap(), RunStatus::Cancelled);
    assert_eq!(runtime.core().slots.free(), JOBS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_does_not_cancel() {
    let _watch = watch();
    let done = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&done);
    let job = work(move |_, _| {
        let seen = Arc::clone(&seen);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(seen.fetch_add(1, Ordering::SeqCst))
        }
    });
    let flow = Flow::new("alone").job("job", &[0], job).build();
    let runtime = in_memory(&flow).await;
    drop(begin(&runtime, &flow, &[]).await);
    until(|| done.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_that_compute_use_several_threads() {
    let _watch = watch();
    let busy = Arc::new(AtomicUsize::new(0));
    let job = work(move |_, _| {
        let busy = Arc::clone(&busy);
        async move {
            let start = Instant::now();
            busy.fetch_add(1, Ordering::SeqCst);
            // Never waits for tokio: ends when three threads are in here at once.
            while busy.load(Ordering::SeqCst) < 3 {
                if start.elapsed() > Duration::from_secs(20) {
                    return Err(error("alone"));
                }
                std::hint::spin_loop();
            }
            Ok(1)
        }
    });
    let flow = Flow::new("busy").each("all", 0, job).build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[0; 3]).await;
    assert_eq!(run.output().await.unwrap(), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once() {
    let _watch = watch();
    let mut flow = Flow::new("five");
    for at in 0..5 {
        flow = flow.job(
            "next",
            &[at],
            if at == 2 {
                wait(Duration::ZERO, 1)
            } else {
                add(1)
            },
        );
    }
    let flow = flow.build();
    let runtime = Runtime::in_memory().executable(&flow).jobs_max(7);
    let runtime = runtime.start().await.unwrap();
    let mut runs = Vec::new();
    for from in 0..2000 {
        runs.push(begin(&runtime, &flow, &[from]).await);
    }
    for (run, from) in runs.iter().zip(0..) {
        assert_eq!(run.output().await.unwrap(), [from + 5]);
    }
    assert_eq!(runtime.core().slots.free(), 7);
    runtime.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_lost() {
    let _watch = watch();
    let flow = Flow::new("fan").each("all", 0, add(1)).build();
    let runtime = in_memory(&flow).await;
    let mut all = runtime.events();
    let run = begin(&runtime, &flow, &[0; 5000]).await;
    run.output().await.unwrap();
    let lost = all.next().await.unwrap().unwrap_err();
    let mut read = 0;
    loop {
        let event = all.next().await.unwrap().unwrap();
        read += 1;
        if matches!(event.kind, EventKind::RunFinished { .. }) {
            break;
        }
    }
    // Started, counted, twice per job, finished.
    assert_eq!(lost.count() + read, 10_003);
    runtime.shutdown().await.unwrap();
    assert!(all.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn events_tell_what_happened_in_order() {
    let _watch = watch();
    let second = work(|_, attempt| async move {
        match attempt {
            2 => Ok(1),
            _ => Err(error("no")),
        }
    });
    let flow = Flow::new("told").job("twice", &[0], second);
    let flow = flow.policy(|policy| policy.retry = 1).build();
    let runtime = in_memory(&flow).await;
    let _watched = runtime.events();
    let run = begin(&runtime, &flow, &[]).await;
    let mut events = run.events();
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.push(match event.unwrap().kind {
            EventKind::RunStarted => "run started".to_owned(),
            EventKind::AttemptStarted { node, attempt } => format!("{node}#{attempt} started"),
            EventKind::AttemptSucceeded { node, attempt } => format!("{node}#{attempt} succeeded"),
            EventKind::AttemptFailed {
                node,
                attempt,
                message,
                retry_at,
            } => {
                format!(
                    "{node}#{attempt} failed: {message}, again: {}",
                    retry_at.is_some()
                )
            }
            EventKind::RunFinished { status } => format!("run finished: {status:?}"),
            other => format!("{other:?}"),
        });
    }
    let expected = [
        "run started",
        "twice#1 started",
        "twice#1 failed: no, again: true",
        "twice#2 started",
        "twice#2 succeeded",
        "run finished: Succeeded",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_leaves_what_does_not_end() {
    let _watch = watch();
    let stuck = work(|_, _| std::future::pending());
    let flow = Flow::new("stuck").job("stuck", &[0], stuck).build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[]).await;
    until(|| run.progress().running() == 1).await;
    let start = Instant::now();
    runtime.shutdown().await.unwrap();
    assert_eq!(start.elapsed(), SHUTDOWN_LIMIT);
    assert_eq!(
        run.output().await.unwrap_err().kind(),
        RunErrorKind::Stopped
    );
    let refused = try_begin(&runtime, &flow, &[], None).await.unwrap_err();
    assert!(matches!(refused, StartError::ShutDown), "{refused}");
}
