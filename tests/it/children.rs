//! Children that jobs spawn while they run: what they give, in which order, and what runs again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use zahir::{Child, Context, RunErrorKind, Runtime, job, workflow};
use zahir_store::{MemoryStore, Record, Store};

/// How often each job of a test ran, by test and job.
static RAN: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

fn ran(what: &str) {
    let mut ran = RAN.lock().unwrap_or_else(PoisonError::into_inner);
    *ran.entry(what.to_owned()).or_default() += 1;
}

fn times(what: &str) -> u32 {
    let ran = RAN.lock().unwrap_or_else(PoisonError::into_inner);
    ran.get(what).copied().unwrap_or_default()
}

#[derive(Debug)]
pub struct Refused(u64);

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is refused", self.0)
    }
}

#[job]
pub async fn double(number: u64) -> u64 {
    number * 2
}

#[job]
pub async fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[job(spawns(double, sum))]
pub async fn doubled(ctx: &Context, numbers: &[u64]) -> u64 {
    let children: Vec<_> = numbers.iter().map(|n| ctx.spawn(double(*n))).collect();
    ctx.continue_as(Sum::of(children)).await
}

workflow! { pub async fn aggregate(numbers: Vec<u64>) -> u64 { doubled(&numbers) } }

#[tokio::test]
async fn an_aggregate_of_children_is_the_result_of_their_parent() {
    assert_eq!(aggregate(vec![0, 1, 2]).await.unwrap(), 6);
    assert_eq!(aggregate(vec![]).await.unwrap(), 0, "of no children, too");
}

#[job]
pub async fn more(number: u64) -> u64 {
    number + 1
}

#[job(spawns(more))]
pub async fn joined(
    ctx: &Context,
    numbers: &[u64],
) -> Result<u64, zahir::JoinError<std::convert::Infallible>> {
    let children: Vec<_> = numbers.iter().map(|n| ctx.spawn(more(*n))).collect();
    let more = ctx.join_all(children).await?;
    Ok(more.iter().sum())
}

workflow! { pub async fn join(numbers: Vec<u64>) -> u64 { joined(&numbers) } }

#[tokio::test]
async fn children_are_joined() {
    assert_eq!(join(vec![10, 20, 30]).await.unwrap(), 63);
    assert_eq!(join(vec![]).await.unwrap(), 0, "none are awaited at once");
}

/// Ends when it is told to, which is later for the first ones.
#[job]
pub async fn late(number: u64) -> u64 {
    tokio::time::sleep(Duration::from_secs(10 - number)).await;
    number
}

#[job(spawns(late))]
pub async fn ordered(ctx: &Context) -> Vec<u64> {
    let children: Vec<_> = (0..4).map(|n| ctx.spawn(late(n))).collect();
    let settled = ctx.join_settled(children).await;
    settled
        .into_iter()
        .map(|outcome| outcome.unwrap_or(99))
        .collect()
}

workflow! { pub async fn in_order() -> Vec<u64> { ordered() } }

#[tokio::test(start_paused = true)]
async fn outcomes_come_in_the_order_asked_whichever_is_first() {
    let begin = tokio::time::Instant::now();
    assert_eq!(in_order().await.unwrap(), [0, 1, 2, 3]);
    assert_eq!(begin.elapsed().as_secs(), 10, "all at once");
}

#[job(retry = 1, backoff = 1s)]
pub async fn picky(number: u64) -> Result<u64, Refused> {
    ran(&format!("picky {number}"));
    tokio::time::sleep(Duration::from_secs(number)).await;
    if number == 2 {
        Ok(number)
    } else {
        Err(Refused(number))
    }
}

#[job(spawns(picky))]
pub async fn three(ctx: &Context) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let children: Vec<_> = (1..4).map(|n| ctx.spawn(picky(n))).collect();
    let all = ctx.join_all(children).await?;
    Ok(all.len() as u64)
}

workflow! { pub async fn of_three() -> u64 { three() } }

#[tokio::test(start_paused = true)]
async fn of_three_children_two_fail_and_the_parent_waits_for_all_and_tells_both() {
    let begin = tokio::time::Instant::now();
    let failed = of_three().await.unwrap_err();
    let text = failed.to_string();
    assert!(
        text.contains("1 is refused") && text.contains("3 is refused"),
        "{text}"
    );
    // Two attempts of three seconds, and about one second between them.
    assert!(
        (7..8).contains(&begin.elapsed().as_secs()),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!([1, 2, 3].map(|n| times(&format!("picky {n}"))), [2, 1, 2]);
}

#[job(spawns(picky, more))]
pub async fn handles(ctx: &Context) -> u64 {
    match ctx.spawn(picky(5)).retry(0).await {
        Ok(number) => number,
        Err(error) => {
            // The error is no payload: what is kept of it is what it says.
            assert!(error.to_string().contains("5 is refused"));
            ctx.spawn(more(100)).await.unwrap_or(0)
        }
    }
}

workflow! { pub async fn handled() -> u64 { handles() } }

#[tokio::test(start_paused = true)]
async fn a_failed_child_can_be_handled_and_has_limits_of_its_own() {
    assert_eq!(handled().await.unwrap(), 101);
    assert_eq!(times("picky 5"), 1);
}

#[job(spawns(picky))]
pub async fn lets_go(ctx: &Context, detached: bool) -> u64 {
    let child = ctx.spawn(picky(7)).retry(0);
    if detached {
        child.detached();
    }
    1
}

workflow! { pub async fn followed(detached: bool) -> u64 { let one = lets_go(detached); one + 1 } }

#[tokio::test(start_paused = true)]
async fn a_child_that_follows_fails_the_run_unless_it_is_detached() {
    assert_eq!(followed(true).await.unwrap(), 2);
    let begin = tokio::time::Instant::now();
    let failed = followed(false).await.unwrap_err();
    assert!(failed.to_string().contains("7 is refused"), "{failed}");
    assert_eq!(
        begin.elapsed().as_secs(),
        7,
        "the run ends after its last child"
    );
}

/// Parents and children share few slots.
#[job(spawns(late))]
pub async fn parent(ctx: &Context, number: u64) -> u64 {
    let children: Vec<_> = (0..3).map(|child| ctx.spawn(late(child))).collect();
    let all = ctx.join_settled(children).await;
    all.into_iter().flatten().sum::<u64>() + number
}

workflow! {
    pub async fn four_parents() -> Vec<u64> {
        let numbers = vec![10, 20, 30, 40];
        for number in numbers { parent(number) }
    }
}

#[tokio::test(start_paused = true)]
async fn four_parents_with_three_children_each_get_along_with_four_slots() {
    let runtime = Runtime::in_memory().workflow::<FourParents>().jobs_max(4);
    let runtime = runtime.start().await.unwrap();
    let run = runtime.run(four_parents()).start().await.unwrap();
    assert_eq!(run.output().await.unwrap(), [13, 23, 33, 43]);
    runtime.shutdown().await.unwrap();
    for jobs_max in 1..4 {
        let runtime = Runtime::in_memory()
            .workflow::<FourParents>()
            .jobs_max(jobs_max);
        let runtime = runtime.start().await.unwrap();
        let run = runtime.run(four_parents()).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), [13, 23, 33, 43]);
        runtime.shutdown().await.unwrap();
    }
}

static HOLD: AtomicU64 = AtomicU64::new(1);

#[job]
pub async fn quick() -> u64 {
    ran("quick");
    1
}

/// Never ends in the first process.
#[job]
pub async fn slow() -> u64 {
    ran("slow");
    if HOLD.load(Ordering::SeqCst) == 1 {
        std::future::pending::<()>().await;
    }
    10
}

#[job(spawns(quick, slow))]
pub async fn two(ctx: &Context) -> u64 {
    ran("two");
    let drawn = ctx
        .record("drawn", || {
            ran("drawn");
            100_u64
        })
        .await;
    let (quick, slow) = (ctx.spawn(quick()), ctx.spawn(slow()));
    let quick = quick.await.unwrap_or(0);
    let slow = slow.await.unwrap_or(0);
    drawn + quick + slow
}

workflow! { pub async fn two_children() -> u64 { two() } }

#[tokio::test]
async fn a_parent_killed_while_it_awaits_two_children_repeats_only_the_one_that_was_not_done() {
    let store = Arc::new(MemoryStore::new());
    let builder = || Runtime::with_store(Arc::clone(&store)).workflow::<TwoChildren>();
    let runtime = builder().start().await.unwrap();
    let run = runtime
        .run(two_children())
        .key("one")
        .start()
        .await
        .unwrap();
    let done = || {
        let records = store.load(run.id()).unwrap().unwrap().steps;
        let mut records = records.iter().flat_map(|step| &step.records);
        records.any(|record| matches!(record, Record::AttemptSucceeded { .. }))
    };
    while !done() || times("slow") == 0 {
        tokio::task::yield_now().await;
    }
    // As a kill would: nothing more is written.
    drop(run);
    drop(runtime);
    HOLD.store(0, Ordering::SeqCst);
    let runtime = builder().start().await.unwrap();
    let run = runtime
        .run(two_children())
        .key("one")
        .start()
        .await
        .unwrap();
    assert_eq!(run.output().await.unwrap(), 111);
    assert_eq!(["two", "quick", "slow", "drawn"].map(times), [2, 1, 2, 1]);
    runtime.shutdown().await.unwrap();
}

#[job(spawns(fan, sum, more))]
pub async fn fan(ctx: &Context, width: u64, depth: u64) -> u64 {
    if depth == 0 {
        return width;
    }
    let children: Vec<_> = (0..width).map(|n| ctx.spawn(fan(n, depth - 1))).collect();
    ctx.continue_as(Sum::of(children)).await
}

workflow! { pub async fn recursive(width: u64, depth: u64) -> u64 { fan(width, depth) } }

#[tokio::test]
async fn a_job_spawns_itself() {
    // 0 + 1 + 2 for each of the numbers below four.
    fn expected(width: u64, depth: u64) -> u64 {
        if depth == 0 {
            width
        } else {
            (0..width).map(|n| expected(n, depth - 1)).sum()
        }
    }
    assert_eq!(recursive(6, 4).await.unwrap(), expected(6, 4));
}

#[tokio::test]
async fn limits_are_told_by_name() {
    let failed = async |builder: zahir::RuntimeBuilder, width: u64, depth: u64| {
        let runtime = builder.workflow::<Recursive>().start().await.unwrap();
        let run = runtime.run(recursive(width, depth)).start().await.unwrap();
        let failed = run.output().await.unwrap_err();
        runtime.shutdown().await.unwrap();
        failed.to_string()
    };
    let text = failed(Runtime::in_memory().children_per_job_max(9), 10, 1).await;
    assert!(
        text.contains("`children_per_job_max`") && text.contains('9'),
        "{text}"
    );
    let text = failed(Runtime::in_memory().children_per_run_max(30), 6, 4).await;
    assert!(
        text.contains("`children_per_run_max`") && text.contains("30"),
        "{text}"
    );
    let text = failed(Runtime::in_memory().child_depth_max(3), 6, 4).await;
    assert!(
        text.contains("`child_depth_max`") && text.contains('3'),
        "{text}"
    );
}

#[job(spawns(doubled, aggregate))]
pub async fn spawns_a_workflow(ctx: &Context, number: u64) -> u64 {
    let workflow = ctx.spawn(aggregate(vec![number, 1]));
    workflow.await.unwrap_or(0)
}

workflow! { pub async fn with_workflow(number: u64) -> u64 { spawns_a_workflow(number) } }

#[tokio::test]
async fn a_workflow_is_a_child_too() {
    assert_eq!(with_workflow(5).await.unwrap(), 12);
}

#[job(spawns(more))]
pub async fn many(
    ctx: &Context,
    count: u64,
) -> Result<u64, zahir::JoinError<std::convert::Infallible>> {
    let results = ctx.map(0..count, more).limit(8).await?;
    Ok(results.iter().sum())
}

workflow! { pub async fn mapped(count: u64) -> u64 { many(count) } }

#[tokio::test]
async fn a_large_fan_is_joined_in_order() {
    for count in [0, 1, 8, 9, 5_000] {
        assert_eq!(mapped(count).await.unwrap(), count * (count + 1) / 2);
    }
}

static CANCEL: Notify = Notify::const_new();

#[job]
pub async fn endless() {
    CANCEL.notify_one();
    std::future::pending().await
}

#[job(spawns(endless))]
pub async fn waits_for_ever(ctx: &Context) {
    let _ = ctx.spawn(endless()).await;
}

workflow! { pub async fn for_ever() { waits_for_ever(); } }

#[tokio::test]
async fn a_cancelled_run_cancels_its_children() {
    let runtime = Runtime::in_memory()
        .workflow::<ForEver>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(for_ever()).start().await.unwrap();
    CANCEL.notified().await;
    run.cancel("enough").await.unwrap();
    let ended = run.output().await.unwrap_err();
    assert!(matches!(ended.kind(), RunErrorKind::Cancelled), "{ended}");
    runtime.shutdown().await.unwrap();
}

workflow! { pub async fn asked() -> u64 { signal::<u64>("go") } }

/// Waits for a child and, if it is told to, for something else, too.
#[job(spawns(asked))]
pub async fn asks(ctx: &Context, how: &str) -> u64 {
    let answer = ctx.spawn(asked());
    let (sender, told) = tokio::sync::oneshot::channel::<()>();
    match how {
        "alone" => drop(sender),
        "beside a sleep" => {
            tokio::select! {
                _ = answer => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => ran(how),
            }
            return 0;
        }
        _ => {
            tokio::spawn(async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(sender);
            });
            tokio::select! {
                _ = answer => {}
                _ = told => ran(how),
            }
            return 0;
        }
    }
    let more = [ctx.spawn(asked()), ctx.spawn(asked())];
    let (one, more) = tokio::join!(answer, ctx.join_settled(more));
    one.unwrap_or(0) + more.len() as u64
}

workflow! { pub async fn asking(how: String) -> u64 { asks(&how) } }

#[tokio::test(start_paused = true)]
async fn a_parent_whose_child_waits_for_a_signal_that_nobody_can_send_does_not_hang() {
    let begin = tokio::time::Instant::now();
    let error = asking("alone".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::NoSender);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    for how in ["beside a sleep", "beside a channel"] {
        let begin = tokio::time::Instant::now();
        let error = asking(how.to_owned()).await.unwrap_err();
        // The child follows, and waits for ever.
        assert_eq!(error.kind(), RunErrorKind::NoSender);
        assert_eq!((begin.elapsed().as_secs(), times(how)), (1, 1), "{how}");
    }
}

#[job(spawns(counts_down, double))]
pub async fn counts_down(ctx: &Context, left: u64, sum: u64, stops_at: u64) -> u64 {
    if left == 0 {
        return sum;
    }
    if left == stops_at {
        ran("stops");
        if times("stops") == 1 {
            std::future::pending::<()>().await;
        }
    }
    // Deeper than its job, as ever.
    drop(ctx.spawn(double(left)));
    ctx.continue_as(counts_down(left - 1, sum + left, stops_at))
        .await
}

workflow! {
    pub async fn chain(length: u64, stops_at: u64) -> u64 { counts_down(length, 0, stops_at) }
}

#[tokio::test]
async fn a_chain_of_continuations_is_no_deeper_than_its_first_job() {
    assert_eq!(chain(1_000, 0).await.unwrap(), 500_500);
    let store = Arc::new(MemoryStore::new());
    let start = async || {
        let runtime = Runtime::with_store(Arc::clone(&store)).child_depth_max(1);
        let runtime = runtime.workflow::<Chain>().start().await.unwrap();
        let run = runtime.run(chain(1_000, 400)).key("it").start().await;
        (runtime, run.unwrap())
    };
    let first = start().await;
    while times("stops") == 0 {
        tokio::task::yield_now().await;
    }
    // As a kill would: nothing more is written.
    drop(first);
    let (_runtime, run) = start().await;
    assert_eq!(run.output().await.unwrap(), 500_500);
    let counts = run.children().await.unwrap();
    let told: Vec<String> = counts.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "counts_down has counts_down: 1 done",
            "counts_down has double: 1 done",
            "counts_down/counts_down has counts_down: 999 done",
            "counts_down/counts_down has double: 999 done",
        ]
    );
}

#[tokio::test]
async fn a_chain_of_continuations_has_an_end() {
    let error = chain(3_000, 0).await.unwrap_err().to_string();
    assert!(error.contains("2048 times on the way"), "{error}");
}

/// A handle that another job has left.
static LENT: Mutex<Option<Child<More>>> = Mutex::new(None);

#[job(spawns(more))]
pub async fn lender(ctx: &Context) -> u64 {
    *LENT.lock().unwrap() = Some(ctx.spawn(more(110)));
    0
}

#[job(spawns(more))]
pub async fn borrower(ctx: &Context, _behind: u64) -> u64 {
    drop(ctx.spawn(more(220)));
    let child = LENT.lock().unwrap().take().unwrap();
    ctx.continue_as(More::of(child)).await
}

workflow! { pub async fn borrowed() -> u64 { let lent = lender(); borrower(lent) } }

#[tokio::test]
async fn a_job_hands_over_its_own_children_only() {
    let error = borrowed().await.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "what is given for `number` is a child of another job, or of another attempt: a job \
             hands over its own children"
        ),
        "{error}"
    );
}
