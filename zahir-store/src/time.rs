//! The only time that is stored or decided on.

use std::fmt;
use std::time::Duration;

/// A moment on the wall clock: milliseconds since the Unix epoch.
///
/// A deadline has to survive a restart, so it can't be an [`std::time::Instant`]. All arithmetic
/// saturates: a moment too far away is [`Timestamp::MAX`], never a panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest moment that can be written down.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment this many milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `delay` after this one, rounded up to a whole millisecond: a timer may be late,
    /// never early.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let whole = u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(whole))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
