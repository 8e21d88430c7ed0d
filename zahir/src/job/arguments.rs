//! A call as data: a map from the names of its inputs.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::job::Job;
use crate::value::{Payload, Typed, codec};
use crate::wire::Input;

/// What an input of this type would be stored as. The macro asks it of types that are called as one of
/// std's without a size: what is said of these is said by [`Owns`], and nothing else.
pub trait StoredAs {
    /// The type itself, or what owns it.
    type Ty;
}

impl<T> StoredAs for T {
    type Ty = T;
}

impl StoredAs for Path {
    type Ty = PathBuf;
}

impl StoredAs for OsStr {
    type Ty = OsString;
}

impl StoredAs for CStr {
    type Ty = CString;
}

/// What may be stored for a `T`: for one that has a size, as only then it is a `T` again.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be a job's input: it has no size of its own, and can't be stored",
    label = "only a part of what would have to be stored",
    note = "lend what owns it: write `&{Self}`"
)]
pub trait Owns<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<S, T> Owns<T> for S {}

/// The codec of what a `T` is stored as.
#[must_use]
pub const fn codec_of<T: ?Sized, S: Payload + Owns<T>>() -> Typed<S> {
    codec()
}

/// Input `I` of a job can be stored.
///
/// The lifetime is there for bounds to hide behind: `for<'a> SendMail: StoredInput<'a, 0>` makes an
/// implementation disappear where it does not hold, instead of reporting again what was reported
/// where the input is written. The number keeps two inputs of one type apart.
pub trait StoredInput<'a, const I: usize>: Input<I> {
    /// Writes the input.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    fn write<S: Serializer>(input: &Self::Ty, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the input.
    ///
    /// # Errors
    ///
    /// Those of the deserializer.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Ty, D::Error>;
}

impl<J: Input<I>, const I: usize> StoredInput<'_, I> for J
where
    J::Ty: Payload,
{
    fn write<S: Serializer>(input: &J::Ty, serializer: S) -> Result<S::Ok, S::Error> {
        input.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<J::Ty, D::Error> {
        J::Ty::deserialize(deserializer)
    }
}

/// Input `I` of `J`, to be written.
#[expect(clippy::exhaustive_structs, reason = "built by the macro")]
pub struct Field<'a, J: Input<I>, const I: usize>(pub &'a J::Ty);

impl<J: Input<I>, const I: usize> fmt::Debug for Field<'_, J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(..)")
    }
}

impl<J: StoredInput<'static, I>, const I: usize> Serialize for Field<'_, J, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        J::write(self.0, serializer)
    }
}

/// Input `I` of `J`, as it was read.
#[expect(clippy::exhaustive_structs, reason = "taken apart by the macro")]
pub struct OwnedField<J: Input<I>, const I: usize>(pub J::Ty);

impl<J: Input<I>, const I: usize> fmt::Debug for OwnedField<J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnedField(..)")
    }
}

impl<'de, J: StoredInput<'static, I>, const I: usize> Deserialize<'de> for OwnedField<J, I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        J::read(deserializer).map(Self)
    }
}

/// How the inputs of a call are gathered while they are read.
pub trait Build<'de>: Job {
    /// Those that were read.
    type Inputs;
    /// The names of the inputs.
    fn names() -> &'static [&'static str];
    /// None of the inputs.
    fn none() -> Self::Inputs;

    /// Reads the input number `index`.
    ///
    /// # Errors
    ///
    /// If it is not what the input is.
    fn read<A: MapAccess<'de>>(
        inputs: &mut Self::Inputs,
        index: usize,
        map: &mut A,
    ) -> Result<(), A::Error>;

    /// The call, or the number of an input that is missing.
    ///
    /// # Errors
    ///
    /// If an input is missing.
    fn build(inputs: Self::Inputs) -> Result<Self, usize>;
}

/// Reads a call, by the names of its inputs. Further entries are ignored.
///
/// # Errors
///
/// If an input is missing, given twice, or not what it should be.
pub fn deserialize<'de, B: Build<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<B, D::Error> {
    deserializer.deserialize_map(Arguments::<B>(PhantomData))
}

struct Arguments<B>(PhantomData<fn() -> B>);

impl<'de, B: Build<'de>> Visitor<'de> for Arguments<B> {
    type Value = B;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the inputs of `{}`", B::name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<B, A::Error> {
        let mut inputs = B::none();
        let mut seen = vec![false; B::names().len()];
        while let Some(name) = map.next_key::<String>()? {
            let Some(index) = B::names().iter().position(|known| *known == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(A::Error::custom(format_args!("`{name}` is given twice"))),
            }
            B::read(&mut inputs, index, &mut map)?;
        }
        B::build(inputs).map_err(|index| {
            let name = B::names().get(index).copied().unwrap_or_default();
            A::Error::missing_field(name)
        })
    }
}

/// Whether a type is `Result`, whatever it is called: `IsResult::<T>::ANSWER`.
#[derive(Debug)]
pub struct IsResult<T>(PhantomData<T>);

impl<T, E> IsResult<Result<T, E>> {
    /// It is.
    pub const ANSWER: bool = true;
}

/// The answer for all other types; has to be in scope.
pub trait NotResult {
    /// It is not.
    const ANSWER: bool = false;
}

impl<T> NotResult for IsResult<T> {}
