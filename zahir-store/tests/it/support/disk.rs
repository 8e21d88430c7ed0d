//! A disk that loses power, fills up and fails.

use std::io;
use std::sync::{Arc, Mutex};

use zahir_store::{Medium, RedbOptions, RedbStore, StoreError};

use super::Rng;

/// Power goes per sector: each of those that were not synced is there or not.
const SECTOR: usize = 512;

/// A disk that outlives the store on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    /// What a read gives.
    bytes: Vec<u8>,
    /// What survives loss of power for certain.
    durable: Vec<u8>,
    /// What may survive it.
    pending: Vec<Pending>,
    operations: u64,
    fault: Option<Fault>,
    is_dead: bool,
    lies: bool,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// What happens to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes at this operation.
    Power { at: u64 },
    /// The n-th operation of a kind fails, and with `stays` all later ones.
    Error {
        on: Operation,
        at: u64,
        error: io::ErrorKind,
        stays: bool,
    },
    /// No byte beyond this one can be written.
    Full { bytes: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
    Length,
    Sync,
}

impl Disk {
    /// A disk with these bytes on it.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            durable: bytes.clone(),
            bytes,
            ..State::default()
        })))
    }

    /// The disk of a store without runs.
    pub(crate) fn fresh() -> Self {
        let disk = Self::default();
        drop(disk.open().unwrap());
        disk
    }

    pub(crate) fn open(&self) -> Result<RedbStore, StoreError> {
        self.open_with(&RedbOptions::new())
    }

    pub(crate) fn open_with(&self, options: &RedbOptions) -> Result<RedbStore, StoreError> {
        let options = options.clone().cache_bytes(256 << 10);
        options.open_medium("the disk", self.clone())
    }

    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        state.fault = Some(fault);
        state.operations = 0;
    }

    /// Makes every sync a lie.
    pub(crate) fn lie(&self) {
        self.0.lock().unwrap().lies = true;
    }

    /// From now on nothing reaches the disk, as if the process had died.
    pub(crate) fn die(&self) {
        self.0.lock().unwrap().is_dead = true;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// The disk after a failed sync that dropped what it could not write.
    pub(crate) fn without_unsynced(&self) -> Self {
        Self::with(self.0.lock().unwrap().durable.clone())
    }

    /// The disk after the power has gone: of what was not synced any part may be there.
    pub(crate) fn after_power_loss(&self, rng: &mut Rng) -> Self {
        let state = self.0.lock().unwrap();
        let mut image = state.durable.clone();
        let style = rng.below(5);
        let percent = [0, 10, 50, 90, 100][rng.index(5)];
        let cut = rng.index(state.pending.len() + 1);
        for (place, pending) in state.pending.iter().enumerate() {
            match pending {
                Pending::Length(length) => {
                    if (style == 0 && place < cut) || (style != 0 && rng.one_in(2)) {
                        image.resize(*length, 0);
                    }
                }
                Pending::Write(offset, data) => {
                    for (start, sector) in sectors(*offset, data) {
                        let is_kept = match style {
                            0 => place < cut,
                            1 => place >= cut,
                            2 => rng.below(100) < percent,
                            3 => start >= 4096 && rng.below(100) < percent,
                            _ => start < 4096 || rng.below(100) < percent,
                        };
                        if is_kept {
                            let torn = rng.one_in(16);
                            let kept = if torn {
                                rng.index(sector.len())
                            } else {
                                sector.len()
                            };
                            write(&mut image, start, &sector[..kept]);
                        }
                    }
                }
            }
        }
        Self::with(image)
    }
}

/// The pieces of a write that lie in different sectors.
fn sectors(offset: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let head = (SECTOR - offset % SECTOR).min(data.len());
    let (first, rest) = data.split_at(head);
    let rest = rest.chunks(SECTOR).enumerate();
    std::iter::once((offset, first))
        .chain(rest.map(move |(index, piece)| (offset + head + index * SECTOR, piece)))
}

fn write(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(data);
}

impl State {
    /// What the fault makes of the next operation.
    fn step(&mut self, operation: Operation, end: usize) -> io::Result<()> {
        if self.is_dead {
            return Err(io::Error::other("the power is off"));
        }
        match self.fault {
            None => Ok(()),
            Some(Fault::Power { at }) => {
                if operation != Operation::Read {
                    self.operations += 1;
                }
                if self.operations < at {
                    return Ok(());
                }
                self.is_dead = true;
                Err(io::Error::other("the power went"))
            }
            Some(Fault::Full { bytes }) => {
                if operation == Operation::Write && end > bytes {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Ok(())
            }
            Some(Fault::Error {
                on,
                at,
                error,
                stays,
            }) => {
                if on == operation {
                    self.operations += 1;
                    if self.operations == at || (stays && self.operations > at) {
                        return Err(error.into());
                    }
                }
                Ok(())
            }
        }
    }
}

impl Medium for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.0.lock().unwrap().bytes.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        state.step(Operation::Read, offset)?;
        let end = offset.checked_add(out.len());
        let Some(bytes) = end.and_then(|end| state.bytes.get(offset..end)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let bytes = usize::try_from(bytes).unwrap();
        state.step(Operation::Length, bytes)?;
        state.bytes.resize(bytes, 0);
        state.pending.push(Pending::Length(bytes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step(Operation::Sync, 0)?;
        if state.lies {
            return Ok(());
        }
        for pending in std::mem::take(&mut state.pending) {
            match pending {
                Pending::Write(offset, data) => write(&mut state.durable, offset, &data),
                Pending::Length(bytes) => state.durable.resize(bytes, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.is_dead {
            return Err(io::Error::other("the power is off"));
        }
        let offset = usize::try_from(offset).unwrap();
        let result = state.step(Operation::Write, offset + data.len());
        // Of a write that fails a part may have been done.
        let done = if result.is_ok() {
            data.len()
        } else {
            data.len() / 2
        };
        if result.is_ok() || state.bytes.len() >= offset + done {
            write(&mut state.bytes, offset, &data[..done]);
            let data = data[..done].to_vec();
            state.pending.push(Pending::Write(offset, data));
        }
        result
    }
}
