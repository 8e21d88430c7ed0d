//! A call as data: a map from the names of its inputs.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::job::Job;
use crate::wire::Input;

/// Input `I` of `J`, to be written.
///
/// Writing it through [`Input`] keeps a type that can't be written from being reported twice.
pub struct Field<'a, J: Input<I>, const I: usize>(pub &'a J::Ty);

impl<J: Input<I>, const I: usize> fmt::Debug for Field<'_, J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(..)")
    }
}

impl<J: Input<I>, const I: usize> Serialize for Field<'_, J, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Input `I` of `J`, as it was read.
pub struct OwnedField<J: Input<I>, const I: usize>(pub J::Ty);

impl<J: Input<I>, const I: usize> fmt::Debug for OwnedField<J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnedField(..)")
    }
}

impl<'de, J: Input<I>, const I: usize> Deserialize<'de> for OwnedField<J, I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <J::Ty as Deserialize<'de>>::deserialize(deserializer).map(Self)
    }
}

/// What gathers the inputs of a call while they are read.
pub trait Build<'de>: Default {
    /// The call.
    type Job: Job;
    /// The names of its inputs.
    const NAMES: &'static [&'static str];

    /// Reads the input number `index`.
    ///
    /// # Errors
    ///
    /// If it is not what the input is.
    fn set<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error>;

    /// The call, or the number of an input that is missing.
    ///
    /// # Errors
    ///
    /// If an input is missing.
    fn build(self) -> Result<Self::Job, usize>;
}

/// Reads a call, by the names of its inputs. Further entries are ignored.
///
/// # Errors
///
/// If an input is missing, given twice, or not what it should be.
pub fn deserialize<'de, B: Build<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<B::Job, D::Error> {
    deserializer.deserialize_map(Arguments::<B>(PhantomData))
}

struct Arguments<B>(PhantomData<fn() -> B>);

impl<'de, B: Build<'de>> Visitor<'de> for Arguments<B> {
    type Value = B::Job;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the inputs of `{}`", B::Job::name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<B::Job, A::Error> {
        let mut build = B::default();
        let mut seen = vec![false; B::NAMES.len()];
        while let Some(name) = map.next_key::<String>()? {
            let Some(index) = B::NAMES.iter().position(|known| *known == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(A::Error::custom(format_args!("`{name}` is given twice"))),
            }
            build.set(index, &mut map)?;
        }
        build.build().map_err(|index| {
            let name = B::NAMES.get(index).copied().unwrap_or_default();
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
