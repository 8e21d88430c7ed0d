//! Children outside of a run: they run in place, when they are awaited.
//!
//! A job that is called on its own, as in a test, spawns and awaits as it would in a run. Its children
//! have a context of their own, are tried once, and take their inputs and give their errors the way
//! they are stored. What is not awaited does not run.

use std::fmt;
use std::task::{self, Poll};

use zahir_store::{Attempt, FailureKind, NodeId, RunId};

use crate::job::children::kind::KindDef;
use crate::job::children::line::ChildEnd;
use crate::job::context::Context;
use crate::job::{BoxFuture, JobDef, failure};
use crate::runtime::inline;
use crate::wire::{Description, Outcome};
use crate::workflow::WorkflowDef;

/// A child outside of a run.
pub(crate) enum Alone {
    /// It was not asked for yet.
    Call(KindDef, Vec<u8>),
    Running(BoxFuture<'static, ChildEnd>),
    Over,
}

impl Alone {
    pub(crate) const fn new(kind: KindDef, arguments: Vec<u8>) -> Self {
        Self::Call(kind, arguments)
    }

    /// How it ended.
    pub(crate) fn poll_end(&mut self, context: &mut task::Context<'_>) -> Poll<ChildEnd> {
        if let Self::Call(kind, arguments) = self {
            *self = Self::Running(run(*kind, std::mem::take(arguments)));
        }
        let Self::Running(running) = self else {
            return Poll::Pending;
        };
        let end = running.as_mut().poll(context);
        if end.is_ready() {
            *self = Self::Over;
        }
        end
    }
}

/// Runs a job or a workflow with these inputs.
pub(crate) fn run(kind: KindDef, arguments: Vec<u8>) -> BoxFuture<'static, ChildEnd> {
    match kind.description {
        Description::Job(job) => Box::pin(run_job(job, arguments)),
        Description::Workflow(workflow) => Box::pin(run_workflow(workflow, arguments)),
        Description::Each { .. }
        | Description::Result(_)
        | Description::Race(_)
        | Description::Signal(_) => {
            let end = failed("", failure(FailureKind::Bug, "it is no call".to_owned()));
            Box::pin(std::future::ready(end))
        }
    }
}

async fn run_job(job: JobDef, arguments: Vec<u8>) -> ChildEnd {
    let (run, node) = (RunId::from_u128(0), NodeId::new(0));
    let context = Context::new(run, job.name, None, node, Attempt::FIRST);
    let Some(stored) = job.stored else {
        return failed(
            job.name,
            failure(FailureKind::Bug, "it is no job".to_owned()),
        );
    };
    match stored.begin(&context, &arguments, job.fail, false).await {
        Outcome::Produced(produced) => ChildEnd::Succeeded(produced.value),
        Outcome::Failed(end) => {
            let error = end.error.map(|error| error.value);
            let failure = crate::Failure::new(job.name.to_owned(), 1, end.failure);
            ChildEnd::Failed(Box::new(failure), error)
        }
        Outcome::Postponed { .. } => {
            let text = "it asks to be run again later, which there is only in a run";
            failed(job.name, failure(FailureKind::Error, text.to_owned()))
        }
    }
}

async fn run_workflow(workflow: WorkflowDef, arguments: Vec<u8>) -> ChildEnd {
    let inputs = match (workflow.decode_inputs)(&arguments) {
        Ok(inputs) => inputs,
        Err(error) => {
            let failure = failure(FailureKind::Undecodable, error.to_string());
            return failed(workflow.name, failure);
        }
    };
    match inline::run((workflow.graph)(), inputs).await {
        Ok(value) => ChildEnd::Succeeded(value),
        Err(error) => {
            let failure = failure(FailureKind::Error, error.to_string());
            failed(workflow.name, failure)
        }
    }
}

fn failed(name: &str, failure: zahir_store::Failure) -> ChildEnd {
    let failure = crate::Failure::new(name.to_owned(), 1, failure);
    ChildEnd::Failed(Box::new(failure), None)
}

impl fmt::Debug for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alone(..)")
    }
}
