//! The graph as text for mermaid.

use std::fmt::Write as _;

use crate::graph::picture::{Start, label};
use crate::graph::{Graph, Node, NodeDef, Region};

impl Graph {
    /// The graph in the language of [mermaid](https://mermaid.js.org), which many sites draw in
    /// place.
    ///
    /// The same graph always gives the same text.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        if let Some(body) = self.regions().first() {
            self.mermaid_region(1, body, &mut text);
        }
        for arrow in self.arrows() {
            let from = match arrow.from {
                Start::Node(id) => format!("n{id:?}"),
                Start::Box(region) => format!("r{region:?}"),
            };
            let line = if arrow.order { "-.->" } else { "-->" };
            // Writing to a string never fails.
            let _ = writeln!(text, "  {from} {line} n{:?}", arrow.to);
        }
        text
    }

    fn mermaid_region(&self, depth: usize, region: &Region, text: &mut String) {
        let indent = "  ".repeat(depth);
        for (node, inner) in self.drawn(region) {
            let label = quoted(&label(node));
            match inner {
                Some((id, inner)) => {
                    let _ = writeln!(text, "{indent}subgraph r{id:?} [{label}]");
                    self.mermaid_region(depth + 1, inner, text);
                    let _ = writeln!(text, "{indent}end");
                }
                None => {
                    let (open, close) = shape(node);
                    let _ = writeln!(text, "{indent}n{:?}{open}{label}{close}", node.id());
                }
            }
        }
    }
}

fn shape(node: &Node) -> (&'static str, &'static str) {
    match node.kind {
        NodeDef::Input { .. } => ("([", "])"),
        NodeDef::Item => ("(", ")"),
        NodeDef::Value => ("{{", "}}"),
        NodeDef::Workflow(_) => ("[[", "]]"),
        _ => ("[", "]"),
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
