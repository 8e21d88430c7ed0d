//! The *line* of an attempt: what it and the driver of its run have to tell each other while it is
//! under way, about its children and the values that it keeps.
//!
//! The job's side spawns, waits and drops. What comes of that is kept here until the attempt can go
//! on with nothing but a child: then it *parks*, and what it has asked for since it was last heard
//! of is reported. The driver's side brings how children ended, which wakes whoever waits for them.
//!
//! Nothing of the user's runs under the lock, and it is never held over an await: wakers are called,
//! and values dropped, outside of it.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use zahir_store::{Bond, ChildCall, ChildLimits, Failure, FailureKind, Fan, NodeId, Position};

use crate::job::failure;
use crate::value::{Codec, Value};
pub(crate) use kept::Recalled;

/// The most children that are reported at once ..
const REPORT_MAX: usize = 1024;

/// .. and about the most bytes of their inputs. A report is one append to the store.
const REPORT_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of the key of a child, or of the name of a value that is kept.
const NAME_BYTES_MAX: usize = 1024;

/// What the keys of children begin with that belong to a fan whose number of items is not known
/// when it is made.
pub(crate) const FAN_KEY: &str = "map(";

/// What an attempt and the driver of its run tell each other.
pub(crate) struct Line {
    /// What the job may spawn; `None` outside of a run, where children run in place.
    kinds: Option<Vec<Kind>>,
    /// The most bytes that the inputs of a child, or a value that is kept, may have.
    value_bytes_max: usize,
    /// The most children that an attempt may ask for. The engine counts those of all attempts, but
    /// learns of them in parts: this keeps what is not reported yet within bounds.
    children_max: usize,
    state: Mutex<State>,
}

/// Something that a job may spawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// What it is stored as.
    pub(crate) name: &'static str,
    /// What it is among the kinds of the plan.
    pub(crate) node: NodeId,
    /// How its error is stored, if it is kept.
    pub(crate) error: Option<Codec>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Whether the job is being polled.
    is_polled: bool,
    /// Whether somebody woke the job since its last poll began.
    is_woken: bool,
    /// Whether the last report left something out: the next one follows without a poll.
    has_more: bool,
    /// Wakes the attempt.
    task: Option<Waker>,
    /// The number of the next child without a key.
    next_number: u32,
    next_fan: u32,
    next_id: ChildId,
    next_group: GroupId,
    /// How many children were asked for.
    asked: usize,
    /// The children whose handle is there and whose outcome was not taken.
    children: BTreeMap<ChildId, Entry>,
    /// Those of them that were reported.
    reported: BTreeMap<ChildCall, ChildId>,
    /// The others.
    fresh: BTreeSet<ChildId>,
    /// What children were called by that have a key.
    keys: BTreeSet<String>,
    /// The children whose handle was dropped before they were reported.
    followers: Vec<(ChildId, Spawned)>,
    /// Those whose handle was dropped behind that, before their outcome was taken.
    left: BTreeSet<ChildCall>,
    groups: BTreeMap<GroupId, Group>,
    kept: kept::KeptValues,
    heir: Option<Box<Heir>>,
    fault: Option<Failure>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It may be polled.
    #[default]
    Running,
    /// That it waits is about to be reported.
    Parking,
    /// It was reported to wait, and is not polled.
    Parked,
    /// The same, and that it was woken was reported, too.
    Woken,
    /// The attempt is over.
    Over,
}

/// Names a child of an attempt, within the process.
pub(crate) type ChildId = u64;

/// Names children that somebody waits for together.
pub(crate) type GroupId = u64;

#[derive(Debug)]
struct Entry {
    call: ChildCall,
    kind: NodeId,
    /// What is to be reported; `None` once it was.
    spawned: Option<Spawned>,
    /// Who waits for it.
    group: Option<GroupId>,
    end: Option<ChildEnd>,
}

#[derive(Debug, Default)]
struct Group {
    /// Those that are not over.
    open: BTreeSet<ChildId>,
    /// Those that are, and whose outcome was not taken.
    ended: Vec<ChildId>,
    /// Whoever waits is woken when no more than so many are not over.
    open_max: usize,
    waker: Option<Waker>,
}

/// A child, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spawned {
    pub(crate) kind: NodeId,
    pub(crate) call: ChildCall,
    pub(crate) bond: Bond,
    /// Its inputs, encoded.
    pub(crate) arguments: Vec<u8>,
    pub(crate) fan: Option<Fan>,
    pub(crate) limits: ChildLimits,
}

impl Spawned {
    /// About how many bytes it takes to report it.
    fn weight(&self) -> usize {
        let call = match &self.call {
            ChildCall::Number(_) => 0,
            ChildCall::Key(key) => key.len(),
        };
        self.arguments.len().saturating_add(call)
    }
}

/// Children that a parked attempt waits for, until at most `open_max` of them are not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) children: Vec<ChildCall>,
    pub(crate) open_max: usize,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) enum ChildEnd {
    /// With this result.
    Succeeded(Value),
    /// With this failure, and the error itself if it was kept.
    Failed(Box<crate::Failure>, Option<Value>),
}

/// Why nobody is told how a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It was told before.
    Taken,
    /// The attempt is over: nothing comes on its line any more.
    Over,
}

impl Gone {
    pub(crate) fn failure(self) -> Failure {
        let text = match self {
            Self::Taken => "its outcome was given out before: a child is awaited once",
            Self::Over => {
                "the attempt of its job is over, so nobody is told what becomes of it: await a child \
                 before its job ends"
            }
        };
        failure(FailureKind::Bug, text.to_owned())
    }
}

/// A child that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: ChildId,
    kind: NodeId,
    pub(crate) end: ChildEnd,
}

/// The job that gives the result in place of this one.
#[derive(Debug)]
pub(crate) struct Heir {
    pub(crate) kind: NodeId,
    pub(crate) inputs: Vec<(String, Legacy)>,
    pub(crate) limits: ChildLimits,
}

/// Where an input of an heir comes from.
#[derive(Debug)]
pub(crate) enum Legacy {
    /// An encoded value.
    Value(Vec<u8>),
    /// The result of a child.
    Child(ChildCall),
    /// The results of children, as a list.
    Children(Vec<ChildCall>),
}

/// What is to be done with the attempt before it is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Poll it.
    Poll,
    /// Look at what it asks for, without a poll.
    Report,
    /// Leave it alone: it waits for children.
    Wait,
}

/// What an attempt that is pending asks for.
#[derive(Debug)]
pub(crate) enum Petition {
    /// Nothing: it waits for something else than children.
    Nothing,
    /// To be polled again when this is over. When that was reported, [`Line::park`] follows.
    Park {
        spawned: Vec<Spawned>,
        waits: Vec<Awaited>,
    },
    /// To end, and to let this job give its result.
    Continue {
        spawned: Vec<Spawned>,
        heir: Box<Heir>,
    },
    /// To end: it did what can't be done.
    Fail(Failure),
}

/// What is told of the children of an attempt that has a result, or asks to be followed by another
/// one.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Those that were not reported.
    pub(crate) spawned: Vec<Spawned>,
    /// Those that were, and whose outcome the job did not take.
    pub(crate) left: Vec<ChildCall>,
}

/// The job's side.
impl Line {
    pub(crate) fn new(
        kinds: Vec<Kind>,
        value_bytes_max: usize,
        children_max: usize,
        kept: impl IntoIterator<Item = (Arc<str>, Arc<[u8]>)>,
    ) -> Self {
        let kept = kept::KeptValues::known(kept);
        Self {
            kinds: Some(kinds),
            value_bytes_max,
            children_max,
            state: Mutex::new(State {
                kept,
                ..State::default()
            }),
        }
    }

    /// That of a job that runs outside of a run: it is asked nothing but whether it is one.
    pub(crate) fn detached() -> Self {
        Self {
            kinds: None,
            value_bytes_max: usize::MAX,
            children_max: usize::MAX,
            state: Mutex::default(),
        }
    }

    /// Whether children run in place.
    pub(crate) const fn is_detached(&self) -> bool {
        self.kinds.is_none()
    }

    /// What is stored as this, among what the job may spawn. Without it the attempt can't go on.
    pub(crate) fn kind(&self, name: &str) -> Option<NodeId> {
        let mut kinds = self.kinds.iter().flatten();
        let kind = kinds.find(|kind| kind.name == name);
        if kind.is_none() {
            let message = format!("`{name}` is not among what it may spawn");
            self.fail(failure(FailureKind::Bug, message));
        }
        kind.map(|kind| kind.node)
    }

    /// A child with these inputs; `None` if the attempt can't go on. Nothing happens before the
    /// attempt waits for one, or ends.
    pub(crate) fn spawn(&self, kind: NodeId, arguments: Vec<u8>) -> Option<ChildId> {
        self.add(kind, arguments, None, |state| {
            ChildCall::Number(state.take_numbers(1))
        })
    }

    /// A child of a fan, which the fan has given its name.
    pub(crate) fn spawn_as(
        &self,
        call: ChildCall,
        kind: NodeId,
        arguments: Vec<u8>,
        fan: Option<Fan>,
    ) -> Option<ChildId> {
        self.add(kind, arguments, fan, |_| call)
    }

    /// Numbers for this many children: the first of them.
    pub(crate) fn reserve(&self, count: u32) -> u32 {
        self.lock().take_numbers(count)
    }

    fn add(
        &self,
        kind: NodeId,
        arguments: Vec<u8>,
        fan: Option<Fan>,
        name: impl FnOnce(&mut State) -> ChildCall,
    ) -> Option<ChildId> {
        if let Err(refused) = self.check_inputs("a child", arguments.len()) {
            self.fail(refused);
            return None;
        }
        let mut state = self.lock();
        if state.asked >= self.children_max {
            drop(state);
            let message = format!(
                "a job may have {} children (`children_per_job_max`), and this one spawned more",
                self.children_max
            );
            self.fail(failure(FailureKind::TooLarge, message));
            return None;
        }
        state.asked += 1;
        let id = state.next_id;
        state.next_id += 1;
        let call = name(&mut state);
        let spawned = Spawned {
            kind,
            call: call.clone(),
            bond: Bond::Held,
            arguments,
            fan,
            limits: ChildLimits::default(),
        };
        let entry = Entry {
            call,
            kind,
            spawned: Some(spawned),
            group: None,
            end: None,
        };
        state.children.insert(id, entry);
        state.fresh.insert(id);
        drop(state);
        Some(id)
    }

    /// Refuses inputs that are too large for the store.
    pub(crate) fn check_inputs(&self, of: &str, bytes: usize) -> Result<(), Failure> {
        if bytes <= self.value_bytes_max {
            return Ok(());
        }
        let message = format!(
            "the inputs of {of} have {bytes} bytes, of which {} are allowed (`value_bytes_max`): pass \
             a reference to where the data is",
            self.value_bytes_max
        );
        Err(failure(FailureKind::TooLarge, message))
    }

    /// The number of another fan.
    pub(crate) fn fan(&self) -> u32 {
        let mut state = self.lock();
        let fan = state.next_fan;
        state.next_fan += 1;
        fan
    }

    /// Gives a child a name in place of its number.
    pub(crate) fn set_key(&self, id: ChildId, key: String) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if key.len() > NAME_BYTES_MAX {
            state.fail(too_long("key of a child", key.len()));
            return;
        }
        if key.starts_with(FAN_KEY) {
            let message =
                format!("keys that begin with `{FAN_KEY}`, as `{key}`, are those of `ctx.map(..)`");
            state.fail(failure(FailureKind::Diverged, message));
            return;
        }
        if !state.keys.insert(key.clone()) {
            let message = format!(
                "two children of this job have the key `{key}`: a child is found again by its key, so \
                 give each a key of its own"
            );
            state.fail(failure(FailureKind::Diverged, message));
            return;
        }
        let Some(spawned) = state.unreported(id, "key") else {
            return;
        };
        let call = mem::replace(&mut spawned.call, ChildCall::Key(key));
        let named = spawned.call.clone();
        if let Some(entry) = state.children.get_mut(&id) {
            entry.call = named;
        }
        // Given back only by the last one: the numbers of the others stay what they are.
        if let ChildCall::Number(number) = call
            && number.checked_add(1) == Some(state.next_number)
        {
            state.next_number = number;
        }
    }

    /// Lets nobody be concerned by the failure of a child.
    pub(crate) fn set_detached(&self, id: ChildId) {
        if let Some(spawned) = self.lock().unreported(id, "detached") {
            spawned.bond = Bond::Detached;
        }
    }

    /// Changes what the call of a child says in place of its job.
    pub(crate) fn limit(
        &self,
        id: ChildId,
        method: &'static str,
        change: impl FnOnce(&mut ChildLimits),
    ) {
        if let Some(spawned) = self.lock().unreported(id, method) {
            change(&mut spawned.limits);
        }
    }

    /// What the driver finds a child by.
    pub(crate) fn call(&self, id: ChildId) -> Option<ChildCall> {
        let state = self.lock();
        state.children.get(&id).map(|entry| entry.call.clone())
    }

    /// Nobody asks for the outcome of a child any more.
    pub(crate) fn release(&self, id: ChildId) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(entry) = state.children.remove(&id) else {
            return;
        };
        state.fresh.remove(&id);
        if let Some(group) = entry.group.and_then(|group| state.groups.get_mut(&group)) {
            group.open.remove(&id);
            group.ended.retain(|ended| *ended != id);
        }
        if state.phase == Phase::Over {
            // What becomes of it is settled.
        } else if let Some(spawned) = entry.spawned {
            state.followers.push((id, spawned));
        } else {
            state.reported.remove(&entry.call);
            state.left.insert(entry.call);
        }
        drop(guard);
        // With the value in it outside of the lock.
        drop(entry.end);
    }

    /// Children that are waited for together; none at first.
    pub(crate) fn group(&self) -> GroupId {
        let mut state = self.lock();
        let group = state.next_group;
        state.next_group += 1;
        state.groups.insert(group, Group::default());
        group
    }

    /// Lets a group wait for these, too.
    pub(crate) fn join(&self, group: GroupId, children: impl IntoIterator<Item = ChildId>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(joined) = state.groups.get_mut(&group) else {
            return;
        };
        let mut others = Vec::new();
        for id in children {
            if let Some(entry) = state.children.get_mut(&id) {
                others.extend(entry.group.replace(group).map(|other| (other, id)));
                if entry.end.is_some() {
                    joined.ended.push(id);
                } else {
                    joined.open.insert(id);
                }
            }
        }
        for (other, id) in others {
            if let Some(other) = state.groups.get_mut(&other).filter(|_| other != group) {
                other.open.remove(&id);
                other.ended.retain(|ended| *ended != id);
            }
        }
    }

    /// Ready when at most `open_max` of a group are not over, with the outcomes of those that are; or
    /// when the attempt is over, with that: whoever waits in a task of its own would wait for ever.
    pub(crate) fn poll_group(
        &self,
        group: GroupId,
        open_max: usize,
        context: &Context<'_>,
    ) -> Poll<Result<Vec<Ended>, Gone>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.phase == Phase::Over {
            return Poll::Ready(Err(Gone::Over));
        }
        let Some(joined) = state.groups.get_mut(&group) else {
            return Poll::Ready(Err(Gone::Taken));
        };
        if joined.open.len() > open_max {
            joined.open_max = open_max;
            joined.waker = Some(context.waker().clone());
            let task = state.call_back();
            drop(guard);
            wake(task);
            return Poll::Pending;
        }
        let mut ended = Vec::with_capacity(joined.ended.len());
        for id in mem::take(&mut joined.ended) {
            if let Some(entry) = state.children.remove(&id) {
                state.reported.remove(&entry.call);
                let kind = entry.kind;
                ended.extend(entry.end.map(|end| Ended { id, kind, end }));
            }
        }
        Poll::Ready(Ok(ended))
    }

    /// How a child ended, for the job to keep: an error that its run has, too, is copied.
    pub(crate) fn own(&self, ended: Ended) -> ChildEnd {
        let Ended { kind, end, .. } = ended;
        let ChildEnd::Failed(failure, Some(error)) = end else {
            return end;
        };
        let kind = self.kinds.iter().flatten().find(|known| known.node == kind);
        let copied = kind.and_then(|kind| kind.error).and_then(|codec| {
            let bytes = (codec.encode)(&error).ok()?;
            (codec.decode)(&bytes).ok()
        });
        ChildEnd::Failed(failure, Some(copied.unwrap_or(error)))
    }

    /// Nobody waits for a group any more.
    pub(crate) fn disband(&self, group: GroupId) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(joined) = state.groups.remove(&group) else {
            return;
        };
        for id in joined.open.iter().chain(&joined.ended) {
            if let Some(entry) = state.children.get_mut(id) {
                entry.group = None;
            }
        }
        drop(guard);
        drop(joined);
    }

    /// Lets another job give the result.
    pub(crate) fn bequeath(&self, heir: Heir) {
        let mut guard = self.lock();
        guard.heir = Some(Box::new(heir));
        let task = guard.call_back();
        drop(guard);
        wake(task);
    }

    /// Ends the attempt: it can't go on.
    pub(crate) fn fail(&self, fault: Failure) {
        let mut guard = self.lock();
        guard.fail(fault);
        let task = guard.call_back();
        drop(guard);
        wake(task);
    }
}

/// The executor's side.
impl Line {
    /// The attempt is about to be polled by a task with this waker.
    pub(crate) fn enter(&self, task: &Waker) -> Entrance {
        let mut state = self.lock();
        if !state.task.as_ref().is_some_and(|own| own.will_wake(task)) {
            state.task = Some(task.clone());
        }
        match state.phase {
            Phase::Parking | Phase::Parked | Phase::Woken => return Entrance::Wait,
            Phase::Running | Phase::Over => {}
        }
        if state.has_more && !state.is_woken {
            return Entrance::Report;
        }
        state.is_woken = false;
        state.is_polled = true;
        Entrance::Poll
    }

    /// The attempt was polled, and is pending. `parks`: whether it may park. It may not if it is about
    /// to be polled again by a task that nobody could wake yet.
    pub(crate) fn leave(&self, parks: bool) -> Petition {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.is_polled = false;
        if let Some(fault) = state.fault.take() {
            return Petition::Fail(fault);
        }
        if let Some(heir) = state.heir.take() {
            let spawned = state.bequest(&heir);
            return Petition::Continue { spawned, heir };
        }
        if !parks || state.is_woken {
            return Petition::Nothing;
        }
        if !state.is_waiting() {
            return Petition::Nothing;
        }
        let spawned = state.report();
        state.phase = Phase::Parking;
        state.has_more = !state.fresh.is_empty();
        let waits = if state.has_more {
            // Over at once: so that the rest is reported.
            vec![Awaited {
                children: Vec::new(),
                open_max: 0,
            }]
        } else {
            // Only now: they may be as many as all the children that were reported in parts.
            state.waits()
        };
        Petition::Park { spawned, waits }
    }

    /// That the attempt waits is reported: says whether it was woken meanwhile, which has to be
    /// reported behind that.
    pub(crate) fn park(&self) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Parking {
            // Whoever was told has answered already.
            return false;
        }
        if state.is_woken {
            state.phase = Phase::Woken;
        } else {
            state.phase = Phase::Parked;
        }
        state.is_woken
    }

    /// Something has woken the job: says whether that has to be reported.
    pub(crate) fn wake(&self) -> bool {
        let mut guard = self.lock();
        guard.is_woken = true;
        match guard.phase {
            Phase::Running => {
                let task = guard.task.clone();
                drop(guard);
                wake(task);
                false
            }
            Phase::Parked => {
                guard.phase = Phase::Woken;
                true
            }
            Phase::Parking | Phase::Woken | Phase::Over => false,
        }
    }

    /// How many waits for children end with this waker.
    pub(crate) fn waits_with(&self, waker: &Waker) -> usize {
        let state = self.lock();
        let wakers = state.groups.values().filter_map(|it| it.waker.as_ref());
        wakers.filter(|it| it.will_wake(waker)).count()
    }

    /// What is wrong with what the attempt did, if it has ended meanwhile.
    pub(crate) fn fault(&self) -> Option<Failure> {
        self.lock().fault.take()
    }

    /// The attempt has a result, or asks to be followed by another one.
    pub(crate) fn conclude(&self) -> Leaving {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.phase = Phase::Over;
        let spawned = state.unreported_all(&BTreeSet::new());
        let mut left = mem::take(&mut state.left);
        left.extend(mem::take(&mut state.reported).into_keys());
        Leaving {
            spawned,
            left: left.into_iter().collect(),
        }
    }

    /// The attempt is over, whatever came of it.
    pub(crate) fn close(&self) {
        let mut guard = self.lock();
        guard.phase = Phase::Over;
        let mut state = mem::take(&mut *guard);
        guard.phase = Phase::Over;
        drop(guard);
        let groups = state.groups.values_mut();
        let wakers: Vec<_> = groups.filter_map(|group| group.waker.take()).collect();
        drop(state);
        // Tasks of their own that wait for children: they are told that the attempt is over.
        for waker in wakers {
            waker.wake();
        }
    }
}

/// The driver's side.
impl Line {
    /// These children are over. The attempt goes on.
    pub(crate) fn resume(&self, ended: Vec<(ChildCall, ChildEnd)>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.phase == Phase::Over {
            drop(guard);
            return drop(ended);
        }
        state.phase = Phase::Running;
        let mut wakers = Vec::new();
        let mut unclaimed = Vec::new();
        for (call, end) in ended {
            match state.end(&call, end) {
                Ok(waker) => wakers.extend(waker),
                Err(end) => unclaimed.push(end),
            }
        }
        wakers.extend(state.task.clone());
        drop(guard);
        drop(unclaimed);
        for waker in wakers {
            waker.wake();
        }
    }
}

impl State {
    fn take_numbers(&mut self, count: u32) -> u32 {
        let first = self.next_number;
        self.next_number = first.saturating_add(count);
        first
    }

    /// The first fault stays.
    fn fail(&mut self, fault: Failure) {
        if self.fault.is_none() && self.phase != Phase::Over {
            self.fault = Some(fault);
        }
    }

    /// What wakes the attempt, if something was asked for while it was not polled.
    fn call_back(&self) -> Option<Waker> {
        if self.is_polled || self.phase != Phase::Running {
            None
        } else {
            self.task.clone()
        }
    }

    /// A child that may still be changed.
    fn unreported(&mut self, id: ChildId, method: &'static str) -> Option<&mut Spawned> {
        let spawned = self.children.get(&id).map(|entry| entry.spawned.is_some());
        if spawned == Some(false) {
            let message = format!(
                "`.{method}(..)` comes too late: it has to be said in the expression that spawns the \
                 child, before the job awaits anything"
            );
            self.fail(failure(FailureKind::Diverged, message));
        }
        self.children.get_mut(&id)?.spawned.as_mut()
    }

    /// What the attempt waits for.
    fn unsatisfied(&self) -> impl Iterator<Item = &Group> {
        let groups = self.groups.values();
        groups.filter(|group| group.open.len() > group.open_max)
    }

    fn is_waiting(&self) -> bool {
        self.unsatisfied().next().is_some()
    }

    /// What the attempt waits for, as it is reported.
    fn waits(&self) -> Vec<Awaited> {
        let call = |id| Some(self.children.get(id)?.call.clone());
        self.unsatisfied()
            .map(|group| Awaited {
                children: group.open.iter().filter_map(call).collect(),
                open_max: group.open_max,
            })
            .collect()
    }

    /// The children to be reported next: as many as fit.
    fn report(&mut self) -> Vec<Spawned> {
        let (mut spawned, mut bytes) = (Vec::new(), 0);
        while spawned.len() < REPORT_MAX
            && bytes < REPORT_BYTES_MAX
            && let Some(id) = self.fresh.pop_first()
        {
            let Some(entry) = self.children.get_mut(&id) else {
                continue;
            };
            if let Some(child) = entry.spawned.take() {
                bytes += child.weight();
                self.reported.insert(child.call.clone(), id);
                spawned.push(child);
            }
        }
        spawned
    }

    /// All children that were not reported, in the order they were spawned. They follow, but for
    /// those that are held.
    fn unreported_all(&mut self, held: &BTreeSet<ChildCall>) -> Vec<Spawned> {
        let mut all = mem::take(&mut self.followers);
        for id in mem::take(&mut self.fresh) {
            let entry = self.children.get_mut(&id);
            all.extend(entry.and_then(|entry| Some((id, entry.spawned.take()?))));
        }
        all.sort_unstable_by_key(|(id, _)| *id);
        let bonded = all.into_iter().map(|(_, mut child)| {
            if child.bond == Bond::Held && !held.contains(&child.call) {
                child.bond = Bond::Followed;
            }
            child
        });
        bonded.collect()
    }

    /// The children that are reported with the wish that another job gives the result.
    fn bequest(&mut self, heir: &Heir) -> Vec<Spawned> {
        self.phase = Phase::Over;
        let mut held = BTreeSet::new();
        for (_, legacy) in &heir.inputs {
            match legacy {
                Legacy::Value(_) => {}
                Legacy::Child(call) => {
                    held.insert(call.clone());
                }
                Legacy::Children(calls) => held.extend(calls.iter().cloned()),
            }
        }
        self.unreported_all(&held)
    }

    /// A child is over: gives what wakes whoever waits for it, or its outcome if nobody asks.
    fn end(&mut self, call: &ChildCall, end: ChildEnd) -> Result<Option<Waker>, ChildEnd> {
        let Some(id) = self.reported.get(call).copied() else {
            return Err(end);
        };
        let Some(entry) = self.children.get_mut(&id) else {
            return Err(end);
        };
        if entry.end.is_some() {
            return Err(end);
        }
        entry.end = Some(end);
        let Some(group) = entry.group.and_then(|group| self.groups.get_mut(&group)) else {
            return Ok(None);
        };
        group.open.remove(&id);
        group.ended.push(id);
        if group.open.len() > group.open_max {
            return Ok(None);
        }
        Ok(group.waker.take())
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_long(what: &str, bytes: usize) -> Failure {
    let message = format!("the {what} has {bytes} bytes, of which {NAME_BYTES_MAX} are possible");
    failure(FailureKind::TooLarge, message)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

/// What an attempt is under way in. Everything it can ask of its run goes through this.
pub(crate) trait Host: Send + Sync {
    /// Its line, which is made when it is first asked for; `None` if it stands in for its job or
    /// undoes its result: then it has no children and keeps nothing.
    fn line(&self) -> Option<&Arc<Line>>;

    /// Reports a value that is to be kept.
    fn keep(&self, name: &str, value: Vec<u8>);

    /// Ends the attempt: what it has asked for can't be done.
    fn fail(&self, failure: Failure);

    /// Whether anybody watches the run.
    fn is_watched(&self) -> bool;

    /// Tells whoever watches what a node instance says.
    fn tell(&self, at: &Position, told: Told);
}

impl fmt::Debug for dyn Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host(..)")
    }
}

/// What a job tells whoever watches its run.
#[derive(Debug)]
pub(crate) enum Told {
    /// An encoded value.
    Value(Vec<u8>),
    /// How far it has come, and how far it has to go.
    Progress(u64, u64),
}

#[cfg(test)]
mod tests;
