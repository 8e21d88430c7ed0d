//! Several workflows and many runs on one real file: started at once, stopped in the middle, gone on
//! with, and the file handed from one runtime to the next.

use std::collections::BTreeSet;
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use zahir::{
    Call, RunErrorKind, RunHandle, RunStatus, Runtime, StartError, Workflow, job, workflow,
};

#[job]
pub async fn twice(number: u64) -> u64 {
    number * 2
}

#[job]
pub async fn below(number: u64) -> Vec<u64> {
    (0..number).collect()
}

#[job]
pub async fn sum(numbers: &[u64]) -> u64 {
    tokio::task::yield_now().await;
    numbers.iter().sum()
}

/// How often [`held`] was begun, and what lets it end.
struct Gate {
    begun: watch::Sender<u64>,
    open: Semaphore,
}

static GATE: std::sync::LazyLock<Gate> = std::sync::LazyLock::new(|| Gate {
    begun: watch::Sender::new(0),
    open: Semaphore::const_new(0),
});

#[job]
pub async fn held(number: u64) -> u64 {
    GATE.begun.send_modify(|begun| *begun += 1);
    let _pass = GATE.open.acquire().await.unwrap();
    number + 1
}

static ONCE: AtomicU64 = AtomicU64::new(0);

#[job]
pub async fn counted(number: u64) -> u64 {
    tokio::task::yield_now().await;
    ONCE.fetch_add(1, Ordering::SeqCst) + number
}

workflow! {
    pub async fn chain(number: u64) -> u64 {
        let two = twice(number);
        let four = twice(two);
        twice(four)
    }
}

workflow! {
    pub async fn fan(number: u64) -> u64 {
        let numbers = below(number);
        let doubles = for number in numbers {
            twice(number)
        };
        sum(&doubles)
    }
}

workflow! {
    /// Both of the others, with a wait in between.
    pub async fn both(number: u64) -> u64 {
        let first = chain(number);
        let later = held(first);
        let second = fan(number);
        later + second
    }
}

workflow! {
    /// Workflows in a `for`, one of them after the other.
    pub async fn nested(number: u64) -> u64 {
        let numbers = below(number);
        let sums = for number in numbers {
            let eightfold = chain(number);
            sum_below(eightfold)
        };
        sum(&sums)
    }
}

workflow! {
    pub async fn sum_below(number: u64) -> u64 {
        let numbers = below(number);
        sum(&numbers)
    }
}

workflow! {
    pub async fn once(number: u64) -> u64 {
        counted(number)
    }
}

async fn open(file: &Path) -> Runtime {
    Runtime::open(file)
        .workflow::<Chain>()
        .workflow::<Fan>()
        .workflow::<Both>()
        .workflow::<Once>()
        .start()
        .await
        .unwrap()
}

/// Starts a run for each number under 100, at once.
fn start_all<W>(
    runtime: &Runtime,
    call: impl Fn(u64) -> Call<'static, W>,
) -> JoinSet<RunHandle<u64>>
where
    W: Workflow<Output = u64>,
    Call<'static, W>: Send,
{
    let mut starts = JoinSet::new();
    for number in 0..100 {
        let run = runtime.run(call(number)).key(number.to_string());
        starts.spawn(async move { run.start().await.unwrap() });
    }
    starts
}

async fn check_all<W>(runtime: &Runtime, expected: impl Fn(u64) -> u64)
where
    W: Workflow<Output = u64>,
{
    for number in 0..100 {
        let run = runtime.find::<W>(&number.to_string()).await.unwrap();
        let run = run.expect("a run that was acknowledged");
        assert_eq!(run.output().await.unwrap(), expected(number));
        assert_eq!(run.status(), RunStatus::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_several_workflows_are_stopped_in_the_middle_and_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.redb");
    let runtime = open(&file).await;
    let chains = start_all(&runtime, chain);
    let fans = start_all(&runtime, fan);
    let composed = start_all(&runtime, both);
    let started = chains.join_all().await.len() + fans.join_all().await.len();
    let composed = composed.join_all().await;
    assert_eq!(started + composed.len(), 300);
    let mut begun = GATE.begun.subscribe();
    begun.wait_for(|begun| *begun == 100).await.unwrap();
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    for run in composed {
        let error = run.output().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Stopped);
    }

    GATE.open.add_permits(1);
    let runtime = open(&file).await;
    let recovered = runtime.recovered();
    assert!(recovered.problems().is_empty(), "{recovered:?}");
    let composed = recovered.runs().iter();
    let composed = composed.filter(|run| run.workflow().ends_with("both"));
    let keys: BTreeSet<_> = composed.filter_map(|run| run.key()).collect();
    assert_eq!(keys.len(), 100);
    check_all::<Chain>(&runtime, |number| number * 8).await;
    check_all::<Fan>(&runtime, |number| number * number.saturating_sub(1)).await;
    let composed = |number: u64| number * 8 + 1 + number * number.saturating_sub(1);
    check_all::<Both>(&runtime, composed).await;
    assert_eq!(runtime.runs(None, 1_000).await.unwrap().len(), 300);
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_starts_with_one_key_are_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("once.redb");
    let mut id = None;
    for _ in 0..3 {
        let runtime = open(&file).await;
        let mut starts = JoinSet::new();
        for _ in 0..64 {
            let run = runtime.run(once(7)).key("the one");
            starts.spawn(async move { run.start().await.unwrap() });
        }
        for run in starts.join_all().await {
            assert_eq!(*id.get_or_insert(run.id()), run.id());
            assert_eq!(run.output().await.unwrap(), 7);
        }
        runtime.shutdown().await.unwrap();
    }
    assert_eq!(ONCE.load(Ordering::SeqCst), 1);
}

/// Starts a run for each of these numbers and cancels every third, all at once, while the runtime is
/// shut down. Gives what was acknowledged: runs, and how they ended.
async fn beside_a_shutdown(file: &Path, numbers: Range<u64>) -> Vec<(u64, Option<RunStatus>)> {
    let runtime = open(file).await;
    let mut starts = JoinSet::new();
    for number in numbers {
        let run = runtime.run(fan(number % 20)).key(number.to_string());
        starts.spawn(async move {
            let run = match run.start().await {
                Ok(run) => run,
                Err(refused) => {
                    assert!(matches!(refused, StartError::ShutDown), "{refused}");
                    return None;
                }
            };
            if !number.is_multiple_of(3) {
                return Some((number, None));
            }
            match run.cancel("enough").await {
                Ok(status) => Some((number, Some(status))),
                Err(error) => {
                    assert_eq!(error.kind(), RunErrorKind::Stopped);
                    Some((number, None))
                }
            }
        });
    }
    // The first one is acknowledged; the others are anywhere.
    let mut acknowledged = vec![starts.join_next().await.unwrap().unwrap()];
    let (first, second) = tokio::join!(
        runtime.shutdown_within(Duration::ZERO),
        runtime.shutdown_within(Duration::ZERO)
    );
    first.and(second).unwrap();
    acknowledged.extend(starts.join_all().await);
    acknowledged.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_shutdown_everything_is_acknowledged_and_kept_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("beside.redb");
    let mut acknowledged = Vec::new();
    for round in 0..10 {
        acknowledged.extend(beside_a_shutdown(&file, round * 40..(round + 1) * 40).await);
    }
    let runtime = open(&file).await;
    assert!(runtime.recovered().problems().is_empty());
    for (number, ended) in acknowledged {
        let run = runtime.find::<Fan>(&number.to_string()).await.unwrap();
        let run = run.expect("a run that was acknowledged");
        let output = run.output().await;
        match ended {
            Some(ended) => assert_eq!(run.status(), ended),
            None if number.is_multiple_of(3) && output.is_err() => {
                assert_eq!(run.status(), RunStatus::Cancelled);
            }
            None => assert_eq!(
                output.unwrap(),
                (number % 20) * (number % 20).saturating_sub(1)
            ),
        }
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slot_is_enough_for_all() {
    let runtime = Runtime::in_memory().workflow::<Fan>().workflow::<Nested>();
    let runtime = runtime.jobs_max(1).start().await.unwrap();
    let fans = start_all(&runtime, fan);
    let nested = start_all(&runtime, nested);
    for run in fans.join_all().await {
        run.output().await.unwrap();
    }
    for run in nested.join_all().await {
        run.output().await.unwrap();
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_free_as_soon_as_its_runtime_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handed.redb");
    for number in 0..20 {
        let runtime = open(&file).await;
        let clone = runtime.clone();
        let run = runtime.run(chain(number)).start().await.unwrap();
        drop(runtime);
        assert_eq!(run.output().await.unwrap(), number * 8);
        drop(clone);
        let runtime = open(&file).await;
        drop(runtime.run(chain(number)).start().await.unwrap());
        runtime.shutdown_within(Duration::ZERO).await.unwrap();
    }
    assert_eq!(open(&file).await.runs(None, 100).await.unwrap().len(), 40);
}

#[tokio::test]
async fn a_start_that_is_dropped_while_it_opens_leaves_the_file_free() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dropped.redb");
    open(&file).await.shutdown().await.unwrap();
    for polls in 0..20 {
        let mut opening = Box::pin(Runtime::open(&file).workflow::<Chain>().start());
        for _ in 0..polls {
            let mut context = Context::from_waker(Waker::noop());
            if opening.as_mut().poll(&mut context).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(opening);
        open(&file).await.shutdown().await.unwrap();
    }
}
