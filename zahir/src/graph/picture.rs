//! What is drawn of a graph, whatever draws it.
//!
//! A `for` is drawn as the box around its body: what it goes over points at its item, and what uses
//! its value starts at the box.

use zahir_store::NodeId;

use crate::graph::{Graph, Node, NodeKind, Region, RegionId};

/// Where an arrow starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Node(NodeId),
    /// The box of a `for`.
    Box(RegionId),
}

/// One arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) from: Start,
    pub(crate) to: NodeId,
    /// Whether it only orders.
    pub(crate) order: bool,
}

impl Graph {
    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes().get(usize::try_from(id.number()).ok()?)
    }

    /// The nodes to draw in a region, and the `for`s in it with their bodies.
    pub(crate) fn drawn<'g>(
        &'g self,
        region: &'g Region,
    ) -> impl Iterator<Item = (&'g Node, Option<(RegionId, &'g Region)>)> {
        region.nodes.iter().filter_map(|id| {
            let node = self.node(*id)?;
            let inner = node.inside.first().and_then(|body| {
                let region = self.regions().get(body.index())?;
                Some((*body, region))
            });
            Some((node, inner))
        })
    }

    /// All arrows, each once, in the order of their ends.
    pub(crate) fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for node in self.nodes() {
            // Its body shows what it needs from around it.
            let inner = node
                .inside
                .first()
                .and_then(|body| self.regions().get(body.index()));
            let to = inner
                .and_then(|body| body.nodes.first())
                .copied()
                .unwrap_or(node.id);
            let uses = &node.uses[..node.lends];
            let data = uses.iter().map(|id| (*id, false));
            let order = node.after.iter().map(|id| (*id, true));
            for (from, order) in data.chain(order) {
                let from = self.start(from);
                let arrow = Arrow { from, to, order };
                if !arrows.contains(&arrow) {
                    arrows.push(arrow);
                }
            }
        }
        arrows
    }

    fn start(&self, id: NodeId) -> Start {
        match self.node(id).and_then(|node| node.inside.first()) {
            Some(body) => Start::Box(*body),
            None => Start::Node(id),
        }
    }
}

/// The lines of a node's label: its name, and what it calls if that is called otherwise.
pub(crate) fn label(node: &Node) -> Vec<String> {
    let mut lines = vec![node.name().to_owned()];
    if let NodeKind::Each { limit, .. } = node.kind {
        if node.name() != "for" {
            lines = vec![format!("for {}", node.name())];
        }
        lines.extend(limit.map(|limit| format!("at most {limit} at once")));
    }
    if let Some(calls) = node.calls() {
        let short = short(calls);
        if short != node.name() {
            lines.push(short);
        }
    }
    lines
}

/// `load<User>` of `app::jobs::load<app::User>`.
fn short(name: &str) -> String {
    let mut text = String::new();
    let mut word = String::new();
    for letter in name.chars() {
        if letter == ':' {
            word.clear();
        } else if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
        } else {
            text.push_str(&std::mem::take(&mut word));
            text.push(letter);
        }
    }
    text + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_left_out() {
        assert_eq!(
            short("app::jobs::load<app::User, (a::B,)>"),
            "load<User, (B,)>"
        );
        assert_eq!(short("plain"), "plain");
    }
}
