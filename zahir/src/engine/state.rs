//! The state of one node instance, and the one function that changes it.
//!
//! ```text
//!                  ┌──────────────── Interrupted, Due ◀───────────┐
//!                  ▼                                               │
//!   Blocked ─Unblocked─▶ Ready ─Started─▶ Running ─Retried, Postponed─▶ Backoff
//!      │  ▲                                ▲ │
//!      │  ├─────────── Crashed, Recovering ┼─┤
//!      │  │                                │ ├─Parked─▶ Parked ─Woken─▶ Resuming
//!      │  ├─────────────── Interrupted ────┼─┼────────────┴────────────────┤
//!      │  │                                └─┼───────── Resumed ───────────┘
//!      │  └──── Recovering ── Continuing ◀─Continued
//!      │                          └──────────┴─Succeeded, Failed─▶ ...
//!      ├─Evaluating─▶ Evaluating ─Entered, Counted, Slept, Decided─▶ ...
//!      ├─Entered────▶ Inside ─Handled─▶ Handling ─┐
//!      │                 └─Closed─▶ Closing ──────┼─Succeeded, Failed, Left─▶ ...
//!      ├─Counted────▶ Going ──────────────────────┤
//!      ├─Looped─────▶ Looping ────────────────────┤
//!      ├─Raced──────▶ Racing ─Won─▶ Won ──────────┘
//!      ├─Slept, Waited─▶ Sleeping, Waiting ─Evaluating─▶ Evaluating
//!      └─Skipped────▶ Skipped
//! ```
//!
//! Replay applies recorded changes to instances that have not been unblocked: what unblocks them
//! may be a pure value, which is not on record. So what is on record is also legal in `Blocked`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec;

use zahir_store::{Attempt, Failure, Position, Timestamp};

use super::action::Caught;
use crate::plan::Exit;

/// A node in a frame.
#[derive(Debug)]
pub(super) struct Instance<V> {
    /// How many nodes of its frame it still waits for.
    pub(super) waits: u32,
    pub(super) state: State<V>,
}

/// What a node instance is doing.
#[derive(Debug)]
pub(super) enum State<V> {
    /// It waits for other nodes.
    Blocked(Tries),
    /// It waits for a job slot.
    Ready(Tries),
    /// An attempt is under way, or was when the process died.
    Running(Tries),
    /// An attempt waits for children, and holds no slot; or did when the process died.
    Parked(Tries),
    /// An attempt that waited for children waits for a slot.
    Resuming(Tries),
    /// Its attempts are over, and a child of it gives its result.
    Continuing(Tries),
    /// It waits to be tried again.
    Backoff(Tries, Timestamp),
    /// Something pure is being computed for it.
    Evaluating,
    /// The arm it takes is on record; this process has not entered it.
    Taken(u32),
    /// That its first region began is on record; this process has not entered it.
    Begun,
    /// A region of it is under way: a called workflow, the arm of a branch, what may fail.
    Inside,
    /// Its handler is under way.
    Handling,
    /// Its `finally` is under way. What comes after that.
    Closing(Box<Outcome<V>>),
    /// Its items are under way.
    Going(Box<Each<V>>),
    /// Its rounds are under way.
    Looping(Box<Rounds<V>>),
    /// Its entries are under way.
    Racing,
    /// One of its entries has won.
    Won(Box<Race<V>>),
    /// It sleeps until then.
    Sleeping(Timestamp),
    /// It waits for a signal, perhaps not longer than that.
    Waiting(Option<Timestamp>),
    /// The signal it got is on record; this process has not read it.
    Received(Box<[u8]>),
    /// That no signal came in time is on record.
    Expired,
    /// It has its result.
    Succeeded(V),
    /// It has none and will have none.
    Failed,
    /// It does not run: an arm that was not taken, or behind a point that was left.
    Skipped,
    /// The run went on elsewhere from inside it: a `break`, `continue` or `return`.
    Left,
}

/// How often a node instance was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// Attempts started, over all restarts.
    pub(super) attempts: u32,
    /// Attempts in a row that failed; not those that were interrupted or crashed.
    pub(super) failures: u32,
    /// Attempts that were under way when the process died.
    pub(super) crashes: u32,
}

impl Tries {
    /// The attempt to be started next.
    pub(super) fn next(self) -> Option<Attempt> {
        self.attempts.checked_add(1).and_then(Attempt::new)
    }

    /// Once more the process died during an attempt.
    pub(super) const fn crashed(self) -> Self {
        Self {
            crashes: self.crashes.saturating_add(1),
            ..self
        }
    }

    /// Once more an attempt failed.
    pub(super) const fn failed(self) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            ..self
        }
    }

    /// Nothing has gone wrong since.
    const fn afresh(self) -> Self {
        Self {
            attempts: self.attempts,
            failures: 0,
            crashes: 0,
        }
    }
}

/// How a frame came to its end, and what it gives.
#[derive(Debug)]
pub(super) struct Departure<V> {
    /// Where the run goes on.
    pub(super) exit: Exit,
    pub(super) value: V,
    /// What the assigned variables are.
    pub(super) outs: Vec<V>,
}

/// A failure on its way out.
#[derive(Debug)]
pub(super) struct Failing<V> {
    /// The node instance that failed.
    pub(super) at: Position,
    /// Its last attempt, if it failed in one.
    pub(super) attempt: Option<Attempt>,
    pub(super) failure: Failure,
    /// The error itself, if it was kept.
    pub(super) error: Option<V>,
}

impl<V> Failing<V> {
    /// What a handler is told of it.
    pub(super) fn caught(&self) -> Caught {
        Caught {
            at: self.at.clone(),
            attempt: self.attempt,
            failure: self.failure.clone(),
        }
    }
}

/// What is kept for a job from one attempt to the next.
#[derive(Debug)]
pub(super) struct Kept<V> {
    /// What the last attempt left for the next one.
    pub(super) state: Option<Arc<[u8]>>,
    /// The inputs that it is given in place of those it is wired to.
    pub(super) arguments: Option<Arc<[u8]>>,
    /// When all of its attempts have to be over.
    pub(super) deadline: Option<Timestamp>,
    /// How the job failed, if its recovery job is tried now.
    pub(super) failing: Option<Box<Failing<V>>>,
    /// The values that its attempts compute once, by name.
    pub(super) values: BTreeMap<Arc<str>, Arc<[u8]>>,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self {
            state: None,
            arguments: None,
            deadline: None,
            failing: None,
            values: BTreeMap::new(),
        }
    }
}

/// How what a node runs ended.
#[derive(Debug)]
pub(super) enum Outcome<V> {
    /// By itself.
    Ended(Departure<V>),
    /// With a failure.
    Failed(Box<Failing<V>>),
    /// It was stopped, because something around it failed or was cancelled.
    Stopped,
}

/// A `for` under way.
#[derive(Debug)]
pub(super) struct Each<V> {
    /// The items that have to wait; `None` until they are computed in this process.
    pub(super) items: Option<vec::IntoIter<Item<V>>>,
    /// Whether they are being computed, or were.
    pub(super) is_computing: bool,
    /// The results so far, by item.
    pub(super) results: Vec<Option<V>>,
    /// How many items have no result.
    pub(super) left: usize,
    /// How many frames are under way.
    pub(super) active: u32,
    /// Whether it has items left but must not open another frame.
    pub(super) is_at_limit: bool,
    /// The first item, in their order, from which the workflow returned.
    pub(super) departure: Option<(u32, Departure<V>)>,
}

impl<V> Each<V> {
    pub(super) fn new(count: usize) -> Self {
        let mut results = Vec::new();
        results.resize_with(count, || None);
        Self {
            items: None,
            is_computing: false,
            results,
            left: count,
            active: 0,
            is_at_limit: false,
            departure: None,
        }
    }
}

/// An item of a `for` that waits.
#[derive(Debug)]
pub(super) struct Item<V> {
    pub(super) index: u32,
    /// Whether it had begun before a restart.
    pub(super) has_begun: bool,
    pub(super) value: V,
}

/// A loop under way.
#[derive(Debug)]
pub(super) struct Rounds<V> {
    /// The round that is under way, or about to begin, counted from 0.
    pub(super) round: u32,
    /// What it begins with, if it is about to.
    pub(super) next: Option<Vec<V>>,
}

/// A race that is decided.
#[derive(Debug)]
pub(super) struct Race<V> {
    /// The entry that won.
    pub(super) winner: u32,
    /// How that ended, as soon as this process knows.
    pub(super) outcome: Option<Outcome<V>>,
    /// Whether this process has entered it.
    pub(super) is_entered: bool,
}

/// What happens to a node instance.
#[derive(Debug)]
pub(super) enum Change<V> {
    /// Everything it waits for is there.
    Unblocked,
    /// An attempt is about to start.
    Started(Attempt),
    /// It has its result.
    Succeeded(V),
    /// An attempt failed; the next is due then.
    Retried(Timestamp),
    /// An attempt asked for another one, which is due then.
    Postponed(Timestamp),
    /// The process died during an attempt.
    Crashed,
    /// Its attempts are spent, and its recovery job is tried from now on.
    Recovering,
    /// It failed for good.
    Failed,
    /// An attempt was dropped.
    Interrupted,
    /// An attempt waits for children.
    Parked,
    /// What it waits for is there, or it has something else to do.
    Woken,
    /// An attempt that waited goes on.
    Resumed,
    /// An attempt ended, and a child gives the result.
    Continued,
    /// The next attempt is due.
    Due,
    /// Something pure is being computed for it.
    Evaluating,
    /// It takes this arm.
    Decided(u32),
    /// Its first region began, durably.
    Begun,
    /// A region of it is entered.
    Entered,
    /// Its handler is entered.
    Handled,
    /// Its `finally` is entered.
    Closed(Outcome<V>),
    /// It goes over this many items.
    Counted(usize),
    /// It goes into its rounds.
    Looped(Rounds<V>),
    /// Its entries are entered.
    Raced,
    /// This entry of it won.
    Won(Race<V>),
    /// It sleeps until then.
    Slept(Timestamp),
    /// It waits for a signal.
    Waited(Option<Timestamp>),
    /// It got a signal.
    Received(Box<[u8]>),
    /// It got no signal in time.
    Expired,
    /// It will not run.
    Skipped,
    /// The run goes on elsewhere.
    Left,
}

impl<V> Change<V> {
    /// Whether there is a record that says so.
    #[inline]
    pub(super) const fn is_on_record(&self) -> bool {
        match self {
            Self::Started(_)
            | Self::Decided(_)
            | Self::Begun
            | Self::Counted(_)
            | Self::Won(_)
            | Self::Slept(_)
            | Self::Waited(Some(_))
            | Self::Received(_)
            | Self::Expired => true,
            // Others may be on record as well, but only behind one of those.
            Self::Unblocked
            | Self::Succeeded(_)
            | Self::Retried(_)
            | Self::Postponed(_)
            | Self::Crashed
            | Self::Recovering
            | Self::Failed
            | Self::Interrupted
            | Self::Parked
            | Self::Woken
            | Self::Resumed
            | Self::Continued
            | Self::Due
            | Self::Evaluating
            | Self::Entered
            | Self::Handled
            | Self::Closed(_)
            | Self::Looped(_)
            | Self::Raced
            | Self::Waited(None)
            | Self::Skipped
            | Self::Left => false,
        }
    }
}

/// A change that makes no sense in the state it met.
#[derive(Debug)]
pub(super) struct IllegalChange;

impl<V> State<V> {
    /// The state after `change`. Inlined, so that a change known at compile time costs one arm.
    #[inline]
    pub(super) fn next(self, change: Change<V>) -> Result<Self, IllegalChange> {
        match change {
            Change::Unblocked
            | Change::Started(_)
            | Change::Retried(_)
            | Change::Postponed(_)
            | Change::Crashed
            | Change::Recovering
            | Change::Interrupted
            | Change::Due => self.attempted(change),
            Change::Parked | Change::Woken | Change::Resumed | Change::Continued => {
                self.handed_over(change)
            }
            Change::Succeeded(_) | Change::Failed | Change::Left | Change::Skipped => {
                self.ended(change)
            }
            Change::Evaluating
            | Change::Decided(_)
            | Change::Begun
            | Change::Entered
            | Change::Handled
            | Change::Closed(_)
            | Change::Counted(_)
            | Change::Looped(_)
            | Change::Raced
            | Change::Won(_)
            | Change::Slept(_)
            | Change::Waited(_)
            | Change::Received(_)
            | Change::Expired => self.entered(change),
        }
    }

    /// The state of a node that comes to its end.
    #[inline]
    fn ended(self, change: Change<V>) -> Result<Self, IllegalChange> {
        match (change, self.may_end()) {
            (Change::Succeeded(value), true) => Ok(Self::Succeeded(value)),
            (Change::Failed, true) => Ok(Self::Failed),
            (Change::Left, true) => Ok(Self::Left),
            (Change::Skipped, _) if matches!(self, Self::Blocked(_)) || self.is_waiting() => {
                Ok(Self::Skipped)
            }
            (_, _) => Err(IllegalChange),
        }
    }

    /// The state after a change of a job's attempts.
    #[inline]
    fn attempted(self, change: Change<V>) -> Result<Self, IllegalChange> {
        match (self, change) {
            (Self::Blocked(tries), Change::Unblocked) => Ok(Self::Ready(tries)),
            (
                Self::Blocked(tries)
                | Self::Ready(tries)
                | Self::Parked(tries)
                | Self::Backoff(tries, _),
                Change::Started(attempt),
            ) if tries.next() == Some(attempt) => Ok(Self::Running(Tries {
                attempts: attempt.number(),
                ..tries
            })),
            (Self::Running(tries), Change::Started(attempt)) if tries.next() == Some(attempt) => {
                Ok(Self::Running(Tries {
                    attempts: attempt.number(),
                    ..tries.crashed()
                }))
            }
            (Self::Running(tries), Change::Retried(due)) => Ok(Self::Backoff(tries.failed(), due)),
            (Self::Running(tries), Change::Postponed(due)) => {
                Ok(Self::Backoff(tries.afresh(), due))
            }
            (Self::Running(tries), Change::Crashed) => Ok(Self::Blocked(tries.crashed())),
            (
                Self::Running(tries)
                | Self::Blocked(tries)
                | Self::Parked(tries)
                | Self::Continuing(tries)
                | Self::Backoff(tries, _),
                Change::Recovering,
            ) => Ok(Self::Blocked(tries.afresh())),
            (
                Self::Running(tries)
                | Self::Ready(tries)
                | Self::Parked(tries)
                | Self::Resuming(tries),
                Change::Interrupted,
            )
            | (Self::Backoff(tries, _), Change::Due) => Ok(Self::Blocked(tries)),
            (_, _) => Err(IllegalChange),
        }
    }

    /// The state of a job after an attempt hands over to children. Replay goes from `Parked` to
    /// `Running` at once: what wakes an attempt is not on record.
    #[inline]
    fn handed_over(self, change: Change<V>) -> Result<Self, IllegalChange> {
        match (self, change) {
            (Self::Running(tries), Change::Parked) => Ok(Self::Parked(tries)),
            (Self::Parked(tries), Change::Woken) => Ok(Self::Resuming(tries)),
            (Self::Resuming(tries) | Self::Parked(tries), Change::Resumed) => {
                Ok(Self::Running(tries))
            }
            (Self::Running(tries), Change::Continued) => Ok(Self::Continuing(tries)),
            (_, _) => Err(IllegalChange),
        }
    }

    /// The state after a change of what is inside the node, or of what it waits for.
    #[inline]
    fn entered(self, change: Change<V>) -> Result<Self, IllegalChange> {
        match (self, change) {
            (
                Self::Blocked(_)
                | Self::Inside
                | Self::Won(_)
                | Self::Waiting(_)
                | Self::Received(_)
                | Self::Expired,
                Change::Evaluating,
            ) => Ok(Self::Evaluating),
            (Self::Blocked(_) | Self::Evaluating, Change::Decided(arm)) => Ok(Self::Taken(arm)),
            (Self::Blocked(_), Change::Begun) => Ok(Self::Begun),
            (
                Self::Blocked(_) | Self::Evaluating | Self::Taken(_) | Self::Begun,
                Change::Entered,
            ) => Ok(Self::Inside),
            (Self::Evaluating, Change::Handled) => Ok(Self::Handling),
            (Self::Inside, Change::Closed(outcome)) => Ok(Self::Closing(Box::new(outcome))),
            (Self::Blocked(_) | Self::Evaluating, Change::Counted(items)) => {
                Ok(Self::Going(Box::new(Each::new(items))))
            }
            (Self::Blocked(_), Change::Looped(rounds)) => Ok(Self::Looping(Box::new(rounds))),
            (Self::Blocked(_), Change::Raced) => Ok(Self::Racing),
            (Self::Blocked(_) | Self::Racing, Change::Won(race)) => Ok(Self::Won(Box::new(race))),
            (Self::Blocked(_) | Self::Evaluating, Change::Slept(due)) => Ok(Self::Sleeping(due)),
            (Self::Blocked(_), Change::Waited(due)) => Ok(Self::Waiting(due)),
            (Self::Blocked(_) | Self::Waiting(_), Change::Received(payload)) => {
                Ok(Self::Received(payload))
            }
            (Self::Waiting(_), Change::Expired) => Ok(Self::Expired),
            (_, _) => Err(IllegalChange),
        }
    }

    /// Whether something of it is under way that can come to an end. In `Blocked` it may have been
    /// under way before a restart.
    const fn may_end(&self) -> bool {
        !self.is_over()
            && !matches!(
                self,
                Self::Ready(_) | Self::Parked(_) | Self::Resuming(_) | Self::Backoff(_, _)
            )
    }

    /// Whether nothing more will happen to it.
    pub(super) const fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Succeeded(_) | Self::Failed | Self::Skipped | Self::Left
        )
    }

    /// Whether it waits for a time or a signal.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Sleeping(_) | Self::Waiting(_))
    }

    /// Its result, if it has one.
    pub(super) const fn value(&self) -> Option<&V> {
        if let Self::Succeeded(value) = self {
            Some(value)
        } else {
            None
        }
    }

    /// Its items, if it is a `for` under way.
    pub(super) fn each(&self) -> Option<&Each<V>> {
        if let Self::Going(each) = self {
            Some(each)
        } else {
            None
        }
    }

    /// Its items, if it is a `for` under way.
    pub(super) fn each_mut(&mut self) -> Option<&mut Each<V>> {
        if let Self::Going(each) = self {
            Some(each)
        } else {
            None
        }
    }

    /// Its rounds, if it is a loop under way.
    pub(super) fn rounds_mut(&mut self) -> Option<&mut Rounds<V>> {
        if let Self::Looping(rounds) = self {
            Some(rounds)
        } else {
            None
        }
    }

    /// Its race, if that is decided.
    pub(super) fn race_mut(&mut self) -> Option<&mut Race<V>> {
        if let Self::Won(race) = self {
            Some(race)
        } else {
            None
        }
    }

    /// What comes after its `finally`, if that is under way.
    pub(super) fn outcome_mut(&mut self) -> Option<&mut Outcome<V>> {
        if let Self::Closing(outcome) = self {
            Some(outcome)
        } else {
            None
        }
    }

    /// How often it was tried, if it may be tried again.
    pub(super) const fn tries(&self) -> Option<Tries> {
        if let Self::Blocked(tries)
        | Self::Ready(tries)
        | Self::Running(tries)
        | Self::Parked(tries)
        | Self::Resuming(tries)
        | Self::Continuing(tries)
        | Self::Backoff(tries, _) = self
        {
            Some(*tries)
        } else {
            None
        }
    }

    /// Whether this attempt is under way.
    pub(super) const fn is_running(&self, attempt: Attempt) -> bool {
        matches!(self, Self::Running(tries) if tries.attempts == attempt.number())
    }

    /// Whether this attempt waits for children.
    pub(super) const fn is_parked(&self, attempt: Attempt) -> bool {
        matches!(self, Self::Parked(tries) if tries.attempts == attempt.number())
    }

    /// Whether it waits for a slot.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Resuming(_))
    }
}
