//! Not public API. May change in any release.
//!
//! Everything that the expansions of the macros name.

pub use std::sync::OnceLock;
pub use std::time::{Duration, SystemTime};
pub use std::vec;
pub use std::vec::Vec;

pub use serde;
pub use zahir_macros::workflow;

pub use crate::error::RunError;
pub use crate::failure::Failure;
pub use crate::graph::Graph;
pub use crate::graph::instance::{intern, per_type};
pub use crate::graph::shape::{Argument, Exit, NodeShape, RegionShape, Shape, ShapeKind};
pub use crate::job::again::{Kept, Returned, Stateful, again, kept, state};
pub use crate::job::arguments::{
    Build, Field, IsResult, NotResult, OwnedField, Owns, StoredAs, StoredInput, codec_of,
    deserialize,
};
pub use crate::job::attempt::{Answer, checked};
pub use crate::job::children::join::{Children, OneChild};
pub use crate::job::children::kind::{
    Calls, Declarable, Declaration, Declared, Declares, KindDef, SpawnCall, Spawnable, SpawnedAs,
    SpawnedBy, SpawnedByNone, Undeclared, declared,
};
pub use crate::job::children::later::Output as ChildOutput;
pub use crate::job::children::later::{
    Continue, Given, GivenAs, Gives, Heir, Inherits, Later, Lent, Outputs, Owned, SameAs,
    Succession,
};
pub use crate::job::children::misplaced::{ChildBackoff, Unawaited, Unspawned};
pub use crate::job::children::{Anything, Spawning};
pub use crate::job::context::{Attempting, Context, Spawner};
pub use crate::job::effect::{
    Assists, Attempted, Attempts, Auxiliary, Continuable, Continues, Lasting, Reaching, Retriable,
    Retries, SpawnsUndone, Takes, Undoable, Undone,
};
pub use crate::job::policy::{Backoff, FOREVER, Settings};
pub use crate::job::recovery::{
    ErrorOf, OutputOf, Recover, Recovering, RecoversTyped, Recovery, RecoveryDef,
};
pub use crate::job::share::{SharingKey, key_bytes};
pub use crate::job::stored::{
    Arguments, Encodable, Few, Inputs, NotEncodable, NotWritable, StoredDef, Writable, Written,
    given, lent,
};
pub use crate::job::telling::{Emits, Keeps};
pub use crate::job::undo::{Undo, UndoDef, Undoing};
pub use crate::job::{BoxError, BoxFuture, Call, Fallible, Job, JobDef, Options, boxed};
pub use crate::signal::Signal;
pub use crate::value::{Codec, CodecError, Typed, Value, codec};
pub use crate::wire::{
    Batch, ByValue, Carried, Collects, Copies, Def, Description, Entries, Extra, Failed, Input,
    IntoCall, Items, Join, Keep, Lend, Local, Out, Outcome, Outcomes, PayloadDef, Produced,
    RaceDef, Raced, Races, ResultDef, Settled, Shared, Step, Unraced, Untyped, Wait, Wire,
    describe_unit, items_of, keeping, never, payload_of, signal, signal_within, sleep, sleep_until,
    type_of,
};
pub use crate::workflow::{Wired, Workflow, WorkflowDef, describe_workflow, run_inline};
