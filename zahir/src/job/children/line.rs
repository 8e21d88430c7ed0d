//! The *line* of an attempt: what it and the driver of its run have to tell each other while it is
//! under way, about its children and the values that it keeps.
//!
//! The job's side (`job.rs`) spawns, waits and drops. What comes of that is kept here until the
//! attempt can go on with nothing but a child: then it *parks*, and what it has asked for since it was
//! last heard of is reported. The run's side (`run.rs`) brings how children ended, which wakes whoever
//! waits for them. `kept.rs` has the values.
//!
//! Nothing of the user's runs under the lock, and it is never held over an await: wakers are called,
//! and values dropped, outside of it.

mod job;
mod kept;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use zahir_store::{Bond, ChildCall, Failure, FailureKind, NodeId, Position, SpawnedChild};

use crate::job::children::asked::{Bequest, Successor, Wait, weight};
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
    followers: Vec<(ChildId, SpawnedChild)>,
    /// Those whose handle was dropped behind that, before their outcome was taken.
    left: BTreeSet<ChildCall>,
    groups: BTreeMap<GroupId, Group>,
    kept: kept::KeptValues,
    heir: Option<Box<Successor>>,
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
    spawned: Option<SpawnedChild>,
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
        failure(FailureKind::Error, text.to_owned())
    }
}

/// A child that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: ChildId,
    kind: NodeId,
    pub(crate) end: ChildEnd,
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
        spawned: Vec<SpawnedChild>,
        waits: Vec<Wait>,
    },
    /// To end, and to let this job give its result.
    Continue {
        spawned: Vec<SpawnedChild>,
        heir: Box<Successor>,
    },
    /// To end: it did what can't be done.
    Fail(Failure),
}

/// What is told of the children of an attempt that has a result, or asks to be followed by another
/// one.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Those that were not reported.
    pub(crate) spawned: Vec<SpawnedChild>,
    /// Those that were, and whose outcome the job did not take.
    pub(crate) left: Vec<ChildCall>,
}

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
    fn unreported(&mut self, id: ChildId, method: &'static str) -> Option<&mut SpawnedChild> {
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
    fn waits(&self) -> Vec<Wait> {
        let call = |id| Some(self.children.get(id)?.call.clone());
        self.unsatisfied()
            .map(|group| Wait {
                children: group.open.iter().filter_map(call).collect(),
                open_max: group.open_max,
            })
            .collect()
    }

    /// The children to be reported next: as many as fit.
    fn report(&mut self) -> Vec<SpawnedChild> {
        let (mut spawned, mut bytes) = (Vec::new(), 0);
        while spawned.len() < REPORT_MAX
            && bytes < REPORT_BYTES_MAX
            && let Some(id) = self.fresh.pop_first()
        {
            let Some(entry) = self.children.get_mut(&id) else {
                continue;
            };
            if let Some(child) = entry.spawned.take() {
                bytes += weight(&child);
                self.reported.insert(child.call.clone(), id);
                spawned.push(child);
            }
        }
        spawned
    }

    /// All children that were not reported, in the order they were spawned. They follow, but for
    /// those that are held.
    fn unreported_all(&mut self, held: &BTreeSet<ChildCall>) -> Vec<SpawnedChild> {
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
    fn bequest(&mut self, heir: &Successor) -> Vec<SpawnedChild> {
        self.phase = Phase::Over;
        let mut held = BTreeSet::new();
        for (_, legacy) in &heir.inputs {
            match legacy {
                Bequest::Value(_) => {}
                Bequest::Child(call) => {
                    held.insert(call.clone());
                }
                Bequest::Children(calls) => held.extend(calls.iter().cloned()),
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
