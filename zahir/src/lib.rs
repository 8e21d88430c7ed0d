//! Durable workflows.

// So that the macros' default path works inside this crate, too.
#[allow(unused_extern_crates, reason = "used by the expansions in tests")]
extern crate self as zahir;

mod definition;
mod engine;
mod error;
mod event;
mod graph;
mod job;
mod plan;
mod program;
mod runtime;
mod value;
mod wire;
mod workflow;

pub use error::{Error, Halted, OpenError, RunError, RunErrorKind, StartError};
pub use event::{Event, EventKind, Events, Lost};
pub use graph::{Argument, Edge, Graph, Node};
pub use job::context::Context;
pub use job::policy::{Backoff, Policy};
pub use job::{Call, Job, JobError, Options};
pub use runtime::handle::{Progress, RunHandle};
pub use runtime::recovery::{Problem, ProblemKind, Recovered, RecoveredRun};
pub use runtime::start::RunBuilder;
pub use runtime::{Runtime, RuntimeBuilder};
pub use value::Payload;
pub use workflow::Workflow;
pub use zahir_macros::job;
pub use zahir_store::{
    FailureKind, RunHead, RunId, RunStatus, StoreError, StoreErrorKind, Timestamp,
};

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// Declares a workflow.
#[macro_export]
macro_rules! workflow {
    ($($body:tt)*) => {
        $crate::__private::workflow! { $crate $($body)* }
    };
}
