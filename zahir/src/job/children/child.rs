//! One child: what is said of it while it is spawned, and its end.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use zahir_store::{ChildCall, ChildLimits, FailureKind};

use crate::job::children::alone::Alone;
use crate::job::children::error::ChildError;
use crate::job::children::kind::KindDef;
use crate::job::children::line::{ChildEnd, ChildId, Gone, GroupId, Line};
use crate::job::effect::{Attempts, Retries};
use crate::job::{Job, failure};

/// A child of a job: what [`Context::spawn`](crate::Context::spawn) gives.
///
/// Awaiting it gives its output, or how it failed. Dropping it lets it follow: it runs behind the job,
/// and its failure is one of the workflow.
///
/// It can be awaited in any way a future can: also by reference, in `select!` and `join!`, together
/// with futures that are no children, or in a task of its own. While a job waits for children and for
/// nothing that has come yet, it needs no slot, and its `timeout` does not run.
///
/// It is awaited once. Awaited again, or when the attempt that has spawned it is over, it gives a
/// [`ChildError`] that says so.
pub struct Child<C: Job> {
    spawned: Spawned,
    of: PhantomData<fn() -> C>,
}

/// A child, whatever its job.
#[derive(Debug)]
pub(crate) struct Spawned {
    line: Arc<Line>,
    id: ChildId,
    /// What waits for it alone.
    group: Option<GroupId>,
    /// What runs it, outside of a run.
    alone: Option<Box<Alone>>,
}

/// Stands for a child that could not be spawned: the attempt has failed.
const NOBODY: ChildId = ChildId::MAX;

impl Spawned {
    /// A child with these inputs.
    pub(crate) fn new(line: &Arc<Line>, kind: KindDef, arguments: Vec<u8>) -> Self {
        let alone = line
            .is_detached()
            .then(|| Box::new(Alone::new(kind, arguments.clone())));
        let node = if alone.is_none() {
            line.kind(kind.name())
        } else {
            None
        };
        let id = node.and_then(|node| line.spawn(node, arguments));
        Self {
            line: Arc::clone(line),
            id: id.unwrap_or(NOBODY),
            group: None,
            alone,
        }
    }

    pub(crate) const fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(crate) const fn id(&self) -> ChildId {
        self.id
    }

    /// What runs it, outside of a run.
    pub(crate) fn alone(&self) -> Option<&Alone> {
        self.alone.as_deref()
    }

    /// What the driver finds it by.
    pub(crate) fn call(&self) -> Option<ChildCall> {
        self.line.call(self.id)
    }

    /// How it ended.
    pub(crate) fn poll_end(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<ChildEnd, Gone>> {
        if let Some(alone) = &mut self.alone {
            return alone.poll_end(context);
        }
        if self.id == NOBODY {
            // The attempt is dropped here.
            return Poll::Pending;
        }
        let line = &self.line;
        let group = *self.group.get_or_insert_with(|| {
            let group = line.group();
            line.join(group, [self.id]);
            group
        });
        let polled = line.poll_group(group, 0, context);
        polled.map(|ended| {
            let ended = ended?.pop().ok_or(Gone::Taken)?;
            Ok(line.own(ended))
        })
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            self.line.disband(group);
        }
        self.line.release(self.id);
    }
}

impl<C: Job> Child<C> {
    pub(crate) const fn new(spawned: Spawned) -> Self {
        Self {
            spawned,
            of: PhantomData,
        }
    }

    /// Says by what it is found when an attempt of its job runs again, in place of its number among
    /// the children without a key. For calls whose order may differ from one attempt to the next. No
    /// two children of an attempt have the same key.
    ///
    /// This and the following belong to the expression that spawns the child: once the job has awaited
    /// something they come too late, and the attempt fails.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "a child that is let go follows"
    )]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.spawned.line.set_key(self.spawned.id, key.into());
        self
    }

    /// Lets it run behind the job, and says that its failure concerns nobody.
    pub fn detached(self) {
        self.spawned.line.set_detached(self.spawned.id);
    }

    /// Up to so many more attempts after a failure, whatever its job says; [`FOREVER`](crate::FOREVER)
    /// for as many as it takes.
    #[expect(
        clippy::return_self_not_must_use,
        clippy::must_use_candidate,
        reason = "a child that is let go follows"
    )]
    pub fn retry(self, times: u32) -> Self
    where
        C: Attempts + Retries,
    {
        self.limit("retry", |limits| limits.retry = Some(times));
        self
    }

    /// The longest that an attempt of it may take, whatever its job says.
    #[expect(
        clippy::return_self_not_must_use,
        clippy::must_use_candidate,
        reason = "a child that is let go follows"
    )]
    pub fn timeout(self, time: Duration) -> Self
    where
        C: Attempts,
    {
        self.limit("timeout", |limits| limits.timeout = Some(millis(time)));
        self
    }

    /// The longest that all attempts of it together may take, with the waits between them, whatever
    /// its job says.
    #[expect(
        clippy::return_self_not_must_use,
        clippy::must_use_candidate,
        reason = "a child that is let go follows"
    )]
    pub fn total_timeout(self, time: Duration) -> Self
    where
        C: Attempts,
    {
        self.limit("total_timeout", |limits| {
            limits.total_timeout = Some(millis(time));
        });
        self
    }

    fn limit(&self, method: &'static str, change: impl FnOnce(&mut ChildLimits)) {
        self.spawned.line.limit(self.spawned.id, method, change);
    }

    pub(crate) const fn spawned(&self) -> &Spawned {
        &self.spawned
    }

    /// The child without its type.
    pub(crate) fn into_spawned(self) -> Spawned {
        self.spawned
    }
}

/// What awaiting a child gives.
pub(crate) type End<C> = Result<<C as Job>::Output, ChildError<<C as Job>::Error>>;

impl<C: Job> Future for Child<C> {
    type Output = End<C>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.spawned.poll_end(context).map(settle_or_gone::<C>)
    }
}

/// How a child ended, or what is said in place of it, with its types.
pub(crate) fn settle_or_gone<C: Job>(end: Result<ChildEnd, Gone>) -> End<C> {
    end.map_or_else(|gone| Err(gone_of::<C>(gone)), settle::<C>)
}

/// How a child ended, with its types.
pub(crate) fn settle<C: Job>(end: ChildEnd) -> End<C> {
    match end {
        ChildEnd::Succeeded(output) => (C::CODEC.take)(output).map_err(|error| {
            let text = format!(
                "the output of `{}` can't be handed over: {error}",
                C::name()
            );
            ChildError::without(C::name(), failure(FailureKind::Undecodable, text))
        }),
        ChildEnd::Failed(failure, error) => Err(ChildError::new(*failure, error)),
    }
}

/// What is said in place of how a child ended.
pub(crate) fn gone_of<C: Job>(gone: Gone) -> ChildError<C::Error> {
    ChildError::without(C::name(), gone.failure())
}

/// Whole milliseconds, at least one.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl<C: Job> fmt::Debug for Child<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Child").field(&C::name()).finish()
    }
}
