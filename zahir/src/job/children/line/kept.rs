//! Values that the attempts of a job compute once.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use zahir_store::{Failure, FailureKind};

use super::{Line, NAME_BYTES_MAX, too_long};
use crate::job::failure;

/// What is known of the values that are kept.
#[derive(Default)]
pub(super) struct KeptValues {
    values: BTreeMap<Arc<str>, Kept>,
}

struct Kept {
    value: Arc<[u8]>,
    /// Whether it is durable: only then is it given to anybody.
    is_durable: bool,
    wakers: Vec<Waker>,
}

/// What comes of asking for a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recalled {
    /// It is there, or about to be.
    Known,
    /// It is to be computed.
    Unknown,
}

impl KeptValues {
    /// Those of earlier attempts.
    pub(super) fn known(values: impl IntoIterator<Item = (Arc<str>, Arc<[u8]>)>) -> Self {
        let kept = |(name, value)| {
            let kept = Kept {
                value,
                is_durable: true,
                wakers: Vec::new(),
            };
            (name, kept)
        };
        Self {
            values: values.into_iter().map(kept).collect(),
        }
    }
}

impl Line {
    /// Whether somebody has computed the value of this name.
    pub(crate) fn recall(&self, name: &str) -> Recalled {
        if self.lock().kept.values.contains_key(name) {
            Recalled::Known
        } else {
            Recalled::Unknown
        }
    }

    /// Keeps a value: says whether it is to be reported. Of two the first stays.
    pub(crate) fn keep(&self, name: &str, value: &[u8]) -> Result<bool, Failure> {
        if name.len() > NAME_BYTES_MAX {
            return Err(too_long("name of a value that is kept", name.len()));
        }
        if value.len() > self.value_bytes_max {
            let message = format!(
                "the value `{name}` that is to be kept has {} bytes, of which {} are allowed \
                 (`value_bytes_max`)",
                value.len(),
                self.value_bytes_max
            );
            return Err(failure(FailureKind::TooLarge, message));
        }
        let mut state = self.lock();
        if state.kept.values.contains_key(name) {
            return Ok(false);
        }
        let kept = Kept {
            value: value.into(),
            is_durable: false,
            wakers: Vec::new(),
        };
        state.kept.values.insert(name.into(), kept);
        Ok(true)
    }

    /// Ready with a value as soon as it is durable; never if there is none.
    pub(crate) fn poll_kept(&self, name: &str, context: &Context<'_>) -> Poll<Arc<[u8]>> {
        let mut state = self.lock();
        let Some(kept) = state.kept.values.get_mut(name) else {
            return Poll::Pending;
        };
        if kept.is_durable {
            return Poll::Ready(Arc::clone(&kept.value));
        }
        let waker = context.waker();
        if !kept.wakers.iter().any(|known| known.will_wake(waker)) {
            kept.wakers.push(waker.clone());
        }
        Poll::Pending
    }

    /// A value is durable.
    pub(crate) fn settle(&self, name: &str) {
        let mut state = self.lock();
        let Some(kept) = state.kept.values.get_mut(name) else {
            return;
        };
        kept.is_durable = true;
        let wakers = mem::take(&mut kept.wakers);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }
}
