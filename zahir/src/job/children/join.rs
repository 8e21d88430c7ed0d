//! Waiting for several children at once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::job::Job;
use crate::job::children::child::{Child, End, gone_of, settle};
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

/// What becomes of these children, in this order, when all are over.
pub(crate) async fn join_settled<C: Job>(children: Vec<Child<C>>) -> Vec<End<C>> {
    let Some(line) = shared(&children) else {
        return futures_util::future::join_all(children).await;
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
        end.map_or_else(|| Err(gone_of::<C>(gone)), settle::<C>)
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
