//! Runs attempts: the only place that spawns, and the only one that polls user code.
//!
//! An attempt that is alone in its run is polled once in place, by the driver. Several are queued
//! for a few *runners*, at most one per worker thread, which poll each of them once. Whatever does
//! not end in its first poll is moved to a task of its own. So a job that never waits costs no
//! task, and jobs that compute use all cores.
//!
//! Every poll and every drop of user code is inside `catch_unwind`, also after the first await.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::AbortHandle;
use tokio::time::Instant;
use zahir_store::{
    Attempt, Failure, FailureKind, FrameStep, HeirInput, Inherited, NodeId, Timestamp,
};

use crate::engine::{AttemptOutcome, Caught, Evaluated, Evaluation, Place, Verdict, Work};
use crate::job::children::line::Host;
use crate::job::context::{Context, Role, Task};
use crate::job::share::Recall;
use crate::job::{BoxFuture, JobDef, failure};
use crate::runtime::executable::check_size;
use crate::runtime::run::{Message, Run, lock};
use crate::runtime::seat::{Berth, Seat, Seated};
use crate::runtime::shared::Asking;
pub(crate) use crate::value::drop_quietly;
use crate::value::{self, Value, bury};
use crate::wire::{Description, Extra, Failed, Outcome, Step};

/// A runner whose poll took longer lets everybody else on its worker go first.
const POLL_SHORT: Duration = Duration::from_micros(500);

/// An attempt that is to be started.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) key: Key,
    pub(crate) frames: Option<Arc<[FrameStep]>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) work: Option<Box<Work<Value>>>,
}

/// Names an attempt within its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) attempt: Attempt,
}

/// The attempts of one run.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    state: Mutex<CrewState>,
}

#[derive(Debug, Default)]
struct CrewState {
    /// Not polled yet.
    queued: VecDeque<Start>,
    /// How many runners there are.
    runners: usize,
    /// What the runners are polling.
    polling: Vec<Key>,
    /// Aborted while they were polled: to be dropped as soon as that poll returns.
    aborted: Vec<Key>,
    /// Those with a task of their own.
    spawned: BTreeMap<Key, AbortHandle>,
    /// Nothing is started any more.
    is_closed: bool,
}

/// Spawns the driver of a run.
pub(crate) fn spawn_driver(
    tokio: &tokio::runtime::Handle,
    driver: impl Future<Output = ()> + Send + 'static,
) {
    // Boxed: a task is moved several times while it is made, and a driver is large.
    drop(tokio.spawn(Box::pin(driver)));
}

/// Polls an attempt once, right here. One that waits for something gets a task of its own.
pub(crate) fn run_in_place(run: &Arc<Run>, start: Start) -> Option<AttemptOutcome<Value>> {
    let key = start.key;
    let mut attempt = Guarded::new(run, start);
    match poll_once(&mut attempt) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => {
            run.crew.spawn(run, key, attempt);
            None
        }
    }
}

/// Queues attempts, and sees to it that there are runners for them.
pub(crate) fn enqueue(run: &Arc<Run>, starts: &mut Vec<Start>, runners_max: usize) {
    let runners = {
        let mut crew = lock(&run.crew.state);
        if crew.is_closed {
            // User code is dropped outside of the lock.
            drop(crew);
            return drop_quietly(mem::take(starts));
        }
        crew.queued.extend(starts.drain(..));
        let more = crew
            .queued
            .len()
            .min(runners_max)
            .saturating_sub(crew.runners);
        crew.runners += more;
        more
    };
    for _ in 0..runners {
        spawn(runner(Arc::clone(run)));
    }
}

async fn runner(run: Arc<Run>) {
    while let Some(start) = run.crew.next() {
        let key = start.key;
        let began = Instant::now();
        let mut attempt = Guarded::new(&run, start);
        match poll_once(&mut attempt) {
            Poll::Ready(outcome) => {
                run.crew.polled(key);
                report(&run, key, outcome);
            }
            Poll::Pending => run.crew.spawn(&run, key, attempt),
        }
        if began.elapsed() > POLL_SHORT {
            // The driver that was told waits behind this task, on this very worker.
            tokio::task::yield_now().await;
        } else {
            tokio::task::consume_budget().await;
        }
    }
}

/// The first poll. Whatever does not end in it is polled again as soon as it has a task, with that
/// task's waker, so that nobody needs to be woken by this one.
fn poll_once(attempt: &mut Guarded) -> Poll<AttemptOutcome<Value>> {
    attempt.poll_once(&mut TaskContext::from_waker(Waker::noop()), false)
}

#[expect(clippy::disallowed_methods, reason = "the executor is what spawns")]
fn spawn(future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(future).abort_handle()
}

fn report(run: &Run, key: Key, outcome: AttemptOutcome<Value>) {
    run.inbox.push(Message::Ended {
        place: key.place,
        attempt: key.attempt,
        outcome,
    });
}

impl Crew {
    /// The next attempt for a runner; without one the runner ends.
    fn next(&self) -> Option<Start> {
        let mut crew = lock(&self.state);
        let next = crew.queued.pop_front();
        match &next {
            Some(start) => crew.polling.push(start.key),
            None => crew.runners -= 1,
        }
        next
    }

    /// A runner is done with an attempt.
    fn polled(&self, key: Key) {
        let mut crew = lock(&self.state);
        forget(&mut crew.polling, key);
        forget(&mut crew.aborted, key);
    }

    /// Gives an attempt a task of its own, unless it was aborted meanwhile.
    fn spawn(&self, run: &Arc<Run>, key: Key, attempt: Guarded) {
        let mut crew = lock(&self.state);
        forget(&mut crew.polling, key);
        if forget(&mut crew.aborted, key) || crew.is_closed {
            // User code is dropped outside of the lock.
            drop(crew);
            return drop(attempt);
        }
        let run = Arc::clone(run);
        let task = spawn(async move {
            let outcome = attempt.await;
            lock(&run.crew.state).spawned.remove(&key);
            report(&run, key, outcome);
        });
        crew.spawned.insert(key, task);
    }

    /// Drops an attempt.
    pub(crate) fn abort(&self, key: Key) {
        let mut crew = lock(&self.state);
        if let Some(task) = crew.spawned.remove(&key) {
            task.abort();
        } else if crew.polling.contains(&key) {
            crew.aborted.push(key);
        } else if let Some(at) = crew.queued.iter().position(|start| start.key == key) {
            let start = crew.queued.remove(at);
            drop(crew);
            drop_quietly(start);
        }
    }

    /// Drops every attempt, starts no more, and says which ones there were.
    pub(crate) fn close(&self) -> Vec<Key> {
        let mut crew = lock(&self.state);
        crew.is_closed = true;
        let queued = mem::take(&mut crew.queued);
        let mut keys: Vec<_> = queued.iter().map(|start| start.key).collect();
        let polling = crew.polling.clone();
        keys.extend(&polling);
        crew.aborted = polling;
        for (key, task) in mem::take(&mut crew.spawned) {
            task.abort();
            keys.push(key);
        }
        drop(crew);
        drop_quietly(queued);
        keys
    }
}

fn forget(keys: &mut Vec<Key>, key: Key) -> bool {
    let found = keys.iter().position(|other| *other == key);
    if let Some(at) = found {
        keys.swap_remove(at);
    }
    found.is_some()
}

/// An attempt whose panics end here.
struct Guarded {
    /// `None` once it has ended.
    attempt: Option<Pin<Box<dyn Future<Output = AttemptOutcome<Value>> + Send>>>,
    /// What is around it if it may wait for children.
    berth: Option<Box<Berth>>,
}

impl Guarded {
    fn new(run: &Arc<Run>, mut start: Start) -> Self {
        let asking = Asking::new(run, start.key);
        let seated = seated(run, &mut start);
        let berth = seated.as_ref().and_then(|seated| {
            let asker = asking.as_deref().map(Asking::asker);
            Berth::new(seated.seat(), start.timeout, asker)
        });
        // A berth minds the limit itself: the time that the attempt is parked is none of its own.
        let timeout = start.timeout.filter(|_| berth.is_none());
        let run = Arc::clone(run);
        let attempt: Pin<Box<dyn Future<Output = _> + Send>> = match timeout {
            None => Box::pin(attempt(run, start, asking, seated)),
            Some(timeout) => Box::pin(limited(run, start, asking, seated, timeout)),
        };
        Self {
            attempt: Some(attempt),
            berth,
        }
    }

    /// Polls it. `has_task`: whether this is a task that can be woken, and not the poll before that.
    fn poll_once(
        &mut self,
        context: &mut TaskContext<'_>,
        has_task: bool,
    ) -> Poll<AttemptOutcome<Value>> {
        let Some(attempt) = self.attempt.as_mut() else {
            return Poll::Pending;
        };
        let mut poll = |context: &mut TaskContext<'_>| {
            let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context)));
            polled.unwrap_or_else(|payload| Poll::Ready(failed(panicked(payload))))
        };
        let polled = match &mut self.berth {
            None => poll(context),
            Some(berth) => berth.poll(context, has_task, poll),
        };
        if polled.is_ready() {
            drop_quietly(self.attempt.take());
        }
        polled
    }
}

impl Future for Guarded {
    type Output = AttemptOutcome<Value>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.poll_once(context, true)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop_quietly(self.attempt.take());
    }
}

/// An attempt that says which one it was.
pub(crate) struct Attempted {
    key: Key,
    attempt: Guarded,
}

/// An attempt that has ended.
pub(crate) struct Ended {
    pub(crate) key: Key,
    pub(crate) outcome: AttemptOutcome<Value>,
}

impl Attempted {
    pub(crate) fn new(run: &Arc<Run>, start: Start) -> Self {
        Self {
            key: start.key,
            attempt: Guarded::new(run, start),
        }
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }
}

impl Future for Attempted {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Ended> {
        let key = self.key;
        Pin::new(&mut self.attempt)
            .poll(context)
            .map(|outcome| Ended { key, outcome })
    }
}

/// One attempt: owns its inputs and its context, and lends them to the job.
///
/// What the future holds is what a pending job costs, so nothing is in it that the job does not need.
fn attempt(
    run: Arc<Run>,
    start: Start,
    asking: Option<Box<Asking>>,
    seated: Option<Seated>,
) -> impl Future<Output = AttemptOutcome<Value>> + Send {
    let Key { place, attempt } = start.key;
    let name = run.executable.code.node_name(place.node);
    let seat = seated.as_ref().map(Seated::seat);
    let task = task(&run, place, start.work, asking.as_deref(), seat);
    let context = Context::new(run.id, name, start.frames, place.node, attempt).with(task);
    let inputs = start.inputs;
    async move {
        let outcome = match begin(&run, place, &context, &inputs) {
            Ok(job) => job.await,
            Err(failure) => failure.into(),
        };
        let mut outcome = conclude(&run, context.node(), outcome);
        if let Some(seated) = &seated {
            outcome = seated.seat().conclude(outcome);
        }
        if let Some(asking) = &asking {
            asking.conclude(&outcome);
        }
        outcome
    }
}

/// The attempt's place in its run, if its job can ask for anything.
fn seated(run: &Arc<Run>, start: &mut Start) -> Option<Seated> {
    if !run.executable.code.asks(start.key.place.node) {
        return None;
    }
    let (kept, is_job) = match start.work.as_deref_mut() {
        None => (Vec::new(), true),
        Some(Work::Resume { kept, .. }) => (mem::take(kept), true),
        Some(Work::Recover { .. } | Work::Undo { .. }) => (Vec::new(), false),
    };
    Some(Seated::at(Seat::new(run, start.key, kept, is_job)))
}

/// What the attempt has to go by; nothing, if it is just the job.
fn task(
    run: &Run,
    place: Place,
    work: Option<Box<Work<Value>>>,
    asking: Option<&Asking>,
    seat: Option<&Arc<Seat>>,
) -> Option<Task> {
    let job = run.executable.code.job(place.node);
    let is_kept = job.is_some_and(JobDef::is_kept);
    let role = match work.map(|work| *work) {
        None if !is_kept && asking.is_none() && seat.is_none() => return None,
        None => Role::Run {
            state: None,
            arguments: None,
        },
        Some(Work::Resume {
            state, arguments, ..
        }) => Role::Run { state, arguments },
        Some(Work::Recover {
            caught,
            error,
            arguments,
        }) => Role::Recover {
            error: error.unwrap_or_else(|| Value::new(caught_failure(run, caught))),
            arguments,
        },
        Some(Work::Undo { arguments, output }) => Role::Undo { arguments, output },
    };
    Some(Task {
        role,
        shared: asking.map(|asking| -> Arc<dyn Recall> { asking.asker() }),
        host: seat.map(|seat| -> Arc<dyn Host> { Arc::<Seat>::clone(seat) }),
        value_bytes_max: run.value_bytes_max,
    })
}

/// Asks the workflow's code for the job of a node.
fn begin<'e>(
    run: &'e Run,
    place: Place,
    context: &'e Context,
    inputs: &'e [Value],
) -> Result<BoxFuture<'e, Outcome>, Failure> {
    let (code, encodes) = (&run.executable.code, run.is_durable);
    let begun = match context.role() {
        Some(Role::Undo { arguments, output }) => code.undo(place.node, context, arguments, output),
        Some(
            Role::Run {
                arguments: Some(arguments),
                ..
            }
            | Role::Recover {
                arguments: Some(arguments),
                ..
            },
        ) => code.begin_with(place.node, context, arguments, encodes),
        Some(Role::Run { .. } | Role::Recover { .. }) | None => {
            if let Step::Run(job) = code.step(place.node, context, inputs, encodes) {
                Some(job)
            } else {
                None
            }
        }
    };
    begun.ok_or_else(|| misfit("does not run"))
}

async fn limited(
    run: Arc<Run>,
    start: Start,
    asking: Option<Box<Asking>>,
    seated: Option<Seated>,
    timeout: Duration,
) -> AttemptOutcome<Value> {
    let asker = asking.as_deref().map(Asking::asker);
    let began = Instant::now();
    let mut attempt = pin!(attempt(run, start, asking, seated));
    let mut limit = timeout;
    loop {
        let left = limit.saturating_sub(began.elapsed());
        if let Ok(outcome) = tokio::time::timeout(left, attempt.as_mut()).await {
            return outcome;
        }
        let waited = asker
            .as_ref()
            .map_or(Duration::ZERO, |asker| asker.waited());
        let extended = timeout.saturating_add(waited);
        if extended <= limit {
            break;
        }
        limit = extended;
    }
    out_of_time(timeout)
}

/// The failure of an attempt that took longer than it may.
pub(crate) fn out_of_time(timeout: Duration) -> AttemptOutcome<Value> {
    let message = format!("it took longer than its `timeout` of {timeout:?}");
    failed(failure(FailureKind::TimedOut, message))
}

/// A failure that is not the job's own error.
pub(crate) const fn failed(failure: Failure) -> AttemptOutcome<Value> {
    AttemptOutcome::Failed {
        failure,
        error: None,
        verdict: Verdict::ByPolicy,
    }
}

fn conclude(run: &Run, name: &str, outcome: Outcome) -> AttemptOutcome<Value> {
    let fits = |what: &str, bytes: &[u8]| {
        if bytes.len() <= run.value_bytes_max {
            return Ok(());
        }
        check_size(
            &format!("the {what} of `{name}`"),
            bytes.len(),
            run.value_bytes_max,
        )
    };
    let fitted = match &outcome {
        Outcome::Produced(produced) => fits("output", &produced.encoded),
        Outcome::Postponed { state, .. } => fits("state", state),
        Outcome::Failed(Failed { error, .. }) => error
            .as_ref()
            .map_or(Ok(()), |error| fits("error", &error.encoded)),
    };
    if let Err(failure) = fitted {
        return failed(failure);
    }
    match outcome {
        Outcome::Produced(produced) => AttemptOutcome::Succeeded {
            value: produced.value,
            encoded: produced.encoded,
            extra: produced.extra.map(|extra| {
                let Extra { undo, shared } = *extra;
                Box::new(crate::engine::Extra {
                    undo,
                    shared,
                    ..crate::engine::Extra::default()
                })
            }),
        },
        Outcome::Postponed { wait, state } => AttemptOutcome::postponed(wait, state),
        Outcome::Failed(failed) => AttemptOutcome::Failed {
            failure: failed.failure,
            error: failed.error.map(|error| (error.value, error.encoded)),
            verdict: if failed.is_final {
                Verdict::Final
            } else {
                Verdict::ByPolicy
            },
        },
    }
}

/// Computes something quick and pure.
pub(crate) fn evaluate(
    run: &Run,
    place: Place,
    what: Evaluation,
    inputs: Vec<Value>,
) -> Result<Evaluated<Value>, Failure> {
    contain(AssertUnwindSafe(|| match what {
        Evaluation::Step => step(run, place, &inputs),
        Evaluation::Given(arguments) => enter(run, place, &arguments),
        Evaluation::Arguments {
            inputs: from,
            nodes,
        } => bequeath(run, from, &nodes, &inputs).map(Evaluated::Arguments),
        Evaluation::Join
        | Evaluation::Succeeded
        | Evaluation::Caught(_)
        | Evaluation::Won(_)
        | Evaluation::Received(_)
        | Evaluation::TimedOut => convert(run, place, what, inputs).map(Evaluated::Value),
    }))
    .and_then(|evaluated| evaluated)
}

/// The node's own step.
fn step(run: &Run, place: Place, inputs: &[Value]) -> Result<Evaluated<Value>, Failure> {
    let code = &run.executable.code;
    let name = code.node_name(place.node);
    let context = Context::new(run.id, name, None, place.node, Attempt::FIRST);
    match code.step(place.node, &context, inputs, false) {
        Step::Value(value) => Ok(Evaluated::Value(value)),
        Step::Items(items) => Ok(Evaluated::Items(items)),
        Step::Enter(inputs) => Ok(Evaluated::Inputs(inputs)),
        Step::Arm(arm) => Ok(Evaluated::Arm(arm)),
        Step::Sleep(duration) => Ok(Evaluated::Sleep(duration)),
        Step::SleepUntil(time) => Ok(Evaluated::SleepUntil(timestamp(time))),
        Step::Run(_) | Step::Described(_) | Step::Nothing => Err(misfit("computes nothing")),
    }
}

/// The inputs of the workflow that a child is.
fn enter(run: &Run, place: Place, arguments: &[u8]) -> Result<Evaluated<Value>, Failure> {
    let inputs = run.executable.code.decode_called(place.node, arguments);
    let inputs = inputs.map_err(|error| {
        let name = run.executable.kind_name(place.node).unwrap_or_default();
        let text = format!("what is stored as the inputs of `{name}` can't be decoded as {error}");
        failure(FailureKind::Undecodable, text)
    })?;
    Ok(Evaluated::Inputs(inputs))
}

/// The inputs of a job that gives the result of another: one map from their names. `results` are those
/// of children, in the order in which the inputs name them.
fn bequeath(
    run: &Run,
    inputs: Vec<HeirInput>,
    nodes: &[NodeId],
    results: &[Value],
) -> Result<Vec<u8>, Failure> {
    let mut results = nodes.iter().zip(results);
    let mut result = |bytes: &mut Vec<u8>| {
        let (node, value) = results.next().ok_or_else(|| misfit("has no value"))?;
        let encoded = run.executable.code.encode(*node, value);
        let encoded =
            encoded.map_err(|error| failure(FailureKind::Unencodable, error.to_string()))?;
        bytes.extend(encoded);
        Ok(())
    };
    let mut bytes = Vec::new();
    value::write_map_header(&mut bytes, count(inputs.len()));
    for HeirInput { name, value } in inputs {
        value::write_str(&mut bytes, &name);
        match value {
            Inherited::Value(encoded) => bytes.extend(encoded),
            Inherited::Child(_) => result(&mut bytes)?,
            Inherited::Children(children) => {
                value::write_list_header(&mut bytes, count(children.len()));
                for _ in children {
                    result(&mut bytes)?;
                }
            }
        }
    }
    Ok(bytes)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// What the node has run or waited for, as its value.
fn convert(
    run: &Run,
    place: Place,
    what: Evaluation,
    mut inputs: Vec<Value>,
) -> Result<Value, Failure> {
    let described = run.executable.code.describe(place.node);
    match (what, described) {
        (Evaluation::Join, Some(Description::Each { join })) => Ok(join(inputs)),
        (Evaluation::Succeeded, Some(Description::Result(result))) => {
            Ok((result.succeeded)(only(&mut inputs)?))
        }
        (Evaluation::Caught(caught), described) => {
            let kept = inputs.pop();
            let error = kept.unwrap_or_else(|| Value::new(caught_failure(run, *caught)));
            Ok(match described {
                Some(Description::Result(result)) => (result.failed)(error),
                _ => error,
            })
        }
        (Evaluation::Won(entry), Some(Description::Race(race))) => {
            let entry = usize::try_from(entry).ok();
            let won = entry.and_then(|entry| race.won.get(entry));
            let won = won.ok_or_else(|| misfit("is a race without this entry"))?;
            Ok(won(only(&mut inputs)?))
        }
        (Evaluation::Received(payload), Some(Description::Signal(signal))) => {
            (signal.received)(&payload).map_err(|error| {
                let name = run.executable.signal_name(place.node).unwrap_or_default();
                let message = format!("the signal `{name}` can't be decoded as {error}");
                failure(FailureKind::Undecodable, message)
            })
        }
        (Evaluation::TimedOut, Some(Description::Signal(signal))) => Ok((signal.timed_out)()),
        (_, _) => Err(misfit("is not what is to be computed for it")),
    }
}

/// The value that an evaluation is made from.
fn only(inputs: &mut Vec<Value>) -> Result<Value, Failure> {
    inputs.pop().ok_or_else(|| misfit("has no value"))
}

/// What a handler is given for a failure whose error is not kept.
pub(crate) fn caught_failure(run: &Run, caught: Caught) -> crate::Failure {
    let path = run.executable.path(&caught.at);
    let attempt = caught.attempt.map_or(0, Attempt::number);
    crate::Failure::new(path, attempt, caught.failure)
}

/// The wall clock's time as it is stored, rounded up. What is before 1970 is long due.
fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().after(since)
}

fn misfit(what: &str) -> Failure {
    failure(FailureKind::Bug, format!("the node {what}"))
}

/// Runs user code; its panic becomes a failure.
pub(crate) fn contain<T>(code: impl FnOnce() -> T + std::panic::UnwindSafe) -> Result<T, Failure> {
    catch_unwind(code).map_err(panicked)
}

/// The failure that a panic is.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Failure {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    bury(payload);
    let message = text.unwrap_or_else(|| "a panic without a message".to_owned());
    failure(FailureKind::Panic, message)
}
