//! What is drawn of a graph, whatever draws it.
//!
//! What jobs may spawn stands below the graph, each job or workflow once, with arrows from all that may
//! spawn it.
//!
//! A node that enters regions is drawn as a box around them; if there are several, each is a box of
//! its own in there, or a word if nothing is in it. What such a node is made of points at its box, or
//! at the item or the variables that it becomes, and what uses its value starts at the box.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use zahir_store::NodeId;

use crate::graph::region::{branch_word, is_named_after};
use crate::graph::{Exit, Graph, Node, NodeDef, Region, RegionId};
use crate::job::children::kind::KindDef;

/// What an arrow starts or ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Node(NodeId),
    /// The box of a node that enters regions.
    Box(NodeId),
    /// One of several regions in a box.
    Region(RegionId),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) | Self::Box(id) => write!(f, "n{id:?}"),
            Self::Region(id) => write!(f, "r{id:?}"),
        }
    }
}

/// What an arrow says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// A value goes from the one to the other.
    Data,
    /// The other comes later.
    Order,
    /// A value goes to the next round.
    Back,
}

/// One arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) line: Line,
}

/// What there is to draw in a region.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'g> {
    Node(&'g Node),
    /// A box with the one region that the node enters.
    Box(&'g Node, &'g Region),
    /// A box with several regions.
    Boxes(&'g Node),
}

impl Graph {
    /// What to draw in a region, in source order.
    pub(crate) fn drawn<'g>(&'g self, region: &'g Region) -> impl Iterator<Item = Shown<'g>> {
        let nodes = region.nodes.iter().filter_map(|id| self.at(*id));
        nodes.map(|node| match *node.inside {
            [] => Shown::Node(node),
            [only] => match self.region(only) {
                Some(region) if !region.nodes.is_empty() => Shown::Box(node, region),
                _ => Shown::Node(node),
            },
            _ => Shown::Boxes(node),
        })
    }

    pub(crate) fn region(&self, id: RegionId) -> Option<&Region> {
        self.regions.get(id.index())
    }

    /// The first or last thing in a box that is no box itself.
    pub(crate) fn leaf(&self, of: End, is_last: bool) -> End {
        let mut at = of;
        while let Some(inner) = self.inner(at, is_last) {
            at = inner;
        }
        at
    }

    /// The first or last thing in a box.
    fn inner(&self, of: End, is_last: bool) -> Option<End> {
        match of {
            End::Node(_) => None,
            End::Box(id) => {
                let node = self.at(id)?;
                let first = node.inside.first().copied();
                let region = if is_last { self.lowest(node) } else { first };
                region.map(End::Region)
            }
            End::Region(id) => {
                let region = self.region(id)?;
                let result = region.result.filter(|result| self.is_in(*result, id));
                let last = result.or(region.nodes.last().copied());
                let first = region.nodes.first().copied();
                let node = if is_last { last } else { first };
                node.map(|node| self.end(node))
            }
        }
    }

    /// The region that reaches down furthest, so that what comes behind is placed below it.
    fn lowest(&self, node: &Node) -> Option<RegionId> {
        if is_sequence(node) {
            return node.inside.last().copied();
        }
        let size = |id: &RegionId| self.region(*id).map_or(0, |region| region.nodes.len());
        node.inside.iter().copied().max_by_key(size)
    }

    fn is_in(&self, node: NodeId, region: RegionId) -> bool {
        self.at(node).is_some_and(|node| node.region == region)
    }

    /// Where arrows to and from a node end.
    fn end(&self, id: NodeId) -> End {
        let inside = self.at(id).map_or(&[][..], |node| &node.inside);
        let is_empty = |id: &RegionId| self.region(*id).is_none_or(|it| it.nodes.is_empty());
        match inside {
            [] => End::Node(id),
            [only] if is_empty(only) => End::Node(id),
            _ => End::Box(id),
        }
    }

    /// Where arrows to and from a region end.
    fn region_end(&self, id: RegionId) -> End {
        let owner = self.region(id).and_then(|region| region.owner);
        match owner.and_then(|owner| self.at(owner)) {
            Some(owner) if owner.inside.len() == 1 => self.end(owner.id),
            _ => End::Region(id),
        }
    }
}

/// A job or workflow that may be spawned, as it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) def: KindDef,
    /// Its place among those of the graph.
    place: usize,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.place)
    }
}

impl Kind {
    pub(crate) fn label(&self) -> [String; 1] {
        [short(self.def.name())]
    }

    pub(crate) const fn is_workflow(&self) -> bool {
        self.def.workflow().is_some()
    }
}

/// What the jobs of a graph may spawn, and the arrows to it: each from a node or from what is itself
/// spawned.
pub(crate) fn spawning(graph: &Graph) -> (Vec<Kind>, Vec<(String, Kind)>) {
    let kinds = graph.kinds().into_iter().enumerate();
    let kinds: Vec<Kind> = kinds.map(|(place, def)| Kind { def, place }).collect();
    let mut arrows = Vec::new();
    let mut add = |from: String, spawned: Vec<KindDef>| {
        let named = |def: &KindDef| kinds.iter().find(|kind| kind.def.name() == def.name());
        let to = spawned.iter().filter_map(named);
        arrows.extend(to.map(|kind| (from.clone(), *kind)));
    };
    for node in &graph.nodes {
        add(End::Node(node.id).to_string(), node.spawns());
    }
    for kind in &kinds {
        add(kind.to_string(), kind.def.spawns());
    }
    (kinds, arrows)
}

/// All arrows of a graph, each once, in the order of what they are drawn for.
pub(crate) fn arrows(graph: &Graph) -> Vec<Arrow> {
    let waits = graph.nodes.iter().flat_map(|node| {
        let waits = node.after.iter();
        waits.map(|before| (*before, node.id))
    });
    let mut arrows = Arrows {
        graph,
        waits: waits.collect(),
        loops: Vec::new(),
        known: BTreeSet::new(),
        drawn: Vec::new(),
    };
    for node in &graph.nodes {
        arrows.arrows_to(node);
        arrows.between_regions(node);
    }
    arrows.back();
    arrows.drawn
}

struct Arrows<'g> {
    graph: &'g Graph,
    /// Each node that waits for another without needing its value, behind that other.
    waits: BTreeSet<(NodeId, NodeId)>,
    /// The loop around each region met so far.
    loops: Vec<Option<NodeId>>,
    known: BTreeSet<Arrow>,
    drawn: Vec<Arrow>,
}

impl Arrows<'_> {
    fn add(&mut self, from: End, to: End, line: Line) {
        let arrow = Arrow { from, to, line };
        if self.known.insert(arrow) {
            self.drawn.push(arrow);
        }
    }

    fn arrows_to(&mut self, node: &Node) {
        let given = self.given(node);
        let to = match given.first() {
            // What a `for` goes over points at its item.
            Some(item) if matches!(node.kind, NodeDef::Each { .. }) => End::Node(*item),
            _ => self.graph.end(node.id),
        };
        for id in node.uses.iter().take(node.lends) {
            self.add(self.graph.end(*id), to, Line::Data);
        }
        for (start, variable) in node.kind.starts().iter().zip(&given) {
            self.add(self.graph.end(*start), End::Node(*variable), Line::Data);
        }
        if let Some(by) = node.kind.assigned_by() {
            self.add(self.graph.end(by), to, Line::Data);
        }
        let passed = self.passed(node);
        for id in &node.after {
            if !passed.contains(id) && !self.is_fenced(*id, node) {
                self.add(self.graph.end(*id), to, Line::Order);
            }
        }
    }

    /// What the first region of a node is given: an item, variables.
    fn given(&self, node: &Node) -> Vec<NodeId> {
        let region = node.inside.first().and_then(|id| self.graph.region(*id));
        let nodes = region
            .map_or(&[][..], |region| &region.nodes)
            .iter()
            .copied();
        let is_given = |id: &NodeId| {
            let node = self.graph.at(*id);
            node.is_some_and(|node| matches!(node.kind, NodeDef::Item | NodeDef::Carried))
        };
        nodes.take_while(is_given).collect()
    }

    /// Of what a `sleep` waits for: what it uses anyway, and what comes before others of it.
    fn passed(&self, node: &Node) -> BTreeSet<NodeId> {
        let mut passed = BTreeSet::new();
        if matches!(node.kind, NodeDef::Sleep) {
            passed.extend(reads(node));
            for before in node.after.iter().filter_map(|id| self.graph.at(*id)) {
                passed.extend(needs(before));
            }
        }
        passed
    }

    /// Whether something else that `node` needs is behind the fence, too.
    fn is_fenced(&self, fence: NodeId, node: &Node) -> bool {
        let is_fence = self
            .graph
            .at(fence)
            .is_some_and(|fence| matches!(fence.kind, NodeDef::Sleep) || !fence.inside.is_empty());
        is_fence
            && (reads(node).any(|id| id == fence)
                || needs(node).any(|id| self.waits.contains(&(fence, id))))
    }

    /// What comes from around the regions of a node, and what goes from the first to the second.
    fn between_regions(&mut self, node: &Node) {
        for (at, id) in node.inside.iter().enumerate() {
            let Some(region) = self.graph.region(*id) else {
                continue;
            };
            let to = self.graph.region_end(*id);
            if let Some(result) = region
                .result
                .filter(|result| !self.graph.is_in(*result, *id))
            {
                self.add(self.graph.end(result), to, Line::Data);
            }
            let first = node.inside.first();
            if let Some(first) = first.filter(|_| at > 0 && is_sequence(node)) {
                let caught = region.nodes.first().filter(|id| {
                    let node = self.graph.at(**id);
                    node.is_some_and(|node| matches!(node.kind, NodeDef::Caught))
                });
                let to = caught.map_or(to, |id| End::Node(*id));
                self.add(self.graph.region_end(*first), to, Line::Order);
            }
        }
    }

    /// From the ends of rounds to their beginnings.
    fn back(&mut self) {
        for (at, region) in self.graph.regions.iter().enumerate() {
            let owner = region.owner.and_then(|id| self.graph.at(id));
            let around = match owner {
                Some(owner) if matches!(owner.kind, NodeDef::Loop { .. }) => Some(owner.id),
                _ => region.parent.and_then(|id| *self.loops.get(id.index())?),
            };
            self.loops.push(around);
            let Some(entered) = around.and_then(|id| self.graph.at(id)) else {
                continue;
            };
            if region.exit != Exit::Continue {
                continue;
            }
            let before = self.drawn.len();
            for (out, variable) in region.outs.iter().zip(self.given(entered)) {
                if *out != variable {
                    self.add(self.graph.end(*out), End::Node(variable), Line::Back);
                }
            }
            let is_round = entered.inside.iter().any(|id| id.index() == at);
            if is_round && self.drawn.len() == before {
                self.back_to_first(entered.inside.first().copied());
            }
        }
    }

    /// From the last thing in a round to the first.
    fn back_to_first(&mut self, round: Option<RegionId>) {
        let region = round.and_then(|id| self.graph.region(id));
        let nodes = region.map_or(&[][..], |region| &region.nodes);
        if let (Some(first), Some(last)) = (nodes.first(), nodes.last()) {
            let (mut from, mut to) = (self.graph.end(*last), self.graph.end(*first));
            if from == to {
                // No arrow leads from a box into itself.
                (from, to) = (self.graph.leaf(from, true), self.graph.leaf(to, false));
            }
            self.add(from, to, Line::Back);
        }
    }
}

/// Whether the second region of a node comes after its first.
fn is_sequence(node: &Node) -> bool {
    matches!(node.kind, NodeDef::Rescue | NodeDef::Finally)
}

/// The nodes that a node is drawn behind.
fn needs(node: &Node) -> impl Iterator<Item = NodeId> {
    reads(node).chain(node.after.iter().copied())
}

/// The nodes whose values a node, or what is in it, needs.
fn reads(node: &Node) -> impl Iterator<Item = NodeId> {
    node.uses.iter().copied().chain(node.kind.assigned_by())
}

/// The lines of a node's label: its name, with the word it is written with, and what it calls if that
/// is called otherwise.
pub(crate) fn label(node: &Node) -> Vec<String> {
    let word = word(node);
    let mut lines = match word {
        Some(word) if !is_named_after(node.name, word) => vec![format!("{word} {}", node.name)],
        _ => vec![node.name.to_owned()],
    };
    lines.extend(limit(&node.kind));
    if let NodeDef::Signal(signal) = &node.kind {
        let line = format!("signal {}", signal.name);
        if is_named_after(node.name, "signal") || node.name == signal.name {
            lines = vec![line];
        } else {
            lines.push(line);
        }
        lines.extend(
            signal
                .timeout
                .map(|timeout| format!("at most {}", time(timeout))),
        );
    }
    if let Some(calls) = node.calls() {
        let short = short(calls);
        if short != node.name() {
            lines.push(short);
        }
    }
    lines
}

fn limit(kind: &NodeDef) -> Option<String> {
    if let NodeDef::Each { limit, .. } = kind {
        return limit.map(|limit| format!("at most {limit} at once"));
    }
    if let NodeDef::Loop { max, or_last, .. } = kind {
        let last = if *or_last { ", or last" } else { "" };
        return max.map(|max| format!("at most {max} rounds{last}"));
    }
    None
}

/// The lines of the label of a box around one region.
pub(crate) fn box_label(node: &Node, region: &Region) -> Vec<String> {
    let mut lines = label(node);
    // A round goes on to the next.
    if region.exit != Exit::Continue {
        lines.extend(exit(region).map(str::to_owned));
    }
    lines
}

/// A region's label: what it is to its node, and how it is left.
pub(crate) fn region_label(region: &Region) -> String {
    match exit(region) {
        Some(exit) => format!("{}: {exit}", region.label),
        None => region.label.clone(),
    }
}

/// How a region is left, if not as most are.
fn exit(region: &Region) -> Option<&'static str> {
    match region.exit {
        Exit::Value => None,
        Exit::Break => Some("break"),
        Exit::Continue => Some("continue"),
        Exit::Return => Some("return"),
    }
}

/// The word that a node is written with, if that is no call.
fn word(node: &Node) -> Option<&'static str> {
    match node.kind {
        NodeDef::Each { .. } => Some("for"),
        NodeDef::Branch => Some(branch_word(node)),
        NodeDef::Loop { .. } if is_named_after(node.name, "while") => Some("while"),
        NodeDef::Loop { .. } => Some("loop"),
        NodeDef::Rescue => Some("rescue"),
        NodeDef::Result(_) => Some("result"),
        NodeDef::Finally => Some("finally"),
        NodeDef::Race(_) => Some("race"),
        NodeDef::Sleep if is_named_after(node.name, "sleep_until") => Some("sleep_until"),
        NodeDef::Sleep => Some("sleep"),
        NodeDef::Input { .. }
        | NodeDef::Item
        | NodeDef::Carried
        | NodeDef::Caught
        | NodeDef::Assigned { .. }
        | NodeDef::Job(_)
        | NodeDef::Value
        | NodeDef::Signal(_)
        | NodeDef::Workflow(_) => None,
    }
}

/// `1h30m`.
fn time(time: Duration) -> String {
    let mut rest = time.as_micros();
    let mut text = String::new();
    for (unit, micros) in [
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
        ("us", 1),
    ] {
        if rest >= micros {
            text += &format!("{}{unit}", rest / micros);
            rest %= micros;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// `load<User>` of `app::jobs::load<app::User>`.
pub(crate) fn short(name: &str) -> String {
    let mut text = String::new();
    let mut word = String::new();
    for letter in name.chars() {
        if letter == ':' {
            word.clear();
        } else if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
        } else {
            text.push_str(&std::mem::take(&mut word));
            text.push(letter);
        }
    }
    text + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_left_out() {
        assert_eq!(
            short("app::jobs::load<app::User, (a::B,)>"),
            "load<User, (B,)>"
        );
        assert_eq!(short("plain"), "plain");
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        let text = |millis| time(Duration::from_millis(millis));
        assert_eq!(text(5_400_000), "1h30m");
        assert_eq!(text(86_400_000), "1d");
        assert_eq!(text(61_500), "1m1s500ms");
        assert_eq!(text(0), "0s");
    }
}
