//! What the engine asks of the driver.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{Attempt, Ending, FrameStep, Record};

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
        /// The values its step is given.
        inputs: Vec<V>,
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
    /// Tell whoever asked that the cancel is durable.
    Answer {
        /// The request's ticket.
        ticket: u64,
    },
    /// The run is over, durably. No action follows.
    Finish {
        /// How it ended.
        ending: Ending,
        /// The output, if it succeeded in this process.
        output: Option<V>,
    },
    /// The engine broke one of its invariants, a bug. No action follows; nothing more is written.
    Halt(Violation),
}

/// What is to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// The node's own step: a pure value, the items of a `for`, the inputs of a called workflow.
    Step,
    /// The results of a `for` as one value.
    Join,
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
