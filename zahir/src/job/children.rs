//! Children: calls of jobs and workflows that a job makes while it runs.
//!
//! `kind.rs` is what a job declares, `asked.rs` what it asks for, as data, `child.rs` one child,
//! `later.rs` the job that gives the result of another, `error.rs` how children fail, `join.rs` and
//! `map.rs` waits for many, `alone.rs` children outside of a run, `misplaced.rs` what can't be said of
//! them. `line.rs` is the only place where a context meets what runs its job: all that is spawned and
//! waited for goes through it.

mod alone;
pub(crate) mod asked;
pub(crate) mod child;
pub(crate) mod error;
pub(crate) mod join;
pub(crate) mod kind;
pub(crate) mod later;
pub(crate) mod line;
pub(crate) mod map;
pub(crate) mod misplaced;

use std::sync::Arc;

use zahir_store::FailureKind;

use crate::job::children::child::{Child, Spawned};
use crate::job::children::error::JoinError;
use crate::job::children::join::Children;
use crate::job::children::kind::{
    Calls, Declaration, KindDef, SpawnCall, SpawnedAs, SpawnedByNone, declaration_of,
};
use crate::job::children::later::{Continue, Heir, Inherits};
use crate::job::children::line::Line;
use crate::job::children::map::Map;
use crate::job::context::Context;
use crate::job::effect::Continues;
use crate::job::{BoxFuture, Job, failure};
use crate::value::CodecError;

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
    ///
    /// # Cancel safety
    ///
    /// A child that is dropped, also while it is awaited, follows: it is not cancelled.
    ///
    /// # Durability
    ///
    /// Nothing is on disk when this returns. The child is recorded before it begins, and how it ended
    /// before the job is given it, unless the runtime is in memory.
    pub fn spawn<'c, C: Job>(&self, call: impl SpawnCall<'c, C> + SpawnedAs<P, C>) -> Child<C> {
        let line = &self.held().line;
        let Declaration { kind, encode } = declaration_of(&call);
        let arguments = encode(&call.into_call().args);
        let arguments = arguments.unwrap_or_else(|error| unstorable::<C>(line, &error));
        Child::new(Spawned::new(line, kind, arguments))
    }

    /// One child for each item: `ctx.map(&urls, |url| fetch_page(url)).limit(64).await?`.
    ///
    /// Gives the outputs in the order of the items; or, when all are over, all failures. With
    /// [`limit`](Map::limit) at most so many run at once, and the items are taken little by little: a
    /// million of them are no more in memory than a thousand. Without it they are all spawned at once.
    ///
    /// An attempt after a crash goes over the items again, so they have to be the same again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no more items are taken. The children that were spawned follow.
    ///
    /// # Durability
    ///
    /// How all children ended is on disk when it is awaited, unless the runtime is in memory.
    pub fn map<'c, 'x, C: Job, I, K, F>(
        &self,
        items: impl IntoIterator<Item = I, IntoIter: Send + 'c>,
        mut call: F,
    ) -> Map<'c, C>
    where
        F: FnMut(I) -> K + Calls<'x, C, K> + SpawnedAs<P, C> + Send + 'c,
    {
        let line = Arc::clone(&self.held().line);
        let Declaration { kind, encode } = declaration_of(&call);
        let arguments = {
            let line = Arc::clone(&line);
            let items = items.into_iter();
            items.map(move |item| {
                let arguments = encode(&F::__call_that_is_made(call(item)).args);
                arguments.unwrap_or_else(|error| unstorable::<C>(&line, &error))
            })
        };
        Map::new(&line, kind, arguments)
    }

    /// Ends the job: what it gives is what `heir` gives, which runs as soon as the children are over
    /// whose outputs it is given.
    ///
    /// No slot and no variable of the job is held meanwhile, so this is the way to wait long, or for
    /// many. It never returns: write `ctx.continue_as(..).await` as the last expression, or `return`
    /// it.
    ///
    /// `heir` is a [`Later`](crate::Later), as in `Aggregate::of(children)`, or a call, whose inputs
    /// are there.
    ///
    /// A job with `undo` or `verify` can't go on as another one, and does not compile: they belong to the
    /// job that gives the output.
    ///
    /// # Panics
    ///
    /// Outside of a run, where the children and the heir run in place, when one of them fails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is polled, the children that it was given follow, and the job
    /// goes on. Once it was polled the job ends.
    ///
    /// # Durability
    ///
    /// That the job has ended, its children and the heir are recorded together, before any of them
    /// that has not begun begins, unless the runtime is in memory.
    pub fn continue_as<'c, C: Job>(
        &self,
        heir: impl Heir<'c, C> + SpawnedAs<P, C> + Inherits<P::Output, C::Output>,
    ) -> Continue<P::Returns>
    where
        P: Continues,
    {
        let declared = declaration_of(&heir);
        Continue::of::<P>(
            Arc::clone(&self.held().line),
            heir.into_succession(&declared),
        )
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
    #[expect(clippy::must_use_candidate, reason = "a child that is let go follows")]
    pub fn spawn<'c, C: Job>(&self, _: impl SpawnCall<'c, C>) -> Child<C> {
        let kind = KindDef::new::<C>(C::describe());
        Child::new(Spawned::new(&self.line(), kind, Vec::new()))
    }

    /// The same, for each item.
    #[doc(hidden)]
    pub fn map<'c, 'x, C: Job, I, K>(
        &self,
        _: impl IntoIterator<Item = I>,
        _: impl FnMut(I) -> K + Calls<'x, C, K>,
    ) -> Map<'c, C> {
        let kind = KindDef::new::<C>(C::describe());
        Map::new(&self.line(), kind, std::iter::empty())
    }

    /// Continues as whatever it is given.
    #[doc(hidden)]
    pub fn continue_as<'c, C: Job, R>(&self, _: impl Heir<'c, C>) -> Continue<R> {
        Continue::never(self.line())
    }
}

/// If its inputs can't be stored, the attempt can't go on.
fn unstorable<C: Job>(line: &Line, error: &CodecError) -> Vec<u8> {
    let text = format!("the inputs of `{}` can't be stored: {error}", C::name());
    line.fail(failure(FailureKind::Unencodable, text));
    Vec::new()
}

impl Context {
    /// What is said where nothing can be spawned.
    #[doc(hidden)]
    pub fn spawn<'c, C: Job>(&self, call: impl SpawnCall<'c, C> + SpawnedByNone<C>) -> Child<C> {
        SpawnedByNone::__spawned_by_none(call)
    }

    /// What is said where nothing can be spawned.
    #[doc(hidden)]
    pub fn map<'c, 'x, C: Job, I, K>(
        &self,
        _: impl IntoIterator<Item = I>,
        call: impl FnMut(I) -> K + Calls<'x, C, K> + SpawnedByNone<C>,
    ) -> Map<'c, C> {
        SpawnedByNone::__spawned_by_none(call)
    }

    /// What is said where nothing can be spawned.
    #[doc(hidden)]
    pub fn continue_as<'c, C: Job, R>(
        &self,
        heir: impl Heir<'c, C> + SpawnedByNone<C>,
    ) -> Continue<R> {
        SpawnedByNone::__spawned_by_none(heir)
    }

    /// The outputs of these children, in this order, whichever is over first. Of none: none, at once.
    ///
    /// # Errors
    ///
    /// If some of them failed: once all are over, with all failures.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the children go on, and follow.
    ///
    /// # Durability
    ///
    /// How all children ended is on disk when this returns, unless the runtime is in memory.
    #[expect(
        clippy::type_complexity,
        reason = "the output and the error of one job"
    )]
    #[must_use = "it waits for the children when it is awaited"]
    pub fn join_all<C: Job, K>(
        &self,
        children: impl IntoIterator<Item = K> + Children<C, K>,
    ) -> BoxFuture<'static, Result<Vec<C::Output>, JoinError<C::Error>>> {
        let ends = join::join_settled(Children::__list_of_children(children));
        Box::pin(async {
            let ends = ends.await;
            JoinError::of(ends.len(), ends.into_iter())
        })
    }

    /// What becomes of these children, in this order.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the children go on, and follow.
    ///
    /// # Durability
    ///
    /// How all children ended is on disk when this returns, unless the runtime is in memory.
    #[must_use = "it waits for the children when it is awaited"]
    pub fn join_settled<C: Job, K>(
        &self,
        children: impl IntoIterator<Item = K> + Children<C, K>,
    ) -> BoxFuture<'static, Vec<<Child<C> as Future>::Output>> {
        Box::pin(join::join_settled(Children::__list_of_children(children)))
    }
}
