//! Programs built by hand. Every value is a `Vec<u64>`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{DefinitionId, Failure, FailureKind, NodeId};

use crate::definition::Definition;
use crate::job::context::Context;
use crate::job::policy::Policy;
use crate::job::{BoxFuture, JobDef};
use crate::plan::{
    Exit, Plan, PlanKind, PlanNode, PlanRegion, Recovery, RegionId, SignalId, Source, index,
};
use crate::runtime::executable::{Code, Executable};
use crate::value::{self, CodecError, Value};
use crate::wire::{Description, Outcome, PayloadDef, Produced, Step};

type Result = std::result::Result<u64, Failure>;
pub(crate) type Work = Arc<dyn Fn(Vec<u64>, u32) -> BoxFuture<'static, Result> + Send + Sync>;

/// A job from its inputs and the number of its attempt.
pub(crate) fn work<F>(work: impl Fn(Vec<u64>, u32) -> F + Send + Sync + 'static) -> Work
where
    F: Future<Output = Result> + Send + 'static,
{
    Arc::new(move |inputs, attempt| Box::pin(work(inputs, attempt)))
}

/// A job that adds to the sum of its inputs and never waits.
pub(crate) fn add(more: u64) -> Work {
    work(move |inputs, _| std::future::ready(Ok(inputs.iter().sum::<u64>() + more)))
}

/// The same, but it takes its time.
pub(crate) fn wait(delay: Duration, more: u64) -> Work {
    work(move |inputs, _| async move {
        tokio::time::sleep(delay).await;
        Ok(inputs.iter().sum::<u64>() + more)
    })
}

pub(crate) fn error(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Error,
        message: message.to_owned(),
    }
}

/// A workflow with one input, node 0.
pub(crate) struct Flow {
    name: &'static str,
    nodes: Vec<PlanNode>,
    regions: Vec<PlanRegion>,
    /// The region that nodes are added to.
    at: RegionId,
    names: Vec<&'static str>,
    does: Vec<Does>,
    described: Vec<Option<Description>>,
    signals: Vec<String>,
    /// The nodes whose results other runs may have.
    shares: Vec<usize>,
}

/// What the code of a node is.
enum Does {
    Nothing,
    /// Runs a job.
    Work(Work),
    /// Runs a job, or what stands in for it, or undoes it: that is for it to see.
    Raw(Raw),
    /// Computes something from its inputs.
    Pure(Pure),
}

/// A job from its inputs and its context. When it undoes, its inputs are those of the result, and the
/// result.
pub(crate) type Raw = Arc<dyn Fn(Vec<u64>, Context) -> BoxFuture<'static, Outcome> + Send + Sync>;

pub(crate) fn raw<F>(raw: impl Fn(Vec<u64>, Context) -> F + Send + Sync + 'static) -> Raw
where
    F: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(move |inputs, context| Box::pin(raw(inputs, context)))
}

/// A result, with its bytes.
pub(crate) fn produced(output: u64) -> Produced {
    Produced {
        value: Value::new(vec![output]),
        encoded: encode(&[output]),
        extra: None,
    }
}

pub(crate) type Pure = Box<dyn Fn(Vec<u64>) -> Step<'static> + Send + Sync>;

/// The numbers of a signal, or nothing if none came in time.
const SIGNAL: PayloadDef = PayloadDef {
    received: |bytes| match bytes.first() {
        Some(b'v') => decode(bytes),
        _ => value::decode::<Vec<u64>>(bytes).map(Value::new),
    },
    timed_out: || Value::new(Vec::<u64>::new()),
};

impl Flow {
    pub(crate) fn new(name: &'static str) -> Self {
        let mut flow = Self {
            name,
            nodes: Vec::new(),
            regions: vec![region(Exit::Value)],
            at: RegionId::BODY,
            names: Vec::new(),
            does: Vec::new(),
            described: Vec::new(),
            signals: Vec::new(),
            shares: Vec::new(),
        };
        flow.input("input");
        flow
    }

    /// A job that reads these nodes.
    pub(crate) fn job(mut self, name: &'static str, uses: &[usize], work: Work) -> Self {
        let work = Does::Work(work);
        self.node(name, PlanKind::Job, uses, work);
        self
    }

    /// A job that sees its context.
    pub(crate) fn raw(mut self, name: &'static str, uses: &[usize], raw: Raw) -> Self {
        self.node(name, PlanKind::Job, uses, Does::Raw(raw));
        self
    }

    /// Lets other runs have the result of the last node.
    pub(crate) fn shared(mut self) -> Self {
        self.shares.push(self.nodes.len() - 1);
        self
    }

    /// Lets the last node, a job that sees its context, stand in for itself when it has failed.
    pub(crate) fn recovers(mut self, policy: Policy) -> Self {
        let is_typed = false;
        let recovery = Some(Box::new(Recovery { policy, is_typed }));
        self.nodes.last_mut().unwrap().recovery = recovery;
        self
    }

    /// Lets the last node, a job that sees its context, undo its result.
    pub(crate) fn undoes(mut self, policy: Policy) -> Self {
        self.nodes.last_mut().unwrap().undo = Some(Box::new(policy));
        self
    }

    /// A node of another kind, with the code of its step.
    pub(crate) fn pure(
        mut self,
        name: &'static str,
        kind: PlanKind,
        uses: &[usize],
        pure: impl Fn(Vec<u64>) -> Step<'static> + Send + Sync + 'static,
    ) -> Self {
        let pure = Does::Pure(Box::new(pure));
        self.node(name, kind, uses, pure);
        self
    }

    /// A sleep behind these nodes.
    pub(crate) fn sleep(self, name: &'static str, uses: &[usize], time: Duration) -> Self {
        self.pure(name, PlanKind::Sleep, uses, move |_| Step::Sleep(time))
    }

    /// A wait behind these nodes for a signal called like it.
    pub(crate) fn signal(
        mut self,
        name: &'static str,
        uses: &[usize],
        timeout: Option<Duration>,
    ) -> Self {
        let known = self.signals.iter().position(|known| known == name);
        let signal = SignalId(known.unwrap_or(self.signals.len()));
        if known.is_none() {
            self.signals.push(name.to_owned());
        }
        let kind = PlanKind::Signal { signal, timeout };
        self.node(name, kind, uses, Does::Nothing);
        self.described(Description::Signal(SIGNAL))
    }

    /// A node that enters regions, without a step.
    pub(crate) fn block(mut self, name: &'static str, kind: PlanKind, uses: &[usize]) -> Self {
        self.node(name, kind, uses, Does::Nothing);
        self
    }

    /// A region of the last node, whose value is that of its last node.
    pub(crate) fn inside(mut self, exit: Exit, build: impl FnOnce(Self) -> Self) -> Self {
        let owner = index(*self.regions[self.at.0].nodes.last().unwrap());
        let around = std::mem::replace(&mut self.at, RegionId(self.regions.len()));
        self.nodes[owner].inside.push(self.at);
        self.regions.push(region(exit));
        self = build(self);
        self.finish();
        self.at = around;
        self
    }

    /// Says how the value of the last node is made.
    pub(crate) fn described(mut self, description: Description) -> Self {
        *self.described.last_mut().unwrap() = Some(description);
        self
    }

    /// Keeps the error of the last node, a job.
    pub(crate) fn keeps_error(mut self) -> Self {
        self.nodes.last_mut().unwrap().keeps_error = true;
        self
    }

    /// Changes the policy of the last job.
    pub(crate) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        let is_job = |does: &Does| matches!(does, Does::Work(_) | Does::Raw(_));
        let job = self.does.iter().rposition(is_job).unwrap();
        change(&mut self.nodes[job].policy);
        self
    }

    /// A `for` over the numbers of a node, with one job in its body.
    pub(crate) fn each(self, name: &'static str, over: usize, work: Work) -> Self {
        let kind = PlanKind::Each { limit: None };
        let each = self.pure(name, kind, &[over], |numbers| {
            Step::Items(numbers.into_iter().map(|n| Value::new(vec![n])).collect())
        });
        each.described(Description::Each { join })
            .inside(Exit::Value, |mut flow| {
                let item = flow.input("item");
                flow.job("body", &[item], work)
            })
    }

    /// The executable, whose output is that of the last node of the body.
    pub(crate) fn build(mut self) -> Arc<Executable> {
        self.finish();
        let definition = format!("{} {:?}", self.name, self.names);
        let id = xxhash_rust::xxh3::xxh3_128(definition.as_bytes());
        Arc::new(Executable {
            name: self.name,
            plan: Arc::new(Plan::new(self.nodes, self.regions, self.signals.clone())),
            definition: DefinitionId::from_u128(id),
            definition_bytes: definition.into_bytes().into(),
            code: Box::new(FlowCode {
                names: self.names,
                does: self.does,
                described: self.described,
                signals: self.signals,
                shares: self.shares,
            }),
        })
    }

    /// A value that the region is given.
    pub(crate) fn input(&mut self, name: &'static str) -> usize {
        let slot = self.regions[self.at.0].nodes.len();
        self.regions[self.at.0].inputs.push(slot);
        self.node(name, PlanKind::Input, &[], Does::Nothing)
    }

    fn node(&mut self, name: &'static str, kind: PlanKind, uses: &[usize], does: Does) -> usize {
        let (id, region) = (self.nodes.len(), self.at);
        let slot = self.regions[region.0].nodes.len();
        let source = |needed: &usize| Source {
            up: 0,
            slot: self.nodes[*needed].slot,
        };
        let node = PlanNode {
            kind,
            region,
            slot,
            uses: uses.iter().map(source).collect(),
            after: Vec::new(),
            inside: Vec::new(),
            kinds: Vec::new(),
            assigned: Vec::new(),
            keeps_error: false,
            policy: Policy::ONCE,
            recovery: None,
            undo: None,
            waits: 0,
            dependents: Vec::new(),
        };
        self.nodes.push(node);
        self.regions[region.0]
            .nodes
            .push(NodeId::new(u32::try_from(id).unwrap()));
        self.names.push(name);
        self.does.push(does);
        self.described.push(None);
        id
    }

    fn finish(&mut self) {
        let region = self.at;
        let slot = self.regions[region.0].nodes.len().checked_sub(1);
        let jobs = self.regions[region.0].nodes.iter();
        let jobs = jobs.filter(|id| self.nodes[index(**id)].kind == PlanKind::Job);
        let jobs = u64::try_from(jobs.count()).unwrap();
        let region = &mut self.regions[region.0];
        region.result = slot.map(|slot| Source { up: 0, slot });
        region.jobs = jobs;
    }
}

fn region(exit: Exit) -> PlanRegion {
    PlanRegion {
        nodes: Vec::new(),
        inputs: Vec::new(),
        result: None,
        exit,
        outs: Vec::new(),
        jobs: 0,
    }
}

struct FlowCode {
    names: Vec<&'static str>,
    does: Vec<Does>,
    described: Vec<Option<Description>>,
    signals: Vec<String>,
    shares: Vec<usize>,
}

impl Code for FlowCode {
    fn step<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        inputs: &'e [Value],
        encode: bool,
    ) -> Step<'e> {
        let numbers = inputs.iter().filter_map(Value::get::<Vec<u64>>);
        let numbers = numbers.flatten().copied().collect::<Vec<_>>();
        let work = match &self.does[index(node)] {
            Does::Work(work) => work,
            Does::Raw(raw) => return Step::Run(raw(numbers, context.clone())),
            Does::Pure(pure) => return pure(numbers),
            Does::Nothing => return Step::Nothing,
        };
        let work = work(numbers, context.attempt());
        Step::Run(Box::pin(async move {
            let output = match work.await {
                Ok(output) => vec![output],
                Err(failure) => return failure.into(),
            };
            Outcome::Produced(Produced {
                extra: None,
                encoded: if encode {
                    self::encode(&output)
                } else {
                    Vec::new()
                },
                value: Value::new(output),
            })
        }))
    }

    fn job(&self, _: NodeId) -> Option<&JobDef> {
        None
    }

    fn shares(&self, node: NodeId) -> bool {
        self.shares.contains(&index(node))
    }

    fn undo<'e>(
        &'e self,
        node: NodeId,
        context: &'e Context,
        arguments: &'e [u8],
        output: &'e [u8],
    ) -> Option<BoxFuture<'e, Outcome>> {
        let Does::Raw(raw) = &self.does[index(node)] else {
            return None;
        };
        let stored = [arguments, output].map(|bytes| numbers(&decode(bytes).unwrap()).clone());
        Some(raw(stored.concat(), context.clone()))
    }

    fn describe(&self, node: NodeId) -> Option<Description> {
        self.described[index(node)]
    }

    fn signal(&self, name: &str) -> Option<PayloadDef> {
        self.signals
            .iter()
            .any(|known| known == name)
            .then_some(SIGNAL)
    }

    fn decode(&self, _: NodeId, bytes: &[u8]) -> std::result::Result<Value, CodecError> {
        decode(bytes)
    }

    fn decode_error(&self, _: NodeId, bytes: &[u8]) -> std::result::Result<Value, CodecError> {
        decode(bytes)
    }

    fn encode(&self, _: NodeId, value: &Value) -> std::result::Result<Vec<u8>, CodecError> {
        Ok(encode(numbers(value)))
    }

    fn decode_called(
        &self,
        _: NodeId,
        bytes: &[u8],
    ) -> std::result::Result<Vec<Value>, CodecError> {
        decode(bytes).map(|input| vec![input])
    }

    fn encode_output(&self, output: &Value) -> std::result::Result<Vec<u8>, CodecError> {
        Ok(encode(numbers(output)))
    }

    fn decode_output(&self, bytes: &[u8]) -> std::result::Result<Value, CodecError> {
        decode(bytes)
    }

    fn decode_inputs(&self, bytes: &[u8]) -> std::result::Result<Vec<Value>, CodecError> {
        decode(bytes).map(|input| vec![input])
    }

    fn node_name(&self, node: NodeId) -> &'static str {
        self.names[index(node)]
    }

    fn definition(&self) -> Option<&Definition> {
        None
    }
}

impl fmt::Debug for FlowCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.names)
    }
}

fn join(results: Vec<Value>) -> Value {
    let results = results
        .into_iter()
        .flat_map(|result| numbers(&result).clone());
    Value::new(results.collect::<Vec<_>>())
}

fn numbers(value: &Value) -> &Vec<u64> {
    value.get().unwrap()
}

pub(crate) fn encode(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = vec![b'v'];
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

fn decode(bytes: &[u8]) -> std::result::Result<Value, CodecError> {
    let (numbers, rest) = bytes[1..].as_chunks::<8>();
    if !rest.is_empty() {
        return Err(CodecError::new::<Vec<u64>>("it is cut off"));
    }
    let numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    Ok(Value::new(numbers.collect::<Vec<_>>()))
}
