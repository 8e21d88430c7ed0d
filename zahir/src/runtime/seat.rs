//! An attempt's place in its run: where its [`Line`] is found, and how what is asked on it becomes
//! messages to the driver.
//!
//! An attempt whose job may spawn is *parked* while it waits for children: it is not polled, its slot
//! is free, and what would wake it is reported, because it needs a slot to go on. A line is made for
//! it at once. Other jobs may keep values, too: a line is made for them when they do.

use std::collections::BTreeMap;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use zahir_store::{ChildCall, Failure, NodeId, Position, SpawnedChild};

use crate::engine::{Action, AttemptOutcome, ChildEnd, KeptValue, Report};
use crate::event::Event;
use crate::job::children::asked::Wait;
use crate::job::children::line;
use crate::job::children::line::{Entrance, Host, Kind, Line, Petition, Told};
use crate::runtime::diverged;
use crate::runtime::executor::{self, Key};
use crate::runtime::run::{Message, Run, lock};
use crate::runtime::shared::{Asker, Audience};
use crate::value::Value;

/// The attempts of a run that have a line.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    /// Spares everybody the lock where there are none.
    is_used: AtomicBool,
    seats: Mutex<BTreeMap<Key, Arc<Seat>>>,
}

impl Seats {
    fn insert(&self, key: Key, seat: Arc<Seat>) {
        lock(&self.seats).insert(key, seat);
        self.is_used.store(true, Ordering::Release);
    }

    fn remove(&self, key: Key) {
        if self.is_used.load(Ordering::Acquire) {
            let removed = lock(&self.seats).remove(&key);
            drop(removed);
        }
    }

    /// Whether there was ever any.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Acquire)
    }

    fn find(&self, key: Key) -> Option<Arc<Seat>> {
        if !self.is_used.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.seats).get(&key).map(Arc::clone)
    }

    /// These children of an attempt are over, and it goes on.
    pub(crate) fn resume(&self, run: &Run, key: Key, ended: Vec<(ChildCall, ChildEnd<Value>)>) {
        let Some(seat) = self.find(key) else { return };
        let Some(line) = seat.line.get() else { return };
        let ended = ended.into_iter().map(|(call, end)| {
            let end = match end {
                ChildEnd::Succeeded(value) => line::ChildEnd::Succeeded(value),
                ChildEnd::Failed(caught, error) => {
                    let failure = executor::caught_failure(run, *caught);
                    line::ChildEnd::Failed(Box::new(failure), error)
                }
            };
            (call, end)
        });
        let ended = ended.collect();
        lock(&seat.state).parked.end();
        line.resume(ended);
    }

    /// Whether something besides the end of a child may wake one of these attempts, which are parked.
    pub(crate) fn may_be_woken(&self) -> bool {
        let may = lock(&self.seats).values().any(|seat| seat.may_be_woken());
        // What a waker did before it was dropped has been seen, too.
        fence(Ordering::Acquire);
        may
    }

    /// A value that an attempt keeps is durable.
    pub(crate) fn settle(&self, key: Key, name: &str) {
        if let Some(seat) = self.find(key)
            && let Some(line) = seat.line.get()
        {
            line.settle(name);
        }
    }
}

/// An attempt's place in its run.
#[derive(Debug)]
pub(crate) struct Seat {
    run: Arc<Run>,
    key: Key,
    /// Whether it may have a line.
    may_ask: bool,
    line: OnceLock<Arc<Line>>,
    state: Mutex<SeatState>,
    /// What wakes it, once it may wait for children.
    bell: OnceLock<Weak<Bell>>,
    /// Itself, for the table of those that have a line.
    own: Weak<Self>,
}

#[derive(Debug, Default)]
struct SeatState {
    /// What attempts before it have kept, until its line is made.
    kept: Vec<KeptValue>,
    parked: Parked,
    is_over: bool,
}

/// How long an attempt was parked. That is none of its own time.
#[derive(Debug, Default)]
struct Parked {
    since: Option<Instant>,
    before: Duration,
}

impl Parked {
    fn begin(&mut self) {
        self.since = Some(Instant::now());
    }

    fn time(&self) -> Duration {
        let waits = self.since.map(|since| since.elapsed());
        self.before.saturating_add(waits.unwrap_or_default())
    }

    fn end(&mut self) {
        if let Some(since) = self.since.take() {
            self.before = self.before.saturating_add(since.elapsed());
        }
    }
}

impl Seat {
    /// The place of an attempt that may keep values, or has children.
    pub(crate) fn new(run: &Arc<Run>, key: Key, kept: Vec<KeptValue>, may_ask: bool) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            run: Arc::clone(run),
            key,
            may_ask,
            line: OnceLock::new(),
            state: Mutex::new(SeatState {
                kept,
                ..SeatState::default()
            }),
            bell: OnceLock::new(),
            own: Weak::clone(own),
        })
    }

    fn make_line(&self) -> Arc<Line> {
        let run = &self.run;
        let kinds = kinds(run, self.key.place.node);
        let mut state = lock(&self.state);
        let kept = mem::take(&mut state.kept);
        let line = Arc::new(Line::new(
            kinds,
            run.value_bytes_max,
            run.children_per_job_max,
            kept,
        ));
        // A context may be kept for longer than its attempt.
        if !state.is_over
            && let Some(seat) = self.own.upgrade()
        {
            run.seats.insert(self.key, seat);
        }
        line
    }

    fn push(&self, message: impl FnOnce(Key) -> Message) {
        self.run.inbox.push(message(self.key));
    }

    /// How long the attempt was parked so far.
    fn waited(&self) -> Duration {
        lock(&self.state).parked.time()
    }

    /// What becomes of an attempt that has ended by itself.
    pub(crate) fn conclude(&self, outcome: AttemptOutcome<Value>) -> AttemptOutcome<Value> {
        let Some(line) = self.line.get() else {
            return outcome;
        };
        if let Some(fault) = line.fault() {
            return AttemptOutcome::faulty(fault);
        }
        match outcome {
            AttemptOutcome::Succeeded {
                value,
                encoded,
                mut extra,
            } => {
                let leaving = line.conclude();
                if !leaving.spawned.is_empty() || !leaving.left.is_empty() {
                    let extra = extra.get_or_insert_default();
                    extra.spawned = leaving.spawned;
                    extra.left = leaving.left;
                }
                AttemptOutcome::Succeeded {
                    value,
                    encoded,
                    extra,
                }
            }
            AttemptOutcome::Postponed { after, state, .. } => {
                let leaving = line.conclude();
                AttemptOutcome::Postponed {
                    after,
                    state,
                    spawned: leaving.spawned,
                    left: leaving.left,
                }
            }
            AttemptOutcome::Failed { .. }
            | AttemptOutcome::Continued { .. }
            | AttemptOutcome::Interrupted => outcome,
        }
    }

    /// Whether something besides the end of a child may wake the attempt, which is parked: somebody
    /// has a waker of it.
    fn may_be_woken(&self) -> bool {
        let (Some(bell), Some(line)) = (self.bell.get().and_then(Weak::upgrade), self.line.get())
        else {
            return true;
        };
        let waker = Waker::from(Arc::clone(&bell));
        // These two, the one of the berth, and those that wait for children.
        let known = 3 + line.waits_with(&waker);
        Arc::strong_count(&bell) > known
    }

    fn close(&self) {
        lock(&self.state).is_over = true;
        self.run.seats.remove(self.key);
        if let Some(line) = self.line.get() {
            line.close();
        }
    }
}

/// An attempt at its seat: when this is dropped it is over, or was dropped.
#[derive(Debug)]
pub(crate) struct Seated(Arc<Seat>);

impl Seated {
    pub(crate) fn at(seat: Arc<Seat>) -> Self {
        Self(seat)
    }

    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.0
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a job may spawn.
fn kinds(run: &Run, node: NodeId) -> Vec<Kind> {
    let executable = &run.executable;
    let kinds = executable.kinds(node).iter();
    let kind = |node: &NodeId| {
        let name = executable.kind_name(*node)?;
        let error = executable.code.error_codec(*node);
        Some(Kind {
            name,
            node: *node,
            error,
        })
    };
    kinds.filter_map(kind).collect()
}

impl Host for Seat {
    fn line(&self) -> Option<&Arc<Line>> {
        self.may_ask
            .then(|| self.line.get_or_init(|| self.make_line()))
    }

    fn keep(&self, name: &str, value: Vec<u8>) {
        let name = name.to_owned();
        self.push(|key| Message::Kept { key, name, value });
    }

    fn fail(&self, failure: Failure) {
        self.push(|key| Message::Faulty { key, failure });
    }

    fn is_watched(&self) -> bool {
        let shared = self.run.shared.as_ref();
        shared.is_some_and(|shared| shared.audience().hub.is_watched())
    }

    fn tell(&self, at: &Position, told: Told) {
        let Some(shared) = &self.run.shared else {
            return;
        };
        let Audience { hub, clock } = shared.audience();
        let run = (self.run.id, &*self.run.executable);
        hub.emit(std::iter::once(Event::told(run, clock.now(), at, told)));
    }
}

/// Wakes an attempt that may wait for children: for something besides these.
#[derive(Debug)]
struct Bell(Arc<Seat>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Self(seat) = &**self;
        if seat.line.get().is_some_and(|line| line.wake()) {
            seat.push(|key| Message::Woken { key });
        }
    }
}

/// What an attempt has around it that may wait for children.
#[derive(Debug)]
pub(crate) struct Berth {
    seat: Arc<Seat>,
    line: Arc<Line>,
    /// What the job is polled with.
    waker: Waker,
    limit: Option<Limit>,
    /// Where it waits for the results of other runs.
    asker: Option<Arc<Asker>>,
}

impl Berth {
    /// `None` if the job at this seat may not spawn.
    pub(crate) fn new(
        seat: &Arc<Seat>,
        timeout: Option<Duration>,
        asker: Option<Arc<Asker>>,
    ) -> Option<Box<Self>> {
        let may_spawn = !seat.run.executable.kinds(seat.key.place.node).is_empty();
        let line = if may_spawn { seat.line()? } else { return None };
        let bell = Arc::new(Bell(Arc::clone(seat)));
        // A seat has one berth.
        drop(seat.bell.set(Arc::downgrade(&bell)));
        Some(Box::new(Self {
            line: Arc::clone(line),
            waker: Waker::from(bell),
            limit: timeout.map(Limit::new),
            asker,
            seat: Arc::clone(seat),
        }))
    }

    /// Polls the attempt unless it waits, and says if it is over. `has_task`: whether whoever polls
    /// can be woken.
    pub(crate) fn poll(
        &mut self,
        context: &mut TaskContext<'_>,
        has_task: bool,
        poll: impl FnOnce(&mut TaskContext<'_>) -> Poll<AttemptOutcome<Value>>,
    ) -> Poll<AttemptOutcome<Value>> {
        match self.line.enter(context.waker()) {
            Entrance::Wait => return Poll::Pending,
            Entrance::Report => {}
            Entrance::Poll => {
                let polled = poll(&mut TaskContext::from_waker(&self.waker));
                if polled.is_ready() {
                    return polled;
                }
            }
        }
        match self.line.leave(has_task) {
            Petition::Nothing => self.poll_limit(context),
            Petition::Park { spawned, waits } => {
                self.park(spawned, waits);
                Poll::Pending
            }
            Petition::Continue { spawned, heir } => {
                Poll::Ready(AttemptOutcome::Continued { spawned, heir })
            }
            Petition::Fail(fault) => Poll::Ready(AttemptOutcome::faulty(fault)),
        }
    }

    fn park(&mut self, spawned: Vec<SpawnedChild>, waits: Vec<Wait>) {
        if let Some(limit) = &mut self.limit {
            // Set again when the attempt goes on.
            limit.sleep = None;
        }
        lock(&self.seat.state).parked.begin();
        self.seat.push(|key| Message::Parked {
            key,
            spawned,
            waits,
        });
        if self.line.park() {
            self.seat.push(|key| Message::Woken { key });
        }
    }

    fn poll_limit(&mut self, context: &mut TaskContext<'_>) -> Poll<AttemptOutcome<Value>> {
        let Some(limit) = &mut self.limit else {
            return Poll::Pending;
        };
        let (seat, asker) = (&self.seat, self.asker.as_deref());
        let waited = || {
            let asked = asker.map(Asker::waited).unwrap_or_default();
            seat.waited().saturating_add(asked)
        };
        limit.poll(waited, context).map(|()| limit.over())
    }
}

/// The time limit of an attempt, while it is not parked.
#[derive(Debug)]
struct Limit {
    timeout: Duration,
    began: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            began: Instant::now(),
            sleep: None,
        }
    }

    /// Ready when the attempt has taken as long as it may, apart from what it has waited.
    fn poll(&mut self, waited: impl Fn() -> Duration, context: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            if let Some(sleep) = &mut self.sleep
                && sleep.as_mut().poll(context).is_pending()
            {
                return Poll::Pending;
            }
            let own = self.began.elapsed().saturating_sub(waited());
            let left = self.timeout.saturating_sub(own);
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.sleep = Some(Box::pin(tokio::time::sleep(left)));
        }
    }

    fn over(&self) -> AttemptOutcome<Value> {
        executor::out_of_time(self.timeout)
    }
}

/// Tells an attempt what the engine answers to what it has reported: says which attempt it ends, and
/// why, if it does.
pub(crate) fn answer(run: &Run, action: Action<Value>) -> Option<(Key, Failure)> {
    if let Action::Resume {
        place,
        attempt,
        ended,
    } = action
    {
        run.seats.resume(run, Key { place, attempt }, ended);
    } else if let Action::Kept {
        place,
        attempt,
        name,
    } = action
    {
        run.seats.settle(Key { place, attempt }, &name);
    } else if let Action::Diverge {
        place,
        attempt,
        call,
        before,
        now,
    } = action
    {
        let calls = (before.0, &*before.1, now.0, &*now.1);
        let failure = diverged::failure(&run.executable, &call, calls);
        return Some((Key { place, attempt }, failure));
    }
    None
}

/// What the engine is told of what an attempt reports while it is under way.
pub(crate) fn line_report(message: Message) -> Option<Report<Value>> {
    match message {
        Message::Parked {
            key: Key { place, attempt },
            spawned,
            waits,
        } => Some(Report::Parked {
            place,
            attempt,
            spawned,
            waits,
        }),
        Message::Woken {
            key: Key { place, attempt },
        } => Some(Report::Woken { place, attempt }),
        Message::Kept {
            key: Key { place, attempt },
            name,
            value,
        } => Some(Report::ValueKept {
            place,
            attempt,
            name,
            value,
        }),
        Message::Ended { .. }
        | Message::Faulty { .. }
        | Message::Durable { .. }
        | Message::Cancel { .. }
        | Message::Signal { .. }
        | Message::Tally { .. }
        | Message::Stop
        | Message::Interrupt
        | Message::Leave(_) => None,
    }
}
