//! The runtime's time: the wall clock, made steady.
//!
//! Deadlines are stored, so time is the wall clock's. Between two looks it goes on with the
//! monotonic clock, so that it stands still for nobody: a wall clock that was set back is not
//! followed, one that was set forward is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use zahir_store::Timestamp;

/// Less than this is rounding, not a clock that was set forward.
const ROUNDING_MILLIS: u64 = 2;

/// Where the time comes from.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// The wall clock's time at `origin`, raised when the wall clock is set forward.
    offset: AtomicU64,
    wall: fn() -> u64,
}

impl Clock {
    /// The time of this machine.
    pub(crate) fn system() -> Self {
        Self::new(wall_millis)
    }

    /// A time that goes with tokio's clock alone, which tests can pause.
    #[cfg(test)]
    pub(crate) fn steady() -> Self {
        Self::new(|| 1_000_000_000_000)
    }

    pub(crate) fn new(wall: fn() -> u64) -> Self {
        Self {
            origin: Instant::now(),
            offset: AtomicU64::new(wall()),
            wall,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = millis(self.origin.elapsed());
        let seen = (self.wall)().saturating_sub(elapsed);
        let mut offset = self.offset.load(Ordering::Relaxed);
        if seen >= offset.saturating_add(ROUNDING_MILLIS) {
            offset = self.offset.fetch_max(seen, Ordering::Relaxed).max(seen);
        }
        Timestamp::from_millis(offset.saturating_add(elapsed))
    }
}

/// The time of a run: that of the machine, but never before the last moment that is on record of it.
/// Where an earlier process had a clock that was ahead, it goes on from there, so that waits take as
/// long as they should.
#[derive(Debug)]
pub(crate) struct RunClock {
    clock: Arc<Clock>,
    /// That moment, if it is ahead, and when the run was there.
    ahead: Option<(Timestamp, Instant)>,
}

impl RunClock {
    pub(crate) fn new(clock: &Arc<Clock>, recorded: Timestamp) -> Self {
        let is_ahead = recorded > clock.now();
        Self {
            clock: Arc::clone(clock),
            ahead: is_ahead.then(|| (recorded, Instant::now())),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        match &self.ahead {
            Some((recorded, since)) => now.max(recorded.after(since.elapsed())),
            None => now,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else takes its time from"
)]
fn wall_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    static WALL: AtomicU64 = AtomicU64::new(5_000_000);

    #[tokio::test(start_paused = true)]
    async fn time_never_goes_back_and_never_stands_still() {
        let clock = Clock::new(|| WALL.load(Ordering::Relaxed));
        let start = clock.now();
        WALL.store(1_000, Ordering::Relaxed);
        assert_eq!(clock.now(), start);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.now().since(start), Duration::from_secs(3));
        WALL.store(60_000_000, Ordering::Relaxed);
        assert_eq!(clock.now(), Timestamp::from_millis(60_000_000));
        WALL.store(0, Ordering::Relaxed);
        assert_eq!(clock.now(), Timestamp::from_millis(60_000_000));
    }
}
