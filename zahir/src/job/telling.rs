//! What a job keeps for its next attempt, and what it tells while it runs.

use serde::Serialize;
use zahir_store::{Failure, FailureKind};

use crate::job::children::line::{Host, Line, Recalled, Told};
use crate::job::context::Context;
use crate::job::{BoxFuture, failure};
use crate::value::{self, CodecError, Payload};

/// The most bytes of a value that is emitted. Whoever watches has thousands of them waiting, so that
/// they may be far smaller than what is stored.
const EMITTED_BYTES_MAX: usize = 64 * 1024;

impl Context {
    /// Computes a value once: every attempt of the job is given the value that the first of them has
    /// computed.
    ///
    /// A job that is tried again, or runs again behind a crash, runs from its beginning. What it must
    /// not do twice, or what must come out the same, is for a job of its own; or, if it is short, for
    /// this: `let seed = ctx.record("seed", || rand::random::<u64>()).await`. It ends when the value is
    /// durable. If the process dies before that, the value is computed again.
    ///
    /// Each value has a name of its own in its job. The value is given the way it was stored. What is
    /// kept is forgotten when the job has its result, and when it asks to be run again later
    /// ([`Again`](crate::Again)). If the value can't be stored, is larger than `value_bytes_max`, or
    /// what is on record is of another type, the attempt fails and is not tried again.
    ///
    /// In a job that undoes a result or that takes over for another nothing is kept, nor is it outside
    /// of a run: there the value is computed every time.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the value is computed or not; if it is, it is kept.
    ///
    /// # Durability
    ///
    /// The value is on disk when this returns, unless the runtime is in memory.
    #[must_use = "the value is computed and kept when this is awaited"]
    pub fn record<'a, T: 'a, F>(&'a self, name: &'a str, compute: F) -> BoxFuture<'a, T>
    where
        F: FnOnce() -> T + Keeps<T> + Send + 'a,
    {
        Box::pin(async move {
            let host = self.host();
            let Some((host, line)) = host.and_then(|host| Some((host, host.line()?))) else {
                return compute();
            };
            if line.recall(name) == Recalled::Unknown {
                let kept = keep(host, line, name, F::__encode_kept(&compute()));
                kept.unwrap_or_else(|failure| host.fail(failure));
            }
            let kept = std::future::poll_fn(|context| line.poll_kept(name, context)).await;
            let Some(value) = kept_value::<T, F>(host, name, &kept) else {
                // The attempt is dropped here.
                return std::future::pending().await;
            };
            value
        })
    }

    /// Tells whoever watches the run ([`RunHandle::events`](crate::RunHandle::events)) a value, as an
    /// [`EventKind::Emitted`](crate::EventKind::Emitted): progress, or a part of the result.
    ///
    /// Nothing of it is stored, and nobody has to read it: what is not read in time is lost, and its
    /// reader is told how much. What can't be encoded, or is larger than 64 KiB when it is, is told to
    /// nobody but the log: store that elsewhere, and emit where it is. An attempt that runs again tells
    /// it again.
    pub fn emit<T: Emits + ?Sized>(&self, value: &T) {
        let Some(host) = self.host().filter(|host| host.is_watched()) else {
            return;
        };
        let encoded = value::encode(value)
            .map_err(|error| failure(FailureKind::Unencodable, error.to_string()));
        let fits = encoded.and_then(|bytes| {
            if bytes.len() <= EMITTED_BYTES_MAX {
                return Ok(bytes);
            }
            let message = format!(
                "it has {} bytes, of which {EMITTED_BYTES_MAX} are possible",
                bytes.len()
            );
            Err(failure(FailureKind::TooLarge, message))
        });
        match fits {
            Ok(bytes) => host.tell(&self.place(), Told::Value(bytes)),
            Err(refused) => {
                let (run, node) = (self.run(), self.node());
                let reason = refused.message;
                tracing::warn!(target: "zahir", %run, node, reason, "a value is not emitted");
            }
        }
    }

    /// Tells whoever watches the run how far the job has come, as an
    /// [`EventKind::Progress`](crate::EventKind::Progress): `done` of `total`, in whatever it counts.
    ///
    /// Nothing of it is stored.
    pub fn progress(&self, done: u64, total: u64) {
        if let Some(host) = self.host().filter(|host| host.is_watched()) {
            host.tell(&self.place(), Told::Progress(done, total));
        }
    }
}

/// Reports a value that is to be kept.
fn keep(
    host: &dyn Host,
    line: &Line,
    name: &str,
    encoded: Result<Vec<u8>, CodecError>,
) -> Result<(), Failure> {
    let bytes = encoded.map_err(|error| {
        let text = format!("the value `{name}` can't be kept: {error}");
        failure(FailureKind::Unencodable, text)
    })?;
    if line.keep(name, &bytes)? {
        host.keep(name, bytes);
    }
    Ok(())
}

/// Reads a value that was kept; fails the attempt if that can't be.
fn kept_value<T, F: Keeps<T>>(host: &dyn Host, name: &str, bytes: &[u8]) -> Option<T> {
    F::__decode_kept(bytes)
        .map_err(|error| {
            let text = format!("the value `{name}` that was kept can't be decoded as {error}");
            host.fail(failure(FailureKind::Undecodable, text));
        })
        .ok()
}

/// Demanded of a function that computes a `T` to be kept: that this can be stored. Every type is asked
/// only about `T`, so that rustc points at the function.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be kept: it can't be stored",
    label = "gives a `{T}`, which is not `Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "what `ctx.record(..)` keeps is stored, and given to each attempt the way it was stored",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{T}`, or keep an owned value that it can be made of",
    note = "it is computed without awaiting: what awaits is for a job of its own"
)]
pub trait Keeps<T> {
    #[doc(hidden)]
    fn __encode_kept(value: &T) -> Result<Vec<u8>, CodecError>;

    #[doc(hidden)]
    fn __decode_kept(bytes: &[u8]) -> Result<T, CodecError>;
}

#[diagnostic::do_not_recommend]
impl<T: Payload, F> Keeps<T> for F {
    fn __encode_kept(value: &T) -> Result<Vec<u8>, CodecError> {
        value::encode(value)
    }

    fn __decode_kept(bytes: &[u8]) -> Result<T, CodecError> {
        value::decode(bytes)
    }
}

/// What can be emitted: whatever serde can write.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be emitted: it can't be written",
    label = "not `Serialize`",
    note = "add `#[derive(serde::Serialize)]` to `{Self}`"
)]
pub trait Emits: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Emits for T {}
