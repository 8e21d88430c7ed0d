//! How often and how fast a node is tried again: plain data.

use std::time::Duration;

use zahir_store::ChildLimits;

use crate::job::Options;

/// The waits between attempts.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "plain data, built by the macros")]
pub enum Backoff {
    /// `backoff = 100ms..10s`: the first wait, doubled each time, up to the longest, with a jitter of
    /// up to a fifth.
    Exponential {
        /// The wait after the first failure.
        first: Duration,
        /// No wait is longer.
        longest: Duration,
    },
    /// `backoff = 5s`: always the same, to the millisecond.
    Fixed(Duration),
    /// `backoff = [1s, 10s, 1m]`: one after the other, and then always the last.
    Steps(&'static [Duration]),
    /// `backoff = my_waits`: whatever the function says, which is given how many attempts in a row
    /// have failed, 1 after the first.
    Custom(fn(u32) -> Duration),
}

impl Backoff {
    /// Used where only `retry` is given.
    pub const DEFAULT: Self = Self::Exponential {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(30),
    };
}

/// As many attempts as it takes: `retry = forever`.
pub const FOREVER: u32 = u32::MAX;

/// What a call changes of its job's options: `.retry(..)`, `.timeout(..)`, `.total_timeout(..)`,
/// `.backoff(..)`.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    retry: Option<u32>,
    backoff: Option<Backoff>,
    timeout: Option<Duration>,
    total_timeout: Option<Duration>,
}

impl Settings {
    /// Nothing is changed.
    pub const NONE: Self = Self {
        retry: None,
        backoff: None,
        timeout: None,
        total_timeout: None,
    };

    /// Try again up to `attempts` more times when it fails.
    #[must_use]
    pub const fn retry(mut self, attempts: u32) -> Self {
        self.retry = Some(attempts);
        self
    }

    /// The waits between attempts.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Fail the node if all of its attempts together take longer.
    #[must_use]
    pub const fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
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
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Policy {
    /// How many more attempts after the first; [`FOREVER`] for as many as it takes.
    pub retry: u32,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How long all attempts together may take, from the start of the first; the waits between them,
    /// and the time while the process is down, count.
    pub total_timeout: Option<Duration>,
    /// Whether it is never started a second time.
    pub at_most_once: bool,
}

impl Policy {
    /// One attempt, for as long as it takes.
    pub const ONCE: Self = Self {
        retry: 0,
        backoff: Backoff::DEFAULT,
        timeout: None,
        total_timeout: None,
        at_most_once: false,
    };

    /// The same, overridden by what the call of a child says.
    pub(crate) fn limited(mut self, limits: &ChildLimits) -> Self {
        self.retry = limits.retry.unwrap_or(self.retry);
        self.timeout = limits.timeout.map(Duration::from_millis).or(self.timeout);
        let total_timeout = limits.total_timeout.map(Duration::from_millis);
        self.total_timeout = total_timeout.or(self.total_timeout);
        self
    }

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
            total_timeout: match settings.total_timeout {
                Some(timeout) => Some(timeout),
                None => options.node_timeout(),
            },
            at_most_once: options.is_at_most_once(),
        }
    }

    /// How long to wait after the `failures`-th failure in a row, counted from 1.
    ///
    /// The jitter of an exponential backoff depends on `seed` and `failures` alone. What a custom one
    /// says is the caller's to ask, as that is user code: here it is the default's first wait.
    #[must_use]
    pub fn delay(&self, failures: u32, seed: u64) -> Duration {
        let past = failures.saturating_sub(1);
        match self.backoff {
            Backoff::Exponential { first, longest } => {
                let factor = 1_u32.checked_shl(past).unwrap_or(u32::MAX);
                let wait = first.saturating_mul(factor);
                let jitter = u32::from(jitter_per_mille(seed, failures));
                wait.saturating_add((wait / 1000).saturating_mul(jitter))
                    .min(longest)
            }
            Backoff::Fixed(wait) => wait,
            Backoff::Steps(steps) => {
                let past = usize::try_from(past).unwrap_or(usize::MAX);
                let step = steps.get(past).or(steps.last());
                step.copied().unwrap_or_default()
            }
            Backoff::Custom(_) => Duration::from_millis(100),
        }
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
            backoff: Backoff::Exponential {
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
            let most = (base + base / 5).min(Duration::from_secs(1));
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
        assert!(matches!(policy.backoff, Backoff::Exponential { .. }));
    }
}
