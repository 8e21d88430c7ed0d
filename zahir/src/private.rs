//! Not public API. May change in any release.
//!
//! Everything that the expansions of the macros name.

pub use std::boxed::Box;
pub use std::string::String;
pub use std::sync::OnceLock;
pub use std::time::Duration;
pub use std::vec;
pub use std::vec::Vec;

pub use serde;
pub use zahir_macros::workflow;

pub use crate::graph::Graph;
pub use crate::graph::instance::{intern, per_type};
pub use crate::graph::shape::{Argument, NodeShape, RegionShape, Shape, ShapeKind};
pub use crate::job::arguments::{Build, Field, IsResult, NotResult, OwnedField, deserialize};
pub use crate::job::policy::Settings;
pub use crate::job::{BoxFuture, Call, Fallible, Job, Options};
pub use crate::value::{Codec, Value};
pub use crate::wire::construct::{
    collect, describe_unit, items, items_of, never, own, same, type_of, value_of,
};
pub use crate::wire::{Def, Description, Input, Out, Step, Wire};
pub use crate::workflow::{Wired, Workflow, describe_workflow, run_inline};
