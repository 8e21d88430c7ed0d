//! What is known of a job's effects while it is compiled.

use crate::job::{Call, Job};

/// A job that may be started again after it failed: every one but `#[job(at_most_once)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is never tried again: its job is `at_most_once`",
    label = "would start it a second time",
    note = "leave this setting away; or, if the effect may happen more than once, take `at_most_once` from the job"
)]
pub trait Retriable: Job {}

/// A job whose effect can be undone, or needs no undoing; a workflow of which all jobs are so.
#[diagnostic::on_unimplemented(
    message = "a saga can't undo `{Self}`: nothing says how",
    label = "has neither `undo` nor `no_undo`",
    note = "write `#[job(undo = other_job)]` on it, with a job that takes its inputs and its output back; or `#[job(no_undo)]` if nothing has to be undone; a workflow that is called has to be a `#[saga]`, too"
)]
pub trait Undoable: Job {}

/// A job that can take over for another or undo it: no workflow, and none that gives an
/// [`Again`](crate::Again).
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't stand in for another job, nor undo it",
    label = "a workflow, or a job that may ask to be run again later",
    note = "a recovery job, and one that undoes, is a `#[job]` that does not return `Again`"
)]
pub trait Auxiliary: Job {}

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
