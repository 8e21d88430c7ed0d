//! Jobs: what `#[job]` implements, with types at the edge and one erased form inside.

pub(crate) mod again;
pub(crate) mod arguments;
pub(crate) mod attempt;
pub(crate) mod children;
pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod fatal;
pub(crate) mod options;
pub(crate) mod policy;
pub(crate) mod recovery;
pub(crate) mod share;
pub(crate) mod stored;
pub(crate) mod telling;
pub(crate) mod undo;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::OnceLock;

use crate::graph::fingerprint;
use crate::job::again::Returned;
use crate::job::attempt::{Fail, told};
use crate::job::children::kind::KindDef;
use crate::job::context::Context;
use crate::job::recovery::{Recover, Recovery, RecoveryDef};
use crate::job::stored::{AnyFail, StoredDef};
use crate::job::undo::{Undo, UndoDef, Undoing};
use crate::value::{Codec, CodecError, Typed, Value};
use crate::wire::{Description, Step, Wire};

pub(crate) use attempt::failure;
pub use options::Options;

/// An owned future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The two types of a `Result`, whatever it is called.
#[diagnostic::on_unimplemented(
    message = "a job whose return type is named `..Result` returns a `Result`, and `{Self}` is none",
    label = "not a `Result`",
    note = "write the type itself, or give it another name"
)]
pub trait Fallible {
    /// Its value.
    type Ok;
    /// Its error.
    type Err;
}

impl<T, E> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
}

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An async function marked with [`#[job]`](macro@crate::job). Implemented by that attribute only.
///
/// The type that implements it is the call as an owned, serializable value: `SendMail { user, .. }`
/// for `send_mail(&user, ..)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "not a job",
    note = "put `#[job]` on the function; its type is the function's name in camel case"
)]
pub trait Job: Sized + 'static {
    /// What the function takes, without its context.
    type Args<'a>;
    /// Exactly what the function returns.
    type Returns;
    /// What it returns when it succeeds: a [`Payload`](crate::Payload).
    type Output: 'static;
    /// How it can fail: a [`JobError`].
    type Error: 'static;

    /// Whether its effect can be undone, as a type, and whether that of all that it may spawn can; see
    /// [`Reaching`](effect::Reaching).
    #[doc(hidden)]
    type Effect;
    #[doc(hidden)]
    type Reach;

    #[doc(hidden)]
    const CODEC: Typed<Self::Output>;
    #[doc(hidden)]
    const ERROR: fn(Self::Error) -> BoxError;

    /// The module path and name, or what `#[job(name = "..")]` says. With [`Job::name`], what finds
    /// the job again after a restart.
    const NAME: &'static str;
    /// What `#[job(..)]` says.
    const OPTIONS: Options;
    /// The types of the inputs and of the output, as they are written.
    #[doc(hidden)]
    const SIGNATURE: &'static str;
    /// Changes with the name, the version and the types of inputs and output.
    const FINGERPRINT: u64 = fingerprint::of_job(
        Self::NAME,
        Self::SIGNATURE,
        Self::OPTIONS.declared_version(),
    );
    /// Whether a call of this is a frame of its own: a workflow.
    #[doc(hidden)]
    const ENTERS: bool = false;

    /// Whether the function sees its context.
    #[doc(hidden)]
    const ASKS: bool = true;
    /// Whether another job takes over when its attempts are spent.
    #[doc(hidden)]
    const RECOVERS: bool = false;
    /// Whether its results can be undone.
    #[doc(hidden)]
    const UNDOES: bool = false;
    /// How the inputs are stored: their names and codecs.
    #[doc(hidden)]
    const STORED: &'static [(&'static str, Codec)] = &[];

    /// [`Job::NAME`], with the types of a generic job's parameters.
    #[must_use]
    fn name() -> &'static str {
        Self::NAME
    }

    /// Runs the function.
    fn run<'a>(
        args: Self::Args<'a>,
        context: &'a Context,
    ) -> impl Future<Output = Self::Returns> + Send;

    /// What the function has returned.
    #[doc(hidden)]
    fn settle(returned: Self::Returns) -> Returned<Self::Output, Self::Error>;

    /// What the function returns if this is its output, for a job that may continue as another.
    #[doc(hidden)]
    #[must_use]
    fn returning(_: Self::Output) -> Option<Self::Returns> {
        None
    }

    /// `check = ..`: whether it takes these inputs.
    #[doc(hidden)]
    fn check(_: &Self::Args<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// `verify = ..`: whether it may give this output.
    #[doc(hidden)]
    fn verify(_: &Self::Output) -> Result<(), BoxError> {
        Ok(())
    }

    /// `retry_if = ..`: whether it may be tried again after this error.
    #[doc(hidden)]
    #[must_use]
    fn may_retry(_: &Self::Error) -> bool {
        true
    }

    /// Gives it what the attempt before has left.
    #[doc(hidden)]
    fn resume(_: &mut Self::Args<'_>, _: &[u8]) -> Result<(), CodecError> {
        Err(CodecError::new::<Self>("it takes no state"))
    }

    /// `recover = ..`: what takes over when its attempts are spent.
    #[doc(hidden)]
    #[must_use]
    fn recovery(_: Recover<'_, Self>) -> Recovery<'_, Self> {
        Recovery::None
    }

    /// `undo = ..`: what undoes its results.
    #[doc(hidden)]
    #[must_use]
    fn undo(_: Undo<'_, Self>) -> Undoing<'_> {
        Undoing::None
    }

    /// `spawns(..)`: what it may spawn.
    #[doc(hidden)]
    #[must_use]
    fn kinds() -> Vec<KindDef> {
        Vec::new()
    }

    /// The call with these inputs: lends what is lent, and takes what is given.
    #[doc(hidden)]
    fn lend(_: &mut [Value]) -> Result<Self::Args<'_>, CodecError> {
        Err(CodecError::new::<Self>("it is no job"))
    }

    /// The inputs as one map from their names, for a job that can be undone or whose results are
    /// shared.
    #[doc(hidden)]
    fn arguments(_: &Self::Args<'_>) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::new::<Self>("its inputs are not stored"))
    }

    /// What its results are found by if they are shared: its inputs, or what `once_by = ..` gives.
    #[doc(hidden)]
    fn key(args: &Self::Args<'_>) -> Result<Vec<u8>, CodecError> {
        Self::arguments(args)
    }

    #[doc(hidden)]
    fn begin<'e>(call: Call<'e, Self>, wire: Wire<'e>) -> Step<'e> {
        Step::Run(attempt::begin(call, wire.context(), wire.encodes()))
    }

    #[doc(hidden)]
    #[must_use]
    fn describe() -> Description {
        Description::Job(JobDef::of::<Self>())
    }
}

/// What a job may return as its error: `std::error::Error + Send + Sync + 'static`, or anything
/// that converts into a boxed one, as `anyhow::Error` does.
///
/// Implemented for every such type; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a job's error",
    label = "not an error type",
    note = "a job's error must be `std::error::Error + Send + Sync + 'static`, or convert into a boxed one as `anyhow::Error` and `Box<dyn Error + Send + Sync>` do"
)]
pub trait JobError: Into<BoxError> + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError> + 'static> JobError for E {}

/// How an `E` becomes a boxed error. A function for the reason that [`codec`](crate::value::codec)
/// is one.
#[must_use]
pub const fn boxed<E: JobError>() -> fn(E) -> BoxError {
    E::into
}

/// One job, with its types erased.
#[derive(Clone, Copy, Debug)]
pub struct JobDef {
    /// What finds the job again.
    pub(crate) name: &'static str,
    pub(crate) fingerprint: u64,
    /// Its types, as they are written.
    pub(crate) signature: &'static str,
    pub(crate) options: &'static Options,
    pub(crate) output: Codec,
    /// How the error of this call is stored, if a handler is given the error itself.
    pub(crate) error: Option<Codec>,
    /// The [`Fail`] of this call, if a handler is given its failure.
    pub(crate) fail: Option<AnyFail>,
    /// What takes over when its attempts are spent.
    pub(crate) recovery: Option<RecoveryDef>,
    /// What undoes its results.
    pub(crate) undo: Option<UndoDef>,
    /// What can be done with inputs of it that were stored.
    pub(crate) stored: Option<&'static StoredDef>,
    /// Whether its function, or one that stands in for it, sees its context.
    pub(crate) asks: bool,
    /// What it may spawn. A function, so that it may spawn itself.
    pub(crate) kinds: fn() -> Vec<KindDef>,
}

impl JobDef {
    pub(crate) fn of<J: Job>() -> Self {
        Self {
            recovery: match J::recovery(Recover::describe()) {
                Recovery::Described(recovery, _) => Some(recovery),
                Recovery::Begun(_) | Recovery::None => None,
            },
            undo: match J::undo(Undo::describe()) {
                Undoing::Described(undo) => Some(undo),
                Undoing::Begun(_) | Undoing::None => None,
            },
            stored: Some(const { &StoredDef::of::<J>() }),
            signature: J::SIGNATURE,
            options: const { &J::OPTIONS },
            kinds: J::kinds,
            asks: J::ASKS || J::RECOVERS || J::UNDOES,
            ..Self::new(J::name(), Self::fingerprint::<J>(), J::CODEC.codec)
        }
    }

    /// A job of which only this is known.
    pub(crate) const fn new(name: &'static str, fingerprint: u64, output: Codec) -> Self {
        Self {
            name,
            fingerprint,
            signature: "",
            options: &Options::NONE,
            output,
            error: None,
            fail: None,
            recovery: None,
            undo: None,
            stored: None,
            kinds: Vec::new,
            asks: true,
        }
    }

    /// Changes with the name, the version and the types of a job, also those of its parameters.
    pub(crate) fn fingerprint<J: Job>() -> u64 {
        let name = J::name();
        if name == J::NAME {
            J::FINGERPRINT
        } else {
            fingerprint::of_instance(J::FINGERPRINT, name)
        }
    }

    /// Whether something is kept with its result.
    pub(crate) fn is_kept(&self) -> bool {
        self.undo.is_some() || self.options.is_shared()
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name of the job that takes over when its attempts are spent.
    #[must_use]
    pub fn recovered_by(&self) -> Option<&'static str> {
        self.recovery.map(|recovery| (recovery.name)())
    }

    /// The name of the job that undoes its results.
    #[must_use]
    pub fn undone_by(&self) -> Option<&'static str> {
        self.undo.map(|undo| (undo.name)())
    }

    /// What `#[job(..)]` says about it.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.options
    }
}

/// A call of a job that has not run yet.
///
/// `.await` runs it right here, with a context of its own, as tests do; `.with(&ctx)` runs it with
/// the context given. In a `workflow!` it becomes a node.
#[must_use = "a call of a job does nothing until it is awaited or wired in a workflow"]
pub struct Call<'a, J: Job> {
    pub(crate) args: J::Args<'a>,
    pub(crate) fail: Fail<J>,
}

impl<'a, J: Job> Call<'a, J> {
    #[doc(hidden)]
    pub fn new(args: J::Args<'a>) -> Self {
        Self {
            args,
            fail: told::<J>,
        }
    }

    /// Runs the function with this context.
    pub fn with(self, context: &'a Context) -> impl Future<Output = J::Returns> + Send {
        J::run(self.args, context)
    }

    #[doc(hidden)]
    pub fn into_args(self) -> J::Args<'a> {
        self.args
    }
}

impl<J: Job> fmt::Debug for Call<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&J::name()).finish()
    }
}

impl<'a, J: Job> IntoFuture for Call<'a, J> {
    type Output = J::Returns;
    type IntoFuture = BoxFuture<'a, J::Returns>;

    fn into_future(self) -> Self::IntoFuture {
        static DETACHED: OnceLock<Context> = OnceLock::new();
        Box::pin(J::run(self.args, DETACHED.get_or_init(Context::detached)))
    }
}

#[cfg(test)]
mod tests;
