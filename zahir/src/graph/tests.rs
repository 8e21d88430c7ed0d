//! Nodes, begun one by one.

mod changes;
mod children;
mod defects;
mod pictures;
mod random;
mod shapes;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt;
use zahir_store::{Attempt, FailureKind, NodeId, RunId};

use crate::graph::{Graph, NodeDef, Region};
use crate::job::context::Context;
use crate::value::{Codec, Value};
use crate::wire::{Failed, Step};
use crate::workflow::Workflow as _;
use crate::{job, workflow};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[derive(Debug, PartialEq)]
struct NotClone(u64);

#[job]
async fn load(id: u64) -> Result<User, std::num::TryFromIntError> {
    u8::try_from(id)?;
    let name = format!("u{id}");
    Ok(User { id, name })
}

#[job]
async fn describe(ctx: &Context, user: &User, words: &[String], text: &str) -> String {
    tokio::task::yield_now().await;
    format!("{}:{}:{}:{text}", ctx.node(), user.name, words.len())
}

#[job]
async fn subtract(left: u64, right: u64) -> u64 {
    left - right
}

workflow! {
    async fn tour(customer: u64, words: Vec<String>) -> String {
        let user = load(customer);
        let twin = user;
        let (id, name) = pure((twin.id, twin.name.clone()));
        let plain = { let mut sum = id; sum += 1; sum };
        let sub = subtract(plain, subtract(id, 1));
        let lines = for (place, word) in words.iter().cloned().enumerate() {
            let user = load(place as u64 + sub);
            describe(&user, &words, &format!("{word}{name}{place}"))
        };
        let nested = for line in lines { for number in 0..sub { subtract(number + line.len() as u64, number) } };
        let lines = called(lines, nested.len() as u64).named("called").after(nested);
        for line in &nested { subtract(line.len() as u64, 0); };
        let secret = NotClone(sub);
        describe(&user, &lines, match secret.0 { 2 => "two", _ => "other" })
    }
}

workflow! {
    async fn called(lines: Vec<String>, extra: u64) -> Vec<String> {
        let first = lines[0].clone();
        let length = subtract(extra, 0);
        vec![first, format!("{length}")]
    }
}

workflow! {
    async fn generic<T: crate::Payload + Clone>(value: T) -> (T, T) {
        let copy = value;
        (value, copy)
    }
}

/// Runs a graph node by node, in source order.
fn run(graph: &Graph, inputs: Vec<Value>) -> Value {
    let body = &graph.regions()[0];
    let mut values: HashMap<NodeId, Value> = HashMap::new();
    values.extend(body.nodes.iter().copied().zip(inputs));
    run_region(graph, body, values)
}

fn run_region(graph: &Graph, region: &Region, mut values: HashMap<NodeId, Value>) -> Value {
    for id in &region.nodes {
        if !values.contains_key(id) {
            let value = run_node(graph, *id, &values);
            values.insert(*id, value);
        }
    }
    region
        .result
        .map_or_else(|| Value::new(()), |id| values[&id].clone())
}

fn run_node(graph: &Graph, id: NodeId, values: &HashMap<NodeId, Value>) -> Value {
    let node = &graph.nodes()[usize::try_from(id.number()).unwrap()];
    let lent: Vec<Value> = node.uses.iter().map(|id| values[id].clone()).collect();
    let context = Context::new(RunId::from_u128(1), node.name, None, id, Attempt::FIRST);
    match (graph.step(id, &context, &lent, true), &node.kind) {
        (Step::Run(attempt), NodeDef::Job(job)) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let produced = runtime.block_on(attempt).result().unwrap();
            // What is stored is the value.
            (job.output.decode)(&produced.encoded).unwrap()
        }
        (Step::Value(value), NodeDef::Value) => value,
        (Step::Items(items), NodeDef::Each { join, .. }) => {
            let body = &graph.regions()[node.regions()[0].index()];
            let rounds = items.into_iter().map(|value| {
                let mut values = values.clone();
                values.insert(body.nodes[0], value);
                run_region(graph, body, values)
            });
            join(rounds.collect())
        }
        (Step::Enter(inputs), NodeDef::Workflow(called)) => run((called.graph)(), inputs),
        (step, kind) => panic!("{kind:?} began as {step:?}"),
    }
}

#[test]
fn nodes_compute_what_the_body_says() {
    let words = vec!["a".to_owned(), "bc".to_owned()];
    let output = run(Tour::graph(), Tour::inputs((5, words)));
    // lines: two; nested: two lists; called gives two words.
    assert_eq!(output.get::<String>().unwrap(), "describe:u5:2:two");
}

#[test]
fn arguments_reach_the_parameters_they_are_written_for() {
    let graph = Called::graph();
    let output = run(graph, Called::inputs((vec!["x".to_owned()], 7)));
    assert_eq!(output.get::<Vec<String>>().unwrap(), &["x", "7"]);
}

#[test]
fn rounds_are_collected_in_item_order() {
    let graph = Tour::graph();
    let id = |name: &str| graph.nodes().iter().find(|node| node.name == name).unwrap();
    let lines = id("lines");
    let names: Vec<&str> = lines
        .uses
        .iter()
        .map(|id| graph.nodes()[usize::try_from(id.number()).unwrap()].name)
        .collect();
    assert_eq!((lines.lends, names), (1, vec!["words", "sub", "id_name"]));
}

#[test]
fn inputs_are_stored_by_name() {
    let values = Called::inputs((vec!["x".to_owned()], 7));
    let bytes = Called::encode_inputs(&values).unwrap();
    let read = Called::decode_inputs(&bytes).unwrap();
    assert_eq!(read[1].get::<u64>(), Some(&7));
    // In another order, with one more.
    let map = std::collections::BTreeMap::from([("extra", 8), ("more", 1)]);
    let bytes = (Codec::of::<std::collections::BTreeMap<String, u64>>().encode)(&Value::new(
        map.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<std::collections::BTreeMap<String, u64>>(),
    ));
    let error = Called::decode_inputs(&bytes.unwrap()).unwrap_err();
    assert!(error.to_string().contains("no input `lines`"), "{error}");
    assert!(
        Called::decode_inputs(b"\x81\xa5lines\xc0")
            .unwrap_err()
            .to_string()
            .contains("`lines`")
    );
}

#[test]
fn a_failure_has_kind_and_text() {
    let graph = Tour::graph();
    let context = Context::detached();
    let values = [Value::new(300_u64)];
    let Step::Run(attempt) = graph.step(NodeId::new(2), &context, &values, false) else {
        panic!("`user` is a job");
    };
    let Failed { failure, .. } = attempt.now_or_never().unwrap().result().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Error);
    assert_eq!(
        failure.message,
        "out of range integral type conversion attempted"
    );
}

#[test]
fn nothing_is_encoded_unless_asked() {
    let context = Context::detached();
    let values = [Value::new(3_u64)];
    let Step::Run(attempt) = Tour::graph().step(NodeId::new(2), &context, &values, false) else {
        panic!("`user` is a job");
    };
    let produced = attempt.now_or_never().unwrap().result().unwrap();
    assert!(produced.encoded.is_empty());
    assert_eq!(produced.value.get::<User>().unwrap().id, 3);
}

#[test]
fn each_instance_of_a_generic_workflow_has_its_graph() {
    let (one, two) = (Generic::<u8>::graph(), Generic::<String>::graph());
    assert!(std::ptr::eq(one, Generic::<u8>::graph()));
    assert_ne!(one.name(), two.name());
    let output = run(two, Generic::inputs(("x".to_owned(),)));
    assert_eq!(output.get::<(String, String)>().unwrap().1, "x");
}

#[test]
fn no_graph_has_a_defect() {
    for graph in [Tour::graph(), Called::graph(), Generic::<u8>::graph()] {
        assert_eq!(graph.defect(), None);
    }
}

#[test]
fn steps_can_move_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    let context = Arc::new(Context::detached());
    sendable(&Tour::graph().step(NodeId::new(99), &context, &[], false));
}
