//! A failure as a value: what a handler is given when the job's own error can't be stored.

use std::fmt;

use serde::{Deserialize, Serialize};
use zahir_store::FailureKind;

/// How a node failed, for good.
///
/// What `.rescue(..)` and `.result()` give for a block, for a called workflow, and for a job whose
/// own error type is no [`Payload`](crate::Payload); and what a recovery job gets that takes no error
/// of its own type.
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
    #[serde(with = "kind", default = "kind::unsaid")]
    kind: FailureKind,
    message: String,
}

impl Failure {
    pub(crate) fn new(job: String, attempt: u32, failure: zahir_store::Failure) -> Self {
        Self {
            job,
            attempt,
            kind: failure.kind,
            message: failure.message,
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

    /// In which way it failed.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What happened, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` {}: {}",
            self.job,
            happened(self.kind),
            self.message
        )
    }
}

impl std::error::Error for Failure {}

/// What a node that failed in this way did, between its name and the message.
pub(crate) const fn happened(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Panic => "panicked",
        FailureKind::TimedOut => "timed out",
        FailureKind::Refused => "refused its inputs",
        FailureKind::Unverified => "gave an output that its `verify` refused",
        FailureKind::Interrupted => "was interrupted",
        FailureKind::Poisoned => "is poisoned",
        FailureKind::Bug => "met a bug in zahir, please report it",
        FailureKind::Error
        | FailureKind::TooLarge
        | FailureKind::Unencodable
        | FailureKind::Undecodable
        | FailureKind::Diverged => "failed",
    }
}

/// A kind as it is stored: a word for each.
mod kind {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use zahir_store::FailureKind;

    pub(super) const ALL: [FailureKind; 12] = [
        FailureKind::Error,
        FailureKind::Panic,
        FailureKind::TimedOut,
        FailureKind::TooLarge,
        FailureKind::Unencodable,
        FailureKind::Undecodable,
        FailureKind::Diverged,
        FailureKind::Refused,
        FailureKind::Unverified,
        FailureKind::Interrupted,
        FailureKind::Poisoned,
        FailureKind::Bug,
    ];

    /// Never changed: it is in the records.
    const fn word(kind: FailureKind) -> &'static str {
        match kind {
            FailureKind::Error => "error",
            FailureKind::Panic => "panic",
            FailureKind::TimedOut => "timed out",
            FailureKind::TooLarge => "too large",
            FailureKind::Unencodable => "unencodable",
            FailureKind::Undecodable => "undecodable",
            FailureKind::Diverged => "diverged",
            FailureKind::Refused => "refused",
            FailureKind::Unverified => "unverified",
            FailureKind::Interrupted => "interrupted",
            FailureKind::Poisoned => "poisoned",
            FailureKind::Bug => "bug",
        }
    }

    /// The kind of a failure that was stored without one.
    pub(super) const fn unsaid() -> FailureKind {
        FailureKind::Error
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde calls"
    )]
    pub(super) fn serialize<S: Serializer>(
        kind: &FailureKind,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word(*kind))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<FailureKind, D::Error> {
        let read = String::deserialize(deserializer)?;
        let kind = ALL.into_iter().find(|kind| word(*kind) == read);
        kind.ok_or_else(|| D::Error::custom(format!("`{read}` is no kind of failure")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    fn failure(kind: FailureKind) -> Failure {
        let message = "no money".to_owned();
        Failure::new("pay".to_owned(), 2, zahir_store::Failure { kind, message })
    }

    #[test]
    fn every_kind_survives_being_stored() {
        for kind in kind::ALL {
            let stored = value::encode(&failure(kind)).unwrap();
            let read: Failure = value::decode(&stored).unwrap();
            assert_eq!(read, failure(kind));
            assert_eq!(read.kind(), kind);
        }
    }

    #[test]
    fn one_that_was_stored_without_its_kind_is_an_error() {
        #[derive(Serialize)]
        struct Old {
            job: &'static str,
            attempt: u32,
            message: &'static str,
        }
        let old = Old {
            job: "pay",
            attempt: 2,
            message: "no money",
        };
        let read: Failure = value::decode(&value::encode(&old).unwrap()).unwrap();
        assert_eq!(read, failure(FailureKind::Error));
    }

    #[test]
    fn it_says_what_happened() {
        let told = kind::ALL.map(|kind| failure(kind).to_string());
        let expected = [
            "`pay` failed: no money",
            "`pay` panicked: no money",
            "`pay` timed out: no money",
            "`pay` failed: no money",
            "`pay` failed: no money",
            "`pay` failed: no money",
            "`pay` failed: no money",
            "`pay` refused its inputs: no money",
            "`pay` gave an output that its `verify` refused: no money",
            "`pay` was interrupted: no money",
            "`pay` is poisoned: no money",
            "`pay` met a bug in zahir, please report it: no money",
        ];
        assert_eq!(told, expected);
    }
}
