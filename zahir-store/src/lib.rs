//! Where zahir keeps the records of its runs.
//!
//! A run is a sequence of [`Record`]s. A [`Store`] appends them, in batches that are written whole
//! or not at all, and gives them back. A run that is over goes on only with a
//! [`Record::RunRevised`]. A result that a run shares is also found by its key, see
//! [`Store::shared`]. [`RedbStore`] keeps all of this in one file; [`MemoryStore`] keeps the same
//! contract without a disk.
//!
//! # What a file promises
//!
//! | promise | test in `tests/it` |
//! |---|---|
//! | After `Ok` the records survive loss of power, also in a recovery from one | `power_loss` |
//! | After `Ok` they survive a kill of the process; an append is there whole or not at all | `crash` |
//! | A disk that fails or is full costs nothing acknowledged; an error says if its outcome is unknown | `io_errors` |
//! | A damaged file is reported, never read as if it were right; whole runs stay readable | `corruption` |
//! | A file comes into being whole or not at all, readable by its owner only | `crash`, `redb::file::tests` |
//! | What is no store of this version is refused by name and left as it was | `refusals` |
//! | A file that is deleted or replaced while it is open is noticed | `refusals` |
//! | A file of an older format stays readable | `golden` |
//! | No stored bytes make the decoder panic or allocate more than they justify | `codec` |
//!
//! # Limits
//!
//! * Survival of loss of power rests on a disk that does not lie about a sync.
//! * One bit of the file's header says which of the last two commits is the later one. If only that
//!   bit is damaged the store is read as it was one append earlier; this can't be told from a crash
//!   in the middle of a commit.
//! * A page of the file that holds an older copy of itself (a write that went elsewhere) can make the
//!   store be read as it was some appends earlier: 3 of 40,000 random damages did.
//! * Damage in redb's own lists of free pages, which no read meets, can end the process when it
//!   next appends or closes the file: redb then panics while it unwinds a panic. Once damage was
//!   seen, a file is closed without a write.
//! * An input, output, error, signal, saved state or definition has at most 16 MiB, a name or
//!   idempotency key 4 KiB; of longer messages and reasons the first 4 KiB are kept.
//! * A shared result is stored twice, in its run and under its key. When its time is over it is under
//!   its key until it is asked to be removed, and in its run for ever.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `redb` (default) | [`RedbStore`] |
//! | `test-util` | `conformance`, the contract as functions; `FaultStore`, a store that fails when told to; `Medium`, a disk of one's own under a [`RedbStore`] |

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
    Bond, CancelRequest, ChildCall, ChildLimits, Dropped, Ending, Failure, FailureKind, Fan, Heir,
    HeirInput, Inherited, PAYLOAD_BYTES_MAX, Record, Revision, RunStart, SpawnedChild,
    TEXT_BYTES_MAX,
};
pub use store::{Append, RunHead, RunStatus, SharedResult, Store, StoredRun, StoredStep};
pub use time::Timestamp;
