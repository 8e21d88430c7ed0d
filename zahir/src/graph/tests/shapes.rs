//! Graphs written down by hand, as the macro would for the workflow beside each.

use std::cell::Cell;
use std::time::Duration;

use crate::graph::Graph;
use crate::graph::fingerprint::of_job;
use crate::graph::shape::{Exit, NodeShape, RegionShape, Shape, ShapeKind};
use crate::job::JobDef;
use crate::job::policy::Settings;
use crate::value::{Codec, Value};
use crate::wire::{Description, PayloadDef, RaceDef, ResultDef, Step, Wire};

/// A graph that can still be changed.
pub(super) struct Written {
    pub(super) nodes: Vec<NodeShape>,
    pub(super) regions: Vec<RegionShape>,
}

impl Written {
    pub(super) fn graph(self) -> Graph {
        thread_local! {
            static SHAPE: Cell<Option<&'static Shape>> = const { Cell::new(None) };
        }
        fn wire(wire: Wire<'_>) -> Step<'_> {
            let nodes = SHAPE.get().unwrap().nodes;
            let asked = (0..).zip(nodes).find(|(id, _)| wire.describes(*id));
            Step::Described(describe(asked.unwrap().1))
        }
        let shape: &Shape = Box::leak(Box::new(Shape {
            nodes: self.nodes.leak(),
            regions: self.regions.leak(),
        }));
        SHAPE.set(Some(shape));
        Graph::read("test::drawn", shape, &[], wire)
    }

    pub(super) fn leaked(self) -> &'static Graph {
        let graph = self.graph();
        assert_eq!(graph.defect(), None);
        Box::leak(Box::new(graph))
    }

    /// The first node of this name.
    pub(super) fn node(&mut self, name: &str) -> &mut NodeShape {
        self.nodes
            .iter_mut()
            .find(|node| node.name == name)
            .unwrap()
    }
}

fn describe(node: &NodeShape) -> Description {
    fn same(value: Value) -> Value {
        value
    }
    match node.kind {
        ShapeKind::Each { .. } => Description::Each {
            join: |_| Value::new(()),
        },
        ShapeKind::Result { .. } => Description::Result(ResultDef {
            succeeded: same,
            failed: same,
        }),
        ShapeKind::Race { .. } => Description::Race(RaceDef { won: &[] }),
        ShapeKind::Signal { .. } => Description::Signal(PayloadDef {
            received: |_| Ok(Value::new(())),
            timed_out: || Value::new(()),
        }),
        ShapeKind::Call
        | ShapeKind::Input
        | ShapeKind::Item
        | ShapeKind::Carried
        | ShapeKind::Caught
        | ShapeKind::Assigned { .. }
        | ShapeKind::Value
        | ShapeKind::Branch { .. }
        | ShapeKind::Loop { .. }
        | ShapeKind::Rescue { .. }
        | ShapeKind::Finally { .. }
        | ShapeKind::Sleep => {
            let fingerprint = of_job(node.name, "", 0);
            Description::Job(JobDef::new(node.name, fingerprint, Codec::of::<()>()))
        }
    }
}

pub(super) fn node(name: &'static str, kind: ShapeKind, region: u32) -> NodeShape {
    NodeShape {
        name,
        kind,
        region,
        uses: &[],
        after: &[],
        arguments: &[],
        source: "",
        line: 1,
        column: 1,
        settings: Settings::NONE,
    }
}

pub(super) fn call(name: &'static str, region: u32, uses: &'static [u32]) -> NodeShape {
    let node = node(name, ShapeKind::Call, region);
    NodeShape { uses, ..node }
}

pub(super) const fn body(result: Option<u32>) -> RegionShape {
    RegionShape {
        parent: None,
        result,
        exit: Exit::Value,
        outs: &[],
        label: "",
    }
}

/// A region in region `parent`, entered by node `owner`.
pub(super) const fn region(parent: u32, owner: u32, result: Option<u32>) -> RegionShape {
    RegionShape {
        parent: Some((parent, owner)),
        result,
        exit: Exit::Value,
        outs: &[],
        label: "",
    }
}

/// ```ignore
/// async fn drawn(order: u64) -> u64 {
///     let kind = classify(order);
///     let mut price = quote(order);
///     let handled = match kind {
///         Kind::Billing(invoice) => { price = reprice(&invoice, price); bill(price) }
///         Kind::Tech => fix(order),
///         Kind::Spam => return order,
///     };
///     if price > 9 { warn(price); }
///     report(handled, price)
/// }
/// ```
pub(super) fn branches() -> Written {
    let branch = |arms, lends| ShapeKind::Branch { arms, lends };
    Written {
        nodes: vec![
            node("order", ShapeKind::Input, 0),
            call("classify", 0, &[0]),
            call("price", 0, &[0]),
            NodeShape {
                uses: &[1, 2, 0],
                source: "match #0",
                ..node("handled", branch(&[1, 2, 3], 1), 0)
            },
            NodeShape {
                uses: &[1],
                source: "Kind::Billing(invoice)",
                ..node("invoice", ShapeKind::Value, 1)
            },
            call("reprice", 1, &[4, 2]),
            call("bill", 1, &[5]),
            call("fix", 2, &[0]),
            NodeShape {
                after: &[3],
                ..node("price_2", ShapeKind::Assigned { by: 3 }, 0)
            },
            NodeShape {
                uses: &[8],
                after: &[3],
                source: "if #0 > 9",
                ..node("if", branch(&[4, 5], 1), 0)
            },
            call("warn", 4, &[8]),
            NodeShape {
                after: &[3],
                ..call("report", 0, &[3, 8])
            },
        ],
        regions: vec![
            body(Some(11)),
            RegionShape {
                outs: &[5],
                label: "",
                ..region(0, 3, Some(6))
            },
            RegionShape {
                outs: &[2],
                label: "",
                ..region(0, 3, Some(7))
            },
            RegionShape {
                exit: Exit::Return,
                ..region(0, 3, Some(0))
            },
            region(0, 9, None),
            region(0, 9, None),
        ],
    }
}

/// ```ignore
/// async fn drawn(user: u64) -> u64 {
///     let mut draft = write(user);
///     let verdict = #[max(5)] loop {
///         let review = critique(draft);
///         if accepted(review) { break review; }
///         if hopeless(review) { draft = rewrite(user); continue; }
///         draft = revise(draft, review);
///     };
///     #[max(3, or_last)] loop { poll(verdict); if pure(done()) { break; } }
///     publish(draft, verdict)
/// }
/// ```
pub(super) fn loops() -> Written {
    let branch = |arms| ShapeKind::Branch { arms, lends: 1 };
    let rounds = |body, starts, max, or_last| ShapeKind::Loop {
        body,
        starts,
        max: Some(max),
        or_last,
    };
    let unasked = |arms| ShapeKind::Branch { arms, lends: 0 };
    Written {
        nodes: vec![
            node("user", ShapeKind::Input, 0),
            call("write", 0, &[0]),
            NodeShape {
                uses: &[1, 0],
                ..node("verdict", rounds(1, &[1], 5, false), 0)
            },
            node("draft", ShapeKind::Carried, 1),
            call("review", 1, &[3]),
            NodeShape {
                uses: &[4],
                source: "if accepted(#0)",
                ..node("if", branch(&[2, 3]), 1)
            },
            NodeShape {
                uses: &[4, 0],
                after: &[5],
                source: "if hopeless(#0)",
                ..node("if_2", branch(&[4, 5]), 1)
            },
            call("rewrite", 4, &[0]),
            NodeShape {
                after: &[5, 6],
                ..call("revise", 1, &[3, 4])
            },
            node("draft", ShapeKind::Assigned { by: 2 }, 0),
            NodeShape {
                uses: &[2],
                ..node("loop", rounds(6, &[], 3, true), 0)
            },
            call("poll", 6, &[2]),
            NodeShape {
                source: "if pure(done())",
                ..node("if", unasked(&[7, 8]), 6)
            },
            call("publish", 0, &[9, 2]),
        ],
        regions: rounds_and_arms(),
    }
}

fn rounds_and_arms() -> Vec<RegionShape> {
    let left = |exit, outs| RegionShape {
        exit,
        outs,
        label: "",
        ..region(1, 4, None)
    };
    vec![
        body(Some(13)),
        RegionShape {
            parent: Some((0, 2)),
            ..left(Exit::Continue, &[8])
        },
        RegionShape {
            parent: Some((1, 5)),
            result: Some(4),
            ..left(Exit::Break, &[3])
        },
        region(1, 5, None),
        RegionShape {
            parent: Some((1, 6)),
            ..left(Exit::Continue, &[7])
        },
        region(1, 6, None),
        RegionShape {
            exit: Exit::Continue,
            ..region(0, 10, None)
        },
        RegionShape {
            exit: Exit::Break,
            ..region(6, 12, None)
        },
        region(6, 12, None),
    ]
}

/// ```ignore
/// async fn drawn(user: u64) -> u64 {
///     let paid = charge(user).rescue(|err| { let money = refund(user, err); tell(money) });
///     let tried = { let sent = send(paid); confirm(sent) }.result();
///     { book(tried); }.rescue(|_| apologize(user)).finally(close(user));
///     tried
/// }
/// ```
pub(super) fn handlers() -> Written {
    Written {
        nodes: vec![
            node("user", ShapeKind::Input, 0),
            NodeShape {
                uses: &[0],
                ..node(
                    "paid",
                    ShapeKind::Rescue {
                        body: 1,
                        handler: 2,
                    },
                    0,
                )
            },
            call("charge", 1, &[0]),
            node("err", ShapeKind::Caught, 2),
            call("money", 2, &[0, 3]),
            call("tell", 2, &[4]),
            NodeShape {
                uses: &[1],
                ..node("tried", ShapeKind::Result { body: 3 }, 0)
            },
            call("sent", 3, &[1]),
            call("confirm", 3, &[7]),
            NodeShape {
                uses: &[6, 0],
                ..node("finally", ShapeKind::Finally { body: 4, last: 5 }, 0)
            },
            NodeShape {
                uses: &[6, 0],
                ..node(
                    "rescue",
                    ShapeKind::Rescue {
                        body: 6,
                        handler: 7,
                    },
                    4,
                )
            },
            call("book", 6, &[6]),
            node("error", ShapeKind::Caught, 7),
            call("apologize", 7, &[0]),
            call("close", 5, &[0]),
        ],
        regions: vec![
            body(Some(6)),
            region(0, 1, Some(2)),
            region(0, 1, Some(5)),
            region(0, 6, Some(8)),
            region(0, 9, None),
            region(0, 9, None),
            region(4, 10, None),
            region(4, 10, None),
        ],
    }
}

/// ```ignore
/// async fn drawn(user: u64) -> u64 {
///     let asked = ask(user);
///     log(asked);
///     sleep(30s);
///     let approval: Approval = signal("approve").timeout(90m);
///     let first = race((fetch(user), signal::<Stop>("stop"), sleep(1h)));
///     report(asked, approval, first)
/// }
/// ```
pub(super) fn waits() -> Written {
    let signal = |name, timeout| ShapeKind::Signal { name, timeout };
    let limit = Some(Duration::from_secs(5_400));
    let entries = &[1, 2, 3];
    let later = |node: NodeShape| NodeShape {
        after: &[3],
        ..node
    };
    Written {
        nodes: vec![
            node("user", ShapeKind::Input, 0),
            call("asked", 0, &[0]),
            call("log", 0, &[1]),
            NodeShape {
                after: &[1, 2],
                source: "30s",
                ..node("sleep", ShapeKind::Sleep, 0)
            },
            later(node("approval", signal("approve", limit), 0)),
            NodeShape {
                uses: &[0],
                ..later(node("first", ShapeKind::Race { entries }, 0))
            },
            call("fetch", 1, &[0]),
            node("stop", signal("stop", None), 2),
            node("sleep", ShapeKind::Sleep, 3),
            later(call("report", 0, &[1, 4, 5])),
        ],
        regions: vec![
            body(Some(9)),
            region(0, 5, Some(6)),
            region(0, 5, Some(7)),
            region(0, 5, None),
        ],
    }
}
