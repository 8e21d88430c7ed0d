//! What several tests share.

pub mod orders;
pub mod shared;
