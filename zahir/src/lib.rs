//! Durable workflows.

mod engine;
pub mod job;
mod plan;
