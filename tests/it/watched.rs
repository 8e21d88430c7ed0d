//! Jobs that note that they ran, and runs that are watched to their end.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zahir::{Call, EventKind, Progress, RunError, RunHandle, Runtime, Workflow, job};
use zahir_store::MemoryStore;

/// What the jobs of one run note. Inputs are stored, so it is known by its number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Log(usize);

struct Page {
    lines: Mutex<Vec<String>>,
    gate: Semaphore,
}

fn pages() -> std::sync::MutexGuard<'static, Vec<Arc<Page>>> {
    static PAGES: OnceLock<Mutex<Vec<Arc<Page>>>> = OnceLock::new();
    let pages = PAGES.get_or_init(Mutex::default).lock();
    pages.unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub fn new() -> Self {
        let mut pages = pages();
        pages.push(Arc::new(Page {
            lines: Mutex::default(),
            gate: Semaphore::new(0),
        }));
        Self(pages.len() - 1)
    }

    fn page(self) -> Arc<Page> {
        Arc::clone(&pages()[self.0])
    }

    pub fn note(self, line: &str) {
        self.page().lines.lock().unwrap().push(line.to_owned());
    }

    /// What was noted, in that order.
    pub fn ran(self) -> Vec<String> {
        self.page().lines.lock().unwrap().clone()
    }

    /// What was noted, by name.
    pub fn ran_sorted(self) -> Vec<String> {
        let mut ran = self.ran();
        ran.sort();
        ran
    }

    /// Lets one [`held`] end.
    pub fn open(self) {
        self.page().gate.add_permits(1);
    }
}

/// An error that can be stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Broken {
    Off(u64),
    Lost { name: String },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(by) => write!(f, "off by {by}"),
            Self::Lost { name } => write!(f, "{name} is lost"),
        }
    }
}

impl std::error::Error for Broken {}

/// Gives its value.
#[job]
pub async fn give(log: Log, name: &str, value: u64) -> u64 {
    log.note(name);
    value
}

#[job]
pub async fn add(left: u64, right: u64) -> u64 {
    left + right
}

#[job]
pub async fn list(count: u64) -> Vec<u64> {
    (0..count).collect()
}

/// Fails, with an error that can be stored.
#[job]
pub async fn fail(log: Log, name: &str) -> Result<u64, Broken> {
    log.note(name);
    Err(Broken::Lost {
        name: name.to_owned(),
    })
}

/// Fails above 100, and says by how much.
#[job]
pub async fn up_to_100(log: Log, name: &str, value: u64) -> Result<u64, Broken> {
    log.note(name);
    match value.checked_sub(100) {
        None | Some(0) => Ok(value),
        Some(by) => Err(Broken::Off(by)),
    }
}

/// Fails, with an error that can't be stored.
#[job]
pub async fn fail_badly(log: Log, name: &str) -> Result<u64, std::io::Error> {
    log.note(name);
    Err(std::io::Error::other("a bad end"))
}

#[job]
pub async fn panics(log: Log, name: &str) -> Result<u64, Broken> {
    log.note(name);
    panic!("no way on from {name}");
}

/// Notes that it begins, and ends when the log is opened.
#[job]
pub async fn held(log: Log, name: &str, value: u64) -> u64 {
    log.note(&format!("{name} begins"));
    let page = log.page();
    page.gate.acquire().await.expect("open").forget();
    log.note(name);
    value
}

/// Never ends. Notes that it was dropped.
#[job]
pub async fn forever(log: Log, name: &str) -> u64 {
    struct Dropped(Log, String);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.note(&format!("{} dropped", self.1));
        }
    }
    log.note(name);
    let _dropped = Dropped(log, name.to_owned());
    std::future::pending().await
}

/// A run that is over.
#[derive(Debug)]
pub struct Watched<O> {
    pub output: Result<O, RunError>,
    pub progress: Progress,
    /// What the run told, a line for each event.
    pub told: Vec<String>,
}

impl<O: fmt::Debug> Watched<O> {
    /// What was told in these words: `told_of("skipped")`.
    pub fn told_of(&self, what: &str) -> Vec<&str> {
        let told = self.told.iter().filter_map(|line| line.strip_suffix(what));
        told.map(str::trim_end).collect()
    }

    /// What the run gave.
    pub fn value(&self) -> &O {
        self.output.as_ref().expect("an output")
    }

    /// Where the run failed, and why.
    pub fn failure(&self) -> (&str, &str) {
        let error = self.output.as_ref().expect_err("a failed run");
        (error.node().unwrap_or_default(), error.message())
    }
}

/// A runtime over a store in memory.
pub async fn runtime<W: Workflow>() -> Runtime {
    over::<W>(&Arc::new(MemoryStore::new())).await
}

/// A runtime over this store, in which nothing is lost.
pub async fn over<W: Workflow>(store: &Arc<MemoryStore>) -> Runtime {
    let builder = Runtime::with_store(Arc::clone(store)).workflow::<W>();
    let runtime = builder.start().await.expect("a runtime");
    let recovered = runtime.recovered();
    assert!(recovered.problems().is_empty(), "{recovered:?}");
    runtime
}

/// Runs `call` to its end.
pub async fn watch<W: Workflow>(call: Call<'static, W>) -> Watched<W::Output> {
    watch_with(call, async |_| {}).await
}

/// Runs `call` to its end while `meanwhile` goes on.
pub async fn watch_with<W: Workflow>(
    call: Call<'static, W>,
    meanwhile: impl AsyncFnOnce(&RunHandle<W::Output>),
) -> Watched<W::Output> {
    let runtime = runtime::<W>().await;
    let mut events = runtime.events();
    let run = runtime.run(call).start().await.expect("a run");
    meanwhile(&run).await;
    let output = run.output().await;
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        let kind = event.expect("no event is lost").kind;
        let is_last = matches!(kind, EventKind::RunFinished { .. });
        told.extend(line(&kind));
        if is_last {
            break;
        }
    }
    let progress = run.progress();
    runtime.shutdown().await.expect("an end");
    Watched {
        output,
        progress,
        told,
    }
}

/// An event in words.
fn line(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::AttemptStarted { node, .. } => format!("{node} started"),
        EventKind::AttemptSucceeded { node, .. } => format!("{node} succeeded"),
        EventKind::AttemptFailed { node, .. } => format!("{node} failed"),
        EventKind::BranchTaken { node, arm } => format!("{node} took {arm}"),
        EventKind::Skipped { node } => format!("{node} skipped"),
        EventKind::ItemsCounted { node, items } => format!("{node} over {items}"),
        EventKind::TimerSet { node, .. } => format!("{node} waits"),
        EventKind::SignalReceived { signal } => format!("{signal} received"),
        EventKind::SignalConsumed { node, .. } => format!("{node} consumed"),
        EventKind::WaitTimedOut { node } => format!("{node} timed out"),
        EventKind::RaceWon { node, entry } => format!("{node} won by {entry}"),
        _ => return None,
    })
}
