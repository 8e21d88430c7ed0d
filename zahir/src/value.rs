//! Values that flow between nodes, and the one place where they become bytes.
//!
//! In memory a value is one `Arc`, shared by all that use it. On disk it is `MessagePack` with field
//! names, human readable. Bytes are checked without recursion before they are decoded, so that a
//! damaged file can neither overflow the stack nor ask for memory that it does not pay for.

mod quiet;
mod scan;
mod told;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use quiet::{bury, drop_quietly};
pub(crate) use scan::{map_entries, write_list_header, write_map_header, write_str};
pub(crate) use told::told_arguments;

/// How deeply the lists, maps and structs of one value may be nested.
pub(crate) const DEPTH_MAX: usize = 64;

/// One value of a run, shared by all that use it.
///
/// A destructor that panics ends there. Otherwise two of them in one frame, or beside another panic,
/// would end the process.
#[derive(Clone)]
pub struct Value(Option<Arc<dyn Any + Send + Sync>>);

impl Value {
    /// Shares `value`.
    pub fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// The value, if it is a `T`.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }

    /// The value itself, if it is a `T` and nobody else shares it.
    ///
    /// # Errors
    ///
    /// Gives the shared value back.
    pub fn try_into_inner<T: Send + Sync + 'static>(mut self) -> Result<T, Self> {
        let Some(shared) = self.0.take() else {
            return Err(self);
        };
        let shared = shared
            .downcast::<T>()
            .map_err(|shared| Self(Some(shared)))?;
        Arc::try_unwrap(shared).map_err(|shared| Self(Some(shared)))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

/// What can flow between jobs and be stored: anything owned that serde can write and read back.
///
/// Implemented for every such type; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a job's input or output: it can't be stored",
    label = "not `Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "zahir checkpoints every value that flows between jobs",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`, or use an owned type"
)]
pub trait Payload: Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Payload for T {}

/// What the runtime does with a value of one type, with the type erased.
#[derive(Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "reachable only through `__private`"
)]
pub struct Codec {
    /// The type's name, for messages.
    pub type_name: fn() -> &'static str,
    /// The bytes of a value.
    pub encode: fn(&Value) -> Result<Vec<u8>, CodecError>,
    /// The value of some bytes.
    pub decode: fn(&[u8]) -> Result<Value, CodecError>,
}

impl Codec {
    /// The codec of `T`.
    #[must_use]
    pub const fn of<T: Payload>() -> Self {
        Self {
            type_name: std::any::type_name::<T>,
            encode: encode_erased::<T>,
            decode: decode_erased::<T>,
        }
    }
}

/// The codec of `T`, and how a `T` becomes a value and back.
#[expect(
    clippy::exhaustive_structs,
    reason = "reachable only through `__private`"
)]
pub struct Typed<T> {
    /// For the erased type.
    pub codec: Codec,
    /// Shares a value.
    pub erase: fn(T) -> Value,
    /// Takes a value back: the shared one, or if others still share it, one like it.
    pub take: fn(Value) -> Result<T, CodecError>,
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.codec.fmt(f)
    }
}

/// The codec of `T`. A function, and not a bound of an associated type: that is where rustc honors
/// what [`Payload`] says about types that are none.
#[must_use]
pub const fn codec<T: Payload>() -> Typed<T> {
    Typed {
        codec: Codec::of::<T>(),
        erase: Value::new::<T>,
        take: take::<T>,
    }
}

fn take<T: Payload>(value: Value) -> Result<T, CodecError> {
    match value.try_into_inner::<T>() {
        Ok(value) => Ok(value),
        Err(shared) => decode(&encode_erased::<T>(&shared)?),
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(&(self.type_name)()).finish()
    }
}

/// A value could not be written, or not be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError {
    type_name: &'static str,
    reason: String,
}

impl CodecError {
    pub(crate) fn new<T: ?Sized>(reason: impl fmt::Display) -> Self {
        Self {
            type_name: std::any::type_name::<T>(),
            reason: reason.to_string(),
        }
    }

    /// Where in a larger value the mistake is.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.reason = format!("`{what}`: {}", self.reason);
        self
    }

    /// An error about the type of this name.
    pub(crate) const fn named(type_name: &'static str, reason: String) -> Self {
        Self { type_name, reason }
    }

    /// The same, told of another type.
    pub(crate) fn of<T: ?Sized>(mut self) -> Self {
        self.type_name = std::any::type_name::<T>();
        self
    }

    /// The type that was to be written or read.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.type_name, self.reason)
    }
}

impl std::error::Error for CodecError {}

fn encode_erased<T: Payload>(value: &Value) -> Result<Vec<u8>, CodecError> {
    let value = value
        .get::<T>()
        .ok_or_else(|| CodecError::new::<T>("the value is of another type (a bug in zahir)"))?;
    encode(value)
}

fn decode_erased<T: Payload>(bytes: &[u8]) -> Result<Value, CodecError> {
    decode::<T>(bytes).map(Value::new)
}

/// The bytes of `value`, checked to be readable again.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_human_readable();
    value
        .serialize(&mut serializer)
        .map_err(CodecError::new::<T>)?;
    scan::check(&bytes, DEPTH_MAX).map_err(CodecError::new::<T>)?;
    Ok(bytes)
}

/// The value of `bytes`; every byte must belong to it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    scan::check(bytes, DEPTH_MAX).map_err(CodecError::new::<T>)?;
    let reader = || {
        let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
        // serde asks more than once for one level of nesting (an option, a newtype, their content).
        reader.set_max_depth(DEPTH_MAX * 4);
        reader
    };
    T::deserialize(&mut reader()).map_err(|error| {
        // Read once more, to find out which field it is.
        let field = serde_path_to_error::deserialize::<_, T>(&mut reader()).err();
        let field = field.map(|error| error.path().to_string());
        let error = CodecError::new::<T>(error);
        match field.filter(|field| field != ".") {
            Some(field) => error.within(&field),
            None => error,
        }
    })
}

#[cfg(test)]
mod tests;
