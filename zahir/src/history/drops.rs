//! Whether a position is among those that a revision drops.

use std::collections::BTreeMap;

use zahir_store::{Dropped, FrameStep, NodeId, Position};

/// In what is dropped, a frame of this number stands for all frames of its node.
pub(crate) const EVERY: u32 = u32::MAX;

/// All that a revision drops, by position.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    /// The nodes that are dropped here; with a number, only their frames from that one on.
    nodes: BTreeMap<NodeId, Option<u32>>,
    inside: BTreeMap<FrameStep, Self>,
}

impl Drops {
    pub(crate) fn of(dropped: &[Dropped]) -> Self {
        let mut drops = Self::default();
        for Dropped { at, from } in dropped {
            let mut here = &mut drops;
            for step in &at.frames {
                here = here.inside.entry(*step).or_default();
            }
            let known = here.nodes.entry(at.node).or_insert(*from);
            // `None` is all of it.
            *known = (*known).min(*from);
        }
        drops
    }

    /// Whether the records of this node instance are dropped.
    pub(crate) fn cover(&self, at: &Position) -> bool {
        let mut here = vec![self];
        for step in &at.frames {
            let mut next = Vec::new();
            for drops in here {
                match drops.nodes.get(&step.node) {
                    Some(None) => return true,
                    Some(Some(from)) if *from <= step.index => return true,
                    Some(Some(_)) | None => {}
                }
                let every = FrameStep {
                    index: EVERY,
                    ..*step
                };
                next.extend(drops.inside.get(step));
                next.extend(drops.inside.get(&every));
            }
            here = next;
        }
        here.iter()
            .any(|drops| drops.nodes.get(&at.node) == Some(&None))
    }
}
