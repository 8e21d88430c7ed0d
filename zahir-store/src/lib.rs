//! Where zahir keeps the records of its runs.

#[cfg(feature = "test-util")]
pub mod conformance;
mod error;
#[cfg(feature = "test-util")]
mod fault;
mod id;
mod memory;
mod record;
#[cfg(feature = "redb")]
mod redb;
mod rules;
mod store;
mod time;

#[cfg(all(feature = "redb", feature = "test-util"))]
pub use self::redb::Medium;
#[cfg(feature = "redb")]
pub use self::redb::{RedbOptions, RedbStore};
pub use error::{StoreError, StoreErrorKind};
#[cfg(feature = "test-util")]
pub use fault::{Fault, FaultStore};
pub use id::{Attempt, DefinitionId, FrameStep, NodeId, ParseRunIdError, Position, RunId};
pub use memory::MemoryStore;
pub use record::{
    CancelRequest, Ending, Failure, FailureKind, PAYLOAD_BYTES_MAX, Record, RunStart,
    TEXT_BYTES_MAX,
};
pub use store::{Append, RunHead, RunStatus, Store, StoredRun, StoredStep};
pub use time::Timestamp;
