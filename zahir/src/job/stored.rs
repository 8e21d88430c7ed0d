//! Running a job with inputs that were stored: those of a result that is to be undone, and those that
//! were given to a node in place of its own.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap, Serializer};
use zahir_store::FailureKind;

use crate::job::attempt::{self, Fail, bug};
use crate::job::context::Context;
use crate::job::undo::{Undo, Undoing};
use crate::job::{BoxFuture, Call, Job, failure};
use crate::value::{self, CodecError, Value};
use crate::wire::{Failed, Outcome};

/// How a call that is a value is taken apart again, into what the function is given.
pub trait Owned: Job {
    /// The inputs.
    type Inputs;

    /// Takes the call apart.
    fn inputs(self) -> Self::Inputs;

    /// Lends what is lent and gives what is given; `None` if that was given before.
    fn lend(inputs: &mut Self::Inputs) -> Option<Self::Args<'_>>;
}

/// What can be done with a job whose inputs can be stored.
#[derive(Clone, Copy)]
pub struct StoredDef {
    pub(crate) begin: Begin,
    pub(crate) undo: BeginUndo,
    pub(crate) check: fn(&[u8]) -> Result<(), CodecError>,
}

/// Begins an attempt with these inputs. The `Any` is the [`Fail`] of the job, if its error is kept
/// for a handler; `bool`: whether bytes are asked for.
type Begin = for<'e> fn(
    &'e Context,
    &'e [u8],
    Option<&'static (dyn Any + Send + Sync)>,
    bool,
) -> BoxFuture<'e, Outcome>;

/// Begins to undo the result, which comes after its inputs.
type BeginUndo = for<'e> fn(&'e Context, &'e [u8], &'e [u8]) -> BoxFuture<'e, Outcome>;

impl fmt::Debug for StoredDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredDef")
    }
}

/// Whether the inputs of a job can be stored: `Storable::<J>::DEF`. Where they can't, which is
/// reported where they are written, [`NotStorable`] has the answer.
#[derive(Debug)]
pub struct Storable<J>(PhantomData<J>);

impl<J> Storable<J>
where
    J: Owned + DeserializeOwned,
    J::Inputs: Send,
{
    /// They can.
    pub const DEF: Option<&'static StoredDef> = Some(&StoredDef {
        begin: begin::<J>,
        undo: begin_undo::<J>,
        check: |bytes| value::decode::<J>(bytes).map(drop),
    });
}

/// The answer for all other types; has to be in scope.
pub trait NotStorable {
    /// They can't.
    const DEF: Option<&'static StoredDef> = None;
}

impl<J> NotStorable for Storable<J> {}

fn begin<'e, J>(
    context: &'e Context,
    arguments: &'e [u8],
    fail: Option<&'static (dyn Any + Send + Sync)>,
    encodes: bool,
) -> BoxFuture<'e, Outcome>
where
    J: Owned + DeserializeOwned,
    J::Inputs: Send,
{
    Box::pin(async move {
        let mut inputs = match read::<J>(arguments) {
            Ok(inputs) => inputs,
            Err(failed) => return Outcome::Failed(failed),
        };
        let attempt = resume::<J>(&mut inputs, context, fail, encodes);
        attempt.await
    })
}

fn resume<'e, J: Owned>(
    inputs: &'e mut J::Inputs,
    context: &'e Context,
    fail: Option<&'static (dyn Any + Send + Sync)>,
    encodes: bool,
) -> BoxFuture<'e, Outcome> {
    let Some(args) = J::lend(inputs) else {
        return attempt::ended(bug("the inputs were given away before").into());
    };
    let mut call = Call::<J>::new(args);
    if let Some(fail) = fail.and_then(|fail| fail.downcast_ref::<Fail<J>>()) {
        call.fail = *fail;
    }
    attempt::begin(call, context, encodes)
}

fn begin_undo<'e, J>(
    context: &'e Context,
    arguments: &'e [u8],
    output: &'e [u8],
) -> BoxFuture<'e, Outcome>
where
    J: Owned + DeserializeOwned,
    J::Inputs: Send,
{
    if !J::UNDOES {
        return attempt::ended(bug("it has nothing that undoes it").into());
    }
    Box::pin(async move {
        let mut inputs = match read::<J>(arguments) {
            Ok(inputs) => inputs,
            Err(failed) => return Outcome::Failed(failed),
        };
        let output = match (J::CODEC.codec.decode)(output) {
            Ok(output) => output,
            Err(error) => return Outcome::Failed(unreadable::<J>("output", &error)),
        };
        let undo = undo_with::<J>(&mut inputs, &output, context);
        undo.await
    })
}

fn undo_with<'e, J: Owned>(
    inputs: &'e mut J::Inputs,
    output: &'e Value,
    context: &'e Context,
) -> BoxFuture<'e, Outcome> {
    let (Some(args), Some(output)) = (J::lend(inputs), output.get::<J::Output>()) else {
        return attempt::ended(bug("the inputs were given away before").into());
    };
    match J::undo(Undo::begin(args, output, context)) {
        Undoing::Begun(attempt) => attempt,
        Undoing::Described(_) | Undoing::None => {
            attempt::ended(bug("it has nothing that undoes it").into())
        }
    }
}

fn read<J: Owned + DeserializeOwned>(arguments: &[u8]) -> Result<J::Inputs, Failed> {
    match value::decode::<J>(arguments) {
        Ok(call) => Ok(call.inputs()),
        Err(error) => Err(unreadable::<J>("inputs", &error)),
    }
}

/// What is stored can't be read: the next attempt couldn't either.
pub(crate) fn unreadable<J: Job>(what: &str, error: &CodecError) -> Failed {
    let job = J::name();
    let text = format!("what is stored as the {what} of `{job}` can't be decoded as {error}");
    Failed::last(failure(FailureKind::Undecodable, text))
}

/// How the inputs of a call are written while the call goes on to use them: as serde writes the call
/// itself.
pub trait Arguments: Job {
    /// How many there are.
    const COUNT: usize;

    /// Adds them to a map from their names.
    ///
    /// # Errors
    ///
    /// If an input can't be written.
    fn write<M: SerializeMap>(args: &Self::Args<'_>, map: &mut M) -> Result<(), M::Error>;
}

/// The input number `I` as it is lent, to be written. The lifetime is there for the reason that
/// [`StoredInput`](crate::job::arguments::StoredInput) has one; the number, so that two inputs of one
/// type are two bounds.
pub trait Written<'a, const I: usize> {
    /// Adds it to a map.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error>;
}

impl<T: Serialize + ?Sized, const I: usize> Written<'_, I> for T {
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

/// The inputs of a job as bytes: `Writable::<J>::write(args)`. Where they can't be, which is reported
/// where they are written, [`NotWritable`] is found.
#[derive(Debug)]
pub struct Writable<J>(PhantomData<J>);

impl<J: Arguments> Writable<J> {
    /// One map from their names.
    ///
    /// # Errors
    ///
    /// If an input can't be written.
    pub fn write(args: &J::Args<'_>) -> Result<Vec<u8>, CodecError> {
        value::encode(&Lent::<J>(args)).map_err(CodecError::of::<J>)
    }
}

/// For all other types; has to be in scope.
pub trait NotWritable<J: Job> {
    /// Never called: a program with such a job is no program.
    ///
    /// # Errors
    ///
    /// Always.
    fn write(_: &J::Args<'_>) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::new::<J>("its inputs can't be stored"))
    }
}

impl<J: Job> NotWritable<J> for Writable<J> {}

/// The inputs of a call, to be written.
struct Lent<'a, 'b, J: Job>(&'a J::Args<'b>);

impl<J: Arguments> Serialize for Lent<'_, '_, J> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(J::COUNT))?;
        J::write(self.0, &mut map)?;
        map.end()
    }
}
