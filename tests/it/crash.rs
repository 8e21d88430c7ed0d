//! Real workflows, cut at every append and gone on with by another runtime: the same output, and the
//! same results on record, as an undisturbed run.

mod nested;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use zahir::{
    Call, Context, Race2, RunErrorKind, RunHandle, Runtime, RuntimeBuilder, StartError, Workflow,
    job, workflow,
};
use zahir_store::{Fault, FaultStore, MemoryStore, Record, RunId, Store};

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
    let mut consumed = BTreeSet::new();
    for head in store.runs(None, 10).unwrap() {
        for record in records(store, head.id) {
            let (place, value) = match record {
                Record::AttemptSucceeded { at, output, .. } => (format!("result {at:?}"), output),
                Record::AttemptFailed {
                    at,
                    failure,
                    retry_at: None,
                    ..
                } => (format!("result {at:?}"), failure.message.into_bytes()),
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
                Record::CancelRequested(_) => ("cancel".to_owned(), vec![]),
                Record::RunFinished(ending) => ("end".to_owned(), format!("{ending:?}").into()),
                _ => continue,
            };
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
}

impl Outside {
    async fn happen<O: Send + Sync + 'static>(
        self,
        store: &MemoryStore,
        run: &RunHandle<O>,
    ) -> Result<(), Box<dyn Error>> {
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
                let begun = || {
                    let starts = records(store, run.id()).filter_map(|record| match record {
                        Record::AttemptStarted { at, .. } => Some(at),
                        _ => None,
                    });
                    starts.collect::<BTreeSet<_>>().len()
                };
                let have_begun = async {
                    while begun() < after {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    () = have_begun => drop(run.cancel("enough").await?),
                    _ = run.output() => {}
                }
            }
        }
        Ok(())
    }
}

/// What is cut: a workflow, how a run of it is started, and what happens to that. Not generic over the
/// workflow, of which there are many.
struct Case<O> {
    register: fn(RuntimeBuilder) -> RuntimeBuilder,
    start: Box<dyn Fn(Runtime) -> Starting<O>>,
    outside: Outside,
}

type Starting<O> = Pin<Box<dyn Future<Output = Result<RunHandle<O>, StartError>>>>;

impl<O: PartialEq + fmt::Debug + Send + Sync + 'static> Case<O> {
    /// Runs it until it has ended, or until the store fails. Of a failure it tells the message.
    async fn go_on(
        &self,
        through: impl Store,
        store: &MemoryStore,
    ) -> Result<Result<O, String>, Box<dyn Error>> {
        let runtime = (self.register)(Runtime::with_store(through))
            .start()
            .await?;
        let problems = runtime.recovered().problems();
        assert!(problems.is_empty(), "{problems:?}");
        let run = (self.start)(runtime.clone()).await?;
        self.outside.happen(store, &run).await?;
        let output = match run.output().await {
            Ok(output) => Ok(output),
            Err(error) => match error.kind() {
                RunErrorKind::Failed(_) => Err(error.message().to_owned()),
                RunErrorKind::Cancelled => Err("cancelled".to_owned()),
                _ => return Err(error.into()),
            },
        };
        runtime.shutdown().await?;
        Ok(output)
    }

    async fn check(&self) {
        let undisturbed = Arc::new(MemoryStore::new());
        let expected = self.go_on(Arc::clone(&undisturbed), &undisturbed);
        let expected = expected.await.expect("an end");
        let expected_results = results(&undisturbed);
        for fault in [Fault::UnknownNotWritten, Fault::UnknownWritten] {
            for cut in 0.. {
                let store = Arc::new(MemoryStore::new());
                let failing = FaultStore::new(Arc::clone(&store));
                failing.fail_after(cut, fault);
                let first = self.go_on(failing, &store).await;
                let second = self.go_on(Arc::clone(&store), &store).await;
                let second = second.expect("a run that goes on");
                assert_eq!(second, expected, "{fault:?} after {cut} appends");
                assert_eq!(
                    results(&store),
                    expected_results,
                    "{fault:?} after {cut} appends"
                );
                if first.is_ok() {
                    assert!(cut > 1, "some appends were cut");
                    break;
                }
            }
        }
    }
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
    let case = Case {
        register: RuntimeBuilder::workflow::<W>,
        start: Box::new(move |runtime| {
            let starting = runtime.run(call()).key("the one").start();
            Box::pin(starting)
        }),
        outside,
    };
    case.check().await;
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
