//! Children of jobs, from `ctx.spawn(..)` to the store and back.

mod crashes;
mod many;
mod parking;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zahir_macros::job;
use zahir_store::{FailureKind, RunStatus};

use super::*;
use crate::event::EventKind;
use crate::job::Job as _;
use crate::runtime::RuntimeBuilder;
use crate::workflow::Workflow;
use crate::{Again, ChildError, Context, Failure, JoinError, workflow};

/// What happened, by what a test calls it. The jobs of a test are functions, so this is where they
/// leave traces.
static TRACES: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// What jobs wait for until a test lets them through.
static GATES: Mutex<BTreeMap<String, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());

fn trace(what: &str) -> u64 {
    let mut traces = TRACES.lock().unwrap();
    let count = traces.entry(what.to_owned()).or_default();
    *count += 1;
    *count
}

fn traced(what: &str) -> u64 {
    TRACES.lock().unwrap().get(what).copied().unwrap_or(0)
}

fn gate(name: &str) -> Arc<Semaphore> {
    let mut gates = GATES.lock().unwrap();
    let gate = gates.entry(name.to_owned());
    Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(0))))
}

/// Lets one job through.
fn open(name: &str) {
    gate(name).add_permits(1);
}

fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap()
}

/// In memory and over a store.
fn both() -> [RuntimeBuilder; 2] {
    [
        Runtime::in_memory(),
        Runtime::with_store(TestStore::default()),
    ]
}

async fn knowing<W: Workflow>(store: &TestStore) -> Runtime {
    let builder = Runtime::with_store(store.clone()).workflow::<W>();
    builder.start().await.unwrap()
}

#[job]
async fn plus_one(n: u64) -> u64 {
    n + 1
}

/// Takes so many seconds.
#[job]
async fn slowly(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_secs(n)).await;
    n
}

/// Gives `n` when its gate is open.
#[job]
async fn gated(name: &str, n: u64) -> u64 {
    trace(name);
    gate(name).acquire().await.unwrap().forget();
    n
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Odd(u64);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

impl std::error::Error for Odd {}

#[job]
async fn even(n: u64) -> Result<u64, Odd> {
    if n.is_multiple_of(2) {
        Ok(n)
    } else {
        Err(Odd(n))
    }
}

#[job]
async fn parsed(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[job(spawns(plus_one))]
async fn sums(ctx: &Context, numbers: &[u64]) -> Result<u64, JoinError<Infallible>> {
    let children = numbers.iter().map(|n| ctx.spawn(plus_one(*n)));
    let sums = ctx.join_all(children).await?;
    Ok(sums.iter().sum())
}

workflow! {
    async fn sum_of(numbers: Vec<u64>) -> u64 {
        sums(&numbers)
    }
}

#[tokio::test]
async fn children_are_joined() {
    let _watch = watch();
    for builder in both() {
        let runtime = builder.workflow::<SumOf>().start().await.unwrap();
        let run = runtime.run(sum_of(vec![10, 20, 30])).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 63);
        let run = runtime.run(sum_of(vec![])).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 0);
        runtime.shutdown().await.unwrap();
    }
    assert_eq!(sum_of(vec![10, 20, 30]).await.unwrap(), 63);
    assert_eq!(sums(&[10, 20, 30]).await.unwrap(), 63);
}

#[job(spawns(slowly))]
async fn in_order(ctx: &Context, times: &[u64]) -> Result<Vec<u64>, JoinError<Infallible>> {
    let children: Vec<_> = times.iter().map(|n| ctx.spawn(slowly(*n))).collect();
    ctx.join_all(children).await
}

workflow! {
    async fn ordered(times: Vec<u64>) -> Vec<u64> {
        in_order(&times)
    }
}

#[tokio::test(start_paused = true)]
async fn results_come_in_the_order_they_were_asked_for() {
    let _watch = watch();
    assert_eq!(ordered(vec![3, 1, 2]).await.unwrap(), [3, 1, 2]);
    let began = tokio::time::Instant::now();
    assert_eq!(in_order(&[3, 1, 2]).await.unwrap(), [3, 1, 2]);
    assert_eq!(began.elapsed(), Duration::from_secs(3), "at the same time");
}

/// How all ended, in words; and which errors were there.
#[job(spawns(even, slowly))]
async fn told_all(ctx: &Context, numbers: &[u64]) -> Vec<String> {
    let slow = ctx.spawn(slowly(length(numbers)));
    let (ends, slow) = tokio::join!(
        ctx.join_settled(numbers.iter().map(|n| ctx.spawn(even(*n)))),
        slow
    );
    let mut told: Vec<_> = ends
        .into_iter()
        .map(|end| match end {
            Ok(n) => n.to_string(),
            Err(error) => {
                let text = error.to_string();
                assert_eq!(error.failure().kind(), FailureKind::Error);
                let seen = error.error().map(|odd| odd.0);
                let odd = error.into_error().unwrap();
                assert_eq!(seen, Some(odd.0));
                format!("{text} ({odd})")
            }
        })
        .collect();
    told.push(slow.unwrap().to_string());
    told
}

workflow! {
    async fn telling(numbers: Vec<u64>) -> Vec<String> {
        told_all(&numbers)
    }
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_told() {
    let _watch = watch();
    let expected = [
        "2",
        "`told_all[2]/even` failed: 3 is odd (3 is odd)",
        "`told_all[3]/even` failed: 5 is odd (5 is odd)",
        "3",
    ];
    assert_eq!(telling(vec![2, 3, 5]).await.unwrap(), expected);
    for builder in both() {
        let runtime = builder.workflow::<Telling>().start().await.unwrap();
        let run = runtime.run(telling(vec![2, 3, 5])).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), expected);
        assert_eq!(run.status(), RunStatus::Succeeded);
    }
    let alone = told_all(&[2, 3, 5]).await;
    let expected = format!("`{}` failed: 3 is odd (3 is odd)", Even::NAME);
    assert_eq!(alone[1], expected);
}

#[job(spawns(even))]
async fn evens(ctx: &Context, numbers: &[u64]) -> Result<u64, JoinError<Odd>> {
    let evens = ctx
        .join_all(numbers.iter().map(|n| ctx.spawn(even(*n))))
        .await?;
    Ok(evens.iter().sum())
}

workflow! {
    async fn all_even(numbers: Vec<u64>) -> u64 {
        evens(&numbers)
    }
}

#[tokio::test]
async fn of_three_of_which_two_fail_both_are_told() {
    let _watch = watch();
    let error = all_even(vec![1, 2, 3]).await.unwrap_err();
    assert_eq!(error.node(), Some("evens"));
    assert_eq!(
        error.message(),
        "2 of 3 children failed: `evens[0]/even` failed: 1 is odd; \
         `evens[2]/even` failed: 3 is odd"
    );
}

#[job(spawns(parsed))]
async fn parse_all(ctx: &Context, texts: &[String]) -> Result<u64, String> {
    let mut sum = 0;
    for text in texts {
        match ctx.spawn(parsed(text)).await {
            Ok(n) => sum += n,
            Err(error) if error.error().is_none() => return Err(error.failure().message().into()),
            Err(_) => return Err("an error that can't be stored".into()),
        }
    }
    Ok(sum)
}

workflow! {
    async fn parses(texts: Vec<String>) -> u64 {
        parse_all(&texts)
    }
}

#[tokio::test]
async fn an_error_that_can_not_be_stored_is_a_failure() {
    let _watch = watch();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(parses(texts(&["1", "2"])).await.unwrap(), 3);
    let error = parses(texts(&["1", "x"])).await.unwrap_err();
    assert_eq!(error.message(), "invalid digit found in string");
}

/// What a child gives that is a workflow.
#[job(spawns(sum_of, telling))]
async fn nested(
    ctx: &Context,
    numbers: &[u64],
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let sum = ctx.spawn(sum_of(numbers.to_vec())).await?;
    let told = ctx.spawn(telling(numbers.to_vec())).await?;
    Ok(sum + length(&told))
}

workflow! {
    async fn nests(numbers: Vec<u64>) -> u64 {
        nested(&numbers)
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_can_be_a_child() {
    let _watch = watch();
    for builder in both() {
        let runtime = builder.workflow::<Nests>().start().await.unwrap();
        let run = runtime.run(nests(vec![1, 2])).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 8);
    }
    assert_eq!(nested(&[1, 2]).await.unwrap(), 8);
}

/// Doubles itself as often as is asked for.
#[job(spawns(doubling))]
async fn doubling(ctx: &Context, n: u64) -> Result<u64, ChildError<String>> {
    if n == 0 {
        return Ok(1);
    }
    let (a, b) = (ctx.spawn(doubling(n - 1)), ctx.spawn(doubling(n - 1)));
    let (a, b) = tokio::join!(a, b);
    let own = |error: ChildError<_>| error_of(error.failure());
    Ok(a.map_err(own)? + b.map_err(own)?)
}

fn error_of(failure: &Failure) -> ChildError<String> {
    ChildError::new(failure.clone(), None)
}

workflow! {
    async fn doubles(n: u64) -> u64 {
        doubling(n)
    }
}

#[tokio::test]
async fn a_job_can_spawn_itself() {
    let _watch = watch();
    for builder in both() {
        let runtime = builder.workflow::<Doubles>().start().await.unwrap();
        let run = runtime.run(doubles(5)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 32);
    }
}

#[tokio::test]
async fn depth_and_numbers_of_children_are_limited() {
    let _watch = watch();
    let failed = async |builder: RuntimeBuilder| {
        let runtime = builder.workflow::<Doubles>().start().await.unwrap();
        let run = runtime.run(doubles(5)).start().await.unwrap();
        run.output().await.unwrap_err().to_string()
    };
    for builder in both() {
        let told = failed(builder.child_depth_max(4)).await;
        assert!(told.contains("`child_depth_max`"), "{told}");
    }
    for builder in both() {
        let told = failed(builder.children_per_job_max(1)).await;
        assert!(told.contains("`children_per_job_max`"), "{told}");
    }
    for builder in both() {
        let told = failed(builder.children_per_run_max(20)).await;
        assert!(told.contains("`children_per_run_max`"), "{told}");
    }
    let refused = Runtime::in_memory().child_depth_max(1 << 20).start().await;
    let told = refused.unwrap_err().to_string();
    assert_eq!(
        told,
        "`child_depth_max` is 1048576; at most 10000 are possible"
    );
}

/// Lets two follow, and has the result before either of them.
#[job(spawns(gated, even))]
async fn leads(ctx: &Context, name: &str, n: u64) -> u64 {
    drop(ctx.spawn(gated(name, 1)));
    drop(ctx.spawn(even(n)));
    ctx.spawn(even(1)).detached();
    7
}

#[job]
async fn behind(n: u64, name: &str) -> u64 {
    trace(&format!("behind {name}"));
    n
}

workflow! {
    async fn followed(name: String, n: u64) -> u64 {
        let led = leads(&name, n);
        behind(led, &name)
    }
}

#[tokio::test]
async fn a_run_ends_behind_what_follows() {
    let _watch = watch();
    for (n, builder) in both().into_iter().enumerate() {
        let name = format!("follows {n}");
        let runtime = builder.workflow::<Followed>().start().await.unwrap();
        let run = runtime
            .run(followed(name.clone(), 2))
            .start()
            .await
            .unwrap();
        until(|| traced(&format!("behind {name}")) == 1 && traced(&name) == 1).await;
        assert_eq!(run.status(), RunStatus::Running);
        open(&name);
        assert_eq!(run.output().await.unwrap(), 7);
    }
}

#[tokio::test]
async fn a_follower_that_fails_fails_the_run() {
    let _watch = watch();
    for (n, builder) in both().into_iter().enumerate() {
        let name = format!("follower fails {n}");
        open(&name);
        let runtime = builder.workflow::<Followed>().start().await.unwrap();
        let run = runtime.run(followed(name, 3)).start().await.unwrap();
        let error = run.output().await.unwrap_err();
        assert_eq!(error.node(), Some("led[1]/even"), "{error:?}");
        assert_eq!(error.message(), "3 is odd");
    }
}

/// Fails at first; what it spawned then has never been.
#[job(retry = 1, backoff = 1ms, spawns(gated))]
async fn fails_first(ctx: &Context, name: &str) -> Result<u64, String> {
    drop(ctx.spawn(gated(&format!("{name} {}", ctx.attempt()), 1)));
    if ctx.attempt() == 1 {
        return Err("no".into());
    }
    Ok(7)
}

workflow! {
    async fn failing_first(name: String) -> u64 {
        fails_first(&name)
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_spawned_that_failed_has_never_been() {
    let _watch = watch();
    open("never 2");
    assert_eq!(failing_first("never".to_owned()).await.unwrap(), 7);
    assert_eq!((traced("never 1"), traced("never 2")), (0, 1));
}

#[job]
async fn total(title: &str, numbers: &[u64], last: u64) -> Result<u64, String> {
    trace(title);
    if numbers.is_empty() {
        return Err("nothing to add".into());
    }
    Ok(numbers.iter().sum::<u64>() + last)
}

/// Lets another job give its result.
#[job(spawns(gated, slowly, even, total))]
async fn hands_over(ctx: &Context, name: &str, numbers: &[u64]) -> Result<u64, String> {
    trace(&format!("{name} begun"));
    let children: Vec<_> = numbers.iter().map(|n| ctx.spawn(even(*n))).collect();
    let last = ctx.spawn(gated(name, 100));
    ctx.continue_as(Total::of(format!("{name} total"), children, last))
        .await
}

workflow! {
    async fn handed_over(name: String, numbers: Vec<u64>) -> u64 {
        let total = hands_over(&name, &numbers);
        behind(total, &name)
    }
}

#[tokio::test]
async fn another_job_can_give_the_result() {
    let _watch = watch();
    for (n, builder) in both().into_iter().enumerate() {
        let name = format!("heir {n}");
        let runtime = builder
            .jobs_max(1)
            .workflow::<HandedOver>()
            .start()
            .await
            .unwrap();
        let run = runtime
            .run(handed_over(name.clone(), vec![2, 4]))
            .start()
            .await
            .unwrap();
        until(|| traced(&name) == 1).await;
        assert_eq!(traced(&format!("{name} total")), 0);
        open(&name);
        assert_eq!(run.output().await.unwrap(), 106);
        open(&name);
        let run = runtime
            .run(handed_over(name.clone(), vec![]))
            .start()
            .await
            .unwrap();
        let error = run.output().await.unwrap_err();
        assert_eq!(error.message(), "nothing to add");
        open(&name);
        let run = runtime
            .run(handed_over(name.clone(), vec![1, 2, 3]))
            .start()
            .await
            .unwrap();
        let error = run.output().await.unwrap_err().to_string();
        assert!(
            error.contains("1 is odd") && error.contains("3 is odd"),
            "{error}"
        );
        assert_eq!(traced(&format!("{name} total")), 2);
    }
    open("heir alone");
    assert_eq!(hands_over("heir alone", &[2, 4]).await, Ok(106));
}

/// Tells as it goes.
#[job(spawns(plus_one))]
async fn tells(ctx: &Context, n: u64) -> Result<u64, ChildError<Infallible>> {
    ctx.progress(1, 3);
    ctx.emit(&vec![n, n]);
    ctx.emit(&vec![0_u8; 70_000]);
    let (a, b) = (ctx.spawn(plus_one(n)), ctx.spawn(plus_one(n)));
    let sum = a.await? + b.await?;
    ctx.emit("done");
    Ok(sum)
}

workflow! {
    async fn telling_events(n: u64) -> u64 {
        tells(n)
    }
}

#[tokio::test]
async fn what_a_job_tells_is_an_event() {
    let _watch = watch();
    for builder in both() {
        let runtime = builder.workflow::<TellingEvents>().start().await.unwrap();
        let mut events = runtime.events();
        let run = runtime.run(telling_events(4)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 10);
        runtime.shutdown().await.unwrap();
        let mut told = Vec::new();
        while let Some(event) = events.next().await {
            told.push(match event.unwrap().kind {
                EventKind::Progress { node, done, total } => format!("{node}: {done} of {total}"),
                EventKind::Emitted { node, value } => match value.decode::<Vec<u64>>() {
                    Ok(numbers) => format!("{node} tells {numbers:?}"),
                    Err(_) => format!("{node} tells {:?}", value.decode::<String>().unwrap()),
                },
                EventKind::ChildrenSpawned { node, children } => {
                    let (name, count) = &children[0];
                    let name = name.rsplit("::").next().unwrap();
                    format!("{node} has {count} {name}")
                }
                EventKind::AttemptSucceeded { node, .. } => format!("{node} succeeded"),
                _ => continue,
            });
        }
        let children = told.iter().position(|line| line.contains("]/")).unwrap();
        told[children..children + 2].sort();
        assert_eq!(
            told,
            [
                "tells: 1 of 3",
                "tells tells [4, 4]",
                "tells has 2 plus_one",
                "tells[0]/plus_one succeeded",
                "tells[1]/plus_one succeeded",
                "tells tells \"done\"",
                "tells succeeded",
            ]
        );
    }
}

/// Spawns one each time, and asks to be run again twice.
#[job(spawns(gated))]
async fn polls(ctx: &Context, name: &str, #[state] seen: Option<u64>) -> Again<u64, u64> {
    let seen = seen.unwrap_or(0);
    drop(ctx.spawn(gated(name, seen)));
    if seen == 2 {
        return Again::Done(seen);
    }
    Again::after(Duration::from_secs(1), seen + 1)
}

workflow! {
    async fn polling(name: String) -> u64 {
        polls(&name)
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_be_run_again_leaves_children_behind() {
    let _watch = watch();
    gate("polling").add_permits(100);
    assert_eq!(polling("polling".to_owned()).await.unwrap(), 2);
    assert_eq!(traced("polling"), 3);
    for builder in both() {
        let runtime = builder.workflow::<Polling>().start().await.unwrap();
        let run = runtime
            .run(polling("polling".to_owned()))
            .start()
            .await
            .unwrap();
        assert_eq!(run.output().await.unwrap(), 2);
    }
    assert_eq!(traced("polling"), 9);
}

#[job(spawns(gated, even, counted))]
async fn counted(ctx: &Context, name: &str, depth: u64) -> Result<u64, ChildError<Infallible>> {
    if depth > 0 {
        ctx.spawn(even(depth)).detached();
        drop(ctx.spawn(counted(name, depth - 1)));
        return Ok(depth);
    }
    ctx.spawn(gated(name, 0)).await
}

workflow! {
    async fn counting(name: String) -> u64 {
        counted(&name, 3)
    }
}

#[tokio::test]
async fn children_are_counted_and_drawn_folded() {
    let _watch = watch();
    let counts = async |run: &RunHandle<u64>| {
        let mut told = Vec::new();
        for count in run.children().await.unwrap() {
            let name = count.kind().rsplit("::").next().unwrap();
            told.push(format!(
                "{} has {name}: {} {} {} {}",
                count.parent(),
                count.waiting(),
                count.running(),
                count.done(),
                count.failed()
            ));
        }
        told.sort();
        told
    };
    let store = TestStore::default();
    let runtime = knowing::<Counting>(&store).await;
    let run = runtime
        .run(counting("counting".to_owned()))
        .start()
        .await
        .unwrap();
    until(|| traced("counting") == 1).await;
    let live = counts(&run).await;
    assert_eq!(
        live,
        [
            "counted has counted: 0 1 0 0",
            "counted has even: 0 0 0 1",
            "counted/counted has counted: 0 2 0 0",
            "counted/counted has even: 0 0 1 1",
            "counted/counted has gated: 0 1 0 0",
        ]
    );
    open("counting");
    assert_eq!(run.output().await.unwrap(), 3);
    let over = [
        "counted has counted: 0 0 1 0",
        "counted has even: 0 0 0 1",
        "counted/counted has counted: 0 0 2 0",
        "counted/counted has even: 0 0 1 1",
        "counted/counted has gated: 0 0 1 0",
    ];
    assert_eq!(counts(&run).await, over);
    let picture = run.to_mermaid().await.unwrap();
    assert!(picture.contains("[[\"gated: 1 done\"]]"), "{picture}");
    assert!(picture.contains("-- has -->"), "{picture}");
    runtime.shutdown().await.unwrap();
    let runtime = knowing::<Counting>(&store).await;
    let run = runtime.handle::<Counting>(run.id()).await.unwrap();
    assert_eq!(counts(&run).await, over, "as the records have it");
    assert_eq!(run.to_mermaid().await.unwrap(), picture);
}

#[job(spawns(pong))]
async fn ping(ctx: &Context, depth: u64) -> u64 {
    ctx.spawn(pong(depth)).await.unwrap_or(0)
}

#[job(spawns(ping))]
async fn pong(ctx: &Context, depth: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    ctx.spawn(ping(depth - 1)).await.unwrap_or(0) + 1
}

workflow! {
    async fn ping_pong(depth: u64) -> u64 {
        ping(depth)
    }
}

#[tokio::test]
async fn jobs_that_spawn_each_other_are_counted_by_kind_however_deep() {
    for builder in both() {
        let runtime = builder.workflow::<PingPong>().start().await.unwrap();
        let run = runtime.run(ping_pong(40)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 40);
        let counts = run.children().await.unwrap();
        let told: Vec<String> = counts.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "ping has pong: 1 done",
                "ping/pong has ping: 40 done",
                "ping/pong/ping has pong: 40 done",
            ]
        );
        let picture = run.to_mermaid().await.unwrap();
        assert!(picture.contains("c1 -- has --> c2"), "{picture}");
        expect_test::expect![[r#"
            ChildCount {
                parent: "ping",
                kind: "zahir::runtime::tests::children::pong",
                waiting: 0,
                running: 0,
                done: 1,
                failed: 0,
            }"#]]
        .assert_eq(&format!("{:#?}", counts[0]));
    }
}

/// What can't be told apart, or comes too late.
#[job(spawns(plus_one))]
async fn misuses(ctx: &Context, how: &str) -> Result<u64, ChildError<Infallible>> {
    let a = ctx.spawn(plus_one(1)).key("a");
    let key = if how == "key" { "a" } else { "b" };
    let b = ctx.spawn(plus_one(2)).key(key);
    let a = a.await?;
    let b = if how == "late" { b.retry(3) } else { b };
    Ok(a + b.await?)
}

workflow! {
    async fn misused(how: String) -> u64 {
        misuses(&how)
    }
}

#[tokio::test]
async fn misuse_fails_the_attempt_and_says_how() {
    let _watch = watch();
    assert_eq!(misused(String::new()).await.unwrap(), 5);
    let error = misused("key".to_owned()).await.unwrap_err();
    assert!(error.message().contains("have the key `a`"), "{error}");
    let error = misused("late".to_owned()).await.unwrap_err();
    assert!(
        error.message().contains("`.retry(..)` comes too late"),
        "{error}"
    );
    assert_eq!(error.attempt(), Some(1));
}

#[job]
async fn pair_length(a: &str, b: &str) -> u64 {
    length(a.as_bytes()) + length(b.as_bytes())
}

/// Hands over two texts of this length.
#[job(spawns(pair_length))]
async fn bequeaths(ctx: &Context, n: u64) -> u64 {
    let text = "x".repeat(usize::try_from(n).unwrap());
    ctx.continue_as(pair_length(&text, &text)).await
}

workflow! {
    async fn bequeathed(n: u64) -> u64 {
        bequeaths(n)
    }
}

/// A store that is given too much halts the whole runtime.
#[tokio::test]
async fn what_an_heir_is_given_may_be_too_large_by_itself_or_together() {
    let _watch = watch();
    for builder in both() {
        let builder = builder.value_bytes_max(100).workflow::<Bequeathed>();
        let runtime = builder.start().await.unwrap();
        for n in [200, 60] {
            let run = runtime.run(bequeathed(n)).start().await.unwrap();
            let error = run.output().await.unwrap_err();
            assert!(error.message().contains("`value_bytes_max`"), "{error}");
            assert_eq!(error.attempt(), Some(1));
        }
        let run = runtime.run(bequeathed(20)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), 40);
    }
}

/// Awaits a child twice.
#[job(spawns(plus_one))]
async fn asks_twice(ctx: &Context, n: u64) -> String {
    let mut child = ctx.spawn(plus_one(n));
    let first = (&mut child).await.unwrap();
    let second = (&mut child).await.unwrap_err();
    format!("{first}, {}", second.failure().message())
}

workflow! {
    async fn asked_twice(n: u64) -> String {
        asks_twice(n)
    }
}

#[tokio::test]
async fn a_child_that_is_awaited_again_says_so() {
    let _watch = watch();
    let expected = "2, its outcome was given out before: a child is awaited once";
    for builder in both() {
        let runtime = builder.workflow::<AskedTwice>().start().await.unwrap();
        let run = runtime.run(asked_twice(1)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), expected);
    }
    assert_eq!(asks_twice(1).await, expected);
}

/// Has a child for each number there is.
#[job(spawns(plus_one))]
async fn never_ends(ctx: &Context, n: u64) -> Result<u64, JoinError<Infallible>> {
    let numbers = ctx.map(n.., |n| plus_one(n + 1)).await?;
    Ok(length(&numbers))
}

workflow! {
    async fn never_ending(n: u64) -> u64 {
        never_ends(n)
    }
}

#[tokio::test]
async fn a_fan_without_an_end_fails() {
    let _watch = watch();
    for builder in both() {
        let builder = builder.children_per_job_max(1500);
        let runtime = builder.workflow::<NeverEnding>().start().await.unwrap();
        let run = runtime.run(never_ending(0)).start().await.unwrap();
        let error = run.output().await.unwrap_err();
        assert!(
            error
                .message()
                .contains("1500 children (`children_per_job_max`)"),
            "{error}"
        );
    }
}
