//! The runtime over executables that are built by hand, and over a store that can be told to fail.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it is about, and lets the rest pass"
)]

mod attempts;
mod children;
mod deadlines;
mod durable;
mod effects;
mod evaluation;
mod execution;
mod flow;
mod poison;
mod races;
mod sharing;
mod signals;
mod store;
mod told;
mod waits;

use std::io::Write as _;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use flow::{Flow, Work, add, error, wait, work};
use store::TestStore;

use crate::error::{OpenError, RunError, RunErrorKind, StartError};
use crate::runtime::clock::Clock;
use crate::runtime::executable::Executable;
use crate::runtime::handle::RunHandle;
use crate::runtime::start::{self, Request};
use crate::runtime::{JOBS_MAX, Runtime, SHUTDOWN_LIMIT, inline};
use crate::value::Value;

/// How long a test may take, in real time. They all end within a second or two.
const TEST_LIMIT: Duration = Duration::from_secs(30);

/// Sees to it that a test ends: every test in here begins with `let _watch = watch();`.
#[must_use = "the test is watched until this is dropped"]
struct Watch {
    _alive: mpsc::Sender<()>,
}

/// Ends the process if the test is not over in time. A test that hangs can't fail by itself: its
/// time may be paused, and its thread blocked.
fn watch() -> Watch {
    let (alive, ended) = mpsc::channel::<()>();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if ended.recv_timeout(TEST_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            // What is printed in the usual way is kept back until the test ends.
            let told = writeln!(
                std::io::stderr(),
                "\n{test} hangs: it did not end in {TEST_LIMIT:?}"
            );
            drop(told);
            std::process::exit(101);
        }
    });
    Watch { _alive: alive }
}

async fn in_memory(executable: &Arc<Executable>) -> Runtime {
    Runtime::in_memory()
        .executable(executable)
        .start()
        .await
        .unwrap()
}

async fn over(store: &TestStore, executable: &Arc<Executable>) -> Runtime {
    Runtime::with_store(store.clone())
        .executable(executable)
        .start()
        .await
        .unwrap()
}

type Handle = RunHandle<Vec<u64>>;

async fn begin(runtime: &Runtime, executable: &Arc<Executable>, input: &[u64]) -> Handle {
    try_begin(runtime, executable, input, None).await.unwrap()
}

async fn try_begin(
    runtime: &Runtime,
    executable: &Arc<Executable>,
    input: &[u64],
    key: Option<&str>,
) -> Result<Handle, StartError> {
    let mut request = request(executable, input);
    request.key = key.map(ToOwned::to_owned);
    let run = start::start(runtime.core(), request).await?;
    Ok(RunHandle::new(Arc::clone(runtime.core()), run))
}

/// Like [`begin`], with a time limit.
async fn begin_within(
    limit: Duration,
    runtime: &Runtime,
    executable: &Arc<Executable>,
    input: &[u64],
) -> Handle {
    let mut request = request(executable, input);
    request.timeout = Some(limit);
    let run = start::start(runtime.core(), request).await.unwrap();
    RunHandle::new(Arc::clone(runtime.core()), run)
}

fn request(executable: &Arc<Executable>, input: &[u64]) -> Request {
    Request {
        executable: Arc::clone(executable),
        inputs: vec![Value::new(input.to_vec())],
        encoded: flow::encode(input),
        key: None,
        timeout: None,
    }
}

/// A handle to a run that an earlier runtime began.
async fn find(runtime: &Runtime, executable: &Arc<Executable>, id: zahir_store::RunId) -> Handle {
    let run = start::find(runtime.core(), executable, id).await.unwrap();
    RunHandle::new(Arc::clone(runtime.core()), run)
}

/// How a run of this ends, which is the same in memory, over a store, and awaited without a runtime.
async fn everywhere(flow: impl Fn() -> Arc<Executable>) -> Result<Vec<u64>, String> {
    let mut ends = Vec::new();
    for builder in [
        Runtime::in_memory(),
        Runtime::with_store(TestStore::default()),
    ] {
        let flow = flow();
        let runtime = builder.executable(&flow).start().await.unwrap();
        let run = begin(&runtime, &flow, &[1]).await;
        ends.push(run.output().await.map_err(|error| error.to_string()));
        runtime.shutdown().await.unwrap();
    }
    let ended = inline::execute(flow(), vec![Value::new(vec![1_u64])]).await;
    let ended = ended.map(|value| value.get::<Vec<u64>>().unwrap().clone());
    ends.push(ended.map_err(|error| error.to_string()));
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    ends.swap_remove(0)
}

/// Lets everything else go on until this holds.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        // Not `yield_now`: time that is paused goes on only when nobody is ready.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
