//! The runtime over programs that are built by hand, and over a store that can be told to fail.

mod durable;
mod execution;
mod flow;
mod store;

use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, add, wait};
use store::TestStore;

use crate::error::{RunErrorKind, StartError};
use crate::runtime::Runtime;
use crate::runtime::handle::RunHandle;
use crate::runtime::program::Program;
use crate::value::Value;

async fn in_memory(program: &Arc<Program>) -> Runtime {
    Runtime::in_memory().program(program).start().await.unwrap()
}

async fn over(store: &TestStore, program: &Arc<Program>) -> Runtime {
    Runtime::with_store(store.clone())
        .program(program)
        .start()
        .await
        .unwrap()
}

type Handle = RunHandle<Vec<u64>>;

async fn start(runtime: &Runtime, program: &Arc<Program>, input: &[u64]) -> Handle {
    try_start(runtime, program, input, None).await.unwrap()
}

async fn try_start(
    runtime: &Runtime,
    program: &Arc<Program>,
    input: &[u64],
    key: Option<&str>,
) -> Result<Handle, StartError> {
    let inputs = vec![Value::new(input.to_vec())];
    let key = key.map(ToOwned::to_owned);
    runtime
        .start_program(program, inputs, flow::encode(input), key)
        .await
}
