//! What the parts of one runtime share. The store itself is not in here: it belongs to the threads
//! that use it, so that it closes when they end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::{Builder, Uuid};
use zahir_store::{RunId, StoreError};

use crate::engine::ChildrenMax;
use crate::error::Halted;
use crate::event::Hub;
use crate::runtime::claim::Claims;
use crate::runtime::clock::Clock;
use crate::runtime::executable::Executable;
use crate::runtime::lane::Lane;
use crate::runtime::reader::Reader;
use crate::runtime::recovery::OnChange;
use crate::runtime::repair::Repairs;
use crate::runtime::run::{Left, Message, Outcome, Run, lock};
use crate::runtime::shared::Shared;
use crate::runtime::slots::Slots;
use crate::runtime::writer::Writer;

/// The shared state of a runtime.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<Clock>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) live: Live,
    pub(crate) claims: Claims,
    pub(crate) executables: BTreeMap<&'static str, Arc<Executable>>,
    /// Whether there is a store.
    pub(crate) is_durable: bool,
    pub(crate) writer: Writer,
    pub(crate) reader: Arc<Reader>,
    /// The results that runs share.
    pub(crate) shared: Arc<Shared>,
    /// Held by the run that has the attempt whose next crash would be its last.
    pub(crate) lane: Arc<Lane>,
    pub(crate) threads: Threads,
    /// Unfinished runs that could not go on in this process, and why.
    pub(crate) parked: OnceLock<HashMap<RunId, String>>,
    pub(crate) ids: Ids,
    pub(crate) tokio: tokio::runtime::Handle,
    pub(crate) value_bytes_max: usize,
    pub(crate) on_change: OnChange,
    /// The runs that are being repaired.
    pub(crate) repairs: Repairs,
    /// In how many attempts of a job the process may die.
    pub(crate) crash_attempts_max: u32,
    /// How many children there may be.
    pub(crate) children_max: ChildrenMax,
    /// How many tasks of a run may poll fresh attempts.
    pub(crate) runners_max: usize,
    /// How often to look whether the store's file is still in its place.
    pub(crate) attached_interval: Duration,
    pub(crate) halted: OnceLock<Halted>,
}

impl Core {
    pub(crate) fn halted(&self) -> Option<&Halted> {
        self.halted.get()
    }

    /// Stops for good: the store failed.
    pub(crate) fn halt(&self, cause: StoreError) {
        let halted = Halted::new(cause);
        if self.halted.set(halted.clone()).is_err() {
            return;
        }
        tracing::error!(
            target: "zahir",
            cause = %halted.cause(),
            "the runtime halted, nothing more is written: restart the program"
        );
        self.live
            .tell(|| Message::Leave(Left::Halted(halted.clone())));
    }

    /// A run that this runtime is to drive.
    pub(crate) fn run(&self, id: RunId, executable: Arc<Executable>) -> Run {
        let mut run = Run::new(id, executable, self.is_durable, self.value_bytes_max);
        run.children_per_job_max = self.children_max.per_job;
        run.shared = Some(Arc::clone(&self.shared));
        run
    }

    /// Adds a run that is about to be driven; `None` if the runtime takes no more.
    pub(crate) fn admit(self: &Arc<Self>, run: &Arc<Run>) -> Option<Admission> {
        if !self.live.insert(run) {
            return None;
        }
        if let Some(halted) = self.halted() {
            run.inbox.push(Message::Leave(Left::Halted(halted.clone())));
        }
        Some(Admission {
            core: Arc::clone(self),
            run: Arc::clone(run),
        })
    }

    /// Forgets a run that nobody drives any more.
    pub(crate) fn retire(&self, run: &Run) {
        if let Some(key) = &run.key {
            self.claims.release(run.executable.name, key);
        }
        self.live.remove(run.id);
    }
}

/// A run that is in the table of live runs. When this is dropped the run is out of it, and has an
/// outcome: also if its driver was never polled, because tokio's runtime is gone.
#[must_use = "the run is left when this is dropped"]
pub(crate) struct Admission {
    core: Arc<Core>,
    run: Arc<Run>,
}

impl Admission {
    /// Lets the run be driven to its outcome.
    pub(crate) async fn hold(self, driver: impl Future<Output = Outcome>) {
        let outcome = driver.await;
        self.finish(outcome);
    }

    fn finish(&self, outcome: Outcome) {
        drop(self.run.crew.close());
        self.run.earned.close();
        self.core.retire(&self.run);
        self.run.set_outcome(outcome);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.run.outcome().is_none() {
            self.finish(Outcome::Left(Left::Stopped));
        }
    }
}

/// How many parts the table of live runs has: they are locked one by one.
const SHARDS: usize = 16;

/// The runs that are being driven.
#[derive(Default)]
pub(crate) struct Live {
    shards: [Mutex<HashMap<RunId, Arc<Run>>>; SHARDS],
    count: AtomicUsize,
    is_closed: AtomicBool,
    emptied: Notify,
}

impl Live {
    /// Adds a run, unless no more are taken.
    fn insert(&self, run: &Arc<Run>) -> bool {
        let mut shard = lock(self.shard(run.id));
        // Looked at under the lock that `tell` takes after it was set: a run is told, or refused.
        if self.is_closed.load(Ordering::SeqCst) {
            return false;
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        shard.insert(run.id, Arc::clone(run));
        true
    }

    fn remove(&self, id: RunId) {
        let removed = lock(self.shard(id)).remove(&id);
        if removed.is_some() && self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn find(&self, id: RunId) -> Option<Arc<Run>> {
        lock(self.shard(id)).get(&id).map(Arc::clone)
    }

    /// Takes no more runs.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Tells every run.
    pub(crate) fn tell(&self, message: impl Fn() -> Message) {
        for run in self.all() {
            run.inbox.push(message());
        }
    }

    /// Every run, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Run>> {
        let mut runs = Vec::new();
        for shard in &self.shards {
            runs.extend(lock(shard).values().map(Arc::clone));
        }
        runs
    }

    /// Waits until there is none.
    pub(crate) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn shard(&self, id: RunId) -> &Mutex<HashMap<RunId, Arc<Run>>> {
        let shard = usize::try_from(id.as_u128() % 16).unwrap_or(0);
        &self.shards[shard % SHARDS]
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// How many threads have the store.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    count: Mutex<usize>,
    ended: Condvar,
    ended_async: Notify,
}

impl Threads {
    pub(crate) fn begin(&self) {
        *lock(&self.count) += 1;
    }

    pub(crate) fn end(&self) {
        *lock(&self.count) -= 1;
        self.ended.notify_all();
        self.ended_async.notify_waiters();
    }

    /// Waits until the store is closed.
    pub(crate) async fn ended(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended_async.notified());
            ended.as_mut().enable();
            if *lock(&self.count) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Waits until the store is closed, but no longer than this.
    pub(crate) fn join(&self, patience: Duration) {
        let count = lock(&self.count);
        let waited = self
            .ended
            .wait_timeout_while(count, patience, |count| *count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Makes the ids of runs: UUIDs of version 7, in the order of their making.
///
/// A random number is drawn once; each id then has the time, a count, and bits that are mixed from
/// both. A draw for each id would cost a system call each.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    /// The milliseconds of the last id, and a count of 12 bits that carries into them.
    last: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        let (high, low) = Uuid::now_v7().as_u64_pair();
        Self {
            seed: low ^ high.rotate_left(32),
            last: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self, now: zahir_store::Timestamp) -> RunId {
        let now = now.as_millis() << 12;
        let mut last = self.last.load(Ordering::Relaxed);
        let next = loop {
            let next = now.max(last.saturating_add(1));
            match self
                .last
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => break next,
                Err(seen) => last = seen,
            }
        };
        let mut random = [0; 10];
        let count = u16::try_from(next & 0xfff).unwrap_or(0);
        random[..2].copy_from_slice(&count.to_be_bytes());
        let mixed = xxhash_rust::xxh3::xxh3_64_with_seed(&next.to_le_bytes(), self.seed);
        random[2..].copy_from_slice(&mixed.to_be_bytes());
        let id = Builder::from_unix_timestamp_millis(next >> 12, &random).into_uuid();
        RunId::from_u128(id.as_u128())
    }
}
