//! The state of one node instance, and the one function that changes it.
//!
//! ```text
//!                  ┌──────────────── Interrupted, Due ◀───────────┐
//!                  ▼                                               │
//!   Blocked ─Unblocked─▶ Ready ─Started─▶ Running ─Retried─▶ Backoff
//!      │                                     │
//!      │                                     ├─Succeeded─▶ Succeeded
//!      │                                     └─Failed────▶ Failed
//!      ├─Evaluating─▶ Evaluating ─Called─▶ Calling ─┐
//!      │                  └─────────────────────────┼─Succeeded, Failed─▶ ...
//!      └─Counted────▶ Going ────────────────────────┘
//! ```
//!
//! Replay applies recorded changes to instances that have not been unblocked: what unblocks them
//! may be a pure value, which is not on record. So `Started`, and the success of a called workflow,
//! are also legal in `Blocked`.

use std::vec;

use zahir_store::{Attempt, Timestamp};

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
    /// It waits to be tried again.
    Backoff(Tries, Timestamp),
    /// Its pure step is being computed.
    Evaluating,
    /// The workflow it calls is under way.
    Calling,
    /// Its items are under way.
    Going(Box<Each<V>>),
    /// It has its result.
    Succeeded(V),
    /// It has none and will have none.
    Failed,
}

/// How often a node instance was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// Attempts started, over all restarts.
    pub(super) attempts: u32,
    /// Attempts that failed; not those that were interrupted or crashed.
    pub(super) failures: u32,
}

impl Tries {
    /// The attempt to be started next.
    pub(super) fn next(self) -> Option<Attempt> {
        self.attempts.checked_add(1).and_then(Attempt::new)
    }
}

/// A `for` under way.
#[derive(Debug)]
pub(super) struct Each<V> {
    /// The items that have no frame yet; `None` until they are computed in this process.
    pub(super) items: Option<vec::IntoIter<(u32, V)>>,
    /// The results so far, by item.
    pub(super) results: Vec<Option<V>>,
    /// How many items have no result.
    pub(super) left: usize,
    /// How many frames are under way.
    pub(super) active: u32,
    /// Whether it has items left but must not open another frame.
    pub(super) is_at_limit: bool,
}

impl<V> Each<V> {
    pub(super) fn new(count: usize) -> Self {
        let mut results = Vec::new();
        results.resize_with(count, || None);
        Self {
            items: None,
            results,
            left: count,
            active: 0,
            is_at_limit: false,
        }
    }
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
    /// It failed for good.
    Failed,
    /// An attempt was dropped, by a shutdown or by the end of the process.
    Interrupted,
    /// The next attempt is due.
    Due,
    /// Its pure step is being computed.
    Evaluating,
    /// The workflow it calls has its inputs.
    Called,
    /// It goes over this many items.
    Counted(usize),
}

/// A change that makes no sense in the state it met.
#[derive(Debug)]
pub(super) struct IllegalChange;

impl<V> State<V> {
    /// The state after `change`. Inlined, so that a change known at compile time costs one arm.
    #[inline]
    pub(super) fn next(self, change: Change<V>) -> Result<Self, IllegalChange> {
        match (self, change) {
            (Self::Blocked(tries), Change::Unblocked) => Ok(Self::Ready(tries)),
            (
                Self::Blocked(tries)
                | Self::Ready(tries)
                | Self::Running(tries)
                | Self::Backoff(tries, _),
                Change::Started(attempt),
            ) if tries.next() == Some(attempt) => Ok(Self::Running(Tries {
                attempts: attempt.number(),
                ..tries
            })),
            (
                Self::Running(_)
                | Self::Evaluating
                | Self::Calling
                | Self::Going(_)
                | Self::Blocked(_),
                Change::Succeeded(value),
            ) => Ok(Self::Succeeded(value)),
            (Self::Running(tries), Change::Retried(due)) => Ok(Self::Backoff(
                Tries {
                    failures: tries.failures + 1,
                    ..tries
                },
                due,
            )),
            (
                Self::Running(_) | Self::Evaluating | Self::Calling | Self::Going(_),
                Change::Failed,
            ) => Ok(Self::Failed),
            (Self::Running(tries) | Self::Ready(tries), Change::Interrupted)
            | (Self::Backoff(tries, _), Change::Due) => Ok(Self::Blocked(tries)),
            (Self::Blocked(_), Change::Evaluating) => Ok(Self::Evaluating),
            (Self::Evaluating, Change::Called) => Ok(Self::Calling),
            (Self::Blocked(_) | Self::Evaluating, Change::Counted(items)) => {
                Ok(Self::Going(Box::new(Each::new(items))))
            }
            (_, _) => Err(IllegalChange),
        }
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

    /// How often it was tried, if it may be tried again.
    pub(super) const fn tries(&self) -> Option<Tries> {
        if let Self::Blocked(tries)
        | Self::Ready(tries)
        | Self::Running(tries)
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
}
