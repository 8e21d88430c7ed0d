//! The store in one redb file.
//!
//! One thread appends, any number read. What the writer knows of unfinished runs is in memory, so
//! an append reads nothing from the file; reads see only what is committed. After an error that a
//! commit may have survived the store takes no append until it is opened again.

mod batch;
mod file;
mod guard;
mod index;
mod load;
#[cfg(feature = "test-util")]
mod medium;
mod probe;
mod schema;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Builder, Database, ReadableDatabase, TableError};

use crate::{
    Append, DefinitionId, RunHead, RunId, Store, StoreError, StoreErrorKind, StoredRun, rules,
};

use self::batch::{Live, Staged};
use self::file::Place;
use self::guard::{Fault, abandon, damaged, damaged_run, guard};
use self::load::{Snapshot, Unfinished};
#[cfg(feature = "test-util")]
pub use self::medium::Medium;
use self::schema::{
    DEFINITIONS, ENDED, ENTRIES, FORMAT, FORMAT_KEY, FORMAT_VERSION, INDEX, LEDGER, LIVE, Ledger,
    STARTS, Tag, seal, unseal,
};

/// From this size on a commit also saves what a repair after a crash would otherwise have to
/// gather by reading the whole file, 8 to 10 seconds a gibibyte.
const QUICK_REPAIR_BYTES_MIN: u64 = 4 << 20;

/// How a [`RedbStore`] is opened.
///
/// | option | default |
/// |---|---|
/// | [`cache_bytes`](Self::cache_bytes) | 64 MiB |
/// | [`accept_abort`](Self::accept_abort) | refuse |
#[derive(Clone, Debug)]
#[must_use]
pub struct RedbOptions {
    cache_bytes: usize,
    accepts_abort: bool,
    quick_repair_bytes_min: u64,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            accepts_abort: false,
            quick_repair_bytes_min: QUICK_REPAIR_BYTES_MIN,
        }
    }
}

impl RedbOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much of the file is kept in memory.
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Opens a store also in a program built with `panic = "abort"`, which a damaged file can then
    /// end: reading garbage makes redb panic, and there a panic can't be caught.
    pub const fn accept_abort(mut self) -> Self {
        self.accepts_abort = true;
        self
    }

    /// From which size on a commit also saves what a repair needs; 4 MiB, but for tests.
    #[cfg(feature = "test-util")]
    pub const fn quick_repair_from(mut self, bytes: u64) -> Self {
        self.quick_repair_bytes_min = bytes;
        self
    }

    /// Opens the store at `path`, or makes one if there is nothing.
    ///
    /// # Errors
    ///
    /// If the path leads to anything but a store that this version can read, if it is open already,
    /// if it is damaged so that its unfinished runs can't be told, or if the medium fails. What is
    /// at the path is never overwritten.
    ///
    /// # Durability
    ///
    /// A new file and its name survive loss of power when this returns. A process killed in the
    /// middle leaves no file at `path`, at most one named `<path>.new-<process>-<number>`, which
    /// may be deleted.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbStore, StoreError> {
        self.open_linked(path.as_ref(), |from, to| std::fs::hard_link(from, to))
    }

    fn open_linked(&self, path: &Path, link: file::Link) -> Result<RedbStore, StoreError> {
        if cfg!(panic = "abort") && !self.accepts_abort {
            return Err(StoreError::new(
                StoreErrorKind::Unusable,
                "this program is built with `panic = \"abort\"`, so a damaged store could end it: \
                 build it with `panic = \"unwind\"`, or accept that with \
                 `RedbOptions::accept_abort`",
            ));
        }
        let name = path.display().to_string();
        if !file::exists(path)? {
            file::create(path, link, |file| self.initialize(&name, file))?;
            file::exists(path)?;
        }
        let (file, place) = file::open(path)?;
        probe::check(self, &name, &file)?;
        let bytes = file
            .metadata()
            .map_err(|error| guard::io_error(&name, error))?
            .len();
        let database = guard(&name, || Ok(self.builder().create_file(file)?))?;
        RedbStore::load(name, database, self.writer(bytes), Some(place))
    }

    fn initialize(&self, name: &str, file: File) -> Result<(), StoreError> {
        guard(name, || {
            let database = self.builder().create_file(file)?;
            write_empty(&database)
        })
    }

    /// The writer of a file of this size.
    fn writer(&self, bytes: u64) -> Writer {
        Writer {
            ledger: Ledger::EMPTY,
            staged: Staged::default(),
            bytes,
            quick_repair_bytes_min: self.quick_repair_bytes_min,
            stopped: None,
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }
}

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
    /// Why the heads of unfinished runs can't be believed.
    damage: Option<String>,
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
            damage,
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

    fn is_finished(&self, run: RunId) -> Result<bool, StoreError> {
        self.read(|snapshot| snapshot.number(run))
            .map(|number| number.is_some())
    }

    fn append_staged(&self, writer: &mut Writer, batch: &[Append]) -> Result<(), StoreError> {
        let mut ledger = writer.ledger;
        writer.staged.clear();
        {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            writer
                .staged
                .stage(batch, &live, &mut ledger, |run| self.is_finished(run))?;
        }
        let database = self.database()?;
        let mut is_committing = false;
        let is_large = writer.bytes >= writer.quick_repair_bytes_min;
        let staged = &mut writer.staged;
        let written = self.guard(|| {
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            transaction.set_quick_repair(is_large);
            staged.write(batch, &transaction, &mut ledger)?;
            is_committing = true;
            Ok(transaction.commit()?)
        });
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == StoreErrorKind::Refused => return Err(error),
            Err(error) => {
                writer.stopped = Some((error.kind(), error.to_string()));
                return Err(if is_committing {
                    error.outcome_unknown()
                } else {
                    error
                });
            }
        }
        writer.ledger = ledger;
        writer.bytes = writer.bytes.saturating_add(writer.staged.bytes());
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        writer.staged.apply(&mut live);
        Ok(())
    }
}

impl Store for RedbStore {
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        if let Some((kind, why)) = &writer.stopped {
            return Err(StoreError::new(
                *kind,
                format!(
                    "{} takes no more records since an error; open it again: {why}",
                    self.name
                ),
            ));
        }
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
        if let Some(damage) = &self.damage {
            return Err(damaged_run(&self.name, run, damage));
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

/// Makes a fresh database a store of format [`FORMAT_VERSION`] without runs.
fn write_empty(database: &Database) -> Result<(), Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    {
        let mut row = FORMAT_VERSION.to_le_bytes().to_vec();
        seal(Tag::Format, FORMAT_KEY.as_bytes(), &mut row);
        transaction
            .open_table(FORMAT)?
            .insert(FORMAT_KEY, row.as_slice())?;
        Ledger::EMPTY.encode(&mut row);
        transaction
            .open_table(LIVE)?
            .insert(LEDGER, row.as_slice())?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(ENDED)?;
        transaction.open_table(STARTS)?;
        index::encode(b"", 0, b"", &mut row);
        transaction
            .open_table(INDEX)?
            .insert(&b""[..], row.as_slice())?;
        transaction.open_table(DEFINITIONS)?;
    }
    Ok(transaction.commit()?)
}

fn check_format(name: &str, transaction: &redb::ReadTransaction) -> Result<(), Fault> {
    let foreign = || {
        StoreError::new(
            StoreErrorKind::Foreign,
            format!("{name} is a redb database of another program: choose another path"),
        )
    };
    let table = match transaction.open_table(FORMAT) {
        Ok(table) => table,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(foreign().into()),
    };
    let row = table.get(FORMAT_KEY)?.ok_or_else(foreign)?;
    let version = unseal(Tag::Format, FORMAT_KEY.as_bytes(), row.value())
        .ok()
        .and_then(|(value, _)| value.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or_else(|| damaged(name, "its format version can't be read"))?;
    if version == FORMAT_VERSION {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::TooNew,
        format!(
            "{name} has format version {version} and this zahir knows versions up to \
             {FORMAT_VERSION}: use a newer zahir"
        ),
    )
    .into())
}
