//! What a caller holds of a run.

use std::fmt;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use serde::Serialize;
use zahir_store::{RunId, RunStatus};

use crate::engine;
use crate::error::{RunError, RunErrorKind, SignalError};
use crate::event::Events;
use crate::runtime::core::Core;
use crate::runtime::executor;
use crate::runtime::run::{Left, Message, Outcome, Run};
use crate::runtime::signal;
use crate::signal::Signal;
use crate::value::{Payload, Value};

/// A run, and its output of type `O` once it is there.
///
/// Clones are handles to the same run. Dropping a handle does not cancel the run.
#[must_use = "the run goes on without its handle; use `let _ =` if nobody waits for it"]
pub struct RunHandle<O> {
    pub(super) core: Arc<Core>,
    pub(super) run: Arc<Run>,
    output: PhantomData<fn() -> O>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    progress: engine::Progress,
}

impl Progress {
    /// Jobs that have their result.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.progress.done
    }

    /// Jobs under way, those that undo what others did included.
    #[must_use]
    pub const fn running(&self) -> u64 {
        self.progress.running
    }

    /// All jobs that are known of so far, but for those that will not run. Grows as `for`s count their
    /// items, and as arms, rounds and handlers are entered.
    #[must_use]
    pub const fn known(&self) -> u64 {
        self.progress.known
    }

    /// Jobs that will not run: they are in a branch that was not taken, or behind where it was left.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.progress.skipped
    }
}

impl<O: Send + Sync + 'static> RunHandle<O> {
    pub(crate) const fn new(core: Arc<Core>, run: Arc<Run>) -> Self {
        Self {
            core,
            run,
            output: PhantomData,
        }
    }

    /// The run's id, by which [`Runtime::handle`](crate::Runtime::handle) finds it again.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.run.id
    }

    /// Whether and how the run has ended. One that has failed or was cancelled and whose results are
    /// being undone has not.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match self.run.outcome() {
            Some(Outcome::Succeeded { .. }) => RunStatus::Succeeded,
            Some(Outcome::Failed(_)) => RunStatus::Failed,
            Some(Outcome::Cancelled) => RunStatus::Cancelled,
            Some(Outcome::Left(_)) | None => RunStatus::Running,
        }
    }

    /// How far the run has come, as far as this process has seen it.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            progress: self.run.progress(),
        }
    }

    /// Waits for the run to end, and gives its output.
    ///
    /// The output is a copy, made through its encoding: it can be asked for again.
    ///
    /// # Errors
    ///
    /// If a node failed for good, if the run took longer than it may, if it was cancelled, or if this
    /// process left the run: the runtime was shut down, or halted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// The end of the run is on disk when this returns, unless the runtime is in memory.
    pub async fn output(&self) -> Result<O, RunError> {
        match self.run.finished().await {
            Outcome::Succeeded { value, encoded } => self.decode(value.as_ref(), encoded),
            Outcome::Failed(error) => Err(error.clone()),
            Outcome::Cancelled => Err(self.error(RunErrorKind::Cancelled, String::new())),
            Outcome::Left(left) => Err(self.left(left)),
        }
    }

    /// Stops the run: what is under way is dropped, and nothing more is started but the `finally`s
    /// that are owed, and then the jobs that undo what the run has done. Returns how the run ended,
    /// when it has, behind all of that; which is another way than cancelled if it was over before, if
    /// it had failed and was being undone already, or if something can't be undone: then it has failed.
    ///
    /// # Errors
    ///
    /// If this process left the run first: the runtime was shut down, or halted. The run may then
    /// still be cancelled, or not.
    ///
    /// # Cancel safety
    ///
    /// The run is cancelled even if the future is dropped, unless it was never polled.
    ///
    /// # Durability
    ///
    /// The cancel is on disk when this returns, unless the runtime is in memory. It wins over
    /// everything that was not on disk before.
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<RunStatus, RunError> {
        if self.run.outcome().is_none() {
            self.run.inbox.push(Message::Cancel {
                reason: reason.into(),
            });
        }
        match self.run.finished().await {
            Outcome::Left(left) => Err(self.left(left)),
            Outcome::Succeeded { .. } | Outcome::Failed(_) | Outcome::Cancelled => {
                Ok(self.status())
            }
        }
    }

    /// Sends the run a signal: `run.signal(Onboard::APPROVE, approval)`.
    ///
    /// Signals of one name are given out in the order they came, each to one wait. One that comes
    /// before anybody waits for it is kept.
    ///
    /// # Errors
    ///
    /// If the run's workflow waits for no such signal, if the payload can't be stored or is too
    /// large, if the run is over, or if too many signals are kept already. If this process left the
    /// run first, because the runtime was shut down or halted, the signal may be on record or not.
    ///
    /// # Cancel safety
    ///
    /// The signal is sent even if the future is dropped, unless it was never polled. Sent again, it
    /// is another signal.
    ///
    /// # Durability
    ///
    /// The signal is on disk when this returns, unless the runtime is in memory.
    pub async fn signal<T: Payload>(
        &self,
        signal: Signal<T>,
        payload: T,
    ) -> Result<(), SignalError> {
        self.signal_named(signal.name(), &payload).await
    }

    /// Like [`RunHandle::signal`], with the name as text: for signals that come from outside of the
    /// program. Whether the payload is what the workflow waits for is checked before it is sent.
    ///
    /// # Errors
    ///
    /// Those of [`RunHandle::signal`], and if the payload is not what is waited for under this name.
    ///
    /// # Cancel safety
    ///
    /// That of [`RunHandle::signal`].
    ///
    /// # Durability
    ///
    /// That of [`RunHandle::signal`].
    pub async fn signal_named<T>(&self, name: &str, payload: &T) -> Result<(), SignalError>
    where
        T: Serialize + Sync + ?Sized,
    {
        let (signal, payload) = signal::prepare(&self.core, &self.run, name, payload)?;
        signal::send(&self.run, name, signal, payload).await
    }

    /// The events of this run from here on. They end when the run does.
    ///
    /// A run in memory has events only if somebody watched the runtime, or a run of it, when it was
    /// started.
    pub fn events(&self) -> Events {
        self.core.hub.subscribe(Some(Arc::clone(&self.run)))
    }

    fn decode(&self, value: Option<&Value>, encoded: &[u8]) -> Result<O, RunError> {
        let code = &self.run.executable.code;
        let decoded = executor::contain(AssertUnwindSafe(|| match value {
            Some(value) if encoded.is_empty() => {
                let encoded = code.encode_output(value)?;
                code.decode_output(&encoded)
            }
            Some(_) | None => code.decode_output(encoded),
        }));
        let undecodable = |reason| self.error(RunErrorKind::Undecodable, reason);
        let value = decoded
            .map_err(|failure| undecodable(failure.message))?
            .map_err(|error| undecodable(error.to_string()))?;
        value
            .try_into_inner()
            .map_err(|_| undecodable("it is of another type".to_owned()))
    }

    fn left(&self, left: &Left) -> RunError {
        match left {
            Left::Stopped => self.error(RunErrorKind::Stopped, String::new()),
            Left::Broken(reason) => self.error(RunErrorKind::Bug, reason.clone()),
            Left::Halted(halted) => {
                RunError::halted(halted.clone()).of_run(self.run.id, self.run.executable.name)
            }
        }
    }

    fn error(&self, kind: RunErrorKind, message: String) -> RunError {
        RunError::with_kind(kind, message).of_run(self.run.id, self.run.executable.name)
    }
}

impl<O> Clone for RunHandle<O> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            run: Arc::clone(&self.run),
            output: PhantomData,
        }
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle")
            .field("id", &self.run.id)
            .field("workflow", &self.run.executable.name)
            .finish_non_exhaustive()
    }
}
