//! How often a job is tried and how long it waits: in memory, over a store, and awaited without a
//! runtime.

use std::sync::Mutex;

use tokio::time::Instant;
use zahir_store::FailureKind;

use super::*;
use crate::job::policy::{Backoff, FOREVER, Policy};

/// A job that remembers when it was begun, and what it is to do then.
struct Told {
    begun: Mutex<Vec<Instant>>,
    does: fn(usize) -> Does,
}

#[derive(Clone, Copy)]
enum Does {
    Succeed,
    Fail,
    Hang,
}

impl Told {
    fn new(does: fn(usize) -> Does) -> Arc<Self> {
        Arc::new(Self {
            begun: Mutex::default(),
            does,
        })
    }

    /// A workflow of this job, with this policy.
    fn flow(self: &Arc<Self>, policy: fn(&mut Policy)) -> Arc<Executable> {
        let told = Arc::clone(self);
        let job = work(move |_, _| {
            let mut begun = told.begun.lock().unwrap();
            begun.push(Instant::now());
            let does = (told.does)(begun.len());
            async move {
                match does {
                    Does::Succeed => Ok(7),
                    Does::Fail => Err(error("no")),
                    Does::Hang => std::future::pending().await,
                }
            }
        });
        let flow = Flow::new("told").job("told", &[0], job);
        flow.policy(policy).build()
    }

    /// The waits between its attempts.
    fn waits(&self) -> Vec<Duration> {
        let begun = self.begun.lock().unwrap();
        begun.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// How a job that does this ends, and how often it is begun.
async fn check(does: fn(usize) -> Does, policy: fn(&mut Policy), begun: usize) -> String {
    let all = Mutex::new(Vec::new());
    let ended = everywhere(|| {
        let told = Told::new(does);
        all.lock().unwrap().push(Arc::clone(&told));
        told.flow(policy)
    });
    let ended = ended.await;
    for told in all.into_inner().unwrap() {
        assert_eq!(told.begun.lock().unwrap().len(), begun);
    }
    ended.map_or_else(|error| error, |output| format!("{output:?}"))
}

const SOON: Backoff = Backoff::Fixed(Duration::from_millis(1));

#[tokio::test]
async fn two_failures_and_a_success_are_three_executions() {
    let _watch = watch();
    let third = |nth| if nth == 3 { Does::Succeed } else { Does::Fail };
    let thrice = |policy: &mut Policy| (policy.retry, policy.backoff) = (3, SOON);
    assert_eq!(check(third, thrice, 3).await, "[7]");
}

#[tokio::test]
async fn what_always_fails_with_three_retries_is_four_executions() {
    let _watch = watch();
    let thrice = |policy: &mut Policy| (policy.retry, policy.backoff) = (3, SOON);
    let end = check(|_| Does::Fail, thrice, 4).await;
    assert_eq!(end, "node `told` failed at attempt 4: no");
}

#[tokio::test]
async fn a_timeout_with_one_retry_is_two_executions() {
    let _watch = watch();
    let once = |policy: &mut Policy| {
        policy.timeout = Some(Duration::from_millis(30));
        (policy.retry, policy.backoff) = (1, SOON);
    };
    assert_eq!(
        check(|_| Does::Hang, once, 2).await,
        "node `told` timed out at attempt 2: it took longer than its `timeout` of 30ms"
    );
}

#[tokio::test]
async fn attempts_without_end_end_with_the_time_for_all_of_them() {
    let _watch = watch();
    let second = |nth| if nth == 2 { Does::Hang } else { Does::Fail };
    let forever = |policy: &mut Policy| {
        policy.total_timeout = Some(Duration::from_millis(300));
        (policy.retry, policy.backoff) = (FOREVER, SOON);
    };
    assert_eq!(
        check(second, forever, 2).await,
        "node `told` timed out at attempt 2: its attempts took longer than its `total_timeout` of 300ms"
    );
}

/// The waits of a job that fails four times, in memory and without a runtime.
async fn waits(policy: fn(&mut Policy)) -> Vec<u128> {
    let does = |nth| if nth == 5 { Does::Succeed } else { Does::Fail };
    let told = Told::new(does);
    let flow = told.flow(policy);
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[]).await;
    run.output().await.unwrap();
    let alone = Told::new(does);
    let input = vec![Value::new(vec![1_u64])];
    inline::execute(alone.flow(policy), input).await.unwrap();
    // Rounded: the wall clock goes on while tokio's stands still.
    let rounded = |wait: &Duration| (wait.as_millis() + 25) / 50 * 50;
    let rounded = |told: &Told| -> Vec<_> { told.waits().iter().map(rounded).collect() };
    assert_eq!(rounded(&told), rounded(&alone));
    rounded(&told)
}

#[tokio::test(start_paused = true)]
async fn a_backoff_of_the_users_is_asked_for_every_wait() {
    let _watch = watch();
    let squares = |policy: &mut Policy| {
        policy.retry = FOREVER;
        policy.backoff =
            Backoff::Custom(|failures| Duration::from_secs(u64::from(failures * failures)));
    };
    assert_eq!(waits(squares).await, [1_000, 4_000, 9_000, 16_000]);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_that_panics_waits_for_the_default() {
    let _watch = watch();
    let picky = |policy: &mut Policy| {
        policy.retry = FOREVER;
        policy.backoff = Backoff::Custom(|failures| {
            assert!(failures % 2 == 1, "{failures} is even");
            Duration::from_secs(5)
        });
    };
    assert_eq!(waits(picky).await, [5_000, 100, 5_000, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_is_not_asked_when_nothing_follows() {
    let _watch = watch();
    static ASKED: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let told = Told::new(|_| Does::Fail);
    let flow = told.flow(|policy| {
        policy.retry = 2;
        policy.backoff = Backoff::Custom(|failures| {
            ASKED.lock().unwrap().push(failures);
            Duration::ZERO
        });
    });
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[]).await;
    let error = run.output().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Error));
    assert_eq!(*ASKED.lock().unwrap(), [1, 2]);
}
