//! What the driver tells the engine.

use std::time::Duration;

use zahir_store::{Attempt, ChildCall, Failure, SpawnedChild, Timestamp};

use super::frame::Place;
use crate::job::children::asked::{Successor, Wait};
use crate::plan::SignalId;

/// What has happened.
#[derive(Debug)]
pub(crate) enum Report<V> {
    /// The run may start this many more attempts; never more than [`super::Engine::wanted`].
    Granted {
        /// How many job slots.
        slots: usize,
    },
    /// The run has the lane: an attempt that may be what kills the process may start, as
    /// [`super::Engine::wants_lane`] asked for.
    LaneGranted,
    /// An attempt ended. Reports of attempts that are not live are ignored.
    AttemptEnded {
        /// The node instance.
        place: Place,
        /// Which try of it.
        attempt: Attempt,
        /// How it ended.
        outcome: AttemptOutcome<V>,
    },
    /// An [`super::Action::Evaluate`] was carried out.
    Evaluated {
        /// The node instance.
        place: Place,
        /// What came out.
        result: Result<Evaluated<V>, Failure>,
    },
    /// An [`super::Action::EncodeOutput`] was carried out.
    OutputEncoded {
        /// The output and its encoding.
        result: Result<(V, Vec<u8>), Failure>,
    },
    /// Every [`super::Action::Append`] up to and including this one is durable.
    Durable {
        /// Its number.
        seq: u64,
    },
    /// Somebody asked for the run to stop.
    CancelRequested {
        /// Why.
        reason: String,
        /// Returned in [`super::Action::Answer`] when the cancel is durable.
        ticket: u64,
    },
    /// Somebody sent the run a signal.
    SignalReceived {
        /// Of which name.
        signal: SignalId,
        /// What it carries, encoded.
        payload: Vec<u8>,
        /// Returned in [`super::Action::Answer`] when the signal is durable, or in
        /// [`super::Action::Refuse`].
        ticket: u64,
    },
    /// An attempt spawned children, and waits for some of them. Its slot is free until
    /// [`super::Action::Resume`].
    Parked {
        /// The node instance.
        place: Place,
        /// Which try of it.
        attempt: Attempt,
        /// The children that it spawned since its last report.
        spawned: Vec<SpawnedChild>,
        /// What it waits for: all of that which is not over, also what it waited for before.
        waits: Vec<Wait>,
    },
    /// An attempt that is parked has something else to do than to wait for children, and wants a
    /// slot for that.
    Woken {
        /// The node instance.
        place: Place,
        /// Which try of it.
        attempt: Attempt,
    },
    /// An attempt under way has computed a value that is to be kept.
    ValueKept {
        /// The node instance.
        place: Place,
        /// Which try of it.
        attempt: Attempt,
        /// What the job calls it.
        name: String,
        /// The encoded value.
        value: Vec<u8>,
    },
    /// The process is about to end: start nothing more. The run stays unfinished.
    ShutdownRequested,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum AttemptOutcome<V> {
    /// With a result.
    Succeeded {
        /// The value, for the nodes that use it.
        value: V,
        /// Its encoding, for the record; empty in a run that is not durable.
        encoded: Vec<u8>,
        /// What is recorded with it.
        extra: Option<Box<Extra>>,
    },
    /// With a failure.
    Failed {
        /// In words.
        failure: Failure,
        /// The error itself and its encoding, if a handler may be given it.
        error: Option<(V, Vec<u8>)>,
        /// Whether it is tried again.
        verdict: Verdict,
    },
    /// It asks to be followed by another one later.
    Postponed {
        /// How long from now.
        after: Duration,
        /// What that one is given, encoded.
        state: Vec<u8>,
        /// The children that it spawned since its last report: they follow.
        spawned: Vec<SpawnedChild>,
        /// As [`Extra::left`].
        left: Vec<ChildCall>,
    },
    /// It is over, and another job gives the result.
    Continued {
        /// The children that it spawned since its last report.
        spawned: Vec<SpawnedChild>,
        /// The job that gives the result.
        heir: Box<Successor>,
    },
    /// It was dropped by an orderly shutdown.
    Interrupted,
}

impl<V> AttemptOutcome<V> {
    /// It asks to be followed by another one after this time, with this state. Without children.
    pub(crate) const fn postponed(after: Duration, state: Vec<u8>) -> Self {
        Self::Postponed {
            after,
            state,
            spawned: Vec::new(),
            left: Vec::new(),
        }
    }

    /// It did what can't be done: the next one would, too.
    pub(crate) const fn faulty(failure: Failure) -> Self {
        Self::Failed {
            failure,
            error: None,
            verdict: Verdict::Final,
        }
    }
}

/// What is recorded with a result.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// The encoded inputs of a job that can be undone. Also in a run that is not durable.
    pub(crate) undo: Option<Vec<u8>>,
    /// What other runs find the result by, and for how long if not for ever.
    pub(crate) shared: Option<(u128, Option<Duration>)>,
    /// The children that it spawned since its last report: they follow.
    pub(crate) spawned: Vec<SpawnedChild>,
    /// The children that are on record and whose outcome the job was not given, or did not ask for.
    pub(crate) left: Vec<ChildCall>,
}

/// Whether an attempt that failed is followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As the node's policy says.
    ByPolicy,
    /// If the node's policy has attempts left, after this time.
    After(Duration),
    /// No.
    Final,
}

/// The result of an evaluation.
#[derive(Debug)]
pub(crate) enum Evaluated<V> {
    /// A pure value, or the joined results of a `for`.
    Value(V),
    /// The items of a `for`.
    Items(Vec<V>),
    /// The inputs of a called workflow.
    Inputs(Vec<V>),
    /// The encoded inputs of a job that gives the result of another.
    Arguments(Vec<u8>),
    /// Which arm of a branch.
    Arm(u32),
    /// How long a sleep takes.
    Sleep(Duration),
    /// When a sleep ends.
    SleepUntil(Timestamp),
}
