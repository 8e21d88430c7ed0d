//! Workflows: what `workflow!` implements.

use crate::error::RunError;
use crate::graph::Graph;
use crate::graph::shape::Shape;
use zahir_store::FailureKind;

use crate::job::{Job, JobDef, failure};
use crate::runtime::inline;
use crate::value::{self, Codec, CodecError, DEPTH_MAX, Value};
use crate::wire::{Description, Step, Wire};

/// A graph of jobs written with [`workflow!`](crate::workflow). Implemented by that macro only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow",
    label = "not a workflow",
    note = "a workflow is written with `workflow!`; its type is its name in camel case"
)]
pub trait Workflow:
    Job<Returns = Result<<Self as Job>::Output, RunError>, Output: Send + Sync> + Wired
{
    /// The graph, read once without running anything.
    #[must_use]
    fn graph() -> &'static Graph;

    #[doc(hidden)]
    fn inputs(args: Self::Args<'static>) -> Vec<Value>;

    /// The inputs as bytes: one `MessagePack` map from their names.
    #[doc(hidden)]
    fn encode_inputs(values: &[Value]) -> Result<Vec<u8>, CodecError> {
        let named = input_codecs::<Self>();
        let mut bytes = Vec::new();
        value::write_map_header(&mut bytes, u32::try_from(values.len()).unwrap_or(u32::MAX));
        for ((name, codec), value) in named.zip(values) {
            let encoded = (codec.encode)(value).map_err(|error| error.within(name))?;
            value::write_str(&mut bytes, name);
            bytes.extend(encoded);
        }
        Ok(bytes)
    }

    /// The inputs of some bytes, found by name: their order and further entries do not matter.
    #[doc(hidden)]
    fn decode_inputs(bytes: &[u8]) -> Result<Vec<Value>, CodecError> {
        let entries = value::map_entries(bytes, DEPTH_MAX).map_err(CodecError::new::<Self>)?;
        input_codecs::<Self>()
            .map(|(name, codec)| {
                let (_, bytes) = entries
                    .iter()
                    .find(|(entry, _)| *entry == name)
                    .ok_or_else(|| CodecError::new::<Self>(format!("no input `{name}`")))?;
                (codec.decode)(bytes).map_err(|error| error.within(name))
            })
            .collect()
    }
}

/// The inputs' names and codecs, in the order of the graph's inputs.
fn input_codecs<W: Wired>() -> impl Iterator<Item = (&'static str, Codec)> {
    W::SHAPE
        .nodes
        .iter()
        .map(|node| node.name)
        .zip(W::INPUTS.iter().copied())
}

/// What `workflow!` writes down for the compiler.
#[doc(hidden)]
pub trait Wired: Job {
    /// The graph without its types.
    const SHAPE: &'static Shape;
    /// The codecs of the inputs, in order.
    const INPUTS: &'static [Codec];

    /// The body: describes or begins the one node that `wire` selects.
    fn wire(wire: Wire<'_>) -> Step<'_>;
}

/// What a call of `W` is.
#[doc(hidden)]
#[must_use]
pub fn describe_workflow<W: Workflow>() -> Description {
    Description::Workflow(WorkflowDef::of::<W>())
}

/// A workflow without its type.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct WorkflowDef {
    /// What finds the workflow again.
    pub name: &'static str,
    /// Changes with its name and types.
    pub fingerprint: u64,
    /// Its graph. A function, so that a workflow may call itself.
    pub graph: fn() -> &'static Graph,
    /// How its output is stored.
    pub output: Codec,
    /// Its inputs from what was stored of them.
    pub decode_inputs: fn(&[u8]) -> Result<Vec<Value>, CodecError>,
}

impl WorkflowDef {
    pub(crate) fn of<W: Workflow>() -> Self {
        let JobDef {
            name,
            fingerprint,
            output,
            ..
        } = JobDef::of::<W>();
        Self {
            name,
            fingerprint,
            graph: <W as Workflow>::graph,
            output,
            decode_inputs: W::decode_inputs,
        }
    }

    /// This workflow and every workflow that it calls, directly or not, each once.
    pub(crate) fn reachable(self) -> Vec<Self> {
        let mut found = vec![self];
        let mut at = 0;
        while let Some(workflow) = found.get(at).copied() {
            for called in (workflow.graph)().calls() {
                if found.iter().all(|known| known.name != called.name) {
                    found.push(called);
                }
            }
            at += 1;
        }
        found
    }
}

/// Runs `W` in memory.
#[doc(hidden)]
pub async fn run_inline<W: Workflow>(inputs: Vec<Value>) -> W::Returns {
    let value = inline::run(<W as Workflow>::graph(), inputs).await?;
    (W::CODEC.take)(value)
        .map_err(|error| RunError::new(failure(FailureKind::Undecodable, error.to_string())))
}
