//! What is kept of jobs that have children, and of these.

use expect_test::{Expect, expect};

use super::*;
use crate::Context;
use crate::history::revise::BlockedJob;

#[job]
async fn page(order: u64) -> u64 {
    order
}

/// A page that is never started twice.
#[job(at_most_once)]
async fn paid(order: u64) -> u64 {
    order
}

#[job]
async fn bind(pages: u64) -> u64 {
    pages
}

#[job(spawns(page, paid, bind, book, diamond))]
async fn book(ctx: &Context, order: u64) -> u64 {
    let _ = ctx;
    order
}

workflow! {
    pub(super) async fn shelf(order: u64) -> u64 {
        let head = one(order);
        let made = book(head).named("made");
        one(made).named("end")
    }
}

workflow! {
    /// `end` comes behind another one.
    pub(super) async fn shelf_more(order: u64) -> u64 {
        let head = one(order);
        let made = book(head).named("made");
        let more = one(made).named("more");
        one(more).named("end")
    }
}

workflow! {
    async fn held_open(order: u64) -> u64 {
        let done = {
            let made = book(order).named("made");
            one(made).named("then")
        }.finally(one(order).named("close"));
        one(done).named("end")
    }
}

workflow! {
    async fn saved(order: u64) -> u64 {
        let done = book(order).named("made").rescue(|_| one(order).named("instead"));
        one(done).named("end")
    }
}

#[track_caller]
fn check_shelf(told: &str, again: &[&str], expected: &Expect) {
    let told: Vec<&str> = told.split(", ").collect();
    check(Shelf::graph(), &told, again, expected);
}

#[test]
fn a_failed_parent_keeps_its_children_and_what_it_kept() {
    check_shelf(
        "head ok, made open, made value, made spawned=page,page, made parked, made[0]/page ok, \
         made[1]/page failed, made resumed, made breaks, made fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made value, made spawned 2, made[0]/page ok, made anew, made suspends [0, 1]
            kept: `head`, `made[0]/page`
            runs again: `made`, `made[1]/page`"#]],
    );
    // One after the other, and one that was called once more after it had failed.
    check_shelf(
        "head ok, made open, made spawned=page#0, made[0]/page failed, made retried, made open, \
         made spawned=page#0, made[1]/page failed, made breaks, made fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 1, made[0]/page failed, made spawned 1, made anew, made suspends [0, 1]
            kept: `head`, `made[0]/page`
            runs again: `made`, `made[1]/page`"#]],
    );
}

/// In a run that is not over: it goes on by itself.
#[test]
fn a_child_that_is_under_way_does_not_wait_for_its_parent() {
    check_shelf(
        "head ok, made open, made spawned=page,page, made[0]/page open, made breaks",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 2, made anew, made suspends [1]
            kept: `head`
            runs again: `made`"#]],
    );
}

#[test]
fn a_failure_that_a_parent_handled_stays() {
    check_shelf(
        "head ok, made open, made spawned=page,page, made[0]/page failed, made[1]/page ok, made ends, \
         end failed, end fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 2, made[0]/page failed, made[1]/page ok, made ok
            kept: `head`, `made`, `made[0]/page`, `made[1]/page`
            runs again: `end`"#]],
    );
    check_shelf(
        "head ok, made open, made spawned=page~, made[0]/page failed, made ends, end failed, end fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 1, made[0]/page failed, made ok
            kept: `head`, `made`, `made[0]/page`
            runs again: `end`"#]],
    );
}

#[test]
fn a_failed_child_that_follows_runs_again_alone() {
    check_shelf(
        "head ok, made open, made spawned=page&,page&, made ends, made[0]/page failed, \
         made[1]/page ok, end ok, made[0]/page fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 2, made ok, made[1]/page ok, end ok
            kept: `head`, `made`, `made[1]/page`, `end`
            runs again: `made[0]/page`"#]],
    );
    check_shelf(
        "head ok, made open, made spawned=page,page, made parked, made resumed, made left=0, \
         made ends, made[1]/page ok, end ok, made[0]/page failed, made[0]/page fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 2, made left, made ok, made[1]/page ok, end ok
            kept: `head`, `made`, `made[1]/page`, `end`
            runs again: `made[0]/page`"#]],
    );
    check_shelf(
        "head ok, made open, made spawned=page&,page, made ends, made[0]/page ok, end ok, succeeded",
        &["made[0]/page"],
        &expect![[r#"
            counts: head ok, made spawned 2, made ok, end ok
            kept: `head`, `made`, `end`
            runs again: `made[0]/page`"#]],
    );
}

#[test]
fn a_failed_heir_runs_again_and_what_it_inherits_stays() {
    check_shelf(
        "head ok, made open, made spawned=page, made hands=bind<0, made[0]/page ok, \
         made[1]/bind failed, made[1]/bind fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 1, made hands over, made[0]/page ok
            kept: `head`, `made`, `made[0]/page`
            runs again: `made[1]/bind`"#]],
    );
    check_shelf(
        "head ok, made open, made spawned=page, made hands=bind<0, made[0]/page failed, \
         made[0]/page fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 1, made hands over
            kept: `head`, `made`
            runs again: `made[0]/page`"#]],
    );
    check_shelf(
        "head ok, made open, made spawned=page,page, made[1]/page ok, made hands=bind<0, \
         made[0]/page ok, made[2]/bind ok, end ok, succeeded",
        &["made[0]/page"],
        &expect![[r#"
            counts: head ok, made spawned 2, made[1]/page ok, made hands over
            kept: `head`, `made`, `made[1]/page`
            runs again: `made[0]/page`, `made[2]/bind`, `end`"#]],
    );
    // What came of another child before it handed over, nobody knows.
    check_shelf(
        "head ok, made open, made spawned=page,page, made[1]/page ok, made hands=bind<0, \
         made[0]/page ok, made[2]/bind ok, end ok, succeeded",
        &["made[1]/page"],
        &expect![[r#"
            counts: head ok
            kept: `head`
            runs again: `made`, `made[0]/page`, `made[1]/page`, `made[2]/bind`, `end`"#]],
    );
}

const SHELF: &str = "head ok, made open, made value, made spawned=page,diamond,page, made parked, \
                     made[0]/page ok, made[1]/diamond/a ok, made[1]/diamond/b ok, made[2]/page ok, \
                     made resumed, made ends, end ok, succeeded";

#[test]
fn what_a_parent_asked_for_runs_again_with_it() {
    check_shelf(
        SHELF,
        &["made[0]/page"],
        &expect![[r#"
            counts: head ok, made value, made spawned 3, made[1]/diamond/a ok, made[1]/diamond/b ok, made[2]/page ok, made anew, made suspends [0, 1, 2]
            kept: `head`, `made[1]/diamond/a`, `made[1]/diamond/b`, `made[2]/page`
            runs again: `made`, `made[0]/page`, `end`"#]],
    );
    check_shelf(
        SHELF,
        &["made/page"],
        &expect![[r#"
            counts: head ok, made value, made spawned 3, made[1]/diamond/a ok, made[1]/diamond/b ok, made anew, made suspends [0, 1, 2]
            kept: `head`, `made[1]/diamond/a`, `made[1]/diamond/b`
            runs again: `made`, `made[0]/page`, `made[2]/page`, `end`"#]],
    );
    check_shelf(
        SHELF,
        &["made[1]/diamond/b"],
        &expect![[r#"
            counts: head ok, made value, made spawned 3, made[0]/page ok, made[1]/diamond/a ok, made[2]/page ok, made anew, made suspends [0, 1, 2]
            kept: `head`, `made[0]/page`, `made[2]/page`, `made[1]/diamond/a`
            runs again: `made`, `made[1]/diamond/b`, `end`"#]],
    );
    check_shelf(
        SHELF,
        &["made[1]"],
        &expect![[r#"
            counts: head ok, made value, made spawned 3, made[0]/page ok, made[2]/page ok, made anew, made suspends [0, 1, 2]
            kept: `head`, `made[0]/page`, `made[2]/page`
            runs again: `made`, `made[1]/diamond/a`, `made[1]/diamond/b`, `end`"#]],
    );
    check_shelf(
        SHELF,
        &["made/diamond"],
        &expect![[r#"
            counts: head ok, made value, made spawned 3, made[0]/page ok, made[2]/page ok, made anew, made suspends [0, 1, 2]
            kept: `head`, `made[0]/page`, `made[2]/page`
            runs again: `made`, `made[1]/diamond/a`, `made[1]/diamond/b`, `end`"#]],
    );
}

workflow! {
    async fn shelves(order: u64) -> u64 {
        let mut at = one(order).named("at");
        while at < 10 {
            at = book(at).named("made");
        }
        one(at).named("end")
    }
}

/// A child that followed its parent ran again alone, and then not at all: the rounds behind the one
/// that it was in were on record, and the loop was over.
#[test]
fn rounds_behind_a_child_that_follows_run_again() {
    let told = [
        "at ok",
        "while[0]/made open",
        "while[0]/made spawned=page~",
        "while[0]/made ends",
        "while[0]/made[0]/page ok",
        "while[1]/made ok",
        "end ok",
        "succeeded",
    ];
    check(
        Shelves::graph(),
        &told,
        &["while[0]/made[0]/page"],
        &expect![[r#"
            counts: at ok, while[0]/made spawned 1, while[0]/made ok
            kept: `at`, `while[0]/made`
            runs again: `while[0]/made[0]/page`, `while[1]/made`, `end`"#]],
    );
}

#[test]
fn a_parent_that_is_named_begins_anew() {
    check_shelf(
        SHELF,
        &["made"],
        &expect![[r#"
        counts: head ok
        kept: `head`
        runs again: `made`, `made[0]/page`, `made[2]/page`, `made[1]/diamond/a`, `made[1]/diamond/b`, `end`"#]],
    );
    check_shelf(
        SHELF,
        &["head"],
        &expect![[r#"
        counts: 
        runs again: `head`, `made`, `made[0]/page`, `made[2]/page`, `made[1]/diamond/a`, `made[1]/diamond/b`, `end`"#]],
    );
}

#[test]
fn a_parent_that_asked_for_another_attempt_goes_on_with_that() {
    check_shelf(
        "head ok, made open, made spawned=page#0, made[0]/page ok, made postponed, made open, \
         made spawned=page#0, made[1]/page ok, made breaks, made fails",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 1, made[0]/page ok, made postponed, made spawned 1, made[1]/page ok, made anew, made suspends [1]
            kept: `head`, `made[0]/page`, `made[1]/page`
            runs again: `made`"#]],
    );
    check_shelf(
        "head ok, made open, made spawned=page#0, made[0]/page ok, made postponed, made open, \
         made spawned=page#0, made[1]/page ok, made ends, succeeded",
        &["made[0]/page"],
        &expect![[r#"
            counts: head ok
            kept: `head`
            runs again: `made`, `made[0]/page`, `made[1]/page`"#]],
    );
}

#[test]
fn children_have_children() {
    let told = "head ok, made open, made spawned=book,page, made[0]/book open, \
                made[0]/book spawned=page,page, made[0]/book[0]/page ok, made[0]/book[1]/page failed, \
                made[0]/book breaks, made[1]/page ok, made breaks, made fails";
    check_shelf(
        told,
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 2, made[0]/book spawned 2, made[0]/book[0]/page ok, made[1]/page ok, made anew, made suspends [0, 1], made[0]/book anew, made[0]/book suspends [0, 1]
            kept: `head`, `made[0]/book[0]/page`, `made[1]/page`
            runs again: `made`, `made[0]/book`, `made[0]/book[1]/page`"#]],
    );
    check_shelf(
        told,
        &["made[0]/book[0]/page"],
        &expect![[r#"
            counts: head ok, made spawned 2, made[0]/book spawned 2, made[1]/page ok, made anew, made suspends [0, 1], made[0]/book anew, made[0]/book suspends [0, 1]
            kept: `head`, `made[1]/page`
            runs again: `made`, `made[0]/book`, `made[0]/book[0]/page`, `made[0]/book[1]/page`"#]],
    );
}

#[test]
fn a_block_ends_behind_the_children_in_it() {
    let told = [
        "done begun",
        "made open",
        "made spawned=page&",
        "made ends",
        "made[0]/page failed",
        "then ok",
        "close ok",
        "made[0]/page fails",
    ];
    check_named(
        HeldOpen::graph(),
        &told,
        "done",
        &["failed"],
        &expect![[r#"
            counts: done/made spawned 1, done/made ok, done/then ok
            kept: `done/made`, `done/then`
            runs again: `done/made[0]/page`, `done/close`"#]],
    );
    let told = [
        "done begun",
        "made open",
        "made breaks",
        "close ok",
        "made fails",
    ];
    check_named(
        HeldOpen::graph(),
        &told,
        "done",
        &["failed"],
        &expect![[r#"
            counts: 
            runs again: `done/made`, `done/close`"#]],
    );
}

#[test]
fn what_was_handled_around_a_parent_is_not_tried_again() {
    let told = [
        "made open",
        "made spawned=page",
        "made[0]/page failed",
        "made breaks",
        "instead ok",
        "end failed",
        "end fails",
    ];
    check_named(
        Saved::graph(),
        &told,
        "done",
        &["failed"],
        &expect![[r#"
            counts: done/made spawned 1, done/made[0]/page failed, done/made failed, done/instead ok
            kept: `done/made`, `done/made[0]/page`, `done/instead`
            runs again: `end`"#]],
    );
}

/// The same in a workflow whose nodes are in a block of this name.
#[track_caller]
fn check_named(
    graph: &'static Graph,
    told: &[&str],
    block: &str,
    again: &[&str],
    expected: &Expect,
) {
    let is_outside = |line: &&str| line.starts_with(block) || line.starts_with("end");
    let told = told.iter().map(|line| {
        if is_outside(line) {
            (*line).to_owned()
        } else {
            format!("{block}/{line}")
        }
    });
    let told: Vec<String> = told.collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    check(graph, &told, again, expected);
}

#[test]
fn a_child_that_is_never_started_twice_is_not() {
    let told = [
        "head ok",
        "made open",
        "made spawned=paid",
        "made[0]/paid ok",
        "made ends",
        "end ok",
        "succeeded",
    ];
    let run = Run::of(Shelf::graph(), &told);
    let Err(Refused::Twice(jobs)) = run.revised(&run.again(&["made"])) else {
        panic!("it is not refused");
    };
    let nodes: Vec<&str> = jobs.iter().map(BlockedJob::node).collect();
    assert_eq!(nodes, ["made[0]/paid"]);
    run.revised(&run.again(&["made", "made[0]/paid"])).unwrap();
}

workflow! {
    async fn shelf_of_the_order(order: u64) -> u64 {
        let _head = one(order).named("head");
        let made = book(order).named("made");
        one(made).named("end")
    }
}

/// It is its parent that has changed.
#[test]
fn why_a_child_would_run_again_is_told_of_what_it_is_in() {
    let told = [
        "head ok",
        "made open",
        "made spawned=paid",
        "made[0]/paid ok",
    ];
    let run = Run::of(Shelf::graph(), &told);
    let now = revisions::version(ShelfOfTheOrder::graph(), Shelf::graph());
    let Err(Refused::Twice(jobs)) = run.revised_for(&now, &Wish::GoOn) else {
        panic!("it is not refused");
    };
    let told: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    expect!["`made[0]/paid`: it has its result, and `made`, which it is in, has changed: how `made` is called has changed"].assert_eq(&told.join("\n"));
}

/// Many children are told as how many they are.
#[test]
fn many_children_are_told_at_once() {
    let mut told = vec!["head ok".to_owned(), "made open".to_owned()];
    told.extend((0..40).map(|_| "made spawned=page".to_owned()));
    told.extend((0..40).map(|at| format!("made[{at}]/page ok")));
    told.extend(["made breaks".to_owned(), "made fails".to_owned()]);
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let mut run = Run::of(Shelf::graph(), &told);
    let revised = run.goes_on(&Wish::RetryFailed);
    expect![[r#"
        kept: `head`, `made[..]/page` (40 times)
        runs again: `made`"#]]
    .assert_eq(&revised.changes.to_string());
}

/// They were under way when the run ended: nothing of it goes on before the job calls them.
#[test]
fn what_was_under_way_in_children_that_wait_to_be_called_is_not() {
    check_shelf(
        "head ok, made open, made spawned=page,paid, made parked, made[0]/page open, made[1]/paid open, \
         made resumed, made breaks, cancel, cancelled",
        &["failed"],
        &expect![[r#"
            counts: head ok, made spawned 2, made[0]/page interrupted, made[1]/paid failed, made anew, made suspends [0, 1]
            kept: `head`
            runs again: `made`, `made[0]/page`, `made[1]/paid`"#]],
    );
}

/// An attempt of the job failed, and the next one called another child in the place of the first.
#[test]
fn what_is_in_a_child_that_was_replaced_is_not_run_again() {
    let told = "head ok, made open, made spawned=book#0, made parked, made[0]/book open, \
                made[0]/book spawned=page, made[0]/book parked, made[0]/book[0]/page ok, \
                made[0]/book resumed, made[0]/book breaks, made resumed, made retried, made open, \
                made spawned=book#0, made[1]/book ok, made ends, end ok, succeeded";
    let told: Vec<&str> = told.split(", ").collect();
    let run = Run::of(Shelf::graph(), &told);
    for name in ["made[0]/book[0]/page", "made[0]/book"] {
        let refused = run.revised(&run.again(&[name])).unwrap_err();
        assert_eq!(refused, Refused::Replaced(name.to_owned()));
    }
    // What is called so is in both; and in one of them it counts.
    check_shelf(
        &told.join(", "),
        &["made/book"],
        &expect![[r#"
        counts: head ok, made spawned 1, made[0]/book spawned 1, made[0]/book[0]/page ok, made[0]/book failed, made spawned 1, made anew, made suspends [0, 1]
        kept: `head`, `made[0]/book`, `made[0]/book[0]/page`
        runs again: `made`, `made[1]/book`, `end`"#]],
    );
}
