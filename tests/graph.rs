//! The graph of a workflow, read without running it.

use std::time::Duration;

use expect_test::{Expect, expect};
use petgraph::visit::EdgeRef;
use zahir::{Backoff, Edge, FOREVER, Graph, Payload, RegionId, job, workflow};

#[job(retry = 2, timeout = 30s)]
async fn fetch(_url: &str, _depth: u32) -> Vec<String> {
    panic!("reading a graph runs nothing")
}

#[job]
async fn measure(_page: &str) -> usize {
    panic!("reading a graph runs nothing")
}

#[job]
async fn report(_sizes: &[usize], _total: usize) -> String {
    panic!("reading a graph runs nothing")
}

#[job]
async fn keep<T: Payload>(_value: &T) {}

fn boom() -> u32 {
    panic!("reading a graph runs nothing")
}

workflow! {
    async fn survey(root: String, depth: u32) -> String {
        let pages = fetch(&root, depth + pure(boom())).retry(5).named("all \"pages\" <b>\n#1\\");
        let kept = keep(&pages).after(depth);
        let sizes = #[limit(4)] for page in pages {
            let size = measure(&page).after(kept);
            size + root.len()
        };
        let total: usize = sizes.iter().sum();
        let more = for size in sizes { for step in 0..size { inner(step, depth) } };
        keep(&more);
        report(&sizes, total)
    }
}

workflow! {
    async fn inner(step: usize, depth: u32) -> usize {
        measure(&format!("{step}{depth}"))
    }
}

/// One line per node: its number, name, region, and what it needs.
fn outline(graph: &Graph) -> String {
    let mut text = String::new();
    for node in graph.nodes() {
        let (calls, arguments) = (node.calls().unwrap_or("-"), node.arguments());
        let after = node.after();
        text += &format!(
            "{:?} {:?} {calls} uses {:?}",
            node.id(),
            node.name(),
            node.uses()
        );
        if !after.is_empty() {
            text += &format!(" after {after:?}");
        }
        text += &format!(" {arguments:?} retry {}\n", node.policy().retry);
    }
    text
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(text);
}

#[test]
fn a_graph_has_the_nodes_and_needs_that_the_body_says() {
    check(
        &outline(Survey::graph()),
        expect![[r#"
        0 "root" - uses [] [] retry 0
        1 "depth" - uses [] [] retry 0
        2 "all \"pages\" <b>\n#1\\" graph::fetch uses [0, 1] [Lend(0), Expression([1])] retry 5
        3 "kept" graph::keep<alloc::vec::Vec<alloc::string::String>> uses [2] after [1] [Lend(2)] retry 0
        4 "sizes" - uses [2, 3, 0] [] retry 0
        5 "page" - uses [] [] retry 0
        6 "size" graph::measure uses [5] after [3] [Lend(5)] retry 0
        7 "value" - uses [6, 0] [Expression([6, 0])] retry 0
        8 "total" - uses [4] [Expression([4])] retry 0
        9 "more" - uses [4, 1] [] retry 0
        10 "size" - uses [] [] retry 0
        11 "for" - uses [10, 1] [] retry 0
        12 "step" - uses [] [] retry 0
        13 "inner" graph::inner uses [12, 1] [Copy(12), Copy(1)] retry 0
        14 "keep" graph::keep<alloc::vec::Vec<alloc::vec::Vec<usize>>> uses [9] [Lend(9)] retry 0
        15 "report" graph::report uses [4, 8] [Lend(4), Copy(8)] retry 0
    "#]],
    );
}

#[test]
fn a_viewer_sees_what_is_in_what() {
    let graph = Survey::graph();
    let mut text = String::new();
    for region in graph.regions() {
        let owner = region
            .owner()
            .map(|id| &graph.nodes()[id.number() as usize]);
        let owner = owner.map(|node| (node.name(), node.kind(), node.regions()));
        text += &format!(
            "{} in {:?} of {owner:?}: {:?} gives {:?}, then {:?}\n",
            region.label(),
            region.parent().map(RegionId::index),
            region.nodes(),
            region.result(),
            region.exit(),
        );
        for id in region.nodes() {
            let node = &graph.nodes()[id.number() as usize];
            let around = &graph.regions()[node.region().index()];
            assert!(std::ptr::eq(around, region), "{node:?}");
        }
    }
    check(
        &text,
        expect![[r#"
        body in None of None: [0, 1, 2, 3, 4, 8, 9, 14, 15] gives Some(15), then Value
        body in Some(0) of Some(("sizes", Each { limit: Some(4) }, [1])): [5, 6, 7] gives Some(7), then Value
        body in Some(0) of Some(("more", Each { limit: None }, [2])): [10, 11] gives Some(11), then Value
        body in Some(2) of Some(("for", Each { limit: None }, [3])): [12, 13] gives Some(13), then Value
    "#]],
    );
}

#[test]
fn edges_know_the_arguments_they_go_into() {
    let graph = Survey::graph().petgraph();
    let edges: Vec<String> = graph
        .edge_references()
        .map(|edge| {
            let what = match edge.weight() {
                Edge::Data { arguments } => format!("{arguments:?}"),
                other => format!("{other:?}"),
            };
            format!(
                "{}->{} {what}",
                edge.source().index(),
                edge.target().index()
            )
        })
        .collect();
    check(
        &edges.join("\n"),
        expect![[r#"
            0->2 [0]
            1->2 [1]
            2->3 [0]
            1->3 After
            2->4 []
            3->4 []
            0->4 []
            4->5 Inside
            4->6 Inside
            4->7 Inside
            5->6 [0]
            3->6 After
            6->7 [0]
            0->7 [0]
            4->8 [0]
            4->9 []
            1->9 []
            9->10 Inside
            9->11 Inside
            10->11 []
            1->11 []
            11->12 Inside
            11->13 Inside
            12->13 [0]
            1->13 [1]
            9->14 [0]
            4->15 [0]
            8->15 [1]"#]],
    );
    assert!(petgraph::algo::toposort(graph, None).is_ok());
}

#[test]
fn dot_is_escaped_and_nested() {
    check(
        &Survey::graph().to_dot(),
        expect![[r#"
            digraph "graph::survey" {
              compound=true; fontname="sans-serif"; labeljust=l;
              node [shape=box, style=rounded, fontname="sans-serif"];
              n0 [label="root", shape=ellipse];
              n1 [label="depth", shape=ellipse];
              n2 [label="all \"pages\" <b>\n#1\\\nfetch"];
              n3 [label="kept\nkeep<Vec<String>>"];
              subgraph cluster_n4 {
                label="for sizes\nat most 4 at once"; style=rounded;
                n5 [label="page", shape=ellipse, style=dashed];
                n6 [label="size\nmeasure"];
                n7 [label="value", style="rounded,dashed"];
              }
              n8 [label="total", style="rounded,dashed"];
              subgraph cluster_n9 {
                label="for more"; style=rounded;
                n10 [label="size", shape=ellipse, style=dashed];
                subgraph cluster_n11 {
                  label="for"; style=rounded;
                  n12 [label="step", shape=ellipse, style=dashed];
                  n13 [label="inner", peripheries=2];
                }
              }
              n14 [label="keep\nkeep<Vec<Vec<usize>>>"];
              n15 [label="report"];
              n0 -> n2;
              n1 -> n2;
              n2 -> n3;
              n1 -> n3 [style=dashed];
              n2 -> n5;
              n5 -> n6;
              n3 -> n6 [style=dashed];
              n6 -> n7;
              n0 -> n7;
              n7 -> n8 [ltail=cluster_n4];
              n7 -> n10 [ltail=cluster_n4];
              n10 -> n12;
              n12 -> n13;
              n1 -> n13;
              n13 -> n14 [ltail=cluster_n9];
              n7 -> n15 [ltail=cluster_n4];
              n8 -> n15;
            }
        "#]],
    );
}

#[test]
fn mermaid_is_escaped_and_nested() {
    check(
        &Survey::graph().to_mermaid(),
        expect![[r#"
            flowchart TD
              n0(["root"])
              n1(["depth"])
              n2["all #34;pages#34; #60;b#62;<br/>#35;1#92;<br/>fetch"]
              n3["kept<br/>keep#60;Vec#60;String#62;#62;"]
              subgraph n4 ["for sizes<br/>at most 4 at once"]
                n5("page")
                n6["size<br/>measure"]
                n7{{"value"}}
              end
              n8{{"total"}}
              subgraph n9 ["for more"]
                n10("size")
                subgraph n11 ["for"]
                  n12("step")
                  n13[["inner"]]
                end
              end
              n14["keep<br/>keep#60;Vec#60;Vec#60;usize#62;#62;#62;"]
              n15["report"]
              n0 --> n2
              n1 --> n2
              n2 --> n3
              n1 -.-> n3
              n2 --> n5
              n5 --> n6
              n3 -.-> n6
              n6 --> n7
              n0 --> n7
              n4 --> n8
              n4 --> n10
              n10 --> n12
              n12 --> n13
              n1 --> n13
              n9 --> n14
              n4 --> n15
              n8 --> n15
        "#]],
    );
}

workflow! {
    async fn patient(url: String) -> usize {
        let asked = fetch(&url, 1);
        let again = fetch(&url, 2).retry(forever).timeout(2s).total_timeout(1h30m).backoff(5s);
        let steps = fetch(&url, 3).retry(0).backoff([1s, 10s, 1m]);
        let doubled = fetch(&url, 4).backoff(1ms..2ms);
        asked.len() + again.len() + steps.len() + doubled.len()
    }
}

#[test]
fn what_a_call_says_goes_before_what_its_job_says() {
    let patient = |name: &str| {
        let nodes = Patient::graph().nodes();
        let node = nodes.iter().find(|node| node.name() == name);
        *node.unwrap().policy()
    };
    let seconds = Duration::from_secs;
    let asked = patient("asked");
    assert_eq!((asked.retry, asked.timeout), (2, Some(seconds(30))));
    assert_eq!((asked.total_timeout, asked.at_most_once), (None, false));
    assert!(matches!(asked.backoff, Backoff::Exponential { .. }));
    let again = patient("again");
    assert_eq!((again.retry, again.timeout), (FOREVER, Some(seconds(2))));
    assert_eq!(again.total_timeout, Some(seconds(5400)));
    assert!(matches!(again.backoff, Backoff::Fixed(wait) if wait == seconds(5)));
    let steps = patient("steps");
    assert_eq!((steps.retry, steps.timeout), (0, Some(seconds(30))));
    assert!(matches!(steps.backoff, Backoff::Steps(waits)
        if *waits == [seconds(1), seconds(10), seconds(60)]));
    let doubled = patient("doubled").backoff;
    assert!(matches!(doubled, Backoff::Exponential { first, longest }
        if (first, longest) == (Duration::from_millis(1), Duration::from_millis(2))));
}

#[test]
fn a_nodes_line_is_where_it_is_written() {
    let node = &Inner::graph().nodes()[2];
    let line = include_str!("graph.rs")
        .lines()
        .nth(node.line() as usize - 1)
        .unwrap();
    assert_eq!(
        &line[node.column() as usize - 1..],
        "measure(&format!(\"{step}{depth}\"))"
    );
}

mod fingerprints {
    use super::*;

    workflow! { pub async fn base(root: String) -> usize {
        let pages = fetch(&root, 1);
        let sizes = for page in pages { measure(&page) };
        let total = sizes.len() + 1;
        keep(&total);
        total
    } }

    mod renamed {
        use super::*;
        workflow! { pub async fn base(root: String) -> usize {
            let found = fetch(&root, 1).retry(9).timeout(1s).total_timeout(1m).backoff([1s]);
            let lengths = #[limit(3)] for one in found { measure(&one) };
            let sum = lengths.len()
                + 1;
            keep(&sum).named("last");
            sum
        } }
    }

    mod argument {
        use super::*;
        workflow! { pub async fn base(root: String) -> usize {
            let pages = fetch(&root, 2);
            let sizes = for page in pages { measure(&page) };
            let total = sizes.len() + 1;
            keep(&total);
            total
        } }
    }

    mod body {
        use super::*;
        workflow! { pub async fn base(root: String) -> usize {
            let pages = fetch(&root, 1);
            let sizes = for page in pages { measure(page.trim()) };
            let total = sizes.len() + 1;
            keep(&total);
            total
        } }
    }

    mod order {
        use super::*;
        workflow! { pub async fn base(root: String) -> usize {
            let pages = fetch(&root, 1);
            let sizes = for page in pages { measure(&page) };
            let total = sizes.len() + 1;
            keep(&total).after(pages);
            total
        } }
    }

    fn of(graph: &Graph) -> Vec<u64> {
        graph
            .nodes()
            .iter()
            .map(|node| node.fingerprint())
            .collect()
    }

    /// Whether each node of `other` is what it is in `base`.
    fn same(other: &Graph) -> Vec<bool> {
        let (base, other) = (of(Base::graph()), of(other));
        base.iter()
            .zip(&other)
            .map(|(base, other)| base == other)
            .collect()
    }

    // Nodes: root, pages, sizes, page, measure, total, keep.
    #[test]
    fn names_settings_and_layout_do_not_count() {
        assert_eq!(same(renamed::Base::graph()), [true; 7]);
        assert_ne!(
            Base::graph().fingerprint(),
            renamed::Base::graph().fingerprint()
        );
    }

    #[test]
    fn an_argument_counts_for_all_that_rests_on_it() {
        let (t, f) = (true, false);
        assert_eq!(same(argument::Base::graph()), [t, f, f, f, f, f, f]);
    }

    #[test]
    fn a_body_counts_for_its_for_but_not_for_its_items() {
        let (t, f) = (true, false);
        assert_eq!(same(body::Base::graph()), [t, t, f, t, f, f, f]);
    }

    #[test]
    fn order_counts() {
        let (t, f) = (true, false);
        assert_eq!(same(order::Base::graph()), [t, t, t, t, t, t, f]);
    }

    mod versions {
        pub mod one {
            #[zahir::job(name = "load")]
            pub async fn load(x: u64) -> u64 {
                x
            }
        }
        pub mod documented {
            /// The same.
            #[zahir::job(name = "load", retry = 3, tags = ["x"])]
            pub async fn load(x: u64) -> u64 {
                x + 1
            }
        }
        pub mod two {
            #[zahir::job(name = "load", version = 2)]
            pub async fn load(x: u64) -> u64 {
                x
            }
        }
        pub mod wider {
            #[zahir::job(name = "load")]
            pub async fn load(x: u128) -> u64 {
                x as u64
            }
        }

        #[test]
        fn a_job_is_its_name_version_and_types() {
            use zahir::Job;
            let one = one::Load::FINGERPRINT;
            assert_eq!(one, documented::Load::FINGERPRINT);
            assert_ne!(one, two::Load::FINGERPRINT);
            assert_ne!(one, wider::Load::FINGERPRINT);
        }
    }
}
