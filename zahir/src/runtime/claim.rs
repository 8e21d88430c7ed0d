//! Idempotency keys whose run is being started or is under way: one run per workflow and key,
//! however many ask for it at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Notify;

use crate::error::StartError;
use crate::runtime::run::{Run, lock};

/// All claims of a runtime. A claim is held from the first start with its key until it is known
/// that the key has a run that has ended; from then on the store knows.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    held: Mutex<HashMap<(&'static str, String), Arc<Claim>>>,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Claim {
    input: Vec<u8>,
    result: OnceLock<Result<Arc<Run>, StartError>>,
    settled: Notify,
}

impl Claims {
    /// The claim on a key; the second is whether it is the caller's to settle.
    pub(crate) fn claim(
        &self,
        workflow: &'static str,
        key: &str,
        input: &[u8],
    ) -> (Arc<Claim>, bool) {
        let mut held = lock(&self.held);
        let at = (workflow, key.to_owned());
        if let Some(claim) = held.get(&at) {
            return (Arc::clone(claim), false);
        }
        let claim = Arc::new(Claim {
            input: input.to_vec(),
            result: OnceLock::new(),
            settled: Notify::new(),
        });
        held.insert(at, Arc::clone(&claim));
        (claim, true)
    }

    pub(crate) fn find(&self, workflow: &'static str, key: &str) -> Option<Arc<Claim>> {
        lock(&self.held)
            .get(&(workflow, key.to_owned()))
            .map(Arc::clone)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        lock(&self.held).len()
    }

    /// The run that has the key is over.
    pub(crate) fn release(&self, workflow: &'static str, key: &str) {
        lock(&self.held).remove(&(workflow, key.to_owned()));
    }

    /// Nothing is under way for this claim; another may have taken its place.
    pub(crate) fn give_up(&self, workflow: &'static str, key: &str, claim: &Arc<Claim>) {
        let mut held = lock(&self.held);
        let at = (workflow, key.to_owned());
        if held.get(&at).is_some_and(|other| Arc::ptr_eq(other, claim)) {
            held.remove(&at);
        }
    }
}

impl Claim {
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(crate) fn settle(&self, result: Result<Arc<Run>, StartError>) {
        if self.result.set(result).is_ok() {
            self.settled.notify_waiters();
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.result.get().is_some()
    }

    /// Waits for the run that has the key.
    pub(crate) async fn settled(&self) -> Result<Arc<Run>, StartError> {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            if let Some(result) = self.result.get() {
                return result.clone();
            }
            settled.await;
        }
    }
}
