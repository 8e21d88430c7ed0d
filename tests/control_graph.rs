//! The shape of workflows with branches and loops: nodes, regions, and what they need.

use expect_test::{Expect, expect};
use zahir::__private::Wired;
use zahir::{Graph, job, workflow};
use zahir_tests::outline::outline;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    Text(String),
    Number(u64),
    Nothing,
}

#[job]
async fn classify(_text: &str) -> Kind {
    panic!("reading a graph runs nothing")
}

#[job]
async fn add(_a: u64, _b: u64) -> u64 {
    panic!("reading a graph runs nothing")
}

#[job]
async fn note(_text: &str) {
    panic!("reading a graph runs nothing")
}

#[track_caller]
fn check<W: Wired>(expected: Expect) {
    assert_eq!(W::SHAPE.nodes.len(), Graph::of::<W>().nodes().len());
    expected.assert_eq(&outline::<W>());
}

workflow! { async fn one_branch(number: u64, text: String) -> u64 {
    let kind = classify(&text);
    let sum = match kind {
        Kind::Text(found) if number > 3 => { note(&found); add(number, 1) }
        Kind::Number(found) => add(found, number),
        _ => number,
    };
    add(sum, 2)
} }

/// The guard reads `number`, so the branch's own step is lent it; `text` is needed by no arm.
#[test]
fn a_branch_has_a_region_for_each_arm() {
    check::<OneBranch>(expect![[r#"
        0 r0 number Input
        1 r0 text Input
        2 r0 kind Call uses [1]
        3 r0 sum Branch [1, 2, 3] lends 2 uses [2, 0]
        4 r1 note Call uses [2]
        5 r1 add Call uses [0]
        6 r2 add Call uses [2, 0]
        7 r0 add Call uses [3]
        r0 Value gives 7
        r1 Value in r0 by 3 gives 5
        r2 Value in r0 by 3 gives 6
        r3 Value in r0 by 3 gives 0
    "#]]);
}

workflow! { async fn assigns(number: u64) -> u64 {
    let mut sum = number;
    let mut other = 1;
    if number > 3 { sum = add(sum, 1); sum = add(sum, 2); } else { other += 1; }
    add(sum, other)
} }

/// Both arms end with both variables.

#[test]
fn arms_are_shown_by_their_patterns() {
    let regions = OneBranch::graph().regions();
    let labels: Vec<&str> = regions.iter().map(|region| region.label()).collect();
    let patterns = [
        "Kind::Text(found) if number > 3",
        "Kind::Number(found)",
        "_",
    ];
    assert_eq!(labels, [&["body"], &patterns[..]].concat());
}

#[test]
fn a_variable_has_a_node_behind_the_branch_that_assigns_it() {
    check::<Assigns>(expect![[r#"
        0 r0 number Input
        1 r0 sum Value uses [0]
        2 r0 other Value
        3 r0 if Branch [1, 2] lends 1 uses [0, 1, 2]
        4 r1 add Call uses [1]
        5 r1 add_2 Call uses [4]
        6 r2 other Value uses [2]
        7 r0 sum_2 Assigned by 3
        8 r0 other_2 Assigned by 3
        9 r0 add Call uses [7, 8]
        r0 Value gives 9
        r1 Value in r0 by 3 outs [5, 2]
        r2 Value in r0 by 3 outs [1, 6]
    "#]]);
}

workflow! { async fn rounds(number: u64) -> u64 {
    let mut sum = number;
    let last = loop {
        let more = add(sum, number);
        if more > 10 { break more; }
        if more == 5 { sum = more; continue; }
        sum = add(more, 1);
    };
    add(last, sum)
} }

/// What follows a `break` or `continue` in a round waits for the branch that it is in.
#[test]
fn a_loop_carries_its_variables_and_is_left_with_them() {
    check::<Rounds>(expect![[r#"
        0 r0 number Input
        1 r0 sum Value uses [0]
        2 r0 last Loop r1 from [1] uses [1, 0]
        3 r1 sum Carried
        4 r1 more Call uses [3, 0]
        5 r1 if Branch [2, 3] lends 1 uses [4, 3]
        6 r1 if_2 Branch [4, 5] lends 1 uses [4, 3] after [5]
        7 r1 sum_2 Assigned by 6
        8 r1 add Call uses [4] after [6]
        9 r0 sum_2 Assigned by 2
        10 r0 add Call uses [2, 9]
        r0 Value gives 10
        r1 Continue in r0 by 2 outs [8]
        r2 Break in r1 by 5 gives 4 outs [3]
        r3 Value in r1 by 5
        r4 Continue in r1 by 6 outs [4]
        r5 Value in r1 by 6 outs [3]
    "#]]);
}

workflow! { async fn limited(number: u64) -> u64 {
    let mut sum = number;
    #[max(5, or_last)]
    while sum < 10 { sum = add(sum, 1); }
    #[max(3)]
    while let Kind::Number(found) = classify("x") { sum = add(sum, found); }
    sum
} }

#[test]
fn a_while_is_a_loop_that_begins_with_a_branch() {
    check::<Limited>(expect![[r#"
        0 r0 number Input
        1 r0 sum Value uses [0]
        2 r0 while Loop r1 from [1] max 5 or last uses [1]
        3 r1 sum Carried
        4 r1 if Branch [2, 3] lends 1 uses [3]
        5 r1 add Call uses [3] after [4]
        6 r0 sum_2 Assigned by 2
        7 r0 while_2 Loop r4 from [6] max 3 uses [6]
        8 r4 sum Carried
        9 r4 classify Call
        10 r4 if Branch [5, 6] lends 1 uses [9, 8]
        11 r5 add Call uses [8, 9]
        12 r4 sum_2 Assigned by 10
        13 r0 sum_3 Assigned by 7
        r0 Value gives 13
        r1 Continue in r0 by 2 outs [5]
        r2 Value in r1 by 4
        r3 Break in r1 by 4 outs [3]
        r4 Continue in r0 by 7 outs [12]
        r5 Value in r4 by 10 outs [11]
        r6 Break in r4 by 10 outs [8]
    "#]]);
}

workflow! { async fn early(number: u64, texts: Vec<String>) -> u64 {
    if number > 3 { note("big"); return number; }
    let first = add(number, 1);
    for text in texts { if text.len() > 3 { return add(first, 2); } note(&text); };
    add(first, 3)
} }

/// All that follows in the same region waits for what may end the run, and nothing else does.
#[test]
fn what_follows_a_return_waits_for_it() {
    check::<Early>(expect![[r#"
        0 r0 number Input
        1 r0 texts Input
        2 r0 if Branch [1, 2] lends 1 uses [0]
        3 r1 note Call
        4 r0 first Call uses [0] after [2]
        5 r0 for Each of 6 in r3 lends 1 uses [1, 4] after [2]
        6 r3 text Item
        7 r3 if Branch [4, 5] lends 1 uses [6, 4]
        8 r4 add Call uses [4]
        9 r3 note Call uses [6] after [7]
        10 r0 add Call uses [4] after [5]
        r0 Value gives 10
        r1 Return in r0 by 2 gives 0
        r2 Value in r0 by 2
        r3 Value in r0 by 5
        r4 Return in r3 by 7 gives 8
        r5 Value in r3 by 7
    "#]]);
}

workflow! { async fn deep(number: u64, texts: Vec<String>) -> Vec<u64> {
    let mut sum = number;
    let sums = for text in texts {
        let mut size = 0;
        loop {
            if size > number { break; }
            match classify(&text) {
                Kind::Text(inner) => { if inner.is_empty() { size = add(size, 1); } }
                Kind::Number(found) => size += found,
                Kind::Nothing => break,
            }
        }
        size
    };
    { let inner = add(sum, 1); if inner > 2 { sum = inner; } }
    for text in sums { add(text, sum); };
    sums
} }

#[test]
fn constructs_nest() {
    check::<Deep>(expect![[r#"
        0 r0 number Input
        1 r0 texts Input
        2 r0 sum Value uses [0]
        3 r0 sums Each of 4 in r1 lends 1 uses [1, 0]
        4 r1 text Item
        5 r1 size Value
        6 r1 loop Loop r2 from [5] uses [5, 0, 4]
        7 r2 size Carried
        8 r2 if Branch [3, 4] lends 2 uses [7, 0]
        9 r2 classify Call uses [4] after [8]
        10 r2 match Branch [5, 8, 9] lends 1 uses [9, 7] after [8]
        11 r5 if Branch [6, 7] lends 1 uses [9, 7]
        12 r6 add Call uses [7]
        13 r5 size Assigned by 11
        14 r8 size Value uses [7, 9]
        15 r2 size_2 Assigned by 10
        16 r1 size_2 Assigned by 6
        17 r0 inner Call uses [2]
        18 r0 if Branch [10, 11] lends 1 uses [17, 2]
        19 r0 sum_2 Assigned by 18
        20 r0 for Each of 21 in r12 lends 1 uses [3, 19]
        21 r12 text Item
        22 r12 add Call uses [21, 19]
        r0 Value gives 3
        r1 Value in r0 by 3 gives 16
        r2 Continue in r1 by 6 outs [15]
        r3 Break in r2 by 8 outs [7]
        r4 Value in r2 by 8
        r5 Value in r2 by 10 outs [13]
        r6 Value in r5 by 11 outs [12]
        r7 Value in r5 by 11 outs [7]
        r8 Value in r2 by 10 outs [14]
        r9 Break in r2 by 10 outs [7]
        r10 Value in r0 by 18 outs [17]
        r11 Value in r0 by 18 outs [2]
        r12 Value in r0 by 20
    "#]]);
}

workflow! { async fn versions(number: u64, texts: Vec<String>) -> u64 {
    let mut kind = classify("a");
    match kind {
        Kind::Number(found) => { kind = classify("b"); match kind { Kind::Number(other) => { add(found, other); } _ => {} } }
        Kind::Text(_) | Kind::Nothing => {}
    }
    match (number, kind) { (1, Kind::Number(found)) => found, (other, _) => add(other, texts.len() as u64) }
} }

/// What a pattern took of a variable stays what it was.
#[test]
fn parts_are_those_of_the_value_that_was_matched() {
    check::<Versions>(expect![[r#"
        0 r0 number Input
        1 r0 texts Input
        2 r0 kind Call
        3 r0 match Branch [1, 4] lends 1 uses [2]
        4 r1 classify Call
        5 r1 match Branch [2, 3] lends 1 uses [4, 2]
        6 r2 add Call uses [2, 4]
        7 r0 kind_2 Assigned by 3
        8 r0 match_2 Branch [5, 6] lends 2 uses [0, 7, 1]
        9 r5 value Value uses [0, 7]
        10 r6 add Call uses [0, 7, 1]
        r0 Value gives 8
        r1 Value in r0 by 3 outs [4]
        r2 Value in r1 by 5
        r3 Value in r1 by 5
        r4 Value in r0 by 3 outs [2]
        r5 Value in r0 by 8 gives 9
        r6 Value in r0 by 8 gives 10
    "#]]);
}
