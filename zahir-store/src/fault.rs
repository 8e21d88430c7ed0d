//! A store that fails when it is told to.

use std::sync::{Mutex, PoisonError};

use crate::{
    Append, DefinitionId, RunHead, RunId, SharedResult, Store, StoreError, StoreErrorKind,
    StoredRun, Timestamp,
};

/// A store around another one, whose append fails once at a chosen moment and, where a real store
/// would, for ever after.
#[derive(Debug)]
pub struct FaultStore<S> {
    store: S,
    plan: Mutex<Plan>,
}

const STOPPED: &str = "it takes no more records since an error; open it again";

/// How an append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "these are all the ways a store may fail"
)]
pub enum Fault {
    /// It writes nothing and says so. The store goes on.
    Refuse,
    /// It writes nothing, and says that this is unknown. The store takes no more appends.
    UnknownNotWritten,
    /// It writes all, and says that this is unknown. The store takes no more appends.
    UnknownWritten,
    /// It writes nothing, as this and all that follow do, as on a full disk.
    Stop,
}

#[derive(Debug)]
struct Plan {
    appends: u64,
    fault: Option<(u64, Fault)>,
    is_stopped: bool,
}

impl<S: Store> FaultStore<S> {
    /// A store that does not fail yet.
    pub const fn new(store: S) -> Self {
        Self {
            store,
            plan: Mutex::new(Plan {
                appends: 0,
                fault: None,
                is_stopped: false,
            }),
        }
    }

    /// Lets `appends` more appends succeed and the one after them fail.
    pub fn fail_after(&self, appends: u64, fault: Fault) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.fault = Some((plan.appends.saturating_add(appends), fault));
    }

    /// How many appends succeeded.
    pub fn appends(&self) -> u64 {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.appends
    }

    /// The store inside, as it would be found when opened again.
    pub fn into_inner(self) -> S {
        self.store
    }
}

impl<S: Store> Store for FaultStore<S> {
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.is_stopped {
            return Err(planned(STOPPED));
        }
        let fault = match plan.fault {
            Some((at, fault)) if at == plan.appends => fault,
            Some(_) | None => {
                self.store.append(batch)?;
                plan.appends += 1;
                return Ok(());
            }
        };
        plan.fault = None;
        plan.is_stopped = fault != Fault::Refuse;
        match fault {
            Fault::Refuse => Err(StoreError::new(
                StoreErrorKind::Refused,
                "planned fault: the append is refused",
            )),
            Fault::Stop => Err(planned("nothing was written")),
            Fault::UnknownNotWritten => Err(planned("the commit failed").outcome_unknown()),
            Fault::UnknownWritten => {
                self.store.append(batch)?;
                Err(planned("the commit failed").outcome_unknown())
            }
        }
    }

    fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        self.store.load(run)
    }

    fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        self.store.unfinished()
    }

    fn find(&self, workflow: &str, key: &str) -> Result<Option<RunId>, StoreError> {
        self.store.find(workflow, key)
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, StoreError> {
        self.store.runs(after, limit)
    }

    fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.definition(id)
    }

    fn shared(&self, key: u128) -> Result<Option<SharedResult>, StoreError> {
        self.store.shared(key)
    }

    /// Counts as no append, and fails once appends do for ever.
    fn remove_expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Option<u128>, StoreError> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.is_stopped {
            return Err(planned(STOPPED));
        }
        self.store.remove_expired(now, after, limit)
    }

    fn check_attached(&self) -> Result<(), StoreError> {
        self.store.check_attached()
    }
}

fn planned(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Io, format!("planned fault: {what}"))
}
