//! What the body of a workflow expands against.
//!
//! A body becomes one straight-line function over typed tokens, [`Out`]. Each node is a site of the
//! form `if wire.runs(7) { return .. }`. The same function is asked to describe a node and to begin
//! it; between the sites nothing happens, so that the compiler turns them into one jump.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use zahir_store::{Failure, FailureKind};

use crate::job::context::Context;
use crate::job::{BoxFuture, Call, Job, JobDef, failure};
use crate::value::{CodecError, Typed, Value};
use crate::workflow::WorkflowDef;

/// What asking a workflow for one of its nodes gives.
#[expect(clippy::exhaustive_enums, reason = "closed: one variant per question")]
pub enum Step<'e> {
    /// A job's attempt.
    Run(BoxFuture<'e, Outcome>),
    /// A pure value.
    Value(Value),
    /// What a `for` goes over.
    Items(Vec<Value>),
    /// The inputs of a called workflow.
    Enter(Vec<Value>),
    /// Which arm of a branch, counted from 0.
    Arm(u32),
    /// How long a `sleep` takes.
    Sleep(Duration),
    /// When a `sleep_until` ends.
    SleepUntil(SystemTime),
    /// What the node is.
    Described(Description),
    /// There is no such node, or nothing to do for it.
    Nothing,
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run(_) => "Run(..)",
            Self::Value(_) => "Value(..)",
            Self::Items(_) => "Items(..)",
            Self::Enter(_) => "Enter(..)",
            Self::Arm(_) => "Arm(..)",
            Self::Sleep(_) => "Sleep(..)",
            Self::SleepUntil(_) => "SleepUntil(..)",
            Self::Described(_) => "Described(..)",
            Self::Nothing => "Nothing",
        })
    }
}

/// How an attempt ends.
pub type Outcome = Result<Produced, Failed>;

/// How an attempt failed.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Failed {
    /// In words.
    pub failure: Failure,
    /// The error itself, if the job returned it and a handler wants it.
    pub error: Option<Produced>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            error: None,
        }
    }
}

/// What a successful attempt gives.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Produced {
    /// The output.
    pub value: Value,
    /// Its bytes, if they were asked for.
    pub encoded: Vec<u8>,
}

/// What only the types of a node tell.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "closed")]
pub enum Description {
    /// A call of a job.
    Job(JobDef),
    /// A call of a workflow.
    Workflow(WorkflowDef),
    /// A `for`, and how the results of its body become one value.
    Each {
        /// From the results in item order.
        join: fn(Vec<Value>) -> Value,
    },
    /// `.result()`.
    Result(ResultDef),
    /// `race(..)`.
    Race(RaceDef),
    /// `signal(..)`: what it carries.
    Signal(PayloadDef),
}

/// How the end of a body becomes a `Result`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct ResultDef {
    /// From the body's value.
    pub succeeded: fn(Value) -> Value,
    /// From the error: the job's own if that is kept (see [`JobDef`]), else a
    /// [`Failure`](crate::Failure).
    pub failed: fn(Value) -> Value,
}

/// How the value of an entry becomes the value of the race.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct RaceDef {
    /// By entry.
    pub won: &'static [fn(Value) -> Value],
}

/// What a wait for a signal gives.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct PayloadDef {
    /// From the payload of the signal.
    pub received: fn(&[u8]) -> Result<Value, CodecError>,
    /// When no signal came in time; never asked of a wait without a limit.
    pub timed_out: fn() -> Value,
}

/// A wait for a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignalDef {
    pub(crate) name: &'static str,
    pub(crate) timeout: Option<Duration>,
    pub(crate) payload: PayloadDef,
}

/// One question to a workflow's wiring function.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'e> {
    site: u32,
    values: &'e [Value],
    context: Option<&'e Context>,
    encodes: bool,
}

impl<'e> Wire<'e> {
    /// Asks what `node` is.
    pub(crate) fn describe(node: u32) -> Self {
        Self {
            site: (node << 1) | 1,
            values: &[],
            context: None,
            encodes: false,
        }
    }

    /// Asks to begin `node`, which reads `values`.
    pub(crate) fn begin(
        node: u32,
        context: &'e Context,
        values: &'e [Value],
        encodes: bool,
    ) -> Self {
        Self {
            site: node << 1,
            values,
            context: Some(context),
            encodes,
        }
    }

    /// Is `node` to begin?
    #[inline]
    #[must_use]
    pub fn runs(&self, node: u32) -> bool {
        self.site == node << 1
    }

    /// Is `node` to be described?
    #[inline]
    #[must_use]
    pub fn describes(&self, node: u32) -> bool {
        self.site == (node << 1) | 1
    }

    /// The value that the selected node reads at `index`.
    #[must_use]
    pub fn lend<T: ?Sized + Lend>(&self, _: Out<T>, index: usize) -> &'e T {
        let values: &'e [Value] = self.values;
        T::lend(values.get(index))
    }

    /// The same value, for as long as what this gives.
    #[must_use]
    pub fn share<T: ?Sized + Lend>(&self, _: Out<T>, index: usize) -> Local<T> {
        Local(self.values.get(index).cloned(), PhantomData)
    }

    pub(crate) fn context(&self) -> &'e Context {
        #[expect(clippy::expect_used, reason = "`begin` always has one")]
        self.context.expect("a node that runs has a context")
    }

    pub(crate) fn encodes(&self) -> bool {
        self.encodes
    }
}

/// The value that a node will have.
pub struct Out<T: ?Sized>(PhantomData<fn() -> *const T>);

impl<T: ?Sized> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Out<T> {}

impl<T: ?Sized> Out<T> {
    /// A value of whatever type its uses ask for.
    #[inline]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only the macro makes these")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Counts as a use of the variable.
    #[inline]
    pub fn used(self) {}
}

impl<T: ?Sized> fmt::Debug for Out<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Out")
    }
}

/// What can be lent out of a value.
///
/// `str` and slices are no values themselves; they are here so that code which already has a type
/// error gets no second one.
pub trait Lend: 'static {
    #[doc(hidden)]
    fn lend(value: Option<&Value>) -> &Self;
}

impl<T: 'static> Lend for T {
    fn lend(value: Option<&Value>) -> &T {
        #[expect(clippy::expect_used, reason = "the compiler checked the wiring")]
        value
            .and_then(Value::get)
            .expect("a node reads values of the types it was wired with")
    }
}

impl Lend for str {
    fn lend(_: Option<&Value>) -> &Self {
        ""
    }
}

impl<T: 'static> Lend for [T] {
    fn lend(_: Option<&Value>) -> &Self {
        &[]
    }
}

/// A value that is read to compute an owned one.
///
/// It lends from itself and not from the wire, so that rustc speaks of the user's variable if what
/// is computed borrows from it.
pub struct Local<T: ?Sized>(Option<Value>, PhantomData<fn() -> *const T>);

impl<T: ?Sized + Lend> Local<T> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn lend(&self) -> &T {
        T::lend(self.0.as_ref())
    }
}

impl<T: ?Sized> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

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
    ///
    /// # Errors
    ///
    /// The job's own, as a failure.
    pub async fn finish<'e>(self, wire: Wire<'e>, call: Call<'e, J>) -> Outcome {
        match J::begin(call, wire) {
            Step::Run(attempt) => attempt.await,
            Step::Enter(inputs) => Ok(Produced {
                value: Value::new(Entered(inputs)),
                encoded: Vec::new(),
            }),
            _ => Err(failure(
                FailureKind::Bug,
                "a call that is no call".to_owned(),
            )
            .into()),
        }
    }

    /// Begins a call that keeps its temporaries.
    pub fn hold<'e>(self, attempt: impl Future<Output = Outcome> + Send + 'e) -> Step<'e> {
        if !J::ENTERS {
            return Step::Run(Box::pin(attempt));
        }
        // A workflow's inputs are owned, so they are ready at once.
        let inputs = attempt.now_or_never().and_then(Result::ok);
        match inputs.map(|produced| produced.value.try_into_inner::<Entered>()) {
            Some(Ok(Entered(inputs))) => Step::Enter(inputs),
            Some(Err(_)) | None => Step::Nothing,
        }
    }

    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(J::describe())
    }
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

/// What a node's value can be handed over as.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be passed by value: it isn't `Clone`",
    label = "passing a node's value hands over a copy of it",
    note = "the value may be needed again, by another node, a retry or a restart",
    note = "lend it with `&` and let the job take a reference, or derive `Clone` for `{T}`"
)]
pub trait Copies<T> {
    /// A copy of a node's value. (A tuple keeps an expected type from flowing in, so that a
    /// mismatch is reported at the user's token.)
    #[doc(hidden)]
    fn own(value: &T) -> (T,);
}

/// Not the value itself: or rustc would offer `&value`, which is `Clone`, and drop the explanation.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a name for the compiler")]
pub struct ByValue;

#[diagnostic::do_not_recommend]
impl<T: Clone> Copies<T> for ByValue {
    fn own(value: &T) -> (T,) {
        (value.clone(),)
    }
}

/// What a `for` can go over.
#[diagnostic::on_unimplemented(
    message = "`for` can't go over `{Self}`",
    label = "not something to iterate over",
    note = "a `for` in a workflow runs its body once for each item, all at the same time"
)]
pub trait Items {
    /// One item.
    type Item: 'static;
    #[doc(hidden)]
    fn batch(self) -> Batch<Self::Item>;
}

/// The items of a `for`, with the type of one of them.
pub struct Batch<T: ?Sized>(Vec<Value>, PhantomData<fn() -> *const T>);

impl<T: ?Sized> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batch").field(&self.0.len()).finish()
    }
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator> Items for I
where
    I::Item: Send + Sync + 'static,
{
    type Item = I::Item;

    fn batch(self) -> Batch<I::Item> {
        Batch(self.into_iter().map(Value::new).collect(), PhantomData)
    }
}

/// What the rounds of a `for` can give.
#[diagnostic::on_unimplemented(
    message = "the results of this `for` can't be collected: `{T}` isn't `Clone`",
    label = "each round gives a `{T}`",
    note = "derive `Clone` for `{T}`, or end the body with `;` if its value isn't needed"
)]
pub trait Collects<T> {
    /// The value of a `for` whose rounds give `T`.
    #[doc(hidden)]
    fn collect(round: Out<T>) -> (Out<Vec<T>>, Join);
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Collects<T> for ByValue {
    fn collect(_: Out<T>) -> (Out<Vec<T>>, Join) {
        (Out::new(), Join(join::<T>))
    }
}

fn join<T: Clone + Send + Sync + 'static>(values: Vec<Value>) -> Value {
    let results = values
        .into_iter()
        .filter_map(|value| match value.try_into_inner::<T>() {
            Ok(result) => Some(result),
            Err(shared) => shared.get::<T>().cloned(),
        });
    Value::new(results.collect::<Vec<T>>())
}

/// What a pure value can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a node's value: it can't be shared between threads",
    label = "not `Send + Sync + 'static`",
    note = "several nodes may read a value at the same time"
)]
pub trait Shared: Sized {
    #[doc(hidden)]
    fn value<'e>(self, _: Out<Self>) -> Step<'e>;
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Shared for T {
    fn value<'e>(self, _: Out<Self>) -> Step<'e> {
        Step::Value(Value::new(self))
    }
}

/// How the results of a `for` become one value.
#[derive(Debug)]
pub struct Join(fn(Vec<Value>) -> Value);

impl Join {
    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(Description::Each { join: self.0 })
    }
}

fn join_unit(_: Vec<Value>) -> Value {
    Value::new(())
}

/// The functions that an expansion calls, one per construct.
#[doc(hidden)]
pub(crate) mod construct {
    use super::{Batch, Description, Out, Step, join_unit};

    /// Stands for a node's value where only its type matters. Never called.
    #[must_use]
    #[expect(clippy::unreachable, reason = "guarded by `never`")]
    pub fn type_of<T>(_: &Out<T>) -> (T,) {
        unreachable!("only for types")
    }

    /// Guards code that exists for its types alone.
    #[inline]
    #[must_use]
    pub fn never() -> bool {
        false
    }

    /// The items of a `for`, whose variable is `item`.
    #[must_use]
    pub fn items_of<'e, T: ?Sized>(_: Out<T>, batch: Batch<T>) -> Step<'e> {
        Step::Items(batch.0)
    }

    /// What a `for` without results is.
    #[must_use]
    pub fn describe_unit<'e>() -> Step<'e> {
        Step::Described(Description::Each { join: join_unit })
    }
}
