//! Frames: the activations of regions that are under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use zahir_store::{FrameStep, NodeId, Position};

use super::children::Children;
use super::state::{Departure, Failing, Instance, Kept};
use crate::plan::RegionId;

/// One activation of a region. Reused after it ended, under another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameId {
    index: u32,
    generation: u32,
}

impl FrameId {
    /// No frame.
    pub(super) const NONE: Self = Self {
        index: u32::MAX,
        generation: u32::MAX,
    };

    /// Stands for the frame of what is undone, which is gone: `number` counts the results that are
    /// owed an undo.
    pub(super) const fn of_undo(number: u32) -> Self {
        Self {
            index: number,
            generation: u32::MAX - 1,
        }
    }

    /// Which result is undone, if that is what it stands for.
    pub(super) const fn undo(self) -> Option<u32> {
        if self.generation == u32::MAX - 1 {
            Some(self.index)
        } else {
            None
        }
    }

    fn at(self) -> usize {
        usize::try_from(self.index).unwrap_or(usize::MAX)
    }
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
    /// Whether something in it is on record, or was in a frame inside it that is gone.
    pub(super) has_begun: bool,
    /// How many of its nodes have no result yet, inputs aside, and how many children of its jobs are
    /// not over.
    pub(super) open: usize,
    /// How many attempts and evaluations are under way in it and in the frames inside it.
    pub(super) live: usize,
    /// How many `finally`s are under way in it and in the frames inside it.
    pub(super) closing: usize,
    /// Whether, and why, it starts nothing more.
    pub(super) stop: Option<Stop>,
    /// The first failure that nothing inside it handled.
    pub(super) failure: Option<Box<Failing<V>>>,
    /// Where the run goes on behind it, if that is not where its region says.
    pub(super) departure: Option<Box<Departure<V>>>,
    /// Its nodes, by slot.
    pub(super) nodes: Vec<Instance<V>>,
    /// What is kept for some of its jobs.
    pub(super) kept: BTreeMap<NodeId, Kept<V>>,
    /// The children of some of its jobs.
    pub(super) children: BTreeMap<NodeId, Children<V>>,
    links: Links,
}

impl<V> Frame<V> {
    pub(super) const fn new(region: RegionId, open: usize, nodes: Vec<Instance<V>>) -> Self {
        Self {
            region,
            owner: None,
            index: 0,
            path: None,
            is_awake: false,
            has_begun: false,
            open,
            live: 0,
            closing: 0,
            stop: None,
            failure: None,
            departure: None,
            nodes,
            kept: BTreeMap::new(),
            children: BTreeMap::new(),
            links: Links {
                first: FrameId::NONE,
                next: FrameId::NONE,
                previous: FrameId::NONE,
            },
        }
    }

    /// The children of one of its jobs, which may be the first.
    pub(super) fn children_of(&mut self, node: NodeId) -> &mut Children<V> {
        let is_awake = self.is_awake;
        let children = self.children.entry(node);
        children.or_insert_with(|| Children::new(is_awake))
    }
}

/// A frame among the others inside the frame around it.
#[derive(Debug)]
struct Links {
    /// The first frame inside it.
    first: FrameId,
    /// Its neighbors.
    next: FrameId,
    previous: FrameId,
}

/// Why a frame starts nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something in it, or around it, failed: what is under way comes to its end.
    Failed,
    /// It was cancelled: what is under way is dropped.
    Cancelled,
}

/// All frames of a run.
#[derive(Debug)]
pub(super) struct Frames<V> {
    cells: Vec<Cell<V>>,
    free: Vec<u32>,
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

    /// Adds a frame, as the first inside the frame of its owner.
    pub(super) fn insert(&mut self, frame: Frame<V>) -> FrameId {
        let around = frame.owner.map(|owner| owner.frame);
        let id = self.place(frame);
        if let Some(around) = around.and_then(|around| self.get_mut(around)) {
            let next = std::mem::replace(&mut around.links.first, id);
            if let Some(frame) = self.get_mut(id) {
                frame.links.next = next;
            }
            if let Some(next) = self.get_mut(next) {
                next.links.previous = id;
            }
        }
        id
    }

    fn place(&mut self, frame: Frame<V>) -> FrameId {
        if let Some(index) = self.free.pop() {
            let at = FrameId {
                index,
                generation: 0,
            }
            .at();
            let cell = &mut self.cells[at];
            cell.frame = Some(frame);
            return FrameId {
                index,
                generation: cell.generation,
            };
        }
        let index = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        self.cells.push(Cell {
            generation: 0,
            frame: Some(frame),
        });
        FrameId {
            index,
            generation: 0,
        }
    }

    /// Takes a frame out. What is inside it must be gone.
    pub(super) fn remove(&mut self, id: FrameId) {
        let Some(cell) = self.cells.get_mut(id.at()) else {
            return;
        };
        let Some(frame) = cell.frame.take() else {
            return;
        };
        cell.generation = cell.generation.wrapping_add(1);
        self.free.push(id.index);
        let around = frame.owner.map(|owner| owner.frame);
        if let Some(around) = around.and_then(|around| self.get_mut(around)) {
            around.has_begun |= frame.has_begun;
        }
        let Links { next, previous, .. } = frame.links;
        if let Some(next) = self.get_mut(next) {
            next.links.previous = previous;
        }
        if let Some(previous) = self.get_mut(previous) {
            previous.links.next = next;
        } else if let Some(around) = frame.owner.and_then(|owner| self.get_mut(owner.frame)) {
            around.links.first = next;
        }
    }

    /// The frames right inside a frame.
    pub(super) fn inside(&self, id: FrameId) -> impl Iterator<Item = (FrameId, &Frame<V>)> {
        let first = self
            .get(id)
            .map_or(FrameId::NONE, |frame| frame.links.first);
        std::iter::successors(self.entry(first), |(_, frame)| self.entry(frame.links.next))
    }

    /// A frame and all that are inside it, each behind the one around it.
    pub(super) fn tree(&self, root: FrameId) -> Vec<FrameId> {
        let mut all = vec![root];
        let mut at = 0;
        while let Some(id) = all.get(at).copied() {
            all.extend(self.inside(id).map(|(inner, _)| inner));
            at += 1;
        }
        all
    }

    fn entry(&self, id: FrameId) -> Option<(FrameId, &Frame<V>)> {
        self.get(id).map(|frame| (id, frame))
    }

    pub(super) fn get(&self, id: FrameId) -> Option<&Frame<V>> {
        self.cells
            .get(id.at())
            .filter(|cell| cell.generation == id.generation)
            .and_then(|cell| cell.frame.as_ref())
    }

    pub(super) fn get_mut(&mut self, id: FrameId) -> Option<&mut Frame<V>> {
        self.cells
            .get_mut(id.at())
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
        Position {
            frames: self.way(place.frame).to_vec(),
            node: place.node,
        }
    }

    /// The nodes that were entered on the way to a frame, from the body inwards.
    pub(super) fn way(&self, id: FrameId) -> &[FrameStep] {
        self.get(id)
            .and_then(|frame| frame.path.as_deref())
            .unwrap_or_default()
    }

    /// The way to the `index`-th activation of the region of `owner`.
    pub(super) fn path_into(&self, owner: Place, index: u32) -> Arc<[FrameStep]> {
        let step = FrameStep {
            node: owner.node,
            index,
        };
        let around = self.way(owner.frame).iter().copied();
        around.chain([step]).collect()
    }

    /// How many frames there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.cells.iter().filter(|it| it.frame.is_some()).count()
    }

    /// How much room was ever taken up.
    #[cfg(test)]
    pub(super) const fn cells(&self) -> usize {
        self.cells.len()
    }
}
