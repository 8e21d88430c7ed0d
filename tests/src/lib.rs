//! What several tests share.

pub mod orders;
