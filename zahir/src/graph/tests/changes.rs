//! What a change of a workflow means for its fingerprints, its stored definition, and what is on
//! record of its nodes.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::shapes::{Written, body, branches, call, handlers, loops, node, region, waits};
use crate::definition::Definition;
use crate::definition::matching::Matching;
use crate::graph::shape::{Exit, NodeShape, RegionShape, ShapeKind};
use crate::job::policy::Settings;
use crate::program::Program;

/// Checks which nodes are not what they were, what that is called, and whose records still count.
#[track_caller]
fn check(written: fn() -> Written, change: impl FnOnce(&mut Written), expected: &Expect) {
    let mut changed = written();
    change(&mut changed);
    let (old, new) = (written().leaked(), changed.leaked());
    let pairs = old.nodes().iter().zip(new.nodes());
    let others = pairs.filter(|(old, new)| old.fingerprint() != new.fingerprint());
    let others: Vec<&str> = others.map(|(old, _)| old.name()).collect();
    let (old, new) = (Program::of(old).definition, Program::of(new).definition);
    assert_eq!(old.id == new.id, old.bytes == new.bytes);
    let mut lines = vec![format!("others: {}", others.join(" "))];
    lines.extend(old.differences(&new));
    lines.push(format!("kept: {}", kept(&old, &new)));
    expected.assert_eq(&lines.join("\n"));
}

/// The nodes whose records still count, by their names.
fn kept(old: &Definition, new: &Definition) -> String {
    let matching = Matching::new(old, new);
    let moved = matching.moved(new);
    let names = moved.map(|(was, is)| {
        let (was, is) = (&old.node(was).unwrap().name, &new.node(is).unwrap().name);
        if was == is {
            was.clone()
        } else {
            format!("{was}={is}")
        }
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_has_no_effect_on_results_is_not_seen() {
    let settings = Settings::NONE.retry(3).timeout(Duration::from_secs(1));
    check(
        branches,
        |written| written.node("fix").settings = settings,
        &expect![[r#"
            others: 
            kept: classify price handled reprice bill fix if warn report"#]],
    );
    check(
        branches,
        |written| written.node("fix").line = 7,
        &expect![[r#"
            others: 
            kept: classify price handled reprice bill fix if warn report"#]],
    );
    let kind = ShapeKind::Loop {
        body: 1,
        starts: &[1],
        max: Some(9),
        or_last: false,
    };
    check(
        loops,
        |written| written.node("verdict").kind = kind,
        &expect![[r#"
            others: 
            kept: write verdict review if if_2 rewrite revise loop poll if publish"#]],
    );
    let timeout = Some(Duration::from_secs(1));
    let kind = ShapeKind::Signal {
        name: "approve",
        timeout,
    };
    check(
        waits,
        |written| written.node("approval").kind = kind,
        &expect![[r#"
            others: 
            kept: asked log sleep approval first fetch stop sleep report"#]],
    );
}

#[test]
fn names_of_variables_are_seen_in_definitions_only() {
    check(
        branches,
        |written| written.node("invoice").name = "bill_2",
        &expect![[r#"
            others: 
            `invoice` (a value) is gone
            `bill_2` (a value) is new
            kept: classify price handled reprice bill fix if warn report"#]],
    );
    check(
        loops,
        |written| written.node("draft").name = "text",
        &expect![[r#"
            others: 
            `draft` (a variable of a loop) is gone
            `text` (a variable of a loop) is new
            kept: write verdict review if if_2 rewrite revise loop poll if publish"#]],
    );
}

#[test]
fn an_arm_counts_for_its_branch_and_what_follows() {
    check(
        branches,
        |written| written.node("fix").source = "other",
        &expect![[r#"
            others: handled fix price_2 if warn report
            `handled` (a branch) has changed
            `fix` (a call of `fix`) has changed
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price handled reprice bill"#]],
    );
}

#[test]
fn the_choice_does_not_count_for_what_is_chosen() {
    check(
        branches,
        |written| written.node("handled").source = "match !#0",
        &expect![[r#"
            others: handled price_2 if warn report
            `handled` (a branch) has changed
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price"#]],
    );
}

#[test]
fn how_an_arm_ends_counts() {
    let exit = |written: &mut Written| {
        written.regions[3].exit = Exit::Value;
        written.regions[3].outs = &[2];
    };
    check(
        branches,
        exit,
        &expect![[r#"
            others: handled price_2 if warn report
            arm 3 of `handled` (a branch) does not end with `return` now
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price handled reprice bill fix"#]],
    );
    check(
        branches,
        |written| {
            let fix = &mut written.regions[2];
            (fix.exit, fix.outs) = (Exit::Return, &[]);
        },
        &expect![[r#"
            others: handled price_2 if warn report
            arm 2 of `handled` (a branch) ends with `return` now
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price handled reprice bill fix"#]],
    );
    check(
        branches,
        |written| written.regions[1].outs = &[2],
        &expect![[r#"
            others: handled price_2 if warn report
            `handled` (a branch) has changed
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price handled reprice bill fix"#]],
    );
    check(
        branches,
        |written| written.regions[2].result = Some(0),
        &expect![[r#"
            others: handled price_2 if warn report
            `handled` (a branch) has changed
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price handled reprice bill fix"#]],
    );
}

#[test]
fn an_arm_more_is_told() {
    let more = |written: &mut Written| {
        let arms = &[1, 2, 3, 6];
        written.node("handled").kind = ShapeKind::Branch { arms, lends: 1 };
        written.regions.push(RegionShape {
            outs: &[2],
            label: "",
            ..region(0, 3, Some(0))
        });
    };
    check(
        branches,
        more,
        &expect![[r#"
            others: handled price_2 if warn report
            `handled` (a branch) has 4 arms now, not 3
            `price_2` (an assigned variable) has changed
            `if` (a branch) has changed
            `warn` (a call of `warn`) has changed
            `report` (a call of `report`) has changed
            kept: classify price"#]],
    );
}

#[test]
fn what_a_workflow_gives_is_told() {
    check(
        branches,
        |written| written.regions[0].result = Some(8),
        &expect![[r#"
            others: 
            `test::drawn` gives another of its values now
            kept: classify price handled reprice bill fix if warn report"#]],
    );
}

#[test]
fn nodes_are_found_again_by_the_names_around_them() {
    let renumber = |written: &mut Written| {
        let arms = &[2, 1, 3];
        written.node("handled").kind = ShapeKind::Branch { arms, lends: 1 };
        for node in &mut written.nodes {
            node.region = [0, 2, 1, 3, 4, 5][usize::try_from(node.region).unwrap()];
        }
        written.regions.swap(1, 2);
    };
    check(
        branches,
        renumber,
        &expect![[r#"
        others: 
        kept: classify price handled reprice bill fix if warn report"#]],
    );
}

#[test]
fn a_round_counts_for_the_variables_it_leaves() {
    check(
        loops,
        |written| written.node("revise").source = "other",
        &expect![[r#"
            others: verdict draft review if if_2 revise draft loop poll publish
            `verdict` (a loop) has changed
            `draft` (a variable of a loop) has changed
            `review` (a call of `review`) has changed
            `if` (a branch) has changed
            `if_2` (a branch) has changed
            `revise` (a call of `revise`) has changed
            `draft` (an assigned variable) has changed
            `loop` (a loop) has changed
            `poll` (a call of `poll`) has changed
            `publish` (a call of `publish`) has changed
            kept: write"#]],
    );
    check(
        loops,
        |written| written.regions[1].outs = &[3],
        &expect![[r#"
            others: verdict draft review if if_2 revise draft loop poll publish
            `verdict` (a loop) has changed
            `draft` (a variable of a loop) has changed
            `review` (a call of `review`) has changed
            `if` (a branch) has changed
            `if_2` (a branch) has changed
            `revise` (a call of `revise`) has changed
            `draft` (an assigned variable) has changed
            `loop` (a loop) has changed
            `poll` (a call of `poll`) has changed
            `publish` (a call of `publish`) has changed
            kept: write"#]],
    );
}

#[test]
fn the_rounds_until_the_last_values_count() {
    let kind = ShapeKind::Loop {
        body: 6,
        starts: &[],
        max: Some(4),
        or_last: true,
    };
    check(
        loops,
        |written| written.node("loop").kind = kind,
        &expect![[r#"
            others: loop
            `loop` (a loop) has changed
            kept: write verdict review if if_2 rewrite revise publish"#]],
    );
}

#[test]
fn what_may_fail_counts_for_its_handler() {
    check(
        handlers,
        |written| written.node("charge").source = "other",
        &expect![[r#"
            others: paid charge err money tell tried sent confirm finally rescue book error
            `paid` (a rescue) has changed
            `charge` (a call of `charge`) has changed
            `err` (an error) has changed
            `money` (a call of `money`) has changed
            `tell` (a call of `tell`) has changed
            `tried` (a result) has changed
            `sent` (a call of `sent`) has changed
            `confirm` (a call of `confirm`) has changed
            `finally` (a finally) has changed
            `rescue` (a rescue) has changed
            `book` (a call of `book`) has changed
            `error` (an error) has changed
            kept: paid tried finally rescue"#]],
    );
    check(
        handlers,
        |written| written.node("money").source = "other",
        &expect![[r#"
            others: paid money tell tried sent confirm finally rescue book error
            `paid` (a rescue) has changed
            `money` (a call of `money`) has changed
            `tell` (a call of `tell`) has changed
            `tried` (a result) has changed
            `sent` (a call of `sent`) has changed
            `confirm` (a call of `confirm`) has changed
            `finally` (a finally) has changed
            `rescue` (a rescue) has changed
            `book` (a call of `book`) has changed
            `error` (an error) has changed
            kept: paid charge tried finally rescue"#]],
    );
}

#[test]
fn a_wait_is_a_name_and_whether_it_ends() {
    let kind = |name, timeout| ShapeKind::Signal { name, timeout };
    let limit = Some(Duration::from_secs(5_400));
    check(
        waits,
        |written| written.node("approval").kind = kind("agree", limit),
        &expect![[r#"
            others: approval report
            `approval` (a signal) has changed
            `report` (a call of `report`) has changed
            kept: asked log sleep first fetch stop sleep"#]],
    );
    check(
        waits,
        |written| written.node("approval").kind = kind("approve", None),
        &expect![[r#"
            others: approval report
            `approval` (a signal) has changed
            `report` (a call of `report`) has changed
            kept: asked log sleep first fetch stop sleep"#]],
    );
    check(
        waits,
        |written| written.node("sleep").source = "31s",
        &expect![[r#"
            others: sleep approval first report
            `sleep` (a sleep) has changed
            `approval` (a signal) has changed
            `first` (a race) has changed
            `report` (a call of `report`) has changed
            kept: asked log"#]],
    );
}

/// `let mut a = x; let mut b = x; loop { use_it(a); (a, b) = (b, a); break }; end(a)`
fn twins() -> Written {
    let starts = &[0, 0];
    let rounds = ShapeKind::Loop {
        body: 1,
        starts,
        max: None,
        or_last: false,
    };
    Written {
        nodes: vec![
            node("x", ShapeKind::Input, 0),
            NodeShape {
                uses: &[0],
                ..node("loop", rounds, 0)
            },
            node("a", ShapeKind::Carried, 1),
            node("b", ShapeKind::Carried, 1),
            call("use_it", 1, &[2]),
            node("a", ShapeKind::Assigned { by: 1 }, 0),
            node("b", ShapeKind::Assigned { by: 1 }, 0),
            call("end", 0, &[5]),
        ],
        regions: vec![
            body(Some(7)),
            RegionShape {
                exit: Exit::Break,
                outs: &[3, 2],
                label: "",
                ..region(0, 1, None)
            },
        ],
    }
}

#[test]
fn variables_are_told_apart() {
    check(
        twins,
        |written| written.node("use_it").uses = &[3],
        &expect![[r#"
            others: loop a b use_it a b end
            `loop` (a loop) has changed
            `a` (a variable of a loop) has changed
            `b` (a variable of a loop) has changed
            `use_it` (a call of `use_it`) has changed
            `a` (an assigned variable) has changed
            `b` (an assigned variable) has changed
            `end` (a call of `end`) has changed
            kept: "#]],
    );
    check(
        twins,
        |written| written.node("end").uses = &[6],
        &expect![[r#"
            others: end
            `end` (a call of `end`) has changed
            kept: loop use_it"#]],
    );
}
