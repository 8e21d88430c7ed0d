//! How a store is opened.

use std::fs::File;
use std::path::Path;

use redb::Builder;

use crate::{StoreError, StoreErrorKind};

use super::batch::Staged;
use super::format::write_empty;
use super::guard::{guard, io_error};
use super::schema::Ledger;
use super::{RedbStore, Writer, file, probe};

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
        self.open_linked(path.as_ref(), file::HARD_LINK)
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
            .map_err(|error| io_error(&name, error))?
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
    pub(super) fn writer(&self, bytes: u64) -> Writer {
        Writer {
            ledger: Ledger::EMPTY,
            staged: Staged::default(),
            bytes,
            quick_repair_bytes_min: self.quick_repair_bytes_min,
            stopped: None,
        }
    }

    pub(super) fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }
}
