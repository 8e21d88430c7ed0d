//! The shape of workflows with handlers, sleeps, signals and races: nodes, regions, fences, and what
//! they need.

use expect_test::{Expect, expect};
use zahir::__private::Wired;
use zahir::{Graph, Race2, TimedOut, job, workflow};
use zahir_tests::outline::outline;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Declined(u64);

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "declined: {}", self.0)
    }
}

impl std::error::Error for Declined {}

#[job]
async fn pay(_amount: u64) -> Result<u64, Declined> {
    panic!("reading a graph runs nothing")
}

#[job]
async fn parse(_amount: u64) -> Result<u64, std::num::ParseIntError> {
    panic!("reading a graph runs nothing")
}

#[job]
async fn refund(_amount: u64, _error: &Declined) -> u64 {
    panic!("reading a graph runs nothing")
}

#[job]
async fn note(_amount: u64) {
    panic!("reading a graph runs nothing")
}

#[track_caller]
fn check<W: Wired>(expected: Expect) {
    assert_eq!(W::SHAPE.nodes.len(), Graph::of::<W>().nodes().len());
    expected.assert_eq(&outline::<W>());
}

workflow! { async fn rescued(amount: u64, other: u64) -> u64 {
    let paid = pay(parse(amount)).rescue(|err| refund(other, &err)).retry(3);
    pay(paid)
} }

/// Arguments are outside of what is handled. The error is the first node of the handler.
#[test]
fn a_rescue_is_a_node_around_its_call() {
    check::<Rescued>(expect![[r#"
        0 r0 amount Input
        1 r0 other Input
        2 r0 parse Call uses [0]
        3 r0 paid Rescue { body: 1, handler: 2 } uses [2, 1]
        4 r1 pay Call uses [2]
        5 r2 err Caught
        6 r2 refund Call uses [1, 5]
        7 r0 pay Call uses [3]
        r0 Value gives 7
        r1 Value in r0 by 3 gives 4
        r2 Value in r0 by 3 gives 6
    "#]]);
}

workflow! { async fn chained(amount: u64) -> u64 {
    let tried = pay(amount).rescue(|_| amount).finally(note(amount)).result();
    tried.as_ref().map_or(amount, |paid| *paid)
} }

#[test]
fn the_leftmost_handler_is_innermost() {
    check::<Chained>(expect![[r#"
        0 r0 amount Input
        1 r0 tried Result { body: 1 } uses [0]
        2 r1 pay Finally { body: 2, last: 5 } uses [0]
        3 r2 pay Rescue { body: 3, handler: 4 } uses [0]
        4 r3 pay Call uses [0]
        5 r4 error Caught
        6 r5 note Call uses [0]
        7 r0 value Value uses [1, 0]
        r0 Value gives 7
        r1 Value in r0 by 1 gives 2
        r2 Value in r1 by 2 gives 3
        r3 Value in r2 by 3 gives 4
        r4 Value in r2 by 3 gives 0
        r5 Value in r1 by 2
    "#]]);
}

workflow! { async fn block(amount: u64, other: u64) -> u64 {
    let mut sum = 0;
    let mut count = 0;
    let paid = {
        let first = pay(amount);
        sum = first;
        first + other
    }.rescue(|failure| {
        count = sum;
        failure.message().len() as u64
    });
    { sum += count; note(sum); }.finally({ note(sum); });
    paid + sum
} }

/// The handler sees what the variables were before the block; behind it each is what the region that
/// came to its end made of it.
#[test]
fn a_handled_block_assigns_variables() {
    check::<Block>(expect![[r#"
        0 r0 amount Input
        1 r0 other Input
        2 r0 sum Value
        3 r0 count Value
        4 r0 paid Rescue { body: 1, handler: 2 } uses [0, 1, 3, 2]
        5 r1 first Call uses [0]
        6 r1 value Value uses [5, 1]
        7 r2 failure Caught
        8 r2 value Value uses [7]
        9 r0 sum_2 Assigned by 4
        10 r0 count_2 Assigned by 4
        11 r0 finally Finally { body: 3, last: 4 } uses [9, 10]
        12 r3 sum Value uses [9, 10]
        13 r3 note Call uses [12]
        14 r4 note Call uses [9]
        15 r0 sum_3 Assigned by 11
        16 r0 value Value uses [4, 15]
        r0 Value gives 16
        r1 Value in r0 by 4 gives 6 outs [5, 3]
        r2 Value in r0 by 4 gives 8 outs [2, 2]
        r3 Value in r0 by 11 outs [12]
        r4 Value in r0 by 11
    "#]]);
}

workflow! { async fn given_up(amount: u64) -> u64 {
    let paid = pay(amount).rescue(|err| { note(err.0); return amount; });
    note(1);
    paid
} }

#[test]
fn a_handler_that_leaves_is_a_fence() {
    check::<GivenUp>(expect![[r#"
        0 r0 amount Input
        1 r0 paid Rescue { body: 1, handler: 2 } uses [0]
        2 r1 pay Call uses [0]
        3 r2 err Caught
        4 r2 note Call uses [3]
        5 r0 note Call after [1]
        r0 Value gives 1
        r1 Value in r0 by 1 gives 2
        r2 Return in r0 by 1 gives 0
    "#]]);
}

workflow! { async fn fences(amount: u64) -> u64 {
    let first = pay(amount);
    note(1);
    sleep(30s);
    let second = pay(first);
    {
        note(2);
        sleep(std::time::Duration::from_secs(first));
        note(3).after(second);
    }
    note(4);
    sleep_until(std::time::SystemTime::UNIX_EPOCH);
    pay(5)
} }

/// A sleep is behind all that is above it in its own block since the last one, and before all that is
/// below it there.
#[test]
fn a_sleep_is_a_fence_in_its_block() {
    check::<Fences>(expect![[r#"
        0 r0 amount Input
        1 r0 first Call uses [0]
        2 r0 note Call
        3 r0 sleep Sleep after [1, 2]
        4 r0 second Call uses [1] after [3]
        5 r0 note_2 Call after [3]
        6 r0 sleep_2 Sleep uses [1] after [3, 5]
        7 r0 note_3 Call after [6, 3, 4]
        8 r0 note_4 Call after [3]
        9 r0 sleep_until Sleep after [3, 4, 5, 6, 7, 8]
        10 r0 pay Call after [9]
        r0 Value gives 10
    "#]]);
}

workflow! { async fn regions(amount: u64) {
    note(1);
    for item in 0..amount {
        note(item);
        sleep(1s);
        note(2);
    }
    note(3);
    if amount > 3 { sleep(2s) }
    note(4);
} }

#[test]
fn a_sleep_in_a_region_is_no_fence_around_it() {
    check::<Regions>(expect![[r#"
        0 r0 amount Input
        1 r0 note Call
        2 r0 for Each of 3 in r1 lends 1 uses [0]
        3 r1 item Item
        4 r1 note Call uses [3]
        5 r1 sleep Sleep after [4]
        6 r1 note_2 Call after [5]
        7 r0 note_2 Call
        8 r0 if Branch [2, 3] lends 1 uses [0]
        9 r2 sleep Sleep
        10 r0 note_3 Call
        r0 Value
        r1 Value in r0 by 2
        r2 Value in r0 by 8
        r3 Value in r0 by 8
    "#]]);
}

workflow! { async fn signals(amount: u64) -> u64 {
    let approved: u64 = signal("approve");
    let late = signal::<u64>("approve").timeout(1h30m);
    note(amount);
    match late { Ok(late) => pay(late), Err(TimedOut) => pay(approved) }
} }

#[test]
fn a_signal_is_a_node_that_needs_nothing() {
    check::<Signals>(expect![[r#"
        0 r0 amount Input
        1 r0 approved Signal { name: "approve", timeout: None }
        2 r0 late Signal { name: "approve", timeout: Some(5400s) }
        3 r0 note Call uses [0]
        4 r0 match Branch [1, 2] lends 1 uses [2, 1]
        5 r1 pay Call uses [2]
        6 r2 pay Call uses [1]
        r0 Value gives 4
        r1 Value in r0 by 4 gives 5
        r2 Value in r0 by 4 gives 6
    "#]]);
}

workflow! { async fn raced(amount: u64, other: u64) -> u64 {
    let first = race((
        pay(parse(amount)),
        { let sum = amount + other; sleep(1s); pay(sum) },
    ));
    let next = race((signal::<u64>("stop"), sleep(1h))).after(first);
    match next { Race2::First(stop) => pay(stop), Race2::Second(()) => pay(other) }
} }

#[test]
fn each_entry_of_a_race_is_a_region() {
    check::<Raced>(expect![[r#"
        0 r0 amount Input
        1 r0 other Input
        2 r0 first Race { entries: [1, 2] } uses [0, 1]
        3 r1 parse Call uses [0]
        4 r1 pay Call uses [3]
        5 r2 sum Value uses [0, 1]
        6 r2 sleep Sleep after [5]
        7 r2 pay Call uses [5] after [6]
        8 r0 next Race { entries: [3, 4] } after [2]
        9 r3 stop Signal { name: "stop", timeout: None }
        10 r4 sleep Sleep
        11 r0 match Branch [5, 6] lends 1 uses [8, 1]
        12 r5 pay Call uses [8]
        13 r6 pay Call uses [1]
        r0 Value gives 11
        r1 Value in r0 by 2 gives 4
        r2 Value in r0 by 2 gives 7
        r3 Value in r0 by 8 gives 9
        r4 Value in r0 by 8
        r5 Value in r0 by 11 gives 12
        r6 Value in r0 by 11 gives 13
    "#]]);
}

workflow! { async fn kinds(amount: u64) -> u64 {
    let typed = pay(amount).rescue(|err| err.0);
    let untyped = parse(amount).rescue(|failure| failure.message().len() as u64);
    let block = { pay(amount) }.rescue(|failure| failure.message().len() as u64);
    let outer = pay(amount).finally(note(1)).rescue(|failure| failure.message().len() as u64);
    let unhandled = pay(amount).finally(note(2));
    let result = pay(amount).result();
    typed + untyped + block + outer + unhandled + result.as_ref().map_or(0, |paid| *paid)
} }

/// Only a call that is handled itself keeps its error, and only one that can be stored.
#[test]
fn a_call_keeps_its_error_for_its_own_handler() {
    let keeps = |call: &zahir::Node| format!("{call:?}").contains("error: Some");
    let calls = Kinds::graph().nodes().iter();
    let calls =
        calls.filter(|node| matches!(node.name(), "pay" | "parse") && node.calls().is_some());
    let kept: Vec<(&str, bool)> = calls.map(|node| (node.name(), keeps(node))).collect();
    let expected = [true, false, false, false, false, true];
    assert_eq!(
        kept.iter().map(|(_, keeps)| *keeps).collect::<Vec<_>>(),
        expected,
        "{kept:?}"
    );
}
