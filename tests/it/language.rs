//! What the documentation of `workflow!` promises, seen through the public interface alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use zahir::{Context, Payload, job, workflow};

/// What the jobs of one test share. Inputs are stored, so a test is known by its number.
#[derive(Default)]
struct Bench {
    log: Mutex<Vec<String>>,
    barrier: Mutex<Option<Arc<Barrier>>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

static BENCHES: [std::sync::OnceLock<Bench>; 8] = [const { std::sync::OnceLock::new() }; 8];

fn bench(test: usize) -> &'static Bench {
    BENCHES[test].get_or_init(Bench::default)
}

fn logged(test: usize) -> Vec<String> {
    bench(test).log.lock().expect("a log").clone()
}

/// Logs when it begins and when it ends.
#[job]
async fn step(test: usize, name: &str, wait: u64) -> String {
    bench(test)
        .log
        .lock()
        .expect("a log")
        .push(format!("{name} begins"));
    tokio::time::sleep(Duration::from_millis(wait)).await;
    bench(test)
        .log
        .lock()
        .expect("a log")
        .push(format!("{name} ends"));
    name.to_owned()
}

/// Ends when as many of these run as the barrier of the test wants.
#[job(timeout = 10s)]
async fn meet(test: usize, name: u64) -> u64 {
    let barrier = bench(test).barrier.lock().expect("a barrier").clone();
    barrier.expect("a barrier").wait().await;
    name
}

/// Counts how many of these run at once.
#[job]
async fn counted(test: usize, value: u64) -> u64 {
    let bench = bench(test);
    let running = bench.running.fetch_add(1, Ordering::SeqCst) + 1;
    bench.most.fetch_max(running, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(5)).await;
    bench.running.fetch_sub(1, Ordering::SeqCst);
    value * 10
}

fn expects(test: usize, parties: usize) {
    *bench(test).barrier.lock().expect("a barrier") = Some(Arc::new(Barrier::new(parties)));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

/// Not `Clone`: it can only be lent.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Secret {
    key: String,
}

#[job]
async fn fetch(id: u64) -> User {
    User {
        id,
        name: format!("user {id}"),
    }
}

#[job]
async fn hide(user: User) -> Secret {
    Secret { key: user.name }
}

#[job]
async fn length(secret: &Secret, extra: &[u64]) -> usize {
    secret.key.len() + extra.len()
}

#[job]
async fn add(left: u64, right: u64) -> u64 {
    left + right
}

#[job]
async fn split(user: &User) -> (u64, String) {
    (user.id, user.name.clone())
}

#[job]
async fn echo<T: Payload + Clone>(value: &T) -> T {
    value.clone()
}

#[job]
async fn list(count: u64) -> Vec<u64> {
    (0..count).collect()
}

#[job]
async fn attempts(ctx: &Context, enough: u32) -> Result<u32, std::fmt::Error> {
    if ctx.attempt() < enough {
        return Err(std::fmt::Error);
    }
    Ok(ctx.attempt())
}

fn shout(text: &str) -> String {
    text.to_uppercase()
}

workflow! {
    async fn values(id: u64) -> (User, u64, usize, String) {
        let user = fetch(id);
        let secret = hide(user);                            // a copy: `user` is still there
        let again = hide(user.clone());
        let size = length(&secret, &[id, 2]);
        let also = length(&again, &[]);
        let sum = add(add(id, 1), add(user.id, 2));         // nodes inside of arguments
        let (number, name) = split(&user);
        let User { id: same, .. } = fetch(number);
        let plain = if same > 3 { "much" } else { "little" };
        let word = match size + also { 0 => "none", _ if number > 1 => plain, _ => "one" };
        let loud = pure(shout(&name));
        let block = { let inner = add(same, 1); add(inner, 1) };
        (user, sum + block, size + also, format!("{loud} {word}"))
    }
}

#[tokio::test]
async fn values_are_shared_lent_and_taken_apart() {
    let user = User {
        id: 7,
        name: "user 7".to_owned(),
    };
    let expected = (user, 17 + 9, 8 + 6, "USER 7 much".to_owned());
    assert_eq!(values(7).await.expect("an output"), expected);
}

workflow! {
    async fn loops(count: u64, names: Vec<String>) -> (Vec<u64>, Vec<Vec<String>>, Vec<u64>, usize) {
        let offset = add(count, 100);
        let numbers = list(count);
        let sums = for number in numbers { add(number, offset) };
        let nested = for name in &names {
            let doubled = echo(&name);
            for number in 0..count { echo(&format!("{doubled}{number}{offset}")) }
        };
        let pairs = for (index, name) in names.iter().cloned().enumerate() {
            add(index as u64, name.len() as u64)
        };
        let nothing = for number in 0..0_u64 { add(number, 1) };
        for number in 0..count {};
        for number in 0..count { add(number, offset); };
        (sums, nested, pairs, nothing.len())
    }
}

#[tokio::test]
async fn a_for_gives_its_results_in_item_order() {
    let names = vec!["a".to_owned(), "bb".to_owned()];
    let (sums, nested, pairs, nothing) = loops(3, names).await.expect("an output");
    assert_eq!(sums, [103, 104, 105]);
    assert_eq!(nested[0], ["a0103", "a1103", "a2103"]);
    assert_eq!(nested[1], ["bb0103", "bb1103", "bb2103"]);
    assert_eq!((pairs, nothing), (vec![1, 3], 0));
    let (sums, nested, pairs, _) = loops(0, vec![]).await.expect("an output");
    assert_eq!((sums.len(), nested.len(), pairs.len()), (0, 0, 0));
}

workflow! { async fn each(names: Vec<String>) { for name in names { echo(&name) } } }
workflow! { async fn nothing() {} }
workflow! { async fn same(number: u64) -> u64 { number } }

#[tokio::test]
async fn a_workflow_may_give_nothing_or_what_it_took() {
    each(vec!["a".to_owned()]).await.expect("an end");
    nothing().await.expect("an end");
    assert_eq!(same(3).await.expect("an output"), 3);
}

workflow! {
    async fn together(test: usize) -> u64 {
        let left = meet(test, 1);
        let right = meet(test, 2);
        add(left, right)
    }
}

workflow! {
    async fn all_together(test: usize) -> Vec<u64> {
        for number in 0..20 { meet(test, number) }
    }
}

workflow! {
    async fn as_arguments(test: usize) -> u64 { add(meet(test, 1), meet(test, 2)) }
}

#[tokio::test]
async fn what_does_not_depend_on_each_other_runs_at_once() {
    expects(0, 2);
    assert_eq!(together(0).await.expect("an output"), 3);
    assert_eq!(as_arguments(0).await.expect("an output"), 3);
    expects(0, 20);
    assert_eq!(
        all_together(0).await.expect("an output"),
        (0..20).collect::<Vec<_>>()
    );
}

workflow! {
    async fn limited(test: usize) -> Vec<u64> {
        #[limit(3)] for number in 0..12 { counted(test, number) }
    }
}

#[tokio::test]
async fn a_limit_holds_and_is_used() {
    let expected: Vec<u64> = (0..12).map(|number| number * 10).collect();
    assert_eq!(limited(1).await.expect("an output"), expected);
    assert_eq!(bench(1).most.load(Ordering::SeqCst), 3);
}

workflow! {
    async fn ordered(test: usize) -> String {
        let slow = step(test, "slow", 20);
        let slower = step(test, "slower", 30);
        let late = step(test, "late", 0).after((slow, slower));
        let rounds = for name in vec!["x".to_owned(), "y".to_owned()] { step(test, &name, 0) };
        step(test, "last", 0).after(late).after(rounds)
    }
}

#[tokio::test]
async fn after_waits_for_all_it_names() {
    assert_eq!(ordered(2).await.expect("an output"), "last");
    let log = logged(2);
    let at = |line: &str| log.iter().position(|logged| logged == line).expect(line);
    assert!(
        at("late begins") > at("slow ends").max(at("slower ends")),
        "{log:?}"
    );
    assert!(at("slower begins") < at("slow ends"), "{log:?}");
    let rounds = at("x ends").max(at("y ends"));
    assert!(at("last begins") > rounds.max(at("late ends")), "{log:?}");
}

workflow! {
    async fn outer(id: u64) -> (u64, Vec<u64>) {
        let first = inner(id, 1);
        let rest = for number in 0..3 { inner(first, number) };
        (first, rest)
    }
}
workflow! { async fn inner(left: u64, right: u64) -> u64 { add(left, right) } }

#[tokio::test]
async fn a_workflow_is_a_node_of_another() {
    assert_eq!(outer(4).await.expect("an output"), (5, vec![5, 6, 7]));
}

workflow! {
    async fn generic<T: Payload + Clone, U>(first: T, second: U) -> (T, U)
    where
        U: Payload + Clone
    {
        let copy = echo(&first);
        let other = echo::<U>(&second);
        (copy, other)
    }
}

#[tokio::test]
async fn generics_are_what_they_are_called_with() {
    let text = "text".to_owned();
    assert_eq!(
        generic(1_u8, text.clone()).await.expect("an output"),
        (1, text)
    );
    assert_eq!(
        generic(vec![1_u64], ()).await.expect("an output"),
        (vec![1], ())
    );
    assert_ne!(
        Generic::<u8, u16>::graph().name(),
        Generic::<u16, u8>::graph().name()
    );
}

workflow! {
    async fn settings() -> u32 {
        let third = attempts(3).retry(2).backoff(1ms..2ms).named("third time lucky");
        third
    }
}
workflow! { async fn unlucky() -> u32 { attempts(3).retry(1).backoff(1ms..2ms).named("two times") } }

#[tokio::test]
async fn settings_are_those_of_the_node() {
    let graph = Settings::graph();
    assert_eq!(graph.nodes()[0].name(), "third time lucky");
    assert_eq!(settings().await.expect("an output"), 3);
    let error = unlucky().await.expect_err("a failure");
    assert!(error.to_string().contains("two times"), "{error}");
}

workflow! {
    async fn countdown(number: u64) -> u64 {
        let below = for next in number.checked_sub(1) { countdown(next) };
        below.iter().sum::<u64>() + 1
    }
}

#[tokio::test]
async fn a_workflow_may_call_itself() {
    assert_eq!(countdown(20).await.expect("an output"), 21);
}
