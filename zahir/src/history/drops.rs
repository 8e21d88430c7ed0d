//! Whether a position is among those that a revision drops.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{Dropped, FrameStep, NodeId, Position};

/// In what is dropped, a frame of this number stands for all frames of its node.
pub(crate) const EVERY: u32 = u32::MAX;

/// That the frames of a job are dropped from this number on says that its attempts are, and nothing
/// inside it.
pub(crate) const ATTEMPTS: u32 = u32::MAX;

/// The node instances of which the attempts alone are dropped.
pub(crate) fn attempts(dropped: &[Dropped]) -> BTreeSet<Position> {
    let attempts = dropped.iter().filter(|it| it.from == Some(ATTEMPTS));
    attempts.map(|it| it.at.clone()).collect()
}

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
        self.lead_to(at)
            .is_none_or(|here| here.iter().any(|it| it.nodes.get(&at.node) == Some(&None)))
    }

    /// Whether they are, or something inside it.
    pub(crate) fn touch(&self, at: &Position) -> bool {
        let frames = |index| FrameStep {
            node: at.node,
            index,
        };
        self.lead_to(at).is_none_or(|here| {
            here.iter().any(|it| {
                let mut inside = it.inside.range(frames(0)..=frames(EVERY));
                it.nodes.contains_key(&at.node) || inside.next().is_some()
            })
        })
    }

    /// What is dropped in the frame of a node instance; `None` if all of it is.
    fn lead_to(&self, at: &Position) -> Option<Vec<&Self>> {
        let mut here = vec![self];
        for step in &at.frames {
            let mut next = Vec::new();
            for drops in here {
                match drops.nodes.get(&step.node) {
                    Some(None) => return None,
                    Some(Some(from)) if *from <= step.index => return None,
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
        Some(here)
    }
}
