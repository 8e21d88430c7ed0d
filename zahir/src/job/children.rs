//! Children: calls of jobs and workflows that a job makes while it runs.
//!
//! `kind.rs` is what a job declares, `child.rs` one child, `later.rs` the job that gives the result of
//! another, `error.rs` how children fail. `line.rs` is the only place where a context meets what runs
//! its job: all that is spawned and waited for goes through it.

pub(crate) mod child;
pub(crate) mod error;
pub(crate) mod kind;
pub(crate) mod later;
pub(crate) mod line;

use std::sync::Arc;

use zahir_store::FailureKind;

use crate::job::children::child::Child;
use crate::job::children::error::JoinError;
use crate::job::children::kind::{SpawnCall, SpawnedByNone};
use crate::job::children::later::{Continue, Heir, Names};
use crate::job::children::line::{Line, Noted};
use crate::job::context::Context;
use crate::job::{Job, failure};
use crate::wire::IntoCall;

/// What the context of a job that declares `spawns(..)` holds.
#[derive(Clone, Debug)]
pub struct Spawning {
    pub(crate) context: Context,
    pub(crate) line: Arc<Line>,
}

/// A job that may spawn anything: one whose options are wrong.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "never made")]
pub struct Anything;

impl<P: Job> Context<P> {
    /// The context of the job `P`, which runs with this one.
    #[doc(hidden)]
    #[must_use]
    pub fn of(context: &Context) -> Self {
        Self::holding(Spawning {
            context: context.clone(),
            line: context.line(),
        })
    }

    /// Makes this call a child of the job: one more job or workflow of the run.
    ///
    /// The child begins when the job waits for it, or has ended. What is not awaited follows: it is
    /// recorded together with the job's result, and runs behind it; if the attempt fails, it has never
    /// been. The run ends after all children.
    ///
    /// Only what the job names in `#[job(spawns(..))]` can be spawned: that is how a restart finds it
    /// again.
    pub fn spawn<'c, C: Job>(&self, call: impl SpawnCall<'c, P, C>) -> Child<C> {
        let line = &self.held().line;
        let (kind, arguments) = call.into_child();
        let arguments = arguments.unwrap_or_else(|error| {
            let text = format!("the inputs of `{}` can't be stored: {error}", C::name());
            line.refuse(failure(FailureKind::Unencodable, text));
            Vec::new()
        });
        let number = line.note(Noted::new(kind, arguments));
        Child::new(Arc::clone(line), number)
    }

    /// Ends the job: what it gives is what `heir` gives, which runs as soon as the children are over
    /// whose outputs it is given.
    ///
    /// Nothing of the job is held meanwhile, so this is the way to wait long, or for many. It never
    /// returns: write `ctx.continue_as(..).await` as the last expression, or `return` it.
    ///
    /// `heir` is a [`Later`], as in `Aggregate::of(children)`, or a call, whose inputs are there.
    pub fn continue_as<'c, C: Job>(&self, heir: impl Heir<'c, P, C>) -> Continue<P::Returns> {
        Continue::new(Arc::clone(&self.held().line), heir.into_succession())
    }
}

impl Context<Anything> {
    /// The context of a job whose options are wrong.
    #[doc(hidden)]
    #[must_use]
    pub fn of_any(context: &Context) -> Self {
        Self::holding(Spawning {
            context: context.clone(),
            line: context.line(),
        })
    }

    /// Spawns whatever it is given: what is wrong has been said.
    #[doc(hidden)]
    pub fn spawn<'c, C: Job>(&self, _: impl IntoCall<'c, C>) -> Child<C> {
        Child::new(self.line(), 0)
    }

    /// Continues as whatever it is given.
    #[doc(hidden)]
    pub fn continue_as<C, R>(&self, _: impl Names<C>) -> Continue<R> {
        Continue::never(self.line())
    }
}

impl Context {
    /// What is said where nothing can be spawned.
    #[doc(hidden)]
    pub fn spawn<'c, C>(&self, call: impl IntoCall<'c, C>) -> Child<C>
    where
        C: SpawnedByNone,
    {
        C::none(call)
    }

    /// What is said where nothing can be spawned.
    #[doc(hidden)]
    pub fn continue_as<C, R>(&self, heir: impl Names<C>) -> Continue<R>
    where
        C: SpawnedByNone,
    {
        C::none(heir)
    }

    /// The outputs of these children, in this order, whichever is over first.
    ///
    /// # Errors
    ///
    /// If some of them failed: once all are over, with all failures.
    pub async fn join_all<C: Job>(
        &self,
        children: impl IntoIterator<Item = Child<C>>,
    ) -> Result<Vec<C::Output>, JoinError<C::Error>> {
        JoinError::of(self.join_settled(children).await)
    }

    /// What becomes of these children, in this order.
    pub async fn join_settled<C: Job>(
        &self,
        children: impl IntoIterator<Item = Child<C>>,
    ) -> Vec<<Child<C> as Future>::Output> {
        futures_util::future::join_all(children).await
    }
}
