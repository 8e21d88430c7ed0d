//! What a store can be put on in place of a file, to see what becomes of it when that fails.

use std::fmt;
use std::io;

use redb::StorageBackend;

use crate::StoreError;

use super::format::write_empty;
use super::guard::guard;
use super::{RedbOptions, RedbStore};

/// Bytes that can be read, written, lengthened and synced.
pub trait Medium: fmt::Debug + Send + Sync + 'static {
    /// How many bytes there are.
    ///
    /// # Errors
    ///
    /// As the test wants it; so for all of these.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are none.
    ///
    /// # Errors
    ///
    /// Those of [`Medium::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As for [`Medium::len`].
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Makes it this long; what is added is zero.
    ///
    /// # Errors
    ///
    /// As for [`Medium::len`].
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Returns when everything written is durable.
    ///
    /// # Errors
    ///
    /// As for [`Medium::len`].
    fn sync(&self) -> io::Result<()>;

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    ///
    /// As for [`Medium::len`].
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
}

#[derive(Debug)]
struct Backend<M>(M);

impl<M: Medium> StorageBackend for Backend<M> {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

impl RedbOptions {
    /// Opens the store on a medium, or makes one if it is empty. Without a file, making one is not
    /// atomic and [`Store::check_attached`](crate::Store::check_attached) has nothing to check.
    ///
    /// # Errors
    ///
    /// Those of [`RedbOptions::open`].
    pub fn open_medium(&self, name: &str, medium: impl Medium) -> Result<RedbStore, StoreError> {
        let bytes = medium
            .len()
            .map_err(|error| super::guard::io_error(name, error))?;
        let database = guard(name, || {
            let database = self.builder().create_with_backend(Backend(medium))?;
            if bytes == 0 {
                write_empty(&database)?;
            }
            Ok(database)
        })?;
        RedbStore::load(name.to_owned(), database, self.writer(bytes), None)
    }
}
