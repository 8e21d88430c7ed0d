//! How many jobs may be in flight at once, over all runs of a runtime.
//!
//! A run takes as many slots as it can use in one go, keeps the one that a job gave back for its
//! next job, and lets go of what it does not need before it sleeps. As soon as another run waits
//! for a slot, every slot that is given back goes to who waited longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// The slots of a runtime.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Semaphore,
    /// How many runs wait for a slot.
    waiting: AtomicUsize,
}

/// The slots that a run holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    slots: Arc<Slots>,
    count: usize,
}

impl Slots {
    pub(crate) const fn new(count: usize) -> Self {
        Self {
            free: Semaphore::const_new(count),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for one slot.
    pub(crate) fn wait(self: Arc<Self>) -> BoxFuture<'static, Held> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter(self);
        Box::pin(async move {
            let count = match waiter.0.free.acquire().await {
                Ok(permit) => {
                    permit.forget();
                    1
                }
                // The semaphore is never closed.
                Err(_) => 0,
            };
            Held {
                slots: Arc::clone(&waiter.0),
                count,
            }
        })
    }

    /// How many runs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }
}

struct Waiter(Arc<Slots>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    pub(crate) const fn none(slots: Arc<Slots>) -> Self {
        Self { slots, count: 0 }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// Takes at most this many more.
    pub(crate) fn take(&mut self, count_max: usize) {
        loop {
            let count = count_max.min(self.slots.free.available_permits());
            let Ok(permits) = u32::try_from(count) else {
                return;
            };
            if count == 0 {
                return;
            }
            if let Ok(permits) = self.slots.free.try_acquire_many(permits) {
                permits.forget();
                self.count += count;
                return;
            }
        }
    }

    /// Adds those of `other`.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.count += std::mem::take(&mut other.count);
    }

    /// Gives all back but `count`.
    pub(crate) fn keep(&mut self, count: usize) {
        if let Some(spare) = self.count.checked_sub(count).filter(|spare| *spare > 0) {
            self.slots.free.add_permits(spare);
            self.count = count;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keep(0);
    }
}
