//! Backoffs that the user wrote: functions, which the engine can't call.

use std::panic::AssertUnwindSafe;

use crate::engine::{AttemptOutcome, Engine, Place, Verdict};
use crate::job::policy::Backoff;
use crate::runtime::executor::contain;
use crate::runtime::run::Run;
use crate::value::Value;

/// If an attempt failed and its policy has such a backoff, decides how long it waits for the next one.
/// A function that panics decides nothing: the wait is the default's.
pub(crate) fn decide(
    run: &Run,
    engine: &Engine<Value>,
    place: Place,
    outcome: &mut AttemptOutcome<Value>,
) {
    let AttemptOutcome::Failed { verdict, .. } = outcome else {
        return;
    };
    if *verdict != Verdict::ByPolicy {
        return;
    }
    let Some((policy, failures)) = engine.next_failure(place) else {
        return;
    };
    let Backoff::Custom(wait) = policy.backoff else {
        return;
    };
    if failures > policy.retry {
        return;
    }
    match contain(AssertUnwindSafe(|| wait(failures))) {
        Ok(wait) => *verdict = Verdict::After(wait),
        Err(failure) => {
            let node = run.executable.code.node_name(place.node);
            tracing::error!(
                target: "zahir",
                run = %run.id, node, failures, panic = failure.message,
                "a backoff panicked: the default's wait is taken"
            );
        }
    }
}
