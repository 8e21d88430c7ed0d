//! What is known of a job's effects while it is compiled.
//!
//! Each fact is two traits: the one that the macros implement, and the one that a call demands,
//! which only has its words. So rustc says these, and lists no jobs that do better.

use std::marker::PhantomPinned;

use crate::job::{Call, Job};
use crate::wire::Def;

/// A job, and no workflow.
pub trait Attempted: Job {}

/// A job that may be started again after it failed: every one but `#[job(at_most_once)]`.
pub trait Retriable: Job {}

/// A job whose effect can be undone, or needs no undoing; a workflow of which all jobs are so.
pub trait Undoable: Job {}

/// A job that may continue as another one: it says neither how its output is undone nor how it is
/// verified.
pub trait Continuable: Job {}

/// A job that can take over for another or undo it: no workflow, none that spawns others, and none
/// that gives an [`Again`](crate::Again).
pub trait Auxiliary: Job {}

/// Demanded by `.timeout(..)` and the like.
#[diagnostic::on_unimplemented(
    message = "this is no setting of a workflow: `{Self}` has no attempts of its own",
    label = "is for calls of jobs",
    note = "write it behind the calls of jobs in that workflow"
)]
pub trait Attempts: Job {
    #[doc(hidden)]
    fn attempts(_: Def<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<J: Attempted> Attempts for J {}

/// Demanded by `.retry(..)` and `.backoff(..)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is never tried again: its job is `at_most_once`",
    label = "would start it a second time",
    note = "leave this setting away; or, if the effect may happen more than once, take `at_most_once` from the job"
)]
pub trait Retries: Job {
    #[doc(hidden)]
    fn retries(_: Def<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<J: Retriable> Retries for J {}

/// Demanded of all that a `#[saga]` calls.
#[diagnostic::on_unimplemented(
    message = "a saga can't undo `{Self}`: nothing says how",
    label = "is called in a saga",
    note = "if it is a job, write `#[job(undo = other_job)]`, with a job that is given its inputs and its output; `#[job(no_undo)]` if its effect may stay; or `#[job(pure)]` if it has none",
    note = "if it is a workflow, write `#[saga]` before its `async fn`"
)]
pub trait Undone: Job {
    #[doc(hidden)]
    fn undone(_: Def<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<J: Undoable> Undone for J {}

/// Demanded of all that a `#[saga]` calls, too.
#[diagnostic::on_unimplemented(
    message = "a saga can't undo all that `{Self}` may spawn",
    label = "is called in a saga",
    note = "each job that it may spawn, directly or not, says how it is undone, `#[job(undo = other_job)]`, or that it need not be, `no_undo` or `pure`; each workflow is a `#[saga]`, too"
)]
pub trait SpawnsUndone: Job {
    #[doc(hidden)]
    fn spawns_undone(_: Def<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<J: Job<Reach: Unpin>> SpawnsUndone for J {}

/// What `spawns(..)` names: a job or workflow.
///
/// Whether all that a job may spawn can be undone is a question that goes round in circles, as jobs
/// may spawn themselves. rustc answers such questions for its own marker traits only. So each job has
/// a type, its `Reach`, that holds the `Effect` and the `Reach` of what it may spawn: it is `Unpin` if
/// they all are, and the effect of a job that can't be undone is [`Lasting`].
pub trait Reaching {
    /// Both.
    type Reach;
}

#[diagnostic::do_not_recommend]
impl<J: Job> Reaching for J {
    type Reach = (J::Effect, J::Reach);
}

/// Demanded of a job that continues as another one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't continue as another job: its `undo` or `verify` would be left out",
    label = "here `{Self}` is over, and its output is that of another job",
    note = "let the job that it continues as have the `undo` or `verify`, and take it from `{Self}`; if a saga calls `{Self}`, write `no_undo` there"
)]
pub trait Continues: Job {}

#[diagnostic::do_not_recommend]
impl<J: Continuable> Continues for J {}

/// Stands for an effect that can't be undone. Never made.
#[derive(Debug)]
pub struct Lasting(PhantomPinned);

/// Demanded of what `recover = ..` and `undo = ..` name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can neither take over for a job nor undo it",
    label = "a workflow, or a job that spawns others or may ask to be run again later",
    note = "`recover` and `undo` take a `#[job]` without `spawns(..)` that does not return `Again`"
)]
pub trait Assists: Job {}

#[diagnostic::do_not_recommend]
impl<J: Auxiliary> Assists for J {}

/// What a function gives that is named as a recovery job, or as what undoes a job: a call.
#[diagnostic::on_unimplemented(
    message = "this is not a job",
    label = "expected a `#[job]` function; this gives a `{Self}`",
    note = "put `#[job]` on the function"
)]
pub trait Takes<'a, R: Job> {
    #[doc(hidden)]
    fn call(self) -> Call<'a, R>;
}

#[diagnostic::do_not_recommend]
impl<'a, R: Job> Takes<'a, R> for Call<'a, R> {
    fn call(self) -> Self {
        self
    }
}
