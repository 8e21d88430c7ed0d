//! A store in memory that outlives its runtime, remembers who called it, and fails when told to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use zahir_store::{
    Append, DefinitionId, MemoryStore, Record, RunHead, RunId, SharedResult, Store, StoreError,
    StoredRun, Timestamp,
};

type AfterLoad = Arc<dyn Fn() + Send + Sync>;
type OnAppend = Box<dyn FnMut(&[Append]) -> Result<(), StoreError> + Send>;

/// Clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct TestStore {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    store: MemoryStore,
    threads: Mutex<BTreeSet<String>>,
    on_append: Mutex<Option<OnAppend>>,
    after_load: Mutex<Option<AfterLoad>>,
    detached: Mutex<bool>,
    /// How often shared results were looked at to be removed.
    looks: AtomicUsize,
}

impl TestStore {
    /// Looks at every append before it is made. An error is what the append gives, and stays.
    pub(crate) fn on_append(
        &self,
        look: impl FnMut(&[Append]) -> Result<(), StoreError> + Send + 'static,
    ) {
        *self.inner.on_append.lock().unwrap() = Some(Box::new(look));
    }

    /// Does this after every load, before its result is given.
    pub(crate) fn after_load(&self, then: impl Fn() + Send + Sync + 'static) {
        *self.inner.after_load.lock().unwrap() = Some(Arc::new(then));
    }

    /// Writes although the append will be said to have failed.
    pub(crate) fn write_behind(&self, batch: &[Append]) {
        self.inner.store.append(batch).unwrap();
    }

    pub(crate) fn heal(&self) {
        *self
            .inner
            .on_append
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How often shared results were looked at to be removed.
    pub(crate) fn looks(&self) -> usize {
        self.inner.looks.load(Ordering::SeqCst)
    }

    pub(crate) fn detach(&self) {
        *self.inner.detached.lock().unwrap() = true;
    }

    /// The names of the threads that called the store.
    pub(crate) fn threads(&self) -> Vec<String> {
        self.inner.threads.lock().unwrap().iter().cloned().collect()
    }

    /// The records of a run.
    pub(crate) fn records(&self, run: RunId) -> Vec<Record> {
        let stored = self.inner.store.load(run).unwrap();
        let steps = stored.map_or_else(Vec::new, |stored| stored.steps);
        steps.into_iter().flat_map(|step| step.records).collect()
    }

    /// All runs.
    pub(crate) fn all(&self) -> Vec<RunHead> {
        self.inner.store.runs(None, usize::MAX).unwrap()
    }

    /// How many runtimes, and clones of this, have the store.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    fn touch(&self) -> &MemoryStore {
        let name = thread::current().name().unwrap_or("?").to_owned();
        self.inner.threads.lock().unwrap().insert(name);
        &self.inner.store
    }
}

impl Store for TestStore {
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        let store = self.touch();
        let mut on_append = self
            .inner
            .on_append
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = &mut *on_append {
            look(batch)?;
        }
        store.append(batch)
    }

    fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        let stored = self.touch().load(run);
        let then = self.inner.after_load.lock().unwrap().clone();
        if let Some(then) = then {
            then();
        }
        stored
    }

    fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        self.touch().unfinished()
    }

    fn find(&self, workflow: &str, key: &str) -> Result<Option<RunId>, StoreError> {
        self.touch().find(workflow, key)
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, StoreError> {
        self.touch().runs(after, limit)
    }

    fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, StoreError> {
        self.touch().definition(id)
    }

    fn shared(&self, key: u128) -> Result<Option<SharedResult>, StoreError> {
        self.touch().shared(key)
    }

    fn remove_expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Option<u128>, StoreError> {
        assert!(limit <= 64);
        let removed = self.touch().remove_expired(now, after, limit);
        self.inner.looks.fetch_add(1, Ordering::SeqCst);
        removed
    }

    fn check_attached(&self) -> Result<(), StoreError> {
        self.touch().check_attached()?;
        if *self.inner.detached.lock().unwrap() {
            let kind = zahir_store::StoreErrorKind::Detached;
            return Err(StoreError::new(kind, "the file was replaced"));
        }
        Ok(())
    }
}
