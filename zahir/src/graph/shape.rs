//! A graph without its types, as the macro writes it down: plain `static` data.

use crate::job::policy::Settings;

/// The graph of a workflow without its types. Numbers are those of nodes and regions.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "written by the macro")]
pub struct Shape {
    /// In source order.
    pub nodes: &'static [NodeShape],
    /// The body first.
    pub regions: &'static [RegionShape],
}

/// One node.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "written by the macro")]
pub struct NodeShape {
    /// Unique in its region.
    pub name: &'static str,
    /// What it is.
    pub kind: ShapeKind,
    /// The region it is in.
    pub region: u32,
    /// The nodes whose values it reads, in order; for a `for`, then those that its body needs.
    pub uses: &'static [u32],
    /// The nodes it waits for without reading them.
    pub after: &'static [u32],
    /// What a call hands over.
    pub arguments: &'static [Argument],
    /// The expression, with its variables replaced by their place in `uses`.
    pub source: &'static str,
    /// Where it is written.
    pub line: u32,
    /// Where in the line, from 1.
    pub column: u32,
    /// What it changes of its job's options.
    pub settings: Settings,
}

/// What a node is, as far as that can be seen without types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "written by the macro")]
pub enum ShapeKind {
    /// An input of the workflow.
    Input,
    /// One item of a `for`.
    Item,
    /// A pure value.
    Value,
    /// A call of a job or workflow.
    Call,
    /// A `for`.
    Each {
        /// The node of one item.
        item: u32,
        /// The region that runs once per item.
        body: u32,
        /// How many of `uses` the items are made of.
        lends: u32,
        /// At most how many items at once.
        limit: Option<u32>,
    },
}

/// What a call hands over for one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Argument {
    /// A copy of a node's value.
    Copy(u32),
    /// A node's value, lent.
    Lend(u32),
    /// An expression over the values of these nodes.
    Expression(&'static [u32]),
}

impl Argument {
    /// The numbers of the nodes whose values it is made of.
    #[must_use]
    pub fn nodes(&self) -> &[u32] {
        match self {
            Self::Copy(node) | Self::Lend(node) => std::slice::from_ref(node),
            Self::Expression(nodes) => nodes,
        }
    }
}

/// A part of a graph that is entered as a whole.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "written by the macro")]
pub struct RegionShape {
    /// The region around it, and the node that enters it; `None` for the body.
    pub parent: Option<(u32, u32)>,
    /// The node that gives its value, if it has one.
    pub result: Option<u32>,
}
