//! What the runtime knows of a workflow: its plan, and the code behind the plan's nodes.
//!
//! Node numbers are those of the plan, which covers the workflow and all that it calls.

use std::fmt;
use std::sync::Arc;

use zahir_store::{DefinitionId, FailureKind, FrameStep, NodeId, Position};

use crate::job::context::Context;
use crate::job::failure;
use crate::plan::Plan;
use crate::value::{CodecError, Value};
use crate::wire::Step;

/// A workflow that can be run.
pub(crate) struct Program {
    /// The workflow's name.
    pub(crate) name: &'static str,
    pub(crate) plan: Arc<Plan>,
    /// What the node numbers in records refer to.
    pub(crate) definition: Definition,
    pub(crate) code: Box<dyn Code>,
}

/// The definition of a workflow, as it is stored once for all of its runs.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) id: DefinitionId,
    pub(crate) bytes: Arc<[u8]>,
}

/// The user's code behind the nodes of a plan. Every method may panic.
pub(crate) trait Code: Send + Sync + 'static {
    /// Begins a node: an attempt of a job, a pure value, the items of a `for`, the inputs of a
    /// called workflow.
    fn step<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        inputs: &'e [Value],
        encode: bool,
    ) -> Step<'e>;

    /// The results of a `for`, in item order, as one value.
    fn join(&self, node: NodeId, results: Vec<Value>) -> Value;

    /// The recorded output of a job.
    fn decode(&self, node: NodeId, bytes: &[u8]) -> Result<Value, CodecError>;

    /// The output of a run.
    fn encode_output(&self, output: &Value) -> Result<Vec<u8>, CodecError>;

    /// The recorded output of a run.
    fn decode_output(&self, bytes: &[u8]) -> Result<Value, CodecError>;

    /// The recorded inputs of a run.
    fn decode_inputs(&self, bytes: &[u8]) -> Result<Vec<Value>, CodecError>;

    /// What the node is called in the source.
    fn node_name(&self, node: NodeId) -> &'static str;

    /// The names of the nodes in which a stored definition differs from this one.
    fn changes(&self, stored: &[u8]) -> Vec<String>;
}

impl Program {
    /// Where a node instance is, in the words of the source: `words[17]/longest_word`.
    pub(crate) fn path(&self, at: &Position) -> String {
        let mut path = String::new();
        for FrameStep { node, index } in &at.frames {
            path.push_str(self.code.node_name(*node));
            if self.is_each(*node) {
                path.push_str(&format!("[{index}]"));
            }
            path.push('/');
        }
        path.push_str(self.code.node_name(at.node));
        path
    }

    fn is_each(&self, node: NodeId) -> bool {
        self.plan
            .nodes
            .get(crate::plan::index(node))
            .is_some_and(|node| matches!(node.kind, crate::plan::PlanKind::Each { .. }))
    }

    /// The output of a run, checked against the limit.
    pub(crate) fn encode_output(
        &self,
        output: &Value,
        bytes_max: usize,
    ) -> Result<Vec<u8>, zahir_store::Failure> {
        let encoded = self
            .code
            .encode_output(output)
            .map_err(|error| failure(FailureKind::Unencodable, error.to_string()))?;
        check_size("the run's output", encoded.len(), bytes_max)?;
        Ok(encoded)
    }
}

/// Refuses what is larger than the limit.
pub(crate) fn check_size(
    what: &str,
    bytes: usize,
    bytes_max: usize,
) -> Result<(), zahir_store::Failure> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!(
        "{what} has {bytes} bytes; `value_bytes_max` allows {bytes_max}: raise it, or pass a \
         reference to where the data is"
    );
    Err(failure(FailureKind::TooLarge, message))
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
