//! Children outside of a run: they run in place, when they are awaited.
//!
//! A job that is called on its own, as in a test, spawns and awaits as it would in a run. Its children
//! have a context of their own, are tried once, and take their inputs and give their errors the way
//! they are stored. What is not awaited does not run.

use std::fmt;
use std::task::{self, Poll};

use futures_util::future::join_all;
use zahir_store::{Attempt, FailureKind, NodeId, RunId};

use crate::job::children::child::Spawned;
use crate::job::children::kind::KindDef;
use crate::job::children::later::{Source, Succession};
use crate::job::children::line::{ChildEnd, Gone};
use crate::job::context::Context;
use crate::job::{BoxFuture, JobDef, failure};
use crate::runtime::inline;
use crate::value::{self, CodecError, Value};
use crate::wire::{Description, Outcome};
use crate::workflow::WorkflowDef;

/// A child outside of a run.
pub(crate) struct Alone {
    kind: KindDef,
    state: State,
}

enum State {
    /// It was not asked for yet.
    Called(Vec<u8>),
    Running(BoxFuture<'static, ChildEnd>),
    Over,
}

impl Alone {
    pub(crate) const fn new(kind: KindDef, arguments: Vec<u8>) -> Self {
        Self {
            kind,
            state: State::Called(arguments),
        }
    }

    /// How it ended.
    pub(crate) fn poll_end(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<ChildEnd, Gone>> {
        if let State::Called(arguments) = &mut self.state {
            self.state = State::Running(run(self.kind, std::mem::take(arguments)));
        }
        let State::Running(running) = &mut self.state else {
            return Poll::Ready(Err(Gone::Taken));
        };
        let end = running.as_mut().poll(context);
        if end.is_ready() {
            self.state = State::Over;
        }
        end.map(Ok)
    }

    /// The bytes of what it gave.
    fn encode(&self, value: &Value) -> Result<Vec<u8>, CodecError> {
        let codec = match self.kind.description {
            Description::Job(job) => job.output,
            Description::Workflow(workflow) => workflow.output,
            Description::Each { .. }
            | Description::Result(_)
            | Description::Race(_)
            | Description::Signal(_) => return Err(CodecError::new::<()>("it is no call")),
        };
        (codec.encode)(value)
    }
}

/// Runs the job that gives the result of another, as soon as it has its inputs.
pub(crate) async fn run_heir(succession: Succession) -> ChildEnd {
    let Succession { kind, inputs, .. } = succession;
    let mut arguments = Vec::new();
    value::write_map_header(&mut arguments, count(inputs.len()));
    for (name, source) in inputs {
        value::write_str(&mut arguments, &name);
        let written = match source {
            Source::Value(value) => value.map_err(|error| unstorable(&kind, &error)),
            Source::Child(child) => output(child).await,
            Source::Children(children) => {
                let mut list = Vec::new();
                value::write_list_header(&mut list, count(children.len()));
                let outputs = join_all(children.into_iter().map(output)).await;
                outputs.into_iter().try_fold(list, |mut list, output| {
                    list.extend(output?);
                    Ok(list)
                })
            }
        };
        match written {
            Ok(bytes) => arguments.extend(bytes),
            Err(end) => return end,
        }
    }
    run(kind, arguments).await
}

/// The bytes of what a child gives, or how it failed.
async fn output(mut child: Spawned) -> Result<Vec<u8>, ChildEnd> {
    let end = std::future::poll_fn(|context| child.poll_end(context)).await;
    let end = end.unwrap_or_else(|gone| failed("", gone.failure()));
    let ChildEnd::Succeeded(value) = &end else {
        return Err(end);
    };
    let Some(alone) = child.alone() else {
        return Err(end);
    };
    let encoded = alone.encode(value);
    encoded.map_err(|error| unstorable(&alone.kind, &error))
}

fn unstorable(kind: &KindDef, error: &CodecError) -> ChildEnd {
    let failure = failure(FailureKind::Unencodable, error.to_string());
    failed(kind.name(), failure)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
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
