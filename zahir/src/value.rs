//! Stand-in.
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// One value.
#[derive(Clone)]
pub struct Value(Arc<dyn Any + Send + Sync>);

impl Value {
    /// Shares `value`.
    pub fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value, if it is a `T`.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    /// The value itself.
    ///
    /// # Errors
    ///
    /// Gives the shared value back.
    pub fn try_into_inner<T: Send + Sync + 'static>(self) -> Result<T, Self> {
        let shared = self.0.downcast::<T>().map_err(Self)?;
        Arc::try_unwrap(shared).map_err(|shared| Self(shared))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

/// A codec error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError(pub(crate) String);

impl CodecError {
    pub(crate) fn new<T>(reason: impl fmt::Display) -> Self {
        Self(format!("`{}`: {reason}", std::any::type_name::<T>()))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CodecError {}
