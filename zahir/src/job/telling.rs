//! What a job keeps for its next attempt, and what it tells while it runs.

use serde::Serialize;
use zahir_store::{Failure, FailureKind};

use crate::job::children::line::{Host, Line, Recalled, Told};
use crate::job::context::Context;
use crate::job::failure;
use crate::value::{self, Payload};

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
    pub async fn record<T: Payload>(&self, name: &str, compute: impl FnOnce() -> T) -> T {
        let host = self.host();
        let Some((host, line)) = host.and_then(|host| Some((host, host.line()?))) else {
            return compute();
        };
        if line.recall(name) == Recalled::Unknown
            && let Err(failure) = keep(host, line, name, &compute())
        {
            host.fail(failure);
        }
        let kept = std::future::poll_fn(|context| line.poll_kept(name, context)).await;
        match value::decode(&kept) {
            Ok(value) => value,
            Err(error) => {
                let text = format!("the value `{name}` that was kept can't be decoded as {error}");
                host.fail(failure(FailureKind::Undecodable, text));
                // The attempt is dropped here.
                std::future::pending().await
            }
        }
    }

    /// Tells whoever watches the run ([`RunHandle::events`](crate::RunHandle::events)) a value, as an
    /// [`EventKind::Emitted`](crate::EventKind::Emitted): progress, or a part of the result.
    ///
    /// Nothing of it is stored, and nobody has to read it: what is not read in time is lost, and its
    /// reader is told how much. What can't be encoded, or is larger than 64 KiB when it is, is told to
    /// nobody but the log: store that elsewhere, and emit where it is. An attempt that runs again tells
    /// it again.
    pub fn emit<T: Serialize + ?Sized>(&self, value: &T) {
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
fn keep<T: Payload>(host: &dyn Host, line: &Line, name: &str, value: &T) -> Result<(), Failure> {
    let bytes = value::encode(value).map_err(|error| {
        let text = format!("the value `{name}` can't be kept: {error}");
        failure(FailureKind::Unencodable, text)
    })?;
    if line.keep(name, &bytes)? {
        host.keep(name, bytes);
    }
    Ok(())
}
