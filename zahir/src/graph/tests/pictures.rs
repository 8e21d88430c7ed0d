//! Pictures of graphs with regions: the files in `pictures`.

use expect_test::expect_file;

use super::shapes::{Written, branches, handlers, loops, waits};
use crate::graph::picture::{Arrow, End, arrows};
use crate::graph::{Graph, Node, Region};

#[track_caller]
fn check(name: &str, graph: &Graph) {
    assert_eq!(graph.defect(), None);
    expect_file![format!("pictures/{name}.dot")].assert_eq(&graph.to_dot());
    expect_file![format!("pictures/{name}.mmd")].assert_eq(&graph.to_mermaid());
    is_whole(graph);
}

/// Checks that everything is drawn, once.
pub(super) fn is_whole(graph: &Graph) {
    for arrow in arrows(graph) {
        leads_on(graph, arrow);
    }
    for (text, opens) in [
        (graph.to_dot(), "cluster_"),
        (graph.to_mermaid(), "subgraph "),
    ] {
        for node in graph.nodes() {
            let name = format!("n{:?}", node.id());
            assert_eq!(drawn(&text, opens, &name), 1, "{name} in {text}");
        }
        for (at, region) in graph.regions().iter().enumerate() {
            let owner = region.owner().and_then(|id| graph.at(id));
            let times = usize::from(owner.is_some_and(|owner| owner.regions().len() > 1));
            let name = format!("r{at}");
            assert_eq!(drawn(&text, opens, &name), times, "{name} in {text}");
        }
    }
}

/// Checks that no arrow leads from a box into itself, which neither language can draw.
fn leads_on(graph: &Graph, arrow: Arrow) {
    let boxes = |end: End| {
        let (mut around, mut region) = (vec![end], None);
        match end {
            End::Node(id) | End::Box(id) => region = graph.at(id).map(Node::region),
            End::Region(id) => {
                around.extend(graph.region(id).and_then(Region::owner).map(End::Box))
            }
        }
        if let End::Region(id) = end {
            region = graph.region(id).and_then(Region::parent);
        }
        while let Some(at) = region {
            let owner = graph.region(at).and_then(Region::owner);
            around.extend(
                [Some(End::Region(at)), owner.map(End::Box)]
                    .into_iter()
                    .flatten(),
            );
            region = graph.region(at).and_then(Region::parent);
        }
        around
    };
    let Arrow { from, to, .. } = arrow;
    if from != to {
        assert!(!boxes(from).contains(&to), "{arrow:?} in {graph:?}");
        assert!(!boxes(to).contains(&from), "{arrow:?} in {graph:?}");
    }
    assert!(
        from != to || matches!(from, End::Node(_) | End::Region(_)),
        "{arrow:?}"
    );
}

/// How often a node or box of this name is drawn.
fn drawn(text: &str, opens: &str, name: &str) -> usize {
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("subgraph ").unwrap_or(line);
        let line = line.strip_prefix(opens).unwrap_or(line);
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_ascii_digit())
                && !["->", "-.", "--", "=="]
                    .iter()
                    .any(|line| rest.trim_start().starts_with(line))
        })
    });
    lines.count()
}

#[test]
fn a_branch_is_a_box_with_a_box_for_each_arm() {
    check("branches", &branches().graph());
}

#[test]
fn a_loop_is_a_box_with_arrows_back_to_its_variables() {
    check("loops", &loops().graph());
}

#[test]
fn handlers_stand_beside_what_they_handle() {
    check("handlers", &handlers().graph());
}

#[test]
fn waits_have_shapes_of_their_own_and_few_arrows() {
    check("waits", &waits().graph());
}

#[test]
fn boxes_have_the_words_they_are_written_with() {
    let drawn = |change: fn(&mut Written)| {
        let mut written = loops();
        change(&mut written);
        written.graph().to_mermaid()
    };
    let named = drawn(|it| it.node("if").name = "done");
    assert!(named.contains(r#"["if done"]"#), "{named}");
    assert!(named.contains(r#"r2["then: break"]"#), "{named}");
    let unknown = drawn(|it| {
        let branch = it.node("if");
        (branch.source, branch.name) = ("iffy", "done");
    });
    assert!(unknown.contains(r#"["branch done"]"#), "{unknown}");
    assert!(unknown.contains(r#"r2["arm 1: break"]"#), "{unknown}");
    let rounds = drawn(|it| it.node("loop").name = "while_2");
    assert!(rounds.contains(r#"["while_2<br/>"#), "{rounds}");
}
