//! Jobs.

pub mod context;
pub mod policy;

use std::pin::Pin;

use zahir_store::{Failure, FailureKind};

/// An owned future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

const MESSAGE_MAX: usize = 4096;

pub(crate) fn failure(kind: FailureKind, mut message: String) -> Failure {
    if message.len() > MESSAGE_MAX {
        let mut end = MESSAGE_MAX;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    }
    Failure { kind, message }
}
