//! Errors that end all retries.

use std::error::Error;
use std::fmt;

use crate::job::BoxError;

/// An error after which a job is not tried again, whatever its `retry` says.
///
/// Any error becomes one with [`fatal`], or with `.fatal()` on a `Result` ([`FatalExt`]). It counts
/// wherever it is in the error that the job returns: that error itself, or what one of
/// [its causes](Error::source) is.
///
/// ```
/// use zahir::{FatalExt, fatal, job};
///
/// type Error = Box<dyn std::error::Error + Send + Sync>;
///
/// #[job(retry = 5)]
/// async fn withdraw(account: &str, cents: u64) -> Result<u64, Error> {
///     let account: u64 = account.parse().fatal()?; // it won't be a number next time either
///     if cents == 0 {
///         return Err(fatal("there is nothing to withdraw").into());
///     }
///     Ok(account + cents)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let error = withdraw("seven", 1).await.unwrap_err();
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// # });
/// ```
///
/// An error type of your own has a variant for it: `#[error(transparent)] Fatal(#[from] Fatal)` with
/// `thiserror`, or its [`source`](Error::source) is the `Fatal`. Or it tells its errors apart in
/// `retry_if`.
pub struct Fatal(Marked);

/// What tells a [`Fatal`] in a chain of causes where the `Fatal` itself can't be seen: inside of
/// another boxed error, as that of `anyhow`, only its source can.
struct Marked(BoxError);

/// The error, as one after which a job is not tried again.
#[must_use = "it is fatal only if the job returns it"]
pub fn fatal(error: impl Into<BoxError>) -> Fatal {
    Fatal(Marked(error.into()))
}

/// `.fatal()` on a `Result`.
pub trait FatalExt {
    /// What there is if there is no error.
    type Value;

    /// Makes the error a [`Fatal`] one.
    ///
    /// # Errors
    ///
    /// The error, if there is one.
    fn fatal(self) -> Result<Self::Value, Fatal>;
}

impl<T, E: Into<BoxError>> FatalExt for Result<T, E> {
    type Value = T;

    fn fatal(self) -> Result<T, Fatal> {
        self.map_err(fatal)
    }
}

impl Fatal {
    /// The error that is fatal.
    #[must_use]
    pub fn into_inner(self) -> BoxError {
        self.0.0
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fatal").field(&self.0.0).finish()
    }
}

impl Error for Fatal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Marked {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Whether the error, or what caused it, is fatal.
pub(crate) fn is_fatal(error: &(dyn Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if error.is::<Fatal>() || error.is::<Marked>() {
            return true;
        }
        at = error.source();
    }
    false
}
