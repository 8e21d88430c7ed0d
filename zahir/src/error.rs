//! What can go wrong, by what the caller can do about it.

mod signal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use zahir_store::{Failure, FailureKind, RunId, StoreError};

use crate::failure::happened;
pub use signal::SignalError;

use crate::runtime::repair::RepairError;

/// A path of more names than this is shortened in messages.
const PATH_NAMES_MAX: usize = 16;

/// A message names this many results that could not be undone.
const NOT_UNDONE_MAX: usize = 3;

/// Anything that can go wrong between opening a runtime and the output of a run.
///
/// For programs that pass errors on with `?`. Where the difference matters, match on the errors
/// that the functions themselves return.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The runtime could not be started.
    Open(OpenError),
    /// A run could not be started, or not be found again.
    Start(StartError),
    /// A run ended badly.
    Run(RunError),
    /// A run did not take a signal.
    Signal(SignalError),
    /// A run was not repaired.
    Repair(RepairError),
    /// The store could not be read.
    Store(StoreError),
    /// The runtime has halted.
    Halted(Halted),
}

/// A runtime that could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The store could not be opened or read.
    Store(StoreError),
    /// A setting of the builder makes no sense.
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Two workflows have one name.
    Ambiguous {
        /// The name.
        workflow: &'static str,
    },
    /// There is no tokio runtime here, or its timers are not enabled.
    NoTokio {
        /// What is missing.
        missing: &'static str,
    },
    /// A thread could not be started.
    Thread(std::io::Error),
}

/// A run that could not be started, or not be found again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StartError {
    /// The workflow was not given to the builder.
    Unregistered {
        /// The workflow's name.
        workflow: &'static str,
    },
    /// The input can't be stored.
    Unencodable {
        /// The workflow's name.
        workflow: &'static str,
        /// Why.
        reason: String,
    },
    /// The input is larger than `value_bytes_max`.
    TooLarge {
        /// The workflow's name.
        workflow: &'static str,
        /// How large the input is.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The key belongs to a run with another input.
    KeyTaken {
        /// The workflow's name.
        workflow: &'static str,
        /// The key.
        key: String,
        /// The run that has it.
        run: RunId,
    },
    /// There is no such run.
    Unknown {
        /// What was looked for.
        run: RunId,
    },
    /// The run is one of another workflow.
    OtherWorkflow {
        /// The run.
        run: RunId,
        /// The workflow it is of.
        workflow: String,
        /// The workflow that was asked for.
        asked: &'static str,
    },
    /// The run is there, but could not go on in this process. See
    /// [`Runtime::recovered`](crate::Runtime::recovered).
    Parked {
        /// The run.
        run: RunId,
        /// Why it could not go on.
        reason: String,
    },
    /// The store could not be read.
    Store(Arc<StoreError>),
    /// The runtime is being shut down, or was.
    ShutDown,
    /// The runtime has halted.
    Halted(Halted),
}

/// The runtime stopped for good, because its store failed.
///
/// Nothing more is written and no job is started any more. What was acknowledged is on disk.
/// Whether the last, unacknowledged records are there, too, is learnt by opening the store again:
/// restart the program.
#[derive(Debug, Clone)]
pub struct Halted {
    cause: Arc<StoreError>,
}

/// How a run ended badly.
#[derive(Debug, Clone)]
pub struct RunError {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    run: Option<(RunId, &'static str)>,
    kind: RunErrorKind,
    failed: Option<FailedNode>,
    message: String,
    not_undone: Vec<String>,
    halted: Option<Halted>,
}

/// The node that a run failed at.
#[derive(Debug, Clone)]
pub(crate) struct FailedNode {
    pub(crate) path: String,
    pub(crate) attempt: Option<u32>,
}

/// What became of a run that gave no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// A node failed for good, in this way.
    Failed(FailureKind),
    /// It was cancelled.
    Cancelled,
    /// The runtime was shut down first. The run goes on at the next start.
    Stopped,
    /// The runtime halted. What was acknowledged goes on at the next start.
    Halted,
    /// zahir has a bug. The run goes on at the next start.
    Bug,
    /// The recorded output can't be decoded. It is kept as it is.
    Undecodable,
    /// Only a signal can make it go on, and nobody can send one: the workflow was awaited without a
    /// runtime.
    NoSender,
}

impl RunError {
    pub(crate) fn new(failure: Failure) -> Self {
        Self::with_kind(RunErrorKind::Failed(failure.kind), failure.message)
    }

    pub(crate) fn with_kind(kind: RunErrorKind, message: String) -> Self {
        Self {
            inner: Box::new(Inner {
                run: None,
                kind,
                failed: None,
                message,
                not_undone: Vec::new(),
                halted: None,
            }),
        }
    }

    pub(crate) fn halted(halted: Halted) -> Self {
        let mut error = Self::with_kind(RunErrorKind::Halted, String::new());
        error.inner.halted = Some(halted);
        error
    }

    pub(crate) fn of_run(mut self, run: RunId, workflow: &'static str) -> Self {
        self.inner.run = Some((run, workflow));
        self
    }

    pub(crate) fn at(mut self, failed: Option<FailedNode>) -> Self {
        self.inner.failed = failed;
        self
    }

    pub(crate) fn not_undone_at(mut self, nodes: Vec<String>) -> Self {
        self.inner.not_undone = nodes;
        self
    }

    /// What became of the run.
    #[must_use]
    pub const fn kind(&self) -> RunErrorKind {
        self.inner.kind
    }

    /// The run; `None` for a workflow that was awaited without a runtime.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        self.inner.run.map(|(run, _)| run)
    }

    /// The node that failed, as it is written in the workflow: `words[17]/longest_word`.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.inner.failed.as_ref().map(|node| node.path.as_str())
    }

    /// The number of the attempt that failed last.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        self.inner.failed.as_ref().and_then(|node| node.attempt)
    }

    /// What happened, in words: the job's own error, or the message of its panic.
    ///
    /// It also says what came of it: how the recovery job failed, and the first undo.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The nodes whose results were to be undone and could not be, as they are written in the
    /// workflow. What those rest on was left as it is, too.
    #[must_use]
    pub fn not_undone(&self) -> &[String] {
        &self.inner.not_undone
    }
}

impl RunError {
    /// Whether a message says which attempt it was: the first alone tells nothing, unless the question
    /// is how long it took.
    const fn names_attempt(&self, attempt: u32) -> bool {
        attempt > 1 || matches!(self.inner.kind, RunErrorKind::Failed(FailureKind::TimedOut))
    }
}

/// A path for messages: of one that recursion made long, the ends.
fn shortened(path: &str) -> Cow<'_, str> {
    let names: Vec<&str> = path.split('/').collect();
    match names.as_slice() {
        [first, second, .., before, last] if names.len() > PATH_NAMES_MAX => {
            Cow::Owned(format!("{first}/{second}/../{before}/{last}"))
        }
        _ => Cow::Borrowed(path),
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        if let Some(node) = &inner.failed {
            write!(f, "node `{}`", shortened(&node.path))?;
        } else if let Some((run, workflow)) = inner.run {
            write!(f, "run {run} of `{workflow}`")?;
        } else {
            f.write_str("the run")?;
        }
        f.write_str(" ")?;
        f.write_str(match inner.kind {
            RunErrorKind::Failed(kind) => happened(kind),
            RunErrorKind::Bug => happened(FailureKind::Bug),
            RunErrorKind::Cancelled => return f.write_str("was cancelled"),
            RunErrorKind::Stopped => {
                return f.write_str(
                    "was left when the runtime shut down: it goes on at the next start, if it is \
                     stored",
                );
            }
            RunErrorKind::Halted => {
                return f.write_str("can't go on: the runtime halted");
            }
            RunErrorKind::Undecodable => "has an output that can't be decoded",
            RunErrorKind::NoSender => {
                return f.write_str(
                    "waits for a signal, which nobody can send it here: start it on a `Runtime`, \
                     and send the signal with its handle",
                );
            }
        })?;
        if let Some(attempt) = self
            .attempt()
            .filter(|attempt| self.names_attempt(*attempt))
        {
            write!(f, " at attempt {attempt}")?;
        }
        write!(f, ": {}", inner.message)?;
        for (count, node) in inner.not_undone.iter().enumerate() {
            f.write_str(if count == 0 { "; not undone: " } else { ", " })?;
            if count == NOT_UNDONE_MAX {
                return write!(f, "and {} more", inner.not_undone.len() - count);
            }
            write!(f, "`{}`", shortened(node))?;
        }
        Ok(())
    }
}

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let halted = self.inner.halted.as_ref();
        halted.map(|halted| -> &(dyn StdError + 'static) { halted })
    }
}

impl Halted {
    pub(crate) fn new(cause: StoreError) -> Self {
        Self {
            cause: Arc::new(cause),
        }
    }

    /// What the store said.
    #[must_use]
    pub fn cause(&self) -> &StoreError {
        &self.cause
    }
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store failed, and nothing more is written; ")?;
        if self.cause.is_outcome_unknown() {
            f.write_str(
                "whether the last records are there is not known: restart the program, opening \
                 the store again tells",
            )
        } else {
            f.write_str("what was acknowledged is there: mend the cause and restart the program")
        }
    }
}

impl StdError for Halted {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unregistered { workflow } => write!(
                f,
                "this runtime does not know the workflow `{workflow}`: add \
                 `.workflow::<..>()` for it where the runtime is opened"
            ),
            Self::Unencodable { workflow, reason } => {
                write!(f, "the input of `{workflow}` can't be stored: {reason}")
            }
            Self::TooLarge {
                workflow,
                bytes,
                bytes_max,
            } => write!(
                f,
                "the input of `{workflow}` has {bytes} bytes; `value_bytes_max` allows \
                 {bytes_max}: raise it, or pass a reference to where the data is"
            ),
            Self::KeyTaken { workflow, key, run } => write!(
                f,
                "the key `{key}` of `{workflow}` belongs to run {run}, which has another input: \
                 use another key, or the input it was started with"
            ),
            Self::Unknown { run } => write!(f, "there is no run {run} in this store"),
            Self::OtherWorkflow {
                run,
                workflow,
                asked,
            } => write!(f, "run {run} is one of `{workflow}`, not of `{asked}`"),
            Self::Parked { run, reason } => write!(f, "run {run} could not go on: {reason}"),
            Self::Store(_) => f.write_str("the store can't be read"),
            Self::ShutDown => f.write_str("the runtime is shut down, and takes no more runs"),
            Self::Halted(_) => f.write_str("the runtime halted, and takes no more runs"),
        }
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            Self::Halted(halted) => Some(halted),
            Self::Unregistered { .. }
            | Self::Unencodable { .. }
            | Self::TooLarge { .. }
            | Self::KeyTaken { .. }
            | Self::Unknown { .. }
            | Self::OtherWorkflow { .. }
            | Self::Parked { .. }
            | Self::ShutDown => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("the store can't be used"),
            Self::Setting { setting, reason } => write!(f, "`{setting}` {reason}"),
            Self::Ambiguous { workflow } => write!(
                f,
                "two different workflows are called `{workflow}`: give one of them another name"
            ),
            Self::NoTokio { missing } => write!(
                f,
                "a runtime needs {missing}: start it inside `#[tokio::main]`, or a tokio runtime \
                 built with `enable_all()`"
            ),
            Self::Thread(_) => f.write_str("the store's threads can't be started"),
        }
    }
}

impl StdError for OpenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Thread(error) => Some(error),
            Self::Setting { .. } | Self::Ambiguous { .. } | Self::NoTokio { .. } => None,
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => fmt::Display::fmt(error, f),
            Self::Start(error) => fmt::Display::fmt(error, f),
            Self::Run(error) => fmt::Display::fmt(error, f),
            Self::Signal(error) => fmt::Display::fmt(error, f),
            Self::Repair(error) => fmt::Display::fmt(error, f),
            Self::Store(error) => fmt::Display::fmt(error, f),
            Self::Halted(halted) => fmt::Display::fmt(halted, f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Start(error) => error.source(),
            Self::Run(error) => error.source(),
            Self::Signal(error) => error.source(),
            Self::Repair(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::Halted(halted) => halted.source(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Halted> for Error {
    fn from(halted: Halted) -> Self {
        Self::Halted(halted)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<RepairError> for Error {
    fn from(error: RepairError) -> Self {
        Self::Repair(error)
    }
}

impl From<SignalError> for Error {
    fn from(error: SignalError) -> Self {
        Self::Signal(error)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}
