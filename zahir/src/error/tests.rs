//! What errors say.

use expect_test::expect;

use super::*;

fn failed(kind: FailureKind, attempt: Option<u32>, message: &str) -> RunError {
    let message = message.to_owned();
    RunError::new(Failure { kind, message }).at(Some(FailedNode {
        path: "orders[2]/charge".to_owned(),
        attempt,
    }))
}

#[test]
fn a_failure_names_the_node_what_happened_and_the_attempt() {
    use FailureKind as Kind;
    let told = [
        failed(Kind::Error, Some(1), "declined"),
        failed(
            Kind::Error,
            Some(3),
            "declined; its recovery failed: no such account",
        ),
        failed(Kind::Panic, Some(2), "no such index"),
        failed(
            Kind::TimedOut,
            Some(1),
            "it took longer than its `timeout` of 30s",
        ),
        failed(
            Kind::TimedOut,
            Some(4),
            "it took longer than its `total_timeout` of 5m",
        ),
        failed(Kind::Refused, Some(1), "the amount is 0"),
        failed(Kind::Unverified, Some(2), "the receipt has no date"),
        failed(
            Kind::Interrupted,
            Some(1),
            "the process ended meanwhile, and it is `at_most_once`",
        ),
        failed(
            Kind::Poisoned,
            Some(3),
            "the process died in 3 of its attempts",
        ),
        failed(Kind::Bug, None, "no slot"),
    ];
    let told = told.map(|error| error.to_string()).join("\n");
    expect![[r#"
        node `orders[2]/charge` failed: declined
        node `orders[2]/charge` failed at attempt 3: declined; its recovery failed: no such account
        node `orders[2]/charge` panicked at attempt 2: no such index
        node `orders[2]/charge` timed out at attempt 1: it took longer than its `timeout` of 30s
        node `orders[2]/charge` timed out at attempt 4: it took longer than its `total_timeout` of 5m
        node `orders[2]/charge` refused its inputs: the amount is 0
        node `orders[2]/charge` gave an output that its `verify` refused at attempt 2: the receipt has no date
        node `orders[2]/charge` was interrupted: the process ended meanwhile, and it is `at_most_once`
        node `orders[2]/charge` is poisoned at attempt 3: the process died in 3 of its attempts
        node `orders[2]/charge` met a bug in zahir, please report it: no slot"#]]
    .assert_eq(&told);
}

#[test]
fn a_run_that_failed_outside_of_a_node_names_itself() {
    let id = RunId::from_u128(7);
    let failure = |kind, message: &str| Failure {
        kind,
        message: message.to_owned(),
    };
    let limit = failure(
        FailureKind::TimedOut,
        "it took longer than its `timeout` of 1h",
    );
    let told = [
        RunError::new(limit).of_run(id, "fulfil"),
        RunError::with_kind(RunErrorKind::Cancelled, String::new()).of_run(id, "fulfil"),
    ];
    let told = told.map(|error| error.to_string()).join("\n");
    expect![[r#"
        run 00000000-0000-0000-0000-000000000007 of `fulfil` timed out: it took longer than its `timeout` of 1h
        run 00000000-0000-0000-0000-000000000007 of `fulfil` was cancelled"#]]
    .assert_eq(&told);
}

#[test]
fn what_could_not_be_undone_is_named() {
    let message = "no truck; and not all of it could be undone: declined";
    let error = |count| {
        let nodes = (0..count).map(|nth| format!("orders[{nth}]/charge"));
        failed(FailureKind::Error, Some(1), message).not_undone_at(nodes.collect())
    };
    let told = [0, 1, 3, 5]
        .map(|count| error(count).to_string())
        .join("\n");
    expect![[r#"
        node `orders[2]/charge` failed: no truck; and not all of it could be undone: declined
        node `orders[2]/charge` failed: no truck; and not all of it could be undone: declined; not undone: `orders[0]/charge`
        node `orders[2]/charge` failed: no truck; and not all of it could be undone: declined; not undone: `orders[0]/charge`, `orders[1]/charge`, `orders[2]/charge`
        node `orders[2]/charge` failed: no truck; and not all of it could be undone: declined; not undone: `orders[0]/charge`, `orders[1]/charge`, `orders[2]/charge`, and 2 more"#]]
    .assert_eq(&told);
    assert_eq!(error(5).not_undone().len(), 5);
}
