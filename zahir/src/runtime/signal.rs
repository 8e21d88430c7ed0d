//! How a signal is sent to a run.

use std::panic::AssertUnwindSafe;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::engine::{Refusal, SIGNALS_MAX};
use crate::error::SignalError;
use crate::plan::SignalId;
use crate::runtime::core::Core;
use crate::runtime::executor;
use crate::runtime::run::{Left, Message, Outcome, Run};
use crate::value;

/// Checks a signal for a run, and encodes it.
pub(crate) fn prepare<T: Serialize + ?Sized>(
    core: &Core,
    run: &Run,
    name: &str,
    payload: &T,
) -> Result<(SignalId, Vec<u8>), SignalError> {
    let executable = &run.executable;
    let known = &executable.plan.signals;
    let id = known.iter().position(|known| known == name).map(SignalId);
    let (Some(id), Some(expected)) = (id, executable.code.signal(name)) else {
        return Err(SignalError::Unknown {
            workflow: executable.name,
            signal: name.to_owned(),
            known: known.clone(),
        });
    };
    let unfit = |reason| SignalError::Unfit {
        workflow: executable.name,
        signal: name.to_owned(),
        reason,
    };
    let encoded = executor::contain(AssertUnwindSafe(|| value::encode(payload)))
        .map_err(|failure| unfit(failure.message))?
        .map_err(|error| unfit(error.to_string()))?;
    if encoded.len() > core.value_bytes_max {
        return Err(SignalError::TooLarge {
            workflow: executable.name,
            signal: name.to_owned(),
            bytes: encoded.len(),
            bytes_max: core.value_bytes_max,
        });
    }
    executor::contain(AssertUnwindSafe(|| (expected.received)(&encoded).map(drop)))
        .map_err(|failure| unfit(failure.message))?
        .map_err(|error| unfit(error.to_string()))?;
    Ok((id, encoded))
}

/// Sends a signal, and waits until it is durable.
pub(crate) async fn send(
    run: &Run,
    name: &str,
    signal: SignalId,
    payload: Vec<u8>,
) -> Result<(), SignalError> {
    if let Some(outcome) = run.outcome() {
        return Err(ended(run, outcome));
    }
    let (answer, answered) = oneshot::channel();
    run.inbox.push(Message::Signal {
        signal,
        payload,
        answer,
    });
    let answered = async {
        match answered.await {
            Ok(answer) => answer,
            // The driver is gone, and the outcome of the run follows.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        answer = answered => answer.map_err(|refusal| match refusal {
            Refusal::Over => SignalError::Over {
                run: run.id,
                workflow: run.executable.name,
            },
            Refusal::Full => SignalError::Full {
                run: run.id,
                workflow: run.executable.name,
                signal: name.to_owned(),
                signals_max: SIGNALS_MAX,
            },
        }),
        // Nobody reads the inbox of a run that is over.
        outcome = run.finished() => Err(ended(run, outcome)),
    }
}

/// Why a run takes no signal any more.
fn ended(run: &Run, outcome: &Outcome) -> SignalError {
    match outcome {
        Outcome::Succeeded { .. } | Outcome::Failed(_) | Outcome::Cancelled => SignalError::Over {
            run: run.id,
            workflow: run.executable.name,
        },
        Outcome::Left(Left::Stopped) => SignalError::ShutDown,
        Outcome::Left(Left::Halted(halted)) => SignalError::Halted(halted.clone()),
        Outcome::Left(Left::Broken(reason)) => SignalError::Bug {
            run: run.id,
            reason: reason.clone(),
        },
    }
}
