//! The shape of a workflow as text.

use std::fmt::Write;

use zahir::__private::{ShapeKind, Wired};

/// One line per node and region: what it is, what it needs, how it ends.
#[must_use]
pub fn outline<W: Wired>() -> String {
    let mut text = String::new();
    for (number, node) in W::SHAPE.nodes.iter().enumerate() {
        let kind = match node.kind {
            ShapeKind::Assigned { by } => format!("Assigned by {by}"),
            ShapeKind::Each {
                item, body, lends, ..
            } => {
                format!("Each of {item} in r{body} lends {lends}")
            }
            ShapeKind::Branch { arms, lends } => format!("Branch {arms:?} lends {lends}"),
            ShapeKind::Loop {
                body,
                starts,
                max,
                or_last,
            } => {
                let last = if or_last { " or last" } else { "" };
                let max = max.map_or_else(String::new, |max| format!(" max {max}{last}"));
                format!("Loop r{body} from {starts:?}{max}")
            }
            other => format!("{other:?}"),
        };
        let _ = write!(text, "{number} r{} {} {kind}", node.region, node.name);
        if !node.uses.is_empty() {
            let _ = write!(text, " uses {:?}", node.uses);
        }
        if !node.after.is_empty() {
            let _ = write!(text, " after {:?}", node.after);
        }
        text.push('\n');
    }
    for (number, region) in W::SHAPE.regions.iter().enumerate() {
        let _ = write!(text, "r{number} {:?}", region.exit);
        if let Some((parent, owner)) = region.parent {
            let _ = write!(text, " in r{parent} by {owner}");
        }
        if let Some(result) = region.result {
            let _ = write!(text, " gives {result}");
        }
        if !region.outs.is_empty() {
            let _ = write!(text, " outs {:?}", region.outs);
        }
        text.push('\n');
    }
    text
}
