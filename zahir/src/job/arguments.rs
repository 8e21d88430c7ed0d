//! A call as data: a map from the names of its inputs.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

use crate::job::Job;

/// How the inputs of a call are gathered while they are read.
pub trait Build<'de>: Job {
    /// Those that were read.
    type Inputs;
    /// The names of the inputs.
    const NAMES: &'static [&'static str];
    /// None of them.
    const NONE: Self::Inputs;

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
pub fn deserialize<'de, B: Build<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<B, D::Error> {
    deserializer.deserialize_map(Arguments::<B>(PhantomData))
}

struct Arguments<B>(PhantomData<fn() -> B>);

impl<'de, B: Build<'de>> Visitor<'de> for Arguments<B> {
    type Value = B;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the inputs of `{}`", B::name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<B, A::Error> {
        let mut inputs = B::NONE;
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
            B::read(&mut inputs, index, &mut map)?;
        }
        B::build(inputs).map_err(|index| {
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
