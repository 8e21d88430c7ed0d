//! What is stored of a workflow's shape, so that its records mean something to a later program.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;
use zahir_store::{DefinitionId, NodeId};

use crate::graph::{Exit, NodeDef};
use crate::program::Site;

/// The shape of a workflow and of everything it calls, as data.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// Its content hash.
    pub(crate) id: DefinitionId,
    /// What is stored.
    pub(crate) bytes: Arc<[u8]>,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    workflow: String,
    nodes: Vec<DefinedNode>,
    /// The regions of each workflow, its body first.
    regions: Vec<DefinedRegion>,
}

/// One node. Its number is its place among those of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DefinedNode {
    /// The workflow it is written in, and its name there.
    workflow: String,
    name: String,
    kind: String,
    /// The job or workflow it calls.
    calls: Option<String>,
    region: u32,
    /// The regions that it enters.
    inside: Vec<u32>,
    uses: Vec<u32>,
    after: Vec<u32>,
    fingerprint: u64,
}

/// One region. Its number is its place among those of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DefinedRegion {
    workflow: String,
    /// The node that enters it.
    owner: Option<u32>,
    result: Option<u32>,
    exit: String,
    outs: Vec<u32>,
}

impl Definition {
    /// The definition of the workflow of this name, whose plan has nodes at these sites.
    pub(crate) fn of(workflow: &str, sites: &[Site]) -> Self {
        let nodes = sites.iter().map(|site| DefinedNode {
            workflow: site.graph.name().to_owned(),
            name: site.node.name().to_owned(),
            kind: kind(&site.node.kind).to_owned(),
            calls: site.node.calls().map(str::to_owned),
            region: site.node.region.number(),
            inside: site.node.inside.iter().map(|id| id.number()).collect(),
            uses: site.node.uses().iter().map(|id| id.number()).collect(),
            after: site.node.after().iter().map(|id| id.number()).collect(),
            fingerprint: site.node.fingerprint(),
        });
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

    fn from_shape(shape: Shape) -> Self {
        // Plain strings and numbers always encode.
        let bytes: Arc<[u8]> = rmp_serde::to_vec(&shape).unwrap_or_default().into();
        Self {
            id: DefinitionId::from_u128(xxh3_128(&bytes)),
            bytes,
            shape,
        }
    }

    /// The definition that was stored as these bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok().map(Self::from_shape)
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
            let parts = if old.kind == "a race" {
                "entries"
            } else {
                "arms"
            };
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
    fn describe(&self) -> String {
        match &self.calls {
            Some(called) => format!("`{}` (a call of `{called}`)", self.name),
            None => format!("`{}` ({})", self.name, self.kind),
        }
    }
}

/// What the region at this place is to a node of this kind.
fn part(kind: &str, at: usize) -> String {
    match (kind, at) {
        ("a branch", _) => format!("arm {}", at + 1),
        ("a race", _) => format!("entry {}", at + 1),
        ("a rescue", 1) => "the handler".to_owned(),
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

const fn kind(kind: &NodeDef) -> &'static str {
    match kind {
        NodeDef::Input { .. } => "an input",
        NodeDef::Item => "an item",
        NodeDef::Carried => "a variable of a loop",
        NodeDef::Caught => "an error",
        NodeDef::Assigned { .. } => "an assigned variable",
        NodeDef::Job(_) => "a job",
        NodeDef::Value => "a value",
        NodeDef::Each { .. } => "a `for`",
        NodeDef::Branch => "a branch",
        NodeDef::Loop { .. } => "a loop",
        NodeDef::Rescue => "a rescue",
        NodeDef::Result(_) => "a result",
        NodeDef::Finally => "a finally",
        NodeDef::Race(_) => "a race",
        NodeDef::Sleep => "a sleep",
        NodeDef::Signal(_) => "a signal",
        NodeDef::Workflow(_) => "a workflow",
    }
}
