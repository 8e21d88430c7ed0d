//! How often and how long a node is tried.

use std::time::Duration;

/// Retries and time-outs of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many more attempts after the first.
    pub retry: u32,
    /// The longest an attempt may take.
    pub timeout: Option<Duration>,
}

impl Policy {
    /// How long to wait after this many failures.
    #[must_use]
    pub fn delay(&self, failures: u32, seed: u64) -> Duration {
        Duration::from_millis(u64::from(failures) * 100 + seed % 2)
    }
}
