//! Real workflows, cut at every append and gone on with by another runtime: the same output, and the
//! same results on record, as an undisturbed run.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use zahir::{Call, Context, Runtime, Workflow, job, workflow};
use zahir_store::{Fault, FaultStore, MemoryStore, Record, Store};

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

/// What is on record: each result by its place, and how many attempts there were.
pub(crate) fn results(store: &MemoryStore) -> BTreeMap<String, Vec<u8>> {
    let mut results = BTreeMap::new();
    for head in store.runs(None, 10).unwrap() {
        let run = store.load(head.id).unwrap().unwrap();
        for record in run.steps.into_iter().flat_map(|step| step.records) {
            if let Record::AttemptSucceeded { at, output, .. } = record {
                let place = format!("{at:?}");
                assert!(
                    results.insert(place.clone(), output).is_none(),
                    "{place} has two results"
                );
            }
        }
    }
    results
}

/// Runs `call` until it has its output, or until the store fails.
async fn go_on<W: Workflow>(
    store: impl Store,
    call: Call<'static, W>,
) -> Result<W::Output, Box<dyn Error>> {
    let runtime = Runtime::with_store(store).workflow::<W>().start().await?;
    assert!(
        runtime.recovered().problems().is_empty(),
        "{:?}",
        runtime.recovered()
    );
    let run = runtime.run(call).key("the one").start().await?;
    let output = run.output().await?;
    runtime.shutdown().await?;
    Ok(output)
}

pub(crate) async fn check<W>(call: impl Fn() -> Call<'static, W>)
where
    W: Workflow<Output: PartialEq + std::fmt::Debug>,
{
    let undisturbed = Arc::new(MemoryStore::new());
    let expected = go_on(Arc::clone(&undisturbed), call())
        .await
        .expect("an output");
    let expected_results = results(&undisturbed);
    for fault in [Fault::UnknownNotWritten, Fault::UnknownWritten] {
        for cut in 0.. {
            let store = Arc::new(MemoryStore::new());
            let failing = FaultStore::new(Arc::clone(&store));
            failing.fail_after(cut, fault);
            let first = go_on(failing, call()).await;
            let second = go_on(Arc::clone(&store), call())
                .await
                .expect("a run that goes on");
            assert_eq!(second, expected, "{fault:?} after {cut} appends");
            assert_eq!(
                results(&store),
                expected_results,
                "{fault:?} after {cut} appends"
            );
            if first.is_ok() {
                assert!(cut > 3, "some appends were cut");
                break;
            }
        }
    }
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
