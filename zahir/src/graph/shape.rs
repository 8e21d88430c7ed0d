//! A graph without its types, as the macro writes it down: plain `static` data.

use std::time::Duration;

use crate::job::policy::Settings;
pub use crate::plan::Exit;

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
    /// A variable at the beginning of a loop's round.
    Carried,
    /// What a handler is given: the error.
    Caught,
    /// A variable behind the branch, loop or block that assigned it.
    Assigned {
        /// The branch, loop or block.
        by: u32,
    },
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
    /// `if` or `match`: one of its arms runs.
    Branch {
        /// The regions of the arms.
        arms: &'static [u32],
        /// How many of `uses` the choice is made from.
        lends: u32,
    },
    /// `loop` or `while`: its body runs until it breaks.
    Loop {
        /// The region of one round. Its first nodes are the carried variables.
        body: u32,
        /// What the carried variables begin with, in order.
        starts: &'static [u32],
        /// At most how many rounds.
        max: Option<u32>,
        /// Whether the loop ends at `max` with what its variables are then, or fails.
        or_last: bool,
    },
    /// `.rescue(..)`: another region runs if the first fails.
    Rescue {
        /// What may fail.
        body: u32,
        /// What runs then. Its first node is the error.
        handler: u32,
    },
    /// `.result()`: failure becomes a value.
    Result {
        /// What may fail.
        body: u32,
    },
    /// `.finally(..)`: another region runs behind the first, however that ends.
    Finally {
        /// What comes first.
        body: u32,
        /// What always runs then.
        last: u32,
    },
    /// `race(..)`: the first region to end wins.
    Race {
        /// The regions that compete.
        entries: &'static [u32],
    },
    /// `sleep(..)`, `sleep_until(..)`.
    Sleep,
    /// `signal(..)`.
    Signal {
        /// Of which name.
        name: &'static str,
        /// The longest that is waited for it.
        timeout: Option<Duration>,
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
    /// How it ends.
    pub exit: Exit,
    /// What the assigned variables are at its end: those of the branch, loop or block it belongs
    /// to; those of the loop that it leaves.
    pub outs: &'static [u32],
    /// How it is shown, as the pattern of an arm; empty if what it is to its node says it all.
    pub label: &'static str,
}
