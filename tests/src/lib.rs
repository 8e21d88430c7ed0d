//! What several tests share.

pub mod orders;
pub mod outline;
pub mod poison;
pub mod shared;
