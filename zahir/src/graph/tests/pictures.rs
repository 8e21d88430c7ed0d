//! Pictures of graphs with regions.

use expect_test::{Expect, expect};

use super::shapes::{branches, handlers, loops, waits};
use crate::graph::Graph;

#[track_caller]
fn check(graph: &Graph, dot: &Expect, mermaid: &Expect) {
    assert_eq!(graph.defect(), None);
    dot.assert_eq(&graph.to_dot());
    mermaid.assert_eq(&graph.to_mermaid());
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
    check(
        &branches().graph(),
        &expect![[r#"
            digraph "test::drawn" {
              compound=true; fontname="sans-serif"; labeljust=l;
              node [shape=box, style=rounded, fontname="sans-serif"];
              n0 [label="order", shape=ellipse];
              n1 [label="classify"];
              n2 [label="price"];
              subgraph cluster_n3 {
                label="match handled"; style=rounded;
                subgraph cluster_r1 {
                  label="arm 1"; style=dotted;
                  n4 [label="invoice", style="rounded,dashed"];
                  n5 [label="reprice"];
                  n6 [label="bill"];
                }
                subgraph cluster_r2 {
                  label="arm 2"; style=dotted;
                  n7 [label="fix"];
                }
                r3 [label="arm 3: return", shape=plaintext];
              }
              n8 [label="price_2", fontsize=10, width=0, height=0, margin="0.08,0.04"];
              subgraph cluster_n9 {
                label="if"; style=rounded;
                subgraph cluster_r4 {
                  label="then"; style=dotted;
                  n10 [label="warn"];
                }
                r5 [label="else", shape=plaintext];
              }
              n11 [label="report"];
              n0 -> n1;
              n0 -> n2;
              n1 -> n4 [lhead=cluster_n3];
              n0 -> r3;
              n1 -> n4;
              n4 -> n5;
              n2 -> n5;
              n5 -> n6;
              n0 -> n7;
              n6 -> n8 [ltail=cluster_n3];
              n8 -> n10 [lhead=cluster_n9];
              n8 -> n10;
              n6 -> n11 [ltail=cluster_n3];
              n8 -> n11;
            }
        "#]],
        &expect![[r#"
            flowchart TD
              n0(["order"])
              n1["classify"]
              n2["price"]
              subgraph n3 ["match handled"]
                subgraph r1 ["arm 1"]
                  n4{{"invoice"}}
                  n5["reprice"]
                  n6["bill"]
                end
                subgraph r2 ["arm 2"]
                  n7["fix"]
                end
                r3["arm 3: return"]
              end
              n8("price_2")
              subgraph n9 ["if"]
                subgraph r4 ["then"]
                  n10["warn"]
                end
                r5["else"]
              end
              n11["report"]
              n0 --> n1
              n0 --> n2
              n1 --> n3
              n0 --> r3
              n1 --> n4
              n4 --> n5
              n2 --> n5
              n5 --> n6
              n0 --> n7
              n3 --> n8
              n8 --> n9
              n8 --> n10
              n3 --> n11
              n8 --> n11
        "#]],
    );
}

#[test]
fn a_loop_is_a_box_with_arrows_back_to_its_variables() {
    check(
        &loops().graph(),
        &expect![[r#"
            digraph "test::drawn" {
              compound=true; fontname="sans-serif"; labeljust=l;
              node [shape=box, style=rounded, fontname="sans-serif"];
              n0 [label="user", shape=ellipse];
              n1 [label="write"];
              subgraph cluster_n2 {
                label="loop verdict\nat most 5 rounds"; style=rounded;
                n3 [label="draft", shape=ellipse, style=dashed];
                n4 [label="review"];
                subgraph cluster_n5 {
                  label="if"; style=rounded;
                  r2 [label="then: break", shape=plaintext];
                  r3 [label="else", shape=plaintext];
                }
                subgraph cluster_n6 {
                  label="if_2"; style=rounded;
                  subgraph cluster_r4 {
                    label="then: continue"; style=dotted;
                    n7 [label="rewrite"];
                  }
                  r5 [label="else", shape=plaintext];
                }
                n8 [label="revise"];
              }
              n9 [label="draft", fontsize=10, width=0, height=0, margin="0.08,0.04"];
              subgraph cluster_n10 {
                label="loop\nat most 3 rounds, or last"; style=rounded;
                n11 [label="poll"];
                subgraph cluster_n12 {
                  label="if"; style=rounded;
                  r7 [label="then: break", shape=plaintext];
                  r8 [label="else", shape=plaintext];
                }
              }
              n13 [label="publish"];
              n0 -> n1;
              n1 -> n3;
              n3 -> n4;
              n4 -> r2 [lhead=cluster_n5];
              n4 -> r2;
              n4 -> n7 [lhead=cluster_n6];
              r3 -> n7 [ltail=cluster_n5, lhead=cluster_n6, style=dashed];
              n0 -> n7;
              n3 -> n8;
              n4 -> n8;
              n7 -> n8 [ltail=cluster_n6, style=dashed];
              n8 -> n9 [ltail=cluster_n2];
              n8 -> n11 [ltail=cluster_n2];
              n9 -> n13;
              n8 -> n13 [ltail=cluster_n2];
              n8 -> n3 [style=bold, constraint=false];
              n7 -> n3 [style=bold, constraint=false];
              r8 -> n11 [ltail=cluster_n12, style=bold, constraint=false];
            }
        "#]],
        &expect![[r#"
            flowchart TD
              n0(["user"])
              n1["write"]
              subgraph n2 ["loop verdict<br/>at most 5 rounds"]
                n3("draft")
                n4["review"]
                subgraph n5 ["if"]
                  r2["then: break"]
                  r3["else"]
                end
                subgraph n6 ["if_2"]
                  subgraph r4 ["then: continue"]
                    n7["rewrite"]
                  end
                  r5["else"]
                end
                n8["revise"]
              end
              n9("draft")
              subgraph n10 ["loop<br/>at most 3 rounds, or last"]
                n11["poll"]
                subgraph n12 ["if"]
                  r7["then: break"]
                  r8["else"]
                end
              end
              n13["publish"]
              n0 --> n1
              n1 --> n3
              n3 --> n4
              n4 --> n5
              n4 --> r2
              n4 --> n6
              n5 -.-> n6
              n0 --> n7
              n3 --> n8
              n4 --> n8
              n6 -.-> n8
              n2 --> n9
              n2 --> n11
              n9 --> n13
              n2 --> n13
              n8 ==> n3
              n7 ==> n3
              n12 ==> n11
        "#]],
    );
}

#[test]
fn handlers_stand_beside_what_they_handle() {
    check(
        &handlers().graph(),
        &expect![[r#"
            digraph "test::drawn" {
              compound=true; fontname="sans-serif"; labeljust=l;
              node [shape=box, style=rounded, fontname="sans-serif"];
              n0 [label="user", shape=ellipse];
              subgraph cluster_n1 {
                label="rescue paid"; style=rounded;
                subgraph cluster_r1 {
                  label="body"; style=dotted;
                  n2 [label="charge"];
                }
                subgraph cluster_r2 {
                  label="handler"; style=dotted;
                  n3 [label="err", shape=ellipse, style=dashed];
                  n4 [label="money"];
                  n5 [label="tell"];
                }
              }
              subgraph cluster_n6 {
                label="result tried"; style=rounded;
                n7 [label="sent"];
                n8 [label="confirm"];
              }
              subgraph cluster_n9 {
                label="finally"; style=rounded;
                subgraph cluster_r4 {
                  label="body"; style=dotted;
                  subgraph cluster_n10 {
                    label="rescue"; style=rounded;
                    subgraph cluster_r6 {
                      label="body"; style=dotted;
                      n11 [label="book"];
                    }
                    subgraph cluster_r7 {
                      label="handler"; style=dotted;
                      n12 [label="error", shape=ellipse, style=dashed];
                      n13 [label="apologize"];
                    }
                  }
                }
                subgraph cluster_r5 {
                  label="finally"; style=dotted;
                  n14 [label="close"];
                }
              }
              n2 -> n3 [ltail=cluster_r1, style=dashed];
              n0 -> n2;
              n0 -> n4;
              n3 -> n4;
              n4 -> n5;
              n5 -> n7 [ltail=cluster_n1];
              n7 -> n8;
              n13 -> n14 [ltail=cluster_r4, lhead=cluster_r5, style=dashed];
              n11 -> n12 [ltail=cluster_r6, style=dashed];
              n8 -> n11 [ltail=cluster_n6];
              n0 -> n13;
              n0 -> n14;
            }
        "#]],
        &expect![[r#"
            flowchart TD
              n0(["user"])
              subgraph n1 ["rescue paid"]
                subgraph r1 ["body"]
                  n2["charge"]
                end
                subgraph r2 ["handler"]
                  n3("err")
                  n4["money"]
                  n5["tell"]
                end
              end
              subgraph n6 ["result tried"]
                n7["sent"]
                n8["confirm"]
              end
              subgraph n9 ["finally"]
                subgraph r4 ["body"]
                  subgraph n10 ["rescue"]
                    subgraph r6 ["body"]
                      n11["book"]
                    end
                    subgraph r7 ["handler"]
                      n12("error")
                      n13["apologize"]
                    end
                  end
                end
                subgraph r5 ["finally"]
                  n14["close"]
                end
              end
              r1 -.-> n3
              n0 --> n2
              n0 --> n4
              n3 --> n4
              n4 --> n5
              n1 --> n7
              n7 --> n8
              r4 -.-> r5
              r6 -.-> n12
              n6 --> n11
              n0 --> n13
              n0 --> n14
        "#]],
    );
}

#[test]
fn waits_have_shapes_of_their_own_and_few_arrows() {
    check(
        &waits().graph(),
        &expect![[r#"
            digraph "test::drawn" {
              compound=true; fontname="sans-serif"; labeljust=l;
              node [shape=box, style=rounded, fontname="sans-serif"];
              n0 [label="user", shape=ellipse];
              n1 [label="asked"];
              n2 [label="log"];
              n3 [label="sleep", shape=octagon];
              n4 [label="approval\nsignal approve\nat most 1h30m", shape=cds, margin="0.2,0.1"];
              subgraph cluster_n5 {
                label="race first"; style=rounded;
                subgraph cluster_r1 {
                  label="entry 1"; style=dotted;
                  n6 [label="fetch"];
                }
                subgraph cluster_r2 {
                  label="entry 2"; style=dotted;
                  n7 [label="signal stop", shape=cds, margin="0.2,0.1"];
                }
                subgraph cluster_r3 {
                  label="entry 3"; style=dotted;
                  n8 [label="sleep", shape=octagon];
                }
              }
              n9 [label="report"];
              n0 -> n1;
              n1 -> n2;
              n2 -> n3 [style=dashed];
              n3 -> n4 [style=dashed];
              n3 -> n6 [lhead=cluster_n5, style=dashed];
              n0 -> n6;
              n1 -> n9;
              n4 -> n9;
              n8 -> n9 [ltail=cluster_n5];
            }
        "#]],
        &expect![[r#"
            flowchart TD
              n0(["user"])
              n1["asked"]
              n2["log"]
              n3[/"sleep"\]
              n4>"approval<br/>signal approve<br/>at most 1h30m"]
              subgraph n5 ["race first"]
                subgraph r1 ["entry 1"]
                  n6["fetch"]
                end
                subgraph r2 ["entry 2"]
                  n7>"signal stop"]
                end
                subgraph r3 ["entry 3"]
                  n8[/"sleep"\]
                end
              end
              n9["report"]
              n0 --> n1
              n1 --> n2
              n2 -.-> n3
              n3 -.-> n4
              n3 -.-> n5
              n0 --> n6
              n1 --> n9
              n4 --> n9
              n5 --> n9
        "#]],
    );
}
