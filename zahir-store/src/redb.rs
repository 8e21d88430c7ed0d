//! The store in one redb file.
//!
//! One thread appends, any number read. What the writer knows of unfinished runs is in memory, so
//! an append to one reads nothing from the file, unless it names something; reads see only what is
//! committed. After an error that a commit may have survived the store takes no append until it is
//! opened again.

mod batch;
mod file;
mod format;
mod guard;
mod index;
mod load;
#[cfg(feature = "test-util")]
mod medium;
mod names;
mod options;
mod probe;
mod schema;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, WriteTransaction};

use crate::{
    Append, DefinitionId, RunHead, RunId, SharedResult, Store, StoreError, StoreErrorKind,
    StoredRun, Timestamp, rules,
};

use self::batch::{Live, Staged};
use self::file::Place;
use self::format::check_format;
use self::guard::{Fault, abandon, damaged, damaged_run, guard};
use self::load::{Snapshot, Unfinished};
#[cfg(feature = "test-util")]
pub use self::medium::Medium;
pub use self::options::RedbOptions;
use self::schema::Ledger;

/// A store in one file.
///
/// Dropping it closes the file; everything appended is on disk already.
pub struct RedbStore {
    name: String,
    /// Only empty while it is dropped.
    database: Option<Database>,
    place: Option<Place>,
    /// The runs that are not over, as of the last commit.
    live: RwLock<HashMap<RunId, Live>>,
    /// Runs whose head is lost. With any of these the store can only be read.
    lost: Vec<(u64, RunId)>,
    /// Whether the heads of unfinished runs are those that were last written.
    are_heads_current: bool,
    /// Whether damage was seen.
    is_damaged: AtomicBool,
    writer: Mutex<Writer>,
}

struct Writer {
    ledger: Ledger,
    staged: Staged,
    /// How large the file is at least.
    bytes: u64,
    quick_repair_bytes_min: u64,
    /// Why nothing more is written.
    stopped: Option<(StoreErrorKind, String)>,
}

impl RedbStore {
    /// Opens the store at `path` with the defaults of [`RedbOptions`], or makes one if there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of [`RedbOptions::open`].
    ///
    /// # Durability
    ///
    /// That of [`RedbOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        RedbOptions::new().open(path)
    }

    fn load(
        name: String,
        database: Database,
        mut writer: Writer,
        place: Option<Place>,
    ) -> Result<Self, StoreError> {
        let read = guard(&name, || {
            let transaction = database.begin_read()?;
            check_format(&name, &transaction)?;
            let snapshot = Snapshot {
                name: &name,
                transaction,
            };
            let unfinished = snapshot.unfinished()?;
            let lost = match unfinished.damage {
                Some(_) => snapshot.lost(&unfinished)?,
                None => Vec::new(),
            };
            Ok((unfinished, lost))
        });
        let (unfinished, lost) = match read {
            Ok(read) => read,
            Err(error) => {
                abandon(database);
                return Err(error);
            }
        };
        let Unfinished {
            ledger,
            heads,
            damage,
            are_current,
        } = unfinished;
        let live = heads
            .into_iter()
            .map(|(number, head, checksum)| {
                let live = Live {
                    number,
                    head,
                    checksum,
                };
                (head.id, live)
            })
            .collect();
        writer.ledger = ledger;
        writer.stopped = damage
            .as_ref()
            .map(|what| (StoreErrorKind::Damaged, what.clone()));
        let is_damaged = damage.is_some();
        Ok(Self {
            name,
            database: Some(database),
            place,
            live: RwLock::new(live),
            lost,
            are_heads_current: are_current,
            is_damaged: AtomicBool::new(is_damaged),
            writer: Mutex::new(writer),
        })
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database
            .as_ref()
            .ok_or_else(|| StoreError::new(StoreErrorKind::Io, format!("{} is closed", self.name)))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Snapshot<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let database = self.database()?;
        self.guard(|| {
            work(&Snapshot {
                name: &self.name,
                transaction: database.begin_read()?,
            })
        })
    }

    fn guard<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, StoreError> {
        guard(&self.name, work).map_err(|error| {
            let is_damage = error.kind() == StoreErrorKind::Damaged;
            let was_damaged = self.is_damaged.fetch_or(is_damage, Ordering::Relaxed);
            if was_damaged && error.kind() == StoreErrorKind::Io {
                // redb refuses all reads after one that a damaged page led beyond the end.
                return damaged(&self.name, "nothing more can be read").with_source(error);
            }
            error
        })
    }

    /// Closes the file as a crash would, without a write.
    #[cfg(feature = "test-util")]
    pub fn abandon(mut self) {
        *self.is_damaged.get_mut() = true;
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, run: RunId) -> Option<Live> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(&run).copied()
    }

    fn append_staged(&self, writer: &mut Writer, batch: &[Append]) -> Result<(), StoreError> {
        let mut ledger = writer.ledger;
        writer.staged.clear();
        {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            writer.staged.stage(batch, &live, &mut ledger, |run| {
                self.read(|snapshot| snapshot.ended(run))
            })?;
        }
        self.commit(writer, |writer, transaction| {
            writer.staged.write(batch, transaction, &mut ledger)
        })?;
        writer.ledger = ledger;
        writer.bytes = writer.bytes.saturating_add(writer.staged.bytes());
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        writer.staged.apply(&mut live);
        Ok(())
    }
}

impl RedbStore {
    /// Writes in one transaction. After an error that is not just a refusal nothing more is written.
    fn commit(
        &self,
        writer: &mut Writer,
        write: impl FnOnce(&mut Writer, &WriteTransaction) -> Result<(), Fault>,
    ) -> Result<(), StoreError> {
        let database = self.database()?;
        let mut is_committing = false;
        let is_large = writer.bytes >= writer.quick_repair_bytes_min;
        let written = self.guard(|| {
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            transaction.set_quick_repair(is_large);
            write(writer, &transaction)?;
            is_committing = true;
            Ok(transaction.commit()?)
        });
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == StoreErrorKind::Refused => Err(error),
            Err(error) => {
                writer.stopped = Some((error.kind(), error.to_string()));
                Err(if is_committing {
                    error.outcome_unknown()
                } else {
                    error
                })
            }
        }
    }

    /// Why nothing more is written, if that is so.
    fn check_writable(&self, writer: &Writer) -> Result<(), StoreError> {
        match &writer.stopped {
            Some((kind, why)) => Err(StoreError::new(
                *kind,
                format!(
                    "{} takes no more records since an error; open it again: {why}",
                    self.name
                ),
            )),
            None => Ok(()),
        }
    }
}

impl Store for RedbStore {
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        self.check_writable(&writer)?;
        self.append_staged(&mut writer, batch)
    }

    fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        let live = self.live(run);
        if self.lost.iter().any(|(_, lost)| *lost == run) {
            return Err(damaged_run(&self.name, run, "its head can't be read"));
        }
        let stored = self.read(|snapshot| snapshot.run(run))?;
        let Some(live) = live else {
            return Ok(stored);
        };
        if !self.are_heads_current {
            let what = "an unfinished run is lost or old, and it may be this one";
            return Err(damaged_run(&self.name, run, what));
        }
        match stored {
            Some(stored) if stored.head.records >= live.head.records => Ok(Some(stored)),
            Some(_) | None => Err(damaged_run(&self.name, run, "its last records are missing")),
        }
    }

    fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<(u64, RunId)> = live
            .iter()
            .map(|(run, live)| (live.number, *run))
            .chain(self.lost.iter().copied())
            .collect();
        runs.sort_unstable();
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }

    fn find(&self, workflow: &str, key: &str) -> Result<Option<RunId>, StoreError> {
        self.read(|snapshot| snapshot.by_key(workflow, key))
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, StoreError> {
        self.read(|snapshot| {
            let first = match after {
                None => 0,
                Some(run) => match snapshot.number(run)? {
                    Some(number) => number.saturating_add(1),
                    None => return Err(rules::no_such_run(run).into()),
                },
            };
            snapshot.heads(first, limit)
        })
    }

    fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|snapshot| snapshot.definition(id))
    }

    fn shared(&self, key: u128) -> Result<Option<SharedResult>, StoreError> {
        self.read(|snapshot| snapshot.shared(key))
    }

    fn remove_expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Option<u128>, StoreError> {
        // Nobody else writes meanwhile.
        let mut writer = self.writer();
        self.check_writable(&writer)?;
        let (expired, last) = self.read(|snapshot| snapshot.expired(now, after, limit))?;
        if !expired.is_empty() {
            let mut ledger = writer.ledger;
            self.commit(&mut writer, |_, transaction| {
                names::remove_shared(transaction, &expired, &mut ledger)
            })?;
            writer.ledger = ledger;
        }
        Ok(last)
    }

    /// On Unix by device and inode; elsewhere only a file that is gone is noticed, not one that
    /// was replaced.
    fn check_attached(&self) -> Result<(), StoreError> {
        self.place.as_ref().map_or(Ok(()), Place::check)
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        let Some(database) = self.database.take() else {
            return;
        };
        if self.is_damaged.load(Ordering::Relaxed) {
            abandon(database);
            return;
        }
        // Closing writes and can fail or panic; what was appended is on disk all the same.
        drop(guard(&self.name, || {
            drop(database);
            Ok(())
        }));
    }
}
