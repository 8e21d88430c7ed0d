//! What the runtime knows of a workflow: its plan, and the code behind the plan's nodes.
//!
//! Node numbers are those of the plan, which covers the workflow and all that it calls.

use std::fmt;
use std::sync::Arc;

use zahir_store::{DefinitionId, Failure, FailureKind, FrameStep, NodeId, Position};

use crate::definition::Definition;
use crate::graph::{Graph, NodeDef};
pub(crate) use crate::job::attempt::check_size;
use crate::job::context::Context;
use crate::job::failure;
use crate::job::{BoxFuture, JobDef};
use crate::plan::{Plan, PlanKind, index};
use crate::program::{Program, Site};
use crate::value::{Codec, CodecError, Value};
use crate::wire::{Description, Outcome, PayloadDef, Step};
use crate::workflow::WorkflowDef;

/// A workflow that can be run.
pub(crate) struct Executable {
    /// The workflow's name.
    pub(crate) name: &'static str,
    pub(crate) plan: Arc<Plan>,
    /// What the node numbers in records refer to.
    pub(crate) definition: DefinitionId,
    /// The definition as it is stored, once for all runs of the workflow.
    pub(crate) definition_bytes: Arc<[u8]>,
    pub(crate) code: Box<dyn Code>,
}

/// The user's code behind the nodes of a plan. Every method may panic.
pub(crate) trait Code: Send + Sync + 'static {
    /// Begins a node: an attempt of a job, a pure value, the items of a `for`, the inputs of a
    /// called workflow, the arm of a branch, the time of a sleep.
    fn step<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        inputs: &'e [Value],
        encode: bool,
    ) -> Step<'e>;

    /// How what the node has run or waited for becomes its value; `None` if it has the value as it
    /// is.
    fn describe(&self, node: NodeId) -> Option<Description>;

    /// What a signal of this name carries; `None` if nothing waits for one.
    fn signal(&self, name: &str) -> Option<PayloadDef>;

    /// The recorded output of a job.
    fn decode(&self, node: NodeId, bytes: &[u8]) -> Result<Value, CodecError>;

    /// The bytes of what a node gives.
    fn encode(&self, node: NodeId, value: &Value) -> Result<Vec<u8>, CodecError>;

    /// The inputs of the workflow that a node calls, from what was stored of them.
    fn decode_called(&self, node: NodeId, bytes: &[u8]) -> Result<Vec<Value>, CodecError>;

    /// The recorded error of a job.
    fn decode_error(&self, node: NodeId, bytes: &[u8]) -> Result<Value, CodecError>;

    /// The output of a run.
    fn encode_output(&self, output: &Value) -> Result<Vec<u8>, CodecError>;

    /// The recorded output of a run.
    fn decode_output(&self, bytes: &[u8]) -> Result<Value, CodecError>;

    /// The recorded inputs of a run.
    fn decode_inputs(&self, bytes: &[u8]) -> Result<Vec<Value>, CodecError>;

    /// The graph of the workflow, in which nodes have the numbers that they have in the plan; `None`
    /// if there is none.
    fn graph(&self) -> Option<&'static Graph> {
        None
    }

    /// What the node is called in the source.
    fn node_name(&self, node: NodeId) -> &'static str;

    /// The definition that node numbers refer to; `None` if runs of another one can't go on with it.
    fn definition(&self) -> Option<&Definition>;

    /// The job that a node calls.
    fn job(&self, node: NodeId) -> Option<&JobDef>;

    /// What the job or the workflow is stored as that a kind is.
    fn kind_name(&self, node: NodeId) -> Option<&'static str> {
        self.job(node).map(|job| job.name)
    }

    /// How the error of a node's job is stored, if it is.
    fn error_codec(&self, _node: NodeId) -> Option<Codec> {
        None
    }

    /// Whether the job of a node sees its context.
    fn asks(&self, node: NodeId) -> bool {
        self.job(node).is_none_or(|job| job.asks)
    }

    /// Whether the node may be given the result of another run, and give its own to others.
    fn shares(&self, node: NodeId) -> bool {
        self.job(node).is_some_and(|job| job.options.is_shared())
    }

    /// Begins an attempt with these inputs, which were stored, in place of the node's own; `None` if
    /// there is no such job.
    fn begin_with<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        arguments: &'e [u8],
        encode: bool,
    ) -> Option<BoxFuture<'e, Outcome>> {
        let job = self.job(node)?;
        Some(job.stored?.begin(context, arguments, job.fail, encode))
    }

    /// Begins to undo a result that was made from these inputs; `None` if there is no such job.
    fn undo<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        arguments: &'e [u8],
        output: &'e [u8],
    ) -> Option<BoxFuture<'e, Outcome>> {
        Some(self.job(node)?.stored?.undo(context, arguments, output))
    }

    /// Whether these are inputs of the node's job.
    fn check_arguments(&self, node: NodeId, arguments: &[u8]) -> Result<(), CodecError> {
        match self.job(node).and_then(|job| job.stored) {
            Some(stored) => stored.check(arguments),
            None => Err(CodecError::new::<()>("the node calls no job")),
        }
    }
}

impl Executable {
    /// What `workflow!` wrote.
    pub(crate) fn of(workflow: &WorkflowDef) -> Self {
        Self::new((workflow.graph)(), workflow.output, workflow.decode_inputs)
    }

    /// For runs that are never stored: neither inputs nor output are encoded.
    pub(crate) fn unstored(graph: &'static Graph) -> Self {
        let refuse = |_: &[u8]| Err(CodecError::new::<()>("nothing is stored"));
        Self::new(graph, Codec::of::<()>(), refuse)
    }

    fn new(
        graph: &'static Graph,
        output: Codec,
        decode_inputs: fn(&[u8]) -> Result<Vec<Value>, CodecError>,
    ) -> Self {
        let program = Program::of(graph);
        Self {
            name: graph.name(),
            plan: Arc::clone(&program.plan),
            definition: program.definition.id,
            definition_bytes: Arc::clone(&program.definition.bytes),
            code: Box::new(WorkflowCode {
                program,
                output,
                decode_inputs,
            }),
        }
    }

    /// Where a node instance is, in the words of the source: `words[17]/longest_word`. The items of
    /// a `for`, the rounds of a loop and the children of a job have numbers; what is in an arm or a
    /// block has none.
    pub(crate) fn path(&self, at: &Position) -> String {
        let mut path = String::new();
        for FrameStep { node, index } in &at.frames {
            path.push_str(self.code.node_name(*node));
            if self.is_repeated(*node) {
                path.push_str(&format!("[{index}]"));
            }
            path.push('/');
        }
        path.push_str(self.code.node_name(at.node));
        path
    }

    /// What the job of a node may spawn: nodes.
    pub(crate) fn kinds(&self, node: NodeId) -> &[NodeId] {
        let node = self.plan.nodes.get(index(node));
        node.map_or(&[], |node| &node.kinds)
    }

    /// What a kind is called: the job or the workflow.
    pub(crate) fn kind_name(&self, kind: NodeId) -> Option<&'static str> {
        self.code.kind_name(kind)
    }

    /// Whether the number of a frame tells which item, round or child it is.
    fn is_repeated(&self, node: NodeId) -> bool {
        let node = self.plan.nodes.get(index(node));
        node.is_some_and(|node| {
            matches!(
                node.kind,
                PlanKind::Each { .. } | PlanKind::Loop { .. } | PlanKind::Job
            )
        })
    }

    /// The name of the signal that a node waits for.
    pub(crate) fn signal_name(&self, node: NodeId) -> Option<&str> {
        let PlanKind::Signal { signal, .. } = self.plan.nodes.get(index(node))?.kind else {
            return None;
        };
        self.plan.signals.get(signal.0).map(String::as_str)
    }

    /// The output of a run, checked against the limit.
    pub(crate) fn encode_output(
        &self,
        output: &Value,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Failure> {
        let encoded = self
            .code
            .encode_output(output)
            .map_err(|error| failure(FailureKind::Unencodable, error.to_string()))?;
        check_size("the run's output", encoded.len(), bytes_max)?;
        Ok(encoded)
    }
}

impl fmt::Debug for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The code of a workflow written with `workflow!`, and of all that it calls.
struct WorkflowCode {
    program: Program,
    output: Codec,
    decode_inputs: fn(&[u8]) -> Result<Vec<Value>, CodecError>,
}

impl Code for WorkflowCode {
    fn step<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        inputs: &'e [Value],
        encode: bool,
    ) -> Step<'e> {
        let Site { graph, node } = self.program.site(node);
        graph.step(node.id(), context, inputs, encode)
    }

    fn describe(&self, node: NodeId) -> Option<Description> {
        match &self.program.site(node).node.kind {
            NodeDef::Each { join, .. } => Some(Description::Each { join: *join }),
            NodeDef::Result(result) => Some(Description::Result(*result)),
            NodeDef::Race(race) => Some(Description::Race(*race)),
            NodeDef::Signal(signal) => Some(Description::Signal(signal.payload)),
            NodeDef::Input { .. }
            | NodeDef::Item
            | NodeDef::Carried
            | NodeDef::Caught
            | NodeDef::Assigned { .. }
            | NodeDef::Job(_)
            | NodeDef::Value
            | NodeDef::Branch
            | NodeDef::Loop { .. }
            | NodeDef::Rescue
            | NodeDef::Finally
            | NodeDef::Sleep
            | NodeDef::Workflow(_) => None,
        }
    }

    fn signal(&self, name: &str) -> Option<PayloadDef> {
        self.program.signal(name)
    }

    fn decode(&self, node: NodeId, bytes: &[u8]) -> Result<Value, CodecError> {
        match self.program.codec(node) {
            Some(codec) => (codec.decode)(bytes),
            None => Err(CodecError::new::<()>(
                "no result of this node is ever stored",
            )),
        }
    }

    fn encode(&self, node: NodeId, value: &Value) -> Result<Vec<u8>, CodecError> {
        match self.program.output(node) {
            Some(codec) => (codec.encode)(value),
            None => Err(CodecError::new::<()>("this node gives nothing to store")),
        }
    }

    fn decode_called(&self, node: NodeId, bytes: &[u8]) -> Result<Vec<Value>, CodecError> {
        match self.program.site(node).node.kind.workflow() {
            Some(called) => (called.decode_inputs)(bytes),
            None => Err(CodecError::new::<()>("the node calls no workflow")),
        }
    }

    fn kind_name(&self, node: NodeId) -> Option<&'static str> {
        self.program.site(node).node.calls()
    }

    fn decode_error(&self, node: NodeId, bytes: &[u8]) -> Result<Value, CodecError> {
        match self.program.error_codec(node) {
            Some(codec) => (codec.decode)(bytes),
            None => Err(CodecError::new::<()>(
                "no error of this node is ever stored",
            )),
        }
    }

    fn graph(&self) -> Option<&'static Graph> {
        Some(self.program.graph())
    }

    fn error_codec(&self, node: NodeId) -> Option<Codec> {
        self.program.error_codec(node)
    }

    fn encode_output(&self, output: &Value) -> Result<Vec<u8>, CodecError> {
        (self.output.encode)(output)
    }

    fn decode_output(&self, bytes: &[u8]) -> Result<Value, CodecError> {
        (self.output.decode)(bytes)
    }

    fn decode_inputs(&self, bytes: &[u8]) -> Result<Vec<Value>, CodecError> {
        (self.decode_inputs)(bytes)
    }

    fn node_name(&self, node: NodeId) -> &'static str {
        self.program.site(node).node.name()
    }

    fn job(&self, node: NodeId) -> Option<&JobDef> {
        self.program.job(node)
    }

    fn definition(&self) -> Option<&Definition> {
        Some(&self.program.definition)
    }
}
