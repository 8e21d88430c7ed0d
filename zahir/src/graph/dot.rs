//! The graph as text for graphviz.

use std::fmt::Write as _;

use crate::graph::picture::{Start, label};
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
        dot.line(0, &format!("digraph {} {{", quoted(&[self.name()])));
        dot.line(1, "compound=true; fontname=\"sans-serif\"; labeljust=l;");
        dot.line(
            1,
            "node [shape=box, style=rounded, fontname=\"sans-serif\"];",
        );
        if let Some(body) = self.regions().first() {
            dot.region(1, body);
        }
        dot.arrows();
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
        for (node, inner) in self.graph.drawn(region) {
            let label = label(node);
            let label: Vec<&str> = label.iter().map(String::as_str).collect();
            match inner {
                Some((id, inner)) => {
                    self.line(depth, &format!("subgraph {} {{", cluster(id)));
                    self.line(depth + 1, &format!("label={};", quoted(&label)));
                    self.region(depth + 1, inner);
                    self.line(depth, "}");
                }
                None => {
                    let line = format!(
                        "{} [label={}{}];",
                        name(node),
                        quoted(&label),
                        attributes(node)
                    );
                    self.line(depth, &line);
                }
            }
        }
    }

    fn arrows(&mut self) {
        for arrow in self.graph.arrows() {
            let mut attributes = Vec::new();
            let from = match arrow.from {
                Start::Node(id) => id,
                Start::Box(region) => {
                    attributes.push(format!("ltail={}", cluster(region)));
                    self.last_of(region).unwrap_or(arrow.to)
                }
            };
            if arrow.order {
                attributes.push("style=dashed".to_owned());
            }
            let attributes = if attributes.is_empty() {
                String::new()
            } else {
                format!(" [{}]", attributes.join(", "))
            };
            self.line(1, &format!("n{from:?} -> n{:?}{attributes};", arrow.to));
        }
    }

    /// A node inside of a box, for an arrow to start at.
    fn last_of(&self, region: RegionId) -> Option<zahir_store::NodeId> {
        let region = self.graph.regions().get(region.index())?;
        let drawn: Vec<_> = self.graph.drawn(region).collect();
        let mut plain = drawn.iter().filter(|(_, inner)| inner.is_none());
        let result = plain
            .clone()
            .find(|(node, _)| Some(node.id()) == region.result);
        result.or(plain.next_back()).map(|(node, _)| node.id())
    }
}

fn name(node: &Node) -> String {
    format!("n{:?}", node.id())
}

fn cluster(region: RegionId) -> String {
    format!("cluster_{region:?}")
}

fn attributes(node: &Node) -> &'static str {
    match node.kind {
        NodeDef::Input { .. } => ", shape=ellipse",
        NodeDef::Item => ", shape=ellipse, style=dashed",
        NodeDef::Value => ", style=\"rounded,dashed\"",
        NodeDef::Workflow(_) => ", peripheries=2",
        _ => "",
    }
}

/// Lines as one string of graphviz.
fn quoted(lines: &[&str]) -> String {
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
