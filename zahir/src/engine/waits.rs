//! Sleeps, and waits for signals.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use zahir_store::{FrameStep, Record, Timestamp};

use super::action::{Action, Evaluation, Refusal};
use super::frame::Place;
use super::state::{Change, State};
use super::{Engine, Phase};
use crate::plan::{PlanKind, SignalId};

/// The most signals of a run that nobody has waited for yet.
pub(crate) const SIGNALS_MAX: usize = 10_000;

/// The signals of all names.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    /// How many signals the run has received.
    received: u32,
    /// How many of them nobody has been given.
    waiting: usize,
    boxes: Vec<Mailbox>,
}

/// The signals of one name.
#[derive(Clone, Debug, Default)]
struct Mailbox {
    /// Those that nobody has been given, with their numbers, in the order they came.
    arrived: VecDeque<(u32, Box<[u8]>)>,
    /// Who waits, in program order.
    listeners: BTreeMap<Vec<FrameStep>, Place>,
}

impl Mailboxes {
    pub(super) fn new(names: usize) -> Self {
        Self {
            boxes: vec![Mailbox::default(); names],
            ..Self::default()
        }
    }

    /// Keeps a signal for whoever waits for it first.
    pub(super) fn put(&mut self, signal: SignalId, payload: Box<[u8]>) {
        if let Some(mailbox) = self.boxes.get_mut(signal.0) {
            mailbox.arrived.push_back((self.received, payload));
            self.waiting += 1;
        }
        self.received = self.received.saturating_add(1);
    }

    /// Counts a signal that nobody waits for.
    pub(super) const fn pass(&mut self) {
        self.received = self.received.saturating_add(1);
    }

    /// Takes the signal of this number out.
    pub(super) fn take(&mut self, signal: SignalId, number: u32) -> Option<Box<[u8]>> {
        let arrived = &mut self.boxes.get_mut(signal.0)?.arrived;
        let at = arrived.iter().position(|(known, _)| *known == number)?;
        self.waiting = self.waiting.saturating_sub(1);
        arrived.remove(at).map(|(_, payload)| payload)
    }

    /// Whether anybody waits for a signal of this name.
    fn has_listener(&self, signal: SignalId) -> bool {
        let mailbox = self.boxes.get(signal.0);
        mailbox.is_some_and(|it| !it.listeners.is_empty())
    }

    /// Whether anybody waits.
    pub(super) fn has_listeners(&self) -> bool {
        self.boxes.iter().any(|it| !it.listeners.is_empty())
    }
}

impl<V: Clone> Engine<V> {
    /// A sleep begins.
    pub(super) fn sleep(&mut self, place: Place, due: Timestamp) {
        self.outbox.record(|| Record::TimerSet {
            at: self.frames.position(place),
            due,
        });
        self.change(place, Change::Slept(due));
        self.timers.insert((due, place));
    }

    /// A wait for a signal begins.
    pub(super) fn wait(&mut self, place: Place, timeout: Option<Duration>) {
        let due = timeout.map(|timeout| self.now.after(timeout));
        if let Some(due) = due {
            self.outbox.record(|| Record::TimerSet {
                at: self.frames.position(place),
                due,
            });
        }
        self.change(place, Change::Waited(due));
        self.listen(place, due);
    }

    /// Gives a wait the next signal, now or when it comes.
    pub(super) fn listen(&mut self, place: Place, due: Option<Timestamp>) {
        if let Some(due) = due {
            self.timers.insert((due, place));
        }
        let PlanKind::Signal { signal, .. } = self.plan.node(place.node).kind else {
            return;
        };
        let key = self.program_order(place);
        if let Some(mailbox) = self.mailboxes.boxes.get_mut(signal.0) {
            mailbox.listeners.insert(key, place);
        }
        self.letters.insert(signal);
    }

    /// A wait listens no more.
    pub(super) fn forget_wait(&mut self, place: Place) {
        let Some(State::Waiting(due)) = self.instance(place).map(|instance| &instance.state) else {
            return;
        };
        if let Some(due) = *due {
            self.timers.remove(&(due, place));
        }
        let key = self.program_order(place);
        if let PlanKind::Signal { signal, .. } = self.plan.node(place.node).kind
            && let Some(mailbox) = self.mailboxes.boxes.get_mut(signal.0)
        {
            mailbox.listeners.remove(&key);
        }
    }

    /// Somebody sent a signal.
    pub(super) fn take_signal(&mut self, signal: SignalId, payload: Vec<u8>, ticket: u64) {
        // A `finally` of a run that was cancelled may have a child that waits for one.
        let is_over = self.is_cancelled && !self.mailboxes.has_listener(signal)
            || matches!(self.phase, Phase::Undoing | Phase::Ended | Phase::Halted);
        if is_over {
            let why = Refusal::Over;
            return self.outbox.push(Action::Refuse { ticket, why });
        }
        if self.mailboxes.waiting >= SIGNALS_MAX {
            let why = Refusal::Full;
            return self.outbox.push(Action::Refuse { ticket, why });
        }
        self.outbox.record(|| Record::SignalReceived {
            name: self.plan.signals.get(signal.0).cloned().unwrap_or_default(),
            payload: payload.clone(),
        });
        self.mailboxes.put(signal, payload.into());
        self.outbox.gate(Action::Answer { ticket });
        self.letters.insert(signal);
    }

    /// Hands the signals of a name to those who wait for it.
    pub(super) fn deliver(&mut self, signal: SignalId) {
        while self.phase == Phase::Going {
            let Some(mailbox) = self.mailboxes.boxes.get_mut(signal.0) else {
                return;
            };
            let (Some((number, _)), Some((_, place))) =
                (mailbox.arrived.front(), mailbox.listeners.first_key_value())
            else {
                return;
            };
            let (number, place) = (*number, *place);
            let Some(payload) = self.mailboxes.take(signal, number) else {
                return;
            };
            self.outbox.record(|| Record::SignalConsumed {
                at: self.frames.position(place),
                signal: number,
            });
            self.forget_wait(place);
            self.change(place, Change::Received(payload));
            self.receive(place);
        }
    }

    /// The time limit of a wait is over.
    pub(super) fn expire(&mut self, place: Place) {
        self.outbox.record(|| Record::WaitTimedOut {
            at: self.frames.position(place),
        });
        self.forget_wait(place);
        self.change(place, Change::Expired);
        self.receive(place);
    }

    /// Reads what a wait got.
    pub(super) fn receive(&mut self, place: Place) {
        let what = match self.instance_mut(place).map(|instance| &mut instance.state) {
            Some(State::Received(payload)) => {
                Evaluation::Received(std::mem::take(payload).into_vec())
            }
            Some(State::Expired) => Evaluation::TimedOut,
            _ => return,
        };
        self.change(place, Change::Evaluating);
        self.evaluate(place, what, Vec::new());
    }

    /// Whether the run can go on only when somebody sends it a signal; or when an attempt that waits
    /// for children is woken by something else.
    pub(crate) fn awaits_signal(&self) -> bool {
        self.live() == 0
            && self.ready_count == 0
            && self.poll_timeout().is_none()
            && !self.outbox.is_waiting()
            && self.mailboxes.has_listeners()
    }

    /// Orders waits as they are written: outer and earlier nodes first.
    fn program_order(&self, place: Place) -> Vec<FrameStep> {
        let mut key = self.frames.way(place.frame).to_vec();
        key.push(FrameStep {
            node: place.node,
            index: 0,
        });
        key
    }
}
