//! Frames: the activations of regions that are under way.

use std::sync::Arc;

use zahir_store::{Failure, FrameStep, NodeId, Position};

use super::state::Instance;
use crate::plan::RegionId;

/// One activation of a region. Reused after it ended, under another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameId {
    index: usize,
    generation: u32,
}

impl FrameId {
    /// No frame.
    pub(super) const NONE: Self = Self {
        index: usize::MAX,
        generation: u32::MAX,
    };
}

/// A node instance: a node in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) frame: FrameId,
    pub(crate) node: NodeId,
}

/// The state of one activation of a region.
#[derive(Debug)]
pub(super) struct Frame<V> {
    pub(super) region: RegionId,
    /// The node that opened it; `None` for the run's body.
    pub(super) owner: Option<Place>,
    /// Which activation of the owner's region.
    pub(super) index: u32,
    /// The way to it from the body; `None` for the body itself. Shared with the attempts in it.
    pub(super) path: Option<Arc<[FrameStep]>>,
    /// Whether it has its inputs. A frame that replay rebuilt waits for them: they come from pure
    /// code, which is not on record.
    pub(super) is_awake: bool,
    /// How many of its nodes have no result yet, inputs aside.
    pub(super) open: usize,
    /// How many attempts and evaluations are under way in it and in the frames inside it.
    pub(super) live: usize,
    /// The first failure that nothing inside it handled. It starts nothing more.
    pub(super) failure: Option<Box<(Position, Failure)>>,
    /// Its nodes, by slot.
    pub(super) nodes: Vec<Instance<V>>,
}

/// All frames of a run.
#[derive(Debug)]
pub(super) struct Frames<V> {
    cells: Vec<Cell<V>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Cell<V> {
    generation: u32,
    frame: Option<Frame<V>>,
}

impl<V> Frames<V> {
    pub(super) const fn new() -> Self {
        Self {
            cells: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, frame: Frame<V>) -> FrameId {
        if let Some(index) = self.free.pop() {
            let cell = &mut self.cells[index];
            cell.frame = Some(frame);
            return FrameId {
                index,
                generation: cell.generation,
            };
        }
        self.cells.push(Cell {
            generation: 0,
            frame: Some(frame),
        });
        FrameId {
            index: self.cells.len() - 1,
            generation: 0,
        }
    }

    pub(super) fn remove(&mut self, id: FrameId) {
        let cell = &mut self.cells[id.index];
        cell.frame = None;
        cell.generation = cell.generation.wrapping_add(1);
        self.free.push(id.index);
    }

    pub(super) fn get(&self, id: FrameId) -> Option<&Frame<V>> {
        self.cells
            .get(id.index)
            .filter(|cell| cell.generation == id.generation)
            .and_then(|cell| cell.frame.as_ref())
    }

    pub(super) fn get_mut(&mut self, id: FrameId) -> Option<&mut Frame<V>> {
        self.cells
            .get_mut(id.index)
            .filter(|cell| cell.generation == id.generation)
            .and_then(|cell| cell.frame.as_mut())
    }

    /// The frame that many frames outwards.
    pub(super) fn outwards(&self, mut id: FrameId, up: u32) -> Option<FrameId> {
        for _ in 0..up {
            id = self.get(id)?.owner?.frame;
        }
        Some(id)
    }

    /// The position that records name a node instance by.
    pub(super) fn position(&self, place: Place) -> Position {
        let path = self
            .get(place.frame)
            .and_then(|frame| frame.path.as_deref());
        Position {
            frames: path.unwrap_or_default().to_vec(),
            node: place.node,
        }
    }

    /// How many frames are around this one.
    pub(super) fn depth(&self, id: FrameId) -> usize {
        self.get(id)
            .and_then(|frame| frame.path.as_deref())
            .map_or(0, <[FrameStep]>::len)
    }

    /// The way to the `index`-th activation of the region of `owner`.
    pub(super) fn path_into(&self, owner: Place, index: u32) -> Arc<[FrameStep]> {
        let around = self
            .get(owner.frame)
            .and_then(|frame| frame.path.as_deref());
        let step = FrameStep {
            node: owner.node,
            index,
        };
        around
            .unwrap_or_default()
            .iter()
            .copied()
            .chain([step])
            .collect()
    }

    /// Every frame there is, in a fixed order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FrameId, &Frame<V>)> {
        self.cells.iter().enumerate().filter_map(|(index, cell)| {
            let id = FrameId {
                index,
                generation: cell.generation,
            };
            cell.frame.as_ref().map(|frame| (id, frame))
        })
    }
}
