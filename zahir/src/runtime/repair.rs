//! Repairs: a run that has ended, or can't go on, goes on with a part of its results.
//!
//! A repair is a revision of the run's records and nothing else: it is worked out on the reader's
//! thread and, when it is started, appended by the driver before anything runs.

mod error;

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use zahir_store::{NodeId, RunId, RunStatus, Store};

pub use error::RepairError;

use crate::history::address::{self, Unknown};
use crate::history::changes::Changes;
use crate::history::revise::{Again, Named, Refused, Wish};
use crate::job::{Job, JobDef};
use crate::plan::PlanKind;
use crate::runtime::core::Core;
use crate::runtime::driver::Driver;
use crate::runtime::executable::Executable;
use crate::runtime::executor;
use crate::runtime::handle::RunHandle;
use crate::runtime::recovery::{self, Going, Obstacle, OnChange, ProblemKind};
use crate::runtime::run::{Left, Outcome, lock};
use crate::runtime::writer::guard;
use crate::value;

/// Repairs of one run. See [`Runtime::repair`](crate::Runtime::repair).
#[must_use = "nothing is repaired yet"]
pub struct RunRepair<O> {
    core: Arc<Core>,
    workflow: &'static str,
    run: RunId,
    output: PhantomData<fn() -> O>,
}

impl<O: Send + Sync + 'static> RunRepair<O> {
    pub(crate) fn new(core: &Arc<Core>, workflow: &'static str, run: RunId) -> Self {
        Self {
            core: Arc::clone(core),
            workflow,
            run,
            output: PhantomData,
        }
    }

    /// Tries again what failed for good. See [`RunHandle::retry_failed`].
    pub fn retry_failed(&self) -> Repair<O> {
        self.asked(Asked::Failed)
    }

    /// Tries a node again that has no result. See [`RunHandle::retry`].
    pub fn retry(&self, node: impl Into<String>) -> Repair<O> {
        self.asked(Asked::nodes(node, false))
    }

    /// Runs a node again, and everything that depends on it. See [`RunHandle::rerun_from`].
    pub fn rerun_from(&self, node: impl Into<String>) -> Repair<O> {
        self.asked(Asked::nodes(node, true))
    }

    fn asked(&self, asked: Asked) -> Repair<O> {
        Repair {
            core: Arc::clone(&self.core),
            workflow: self.workflow,
            run: self.run,
            asked,
            timeout: None,
            output: PhantomData,
        }
    }
}

impl<O> fmt::Debug for RunRepair<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRepair")
            .field("run", &self.run)
            .field("workflow", &self.workflow)
            .finish_non_exhaustive()
    }
}

impl<O: Send + Sync + 'static> RunHandle<O> {
    /// Tries again what failed for good, was poisoned, interrupted or timed out, and keeps all other
    /// results. A failure that was handled is not tried again. A run that was cancelled goes on where
    /// it was. What was undone runs again; but if not everything could be undone, only that is tried
    /// again. Children of a job that failed keep their results.
    ///
    /// A `finally` that ran because of the failure or the cancel runs again behind its block.
    ///
    /// ```
    /// # async fn see(run: zahir::RunHandle<u64>) -> Result<(), zahir::Error> {
    /// let repair = run.retry_failed();
    /// println!("{}", repair.plan().await?); // changes nothing
    /// let run = repair.start().await?;
    /// println!("{}", run.output().await?);
    /// # Ok(()) }
    /// ```
    pub fn retry_failed(&self) -> Repair<O> {
        self.repairs().retry_failed()
    }

    /// Tries a node again that has no result, with everything that depends on it: a job as it is
    /// written in the workflow, `words[17]/longest_word`; without the number, all items of the `for`
    /// that have none. What else failed is tried again, too: as long as a failure counts, a run does
    /// not go on.
    pub fn retry(&self, node: impl Into<String>) -> Repair<O> {
        self.repairs().retry(node)
    }

    /// Runs a node again, also if it has its result, and everything that depends on it. With
    /// [`Repair::with`] it is given other inputs.
    ///
    /// What depends on it is: what uses its value or comes after it; around it, what depends on the
    /// branch, the `for` or the block that it is in, the later rounds of a loop, the handler or
    /// `finally` of a block, all of a race, and the job that asked for it, if it is a child of that.
    ///
    /// ```
    /// # use zahir::{RunHandle, job};
    /// # #[job] async fn charge(order: u64, cents: u64) -> u64 { order + cents }
    /// # async fn see(run: RunHandle<u64>) -> Result<(), zahir::Error> {
    /// let repair = run.rerun_from("charge").with(Charge { order: 17, cents: 990 });
    /// let run = repair.start().await?;
    /// # drop(run);
    /// # Ok(()) }
    /// ```
    pub fn rerun_from(&self, node: impl Into<String>) -> Repair<O> {
        self.repairs().rerun_from(node)
    }

    /// What of the run was kept and what ran again, if it went on in this process with a repair, or
    /// because its workflow was changed.
    #[must_use]
    pub fn changes(&self) -> Option<&Changes> {
        self.run.changes.as_deref()
    }

    fn repairs(&self) -> RunRepair<O> {
        RunRepair::new(&self.core, self.run.executable.name, self.run.id)
    }
}

/// A repair that is about to be made.
#[must_use = "nothing is repaired before `start`"]
pub struct Repair<O> {
    core: Arc<Core>,
    workflow: &'static str,
    run: RunId,
    asked: Asked,
    timeout: Option<Duration>,
    output: PhantomData<fn() -> O>,
}

/// What somebody wants to be repaired.
#[derive(Clone, Debug)]
enum Asked {
    Failed,
    Nodes {
        names: Vec<String>,
        even_if_done: bool,
        given: Option<Given>,
    },
}

/// Inputs for a job.
#[derive(Clone, Debug)]
struct Given {
    job: &'static str,
    encoded: Result<Vec<u8>, String>,
}

impl Asked {
    fn nodes(node: impl Into<String>, even_if_done: bool) -> Self {
        Self::Nodes {
            names: vec![node.into()],
            even_if_done,
            given: None,
        }
    }
}

impl<O: Send + Sync + 'static> Repair<O> {
    /// This node, too: several are tried or run again together. What is `at_most_once` runs again
    /// only if it is named.
    pub fn also(mut self, node: impl Into<String>) -> Self {
        let node = node.into();
        self.asked = match self.asked {
            Asked::Failed => Asked::nodes(node, false),
            Asked::Nodes {
                mut names,
                even_if_done,
                given,
            } => {
                names.push(node);
                Asked::Nodes {
                    names,
                    even_if_done,
                    given,
                }
            }
        };
        self
    }

    /// Gives the node other inputs than those it is wired to: `Charge { order, cents }`. They hold
    /// for all attempts from there on, until something that the node depends on runs again.
    ///
    /// Whether they are the inputs of the node's job is checked before anything runs.
    pub fn with<J: Job + Serialize>(mut self, inputs: J) -> Self {
        let encoded = executor::contain(AssertUnwindSafe(|| value::encode(&inputs)));
        executor::drop_quietly(inputs);
        let encoded = match encoded {
            Ok(encoded) => encoded.map_err(|error| error.to_string()),
            Err(failure) => Err(failure.message),
        };
        let inputs = Given {
            job: J::name(),
            encoded,
        };
        match &mut self.asked {
            Asked::Nodes { given, .. } => *given = Some(inputs),
            Asked::Failed => {
                self.asked = Asked::Nodes {
                    names: Vec::new(),
                    even_if_done: false,
                    given: Some(inputs),
                }
            }
        }
        self
    }

    /// The run fails if it has not ended in so long from its repair on. The limit it was started with
    /// ended with it.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// What the repair would keep, and what would run again. Nothing is changed.
    ///
    /// # Errors
    ///
    /// Those of [`Repair::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// Nothing is written.
    pub async fn plan(&self) -> Result<Changes, RepairError> {
        let executable = self.executable()?;
        self.check_idle()?;
        let going = self.work_out(&executable).await?;
        Ok(going.changes.unwrap_or_default())
    }

    /// Makes the repair: the run goes on. The handle is one of its new life; handles that were there
    /// before keep the outcome that they know. [`RunHandle::changes`] tells what is kept.
    ///
    /// # Errors
    ///
    /// If the run is under way or in memory, if there is no such node or it never ran, if nothing
    /// failed, if a job would run again that is `at_most_once` and was not named, if inputs do not
    /// fit, or if the run can't go on with the program as it is: [`RepairError`] says which, and
    /// nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the repair was made or not.
    ///
    /// # Durability
    ///
    /// The repair is on disk when this returns, and nothing has run before it was.
    pub async fn start(self) -> Result<RunHandle<O>, RepairError> {
        let executable = self.executable()?;
        let Some(_lock) = self.core.repairs.lock(self.run) else {
            return Err(RepairError::UnderWay { run: self.run });
        };
        self.check_idle()?;
        let Going { engine, changes } = self.work_out(&executable).await?;
        let mut run = self.core.run(self.run, executable);
        run.changes = changes.map(Arc::new);
        let run = Arc::new(run);
        let Some(admission) = self.core.admit(&run) else {
            return Err(RepairError::ShutDown);
        };
        let driver = Driver::new(&self.core, &run, engine.with_timeout(self.timeout));
        executor::spawn_driver(&self.core.tokio, admission.hold(driver.drive()));
        if run.started().await {
            return Ok(RunHandle::new(Arc::clone(&self.core), run));
        }
        Err(match run.outcome() {
            Some(Outcome::Left(Left::Halted(halted))) => RepairError::Halted(halted.clone()),
            Some(Outcome::Left(Left::Broken(reason))) => RepairError::Stuck {
                reason: reason.clone(),
            },
            Some(
                Outcome::Left(Left::Stopped)
                | Outcome::Succeeded { .. }
                | Outcome::Failed(_)
                | Outcome::Cancelled,
            )
            | None => RepairError::ShutDown,
        })
    }

    fn executable(&self) -> Result<Arc<Executable>, RepairError> {
        if let Some(halted) = self.core.halted() {
            return Err(RepairError::Halted(halted.clone()));
        }
        if !self.core.is_durable {
            return Err(RepairError::InMemory);
        }
        let found = self.core.executables.get(self.workflow);
        found.cloned().ok_or(RepairError::Unregistered {
            workflow: self.workflow,
        })
    }

    /// Nobody drives the run.
    fn check_idle(&self) -> Result<(), RepairError> {
        match self.core.live.find(self.run) {
            Some(_) => Err(RepairError::UnderWay { run: self.run }),
            None => Ok(()),
        }
    }

    /// What the repair comes to, on the reader's thread: records are decoded there.
    async fn work_out(&self, executable: &Arc<Executable>) -> Result<Going, RepairError> {
        let case = Case {
            executable: Arc::clone(executable),
            on_change: self.core.on_change,
            run: self.run,
            is_parked: self
                .core
                .parked
                .get()
                .is_some_and(|parked| parked.contains_key(&self.run)),
            asked: self.asked.clone(),
        };
        let asked = self.core.reader.ask(move |store| Ok(case.work_out(store)));
        match asked.await {
            Ok(going) => going,
            Err(_) if self.core.reader.is_closed() => Err(RepairError::ShutDown),
            Err(error) => Err(error.into()),
        }
    }
}

impl<O> fmt::Debug for Repair<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair")
            .field("run", &self.run)
            .field("workflow", &self.workflow)
            .finish_non_exhaustive()
    }
}

/// What is needed to work a repair out.
struct Case {
    executable: Arc<Executable>,
    on_change: OnChange,
    run: RunId,
    is_parked: bool,
    asked: Asked,
}

impl Case {
    fn work_out(self, store: &dyn Store) -> Result<Going, RepairError> {
        let run = self.run;
        let stored = guard(|| store.load(run))?;
        let stored = stored.ok_or(RepairError::Unknown { run })?;
        if stored.head.workflow != self.executable.name {
            return Err(RepairError::OtherWorkflow {
                run,
                workflow: stored.head.workflow,
                asked: self.executable.name,
            });
        }
        if stored.head.status == RunStatus::Running && !self.is_parked {
            return Err(RepairError::UnderWay { run });
        }
        let wish = self.wish()?;
        let going = recovery::go_on(store, &self.executable, self.on_change, stored, &wish);
        going.map_err(|obstacle| match obstacle {
            Obstacle::Problem(problem) => RepairError::of_problem(problem),
            Obstacle::Refused(refused) => self.refusal(refused),
        })
    }

    fn wish(&self) -> Result<Wish, RepairError> {
        let (names, even_if_done, given) = match &self.asked {
            Asked::Failed => return Ok(Wish::RetryFailed),
            Asked::Nodes {
                names,
                even_if_done,
                given,
            } => (names, *even_if_done, given),
        };
        let nodes = names.iter().map(|name| self.named(name));
        let nodes: Vec<Named> = nodes.collect::<Result<_, _>>()?;
        let arguments = match given {
            Some(given) => Some(self.arguments(nodes.first(), given)?),
            None => None,
        };
        Ok(Wish::Again(Again {
            nodes,
            even_if_done,
            arguments,
        }))
    }

    fn named(&self, name: &str) -> Result<Named, RepairError> {
        let names = |id| self.executable.code.node_name(id);
        match address::find(&self.executable.plan, &names, name) {
            Ok(nodes) => Ok(Named {
                name: name.to_owned(),
                nodes,
            }),
            Err(Unknown { is_pure: true, .. }) => Err(RepairError::Pure {
                node: name.to_owned(),
            }),
            Err(Unknown { near, .. }) => Err(RepairError::NoSuchNode {
                workflow: self.executable.name,
                node: name.to_owned(),
                near,
            }),
        }
    }

    /// Inputs that were given to a node, if they are those of its job.
    fn arguments(&self, named: Option<&Named>, given: &Given) -> Result<Vec<u8>, RepairError> {
        let refuse = |node: &str, reason: String| {
            Err(RepairError::Inputs {
                node: node.to_owned(),
                reason,
            })
        };
        let Some(named) = named else {
            return refuse(
                "",
                "they are for no node: name one with `rerun_from`".to_owned(),
            );
        };
        let nodes: BTreeSet<NodeId> = named.nodes.iter().map(|at| at.node).collect();
        let is_job = |id: &NodeId| self.executable.plan.node(*id).kind == PlanKind::Job;
        let (Some(node), 1) = (nodes.first().filter(|id| is_job(id)), nodes.len()) else {
            return refuse(&named.name, "only a job can be given inputs".to_owned());
        };
        let job = self.executable.code.job(*node).map_or("", JobDef::name);
        if job != given.job {
            let reason = format!("they are those of `{}`, and it calls `{job}`", given.job);
            return refuse(&named.name, reason);
        }
        let encoded = match &given.encoded {
            Ok(encoded) => encoded.clone(),
            Err(reason) => return refuse(&named.name, format!("they can't be stored: {reason}")),
        };
        let code = &self.executable.code;
        let checked = executor::contain(AssertUnwindSafe(|| code.check_arguments(*node, &encoded)));
        match checked {
            Ok(Ok(())) => Ok(encoded),
            Ok(Err(error)) => refuse(&named.name, error.to_string()),
            Err(failure) => refuse(&named.name, failure.message),
        }
    }

    fn refusal(&self, refused: Refused) -> RepairError {
        match refused {
            Refused::NothingFailed => RepairError::NothingFailed { run: self.run },
            Refused::NeverRan(node) => RepairError::NeverRan { node },
            Refused::Replaced(node) => RepairError::Replaced { node },
            Refused::Succeeded(node) => RepairError::HasResult { node },
            Refused::Several(node) => RepairError::Inputs {
                node,
                reason: "they are for one node instance, and this is several: say which item or \
                         round"
                    .to_owned(),
            },
            Refused::Twice(jobs) => RepairError::Blocked { jobs },
            Refused::Unlisted(spawned) => RepairError::of_problem(recovery::unlisted(&spawned)),
            Refused::Undoing(nodes) => RepairError::of_problem(ProblemKind::UndoChanged { nodes }),
        }
    }
}

/// The runs that are being repaired: each by one caller at a time.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    runs: Arc<Mutex<BTreeSet<RunId>>>,
}

impl Repairs {
    fn lock(&self, run: RunId) -> Option<Lock> {
        let is_free = lock(&self.runs).insert(run);
        is_free.then(|| Lock {
            runs: Arc::clone(&self.runs),
            run,
        })
    }
}

/// The right to repair a run.
struct Lock {
    runs: Arc<Mutex<BTreeSet<RunId>>>,
    run: RunId,
}

impl Drop for Lock {
    fn drop(&mut self) {
        lock(&self.runs).remove(&self.run);
    }
}
