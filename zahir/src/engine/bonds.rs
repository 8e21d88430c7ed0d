//! What becomes of children when their parent has its result, hands over, or begins anew.

use zahir_store::{Attempt, Bond, ChildCall, Record};

use super::Engine;
use super::children::{ChildState, Children};
use super::frame::{Frame, FrameId, Place};
use super::spawning::Asked;

/// The most children that one record numbers.
pub(crate) const NUMBERS_MAX: usize = 1 << 14;

impl<V: Clone> Engine<V> {
    /// A job has its result, or begins anew later: what it asked for last follows it, and so does what
    /// it does not wait for.
    pub(super) fn spawn_behind(
        &mut self,
        parent: Place,
        attempt: Attempt,
        asked: Asked,
        left: &[ChildCall],
    ) {
        let mut numbers = Vec::new();
        if let Some(children) = self.children(parent) {
            numbers.extend(left.iter().filter_map(|call| children.called(call)));
            numbers.extend(asked.known_as(Bond::Followed));
        }
        // What is detached here, and was held in an attempt before, concerns nobody.
        let detached = asked.known_as(Bond::Detached);
        self.spawn(parent, attempt, asked);
        numbers.extend(self.unfinished(parent));
        numbers.retain(|number| !detached.contains(number));
        self.leave_behind(parent, numbers);
    }

    /// Those that a job holds and that are not over, but for what is inherited.
    pub(super) fn unfinished(&self, parent: Place) -> Vec<u32> {
        let Some(children) = self.children(parent) else {
            return Vec::new();
        };
        let inheritance = children.inheritance.as_ref();
        let is_inherited = |number| inheritance.is_some_and(|it| it.children.contains(&number));
        let recent = children.recent().filter(|(number, child)| {
            let is_open = child.is_held() && !child.is_over() && !child.is_suspended();
            is_open && children.is_called(*number) && !is_inherited(*number)
        });
        recent.map(|(number, _)| number).collect()
    }

    /// These follow their parent from here on, durably.
    pub(super) fn leave_behind(&mut self, parent: Place, mut numbers: Vec<u32>) {
        numbers.sort_unstable();
        numbers.dedup();
        // After a repair it may be there behind its parent already.
        let children = self.children(parent);
        numbers.retain(|number| {
            let child = children.and_then(|children| children.get(*number));
            child.is_some_and(|child| child.is_held())
        });
        for some in numbers.chunks(NUMBERS_MAX) {
            self.outbox.record(|| Record::ChildrenLeft {
                at: self.frames.position(parent),
                children: some.to_vec(),
            });
            self.leave_children(parent, some);
        }
    }

    /// The same for what is live and for what is on record: if they failed, that concerns the
    /// workflow.
    pub(super) fn leave_children(&mut self, parent: Place, numbers: &[u32]) {
        for number in numbers {
            let children = self.children_mut(parent);
            let Some(child) = children.and_then(|children| children.get_mut(*number)) else {
                continue;
            };
            if !child.is_held() {
                continue;
            }
            child.bond = Bond::Followed;
            let mut failing = None;
            if child.is_over() {
                let state = std::mem::replace(&mut child.state, ChildState::Over);
                if let ChildState::Failed(failed) = state {
                    failing = Some(failed);
                }
            }
            self.follow(parent, *number);
            if let Some(failing) = failing {
                self.raise_child(parent, failing);
            }
        }
    }

    /// What a job calls its children means nothing any more. What is suspended is not called again.
    pub(super) fn release_children(&mut self, parent: Place) {
        let suspended = self.children(parent).map(Children::suspended_numbers);
        for number in suspended.unwrap_or_default() {
            self.forget_child(parent, number);
        }
        if let Some(children) = self.children_mut(parent) {
            children.release();
        }
    }

    /// Something was started that is never started twice: none of the children that it is in is called
    /// again as a new one.
    pub(super) fn spend_children(&mut self, mut frame: FrameId) {
        while let Some(Frame {
            owner: Some(owner),
            index,
            ..
        }) = self.frames.get(frame)
        {
            let (owner, index) = (*owner, *index);
            frame = owner.frame;
            if let Some(child) = self.children_mut(owner).and_then(|it| it.get_mut(index)) {
                child.is_spent = true;
            }
        }
    }

    /// An attempt failed and another one follows: what failed of its children is not given to that.
    pub(super) fn loosen_children(&mut self, parent: Place, attempt: Attempt) {
        if let Some(children) = self.children_mut(parent) {
            children.loosen(attempt);
        }
    }
}
