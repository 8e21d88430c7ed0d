//! Durable workflows.

// So that the macros' default path works inside this crate, too.
#[allow(unused_extern_crates, reason = "used by the expansions in tests")]
extern crate self as zahir;

mod error;
mod graph;
mod job;
mod runtime;
mod value;
mod wire;
mod workflow;

pub use error::RunError;
pub use graph::{Argument, Edge, Graph, Node};
pub use job::context::Context;
pub use job::policy::{Backoff, Policy};
pub use job::{Call, Job, JobError, Options};
pub use value::Payload;
pub use workflow::Workflow;
pub use zahir_macros::job;

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
