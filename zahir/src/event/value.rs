//! Values that jobs tell while they run.

use std::fmt;
use std::sync::Arc;

use crate::value::{self, Payload};

/// What a job tells while it runs. See [`EventKind::Emitted`](crate::EventKind::Emitted).
#[derive(Clone, PartialEq, Eq)]
pub struct EmittedValue {
    encoded: Arc<[u8]>,
}

/// Why a value is not the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDecoded {
    reason: String,
}

impl EmittedValue {
    pub(super) fn new(encoded: Vec<u8>) -> Self {
        Self {
            encoded: encoded.into(),
        }
    }

    /// The value, as this type. Any type with the same fields will do.
    ///
    /// # Errors
    ///
    /// If the job has told something else.
    pub fn decode<T: Payload>(&self) -> Result<T, NotDecoded> {
        value::decode(&self.encoded).map_err(|error| NotDecoded {
            reason: error.to_string(),
        })
    }

    /// Its bytes: `MessagePack`, with field names.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.encoded
    }
}

impl fmt::Debug for EmittedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmittedValue({} bytes)", self.encoded.len())
    }
}

impl fmt::Display for NotDecoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what a job has told can't be decoded as {}", self.reason)
    }
}

impl std::error::Error for NotDecoded {}
