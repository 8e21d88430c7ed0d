//! How many jobs may be in flight at once, over all runs of a runtime.
//!
//! A run takes as many slots as it can use in one go, keeps the one that a job gave back for its
//! next job, and lets go of what it does not need before it sleeps. As soon as another run waits
//! for a slot, every slot that is given back goes to who waited longest.
//!
//! An attempt that waits for one of another run ([`shared`](super::shared)) lends its slot meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The slots of a runtime.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Semaphore,
    /// How many runs wait for a slot.
    waiting: AtomicUsize,
    /// How many slots are still in use by others although the attempts that lent them have ended: as
    /// many are not given back.
    unpaid: AtomicUsize,
}

/// The slot of an attempt that waits for another one, while others may use it.
#[derive(Debug)]
pub(crate) struct Lent {
    /// `None` once it was taken back.
    slots: Option<Arc<Slots>>,
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
            unpaid: AtomicUsize::new(0),
        }
    }

    /// Lends the slot of an attempt.
    pub(crate) fn lend(self: &Arc<Self>) -> Lent {
        self.free.add_permits(1);
        Lent {
            slots: Some(Arc::clone(self)),
        }
    }

    /// Pays back as much as it can of what was lent with `count` slots: says with how many.
    fn pay(&self, count: usize) -> usize {
        if count == 0 || self.unpaid.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let pay = |unpaid: usize| Some(unpaid.saturating_sub(count));
        let paid = self
            .unpaid
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, pay);
        paid.map_or(0, |unpaid| unpaid.min(count))
    }

    /// Waits for one slot.
    pub(crate) fn wait(self: Arc<Self>) -> BoxFuture<'static, Held> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter(self);
        Box::pin(async move {
            let mut held = Held::none(Arc::clone(&waiter.0));
            // The semaphore is never closed.
            while held.count == 0
                && let Ok(permit) = waiter.0.free.acquire().await
            {
                permit.forget();
                held.count = 1;
                held.pay(0);
            }
            held
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

impl Lent {
    /// Waits until the slot is the attempt's again.
    pub(crate) async fn take_back(mut self) {
        if let Some(slots) = &self.slots {
            let mut held = Arc::clone(slots).wait().await;
            // The run never stopped counting it.
            held.count = 0;
        }
        self.slots = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(slots) = &self.slots else { return };
        match slots.free.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => {
                slots.unpaid.fetch_add(1, Ordering::AcqRel);
            }
        }
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
        let before = self.count;
        let wanted = before.saturating_add(count_max);
        loop {
            let count = wanted
                .saturating_sub(self.count)
                .min(self.slots.free.available_permits());
            let Ok(permits) = u32::try_from(count) else {
                return;
            };
            if count == 0 {
                return;
            }
            let taken = self.slots.free.try_acquire_many(permits);
            if taken.map(SemaphorePermit::forget).is_ok() {
                self.count += count;
                self.pay(before);
            }
        }
    }

    /// Adds those of `other`.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.count += std::mem::take(&mut other.count);
    }

    /// Gives all back but `count`.
    pub(crate) fn keep(&mut self, count: usize) {
        self.pay(count);
        if let Some(spare) = self.count.checked_sub(count).filter(|spare| *spare > 0) {
            self.slots.free.add_permits(spare);
            self.count = count;
        }
    }

    /// Does without what others use of it: of what is more than `count`.
    pub(crate) fn pay(&mut self, count: usize) {
        let spare = self.count.saturating_sub(count);
        self.count -= self.slots.pay(spare);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Slots of which a run holds this many.
    fn held(all: usize, count: usize) -> (Arc<Slots>, Held) {
        let slots = Arc::new(Slots::new(all));
        let mut held = Held::none(Arc::clone(&slots));
        held.take(count);
        (slots, held)
    }

    #[test]
    fn a_lent_slot_is_taken_back_in_line() {
        let (slots, mut run) = held(1, 1);
        let lent = slots.lend();
        let mut other = Held::none(Arc::clone(&slots));
        other.take(1);
        assert_eq!(other.count(), 1);
        let mut back = Box::pin(lent.take_back());
        assert!((&mut back).now_or_never().is_none());
        assert_eq!(slots.waiting(), 1);
        other.keep(0);
        assert!(back.now_or_never().is_some());
        assert_eq!((slots.free(), slots.waiting()), (0, 0));
        run.keep(0);
        assert_eq!(slots.free(), 1);
    }

    #[test]
    fn a_lent_slot_whose_attempt_is_gone_is_paid_by_who_has_one_to_spare() {
        let (slots, mut run) = held(2, 2);
        let mut other = Held::none(Arc::clone(&slots));
        let lent = slots.lend();
        other.take(1);
        drop(lent);
        run.pay(2);
        assert_eq!(run.count(), 2, "both are in use");
        other.keep(0);
        assert_eq!((other.count(), slots.free()), (0, 0), "this one pays");
        run.keep(1);
        assert_eq!((run.count(), slots.free()), (1, 1));
        run.keep(0);
        assert_eq!(slots.free(), 2);
    }

    #[test]
    fn a_wait_for_a_lent_slot_that_is_dropped_is_paid_too() {
        let (slots, mut run) = held(1, 1);
        let lent = slots.lend();
        let mut other = Held::none(Arc::clone(&slots));
        other.take(1);
        let mut back = Box::pin(lent.take_back());
        assert!((&mut back).now_or_never().is_none());
        drop(back);
        run.keep(0);
        other.keep(0);
        assert_eq!((slots.free(), slots.waiting()), (1, 0));
    }
}
