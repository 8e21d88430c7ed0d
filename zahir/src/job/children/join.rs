//! Waiting for several children at once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::job::Job;
use crate::job::children::child::{Child, End, settle_or_gone};
use crate::job::children::line::{ChildEnd, ChildId, Gone, GroupId, Line};

/// Children that are waited for together, until this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    line: Arc<Line>,
    id: GroupId,
}

impl Group {
    pub(crate) fn new(line: &Arc<Line>) -> Self {
        Self {
            line: Arc::clone(line),
            id: line.group(),
        }
    }

    pub(crate) const fn id(&self) -> GroupId {
        self.id
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.line.disband(self.id);
    }
}

/// Demanded of a collection of `K`: that these are children of the job `C`. Every type is asked only
/// about `K`, so that rustc points at the collection.
#[diagnostic::on_unimplemented(
    message = "these are not children",
    label = "each is a `{K}`; expected a `Child`, as `ctx.spawn(..)` gives it",
    note = "spawn each call, and give the children by value: `ctx.join_all(calls.map(|call| ctx.spawn(call)))`"
)]
pub trait Children<C: Job, K> {
    #[doc(hidden)]
    fn __list_of_children(these: Self) -> Vec<Child<C>>
    where
        Self: IntoIterator<Item = K> + Sized;
}

#[diagnostic::do_not_recommend]
impl<C: Job, K: OneChild<C>, T> Children<C, K> for T {
    fn __list_of_children(these: Self) -> Vec<Child<C>>
    where
        Self: IntoIterator<Item = K>,
    {
        these.into_iter().map(K::child).collect()
    }
}

/// A child of the job `C`.
pub trait OneChild<C: Job> {
    #[doc(hidden)]
    fn child(self) -> Child<C>;
}

impl<C: Job> OneChild<C> for Child<C> {
    fn child(self) -> Self {
        self
    }
}

/// What becomes of these children, in this order, when all are over.
pub(crate) async fn join_settled<C: Job>(children: Vec<Child<C>>) -> Vec<End<C>> {
    let Some(line) = shared(&children) else {
        let ends = children.into_iter().map(|child| {
            let mut child = child.into_spawned();
            async move { std::future::poll_fn(|context| child.poll_end(context)).await }
        });
        let ends = futures_util::future::join_all(ends).await.into_iter();
        return ends.map(settle_or_gone::<C>).collect();
    };
    let ended = {
        let group = Group::new(&line);
        line.join(group.id, children.iter().map(|child| child.spawned().id()));
        std::future::poll_fn(|context| line.poll_group(group.id, 0, context)).await
    };
    let (ended, gone) = match ended {
        Ok(ended) => (ended, Gone::Taken),
        Err(gone) => (Vec::new(), gone),
    };
    let ended = ended.into_iter().map(|ended| (ended.id, line.own(ended)));
    let mut ended: HashMap<ChildId, ChildEnd> = ended.collect();
    let ends = children.into_iter().map(|child| {
        let end = ended.remove(&child.spawned().id());
        settle_or_gone::<C>(end.ok_or(gone))
    });
    ends.collect()
}

/// The line that all of them are on, if they are children of one attempt in a run.
fn shared<C: Job>(children: &[Child<C>]) -> Option<Arc<Line>> {
    let line = children.first()?.spawned().line();
    let is_shared = children
        .iter()
        .all(|child| Arc::ptr_eq(child.spawned().line(), line));
    (is_shared && !line.is_detached()).then(|| Arc::clone(line))
}
