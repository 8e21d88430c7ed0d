//! The wall between redb and everybody else: its panics and errors become a [`StoreError`].
//!
//! Reading a page of garbage makes redb panic more often than it makes it return an error. A panic
//! of redb therefore means that the file is damaged, and never reaches the host program.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::{RunId, StoreError, StoreErrorKind};

/// What stops a piece of work on the file.
#[derive(Debug)]
pub(super) enum Fault {
    /// redb's own error.
    Redb(redb::Error),
    /// The file contradicts itself.
    Damaged(&'static str),
    /// One that needs no translation.
    Store(StoreError),
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Does `work` on the file called `name`.
pub(super) fn guard<T>(
    name: &str,
    work: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Fault::Store(error))) => Err(error),
        Ok(Err(Fault::Damaged(what))) => Err(damaged(name, what)),
        Ok(Err(Fault::Redb(error))) => Err(translate(name, error)),
        Err(panic) => Err(damaged(name, &panic_text(panic.as_ref()))),
    }
}

/// Closes a database without a write.
///
/// redb writes when it is closed, and with a damaged page that can panic in the drop of another
/// page, which ends the process. It does not write while a panic unwinds, so it is dropped in one.
/// What is open in this way looks like after a crash when it is opened again.
pub(super) fn abandon(database: redb::Database) {
    let closed = catch_unwind(AssertUnwindSafe(move || {
        let _database = database;
        resume_unwind(Box::new(()))
    }));
    drop(closed);
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("redb gave up on it: {}", text.unwrap_or("no reason given"))
}

/// The error for a store that is damaged as a whole.
pub(super) fn damaged(name: &str, what: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Damaged,
        format!("{name} is damaged: {what}; keep a copy of it and restore a backup"),
    )
}

/// The error for a run that is damaged.
pub(super) fn damaged_run(name: &str, run: RunId, what: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Damaged,
        format!("run {run} in {name} is damaged: {what}; other runs may be whole"),
    )
    .of_run(run)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open; what is not named means that redb trusts the file no more"
)]
fn translate(name: &str, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(error) => io_error(name, error),
        redb::Error::DatabaseAlreadyOpen => StoreError::new(
            StoreErrorKind::InUse,
            format!(
                "{name} is open in another process, or twice in this one: one runtime at a time \
                 can work on a store; end the other one or choose another path"
            ),
        ),
        redb::Error::UpgradeRequired(version) => StoreError::new(
            StoreErrorKind::Foreign,
            format!(
                "{name} is a redb database of file format {version}, which no zahir ever wrote; \
                 choose another path"
            ),
        ),
        redb::Error::ValueTooLarge(bytes) => StoreError::new(
            StoreErrorKind::TooLarge,
            format!("a value of {bytes} bytes is more than {name} can hold"),
        ),
        redb::Error::PreviousIo => StoreError::new(
            StoreErrorKind::Io,
            format!("{name} had an I/O error before; open it again"),
        ),
        error => damaged(name, "redb finds it corrupt").with_source(error),
    }
}

/// The error for an operation on the file that the system refused.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open, and only these can be acted upon"
)]
pub(super) fn io_error(name: &str, error: io::Error) -> StoreError {
    let (kind, message) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (
                StoreErrorKind::Full,
                format!("no space left to write {name}: make room on the disk and open it again"),
            )
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            return damaged(name, "it is shorter than it says, or not what it says")
                .with_source(error);
        }
        _ => (
            StoreErrorKind::Io,
            format!("the disk did not do what was asked for with {name}: open it again"),
        ),
    };
    StoreError::new(kind, message).with_source(error)
}
