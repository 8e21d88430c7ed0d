//! Results that runs share, in the words of the language: of many runs at once, one runs the job.

use std::sync::atomic::{AtomicU64, Ordering};

use zahir::{Runtime, job, workflow};

/// How often each job ran in this process.
static ONCE: AtomicU64 = AtomicU64::new(0);
static ONCE_BY: AtomicU64 = AtomicU64::new(0);
static CACHED: AtomicU64 = AtomicU64::new(0);

/// Counts, and takes its time about it.
async fn count(ran: &AtomicU64) -> u64 {
    let nth = ran.fetch_add(1, Ordering::SeqCst) + 1;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    nth
}

#[job(once)]
async fn open_account(customer: &str) -> u64 {
    let _ = customer;
    count(&ONCE).await
}

#[job(once_by = |customer: &str, _greeting: &str| customer.to_owned())]
async fn greet(customer: &str, greeting: &str) -> String {
    format!("{greeting} {customer} {}", count(&ONCE_BY).await)
}

#[job(pure, cache = 1h)]
async fn rate(customer: &str) -> u64 {
    let _ = customer;
    count(&CACHED).await
}

workflow! {
    /// Welcomes a customer.
    pub async fn welcome(customer: String, greeting: String) -> (u64, String, u64) {
        let account = open_account(&customer);
        let card = greet(&customer, &greeting);
        let rate = rate(&customer);
        (account, card, rate)
    }
}

async fn check(runtime: &Runtime, customer: &str, runs: u64) -> (u64, String, u64) {
    let mut handles = Vec::new();
    for run in 0..runs {
        let call = welcome(customer.to_owned(), format!("hello {run},"));
        handles.push(runtime.run(call).start().await.unwrap());
    }
    let mut outputs = Vec::new();
    for handle in handles {
        outputs.push(handle.output().await.unwrap());
    }
    outputs.dedup();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    outputs.swap_remove(0)
}

fn ran() -> [u64; 3] {
    [&ONCE, &ONCE_BY, &CACHED].map(|ran| ran.load(Ordering::SeqCst))
}

/// One test, because what is counted is counted in the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once_run_a_job_once() {
    for jobs_max in [1, 2, 100] {
        let before = ran();
        let builder = Runtime::in_memory().workflow::<Welcome>();
        let runtime = builder.jobs_max(jobs_max).start().await.unwrap();
        let ada = check(&runtime, "Ada", 32).await;
        assert_eq!(check(&runtime, "Ada", 1).await, ada);
        assert_ne!(check(&runtime, "Bob", 32).await, ada);
        runtime.shutdown().await.unwrap();
        assert_eq!(ran(), before.map(|count| count + 2));
    }

    let folder = tempfile::tempdir().unwrap();
    let before = ran();
    let mut outputs = Vec::new();
    for jobs_max in [1, 100] {
        let builder = Runtime::open(folder.path().join("runs.redb"));
        let builder = builder.workflow::<Welcome>().jobs_max(jobs_max);
        let runtime = builder.start().await.unwrap();
        outputs.push(check(&runtime, "Ada", 32).await);
        runtime.shutdown().await.unwrap();
    }
    assert_eq!(outputs[0], outputs[1], "over a restart, too");
    assert_eq!(ran(), before.map(|count| count + 1));

    for nth in 1..=2 {
        let alone = welcome("Ada".to_owned(), "hello".to_owned()).await;
        assert_eq!(alone.unwrap().0, before[0] + 1 + nth, "shared with nobody");
    }
}
