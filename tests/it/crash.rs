//! Real workflows, cut at every append and gone on with by another runtime: the same output, and the
//! same results on record, as an undisturbed run.

mod children;
mod effects;
mod nested;
mod repairs;
mod shares;
mod told;
mod undos;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use zahir::{
    Call, ChildCount, Context, Race2, RunErrorKind, RunHandle, Runtime, RuntimeBuilder, StartError,
    Workflow, job, workflow,
};
use zahir_store::{Fault, FaultStore, MemoryStore, Position, Record, RunId, Store};

#[job]
pub async fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[job]
pub async fn split(number: u64) -> Vec<u64> {
    (0..number).collect()
}

#[job]
pub async fn collect(numbers: &[u64]) -> u64 {
    numbers.iter().fold(7, |sum, number| sum * 31 + number)
}

#[job(retry = 1, backoff = 1ms..2ms)]
pub async fn flaky(ctx: &Context, number: u64) -> Result<u64, std::io::Error> {
    if ctx.attempt() == 1 {
        return Err(std::io::Error::other("not yet"));
    }
    Ok(number * 10)
}

workflow! {
    /// A diamond, with a pure value in the middle.
    pub async fn diamond(number: u64) -> u64 {
        let left = add(number, 1);
        let right = add(number, 2);
        let both = left * 100 + right;
        let done = add(both, 0).after(left);
        add(done, left)
    }
}

workflow! {
    /// A `for` in a `for`, with values from around, and pure results.
    pub async fn grid(number: u64) -> u64 {
        let base = add(number, 1);
        let rows = split(number);
        let sums = for row in rows {
            let columns = split(row);
            let cells = for column in columns {
                let cell = add(column, base);
                cell + row
            };
            collect(&cells)
        };
        collect(&sums)
    }
}

workflow! {
    /// Workflows as nodes, one of them for each item, and a job that fails at first.
    pub async fn composed(number: u64) -> u64 {
        let first = diamond(number);
        let numbers = split(number);
        let others = #[limit(2)] for other in numbers {
            let tenfold = flaky(other);
            diamond(tenfold)
        };
        let sum = collect(&others);
        add(first, sum)
    }
}

/// What is on record of results and decisions, each by its kind and place, and there once.
fn results(store: &MemoryStore) -> BTreeMap<String, Vec<u8>> {
    let mut results = BTreeMap::new();
    for head in store.runs(None, 10).unwrap() {
        let mut consumed = BTreeSet::new();
        let mut children = BTreeMap::new();
        let mut revision = 0;
        for record in records(store, head.id) {
            let (place, value) = match record {
                Record::AttemptSucceeded { at, output, .. }
                | Record::AttemptRecovered { at, output, .. } => (format!("result {at:?}"), output),
                Record::AttemptFailed {
                    at,
                    failure,
                    retry_at: None,
                    ..
                } => (format!("result {at:?}"), failure.message.into_bytes()),
                Record::RecoveryBegan { at, failure, .. } => {
                    (format!("recovery {at:?}"), failure.message.into_bytes())
                }
                Record::ErrorKept { at, error } => (format!("error {at:?}"), error),
                Record::ItemsCounted { at, items } => (format!("items {at:?}"), bytes(items)),
                Record::BranchTaken { at, arm } => (format!("arm {at:?}"), bytes(arm)),
                Record::RaceWon { at, entry } => (format!("race {at:?}"), bytes(entry)),
                Record::BlockEntered { at } => (format!("block {at:?}"), vec![]),
                Record::TimerSet { at, .. } => (format!("timer {at:?}"), vec![]),
                Record::WaitTimedOut { at } => (format!("wait {at:?}"), vec![]),
                Record::SignalConsumed { at, signal } => {
                    assert!(consumed.insert(signal), "{signal} is consumed twice");
                    (format!("wait {at:?}"), vec![1])
                }
                Record::DeadlineSet { at, .. } => (format!("deadline {at:?}"), vec![]),
                Record::DeadlinePassed { at, failure } => {
                    (format!("late {at:?}"), failure.message.into_bytes())
                }
                Record::UndoOwed { at, arguments } => (format!("owed {at:?}"), arguments),
                Record::UndoingBegan { ending } => {
                    ("undoing".to_owned(), format!("{ending:?}").into())
                }
                Record::UndoSucceeded { at, .. } => (format!("undone {at:?}"), vec![]),
                Record::UndoFailed {
                    at,
                    failure,
                    retry_at: None,
                    ..
                } => (format!("undone {at:?}"), failure.message.into_bytes()),
                Record::ResultShared { key, .. } => (format!("shared {key:x}"), vec![]),
                Record::ArgumentsReplaced { at, arguments } => {
                    (format!("arguments {at:?}"), arguments)
                }
                Record::CancelRequested(_) => ("cancel".to_owned(), vec![]),
                Record::RunFinished(ending) => ("end".to_owned(), format!("{ending:?}").into()),
                Record::RunRevised(revised) => {
                    revision += 1;
                    (
                        "revised".to_owned(),
                        format!("{:?}", revised.dropped).into(),
                    )
                }
                Record::ChildrenSpawned { at, children: more } => {
                    let first: &mut usize = children.entry(at.clone()).or_default();
                    let place = format!("children {at:?} from {first}");
                    *first += more.len();
                    (place, format!("{more:?}").into())
                }
                Record::ValueKept { at, name, value } => (format!("kept {at:?} {name}"), value),
                Record::AttemptContinued { at, heir, .. } => {
                    (format!("heir {at:?}"), format!("{heir:?}").into())
                }
                Record::RunStarted(_)
                | Record::AttemptParked { .. }
                | Record::AttemptResumed { .. }
                | Record::ChildrenLeft { .. }
                | Record::AttemptsDropped { .. }
                | Record::ChildrenSuspended { .. }
                | Record::ChildrenResumed { .. }
                | Record::AttemptStarted { .. }
                | Record::AttemptFailed { .. }
                | Record::AttemptInterrupted { .. }
                | Record::AttemptPostponed { .. }
                | Record::SignalReceived { .. }
                | Record::UndoStarted { .. }
                | Record::UndoFailed { .. }
                | Record::UndoInterrupted { .. } => continue,
            };
            // Who of several runs shares a result is nobody's business.
            let of = if place.starts_with("shared") {
                None
            } else {
                Some((head.key.as_deref(), revision))
            };
            let place = format!("{of:?} {place}");
            let earlier = results.insert(place.clone(), value);
            assert!(earlier.is_none(), "{place} is on record twice");
        }
    }
    results
}

fn bytes(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

/// The records of a run.
fn records(store: &MemoryStore, run: RunId) -> impl Iterator<Item = Record> {
    let steps = store.load(run).unwrap().unwrap().steps;
    steps.into_iter().flat_map(|step| step.records)
}

/// What else happens to a run, whenever a process goes on with it.
#[derive(Clone, Copy)]
enum Outside {
    Nothing,
    /// So many signals called `go` are sent in all.
    Signals(usize),
    /// It is cancelled when so many jobs have begun.
    Cancel(usize),
    /// It is cancelled when so many of its results are being undone, or were.
    CancelUndoing(usize),
}

impl Outside {
    async fn happen<O: Send + Sync + 'static>(
        self,
        store: &MemoryStore,
        run: &RunHandle<O>,
    ) -> Result<(), Box<dyn Error>> {
        let begun = |of: fn(Record) -> Option<Position>| {
            let all = records(store, run.id()).filter_map(of);
            all.collect::<BTreeSet<_>>().len()
        };
        let cancel = async |after: usize, of: fn(Record) -> Option<Position>| {
            let have_begun = async {
                while begun(of) < after {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = have_begun => run.cancel("enough").await.map(drop),
                _ = run.output() => Ok(()),
            }
        };
        match self {
            Self::Nothing => {}
            Self::Signals(wanted) => {
                let sent = || {
                    let all = records(store, run.id());
                    all.filter(|record| matches!(record, Record::SignalReceived { .. }))
                        .count()
                };
                for known in sent()..wanted {
                    run.signal_named("go", &1_000_u64).await?;
                    assert_eq!(sent(), known + 1, "what was acknowledged is on record");
                }
            }
            Self::Cancel(after) => {
                let start = |record| match record {
                    Record::AttemptStarted { at, .. } => Some(at),
                    _ => None,
                };
                cancel(after, start).await?;
            }
            Self::CancelUndoing(after) => {
                let start = |record| match record {
                    Record::UndoStarted { at, .. } => Some(at),
                    _ => None,
                };
                cancel(after, start).await?;
            }
        }
        Ok(())
    }
}

/// How a run ends: with its output, or of a failure, the message and what could not be undone.
type Ended<O> = Result<O, String>;

async fn ended<O: Send + Sync + 'static>(run: &RunHandle<O>) -> Result<Ended<O>, Box<dyn Error>> {
    Ok(match run.output().await {
        Ok(output) => Ok(output),
        Err(error) => match (error.kind(), error.not_undone()) {
            (RunErrorKind::Failed(_), []) => Err(error.message().to_owned()),
            (RunErrorKind::Failed(_), left) => Err(format!("{}, left: {left:?}", error.message())),
            (RunErrorKind::Cancelled, _) => Err("cancelled".to_owned()),
            (_, _) => return Err(error.into()),
        },
    })
}

/// What is cut: the workflows, and what a process does with runs of them. Each process does it from
/// the beginning, and finds what others have left. Not generic over the workflow, of which there are
/// many.
struct Case<E> {
    register: fn(RuntimeBuilder) -> RuntimeBuilder,
    process: Box<dyn Fn(Runtime, Arc<MemoryStore>) -> Process<E>>,
    /// Whether what became of each attempt is compared as well, and what it did.
    compares_attempts: bool,
    /// What else has to hold, whatever was cut.
    holds: fn(&Told<E>),
}

type Process<E> = Pin<Box<dyn Future<Output = Result<E, Box<dyn Error>>>>>;

/// One append that fails: how many come before it in its process.
type Cut = (u64, Fault);

/// What has come of a case.
struct Told<E> {
    ended: E,
    results: BTreeMap<String, Vec<u8>>,
    attempts: BTreeMap<String, String>,
    /// How many children there were.
    children: Vec<ChildCount>,
    /// What the jobs did, in order.
    ran: Vec<String>,
}

impl<E: PartialEq + fmt::Debug> Case<E> {
    /// One process: it ends when everything is done, or when the store fails.
    async fn process(
        &self,
        through: impl Store,
        store: &Arc<MemoryStore>,
    ) -> Result<E, Box<dyn Error>> {
        let runtime = (self.register)(Runtime::with_store(through))
            .start()
            .await?;
        let problems = runtime.recovered().problems();
        assert!(problems.is_empty(), "{problems:?}");
        let ended = (self.process)(runtime.clone(), Arc::clone(store)).await?;
        runtime.shutdown().await?;
        Ok(ended)
    }

    /// Lets a process come after another one: each but the last is cut, if it comes that far. Tells
    /// how many were, too, and how many attempts were lost by that.
    async fn processes(&self, cuts: &[Cut]) -> (Told<E>, usize, usize) {
        let store = Arc::new(MemoryStore::new());
        told::begin_world(&store);
        let mut were_cut = 0;
        for (appends, fault) in cuts {
            let failing = Arc::new(FaultStore::new(Arc::clone(&store)));
            failing.fail_after(*appends, *fault);
            if let Err(error) = self.process(Arc::clone(&failing), &store).await {
                let is_planned = failing.appends() == *appends;
                assert!(is_planned, "{cuts:?}: before it was cut: {error}");
                were_cut += 1;
            }
        }
        let ended = self.process(Arc::clone(&store), &store).await;
        let children = COUNTED.take();
        if !children.is_empty() {
            let again = self.process(Arc::clone(&store), &store).await;
            assert_eq!(COUNTED.take(), children, "{cuts:?}: as the records have it");
            drop(again);
        }
        let (attempts, lost) = told::attempts(&store);
        let told = Told {
            ended: ended.unwrap_or_else(|error| panic!("{cuts:?}: {error}")),
            results: results(&store),
            attempts,
            children,
            ran: told::ran(),
        };
        (told, were_cut, lost)
    }

    /// Cuts it once, everywhere.
    async fn check(&self) {
        let expected = self.processes(&[]).await;
        (self.holds)(&expected.0);
        for fault in [Fault::UnknownNotWritten, Fault::UnknownWritten] {
            for cut in 0.. {
                if self.check_cut(&expected, &[(cut, fault)]).await == 0 {
                    assert!(cut > 1, "some appends were cut");
                    break;
                }
            }
        }
    }

    /// Cuts it, and what goes on with it once more, everywhere.
    async fn check_twice(&self) {
        let expected = self.processes(&[]).await;
        for faults in [
            [Fault::UnknownNotWritten, Fault::UnknownWritten],
            [Fault::UnknownWritten, Fault::UnknownNotWritten],
        ] {
            for first in 0.. {
                let mut were_cut = 0;
                for second in 0.. {
                    let cuts = [(first, faults[0]), (second, faults[1])];
                    were_cut = self.check_cut(&expected, &cuts).await;
                    if were_cut < 2 {
                        break;
                    }
                }
                if were_cut == 0 {
                    break;
                }
            }
        }
    }

    /// Gives how many of these cuts there were.
    async fn check_cut(&self, expected: &(Told<E>, usize, usize), cuts: &[Cut]) -> usize {
        let (expected, _, lost_anyway) = expected;
        let (told, were_cut, lost) = self.processes(cuts).await;
        assert_eq!(told.ended, expected.ended, "{cuts:?}");
        assert_eq!(told.results, expected.results, "{cuts:?}");
        assert_eq!(told.children, expected.children, "{cuts:?}");
        if self.compares_attempts {
            assert_eq!(told.attempts, expected.attempts, "{cuts:?}");
            let lost_most = lost_anyway + were_cut * told::UNDER_WAY_MAX;
            assert!(lost <= lost_most, "{cuts:?}: {lost} attempts were lost");
        }
        (self.holds)(&told);
        were_cut
    }
}

/// The one run of a case.
fn one_run<W>(
    call: impl Fn() -> Call<'static, W> + 'static,
    outside: Outside,
    compares_attempts: bool,
) -> Case<Ended<W::Output>>
where
    W: Workflow<Output: PartialEq + fmt::Debug>,
{
    Case {
        register: RuntimeBuilder::workflow::<W>,
        process: Box::new(move |runtime, store| {
            let starting = runtime.run(call()).key("the one").start();
            Box::pin(until_it_ends(Box::pin(starting), store, outside))
        }),
        compares_attempts,
        holds: |_| {},
    }
}

type Starting<O> = Pin<Box<dyn Future<Output = Result<RunHandle<O>, StartError>>>>;

async fn until_it_ends<O: Send + Sync + 'static>(
    starting: Starting<O>,
    store: Arc<MemoryStore>,
    outside: Outside,
) -> Result<Ended<O>, Box<dyn Error>> {
    let run = starting.await?;
    outside.happen(&store, &run).await?;
    let ended = ended(&run).await?;
    COUNTED.set(run.children().await?);
    Ok(ended)
}

thread_local! {
    /// The children of the run that the last process saw the end of.
    static COUNTED: RefCell<Vec<ChildCount>> = const { RefCell::new(Vec::new()) };
}

async fn check<W>(call: impl Fn() -> Call<'static, W> + 'static)
where
    W: Workflow<Output: PartialEq + fmt::Debug>,
{
    check_with(call, Outside::Nothing).await;
}

async fn check_with<W>(call: impl Fn() -> Call<'static, W> + 'static, outside: Outside)
where
    W: Workflow<Output: PartialEq + fmt::Debug>,
{
    one_run(call, outside, false).check().await;
}

#[tokio::test]
async fn a_diamond_cut_anywhere_gives_the_same() {
    check(|| diamond(5)).await;
}

#[tokio::test]
async fn nested_fors_cut_anywhere_give_the_same() {
    check(|| grid(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn composed_workflows_with_retries_cut_anywhere_give_the_same() {
    check(|| composed(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_cut_anywhere_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger").display().to_string();
    check(move || zahir_tests::orders::fulfil(ledger.clone(), 4)).await;
}

workflow! {
    /// It is cancelled while a job never ends, inside of two blocks with a `finally`.
    pub async fn cancelled(number: u64) -> u64 {
        let before = { add(number, 1) }.finally(add(number, 2));
        let kept = {
            let inner = { let one = add(before, 1); nested::never(one) }.rescue(|_| 3).finally(add(number, 3));
            add(inner, 4)
        }.finally({
            let last = { add(number, 5) }.finally(add(number, 6));
            sleep(1h);
            add(last, 7);
        });
        { add(kept, 8) }.finally(add(number, 9))
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_cut_anywhere_runs_the_same_finallys() {
    check_with(|| cancelled(5), Outside::Cancel(4)).await;
}

workflow! {
    /// A failure goes through handlers that fail as well.
    pub async fn fails_in_the_end(number: u64) -> u64 {
        let first = add(number, 1);
        {
            let second = add(first, 2);
            let inner = { let third = add(second, 1); nested::fails(third) }.finally(nested::fails(first));
            add(inner, 3)
        }.rescue(|failure| {
            let length = failure.message().len() as u64;
            let handled = add(length, 1);
            nested::fails(handled)
        }).finally({
            let cleaned = nested::fails(number).rescue(|off| add(number, off.by()));
            add(cleaned, 1);
        })
    }
}

#[tokio::test]
async fn a_run_that_fails_cut_anywhere_fails_the_same() {
    check(|| fails_in_the_end(5)).await;
}

workflow! {
    pub async fn factorial(number: u64) -> u64 {
        if number < 2 { return add(number, 0); }
        let less = factorial(number - 1);
        add(less * number, 0)
    }
}

#[tokio::test]
async fn a_workflow_that_calls_itself_cut_anywhere_gives_the_same() {
    check(|| factorial(5)).await;
}

workflow! {
    /// The lowest item that returns wins, whatever the order in which they come to it.
    pub async fn returns_from_items(number: u64) -> u64 {
        let numbers = split(number);
        for item in numbers {
            let base = add(item, 1);
            if base > 2 { return add(base, 100); }
        };
        add(number, 7)
    }
}

#[tokio::test]
async fn items_that_return_cut_anywhere_give_the_same() {
    check(|| returns_from_items(6)).await;
    check(|| returns_from_items(2)).await;
}

workflow! {
    /// All of it: rounds of review with a deadline, and what is done when it is over.
    pub async fn review(number: u64) -> (u64, u64) {
        let mut draft = add(number, 1);
        let mut rounds = 0;
        let verdict = #[max(5)] loop {
            rounds += 1;
            sleep(1h);
            let seen = race((signal::<u64>("go"), nested::never(draft)));
            match seen {
                Race2::First(note) if rounds < 3 => { draft = add(draft, note); continue; }
                Race2::First(note) => break add(note, rounds),
                Race2::Second(other) => { return (other, 0); }
            }
        };
        let paid = {
            let parts = split(3);
            let sums = for part in parts {
                if part == 1 { nested::fails(part).rescue(|off| add(off.by(), 1)) } else { diamond(part) }
            };
            let all = collect(&sums);
            nested::fails(all)
        }.rescue(|failure| { draft = add(draft, 1); failure.message().len() as u64 })
            .finally({ let kept = add(verdict, 1); sleep(1m); add(kept, 1); });
        (draft + paid, verdict)
    }
}

#[tokio::test(start_paused = true)]
async fn a_review_cut_anywhere_gives_the_same() {
    check_with(|| review(5), Outside::Signals(3)).await;
}

#[job]
pub async fn panics(number: u64) -> Result<u64, nested::Off> {
    panic!("no way on from {number}");
}

workflow! {
    /// A panic goes past handlers of errors, to a handler of a block.
    pub async fn panics_past(number: u64) -> u64 {
        let past = {
            let one = add(number, 1);
            let tried = panics(one).result();
            match tried { Ok(value) => add(value, 1), Err(_) => 0 }
        }.rescue(|failure| add(failure.message().len() as u64, 1));
        { panics(past).rescue(|off| add(off.by(), 1)) }.finally(add(past, 2))
    }
}

#[tokio::test]
async fn a_panic_cut_anywhere_goes_as_far() {
    check(|| panics_past(5)).await;
}
