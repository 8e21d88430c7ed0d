//! The children of a job: which there are, which may begin, and what became of them.
//!
//! A child costs a frame only while it is under way: before and behind that it is a line in this
//! table.
//!
//! The parent calls its children by number or key. What a call means lasts until the parent has its
//! result, hands over, or asks for another attempt later; and for a child that failed until the
//! attempt fails. An attempt behind one that failed may take another way: what it calls means the
//! same child only if it is the same call.
//!
//! When a run is repaired, the attempts of a job may no longer count. Children from these are suspended
//! until an attempt calls them again; if none does, they are forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use zahir_store::{Attempt, Bond, ChildCall, ChildLimits, FailureKind, Fan, NodeId, SpawnedChild};

use super::action::ChildEnd;
use super::calls::Calls;
use super::heirs::Inheritance;
use super::parking::Waiting;
use super::state::Failing;

/// How many children there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildrenMax {
    /// Of one job, over all of its attempts.
    pub(crate) per_job: usize,
    /// Of all jobs of a run.
    pub(crate) per_run: usize,
    /// How deep: a child of a job that is no child is at depth 1. An heir is as deep as its parent.
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
    calls: Calls,
    /// The first that was spawned since calls were forgotten.
    first_called: usize,
    fans: Vec<FanOut>,
    /// Which fan the parent's numbers mean now.
    fan_numbers: BTreeMap<u32, u32>,
    /// Those that may begin, in order.
    queue: VecDeque<u32>,
    /// Whether what may begin is queued, and fans are counted: not before the parent's frame is awake.
    pub(super) is_awake: bool,
    /// Whether the parent is listed among those that may open another frame.
    pub(super) is_going: bool,
    /// Those that failed, or will have, and that are still called.
    failed: Vec<u32>,
    /// The last attempt of the parent that failed; 0 for none.
    failed_attempt: u32,
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
    /// Whether it does nothing more until its parent calls it again.
    is_suspended: bool,
    /// Whether something was started in it that is never started twice.
    pub(super) is_spent: bool,
    /// The last attempt of its parent that asked for it; 0 if that does not count.
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
    /// Whether it is not to be started again when it has failed: something in it may be started once only,
    /// or may be what kills the process.
    fn is_final(&self) -> bool {
        let is_lost = |failing: &Failing<V>| {
            let kind = failing.failure.kind;
            matches!(kind, FailureKind::Poisoned | FailureKind::Interrupted)
        };
        self.is_spent || matches!(&self.state, ChildState::Failed(failing) if is_lost(failing))
    }

    /// Whether nothing more will happen to it.
    pub(super) const fn is_over(&self) -> bool {
        !matches!(self.state, ChildState::Waiting | ChildState::Open)
    }

    /// Whether its parent waits for it, or may do so.
    pub(super) fn is_held(&self) -> bool {
        self.bond == Bond::Held
    }

    /// Whether it does nothing more until its parent calls it again.
    pub(super) const fn is_suspended(&self) -> bool {
        self.is_suspended && !self.is_over()
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
        self.calls.get(call)
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
            calls: Calls::default(),
            first_called: 0,
            fans: Vec::new(),
            fan_numbers: BTreeMap::new(),
            queue: VecDeque::new(),
            is_awake,
            is_going: false,
            failed: Vec::new(),
            failed_attempt: 0,
            waiting: None,
            inheritance: None,
        }
    }

    /// Whether a child is from an attempt that failed, or does not count, and no attempt behind that has
    /// asked for it: a call with other inputs means another child, then.
    pub(super) const fn is_loose(&self, child: &Child<V>) -> bool {
        child.asked <= self.failed_attempt
    }

    /// The attempts since calls were forgotten do not count any more.
    pub(super) fn disclaim(&mut self) {
        for child in self.list.iter_mut().skip(self.first_called) {
            child.asked = 0;
        }
    }

    pub(super) fn suspend(&mut self, number: u32) {
        if let Some(child) = self.get_mut(number) {
            child.is_suspended = true;
        }
    }

    /// This attempt asks for a child that was there: gives whether it was suspended.
    pub(super) fn resume(&mut self, number: u32, attempt: u32) -> bool {
        let is_awake = self.is_awake;
        let Some(child) = self.get_mut(number) else {
            return false;
        };
        child.asked = attempt;
        let was_suspended = std::mem::take(&mut child.is_suspended);
        if was_suspended && is_awake && !child.is_over() {
            self.enqueue(number);
        }
        was_suspended
    }

    /// Adds one that this attempt of the parent asks for, and gives its number. What its call meant
    /// before goes on, unless it is suspended, and concerns nobody: whether it has begun is not always
    /// on record.
    pub(super) fn add(&mut self, spawned: &SpawnedChild, attempt: u32) -> u32 {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let has_limits = spawned.limits != ChildLimits::default();
        let fan = spawned.fan.map(|fan| self.fan(fan));
        self.list.push(Child {
            kind: spawned.kind,
            bond: spawned.bond,
            fan,
            is_suspended: false,
            is_spent: false,
            asked: attempt,
            told: 0,
            call: spawned.call.clone(),
            arguments: Some(spawned.arguments.as_slice().into()),
            limits: has_limits.then(|| Box::new(spawned.limits)),
            state: ChildState::Waiting,
        });
        let before = self.calls.insert(&spawned.call, number);
        if let Some(child) = before.and_then(|before| self.get_mut(before))
            && child.is_held()
            && !child.is_over()
        {
            child.bond = Bond::Detached;
        }
        if self.is_awake {
            self.enqueue(number);
        }
        number
    }

    /// Adds one that no call means, and that begins when it is told to.
    pub(super) fn add_heir(&mut self, kind: NodeId, limits: ChildLimits) -> u32 {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let has_limits = limits != ChildLimits::default();
        self.list.push(Child {
            kind,
            bond: Bond::Held,
            fan: None,
            is_suspended: false,
            is_spent: false,
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
    pub(super) fn enqueue(&mut self, number: u32) {
        let fan = self.get(number).and_then(|child| child.fan);
        if let Some(fan) = self.fan_mut(fan) {
            if fan.active >= fan.limit.max(1) {
                return fan.waiting.push_back(number);
            }
            fan.active += 1;
        }
        self.queue.push_back(number);
    }

    /// Those that have not begun, and are not suspended.
    pub(super) fn waiting_numbers(&self) -> Vec<u32> {
        let waiting = (0..).zip(&self.list).filter(|(_, child)| {
            matches!(child.state, ChildState::Waiting) && !child.is_suspended()
        });
        waiting.map(|(number, _)| number).collect()
    }

    /// Those that are suspended.
    pub(super) fn suspended_numbers(&self) -> Vec<u32> {
        let suspended = self.recent().filter(|(_, child)| child.is_suspended());
        suspended.map(|(number, _)| number).collect()
    }

    /// Whether the parent is to be listed among those that may open another frame, from here on.
    pub(super) fn begins_going(&mut self) -> bool {
        let has_more = self.is_awake && !self.queue.is_empty();
        has_more && !std::mem::replace(&mut self.is_going, true)
    }

    /// Whether its fan has room for one more.
    pub(super) fn has_room(&mut self, number: u32) -> bool {
        let fan = self.get(number).and_then(|child| child.fan);
        self.fan_mut(fan)
            .is_none_or(|fan| fan.active < fan.limit.max(1))
    }

    /// Counts one that had begun before a restart.
    pub(super) fn count_open(&mut self, number: u32) {
        let fan = self.get(number).and_then(|child| child.fan);
        if let Some(fan) = self.fan_mut(fan) {
            fan.active += 1;
        }
    }

    /// The next that may begin.
    pub(super) fn next(&mut self) -> Option<u32> {
        let number = self.queue.pop_front()?;
        if let Some(child) = self.get_mut(number) {
            child.state = ChildState::Open;
        }
        Some(number)
    }

    /// One is over: gives how it failed if that concerns the workflow.
    pub(super) fn end(
        &mut self,
        number: u32,
        end: Result<V, Box<Failing<V>>>,
    ) -> Option<Box<Failing<V>>> {
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
    pub(super) fn fail(&mut self, number: u32) {
        if self.is_called(number) {
            self.failed.push(number);
        }
    }

    /// An attempt failed: what the next one calls is not one of those that failed.
    /// But some do not begin again, whoever calls them.
    pub(super) fn loosen(&mut self, attempt: Attempt) {
        self.failed_attempt = attempt.number();
        for number in std::mem::take(&mut self.failed) {
            if !self.is_called(number) {
                continue;
            }
            if let Some(child) = self.get_mut(number) {
                if child.is_final() {
                    continue;
                }
                if child.is_over() {
                    child.state = ChildState::Over;
                    child.arguments = None;
                }
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
