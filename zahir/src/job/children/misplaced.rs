//! Methods that are written where there are none: they say so, and do not compile.

use crate::job::children::child::Child;
use crate::job::{Call, Job};

/// What may be said of a call before it is spawned: nothing implements it.
#[diagnostic::on_unimplemented(
    message = "this is said of a child, and a call of `{Self}` is none yet",
    label = "said of a call of `{Self}`, which is not spawned yet",
    note = "write it behind `ctx.spawn(..)`, as in `ctx.spawn(the_job(..)).retry(3)`",
    note = "what holds for every call of a job is said by the job: `#[job(retry = 3, timeout = 30s)]`"
)]
pub trait Unspawned: Job {
    #[doc(hidden)]
    fn unspawned<A, T>(_: A) -> T;
}

/// What a child has no setting of its own for: nothing implements it.
#[diagnostic::on_unimplemented(
    message = "a child has no `backoff` of its own",
    label = "said of a child or a call of `{Self}`",
    note = "how long is waited between attempts is said by the job: `#[job(retry = 3, backoff = 5s)]`"
)]
pub trait ChildBackoff: Job {
    #[doc(hidden)]
    fn child_backoff<A, T>(_: A) -> T;
}

/// What may be taken from a child that was not awaited: nothing implements it.
#[diagnostic::on_unimplemented(
    message = "a child of `{Self}` has no output before it is awaited",
    label = "taken from a child that was not awaited",
    note = "write `.await` behind it, as in `ctx.spawn(the_job(..)).await?`"
)]
pub trait Unawaited: Job {
    #[doc(hidden)]
    fn unawaited<A, T>(_: A) -> T;
}

impl<J: Job> Call<'_, J> {
    #[doc(hidden)]
    pub fn key(self, key: impl Sized) -> Self
    where
        J: Unspawned,
    {
        J::unspawned((self, key))
    }

    #[doc(hidden)]
    pub fn detached(self) -> Self
    where
        J: Unspawned,
    {
        J::unspawned(self)
    }

    #[doc(hidden)]
    pub fn retry(self, times: impl Sized) -> Self
    where
        J: Unspawned,
    {
        J::unspawned((self, times))
    }

    #[doc(hidden)]
    pub fn backoff(self, waits: impl Sized) -> Self
    where
        J: ChildBackoff,
    {
        J::child_backoff((self, waits))
    }

    #[doc(hidden)]
    pub fn timeout(self, time: impl Sized) -> Self
    where
        J: Unspawned,
    {
        J::unspawned((self, time))
    }

    #[doc(hidden)]
    pub fn total_timeout(self, time: impl Sized) -> Self
    where
        J: Unspawned,
    {
        J::unspawned((self, time))
    }
}

impl<C: Job> Child<C> {
    #[doc(hidden)]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "a child that is let go follows"
    )]
    pub fn backoff(self, waits: impl Sized) -> Self
    where
        C: ChildBackoff,
    {
        C::child_backoff((self, waits))
    }

    #[doc(hidden)]
    #[must_use]
    pub fn unwrap(self) -> C::Output
    where
        C: Unawaited,
    {
        C::unawaited(self)
    }

    #[doc(hidden)]
    #[must_use]
    pub fn expect(self, message: &str) -> C::Output
    where
        C: Unawaited,
    {
        C::unawaited((self, message))
    }
}
