//! Jobs that ask to be run again later.

use std::time::Duration;

use crate::job::Job;
use crate::value::{self, CodecError, Payload, Typed};

/// What a job returns that may ask to be run again later.
///
/// To be run again is no failure: it does not count as one, and the job's slot is given back while it
/// waits. What is handed to the next attempt survives a restart. It comes as the parameter marked
/// `#[state]`, which is not part of the call and is `None` in the first attempt.
///
/// ```
/// use std::time::Duration;
/// use zahir::{Again, job};
///
/// # async fn page(_: u64) -> Option<u64> { None }
/// /// Counts what is on all pages, one page a second.
/// #[job]
/// async fn count_pages(#[state] so_far: Option<(u64, u64)>) -> Again<u64, (u64, u64)> {
///     let (number, sum) = so_far.unwrap_or_default();
///     match page(number).await {
///         Some(size) => Again::after(Duration::from_secs(1), (number + 1, sum + size)),
///         None => Again::Done(sum),
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert_eq!(count_pages().await, Again::Done(0));
/// # });
/// ```
///
/// A job without a state returns `Again<T>`, and `Again::after(wait, ())`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a job is only run again if it returns this"]
#[expect(clippy::exhaustive_enums, reason = "there are these two ways to end")]
pub enum Again<T, S = ()> {
    /// The job is done; this is its output.
    Done(T),
    /// The job is to be run again.
    After {
        /// How long from now.
        wait: Duration,
        /// What that attempt is given.
        state: S,
    },
}

impl<T, S> Again<T, S> {
    /// Asks for another attempt after `wait`, which is given `state`.
    pub const fn after(wait: Duration, state: S) -> Self {
        Self::After { wait, state }
    }
}

/// What a job has returned.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "closed: built by the macro")]
pub enum Returned<O, E> {
    /// Its output.
    Output(O),
    /// Its error.
    Error(E),
    /// The wish to be run again.
    Again {
        /// How long from now.
        wait: Duration,
        /// What that attempt is given.
        state: Result<Vec<u8>, CodecError>,
    },
}

impl<O, E> From<Result<O, E>> for Returned<O, E> {
    fn from(result: Result<O, E>) -> Self {
        match result {
            Ok(output) => Self::Output(output),
            Err(error) => Self::Error(error),
        }
    }
}

/// A job that may ask to be run again.
pub trait Stateful: Job {
    /// What one attempt leaves for the next.
    type State: 'static;
    /// What stores it.
    const CODEC: Typed<Self::State>;
}

/// What one attempt can leave for the next.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be kept for the next attempt: it can't be stored",
    label = "not `Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "what an attempt leaves for the next one survives a restart",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`, or use an owned type"
)]
pub trait Kept: Payload {}

#[diagnostic::do_not_recommend]
impl<T: Payload> Kept for T {}

/// The codec of a state. A function for the reason that [`codec`](value::codec) is one.
#[must_use]
pub const fn kept<S: Kept>() -> Typed<S> {
    value::codec()
}

/// What a job that gives an [`Again`] has returned.
pub fn again<J: Stateful>(again: Again<J::Output, J::State>) -> Returned<J::Output, J::Error> {
    match again {
        Again::Done(output) => Returned::Output(output),
        Again::After { wait, state } => {
            let state = (<J as Stateful>::CODEC.erase)(state);
            let state = (<J as Stateful>::CODEC.codec.encode)(&state);
            Returned::Again { wait, state }
        }
    }
}

/// What the attempt before has left.
///
/// # Errors
///
/// If that is not what these bytes are.
pub fn state<J: Stateful>(bytes: &[u8]) -> Result<Option<J::State>, CodecError> {
    let state = (<J as Stateful>::CODEC.codec.decode)(bytes)?;
    (<J as Stateful>::CODEC.take)(state).map(Some)
}
