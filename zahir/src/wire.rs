//! What the body of a workflow expands against.
//!
//! A body becomes one straight-line function over typed tokens, [`Out`]. Each node is a site of the
//! form `if wire.runs(7) { return .. }`. The same function is asked to describe a node and to begin
//! it; between the sites nothing happens, so that the compiler turns them into one jump.

mod call;
mod race;
mod settle;
mod value;
mod wait;

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use zahir_store::Failure;

pub use call::{Def, Input, IntoCall, Keep, Untyped, keeping};
pub use race::{Entries, Raced, Races, Unraced};
pub use settle::{Outcomes, Settled};
pub use value::{Batch, ByValue, Collects, Copies, Items, Join, Shared, describe_unit, items_of};
pub use wait::{Carried, Wait, payload_of, signal, signal_within, sleep, sleep_until};

use crate::job::context::Context;
use crate::job::{BoxFuture, JobDef};
use crate::value::{CodecError, Value};
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
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "closed")]
pub enum Outcome {
    /// With a result.
    Produced(Produced),
    /// With a failure.
    Failed(Failed),
    /// With the wish for another one.
    Postponed {
        /// How long from now.
        wait: Duration,
        /// What that one is given, encoded.
        state: Vec<u8>,
    },
}

impl Outcome {
    /// With what is recorded besides a result.
    pub(crate) fn with(mut self, extra: impl FnOnce() -> Extra) -> Self {
        if let Self::Produced(produced) = &mut self {
            produced.extra = Some(Box::new(extra()));
        }
        self
    }
}

#[cfg(test)]
impl Outcome {
    /// As a result, for an attempt that can't ask for another.
    pub(crate) fn result(self) -> Result<Produced, Failed> {
        match self {
            Self::Produced(produced) => Ok(produced),
            Self::Failed(failed) => Err(failed),
            Self::Postponed { wait, .. } => panic!("postponed by {wait:?}"),
        }
    }
}

impl From<Failed> for Outcome {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into())
    }
}

/// How an attempt failed.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Failed {
    /// In words.
    pub failure: Failure,
    /// The error itself, if the job returned it and a handler wants it.
    pub error: Option<Produced>,
    /// Whether no other attempt would do better.
    pub is_final: bool,
}

impl Failed {
    /// No other attempt would do better.
    pub(crate) const fn last(failure: Failure) -> Self {
        Self {
            failure,
            error: None,
            is_final: true,
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            error: None,
            is_final: false,
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
    /// What is recorded with it.
    pub extra: Option<Box<Extra>>,
}

/// What is recorded with a result.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Extra {
    /// The encoded inputs, if it can be undone.
    pub undo: Option<Vec<u8>>,
    /// What other runs find it by, and for how long if not for ever.
    pub shared: Option<(u128, Option<Duration>)>,
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
