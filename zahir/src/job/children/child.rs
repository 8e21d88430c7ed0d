//! One child: what is said of it while it is spawned, and its end.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use zahir_store::{Bond, ChildCall};

use crate::job::Job;
use crate::job::children::error::ChildError;
use crate::job::children::line::{End, Line, Noted};

/// A child of a job: what [`Context::spawn`](crate::Context::spawn) gives.
///
/// Awaiting it gives its output, or how it failed. Dropping it lets it follow: it runs behind the job,
/// and its failure is one of the workflow.
#[must_use = "a child that is not awaited follows its job; write `drop(..)` if that is meant"]
pub struct Child<C: Job> {
    spawned: Spawned,
    of: PhantomData<fn() -> C>,
}

/// A child, whatever its job.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) line: Arc<Line>,
    /// Which of the calls noted in the line it is.
    pub(crate) number: u32,
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.line.let_go(self.number);
    }
}

impl<C: Job> Child<C> {
    pub(crate) fn new(line: Arc<Line>, number: u32) -> Self {
        Self {
            spawned: Spawned { line, number },
            of: PhantomData,
        }
    }

    /// Says by what it is found when an attempt of its job runs again, in place of its number among
    /// the children without a key. For calls whose order may differ from one attempt to the next.
    pub fn key(self, key: impl Into<String>) -> Self {
        self.spawned.line.key(self.spawned.number, key.into());
        self
    }

    /// Lets it run behind the job, and says that its failure concerns nobody.
    pub fn detached(self) {
        self.amend(|noted| noted.bond = Bond::Detached);
    }

    /// Up to so many more attempts after a failure, whatever its job says.
    pub fn retry(self, times: u32) -> Self {
        self.amend(|noted| noted.limits.retry = Some(times));
        self
    }

    /// The longest that an attempt of it may take, whatever its job says.
    pub fn timeout(self, time: Duration) -> Self {
        self.amend(|noted| noted.limits.timeout = Some(millis(time)));
        self
    }

    /// The longest that all attempts of it together may take, with the waits between them, whatever
    /// its job says.
    pub fn total_timeout(self, time: Duration) -> Self {
        self.amend(|noted| noted.limits.total_timeout = Some(millis(time)));
        self
    }

    fn amend(&self, change: impl FnOnce(&mut Noted)) {
        self.spawned.line.amend(self.spawned.number, change);
    }

    /// The child without its type.
    pub(crate) fn into_spawned(self) -> Spawned {
        self.spawned
    }
}

impl<C: Job> Future for Child<C> {
    type Output = Result<C::Output, ChildError<C::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Spawned { line, number } = &self.spawned;
        line.poll_end(*number, context).map(settle::<C>)
    }
}

/// How a child ended, with its types.
fn settle<C: Job>(end: End) -> Result<C::Output, ChildError<C::Error>> {
    match end {
        Ok(output) => (C::CODEC.take)(output).map_err(|error| ChildError::unreadable(&error)),
        Err((failure, error)) => Err(ChildError::new(failure, error)),
    }
}

/// Whole milliseconds, at least one.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What finds a call again that has no key.
pub(crate) const fn numbered(number: u32) -> ChildCall {
    ChildCall::Number(number)
}

impl<C: Job> fmt::Debug for Child<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Child").field(&C::name()).finish()
    }
}
