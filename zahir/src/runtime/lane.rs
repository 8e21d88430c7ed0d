//! The lane: an attempt whose next crash would be its last is under way only while its run is in it.
//! One run at a time is, over all of the runtime, so that no attempt is blamed for another's crash.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// At most one run, first come, first served.
pub(crate) type Lane = Mutex<()>;

/// Where a run is. It leaves the lane, or the line for it, when this is dropped.
#[derive(Default)]
pub(crate) struct Turn {
    /// Its place in the line.
    line: Option<BoxFuture<'static, OwnedMutexGuard<()>>>,
    /// The lane, if it is in it.
    lane: Option<OwnedMutexGuard<()>>,
    /// Whether it does not know that yet.
    is_called: bool,
}

impl Turn {
    /// Gets in the line, unless the run is there or in the lane already.
    pub(crate) fn wait(&mut self, lane: &Arc<Lane>) {
        if self.line.is_none() && self.lane.is_none() {
            self.line = Some(Arc::clone(lane).lock_owned().boxed());
        }
    }

    /// Ready when the run is let in.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(line) = &mut self.line else {
            return Poll::Pending;
        };
        line.poll_unpin(context).map(|lane| {
            *self = Self {
                line: None,
                lane: Some(lane),
                is_called: true,
            }
        })
    }

    /// Whether the run was let in since this was asked last.
    pub(crate) fn enter(&mut self) -> bool {
        std::mem::take(&mut self.is_called)
    }

    /// Whether the run is in the lane.
    pub(crate) const fn is_in(&self) -> bool {
        self.lane.is_some()
    }

    /// Leaves the lane, or the line.
    pub(crate) fn leave(&mut self) {
        *self = Self::default();
    }
}
