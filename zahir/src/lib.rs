//! Durable workflows.

mod engine;
mod error;
mod event;
pub mod job;
mod plan;
mod runtime;
mod value;
mod wire;

pub use error::{Error, Halted, OpenError, RunError, RunErrorKind, StartError};
pub use event::{Event, EventKind, Events, Lost};
pub use runtime::handle::{Progress, RunHandle};
pub use runtime::recovery::{Problem, ProblemKind, Recovered};
pub use runtime::{Runtime, RuntimeBuilder};
