//! What runs again with what.

use expect_test::expect;

use super::*;

const DIAMOND: &[&str] = &["a ok", "e ok", "b ok", "c ok", "d ok", "f ok", "succeeded"];

#[test]
fn what_uses_a_result_runs_again_with_it() {
    check(
        Diamond::graph(),
        DIAMOND,
        &["a"],
        &expect![[r#"
        counts: e ok
        kept: `e`
        runs again: `a`, `b`, `c`, `d`, `f`"#]],
    );
    check(
        Diamond::graph(),
        DIAMOND,
        &["c"],
        &expect![[r#"
        counts: a ok, e ok, b ok
        kept: `a`, `b`, `e`
        runs again: `c`, `d`, `f`"#]],
    );
    check(
        Diamond::graph(),
        DIAMOND,
        &["f"],
        &expect![[r#"
        counts: a ok, e ok, b ok, c ok, d ok
        kept: `a`, `b`, `c`, `d`, `e`
        runs again: `f`"#]],
    );
    check(
        Diamond::graph(),
        DIAMOND,
        &["e"],
        &expect![[r#"
        counts: a ok, b ok, c ok, d ok, f ok
        kept: `a`, `b`, `c`, `d`, `f`
        runs again: `e`"#]],
    );
    check(
        Diamond::graph(),
        DIAMOND,
        &["b", "e"],
        &expect![[r#"
        counts: a ok, c ok
        kept: `a`, `c`
        runs again: `b`, `d`, `e`, `f`"#]],
    );
}

#[test]
fn only_what_failed_is_tried_again() {
    let told = ["a ok", "e ok", "b failed", "c ok", "b fails"];
    check(
        Diamond::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: a ok, e ok, c ok
        kept: `a`, `c`, `e`
        runs again: `b`"#]],
    );
    let told = ["a ok", "b failed", "c poisoned", "e failed", "b fails"];
    check(
        Diamond::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: a ok
        kept: `a`
        runs again: `b`, `c`, `e`"#]],
    );
}

#[test]
fn what_failed_is_tried_again_with_what_is_named() {
    let told = ["a ok", "e ok", "b failed", "c ok", "b fails"];
    check(
        Diamond::graph(),
        &told,
        &["e"],
        &expect![[r#"
        counts: a ok, c ok
        kept: `a`, `c`
        runs again: `b`, `e`"#]],
    );
}

#[test]
fn nothing_failed_in_a_run_that_succeeded() {
    let run = Run::of(Diamond::graph(), DIAMOND);
    let refused = run.revised(&Wish::RetryFailed).unwrap_err();
    assert_eq!(refused, Refused::NothingFailed);
}

#[test]
fn what_never_ran_does_not_run_again() {
    let told = ["a ok", "b failed", "b fails"];
    let run = Run::of(Diamond::graph(), &told);
    let refused = run.revised(&run.again(&["d"])).unwrap_err();
    assert_eq!(refused, Refused::NeverRan("d".to_owned()));
}

#[test]
fn what_has_its_result_is_not_retried() {
    let told = [
        "factor ok",
        "numbers ok",
        "products items=3",
        "products[0]/first ok",
        "products[1]/first failed",
        "products[2]/first open",
        "products[1]/first fails",
    ];
    let run = Run::of(Items::graph(), &told);
    let retried = |name| {
        let Wish::Again(wish) = run.again(&[name]) else {
            unreachable!()
        };
        run.revised(&Wish::Again(Again {
            even_if_done: false,
            ..wish
        }))
    };
    let refused = retried("numbers").unwrap_err();
    assert_eq!(refused, Refused::Succeeded("numbers".to_owned()));
    // Of many, those that have none.
    let revised = retried("products/first").unwrap();
    let again = ["products[1]/first", "products[2]/first"];
    assert_eq!(revised.changes.runs_again(), again);
    // Inputs are for one.
    let Wish::Again(mut wish) = run.again(&["products/first"]) else {
        unreachable!()
    };
    wish.arguments = Some(Vec::new());
    let refused = run.revised(&Wish::Again(wish)).unwrap_err();
    assert_eq!(refused, Refused::Several("products/first".to_owned()));
}

#[test]
fn a_run_that_was_cancelled_goes_on_where_it_was() {
    let told = ["a ok", "b open", "c ok", "cancel", "cancelled"];
    check(
        Diamond::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: a ok, c ok, b interrupted
        kept: `a`, `c`
        runs again: `b`"#]],
    );
}

const ITEMS: &[&str] = &[
    "factor ok",
    "numbers ok",
    "products items=2",
    "products[0]/first ok",
    "products[0]/second ok",
    "products[1]/first ok",
    "products[1]/second ok",
    "sum ok",
    "end ok",
    "succeeded",
];

#[test]
fn an_item_runs_again_alone() {
    check(
        Items::graph(),
        ITEMS,
        &["products[1]/first"],
        &expect![[r#"
            counts: factor ok, numbers ok, products items=2, products[0]/first ok, products[0]/second ok
            kept: `factor`, `numbers`, `products[0]/first`, `products[0]/second`
            runs again: `products[1]/first`, `products[1]/second`, `sum`, `end`"#]],
    );
    check(
        Items::graph(),
        ITEMS,
        &["products[0]/second"],
        &expect![[r#"
            counts: factor ok, numbers ok, products items=2, products[0]/first ok, products[1]/first ok, products[1]/second ok
            kept: `factor`, `numbers`, `products[0]/first`, `products[1]/first`, `products[1]/second`
            runs again: `products[0]/second`, `sum`, `end`"#]],
    );
    check(
        Items::graph(),
        ITEMS,
        &["products[1]"],
        &expect![[r#"
            counts: factor ok, numbers ok, products items=2, products[0]/first ok, products[0]/second ok
            kept: `factor`, `numbers`, `products[0]/first`, `products[0]/second`
            runs again: `products[1]/first`, `products[1]/second`, `sum`, `end`"#]],
    );
    check(
        Items::graph(),
        ITEMS,
        &["products/second"],
        &expect![[r#"
            counts: factor ok, numbers ok, products items=2, products[0]/first ok, products[1]/first ok
            kept: `factor`, `numbers`, `products[0]/first`, `products[1]/first`
            runs again: `products[0]/second`, `products[1]/second`, `sum`, `end`"#]],
    );
}

#[test]
fn what_a_for_goes_over_is_another_for() {
    check(
        Items::graph(),
        ITEMS,
        &["numbers"],
        &expect![[r#"
            counts: factor ok
            kept: `factor`
            runs again: `numbers`, `products[0]/first`, `products[1]/first`, `products[0]/second`, `products[1]/second`, `sum`, `end`"#]],
    );
    check(
        Items::graph(),
        ITEMS,
        &["products"],
        &expect![[r#"
            counts: factor ok, numbers ok
            kept: `factor`, `numbers`
            runs again: `products[0]/first`, `products[1]/first`, `products[0]/second`, `products[1]/second`, `sum`, `end`"#]],
    );
}

#[test]
fn only_what_in_a_for_uses_what_is_around_it_runs_again() {
    check(
        Items::graph(),
        ITEMS,
        &["factor"],
        &expect![[r#"
            counts: numbers ok, products items=2, products[0]/first ok, products[1]/first ok
            kept: `numbers`, `products[0]/first`, `products[1]/first`
            runs again: `factor`, `products[0]/second`, `products[1]/second`, `sum`, `end`"#]],
    );
}

const CHOSEN: &[&str] = &[
    "kind ok",
    "rate ok",
    "price arm=0",
    "price/base ok",
    "price/rated ok",
    "end ok",
    "succeeded",
];

#[test]
fn an_arm_that_was_taken_stays_taken() {
    check(
        Chosen::graph(),
        CHOSEN,
        &["price/base"],
        &expect![[r#"
            counts: kind ok, rate ok, price arm=0
            kept: `kind`, `rate`
            runs again: `price/base`, `price/rated`, `end`"#]],
    );
    check(
        Chosen::graph(),
        CHOSEN,
        &["rate"],
        &expect![[r#"
            counts: kind ok, price arm=0, price/base ok
            kept: `kind`, `price/base`
            runs again: `rate`, `price/rated`, `end`"#]],
    );
    check(
        Chosen::graph(),
        CHOSEN,
        &["kind"],
        &expect![[r#"
            counts: rate ok
            kept: `rate`
            runs again: `kind`, `price/base`, `price/rated`, `end`"#]],
    );
}

const ROUNDS: &[&str] = &[
    "goal ok",
    "at ok",
    "while[0]/if arm=0",
    "while[0]/step ok",
    "while[0]/next ok",
    "while[1]/if arm=0",
    "while[1]/step ok",
    "while[1]/next ok",
    "while[2]/if arm=1",
    "end ok",
    "succeeded",
];

#[test]
fn a_round_begins_with_what_the_round_before_left() {
    check(
        Rounds::graph(),
        ROUNDS,
        &["while[1]/step"],
        &expect![[r#"
            counts: goal ok, at ok, while[0]/if arm=0, while[0]/step ok, while[0]/next ok, while[1]/if arm=0
            kept: `goal`, `at`, `while[0]/step`, `while[0]/next`
            runs again: `while[1]/step`, `while[1]/next`, `end`"#]],
    );
    check(
        Rounds::graph(),
        ROUNDS,
        &["while[0]/next"],
        &expect![[r#"
            counts: goal ok, at ok, while[0]/if arm=0, while[0]/step ok
            kept: `goal`, `at`, `while[0]/step`
            runs again: `while[0]/next`, `while[1]/next`, `while[1]/step`, `end`"#]],
    );
    check(
        Rounds::graph(),
        ROUNDS,
        &["at"],
        &expect![[r#"
            counts: goal ok
            kept: `goal`
            runs again: `at`, `while[0]/step`, `while[1]/step`, `while[0]/next`, `while[1]/next`, `end`"#]],
    );
    check(
        Rounds::graph(),
        ROUNDS,
        &["goal"],
        &expect![[r#"
            counts: at ok, while[0]/if arm=0
            kept: `at`
            runs again: `goal`, `while[0]/step`, `while[1]/step`, `while[0]/next`, `while[1]/next`, `end`"#]],
    );
}

#[test]
fn a_handler_belongs_to_what_it_handles() {
    let told = [
        "seat ok",
        "paid/fallible kept",
        "paid/plan ok",
        "paid/refund failed",
        "paid/refund fails",
    ];
    // The failure that was handled is not tried again.
    check(
        Guarded::graph(),
        &told,
        &["failed"],
        &expect![[r#"
            counts: seat ok, paid/fallible failed, paid/plan ok
            kept: `seat`, `paid/fallible`, `paid/plan`
            runs again: `paid/refund`"#]],
    );
    check(
        Guarded::graph(),
        &told,
        &["paid/fallible"],
        &expect![[r#"
        counts: seat ok
        kept: `seat`
        runs again: `paid/fallible`, `paid/plan`, `paid/refund`"#]],
    );
}

#[job(recover = instead)]
async fn shaky(order: u64) -> Result<u64, String> {
    Ok(order)
}

#[job]
async fn instead(_failure: &crate::Failure, order: u64) -> u64 {
    order
}

workflow! {
    async fn beside(order: u64) -> u64 {
        let first = one(order);
        let paid = shaky(order).rescue(|_| one(order).named("plan"));
        two(first, paid).named("end")
    }
}

#[test]
fn what_was_not_recovered_because_of_a_failure_beside_it_runs_again_with_that() {
    let told = ["first failed", "paid/shaky kept", "first fails"];
    check(
        Beside::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: 
        runs again: `first`, `paid/shaky`"#]],
    );
    // It was not because of what came later.
    let told = [
        "paid/shaky kept",
        "paid/plan ok",
        "first failed",
        "first fails",
    ];
    check(
        Beside::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: paid/shaky failed, paid/plan ok
        kept: `paid/shaky`, `paid/plan`
        runs again: `first`"#]],
    );
}

#[test]
fn a_finally_belongs_to_its_block() {
    let told = [
        "seat ok",
        "paid/fallible ok",
        "booked begun",
        "booked/held ok",
        "booked/book failed",
        "booked/release ok",
        "booked/book fails",
    ];
    check(
        Guarded::graph(),
        &told,
        &["failed"],
        &expect![[r#"
            counts: seat ok, paid/fallible ok, booked/held ok
            kept: `seat`, `paid/fallible`, `booked/held`
            runs again: `booked/book`, `booked/release`"#]],
    );
    let told = [
        "seat ok",
        "paid/fallible ok",
        "booked begun",
        "booked/held ok",
        "booked/book ok",
        "booked/release failed",
        "booked/release fails",
    ];
    check(
        Guarded::graph(),
        &told,
        &["failed"],
        &expect![[r#"
            counts: seat ok, paid/fallible ok, booked/held ok, booked/book ok
            kept: `seat`, `paid/fallible`, `booked/held`, `booked/book`
            runs again: `booked/release`"#]],
    );
}

#[test]
fn a_finally_that_ran_for_a_cancel_runs_again_behind_its_block() {
    let told = [
        "seat ok",
        "paid/fallible ok",
        "booked begun",
        "booked/held ok",
        "booked/book open",
        "cancel",
        "booked/release ok",
        "cancelled",
    ];
    check(
        Guarded::graph(),
        &told,
        &["failed"],
        &expect![[r#"
            counts: seat ok, paid/fallible ok, booked/held ok, booked/book interrupted
            kept: `seat`, `paid/fallible`, `booked/held`
            runs again: `booked/book`, `booked/release`"#]],
    );
}

#[test]
fn a_race_is_run_as_a_whole() {
    let told = [
        "first/quick ok",
        "first/slow ok",
        "first/quicker ok",
        "first won=0",
        "end ok",
        "succeeded",
    ];
    check(
        Raced::graph(),
        &told,
        &["first/quick"],
        &expect![[r#"
            counts: 
            runs again: `first/quick`, `first/quicker`, `first/slow`, `end`"#]],
    );
    check(
        Raced::graph(),
        &told,
        &["end"],
        &expect![[r#"
        counts: first/quick ok, first/slow ok, first/quicker ok, first won=0
        kept: `first/quick`, `first/quicker`, `first/slow`
        runs again: `end`"#]],
    );
}

#[test]
fn what_lost_a_race_is_not_tried_again() {
    let told = [
        "first/quick ok",
        "first/slow failed",
        "first won=0",
        "first/quicker ok",
        "end failed",
        "end fails",
    ];
    // Out of order on purpose: an entry that lost may fail in the same moment.
    check(
        Raced::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: first/quick ok, first/slow failed, first won=0, first/quicker ok
        kept: `first/quick`, `first/quicker`, `first/slow`
        runs again: `end`"#]],
    );
}

#[test]
fn a_called_workflow_is_followed_inwards_and_outwards() {
    let told = [
        "head ok",
        "inner/a ok",
        "inner/b ok",
        "inner/c ok",
        "inner/e ok",
        "inner/d ok",
        "inner/f ok",
        "end ok",
        "succeeded",
    ];
    check(
        Called::graph(),
        &told,
        &["inner/c"],
        &expect![[r#"
            counts: head ok, inner/a ok, inner/b ok, inner/e ok
            kept: `head`, `inner/a`, `inner/b`, `inner/e`
            runs again: `inner/c`, `inner/d`, `inner/f`, `end`"#]],
    );
    check(
        Called::graph(),
        &told,
        &["head"],
        &expect![[r#"
            counts: 
            runs again: `head`, `inner/a`, `inner/b`, `inner/c`, `inner/d`, `inner/e`, `inner/f`, `end`"#]],
    );
}

#[test]
fn a_signal_is_given_back() {
    let told = [
        "answer sent",
        "answer sent",
        "asked ok",
        "sleep timer",
        "answer consumed=0",
        "more consumed=1",
        "end ok",
        "succeeded",
    ];
    check(
        Waited::graph(),
        &told,
        &["answer"],
        &expect![[r#"
        counts: answer sent, answer sent, asked ok, sleep timer, more consumed=1
        kept: `asked`, `sleep`, `more`
        runs again: `answer`, `end`"#]],
    );
    check(
        Waited::graph(),
        &told,
        &["asked"],
        &expect![[r#"
        counts: answer sent, answer sent
        runs again: `asked`, `sleep`, `answer`, `more`, `end`"#]],
    );
}

#[test]
fn what_was_undone_runs_again() {
    let told = [
        "a owed", "e ok", "b owed", "c failed", "undoing", "b undone", "a undone", "c fails",
    ];
    check(
        Diamond::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: e ok
        kept: `e`
        runs again: `a`, `b`, `c`"#]],
    );
    check(
        Diamond::graph(),
        &told,
        &["e"],
        &expect![[r#"
        counts: 
        runs again: `a`, `b`, `c`, `e`"#]],
    );
}

#[test]
fn what_could_not_be_undone_is_undone_again() {
    let told = [
        "a owed", "b owed", "c failed", "undoing", "b undone", "a stuck", "c fails",
    ];
    check(
        Diamond::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: a ok, b ok, c failed, undoing, b undone
        kept: `a`, `b`, `c`"#]],
    );
    // Whoever wants the run to go on gets that.
    check(
        Diamond::graph(),
        &told,
        &["c"],
        &expect![[r#"
        counts: a ok
        kept: `a`
        runs again: `b`, `c`"#]],
    );
}

#[test]
fn inputs_that_were_replaced_stay_until_something_before_them_runs_again() {
    let told = ["a ok", "b given=edited", "b failed", "c ok", "b fails"];
    check(
        Diamond::graph(),
        &told,
        &["failed"],
        &expect![[r#"
        counts: a ok, c ok, b given=edited
        kept: `a`, `c`
        runs again: `b`"#]],
    );
    check(
        Diamond::graph(),
        &told,
        &["a"],
        &expect![[r#"
            counts: b given=edited
            runs again: `a`, `b`, `c`"#]],
    );
    let mut run = Run::of(Diamond::graph(), &told);
    let Wish::Again(mut wish) = run.again(&["b"]) else {
        unreachable!()
    };
    wish.arguments = Some(b"again".to_vec());
    run.goes_on(&Wish::Again(wish));
    let counts = run.told(&run.counting());
    assert_eq!(counts, ["a ok", "c ok", "b given=again"]);
}

#[test]
fn a_repair_can_be_repaired() {
    let mut run = Run::of(
        Diamond::graph(),
        &["a ok", "e ok", "b failed", "c ok", "b fails"],
    );
    run.goes_on(&Wish::RetryFailed);
    for line in ["b ok", "d failed", "d fails"] {
        run.tell(line);
    }
    let wish = run.again(&["a"]);
    run.goes_on(&wish);
    assert_eq!(run.told(&run.counting()), ["e ok"]);
    for line in ["a ok", "b ok", "c ok", "d ok", "f ok", "succeeded"] {
        run.tell(line);
    }
    let counts = run.told(&run.counting());
    assert_eq!(
        counts,
        ["e ok", "a ok", "b ok", "c ok", "d ok", "f ok", "over"]
    );
}

workflow! {
    async fn boxed(order: u64) -> u64 {
        let paid = {
            let a = one(order);
            let b = fallible(order);
            let c = { one(order).named("cleaned") }.finally(one(order).named("last"));
            let d = two(a, b);
            two(c, d).named("sum")
        }.rescue(|_| one(order).named("plan"));
        one(paid).named("end")
    }
}

/// As long as the failure counts, nothing in its block goes on.
#[test]
fn what_has_stopped_the_block_of_a_named_node_runs_again_with_it() {
    let told = [
        "paid/a ok",
        "paid/c/cleaned ok",
        "paid/b failed",
        "paid/c/last ok",
        "paid/plan ok",
        "end ok",
        "succeeded",
    ];
    check(
        Boxed::graph(),
        &told,
        &["paid/a"],
        &expect![[r#"
        counts: paid/c/cleaned ok
        kept: `paid/c/cleaned`
        runs again: `paid/a`, `paid/b`, `paid/c/last`, `paid/plan`, `end`"#]],
    );
    // What is owed anyway runs whatever failed, and so does what is outside.
    check(
        Boxed::graph(),
        &told,
        &["paid/c/last"],
        &expect![[r#"
        counts: paid/a ok, paid/c/cleaned ok, paid/b failed
        kept: `paid/a`, `paid/b`, `paid/c/cleaned`
        runs again: `paid/c/last`, `paid/plan`, `end`"#]],
    );
    check(
        Boxed::graph(),
        &told,
        &["paid/plan"],
        &expect![[r#"
        counts: paid/a ok, paid/c/cleaned ok, paid/b failed, paid/c/last ok
        kept: `paid/a`, `paid/b`, `paid/c/cleaned`, `paid/c/last`
        runs again: `paid/plan`, `end`"#]],
    );
    check(
        Boxed::graph(),
        &told,
        &["end"],
        &expect![[r#"
        counts: paid/a ok, paid/c/cleaned ok, paid/b failed, paid/c/last ok, paid/plan ok
        kept: `paid/a`, `paid/b`, `paid/c/cleaned`, `paid/c/last`, `paid/plan`
        runs again: `end`"#]],
    );
}

workflow! {
    async fn lent(order: u64) -> u64 {
        let rate = one(order);
        let kind = one(order).named("kind");
        let paid = {
            let price = if kind > 3 { one(order).named("list") } else { rate };
            let charged = fallible(price);
            charged
        }.rescue(|_| one(order).named("plan"));
        one(paid).named("end")
    }
}

/// The arm gives what is around the block, and in the block another job is given that.
#[test]
fn what_is_given_a_value_from_around_its_block_runs_again_with_it() {
    let told = [
        "rate ok",
        "kind ok",
        "paid/price arm=1",
        "paid/charged ok",
        "end ok",
        "succeeded",
    ];
    check(
        Lent::graph(),
        &told,
        &["rate"],
        &expect![[r#"
        counts: kind ok, paid/price arm=1
        kept: `kind`
        runs again: `rate`, `paid/charged`, `end`"#]],
    );
}
