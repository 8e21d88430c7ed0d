//! What a store promises.

use std::sync::Arc;

use crate::{DefinitionId, Record, RunId, StoreError, Timestamp};

/// Where records live.
///
/// Narrow, blocking and dumb: it knows nothing of scheduling and looks into no value. Every method
/// may block on the disk; none may be called on an async worker thread.
pub trait Store: Send + Sync + 'static {
    /// Appends all of `batch` in one transaction.
    ///
    /// All or nothing: after `Ok` every record is durable, also against loss of power. An error
    /// whose [`StoreError::is_outcome_unknown`] is true may have been written all the same; this
    /// store then refuses every further append, and what is really there is learnt by opening it
    /// again. Any other error has written nothing.
    ///
    /// `append` is called by one thread only.
    ///
    /// # Errors
    ///
    /// If a run's records do not go on where its last ones ended, if a run is started twice, if
    /// something other than a [`Record::RunRevised`] follows a [`Record::RunFinished`], if a key is
    /// taken by another run, if a definition is named that is neither stored nor given, if a
    /// [`Record::ResultShared`] is not followed by its result in the same append, if a record is
    /// larger than the store can hold, or if the medium fails.
    fn append(&self, batch: &[Append]) -> Result<(), StoreError>;

    /// Every record of a run in the order they were appended, verified; `None` if there is no such
    /// run.
    ///
    /// # Errors
    ///
    /// If a record is damaged or missing, or if the medium fails. Other runs stay readable;
    /// [`StoreError::run`] names this one.
    fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError>;

    /// The runs whose last record is no [`Record::RunFinished`], in the order they were started.
    ///
    /// # Errors
    ///
    /// If the medium fails.
    fn unfinished(&self) -> Result<Vec<RunId>, StoreError>;

    /// The run of this workflow that was started with this key.
    ///
    /// # Errors
    ///
    /// If that is damaged, or if the medium fails.
    fn find(&self, workflow: &str, key: &str) -> Result<Option<RunId>, StoreError>;

    /// At most `limit` runs in the order they were started, beginning behind `after`.
    ///
    /// # Errors
    ///
    /// If there is no run `after`, if a run on the way is damaged, which [`StoreError::run`] names
    /// so that the list can go on behind it, or if the medium fails.
    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, StoreError>;

    /// The definition that [`Append::definition`] stored under this id.
    ///
    /// # Errors
    ///
    /// If it is damaged, or if the medium fails.
    fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, StoreError>;

    /// The result that was shared with this key: what the last [`Record::ResultShared`] with it and
    /// the result behind that say. It stays there when its run is revised, and when its time is over
    /// until [`Store::remove_expired`] removes it.
    ///
    /// # Errors
    ///
    /// If it is damaged, or if the medium fails.
    fn shared(&self, key: u128) -> Result<Option<SharedResult>, StoreError>;

    /// Looks at up to `limit` shared results behind the key `after`, in the order of their keys, and
    /// removes in one transaction those whose time is over at `now`, durably. What is removed is as
    /// if it had never been shared; the records of its run stay. One that is damaged stays, too.
    ///
    /// Gives the key of the last one that it looked at, behind which more may be; `None` if there are
    /// no more.
    ///
    /// Called by the thread that calls `append`.
    ///
    /// # Errors
    ///
    /// If the medium fails; those of [`Store::append`] then.
    fn remove_expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Option<u128>, StoreError>;

    /// Whether what is written still reaches the place that was opened: fails when the file was
    /// deleted or replaced meanwhile.
    ///
    /// # Errors
    ///
    /// If it was, or if that can't be found out.
    fn check_attached(&self) -> Result<(), StoreError>;
}

impl<S: Store> Store for Arc<S> {
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        (**self).append(batch)
    }

    fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        (**self).load(run)
    }

    fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        (**self).unfinished()
    }

    fn find(&self, workflow: &str, key: &str) -> Result<Option<RunId>, StoreError> {
        (**self).find(workflow, key)
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, StoreError> {
        (**self).runs(after, limit)
    }

    fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).definition(id)
    }

    fn shared(&self, key: u128) -> Result<Option<SharedResult>, StoreError> {
        (**self).shared(key)
    }

    fn remove_expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Option<u128>, StoreError> {
        (**self).remove_expired(now, after, limit)
    }

    fn check_attached(&self) -> Result<(), StoreError> {
        (**self).check_attached()
    }
}

/// Records to be added to one run.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data between the runtime and a store"
)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The number of the first of the records: how many the run has so far.
    pub first: u64,
    /// When they were made.
    pub at: Timestamp,
    /// The records, at least one.
    pub records: Vec<Record>,
    /// With a [`Record::RunStarted`] or a [`Record::RunRevised`], of which there is one then, the
    /// definition that it names. Stored once per id: what is stored already need not be given.
    pub definition: Option<Arc<[u8]>>,
}

/// What a list of runs shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data between the runtime and a store"
)]
pub struct RunHead {
    /// The run.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The idempotency key it was started with.
    pub key: Option<String>,
    /// Whether and how it ended.
    pub status: RunStatus,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its last record was made.
    pub updated_at: Timestamp,
    /// How many records it has.
    pub records: u64,
}

/// Whether and how a run ended, as a store sees it: what its last record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "follows the closed record vocabulary"
)]
pub enum RunStatus {
    /// It has not.
    Running,
    /// With an output.
    Succeeded,
    /// With a failure.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// A result that is given to other runs, too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data between the runtime and a store"
)]
pub struct SharedResult {
    /// The encoded result.
    pub output: Vec<u8>,
    /// Until when it holds; `None` for ever.
    pub until: Option<Timestamp>,
}

impl SharedResult {
    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A run and all of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data between the runtime and a store"
)]
pub struct StoredRun {
    /// The run.
    pub head: RunHead,
    /// Its records, in order, as they were appended.
    pub steps: Vec<StoredStep>,
}

/// The records of one [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data between the runtime and a store"
)]
pub struct StoredStep {
    /// When they were made.
    pub at: Timestamp,
    /// The records.
    pub records: Vec<Record>,
}
