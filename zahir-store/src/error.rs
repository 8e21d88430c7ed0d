//! What can go wrong with a store.

use std::error::Error;
use std::fmt;

use crate::RunId;

/// A store that could not do what it was asked to.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    outcome_unknown: bool,
    run: Option<RunId>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the caller can do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another process, or this one, has the file open.
    InUse,
    /// The path can't be used: it is a folder, does not exist, or permission is missing.
    Unusable,
    /// The file is not zahir's.
    Foreign,
    /// The file was written by a newer zahir.
    TooNew,
    /// The file, or a record in it, is damaged.
    Damaged,
    /// The file was deleted or replaced while it was open.
    Detached,
    /// The disk is full.
    Full,
    /// A value is larger than the store can hold.
    TooLarge,
    /// The caller broke the contract of [`crate::Store`].
    Refused,
    /// The medium failed.
    Io,
}

impl StoreError {
    /// An error of this kind; `message` says what happened, to which thing, and what to do.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            outcome_unknown: false,
            run: None,
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, of a write that may have reached the disk all the same.
    #[must_use]
    pub const fn outcome_unknown(mut self) -> Self {
        self.outcome_unknown = true;
        self
    }

    /// The same error, of this run.
    #[must_use]
    pub const fn of_run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// The run that can't be read or written; `None` if the whole store is concerned.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Whether the write that failed may have become durable all the same. What is really there is
    /// learnt by opening the store again.
    #[must_use]
    pub const fn is_outcome_unknown(&self) -> bool {
        self.outcome_unknown
    }

    /// What the caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}
