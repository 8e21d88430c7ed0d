//! Public errors.

use std::fmt;

use zahir_store::Failure;

/// How a run ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    failure: Failure,
}

impl RunError {
    pub(crate) fn new(failure: Failure) -> Self {
        Self { failure }
    }

    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure.message)
    }
}

impl std::error::Error for RunError {}
