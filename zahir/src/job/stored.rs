//! Running a job with inputs that were stored: those of a result that is to be undone, and those that
//! were given to a node in place of its own.
//!
//! What reads them is the same for all jobs: each input by its name, with the codec of its type.

use std::any::Any;
use std::marker::PhantomData;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use zahir_store::FailureKind;

use crate::job::attempt::{self, Fail, bug};
use crate::job::context::Context;
use crate::job::undo::{Undo, Undoing};
use crate::job::{BoxFuture, Call, Job, failure};
use crate::value::{self, Codec, CodecError, DEPTH_MAX, Value};
use crate::wire::{Failed, Outcome};

/// What can be done with inputs of a job that were stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredDef {
    /// The job's name.
    name: fn() -> &'static str,
    /// Its type.
    ty: fn() -> &'static str,
    /// The names and codecs of its inputs.
    inputs: &'static [(&'static str, Codec)],
    output: Codec,
    begin: Begin,
    undo: Option<BeginUndo>,
}

/// The [`Fail`] of a call whose failure is handled.
pub(crate) type AnyFail = &'static (dyn Any + Send + Sync);

/// Begins an attempt with these inputs. `bool`: whether bytes are asked for.
type Begin =
    for<'e> fn(&'e mut [Value], &'e Context, Option<AnyFail>, bool) -> BoxFuture<'e, Outcome>;

/// Begins to undo the result, which comes after its inputs.
type BeginUndo = for<'e> fn(&'e mut [Value], &'e Value, &'e Context) -> BoxFuture<'e, Outcome>;

impl StoredDef {
    pub(crate) const fn of<J: Job>() -> Self {
        Self {
            name: J::name,
            ty: std::any::type_name::<J>,
            inputs: J::STORED,
            output: J::CODEC.codec,
            begin: begin::<J>,
            undo: if J::UNDOES { Some(undo::<J>) } else { None },
        }
    }

    /// Begins an attempt with these inputs. `fail` is that of the call, if its failure is handled.
    pub(crate) fn begin<'e>(
        &'static self,
        context: &'e Context,
        arguments: &'e [u8],
        fail: Option<AnyFail>,
        encodes: bool,
    ) -> BoxFuture<'e, Outcome> {
        Box::pin(async move {
            let mut inputs = match self.inputs(arguments) {
                Ok(inputs) => inputs,
                Err(failed) => return failed.into(),
            };
            (self.begin)(&mut inputs, context, fail, encodes).await
        })
    }

    /// Begins to undo the result that was made from these inputs.
    pub(crate) fn undo<'e>(
        &'static self,
        context: &'e Context,
        arguments: &'e [u8],
        output: &'e [u8],
    ) -> BoxFuture<'e, Outcome> {
        Box::pin(async move {
            let Some(undo) = self.undo else {
                return bug("it has nothing that undoes it").into();
            };
            let output = (self.output.decode)(output)
                .map_err(|error| unreadable("output", (self.name)(), &error));
            match self
                .inputs(arguments)
                .and_then(|inputs| Ok((inputs, output?)))
            {
                Ok((mut inputs, output)) => undo(&mut inputs, &output, context).await,
                Err(failed) => failed.into(),
            }
        })
    }

    /// Whether these are inputs of the job.
    pub(crate) fn check(&self, arguments: &[u8]) -> Result<(), CodecError> {
        self.decode(arguments).map(drop)
    }

    fn inputs(&self, arguments: &[u8]) -> Result<Vec<Value>, Failed> {
        let inputs = self.decode(arguments);
        inputs.map_err(|error| unreadable("inputs", (self.name)(), &error))
    }

    fn decode(&self, arguments: &[u8]) -> Result<Vec<Value>, CodecError> {
        let wrong = |reason: String| CodecError::named((self.ty)(), reason);
        let entries =
            value::map_entries(arguments, DEPTH_MAX).map_err(|error| wrong(error.to_string()))?;
        let inputs = self.inputs.iter().map(|(name, codec)| {
            let mut entries = entries.iter();
            let (_, bytes) = entries
                .find(|(entry, _)| entry == name)
                .ok_or_else(|| wrong(format!("no input `{name}`")))?;
            (codec.decode)(bytes).map_err(|error| error.within(name))
        });
        inputs.collect()
    }
}

fn begin<'e, J: Job>(
    inputs: &'e mut [Value],
    context: &'e Context,
    fail: Option<AnyFail>,
    encodes: bool,
) -> BoxFuture<'e, Outcome> {
    let args = match J::lend(inputs) {
        Ok(args) => args,
        Err(error) => return attempt::ended(bug(&error.to_string()).into()),
    };
    let mut call = Call::<J>::new(args);
    if let Some(fail) = fail.and_then(|fail| fail.downcast_ref::<Fail<J>>()) {
        call.fail = *fail;
    }
    attempt::begin(call, context, encodes)
}

fn undo<'e, J: Job>(
    inputs: &'e mut [Value],
    output: &'e Value,
    context: &'e Context,
) -> BoxFuture<'e, Outcome> {
    let undoing = J::lend(inputs).and_then(|args| {
        let output = lent::<J::Output>(output)?;
        Ok(J::undo(Undo::begin(args, output, context)))
    });
    match undoing {
        Ok(Undoing::Begun(attempt)) => attempt,
        Ok(Undoing::Described(_) | Undoing::None) => {
            attempt::ended(bug("it has nothing that undoes it").into())
        }
        Err(error) => attempt::ended(bug(&error.to_string()).into()),
    }
}

/// What is stored can't be read: the next attempt couldn't either.
pub(crate) fn unreadable(what: &str, job: &str, error: &CodecError) -> Failed {
    let text = format!("what is stored as the {what} of `{job}` can't be decoded as {error}");
    Failed::last(failure(FailureKind::Undecodable, text))
}

/// An input that is lent.
///
/// # Errors
///
/// Never: it is what its codec has read.
pub fn lent<T: 'static>(input: &Value) -> Result<&T, CodecError> {
    let of_another_type = || CodecError::new::<T>("the value is of another type");
    input.get().ok_or_else(of_another_type)
}

/// An input that is given away.
pub fn given(input: &mut Value) -> Value {
    std::mem::replace(input, Value::new(()))
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

/// Inputs that are not too many, so that a call with them can be spawned: 24, and a state.
#[diagnostic::on_unimplemented(
    message = "what has more than 24 inputs can't be spawned",
    label = "has more than 24 inputs",
    note = "make one `struct` of some of them"
)]
pub trait Few {}

/// The inputs of a call, as its function takes them, to be written as [`Arguments`] does.
///
/// Any job may be spawned, so this costs none of them anything: unlike [`Arguments`], which says where
/// an input is that can't be written, it is not implemented for each job.
pub trait Inputs {
    /// Adds them to a map from these names. What has no name is no input.
    ///
    /// # Errors
    ///
    /// If an input can't be written.
    fn write<M: SerializeMap>(
        &self,
        names: &'static [(&'static str, Codec)],
        map: &mut M,
    ) -> Result<(), M::Error>;
}

macro_rules! inputs {
    () => {};
    ($first:ident $($rest:ident)*) => {
        inputs!($($rest)*);
        #[diagnostic::do_not_recommend]
        impl<$first, $($rest),*> Few for ($first, $($rest,)*) {}
        impl<$first: Serialize, $($rest: Serialize),*> Inputs for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "named after their types")]
            fn write<M: SerializeMap>(
                &self,
                names: &'static [(&'static str, Codec)],
                map: &mut M,
            ) -> Result<(), M::Error> {
                let ($first, $($rest,)*) = self;
                let mut names = names.iter().map(|(name, _)| name);
                if let Some(name) = names.next() {
                    map.serialize_entry(name, $first)?;
                }
                $(if let Some(name) = names.next() {
                    map.serialize_entry(name, $rest)?;
                })*
                Ok(())
            }
        }
    };
}

// The state of a job stands behind its inputs.
inputs!(A B C D E F G H I J K L N O P Q R S T U V W X Y Z);

#[diagnostic::do_not_recommend]
impl Few for () {}

impl Inputs for () {
    fn write<M: SerializeMap>(
        &self,
        _: &'static [(&'static str, Codec)],
        _: &mut M,
    ) -> Result<(), M::Error> {
        Ok(())
    }
}

/// The inputs of a call as bytes: `Encodable::<J>::encode(args)`. Where they can't be, which is
/// reported where they are written, [`NotEncodable`] is found.
#[derive(Debug)]
pub struct Encodable<J>(PhantomData<J>);

impl<J: Job> Encodable<J>
where
    for<'a> J::Args<'a>: Inputs,
{
    /// One map from their names.
    ///
    /// # Errors
    ///
    /// If an input can't be written.
    pub fn encode(args: &J::Args<'_>) -> Result<Vec<u8>, CodecError> {
        let named = Named {
            inputs: args,
            names: J::STORED,
        };
        value::encode(&named).map_err(CodecError::of::<J>)
    }
}

/// For all other types; has to be in scope.
pub trait NotEncodable<J: Job> {
    /// Never called: a program that spawns such a job is no program.
    ///
    /// # Errors
    ///
    /// Always.
    fn encode(_: &J::Args<'_>) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::new::<J>("its inputs can't be stored"))
    }
}

impl<J: Job> NotEncodable<J> for Encodable<J> {}

/// Inputs and their names.
struct Named<'a, I> {
    inputs: &'a I,
    names: &'static [(&'static str, Codec)],
}

impl<I: Inputs> Serialize for Named<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        self.inputs.write(self.names, &mut map)?;
        map.end()
    }
}
