//! Runs workflows.
//!
//! Three parts have one exclusive right each: a driver changes the engine of its run, the executor
//! polls user code and spawns, the writer writes to the store.

mod backoff;
pub(crate) mod census;
mod claim;
mod clock;
mod core;
mod diverged;
mod driver;
pub(crate) mod executable;
pub(crate) mod executor;
pub(crate) mod handle;
pub(crate) mod inline;
mod lane;
mod open;
mod reader;
pub(crate) mod recovery;
pub(crate) mod repair;
pub(crate) mod run;
mod seat;
mod shared;
mod shutdown;
mod signal;
mod slots;
pub(crate) mod start;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{RunHead, RunId, Store, StoreError};

use crate::error::{Error, OpenError, StartError};
use crate::event::Events;
use crate::job::Call;
use crate::runtime::clock::Clock;
use crate::runtime::core::Core;
use crate::runtime::executable::Executable;
use crate::runtime::handle::RunHandle;
use crate::runtime::recovery::{OnChange, Recovered};
use crate::runtime::repair::RunRepair;
use crate::runtime::start::RunBuilder;
use crate::workflow::{Workflow, WorkflowDef};

/// How many jobs may be in flight at once, if nothing else is said.
const JOBS_MAX: usize = 1024;

/// After so many actions in one go a run lets others go on: a loop of pure values alone may have no
/// end.
const ACTIONS_MAX: usize = 256;

/// In how many attempts of a job the process may die, if nothing else is said.
const CRASH_ATTEMPTS_MAX: u32 = 3;

/// How large one encoded value may be, if nothing else is said.
const VALUE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What `value_bytes_max` can be raised to: larger values make a file grow to several times their
/// size, and stop all other runs for seconds.
const VALUE_BYTES_CEILING: usize = 16 * 1024 * 1024;

/// How many children one job may have, if nothing else is said.
const CHILDREN_PER_JOB_MAX: usize = 1_000_000;

/// How many children all jobs of a run may have, if nothing else is said.
const CHILDREN_PER_RUN_MAX: usize = 10_000_000;

/// What either can be raised to: children are numbered in 32 bits, and a program that needs more of
/// them is better cut into several runs.
const CHILDREN_CEILING: usize = 1_000_000_000;

/// How deep children may have children, if nothing else is said.
const CHILD_DEPTH_MAX: usize = 256;

/// What that can be raised to: each record of a child has the way to it.
const CHILD_DEPTH_CEILING: usize = 10_000;

/// How often to look whether the store's file is still in its place.
const ATTACHED_INTERVAL: Duration = Duration::from_secs(3);

/// How long [`Runtime::shutdown`] lets jobs finish.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// Runs workflows, and goes on with those that an earlier process left unfinished.
///
/// Clones are the same runtime. When the last one is dropped without [`Runtime::shutdown`], jobs
/// under way are dropped as if the process had been killed: what was acknowledged is on disk, and
/// the runs go on at the next start.
#[derive(Clone)]
#[must_use = "a dropped runtime runs nothing"]
pub struct Runtime {
    owner: Arc<Owner>,
}

/// Ends the runtime when it is dropped.
struct Owner {
    core: Arc<Core>,
    recovered: Recovered,
}

impl Drop for Owner {
    fn drop(&mut self) {
        shutdown::abandon(&self.core);
    }
}

/// Settings of a [`Runtime`].
#[must_use = "nothing runs before `start`"]
pub struct RuntimeBuilder {
    source: Source,
    executables: Vec<Arc<Executable>>,
    jobs_max: usize,
    crash_attempts_max: u32,
    value_bytes_max: usize,
    children_per_job_max: usize,
    children_per_run_max: usize,
    child_depth_max: usize,
    on_change: OnChange,
    attached_interval: Duration,
    clock: Option<Arc<Clock>>,
}

/// Where runs are stored.
enum Source {
    Memory,
    File(PathBuf),
    #[cfg(any(test, feature = "test-util"))]
    Store(Arc<dyn Store>),
}

impl Runtime {
    /// A runtime that stores its runs in this file, which is created if it is not there.
    pub fn open(path: impl AsRef<Path>) -> RuntimeBuilder {
        RuntimeBuilder::new(Source::File(path.as_ref().to_owned()))
    }

    /// A runtime that stores nothing. Its runs end with it, and a key is held only as long as its
    /// run is under way. Of the results that its runs share (`once`, `cache`) it keeps the last
    /// 10,000, of 64 MiB together at most; what it has forgotten is made again.
    pub fn in_memory() -> RuntimeBuilder {
        RuntimeBuilder::new(Source::Memory)
    }

    /// A runtime over this store.
    #[cfg(any(test, feature = "test-util"))]
    pub fn with_store(store: impl Store) -> RuntimeBuilder {
        RuntimeBuilder::new(Source::Store(Arc::new(store)))
    }

    /// What was unfinished when the runtime started: the runs that go on, and those that can't.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.owner.recovered
    }

    /// The events of all runs from here on.
    pub fn events(&self) -> Events {
        self.core().hub.subscribe(None)
    }

    /// A run of this workflow that is about to be started: `runtime.run(longest_words(path))`.
    pub fn run<W: Workflow>(&self, call: Call<'static, W>) -> RunBuilder<W> {
        RunBuilder::new(self.core(), call)
    }

    /// A handle to the run with this id, whether it is under way or over.
    ///
    /// # Errors
    ///
    /// If there is no such run, if it is one of another workflow, if it could not go on in this
    /// process, or if the store can't be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// Nothing is written.
    pub async fn handle<W: Workflow>(
        &self,
        run: RunId,
    ) -> Result<RunHandle<W::Output>, StartError> {
        let executable = start::executable::<W>(self.core())?;
        let run = start::find(self.core(), &executable, run).await?;
        Ok(RunHandle::new(Arc::clone(self.core()), run))
    }

    /// A handle to the run of this workflow that was started with this key; `None` if none was.
    ///
    /// # Errors
    ///
    /// If the run could not go on in this process, or if the store can't be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// Nothing is written.
    pub async fn find<W: Workflow>(
        &self,
        key: &str,
    ) -> Result<Option<RunHandle<W::Output>>, StartError> {
        let executable = start::executable::<W>(self.core())?;
        let run = start::find_key(self.core(), &executable, key).await?;
        Ok(run.map(|run| RunHandle::new(Arc::clone(self.core()), run)))
    }

    /// Repairs of a run, under way in no process: one that has ended, or that could not go on in this
    /// one. For a run that has ended, [`RunHandle`] has the same methods.
    ///
    /// Whether there is such a run is found out when the repair is planned or started.
    pub fn repair<W: Workflow>(&self, run: RunId) -> RunRepair<W::Output> {
        RunRepair::new(self.core(), W::name(), run)
    }

    /// At most `limit` runs of the store in the order they were started, beginning behind `after`.
    ///
    /// A runtime in memory has none.
    ///
    /// # Errors
    ///
    /// If the store can't be read, or is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// What is listed is on disk.
    pub async fn runs(
        &self,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunHead>, StoreError> {
        if !self.core().is_durable {
            return Ok(Vec::new());
        }
        let read = move |store: &dyn Store| store.runs(after, limit);
        self.core().reader.ask(read).await
    }

    /// Ends the runtime: takes no more runs, lets jobs under way finish for up to ten seconds,
    /// drops the rest and records them as interrupted, writes everything, and closes the store.
    ///
    /// Unfinished runs go on at the next start.
    ///
    /// # Errors
    ///
    /// If the runtime has halted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no more runs are taken and jobs under way may finish, but the store
    /// is not closed. Call it again, or drop the runtime.
    ///
    /// # Durability
    ///
    /// Every result that there was is on disk when this returns.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.shutdown_within(SHUTDOWN_LIMIT).await
    }

    /// Like [`Runtime::shutdown`], with another limit for jobs under way.
    ///
    /// # Errors
    ///
    /// If the runtime has halted.
    ///
    /// # Cancel safety
    ///
    /// That of [`Runtime::shutdown`].
    ///
    /// # Durability
    ///
    /// That of [`Runtime::shutdown`].
    pub async fn shutdown_within(&self, limit: Duration) -> Result<(), Error> {
        shutdown::shut_down(self.core(), limit).await
    }

    fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("workflows", &self.core().executables.keys())
            .finish_non_exhaustive()
    }
}

impl RuntimeBuilder {
    const fn new(source: Source) -> Self {
        Self {
            source,
            executables: Vec::new(),
            jobs_max: JOBS_MAX,
            crash_attempts_max: CRASH_ATTEMPTS_MAX,
            value_bytes_max: VALUE_BYTES_MAX,
            children_per_job_max: CHILDREN_PER_JOB_MAX,
            children_per_run_max: CHILDREN_PER_RUN_MAX,
            child_depth_max: CHILD_DEPTH_MAX,
            on_change: OnChange::Migrate,
            attached_interval: ATTACHED_INTERVAL,
            clock: None,
        }
    }

    /// Knows this workflow, and all that it calls: its runs can be started, and go on after a
    /// restart.
    pub fn workflow<W: Workflow>(mut self) -> Self {
        let reachable = WorkflowDef::of::<W>().reachable();
        let executables = reachable
            .iter()
            .map(|workflow| Arc::new(Executable::of(workflow)));
        self.executables.extend(executables);
        self
    }

    /// At most this many jobs in flight at once, over all runs; 1024 if nothing else is said.
    pub const fn jobs_max(mut self, jobs_max: usize) -> Self {
        self.jobs_max = jobs_max;
        self
    }

    /// A job that was under way this often when the process died is not started again: it fails as
    /// [`FailureKind::Poisoned`](crate::FailureKind::Poisoned), its run fails with that, and
    /// the other runs go on. 3 if nothing else is said, and at least 1.
    ///
    /// What counts is how the process ended, not why: a job that aborts, a `kill -9`, a loss of power,
    /// a [`Runtime`] that was dropped without [`Runtime::shutdown`]. Whatever was under way then has
    /// one more; an attempt that fails, and one that a shutdown drops, has not, and a job that
    /// succeeds is rid of them. A job that has but one left runs only while no other such job does, so
    /// that none is blamed for another; with 1, whatever was under way is blamed.
    pub const fn crash_attempts_max(mut self, crash_attempts_max: u32) -> Self {
        self.crash_attempts_max = crash_attempts_max;
        self
    }

    /// At most this many children for one job, over all of its attempts; a million if nothing else is
    /// said. An attempt that spawns more fails for good, with
    /// [`FailureKind::TooLarge`](crate::FailureKind::TooLarge).
    pub const fn children_per_job_max(mut self, children_per_job_max: usize) -> Self {
        self.children_per_job_max = children_per_job_max;
        self
    }

    /// At most this many children for all jobs of one run together; ten million if nothing else is
    /// said. The attempt that spawns more fails for good, with
    /// [`FailureKind::TooLarge`](crate::FailureKind::TooLarge).
    pub const fn children_per_run_max(mut self, children_per_run_max: usize) -> Self {
        self.children_per_run_max = children_per_run_max;
        self
    }

    /// Children may have children this deep; 256 if nothing else is said. What a workflow calls is at
    /// depth 0, and its children are at depth 1. An attempt that spawns deeper fails for good, with
    /// [`FailureKind::TooLarge`](crate::FailureKind::TooLarge): a job that spawns itself without end
    /// does so. A job that another one [continues as](crate::guide::children#continue-as) is no deeper
    /// than that.
    pub const fn child_depth_max(mut self, child_depth_max: usize) -> Self {
        self.child_depth_max = child_depth_max;
        self
    }

    /// At most this many bytes for one encoded value; 2 MiB if nothing else is said, 16 MiB at most.
    pub const fn value_bytes_max(mut self, value_bytes_max: usize) -> Self {
        self.value_bytes_max = value_bytes_max;
        self
    }

    /// What becomes of unfinished runs whose workflow was changed since they were started:
    /// [`OnChange::Migrate`] if nothing else is said.
    pub const fn on_change(mut self, on_change: OnChange) -> Self {
        self.on_change = on_change;
        self
    }

    #[cfg(test)]
    pub(crate) fn executable(mut self, executable: &Arc<Executable>) -> Self {
        self.executables.push(Arc::clone(executable));
        self
    }

    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: &Arc<Clock>) -> Self {
        self.clock = Some(Arc::clone(clock));
        self
    }

    #[cfg(test)]
    pub(crate) const fn attached_interval(mut self, interval: Duration) -> Self {
        self.attached_interval = interval;
        self
    }

    /// Opens the store, and goes on with what is unfinished in it. Nothing else is taken before.
    ///
    /// # Errors
    ///
    /// If the store can't be opened or read, if a setting makes no sense, or if there is no tokio
    /// runtime here. A run that can't go on is no error: see [`Runtime::recovered`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the store is closed again. Nothing of it was changed.
    ///
    /// # Durability
    ///
    /// Starting writes nothing but an empty store that was not there.
    pub async fn start(self) -> Result<Runtime, OpenError> {
        open::start(self).await
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("jobs_max", &self.jobs_max)
            .field("crash_attempts_max", &self.crash_attempts_max)
            .field("value_bytes_max", &self.value_bytes_max)
            .finish_non_exhaustive()
    }
}
