//! A failure as a value: what a handler is given when the job's own error can't be stored.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a node failed, for good.
///
/// What `.rescue(..)` and `.result()` give for a block, for a called workflow, and for a job whose
/// own error type is no [`Payload`](crate::Payload).
///
/// ```
/// use zahir::{job, workflow};
///
/// #[job]
/// async fn parse(text: &str) -> Result<u64, std::num::ParseIntError> {
///     text.parse() // its error can't be stored
/// }
///
/// #[job]
/// async fn complain(reason: &str) -> u64 {
///     reason.len() as u64
/// }
///
/// workflow! {
///     pub async fn number(text: String) -> u64 {
///         parse(&text).rescue(|failure| complain(failure.message()))
///     }
/// }
/// # let _ = Number::graph();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    job: String,
    attempt: u32,
    message: String,
}

impl Failure {
    pub(crate) fn new(job: String, attempt: u32, message: String) -> Self {
        Self {
            job,
            attempt,
            message,
        }
    }

    /// The node that failed, as it is written in the workflow: `words[17]/longest_word`.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }

    /// Which attempt of it was the last; 0 if it failed without one.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What happened, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed: {}", self.job, self.message)
    }
}

impl std::error::Error for Failure {}
