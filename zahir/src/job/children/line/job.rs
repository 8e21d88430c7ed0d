//! The side of the job: it spawns children, waits for them and lets go of them.

use std::mem;
use std::task::{Context, Poll};

use zahir_store::{Bond, ChildCall, ChildLimits, Failure, FailureKind, Fan, NodeId, SpawnedChild};

use super::{
    ChildEnd, ChildId, Ended, Entry, FAN_KEY, Gone, Group, GroupId, Line, NAME_BYTES_MAX, Phase,
    State, too_long, wake,
};
use crate::job::children::asked::Successor;
use crate::job::failure;

impl Line {
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
        let spawned = SpawnedChild {
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
    pub(crate) fn bequeath(&self, heir: Successor) {
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
