//! What of a stored definition is found again in another one, where workflows call each other.
//! Changes inside of one workflow are in `graph/tests/changes.rs`.

use super::*;
use crate::definition::matching::Matching;

/// One workflow: its nodes, each a name, what it is and what it needs, all in the body.
struct Part(&'static str, Vec<DefinedNode>);

fn node(name: &str, kind: &str, uses: &[u32]) -> DefinedNode {
    DefinedNode {
        name: name.to_owned(),
        kind: kind.to_owned(),
        uses: uses.to_vec(),
        lends: u32::try_from(uses.len()).unwrap(),
        ..DefinedNode::default()
    }
}

fn job(name: &str, uses: &[u32]) -> DefinedNode {
    node(name, JOB, uses)
}

fn call(name: &str, called: &str, uses: &[u32]) -> DefinedNode {
    DefinedNode {
        calls: Some(called.to_owned()),
        ..node(name, WORKFLOW, uses)
    }
}

/// The first part is the workflow itself. Fingerprints are made of the names of jobs and of what they
/// use, as real ones are.
fn defined(parts: Vec<Part>) -> Definition {
    let workflow = parts[0].0.to_owned();
    let (mut nodes, mut regions) = (Vec::new(), Vec::new());
    for Part(workflow, mut part) in parts {
        let last = u32::try_from(part.len()).unwrap().checked_sub(1);
        let mut prints = Vec::new();
        for node in &mut part {
            let used: Vec<u64> = node
                .uses
                .iter()
                .map(|id| prints[index(NodeId::new(*id))])
                .collect();
            let own = format!(
                "{} {:?} {used:?}",
                node.kind,
                node.calls.as_ref().unwrap_or(&node.name)
            );
            node.workflow = workflow.to_owned();
            node.fingerprint = xxhash_rust::xxh3::xxh3_64(own.as_bytes()) | 1;
            node.entry = node.fingerprint;
            prints.push(node.fingerprint);
        }
        nodes.extend(part);
        regions.push(DefinedRegion {
            workflow: workflow.to_owned(),
            owner: None,
            result: last,
            exit: "value".to_owned(),
            outs: Vec::new(),
        });
    }
    Definition::from_shape(Shape {
        workflow,
        nodes,
        regions,
    })
}

/// Checks whose records still count.
#[track_caller]
fn check(old: Vec<Part>, new: Vec<Part>, expected: &str) {
    let (old, new) = (defined(old), defined(new));
    let matching = Matching::new(&old, &new);
    let name = |definition: &Definition, id| {
        let node = definition.node(id).unwrap();
        format!("{}:{}", node.workflow, node.name)
    };
    let moved = matching.moved(&new).map(|(was, is)| {
        assert_eq!(matching.now(was), Some(is));
        assert_eq!(matching.before(is), Some(was));
        let (was, is) = (name(&old, was), name(&new, is));
        if was == is {
            was
        } else {
            format!("{was}={is}")
        }
    });
    assert_eq!(moved.collect::<Vec<_>>().join(" "), expected);
}

fn outer() -> Part {
    let nodes = vec![
        job("a", &[]),
        call("pay", "inner", &[0]),
        job("b", &[0]),
        job("c", &[1]),
        job("d", &[3]),
    ];
    Part("outer", nodes)
}

#[test]
fn a_workflow_that_is_the_same_is_kept() {
    let inner = || Part("inner", vec![job("x", &[]), job("y", &[0])]);
    check(
        vec![outer(), inner()],
        vec![outer(), inner()],
        "outer:a outer:pay outer:b outer:c outer:d inner:x inner:y",
    );
}

#[test]
fn what_changes_in_a_called_workflow_changes_what_is_behind_the_call() {
    let inner = || Part("inner", vec![job("x", &[]), job("y", &[0])]);
    let other = Part("inner", vec![job("x", &[]), job("z", &[0])]);
    check(
        vec![outer(), inner()],
        vec![outer(), other],
        "outer:a outer:pay outer:b inner:x",
    );
    let more = Part("inner", vec![job("x", &[]), job("y", &[0]), job("z", &[])]);
    check(
        vec![outer(), inner()],
        vec![outer(), more],
        "outer:a outer:pay outer:b inner:x inner:y",
    );
}

#[test]
fn a_change_is_seen_through_calls_of_calls() {
    let middle = || Part("inner", vec![call("x", "deep", &[]), job("y", &[])]);
    let deep = |name| Part("deep", vec![job(name, &[])]);
    check(
        vec![outer(), middle(), deep("u")],
        vec![outer(), middle(), deep("v")],
        "outer:a outer:pay outer:b inner:x inner:y",
    );
}

/// A construct of this kind in which a workflow is called that gives its node of this number.
fn around_a_call(kind: &str, gives: u32) -> Definition {
    let nodes = vec![
        job("a", &[]),
        node("block", kind, &[0]),
        call("pay", "inner", &[0]),
        job("c", &[1]),
    ];
    let inner = vec![job("x", &[]), job("y", &[0])];
    let parts = vec![Part("outer", nodes), Part("inner", inner)];
    let mut shape = defined(parts).shape;
    shape.nodes[1].inside = vec![1];
    shape.nodes[2].region = 1;
    shape.regions[1].result = Some(gives);
    let body = DefinedRegion {
        owner: Some(1),
        result: Some(2),
        ..shape.regions[0].clone()
    };
    shape.regions.insert(1, body);
    Definition::from_shape(shape)
}

/// A workflow that was called in a branch, a `for` or a block and gives another of its values changed
/// nothing of what is behind that; nor, in a loop, of the rounds behind it.
#[test]
fn another_value_of_a_called_workflow_changes_what_is_behind_the_construct_around_it() {
    let moved = |kind, gives| {
        let (old, new) = (around_a_call(kind, 1), around_a_call(kind, gives));
        let matching = Matching::new(&old, &new);
        let moved = matching.moved(&new).map(|(_, is)| {
            new.path(&Position {
                frames: vec![],
                node: is,
            })
        });
        moved.collect::<Vec<_>>().join(" ")
    };
    for kind in [BRANCH, EACH, RESULT, RACE, LOOP] {
        assert_eq!(moved(kind, 1), "a block pay c x y");
    }
    for kind in [BRANCH, EACH, RESULT, RACE] {
        assert_eq!(moved(kind, 0), "a block pay x y");
    }
    assert_eq!(moved(LOOP, 0), "a x y");
}

/// A block that calls a workflow with these jobs, of which the first gives its result, and a handler.
fn handled(jobs: &[&str]) -> Definition {
    let nodes = vec![
        job("a", &[]),
        node("block", RESCUE, &[0]),
        call("pay", "inner", &[]),
        node("error", CAUGHT, &[]),
        job("note", &[3]),
        job("plan", &[]),
    ];
    let inner = jobs.iter().map(|name| job(name, &[])).collect();
    let mut shape = defined(vec![Part("outer", nodes), Part("inner", inner)]).shape;
    shape.nodes[1].inside = vec![1, 2];
    shape.nodes[2].region = 1;
    for handler in &mut shape.nodes[3..6] {
        handler.region = 2;
    }
    let inside = |result| DefinedRegion {
        owner: Some(1),
        result: Some(result),
        ..shape.regions[0].clone()
    };
    let inside = [inside(2), inside(4)];
    shape.regions.splice(1..1, inside);
    shape.regions[3].result = Some(0);
    Definition::from_shape(shape)
}

/// The failure that a handler was given may be of a job that is gone.
#[test]
fn what_a_handler_did_with_a_failure_goes_if_something_else_may_fail() {
    let moved = |now: &[&str]| {
        let (old, new) = (handled(&["x", "y"]), handled(now));
        let matching = Matching::new(&old, &new);
        let moved = matching.moved(&new).filter_map(|(_, is)| new.node(is));
        moved
            .map(|node| node.name.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(moved(&["x", "y"]), "a block pay note plan x y");
    assert_eq!(moved(&["x"]), "a block pay plan x");
    // What is new runs first, and then whatever the handler does.
    assert_eq!(moved(&["x", "y", "z"]), "a block pay x y");
}

#[test]
fn a_workflow_may_call_itself() {
    let inner = |job_of| {
        let again = call("again", "inner", &[0]);
        Part(
            "inner",
            vec![job("x", &[]), again, job(job_of, &[1]), job("z", &[0])],
        )
    };
    check(
        vec![outer(), inner("y")],
        vec![outer(), inner("y")],
        "outer:a outer:pay outer:b outer:c outer:d inner:x inner:again inner:y inner:z",
    );
    check(
        vec![outer(), inner("y")],
        vec![outer(), inner("w")],
        "outer:a outer:pay outer:b inner:x inner:again inner:z",
    );
}

#[test]
fn another_name_of_a_variable_costs_nothing() {
    let one = vec![job("a", &[]), job("b", &[0]), job("c", &[1])];
    let mut two = one.clone();
    two[1].name = "total".to_owned();
    two[1].calls = Some("b".to_owned());
    check(
        vec![Part("w", one)],
        vec![Part("w", two)],
        "w:a w:b=w:total w:c",
    );
}

#[test]
fn of_two_that_are_alike_each_is_found_by_its_name() {
    let alike = |name: &str| DefinedNode {
        calls: Some("send".to_owned()),
        ..job(name, &[])
    };
    let one = vec![alike("send"), alike("send_2"), job("end", &[0])];
    check(
        vec![Part("w", one)],
        vec![Part(
            "w",
            vec![job("new", &[]), alike("send_2"), alike("send")],
        )],
        "w:send_2 w:send",
    );
}

#[test]
fn what_earlier_versions_stored_is_read() {
    #[derive(Serialize)]
    struct Before<'a>(&'a str, Vec<BeforeNode<'a>>, Vec<DefinedRegion>);
    #[derive(Serialize)]
    struct BeforeNode<'a>(
        &'a str,
        &'a str,
        &'a str,
        Option<&'a str>,
        u32,
        Vec<u32>,
        Vec<u32>,
        Vec<u32>,
        u64,
    );
    let now = defined(vec![Part("w", vec![job("a", &[])])]);
    let node = &now.shape.nodes[0];
    let nodes = vec![BeforeNode(
        "w",
        "a",
        JOB,
        None,
        0,
        vec![],
        vec![],
        vec![],
        node.fingerprint,
    )];
    let bytes = rmp_serde::to_vec(&Before("w", nodes, now.shape.regions.clone())).unwrap();
    let id = DefinitionId::from_u128(3);
    let before = Definition::decode(id, &bytes).unwrap();
    assert_eq!((before.id, before.shape.nodes[0].entry), (id, 0));
    let moved: Vec<_> = Matching::new(&before, &now).moved(&now).collect();
    assert_eq!(moved, [(NodeId::new(0), NodeId::new(0))]);
}

#[test]
fn paths_are_as_they_are_written() {
    let definition = defined(vec![Part(
        "w",
        vec![
            node("words", EACH, &[]),
            job("longest", &[]),
            node("if", BRANCH, &[]),
        ],
    )]);
    let step = |node, index| FrameStep {
        node: NodeId::new(node),
        index,
    };
    let at = Position {
        frames: vec![step(0, 17), step(2, 1)],
        node: NodeId::new(1),
    };
    assert_eq!(definition.path(&at), "words[17]/if/longest");
    let unknown = Position {
        frames: vec![],
        node: NodeId::new(9),
    };
    assert_eq!(definition.path(&unknown), "?");
}
