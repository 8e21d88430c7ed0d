//! `recover = other_job`: what takes over when the attempts of a job are spent.

use std::fmt;
use std::marker::PhantomData;

use crate::job::attempt::{self, Fail, kept};
use crate::job::context::Context;
use crate::job::effect::{Assists, Takes};
use crate::job::{BoxFuture, Job, Options};
use crate::value::{Codec, Payload, Value};
use crate::wire::{Lend, Outcome};

/// What takes over for a job.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryDef {
    /// The name of the job that does.
    pub(crate) name: fn() -> &'static str,
    pub(crate) options: &'static Options,
    /// How the error is stored, if it takes that and not a [`Failure`](crate::Failure).
    pub(crate) error: Option<Codec>,
}

/// Asks a job what takes over for it, or to begin that. One expression of the user's answers both,
/// so that a mistake in it is reported once.
pub struct Recover<'e, J: Job>(Option<Spent<'e, J>>);

/// What has failed.
struct Spent<'e, J: Job> {
    error: &'e Value,
    args: J::Args<'e>,
    context: &'e Context,
    encodes: bool,
}

/// The answer.
#[expect(clippy::exhaustive_enums, reason = "closed")]
pub enum Recovery<'e, J: Job> {
    /// What takes over, and what keeps the error for it.
    Described(RecoveryDef, Option<Fail<J>>),
    /// An attempt of it.
    Begun(BoxFuture<'e, Outcome>),
    /// Nothing does.
    None,
}

/// A call that takes over for a job that fails with an `E`. It is given an `F`.
pub struct Recovering<'e, J: Job, F: ?Sized, E> {
    recovery: Recovery<'e, J>,
    given: PhantomData<fn(&F, &E)>,
}

impl<'e, J: Job> Recover<'e, J> {
    /// Asks what takes over.
    pub(crate) const fn describe() -> Self {
        Self(None)
    }

    /// Asks it to take over. `error` is the job's own, if that is what it takes.
    pub(crate) const fn begin(
        error: &'e Value,
        args: J::Args<'e>,
        context: &'e Context,
        encodes: bool,
    ) -> Self {
        Self(Some(Spent {
            error,
            args,
            context,
            encodes,
        }))
    }

    /// This call takes over.
    pub fn by<F, R, C>(
        self,
        call: impl FnOnce(&'e F, J::Args<'e>) -> C,
    ) -> Recovering<'e, J, F, J::Error>
    where
        F: ?Sized + Lend,
        R: Assists,
        R::Output: OutputOf<J::Output>,
        C: Takes<'e, R>,
    {
        let recovery = match self.0 {
            Some(spent) => {
                let error = F::lend(Some(spent.error));
                let call = call(error, spent.args).call();
                Recovery::Begun(attempt::alone(call, spent.context, spent.encodes))
            }
            None => Recovery::Described(
                RecoveryDef {
                    name: R::name,
                    options: const { &R::OPTIONS },
                    error: None,
                },
                None,
            ),
        };
        Recovering {
            recovery,
            given: PhantomData,
        }
    }
}

impl<'e, J: Job, E> Recovering<'e, J, crate::Failure, E> {
    /// The call is given any failure.
    #[must_use]
    pub fn recovery(self) -> Recovery<'e, J> {
        self.recovery
    }
}

/// A call that is given the job's own error. Found after the one that is given any failure.
pub trait RecoversTyped<'e, J: Job<Error = E>, F: ?Sized, E>: Sized {
    /// The call is given the job's error.
    fn recovery(self) -> Recovery<'e, J>
    where
        F: ErrorOf<E>;
}

impl<'e, J: Job<Error = E>, F: ?Sized, E> RecoversTyped<'e, J, F, E> for Recovering<'e, J, F, E> {
    fn recovery(self) -> Recovery<'e, J>
    where
        F: ErrorOf<E>,
    {
        match self.recovery {
            Recovery::Described(def, _) => {
                let (codec, fail) = F::kept::<J>();
                let error = Some(codec);
                Recovery::Described(RecoveryDef { error, ..def }, Some(fail))
            }
            begun @ (Recovery::Begun(_) | Recovery::None) => begun,
        }
    }
}

/// The output of a recovery job.
#[diagnostic::on_unimplemented(
    message = "this recovery job gives a `{Self}`, and the job itself a `{O}`",
    label = "gives a `{Self}`",
    note = "what takes over for a job gives what the job would have given"
)]
pub trait OutputOf<O> {}

#[diagnostic::do_not_recommend]
impl<O> OutputOf<O> for O {}

/// The error of a job, for its recovery job.
#[diagnostic::on_unimplemented(
    message = "the failure of this job can't be given to the recovery job as a `{Self}`",
    label = "takes a `&{Self}` first",
    note = "first it takes a `&zahir::Failure`; or the job's own error, `&{E}`, if that implements serde's `Serialize` and `Deserialize`"
)]
pub trait ErrorOf<E> {
    #[doc(hidden)]
    fn kept<J: Job<Error = E>>() -> (Codec, Fail<J>);
}

#[diagnostic::do_not_recommend]
impl<E: Payload> ErrorOf<E> for E {
    fn kept<J: Job<Error = E>>() -> (Codec, Fail<J>) {
        (Codec::of::<E>(), kept::<J>)
    }
}

impl<J: Job> fmt::Debug for Recover<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recover")
    }
}

impl<J: Job, F: ?Sized, E> fmt::Debug for Recovering<'_, J, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recovery.fmt(f)
    }
}

impl<J: Job> fmt::Debug for Recovery<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Described(def, _) => f.debug_tuple("Described").field(def).finish(),
            Self::Begun(_) => f.write_str("Begun(..)"),
            Self::None => f.write_str("None"),
        }
    }
}
