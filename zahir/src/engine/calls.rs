//! Which child a call of its parent means.

use std::collections::BTreeMap;

use zahir_store::ChildCall;

/// What the calls of one parent mean: the numbers of children. Calls are counted without gaps as a rule,
/// so that many of them need little room.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// By the number of the call; [`NO_CHILD`] for none.
    numbered: Vec<u32>,
    others: BTreeMap<ChildCall, u32>,
}

/// The number of no child.
const NO_CHILD: u32 = u32::MAX;

impl Calls {
    /// Where it is listed, if it has a number that is not far from the others.
    fn at(&self, call: &ChildCall) -> Option<usize> {
        let ChildCall::Number(number) = call else {
            return None;
        };
        usize::try_from(*number)
            .ok()
            .filter(|at| *at <= self.numbered.len())
    }

    pub(super) fn get(&self, call: &ChildCall) -> Option<u32> {
        let listed = self.at(call).and_then(|at| self.numbered.get(at));
        let listed = listed.copied().filter(|number| *number != NO_CHILD);
        listed.or_else(|| self.others.get(call).copied())
    }

    /// Gives what it meant before.
    pub(crate) fn insert(&mut self, call: &ChildCall, number: u32) -> Option<u32> {
        let before = self.remove(call);
        match self.at(call) {
            Some(at) if at == self.numbered.len() => self.numbered.push(number),
            Some(at) => self.numbered[at] = number,
            None => drop(self.others.insert(call.clone(), number)),
        }
        before
    }

    pub(super) fn remove(&mut self, call: &ChildCall) -> Option<u32> {
        if let Some(number) = self.at(call).and_then(|at| self.numbered.get_mut(at))
            && *number != NO_CHILD
        {
            return Some(std::mem::replace(number, NO_CHILD));
        }
        self.others.remove(call)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
