//! Which nodes of a definition are those of an earlier one, and whose records still count.
//!
//! Nodes are looked for where they were: in the same workflow, inside the same constructs. There a
//! node is found again by its name and its fingerprint; if not, by its fingerprint alone (its
//! variable has another name now); if not, by its name alone (it has changed).
//!
//! - The records of a job, a sleep or a wait count if its fingerprint is what it was.
//! - Those of a construct (the arm that was taken, how many items there are ..), and what is in it,
//!   count if its entry is what it was. A loop has to be the same in all of its body: what a round
//!   begins with comes from the round before. A handler and a `finally` come anew if anything in
//!   what they belong to does.
//! - Nothing counts that depends on what does not. Fingerprints tell most of that. They do not tell
//!   what is in a workflow that is called, as that may be the workflow itself; so it is followed
//!   here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use zahir_store::NodeId;

use super::{
    BRANCH, CARRIED, CAUGHT, DefinedNode, DefinedRegion, Definition, EACH, FINALLY, ITEM, JOB,
    LOOP, RACE, RESCUE, RESULT, SIGNAL, SLEEP, Shape, WORKFLOW,
};
use crate::graph::SPAWNED;
use crate::plan::index;

/// What has become of the nodes of a definition.
#[derive(Debug)]
pub(crate) struct Matching {
    /// For each node of the earlier definition: which it is, if it is there.
    olds: Vec<Option<usize>>,
    fates: Vec<Fate>,
    /// Nodes of the later definition by the region that they are in.
    regions: BTreeMap<(String, u32), Vec<usize>>,
}

/// What a node of the later definition is to the earlier one.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// Which it was.
    old: Option<usize>,
    /// Whether its own records count.
    is_kept: bool,
    /// Whether its result is what it was.
    is_same: bool,
    /// Whether nothing in it, nor itself, runs again.
    is_quiet: bool,
    /// Whether its records count, but what is in it waits for something that runs again.
    is_waiting: bool,
}

impl Matching {
    pub(crate) fn new(old: &Definition, new: &Definition) -> Self {
        let (old, new) = (View::of(&old.shape), View::of(&new.shape));
        let mut matching = Self {
            olds: vec![None; old.shape.nodes.len()],
            fates: vec![Fate::default(); new.shape.nodes.len()],
            regions: BTreeMap::new(),
        };
        for (workflow, part) in &new.parts {
            if let Some(before) = old.parts.get(workflow) {
                let mut open = vec![(0, 0)];
                while let Some((was, is)) = open.pop() {
                    let pair = Pair {
                        old: &old,
                        new: &new,
                    };
                    open.extend(matching.pair(&pair, before.nodes(was), part.nodes(is)));
                }
            }
            for (region, nodes) in (0..).zip(&part.members) {
                let key = ((*workflow).to_owned(), region);
                matching.regions.insert(key, nodes.clone());
            }
        }
        let mut judge = Judge {
            old: &old,
            new: &new,
            same: new.parts.keys().copied().collect(),
            quiet: new.parts.keys().copied().collect(),
            altered: BTreeSet::new(),
            fates: matching.fates,
        };
        judge.judge();
        matching.fates = judge.fates;
        matching
    }

    /// The nodes whose records still count, with their numbers before and now.
    pub(crate) fn moved<'s>(
        &'s self,
        new: &'s Definition,
    ) -> impl Iterator<Item = (NodeId, NodeId)> + 's {
        let nodes = new.shape.nodes.iter().zip(&self.fates).enumerate();
        let kept = nodes.filter(|(_, (node, fate))| fate.is_kept && node.is_recorded());
        kept.filter_map(|(now, (_, fate))| Some((number(fate.old?), number(now))))
    }

    /// Which node of the later definition a node of the earlier one is, changed or not.
    pub(crate) fn now(&self, old: NodeId) -> Option<NodeId> {
        let now = *self.olds.get(index(old))?;
        now.map(number)
    }

    /// Which node of the earlier definition a node of the later one was, changed or not.
    pub(crate) fn before(&self, new: NodeId) -> Option<NodeId> {
        self.fates.get(index(new))?.old.map(number)
    }

    /// Whether the own records of a node of the later definition count.
    pub(crate) fn is_kept(&self, new: NodeId) -> bool {
        self.fates.get(index(new)).is_some_and(|fate| fate.is_kept)
    }

    /// Whether a construct of the later definition, whose records count, waits for something that
    /// runs again before what is in it goes on.
    pub(crate) fn is_waiting(&self, new: NodeId) -> bool {
        self.fates
            .get(index(new))
            .is_some_and(|fate| fate.is_waiting)
    }

    /// Whether the result of a node of the later definition is what it was.
    pub(crate) fn is_same(&self, new: NodeId) -> bool {
        self.fates.get(index(new)).is_some_and(|fate| fate.is_same)
    }

    /// Whether something in this region of a node, which is kept, runs again.
    pub(crate) fn runs_again(&self, node: &DefinedNode, region: u32) -> bool {
        let at = usize::try_from(region).ok();
        let Some(inside) = at.and_then(|at| node.inside.get(at)) else {
            return false;
        };
        let nodes = self.regions.get(&(node.workflow.clone(), *inside));
        let mut nodes = nodes.into_iter().flatten();
        nodes.any(|at| self.fates.get(*at).is_some_and(|fate| !fate.is_quiet))
    }

    /// Pairs the nodes of two regions, and gives the regions in them that belong together.
    fn pair(&mut self, of: &Pair<'_>, olds: &[usize], news: &[usize]) -> Vec<(u32, u32)> {
        let (was, is) = (of.old.shape, of.new.shape);
        let by_both = |node: &DefinedNode| (node.name.clone(), node.key());
        self.pair_by(of, olds, news, by_both);
        let by_key = |node: &DefinedNode| (String::new(), node.key());
        self.pair_by(of, olds, news, by_key);
        let by_name = |node: &DefinedNode| (node.name.clone(), 0);
        self.pair_by(of, olds, news, by_name);
        let mut inside = Vec::new();
        for new in news {
            let old = self.fates.get(*new).and_then(|fate| fate.old);
            let (Some(old), Some(new)) =
                (old.and_then(|old| was.nodes.get(old)), is.nodes.get(*new))
            else {
                continue;
            };
            if old.kind == new.kind {
                inside.extend(old.inside.iter().copied().zip(new.inside.iter().copied()));
            }
        }
        inside
    }

    /// Pairs those nodes without a partner that have the same key, in their order.
    fn pair_by(
        &mut self,
        of: &Pair<'_>,
        olds: &[usize],
        news: &[usize],
        key: impl Fn(&DefinedNode) -> (String, u64),
    ) {
        let mut free: BTreeMap<(String, u64), VecDeque<usize>> = BTreeMap::new();
        for old in olds
            .iter()
            .filter(|old| self.olds.get(**old) == Some(&None))
        {
            if let Some(node) = of.old.shape.nodes.get(*old) {
                free.entry(key(node)).or_default().push_back(*old);
            }
        }
        for new in news {
            let (Some(node), Some(fate)) = (of.new.shape.nodes.get(*new), self.fates.get_mut(*new))
            else {
                continue;
            };
            if fate.old.is_none()
                && let Some(old) = free.get_mut(&key(node)).and_then(VecDeque::pop_front)
                && let Some(partner) = self.olds.get_mut(old)
            {
                fate.old = Some(old);
                *partner = Some(*new);
            }
        }
    }
}

struct Pair<'v> {
    old: &'v View<'v>,
    new: &'v View<'v>,
}

/// A shape, with what each workflow and each region has in it.
struct View<'s> {
    shape: &'s Shape,
    parts: BTreeMap<&'s str, Part<'s>>,
}

/// One workflow of a shape.
#[derive(Default)]
struct Part<'s> {
    /// Where its nodes begin.
    first: usize,
    regions: Vec<&'s DefinedRegion>,
    /// The nodes of each region.
    members: Vec<Vec<usize>>,
}

impl<'s> View<'s> {
    fn of(shape: &'s Shape) -> Self {
        let mut parts: BTreeMap<&str, Part<'_>> = BTreeMap::new();
        for region in &shape.regions {
            let part = parts.entry(&region.workflow).or_default();
            part.regions.push(region);
            part.members.push(Vec::new());
        }
        let mut seen = BTreeSet::new();
        for (at, node) in shape.nodes.iter().enumerate() {
            let Some(part) = parts.get_mut(node.workflow.as_str()) else {
                continue;
            };
            if seen.insert(node.workflow.as_str()) {
                part.first = at;
            }
            let region = usize::try_from(node.region).ok();
            if let Some(members) = region.and_then(|region| part.members.get_mut(region)) {
                members.push(at);
            }
        }
        Self { shape, parts }
    }

    /// What tells the result of a workflow, but for the workflows that it calls.
    fn outline(&self, workflow: &str) -> Option<(Vec<u64>, Option<u64>, &str)> {
        let part = self.parts.get(workflow)?;
        let body = part.regions.first()?;
        let result = body.result.and_then(|id| self.fingerprint(part.at(id)));
        Some((self.fingerprints(part.nodes(0)), result, &body.exit))
    }

    fn fingerprints(&self, nodes: &[usize]) -> Vec<u64> {
        let nodes = nodes.iter();
        nodes.filter_map(|at| self.fingerprint(*at)).collect()
    }

    fn fingerprint(&self, at: usize) -> Option<u64> {
        self.shape.nodes.get(at).map(|node| node.fingerprint)
    }
}

impl Part<'_> {
    /// The nodes of a region.
    fn nodes(&self, region: u32) -> &[usize] {
        let region = usize::try_from(region).ok();
        region
            .and_then(|region| self.members.get(region))
            .map_or(&[], Vec::as_slice)
    }

    /// The place in the shape of a node, told by its number in its workflow.
    fn at(&self, id: u32) -> usize {
        self.first
            .saturating_add(usize::try_from(id).unwrap_or(usize::MAX))
    }
}

/// Finds out what counts.
struct Judge<'v> {
    old: &'v View<'v>,
    new: &'v View<'v>,
    /// The workflows that give what they gave, and those in which nothing runs again, as far as it
    /// is known.
    same: BTreeSet<&'v str>,
    quiet: BTreeSet<&'v str>,
    /// Blocks with a handler in which something runs again, or is other than it was.
    altered: BTreeSet<usize>,
    fates: Vec<Fate>,
}

impl<'v> Judge<'v> {
    /// Workflows call each other, and perhaps themselves: all are taken to be the same until one is
    /// found not to be, which those that call it then learn.
    fn judge(&mut self) {
        loop {
            let (mut same, mut quiet) = (BTreeSet::new(), BTreeSet::new());
            self.altered.clear();
            for workflow in self.new.parts.keys().copied() {
                self.region(workflow, 0);
                if self.is_same(workflow) {
                    same.insert(workflow);
                }
                if self.is_quiet(workflow, 0) {
                    quiet.insert(workflow);
                }
            }
            if same == self.same && quiet == self.quiet {
                return;
            }
            (self.same, self.quiet) = (same, quiet);
        }
    }

    fn is_same(&self, workflow: &str) -> bool {
        let outline = self.new.outline(workflow);
        outline.is_some()
            && outline == self.old.outline(workflow)
            && self.new.parts.get(workflow).is_some_and(|part| {
                let mut nodes = part.members.iter().flatten();
                nodes.all(|at| {
                    let node = self.new.shape.nodes.get(*at);
                    let called = node.and_then(DefinedNode::enters);
                    called.is_none_or(|called| self.same.contains(called))
                        && node.is_none_or(|node| self.spawns_the_same(node))
                })
            })
    }

    /// Whether all that a job may spawn is what it was. Its fingerprint covers that, but for what is
    /// in workflows among it.
    fn spawns_the_same(&self, node: &DefinedNode) -> bool {
        let mut kinds = node.spawns.iter().map(|kind| format!("{kind}{SPAWNED}"));
        kinds.all(|kind| self.same.contains(kind.as_str()))
    }

    fn is_quiet(&self, workflow: &str, region: u32) -> bool {
        let nodes = self.nodes(workflow, region).iter();
        nodes.copied().all(|at| self.fate(at).is_quiet)
    }

    /// The nodes of a region, in source order, and what is in them. They need earlier ones only.
    fn region(&mut self, workflow: &'v str, region: u32) {
        for at in self.nodes(workflow, region) {
            let Some(node) = self.new.shape.nodes.get(*at) else {
                continue;
            };
            let is_kept = self.is_entered_the_same(node, *at);
            self.set(*at, |fate| {
                *fate = Fate {
                    old: fate.old,
                    is_kept,
                    is_same: is_kept,
                    is_quiet: is_kept,
                    is_waiting: false,
                };
            });
            if !node.is_recorded() {
                self.set(*at, |fate| fate.is_quiet = true);
                continue;
            }
            if let Some(called) = node.enters() {
                let (same, quiet) = (self.same.contains(called), self.quiet.contains(called));
                self.set(*at, |fate| {
                    fate.is_same &= same;
                    fate.is_quiet &= quiet;
                });
            }
            self.inside(node, *at);
        }
    }

    /// The regions that a node enters.
    fn inside(&mut self, node: &'v DefinedNode, at: usize) {
        let workflow = node.workflow.as_str();
        let (mut is_quiet, mut is_same) = (true, true);
        for (place, inner) in node.inside.iter().enumerate() {
            self.region(workflow, *inner);
            let is_behind = place > 0 && matches!(node.kind.as_str(), RESCUE | FINALLY);
            if !self.fate(at).is_kept || is_behind && !is_quiet {
                self.drop_all(workflow, *inner);
            }
            is_quiet &= self.is_quiet(workflow, *inner);
            // A workflow that is called in it may run nothing again, and give another of its values.
            let nodes = self.nodes(workflow, *inner);
            is_same &= nodes.iter().all(|at| self.fate(*at).is_same);
            let is_body = place == 0 && node.kind == RESCUE;
            if is_body && !(is_quiet && is_same && self.is_as_before(at, nodes)) {
                self.altered.insert(at);
            }
        }
        if node.kind == LOOP && !(is_quiet && is_same) {
            self.set(at, |fate| fate.is_kept = false);
            for inner in &node.inside {
                self.drop_all(workflow, *inner);
            }
        }
        let was = self.before(at).map(|old| old.fingerprint);
        let uses_same = self.are_same(node, &node.uses);
        self.set(at, |fate| {
            fate.is_waiting = fate.is_kept && !uses_same;
            fate.is_quiet &= fate.is_kept && is_quiet;
            fate.is_same &= fate.is_quiet && is_same && uses_same && was == Some(node.fingerprint);
        });
    }

    /// Whether these, the nodes of the first region of a node, are those that it had.
    fn is_as_before(&self, at: usize, now: &[usize]) -> bool {
        let Some(before) = self.before(at) else {
            return false;
        };
        let part = self.old.parts.get(before.workflow.as_str());
        let was = part.zip(before.inside.first());
        let was = was.map_or(&[][..], |(part, region)| part.nodes(*region));
        self.old.fingerprints(was) == self.new.fingerprints(now)
    }

    /// Whether a node goes the way that it went: it is what it was, and so is what its own step
    /// needs.
    fn is_entered_the_same(&self, node: &DefinedNode, at: usize) -> bool {
        let Some(old) = self.before(at) else {
            return false;
        };
        let is_alike = old.key() == node.key() && old.inside.len() == node.inside.len();
        if !is_alike || !self.spawns_the_same(node) || !self.are_same(node, &node.after) {
            return false;
        }
        // What a loop begins with is among what it uses.
        let is_whole = node.inside.is_empty() || node.kind == LOOP;
        let lent = usize::try_from(node.lends).unwrap_or(usize::MAX);
        let own = if is_whole {
            &node.uses
        } else {
            node.uses.get(..lent).unwrap_or(&node.uses)
        };
        self.are_same(node, own) && self.are_same(node, node.by.as_slice()) && self.is_given(node)
    }

    /// Whether what is given to a region, if the node is that, is what it was.
    fn is_given(&self, node: &DefinedNode) -> bool {
        let is_given = matches!(node.kind.as_str(), ITEM | CARRIED | CAUGHT);
        if !is_given {
            return true;
        }
        let part = self.new.parts.get(node.workflow.as_str());
        let region = usize::try_from(node.region).ok();
        let owner = part.and_then(|part| part.regions.get(region?)?.owner.map(|id| part.at(id)));
        owner.is_none_or(|owner| {
            // What failed may do so no more, or something else may fail.
            let is_other = node.kind == CAUGHT && self.altered.contains(&owner);
            self.fate(owner).is_kept && !is_other
        })
    }

    /// Whether these nodes of the same workflow give what they gave.
    fn are_same(&self, node: &DefinedNode, ids: &[u32]) -> bool {
        let part = self.new.parts.get(node.workflow.as_str());
        ids.iter()
            .all(|id| part.is_some_and(|part| self.fate(part.at(*id)).is_same))
    }

    /// Nothing in a region counts.
    fn drop_all(&mut self, workflow: &str, region: u32) {
        let mut open = vec![region];
        while let Some(region) = open.pop() {
            for at in self.nodes(workflow, region) {
                let Some(node) = self.new.shape.nodes.get(*at) else {
                    continue;
                };
                let is_quiet = !node.is_recorded();
                self.set(*at, |fate| {
                    *fate = Fate {
                        old: fate.old,
                        is_quiet,
                        ..Fate::default()
                    };
                });
                open.extend(&node.inside);
            }
        }
    }

    fn nodes(&self, workflow: &str, region: u32) -> &'v [usize] {
        let part = self.new.parts.get(workflow);
        part.map_or(&[], |part| part.nodes(region))
    }

    fn before(&self, at: usize) -> Option<&'v DefinedNode> {
        self.old.shape.nodes.get(self.fate(at).old?)
    }

    fn fate(&self, at: usize) -> Fate {
        self.fates.get(at).copied().unwrap_or_default()
    }

    fn set(&mut self, at: usize, change: impl FnOnce(&mut Fate)) {
        if let Some(fate) = self.fates.get_mut(at) {
            change(fate);
        }
    }
}

impl DefinedNode {
    /// What tells whether it goes the way it went.
    pub(crate) fn key(&self) -> u64 {
        if self.entry == 0 {
            self.fingerprint
        } else {
            self.entry
        }
    }

    /// How what it may spawn differs from what `before` might.
    fn spawning(&self, before: &Self) -> Option<String> {
        let others = |these: &[String], those: &[String]| {
            let names = these.iter().filter(|name| !those.contains(name));
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let more = others(&self.spawns, &before.spawns);
        let less = others(&before.spawns, &self.spawns);
        match (more.is_empty(), less.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("it may spawn {more} now")),
            (true, false) => Some(format!("it may not spawn {less} any more")),
            (false, false) => Some(format!("it may spawn {more} now, and no more {less}")),
        }
    }

    /// The workflow it calls.
    fn enters(&self) -> Option<&str> {
        let called = self.calls.as_deref();
        called.filter(|_| self.kind == WORKFLOW)
    }

    /// The workflows that are entered in it, and those that stand for what its job may spawn.
    pub(crate) fn behind(&self) -> Vec<String> {
        let called = self.enters().map(str::to_owned).into_iter();
        let spawned = self.spawns.iter().map(|kind| format!("{kind}{SPAWNED}"));
        called.chain(spawned).collect()
    }

    /// Whether there can be records of it, or of what is in it. All else is pure, or given.
    pub(crate) fn is_recorded(&self) -> bool {
        self.is_run()
            || matches!(
                self.kind.as_str(),
                EACH | BRANCH | LOOP | RESCUE | FINALLY | RACE | RESULT
            )
    }

    /// Whether it is something that runs by itself, and not a construct that others are in.
    pub(crate) fn is_run(&self) -> bool {
        matches!(self.kind.as_str(), JOB | SLEEP | SIGNAL | WORKFLOW)
    }
}

fn number(at: usize) -> NodeId {
    NodeId::new(u32::try_from(at).unwrap_or(u32::MAX))
}

impl Matching {
    /// Whether something that a job may spawn, directly or not, is not what it was.
    fn spawns_changed(&self, new: &Definition, node: &DefinedNode) -> bool {
        let mut open: Vec<&str> = node.spawns.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            let nodes = new.shape.nodes.iter().enumerate();
            let kind = nodes
                .filter(|(_, node)| node.calls.as_deref() == Some(name))
                .find(|(_, node)| node.workflow.ends_with(SPAWNED));
            if let Some((at, kind)) = kind {
                if !self.is_kept(number(at)) {
                    return true;
                }
                open.extend(kind.spawns.iter().map(String::as_str));
            }
        }
        false
    }

    /// Why the records of a node, which was the first and is the second of these, do not count: what
    /// it was, and what it is.
    pub(crate) fn reason(
        &self,
        old: &Definition,
        new: &Definition,
        (was, is): (NodeId, NodeId),
    ) -> Option<String> {
        let (before, now) = (old.node(was)?, new.node(is)?);
        if self.is_kept(is) {
            return None;
        }
        let (was, is) = (before.described(), now.described());
        if was != is {
            return Some(format!("it was {was}, and is {is} now"));
        }
        if let Some(change) = now.spawning(before) {
            return Some(change);
        }
        if self.spawns_changed(new, now) {
            return Some("what it may spawn has changed".to_owned());
        }
        let first = new.first_of(&now.workflow);
        let needed = now.uses.iter().chain(&now.after);
        let changed = needed.filter_map(|id| {
            let id = number(first.saturating_add(usize::try_from(*id).ok()?));
            let node = new.node(id)?;
            (!self.is_same(id)).then(|| format!("`{}`", node.name))
        });
        let mut changed: Vec<String> = changed.collect();
        changed.dedup();
        Some(match changed.as_slice() {
            [] => format!("how `{}` is called has changed", now.name),
            [one] => format!("what it depends on has changed: {one}"),
            _ => format!("what it depends on has changed: {}", changed.join(", ")),
        })
    }
}
