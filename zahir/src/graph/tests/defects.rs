//! Graphs that the macro never writes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::random;
use super::shapes::{Written, branches, handlers, loops, node, waits};
use crate::graph::shape::{Exit, ShapeKind};

#[track_caller]
fn check(written: fn() -> Written, harm: impl FnOnce(&mut Written), expected: &str) {
    let mut harmed = written();
    harm(&mut harmed);
    assert_eq!(harmed.graph().defect().as_deref(), Some(expected));
}

#[test]
fn regions_are_a_tree() {
    let stranger = "region 4 is not in the one around it";
    check(branches, |it| it.regions[4].parent = Some((1, 9)), stranger);
    let stranger = "`if` enters region 4 of another";
    check(branches, |it| it.regions[4].parent = Some((0, 3)), stranger);
    let stranger = "region 0 is not in the one around it";
    check(branches, |it| it.regions[0].parent = Some((0, 3)), stranger);
    let arms = |arms| ShapeKind::Branch { arms, lends: 1 };
    check(
        branches,
        |it| it.node("if").kind = arms(&[4, 4, 5]),
        "region 4 is not in the one around it",
    );
    check(
        branches,
        |it| it.node("if").kind = arms(&[]),
        "`if` enters 0 regions",
    );
    check(
        branches,
        |it| it.node("warn").region = 9,
        "`warn` is in no region",
    );
}

#[test]
fn values_are_seen_from_inside_only() {
    check(
        branches,
        |it| it.node("report").uses = &[3, 6],
        "`report` can't see node 6",
    );
    check(
        branches,
        |it| it.node("fix").after = &[5],
        "`fix` can't see node 5",
    );
    check(
        branches,
        |it| it.node("price").uses = &[8],
        "`price` can't see node 8",
    );
    check(
        branches,
        |it| it.regions[2].result = Some(5),
        "region 2 can't see node 5",
    );
    check(
        branches,
        |it| it.regions[2].outs = &[10],
        "region 2 can't see node 10",
    );
    check(
        loops,
        |it| it.node("verdict").uses = &[],
        "`verdict` is not where it can be",
    );
}

#[test]
fn variables_are_as_many_where_they_go() {
    check(
        branches,
        |it| it.regions[1].outs = &[],
        "region 1 gives 0 variables, not 1",
    );
    check(
        loops,
        |it| it.regions[2].outs = &[],
        "region 2 gives 0 variables, not 1",
    );
    check(
        loops,
        |it| it.regions[3].outs = &[3],
        "region 3 gives 1 variables, not 0",
    );
    let kind = |starts| ShapeKind::Loop {
        body: 1,
        starts,
        max: None,
        or_last: false,
    };
    check(
        loops,
        |it| it.node("verdict").kind = kind(&[1, 1]),
        "`verdict` carries 1 variables, begins with 2, leaves 1",
    );
}

#[test]
fn exits_lead_somewhere() {
    check(
        branches,
        |it| it.regions[4].exit = Exit::Break,
        "region 4 has nothing to Break out of",
    );
    check(
        waits,
        |it| it.regions[1].exit = Exit::Return,
        "region 1 has nothing to Return out of",
    );
    check(
        handlers,
        |it| it.regions[5].exit = Exit::Return,
        "region 5 has nothing to Return out of",
    );
}

#[test]
fn what_a_region_is_given_comes_first_in_it() {
    let carried = |it: &mut Written| it.node("review").kind = ShapeKind::Caught;
    check(loops, carried, "`review` is not where it can be");
    let late = |it: &mut Written| it.node("review").kind = ShapeKind::Carried;
    check(
        loops,
        late,
        "`verdict` carries 2 variables, begins with 1, leaves 1",
    );
    let late = |it: &mut Written| it.node("revise").kind = ShapeKind::Carried;
    check(loops, late, "`revise` is not where it can be");
    let inside = |it: &mut Written| it.nodes[6] = node("bill", ShapeKind::Assigned { by: 3 }, 1);
    check(branches, inside, "`bill` is not where it can be");
    check(
        branches,
        |it| it.node("classify").name = "price",
        "two nodes are named `price`",
    );
}

proptest! {
    /// Every graph that can be written is drawn whole, and a change is seen by all around it and by
    /// nothing above.
    #[test]
    fn any_graph_is_drawn_and_told(tape in vec(any::<u8>(), 0..120), at in any::<usize>()) {
        let graph = random::graph(&tape).graph();
        prop_assert_eq!(graph.defect(), None);
        super::pictures::is_whole(&graph);
        let same = random::graph(&tape).graph();
        prop_assert_eq!(graph.fingerprint(), same.fingerprint());
        prop_assert_eq!(graph.to_dot(), same.to_dot());

        let mut changed = random::graph(&tape);
        let at = at % changed.nodes.len();
        changed.nodes[at].source = "another";
        let changed = changed.graph();
        let mut outermost = at;
        let mut around = vec![at];
        while let Some(owner) = graph.regions()[graph.nodes()[outermost].region().index()].owner() {
            outermost = usize::try_from(owner.number()).unwrap();
            around.push(outermost);
        }
        for (id, (old, new)) in graph.nodes().iter().zip(changed.nodes()).enumerate() {
            let is_same = old.fingerprint() == new.fingerprint();
            prop_assert!(id >= outermost || is_same, "{old:?} of {graph:?}");
            prop_assert!(!around.contains(&id) || !is_same, "{old:?} of {graph:?}");
        }
    }
}
