//! One attempt of a job: from its inputs to what becomes of it.

use std::error::Error;
use std::future::{Future, ready};
use std::marker::PhantomData;

use futures_util::FutureExt;
use zahir_store::{Failure, FailureKind};

use crate::job::again::Returned;
use crate::job::context::{Context, Role};
use crate::job::fatal::is_fatal;
use crate::job::recovery::{Recover, Recovery};
use crate::job::share::{self, Shared};
use crate::job::stored::unreadable;
use crate::job::{BoxError, BoxFuture, Call, Job, JobError};
use crate::value::{self, Payload, Value};
use crate::wire::{Extra, Failed, Outcome, Produced};

/// The most that a [`Failure`] keeps of an error's text, in bytes.
const MESSAGE_MAX: usize = 4096;

/// What stands for the rest.
const LEFT_OUT: &str = " [..] ";

/// What becomes of a job's error. `bool`: whether its bytes are asked for.
pub(crate) type Fail<J> = fn(<J as Job>::Error, bool) -> Failed;

/// Begins an attempt: of the job or, if that is spent, of its recovery job.
pub(crate) fn begin<'e, J: Job>(
    call: Call<'e, J>,
    context: &'e Context,
    encodes: bool,
) -> BoxFuture<'e, Outcome> {
    match context.role() {
        Some(Role::Recover { error, .. }) => match Path::<J>::RECOVER {
            Some(recover) => recover(call, error, context, encodes),
            None => Err(bug("it has no recovery job")),
        },
        Some(Role::Run { state, .. }) => run(call, state.as_deref(), context, encodes),
        Some(Role::Undo { .. }) | None => run(call, None, context, encodes),
    }
    .unwrap_or_else(|failed| ended(failed.into()))
}

/// What only some jobs go through. It is not even compiled for the others: a constant leads to it.
struct Path<J>(PhantomData<J>);

impl<J: Job> Path<J> {
    const RECOVER: Option<Recovers<J>> = if J::RECOVERS {
        Some(recover::<J>)
    } else {
        None
    };
    const KEEP: Option<Keeps<J>> = if J::UNDOES || J::OPTIONS.is_shared() {
        Some(keep::<J>)
    } else {
        None
    };
    const KEEPING: Option<fn(Fail<J>) -> Fail<J>> = if J::RECOVERS {
        Some(keeping::<J>)
    } else {
        None
    };
}

type Begun<'e> = Result<BoxFuture<'e, Outcome>, Failed>;
type Recovers<J> = for<'e> fn(Call<'e, J>, &'e Value, &'e Context, bool) -> Begun<'e>;
type Keeps<J> = for<'e> fn(Call<'e, J>, &'e Context) -> Begun<'e>;

/// An attempt that ended before it began.
pub(crate) fn ended<'e>(outcome: Outcome) -> BoxFuture<'e, Outcome> {
    Box::pin(ready(outcome))
}

/// A call of a job that stands in for, or undoes, another: of what its options say, only what is
/// about a single attempt counts.
pub(crate) fn alone<'e, J: Job>(
    call: Call<'e, J>,
    context: &'e Context,
    encodes: bool,
) -> BoxFuture<'e, Outcome> {
    match check::<J>(&call.args) {
        Ok(()) => Box::pin(running(call, context, encodes)),
        Err(refused) => ended(refused.into()),
    }
}

fn run<'e, J: Job>(
    mut call: Call<'e, J>,
    state: Option<&[u8]>,
    context: &'e Context,
    encodes: bool,
) -> Begun<'e> {
    if let Some(state) = state {
        J::resume(&mut call.args, state).map_err(|error| unreadable("state", J::name(), &error))?;
    }
    check::<J>(&call.args)?;
    match Path::<J>::KEEP {
        Some(keep) => keep(call, context),
        None => Ok(Box::pin(running(call, context, encodes))),
    }
}

/// Runs a job with whose result something is kept. That is needed in memory, too.
fn keep<'e, J: Job>(call: Call<'e, J>, context: &'e Context) -> Begun<'e> {
    let undo = undo_arguments::<J>(&call.args, context)?;
    let shared = share::key::<J>(&call.args)?;
    // Nothing of the job runs before this is polled: unlike the inputs, it may wait for the result of
    // another run.
    let running = running(call, context, true);
    let Some(Shared { key, time, known }) = shared else {
        let extra = || Extra { undo, shared: None };
        return Ok(Box::pin(running.map(|outcome| outcome.with(extra))));
    };
    let running: BoxFuture<'e, Outcome> = Box::pin(running);
    Ok(Box::pin(async move {
        if let Some(outcome) = known.recall(key, context).await {
            return outcome;
        }
        let shared = Some((key, time));
        running.await.with(|| Extra { undo, shared })
    }))
}

/// The inputs of a job that can be undone. If they are too large to be stored, that has to be known
/// before there is something to undo.
fn undo_arguments<J: Job>(
    args: &J::Args<'_>,
    context: &Context,
) -> Result<Option<Vec<u8>>, Failed> {
    if !J::UNDOES {
        return Ok(None);
    }
    let arguments = J::arguments(args).map_err(|error| {
        let text = format!("the inputs can't be stored for what undoes this: {error}");
        Failed::last(failure(FailureKind::Unencodable, text))
    })?;
    context
        .check_size(
            "what undoes this is given the inputs, which",
            arguments.len(),
        )
        .map_err(Failed::last)?;
    Ok(Some(arguments))
}

fn recover<'e, J: Job>(
    call: Call<'e, J>,
    error: &'e Value,
    context: &'e Context,
    encodes: bool,
) -> Begun<'e> {
    let undo = undo_arguments::<J>(&call.args, context)?;
    let ask = Recover::begin(error, call.args, context, encodes || J::UNDOES);
    let Recovery::Begun(attempt) = J::recovery(ask) else {
        return Err(bug("it has no recovery job"));
    };
    if undo.is_none() {
        return Ok(attempt);
    }
    let extra = move || Extra { undo, shared: None };
    Ok(Box::pin(attempt.map(|outcome| outcome.with(extra))))
}

/// What `check = ..` says.
fn check<J: Job>(args: &J::Args<'_>) -> Result<(), Failed> {
    let refused =
        |error: BoxError| Failed::last(failure(FailureKind::Refused, describe(error.as_ref())));
    J::check(args).map_err(refused)
}

/// Runs the function and erases what it gives.
///
/// What this future holds is what a pending job costs. Mapped, it is not stored twice, as what an
/// async block has captured and awaits would be.
fn running<'e, J: Job>(
    call: Call<'e, J>,
    context: &'e Context,
    encodes: bool,
) -> impl Future<Output = Outcome> + Send + use<'e, J> {
    let fail = call.fail;
    J::run(call.args, context).map(move |returned| conclude::<J>(returned, fail, encodes))
}

fn conclude<J: Job>(returned: J::Returns, fail: Fail<J>, encodes: bool) -> Outcome {
    match J::settle(returned) {
        Returned::Output(output) => match J::verify(&output) {
            Ok(()) => produce::<J>(output, encodes),
            Err(error) => failure(FailureKind::Unverified, describe(error.as_ref())).into(),
        },
        Returned::Error(error) => {
            let is_final = !J::may_retry(&error);
            let fail = Path::<J>::KEEPING.map_or(fail, |keeping| keeping(fail));
            let mut failed = fail(error, encodes);
            failed.is_final |= is_final;
            failed.into()
        }
        Returned::Again { wait, state } => match state {
            Ok(state) => Outcome::Postponed { wait, state },
            Err(error) => failure(FailureKind::Unencodable, error.to_string()).into(),
        },
    }
}

/// What keeps the error, if a recovery job is given it.
fn keeping<J: Job>(fail: Fail<J>) -> Fail<J> {
    match J::recovery(Recover::describe()) {
        Recovery::Described(_, Some(kept)) => kept,
        Recovery::Described(_, None) | Recovery::Begun(_) | Recovery::None => fail,
    }
}

/// The error in words.
pub(crate) fn told<J: Job>(error: J::Error, _: bool) -> Failed {
    let error: BoxError = (J::ERROR)(error);
    Failed {
        is_final: is_fatal(error.as_ref()),
        ..failure(FailureKind::Error, describe(error.as_ref())).into()
    }
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
            failed.error = Some(Produced {
                value,
                encoded,
                extra: None,
            });
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
    let mut encoded = Vec::new();
    if encodes {
        match (J::CODEC.codec.encode)(&value) {
            Ok(bytes) => encoded = bytes,
            Err(error) => {
                return failure(FailureKind::Unencodable, error.to_string()).into();
            }
        }
    }
    Outcome::Produced(Produced {
        value,
        encoded,
        extra: None,
    })
}

/// What is too long loses its middle: where it happened comes first, and what it was comes last.
pub(crate) fn failure(kind: FailureKind, message: String) -> Failure {
    if message.len() <= MESSAGE_MAX {
        return Failure { kind, message };
    }
    let half = (MESSAGE_MAX - LEFT_OUT.len()) / 2;
    let is_boundary = |at: &usize| message.is_char_boundary(*at);
    let head = (0..=half).rev().find(is_boundary).unwrap_or(0);
    let tail = message.len() - half;
    let tail = (tail..message.len()).find(is_boundary).unwrap_or(tail);
    let message = format!("{}{LEFT_OUT}{}", &message[..head], &message[tail..]);
    Failure { kind, message }
}

/// Refuses what is larger than the limit.
pub(crate) fn check_size(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Failure> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!(
        "{what} has {bytes} bytes; `value_bytes_max` allows {bytes_max}: raise it, or pass a \
         reference to where the data is"
    );
    Err(failure(FailureKind::TooLarge, message))
}

/// What can't be, unless zahir has a bug.
pub(crate) fn bug(what: &str) -> Failed {
    Failed::last(failure(FailureKind::Bug, what.to_owned()))
}

/// The error and what caused it, unless it says so itself.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
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

/// What a check of the user's says: nothing against it, or why not.
#[diagnostic::on_unimplemented(
    message = "a check answers with a `Result<(), E>`, and not with a `{Self}`",
    label = "gives a `{Self}`",
    note = "write `Ok(())`, or `Err(..)` with a text or an error that says what is wrong"
)]
pub trait Answer {
    /// Why not, boxed.
    ///
    /// # Errors
    ///
    /// What it says against it.
    fn checked(self) -> Result<(), BoxError>;
}

#[diagnostic::do_not_recommend]
impl<E: JobError> Answer for Result<(), E> {
    fn checked(self) -> Result<(), BoxError> {
        self.map_err(E::into)
    }
}

/// What a check of the user's says.
///
/// # Errors
///
/// What it says against it.
pub fn checked(answer: impl Answer) -> Result<(), BoxError> {
    answer.checked()
}
