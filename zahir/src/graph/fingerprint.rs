//! Structural fingerprints: what a stored result depends on.
//!
//! A fingerprint hashes a canonical byte string: every part is preceded by its length, so that no
//! two definitions share one.
//!
//! - Part of it are the kind of a node, its job's name, version and types, its expressions, and the
//!   fingerprints of what it uses and waits for; of a signal its name and whether the wait for it can
//!   time out; of a loop that may end with its last values, after how many rounds.
//! - A job that spawns others covers the names, versions and types of all that it may spawn, directly
//!   or not.
//! - A node that enters regions covers all that is in them, in order, with their values and exits, so
//!   that what follows sees a change of any arm. What is inside sees only what the node was made of so
//!   far: an item what its `for` goes over, an error the block that it comes from.
//! - The *entry* of a node is its fingerprint without the regions in it: as long as that is the same,
//!   it goes the same way, and what is in it counts for itself.
//! - A carried variable covers the whole loop: what it is in a round comes from the round before.
//! - Not part of it are documentation, retries, timeouts, tags, limits, lines, and the names of nodes
//!   and variables.
//!
//! The work is linear in the size of the graph, and in how deep loops are nested.

use std::collections::BTreeMap;

use xxhash_rust::const_xxh3;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};
use zahir_store::NodeId;

use crate::graph::{Exit, Graph, Node, NodeDef, Region, index};
use crate::job::JobDef;
use crate::job::children::kind::reachable;

/// Changes with anything but the definition itself that fingerprints depend on.
const SCHEME: u64 = 1;

/// The fingerprint of a job alone.
pub(crate) const fn of_job(name: &str, signature: &str, version: u32) -> u64 {
    #[expect(clippy::as_conversions, reason = "`From` is not const")]
    let version = version as u64;
    let hash = const_xxh3::xxh3_64_with_seed(name.as_bytes(), SCHEME);
    let hash = const_xxh3::xxh3_64_with_seed(signature.as_bytes(), hash);
    hash.rotate_left(17) ^ version.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The fingerprint of one instance of a generic job.
pub(crate) fn of_instance(job: u64, name: &str) -> u64 {
    Canonical::default().number(job).text(name).hash()
}

/// Sets the fingerprints of all nodes.
pub(crate) fn fill(nodes: &mut [Node], regions: &[Region]) {
    if let Some(body) = regions.first() {
        region(nodes, regions, body);
    }
}

/// The fingerprint of the whole graph.
pub(crate) fn of_graph(graph: &Graph) -> u128 {
    let mut bytes = Canonical::default().text(graph.name());
    for node in graph.nodes() {
        bytes = bytes
            .text(node.name)
            .number(node.fingerprint)
            .number(u64::from(node.region.number()));
    }
    for region in graph.regions() {
        bytes = bytes.end_of(region, |id| Some(u64::from(id.number())));
    }
    xxh3_128(&bytes.0)
}

/// The nodes of one region, in source order, and of the regions in it. Nodes use earlier ones only.
fn region(nodes: &mut [Node], regions: &[Region], within: &Region) {
    // How many variables of the region each node has assigned or carried so far.
    let mut variables: BTreeMap<Option<NodeId>, u64> = BTreeMap::new();
    for id in &within.nodes {
        let index = index(*id);
        let Some(node) = nodes.get(index) else {
            continue;
        };
        let whose = node.kind.assigned_by();
        let mut place = 0;
        if whose.is_some() || matches!(node.kind, NodeDef::Carried) {
            let count = variables.entry(whose).or_default();
            *count += 1;
            place = *count;
        }
        let entry = entry(nodes, regions, node, place);
        set(nodes, index, entry);
        if let Some(node) = nodes.get_mut(index) {
            node.entry = entry;
        }
        let inside = nodes[index].inside.clone();
        for inner in inside.iter().filter_map(|id| regions.get(id.index())) {
            region(nodes, regions, inner);
            set(
                nodes,
                index,
                extended(nodes, nodes[index].fingerprint, inner),
            );
        }
    }
}

fn set(nodes: &mut [Node], index: usize, fingerprint: u64) {
    if let Some(node) = nodes.get_mut(index) {
        node.fingerprint = fingerprint;
    }
}

/// What a node is made of, without the regions in it. `place` counts variables of one construct.
fn entry(nodes: &[Node], regions: &[Region], node: &Node, place: u64) -> u64 {
    let of = |id: NodeId| nodes.get(index(id)).map_or(0, |node| node.fingerprint);
    let owner = || {
        let owner = regions
            .get(node.region.index())
            .and_then(|region| region.owner);
        owner.map_or(0, of)
    };
    let mut bytes = own(node);
    if let Some(by) = node.kind.assigned_by() {
        bytes = bytes.number(of(by)).number(place);
    }
    if matches!(
        node.kind,
        NodeDef::Item | NodeDef::Carried | NodeDef::Caught
    ) {
        bytes = bytes.number(owner()).number(place);
    }
    if let NodeDef::Loop { starts, .. } = &node.kind {
        bytes = bytes.number(len(starts));
        for start in starts {
            bytes = bytes.number(of(*start));
        }
        bytes = bytes.number(round(nodes, regions, node));
    }
    let lent = node.uses.get(..node.lends).unwrap_or(&node.uses);
    for (kind, ids) in [("uses", lent), ("after", &node.after)] {
        bytes = bytes.text(kind).number(len(ids));
        for id in ids {
            bytes = bytes.number(of(*id));
        }
    }
    bytes.hash()
}

/// What a node is in itself, whatever its place in the graph.
fn own(node: &Node) -> Canonical {
    let bytes = Canonical::default().number(SCHEME);
    let bytes = match &node.kind {
        NodeDef::Input { .. } => bytes.text("input").text(node.name),
        NodeDef::Item => bytes.text("item"),
        NodeDef::Carried => bytes.text("carried"),
        NodeDef::Caught => bytes.text("caught"),
        NodeDef::Assigned { .. } => bytes.text("assigned"),
        NodeDef::Value => bytes.text("value"),
        NodeDef::Job(job) => bytes
            .text("job")
            .number(job.fingerprint)
            .number(u64::from(job.error.is_some()))
            .kinds(job),
        NodeDef::Each { .. } => bytes.text("for"),
        NodeDef::Branch => bytes.text("branch"),
        // Elsewhere the rounds are counted only to fail, as attempts are.
        NodeDef::Loop {
            max: Some(max),
            or_last: true,
            ..
        } => bytes.text("loop or last").number(u64::from(*max)),
        NodeDef::Loop { .. } => bytes.text("loop"),
        NodeDef::Rescue => bytes.text("rescue"),
        NodeDef::Result(_) => bytes.text("result"),
        NodeDef::Finally => bytes.text("finally"),
        NodeDef::Race(_) => bytes.text("race"),
        NodeDef::Sleep => bytes.text("sleep"),
        NodeDef::Signal(signal) => bytes
            .text("signal")
            .text(signal.name)
            .number(u64::from(signal.timeout.is_some())),
        NodeDef::Workflow(called) => bytes.text("workflow").number(called.fingerprint),
    };
    bytes.text(node.source)
}

/// What one region adds to the fingerprint of the node that enters it.
fn extended(nodes: &[Node], so_far: u64, inner: &Region) -> u64 {
    let of = |id: NodeId| nodes.get(index(id)).map(|node| node.fingerprint);
    let mut bytes = Canonical::default()
        .number(so_far)
        .number(len(&inner.nodes));
    for id in &inner.nodes {
        bytes = bytes.number(of(*id).unwrap_or(0));
    }
    bytes.end_of(inner, of).hash()
}

/// What one round of a loop does, before the fingerprints of its nodes are known, as they depend on
/// what the variables are that the round before left. So nodes inside are told by their distance.
fn round(nodes: &[Node], regions: &[Region], entered: &Node) -> u64 {
    let told = |id: NodeId| {
        let outside = id <= entered.id;
        Some(if outside {
            nodes.get(index(id)).map_or(0, |node| node.fingerprint)
        } else {
            u64::from(id.number() - entered.id.number())
        })
    };
    let mut bytes = Canonical::default();
    let mut open: Vec<_> = entered.inside.to_vec();
    while let Some(inner) = open.pop().and_then(|id| regions.get(id.index())) {
        bytes = bytes.number(len(&inner.nodes));
        for node in inner.nodes.iter().filter_map(|id| nodes.get(index(*id))) {
            let regions = len(&node.inside);
            bytes = bytes
                .number(own(node).hash())
                .number(told(node.id).unwrap_or(0))
                .number(regions);
            let (starts, by) = (node.kind.starts(), node.kind.assigned_by());
            for ids in [&node.uses, &node.after, starts, by.as_slice()] {
                bytes = bytes.number(len(ids));
                for id in ids {
                    bytes = bytes.number(told(*id).unwrap_or(0));
                }
            }
            open.extend(node.inside.iter().copied());
        }
        bytes = bytes.end_of(inner, told);
    }
    bytes.hash()
}

fn len<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

/// A byte string that can be read in one way only.
#[derive(Default)]
struct Canonical(Vec<u8>);

impl Canonical {
    fn text(mut self, text: &str) -> Self {
        self = self.number(len(text.as_bytes()));
        self.0.extend(text.as_bytes());
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    /// All that a job may spawn, directly or not. Nothing is added for one that spawns nothing.
    fn kinds(mut self, job: &JobDef) -> Self {
        let kinds = reachable(std::iter::once(job));
        if !kinds.is_empty() {
            self = self.text("spawns").number(len(&kinds));
        }
        for kind in kinds {
            self = self.text(kind.name()).number(kind.fingerprint());
        }
        self
    }

    /// The value and the exit of a region, its nodes told by `of`.
    fn end_of(mut self, region: &Region, of: impl Fn(NodeId) -> Option<u64>) -> Self {
        let result = region.result.and_then(&of);
        self = self
            .number(u64::from(result.is_some()))
            .number(result.unwrap_or(0))
            .text(match region.exit {
                Exit::Value => "value",
                Exit::Break => "break",
                Exit::Continue => "continue",
                Exit::Return => "return",
            })
            .number(len(&region.outs));
        for out in &region.outs {
            self = self.number(of(*out).unwrap_or(0));
        }
        self
    }

    fn hash(&self) -> u64 {
        xxh3_64(&self.0)
    }
}
