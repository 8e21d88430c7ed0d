//! `for`: one frame for each item, as many at once as there is use for.

use zahir_store::{Failure, FailureKind, NodeId, Record};

use super::action::Evaluation;
use super::frame::{FrameId, Place};
use super::state::{Change, Departure, Each, Instance, Item, State};
use super::{Engine, Phase};
use crate::plan::{Exit, PlanKind};

/// How many nodes may be ready before no further item is begun. A `for` over a million items keeps
/// about this many frames beyond those that have a job under way.
const READY_AHEAD: usize = 256;

impl<V: Clone> Engine<V> {
    /// The items of a `for` that is on record are computed again, once.
    pub(super) fn compute_items(&mut self, place: Place) {
        let is_needed = self.each_mut(place).is_some_and(|each| {
            each.items.is_none() && !std::mem::replace(&mut each.is_computing, true)
        });
        if is_needed && let Some(inputs) = self.inputs(place) {
            self.evaluate(place, Evaluation::Step, inputs);
        }
    }

    /// The items of a `for` are known.
    pub(super) fn count_items(&mut self, place: Place, items: Vec<V>) {
        let Ok(count) = u32::try_from(items.len()) else {
            let message = format!(
                "this `for` goes over {} items; at most {} are possible",
                items.len(),
                u32::MAX
            );
            return self.fail(
                place,
                Failure {
                    kind: FailureKind::TooLarge,
                    message,
                },
            );
        };
        let on_record = self.each(place).map(|each| each.results.len());
        match on_record {
            None => {
                self.outbox.record(|| Record::ItemsCounted {
                    at: self.frames.position(place),
                    items: count,
                });
                self.set_count(place, items.len());
            }
            Some(recorded) if recorded == items.len() => {}
            Some(recorded) => {
                let message = format!(
                    "this `for` went over {recorded} items before the restart and would go over \
                     {count} now: what it goes over must depend on nothing but values of the workflow"
                );
                return self.fail(
                    place,
                    Failure {
                        kind: FailureKind::Diverged,
                        message,
                    },
                );
            }
        }
        self.deal_items(place, items);
    }

    /// Makes room for the results; the same for a live count and for one on record.
    pub(super) fn set_count(&mut self, place: Place, count: usize) {
        self.change(place, Change::Counted(count));
        let body = self.region_of(place, 0);
        let jobs = body.map_or(0, |body| self.plan.region(body).jobs);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.progress.known = self
            .progress
            .known
            .saturating_add(jobs.saturating_mul(count));
    }

    /// Gives items to the frames that replay rebuilt, drops those that have their result, and keeps
    /// the rest for frames to come.
    ///
    /// If the run was revised, more may have been rebuilt than may be under way at once: what was
    /// under way comes first, and the others wait, before those that have not begun.
    fn deal_items(&mut self, place: Place, items: Vec<V>) {
        let mut waiting = Vec::with_capacity(items.len());
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for (value, index) in items.into_iter().zip(0_u32..) {
            let frame = self.replayed.get(&(place, index)).copied();
            let item = Item {
                index,
                has_begun: frame.is_some(),
                value,
            };
            match frame {
                Some(frame) if self.was_under_way(frame) => first.push(item),
                Some(_) => later.push(item),
                None if self.each(place).is_some_and(|each| each.lacks(index)) => {
                    waiting.push(item);
                }
                None => {}
            }
        }
        let room = self.room(place).saturating_sub(first.len());
        if later.len() > room {
            waiting.splice(0..0, later.drain(room..));
        }
        first.extend(later);
        if let Some(each) = self.each_mut(place) {
            each.items = Some(waiting.into_iter());
            each.is_computing = true;
            each.active = u32::try_from(first.len()).unwrap_or(u32::MAX);
        }
        self.going.push(place);
        for item in first {
            if let Some(frame) = self.frame_of(place, item.index) {
                self.wake(frame, [item.value]);
            }
        }
        self.join_if_done(place);
    }

    /// How many items may be under way at once; where everything comes to its end, all that were.
    fn room(&self, place: Place) -> usize {
        if let PlanKind::Each { limit: Some(limit) } = self.plan.node(place.node).kind
            && !self.is_stopped(place.frame)
        {
            usize::try_from(limit).unwrap_or(usize::MAX)
        } else {
            usize::MAX
        }
    }

    /// Whether something in a frame that replay rebuilt was under way: an attempt, or a block whose
    /// `finally` has not ended.
    pub(super) fn was_under_way(&self, id: FrameId) -> bool {
        let Some(frame) = self.frames.get(id) else {
            return false;
        };
        let nodes = &self.plan.region(frame.region).nodes;
        let is_owed = |(instance, node): (&Instance<V>, &NodeId)| {
            let place = Place {
                frame: id,
                node: *node,
            };
            let last = self.replayed.get(&(place, 1));
            let last = last.and_then(|last| self.frames.get(*last));
            matches!(instance.state, State::Begun) && last.is_none_or(|last| last.open > 0)
        };
        frame.live > 0
            || frame.nodes.iter().zip(nodes).any(is_owed)
            || self
                .frames
                .inside(id)
                .any(|(inner, _)| self.was_under_way(inner))
    }

    /// A round for an item came to its end.
    pub(super) fn finish_item(&mut self, owner: Place, index: u32, departure: Departure<V>) {
        let Some(each) = self.each_mut(owner) else {
            return;
        };
        each.active = each.active.saturating_sub(1);
        if departure.exit == Exit::Value {
            let at = usize::try_from(index).ok();
            let Some(result) = at.and_then(|at| each.results.get_mut(at)) else {
                return;
            };
            *result = Some(departure.value);
            each.left -= 1;
        } else if each
            .departure
            .as_ref()
            .is_none_or(|(first, _)| index < *first)
        {
            each.departure = Some((index, departure));
        }
        if std::mem::take(&mut each.is_at_limit) {
            self.going.push(owner);
        }
        self.join_if_done(owner);
    }

    /// If every item has its result: joins them, in item order.
    ///
    /// If the workflow returns from items, it returns from the first of them, and all before that
    /// have their results.
    fn join_if_done(&mut self, place: Place) {
        let Some(each) = self.each_mut(place) else {
            return;
        };
        if each.departure.is_some() {
            if each.active > 0 || each.items.is_none() || each.next().is_some() {
                return;
            }
            if let Some((_, departure)) = each.departure.take() {
                self.leave(place, departure);
            }
            return;
        }
        // Taking the items away makes sure that it happens once.
        if each.left > 0 || each.items.take().is_none() {
            return;
        }
        let results = std::mem::take(&mut each.results)
            .into_iter()
            .flatten()
            .collect();
        self.evaluate(place, Evaluation::Join, results);
    }

    /// Opens a frame for an item or a child, unless enough is ready; whether it did.
    pub(super) fn open_next_frame(&mut self) -> bool {
        if self.phase != Phase::Going || self.ready_count + self.evaluating >= READY_AHEAD {
            return false;
        }
        while let Some(place) = self.going.last().copied() {
            let opened = if self.plan.node(place.node).kind == PlanKind::Job {
                self.take_child(place).map(|frame| (frame, None))
            } else {
                self.take_item(place).and_then(|item| {
                    let frame = self.frame_of(place, item.index)?;
                    Some((frame, Some(item.value)))
                })
            };
            if let Some((frame, item)) = opened {
                self.wake(frame, item);
                return true;
            }
            self.going.pop();
        }
        false
    }

    /// The next item of a `for` that needs a frame, if there may be one. Where everything comes to
    /// its end no job starts any more, but what is pure goes on, and what had begun before a restart:
    /// what comes behind it may be under way.
    fn take_item(&mut self, place: Place) -> Option<Item<V>> {
        let PlanKind::Each { limit } = self.plan.node(place.node).kind else {
            return None;
        };
        let body = self.region_of(place, 0)?;
        if self.is_stopped(place.frame) && self.plan.region(body).jobs > 0 {
            self.pass_over_items(place);
        }
        self.each_mut(place)?.take(limit)
    }

    /// Drops the next items that have not begun: they will not.
    fn pass_over_items(&mut self, place: Place) {
        while let Some(each) = self.each_mut(place)
            && each.next().is_some_and(|next| !next.has_begun)
        {
            drop(each.items.as_mut().and_then(Iterator::next));
        }
    }

    pub(super) fn each(&self, place: Place) -> Option<&Each<V>> {
        self.instance(place)?.state.each()
    }

    fn each_mut(&mut self, place: Place) -> Option<&mut Each<V>> {
        self.instance_mut(place)?.state.each_mut()
    }
}

impl<V> Each<V> {
    fn lacks(&self, index: u32) -> bool {
        usize::try_from(index)
            .ok()
            .and_then(|at| self.results.get(at))
            .is_some_and(Option::is_none)
            && self.departure.as_ref().is_none_or(|(it, _)| *it != index)
    }

    /// The next item that may go on: none that has not begun behind one from which the workflow returns.
    fn next(&self) -> Option<&Item<V>> {
        let next = self.items.as_ref()?.as_slice().first()?;
        let last = self.departure.as_ref().map(|(index, _)| *index);
        (next.has_begun || last.is_none_or(|last| next.index < last)).then_some(next)
    }

    /// The next item to open a frame for.
    fn take(&mut self, limit: Option<u32>) -> Option<Item<V>> {
        self.next()?;
        let items = self.items.as_mut()?;
        if limit.is_some_and(|limit| self.active >= limit) {
            self.is_at_limit = items.len() > 0;
            return None;
        }
        let next = items.next()?;
        self.active += 1;
        Some(next)
    }
}
