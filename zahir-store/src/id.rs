//! Names of the things that records speak of.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use uuid::Uuid;

/// One execution of a workflow.
///
/// Printed and parsed as a UUID. Ids made by zahir are version 7, so they sort by the time they
/// were made; runs started together differ in their last characters, not in their first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u128);

impl RunId {
    /// The id with these 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits of the id.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Uuid::from_u128(self.0).hyphenated())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no [`RunId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseRunIdError(());

impl fmt::Display for ParseRunIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run id is a UUID, as in `01932c07-9f5e-7a30-8d2b-5c1f0e9b7a44`")
    }
}

impl std::error::Error for ParseRunIdError {}

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(|id| Self(id.as_u128()))
            .map_err(|_| ParseRunIdError(()))
    }
}

/// The content hash of a workflow's definition: its nodes, their names, kinds and edges.
///
/// [`NodeId`]s in records count the nodes of the definition that the run was started with, or that
/// the last revision before them names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionId(u128);

impl DefinitionId {
    /// The id with these 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits of the id.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Debug for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A node of a run's definition, counted from 0 in source order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The node with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The node's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One try of a node, counted from 1 over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(NonZeroU32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The attempt with this number; there is none with number 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The attempt's number, 1 for the first.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One step on the way from a run's body to a node: into the `index`-th activation of the region
/// that `node` owns (an item of a `for`, an iteration of a loop; 0 for a called workflow).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct FrameStep {
    /// The node that owns the region.
    pub node: NodeId,
    /// Which activation of the region.
    pub index: u32,
}

impl fmt::Debug for FrameStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]", self.node, self.index)
    }
}

/// Where a node instance is in its run: the frames around it, outermost first, and its node.
///
/// Made of positions in the definition alone, never of the order in which things happened, so that
/// it names the same instance in every execution. Printed as `3[17]/5`: node 5, in activation 17 of
/// the region of node 3.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct Position {
    /// The frames around the node, outermost first; empty in the run's body.
    pub frames: Vec<FrameStep>,
    /// The node.
    pub node: NodeId,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.frames {
            write!(f, "{step:?}/")?;
        }
        write!(f, "{:?}", self.node)
    }
}
