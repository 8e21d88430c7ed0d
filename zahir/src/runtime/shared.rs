//! Results that runs share: of all attempts that ask for the result of one key, over all runs of the
//! runtime, one runs the job, and the others are given what it gave.
//!
//! The first to ask has the key's *ticket*. It looks for a result that is on record; without one it
//! runs the job, and the ticket stays with that attempt, then with the driver of its run, until the
//! result is durable: only then is it anybody else's. A ticket that is dropped before, because the
//! attempt failed, was dropped, or its run was left, goes to who has waited longest.
//!
//! Whoever waits has lent its job slot: the one it waits for can always get one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use zahir_store::{Failure, FailureKind, Record, Timestamp};

use crate::engine::AttemptOutcome;
use crate::event::Hub;
use crate::job::share::Recall;
use crate::job::{BoxFuture, failure};
use crate::runtime::clock::Clock;
use crate::runtime::executor::Key;
use crate::runtime::reader::Reader;
use crate::runtime::run::{Run, lock};
use crate::runtime::slots::Slots;
use crate::value::Value;

/// How many results a runtime in memory keeps.
const KEPT_MAX: usize = 10_000;

/// How many bytes of results a runtime in memory keeps.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The shared results of a runtime.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Where results are on record; `None` if the runtime is in memory.
    reader: Option<Arc<Reader>>,
    audience: Audience,
    slots: Arc<Slots>,
}

/// Who is told of what happens in runs, and when it is. In here because every run has this already.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Arc<Clock>,
}

#[derive(Debug, Default)]
struct State {
    /// Keys that somebody has the ticket of, and who waits for it.
    taken: HashMap<u128, VecDeque<oneshot::Sender<Turn>>>,
    kept: Kept,
}

/// What one who waited is given.
#[derive(Debug)]
enum Turn {
    Known(Arc<[u8]>),
    Own(Ticket),
}

/// What comes of asking for a result.
#[derive(Debug)]
pub(crate) enum Recalled {
    /// The encoded result.
    Known(Arc<[u8]>),
    /// There is none: whoever asked is the one to make it.
    Unknown(Ticket),
}

/// The right to make the result of a key.
pub(crate) struct Ticket {
    key: u128,
    /// `None` once it was used or handed on.
    shared: Option<Arc<Shared>>,
}

impl Shared {
    pub(crate) fn new(reader: Option<Arc<Reader>>, audience: Audience, slots: Arc<Slots>) -> Self {
        Self {
            state: Mutex::default(),
            reader,
            audience,
            slots,
        }
    }

    pub(crate) const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The result of a key, or the right to make it. Waits while somebody else makes it.
    ///
    /// Dropping the future gives up the place in the line.
    pub(crate) async fn recall(self: &Arc<Self>, key: u128) -> Result<Recalled, Failure> {
        let ticket = match self.line_up(key) {
            Ok(ticket) => ticket,
            Err(turn) => match self.wait(turn).await? {
                Turn::Known(result) => return Ok(Recalled::Known(result)),
                Turn::Own(ticket) => ticket,
            },
        };
        // Also after a wait: a run that was left may have left a result on record.
        match self.look_up(key).await? {
            Some(result) => {
                ticket.hand_out(&result);
                Ok(Recalled::Known(result))
            }
            None => Ok(Recalled::Unknown(ticket)),
        }
    }

    fn line_up(self: &Arc<Self>, key: u128) -> Result<Ticket, oneshot::Receiver<Turn>> {
        let mut state = lock(&self.state);
        if let Some(line) = state.taken.get_mut(&key) {
            let (sender, turn) = oneshot::channel();
            line.push_back(sender);
            return Err(turn);
        }
        state.taken.insert(key, VecDeque::new());
        Ok(Ticket {
            key,
            shared: Some(Arc::clone(self)),
        })
    }

    async fn wait(&self, turn: oneshot::Receiver<Turn>) -> Result<Turn, Failure> {
        let lent = self.slots.lend();
        let turn = turn.await.map_err(|_| unreadable("nobody makes it"))?;
        if let Turn::Own(_) = &turn {
            lent.take_back().await;
        }
        Ok(turn)
    }

    /// What is on record.
    async fn look_up(&self, key: u128) -> Result<Option<Arc<[u8]>>, Failure> {
        let Some(reader) = &self.reader else {
            let now = self.audience.clock.now();
            return Ok(lock(&self.state).kept.find(key, now));
        };
        let asked = reader.ask(move |store| store.shared(key)).await;
        let found = asked.map_err(|error| unreadable(&error.to_string()))?;
        let now = self.audience.clock.now();
        let valid = found.filter(|found| !found.is_over(now));
        Ok(valid.map(|found| found.output.into()))
    }
}

fn unreadable(reason: &str) -> Failure {
    let message = format!("its shared result can't be looked for: {reason}");
    failure(FailureKind::Error, message)
}

impl Ticket {
    /// The result is durable, or this runtime has no store: everybody may have it, until then.
    fn land(self, result: &Arc<[u8]>, until: Option<Timestamp>) {
        if let Some(shared) = &self.shared
            && shared.reader.is_none()
        {
            let mut state = lock(&shared.state);
            state.kept.insert(self.key, Arc::clone(result), until);
        }
        self.hand_out(result);
    }

    /// Gives the result to all who wait for it. Whoever asks from here on finds it on record.
    fn hand_out(mut self, result: &Arc<[u8]>) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        let line = lock(&shared.state).taken.remove(&self.key);
        for waiting in line.into_iter().flatten() {
            // Whoever waited may be gone.
            drop(waiting.send(Turn::Known(Arc::clone(result))));
        }
    }
}

impl Drop for Ticket {
    /// The next one in the line has it. A loop, because any number of them may be gone.
    fn drop(&mut self) {
        while let Some(shared) = self.shared.take() {
            let mut state = lock(&shared.state);
            let next = state.taken.get_mut(&self.key).and_then(VecDeque::pop_front);
            let Some(next) = next else {
                state.taken.remove(&self.key);
                return;
            };
            drop(state);
            let ticket = Self {
                key: self.key,
                shared: Some(shared),
            };
            if let Err(Turn::Own(mut refused)) = next.send(Turn::Own(ticket)) {
                self.shared = refused.shared.take();
            }
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.key).finish()
    }
}

/// What an attempt asks for the results of other runs.
#[derive(Debug)]
pub(crate) struct Asker {
    shared: Arc<Shared>,
    state: Mutex<AskerState>,
}

#[derive(Debug, Default)]
struct AskerState {
    /// Held while the attempt makes the result.
    ticket: Option<Ticket>,
    /// Since when it waits for another attempt.
    since: Option<Instant>,
    waited: Duration,
}

impl Asker {
    /// How long the attempt has waited for others. That is none of its own time.
    pub(crate) fn waited(&self) -> Duration {
        let state = lock(&self.state);
        let waits = state.since.map(|since| since.elapsed());
        state.waited.saturating_add(waits.unwrap_or_default())
    }
}

impl Recall for Asker {
    fn recall(&self, key: u128) -> BoxFuture<'_, Result<Option<Vec<u8>>, Failure>> {
        Box::pin(async move {
            lock(&self.state).since = Some(Instant::now());
            let recalled = self.shared.recall(key).await;
            let mut state = lock(&self.state);
            if let Some(since) = state.since.take() {
                state.waited = state.waited.saturating_add(since.elapsed());
            }
            match recalled? {
                Recalled::Known(result) => Ok(Some(result.to_vec())),
                Recalled::Unknown(ticket) => {
                    state.ticket = Some(ticket);
                    Ok(None)
                }
            }
        })
    }
}

/// The part of an [`Asker`] that ends with the attempt, whoever keeps its context.
#[derive(Debug)]
pub(crate) struct Asking {
    run: Arc<Run>,
    key: Key,
    asker: Arc<Asker>,
}

impl Asking {
    /// `None` if the attempt has nothing to share, or nobody to share it with. Boxed, because every
    /// attempt has room for one.
    pub(crate) fn new(run: &Arc<Run>, key: Key) -> Option<Box<Self>> {
        let shared = run.shared.as_ref()?;
        let shares = run.executable.code.shares(key.place.node);
        shares.then(|| {
            Box::new(Self {
                run: Arc::clone(run),
                key,
                asker: Arc::new(Asker {
                    shared: Arc::clone(shared),
                    state: Mutex::default(),
                }),
            })
        })
    }

    pub(crate) fn asker(&self) -> Arc<Asker> {
        Arc::clone(&self.asker)
    }

    /// The attempt ends like this, and that is about to be reported.
    pub(crate) fn conclude(&self, outcome: &AttemptOutcome<Value>) {
        let ticket = lock(&self.asker.state).ticket.take();
        if let AttemptOutcome::Succeeded {
            extra: Some(extra), ..
        } = outcome
            && extra.shared.is_some()
            && let Some(ticket) = ticket
        {
            self.run.earned.keep(self.key, ticket);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let ticket = lock(&self.asker.state).ticket.take();
        drop(ticket);
    }
}

/// The results that a runtime in memory keeps: the last ones.
#[derive(Debug, Default)]
struct Kept {
    results: HashMap<u128, KeptResult>,
    /// The keys, in the order in which their results came.
    order: BTreeMap<u64, u128>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct KeptResult {
    number: u64,
    result: Arc<[u8]>,
    until: Option<Timestamp>,
}

impl Kept {
    fn find(&mut self, key: u128, now: Timestamp) -> Option<Arc<[u8]>> {
        let kept = self.results.get(&key)?;
        if kept.until.is_some_and(|until| until <= now) {
            self.remove(key);
            return None;
        }
        Some(Arc::clone(&kept.result))
    }

    fn insert(&mut self, key: u128, result: Arc<[u8]>, until: Option<Timestamp>) {
        self.remove(key);
        let number = self.next;
        self.next += 1;
        self.bytes += result.len();
        self.order.insert(number, key);
        let kept = KeptResult {
            number,
            result,
            until,
        };
        self.results.insert(key, kept);
        while (self.results.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX)
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: u128) {
        if let Some(kept) = self.results.remove(&key) {
            self.order.remove(&kept.number);
            self.bytes -= kept.result.len();
        }
    }
}

/// The tickets of attempts of one run that have succeeded, until its driver hears of that.
#[derive(Debug, Default)]
pub(crate) struct Earned {
    /// Spares everybody the lock where nothing is shared.
    is_used: AtomicBool,
    state: Mutex<EarnedState>,
}

#[derive(Debug, Default)]
struct EarnedState {
    tickets: Vec<(Key, Ticket)>,
    is_closed: bool,
}

impl Earned {
    /// The attempt succeeds; its driver is told right after this.
    pub(crate) fn keep(&self, key: Key, ticket: Ticket) {
        let mut state = lock(&self.state);
        if state.is_closed {
            drop(state);
            return drop(ticket);
        }
        state.tickets.push((key, ticket));
        self.is_used.store(true, Ordering::Release);
    }

    /// The ticket of an attempt that has ended.
    pub(crate) fn take(&self, key: Key) -> Option<Ticket> {
        if !self.is_used.load(Ordering::Acquire) {
            return None;
        }
        let mut state = lock(&self.state);
        let at = state.tickets.iter().position(|(of, _)| *of == key)?;
        Some(state.tickets.swap_remove(at).1)
    }

    /// Nobody drives the run any more.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        let tickets = std::mem::take(&mut state.tickets);
        drop(state);
        drop(tickets);
    }
}

/// The shared results of one run that are on their way to the store.
#[derive(Debug, Default)]
pub(crate) struct Landings {
    /// Of attempts that the engine was told of.
    told: Vec<Ticket>,
    /// On their way, by append.
    written: VecDeque<(u64, Landing)>,
}

#[derive(Debug)]
struct Landing {
    ticket: Ticket,
    result: Arc<[u8]>,
    until: Option<Timestamp>,
}

impl Landings {
    /// An attempt has made a result. In a runtime in memory everybody may have it at once.
    pub(crate) fn take_in(&mut self, ticket: Ticket, output: &[u8], lasts: Option<Duration>) {
        match &ticket.shared {
            Some(shared) if shared.reader.is_none() => {
                let until = lasts.map(|lasts| shared.audience.clock.now().after(lasts));
                ticket.land(&output.into(), until);
            }
            Some(_) | None => self.told.push(ticket),
        }
    }

    /// These records are on their way as append `seq`.
    pub(crate) fn append(&mut self, seq: u64, records: &[Record]) {
        if self.told.is_empty() {
            return;
        }
        for pair in records.windows(2) {
            let [
                Record::ResultShared { key, until, .. },
                Record::AttemptSucceeded { output, .. } | Record::AttemptRecovered { output, .. },
            ] = pair
            else {
                continue;
            };
            if let Some(at) = self.told.iter().position(|ticket| ticket.key == *key) {
                let landing = Landing {
                    ticket: self.told.swap_remove(at),
                    result: output.as_slice().into(),
                    until: *until,
                };
                self.written.push_back((seq, landing));
            }
        }
    }

    /// Everything that the engine was told of is on its way: what is not never will be.
    pub(crate) fn settle(&mut self) {
        self.told.clear();
    }

    /// Everything up to append `seq` is durable.
    pub(crate) fn land(&mut self, seq: u64) {
        let count = self.written.partition_point(|(of, _)| *of <= seq);
        for (_, landing) in self.written.drain(..count) {
            landing.ticket.land(&landing.result, landing.until);
        }
    }
}

#[cfg(test)]
mod tests;
