//! Finds what an earlier process left unfinished, and brings it back to where it was.
//!
//! Each run stands for itself: one that can't go on is reported and left as it is, and the others
//! go on. A run of another version of its workflow is revised first: what of its records counts for
//! this one. The revision is the first record that it appends when it goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use zahir_store::{
    DefinitionId, FailureKind, Position, Record, Revision, RunId, RunStart, Store, StoreError,
    StoredRun,
};

use crate::definition::Definition;
use crate::engine::{Engine, RecoverError, Stored};
use crate::history::changes::{Changes, quoted};
use crate::history::entries;
use crate::history::revise::{self, BlockedJob, Case, Refused, Wish};
use crate::job::failure;
use crate::runtime::executable::Executable;
use crate::runtime::executor::contain;
use crate::runtime::run::Run;
use crate::runtime::writer::guard;
use crate::value::Value;

/// What was unfinished when the runtime started. See [`Runtime::recovered`](crate::Runtime::recovered).
#[derive(Debug, Default)]
pub struct Recovered {
    pub(crate) runs: Vec<RecoveredRun>,
    pub(crate) problems: Vec<Problem>,
}

/// What becomes of an unfinished run whose workflow is another one than when it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnChange {
    /// It goes on with the workflow as it is now. What did not change keeps its results; what did, and
    /// what depends on it, runs again; [`RecoveredRun::changes`] tells which. If a job would be started
    /// again that is `at_most_once`, the run is a [`Problem`].
    #[default]
    Migrate,
    /// It is a [`Problem`], and kept as it is for the program that it was started with.
    Refuse,
}

/// A run that goes on. [`Runtime::handle`](crate::Runtime::handle) gives a handle to it.
#[derive(Debug)]
pub struct RecoveredRun {
    pub(crate) id: RunId,
    pub(crate) workflow: &'static str,
    pub(crate) key: Option<String>,
    pub(crate) changes: Option<Arc<Changes>>,
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

    /// What of it is kept and what runs again, if its workflow was changed since it was started, or
    /// since it went on last.
    #[must_use]
    pub fn changes(&self) -> Option<&Changes> {
        self.changes.as_deref()
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
    /// The workflow is another one than when the run was started, and the runtime was told to
    /// [refuse](OnChange::Refuse) that, or can't read what it was.
    DefinitionChanged {
        /// What differs, node by node, in words.
        nodes: Vec<String>,
    },
    /// The workflow was changed, and these jobs would be started again, which are `at_most_once`.
    Blocked {
        /// The jobs, each with what it was and what it is.
        jobs: Vec<BlockedJob>,
    },
    /// The run was being undone, and the workflow was changed so that nobody knows any more how to
    /// undo this.
    UndoChanged {
        /// The nodes.
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
            Self::Blocked { .. } => "a job would be started twice",
            Self::UndoChanged { .. } => "what is undone has changed",
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
            Self::Blocked { jobs } => write_blocked(f, jobs),
            Self::UndoChanged { nodes } => write!(
                f,
                "it is being undone, and its workflow was changed since in what is still to be undone: \
                 {}; let the program that it was started with finish it",
                quoted(nodes)
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

fn write_blocked(f: &mut fmt::Formatter<'_>, jobs: &[BlockedJob]) -> fmt::Result {
    f.write_str(
        "its workflow was changed since, and what is never started twice (`at_most_once`) would be: ",
    )?;
    for (at, job) in jobs.iter().enumerate() {
        let comma = if at == 0 { "" } else { "; " };
        write!(f, "{comma}{job}")?;
    }
    let node = jobs.first().map_or("..", BlockedJob::node);
    write!(
        f,
        ". Let the program that it was started with finish it, or make the job what it was, or let it \
         run again on purpose: `runtime.repair::<..>(run).rerun_from(\"{node}\")`"
    )
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
    pub(crate) changes: Option<Arc<Changes>>,
}

/// Reads all that is unfinished. Runs on the reader's thread.
pub(crate) fn find(
    store: &dyn Store,
    executables: &BTreeMap<&'static str, Arc<Executable>>,
    on_change: OnChange,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for id in store.unfinished()? {
        let mut workflow = None;
        let stored = match guard(|| store.load(id)) {
            Ok(Some(stored)) => stored,
            Ok(None) => continue,
            Err(error) => {
                let kind = ProblemKind::Damaged(error);
                found.problems.push(Problem {
                    run: id,
                    workflow,
                    kind,
                });
                continue;
            }
        };
        workflow = Some(stored.head.workflow.clone());
        match recover(store, executables, on_change, stored) {
            Ok(run) => found.runs.push(run),
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
    on_change: OnChange,
    stored: StoredRun,
) -> Result<FoundRun, ProblemKind> {
    let executable = executables
        .get(stored.head.workflow.as_str())
        .ok_or(ProblemKind::UnknownWorkflow)?;
    let (id, key) = (stored.head.id, stored.head.key.clone());
    let going = go_on(store, executable, on_change, stored, &Wish::GoOn);
    let Going { engine, changes } = going.map_err(Obstacle::into_problem)?;
    Ok(FoundRun {
        id,
        key,
        executable: Arc::clone(executable),
        engine,
        changes: changes.map(Arc::new),
    })
}

/// A run that is about to go on.
pub(crate) struct Going {
    pub(crate) engine: Engine<Value>,
    /// What is told, if the run was revised.
    pub(crate) changes: Option<Changes>,
}

/// Why a run does not go on.
pub(crate) enum Obstacle {
    Problem(ProblemKind),
    Refused(Refused),
}

impl Obstacle {
    fn into_problem(self) -> ProblemKind {
        let refused = match self {
            Self::Problem(kind) => return kind,
            Self::Refused(refused) => refused,
        };
        match refused {
            Refused::Twice(jobs) => ProblemKind::Blocked { jobs },
            Refused::Undoing(nodes) => ProblemKind::UndoChanged { nodes },
            Refused::Unlisted(spawned) => unlisted(&spawned),
            Refused::NothingFailed
            | Refused::NeverRan(_)
            | Refused::Replaced(_)
            | Refused::Succeeded(_)
            | Refused::Several(_) => ProblemKind::Misfit {
                reason: "it can't be revised (a bug in zahir)".to_owned(),
            },
        }
    }
}

/// Jobs that have spawned what they may not spawn.
pub(crate) fn unlisted(spawned: &[(String, String)]) -> ProblemKind {
    let spawned = spawned
        .iter()
        .map(|(parent, kind)| format!("`{parent}` has spawned `{kind}`"));
    let spawned: Vec<String> = spawned.collect();
    ProblemKind::Misfit {
        reason: format!("{}, which it may not spawn any more", spawned.join(", ")),
    }
}

impl From<ProblemKind> for Obstacle {
    fn from(kind: ProblemKind) -> Self {
        Self::Problem(kind)
    }
}

/// Takes a stored run up where its records end, revised as is wished and as its workflow demands. The
/// revision is appended as soon as the engine begins.
pub(crate) fn go_on(
    store: &dyn Store,
    executable: &Executable,
    on_change: OnChange,
    stored: StoredRun,
    wish: &Wish,
) -> Result<Going, Obstacle> {
    let taken = contain(AssertUnwindSafe(|| {
        take_up(store, executable, on_change, stored, wish)
    }));
    taken.unwrap_or_else(|failure| {
        Err(Obstacle::Problem(ProblemKind::Misfit {
            reason: format!("going over them panicked: {}", failure.message),
        }))
    })
}

fn take_up(
    store: &dyn Store,
    executable: &Executable,
    on_change: OnChange,
    stored: StoredRun,
    wish: &Wish,
) -> Result<Going, Obstacle> {
    let head = stored.head.clone();
    if entries::is_plain(&stored) && matches!(wish, Wish::GoOn) {
        // As most runs: nothing is to be looked at but by the engine.
        let start = entries::stored_start(&stored)
            .cloned()
            .ok_or_else(no_start)?;
        if start.definition == executable.definition {
            let engine = replay(executable, &stored, &start)?;
            return Ok(Going {
                engine,
                changes: None,
            });
        }
    }
    let mut entries = entries::entries(stored);
    let start = entries::start(&entries).cloned().ok_or_else(no_start)?;
    let before = other_definition(store, executable, on_change, start.definition)?;
    let (mut records, mut changes) = (Vec::new(), None);
    if before.is_some() || !matches!(wish, Wish::GoOn) {
        let case = Case {
            entries,
            plan: &executable.plan,
            id: executable.definition,
            path: &|at| executable.path(at),
            change: before.as_ref().zip(executable.code.definition()),
        };
        let revised = revise::revise(case, wish).map_err(Obstacle::Refused)?;
        (entries, records) = (revised.entries, revised.records);
        changes = Some(revised.changes);
    }
    let run = StoredRun {
        head,
        steps: entries::steps(entries),
    };
    let engine = replay(executable, &run, &start)?.with_revision(records);
    Ok(Going { engine, changes })
}

fn no_start() -> ProblemKind {
    ProblemKind::Misfit {
        reason: "the first record does not start the run".to_owned(),
    }
}

/// The definition that the records are of, if that is another one than the program's.
fn other_definition(
    store: &dyn Store,
    executable: &Executable,
    on_change: OnChange,
    recorded: DefinitionId,
) -> Result<Option<Definition>, ProblemKind> {
    if recorded == executable.definition {
        return Ok(None);
    }
    let before = definition(store, recorded).map_err(ProblemKind::Damaged)?;
    let current = executable.code.definition();
    let nodes = before
        .as_ref()
        .zip(current)
        .map_or_else(Vec::new, |(before, current)| before.differences(current));
    match (before, current, on_change) {
        (Some(before), Some(_), OnChange::Migrate) => Ok(Some(before)),
        _ => Err(ProblemKind::DefinitionChanged { nodes }),
    }
}

/// A run as a store has it, and what its node numbers refer to.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) stored: StoredRun,
    /// If that is not the program's.
    before: Option<Definition>,
}

impl Loaded {
    /// Where a node instance is, in the words of the program that recorded it.
    pub(crate) fn path(&self, executable: &Executable, at: &Position) -> String {
        match &self.before {
            Some(before) => before.path(at),
            None => executable.path(at),
        }
    }
}

/// Reads a run, for a program with this definition.
pub(crate) fn load(
    store: &dyn Store,
    run: RunId,
    current: DefinitionId,
) -> Result<Option<Loaded>, StoreError> {
    let Some(stored) = store.load(run)? else {
        return Ok(None);
    };
    let mut records = stored.steps.iter().rev().flat_map(|step| &step.records);
    let recorded = records.find_map(|record| {
        if let Record::RunStarted(RunStart { definition, .. })
        | Record::RunRevised(Revision { definition, .. }) = record
        {
            Some(*definition)
        } else {
            None
        }
    });
    let before = match recorded.filter(|recorded| *recorded != current) {
        Some(recorded) => definition(store, recorded)?,
        None => None,
    };
    Ok(Some(Loaded { stored, before }))
}

fn definition(store: &dyn Store, id: DefinitionId) -> Result<Option<Definition>, StoreError> {
    let stored = guard(|| store.definition(id))?;
    Ok(stored.and_then(|bytes| Definition::decode(id, &bytes)))
}

/// A run where these records end, for its children to be counted; `None` if it is not one of this
/// program.
pub(crate) fn to_count(run: &Run, stored: &StoredRun) -> Option<Engine<Value>> {
    let start = entries::stored_start(stored)?;
    let is_known = start.definition == run.executable.definition;
    is_known.then(|| replay(&run.executable, stored, start).ok())?
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
