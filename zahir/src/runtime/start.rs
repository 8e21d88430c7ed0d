//! How a run begins, or is found to have begun before.

use std::sync::Arc;

use zahir_store::{Ending, Record, RunId, RunStart, Store, StoreError, StoredRun};

use crate::error::{FailedNode, RunError, RunErrorKind, StartError};
use crate::runtime::claim::Claim;
use crate::runtime::core::Core;
use crate::runtime::driver::Driver;
use crate::runtime::executor;
use crate::runtime::program::Program;
use crate::runtime::run::{Left, Outcome, Run};
use crate::value::Value;

/// What a run is started with.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) program: Arc<Program>,
    pub(crate) inputs: Vec<Value>,
    /// The inputs, encoded; empty if nobody needs them: in memory, without a key.
    pub(crate) encoded: Vec<u8>,
    pub(crate) key: Option<String>,
}

/// Starts a run, or finds the one that has the key. Returns when its existence is durable.
pub(crate) async fn start(core: &Arc<Core>, request: Request) -> Result<Arc<Run>, StartError> {
    if let Some(halted) = core.halted() {
        return Err(StartError::Halted(halted.clone()));
    }
    if request.encoded.len() > core.value_bytes_max {
        return Err(StartError::TooLarge {
            workflow: request.program.name,
            bytes: request.encoded.len(),
            bytes_max: core.value_bytes_max,
        });
    }
    match &request.key {
        None => begin(core, request).await,
        Some(key) => {
            let key = key.clone();
            start_keyed(core, request, key).await
        }
    }
}

async fn start_keyed(
    core: &Arc<Core>,
    request: Request,
    key: String,
) -> Result<Arc<Run>, StartError> {
    let workflow = request.program.name;
    let (claim, is_first) = core.claims.claim(workflow, &key, &request.encoded);
    let is_same = claim.input() == request.encoded;
    if is_first {
        let settler = Settler {
            core: Arc::clone(core),
            workflow,
            key: key.clone(),
            claim: Arc::clone(&claim),
        };
        // In a task of its own: others may wait for the claim when this caller is gone.
        executor::spawn_driver(&core.tokio, settler.settle(request));
    }
    let run = claim.settled().await?;
    if is_same {
        Ok(run)
    } else {
        Err(StartError::KeyTaken {
            workflow,
            key,
            run: run.id,
        })
    }
}

/// Begins a run that is known to be new.
async fn begin(core: &Arc<Core>, request: Request) -> Result<Arc<Run>, StartError> {
    let Request {
        program,
        inputs,
        encoded,
        key,
    } = request;
    let id = core.ids.next(core.clock.now());
    let start = RunStart {
        workflow: program.name.to_owned(),
        key: key.clone(),
        definition: program.definition.id,
        input: encoded,
    };
    let mut run = Run::new(id, program, core.is_durable, core.value_bytes_max);
    run.key = key;
    let run = Arc::new(run);
    if !core.admit(&run) {
        return Err(StartError::ShutDown);
    }
    let driver = Driver::start(core, &run, start, inputs);
    executor::spawn_driver(&core.tokio, driver.drive());
    if run.started().await {
        return Ok(run);
    }
    Err(match run.outcome() {
        Some(Outcome::Left(Left::Halted(halted))) => StartError::Halted(halted.clone()),
        Some(Outcome::Left(Left::Broken(reason))) => StartError::Parked {
            run: id,
            reason: reason.clone(),
        },
        Some(
            Outcome::Left(Left::Stopped)
            | Outcome::Succeeded { .. }
            | Outcome::Failed(_)
            | Outcome::Cancelled,
        )
        | None => StartError::ShutDown,
    })
}

/// Finds out which run has a key.
struct Settler {
    core: Arc<Core>,
    workflow: &'static str,
    key: String,
    claim: Arc<Claim>,
}

impl Settler {
    async fn settle(self, request: Request) {
        let result = self.find_or_begin(request).await;
        let is_begun = result.as_ref().is_ok_and(|run| run.key.is_some());
        if !is_begun {
            self.give_up();
        }
        self.claim.settle(result);
    }

    fn give_up(&self) {
        self.core
            .claims
            .give_up(self.workflow, &self.key, &self.claim);
    }

    async fn find_or_begin(&self, request: Request) -> Result<Arc<Run>, StartError> {
        if !self.core.is_durable {
            return begin(&self.core, request).await;
        }
        let (workflow, key) = (self.workflow, self.key.clone());
        let found = self
            .core
            .reader
            .ask(move |store| match store.find(workflow, &key)? {
                Some(run) => store.load(run),
                None => Ok(None),
            })
            .await?;
        let Some(stored) = found else {
            return begin(&self.core, request).await;
        };
        if input(&stored) != Some(&request.encoded) {
            return Err(StartError::KeyTaken {
                workflow,
                key: self.key.clone(),
                run: stored.head.id,
            });
        }
        reopen(&self.core, &request.program, &stored)
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        if !self.claim.is_settled() {
            // tokio's runtime was dropped.
            self.give_up();
            self.claim.settle(Err(StartError::ShutDown));
        }
    }
}

fn input(stored: &StoredRun) -> Option<&Vec<u8>> {
    stored
        .steps
        .iter()
        .flat_map(|step| &step.records)
        .find_map(|record| match record {
            Record::RunStarted(start) => Some(&start.input),
            Record::AttemptStarted { .. }
            | Record::AttemptSucceeded { .. }
            | Record::AttemptFailed { .. }
            | Record::AttemptInterrupted { .. }
            | Record::ItemsCounted { .. }
            | Record::CancelRequested(_)
            | Record::RunFinished(_) => None,
        })
}

/// The run with this id, under way or over.
pub(crate) async fn find(
    core: &Arc<Core>,
    program: &Arc<Program>,
    id: RunId,
) -> Result<Arc<Run>, StartError> {
    if let Some(run) = core.live.find(id) {
        return check_workflow(run, program);
    }
    if !core.is_durable {
        return Err(StartError::Unknown { run: id });
    }
    let stored = core.reader.ask(move |store| store.load(id)).await?;
    let Some(stored) = stored else {
        return Err(StartError::Unknown { run: id });
    };
    reopen(core, program, &stored)
}

/// The id of the run that has a key.
pub(crate) async fn find_key(
    core: &Arc<Core>,
    program: &Arc<Program>,
    key: &str,
) -> Result<Option<RunId>, StartError> {
    if let Some(claim) = core.claims.find(program.name, key) {
        return claim.settled().await.map(|run| Some(run.id));
    }
    if !core.is_durable {
        return Ok(None);
    }
    let (workflow, key) = (program.name, key.to_owned());
    let find = move |store: &dyn Store| -> Result<_, StoreError> { store.find(workflow, &key) };
    Ok(core.reader.ask(find).await?)
}

fn check_workflow(run: Arc<Run>, program: &Arc<Program>) -> Result<Arc<Run>, StartError> {
    if run.program.name == program.name {
        return Ok(run);
    }
    Err(StartError::OtherWorkflow {
        run: run.id,
        workflow: run.program.name.to_owned(),
        asked: program.name,
    })
}

/// A run as the store has it: the live one, or the ending of one that is over.
fn reopen(core: &Core, program: &Arc<Program>, stored: &StoredRun) -> Result<Arc<Run>, StartError> {
    let id = stored.head.id;
    if stored.head.workflow != program.name {
        return Err(StartError::OtherWorkflow {
            run: id,
            workflow: stored.head.workflow.clone(),
            asked: program.name,
        });
    }
    if let Some(run) = core.live.find(id) {
        return Ok(run);
    }
    if let Some(outcome) = outcome(program, stored) {
        return Ok(Arc::new(Run::ended(id, Arc::clone(program), outcome)));
    }
    if let Some(halted) = core.halted() {
        return Err(StartError::Halted(halted.clone()));
    }
    if core.live.is_closed() {
        return Err(StartError::ShutDown);
    }
    let reason = core.parked.get().and_then(|parked| parked.get(&id));
    Err(StartError::Parked {
        run: id,
        reason: reason.map_or_else(
            || "this process does not drive it; restart the program".to_owned(),
            Clone::clone,
        ),
    })
}

/// How a stored run ended.
fn outcome(program: &Program, stored: &StoredRun) -> Option<Outcome> {
    let Some(Record::RunFinished(ending)) = stored.steps.last()?.records.last() else {
        return None;
    };
    let id = stored.head.id;
    Some(match ending {
        Ending::Succeeded { output } => Outcome::Succeeded {
            value: None,
            encoded: output.clone(),
        },
        Ending::Cancelled => Outcome::Cancelled,
        Ending::Failed { at, failure } => {
            let failed = at.as_ref().map(|at| FailedNode {
                path: program.path(at),
                attempt: last_attempt(stored, at),
            });
            let error =
                RunError::with_kind(RunErrorKind::Failed(failure.kind), failure.message.clone());
            Outcome::Failed(error.of_run(id, program.name).at(failed))
        }
    })
}

fn last_attempt(stored: &StoredRun, failed: &zahir_store::Position) -> Option<u32> {
    let records = stored.steps.iter().rev().flat_map(|step| &step.records);
    records
        .filter_map(|record| match record {
            Record::AttemptFailed { at, attempt, .. } if at == failed => Some(attempt.number()),
            Record::AttemptFailed { .. }
            | Record::RunStarted(_)
            | Record::AttemptStarted { .. }
            | Record::AttemptSucceeded { .. }
            | Record::AttemptInterrupted { .. }
            | Record::ItemsCounted { .. }
            | Record::CancelRequested(_)
            | Record::RunFinished(_) => None,
        })
        .max()
}
