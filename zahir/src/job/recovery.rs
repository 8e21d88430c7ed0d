//! `recover = other_job`: what takes over when the attempts of a job are spent.

use std::fmt;
use std::marker::PhantomData;

use crate::job::attempt::{self, Fail, bug, kept};
use crate::job::context::Context;
use crate::job::effect::Auxiliary;
use crate::job::{BoxFuture, Job, Options};
use crate::value::{Codec, Payload, Value};
use crate::wire::{IntoCall, Outcome};

/// What takes over for a job.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryDef {
    /// The name of the job that does.
    pub(crate) name: &'static str,
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

/// A call that takes over. It is given an `F`.
pub struct Recoverer<'e, J: Job, F: ?Sized, R, C> {
    ask: Recover<'e, J>,
    call: C,
    given: PhantomData<fn(&F) -> R>,
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
    pub fn by<F, R, C, Made>(self, call: C) -> Recoverer<'e, J, F, R, C>
    where
        F: ?Sized + 'static,
        R: Auxiliary,
        C: FnOnce(&'e F, J::Args<'e>) -> Made,
        Made: IntoCall<'e, R>,
    {
        Recoverer {
            ask: self,
            call,
            given: PhantomData,
        }
    }
}

impl<'e, J, R, C, Made> Recoverer<'e, J, crate::Failure, R, C>
where
    J: Job,
    R: Auxiliary,
    C: FnOnce(&'e crate::Failure, J::Args<'e>) -> Made,
    Made: IntoCall<'e, R>,
{
    /// The call is given any failure.
    pub fn recovery(self) -> Recovery<'e, J> {
        self.decided(None, Value::get)
    }
}

/// A call that is given the job's own error. Found after the one that is given any failure.
pub trait RecoversTyped<'e, J: Job, F: ?Sized> {
    /// The call is given the job's error.
    fn recovery(self) -> Recovery<'e, J>
    where
        F: ErrorOf<J::Error>;
}

impl<'e, J, F, R, C, Made> RecoversTyped<'e, J, F> for Recoverer<'e, J, F, R, C>
where
    J: Job,
    F: ?Sized + 'static,
    R: Auxiliary,
    C: FnOnce(&'e F, J::Args<'e>) -> Made,
    Made: IntoCall<'e, R>,
{
    fn recovery(self) -> Recovery<'e, J>
    where
        F: ErrorOf<J::Error>,
    {
        self.decided(Some(F::kept::<J>()), F::lend)
    }
}

impl<'e, J, F, R, C, Made> Recoverer<'e, J, F, R, C>
where
    J: Job,
    F: ?Sized + 'static,
    R: Auxiliary,
    C: FnOnce(&'e F, J::Args<'e>) -> Made,
    Made: IntoCall<'e, R>,
{
    fn decided(
        self,
        kept: Option<(Codec, Fail<J>)>,
        lend: fn(&Value) -> Option<&F>,
    ) -> Recovery<'e, J> {
        let Some(spent) = self.ask.0 else {
            let def = RecoveryDef {
                name: R::name(),
                options: const { &R::OPTIONS },
                error: kept.map(|(codec, _)| codec),
            };
            return Recovery::Described(def, kept.map(|(_, fail)| fail));
        };
        Recovery::Begun(match lend(spent.error) {
            Some(error) => {
                let call = (self.call)(error, spent.args).into_call();
                attempt::alone(call, spent.context, spent.encodes)
            }
            None => attempt::ended(bug("its recovery job takes another error").into()),
        })
    }
}

/// The error of a job, for its recovery job.
#[diagnostic::on_unimplemented(
    message = "a recovery job can't be given `{Self}` when this job has failed",
    label = "takes a `&{Self}` first",
    note = "first it takes either `&zahir::Failure`, or the job's own error, `&{E}`, if that implements serde's `Serialize` and `Deserialize`"
)]
pub trait ErrorOf<E> {
    #[doc(hidden)]
    fn kept<J: Job<Error = E>>() -> (Codec, Fail<J>);

    #[doc(hidden)]
    fn lend(value: &Value) -> Option<&Self>;
}

#[diagnostic::do_not_recommend]
impl<E: Payload> ErrorOf<E> for E {
    fn kept<J: Job<Error = E>>() -> (Codec, Fail<J>) {
        (Codec::of::<E>(), kept::<J>)
    }

    fn lend(value: &Value) -> Option<&E> {
        value.get()
    }
}

impl<J: Job> fmt::Debug for Recover<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recover")
    }
}

impl<J: Job, F: ?Sized, R, C> fmt::Debug for Recoverer<'_, J, F, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recoverer")
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
