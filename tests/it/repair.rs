//! Repairs: what runs again, how often, and what comes out, over a store in memory and a file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zahir::{
    Context, RepairError, RunHandle, RunStatus, Runtime, RuntimeBuilder, Workflow, job, workflow,
};
use zahir_store::MemoryStore;

use crate::ledger::{break_job, mend, ran, run, test};

#[job]
pub async fn quote(test: u64, order: u64) -> Result<u64, String> {
    run(test, "quote")?;
    Ok(order * 10)
}

#[job]
pub async fn reserve(test: u64, order: u64) -> Result<u64, String> {
    run(test, "reserve")?;
    Ok(order + 1)
}

#[job]
pub async fn charge(test: u64, cents: u64) -> Result<u64, String> {
    run(test, "charge")?;
    Ok(cents)
}

#[job]
pub async fn ship(test: u64, seat: u64, paid: u64) -> Result<u64, String> {
    run(test, "ship")?;
    Ok(seat * 1000 + paid)
}

#[job]
pub async fn thank(test: u64, shipped: u64) -> Result<String, String> {
    run(test, "thank")?;
    Ok(format!("shipped {shipped}"))
}

#[job(recover = owe)]
pub async fn collect(test: u64, cents: u64) -> Result<u64, String> {
    run(test, "collect")?;
    Ok(cents)
}

#[job]
pub async fn owe(failure: &zahir::Failure, test: u64, cents: u64) -> Result<u64, String> {
    assert_eq!(failure.message(), "collect is broken");
    run(test, "owe")?;
    Ok(cents + 1000)
}

workflow! {
    pub async fn bill(test: u64, number: u64) -> u64 {
        let price = quote(test, number);
        collect(test, price).named("paid")
    }
}

workflow! {
    pub async fn order(test: u64, number: u64) -> String {
        let price = quote(test, number);
        let seat = reserve(test, number);
        let paid = charge(test, price);
        let shipped = ship(test, seat, paid);
        thank(test, shipped)
    }
}

/// A store to open again and again.
#[derive(Clone)]
enum Disk {
    Memory(Arc<MemoryStore>),
    File(PathBuf),
}

impl Disk {
    async fn open(&self, register: fn(RuntimeBuilder) -> RuntimeBuilder) -> Runtime {
        let builder = match self {
            Self::Memory(store) => Runtime::with_store(Arc::clone(store)),
            Self::File(path) => Runtime::open(path),
        };
        let runtime = register(builder).start().await.unwrap();
        assert!(runtime.recovered().problems().is_empty());
        runtime
    }
}

/// A run of the order in which this job fails, on each kind of store.
async fn failed(job: &str) -> Vec<(u64, Runtime, RunHandle<String>, tempfile::TempDir)> {
    let folder = || tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for is_file in [false, true] {
        let (test, folder) = (test(), folder());
        break_job(test, job);
        let disk = if is_file {
            Disk::File(folder.path().join("runs.redb"))
        } else {
            Disk::Memory(Arc::default())
        };
        let runtime = disk.open(|builder| builder.workflow::<Order>()).await;
        let run = runtime.run(order(test, 7)).start().await.unwrap();
        let error = run.output().await.unwrap_err();
        assert!(error.to_string().contains("is broken"), "{error}");
        mend(test);
        runs.push((test, runtime, run, folder));
    }
    runs
}

#[tokio::test]
async fn only_what_failed_is_tried_again() {
    for (test, runtime, run, _folder) in failed("charge").await {
        assert_eq!(ran(test), "charge, quote, reserve");
        let repair = run.retry_failed();
        let planned = repair.plan().await.unwrap();
        assert_eq!(ran(test), "", "a plan changes nothing");
        assert_eq!(
            planned.to_string(),
            "kept: `price`, `seat`\nruns again: `paid`"
        );
        let again = repair.start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), "shipped 8070");
        assert_eq!(ran(test), "charge, ship, thank");
        assert_eq!(again.changes(), Some(&planned));
        assert_eq!(
            (again.id(), again.status()),
            (run.id(), RunStatus::Succeeded)
        );
        // The old handle keeps what it knows.
        assert_eq!(run.status(), RunStatus::Failed);
        let found = runtime.handle::<Order>(run.id()).await.unwrap();
        assert_eq!(found.output().await.unwrap(), "shipped 8070");
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_repair_may_fail_and_be_repaired() {
    for (test, runtime, run, _folder) in failed("charge").await {
        ran(test);
        break_job(test, "thank");
        let again = run.retry_failed().start().await.unwrap();
        let error = again.output().await.unwrap_err();
        assert_eq!(error.message(), "thank is broken");
        assert_eq!(ran(test), "charge, ship, thank");
        mend(test);
        let again = again.retry_failed().start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), "shipped 8070");
        assert_eq!(ran(test), "thank");
        // Also one that succeeded.
        let again = again.rerun_from("paid").start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), "shipped 8070");
        assert_eq!(ran(test), "charge, ship, thank");
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_node_is_given_other_inputs() {
    for (test, runtime, run, _folder) in failed("ship").await {
        ran(test);
        let edited = run.rerun_from("paid").with(Charge { test, cents: 1 });
        let again = edited.start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), "shipped 8001");
        assert_eq!(ran(test), "charge, ship, thank");
        // They hold until something before the node runs again.
        let again = again.rerun_from("paid").start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), "shipped 8001");
        let again = again.rerun_from("price").start().await.unwrap();
        assert_eq!(again.output().await.unwrap(), "shipped 8070");
        runtime.shutdown().await.unwrap();
    }
}

/// A recovery job was given what its job is wired to, and not what that was given.
#[tokio::test]
async fn a_recovery_job_is_given_the_other_inputs_of_its_job() {
    let (folder, test) = (tempfile::tempdir().unwrap(), test());
    let disk = Disk::File(folder.path().join("runs.redb"));
    let runtime = disk.open(|builder| builder.workflow::<Bill>()).await;
    break_job(test, "collect");
    break_job(test, "owe");
    let run = runtime.run(bill(test, 7)).start().await.unwrap();
    assert!(run.output().await.is_err());
    mend(test);
    break_job(test, "collect");
    let edited = run.rerun_from("paid").with(Collect { test, cents: 1 });
    let again = edited.start().await.unwrap();
    assert_eq!(again.output().await.unwrap(), 1001);
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_runs() {
    let (test, runtime, run, _folder) = failed("charge").await.remove(0);
    ran(test);
    let refused = async |repair: zahir::Repair<String>| {
        let planned = repair.plan().await.unwrap_err().to_string();
        assert_eq!(repair.start().await.unwrap_err().to_string(), planned);
        planned
    };
    let expected = |text: &str| text.replace("RUN", &run.id().to_string());
    for (repair, text) in [
        (
            run.retry("piad"),
            "`it::repair::order` has no node `piad`: did you mean `paid`?",
        ),
        (
            run.retry("nothing"),
            "`it::repair::order` has no node `nothing`",
        ),
        (run.retry("shipped"), "`shipped` has not run in this run"),
        (
            run.retry("price"),
            "`price` has its result: to run it all the same, write `rerun_from(\"price\")`",
        ),
        (
            run.retry("number"),
            "`number` is a value, which is computed whenever it is needed: name the job that it is \
             made from, or one that uses it",
        ),
        (
            run.retry("paid").with(Quote { test, order: 1 }),
            "these inputs are not for `paid`: they are those of `it::repair::quote`, and it calls \
             `it::repair::charge`",
        ),
        (
            run.retry_failed().with(Quote { test, order: 1 }),
            "these inputs are not for ``: they are for no node: name one with `rerun_from`",
        ),
    ] {
        assert_eq!(refused(repair).await, expected(text));
    }
    let again = run.retry_failed().start().await.unwrap();
    again.output().await.unwrap();
    let text = refused(again.retry_failed()).await;
    let nothing =
        "nothing has failed in run RUN: `rerun_from` runs a node again that has its result";
    assert_eq!(text, expected(nothing));
    let other = runtime.repair::<Hold>(run.id()).retry_failed();
    let error = other.plan().await.unwrap_err();
    assert!(matches!(error, RepairError::Unregistered { .. }), "{error}");
    let unknown = zahir::RunId::from_u128(5);
    let error = runtime.repair::<Order>(unknown).retry_failed().plan().await;
    assert!(matches!(error, Err(RepairError::Unknown { .. })));
    runtime.shutdown().await.unwrap();
    let error = run.retry_failed().plan().await.unwrap_err();
    assert!(matches!(error, RepairError::ShutDown), "{error}");
}

#[job]
pub async fn stay(test: u64) -> Result<u64, String> {
    run(test, "stay")?;
    if ran_before(test) {
        return Ok(test);
    }
    std::future::pending().await
}

static STAYED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Whether this is not the first time for the test.
fn ran_before(test: u64) -> bool {
    let mut stayed = STAYED.lock().unwrap();
    let is_known = stayed.contains(&test);
    stayed.push(test);
    is_known
}

#[job]
pub async fn free(test: u64) -> Result<(), String> {
    run(test, "free")
}

workflow! {
    pub async fn hold(test: u64) -> u64 {
        let seat = reserve(test, 1);
        let held = { let stayed = stay(test); charge(test, stayed).named("paid") }
            .finally(free(test));
        ship(test, seat, held)
    }
}

#[tokio::test]
async fn a_run_that_was_cancelled_goes_on_where_it_was() {
    let test = test();
    let disk = Disk::Memory(Arc::default());
    let runtime = disk.open(|builder| builder.workflow::<Hold>()).await;
    let held = runtime.run(hold(test)).start().await.unwrap();
    let mut events = held.events();
    while held.progress().running() == 0 || held.progress().done() == 0 {
        events.next().await.unwrap().unwrap();
    }
    let error = held.retry_failed().plan().await.unwrap_err();
    assert!(matches!(error, RepairError::UnderWay { .. }), "{error}");
    held.cancel("not now").await.unwrap();
    assert_eq!(ran(test), "free, reserve, stay");
    let again = held.retry_failed().start().await.unwrap();
    assert_eq!(again.output().await.unwrap(), 2000 + test);
    assert_eq!(ran(test), "charge, free, ship, stay");
    runtime.shutdown().await.unwrap();
}

/// A repair that is on disk goes on in the next process, like any run.
#[tokio::test]
async fn a_repair_survives_the_process() {
    let (test, folder) = (test(), tempfile::tempdir().unwrap());
    let disk = Disk::File(folder.path().join("runs.redb"));
    break_job(test, "charge");
    let runtime = disk.open(|builder| builder.workflow::<Hold>()).await;
    // The first time it stays until it is dropped.
    let held = runtime.run(hold(test)).start().await.unwrap();
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    let runtime = disk.open(|builder| builder.workflow::<Hold>()).await;
    let held = runtime.handle::<Hold>(held.id()).await.unwrap();
    assert!(held.output().await.is_err());
    ran(test);
    STAYED.lock().unwrap().retain(|of| *of != test);
    let again = held.rerun_from("held/stayed").start().await.unwrap();
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    assert!(again.output().await.is_err());
    mend(test);
    let runtime = disk.open(|builder| builder.workflow::<Hold>()).await;
    assert_eq!(runtime.recovered().runs().len(), 1);
    assert_eq!(
        runtime.recovered().runs()[0].changes(),
        None,
        "it was told when it was made"
    );
    let again = runtime.handle::<Hold>(held.id()).await.unwrap();
    assert_eq!(again.output().await.unwrap(), 2000 + test);
    assert_eq!(ran(test), "charge, free, ship, stay x2");
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_repair_at_a_time() {
    let (test, runtime, run, _folder) = failed("charge").await.remove(0);
    ran(test);
    let repairs = (0..8).map(|_| run.retry_failed().start());
    let results = futures(repairs).await;
    let started = results.iter().filter(|result| result.is_ok()).count();
    assert!(started >= 1);
    for result in results {
        match result {
            Ok(again) => assert_eq!(again.output().await.unwrap(), "shipped 8070"),
            Err(RepairError::UnderWay { .. } | RepairError::NothingFailed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(started, 1);
    assert_eq!(ran(test), "charge, ship, thank");
    runtime.shutdown().await.unwrap();
}

/// All of them, each in its own task.
async fn futures<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test]
async fn in_memory_there_is_nothing_to_repair() {
    let test = test();
    break_job(test, "quote");
    let runtime = Runtime::in_memory()
        .workflow::<Order>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(order(test, 1)).start().await.unwrap();
    assert!(run.output().await.is_err());
    let error = run.retry_failed().plan().await.unwrap_err();
    assert!(matches!(error, RepairError::InMemory), "{error}");
}

#[job]
pub async fn word(ctx: &Context, test: u64, number: u64) -> Result<u64, String> {
    let _ = ctx;
    run(test, &format!("word {number}"))?;
    Ok(number)
}

#[job]
pub async fn sum(test: u64, words: &[u64]) -> Result<u64, String> {
    run(test, "sum")?;
    Ok(words.iter().sum())
}

workflow! {
    pub async fn words(test: u64, count: u64) -> u64 {
        let all = for number in 0..count { word(test, number) };
        sum(test, &all)
    }
}

#[tokio::test]
async fn items_are_repaired_one_by_one() {
    let (test, disk) = (test(), Disk::Memory(Arc::default()));
    for broken in [17, 18] {
        break_job(test, &format!("word {broken}"));
    }
    let runtime = disk.open(|builder| builder.workflow::<Words>()).await;
    let run = runtime
        .run(words(test, 20))
        .key("words")
        .start()
        .await
        .unwrap();
    assert!(run.output().await.is_err());
    mend(test);
    ran(test);
    let changes = run.retry("all[17]/word").plan().await.unwrap();
    // As long as a failure counts, nothing goes on.
    assert_eq!(changes.runs_again(), ["all[17]/word", "all[18]/word"]);
    let again = run.retry_failed().start().await.unwrap();
    assert_eq!(again.output().await.unwrap(), 190);
    assert_eq!(ran(test), "sum, word 17, word 18");
    let again = run.rerun_from("all[3]/word").start().await.unwrap();
    assert_eq!(again.output().await.unwrap(), 190);
    assert_eq!(ran(test), "sum, word 3");
    let again = again
        .rerun_from("all[3]/word")
        .also("all[5]/word")
        .start()
        .await
        .unwrap();
    assert_eq!(again.output().await.unwrap(), 190);
    assert_eq!(ran(test), "sum, word 3, word 5");
    // The key is still that of the run.
    let found = runtime.find::<Words>("words").await.unwrap().unwrap();
    assert_eq!(found.output().await.unwrap(), 190);
    let run = runtime
        .run(words(test, 20))
        .key("words")
        .start()
        .await
        .unwrap();
    assert_eq!(run.id(), found.id());
    runtime.shutdown().await.unwrap();
}

fn _is_send<W: Workflow>(runtime: &Runtime, run: RunHandle<W::Output>) {
    fn send<T: Send>(_: T) {}
    send(run.retry_failed().start());
    send(runtime.repair::<W>(run.id()).retry("x"));
}
