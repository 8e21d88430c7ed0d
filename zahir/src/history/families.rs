//! The children of jobs, and what their parents have of them.

use std::collections::BTreeSet;

use zahir_store::{Bond, Heir, Inherited, NodeId, SpawnedChild};

use crate::engine::Calls;

/// The children of one job, by number.
#[derive(Debug, Default)]
pub(crate) struct Family {
    kin: Vec<Kin>,
    calls: Calls,
    /// Those whose calls mean others since.
    replaced: BTreeSet<u32>,
    /// The first one that an attempt since the last one that asked for another may call.
    first_called: usize,
    heir: Option<(u32, BTreeSet<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Kin {
    kind: NodeId,
    bond: Bond,
}

/// What a child is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearing {
    /// Its parent asks for how it ends.
    Held,
    /// What gives the parent's result is given its own.
    Inherited,
    /// It gives the parent's result.
    Heir,
    /// Its parent asked for how it ended before it asked for another attempt, or handed over.
    Used,
    /// It is no more what its parent calls so, and its end concerns nobody.
    Replaced,
    /// It runs behind its parent, and its failure goes on outwards from there.
    Followed,
    /// It runs behind its parent, and its end concerns nobody.
    Detached,
}

impl Family {
    pub(super) fn spawn(&mut self, children: &[SpawnedChild], kind: impl Fn(NodeId) -> NodeId) {
        for child in children {
            let number = self.next();
            self.replaced.extend(self.calls.insert(&child.call, number));
            self.kin.push(Kin {
                kind: kind(child.kind),
                bond: child.bond,
            });
        }
    }

    pub(super) fn leave(&mut self, children: &[u32]) {
        for number in children {
            let at = usize::try_from(*number).ok();
            if let Some(kin) = at.and_then(|at| self.kin.get_mut(at)) {
                kin.bond = Bond::Followed;
            }
        }
    }

    pub(super) fn hand_over(&mut self, heir: &Heir, kind: NodeId) {
        let number = self.next();
        let inherited = heir.inputs.iter().flat_map(|input| match &input.value {
            Inherited::Value(_) => &[],
            Inherited::Child(number) => std::slice::from_ref(number),
            Inherited::Children(numbers) => numbers.as_slice(),
        });
        self.heir = Some((number, inherited.copied().collect()));
        self.kin.push(Kin {
            kind,
            bond: Bond::Held,
        });
    }

    /// The parent asked for another attempt, which calls all its children anew.
    pub(super) fn begin_again(&mut self) {
        self.first_called = self.kin.len();
        self.calls = Calls::default();
    }

    /// Those that attempts since the last one that asked for another have called, unless one handed
    /// over.
    pub(crate) fn recent(&self) -> impl Iterator<Item = u32> {
        let first = u32::try_from(self.first_called).unwrap_or(u32::MAX);
        let end = if self.heir.is_some() {
            first
        } else {
            self.next()
        };
        first..end
    }

    fn next(&self) -> u32 {
        u32::try_from(self.kin.len()).unwrap_or(u32::MAX)
    }

    /// What the children are instances of.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = NodeId> {
        self.kin.iter().map(|kin| kin.kind)
    }

    /// What a child is an instance of.
    pub(crate) fn kind(&self, number: u32) -> Option<NodeId> {
        self.kin(number).map(|kin| kin.kind)
    }

    fn kin(&self, number: u32) -> Option<&Kin> {
        self.kin.get(usize::try_from(number).ok()?)
    }

    /// The number of the child that gives the parent's result.
    pub(crate) fn heir(&self) -> Option<u32> {
        self.heir.as_ref().map(|(number, _)| *number)
    }

    pub(crate) fn bearing(&self, number: u32) -> Option<Bearing> {
        let bond = self.kin(number)?.bond;
        let is_recent = usize::try_from(number).is_ok_and(|at| at >= self.first_called);
        Some(match (bond, &self.heir) {
            (Bond::Followed, _) => Bearing::Followed,
            (Bond::Detached, _) => Bearing::Detached,
            (Bond::Held, Some((heir, _))) if *heir == number => Bearing::Heir,
            (Bond::Held, Some((_, inherited))) if inherited.contains(&number) => Bearing::Inherited,
            (Bond::Held, _) if self.replaced.contains(&number) => Bearing::Replaced,
            (Bond::Held, Some(_)) => Bearing::Used,
            (Bond::Held, None) if !is_recent => Bearing::Used,
            (Bond::Held, None) => Bearing::Held,
        })
    }
}
