//! What `#[job(..)]` says about a job: plain data.

use std::time::Duration;

use crate::job::policy::Backoff;

/// Whose result a run may be given in place of one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nobody's.
    None,
    /// That of a call with the same inputs, no older than this.
    ByInputs(Option<Duration>),
    /// That of a call with the same key.
    ByKey,
}

/// What `#[job(..)]` says about a job.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    retry: u32,
    backoff: Option<Backoff>,
    timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    at_most_once: bool,
    is_pure: bool,
    no_undo: bool,
    sharing: Sharing,
    tags: &'static [&'static str],
    version: u32,
}

impl Options {
    /// One attempt, for as long as it takes; no tags; version 0.
    pub const NONE: Self = Self {
        retry: 0,
        backoff: None,
        timeout: None,
        total_timeout: None,
        at_most_once: false,
        is_pure: false,
        no_undo: false,
        sharing: Sharing::None,
        tags: &[],
        version: 0,
    };

    /// Try again up to `attempts` more times when it fails; [`FOREVER`](crate::FOREVER) for as many as
    /// it takes.
    #[must_use]
    pub const fn retry(mut self, attempts: u32) -> Self {
        self.retry = attempts;
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

    /// Never start it a second time.
    #[must_use]
    pub const fn at_most_once(mut self) -> Self {
        self.at_most_once = true;
        self
    }

    /// It has no effect: nothing has to be undone, and its result may be computed again.
    #[must_use]
    pub const fn pure(mut self) -> Self {
        self.is_pure = true;
        self
    }

    /// Its result has no need to be undone.
    #[must_use]
    pub const fn no_undo(mut self) -> Self {
        self.no_undo = true;
        self
    }

    /// Use the result that a call with the same inputs has had in any run.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.sharing = Sharing::ByInputs(None);
        self
    }

    /// Use the result that a call with the same key has had in any run.
    #[must_use]
    pub const fn once_by(mut self) -> Self {
        self.sharing = Sharing::ByKey;
        self
    }

    /// Use the result that a call with the same inputs has had in any run for so long.
    #[must_use]
    pub const fn cache(mut self, time: Duration) -> Self {
        self.sharing = Sharing::ByInputs(Some(time));
        self
    }

    /// Fail an attempt that takes longer.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Words to find the job by.
    #[must_use]
    pub const fn tags(mut self, tags: &'static [&'static str]) -> Self {
        self.tags = tags;
        self
    }

    /// Part of the job's fingerprint: raise it when its results are no longer what they were.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// How many more attempts after the first; [`FOREVER`](crate::FOREVER) for as many as it takes.
    #[must_use]
    pub const fn retry_max(&self) -> u32 {
        self.retry
    }

    /// The waits between attempts, if they are not the default.
    #[must_use]
    pub const fn backoff_waits(&self) -> Option<Backoff> {
        self.backoff
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn attempt_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How long all attempts of a node together may take.
    #[must_use]
    pub const fn node_timeout(&self) -> Option<Duration> {
        self.total_timeout
    }

    /// Whether it is never started a second time.
    #[must_use]
    pub const fn is_at_most_once(&self) -> bool {
        self.at_most_once
    }

    /// Whether it has no effect.
    #[must_use]
    pub const fn is_pure(&self) -> bool {
        self.is_pure
    }

    /// Whether its result has no need to be undone, as it says itself.
    #[must_use]
    pub const fn needs_no_undo(&self) -> bool {
        self.no_undo || self.is_pure
    }

    /// Whether it runs once for all runs: for each of its inputs, or for each key.
    #[must_use]
    pub const fn is_once(&self) -> bool {
        matches!(self.sharing, Sharing::ByInputs(None) | Sharing::ByKey)
    }

    /// How long its results are those of other runs, too.
    #[must_use]
    pub const fn cache_time(&self) -> Option<Duration> {
        match self.sharing {
            Sharing::ByInputs(time) => time,
            Sharing::None | Sharing::ByKey => None,
        }
    }

    pub(crate) const fn sharing(&self) -> Sharing {
        self.sharing
    }

    pub(crate) const fn is_shared(&self) -> bool {
        !matches!(self.sharing, Sharing::None)
    }

    /// The words to find the job by.
    #[must_use]
    pub const fn tag_words(&self) -> &'static [&'static str] {
        self.tags
    }

    /// The declared version.
    #[must_use]
    pub const fn declared_version(&self) -> u32 {
        self.version
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::NONE
    }
}
