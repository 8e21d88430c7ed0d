//! Calls: the job of a node, and what becomes of its error.

use std::fmt;
use std::marker::PhantomData;

use futures_util::FutureExt;

use crate::job::attempt::{Fail, bug, kept, told};
use crate::job::children::kind::KindDef;
use crate::job::{Call, Job};
use crate::value::{Codec, Payload, Typed, Value};
use crate::wire::{Description, Out, Outcome, Produced, Step, Wire};

/// The job of a node, found by type inference.
pub struct Def<J>(PhantomData<fn() -> J>);

impl<J> Clone for Def<J> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<J> Copy for Def<J> {}

impl<J> fmt::Debug for Def<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Def")
    }
}

impl<J: Job> Def<J> {
    /// A node that calls a job still to be inferred, and its value.
    #[inline]
    #[must_use]
    pub fn node() -> (Out<J::Output>, Self) {
        (Out::new(), Self(PhantomData))
    }

    /// Begins the call.
    pub fn begin<'e>(self, wire: Wire<'e>, call: Call<'e, J>) -> Step<'e> {
        J::begin(call, wire)
    }

    /// Runs the call to its end. For calls that borrow from temporaries.
    pub async fn finish<'e>(self, wire: Wire<'e>, call: Call<'e, J>) -> Outcome {
        match J::begin(call, wire) {
            Step::Run(attempt) => attempt.await,
            Step::Enter(inputs) => Outcome::Produced(Produced {
                value: Value::new(Entered(inputs)),
                encoded: Vec::new(),
                extra: None,
            }),
            Step::Value(_)
            | Step::Items(_)
            | Step::Arm(_)
            | Step::Sleep(_)
            | Step::SleepUntil(_)
            | Step::Described(_)
            | Step::Nothing => bug("a call that is no call").into(),
        }
    }

    /// Begins a call that keeps its temporaries.
    pub fn hold<'e>(self, attempt: impl Future<Output = Outcome> + Send + 'e) -> Step<'e> {
        if !J::ENTERS {
            return Step::Run(Box::pin(attempt));
        }
        // A workflow's inputs are owned, so they are ready at once.
        let Some(Outcome::Produced(inputs)) = attempt.now_or_never() else {
            return Step::Nothing;
        };
        match inputs.value.try_into_inner::<Entered>() {
            Ok(Entered(inputs)) => Step::Enter(inputs),
            Err(_) => Step::Nothing,
        }
    }

    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(J::describe())
    }
}

impl<J: Job> Def<J> {
    /// The job `J`, which is known.
    #[must_use]
    pub fn known() -> Self {
        Self(PhantomData)
    }

    /// Says whose call this is: only then [`Def::keep`] can be asked.
    pub fn call<'e>(self, call: Call<'e, J>) -> Call<'e, J> {
        call
    }
}

impl<J: Job> Def<J>
where
    J::Error: Payload,
{
    /// The job's error, for a handler. Found before [`Untyped::keep`] if the error can be stored.
    #[must_use]
    pub fn keep(self) -> Keep<J, J::Error> {
        Keep {
            codec: Some(Codec::of::<J::Error>()),
            fail: const { &fail::<J>(kept::<J>) },
            error: PhantomData,
        }
    }
}

/// For jobs whose error can't be stored; has to be in scope.
pub trait Untyped<J: Job>: Sized {
    /// The failure, for a handler.
    #[must_use]
    fn keep(self) -> Keep<J, crate::Failure> {
        Keep {
            codec: None,
            fail: const { &fail::<J>(told::<J>) },
            error: PhantomData,
        }
    }
}

impl<J: Job> Untyped<J> for Def<J> {}

/// What becomes of the error of a job whose failure is handled: `E` is what the handler is given.
///
/// The one place where that is decided, so that the type which the handler sees and what
/// `JobDef` says never differ.
pub struct Keep<J: Job, E> {
    codec: Option<Codec>,
    fail: &'static Fail<J>,
    error: PhantomData<fn() -> E>,
}

const fn fail<J: Job>(fail: Fail<J>) -> Fail<J> {
    fail
}

impl<J: Job, E> Clone for Keep<J, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<J: Job, E> Copy for Keep<J, E> {}

impl<J: Job, E> fmt::Debug for Keep<J, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keep").field(&self.codec).finish()
    }
}

impl<J: Job, E> Keep<J, E> {
    /// The error.
    #[must_use]
    pub fn error(self) -> Out<E> {
        Out::new()
    }

    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(self.description())
    }

    /// What it is as a child.
    #[must_use]
    pub fn kind(self) -> KindDef {
        KindDef::new::<J>(self.description())
    }

    fn description(self) -> Description {
        let mut description = J::describe();
        if let Description::Job(job) = &mut description {
            job.error = self.codec;
            job.fail = Some(self.fail);
        }
        description
    }
}

/// The call, whose error will be kept.
pub fn keeping<J: Job, E>(mut call: Call<'_, J>, keep: Keep<J, E>) -> Call<'_, J> {
    call.fail = *keep.fail;
    call
}

/// The inputs of a workflow, on their way out of [`Def::finish`].
struct Entered(Vec<Value>);

/// A call of a job.
#[diagnostic::on_unimplemented(
    message = "this call is not a job",
    label = "expected a call of a `#[job]` function, found `{Self}`",
    note = "put `#[job]` on the function; or, if it is quick and pure, write `pure(..)` around the call to compute it inline"
)]
pub trait IntoCall<'a, J: Job> {
    #[doc(hidden)]
    fn into_call(self) -> Call<'a, J>;
}

#[diagnostic::do_not_recommend]
impl<'a, J: Job> IntoCall<'a, J> for Call<'a, J> {
    fn into_call(self) -> Self {
        self
    }
}

/// The input number `I` of a job or workflow.
pub trait Input<const I: usize> {
    /// Its type, owned.
    type Ty: 'static;
    /// What stores it.
    const CODEC: Typed<Self::Ty>;
}
