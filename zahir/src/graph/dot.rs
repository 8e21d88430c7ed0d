//! The graph as text for graphviz.

use std::fmt::Write as _;

use crate::graph::picture::{Arrow, Line, Shown, arrows, box_label, label, region_label, spawning};
use crate::graph::{Graph, Node, NodeDef, Region, RegionId};

impl Graph {
    /// The graph in the language of [graphviz](https://graphviz.org): `dot -Tsvg`.
    ///
    /// The same graph always gives the same text.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut dot = Dot {
            graph: self,
            text: String::new(),
        };
        dot.line(
            0,
            &format!("digraph {} {{", quoted(&[self.name().to_owned()])),
        );
        dot.line(1, "compound=true; fontname=\"sans-serif\"; labeljust=l;");
        dot.line(
            1,
            "node [shape=box, style=rounded, fontname=\"sans-serif\"];",
        );
        if let Some(body) = self.regions().first() {
            dot.region(1, body);
        }
        dot.arrows();
        dot.spawning();
        dot.line(0, "}");
        dot.text
    }
}

struct Dot<'g> {
    graph: &'g Graph,
    text: String,
}

impl Dot<'_> {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a string never fails.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = 2 * depth);
    }

    fn region(&mut self, depth: usize, region: &Region) {
        for shown in self.graph.drawn(region) {
            match shown {
                Shown::Node(node) => {
                    let text = quoted(&label(node));
                    let line = format!("n{:?} [label={text}{}];", node.id, attributes(node));
                    self.line(depth, &line);
                }
                Shown::Box(node, inner) => {
                    self.open(
                        depth,
                        &format!("n{:?}", node.id),
                        &box_label(node, inner),
                        "rounded",
                    );
                    self.region(depth + 1, inner);
                    self.line(depth, "}");
                }
                Shown::Boxes(node) => {
                    self.open(depth, &format!("n{:?}", node.id), &label(node), "rounded");
                    for id in &node.inside {
                        self.inner(depth + 1, *id);
                    }
                    self.line(depth, "}");
                }
            }
        }
    }

    /// One of several regions in a box.
    fn inner(&mut self, depth: usize, id: RegionId) {
        let Some(region) = self.graph.region(id) else {
            return;
        };
        let label = [region_label(region)];
        if region.nodes.is_empty() {
            let line = format!("r{id:?} [label={}, shape=plaintext];", quoted(&label));
            self.line(depth, &line);
        } else {
            self.open(depth, &format!("r{id:?}"), &label, "dotted");
            self.region(depth + 1, region);
            self.line(depth, "}");
        }
    }

    /// Begins a box. Its style is told, or it would be that of the box around it.
    fn open(&mut self, depth: usize, name: &str, label: &[String], style: &str) {
        self.line(depth, &format!("subgraph cluster_{name} {{"));
        self.line(
            depth + 1,
            &format!("label={}; style={style};", quoted(label)),
        );
    }

    fn spawning(&mut self) {
        let (kinds, arrows) = spawning(self.graph);
        for kind in kinds {
            let label = quoted(&kind.label());
            let twice = if kind.is_workflow() {
                ", peripheries=2"
            } else {
                ""
            };
            self.line(1, &format!("{kind} [label={label}{twice}];"));
        }
        for (from, to) in arrows {
            let line =
                format!("{from} -> {to} [style=dashed, arrowhead=empty, label=\"may spawn\"];");
            self.line(1, &line);
        }
    }

    fn arrows(&mut self) {
        for Arrow { from, to, line } in arrows(self.graph) {
            let (tail, head) = (self.graph.leaf(from, true), self.graph.leaf(to, false));
            let mut attributes = Vec::new();
            if tail != from {
                attributes.push(format!("ltail=cluster_{from}"));
            }
            if head != to {
                attributes.push(format!("lhead=cluster_{to}"));
            }
            match line {
                Line::Data => {}
                Line::Order => attributes.push("style=dashed".to_owned()),
                Line::Back => attributes.push("style=bold, constraint=false".to_owned()),
            }
            let attributes = if attributes.is_empty() {
                String::new()
            } else {
                format!(" [{}]", attributes.join(", "))
            };
            let line = format!("{tail} -> {head}{attributes};");
            self.line(1, &line);
        }
    }
}

fn attributes(node: &Node) -> &'static str {
    match node.kind {
        NodeDef::Input { .. } => ", shape=ellipse",
        NodeDef::Item | NodeDef::Carried | NodeDef::Caught => ", shape=ellipse, style=dashed",
        NodeDef::Assigned { .. } => ", fontsize=10, width=0, height=0, margin=\"0.08,0.04\"",
        NodeDef::Value => ", style=\"rounded,dashed\"",
        NodeDef::Sleep => ", shape=octagon",
        NodeDef::Signal(_) => ", shape=cds, margin=\"0.2,0.1\"",
        NodeDef::Workflow(_) => ", peripheries=2",
        NodeDef::Job(_)
        | NodeDef::Each { .. }
        | NodeDef::Branch
        | NodeDef::Loop { .. }
        | NodeDef::Rescue
        | NodeDef::Result(_)
        | NodeDef::Finally
        | NodeDef::Race(_) => "",
    }
}

/// Lines as one string of graphviz.
fn quoted(lines: &[String]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| {
            line.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        })
        .collect();
    format!("\"{}\"", lines.join("\\n"))
}
