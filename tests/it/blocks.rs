//! What handlers of failures run, and what becomes of the run.

use std::sync::Arc;
use std::time::Duration;

use zahir::{Failure, RunErrorKind, RunStatus, job, workflow};
use zahir_store::{FailureKind, MemoryStore};

use crate::watched::{
    Broken, Log, add, fail, fail_badly, forever, give, held, over, panics, up_to_100, watch,
    watch_with,
};

workflow! { pub async fn in_a_row(log: Log) -> u64 {
    { let one = give(log, "one", 1); give(log, "two", 2).after(one) }
} }

#[tokio::test]
async fn a_block_has_its_last_value() {
    let log = Log::new();
    assert_eq!(watch(in_a_row(log)).await.output.unwrap(), 2);
    assert_eq!(log.ran(), ["one", "two"]);
}

workflow! { pub async fn rescued(log: Log) -> u64 {
    { let one = give(log, "one", 1); fail(log, "bad").after(one) }.rescue(|_| give(log, "four", 4))
} }

#[tokio::test]
async fn a_rescued_block_has_the_value_of_its_handler() {
    let log = Log::new();
    assert_eq!(watch(rescued(log)).await.output.unwrap(), 4);
    assert_eq!(log.ran(), ["one", "bad", "four"]);
}

workflow! { pub async fn not_rescued(log: Log) -> u64 {
    { let one = give(log, "one", 1); fail(log, "bad").after(one) }.rescue(|_| {
        let two = give(log, "two", 2);
        fail(log, "worse").after(two)
    })
} }

#[tokio::test]
async fn a_handler_that_fails_fails_the_block() {
    let log = Log::new();
    let run = watch(not_rescued(log)).await;
    assert_eq!(run.failure().1, "worse is lost");
    assert_eq!(log.ran(), ["one", "bad", "two", "worse"]);
}

workflow! { pub async fn badly_cleaned(log: Log) -> u64 {
    fail(log, "bad").rescue(|_| give(log, "four", 4)).finally({
        let first = give(log, "first", 0);
        fail(log, "last").after(first);
    })
} }

#[tokio::test]
async fn a_finally_that_fails_fails_what_was_rescued() {
    let log = Log::new();
    let run = watch(badly_cleaned(log)).await;
    assert_eq!(run.failure().1, "last is lost");
    assert_eq!(log.ran(), ["bad", "four", "first", "last"]);
}

workflow! { pub async fn cleaned(log: Log) -> u64 { fail(log, "bad").finally(give(log, "four", 4)) } }

#[tokio::test]
async fn a_finally_runs_after_a_failure_and_the_block_fails() {
    let log = Log::new();
    let run = watch(cleaned(log)).await;
    assert_eq!(run.failure().1, "bad is lost");
    assert_eq!(log.ran(), ["bad", "four"]);
}

workflow! { pub async fn tree(log: Log) -> u64 {
    let a1 = give(log, "a1", 1);
    {
        let a2 = give(log, "a2", a1);
        let inner = { let a3 = give(log, "a3", a2); give(log, "a4", a3) };
        let a5 = give(log, "a5", inner);
        let a6 = give(log, "a6", a5);
        let a7 = fail(log, "a7").after(a6);
        let a8 = give(log, "a8", a7);
        give(log, "a9", a8)
    }.rescue(|_| {
        let r1 = give(log, "r1", a1);
        fail(log, "r2").after(r1)
    }).finally(give(log, "f1", 0))
} }

#[tokio::test]
async fn a_tree_of_handlers_runs_what_it_says_and_nothing_else() {
    let log = Log::new();
    let run = watch(tree(log)).await;
    assert_eq!(run.failure().1, "r2 is lost");
    let expected = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "r1", "r2", "f1"];
    assert_eq!(log.ran(), expected);
}

workflow! { pub async fn four(log: Log) -> u64 {
    let (one, two) = (held(log, "one", 1), held(log, "two", 2));
    let bad = fail(log, "bad");
    let three = held(log, "three", 3);
    let end = give(log, "end", one + two + three);
    end + bad
} }

#[tokio::test]
async fn what_runs_beside_a_failure_runs_to_its_end() {
    let log = Log::new();
    let run = watch_with(four(log), async |run| {
        while log.ran().len() < 4 || run.progress().running() == 4 {
            tokio::task::yield_now().await;
        }
        for ended in 4..7 {
            assert_eq!(log.ran().len(), ended, "{:?}", log.ran());
            assert_eq!(run.status(), RunStatus::Running);
            log.open();
            while log.ran().len() == ended {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    assert_eq!(run.failure(), ("bad", "bad is lost"));
    assert_eq!(run.told_of("succeeded").len(), 3);
    assert!(!log.ran().contains(&"end".to_owned()));
}

workflow! { pub async fn matched(log: Log, value: u64) -> String {
    let typed = up_to_100(log, "typed", value).result();
    let said = match typed {
        Ok(0) => format!("nothing"),
        Ok(value) => { let more = give(log, "ok", value + 1); format!("{more}") }
        Err(Broken::Off(by)) if by > 50 => { let far = give(log, "far", by); format!("far off by {far}") }
        Err(Broken::Off(by)) => format!("off by {by}"),
        Err(Broken::Lost { name }) => name,
    };
    let untyped = fail_badly(log, "untyped").result();
    let job = untyped.as_ref().map_err(Failure::to_string).err().unwrap_or_default();
    let block = { let other = fail(log, "deep"); give(log, "never", other) }.result();
    match &block {
        Ok(_) => said,
        Err(failure) if failure.attempt() == 1 => format!("{said}; {job}; {}: {}", failure.job(), failure.message()),
        Err(_) => job,
    }
} }

/// An error that can be stored is itself; any other, and that of a block, is a `Failure`.
#[tokio::test]
async fn a_result_is_matched_on() {
    let rest = "`untyped/fail_badly` failed: a bad end; block/other: deep is lost";
    for (value, said, ran) in [
        (0, "nothing", None),
        (7, "8", Some("ok")),
        (120, "off by 20", None),
        (180, "far off by 80", Some("far")),
    ] {
        let log = Log::new();
        let run = watch(matched(log, value)).await;
        assert_eq!(run.output.unwrap(), format!("{said}; {rest}"));
        let mut expected = vec!["deep", "typed", "untyped"];
        expected.extend(ran);
        expected.sort_unstable();
        assert_eq!(log.ran_sorted(), expected);
    }
}

workflow! { pub async fn typed_handler(log: Log) -> u64 {
    panics(log, "panics").rescue(|_err: Broken| give(log, "handler", 1))
} }
workflow! { pub async fn typed_result(log: Log) -> u64 {
    let tried: Result<u64, Broken> = panics(log, "panics").result();
    match tried { Ok(value) => value, Err(_) => give(log, "handler", 1) }
} }
workflow! { pub async fn untyped_handler(log: Log) -> u64 {
    { panics(log, "panics") }.rescue(|failure: Failure| {
        give(log, failure.message(), 1)
    })
} }

/// A panic is no error of the job's type. Around a block it is one of the failures there are.
#[tokio::test]
async fn a_typed_handler_is_for_errors_alone() {
    let log = Log::new();
    for run in [
        watch(typed_handler(log)).await,
        watch(typed_result(log)).await,
    ] {
        let error = run.output.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Panic));
    }
    assert_eq!(log.ran(), ["panics", "panics"]);
    let log = Log::new();
    assert_eq!(watch(untyped_handler(log)).await.output.unwrap(), 1);
    assert_eq!(log.ran(), ["panics", "no way on from panics"]);
}

workflow! { pub async fn tried_again(log: Log) -> u64 {
    fail(log, "bad").retry(2).backoff(1ms..2ms).rescue(|err| match err {
        Broken::Lost { name } => give(log, &name, 5),
        Broken::Off(by) => by,
    })
} }

#[tokio::test(start_paused = true)]
async fn a_handler_runs_after_the_last_attempt() {
    let log = Log::new();
    assert_eq!(watch(tried_again(log)).await.output.unwrap(), 5);
    assert_eq!(log.ran(), ["bad", "bad", "bad", "bad"]);
}

workflow! { pub async fn always(log: Log, value: u64) -> u64 {
    let first = {
        let body = up_to_100(log, "body", value).rescue(|err| match err {
            Broken::Off(by) if by > 100 => up_to_100(log, "handler", by),
            _ => give(log, "handler", 3),
        });
        if value == 50 { return give(log, "left", 50); }
        give(log, "end", body)
    }.finally({
        let clean = give(log, "clean", value);
        give(log, "cleaned", clean);
    });
    give(log, "behind", first)
} }

#[tokio::test]
async fn a_finally_runs_once_however_its_block_ends() {
    for (value, output, ran) in [
        (1, Some(1), "body end clean cleaned behind"),
        (150, Some(3), "body handler end clean cleaned behind"),
        (900, None, "body handler clean cleaned"),
        (50, Some(50), "body left clean cleaned"),
    ] {
        let log = Log::new();
        let run = watch(always(log, value)).await;
        assert_eq!(log.ran().join(" "), ran, "with {value}");
        assert_eq!(run.output.ok(), output, "with {value}");
    }
}

workflow! { pub async fn left_alone(log: Log) -> u64 {
    let before = { give(log, "before", 1) }.finally(give(log, "clean before", 0));
    let stays = {
        { forever(log, "stays").after(before) }.rescue(|_| give(log, "handler", 1)).finally(give(log, "clean inner", 0))
    }.finally({ let one = give(log, "clean outer", 0); give(log, "last", one); });
    { give(log, "behind", stays) }.finally(give(log, "clean behind", 0))
} }

#[tokio::test]
async fn a_cancel_runs_the_finallys_that_are_owed_from_the_inside_outwards() {
    let log = Log::new();
    let run = watch_with(left_alone(log), async |run| {
        while !log.ran().contains(&"stays".to_owned()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
    })
    .await;
    assert_eq!(run.output.unwrap_err().kind(), RunErrorKind::Cancelled);
    let (dropped, ran): (Vec<_>, Vec<_>) = log
        .ran()
        .into_iter()
        .partition(|line| line == "stays dropped");
    assert_eq!(dropped.len(), 1);
    let expected = [
        "before",
        "clean before",
        "stays",
        "clean inner",
        "clean outer",
        "last",
    ];
    assert_eq!(ran, expected);
}

workflow! { pub async fn cleans_in_rounds(log: Log) -> u64 {
    let mut sum = 0;
    let mut round = 0;
    while round < 4 {
        round += 1;
        {
            if round == 2 { continue; }
            if round == 4 { break; }
            sum = give(log, &format!("round {round}"), sum + round);
        }.finally(give(log, &format!("clean {round}"), 0));
    }
    sum
} }

#[tokio::test]
async fn a_finally_runs_when_its_block_is_left() {
    let log = Log::new();
    assert_eq!(watch(cleans_in_rounds(log)).await.output.unwrap(), 4);
    let expected = [
        "round 1", "clean 1", "clean 2", "round 3", "clean 3", "clean 4",
    ];
    assert_eq!(log.ran(), expected);
}

workflow! { pub async fn handlers_assign(log: Log, value: u64) -> (u64, String) {
    let mut state = 1;
    let mut text = String::new();
    { state = 2; let sum = up_to_100(log, "first", value); state = sum; }
        .rescue(|failure| { text = failure.message().to_owned(); state += 10; });
    let tried = { let far = up_to_100(log, "second", value + 50); far * state }.result();
    match tried { Ok(far) => { state = far; } Err(_) => { text = format!("{text}, twice"); } }
    (state, text)
} }

/// A body that failed has assigned nothing.
#[tokio::test]
async fn what_a_handler_assigns_is_seen_behind_it() {
    let output = async |value| {
        watch(handlers_assign(Log::new(), value))
            .await
            .output
            .unwrap()
    };
    assert_eq!(output(20).await, (20 * 70, String::new()));
    assert_eq!(output(80).await, (80, ", twice".to_owned()));
    assert_eq!(output(130).await, (11, "off by 30, twice".to_owned()));
}

workflow! { pub async fn for_each_item(log: Log) -> Vec<u64> {
    for number in vec![90_u64, 130, 10] {
        {
            let value = up_to_100(log, &format!("try {number}"), number);
            give(log, &format!("end {number}"), value)
        }.rescue(|failure| failure.message().len() as u64).finally(give(log, &format!("clean {number}"), 0))
    }
} }

#[tokio::test]
async fn each_item_has_its_own_handlers() {
    let log = Log::new();
    assert_eq!(watch(for_each_item(log)).await.output.unwrap(), [90, 9, 10]);
    let expected = [
        "clean 10",
        "clean 130",
        "clean 90",
        "end 10",
        "end 90",
        "try 10",
        "try 130",
        "try 90",
    ];
    assert_eq!(log.ran_sorted(), expected);
}

workflow! { pub async fn returns_from_handler(log: Log) -> u64 {
    let value = {
        fail(log, "bad").rescue(|err| {
            let told = give(log, "told", 3);
            if matches!(err, Broken::Lost { .. }) { return told + 1; }
            told
        }).finally(give(log, "clean", 0))
    }.finally(give(log, "clean outer", 0));
    give(log, "behind", value)
} }

#[tokio::test]
async fn a_return_from_a_handler_runs_the_finallys_around_it() {
    let log = Log::new();
    assert_eq!(watch(returns_from_handler(log)).await.output.unwrap(), 4);
    assert_eq!(log.ran(), ["bad", "told", "clean", "clean outer"]);
}

workflow! { pub async fn fails_and_cleans_badly(log: Log) -> u64 {
    { fail(log, "bad").finally(fail(log, "clean")) }.rescue(|failure| {
        give(log, failure.message(), 1)
    })
} }

/// The failure of the block is the one that counts.
#[tokio::test]
async fn a_finally_that_fails_after_a_failure_changes_nothing() {
    let log = Log::new();
    let run = watch(fails_and_cleans_badly(log)).await;
    assert_eq!(run.output.unwrap(), 1);
    assert_eq!(log.ran()[..2], ["bad", "clean"]);
    assert_eq!(log.ran().len(), 3);
}

workflow! { pub async fn inner(log: Log, value: u64) -> u64 {
    let sum = up_to_100(log, "inner", value);
    add(sum, 1)
} }
workflow! { pub async fn calls(log: Log) -> (u64, u64, Result<u64, Failure>) {
    let good = inner(log, 10).finally(give(log, "clean", 0));
    let bad = inner(log, 110).rescue(|failure| { let name = failure.job().to_owned(); inner(log, name.len() as u64) });
    let tried = inner(log, 120).named("third").result();
    (good, bad, tried)
} }

#[tokio::test]
async fn a_workflow_is_handled_like_a_block() {
    let log = Log::new();
    let (good, bad, tried) = watch(calls(log)).await.output.unwrap();
    assert_eq!((good, bad), (11, "bad/inner/sum".len() as u64 + 1));
    let failure = tried.unwrap_err();
    assert_eq!((failure.job(), failure.attempt()), ("tried/third/sum", 1));
    assert_eq!(failure.message(), "off by 20");
    assert_eq!(
        log.ran_sorted(),
        ["clean", "inner", "inner", "inner", "inner"]
    );
}

workflow! { pub async fn fails_beside(log: Log) -> u64 {
    let slow = held(log, "slow", 1);
    let bad = { fail(log, "bad") }.finally(give(log, "clean", 0));
    slow + bad
} }

/// What ran beside it was interrupted by the shutdown.
#[tokio::test]
async fn a_run_that_failed_before_a_shutdown_fails_after_it() {
    let log = Log::new();
    let store = Arc::new(MemoryStore::new());
    let first = over::<FailsBeside>(&store).await;
    let run = first.run(fails_beside(log)).start().await.unwrap();
    while log.ran().len() < 3 || run.progress().running() > 1 {
        tokio::task::yield_now().await;
    }
    first.shutdown_within(Duration::ZERO).await.unwrap();
    let second = over::<FailsBeside>(&store).await;
    let run = second.handle::<FailsBeside>(run.id()).await.unwrap();
    log.open();
    let error = tokio::time::timeout(Duration::from_secs(20), run.output()).await;
    let error = error.expect("an end").unwrap_err();
    assert_eq!(error.message(), "bad is lost");
    assert_eq!(log.ran(), ["slow begins", "bad", "clean"]);
}

#[job]
pub async fn fails_late(log: Log, name: &str) -> Result<u64, Broken> {
    held(log, name, 0).await;
    Err(Broken::Off(1))
}

workflow! { pub async fn ends_late(log: Log) -> u64 {
    let slow = { fails_late(log, "slow") }.finally(give(log, "clean", 0));
    slow + 1
} }

/// The failure comes while the runtime lets jobs finish.
#[tokio::test]
async fn a_run_that_fails_in_a_shutdown_fails_after_it() {
    let log = Log::new();
    let store = Arc::new(MemoryStore::new());
    let first = over::<EndsLate>(&store).await;
    let run = first.run(ends_late(log)).start().await.unwrap();
    while log.ran().is_empty() {
        tokio::task::yield_now().await;
    }
    let (shut_down, ()) = tokio::join!(first.shutdown(), async { log.open() });
    shut_down.unwrap();
    let second = over::<EndsLate>(&store).await;
    let run = second.handle::<EndsLate>(run.id()).await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(20), run.output()).await;
    let error = error.expect("an end").unwrap_err();
    assert_eq!(error.message(), "off by 1");
    assert_eq!(log.ran(), ["slow begins", "slow", "clean"]);
}
