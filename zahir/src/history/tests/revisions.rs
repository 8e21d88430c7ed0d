//! The meaning of a revision, and what is made of a change of the program.

use expect_test::{Expect, expect};
use zahir_store::{Dropped, FrameStep, NodeId, Revision};

use super::*;
use crate::history::drops::{Drops, EVERY};

fn node(number: u32) -> NodeId {
    NodeId::new(number)
}

fn position(frames: &[(u32, u32)], number: u32) -> Position {
    let steps = frames.iter().map(|(number, index)| FrameStep {
        node: node(*number),
        index: *index,
    });
    Position {
        frames: steps.collect(),
        node: node(number),
    }
}

#[test]
fn nothing_is_touched_in_a_run_that_was_not_revised() {
    let run = Run::of(Diamond::graph(), &["a ok", "b failed", "b fails"]);
    assert_eq!(
        entries::steps(entries::entries(run.stored())),
        run.stored().steps
    );
}

#[test]
fn a_node_is_dropped_with_all_that_is_in_it() {
    let dropped = |at, from| Dropped { at, from };
    let drops = Drops::of(&[
        dropped(position(&[], 2), None),
        dropped(position(&[(3, 1)], 4), None),
        dropped(position(&[], 5), Some(2)),
        dropped(position(&[], 5), Some(4)),
        dropped(position(&[(6, EVERY)], 7), None),
        dropped(position(&[(6, 3)], 8), None),
    ]);
    let covered = [
        position(&[], 2),
        position(&[(2, 9)], 1),
        position(&[(2, 9), (1, 0)], 1),
        position(&[(3, 1)], 4),
        position(&[(3, 1), (4, 0)], 5),
        position(&[(5, 2)], 1),
        position(&[(5, 3)], 1),
        position(&[(6, 0)], 7),
        position(&[(6, 3)], 7),
        position(&[(6, 3)], 8),
    ];
    for at in covered {
        assert!(drops.cover(&at), "{at:?}");
    }
    let others = [
        position(&[], 1),
        position(&[], 5),
        position(&[(3, 0)], 4),
        position(&[(3, 1)], 2),
        position(&[(5, 1)], 1),
        position(&[(6, 2)], 8),
        position(&[], 7),
    ];
    for at in others {
        assert!(!drops.cover(&at), "{at:?}");
    }
}

/// The records that count behind one more revision.
fn revised(told: &[&str], revision: Revision) -> Vec<String> {
    let mut run = Run::of(Diamond::graph(), told);
    run.records.push(Record::RunRevised(revision));
    run.told(&run.counting())
}

fn nothing_dropped(definition: DefinitionId) -> Revision {
    Revision {
        definition,
        moved: Vec::new(),
        dropped: Vec::new(),
    }
}

#[test]
fn what_was_said_to_a_run_that_ended_is_over_with_it() {
    let same = || nothing_dropped(Program::of(Diamond::graph()).definition.id);
    let told = ["a ok", "cancel", "undoing", "cancelled"];
    assert_eq!(revised(&told, same()), ["a ok"]);
    // But a run that has not ended is still being cancelled.
    let told = ["a owed", "cancel", "undoing", "a undone"];
    let counts = ["a ok", "cancel", "undoing", "a undone"];
    assert_eq!(revised(&told, same()), counts);
}

#[test]
fn another_definition_keeps_only_what_moved() {
    let a = Run::of(Diamond::graph(), &[]).at("a").node;
    let told = ["a ok", "e ok", "b open", "answer sent"];
    let mut run = Run::of(Diamond::graph(), &told);
    run.records.push(Record::RunRevised(Revision {
        definition: id(9),
        moved: vec![(a, node(40))],
        dropped: Vec::new(),
    }));
    let counts = run.counting();
    assert!(matches!(&counts[0], Record::RunStarted(start) if start.definition == id(9)));
    assert!(matches!(&counts[1], Record::AttemptStarted { at, .. } if at.node == node(40)));
    assert!(matches!(&counts[2], Record::AttemptSucceeded { at, .. } if at.node == node(40)));
    // Signals are numbered, whether or not somebody still waits for them.
    assert!(matches!(&counts[3], Record::SignalReceived { .. }));
    assert_eq!(counts.len(), 4);
    // And back again: what did not move is gone for good.
    run.records.push(Record::RunRevised(Revision {
        definition: id(10),
        moved: vec![(node(40), a), (node(1), node(1))],
        dropped: vec![Dropped {
            at: position(&[], a.number()),
            from: None,
        }],
    }));
    assert_eq!(run.counting().len(), 2);
}

/// Another version of a workflow: one with another name, as there can't be two of one name.
pub(super) fn version(graph: &'static Graph, of: &'static Graph) -> Program {
    let mut program = Program::of(graph);
    let mut shape = program.definition.shape.clone();
    let rename = |name: &mut String| {
        if name == graph.name() {
            *name = of.name().to_owned();
        }
    };
    rename(&mut shape.workflow);
    shape
        .nodes
        .iter_mut()
        .for_each(|node| rename(&mut node.workflow));
    shape
        .regions
        .iter_mut()
        .for_each(|region| rename(&mut region.workflow));
    program.definition = crate::definition::Definition::from_shape(shape);
    program
}

/// Checks what counts of a run when it goes on with another version of its program.
#[track_caller]
fn check_change(was: &'static Graph, told: &[&str], is: &'static Graph, expected: &Expect) {
    let mut run = Run::of(was, told);
    let now = version(is, was);
    let revised = run.revised_for(&now, &Wish::GoOn).unwrap();
    run.records.extend(revised.records.iter().cloned());
    run.program = now;
    let counting = run.counting();
    let made: Vec<Record> = revised.entries.iter().map(|it| it.record.clone()).collect();
    assert_eq!(counting, made, "what was made is what is read");
    let counts = run.told(&counting).join(", ");
    expected.assert_eq(&format!("counts: {counts}\n{}", revised.changes));
    // Once is enough.
    let again = run.revised(&Wish::GoOn).unwrap();
    assert_eq!(again.entries.len(), counting.len());
    assert!(again.changes.is_empty());
}

workflow! {
    /// `c` has other arguments, `e` is gone, and `g` is new.
    async fn diamond_2(order: u64) -> u64 {
        let a = one(order);
        let b = two(a, 1);
        let c = two(a, 3);
        let d = two(b, c);
        let g = one(b);
        two(d, g).named("f")
    }
}

#[test]
fn what_changed_and_what_is_behind_it_runs_again() {
    let told = ["a ok", "e ok", "b ok", "c ok", "d ok", "f open"];
    check_change(
        Diamond::graph(),
        &told,
        Diamond2::graph(),
        &expect![[r#"
        counts: a ok, b ok
        kept: `a`, `b`
        runs again: `c`, `d`, `f`
        new: `g`
        gone: `e`"#]],
    );
}

workflow! {
    /// The factor is another one.
    async fn items_2(order: u64) -> u64 {
        let factor = two(order, 1);
        let numbers = list(order);
        let products = for number in numbers {
            let first = one(number);
            two(first, factor).named("second")
        };
        let sum = all(&products);
        one(sum).named("end")
    }
}

workflow! {
    /// The second job of an item is another one.
    async fn items_3(order: u64) -> u64 {
        let factor = one(order);
        let numbers = list(order);
        let products = for number in numbers {
            let first = one(number);
            two(factor, first).named("second")
        };
        let sum = all(&products);
        one(sum).named("end")
    }
}

const ITEMS: &[&str] = &[
    "factor ok",
    "numbers ok",
    "products items=3",
    "products[0]/first ok",
    "products[0]/second ok",
    "products[1]/first ok",
    "products[1]/second ok",
    "products[2]/first open",
];

#[test]
fn what_did_not_change_in_an_item_is_kept() {
    check_change(
        Items::graph(),
        ITEMS,
        Items3::graph(),
        &expect![[r#"
        counts: factor ok, numbers ok, products items=3, products[0]/first ok, products[1]/first ok
        kept: `factor`, `numbers`, `products[0]/first`, `products[1]/first`
        runs again: `products[0]/second`, `products[1]/second`"#]],
    );
}

/// A run that was cancelled, and then changed where something was under way, could not go on: what the
/// cancel had dropped was told to be interrupted.
#[test]
fn what_a_cancel_has_dropped_is_not_interrupted() {
    let told = [&ITEMS[..5], &["products[2]/first open", "cancel"]].concat();
    check_change(
        Items::graph(),
        &told,
        Items2::graph(),
        &expect![[r#"
            counts: numbers ok, products items=3, products[0]/first ok, cancel
            kept: `numbers`, `products[0]/first`
            runs again: `factor`, `products[0]/second`"#]],
    );
}

/// What is under way in a construct that waits for something around it is not: nobody would end it if
/// that fails now.
#[test]
fn what_is_under_way_where_nothing_goes_on_is_interrupted() {
    check_change(
        Items::graph(),
        ITEMS,
        Items2::graph(),
        &expect![[r#"
        counts: numbers ok, products items=3, products[0]/first ok, products[1]/first ok, products[2]/first interrupted
        kept: `numbers`, `products[0]/first`, `products[1]/first`
        runs again: `factor`, `products[0]/second`, `products[1]/second`"#]],
    );
}

workflow! {
    /// The flat price is another one.
    async fn chosen_2(order: u64) -> u64 {
        let kind = one(order);
        let rate = one(order);
        let price = if kind > 3 {
            let base = one(order);
            two(base, rate).named("rated")
        } else {
            two(order, 1).named("flat")
        };
        one(price).named("end")
    }
}

workflow! {
    /// The choice is another one.
    async fn chosen_3(order: u64) -> u64 {
        let kind = one(order);
        let rate = one(order);
        let price = if kind > 4 {
            let base = one(order);
            two(base, rate).named("rated")
        } else {
            one(order).named("flat")
        };
        one(price).named("end")
    }
}

#[test]
fn an_arm_that_was_not_taken_costs_what_is_behind_the_branch() {
    let told = [
        "kind ok",
        "rate ok",
        "price arm=0",
        "price/base ok",
        "price/rated ok",
        "end ok",
    ];
    check_change(
        Chosen::graph(),
        &told,
        Chosen2::graph(),
        &expect![[r#"
        counts: kind ok, rate ok, price arm=0, price/base ok, price/rated ok
        kept: `kind`, `rate`, `price/base`, `price/rated`
        runs again: `end`"#]],
    );
    check_change(
        Chosen::graph(),
        &told,
        Chosen3::graph(),
        &expect![[r#"
        counts: kind ok, rate ok
        kept: `kind`, `rate`
        runs again: `price/base`, `price/rated`, `end`"#]],
    );
}

workflow! {
    async fn rounds_2(order: u64) -> u64 {
        let goal = one(order);
        let mut at = one(order).named("at");
        while at < 10 {
            let step = two(at, goal);
            at = two(step, 1).named("next");
        }
        one(at).named("end")
    }
}

#[test]
fn a_loop_with_another_body_begins_anew() {
    let told = [
        "goal ok",
        "at ok",
        "while[0]/if arm=0",
        "while[0]/step ok",
        "while[0]/next ok",
    ];
    check_change(
        Rounds::graph(),
        &told,
        Rounds2::graph(),
        &expect![[r#"
        counts: goal ok, at ok
        kept: `goal`, `at`
        runs again: `while[0]/step`, `while[0]/next`"#]],
    );
}

workflow! {
    /// What may fail is called with something else.
    async fn guarded_2(order: u64) -> u64 {
        let seat = one(order);
        let paid = fallible(order + 1).rescue(|_| { let plan = one(order); one(plan).named("refund") });
        let booked = {
            let held = two(seat, paid);
            one(held).named("book")
        }.finally(one(seat).named("release"));
        one(booked).named("end")
    }
}

#[test]
fn a_handler_runs_again_with_what_it_handles() {
    let told = ["seat ok", "paid/fallible kept", "paid/plan ok"];
    check_change(
        Guarded::graph(),
        &told,
        Guarded2::graph(),
        &expect![[r#"
        counts: seat ok
        kept: `seat`
        runs again: `paid/fallible`, `paid/plan`"#]],
    );
}

#[test]
fn a_finally_runs_again_with_its_block() {
    let told = [
        "seat ok",
        "paid/fallible ok",
        "booked begun",
        "booked/held ok",
        "booked/book ok",
        "booked/release ok",
    ];
    check_change(
        Guarded::graph(),
        &told,
        Guarded2::graph(),
        &expect![[r#"
        counts: seat ok, booked begun
        kept: `seat`
        runs again: `paid/fallible`, `booked/held`, `booked/book`, `booked/release`"#]],
    );
}

workflow! {
    async fn raced_2(order: u64) -> u64 {
        let first = race((
            { let quick = one(order); two(quick, 1).named("quicker") },
            { let slow = one(order); one(slow).named("slower") },
        ));
        let winner = pure(match first { crate::Race2::First(n) | crate::Race2::Second(n) => n });
        one(winner).named("end")
    }
}

#[test]
fn a_race_is_run_again_if_its_winner_is() {
    let told = [
        "first/quick ok",
        "first/slow ok",
        "first/quicker ok",
        "first won=0",
    ];
    check_change(
        Raced::graph(),
        &told,
        Raced2::graph(),
        &expect![[r#"
        counts: 
        runs again: `first/quick`, `first/quicker`, `first/slow`"#]],
    );
    let told = [
        "first/quick ok",
        "first/slow ok",
        "first/slower ok",
        "first won=1",
    ];
    check_change(
        Raced::graph(),
        &told,
        Raced2::graph(),
        &expect![[r#"
        counts: first/quick ok, first/slow ok, first/slower ok, first won=1
        kept: `first/quick`, `first/slow`, `first/slower`"#]],
    );
    let told = ["first/quick ok", "first/slow ok"];
    check_change(
        Raced::graph(),
        &told,
        Raced2::graph(),
        &expect![[r#"
        counts: first/quick ok, first/slow ok
        kept: `first/quick`, `first/slow`"#]],
    );
}

workflow! {
    async fn waited_2(order: u64) -> u64 {
        let asked = one(order);
        sleep(1h);
        let answer: u64 = signal("reply");
        let more: u64 = signal("answer");
        two(asked, answer + more).named("end")
    }
}

#[test]
fn a_signal_that_nobody_waits_for_any_more_is_counted() {
    let told = [
        "answer sent",
        "answer sent",
        "asked ok",
        "sleep timer",
        "answer consumed=0",
        "more consumed=1",
    ];
    check_change(
        Waited::graph(),
        &told,
        Waited2::graph(),
        &expect![[r#"
        counts: answer sent, answer sent, asked ok, sleep timer, more consumed=1
        kept: `asked`, `sleep`, `more`
        runs again: `answer`"#]],
    );
}

#[job]
async fn note(failure: &crate::Failure, order: u64) -> u64 {
    order + u64::from(failure.attempt())
}

workflow! {
    async fn noted(order: u64) -> u64 {
        let paid = {
            let a = one(order);
            let b = fallible(order);
            let c = one(a);
            two(b, c).named("sum")
        }.rescue(|failure| {
            let plan = one(order);
            let noted = note(&failure, order);
            two(plan, noted).named("instead")
        });
        one(paid).named("end")
    }
}

workflow! {
    async fn noted_2(order: u64) -> u64 {
        let paid = {
            let a = one(order);
            one(a).named("c")
        }.rescue(|failure| {
            let plan = one(order);
            let noted = note(&failure, order);
            two(plan, noted).named("instead")
        });
        one(paid).named("end")
    }
}

/// If something else fails in its block, that is what the handler is given.
#[test]
fn what_was_given_a_failure_goes_with_what_has_failed() {
    let told = [
        "paid/a ok",
        "paid/b failed",
        "paid/plan ok",
        "paid/noted ok",
        "paid/instead open",
    ];
    check_change(
        Noted::graph(),
        &told,
        Noted2::graph(),
        &expect![[r#"
        counts: paid/a ok, paid/plan ok
        kept: `paid/a`, `paid/plan`
        runs again: `paid/noted`, `paid/instead`
        gone: `paid/b`, `paid/sum`"#]],
    );
}

/// A `finally` that ran because of a failure, which is taken back.
#[test]
fn what_a_failure_that_does_not_count_has_stopped_is_not_at_its_end() {
    let told = [
        "seat ok",
        "paid/fallible ok",
        "booked begun",
        "booked/held ok",
        "booked/book failed",
        "booked/release ok",
    ];
    check_change(
        Guarded::graph(),
        &told,
        Guarded3::graph(),
        &expect![[r#"
        counts: seat ok, paid/fallible ok, booked begun, booked/held ok
        kept: `seat`, `paid/fallible`, `booked/held`
        runs again: `booked/book`, `booked/release`"#]],
    );
}

workflow! {
    async fn guarded_3(order: u64) -> u64 {
        let seat = one(order);
        let paid = fallible(order).rescue(|_| { let plan = one(order); one(plan).named("refund") });
        let booked = {
            let held = two(seat, paid);
            two(held, 1).named("book")
        }.finally(one(seat).named("release"));
        one(booked).named("end")
    }
}

/// The program, in which this job says that it is never started twice.
fn at_most_once(mut program: Program, job: &str) -> Program {
    let names: Vec<&str> = (0..)
        .take(program.plan.nodes.len())
        .map(|id| program.site(node(id)).node.name())
        .collect();
    let at = names.iter().position(|name| *name == job).unwrap();
    let plan = std::sync::Arc::get_mut(&mut program.plan).unwrap();
    plan.nodes[at].policy.at_most_once = true;
    program
}

#[test]
fn what_is_never_started_twice_keeps_the_run_from_going_on() {
    let told = ["a ok", "b ok", "c ok", "d open"];
    let run = Run::of(Diamond::graph(), &told);
    let now = |job| at_most_once(version(Diamond2::graph(), Diamond::graph()), job);
    assert!(run.revised_for(&now("b"), &Wish::GoOn).is_ok());
    let blocked = |job| match run.revised_for(&now(job), &Wish::GoOn) {
        Err(Refused::Twice(jobs)) => jobs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    expect!["`c`: it has its result, and how `c` is called has changed"]
        .assert_eq(&blocked("c").join("\n"));
    expect!["`d`: it was begun, and what it depends on has changed: `c`"]
        .assert_eq(&blocked("d").join("\n"));
}

#[test]
fn what_is_never_started_twice_is_if_somebody_names_it() {
    let told = ["a ok", "b ok", "c failed", "c fails"];
    let mut run = Run::of(Diamond::graph(), &told);
    run.program = at_most_once(run.program, "c");
    let Err(Refused::Twice(jobs)) = run.revised(&Wish::RetryFailed) else {
        panic!("`c` is tried again");
    };
    assert_eq!(jobs[0].to_string(), "`c`: it was begun");
    assert!(run.revised(&run.again(&["c"])).is_ok());
    // What depends on something that is named is not named.
    let Err(Refused::Twice(jobs)) = run.revised(&run.again(&["a"])) else {
        panic!("`c` is tried again");
    };
    assert_eq!(jobs[0].node(), "c");
    assert!(run.revised(&run.again(&["a", "c"])).is_ok());
}

#[test]
fn what_is_owed_an_undo_stays_what_it_was_while_the_run_is_undone() {
    let told = ["a owed", "c owed", "d failed", "undoing"];
    let run = Run::of(Diamond::graph(), &told);
    let now = version(Diamond2::graph(), Diamond::graph());
    let refused = run.revised_for(&now, &Wish::GoOn).unwrap_err();
    assert_eq!(refused, Refused::Undoing(vec!["c".to_owned()]));
    let told = ["a owed", "c owed", "d failed", "undoing", "c undone"];
    let run = Run::of(Diamond::graph(), &told);
    assert!(run.revised_for(&now, &Wish::GoOn).is_ok());
}

#[test]
fn what_was_done_and_is_not_undone_is_told() {
    let told = ["a owed", "c owed", "e owed"];
    check_change(
        Diamond::graph(),
        &told,
        Diamond2::graph(),
        &expect![[r#"
        counts: a ok
        kept: `a`
        runs again: `c`
        new: `g`
        gone: `e`
        done before and not undone: `c`, `e`"#]],
    );
}

#[test]
fn many_instances_are_one_line() {
    let mut told = vec!["products items=1200".to_owned()];
    told.extend((0..1200).map(|item| format!("products[{item}]/first ok")));
    told.extend((0..3).map(|item| format!("products[{item}]/second ok")));
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let run = Run::of(Items::graph(), &told);
    let now = version(Items3::graph(), Items::graph());
    let revised = run.revised_for(&now, &Wish::GoOn).unwrap();
    expect![[r#"
        kept: `products[..]/first` (1,200 times)
        runs again: `products[0]/second`, `products[1]/second`, `products[2]/second`"#]]
    .assert_eq(&revised.changes.to_string());
}
