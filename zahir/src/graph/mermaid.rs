//! The graph as text for mermaid.

use std::fmt::Write as _;

use crate::graph::picture::{Line, Shown, arrows, box_label, label, region_label, spawning};
use crate::graph::{Graph, Node, NodeDef, Region, RegionId};

impl Graph {
    /// The graph in the language of [mermaid](https://mermaid.js.org), which many sites draw in
    /// place.
    ///
    /// The same graph always gives the same text.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut mermaid = Mermaid {
            graph: self,
            text: String::new(),
        };
        mermaid.line(0, "flowchart TD");
        if let Some(body) = self.regions().first() {
            mermaid.region(1, body);
        }
        for arrow in arrows(self) {
            let line = match arrow.line {
                Line::Data => "-->",
                Line::Order => "-.->",
                Line::Back => "==>",
            };
            mermaid.line(1, &format!("{} {line} {}", arrow.from, arrow.to));
        }
        let (kinds, arrows) = spawning(self);
        for kind in kinds {
            let label = quoted(&kind.label());
            let (open, close) = if kind.is_workflow() {
                ("[[", "]]")
            } else {
                ("[", "]")
            };
            mermaid.line(1, &format!("{kind}{open}{label}{close}"));
        }
        for (from, to) in arrows {
            mermaid.line(1, &format!("{from} -. may spawn .-> {to}"));
        }
        mermaid.text
    }
}

struct Mermaid<'g> {
    graph: &'g Graph,
    text: String,
}

impl Mermaid<'_> {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a string never fails.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = 2 * depth);
    }

    fn region(&mut self, depth: usize, region: &Region) {
        for shown in self.graph.drawn(region) {
            match shown {
                Shown::Node(node) => {
                    let (open, close) = shape(node);
                    let label = quoted(&label(node));
                    self.line(depth, &format!("n{:?}{open}{label}{close}", node.id));
                }
                Shown::Box(node, inner) => {
                    let label = quoted(&box_label(node, inner));
                    self.line(depth, &format!("subgraph n{:?} [{label}]", node.id));
                    self.region(depth + 1, inner);
                    self.line(depth, "end");
                }
                Shown::Boxes(node) => {
                    let label = quoted(&label(node));
                    self.line(depth, &format!("subgraph n{:?} [{label}]", node.id));
                    for id in &node.inside {
                        self.inner(depth + 1, *id);
                    }
                    self.line(depth, "end");
                }
            }
        }
    }

    /// One of several regions in a box.
    fn inner(&mut self, depth: usize, id: RegionId) {
        let Some(region) = self.graph.region(id) else {
            return;
        };
        let label = quoted(&[region_label(region)]);
        if region.nodes.is_empty() {
            self.line(depth, &format!("r{id:?}[{label}]"));
        } else {
            self.line(depth, &format!("subgraph r{id:?} [{label}]"));
            self.region(depth + 1, region);
            self.line(depth, "end");
        }
    }
}

fn shape(node: &Node) -> (&'static str, &'static str) {
    match node.kind {
        NodeDef::Input { .. } => ("([", "])"),
        NodeDef::Item | NodeDef::Carried | NodeDef::Caught | NodeDef::Assigned { .. } => ("(", ")"),
        NodeDef::Value => ("{{", "}}"),
        NodeDef::Sleep => ("[/", "\\]"),
        NodeDef::Signal(_) => (">", "]"),
        NodeDef::Workflow(_) => ("[[", "]]"),
        NodeDef::Job(_)
        | NodeDef::Each { .. }
        | NodeDef::Branch
        | NodeDef::Loop { .. }
        | NodeDef::Rescue
        | NodeDef::Result(_)
        | NodeDef::Finally
        | NodeDef::Race(_) => ("[", "]"),
    }
}

/// Lines as one string of mermaid, which knows entities but no other escapes.
fn quoted(lines: &[String]) -> String {
    let mut text = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("<br/>");
        }
        for letter in line.chars() {
            match letter {
                '\n' => text.push_str("<br/>"),
                letter if letter.is_alphanumeric() || " _-.,:()".contains(letter) => {
                    text.push(letter);
                }
                other => {
                    let _ = write!(text, "#{};", u32::from(other));
                }
            }
        }
    }
    text.push('"');
    text
}
