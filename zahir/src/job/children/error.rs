//! How children fail.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use crate::failure::Failure;
use crate::value::Value;

/// How a child failed, for good: what awaiting a [`Child`](crate::Child) gives.
///
/// `E` is the error of its job. It is there if the job returned it and it can be stored
/// ([`Payload`](crate::Payload)). One that can't, as `anyhow::Error`, never is: of it there are the words
/// in the [`failure`](ChildError::failure).
pub struct ChildError<E> {
    failure: Failure,
    /// Erased, so that this may move between threads whatever the error may.
    error: Option<Value>,
    of: PhantomData<fn() -> E>,
}

impl<E> ChildError<E> {
    pub(crate) const fn new(failure: Failure, error: Option<Value>) -> Self {
        Self {
            failure,
            error,
            of: PhantomData,
        }
    }

    /// A failure that is none of the job's own.
    pub(crate) fn without(job: &str, failure: zahir_store::Failure) -> Self {
        Self::new(Failure::new(job.to_owned(), 0, failure), None)
    }

    /// The failure: of which node, in which way, in words.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }
}

impl<E: 'static> ChildError<E> {
    /// The error that the job returned. `None` for a panic, a time-out and the like; and always if an `E`
    /// can't be stored, as an `anyhow::Error`, or a `thiserror` one without serde's derives.
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        self.error.as_ref()?.get()
    }
}

impl<E: Send + Sync + 'static> ChildError<E> {
    /// The error that the job returned.
    ///
    /// # Errors
    ///
    /// This itself if there is none; see [`ChildError::error`].
    pub fn into_error(mut self) -> Result<E, Self> {
        let Some(error) = self.error.take() else {
            return Err(self);
        };
        error.try_into_inner().map_err(|shared| {
            self.error = Some(shared);
            self
        })
    }
}

impl<E> fmt::Debug for ChildError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<E> fmt::Display for ChildError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.failure, f)
    }
}

impl<E> Error for ChildError<E> {}

/// Which of several children failed: all of them, in the order they were asked for.
pub struct JoinError<E> {
    failures: Vec<ChildError<E>>,
    /// How many children there were.
    asked: usize,
}

impl<E> JoinError<E> {
    /// All outputs, or all failures, of this many children.
    pub(crate) fn of<T>(
        asked: usize,
        ends: impl Iterator<Item = Result<T, ChildError<E>>>,
    ) -> Result<Vec<T>, Self> {
        let mut outputs = Vec::with_capacity(ends.size_hint().0);
        let mut failures = Vec::new();
        for end in ends {
            match end {
                Ok(output) => outputs.push(output),
                Err(failed) => failures.push(failed),
            }
        }
        if failures.is_empty() {
            Ok(outputs)
        } else {
            Err(Self { failures, asked })
        }
    }

    /// The failures; never none.
    #[must_use]
    pub fn failures(&self) -> &[ChildError<E>] {
        &self.failures
    }

    /// The failures; never none.
    #[must_use]
    pub fn into_failures(self) -> Vec<ChildError<E>> {
        self.failures
    }
}

impl<E> fmt::Debug for JoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinError")
            .field("failures", &self.failures)
            .field("asked", &self.asked)
            .finish()
    }
}

impl<E> fmt::Display for JoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failures.len();
        write!(f, "{failed} of {} children failed: ", self.asked)?;
        for (place, failure) in self.failures.iter().enumerate() {
            let and = if place == 0 { "" } else { "; " };
            write!(f, "{and}{failure}")?;
        }
        Ok(())
    }
}

impl<E> Error for JoinError<E> {}
