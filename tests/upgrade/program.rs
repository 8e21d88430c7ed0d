//! What all versions of the program have in common: how they are started, and what they say.
//!
//! `VERSION STORE LEDGER hold`: goes on with what is there and starts what is not, each until it
//! holds; then says `holding` and waits to be killed.
//!
//! `VERSION STORE LEDGER finish`: tells what was recovered, finishes it, and tells what came out.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use zahir::{ProblemKind, RunId, Runtime, StartError, Workflow};

use super::*;

/// How many runs hold, and who is to be told.
static HOLDING: AtomicUsize = AtomicUsize::new(0);
static HELD: Notify = Notify::const_new();
static FINISHES: OnceLock<bool> = OnceLock::new();

/// Appends a line to the ledger of a run: one execution of a job.
pub fn executed(ledger: &str, job: &str) {
    let file = OpenOptions::new().create(true).append(true).open(ledger);
    file.and_then(|mut file| file.write_all(format!("{job}\n").as_bytes()))
        .expect("a ledger");
}

pub async fn wait(_ledger: &str) {
    if FINISHES.get() != Some(&true) {
        HOLDING.fetch_add(1, Ordering::SeqCst);
        HELD.notify_one();
        std::future::pending::<()>().await;
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("a reader");
}

#[tokio::main]
pub async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, ledger, mode] = arguments.as_slice() else {
        panic!("VERSION STORE LEDGER hold|finish");
    };
    let finishes = mode == "finish";
    FINISHES.set(finishes).expect("once");
    let builder = Runtime::open(store)
        .workflow::<Added>()
        .workflow::<Retyped>()
        .workflow::<Renamed>()
        .workflow::<Removed>()
        .workflow::<Arms>()
        .workflow::<Items>()
        .workflow::<Rounds>()
        .workflow::<Nested>()
        .workflow::<Once>()
        .workflow::<Packed>();
    let runtime = builder.start().await.expect("a runtime");
    tell_recovered(&runtime);
    let ledger = |of: &str| format!("{ledger}.{of}");
    go_on(&runtime, added(ledger("added"), 5)).await;
    go_on(&runtime, retyped(ledger("retyped"), 5)).await;
    go_on(&runtime, renamed(ledger("renamed"), 5)).await;
    go_on(&runtime, removed(ledger("removed"), 5)).await;
    go_on(&runtime, arms(ledger("arms"), 5)).await;
    go_on(&runtime, items(ledger("items"), 2)).await;
    go_on(&runtime, rounds(ledger("rounds"), 5)).await;
    go_on(&runtime, nested(ledger("nested"), 5)).await;
    go_on(&runtime, once(ledger("once"), 5)).await;
    go_on(&runtime, packed(ledger("packed"), 5)).await;
    if finishes {
        runtime.shutdown().await.expect("an end");
        return;
    }
    let parked = runtime.recovered().problems().len();
    while HOLDING.load(Ordering::SeqCst) + parked < 10 {
        HELD.notified().await;
    }
    say("holding");
    std::future::pending().await
}

/// The workflow's own name.
fn short(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn tell_recovered(runtime: &Runtime) {
    let mut told = BTreeMap::new();
    for run in runtime.recovered().runs() {
        let changes = run
            .changes()
            .map_or("as it was".to_owned(), |it| it.to_string());
        told.insert(short(run.workflow()), changes.replace('\n', "; "));
    }
    for problem in runtime.recovered().problems() {
        let workflow = short(problem.workflow().expect("a workflow"));
        let run = problem.run().to_string();
        told.insert(workflow, problem.to_string().replace(&run, "RUN"));
    }
    for (workflow, what) in told {
        say(&format!("{workflow}: {what}"));
    }
}

/// Starts the run of a workflow, or goes on with it. One that is blocked is repaired, if this is the
/// program that finishes.
async fn go_on<W: Workflow<Output = String>>(runtime: &Runtime, call: zahir::Call<'static, W>) {
    let finishes = FINISHES.get() == Some(&true);
    let run = match runtime.run(call).key("the run").start().await {
        Ok(run) => run,
        Err(StartError::Parked { .. }) if !finishes => return,
        Err(StartError::Parked { run, .. }) => {
            let node = node_to_repair(runtime, run);
            let repair = runtime.repair::<W>(run).rerun_from(node);
            let run = repair.start().await.expect("a repair");
            let changes = run.changes().expect("changes").to_string();
            let line = format!(
                "{} repaired: {}",
                short(W::name()),
                changes.replace('\n', "; ")
            );
            say(&line);
            run
        }
        Err(error) => panic!("{error}"),
    };
    if finishes {
        let output = run.output().await.expect("an output");
        say(&format!("{} = {output}", short(W::name())));
    }
}

fn node_to_repair(runtime: &Runtime, run: RunId) -> String {
    let mut problems = runtime.recovered().problems().iter();
    let problem = problems
        .find(|problem| problem.run() == run)
        .expect("a problem");
    match problem.kind() {
        ProblemKind::Blocked { jobs } => jobs[0].node().to_owned(),
        ProblemKind::Undecodable { at, .. } => {
            let node = at
                .strip_prefix("node `")
                .and_then(|at| at.strip_suffix('`'));
            node.expect("a node").to_owned()
        }
        other => panic!("{other:?}"),
    }
}
