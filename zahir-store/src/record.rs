//! The facts of a run, as they are stored.
//!
//! A run is an append-only sequence of records; its state is their fold. This is the only
//! vocabulary that is ever written: changing it is a change of the file format. A record is never
//! reinterpreted: what is new gets a variant of its own.

use crate::{Attempt, DefinitionId, NodeId, Position, Timestamp};

pub(crate) mod decode;
pub(crate) mod encode;

/// The largest input, output, error, signal or definition a store holds.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// The longest name, idempotency key, message or reason a store holds.
pub const TEXT_BYTES_MAX: usize = 4 << 10;

/// One fact about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the engine must handle every fact by name"
)]
pub enum Record {
    /// The run exists. Always the first record of a run, and only that.
    RunStarted(RunStart),
    /// An attempt is about to be polled for the first time.
    AttemptStarted {
        /// The node instance.
        at: Position,
        /// Which try of it.
        attempt: Attempt,
    },
    /// The node instance has its result.
    AttemptSucceeded {
        /// The node instance.
        at: Position,
        /// The try that gave it.
        attempt: Attempt,
        /// The encoded result.
        output: Vec<u8>,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The node instance.
        at: Position,
        /// The try that failed.
        attempt: Attempt,
        /// How.
        failure: Failure,
        /// When the next attempt is due; `None` if this was the last.
        retry_at: Option<Timestamp>,
    },
    /// An attempt was dropped by an orderly shutdown. It counts neither as failed nor as crashed.
    AttemptInterrupted {
        /// The node instance.
        at: Position,
        /// The try that was dropped.
        attempt: Attempt,
    },
    /// A `for` knows how many items it goes over.
    ItemsCounted {
        /// The `for`.
        at: Position,
        /// How many items.
        items: u32,
    },
    /// Somebody asked for the run to stop. Wins over everything not yet recorded.
    CancelRequested(CancelRequest),
    /// The run is over. The last record of a run, or followed by a [`Record::RunRevised`], with
    /// which it goes on.
    RunFinished(Ending),
    /// A branch chose its arm.
    BranchTaken {
        /// The branch.
        at: Position,
        /// Which arm, counted from 0.
        arm: u32,
    },
    /// A block with a `finally` began: its `finally` will run.
    BlockEntered {
        /// The block.
        at: Position,
    },
    /// The error of the attempt whose failure is the next record; kept because a handler is given
    /// it.
    ErrorKept {
        /// The node instance.
        at: Position,
        /// The encoded error.
        error: Vec<u8>,
    },
    /// The first entry of a race ended; the others are cancelled.
    RaceWon {
        /// The race.
        at: Position,
        /// Which entry, counted from 0.
        entry: u32,
    },
    /// A sleep, or the time limit of a wait, ends at `due`.
    TimerSet {
        /// The sleep or the wait.
        at: Position,
        /// When.
        due: Timestamp,
    },
    /// Somebody sent the run a signal. Signals of a run are numbered from 0 in the order of these
    /// records.
    SignalReceived {
        /// The signal's name.
        name: String,
        /// The encoded value that was sent.
        payload: Vec<u8>,
    },
    /// A wait was given the signal of that number.
    SignalConsumed {
        /// The wait.
        at: Position,
        /// The signal's number, counted from 0.
        signal: u32,
    },
    /// A wait for a signal came to its time limit without one.
    WaitTimedOut {
        /// The wait.
        at: Position,
    },
    /// The last attempt failed for good, and the job's recovery job takes over. Its attempts are
    /// numbered on.
    RecoveryBegan {
        /// The node instance.
        at: Position,
        /// The try that failed.
        attempt: Attempt,
        /// How.
        failure: Failure,
    },
    /// The node instance has its result from its recovery job.
    AttemptRecovered {
        /// The node instance.
        at: Position,
        /// The try that gave it.
        attempt: Attempt,
        /// The encoded result.
        output: Vec<u8>,
    },
    /// An attempt ended and asked to be followed by another one later. It has not failed.
    AttemptPostponed {
        /// The node instance.
        at: Position,
        /// The try that asked.
        attempt: Attempt,
        /// When the next attempt is due.
        due: Timestamp,
        /// What the next attempt is given, encoded.
        state: Vec<u8>,
    },
    /// All attempts of a node instance together, or the whole run, have until `due`. Behind
    /// [`Record::UndoingBegan`]: all attempts to undo its result.
    DeadlineSet {
        /// The node instance; `None` for the run.
        at: Option<Position>,
        /// When.
        due: Timestamp,
    },
    /// That time is over. An attempt that was under way is dropped.
    DeadlinePassed {
        /// The node instance; `None` for the run.
        at: Option<Position>,
        /// What that means to it.
        failure: Failure,
    },
    /// The result in the next record can be undone. These are the inputs that it was made from.
    UndoOwed {
        /// The node instance.
        at: Position,
        /// The inputs of its job, encoded.
        arguments: Vec<u8>,
    },
    /// The run ends like this as soon as everything that is owed an undo was undone.
    UndoingBegan {
        /// How it will end.
        ending: Ending,
    },
    /// An attempt to undo a result is about to be polled for the first time.
    UndoStarted {
        /// The node instance whose result is undone.
        at: Position,
        /// Which try to undo it.
        attempt: Attempt,
    },
    /// The result is undone.
    UndoSucceeded {
        /// The node instance whose result was undone.
        at: Position,
        /// The try that did.
        attempt: Attempt,
    },
    /// An attempt to undo a result failed.
    UndoFailed {
        /// The node instance.
        at: Position,
        /// The try that failed.
        attempt: Attempt,
        /// How.
        failure: Failure,
        /// When the next attempt is due; `None` if this was the last.
        retry_at: Option<Timestamp>,
    },
    /// An attempt to undo a result was dropped by an orderly shutdown.
    UndoInterrupted {
        /// The node instance.
        at: Position,
        /// The try that was dropped.
        attempt: Attempt,
    },
    /// The result in the next record is given to other runs, too. See [`crate::Store::shared`].
    ResultShared {
        /// The node instance.
        at: Position,
        /// What other runs find it by.
        key: u128,
        /// Until when; `None` for ever.
        until: Option<Timestamp>,
    },
    /// What is on record so far was revised: part of it no longer counts. The only record that may
    /// follow [`Record::RunFinished`].
    RunRevised(Revision),
    /// The node instance is given these inputs instead of those that it is wired to.
    ArgumentsReplaced {
        /// The node instance.
        at: Position,
        /// The inputs of its job, encoded.
        arguments: Vec<u8>,
    },
    /// A job has these children. Those of a node instance are numbered from 0 in the order of these
    /// records; a child's number is that of its frame.
    ChildrenSpawned {
        /// The node instance of the job: the parent.
        at: Position,
        /// Its children.
        children: Vec<SpawnedChild>,
    },
    /// An attempt waits for children and does nothing else: it does not count as under way.
    AttemptParked {
        /// The node instance.
        at: Position,
        /// The try that waits.
        attempt: Attempt,
    },
    /// An attempt that waited for children goes on.
    AttemptResumed {
        /// The node instance.
        at: Position,
        /// The try that goes on.
        attempt: Attempt,
    },
    /// The result in the next record came about without what these children gave: from here on they
    /// follow.
    ChildrenLeft {
        /// The node instance of the parent.
        at: Position,
        /// Their numbers.
        children: Vec<u32>,
    },
    /// A value that the attempts of a job compute once.
    ValueKept {
        /// The node instance.
        at: Position,
        /// What the job calls it.
        name: String,
        /// The encoded value.
        value: Vec<u8>,
    },
    /// An attempt ended with the wish that another job gives the result: a child that is spawned as
    /// soon as what it is given is there, numbered behind those before it.
    AttemptContinued {
        /// The node instance.
        at: Position,
        /// The try that ended.
        attempt: Attempt,
        /// The job that gives the result.
        heir: Heir,
    },
    /// The attempts of this node instance so far no longer count: it is tried as if there had been
    /// none. Its children, and the values that it keeps, stay. Follows a [`Record::RunRevised`].
    AttemptsDropped {
        /// The node instance.
        at: Position,
    },
    /// These children, of attempts that no longer count, go on only if an attempt calls them again.
    /// Follows a [`Record::AttemptsDropped`].
    ChildrenSuspended {
        /// The node instance of the parent.
        at: Position,
        /// Their numbers.
        children: Vec<u32>,
    },
    /// An attempt calls these children again: those that are not over go on.
    ChildrenResumed {
        /// The node instance of the parent.
        at: Position,
        /// Their numbers.
        children: Vec<u32>,
    },
}

/// A child of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct SpawnedChild {
    /// The node that it is an instance of, in a frame of the parent with its number.
    pub kind: NodeId,
    /// What the parent finds it again by.
    pub call: ChildCall,
    /// Who waits for it.
    pub bond: Bond,
    /// Its inputs, encoded.
    pub arguments: Vec<u8>,
    /// The children that are not to run all at once, if it is one of them.
    pub fan: Option<Fan>,
    /// What its call says in place of its job, if anything.
    pub limits: ChildLimits,
}

/// Which of the calls of its parent made a child.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "part of the closed record vocabulary"
)]
pub enum ChildCall {
    /// The one of this number among those without a key, counted from 0.
    Number(u32),
    /// The one with this key.
    Key(String),
}

/// What becomes of the failure of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "part of the closed record vocabulary"
)]
pub enum Bond {
    /// Its parent waits for it, or may do so.
    Held,
    /// It runs behind its parent; its failure is one of the workflow.
    Followed,
    /// It runs behind its parent; its failure concerns nobody.
    Detached,
}

/// Children of one parent of which only some run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct Fan {
    /// Which fan of the parent, counted from 0.
    pub number: u32,
    /// How many of it run at once.
    pub limit: u32,
}

/// What the call of a child says about its attempts, in place of its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct ChildLimits {
    /// How often it is tried again.
    pub retry: Option<u32>,
    /// The longest an attempt may take, in milliseconds.
    pub timeout: Option<u64>,
    /// The longest all attempts together may take, in milliseconds.
    pub total_timeout: Option<u64>,
}

/// The job that gives the result of another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct Heir {
    /// The node that it is an instance of.
    pub kind: NodeId,
    /// What it is given, in the order of its inputs.
    pub inputs: Vec<HeirInput>,
    /// What its call says in place of its job.
    pub limits: ChildLimits,
}

/// What an heir is given for one of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct HeirInput {
    /// The input's name.
    pub name: String,
    /// Its value.
    pub value: Inherited,
}

/// Where an input of an heir comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "part of the closed record vocabulary"
)]
pub enum Inherited {
    /// An encoded value.
    Value(Vec<u8>),
    /// The result of the child of this number.
    Child(u32),
    /// The list of the results of these children.
    Children(Vec<u32>),
}

/// How the records so far are to be read from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct Revision {
    /// What node numbers refer to from here on. If it is another one than before, it is stored with
    /// the append.
    pub definition: DefinitionId,
    /// If the definition is another one: the nodes whose records still count, with their numbers
    /// before and now. Records in or of other nodes do not.
    pub moved: Vec<(NodeId, NodeId)>,
    /// What does not count either, in the numbers from here on.
    pub dropped: Vec<Dropped>,
}

/// Records that no longer count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct Dropped {
    /// Those of this node instance and of everything inside it ..
    pub at: Position,
    /// .. or only those inside it, in its frames from this one on.
    pub from: Option<u32>,
}

/// How a run began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct RunStart {
    /// The workflow's name.
    pub workflow: String,
    /// The idempotency key, if the caller gave one. One run per workflow and key.
    pub key: Option<String>,
    /// What the run's node numbers refer to.
    pub definition: DefinitionId,
    /// The encoded inputs.
    pub input: Vec<u8>,
}

/// A wish to stop a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct CancelRequest {
    /// Why. Of a longer text the first 4 KiB are stored.
    pub reason: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the engine must handle every ending by name"
)]
pub enum Ending {
    /// With its output.
    Succeeded {
        /// The encoded output.
        output: Vec<u8>,
    },
    /// A node failed for good.
    Failed {
        /// The node instance that failed; `None` if the run itself did.
        at: Option<Position>,
        /// How.
        failure: Failure,
    },
    /// It was cancelled.
    Cancelled,
}

/// How an attempt, or a run, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "part of the closed record vocabulary"
)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened, in words, without its kind. Of a longer text the first 4 KiB are stored.
    pub message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "part of the closed record vocabulary"
)]
pub enum FailureKind {
    /// The job returned an error.
    Error,
    /// User code panicked.
    Panic,
    /// The attempt took longer than it may.
    TimedOut,
    /// A value is larger than the configured limit.
    TooLarge,
    /// A value could not be encoded.
    Unencodable,
    /// A stored value could not be decoded.
    Undecodable,
    /// Pure code of the workflow gave another answer after a restart than the one on record.
    Diverged,
    /// The job's check refused the inputs.
    Refused,
    /// The job's verification refused the output.
    Unverified,
    /// The process died while a job was under way that is never started a second time.
    Interrupted,
    /// The process died too often while the job was under way.
    Poisoned,
    /// zahir broke one of its own invariants. A bug.
    Bug,
}

/// The first [`TEXT_BYTES_MAX`] bytes of a text, without a piece of a character.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
