//! Jobs.

pub mod policy;
