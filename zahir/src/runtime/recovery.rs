//! Finds what an earlier process left unfinished, and brings it back to where it was.
//!
//! Each run stands for itself: one that can't go on is reported and left as it is, and the others
//! go on.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use zahir_store::{FailureKind, Record, RunId, RunStart, Store, StoreError, StoredRun};

use crate::engine::{Engine, RecoverError, Stored};
use crate::job::failure;
use crate::runtime::executable::Executable;
use crate::runtime::executor::contain;
use crate::runtime::writer::guard;
use crate::value::Value;

/// What was unfinished when the runtime started. See [`Runtime::recovered`](crate::Runtime::recovered).
#[derive(Debug, Default)]
pub struct Recovered {
    pub(crate) runs: Vec<RecoveredRun>,
    pub(crate) problems: Vec<Problem>,
}

/// A run that goes on. [`Runtime::handle`](crate::Runtime::handle) gives a handle to it.
#[derive(Debug)]
pub struct RecoveredRun {
    pub(crate) id: RunId,
    pub(crate) workflow: &'static str,
    pub(crate) key: Option<String>,
}

impl RecoveredRun {
    /// The run.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// The name of its workflow.
    #[must_use]
    pub const fn workflow(&self) -> &'static str {
        self.workflow
    }

    /// The idempotency key it was started with.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl Recovered {
    /// The runs that go on, in the order they were started.
    #[must_use]
    pub fn runs(&self) -> &[RecoveredRun] {
        &self.runs
    }

    /// The runs that can't go on in this process. Nothing of them was changed.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Why one run can't go on.
#[derive(Debug)]
pub struct Problem {
    run: RunId,
    workflow: Option<String>,
    kind: ProblemKind,
}

/// What keeps a run from going on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The workflow was not given to the builder.
    UnknownWorkflow,
    /// The workflow is another one than when the run was started.
    DefinitionChanged {
        /// What differs, node by node, in words.
        nodes: Vec<String>,
    },
    /// A recorded value can't be decoded any more.
    Undecodable {
        /// Whose value: a node as it is written in the workflow, or the inputs.
        at: String,
        /// Its type, and why.
        reason: String,
    },
    /// The records do not fit the workflow, or each other.
    Misfit {
        /// Which record, and why.
        reason: String,
    },
    /// The records can't be read.
    Damaged(StoreError),
}

impl Problem {
    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// The name of its workflow, if that could be read.
    #[must_use]
    pub fn workflow(&self) -> Option<&str> {
        self.workflow.as_deref()
    }

    /// What keeps it from going on.
    #[must_use]
    pub const fn kind(&self) -> &ProblemKind {
        &self.kind
    }
}

impl ProblemKind {
    /// The kind alone, which quotes no value.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::UnknownWorkflow => "unknown workflow",
            Self::DefinitionChanged { .. } => "definition changed",
            Self::Undecodable { .. } => "undecodable value",
            Self::Misfit { .. } => "records do not fit",
            Self::Damaged(_) => "damaged records",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workflow = self.workflow.as_deref().unwrap_or("?");
        write!(
            f,
            "run {} of `{workflow}` can't go on: {}",
            self.run, self.kind
        )
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownWorkflow => f.write_str(
                "this runtime does not know its workflow: add `.workflow::<..>()` for it where the \
                 runtime is opened",
            ),
            Self::DefinitionChanged { nodes } if nodes.is_empty() => f.write_str(
                "its workflow was changed since: finish it with the program it was started with",
            ),
            Self::DefinitionChanged { nodes } => write!(
                f,
                "its workflow was changed since: {}; finish it with the program it was started with",
                nodes.join(", ")
            ),
            Self::Undecodable { at, reason } => write!(
                f,
                "the recorded value of {at} can't be decoded: {reason}; it is kept as it is"
            ),
            Self::Misfit { reason } => write!(f, "its records do not fit its workflow: {reason}"),
            Self::Damaged(error) => write!(f, "its records can't be read: {error}"),
        }
    }
}

/// What recovery hands to the drivers.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) runs: Vec<FoundRun>,
    pub(crate) problems: Vec<Problem>,
}

/// A run that goes on.
pub(crate) struct FoundRun {
    pub(crate) id: RunId,
    pub(crate) key: Option<String>,
    pub(crate) executable: Arc<Executable>,
    pub(crate) engine: Engine<Value>,
}

/// Reads all that is unfinished. Runs on the reader's thread.
pub(crate) fn find(
    store: &dyn Store,
    executables: &BTreeMap<&'static str, Arc<Executable>>,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for id in store.unfinished()? {
        let mut workflow = None;
        match recover(store, executables, id, &mut workflow) {
            Ok(Some(run)) => found.runs.push(run),
            Ok(None) => {}
            Err(kind) => found.problems.push(Problem {
                run: id,
                workflow,
                kind,
            }),
        }
    }
    Ok(found)
}

fn recover(
    store: &dyn Store,
    executables: &BTreeMap<&'static str, Arc<Executable>>,
    id: RunId,
    workflow: &mut Option<String>,
) -> Result<Option<FoundRun>, ProblemKind> {
    let Some(stored) = guard(|| store.load(id)).map_err(ProblemKind::Damaged)? else {
        return Ok(None);
    };
    *workflow = Some(stored.head.workflow.clone());
    let executable = executables
        .get(stored.head.workflow.as_str())
        .ok_or(ProblemKind::UnknownWorkflow)?;
    let start = run_start(&stored)?;
    check_definition(store, executable, start)?;
    let replayed = contain(AssertUnwindSafe(|| replay(executable, &stored, start)));
    let engine = replayed.unwrap_or_else(|failure| {
        Err(ProblemKind::Misfit {
            reason: format!("going over them panicked: {}", failure.message),
        })
    })?;
    Ok(Some(FoundRun {
        id,
        key: stored.head.key.clone(),
        executable: Arc::clone(executable),
        engine,
    }))
}

fn run_start(stored: &StoredRun) -> Result<&RunStart, ProblemKind> {
    match stored.steps.first().and_then(|step| step.records.first()) {
        Some(Record::RunStarted(start)) => Ok(start),
        _ => Err(ProblemKind::Misfit {
            reason: "the first record does not start the run".to_owned(),
        }),
    }
}

fn check_definition(
    store: &dyn Store,
    executable: &Executable,
    start: &RunStart,
) -> Result<(), ProblemKind> {
    if start.definition == executable.definition {
        return Ok(());
    }
    let stored = guard(|| store.definition(start.definition)).map_err(ProblemKind::Damaged)?;
    let nodes = stored.map_or_else(Vec::new, |stored| executable.code.changes(&stored));
    Err(ProblemKind::DefinitionChanged { nodes })
}

fn replay(
    executable: &Executable,
    stored: &StoredRun,
    start: &RunStart,
) -> Result<Engine<Value>, ProblemKind> {
    let inputs = executable
        .code
        .decode_inputs(&start.input)
        .map_err(|error| ProblemKind::Undecodable {
            at: "the inputs".to_owned(),
            reason: error.to_string(),
        })?;
    let mut decode = |node, stored, bytes: &[u8]| {
        let decoded = match stored {
            Stored::Output => executable.code.decode(node, bytes),
            Stored::Error => executable.code.decode_error(node, bytes),
        };
        decoded.map_err(|error| failure(FailureKind::Undecodable, error.to_string()))
    };
    let plan = Arc::clone(&executable.plan);
    Engine::recover(plan, stored, inputs, Value::new(()), &mut decode).map_err(
        |error| match error {
            RecoverError::Undecodable { at, failure } => ProblemKind::Undecodable {
                at: format!("node `{}`", executable.path(&at)),
                reason: failure.message,
            },
            RecoverError::Misfit { .. } => ProblemKind::Misfit {
                reason: error.to_string(),
            },
        },
    )
}
