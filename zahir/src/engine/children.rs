//! The children of a job: which there are, which may begin, and what became of them.
//!
//! A child is a frame of the region of its kind, with its parent as the owner. It costs a frame only
//! while it is under way: before and behind that it is a line in a table. It is over when its frame
//! has finished, which is when its own children are over.
//!
//! The parent calls its children by number or key. What a call means lasts until the parent has its
//! result, hands over, or asks for another attempt later; and for a child that failed until the
//! attempt fails.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use zahir_store::{Bond, ChildCall, ChildLimits, Fan, NodeId, SpawnedChild};

use super::action::{ChildEnd, Violation};
use super::advance::violation;
use super::frame::{FrameId, Place};
use super::heirs::Inheritance;
use super::parking::Waiting;
use super::state::Failing;
use super::{Engine, Phase};
use crate::plan::{PlanKind, RegionId};

/// How many children there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildrenMax {
    /// Of one job, over all of its attempts.
    pub(crate) per_job: usize,
    /// Of all jobs of a run.
    pub(crate) per_run: usize,
    /// How deep: a child of a job that is no child is at depth 1.
    pub(crate) depth: usize,
}

impl ChildrenMax {
    /// As many as there can be.
    pub(crate) const NONE: Self = Self {
        per_job: usize::MAX,
        per_run: usize::MAX,
        depth: usize::MAX,
    };
}

/// The children of one job.
#[derive(Debug)]
pub(super) struct Children<V> {
    /// By number.
    list: Vec<Child<V>>,
    /// What the parent's calls mean now.
    calls: BTreeMap<ChildCall, u32>,
    /// The first that was spawned since calls were forgotten.
    first_called: usize,
    fans: Vec<FanOut>,
    /// Which fan the parent's numbers mean now.
    fan_numbers: BTreeMap<u32, u32>,
    /// Those that may begin, in order.
    queue: VecDeque<u32>,
    /// Whether what may begin is queued, and fans are counted: not before the parent's frame is awake.
    is_awake: bool,
    /// Whether the parent is listed among those that may open another frame.
    is_going: bool,
    /// Those that failed, or will have, and that are still called.
    failed: Vec<u32>,
    /// What an attempt waits for.
    pub(super) waiting: Option<Waiting>,
    /// What gives the parent's result.
    pub(super) inheritance: Option<Box<Inheritance>>,
}

/// One child.
#[derive(Debug)]
pub(super) struct Child<V> {
    pub(super) kind: NodeId,
    pub(super) bond: Bond,
    fan: Option<u32>,
    /// The last attempt of its parent that asked for it.
    pub(super) asked: u32,
    /// The last attempt of its parent that was told of its end.
    pub(super) told: u32,
    pub(super) call: ChildCall,
    /// Its inputs, encoded. Gone when nobody can need them.
    pub(super) arguments: Option<Arc<[u8]>>,
    pub(super) limits: Option<Box<ChildLimits>>,
    pub(super) state: ChildState<V>,
}

/// What a child is doing.
#[derive(Debug)]
pub(super) enum ChildState<V> {
    /// It has not begun.
    Waiting,
    /// Its frame is open.
    Open,
    /// It is over, and its parent may ask for what it gave.
    Succeeded(V),
    /// It is over, and its parent may ask for how it failed.
    Failed(Box<Failing<V>>),
    /// It is over.
    Over,
}

/// Children of which only some run at once.
#[derive(Debug)]
struct FanOut {
    limit: u32,
    /// How many are under way, or may begin.
    active: u32,
    /// Those that may not begin yet.
    waiting: VecDeque<u32>,
}

impl<V> Child<V> {
    /// Whether nothing more will happen to it.
    pub(super) const fn is_over(&self) -> bool {
        !matches!(self.state, ChildState::Waiting | ChildState::Open)
    }

    /// Whether its parent waits for it, or may do so.
    pub(super) fn is_held(&self) -> bool {
        self.bond == Bond::Held
    }
}

impl<V> Children<V> {
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Child<V>> {
        self.list.get(usize::try_from(number).ok()?)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Child<V>> {
        self.list.get_mut(usize::try_from(number).ok()?)
    }

    /// The number of the child that a call means.
    pub(super) fn called(&self, call: &ChildCall) -> Option<u32> {
        self.calls.get(call).copied()
    }

    /// Whether the parent may still ask for a child.
    pub(super) fn is_called(&self, number: u32) -> bool {
        self.get(number)
            .is_some_and(|child| self.called(&child.call) == Some(number))
    }

    /// Those that were spawned since calls were forgotten.
    pub(super) fn recent(&self) -> impl Iterator<Item = (u32, &Child<V>)> {
        let first = u32::try_from(self.first_called).unwrap_or(u32::MAX);
        let recent = self.list.get(self.first_called..).unwrap_or_default();
        (first..).zip(recent)
    }

    /// Children in a frame that is awake, or is not.
    pub(super) fn new(is_awake: bool) -> Self {
        Self {
            list: Vec::new(),
            calls: BTreeMap::new(),
            first_called: 0,
            fans: Vec::new(),
            fan_numbers: BTreeMap::new(),
            queue: VecDeque::new(),
            is_awake,
            is_going: false,
            failed: Vec::new(),
            waiting: None,
            inheritance: None,
        }
    }

    /// Adds one, and gives its number; and that of one that its call no longer means, if that has not
    /// begun and never will.
    fn add(&mut self, spawned: &SpawnedChild) -> (u32, Option<u32>) {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let has_limits = spawned.limits != ChildLimits::default();
        let fan = spawned.fan.map(|fan| self.fan(fan));
        self.list.push(Child {
            kind: spawned.kind,
            bond: spawned.bond,
            fan,
            asked: 0,
            told: 0,
            call: spawned.call.clone(),
            arguments: Some(spawned.arguments.as_slice().into()),
            limits: has_limits.then(|| Box::new(spawned.limits)),
            state: ChildState::Waiting,
        });
        let before = self.calls.insert(spawned.call.clone(), number);
        let before = before.filter(|before| {
            self.get(*before)
                .is_some_and(|child| child.is_held() && matches!(child.state, ChildState::Waiting))
        });
        if let Some(child) = before.and_then(|before| self.get_mut(before)) {
            child.state = ChildState::Over;
            child.arguments = None;
        }
        if self.is_awake {
            self.enqueue(number);
        }
        (number, before)
    }

    /// Adds one that no call means, and that begins when it is told to.
    pub(super) fn add_heir(&mut self, kind: NodeId, limits: ChildLimits) -> u32 {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let has_limits = limits != ChildLimits::default();
        self.list.push(Child {
            kind,
            bond: Bond::Held,
            fan: None,
            asked: 0,
            told: 0,
            call: ChildCall::Number(u32::MAX),
            arguments: None,
            limits: has_limits.then(|| Box::new(limits)),
            state: ChildState::Waiting,
        });
        number
    }

    fn fan(&mut self, fan: Fan) -> u32 {
        let next = u32::try_from(self.fans.len()).unwrap_or(u32::MAX);
        let known = *self.fan_numbers.entry(fan.number).or_insert(next);
        if known == next {
            self.fans.push(FanOut {
                limit: fan.limit,
                active: 0,
                waiting: VecDeque::new(),
            });
        } else if let Some(fan_out) = self.fan_mut(Some(known)) {
            fan_out.limit = fan.limit;
        }
        known
    }

    fn fan_mut(&mut self, fan: Option<u32>) -> Option<&mut FanOut> {
        self.fans.get_mut(usize::try_from(fan?).ok()?)
    }

    /// One that has not begun waits for its turn.
    fn enqueue(&mut self, number: u32) {
        let fan = self.get(number).and_then(|child| child.fan);
        if let Some(fan) = self.fan_mut(fan) {
            if fan.active >= fan.limit.max(1) {
                return fan.waiting.push_back(number);
            }
            fan.active += 1;
        }
        self.queue.push_back(number);
    }

    /// Whether its fan has room for one more.
    fn has_room(&mut self, number: u32) -> bool {
        let fan = self.get(number).and_then(|child| child.fan);
        self.fan_mut(fan)
            .is_none_or(|fan| fan.active < fan.limit.max(1))
    }

    /// Counts one that had begun before a restart.
    fn count_open(&mut self, number: u32) {
        let fan = self.get(number).and_then(|child| child.fan);
        if let Some(fan) = self.fan_mut(fan) {
            fan.active += 1;
        }
    }

    /// The next that may begin.
    fn next(&mut self) -> Option<u32> {
        let number = self.queue.pop_front()?;
        if let Some(child) = self.get_mut(number) {
            child.state = ChildState::Open;
        }
        Some(number)
    }

    /// One is over: gives how it failed if that concerns the workflow.
    fn end(&mut self, number: u32, end: Result<V, Box<Failing<V>>>) -> Option<Box<Failing<V>>> {
        let fan = self.get(number).and_then(|child| child.fan);
        if self.is_awake
            && let Some(fan) = self.fan_mut(fan)
        {
            fan.active = fan.active.saturating_sub(1);
            if fan.active < fan.limit.max(1)
                && let Some(next) = fan.waiting.pop_front()
            {
                fan.active += 1;
                self.queue.push_back(next);
            }
        }
        let is_called = self.is_called(number);
        let is_inherited = self
            .inheritance
            .as_mut()
            .is_some_and(|inheritance| inheritance.open.remove(&number));
        let child = self.get_mut(number)?;
        let is_kept = child.is_held() && (is_called || is_inherited);
        if !is_called {
            child.arguments = None;
        }
        let (state, raised) = match end {
            Ok(value) if is_kept => (ChildState::Succeeded(value), None),
            Err(failing) if is_kept => (ChildState::Failed(failing), None),
            Err(failing) if child.bond == Bond::Followed => (ChildState::Over, Some(failing)),
            Ok(_) | Err(_) => (ChildState::Over, None),
        };
        child.state = state;
        raised
    }

    /// One has failed, or will have when what it has under way is over.
    fn fail(&mut self, number: u32) {
        if self.is_called(number) {
            self.failed.push(number);
        }
    }

    /// An attempt failed: what it calls next is not one of those that failed.
    pub(super) fn loosen(&mut self) {
        for number in std::mem::take(&mut self.failed) {
            if !self.is_called(number) {
                continue;
            }
            if let Some(child) = self.get_mut(number) {
                if child.is_over() {
                    child.state = ChildState::Over;
                }
                child.arguments = None;
                let call = child.call.clone();
                self.calls.remove(&call);
            }
        }
    }

    /// Forgets what calls mean, and all that was kept for them. What is held and not over concerns
    /// nobody from here on, but for what is inherited.
    pub(super) fn release(&mut self) {
        self.calls.clear();
        self.fan_numbers.clear();
        self.failed.clear();
        self.waiting = None;
        let inherited = self.inheritance.as_ref().map(|it| &it.children);
        let recent = self.list.get_mut(self.first_called..).unwrap_or_default();
        let first = u32::try_from(self.first_called).unwrap_or(u32::MAX);
        for (number, child) in (first..).zip(recent) {
            if inherited.is_some_and(|inherited| inherited.contains(&number)) {
                continue;
            }
            if child.is_over() {
                child.state = ChildState::Over;
                child.arguments = None;
            } else if child.is_held() {
                child.bond = Bond::Detached;
            }
        }
        self.first_called = self.list.len();
    }
}

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
        let Some(frame) = self.frames.get_mut(parent.frame) else {
            return;
        };
        let children = frame.children_of(parent.node);
        let (number, before) = children.add(spawned);
        frame.open += 1;
        if before.is_some() {
            frame.open -= 1;
        }
        self.spawned = self.spawned.saturating_add(1);
        self.progress.known = self.progress.known.saturating_add(jobs);
        if spawned.bond != Bond::Held {
            self.follow(parent, number);
        }
        self.go_over_children(parent);
    }

    /// Lists a job among those that may open another frame, if it has a child that may begin.
    fn go_over_children(&mut self, parent: Place) {
        let has_more = self.children_mut(parent).is_some_and(|children| {
            let has_more = children.is_awake && !children.queue.is_empty();
            has_more && !std::mem::replace(&mut children.is_going, true)
        });
        if has_more {
            self.going.push(parent);
        }
    }

    /// The frame of the next child of a job that may begin. Where everything comes to its end none
    /// does.
    pub(super) fn take_child(&mut self, parent: Place) -> Option<FrameId> {
        let is_stopped = self.is_stopped(parent.frame);
        let children = self.children_mut(parent)?;
        let next = if is_stopped { None } else { children.next() };
        if next.is_none() {
            children.is_going = false;
        }
        self.frame_of(parent, next?)
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
        let (begun, later): (Vec<_>, Vec<_>) = rebuilt
            .into_iter()
            .partition(|(_, frame)| self.was_under_way(*frame));
        let is_stopped = self.is_stopped(parent.frame);
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
            if is_stopped || children.has_room(number) {
                children.count_open(number);
                awake.push(number);
            } else if let Some(child) = children.get_mut(number) {
                child.state = ChildState::Waiting;
            }
        }
        let waiting = (0..).zip(&children.list).filter(|(number, child)| {
            Some(*number) != heir && matches!(child.state, ChildState::Waiting)
        });
        let waiting: Vec<u32> = waiting.map(|(number, _)| number).collect();
        for number in waiting {
            children.enqueue(number);
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
        let raised = children.end(number, end);
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
            self.tasks.push_back(super::Task::Finish(parent.frame));
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

impl<V: Clone> Child<V> {
    /// How it ended, if its parent may ask for that.
    pub(super) fn ending(&self) -> Option<ChildEnd<V>> {
        match &self.state {
            ChildState::Succeeded(value) => Some(ChildEnd::Succeeded(value.clone())),
            ChildState::Failed(failing) => Some(ChildEnd::Failed(
                Box::new(failing.caught()),
                failing.error.clone(),
            )),
            ChildState::Waiting | ChildState::Open | ChildState::Over => None,
        }
    }
}

/// A job that spawns, or waits for, what it can't.
pub(super) fn misspawned(parent: Place) -> Violation {
    violation(
        "I22 a job spawns kinds that it lists, and waits for children that it holds",
        parent,
    )
}
