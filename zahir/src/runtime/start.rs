//! How a run begins, or is found to have begun before.

use std::fmt;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{
    Attempt, Ending, Record, RunId, RunStart, Store, StoreError, StoredRun, TEXT_BYTES_MAX,
};

use crate::engine;
use crate::error::{FailedNode, RunError, StartError};
use crate::job::Call;
use crate::runtime::claim::Claim;
use crate::runtime::core::Core;
use crate::runtime::driver::Driver;
use crate::runtime::executable::Executable;
use crate::runtime::executor;
use crate::runtime::handle::RunHandle;
use crate::runtime::recovery::{self, Loaded};
use crate::runtime::run::{Left, Outcome, Run};
use crate::value::Value;
use crate::workflow::Workflow;

/// What a run is started with.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) executable: Arc<Executable>,
    pub(crate) inputs: Vec<Value>,
    /// The inputs, encoded; empty if nobody needs them: in memory, without a key.
    pub(crate) encoded: Vec<u8>,
    pub(crate) key: Option<String>,
    /// How long the run may take.
    pub(crate) timeout: Option<Duration>,
}

/// A run that is about to be started.
#[must_use = "nothing runs before `start`"]
pub struct RunBuilder<W: Workflow> {
    core: Arc<Core>,
    inputs: Vec<Value>,
    key: Option<String>,
    timeout: Option<Duration>,
    workflow: PhantomData<fn() -> W>,
}

impl<W: Workflow> RunBuilder<W> {
    pub(crate) fn new(core: &Arc<Core>, call: Call<'static, W>) -> Self {
        Self {
            core: Arc::clone(core),
            inputs: W::inputs(call.into_args()),
            key: None,
            timeout: None,
            workflow: PhantomData,
        }
    }

    /// Makes starting idempotent: however often it is started with this key and the same input,
    /// over restarts of the program, there is one run.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The run fails if it takes longer than this, with
    /// [`FailureKind::TimedOut`](crate::FailureKind::TimedOut).
    ///
    /// All of its time counts, from its start on: jobs, the waits between their attempts, waits for a
    /// job slot, sleeps, waits for signals, and the time while the process is down. The deadline is on
    /// record with the run's start. When it has passed, what is under way is dropped, as in a cancel:
    /// the `finally`s that are owed run and what can be undone is undone, for which there is no limit,
    /// and then the run has failed.
    ///
    /// A run that is found by its key keeps the deadline that it was started with.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Starts the run, or finds the one that has the key, whether it is under way or over.
    ///
    /// # Errors
    ///
    /// If the runtime does not know the workflow, takes no more runs or has halted; if the input
    /// can't be stored or is too large; if the key belongs to a run with another input.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the run is started or not. With a key it is safe to start it
    /// again.
    ///
    /// # Durability
    ///
    /// When this returns, the run is on disk, and ends even if the process is killed; unless the
    /// runtime is in memory.
    pub async fn start(self) -> Result<RunHandle<W::Output>, StartError> {
        let executable = executable::<W>(&self.core)?;
        let is_encoded = self.core.is_durable || self.key.is_some();
        let encoded = if is_encoded {
            encode_inputs::<W>(&self.inputs)?
        } else {
            Vec::new()
        };
        let request = Request {
            executable,
            inputs: self.inputs,
            encoded,
            key: self.key,
            timeout: self.timeout,
        };
        let run = start(&self.core, request).await?;
        Ok(RunHandle::new(self.core, run))
    }
}

impl<W: Workflow> fmt::Debug for RunBuilder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunBuilder")
            .field("workflow", &W::name())
            .field("key", &self.key)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The workflow, as it was registered.
pub(crate) fn executable<W: Workflow>(core: &Core) -> Result<Arc<Executable>, StartError> {
    let found = core.executables.get(W::name()).map(Arc::clone);
    found.ok_or_else(|| StartError::Unregistered {
        workflow: W::name(),
    })
}

fn encode_inputs<W: Workflow>(inputs: &[Value]) -> Result<Vec<u8>, StartError> {
    let unencodable = |reason| StartError::Unencodable {
        workflow: W::name(),
        reason,
    };
    executor::contain(AssertUnwindSafe(|| W::encode_inputs(inputs)))
        .map_err(|failure| unencodable(failure.message))?
        .map_err(|error| unencodable(error.to_string()))
}

/// Starts a run, or finds the one that has the key. Returns when its existence is durable.
pub(crate) async fn start(core: &Arc<Core>, request: Request) -> Result<Arc<Run>, StartError> {
    if let Some(halted) = core.halted() {
        return Err(StartError::Halted(halted.clone()));
    }
    if request.encoded.len() > core.value_bytes_max {
        return Err(StartError::TooLarge {
            workflow: request.executable.name,
            bytes: request.encoded.len(),
            bytes_max: core.value_bytes_max,
        });
    }
    let Some(key) = request.key.clone() else {
        return begin(core, request).await;
    };
    if key.len() > TEXT_BYTES_MAX {
        return Err(StartError::Unencodable {
            workflow: request.executable.name,
            reason: format!(
                "its key has {} bytes, of which {TEXT_BYTES_MAX} are possible: use a shorter one",
                key.len()
            ),
        });
    }
    start_keyed(core, request, key).await
}

async fn start_keyed(
    core: &Arc<Core>,
    request: Request,
    key: String,
) -> Result<Arc<Run>, StartError> {
    let workflow = request.executable.name;
    loop {
        let (claim, is_first) = core.claims.claim(workflow, &key, &request.encoded);
        if is_first {
            let settler = Settler {
                core: Arc::clone(core),
                workflow,
                key,
                claim: Arc::clone(&claim),
            };
            // In a task of its own: others may wait for the claim when this caller is gone.
            executor::spawn_driver(&core.tokio, settler.settle(request));
            return claim.settled().await;
        }
        let is_same = claim.input() == request.encoded;
        match claim.settled().await {
            Ok(run) if !is_same => {
                return Err(StartError::KeyTaken {
                    workflow,
                    key,
                    run: run.id,
                });
            }
            // Whoever asked first had another input than the run that has the key. This may be it.
            Err(StartError::KeyTaken { .. }) if !is_same => {}
            result => return result,
        }
    }
}

/// Begins a run that is known to be new.
async fn begin(core: &Arc<Core>, request: Request) -> Result<Arc<Run>, StartError> {
    let Request {
        executable,
        inputs,
        encoded,
        key,
        timeout,
    } = request;
    let id = core.ids.next(core.clock.now());
    let start = RunStart {
        workflow: executable.name.to_owned(),
        key: key.clone(),
        definition: executable.definition,
        input: encoded,
    };
    let mut run = core.run(id, executable);
    run.key = key;
    let run = Arc::new(run);
    let Some(admission) = core.admit(&run) else {
        return Err(StartError::ShutDown);
    };
    let driver = Driver::start(core, &run, start, inputs, timeout);
    executor::spawn_driver(&core.tokio, admission.hold(driver.drive()));
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
        let result = match self.find(&request).await {
            // The claim is the run's from here on, until it is over.
            Ok(None) => begin(&self.core, request).await,
            Ok(Some(run)) => {
                self.give_up();
                Ok(run)
            }
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.give_up();
        }
        self.claim.settle(result);
    }

    fn give_up(&self) {
        self.core
            .claims
            .give_up(self.workflow, &self.key, &self.claim);
    }

    /// The run that has the key in the store.
    async fn find(&self, request: &Request) -> Result<Option<Arc<Run>>, StartError> {
        if !self.core.is_durable {
            return Ok(None);
        }
        let (workflow, key) = (self.workflow, self.key.clone());
        let definition = request.executable.definition;
        let asked = self
            .core
            .reader
            .ask(move |store| match store.find(workflow, &key)? {
                Some(run) => recovery::load(store, run, definition),
                None => Ok(None),
            })
            .await;
        let Some(loaded) = asked.map_err(|error| unread(&self.core, error))? else {
            return Ok(None);
        };
        if input(&loaded.stored) != Some(&request.encoded) {
            return Err(StartError::KeyTaken {
                workflow,
                key: self.key.clone(),
                run: loaded.stored.head.id,
            });
        }
        reopen(&self.core, &request.executable, &loaded)
            .await
            .map(Some)
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
        .find_map(|record| {
            if let Record::RunStarted(start) = record {
                Some(&start.input)
            } else {
                None
            }
        })
}

/// The run with this id, under way or over.
pub(crate) async fn find(
    core: &Arc<Core>,
    executable: &Arc<Executable>,
    id: RunId,
) -> Result<Arc<Run>, StartError> {
    if let Some(run) = core.live.find(id) {
        return check_workflow(run, executable);
    }
    if !core.is_durable {
        return Err(StartError::Unknown { run: id });
    }
    let definition = executable.definition;
    let load = move |store: &dyn Store| recovery::load(store, id, definition);
    let asked = core.reader.ask(load).await;
    let Some(loaded) = asked.map_err(|error| unread(core, error))? else {
        return Err(StartError::Unknown { run: id });
    };
    reopen(core, executable, &loaded).await
}

/// The run that has a key.
pub(crate) async fn find_key(
    core: &Arc<Core>,
    executable: &Arc<Executable>,
    key: &str,
) -> Result<Option<Arc<Run>>, StartError> {
    if let Some(claim) = core.claims.find(executable.name, key) {
        return match claim.settled().await {
            // Somebody asked for the key with another input. The run has it all the same.
            Err(StartError::KeyTaken { run, .. }) => find(core, executable, run).await.map(Some),
            result => result.map(Some),
        };
    }
    if !core.is_durable {
        return Ok(None);
    }
    let (workflow, key) = (executable.name, key.to_owned());
    let asked = core.reader.ask(move |store| store.find(workflow, &key));
    match asked.await.map_err(|error| unread(core, error))? {
        Some(id) => find(core, executable, id).await.map(Some),
        None => Ok(None),
    }
}

/// Why the store gave no answer.
fn unread(core: &Core, error: StoreError) -> StartError {
    if core.reader.is_closed() {
        StartError::ShutDown
    } else {
        error.into()
    }
}

fn check_workflow(run: Arc<Run>, executable: &Arc<Executable>) -> Result<Arc<Run>, StartError> {
    if run.executable.name == executable.name {
        return Ok(run);
    }
    Err(StartError::OtherWorkflow {
        run: run.id,
        workflow: run.executable.name.to_owned(),
        asked: executable.name,
    })
}

/// A run as the store has it: the live one, or the ending of one that is over.
async fn reopen(
    core: &Core,
    executable: &Arc<Executable>,
    loaded: &Loaded,
) -> Result<Arc<Run>, StartError> {
    let head = &loaded.stored.head;
    let id = head.id;
    if head.workflow != executable.name {
        return Err(StartError::OtherWorkflow {
            run: id,
            workflow: head.workflow.clone(),
            asked: executable.name,
        });
    }
    if let Some(run) = core.live.find(id) {
        return Ok(run);
    }
    let ended = |loaded: &Loaded| {
        let outcome = outcome(executable, loaded)?;
        Some(Arc::new(Run::ended(id, Arc::clone(executable), outcome)))
    };
    if let Some(run) = ended(loaded) {
        return Ok(run);
    }
    // It may have ended since it was loaded: then its end is on disk now.
    let definition = executable.definition;
    let load = move |store: &dyn Store| recovery::load(store, id, definition);
    let asked = core.reader.ask(load).await;
    let now = asked.map_err(|error| unread(core, error))?;
    if let Some(run) = now.as_ref().and_then(ended) {
        return Ok(run);
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
fn outcome(executable: &Executable, loaded: &Loaded) -> Option<Outcome> {
    let stored = &loaded.stored;
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
                path: loaded.path(executable, at),
                attempt: engine::last_attempt(backwards(stored), at).map(Attempt::number),
            });
            let error = RunError::new(failure.clone())
                .of_run(id, executable.name)
                .not_undone_at(not_undone(executable, loaded))
                .at(failed);
            Outcome::Failed(error)
        }
    })
}

/// The records that still count of how a run ended, the last first.
fn backwards(stored: &StoredRun) -> impl Iterator<Item = &Record> {
    let records = stored.steps.iter().rev();
    let records = records.flat_map(|step| step.records.iter().rev());
    records.take_while(|record| !matches!(record, Record::RunRevised(_)))
}

/// The nodes whose results could not be undone.
fn not_undone(executable: &Executable, loaded: &Loaded) -> Vec<String> {
    let undoing =
        backwards(&loaded.stored).take_while(|it| !matches!(it, Record::UndoingBegan { .. }));
    let failed = undoing.filter_map(|record| {
        if let Record::UndoFailed {
            at, retry_at: None, ..
        } = record
        {
            Some(at)
        } else {
            None
        }
    });
    let mut failed: Vec<_> = failed.collect();
    failed.sort();
    let failed = failed.into_iter();
    failed.map(|at| loaded.path(executable, at)).collect()
}
