//! What of a run's records still counts.
//!
//! Records are only ever added. A [`Revision`](zahir_store::Revision) among them says which of those
//! before it count from there on, and what the nodes are numbered now: a run that is repaired, or
//! that goes on with another program, is revised. Whoever replays a run replays its *effective*
//! records: those that count, in the numbering of the last revision, without the revisions.
//!
//! - [`entries`] reads the effective records, which is the meaning of a revision.
//! - [`reach`] finds what depends on node instances that are to run again, [`facts`] what is on
//!   record of each, [`failures`] which failures a run failed of.
//! - [`address`] finds node instances by their names.
//! - [`revise`] makes a revision of them, and [`changes`] what is told about it.
//!
//! All of it is pure: plans, definitions and records in, a revision out.

pub(crate) mod address;
pub(crate) mod changes;
pub(crate) mod drops;
pub(crate) mod entries;
pub(crate) mod facts;
pub(crate) mod failures;
pub(crate) mod families;
pub(crate) mod reach;
pub(crate) mod revise;
#[cfg(test)]
mod tests;
