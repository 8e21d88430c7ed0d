//! Drops what may panic when it is dropped.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops a value of the user's, whose destructor may panic. The panic hook has shown it by then.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        bury(payload);
    }
}

/// Drops the payload of a panic. A payload can panic in turn; the payload of that is leaked, which
/// ends the matter.
pub(crate) fn bury(payload: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        mem::forget(next);
    }
}
