//! `undo = other_job`: what undoes the result of a job when its run fails or is cancelled.

use std::fmt;

use futures_util::FutureExt;

use crate::job::context::Context;
use crate::job::effect::{Assists, Takes};
use crate::job::{BoxFuture, Job, Options, attempt};
use crate::value::Value;
use crate::wire::{Outcome, Produced};

/// What undoes the results of a job.
#[derive(Clone, Copy, Debug)]
pub struct UndoDef {
    /// The name of the job that does.
    pub(crate) name: fn() -> &'static str,
    pub(crate) options: &'static Options,
}

/// Asks a job what undoes it, or to begin that. One expression of the user's answers both, so that a
/// mistake in it is reported once.
pub struct Undo<'e, J: Job>(Option<Done<'e, J>>);

/// What is to be undone.
struct Done<'e, J: Job> {
    args: J::Args<'e>,
    output: &'e J::Output,
    context: &'e Context,
}

/// The answer.
#[expect(clippy::exhaustive_enums, reason = "closed")]
pub enum Undoing<'e> {
    /// What undoes it.
    Described(UndoDef),
    /// An attempt to undo it.
    Begun(BoxFuture<'e, Outcome>),
    /// Nothing does.
    None,
}

impl<'e, J: Job> Undo<'e, J> {
    /// Asks what undoes it.
    pub(crate) const fn describe() -> Self {
        Self(None)
    }

    /// Asks to undo what gave `output`.
    pub(crate) const fn begin(
        args: J::Args<'e>,
        output: &'e J::Output,
        context: &'e Context,
    ) -> Self {
        Self(Some(Done {
            args,
            output,
            context,
        }))
    }

    /// This call undoes it.
    pub fn by<R: Assists, C: Takes<'e, R>>(
        self,
        call: impl FnOnce(J::Args<'e>, &'e J::Output) -> C,
    ) -> Undoing<'e> {
        let Some(done) = self.0 else {
            return Undoing::Described(UndoDef {
                name: R::name,
                options: const { &R::OPTIONS },
            });
        };
        let call = call(done.args, done.output).call();
        let attempt = attempt::alone(call, done.context, false);
        // What it gives is of no use to anybody.
        Undoing::Begun(Box::pin(attempt.map(|outcome| match outcome {
            Outcome::Produced(_) => Outcome::Produced(Produced {
                value: Value::new(()),
                encoded: Vec::new(),
                extra: None,
            }),
            Outcome::Failed(_) | Outcome::Postponed { .. } => outcome,
        })))
    }
}

impl<J: Job> fmt::Debug for Undo<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undo")
    }
}

impl fmt::Debug for Undoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Described(def) => f.debug_tuple("Described").field(def).finish(),
            Self::Begun(_) => f.write_str("Begun(..)"),
            Self::None => f.write_str("None"),
        }
    }
}
