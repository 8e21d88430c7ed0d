//! What is stored of a workflow's shape, so that its records mean something to a later program.

pub(crate) mod matching;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;
use zahir_store::{DefinitionId, FrameStep, NodeId, Position};

use crate::graph::{Exit, NodeDef, short};
use crate::job::JobDef;
use crate::plan::index;
use crate::program::Site;

/// The shape of a workflow and of everything it calls, as data.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// Its content hash.
    pub(crate) id: DefinitionId,
    /// What is stored.
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) shape: Shape,
}

/// What is stored. Fields are only ever added, at the end of a struct and with a default: what
/// earlier versions stored stays readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) workflow: String,
    pub(crate) nodes: Vec<DefinedNode>,
    /// The regions of each workflow, its body first.
    pub(crate) regions: Vec<DefinedRegion>,
}

/// One node. Its number is its place among those of its workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefinedNode {
    /// The workflow it is written in, and its name there.
    pub(crate) workflow: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// The job or workflow it calls.
    pub(crate) calls: Option<String>,
    pub(crate) region: u32,
    /// The regions that it enters.
    pub(crate) inside: Vec<u32>,
    pub(crate) uses: Vec<u32>,
    pub(crate) after: Vec<u32>,
    pub(crate) fingerprint: u64,
    /// The fingerprint without the regions in it; 0 if that is not known.
    #[serde(default)]
    pub(crate) entry: u64,
    /// How many of the values it uses its own step is lent; the others are for what is in it.
    #[serde(default)]
    pub(crate) lends: u32,
    /// What assigns it, if it is an assigned variable.
    #[serde(default)]
    pub(crate) by: Option<u32>,
    /// The types of the job that it calls, and its declared version.
    #[serde(default)]
    pub(crate) signature: String,
    #[serde(default)]
    pub(crate) version: u32,
    /// What its job says of its effect, if that is not the usual.
    #[serde(default)]
    pub(crate) effect: String,
    /// The jobs and workflows that its job may spawn. Left away where there are none, as in what was
    /// stored before there were any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) spawns: Vec<String>,
}

/// One region. Its number is its place among those of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefinedRegion {
    pub(crate) workflow: String,
    /// The node that enters it.
    pub(crate) owner: Option<u32>,
    pub(crate) result: Option<u32>,
    pub(crate) exit: String,
    pub(crate) outs: Vec<u32>,
}

impl Definition {
    /// The definition of the workflow of this name, whose plan has nodes at these sites.
    pub(crate) fn of(workflow: &str, sites: &[Site]) -> Self {
        let nodes = sites.iter().map(DefinedNode::of);
        // The sites of a graph are in one piece.
        let same = |one: &Site, other: &Site| std::ptr::eq(one.graph, other.graph);
        let graphs = sites.chunk_by(same).filter_map(|sites| sites.first());
        let regions = graphs.flat_map(|site| {
            site.graph.regions().iter().map(|region| DefinedRegion {
                workflow: site.graph.name().to_owned(),
                owner: region.owner.map(NodeId::number),
                result: region.result.map(NodeId::number),
                exit: exit(region.exit).to_owned(),
                outs: region.outs.iter().map(|id| id.number()).collect(),
            })
        });
        Self::from_shape(Shape {
            workflow: workflow.to_owned(),
            nodes: nodes.collect(),
            regions: regions.collect(),
        })
    }

    pub(crate) fn from_shape(shape: Shape) -> Self {
        // Plain strings and numbers always encode.
        let bytes: Arc<[u8]> = rmp_serde::to_vec(&shape).unwrap_or_default().into();
        Self {
            id: DefinitionId::from_u128(xxh3_128(&bytes)),
            bytes,
            shape,
        }
    }

    /// A definition of which this much is known.
    pub(crate) fn known(id: DefinitionId, shape: Shape) -> Self {
        Self {
            id,
            bytes: Arc::new([]),
            shape,
        }
    }

    /// The definition that was stored under this id, as these bytes.
    pub(crate) fn decode(id: DefinitionId, bytes: &[u8]) -> Option<Self> {
        let shape = rmp_serde::from_slice(bytes).ok()?;
        Some(Self {
            id,
            bytes: bytes.into(),
            shape,
        })
    }

    /// The node of this number.
    pub(crate) fn node(&self, id: NodeId) -> Option<&DefinedNode> {
        self.shape.nodes.get(index(id))
    }

    /// Where a node instance is, in the words of the source; see
    /// [`Executable::path`](crate::runtime::executable::Executable::path).
    pub(crate) fn path(&self, at: &Position) -> String {
        let name = |id| self.node(id).map_or("?", |node| node.name.as_str());
        let mut path = String::new();
        for FrameStep { node, index } in &at.frames {
            path.push_str(name(*node));
            if self.node(*node).is_some_and(DefinedNode::is_repeated) {
                path.push_str(&format!("[{index}]"));
            }
            path.push('/');
        }
        path.push_str(name(at.node));
        path
    }

    /// Where the nodes are, without the numbers of items and rounds, each for one who reads its
    /// workflow.
    pub(crate) fn places(&self) -> Vec<String> {
        let placed = self.shape.placed();
        let places = placed.iter().map(|it| it.place.written(&it.node.workflow));
        places.collect()
    }

    /// The number of the first node of a workflow.
    pub(crate) fn first_of(&self, workflow: &str) -> usize {
        let mut nodes = self.shape.nodes.iter();
        nodes
            .position(|node| node.workflow == workflow)
            .unwrap_or(0)
    }

    /// What runs by itself in it and fulfils `wanted`, by name: in the workflow itself as in
    /// [`Definition::path`], in one that it calls behind the name of that.
    pub(crate) fn runs(&self, wanted: impl Fn(NodeId) -> bool) -> Vec<String> {
        let placed = self.shape.placed();
        let numbered = placed.iter().zip(0..);
        let runs = numbered.filter(|(it, id)| it.node.is_run() && wanted(NodeId::new(*id)));
        runs.map(|(it, _)| it.place.written(&self.shape.workflow))
            .collect()
    }

    /// How `current` differs from this definition, node by node, in words.
    pub(crate) fn differences(&self, current: &Self) -> Vec<String> {
        let (before, after) = (self.shape.placed(), current.shape.placed());
        let (known, found) = (by_place(&before), by_place(&after));
        let mut differences = Vec::new();
        for old in &before {
            match found.get(&old.place) {
                None => differences.push(format!("{} is gone", old.node.describe())),
                Some(new) => differences.extend(old.difference(new)),
            }
        }
        let new = after.iter().filter(|new| !known.contains_key(&new.place));
        differences.extend(new.map(|new| format!("{} is new", new.node.describe())));
        let (gave, gives) = (self.shape.results(), current.shape.results());
        for (workflow, is) in gives {
            if gave.get(workflow).is_some_and(|was| *was != is) {
                differences.push(format!("`{workflow}` gives another of its values now"));
            }
        }
        differences
    }
}

/// A node, and what finds it again in another definition.
struct Placed<'s> {
    node: &'s DefinedNode,
    /// The regions that it enters.
    inside: Vec<&'s DefinedRegion>,
    place: Place<'s>,
}

/// The workflow of a node and, from the outside in, the names of the nodes around it, each with which
/// of its regions it is, and its own name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'s> {
    workflow: &'s str,
    around: Vec<(&'s str, usize)>,
    name: &'s str,
}

impl Place<'_> {
    /// The place in words, for one who reads `workflow`.
    fn written(&self, workflow: &str) -> String {
        let mut text = String::new();
        if self.workflow != workflow {
            text.push_str(&short(self.workflow));
            text.push_str(": ");
        }
        for (name, _) in &self.around {
            text.push_str(name);
            text.push('/');
        }
        text.push_str(self.name);
        text
    }
}

fn by_place<'p, 's>(placed: &'p [Placed<'s>]) -> BTreeMap<&'p Place<'s>, &'p Placed<'s>> {
    placed.iter().map(|node| (&node.place, node)).collect()
}

impl Shape {
    /// What each workflow gives: the name of the node.
    fn results(&self) -> BTreeMap<&str, Option<&str>> {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            names.entry(&node.workflow).or_default().push(&node.name);
        }
        let bodies = self.regions.iter().filter(|region| region.owner.is_none());
        let results = bodies.map(|body| {
            let workflow = body.workflow.as_str();
            let result = body.result.and_then(|id| usize::try_from(id).ok());
            let name = result.and_then(|id| names.get(workflow)?.get(id).copied());
            (workflow, name)
        });
        results.collect()
    }

    fn placed(&self) -> Vec<Placed<'_>> {
        let mut regions: BTreeMap<&str, Vec<&DefinedRegion>> = BTreeMap::new();
        for region in &self.regions {
            regions.entry(&region.workflow).or_default().push(region);
        }
        // Nodes are behind the ones around them.
        let mut around: BTreeMap<(&str, u32), Vec<(&str, usize)>> = BTreeMap::new();
        let placed = self.nodes.iter().map(|node| {
            let workflow = node.workflow.as_str();
            let outer = around
                .get(&(workflow, node.region))
                .cloned()
                .unwrap_or_default();
            for (at, inner) in node.inside.iter().enumerate() {
                let mut outer = outer.clone();
                outer.push((&node.name, at));
                around.insert((workflow, *inner), outer);
            }
            let find = |id: &u32| {
                let regions = regions.get(workflow)?;
                regions.get(usize::try_from(*id).ok()?).copied()
            };
            Placed {
                node,
                inside: node.inside.iter().filter_map(find).collect(),
                place: Place {
                    workflow,
                    around: outer,
                    name: &node.name,
                },
            }
        });
        placed.collect()
    }
}

impl Placed<'_> {
    /// What has become of this node.
    fn difference(&self, new: &Placed<'_>) -> Option<String> {
        let (old, described) = (self.node, self.node.describe());
        if old.kind != new.node.kind || old.calls != new.node.calls {
            return Some(format!("{described} is {} now", new.node.describe()));
        }
        let (had, has) = (self.inside.len(), new.inside.len());
        if had != has {
            let parts = if old.kind == RACE { "entries" } else { "arms" };
            return Some(format!("{described} has {has} {parts} now, not {had}"));
        }
        for (at, (before, after)) in self.inside.iter().zip(&new.inside).enumerate() {
            let part = part(&old.kind, at);
            if before.exit != after.exit {
                let goes_on = after.exit == exit(Exit::Value);
                let how = if goes_on {
                    "does not end with"
                } else {
                    "ends with"
                };
                let with = if goes_on { &before.exit } else { &after.exit };
                return Some(format!("{part} of {described} {how} `{with}` now"));
            }
        }
        (old.fingerprint != new.node.fingerprint).then(|| format!("{described} has changed"))
    }
}

impl DefinedNode {
    fn of(site: &Site) -> Self {
        let Site { graph, node } = site;
        let job = node.kind.job();
        let numbers = |ids: &[NodeId]| ids.iter().map(|id| id.number()).collect();
        Self {
            workflow: graph.name().to_owned(),
            name: node.name().to_owned(),
            kind: kind(&node.kind).to_owned(),
            calls: node.calls().map(str::to_owned),
            region: node.region.number(),
            inside: node.inside.iter().map(|id| id.number()).collect(),
            uses: numbers(node.uses()),
            after: numbers(node.after()),
            fingerprint: node.fingerprint(),
            entry: node.entry,
            lends: u32::try_from(node.lends).unwrap_or(u32::MAX),
            by: node.kind.assigned_by().map(NodeId::number),
            signature: job.map(|job| job.signature.to_owned()).unwrap_or_default(),
            version: job.map_or(0, |job| job.options.declared_version()),
            effect: job.map(effect).unwrap_or_default(),
            spawns: node
                .spawns()
                .iter()
                .map(|kind| kind.name().to_owned())
                .collect(),
        }
    }

    /// Whether the number of a frame of it tells which item, round or child it is.
    fn is_repeated(&self) -> bool {
        matches!(self.kind.as_str(), EACH | LOOP | JOB)
    }

    /// What it is, but for its name and its place.
    pub(crate) fn described(&self) -> String {
        let Some(called) = &self.calls else {
            return self.kind.clone();
        };
        let mut text = format!("`{called}{}`", self.signature);
        if self.version > 0 {
            text.push_str(&format!(" of version {}", self.version));
        }
        text
    }

    pub(crate) fn describe(&self) -> String {
        match &self.calls {
            Some(called) => format!("`{}` (a call of `{called}`)", self.name),
            None => format!("`{}` ({})", self.name, self.kind),
        }
    }
}

/// What the region at this place is to a node of this kind.
fn part(kind: &str, at: usize) -> String {
    match (kind, at) {
        (BRANCH, _) => format!("arm {}", at + 1),
        (RACE, _) => format!("entry {}", at + 1),
        (RESCUE, 1) => "the handler".to_owned(),
        _ => "the body".to_owned(),
    }
}

/// How a region is left.
const fn exit(exit: Exit) -> &'static str {
    match exit {
        Exit::Value => "value",
        Exit::Break => "break",
        Exit::Continue => "continue",
        Exit::Return => "return",
    }
}

/// What a job says of its effect, in the words of `#[job]`.
fn effect(job: &JobDef) -> String {
    let options = &job.options;
    let mut words = Vec::new();
    for (is_so, word) in [
        (options.is_at_most_once(), AT_MOST_ONCE),
        (options.is_pure(), "pure"),
        (options.is_once(), "once"),
        (options.cache_time().is_some(), "cache"),
        (options.needs_no_undo() && !options.is_pure(), "no_undo"),
    ] {
        if is_so {
            words.push(word.to_owned());
        }
    }
    words.extend(job.undo.map(|undo| format!("undo = {}", (undo.name)())));
    words.extend(
        job.recovery
            .map(|recovery| format!("recover = {}", (recovery.name)())),
    );
    words.join(", ")
}

pub(crate) const AT_MOST_ONCE: &str = "at_most_once";

const JOB: &str = "a job";
const EACH: &str = "a `for`";
const BRANCH: &str = "a branch";
const LOOP: &str = "a loop";
const RESCUE: &str = "a rescue";
const FINALLY: &str = "a finally";
const RACE: &str = "a race";
const SLEEP: &str = "a sleep";
const SIGNAL: &str = "a signal";
const ITEM: &str = "an item";
const CARRIED: &str = "a variable of a loop";
const CAUGHT: &str = "an error";
const RESULT: &str = "a result";
const WORKFLOW: &str = "a workflow";

/// All that a node can be.
pub(crate) const KINDS: &[&str] = &[
    "an input",
    ITEM,
    CARRIED,
    CAUGHT,
    "an assigned variable",
    JOB,
    "a value",
    EACH,
    BRANCH,
    LOOP,
    RESCUE,
    RESULT,
    FINALLY,
    RACE,
    SLEEP,
    SIGNAL,
    WORKFLOW,
];

/// How a region ends that does not leave what is around it.
pub(crate) const VALUE_EXIT: &str = exit(Exit::Value);

const fn kind(kind: &NodeDef) -> &'static str {
    match kind {
        NodeDef::Input { .. } => "an input",
        NodeDef::Item => ITEM,
        NodeDef::Carried => CARRIED,
        NodeDef::Caught => CAUGHT,
        NodeDef::Assigned { .. } => "an assigned variable",
        NodeDef::Job(_) => JOB,
        NodeDef::Value => "a value",
        NodeDef::Each { .. } => EACH,
        NodeDef::Branch => BRANCH,
        NodeDef::Loop { .. } => LOOP,
        NodeDef::Rescue => RESCUE,
        NodeDef::Result(_) => RESULT,
        NodeDef::Finally => FINALLY,
        NodeDef::Race(_) => RACE,
        NodeDef::Sleep => SLEEP,
        NodeDef::Signal(_) => SIGNAL,
        NodeDef::Workflow(_) => WORKFLOW,
    }
}
