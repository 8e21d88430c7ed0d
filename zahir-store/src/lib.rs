//! Where zahir keeps the records of its runs.

mod error;
mod id;
mod record;
mod store;
mod time;

pub use error::{StoreError, StoreErrorKind};
pub use id::{Attempt, DefinitionId, FrameStep, NodeId, ParseRunIdError, Position, RunId};
pub use record::{CancelRequest, Ending, Failure, FailureKind, Record, RunStart};
pub use store::{Append, RunHead, RunStatus, Store, StoredRun, StoredStep};
pub use time::Timestamp;
