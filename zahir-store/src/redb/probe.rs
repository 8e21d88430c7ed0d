//! Whose file it is, found out without changing a byte of it.
//!
//! Opening a redb database writes to it, and repairs it if need be. So that a file of another
//! program is left as it was, it is first opened with everything redb writes kept in memory. redb
//! can open a file read-only itself, but not one that a crash left behind.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{ReadableDatabase, StorageBackend};

use crate::StoreError;

use super::RedbOptions;
use super::format::check_format;
use super::guard::{Fault, abandon, guard, io_error};

const PAGE: u64 = 4096;

/// Fails unless the file is a store that this version can read, and not open elsewhere.
pub(super) fn check(options: &RedbOptions, name: &str, file: &File) -> Result<(), StoreError> {
    guard(name, || {
        // What another process is writing meanwhile can't be told from damage.
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Fault::from(redb::DatabaseError::DatabaseAlreadyOpen));
            }
            // Where files can't be locked redb goes on without, and so does this.
            Err(TryLockError::Error(_)) => {}
        }
        let overlay = file.try_clone().and_then(Overlay::new);
        let overlay = overlay.map_err(|error| io_error(name, error))?;
        let database = options.builder().create_with_backend(overlay)?;
        let checked = database
            .begin_read()
            .map_err(Fault::from)
            .and_then(|transaction| check_format(name, &transaction));
        abandon(database);
        // Released for redb, which takes locks of its own kind on the same file.
        drop(file.unlock());
        checked
    })
}

/// A file, and on top of it what was written.
#[derive(Debug)]
struct Overlay(Mutex<Layers>);

#[derive(Debug)]
struct Layers {
    file: File,
    /// How much of the file shows through.
    file_bytes: u64,
    bytes: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn new(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self(Mutex::new(Layers {
            file,
            file_bytes: bytes,
            bytes,
            pages: BTreeMap::new(),
        })))
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layers {
    fn read_page(&mut self, page: u64) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.pages.get(&page) {
            return Ok(bytes.clone());
        }
        let offset = page.saturating_mul(PAGE);
        let mut bytes = Vec::new();
        let visible = self.file_bytes.saturating_sub(offset).min(PAGE);
        self.file.seek(SeekFrom::Start(offset))?;
        Read::by_ref(&mut self.file)
            .take(visible)
            .read_to_end(&mut bytes)?;
        bytes.resize(usize::try_from(PAGE).unwrap_or_default(), 0);
        Ok(bytes)
    }

    /// Calls `with` for each page of a range: its number, its bytes in the range, how many bytes of
    /// the range came before.
    fn each_page(
        &mut self,
        offset: u64,
        length: usize,
        mut with: impl FnMut(&mut Self, u64, std::ops::Range<usize>, usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            let start = usize::try_from(at % PAGE).unwrap_or_default();
            let end = usize::try_from(PAGE)
                .unwrap_or_default()
                .min(start + length - done);
            with(self, at / PAGE, start..end, done)?;
            done += end - start;
        }
        Ok(())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.layers().bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut layers = self.layers();
        let length = u64::try_from(out.len()).unwrap_or(u64::MAX);
        if offset.saturating_add(length) > layers.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        layers.each_page(offset, out.len(), |layers, page, range, done| {
            let page = layers.read_page(page)?;
            let out = out.get_mut(done..done + range.len());
            if let (Some(out), Some(bytes)) = (out, page.get(range)) {
                out.copy_from_slice(bytes);
            }
            Ok(())
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut layers = self.layers();
        layers.bytes = bytes;
        layers.file_bytes = layers.file_bytes.min(bytes);
        // redb's lengths are whole pages.
        layers.pages.split_off(&bytes.div_ceil(PAGE));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.layers()
            .each_page(offset, data.len(), |layers, number, range, done| {
                let mut page = layers.read_page(number)?;
                let data = data.get(done..done + range.len());
                if let (Some(bytes), Some(data)) = (page.get_mut(range), data) {
                    bytes.copy_from_slice(data);
                }
                layers.pages.insert(number, page);
                Ok(())
            })
    }
}
