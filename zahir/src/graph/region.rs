//! Parts of a graph that are entered as a whole.

use std::fmt;

use zahir_store::NodeId;

use crate::graph::shape::{Exit, Shape};
use crate::graph::{Node, NodeDef};

/// A [`Region`] of a graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionId(u32);

impl RegionId {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Its place in [`Graph::regions`](crate::Graph::regions).
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A part of a graph that is entered as a whole: the body of the workflow, one round of a loop, an
/// arm of a branch.
#[derive(Debug)]
pub struct Region {
    pub(crate) parent: Option<RegionId>,
    pub(crate) owner: Option<NodeId>,
    pub(crate) label: String,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) result: Option<NodeId>,
    pub(crate) exit: Exit,
    /// What the assigned variables are at its end.
    pub(crate) outs: Vec<NodeId>,
}

impl Region {
    /// The region around it; `None` for the body of the workflow.
    #[must_use]
    pub fn parent(&self) -> Option<RegionId> {
        self.parent
    }

    /// The node that enters it; `None` for the body of the workflow.
    #[must_use]
    pub fn owner(&self) -> Option<NodeId> {
        self.owner
    }

    /// What it is to its owner: `body`, `then`, `handler`, `finally`, `entry 1`, the pattern of an arm.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The nodes that are in it and in no region inside it, in source order.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The node that gives its value; `None` if that is `()`. It may lie in a region around it.
    #[must_use]
    pub fn result(&self) -> Option<NodeId> {
        self.result
    }

    /// Where a run goes on behind it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// The regions of `shape`, with their nodes.
pub(crate) fn read(shape: &Shape, nodes: &[Node]) -> Vec<Region> {
    let mut regions: Vec<Region> = shape
        .regions
        .iter()
        .map(|region| Region {
            parent: region.parent.map(|(parent, _)| RegionId::new(parent)),
            owner: region.parent.map(|(_, owner)| NodeId::new(owner)),
            label: "body".to_owned(),
            nodes: Vec::new(),
            result: region.result.map(NodeId::new),
            exit: region.exit,
            outs: region.outs.iter().copied().map(NodeId::new).collect(),
        })
        .collect();
    for node in nodes {
        if let Some(region) = regions.get_mut(node.region.index()) {
            region.nodes.push(node.id);
        }
        for (at, inside) in node.inside.iter().enumerate() {
            if let Some(region) = regions.get_mut(inside.index()) {
                let written = shape.regions.get(inside.index()).map(|it| it.label);
                let written = written.filter(|label| !label.is_empty());
                region.label = written.map_or_else(|| label(node, at), str::to_owned);
            }
        }
    }
    regions
}

/// What the region at this place is to the node that enters it.
fn label(node: &Node, at: usize) -> String {
    let number = at + 1;
    match (&node.kind, at) {
        (NodeDef::Branch, _) if branch_word(node) == "if" => match at {
            0 => "then".to_owned(),
            _ if number == node.inside.len() => "else".to_owned(),
            _ => format!("else if {at}"),
        },
        (NodeDef::Branch, _) => format!("arm {number}"),
        (NodeDef::Race(_), _) => format!("entry {number}"),
        (NodeDef::Rescue, 1) => "handler".to_owned(),
        (NodeDef::Finally, 1) => "finally".to_owned(),
        _ => "body".to_owned(),
    }
}

/// The word that a branch is written with, as far as its source or its name tells.
pub(crate) fn branch_word(node: &Node) -> &'static str {
    let is_written = |word: &str| {
        let source = node.source.strip_prefix(word);
        source.is_some_and(|rest| rest.starts_with(' ')) || is_named_after(node.name, word)
    };
    if is_written("if") {
        "if"
    } else if is_written("match") {
        "match"
    } else {
        "branch"
    }
}

/// Whether a node has no name but the word it is written with: `for`, `for_2`.
pub(crate) fn is_named_after(name: &str, word: &str) -> bool {
    let rest = name.strip_prefix(word);
    rest.is_some_and(|rest| {
        let number = rest.strip_prefix('_').unwrap_or(rest);
        number.chars().all(|letter| letter.is_ascii_digit())
    })
}
