//! How a runtime begins: the store is opened, its threads are started, and what is unfinished goes
//! on. Nothing else is taken before.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use zahir_store::{Store, StoreError, StoreErrorKind};

use super::{
    CHILD_DEPTH_CEILING, CHILDREN_CEILING, Owner, Runtime, RuntimeBuilder, Source,
    VALUE_BYTES_CEILING,
};
use crate::engine::ChildrenMax;
use crate::error::OpenError;
use crate::event::Hub;
use crate::runtime::claim::Claims;
use crate::runtime::clock::Clock;
use crate::runtime::core::{Core, Ids, Live, Threads};
use crate::runtime::driver::Driver;
use crate::runtime::executable::Executable;
use crate::runtime::executor;
use crate::runtime::reader::{self, Questions, Reader};
use crate::runtime::recovery::{self, Found, FoundRun, Recovered, RecoveredRun};
use crate::runtime::repair::Repairs;
use crate::runtime::shared::{Audience, Shared};
use crate::runtime::slots::Slots;
use crate::runtime::writer::{self, Writer, guard};

pub(super) async fn start(builder: RuntimeBuilder) -> Result<Runtime, OpenError> {
    check_settings(&builder)?;
    let tokio = current_tokio()?;
    let executables = table(&builder.executables)?;
    let is_durable = !matches!(builder.source, Source::Memory);
    let (reader, questions) = Reader::new();
    let reader = Arc::new(reader);
    let clock = builder.clock.unwrap_or_else(|| Arc::new(Clock::system()));
    let slots = Arc::new(Slots::new(builder.jobs_max));
    let stored = is_durable.then(|| Arc::clone(&reader));
    let hub = Arc::new(Hub::default());
    let audience = Audience {
        hub: Arc::clone(&hub),
        clock: Arc::clone(&clock),
    };
    let shared = Shared::new(stored, audience, Arc::clone(&slots));
    let core = Arc::new(Core {
        clock,
        slots,
        hub,
        live: Live::default(),
        claims: Claims::default(),
        executables,
        is_durable,
        writer: Writer::default(),
        reader,
        shared: Arc::new(shared),
        lane: Arc::default(),
        threads: Threads::default(),
        parked: OnceLock::new(),
        ids: Ids::new(),
        runners_max: tokio.metrics().num_workers(),
        tokio,
        value_bytes_max: builder.value_bytes_max,
        on_change: builder.on_change,
        repairs: Repairs::default(),
        crash_attempts_max: builder.crash_attempts_max,
        children_max: ChildrenMax {
            per_job: builder.children_per_job_max,
            per_run: builder.children_per_run_max,
            depth: builder.child_depth_max,
        },
        attached_interval: builder.attached_interval,
        halted: OnceLock::new(),
    });
    // From here on, leaving early closes what was opened.
    let mut owner = Owner {
        core: Arc::clone(&core),
        recovered: Recovered::default(),
    };
    if let Some(store) = open(&core, builder.source).await? {
        spawn_threads(&core, &store, questions)?;
        drop(store);
        owner.recovered = recover(&core).await?;
    }
    Ok(Runtime {
        owner: Arc::new(owner),
    })
}

fn check_settings(builder: &RuntimeBuilder) -> Result<(), OpenError> {
    let refuse = |setting, reason: String| Err(OpenError::Setting { setting, reason });
    if builder.jobs_max == 0 {
        return refuse("jobs_max", "is 0: no job could ever start".to_owned());
    }
    if builder.jobs_max > tokio::sync::Semaphore::MAX_PERMITS {
        let most = tokio::sync::Semaphore::MAX_PERMITS;
        return refuse("jobs_max", format!("is larger than {most}"));
    }
    if builder.crash_attempts_max == 0 {
        let reason = "is 0: a job would fail before it was ever started";
        return refuse("crash_attempts_max", reason.to_owned());
    }
    if builder.value_bytes_max > VALUE_BYTES_CEILING {
        let reason = format!(
            "is {}; at most {VALUE_BYTES_CEILING} are possible: pass a reference to where large \
             data is",
            builder.value_bytes_max
        );
        return refuse("value_bytes_max", reason);
    }
    let ceilings = [
        (
            "children_per_job_max",
            builder.children_per_job_max,
            CHILDREN_CEILING,
        ),
        (
            "children_per_run_max",
            builder.children_per_run_max,
            CHILDREN_CEILING,
        ),
        (
            "child_depth_max",
            builder.child_depth_max,
            CHILD_DEPTH_CEILING,
        ),
    ];
    for (setting, value, most) in ceilings {
        if value > most {
            return refuse(setting, format!("is {value}; at most {most} are possible"));
        }
    }
    Ok(())
}

fn current_tokio() -> Result<Handle, OpenError> {
    let tokio = Handle::try_current().map_err(|_| OpenError::NoTokio {
        missing: "a tokio runtime around it",
    })?;
    // tokio has no other way to ask whether there are timers.
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| OpenError::NoTokio {
        missing: "tokio's timers",
    })?;
    Ok(tokio)
}

fn table(
    executables: &[Arc<Executable>],
) -> Result<BTreeMap<&'static str, Arc<Executable>>, OpenError> {
    let mut table = BTreeMap::<&'static str, Arc<Executable>>::new();
    for executable in executables {
        let other = table.insert(executable.name, Arc::clone(executable));
        if other.is_some_and(|other| other.definition != executable.definition) {
            return Err(OpenError::Ambiguous {
                workflow: executable.name,
            });
        }
    }
    Ok(table)
}

/// Opens the store, on a thread of its own. Whoever stops waiting waits for that thread to close
/// what it opened, as for the other threads that have the store.
async fn open(core: &Arc<Core>, source: Source) -> Result<Option<Arc<dyn Store>>, OpenError> {
    let path = match source {
        Source::Memory => return Ok(None),
        #[cfg(any(test, feature = "test-util"))]
        Source::Store(store) => return Ok(Some(store)),
        Source::File(path) => path,
    };
    let (opened, store) = oneshot::channel();
    let opener = StoreThread::new(core, None);
    spawn_thread("zahir-opener", move || {
        drop(opened.send(guard(|| open_file(&path))));
        drop(opener);
    })?;
    let store = store.await.unwrap_or_else(|_| {
        Err(StoreError::new(
            StoreErrorKind::Unusable,
            "the thread that opens the store ended",
        ))
    })?;
    Ok(Some(store))
}

#[cfg(feature = "redb")]
fn open_file(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    zahir_store::RedbStore::open(path).map(|store| -> Arc<dyn Store> { Arc::new(store) })
}

#[cfg(not(feature = "redb"))]
fn open_file(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    let message = format!(
        "`{}` can't be opened: zahir was built without its feature `redb`",
        path.display()
    );
    Err(StoreError::new(StoreErrorKind::Unusable, message))
}

fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(OpenError::Thread)
}

fn spawn_threads(
    core: &Arc<Core>,
    store: &Arc<dyn Store>,
    questions: Questions,
) -> Result<(), OpenError> {
    let reader = StoreThread::new(core, Some(store));
    spawn_thread("zahir-reader", move || {
        reader.run(|_, store| reader::read(&questions, store));
    })?;
    let writer = StoreThread::new(core, Some(store));
    spawn_thread("zahir-writer", move || writer.run(writer::write))
}

/// A thread that has the store. The store closes when the last one ends.
struct StoreThread {
    core: Arc<Core>,
    store: Option<Arc<dyn Store>>,
}

impl StoreThread {
    fn new(core: &Arc<Core>, store: Option<&Arc<dyn Store>>) -> Self {
        core.threads.begin();
        Self {
            core: Arc::clone(core),
            store: store.map(Arc::clone),
        }
    }

    fn run(&self, work: impl FnOnce(&Core, &dyn Store)) {
        let Some(store) = &self.store else { return };
        let work = AssertUnwindSafe(|| work(&self.core, &**store));
        if let Err(payload) = catch_unwind(work) {
            let message = executor::panicked(payload).message;
            let error = StoreError::new(
                StoreErrorKind::Damaged,
                format!("a thread of the store panicked: {message}"),
            );
            self.core.halt(error.outcome_unknown());
        }
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        executor::drop_quietly(self.store.take());
        self.core.threads.end();
    }
}

/// Goes on with what is unfinished.
async fn recover(core: &Arc<Core>) -> Result<Recovered, OpenError> {
    let (executables, on_change) = (core.executables.clone(), core.on_change);
    let Found { runs, problems } = core
        .reader
        .ask(move |store| {
            store.check_attached()?;
            recovery::find(store, &executables, on_change)
        })
        .await?;
    for problem in &problems {
        // Not the reason: it may quote a value.
        let kind = problem.kind().name();
        tracing::warn!(target: "zahir", run = %problem.run(), kind, "a run can't go on");
    }
    let parked: HashMap<_, _> = problems
        .iter()
        .map(|problem| (problem.run(), problem.kind().to_string()))
        .collect();
    drop(core.parked.set(parked));
    let heads = runs
        .iter()
        .map(|run| RecoveredRun {
            id: run.id,
            workflow: run.executable.name,
            key: run.key.clone(),
            changes: run.changes.clone(),
        })
        .collect();
    if !runs.is_empty() || !problems.is_empty() {
        let (runs, problems) = (runs.len(), problems.len());
        tracing::info!(target: "zahir", runs, problems, "went on with unfinished runs");
    }
    for found in runs {
        resume(core, found);
    }
    Ok(Recovered {
        runs: heads,
        problems,
    })
}

fn resume(core: &Arc<Core>, found: FoundRun) {
    let FoundRun {
        id,
        executable,
        engine,
        changes,
        key: _,
    } = found;
    let mut run = core.run(id, executable);
    run.changes = changes;
    let run = Arc::new(run);
    run.set_started();
    if let Some(admission) = core.admit(&run) {
        let driver = Driver::new(core, &run, engine);
        executor::spawn_driver(&core.tokio, admission.hold(driver.drive()));
    }
}
