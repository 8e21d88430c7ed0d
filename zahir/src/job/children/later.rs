//! The job that gives the result of another: `Aggregate::of(..)`.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use zahir_store::{ChildCall, ChildLimits, Failure, FailureKind};

use crate::job::children::alone;
use crate::job::children::asked::{Bequest, Successor};
use crate::job::children::child::{Child, Spawned, millis};
use crate::job::children::kind::{Declaration, KindDef};
use crate::job::children::line::{ChildEnd, Line};
use crate::job::effect::{Attempts, Retries};
use crate::job::{BoxFuture, Call, Job, failure};
use crate::value::{self, CodecError, DEPTH_MAX, Value};

/// A call that is made as soon as all its inputs are there: what `Aggregate::of(..)` gives, for
/// [`Context::continue_as`](crate::Context::continue_as).
///
/// Each input is a value, as the job's function takes it or owned; or a [`Child`] with that output; or,
/// for a list, a `Vec` of children with outputs of its element type.
#[must_use = "it gives the result of a job that ends with `ctx.continue_as(..)`"]
pub struct Later<C: Job> {
    inputs: Vec<(&'static str, Given)>,
    limits: ChildLimits,
    of: PhantomData<fn() -> C>,
}

/// Where an input comes from.
#[derive(Debug)]
pub struct Given(pub(crate) Source);

/// Where an input comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// An encoded value, if it can be stored.
    Value(Result<Vec<u8>, CodecError>),
    /// The output of a child.
    Child(Spawned),
    /// The list of the outputs of children.
    Children(Vec<Spawned>),
}

/// A [`Later`] without its type.
#[derive(Debug)]
pub struct Succession {
    pub(crate) kind: KindDef,
    /// The names of its inputs, and where they come from.
    pub(crate) inputs: Vec<(String, Source)>,
    pub(crate) limits: ChildLimits,
}

impl<C: Job> Later<C> {
    #[doc(hidden)]
    pub fn new(inputs: Vec<(&'static str, Given)>) -> Self {
        Self {
            inputs,
            limits: ChildLimits::default(),
            of: PhantomData,
        }
    }

    /// Up to so many more attempts after a failure, whatever its job says; [`FOREVER`](crate::FOREVER)
    /// for as many as it takes.
    pub fn retry(mut self, times: u32) -> Self
    where
        C: Attempts + Retries,
    {
        self.limits.retry = Some(times);
        self
    }

    /// The longest that an attempt of it may take, whatever its job says.
    pub fn timeout(mut self, time: Duration) -> Self
    where
        C: Attempts,
    {
        self.limits.timeout = Some(millis(time));
        self
    }

    /// The longest that all attempts of it together may take, with the waits between them, whatever
    /// its job says.
    pub fn total_timeout(mut self, time: Duration) -> Self
    where
        C: Attempts,
    {
        self.limits.total_timeout = Some(millis(time));
        self
    }
}

impl Line {
    /// Lets this job give the result.
    pub(crate) fn continue_as(&self, succession: Succession) {
        let Succession {
            kind,
            inputs,
            limits,
        } = succession;
        let Some(node) = self.kind(kind.name()) else {
            return;
        };
        // The children are held until the line has them: dropped before, they would follow.
        let mut legacies = Vec::with_capacity(inputs.len());
        let mut bytes: usize = 0;
        for (name, source) in &inputs {
            let legacy = match source {
                Source::Value(Ok(value)) => {
                    // They are one record together, and a store that can't take it stops everything.
                    bytes = bytes.saturating_add(value.len());
                    let of = format!("`{}`", kind.name());
                    if let Err(refused) = self.check_inputs(&of, bytes) {
                        return self.fail(refused);
                    }
                    Bequest::Value(value.clone())
                }
                Source::Value(Err(error)) => {
                    let text = format!(
                        "the input `{name}` of `{}` can't be stored: {error}",
                        kind.name()
                    );
                    return self.fail(failure(FailureKind::Unencodable, text));
                }
                Source::Child(child) => match self.own_call(child, name) {
                    Ok(call) => Bequest::Child(call),
                    Err(refused) => return self.fail(refused),
                },
                Source::Children(children) => {
                    let calls = children.iter().map(|child| self.own_call(child, name));
                    match calls.collect() {
                        Ok(calls) => Bequest::Children(calls),
                        Err(refused) => return self.fail(refused),
                    }
                }
            };
            legacies.push((name.clone(), legacy));
        }
        self.bequeath(Successor {
            kind: node,
            inputs: legacies,
            limits,
        });
    }

    /// What a child is called by that this attempt has, and that is given for this input.
    fn own_call(&self, child: &Spawned, name: &str) -> Result<ChildCall, Failure> {
        let text = if std::ptr::eq(child.line().as_ref(), self) {
            match child.call() {
                Some(call) => return Ok(call),
                None => "was awaited before: an output is handed over once",
            }
        } else {
            "is a child of another job, or of another attempt: a job hands over its own children"
        };
        let text = format!("what is given for `{name}` {text}");
        Err(failure(FailureKind::Diverged, text))
    }
}

impl<C: Job> fmt::Debug for Later<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Later").field(&C::name()).finish()
    }
}

/// What a job may continue as: a call of `C`.
#[diagnostic::on_unimplemented(
    message = "this names no job to continue as",
    label = "expected a call, or what `TheJob::of(..)` gives; found `{Self}`",
    note = "put `#[job]` on the function, and write `ctx.continue_as(the_job(..))`; or `TheJob::of(..)`, if children give its inputs"
)]
pub trait Heir<'c, C: Job> {
    #[doc(hidden)]
    fn into_succession(self, declared: &Declaration<C>) -> Succession;
}

#[diagnostic::do_not_recommend]
impl<C: Job> Heir<'_, C> for Later<C> {
    fn into_succession(self, declared: &Declaration<C>) -> Succession {
        let inputs = self.inputs.into_iter();
        Succession {
            kind: declared.kind,
            inputs: inputs
                .map(|(name, Given(source))| (name.to_owned(), source))
                .collect(),
            limits: self.limits,
        }
    }
}

#[diagnostic::do_not_recommend]
impl<'c, C: Job> Heir<'c, C> for Call<'c, C> {
    fn into_succession(self, declared: &Declaration<C>) -> Succession {
        let entries = (declared.encode)(&self.args).and_then(|bytes| {
            let entries = value::map_entries(&bytes, DEPTH_MAX).map_err(CodecError::new::<C>)?;
            let entries = entries.into_iter();
            let owned = entries.map(|(name, value)| (name.to_owned(), value.to_vec()));
            Ok(owned.collect::<Vec<_>>())
        });
        let inputs = match entries {
            Ok(entries) => {
                let entries = entries.into_iter();
                entries
                    .map(|(name, value)| (name, Source::Value(Ok(value))))
                    .collect()
            }
            Err(error) => vec![(String::new(), Source::Value(Err(error)))],
        };
        Succession {
            kind: declared.kind,
            inputs,
            limits: ChildLimits::default(),
        }
    }
}

/// Ends a job: what [`Context::continue_as`](crate::Context::continue_as) gives. To be awaited; in a
/// run it is never over.
#[must_use = "write `ctx.continue_as(..).await`"]
pub struct Continue<R> {
    line: Arc<Line>,
    heir: Option<Succession>,
    /// What the job returns with this output.
    returning: fn(Value) -> Option<R>,
    /// What runs the heir, outside of a run.
    alone: Option<BoxFuture<'static, ChildEnd>>,
}

impl<R> Continue<R> {
    /// The end of the job `P`.
    pub(crate) const fn of<P: Job<Returns = R>>(line: Arc<Line>, heir: Succession) -> Self {
        Self {
            line,
            heir: Some(heir),
            returning: |output| P::returning((P::CODEC.take)(output).ok()?),
            alone: None,
        }
    }

    /// As nothing.
    pub(crate) const fn never(line: Arc<Line>) -> Self {
        Self {
            line,
            heir: None,
            returning: |_| None,
            alone: None,
        }
    }
}

impl<R> Future for Continue<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        if let Some(heir) = self.heir.take() {
            if self.line.is_detached() {
                self.alone = Some(Box::pin(alone::run_heir(heir)));
            } else {
                self.line.continue_as(heir);
            }
        }
        let Some(alone) = &mut self.alone else {
            return Poll::Pending;
        };
        let Poll::Ready(end) = alone.as_mut().poll(context) else {
            return Poll::Pending;
        };
        self.alone = None;
        match end {
            ChildEnd::Succeeded(output) => match (self.returning)(output) {
                Some(returned) => Poll::Ready(returned),
                None => Poll::Pending,
            },
            #[expect(
                clippy::panic,
                reason = "documented: it has no other way to end its caller"
            )]
            ChildEnd::Failed(failure, _) => panic!("{failure}"),
        }
    }
}

impl<R> fmt::Debug for Continue<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Continue")
            .field("heir", &self.heir)
            .finish_non_exhaustive()
    }
}

/// What may stand for an input of type `T`. `How` tells the ways apart; it is found by inference.
#[diagnostic::on_unimplemented(
    message = "this input is a `{T}`, and a `{Self}` is neither that nor a child that gives it",
    label = "expected a `{T}`, found a `{Self}`",
    note = "an input is given by value, by a `Child` whose output it is, or, if it is a list, by a `Vec` of children with outputs of its element type"
)]
pub trait Gives<T, How> {
    #[doc(hidden)]
    fn give(self) -> Given;
}

/// By value.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "never made")]
pub struct Owned;

/// By reference.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "never made")]
pub struct Lent;

/// As the output of a child.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "never made")]
pub struct Output;

/// As the outputs of children.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "never made")]
pub struct Outputs;

fn written(input: &(impl Serialize + ?Sized)) -> Given {
    Given(Source::Value(value::encode(input)))
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Gives<T, Owned> for T {
    fn give(self) -> Given {
        written(&self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Gives<T, Lent> for &T {
    fn give(self) -> Given {
        written(self)
    }
}

#[diagnostic::do_not_recommend]
impl Gives<String, Lent> for &str {
    fn give(self) -> Given {
        written(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Gives<Vec<T>, Lent> for &[T] {
    fn give(self) -> Given {
        written(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize, const N: usize> Gives<Vec<T>, Lent> for &[T; N] {
    fn give(self) -> Given {
        written(self.as_slice())
    }
}

impl<T, C: Job> Gives<T, Output> for Child<C>
where
    C::Output: GivenAs<T>,
{
    fn give(self) -> Given {
        Given(Source::Child(self.into_spawned()))
    }
}

impl<T, C: Job> Gives<Vec<T>, Outputs> for Vec<Child<C>>
where
    C::Output: GivenAs<T>,
{
    fn give(self) -> Given {
        Given(Source::Children(
            self.into_iter().map(Child::into_spawned).collect(),
        ))
    }
}

/// The output of a child, for an input of type `T`.
#[diagnostic::on_unimplemented(
    message = "this child gives a `{Self}`, and the input is a `{T}`",
    label = "gives a `{Self}`"
)]
pub trait GivenAs<T> {}

#[diagnostic::do_not_recommend]
impl<T> GivenAs<T> for T {}

/// Demanded of a call: that its output, an `H`, is that of the job that continues as it, an `O`. Every
/// type is asked only about these two, so that rustc points at the call.
#[diagnostic::on_unimplemented(
    message = "this job gives a `{O}`, and what it is to continue as a `{H}`",
    label = "gives a `{H}`",
    note = "the output of the one is that of the other, so both are of one type"
)]
pub trait Inherits<O, H> {}

#[diagnostic::do_not_recommend]
impl<O, H: SameAs<O>, T> Inherits<O, H> for T {}

/// This very type. A bound, so that `H` is not taken to be `O` before it is known.
pub trait SameAs<O> {}

impl<O> SameAs<O> for O {}
