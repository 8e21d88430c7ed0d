//! What the engine wants done, held back until what justifies it is durable.

use std::collections::VecDeque;

use zahir_store::{Attempt, Record};

use super::action::{Action, Violation};
use super::frame::Place;

/// After so many pure actions in a row comes what is recorded: pure code alone may have no end.
const FREE_MAX: u32 = 1024;

/// Records on their way to the store, and the actions that wait for them.
#[derive(Debug)]
pub(super) struct Outbox<V> {
    /// Whether there is a store at all.
    is_durable: bool,
    /// The number of the next record of the run.
    next_record: u64,
    /// Records made since the last append.
    pending: Vec<Record>,
    /// The last append that was handed out.
    issued: u64,
    /// The last append that is durable.
    acknowledged: u64,
    /// Actions that wait for an append, in order.
    gated: VecDeque<(u64, Action<V>)>,
    /// Actions that the world outside can't see, such as a pure computation.
    free: VecDeque<Action<V>>,
    /// How many of them were handed out in a row.
    freed: u32,
}

impl<V> Outbox<V> {
    pub(super) const fn new(is_durable: bool, next_record: u64) -> Self {
        Self {
            is_durable,
            next_record,
            pending: Vec::new(),
            issued: 0,
            acknowledged: 0,
            gated: VecDeque::new(),
            free: VecDeque::new(),
            freed: 0,
        }
    }

    pub(super) const fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Adds a record, if there is a store to keep it.
    pub(super) fn record(&mut self, record: impl FnOnce() -> Record) {
        if self.is_durable {
            self.pending.push(record());
        }
    }

    /// Hands out `action` once every record made so far is durable.
    pub(super) fn gate(&mut self, action: Action<V>) {
        let seq = if self.pending.is_empty() {
            self.issued
        } else {
            self.issued + 1
        };
        self.gated.push_back((seq, action));
    }

    /// Hands out `action` as soon as possible.
    pub(super) fn push(&mut self, action: Action<V>) {
        self.free.push_back(action);
    }

    /// How many attempts have not been handed out.
    #[cfg(test)]
    pub(super) fn starts(&self) -> usize {
        self.gated
            .iter()
            .filter(|(_, action)| matches!(action, Action::Start { .. }))
            .count()
    }

    /// Takes back the attempts at these places that have not been handed out.
    pub(super) fn take_starts(
        &mut self,
        mut is_taken: impl FnMut(Place) -> bool,
    ) -> Vec<(Place, Attempt)> {
        let mut taken = Vec::new();
        self.gated.retain(|(_, action)| {
            let start = if let Action::Start { place, attempt, .. } = action {
                Some((*place, *attempt)).filter(|(place, _)| is_taken(*place))
            } else {
                None
            };
            taken.extend(start);
            start.is_none()
        });
        taken
    }

    /// Forgets everything that has not been handed out.
    pub(super) fn discard(&mut self) {
        self.pending.clear();
        self.gated.clear();
        self.free.clear();
    }

    /// Everything up to this append is durable.
    pub(super) fn acknowledge(&mut self, seq: u64) -> Result<(), Violation> {
        if seq <= self.acknowledged || seq > self.issued {
            return Err(Violation {
                invariant: "I1 appends are acknowledged in order",
                seen: format!("{seq} after {} of {}", self.acknowledged, self.issued),
            });
        }
        self.acknowledged = seq;
        Ok(())
    }

    /// Whether something here will lead to a report.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
            || self.acknowledged < self.issued
            || !self.gated.is_empty()
            || !self.free.is_empty()
    }

    /// What is pure comes first: what follows from it joins the same append. But not for ever.
    pub(super) fn poll(&mut self) -> Option<Action<V>> {
        if self.freed < FREE_MAX
            && let Some(action) = self.free.pop_front()
        {
            self.freed += 1;
            return Some(action);
        }
        if !self.pending.is_empty() {
            let records = std::mem::take(&mut self.pending);
            let first = self.next_record;
            self.next_record += u64::try_from(records.len()).unwrap_or(u64::MAX);
            self.issued += 1;
            return Some(Action::Append {
                seq: self.issued,
                first,
                records,
            });
        }
        if let Some((seq, _)) = self.gated.front()
            && *seq <= self.acknowledged
        {
            return self.gated.pop_front().map(|(_, action)| action);
        }
        self.freed = 0;
        self.free.pop_front()
    }
}
