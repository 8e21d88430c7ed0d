//! What the driver tells the engine.

use zahir_store::{Attempt, Failure};

use super::frame::Place;

/// What has happened.
#[derive(Debug)]
pub(crate) enum Report<V> {
    /// The run may start this many more attempts; never more than [`super::Engine::wanted`].
    Granted {
        /// How many job slots.
        slots: usize,
    },
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
    },
    /// With a failure.
    Failed(Failure),
    /// It was dropped by an orderly shutdown.
    Interrupted,
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
}
