//! Which arms, rounds and items run, and what is told of those that do not.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zahir::{Race2, RunErrorKind, job, workflow};
use zahir_store::{FailureKind, MemoryStore, Record, Store};

use crate::watched::{Log, add, fail, forever, give, list, over, up_to_100, watch};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    Refund { invoice: u64, cents: u64 },
    Question(String),
    Both(Box<Request>, Box<Request>),
    Spam,
    Advertisement,
}

#[job]
pub async fn classify(log: Log, text: &str) -> Request {
    log.note(&format!("classify {text}"));
    let refund = |cents| Request::Refund { invoice: 7, cents };
    let question = || Request::Question(text.to_owned());
    match text {
        "small" => refund(5),
        "large" => refund(5_000),
        "both" => Request::Both(Box::new(refund(80)), Box::new(question())),
        "spam" => Request::Spam,
        "buy" => Request::Advertisement,
        _ => question(),
    }
}

workflow! { pub async fn answer(log: Log, text: String) -> String {
    let request = classify(log, &text);
    let answered = match request {
        Request::Refund { cents, .. } if cents > 1_000 => {
            let approved = give(log, "approve", cents);
            let paid = give(log, "pay", approved);
            format!("approved {paid}")
        }
        Request::Refund { invoice, cents } => { let paid = give(log, "refund", cents); format!("{paid} of {invoice}") }
        Request::Question(text) if text.is_empty() => format!("what?"),
        Request::Question(text) => {
            let found = give(log, "look up", text.len() as u64);
            if found > 5 { let long = give(log, "long", found); format!("long {long}") }
            else { match found { 5 => format!("five"), 3 | 4 => { let short = give(log, "short", found); format!("short {short}") } _ => format!("tiny") } }
        }
        Request::Both(first, second) => match (first.as_ref(), second.as_ref()) {
            (Request::Refund { cents, .. }, Request::Question(text)) => { let both = give(log, "both", *cents); format!("{both} {text}") }
            _ => format!("neither"),
        },
        Request::Spam | Request::Advertisement => { give(log, "delete", 0); format!("deleted") }
    };
    answered
} }

#[tokio::test]
async fn the_arm_that_matches_runs_and_no_other() {
    let cases: [(&str, &str, &[&str]); 9] = [
        ("large", "approved 5000", &["approve", "pay"]),
        ("small", "5 of 7", &["refund"]),
        ("", "what?", &[]),
        ("shorter", "long 7", &["look up", "long"]),
        ("fives", "five", &["look up"]),
        ("why", "short 3", &["look up", "short"]),
        ("both", "80 both", &["both"]),
        ("spam", "deleted", &["delete"]),
        ("buy", "deleted", &["delete"]),
    ];
    // But for `classify`, which always runs.
    let in_arms = 8;
    for (text, output, ran) in cases {
        let log = Log::new();
        let run = watch(answer(log, text.to_owned())).await;
        assert_eq!(run.output.unwrap(), output);
        assert_eq!(log.ran()[1..], *ran, "{text}");
        let jobs = ran.len() as u64 + 1;
        let progress = run.progress;
        assert_eq!(
            (progress.done(), progress.known(), progress.running()),
            (jobs, jobs, 0),
            "{text}"
        );
        assert_eq!(
            progress.skipped(),
            in_arms - ran.len() as u64,
            "{text}: jobs beside those that ran"
        );
    }
}

workflow! { pub async fn left_or_right(log: Log, goes_left: bool) -> u64 {
    let before = give(log, "before", 1);
    let chosen = if goes_left {
        let left = give(log, "left", before);
        give(log, "further left", left)
    } else {
        let right = give(log, "right", before);
        let numbers = list(right);
        for number in numbers { give(log, "item", number) };
        right
    };
    give(log, "behind", chosen)
} }

#[tokio::test]
async fn nodes_of_arms_that_are_not_taken_are_skipped() {
    let run = watch(left_or_right(Log::new(), true)).await;
    assert_eq!(*run.value(), 1);
    assert_eq!(run.told_of("took 0"), ["chosen"]);
    let skipped = run.told_of("skipped");
    assert!(
        skipped.contains(&"chosen/right") && skipped.contains(&"chosen/numbers"),
        "{:?}",
        run.told
    );
    let run = watch(left_or_right(Log::new(), false)).await;
    assert_eq!(*run.value(), 1);
    assert_eq!(run.told_of("took 1"), ["chosen"]);
    assert_eq!(run.told_of("skipped"), ["chosen/left", "chosen/give"]);
}

workflow! { pub async fn ends_with_a_branch(log: Log, is_needed: bool) -> u64 {
    if is_needed { give(log, "needed", 1) } else { 0 }
} }

/// Also by a run that ends with the branch.
#[tokio::test]
async fn what_is_skipped_is_told_before_the_run_is_over() {
    let run = watch(ends_with_a_branch(Log::new(), false)).await;
    assert_eq!(run.told, ["if took 1", "if/give skipped"]);
}

workflow! { pub async fn statement(log: Log, value: u64) {
    if value > 5 { give(log, "more", value); }
    if value > 7 { give(log, "most", value); } else if value > 6 { give(log, "seven", value); give(log, "or so", value); }
    match value { 6 => { give(log, "six", value); } _ => {} }
} }

#[tokio::test]
async fn branches_need_no_value() {
    let cases: [(u64, &[&str]); 4] = [
        (5, &[]),
        (6, &["more", "six"]),
        (7, &["more", "or so", "seven"]),
        (8, &["more", "most"]),
    ];
    for (value, ran) in cases {
        let log = Log::new();
        watch(statement(log, value)).await.output.unwrap();
        assert_eq!(log.ran_sorted(), ran);
    }
}

workflow! { pub async fn returns(log: Log, value: u64) -> u64 {
    let first = give(log, "first", value);
    if first == 1 { return give(log, "from arm", 10); }
    let mut round = 0;
    while round < 3 {
        round += 1;
        match first { 2 => { if round == 2 { return give(log, "from loop", round * 10); } } _ => {} }
        give(log, &format!("round {round}"), round);
    }
    for item in 0..first {
        if item == 3 && first == 4 { return give(log, "from item", 40); }
    };
    let handled = { up_to_100(log, "try", first + round) }.rescue(|_| {
        if first == 200 { return give(log, "from handler", 50); }
        give(log, "handler", 60)
    }).finally(give(log, "clean", 0));
    if first == 3 { return 7; } else { if first == 5 { return handled + 1; } }
    give(log, "last", handled)
} }

#[tokio::test]
async fn a_return_ends_the_run_from_anywhere() {
    let rounds = ["round 1", "round 2", "round 3"];
    let cases: [(u64, u64, &[&str]); 8] = [
        (1, 10, &["first", "from arm"]),
        (2, 20, &["first", "round 1", "from loop"]),
        (3, 7, &["first", "*", "try", "clean"]),
        (4, 40, &["first", "*", "from item"]),
        (5, 9, &["first", "*", "try", "clean"]),
        (6, 9, &["first", "*", "try", "clean", "last"]),
        (150, 60, &["first", "*", "try", "handler", "clean", "last"]),
        (200, 50, &["first", "*", "try", "from handler", "clean"]),
    ];
    for (value, output, ran) in cases {
        let log = Log::new();
        let run = watch(returns(log, value)).await;
        assert_eq!(run.output.unwrap(), output, "{value}");
        let mut expected: Vec<_> = ran
            .iter()
            .flat_map(|name| match *name {
                "*" => rounds.to_vec(),
                name => vec![name],
            })
            .collect();
        expected.sort_unstable();
        assert_eq!(log.ran_sorted(), expected, "{value}");
    }
}

workflow! { pub async fn lowest_item(log: Log) -> u64 {
    for item in 0..5_u64 {
        let value = give(log, "item", item);
        if value > 1 { return value * 10; }
    };
    99
} }

#[tokio::test]
async fn the_first_item_that_returns_wins() {
    assert_eq!(watch(lowest_item(Log::new())).await.output.unwrap(), 20);
}

#[job]
pub async fn after(seconds: u64, is_well: bool) -> Result<u64, String> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    if is_well {
        Ok(seconds)
    } else {
        Err(format!("lost after {seconds}"))
    }
}

workflow! { pub async fn returns_or_fails(items: Vec<(u64, bool)>) -> u64 {
    for (seconds, is_well) in items {
        let value = after(seconds, is_well);
        if value > 1 { return value; }
    };
    0
} }

workflow! { pub async fn returns_or_fails_one_by_one(items: Vec<(u64, bool)>) -> u64 {
    #[limit(1)] for (seconds, is_well) in items {
        let value = after(seconds, is_well);
        if value > 1 { return value; }
    };
    0
} }

#[tokio::test(start_paused = true)]
async fn an_item_that_had_begun_and_fails_fails_the_for_whichever_returns() {
    for seconds in [1, 9] {
        let items = vec![(5, true), (seconds, false)];
        let failure = returns_or_fails(items.clone()).await.unwrap_err();
        assert_eq!(failure.message(), format!("lost after {seconds}"));
        assert_eq!(returns_or_fails_one_by_one(items).await.unwrap(), 5);
    }
}

workflow! { pub async fn count(log: Log, from: u64) -> (u64, u64) {
    let mut sum = from;
    let mut rounds = 0;
    while sum < 15 {
        rounds += 1;
        sum = give(log, &format!("{sum}"), sum + 1);
    }
    (sum, rounds)
} }

#[tokio::test]
async fn a_loop_goes_on_with_what_it_carries() {
    let log = Log::new();
    assert_eq!(watch(count(log, 10)).await.output.unwrap(), (15, 5));
    assert_eq!(log.ran(), ["10", "11", "12", "13", "14"]);
    assert_eq!(watch(count(log, 20)).await.output.unwrap(), (20, 0));
}

workflow! { pub async fn counts_with_a_stop(log: Log) -> (u64, u64) {
    let mut sum = 10;
    let mut rounds = 0;
    while sum < 15 {
        rounds += 1;
        let next = stops_at_12(log, sum);
        sum = next;
    }
    (sum, rounds)
} }

/// Adds one; does not come to an end for 12, the first time.
#[job]
pub async fn stops_at_12(log: Log, sum: u64) -> u64 {
    let is_again = log.ran().contains(&sum.to_string());
    log.note(&sum.to_string());
    if sum == 12 && !is_again {
        std::future::pending::<()>().await;
    }
    sum + 1
}

#[tokio::test]
async fn a_loop_that_is_killed_goes_on_in_the_round_it_was_in() {
    let log = Log::new();
    let store = Arc::new(MemoryStore::new());
    let killed = over::<CountsWithAStop>(&store).await;
    let run = killed.run(counts_with_a_stop(log)).start().await.unwrap();
    while log.ran().len() < 3 {
        tokio::task::yield_now().await;
    }
    let id = run.id();
    drop((run, killed));
    assert_eq!(log.ran(), ["10", "11", "12"]);

    let runtime = over::<CountsWithAStop>(&store).await;
    let run = runtime.handle::<CountsWithAStop>(id).await.unwrap();
    assert_eq!(run.output().await.unwrap(), (15, 5));
    assert_eq!(log.ran(), ["10", "11", "12", "12", "13", "14"]);
    runtime.shutdown().await.unwrap();
    let stored = store.load(id).unwrap().unwrap();
    let records = stored.steps.iter().flat_map(|step| &step.records);
    let results = records.filter(|record| matches!(record, Record::AttemptSucceeded { .. }));
    assert_eq!(results.count(), 5);
}

workflow! { pub async fn at_most(log: Log, until: u64) -> u64 {
    let mut sum = 0;
    let found = #[max(3)] loop {
        if sum >= until { break sum * 100; }
        sum = give(log, "round", sum + 1);
    };
    let mut other = 10;
    #[max(3, or_last)]
    while other < until + 20 { other = give(log, "other", other + 1); }
    found + other
} }

#[tokio::test]
async fn a_loop_has_a_limit() {
    let log = Log::new();
    assert_eq!(watch(at_most(log, 2)).await.output.unwrap(), 213);
    assert_eq!(
        log.ran_sorted(),
        ["other", "other", "other", "round", "round"]
    );
    let log = Log::new();
    let run = watch(at_most(log, 3)).await;
    assert_eq!(run.failure().0, "found");
    assert!(run.failure().1.contains('3'), "{}", run.failure().1);
    let rounds = log.ran().iter().filter(|line| *line == "round").count();
    assert_eq!(rounds, 3);
}

workflow! { pub async fn over_items(log: Log, counts: Vec<u64>) -> Vec<Vec<u64>> {
    for (place, count) in counts.into_iter().enumerate() {
        let items = list(count);
        let values = if count > 2 {
            #[limit(2)] for item in items { give(log, &format!("{place}.{item}"), item * 10) }
        } else { items };
        let mut left = values.len() as u64;
        let mut seen = values.clone();
        while left > 2 {
            left -= 1;
            let more = for value in seen { add(value, 1) };
            seen = more;
        }
        seen
    }
} }

#[tokio::test]
async fn items_rounds_and_arms_nest_and_results_are_in_item_order() {
    let log = Log::new();
    let run = watch(over_items(log, vec![0, 3, 2, 4])).await;
    let expected = [vec![], vec![1, 11, 21], vec![0, 1], vec![2, 12, 22, 32]];
    assert_eq!(run.output.unwrap(), expected);
    assert_eq!(
        log.ran_sorted(),
        ["1.0", "1.1", "1.2", "3.0", "3.1", "3.2", "3.3"]
    );
}

workflow! { pub async fn over_none(log: Log) -> (Vec<u64>, Vec<u64>) {
    let none = list(0);
    let first = for item in none { let one = give(log, "never", item); give(log, "nor", one) };
    let second = if first.is_empty() { for item in first.clone() { give(log, "never", item) } } else { vec![] };
    (first, second)
} }

#[tokio::test]
async fn a_for_over_nothing_is_an_empty_list_at_once() {
    let log = Log::new();
    let run = watch(over_none(log)).await;
    assert_eq!(*run.value(), (vec![], vec![]));
    assert_eq!(log.ran(), [""; 0]);
    assert_eq!(
        run.told_of("over 0"),
        ["first", "second/for"],
        "{:?}",
        run.told
    );
    assert_eq!((run.progress.done(), run.progress.known()), (1, 1));
}

workflow! { pub async fn assigned(log: Log, value: u64) -> (u64, u64, Vec<u64>) {
    let mut first = give(log, "one", 1);
    let mut second = first + 1;
    if value > 1 {
        second = give(log, "two", second * 10);
        if value > 2 { first = give(log, "three", second + 1); } else { second += 1; }
    }
    let mut all = vec![first];
    let mut round = 0;
    loop {
        round += 1;
        match round {
            1 => { all = vec![second]; continue; }
            2 if value == 1 => break,
            2 => { first += 1000; }
            _ => { let last = give(log, "last", round); first += last; break; }
        }
        second += first;
    }
    (first, second, all)
} }

#[tokio::test]
async fn what_arms_and_rounds_assign_is_seen_behind_them() {
    let output = async |value| watch(assigned(Log::new(), value)).await.output.unwrap();
    assert_eq!(output(1).await, (1, 2, vec![2]));
    assert_eq!(output(2).await, (1004, 21 + 1001, vec![21]));
    assert_eq!(output(3).await, (21 + 1003, 20 + 1021, vec![20]));
}

workflow! { pub async fn leaf(log: Log, value: u64) -> u64 {
    if value == 13 { return fail(log, "thirteen"); }
    give(log, &format!("leaf {value}"), value + 1)
} }
workflow! { pub async fn everywhere(log: Log) -> u64 {
    let mut sum = leaf(log, 1);
    if sum == 2 { sum = leaf(log, 10); }
    while sum < 13 { sum = leaf(log, sum); }
    let all = for number in 20..22 { leaf(log, number) };
    let rescued = leaf(log, 13).rescue(|_| leaf(log, 30));
    let last = { leaf(log, 13) }.result();
    let cleaned = { leaf(log, 40) }.finally(leaf(log, 50));
    let raced = race((leaf(log, 60), forever(log, "loser")));
    let won = match raced { Race2::First(value) => leaf(log, value), Race2::Second(value) => value };
    if last.is_ok() { return leaf(log, 70); }
    sum + all.iter().sum::<u64>() + rescued + cleaned + won
} }

#[tokio::test]
async fn workflows_are_nodes_of_every_construct() {
    let log = Log::new();
    let run = watch(everywhere(log)).await;
    assert_eq!(run.output.unwrap(), 13 + 21 + 22 + 31 + 41 + 62);
    let mut ran = log.ran_sorted();
    ran.retain(|line| !line.starts_with("loser"));
    let expected = [
        "leaf 1", "leaf 10", "leaf 11", "leaf 12", "leaf 20", "leaf 21", "leaf 30", "leaf 40",
        "leaf 50", "leaf 60", "leaf 61", "thirteen", "thirteen",
    ];
    assert_eq!(ran, expected);
}

workflow! { pub async fn factorial(log: Log, number: u64) -> u64 {
    if number < 2 { return give(log, "one", 1); }
    let rest = factorial(log, number - 1);
    add(rest * number, 0)
} }
workflow! { pub async fn endless(number: u64) -> u64 {
    let more = add(number, 1);
    endless(more)
} }

#[tokio::test]
async fn a_workflow_calls_itself_until_a_branch_ends_it() {
    let log = Log::new();
    assert_eq!(watch(factorial(log, 10)).await.output.unwrap(), 3_628_800);
    assert_eq!(log.ran(), ["one"]);
}

#[tokio::test]
async fn a_workflow_that_calls_itself_without_end_fails_and_says_so() {
    let run = watch(endless(0)).await;
    let error = run.output.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TooLarge));
    assert!(error.message().contains("deep"), "{error}");
}
