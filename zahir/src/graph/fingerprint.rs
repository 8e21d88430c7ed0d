//! Structural fingerprints: what a stored result depends on.
//!
//! A fingerprint hashes a canonical byte string: every part is preceded by its length, so that no
//! two definitions share one. Part of it are the kind of a node, its job's name, version and types,
//! its expressions and the fingerprints of what it uses and waits for. Not part of it are
//! documentation, retries, timeouts, tags, limits, lines, and the names of nodes.

use xxhash_rust::const_xxh3;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::graph::{Graph, Node, NodeKind, Region};

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
        let NodePlace { region, result } = NodePlace::of(node, graph.regions());
        bytes = bytes
            .text(node.name)
            .number(node.fingerprint)
            .number(region)
            .number(u64::from(result));
    }
    xxh3_128(&bytes.0)
}

struct NodePlace {
    region: u64,
    result: bool,
}

impl NodePlace {
    fn of(node: &Node, regions: &[Region]) -> Self {
        Self {
            region: u64::from(node.region.number()),
            result: regions.iter().any(|region| region.result == Some(node.id)),
        }
    }
}

/// The nodes of one region, in source order, and of the regions in it. Nodes use earlier ones only.
fn region(nodes: &mut [Node], regions: &[Region], within: &Region) {
    for id in &within.nodes {
        let index = index(*id);
        let entry = entry(nodes, index);
        if let Some(node) = nodes.get_mut(index) {
            node.fingerprint = entry;
        }
        // What is inside sees what the node is made of; what follows sees all of it.
        let inside = nodes
            .get(index)
            .map_or(Box::default(), |node| node.inside.clone());
        for id in &inside {
            let Some(inner) = regions.get(id.index()) else {
                continue;
            };
            region(nodes, regions, inner);
            let entry = nodes.get(index).map_or(0, |node| node.fingerprint);
            let whole = body_of(nodes, inner, entry);
            if let Some(node) = nodes.get_mut(index) {
                node.fingerprint = whole;
            }
        }
    }
}

fn entry(nodes: &[Node], index: usize) -> u64 {
    let Some(node) = nodes.get(index) else {
        return 0;
    };
    let mut bytes = Canonical::default().number(SCHEME);
    bytes = match &node.kind {
        NodeKind::Input { .. } => bytes.text("input").text(node.name),
        NodeKind::Item => bytes.text("item").number(owner(nodes, node)),
        NodeKind::Carried => bytes.text("carried").number(owner(nodes, node)),
        NodeKind::Caught => bytes.text("caught").number(owner(nodes, node)),
        NodeKind::Assigned { by } => bytes
            .text("assigned")
            .number(nodes.get(self::index(*by)).map_or(0, |by| by.fingerprint)),
        NodeKind::Value => bytes.text("value"),
        NodeKind::Job(job) => bytes.text("job").number(job.fingerprint),
        NodeKind::Each { .. } => bytes.text("for"),
        NodeKind::Branch => bytes.text("branch"),
        NodeKind::Loop { .. } => bytes.text("loop"),
        NodeKind::Rescue => bytes.text("rescue"),
        NodeKind::Result(_) => bytes.text("result"),
        NodeKind::Finally => bytes.text("finally"),
        NodeKind::Race(_) => bytes.text("race"),
        NodeKind::Sleep => bytes.text("sleep"),
        NodeKind::Signal(signal) => bytes.text("signal").text(signal.name),
        NodeKind::Workflow(called) => bytes.text("workflow").number(called.fingerprint),
    };
    bytes = bytes.text(node.source);
    let read = node.lends;
    for (kind, ids) in [("uses", &node.uses[..read]), ("after", &node.after[..])] {
        bytes = bytes.text(kind).number(len(ids));
        for id in ids {
            bytes = bytes.number(
                nodes
                    .get(self::index(*id))
                    .map_or(0, |node| node.fingerprint),
            );
        }
    }
    bytes.hash()
}

/// The fingerprint of the node that enters the region of this one.
fn owner(nodes: &[Node], inner: &Node) -> u64 {
    let owner = nodes
        .iter()
        .find(|node| node.inside.contains(&inner.region));
    owner.map_or(0, |owner| owner.fingerprint)
}

fn body_of(nodes: &[Node], body: &Region, entry: u64) -> u64 {
    let fingerprint = |id: &_| {
        nodes
            .get(index(*id))
            .map_or(0, |node: &Node| node.fingerprint)
    };
    let mut bytes = Canonical::default().number(entry).number(len(&body.nodes));
    for id in &body.nodes {
        bytes = bytes.number(fingerprint(id));
    }
    let result = body.result.as_ref().map(fingerprint);
    bytes
        .number(u64::from(result.is_some()))
        .number(result.unwrap_or(0))
        .hash()
}

fn index(id: zahir_store::NodeId) -> usize {
    usize::try_from(id.number()).unwrap_or(usize::MAX)
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

    fn hash(&self) -> u64 {
        xxh3_64(&self.0)
    }
}
