//! What the engine asks of the driver.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{Attempt, Ending, Failure, FrameStep, Position, Record};

use super::frame::Place;

/// What is to be done, in the order given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<V> {
    /// Append these records in one transaction, then answer [`super::Report::Durable`].
    Append {
        /// The number to answer with: 1, 2, 3 ...
        seq: u64,
        /// The number of the first record in its run.
        first: u64,
        /// The records.
        records: Vec<Record>,
    },
    /// Start an attempt; it holds one job slot until its [`super::Report::AttemptEnded`].
    Start {
        /// The node instance.
        place: Place,
        /// Which try of it.
        attempt: Attempt,
        /// The frames around it, outermost first; `None` in the body.
        frames: Option<Arc<[FrameStep]>>,
        /// The longest it may take.
        timeout: Option<Duration>,
        /// The values its step is given; none if it is to undo.
        inputs: Vec<V>,
        /// What it is, if it is not just the job.
        work: Option<Box<Work<V>>>,
    },
    /// Compute something quick and pure, then answer [`super::Report::Evaluated`].
    Evaluate {
        /// The node instance.
        place: Place,
        /// What.
        what: Evaluation,
        /// The values it is computed from.
        inputs: Vec<V>,
    },
    /// Encode the run's output, then answer [`super::Report::OutputEncoded`].
    EncodeOutput {
        /// The output.
        output: V,
    },
    /// Drop a running attempt. No report is wanted.
    Abort {
        /// The node instance.
        place: Place,
        /// Which try of it.
        attempt: Attempt,
    },
    /// Tell whoever asked that the cancel or signal is durable.
    Answer {
        /// The request's ticket.
        ticket: u64,
    },
    /// Tell whoever sent a signal that the run does not take it. Nothing of it is on record.
    Refuse {
        /// The request's ticket.
        ticket: u64,
        /// Why.
        why: Refusal,
    },
    /// A node will not run, because the branch it is in was not taken, or was left before it. For
    /// whoever watches; it comes when the reason is durable.
    Skip {
        /// The node instance, in a frame that may never have been.
        at: Position,
    },
    /// The run is over, durably. No action follows.
    Finish {
        /// How it ended.
        ending: Ending,
        /// The attempt that failed the run, if one did in this process.
        attempt: Option<Attempt>,
        /// The output, if it succeeded in this process.
        output: Option<V>,
    },
    /// The engine broke one of its invariants, a bug. No action follows; nothing more is written.
    Halt(Violation),
}

/// An attempt that is not just the node's job run with the node's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work<V> {
    /// The job, with something more.
    Resume {
        /// What an attempt before it has left for it, encoded.
        state: Option<Arc<[u8]>>,
        /// The inputs to use in place of the node's, encoded.
        arguments: Option<Arc<[u8]>>,
    },
    /// The job's recovery job.
    Recover {
        /// How the last attempt of the job failed.
        caught: Caught,
        /// The error itself, if the recovery job is given that.
        error: Option<V>,
        /// The inputs to use in place of the node's, encoded.
        arguments: Option<Arc<[u8]>>,
    },
    /// The job that undoes the result.
    Undo {
        /// The encoded inputs that the result was made from.
        arguments: Arc<[u8]>,
        /// The encoded result.
        output: Arc<[u8]>,
    },
}

/// Why a signal is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The run is over.
    Over,
    /// Too many signals wait already.
    Full,
}

/// What is to be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// The node's own step: a pure value, the items of a `for`, the inputs of a called workflow, the
    /// arm of a branch, the time of a sleep.
    Step,
    /// The results of a `for` as one value.
    Join,
    /// The value of a body, for its `.result()`.
    Succeeded,
    /// The failure of a body, for its `.rescue(..)` or `.result()`. The error itself is the only
    /// input if it was kept.
    Caught(Box<Caught>),
    /// The value of this entry as the value of its race.
    Won(u32),
    /// The payload of a signal, as the value of its wait.
    Received(Vec<u8>),
    /// The value of a wait that came to its time limit.
    TimedOut,
}

/// A failure that a handler is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    /// The node instance that failed.
    pub(crate) at: Position,
    /// Its last attempt, if it failed in one.
    pub(crate) attempt: Option<Attempt>,
    /// How.
    pub(crate) failure: Failure,
}

/// A broken invariant. The numbers are those in the documentation of [`super::Engine`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its number and text.
    pub(crate) invariant: &'static str,
    /// What was seen.
    pub(crate) seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.invariant, self.seen)
    }
}
