//! Runs workflows.

pub(crate) mod inline;
