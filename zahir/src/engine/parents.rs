//! Jobs that have children: how these come, begin and end.
//!
//! A child is a frame of the region of its kind, with its parent as the owner. It is over when its
//! frame has finished, which is when its own children are over. Until then the frame that its parent
//! is in stays open.

use std::sync::Arc;

use zahir_store::{Bond, NodeId, SpawnedChild};

use super::action::Violation;
use super::advance::violation;
use super::children::{Child, ChildState, Children};
use super::frame::{FrameId, Place};
use super::state::Failing;
use super::tally::Counted;
use super::{Engine, Phase, Task};
use crate::plan::{PlanKind, RegionId};

impl<V: Clone> Engine<V> {
    /// The children of a job, if it has any.
    pub(super) fn children(&self, parent: Place) -> Option<&Children<V>> {
        self.frames.get(parent.frame)?.children.get(&parent.node)
    }

    pub(super) fn children_mut(&mut self, parent: Place) -> Option<&mut Children<V>> {
        let frame = self.frames.get_mut(parent.frame)?;
        frame.children.get_mut(&parent.node)
    }

    /// A job has one more child: the same for a live one and for one on record.
    pub(super) fn adopt(&mut self, parent: Place, spawned: &SpawnedChild) {
        let jobs = self.plan.region(self.plan.node(spawned.kind).region).jobs;
        let tries = self.tries(parent);
        let attempt = tries.map_or(0, |tries| tries.attempts);
        let Some(frame) = self.frames.get_mut(parent.frame) else {
            return;
        };
        let number = frame.children_of(parent.node).add(spawned, attempt);
        frame.open += 1;
        self.count_child(parent, spawned.kind, Counted::Spawned);
        self.spawned = self.spawned.saturating_add(1);
        self.progress.known = self.progress.known.saturating_add(jobs);
        if spawned.bond != Bond::Held {
            self.follow(parent, number);
        }
        self.go_over_children(parent);
    }

    /// A child will not run.
    pub(super) fn expect_less(&mut self, kind: NodeId) {
        let jobs = self.plan.region(self.plan.node(kind).region).jobs;
        self.progress.known = self.progress.known.saturating_sub(jobs);
    }

    /// These children wait until they are called again; but for those that have failed, and have that to
    /// give.
    pub(super) fn suspend_children(&mut self, parent: Place, numbers: &[u32]) {
        for number in numbers {
            let frame = self.replayed.get(&(parent, *number));
            let frame = frame.and_then(|frame| self.frames.get(*frame));
            if frame.is_some_and(|frame| frame.failure.is_some()) {
                continue;
            }
            if let Some(children) = self.children_mut(parent) {
                children.suspend(*number);
            }
        }
    }

    /// An attempt asks for a child that was there: gives whether it was suspended. The same for a live
    /// one and for one on record.
    pub(super) fn resume_child(&mut self, parent: Place, number: u32, attempt: u32) -> bool {
        let children = self.children_mut(parent);
        let was_suspended = children.is_some_and(|children| children.resume(number, attempt));
        if was_suspended {
            self.go_over_children(parent);
        }
        was_suspended
    }

    /// A child that is suspended is not called again: it is over, and all that is in it.
    pub(super) fn forget_child(&mut self, parent: Place, number: u32) {
        let children = self.children_mut(parent);
        let Some(child) = children.and_then(|children| children.get_mut(number)) else {
            return;
        };
        child.state = ChildState::Over;
        child.arguments = None;
        let kind = child.kind;
        if let Some(frame) = self.replayed.get(&(parent, number)).copied() {
            self.remove_tree(frame);
        }
        self.expect_less(kind);
        self.count_child(parent, kind, Counted::Forgotten);
        self.count_over(parent);
    }

    /// Lists a job among those that may open another frame, if it has a child that may begin.
    fn go_over_children(&mut self, parent: Place) {
        if self
            .children_mut(parent)
            .is_some_and(Children::begins_going)
        {
            self.going.push(parent);
        }
    }

    /// The frame of the next child of a job that may begin. Where everything comes to its end none
    /// does.
    pub(super) fn take_child(&mut self, parent: Place) -> Option<FrameId> {
        let is_stopped = self.is_stopped(parent.frame);
        let children = self.children_mut(parent)?;
        let mut next = if is_stopped { None } else { children.next() };
        if self.tallies.is_recount {
            next = self.pass_over_jobs(parent, next);
        }
        if next.is_none()
            && let Some(children) = self.children_mut(parent)
        {
            children.is_going = false;
        }
        self.frame_of(parent, next?)
    }

    /// The next child that may be over without anything on record: a workflow.
    fn pass_over_jobs(&mut self, parent: Place, mut next: Option<u32>) -> Option<u32> {
        let plan = Arc::clone(&self.plan);
        let children = self.children_mut(parent)?;
        while let Some(child) = next.and_then(|number| children.get_mut(number))
            && plan.node(child.kind).kind == PlanKind::Job
        {
            child.state = ChildState::Waiting;
            next = children.next();
        }
        next
    }

    /// Lets the children of a job go on in a process that has come to its frame: those that had begun,
    /// and then the others.
    pub(super) fn rouse_children(&mut self, parent: Place) {
        if self.children(parent).is_none_or(|it| it.is_awake) {
            return;
        }
        let heir = self.children(parent).and_then(|it| it.inheritance.as_ref());
        let heir = heir.map(|it| it.heir);
        let rebuilt = self
            .replayed
            .range((parent, 0)..=(parent, u32::MAX))
            .map(|((_, number), frame)| (*number, *frame))
            .filter(|(number, _)| Some(*number) != heir);
        let rebuilt: Vec<_> = rebuilt.collect();
        let is_suspended = |number| {
            let child = self.children(parent).and_then(|it| it.get(number));
            child.is_some_and(Child::is_suspended)
        };
        let (begun, later): (Vec<_>, Vec<_>) = rebuilt
            .into_iter()
            .partition(|(number, frame)| !is_suspended(*number) && self.was_under_way(*frame));
        let is_stopped = self.is_stopped(parent.frame);
        let plan = Arc::clone(&self.plan);
        let ignores_fans = is_stopped || self.tallies.is_recount;
        let Some(children) = self.children_mut(parent) else {
            return;
        };
        children.is_awake = true;
        let mut awake = Vec::with_capacity(begun.len());
        for (number, _) in begun {
            children.count_open(number);
            awake.push(number);
        }
        for (number, _) in later {
            let is_suspended = children.get(number).is_some_and(Child::is_suspended);
            if !is_suspended && (ignores_fans || children.has_room(number)) {
                children.count_open(number);
                awake.push(number);
            } else if let Some(child) = children.get_mut(number) {
                child.state = ChildState::Waiting;
            }
        }
        let waiting = children.waiting_numbers().into_iter();
        for number in waiting.filter(|number| Some(*number) != heir) {
            // Of a workflow nothing is on record if all in it is pure. It may have been over before
            // everything came to its end here, and what comes behind it may be under way.
            let kind = children.get(number).map(|child| child.kind);
            let is_job = |kind| plan.node(kind).kind == PlanKind::Job;
            if !is_stopped || kind.is_none_or(is_job) {
                children.enqueue(number);
            } else if let Some(child) = children.get_mut(number) {
                child.state = ChildState::Open;
                awake.push(number);
            }
        }
        for number in awake {
            if let Some(frame) = self.frame_of(parent, number) {
                self.wake(frame, None);
            }
        }
        self.go_over_children(parent);
        self.inherit_if_ready(parent);
    }

    /// The region of a child's frame.
    pub(super) fn region_of_child(&self, parent: Place, number: u32) -> Option<RegionId> {
        let child = self.children(parent)?.get(number)?;
        Some(self.plan.node(child.kind).region)
    }

    /// The child that a frame is, if it is one.
    pub(super) fn child_of(&self, frame: FrameId) -> Option<&Child<V>> {
        let frame = self.frames.get(frame)?;
        let parent = frame.owner?;
        if self.plan.node(parent.node).kind == PlanKind::Job {
            self.children(parent)?.get(frame.index)
        } else {
            None
        }
    }

    /// A child is over.
    pub(super) fn end_child(
        &mut self,
        parent: Place,
        number: u32,
        end: Result<V, Box<Failing<V>>>,
    ) {
        let Some(children) = self.children_mut(parent) else {
            return self.halt(violation("I7 a child has a parent", parent));
        };
        if children
            .inheritance
            .as_ref()
            .is_some_and(|it| it.heir == number)
        {
            return self.end_heir(parent, number, end);
        }
        let kind = children.get(number).map(|child| child.kind);
        let counted = if end.is_ok() {
            Counted::Succeeded
        } else {
            Counted::Failed
        };
        let raised = children.end(number, end);
        if let Some(kind) = kind {
            self.count_child(parent, kind, counted);
        }
        self.count_over(parent);
        self.go_over_children(parent);
        self.tell(parent, number);
        self.inherit_if_ready(parent);
        if let Some(failing) = raised {
            self.raise_child(parent, failing);
        }
    }

    /// One child less keeps its parent's frame open.
    pub(super) fn count_over(&mut self, parent: Place) {
        let Some(frame) = self.frames.get_mut(parent.frame) else {
            return;
        };
        let Some(open) = frame.open.checked_sub(1) else {
            return self.halt(violation("I23 a child is over once", parent));
        };
        frame.open = open;
        if open == 0 {
            self.tasks.push_back(Task::Finish(parent.frame));
        }
    }

    /// The failure of a child that follows its parent goes on outwards, as one of a node beside that.
    /// The error itself is for the parent's handlers only: they know what it is.
    pub(super) fn raise_child(&mut self, parent: Place, mut failing: Box<Failing<V>>) {
        failing.error = None;
        self.raise(parent.frame, failing);
    }

    /// A frame failed. If it is a child, it is no longer what its parent calls when it is tried again.
    pub(super) fn note_failed_child(&mut self, frame: FrameId) {
        let Some(frame) = self.frames.get(frame) else {
            return;
        };
        let number = frame.index;
        if let Some(parent) = frame.owner
            && let Some(children) = self.children_mut(parent)
        {
            children.fail(number);
        }
    }

    /// Whether a child that failed is over at once in replay: nothing of it is under way, and nothing
    /// inside it may be owed. One that gives its parent's result is not: what comes of that is on
    /// record, or decided when the parent's frame is awake.
    pub(super) fn is_over_in_replay(&self, id: FrameId) -> bool {
        let Some(frame) = self.frames.get(id) else {
            return false;
        };
        let heir = frame.owner.and_then(|parent| self.children(parent));
        let heir = heir.and_then(|children| children.inheritance.as_ref());
        self.phase == Phase::Replaying
            && frame.live == 0
            && self.frames.inside(id).next().is_none()
            && self.child_of(id).is_some()
            && heir.is_none_or(|it| it.heir != frame.index)
    }
}

/// A job that spawns, or waits for, what it can't.
pub(super) fn misspawned(parent: Place) -> Violation {
    violation(
        "I22 a job spawns kinds that it lists, and waits for children that it holds",
        parent,
    )
}
