//! How often and how fast a node is tried again: plain data.

use std::time::Duration;

use crate::job::Options;

/// The waits between attempts: the first, doubled each time, up to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by the macros")]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// Used where only `retry` is given.
    pub const DEFAULT: Self = Self {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(30),
    };
}

/// What a call changes of its job's options: `.retry(..)`, `.timeout(..)`, `.backoff(..)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    retry: Option<u32>,
    backoff: Option<Backoff>,
    timeout: Option<Duration>,
}

impl Settings {
    /// Nothing is changed.
    pub const NONE: Self = Self {
        retry: None,
        backoff: None,
        timeout: None,
    };

    /// Try again up to `attempts` more times when it fails.
    #[must_use]
    pub const fn retry(mut self, attempts: u32) -> Self {
        self.retry = Some(attempts);
        self
    }

    /// Wait `first` before the second attempt, then twice as long each time, up to `longest`.
    #[must_use]
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Some(Backoff { first, longest });
        self
    }

    /// Fail an attempt that takes longer.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

/// What holds for one node: its job's options, overridden by its own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Policy {
    /// How many more attempts after the first.
    pub retry: u32,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
}

impl Policy {
    /// One attempt, for as long as it takes.
    pub const ONCE: Self = Self {
        retry: 0,
        backoff: Backoff::DEFAULT,
        timeout: None,
    };

    /// `options`, overridden by `settings`.
    #[must_use]
    pub const fn of(options: &Options, settings: Settings) -> Self {
        Self {
            retry: match settings.retry {
                Some(retry) => retry,
                None => options.retry_max(),
            },
            backoff: match (settings.backoff, options.backoff_waits()) {
                (Some(backoff), _) | (None, Some(backoff)) => backoff,
                (None, None) => Backoff::DEFAULT,
            },
            timeout: match settings.timeout {
                Some(timeout) => Some(timeout),
                None => options.attempt_timeout(),
            },
        }
    }

    /// How long to wait after the `failures`-th failure in a row, counted from 1.
    ///
    /// Doubles from the first wait, and adds a jitter of up to a fifth, which depends on `seed` and
    /// `failures` alone; but never waits longer than the longest.
    #[must_use]
    pub fn delay(&self, failures: u32, seed: u64) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let wait = self.backoff.first.saturating_mul(factor);
        let jitter = u32::from(jitter_per_mille(seed, failures));
        wait.saturating_add((wait / 1000).saturating_mul(jitter))
            .min(self.backoff.longest)
    }
}

/// 0 to 200, evenly spread over seeds and counts.
fn jitter_per_mille(seed: u64, failures: u32) -> u8 {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..].copy_from_slice(&failures.to_le_bytes());
    let hash = xxhash_rust::xxh3::xxh3_64(&key);
    u8::try_from(hash % 201).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(first: u64, longest: u64) -> Policy {
        Policy {
            backoff: Backoff {
                first: Duration::from_millis(first),
                longest: Duration::from_millis(longest),
            },
            ..Policy::ONCE
        }
    }

    #[test]
    fn waits_double_with_a_jitter_of_up_to_a_fifth_up_to_the_longest() {
        let policy = policy(100, 1_000);
        for (failures, base) in [
            (1, 100),
            (2, 200),
            (3, 400),
            (4, 800),
            (5, 1_000),
            (90, 1_000),
        ] {
            let base = Duration::from_millis(base);
            let most = (base + base / 5).min(policy.backoff.longest);
            for seed in 0..50 {
                let wait = policy.delay(failures, seed);
                assert!(wait >= base && wait <= most, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn waits_are_total_and_repeatable() {
        let extreme = policy(u64::MAX, u64::MAX);
        assert_eq!(extreme.delay(u32::MAX, 3), extreme.delay(u32::MAX, 3));
        assert_eq!(policy(0, 0).delay(7, 1), Duration::ZERO);
        assert_ne!(
            policy(1_000, 2_000).delay(1, 1),
            policy(1_000, 2_000).delay(1, 2)
        );
    }

    #[test]
    fn a_setting_of_the_call_overrides_the_option_of_the_job() {
        let options = Options::NONE.retry(3).timeout(Duration::from_secs(30));
        let policy = Policy::of(&options, Settings::NONE.retry(1));
        assert_eq!(policy.retry, 1);
        assert_eq!(policy.timeout, Some(Duration::from_secs(30)));
        assert_eq!(policy.backoff, Backoff::DEFAULT);
    }
}
