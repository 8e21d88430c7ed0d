//! What a running job may ask.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use zahir_store::{Attempt, Failure, FrameStep, NodeId, Position, RunId};

use crate::job::Job;
use crate::job::attempt::check_size;
use crate::job::children::line::{Host, Line};
use crate::job::children::{Anything, Spawning};
use crate::job::share::Recall;
use crate::value::Value;

/// What a running job may ask about itself.
///
/// A job that wants it takes `ctx: &Context` as its first parameter. Called outside a workflow, a
/// job gets a context of its own ([`Context::detached`]), unless its caller gives it one with
/// `.with(&ctx)`.
///
/// In a job that declares `spawns(..)`, `ctx` is the context of this very job, `&Context<Crawl>` in a
/// job `crawl`: that is what [`Context::spawn`] is checked against. It can be lent as a `&Context`,
/// too.
pub struct Context<J: Spawner = ()>(J::Holds);

/// What a context is of: a job that spawns others, or any job.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job, so there is no context of it",
    label = "not a job",
    note = "write `Context<TheJob>`, with the type of a job that declares `spawns(..)`, or `Context`"
)]
pub trait Spawner {
    #[doc(hidden)]
    type Holds: Clone + fmt::Debug + Send + Sync;
}

#[diagnostic::do_not_recommend]
impl Spawner for () {
    type Holds = Attempting;
}

#[diagnostic::do_not_recommend]
impl<J: Job> Spawner for J {
    type Holds = Spawning;
}

impl<J: Spawner> Context<J> {
    pub(crate) const fn holding(holds: J::Holds) -> Self {
        Self(holds)
    }

    pub(crate) const fn held(&self) -> &J::Holds {
        &self.0
    }
}

impl<J: Spawner> Clone for Context<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Spawner for Anything {
    type Holds = Spawning;
}

impl<J: Spawner<Holds = Spawning>> Deref for Context<J> {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0.context
    }
}

/// What there is to know of an attempt.
#[derive(Clone)]
pub struct Attempting {
    run: RunId,
    name: &'static str,
    frames: Option<Arc<[FrameStep]>>,
    node: NodeId,
    attempt: Attempt,
    /// What the attempt is about, if there is more to say than that it runs the job.
    task: Option<Arc<Task>>,
}

/// What an attempt has to go by besides the inputs of its node. The job sees nothing of it.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) role: Role,
    /// Where the results of other runs are found.
    pub(crate) shared: Option<Arc<dyn Recall>>,
    /// Whom the job asks for what only its run can do.
    pub(crate) host: Option<Arc<dyn Host>>,
    /// How large a value may be that is stored.
    pub(crate) value_bytes_max: usize,
}

/// What an attempt does.
#[derive(Debug)]
pub(crate) enum Role {
    /// It runs the job.
    Run {
        /// What the attempt before has left for it, encoded.
        state: Option<Arc<[u8]>>,
        /// The inputs in place of the node's own, encoded.
        arguments: Option<Arc<[u8]>>,
    },
    /// It runs the recovery job of the job, which is given this.
    Recover {
        /// The job's error, or a [`Failure`](crate::Failure).
        error: Value,
        /// The inputs in place of the node's own, encoded.
        arguments: Option<Arc<[u8]>>,
    },
    /// It undoes the result of the job.
    Undo {
        /// The inputs that the result was made from, encoded.
        arguments: Arc<[u8]>,
        /// The encoded result.
        output: Arc<[u8]>,
    },
}

impl Context {
    /// The context of one attempt. `frames` is shared by all nodes of a frame and empty, or
    /// `None`, in the body of a run.
    pub(crate) fn new(
        run: RunId,
        name: &'static str,
        frames: Option<Arc<[FrameStep]>>,
        node: NodeId,
        attempt: Attempt,
    ) -> Self {
        Self(Attempting {
            run,
            name,
            frames,
            node,
            attempt,
            task: None,
        })
    }

    /// The same, for an attempt that has this to go by.
    pub(crate) fn with(mut self, task: Option<Task>) -> Self {
        self.0.task = task.map(Arc::new);
        self
    }

    /// What the attempt does, if it does not just run the job.
    pub(crate) fn role(&self) -> Option<&Role> {
        self.0.task.as_deref().map(|task| &task.role)
    }

    /// Where the results of other runs are found.
    pub(crate) fn shared(&self) -> Option<&dyn Recall> {
        self.0.task.as_deref()?.shared.as_deref()
    }

    /// Where in the run this node is.
    pub(crate) fn place(&self) -> Position {
        Position {
            frames: self.0.frames.as_deref().unwrap_or_default().to_vec(),
            node: self.0.node,
        }
    }

    /// Whom the job asks for what only its run can do; `None` outside of a run.
    pub(crate) fn host(&self) -> Option<&dyn Host> {
        self.0.task.as_deref()?.host.as_deref()
    }

    /// Where children are spawned and waited for; outside of a run, a line of its own.
    pub(crate) fn line(&self) -> Arc<Line> {
        let line = self.host().and_then(Host::line);
        line.map_or_else(|| Arc::new(Line::detached()), Arc::clone)
    }

    /// Refuses what is too large to be stored.
    pub(crate) fn check_size(&self, what: &str, bytes: usize) -> Result<(), Failure> {
        match &self.0.task {
            Some(task) => check_size(what, bytes, task.value_bytes_max),
            None => Ok(()),
        }
    }

    /// A context that belongs to no run, for calling a job on its own.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(
            RunId::from_u128(0),
            "",
            None,
            NodeId::new(0),
            Attempt::FIRST,
        )
    }

    /// The run this job belongs to; all zeros outside of a run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.0.run
    }

    /// The name of the node: that of its variable in the workflow, or of the job if it is a child of
    /// another one. Empty outside of a run.
    #[must_use]
    pub fn node(&self) -> &str {
        self.0.name
    }

    /// Which try this is, 1 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt.number()
    }

    /// A text that is the same for every attempt of this node of this run, also after a restart, and
    /// that no other node has, in this run or another.
    ///
    /// Hand it to a service that accepts idempotency keys, so that an effect that was repeated
    /// after a crash counts once. The attempts of a recovery job have a key of their own, which ends
    /// in `/recover`, and so have those that undo the result, in `/undo`.
    ///
    /// It is the same after a repair, too, whatever inputs that gives the node: a service that has seen
    /// it then answers as it did. Children are told apart by their numbers, in the order in which their
    /// parent called them first. If that is run again from its beginning, with
    /// [`rerun_from`](crate::RunHandle::rerun_from), its children are numbered anew.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let role = match self.role() {
            Some(Role::Recover { .. }) => "/recover",
            Some(Role::Undo { .. }) => "/undo",
            Some(Role::Run { .. }) | None => "",
        };
        format!("{}/{}{role}", self.0.run, self.position())
    }

    /// Where in the run this node is, as `3[17]/5`: node 5 in the 17th frame of node 3.
    #[must_use]
    pub fn position(&self) -> impl fmt::Display {
        self.0.place()
    }
}

impl Attempting {
    fn place(&self) -> Place {
        Place {
            frames: self.frames.clone(),
            node: self.node,
        }
    }
}

impl<J: Spawner> fmt::Debug for Context<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Attempting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("run", &self.run)
            .field("node", &self.name)
            .field("position", &format_args!("{}", self.place()))
            .field("attempt", &self.attempt)
            .finish()
    }
}

/// Prints like `zahir_store::Position`, without being one: that would allocate.
struct Place {
    frames: Option<Arc<[FrameStep]>>,
    node: NodeId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.frames.iter().flat_map(|frames| frames.iter()) {
            write!(f, "{step:?}/")?;
        }
        write!(f, "{:?}", self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_names_run_and_position_but_not_the_attempt() {
        let frames: Arc<[FrameStep]> = Arc::new([FrameStep {
            node: NodeId::new(3),
            index: 17,
        }]);
        let context = |attempt| {
            Context::new(
                RunId::from_u128(7),
                "html",
                Some(Arc::clone(&frames)),
                NodeId::new(5),
                Attempt::new(attempt).unwrap(),
            )
        };
        assert_eq!(
            context(1).idempotency_key(),
            "00000000-0000-0000-0000-000000000007/3[17]/5"
        );
        assert_eq!(context(1).idempotency_key(), context(2).idempotency_key());
        assert_eq!(context(2).attempt(), 2);
        assert_eq!(context(2).node(), "html");
    }
}
