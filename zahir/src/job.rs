//! Jobs: what `#[job]` implements, with types at the edge and one erased form inside.

pub(crate) mod arguments;
pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod policy;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use zahir_store::{Failure, FailureKind};

use crate::graph::fingerprint;
use crate::job::context::Context;
use crate::job::policy::Backoff;
use crate::value::{self, Codec, Payload, Typed, Value};
use crate::wire::{Description, Failed, Outcome, Produced, Step, Wire};

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

/// The most that a [`Failure`] keeps of an error's text, in bytes.
const MESSAGE_MAX: usize = 4096;

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
    const FINGERPRINT: u64 =
        fingerprint::of_job(Self::NAME, Self::SIGNATURE, Self::OPTIONS.version);
    /// Whether a call of this is a frame of its own: a workflow.
    #[doc(hidden)]
    const ENTERS: bool = false;

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

    /// What the function returned, as a result.
    ///
    /// # Errors
    ///
    /// The error that the function returned.
    fn settle(returned: Self::Returns) -> Result<Self::Output, Self::Error>;

    #[doc(hidden)]
    fn begin<'e>(call: Call<'e, Self>, wire: Wire<'e>) -> Step<'e> {
        Step::Run(Box::pin(attempt::<Self>(call, wire)))
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

/// What becomes of a job's error. `bool`: whether its bytes are asked for.
pub(crate) type Fail<J> = fn(<J as Job>::Error, bool) -> Failed;

/// Runs the function and erases what it gives.
fn attempt<'e, J: Job>(
    call: Call<'e, J>,
    wire: Wire<'e>,
) -> impl Future<Output = Outcome> + Send + 'e {
    let fail = call.fail;
    let running = J::run(call.args, wire.context());
    async move {
        match J::settle(running.await) {
            Ok(output) => produce::<J>(output, wire.encodes()),
            Err(error) => Err(fail(error, wire.encodes())),
        }
    }
}

/// The error in words.
pub(crate) fn told<J: Job>(error: J::Error, _: bool) -> Failed {
    let text = describe_error((J::ERROR)(error).as_ref());
    failure(FailureKind::Error, text).into()
}

/// The error in words, and the error itself: as it would be read after a restart, so that a handler
/// never sees more of it than what is stored.
pub(crate) fn kept<J: Job<Error: Payload>>(error: J::Error, encodes: bool) -> Failed {
    let stored = value::encode(&error).and_then(|bytes| {
        let read = value::decode::<J::Error>(&bytes)?;
        Ok((Value::new(read), bytes))
    });
    let mut failed = told::<J>(error, encodes);
    match stored {
        Ok((value, bytes)) => {
            let encoded = if encodes { bytes } else { Vec::new() };
            failed.error = Some(Produced { value, encoded });
        }
        Err(reason) => {
            let text = format!(
                "{}; the error can't be stored: {reason}",
                failed.failure.message
            );
            failed.failure = failure(FailureKind::Unencodable, text);
        }
    }
    failed
}

fn produce<J: Job>(output: J::Output, encodes: bool) -> Outcome {
    let value = (J::CODEC.erase)(output);
    let encoded = if encodes {
        (J::CODEC.codec.encode)(&value)
            .map_err(|error| failure(FailureKind::Unencodable, error.to_string()))?
    } else {
        Vec::new()
    };
    Ok(Produced { value, encoded })
}

pub(crate) fn failure(kind: FailureKind, mut message: String) -> Failure {
    if message.len() > MESSAGE_MAX {
        let mut end = MESSAGE_MAX;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    }
    Failure { kind, message }
}

/// The error and what caused it, unless it says so itself.
fn describe_error(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.ends_with(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}

/// What `#[job(..)]` says about a job.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    retry: u32,
    backoff: Option<Backoff>,
    timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    at_most_once: bool,
    tags: &'static [&'static str],
    version: u32,
}

impl Options {
    /// One attempt, for as long as it takes; no tags; version 0.
    pub const NONE: Self = Self {
        retry: 0,
        backoff: None,
        timeout: None,
        total_timeout: None,
        at_most_once: false,
        tags: &[],
        version: 0,
    };

    /// Try again up to `attempts` more times when it fails.
    #[must_use]
    pub const fn retry(mut self, attempts: u32) -> Self {
        self.retry = attempts;
        self
    }

    /// The waits between attempts.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Fail the node if all of its attempts together take longer.
    #[must_use]
    pub const fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// Never start it a second time.
    #[must_use]
    pub const fn at_most_once(mut self) -> Self {
        self.at_most_once = true;
        self
    }

    /// Fail an attempt that takes longer.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Words to find the job by.
    #[must_use]
    pub const fn tags(mut self, tags: &'static [&'static str]) -> Self {
        self.tags = tags;
        self
    }

    /// Part of the job's fingerprint: raise it when its results are no longer what they were.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// How many more attempts after the first.
    #[must_use]
    pub const fn retry_max(&self) -> u32 {
        self.retry
    }

    /// The waits between attempts, if they are not the default.
    #[must_use]
    pub const fn backoff_waits(&self) -> Option<Backoff> {
        self.backoff
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn attempt_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How long all attempts of a node together may take.
    #[must_use]
    pub const fn node_timeout(&self) -> Option<Duration> {
        self.total_timeout
    }

    /// Whether it is never started a second time.
    #[must_use]
    pub const fn is_at_most_once(&self) -> bool {
        self.at_most_once
    }

    /// The words to find the job by.
    #[must_use]
    pub const fn tag_words(&self) -> &'static [&'static str] {
        self.tags
    }

    /// The declared version.
    #[must_use]
    pub const fn declared_version(&self) -> u32 {
        self.version
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::NONE
    }
}

/// One job, with its types erased.
#[derive(Clone, Copy, Debug)]
pub struct JobDef {
    /// What finds the job again.
    pub(crate) name: &'static str,
    pub(crate) fingerprint: u64,
    /// Its types, as they are written.
    pub(crate) signature: &'static str,
    pub(crate) options: Options,
    pub(crate) output: Codec,
    /// How the error of this call is stored, if a handler is given the error itself.
    pub(crate) error: Option<Codec>,
}

impl JobDef {
    pub(crate) fn of<J: Job>() -> Self {
        let name = J::name();
        Self {
            name,
            fingerprint: if name == J::NAME {
                J::FINGERPRINT
            } else {
                fingerprint::of_instance(J::FINGERPRINT, name)
            },
            signature: J::SIGNATURE,
            options: J::OPTIONS,
            output: J::CODEC.codec,
            error: None,
        }
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What `#[job(..)]` says about it.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
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
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError, bool);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if self.1 {
                write!(f, "no number: {}", self.0)
            } else {
                f.write_str("no number")
            }
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_failure_names_each_cause_once() {
        let cause = || "x".parse::<u8>().unwrap_err();
        let expected = "no number: invalid digit found in string";
        assert_eq!(describe_error(&Outer(cause(), false)), expected);
        assert_eq!(describe_error(&Outer(cause(), true)), expected);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let failure = failure(FailureKind::Error, "é".repeat(MESSAGE_MAX));
        assert_eq!(failure.message.len(), MESSAGE_MAX);
        let failure = super::failure(FailureKind::Error, format!("x{}", "é".repeat(MESSAGE_MAX)));
        assert_eq!(failure.message.len(), MESSAGE_MAX - 1);
    }

    /// A job that is never run.
    struct Pay<E>(std::marker::PhantomData<fn() -> E>);

    impl<E: JobError> Job for Pay<E> {
        type Args<'a> = ();
        type Returns = Result<(), E>;
        type Output = ();
        type Error = E;
        const CODEC: Typed<()> = value::codec();
        const ERROR: fn(E) -> BoxError = boxed();
        const NAME: &'static str = "pay";
        const OPTIONS: Options = Options::NONE;
        const SIGNATURE: &'static str = "()";
        async fn run((): (), _: &Context) -> Result<(), E> {
            Ok(())
        }
        fn settle(returned: Result<(), E>) -> Result<(), E> {
            returned
        }
    }

    #[test]
    fn a_kept_error_has_its_text_and_its_bytes_if_asked() {
        let failed = kept::<Pay<String>>("declined".to_owned(), true);
        assert_eq!(failed.failure.message, "declined");
        let error = failed.error.unwrap();
        assert_eq!(error.value.get::<String>().unwrap(), "declined");
        let codec = Codec::of::<String>();
        let read = (codec.decode)(&error.encoded).unwrap();
        assert_eq!(read.get::<String>().unwrap(), "declined");
        let failed = kept::<Pay<String>>("declined".to_owned(), false);
        assert!(failed.error.unwrap().encoded.is_empty());
        assert!(told::<Pay<String>>(String::new(), true).error.is_none());
    }

    #[test]
    fn an_error_that_does_not_survive_being_stored_is_told_but_not_kept() {
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        struct Odd(#[serde(serialize_with = "no")] u8);
        fn no<S: serde::Serializer>(_: &u8, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
        impl fmt::Display for Odd {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("odd")
            }
        }
        impl std::error::Error for Odd {}
        let failed = kept::<Pay<Odd>>(Odd(0), true);
        assert!(failed.error.is_none());
        assert_eq!(failed.failure.kind, FailureKind::Unencodable);
        let message = failed.failure.message;
        assert!(
            message.starts_with("odd; the error can't be stored"),
            "{message}"
        );
    }

    #[test]
    fn a_handler_is_given_the_jobs_error_if_that_can_be_stored() {
        use crate::wire::{Def, Untyped as _};
        fn error_of<J: Job, E>(_: crate::wire::Keep<J, E>) -> &'static str {
            std::any::type_name::<E>()
        }
        let (_, typed) = Def::<Pay<String>>::node();
        assert_eq!(error_of(typed.keep()), "alloc::string::String");
        let (_, untyped) = Def::<Pay<BoxError>>::node();
        assert!(error_of(untyped.keep()).ends_with("Failure"));
        let kept = |step: Step<'_>| matches!(step, Step::Described(Description::Job(job)) if job.error.is_some());
        assert!(kept(typed.keep().describe()) && !kept(untyped.keep().describe()));
        assert!(!kept(typed.describe()));
    }
}
