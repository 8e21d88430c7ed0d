//! `ctx.map(items, |item| job(item)).limit(n)`: as many children as there are items, not all at once.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::StreamExt;
use zahir_store::{ChildCall, Fan};

use crate::job::children::alone;
use crate::job::children::child::{gone_of, settle};
use crate::job::children::error::JoinError;
use crate::job::children::join::Group;
use crate::job::children::kind::KindDef;
use crate::job::children::line::{ChildEnd, ChildId, FAN_KEY, Line};
use crate::job::{BoxFuture, Job};
use crate::value::Value;

/// How many children of a fan there are, beyond those that may run, before the next are spawned ..
const AHEAD_MAX: usize = 1024;

/// .. and how few. In between they are spawned together, in one append to the store.
const AHEAD_MIN: usize = 512;

/// One child for each of many items: what [`Context::map`](crate::Context::map) gives. Awaiting it
/// gives the outputs in the order of the items.
///
/// The items are taken one after the other, a thousand or so ahead of what may run: of a million of
/// them, few are in memory at a time. The outputs all are.
#[must_use = "no child is spawned before this is awaited"]
pub struct Map<'c, C: Job> {
    line: Arc<Line>,
    kind: KindDef,
    /// The inputs of the children.
    arguments: Option<Box<dyn Iterator<Item = Vec<u8>> + Send + 'c>>,
    names: Names,
    fan: u32,
    limit: Option<u32>,
    group: Option<Group>,
    /// Which item a child is for that is not over.
    open: HashMap<ChildId, usize>,
    ends: Ends,
    /// What runs them, outside of a run.
    alone: Option<BoxFuture<'c, Vec<ChildEnd>>>,
    of: PhantomData<fn() -> C>,
}

/// What the children of a fan are called: the same in every attempt, whatever else is spawned
/// meanwhile.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// By numbers of their own, from this one on.
    Numbers { first: u32, count: usize },
    /// By keys: nobody knew how many there would be.
    Keys,
}

/// What became of the children so far.
#[derive(Default)]
struct Ends {
    /// The outputs, by item. Not kept behind a failure.
    outputs: Vec<Option<Value>>,
    failed: Vec<(usize, ChildEnd)>,
    count: usize,
}

impl<'c, C: Job> Map<'c, C> {
    pub(crate) fn new(
        line: &Arc<Line>,
        kind: KindDef,
        arguments: impl Iterator<Item = Vec<u8>> + Send + 'c,
    ) -> Self {
        let names = match arguments.size_hint() {
            (least, Some(most)) if least == most && u32::try_from(most).is_ok() => Names::Numbers {
                first: line.reserve(u32::try_from(most).unwrap_or(u32::MAX)),
                count: most,
            },
            _ => Names::Keys,
        };
        Self {
            kind,
            arguments: Some(Box::new(arguments)),
            names,
            fan: line.fan(),
            limit: None,
            group: None,
            open: HashMap::new(),
            ends: Ends::default(),
            alone: None,
            of: PhantomData,
            line: Arc::clone(line),
        }
    }

    /// At most so many of the children run at once; at least one does.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(u32::try_from(limit).unwrap_or(u32::MAX).max(1));
        self
    }

    fn running_max(&self) -> usize {
        let limit = self.limit.map(usize::try_from);
        limit.and_then(Result::ok).unwrap_or(usize::MAX)
    }

    /// Spawns as many as may be ahead: says whether there is any left. `None` if it can't.
    fn spawn(&mut self, group: &Group) -> Option<bool> {
        let Some(arguments) = &mut self.arguments else {
            return Some(false);
        };
        let limit = self.limit.map(|limit| Fan {
            number: self.fan,
            limit,
        });
        let ahead = self
            .limit
            .map_or(usize::MAX, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            })
            .saturating_add(AHEAD_MAX);
        let kind = self.line.kind(self.kind.name())?;
        let mut spawned = Vec::new();
        while self.open.len() < ahead {
            let Some(arguments) = arguments.next() else {
                self.arguments = None;
                break;
            };
            let item = self.ends.count;
            self.ends.count += 1;
            let call = self.names.call(self.fan, item);
            // If it can't be spawned the attempt fails, and the items may have no end.
            let id = self.line.spawn_as(call, kind, arguments, limit)?;
            self.open.insert(id, item);
            spawned.push(id);
        }
        self.line.join(group.id(), spawned);
        Some(self.arguments.is_some())
    }

    /// Outside of a run.
    fn run_alone(&mut self) -> BoxFuture<'c, Vec<ChildEnd>> {
        let kind = self.kind;
        let limit = self.running_max();
        let arguments = self.arguments.take().into_iter().flatten();
        let runs = arguments.map(move |arguments| alone::run(kind, arguments));
        if self.limit.is_none() {
            return Box::pin(futures_util::future::join_all(runs));
        }
        Box::pin(futures_util::stream::iter(runs).buffered(limit).collect())
    }
}

impl Names {
    fn call(self, fan: u32, item: usize) -> ChildCall {
        match self {
            Self::Numbers { first, count } if item < count => {
                let item = u32::try_from(item).unwrap_or(u32::MAX);
                ChildCall::Number(first.saturating_add(item))
            }
            // Also for what is more than there was said to be.
            Self::Numbers { .. } | Self::Keys => ChildCall::Key(format!("{FAN_KEY}{fan})[{item}]")),
        }
    }
}

impl Ends {
    fn add(&mut self, item: usize, end: ChildEnd) {
        match end {
            ChildEnd::Succeeded(output) if self.failed.is_empty() => {
                if self.outputs.len() <= item {
                    self.outputs.resize(item + 1, None);
                }
                if let Some(slot) = self.outputs.get_mut(item) {
                    *slot = Some(output);
                }
            }
            ChildEnd::Succeeded(_) => {}
            ChildEnd::Failed(..) => {
                self.outputs = Vec::new();
                self.failed.push((item, end));
            }
        }
    }

    fn finish<C: Job>(self) -> Result<Vec<C::Output>, JoinError<C::Error>> {
        let Self {
            outputs,
            mut failed,
            count,
        } = self;
        failed.sort_unstable_by_key(|(item, _)| *item);
        let failed = failed.into_iter().map(|(_, end)| end);
        let succeeded = outputs.into_iter().flatten().map(ChildEnd::Succeeded);
        JoinError::of(count, failed.chain(succeeded).map(settle::<C>))
    }
}

impl<C: Job> Future for Map<'_, C> {
    type Output = Result<Vec<C::Output>, JoinError<C::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let map = self.get_mut();
        if map.line.is_detached() {
            if map.alone.is_none() {
                map.alone = Some(map.run_alone());
            }
            let Some(alone) = &mut map.alone else {
                return Poll::Pending;
            };
            return alone.as_mut().poll(context).map(|ends| {
                let count = ends.len();
                JoinError::of(count, ends.into_iter().map(settle::<C>))
            });
        }
        let line = Arc::clone(&map.line);
        let group = map.group.take().unwrap_or_else(|| Group::new(&line));
        loop {
            let Some(has_more) = map.spawn(&group) else {
                return Poll::Pending;
            };
            let open_max = if has_more {
                map.running_max().saturating_add(AHEAD_MIN)
            } else {
                0
            };
            let Poll::Ready(ended) = line.poll_group(group.id(), open_max, context) else {
                map.group = Some(group);
                return Poll::Pending;
            };
            let ended = match ended {
                Ok(ended) => ended,
                Err(gone) => {
                    let gone = std::iter::once(Err::<C::Output, _>(gone_of::<C>(gone)));
                    return Poll::Ready(JoinError::of(map.ends.count, gone));
                }
            };
            for ended in ended {
                if let Some(item) = map.open.remove(&ended.id) {
                    map.ends.add(item, line.own(ended));
                }
            }
            if !has_more && map.open.is_empty() {
                return Poll::Ready(std::mem::take(&mut map.ends).finish::<C>());
            }
        }
    }
}

impl<C: Job> Drop for Map<'_, C> {
    /// Those that are not over follow.
    fn drop(&mut self) {
        self.group = None;
        for id in self.open.keys() {
            self.line.release(*id);
        }
    }
}

impl<C: Job> fmt::Debug for Map<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("of", &C::name())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
