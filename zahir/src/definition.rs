//! What is stored of a workflow's shape, so that its records mean something to a later program.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;
use zahir_store::DefinitionId;

use crate::graph::NodeDef;
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
}

/// One node. Its number is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DefinedNode {
    /// The workflow it is written in, and its name there.
    workflow: String,
    name: String,
    kind: String,
    /// The job or workflow it calls.
    calls: Option<String>,
    region: u32,
    uses: Vec<u32>,
    after: Vec<u32>,
    fingerprint: u64,
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
            uses: site.node.uses().iter().map(|id| id.number()).collect(),
            after: site.node.after().iter().map(|id| id.number()).collect(),
            fingerprint: site.node.fingerprint(),
        });
        Self::from_shape(Shape {
            workflow: workflow.to_owned(),
            nodes: nodes.collect(),
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
        let find = |nodes: &[DefinedNode], wanted: &DefinedNode| {
            let same = |node: &&DefinedNode| {
                (&node.workflow, &node.name, node.region)
                    == (&wanted.workflow, &wanted.name, wanted.region)
            };
            nodes.iter().find(same).cloned()
        };
        let mut differences = Vec::new();
        for old in &self.shape.nodes {
            match find(&current.shape.nodes, old) {
                None => differences.push(format!("{} is gone", old.describe())),
                Some(new) if new.fingerprint == old.fingerprint => {}
                Some(new) if new.kind != old.kind || new.calls != old.calls => {
                    differences.push(format!("{} is {} now", old.describe(), new.describe()));
                }
                Some(_) => differences.push(format!("{} has changed", old.describe())),
            }
        }
        for new in &current.shape.nodes {
            if find(&self.shape.nodes, new).is_none() {
                differences.push(format!("{} is new", new.describe()));
            }
        }
        differences
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
