//! Versions of a random program: what somebody changes from one to the next, what is stored of each,
//! and what such a change has to mean.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use zahir_store::{FrameStep, NodeId, Position};

use super::plans::{self, Habit, Program, here};
use super::rng::Rng;
use super::scripts::Script;
use crate::definition::{DefinedNode, DefinedRegion, Definition, Shape};
use crate::graph::{Node, NodeDef, Region, RegionId as GraphRegion, SPAWNED, fingerprint};
use crate::job::policy::Policy;
use crate::plan::{Exit, Plan, PlanKind, PlanNode, PlanRegion, RegionId, Source, index};
use crate::value::Codec;

/// One version of a program.
pub(super) struct Version {
    pub(super) program: Program,
    pub(super) definition: Definition,
    codes: Vec<Code>,
    /// The node that enters each region.
    owners: Vec<Option<usize>>,
}

/// A node as it is written.
#[derive(Clone, Debug)]
struct Code {
    plan: PlanNode,
    /// The same in every version.
    id: u64,
    name: u64,
    /// Another one if its code is.
    salt: u64,
    fails_first: u32,
    panics: bool,
    habit: Habit,
    /// What it does, if it has children. Kinds are told by what is the same in every version.
    script: Option<Script>,
    kinds: Vec<u64>,
}

impl Version {
    /// The first version of a program.
    pub(super) fn first(program: &Program) -> Self {
        let nodes = program.plan.nodes.iter().zip(0..);
        let codes = nodes.map(|(plan, at)| Code {
            plan: bare(plan),
            id: u64::try_from(at).unwrap(),
            name: u64::try_from(at).unwrap(),
            salt: program.salts[at],
            fails_first: program.fails_first[at],
            panics: program.panics[at],
            habit: program.habits[at],
            script: program.scripts[at].clone(),
            kinds: plan
                .kinds
                .iter()
                .map(|kind| u64::from(kind.number()))
                .collect(),
        });
        let draft = Draft {
            codes: codes.collect(),
            regions: program.plan.regions.clone(),
        };
        draft.lay_out(program)
    }

    /// The next version.
    pub(super) fn changed(&self, rng: &mut Rng) -> Self {
        let mut draft = Draft {
            codes: self.codes.clone(),
            regions: self.program.plan.regions.clone(),
        };
        if rng.chance(1, 8) {
            draft.rename(rng);
        } else {
            for _ in 0..=rng.below(2) {
                draft.change(rng);
            }
        }
        draft.lay_out(&self.program)
    }

    /// The nodes of another version that are a `for` of this one, with a lower limit.
    pub(super) fn with_lower_limits(&self, now: &Self) -> BTreeSet<NodeId> {
        let limit = |code: &Code| match code.plan.kind {
            PlanKind::Each { limit } => limit.unwrap_or(u32::MAX),
            _ => 0,
        };
        let lowered = (0..).zip(&now.codes).filter(|(_, code)| {
            let was = self.codes.iter().find(|was| was.id == code.id);
            was.is_some_and(|was| limit(code) < limit(was))
        });
        lowered.map(|(at, _)| NodeId::new(at)).collect()
    }

    /// The same node instance in another version, if it is there.
    pub(super) fn translated(&self, at: &Position, now: &Self) -> Option<Position> {
        let same = |node: NodeId| {
            let id = self.codes[index(node)].id;
            let found = now.codes.iter().position(|code| code.id == id)?;
            Some(NodeId::new(u32::try_from(found).unwrap()))
        };
        let frames = at.frames.iter().map(|step| {
            Some(FrameStep {
                node: same(step.node)?,
                ..*step
            })
        });
        Some(Position {
            frames: frames.collect::<Option<_>>()?,
            node: same(at.node)?,
        })
    }

    /// The node that a source in a region is.
    fn resolve(&self, region: usize, source: Source) -> usize {
        resolve(
            &self.codes,
            &self.program.plan.regions,
            &self.owners,
            region,
            source,
        )
    }
}

fn bare(plan: &PlanNode) -> PlanNode {
    PlanNode {
        waits: 0,
        dependents: vec![],
        ..plan.clone()
    }
}

fn resolve(
    codes: &[Code],
    regions: &[PlanRegion],
    owners: &[Option<usize>],
    mut region: usize,
    source: Source,
) -> usize {
    for _ in 0..source.up {
        region = codes[owners[region].expect("regions nest")].plan.region.0;
    }
    index(regions[region].nodes[source.slot])
}

fn owners(codes: &[Code], regions: usize) -> Vec<Option<usize>> {
    let mut owners = vec![None; regions];
    for (at, code) in codes.iter().enumerate() {
        for inner in &code.plan.inside {
            owners[inner.0] = Some(at);
        }
    }
    owners
}

/// A program that is being changed. Its nodes are numbered anyhow.
struct Draft {
    codes: Vec<Code>,
    regions: Vec<PlanRegion>,
}

impl Draft {
    fn owners(&self) -> Vec<Option<usize>> {
        owners(&self.codes, self.regions.len())
    }

    /// A node that fulfils this.
    fn any(&self, rng: &mut Rng, fits: impl Fn(usize, &Code) -> bool) -> Option<usize> {
        let found = self.codes.iter().enumerate();
        let found: Vec<usize> = found
            .filter(|(at, code)| fits(*at, code) && self.is_there(*at))
            .map(|(at, _)| at)
            .collect();
        (!found.is_empty()).then(|| found[rng.below(found.len())])
    }

    /// A node that was taken out is in no region.
    fn is_there(&self, at: usize) -> bool {
        let plan = &self.codes[at].plan;
        let nodes = &self.regions[plan.region.0].nodes;
        nodes.get(plan.slot).is_some_and(|id| index(*id) == at)
    }

    /// Whether a region is one job, whose error is kept for a handler.
    fn is_one_job(&self, region: usize, owners: &[Option<usize>]) -> bool {
        owners[region].is_some_and(|owner| {
            let plan = &self.codes[owner].plan;
            let is_typed = matches!(
                plan.kind,
                PlanKind::Rescue { is_typed: true } | PlanKind::Result { is_typed: true }
            );
            is_typed && plan.inside[0].0 == region
        })
    }

    /// Whether the workflow may be left from an item of a `for`. If an item behind that fails for good,
    /// it depends on time whether it had begun.
    fn returns_from_items(&self, owners: &[Option<usize>]) -> bool {
        let around = |region: &usize| owners[*region].map(|at| self.codes[at].plan.region.0);
        let is_items = |region: usize| {
            let owner = owners[region].map(|at| self.codes[at].plan.kind);
            matches!(owner, Some(PlanKind::Each { .. }))
        };
        (0..self.regions.len()).any(|region| {
            self.regions[region].exit == Exit::Return
                && std::iter::successors(Some(region), around).any(is_items)
        })
    }

    /// Whether a region is what children are instances of.
    fn is_kind(&self, region: usize, owners: &[Option<usize>]) -> bool {
        region != 0 && owners[region].is_none()
    }

    /// The nodes that the children of a job are instances of, among what is numbered so far.
    fn kinds(&self, of: &Code) -> Vec<usize> {
        let at = |id: &u64| self.codes.iter().position(|code| code.id == *id).unwrap();
        of.kinds.iter().map(at).collect()
    }

    fn rename(&mut self, rng: &mut Rng) {
        for _ in 0..3 {
            if let Some(at) = self.any(rng, |_, code| code.plan.inside.is_empty()) {
                // The names of inputs are what they are found by, and that of a kind is that of its job.
                let is_kind = self.is_kind(self.codes[at].plan.region.0, &self.owners());
                if self.codes[at].plan.kind != PlanKind::Input && !is_kind {
                    self.codes[at].name = rng.next();
                }
            }
        }
    }

    fn change(&mut self, rng: &mut Rng) {
        match rng.below(10) {
            0..=2 => self.change_code(rng),
            3..=5 => self.add(rng),
            6 | 7 => self.remove(rng),
            8 => self.give_another(rng),
            _ => self.limit(rng),
        }
    }

    /// Another version of a job, other code of a value, another condition ..
    fn change_code(&mut self, rng: &mut Rng) {
        let is_code = |kind| {
            !matches!(
                kind,
                PlanKind::Input | PlanKind::Assigned | PlanKind::Signal { .. }
            )
        };
        let Some(at) = self.any(rng, |_, code| is_code(code.plan.kind)) else {
            return;
        };
        let code = &mut self.codes[at];
        code.salt = rng.next();
        if rng.chance(1, 2) {
            code.fails_first = code.fails_first.min(code.plan.policy.retry);
            code.habit.is_fatal = false;
        }
    }

    /// A new job before another node.
    fn add(&mut self, rng: &mut Rng) {
        let owners = self.owners();
        let is_before = |_: usize, code: &Code| {
            !matches!(code.plan.kind, PlanKind::Input | PlanKind::Assigned)
                && !self.is_one_job(code.plan.region.0, &owners)
                && !self.is_kind(code.plan.region.0, &owners)
        };
        let Some(next) = self.any(rng, is_before) else {
            return;
        };
        let (region, slot) = (self.codes[next].plan.region, self.codes[next].plan.slot);
        self.shift(region.0, slot, 1);
        // What the next node waits for is before this one, too: what leaves the region among it.
        let next = &self.codes[next].plan;
        let mut policy = Policy::ONCE;
        policy.retry = u32::from(rng.chance(1, 2));
        let plan = PlanNode {
            uses: next.uses.iter().copied().take(rng.below(3)).collect(),
            after: next.after.clone(),
            policy,
            ..plans::node(PlanKind::Job, region.0, slot, vec![])
        };
        let (at, id) = (self.codes.len(), rng.next());
        let mut fails_first = u32::from(rng.chance(1, 6));
        if self.returns_from_items(&owners) {
            fails_first = fails_first.min(plan.policy.retry);
        }
        self.codes.push(Code {
            plan,
            id,
            name: id,
            salt: rng.next(),
            fails_first,
            panics: false,
            habit: Habit::default(),
            script: None,
            kinds: vec![],
        });
        let here_now = &mut self.regions[region.0];
        here_now
            .nodes
            .insert(slot, NodeId::new(u32::try_from(at).unwrap()));
        here_now.jobs += 1;
        if rng.chance(2, 3) {
            let behind: Vec<usize> = here_now.nodes[slot + 1..]
                .iter()
                .map(|id| index(*id))
                .collect();
            let user = behind[rng.below(behind.len())];
            let user = &mut self.codes[user].plan;
            if !matches!(
                user.kind,
                PlanKind::Input | PlanKind::Assigned | PlanKind::Loop { .. }
            ) {
                user.uses.push(here(slot));
            }
        }
    }

    /// A job, a value, a sleep or a wait that nothing needs any more.
    fn remove(&mut self, rng: &mut Rng) {
        let owners = self.owners();
        let is_leaf = |kind: PlanKind| {
            matches!(
                kind,
                PlanKind::Job | PlanKind::Value | PlanKind::Sleep | PlanKind::Signal { .. }
            )
        };
        let is_free = |at: usize, code: &Code| {
            let region = code.plan.region.0;
            is_leaf(code.plan.kind)
                && self.regions[region].nodes.len() > 1
                && !self.is_one_job(region, &owners)
                && !self.is_given(at, &owners)
        };
        let Some(at) = self.any(rng, is_free) else {
            return;
        };
        let (region, slot) = (self.codes[at].plan.region.0, self.codes[at].plan.slot);
        for user in 0..self.codes.len() {
            let from = self.codes[user].plan.region.0;
            let (codes, regions) = (&self.codes, &self.regions);
            let is_other = |source: &Source| resolve(codes, regions, &owners, from, *source) != at;
            let plan = &codes[user].plan;
            let uses = plan.uses.iter().copied().filter(is_other).collect();
            let after = plan.after.iter().copied().filter(is_other).collect();
            let plan = &mut self.codes[user].plan;
            (plan.uses, plan.after) = (uses, after);
        }
        let is_job = self.codes[at].plan.kind == PlanKind::Job;
        self.regions[region].nodes.remove(slot);
        self.regions[region].jobs -= u64::from(is_job);
        self.codes[at].plan.slot = usize::MAX;
        self.shift(region, slot + 1, -1);
    }

    /// Whether a node is what a region gives, or what a loop begins with.
    fn is_given(&self, at: usize, owners: &[Option<usize>]) -> bool {
        let is_it = |region: usize, source: &Source| {
            resolve(&self.codes, &self.regions, owners, region, *source) == at
        };
        let mut regions = self.regions.iter().enumerate();
        let is_end = regions.any(|(region, part)| {
            let mut given = part.result.iter().chain(&part.outs);
            given.any(|source| is_it(region, source))
        });
        let mut loops = self.codes.iter().enumerate().filter(|(at, code)| {
            matches!(code.plan.kind, PlanKind::Loop { .. }) && self.is_there(*at)
        });
        is_end
            || loops.any(|(_, code)| {
                let mut starts = code.plan.uses.iter();
                starts.any(|source| is_it(code.plan.region.0, source))
            })
    }

    /// A region gives another of its values.
    fn give_another(&mut self, rng: &mut Rng) {
        let owners = self.owners();
        let region = rng.below(self.regions.len());
        let part = &self.regions[region];
        let is_bound = self.is_one_job(region, &owners) || self.is_kind(region, &owners);
        if part.result.is_none() || part.nodes.is_empty() || is_bound {
            return;
        }
        let slot = rng.below(part.nodes.len());
        self.regions[region].result = Some(here(slot));
    }

    /// A limit is lifted, which changes nothing. It is lowered where that is taken back.
    fn limit(&mut self, rng: &mut Rng) {
        let each = self.any(rng, |_, code| {
            matches!(code.plan.kind, PlanKind::Each { .. })
        });
        if let Some(at) = each {
            self.codes[at].plan.kind = PlanKind::Each { limit: None };
        }
    }

    /// Moves the slots of a region from this one on.
    fn shift(&mut self, region: usize, from: usize, by: isize) {
        let owners = self.owners();
        let moved = |slot: usize| {
            if slot >= from {
                slot.checked_add_signed(by).unwrap()
            } else {
                slot
            }
        };
        let codes: Vec<(usize, Vec<usize>)> = self
            .codes
            .iter()
            .map(|code| {
                (
                    code.plan.region.0,
                    code.plan.inside.iter().map(|it| it.0).collect(),
                )
            })
            .collect();
        let is_here = |mut at: usize, source: &Source| {
            for _ in 0..source.up {
                at = codes[owners[at].expect("regions nest")].0;
            }
            at == region
        };
        let adjust = |at: usize, sources: &mut Vec<Source>| {
            for source in sources {
                if is_here(at, source) {
                    source.slot = moved(source.slot);
                }
            }
        };
        for code in &mut self.codes {
            let at = code.plan.region.0;
            adjust(at, &mut code.plan.uses);
            adjust(at, &mut code.plan.after);
            if at == region && code.plan.slot != usize::MAX {
                code.plan.slot = moved(code.plan.slot);
                for slot in &mut code.plan.assigned {
                    *slot = moved(*slot);
                }
            }
        }
        for (at, part) in self.regions.iter_mut().enumerate() {
            adjust(at, &mut part.outs);
            let mut result: Vec<Source> = part.result.into_iter().collect();
            adjust(at, &mut result);
            part.result = result.pop();
        }
    }

    /// Numbers everything as a program is numbered, and stores what it is.
    fn lay_out(self, program: &Program) -> Version {
        let mut order = Order::default();
        let mut bodies = VecDeque::from([0]);
        let drafted = self.owners();
        while let Some(body) = bodies.pop_front() {
            if order.regions.contains(&body) {
                continue;
            }
            let name = match drafted[body] {
                Some(call) => format!("called {}", self.codes[call].id),
                None if self.is_kind(body, &drafted) => {
                    let kind = index(self.regions[body].nodes[0]);
                    format!("{}{SPAWNED}", called(&self.codes[kind]))
                }
                None => "simulated".to_owned(),
            };
            order.begin(name);
            self.visit(body, &mut order, &mut bodies);
        }
        let (mut codes, mut regions) = (Vec::new(), Vec::new());
        for at in &order.nodes {
            let mut code = self.codes[*at].clone();
            code.plan.region = RegionId(order.region(code.plan.region.0));
            for inner in &mut code.plan.inside {
                *inner = RegionId(order.region(inner.0));
            }
            let kinds = self.kinds(&code).into_iter();
            code.plan.kinds = kinds.map(|kind| order.node(kind)).collect();
            codes.push(code);
        }
        for at in &order.regions {
            let mut part = self.regions[*at].clone();
            for id in &mut part.nodes {
                *id = order.node(index(*id));
            }
            regions.push(part);
        }
        let owners = owners(&codes, regions.len());
        let definition = define(&codes, &regions, &owners, &order);
        let plan = Plan::new(
            codes.iter().map(|code| bare(&code.plan)).collect(),
            regions,
            program.plan.signals.clone(),
        );
        let program = Program {
            fails_first: codes.iter().map(|code| code.fails_first).collect(),
            panics: codes.iter().map(|code| code.panics).collect(),
            habits: codes.iter().map(|code| code.habit).collect(),
            salts: codes.iter().map(|code| code.salt).collect(),
            scripts: codes.iter().map(|code| scripted(&codes, code)).collect(),
            crashes_max: program.crashes_max,
            timeout: program.timeout,
            ..Program::of(plan)
        };
        Version {
            program,
            definition,
            codes,
            owners,
        }
    }

    fn visit(&self, region: usize, order: &mut Order, bodies: &mut VecDeque<usize>) {
        order.regions.push(region);
        for id in &self.regions[region].nodes {
            order.nodes.push(index(*id));
            let code = &self.codes[index(*id)];
            for inner in &code.plan.inside {
                if code.plan.kind == PlanKind::Call {
                    bodies.push_back(inner.0);
                } else {
                    self.visit(inner.0, order, bodies);
                }
            }
            let kinds = self.kinds(code).into_iter();
            bodies.extend(kinds.map(|kind| self.codes[kind].plan.region.0));
        }
    }
}

/// What a node calls.
fn called(code: &Code) -> String {
    match code.plan.kind {
        PlanKind::Call => format!("called {}", code.id),
        _ => format!("job {}", code.id),
    }
}

/// What a job does that has children, in the numbers of these nodes.
fn scripted(codes: &[Code], code: &Code) -> Option<Script> {
    let now = |id: NodeId| {
        let id = u64::from(id.number());
        let at = codes.iter().position(|code| code.id == id).unwrap();
        NodeId::new(u32::try_from(at).unwrap())
    };
    Some(code.script.as_ref()?.renumbered(now))
}

/// The kinds that a job may spawn, directly or not, as far as its definition tells: that of a workflow
/// does not tell what is in it.
fn reachable(codes: &[Code], of: &Code) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<NodeId> = of.plan.kinds.clone();
    while let Some(kind) = open.pop() {
        if found.insert(index(kind)) {
            open.extend(&codes[index(kind)].plan.kinds);
        }
    }
    found
}

/// In which order nodes and regions are numbered, and where each workflow among them begins.
#[derive(Default)]
struct Order {
    nodes: Vec<usize>,
    regions: Vec<usize>,
    workflows: Vec<(String, usize, usize)>,
}

impl Order {
    fn begin(&mut self, workflow: String) {
        let first = (self.nodes.len(), self.regions.len());
        self.workflows.push((workflow, first.0, first.1));
    }

    fn node(&self, was: usize) -> NodeId {
        let now = self
            .nodes
            .iter()
            .position(|at| *at == was)
            .expect("it is there");
        NodeId::new(u32::try_from(now).unwrap())
    }

    fn region(&self, was: usize) -> usize {
        let mut regions = self.regions.iter();
        regions.position(|at| *at == was).expect("it is there")
    }
}

/// What is stored of it: as of graphs that the macro has written, with their fingerprints.
fn define(
    codes: &[Code],
    regions: &[PlanRegion],
    owners: &[Option<usize>],
    order: &Order,
) -> Definition {
    let mut shape = Shape {
        workflow: "simulated".to_owned(),
        nodes: Vec::new(),
        regions: Vec::new(),
    };
    for (at, (workflow, node, region)) in order.workflows.iter().enumerate() {
        let next = order.workflows.get(at + 1);
        let (last_node, last_region) = next
            .map_or((codes.len(), regions.len()), |(_, node, region)| {
                (*node, *region)
            });
        let author = Author {
            codes,
            regions,
            owners,
            workflow,
            nodes: *node..last_node,
            parts: *region..last_region,
        };
        author.write(&mut shape);
    }
    Definition::from_shape(shape)
}

/// Writes one workflow.
struct Author<'a> {
    codes: &'a [Code],
    regions: &'a [PlanRegion],
    owners: &'a [Option<usize>],
    workflow: &'a str,
    nodes: std::ops::Range<usize>,
    parts: std::ops::Range<usize>,
}

impl Author<'_> {
    fn write(&self, shape: &mut Shape) {
        let parts: Vec<Region> = self.parts.clone().map(|at| self.region(at)).collect();
        let mut nodes: Vec<Node> = self.nodes.clone().map(|at| self.node(at)).collect();
        fingerprint::fill(&mut nodes, &parts);
        let numbers = |ids: &[NodeId]| ids.iter().map(|id| id.number()).collect();
        for (node, code) in nodes.iter().zip(&self.codes[self.nodes.clone()]) {
            let is_call = code.plan.kind == PlanKind::Call;
            let is_called = matches!(code.plan.kind, PlanKind::Call | PlanKind::Job);
            let called_here = is_called.then(|| called(code));
            let spawns = code.plan.kinds.iter();
            let spawns = spawns.map(|kind| called(&self.codes[index(*kind)]));
            shape.nodes.push(DefinedNode {
                workflow: self.workflow.to_owned(),
                name: node.name.to_owned(),
                kind: self.kind(code).to_owned(),
                calls: called_here,
                spawns: spawns.collect(),
                region: node.region.number(),
                inside: if is_call {
                    vec![]
                } else {
                    node.inside.iter().map(|id| id.number()).collect()
                },
                uses: numbers(&node.uses),
                after: numbers(&node.after),
                fingerprint: node.fingerprint,
                entry: node.entry,
                lends: u32::try_from(node.lends).unwrap(),
                by: node.kind.assigned_by().map(NodeId::number),
                signature: String::new(),
                version: 0,
                effect: String::new(),
            });
        }
        for part in &parts {
            shape.regions.push(DefinedRegion {
                workflow: self.workflow.to_owned(),
                owner: part.owner.map(NodeId::number),
                result: part.result.map(NodeId::number),
                exit: format!("{:?}", part.exit).to_lowercase(),
                outs: part.outs.iter().map(|id| id.number()).collect(),
            });
        }
    }

    fn local(&self, node: usize) -> NodeId {
        NodeId::new(u32::try_from(node - self.nodes.start).unwrap())
    }

    fn part(&self, region: usize) -> GraphRegion {
        GraphRegion::new(u32::try_from(region - self.parts.start).unwrap())
    }

    fn source(&self, region: usize, source: Source) -> NodeId {
        self.local(resolve(
            self.codes,
            self.regions,
            self.owners,
            region,
            source,
        ))
    }

    fn sources(&self, region: usize, sources: &[Source]) -> Vec<NodeId> {
        sources
            .iter()
            .map(|source| self.source(region, *source))
            .collect()
    }

    fn region(&self, at: usize) -> Region {
        let part = &self.regions[at];
        let owner = self.owners[at].filter(|_| at != self.parts.start);
        Region {
            parent: owner.map(|owner| self.part(self.codes[owner].plan.region.0)),
            owner: owner.map(|owner| self.local(owner)),
            label: String::new(),
            nodes: part.nodes.iter().map(|id| self.local(index(*id))).collect(),
            result: part.result.map(|source| self.source(at, source)),
            exit: part.exit,
            outs: self.sources(at, &part.outs),
        }
    }

    fn node(&self, at: usize) -> Node {
        let code = &self.codes[at];
        let plan = &code.plan;
        let region = plan.region.0;
        let own = self.sources(region, &plan.uses);
        let is_loop = matches!(plan.kind, PlanKind::Loop { .. });
        let lends = if is_loop { 0 } else { own.len() };
        let mut uses = own.clone();
        let captured = self.captured(at);
        uses.extend(captured.into_iter().filter(|id| !own.contains(id)));
        let inside = plan.inside.iter().filter(|_| plan.kind != PlanKind::Call);
        let source = match plan.kind {
            PlanKind::Signal { signal, timeout } => {
                format!("signal {} {}", signal.0, timeout.is_some())
            }
            // Not part of it.
            PlanKind::Input | PlanKind::Assigned => String::new(),
            PlanKind::Job => {
                // In an order that stays when others are numbered otherwise.
                let reachable = reachable(self.codes, code).into_iter();
                let kinds = reachable.map(|kind| &self.codes[kind]);
                let salts: BTreeMap<u64, u64> = kinds.map(|kind| (kind.id, kind.salt)).collect();
                format!("{} spawns {salts:?}", code.salt)
            }
            _ => code.salt.to_string(),
        };
        Node {
            id: self.local(at),
            name: format!("n{}", code.name).leak(),
            kind: self.def(at, own),
            region: self.part(region),
            uses: uses.into(),
            lends,
            inside: inside.map(|inner| self.part(inner.0)).collect(),
            after: self.sources(region, &plan.after).into(),
            arguments: &[],
            source: source.leak(),
            line: 0,
            column: 0,
            fingerprint: 0,
            entry: 0,
            policy: plan.policy,
        }
    }

    /// What the regions in a node need from around it.
    fn captured(&self, at: usize) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        if self.codes[at].plan.kind == PlanKind::Call {
            return found;
        }
        let mut inner = BTreeSet::new();
        let mut open: Vec<usize> = self.codes[at].plan.inside.iter().map(|it| it.0).collect();
        while let Some(region) = open.pop() {
            let part = &self.regions[region];
            found.extend(
                part.result
                    .iter()
                    .map(|source| self.source(region, *source)),
            );
            found.extend(self.sources(region, &part.outs));
            for id in &part.nodes {
                let plan = &self.codes[index(*id)].plan;
                inner.insert(self.local(index(*id)));
                found.extend(self.sources(region, &plan.uses));
                found.extend(self.sources(region, &plan.after));
                if plan.kind != PlanKind::Call {
                    open.extend(plan.inside.iter().map(|it| it.0));
                }
            }
        }
        found.difference(&inner).copied().collect()
    }

    /// What a node is, as far as fingerprints tell: what needs code of its own is told apart by its
    /// source alone.
    fn def(&self, at: usize, own: Vec<NodeId>) -> NodeDef {
        let plan = &self.codes[at].plan;
        match plan.kind {
            PlanKind::Input => match self.given(plan) {
                ITEM => NodeDef::Item,
                CARRIED => NodeDef::Carried,
                CAUGHT => NodeDef::Caught,
                _ => NodeDef::Input {
                    codec: Codec::of::<u64>(),
                },
            },
            PlanKind::Assigned => NodeDef::Assigned {
                by: self.assigner(plan),
            },
            PlanKind::Each { limit } => NodeDef::Each {
                limit,
                join: |_| crate::value::Value::new(()),
            },
            PlanKind::Branch => NodeDef::Branch,
            PlanKind::Loop { max, or_last } => NodeDef::Loop {
                starts: own.into(),
                max,
                or_last,
            },
            PlanKind::Rescue { .. } => NodeDef::Rescue,
            PlanKind::Finally => NodeDef::Finally,
            PlanKind::Sleep => NodeDef::Sleep,
            PlanKind::Job
            | PlanKind::Value
            | PlanKind::Call
            | PlanKind::Result { .. }
            | PlanKind::Race
            | PlanKind::Signal { .. } => NodeDef::Value,
        }
    }

    fn assigner(&self, plan: &PlanNode) -> NodeId {
        let mut nodes = self.regions[plan.region.0].nodes.iter();
        let assigns = |id: &&NodeId| self.codes[index(**id)].plan.assigned.contains(&plan.slot);
        self.local(index(*nodes.find(assigns).expect("something assigns it")))
    }

    /// What a value is that a region is given.
    fn given(&self, plan: &PlanNode) -> &'static str {
        let owner = self.owners[plan.region.0].filter(|_| plan.region.0 != self.parts.start);
        match owner.map(|owner| self.codes[owner].plan.kind) {
            Some(PlanKind::Each { .. }) => ITEM,
            Some(PlanKind::Loop { .. }) => CARRIED,
            Some(PlanKind::Rescue { .. }) => CAUGHT,
            _ => "an input",
        }
    }

    fn kind(&self, code: &Code) -> &'static str {
        match code.plan.kind {
            PlanKind::Input => self.given(&code.plan),
            PlanKind::Assigned => "an assigned variable",
            PlanKind::Job => "a job",
            PlanKind::Value => "a value",
            PlanKind::Each { .. } => "a `for`",
            PlanKind::Call => "a workflow",
            PlanKind::Branch => "a branch",
            PlanKind::Loop { .. } => "a loop",
            PlanKind::Rescue { .. } => "a rescue",
            PlanKind::Result { .. } => "a result",
            PlanKind::Finally => "a finally",
            PlanKind::Race => "a race",
            PlanKind::Sleep => "a sleep",
            PlanKind::Signal { .. } => "a signal",
        }
    }
}

const ITEM: &str = "an item";
const CARRIED: &str = "a variable of a loop";
const CAUGHT: &str = "an error";

/// What a change from one version to another means, told by what is written in them and nothing else.
pub(super) struct Meaning<'a> {
    old: &'a Version,
    new: &'a Version,
    changed: Vec<Option<bool>>,
    entered: Vec<Option<bool>>,
}

impl<'a> Meaning<'a> {
    pub(super) fn new(old: &'a Version, new: &'a Version) -> Self {
        Self {
            old,
            new,
            changed: vec![None; new.codes.len()],
            entered: vec![None; new.codes.len()],
        }
    }

    /// Whether a node instance of the new version has to run again.
    pub(super) fn runs_again(&mut self, at: &Position) -> bool {
        let steps = at.frames.iter().any(|step| {
            let owner = index(step.node);
            self.is_entered_otherwise(owner) || self.is_behind(owner, step.index)
        });
        steps || self.is_changed(index(at.node))
    }

    /// Whether something in a race around it runs again, or waits for that, which may be what won.
    pub(super) fn is_in_a_changed_race(&mut self, at: &Position) -> bool {
        at.frames.iter().any(|step| {
            let plan = &self.new.codes[index(step.node)].plan;
            let mut entries = plan.inside.iter();
            plan.kind == PlanKind::Race
                && entries.any(|inner| self.runs(inner.0) || self.gives_another(inner.0))
        })
    }

    /// Whether a frame of a node belongs to what runs again before it, in the same node.
    fn is_behind(&mut self, owner: usize, frame: u32) -> bool {
        let plan = &self.new.codes[owner].plan;
        match plan.kind {
            PlanKind::Loop { .. } => self.is_another_loop(owner),
            PlanKind::Rescue { .. } | PlanKind::Finally => {
                let body = plan.inside[0].0;
                frame == 1 && self.runs(body)
            }
            _ => false,
        }
    }

    /// Whether something on record in a region runs again.
    fn runs(&mut self, region: usize) -> bool {
        let nodes = &self.new.program.plan.regions[region].nodes;
        nodes.iter().any(|id| {
            let at = index(*id);
            let plan = &self.new.codes[at].plan;
            if matches!(
                plan.kind,
                PlanKind::Input | PlanKind::Assigned | PlanKind::Value
            ) {
                return false;
            }
            self.is_entered_otherwise(at)
                || matches!(plan.kind, PlanKind::Loop { .. }) && self.is_another_loop(at)
                || plan.inside.iter().any(|inner| self.runs(inner.0))
        })
    }

    /// Whether what a node gives may be another value.
    fn is_changed(&mut self, at: usize) -> bool {
        if let Some(known) = self.changed[at] {
            return known;
        }
        let plan = &self.new.codes[at].plan;
        let is_changed = self.is_entered_otherwise(at)
            || matches!(plan.kind, PlanKind::Loop { .. }) && self.is_another_loop(at)
            || plan.inside.iter().any(|inner| self.gives_another(inner.0));
        self.changed[at] = Some(is_changed);
        is_changed
    }

    /// Whether what a region does, or gives, may be something else.
    fn gives_another(&mut self, region: usize) -> bool {
        self.is_rewritten(region)
            || self.ends(region).into_iter().any(|at| self.is_changed(at))
            || self.new.program.plan.regions[region]
                .nodes
                .iter()
                .any(|id| self.is_changed(index(*id)))
    }

    /// Whether the own step of a node is another one, or is given something else.
    fn is_entered_otherwise(&mut self, at: usize) -> bool {
        if let Some(known) = self.entered[at] {
            return known;
        }
        let plan = &self.new.codes[at].plan;
        let region = plan.region.0;
        let owner = self.new.owners[region];
        let is_otherwise = self.is_own_other(at)
            || self.spawns_others(at)
            || self
                .needs(at)
                .into_iter()
                .any(|needed| self.is_changed(needed))
            || match (plan.kind, owner) {
                (PlanKind::Assigned, _) => {
                    let mut nodes = self.new.program.plan.regions[region].nodes.iter();
                    let assigns = |id: &&NodeId| {
                        self.new.codes[index(**id)]
                            .plan
                            .assigned
                            .contains(&plan.slot)
                    };
                    let by = index(*nodes.find(assigns).unwrap());
                    self.is_changed(by)
                }
                (PlanKind::Input, Some(owner)) => {
                    self.is_entered_otherwise(owner)
                        || match self.new.codes[owner].plan.kind {
                            PlanKind::Loop { .. } => self.is_another_loop(owner),
                            PlanKind::Rescue { .. } => {
                                let body = self.new.codes[owner].plan.inside[0].0;
                                self.gives_another(body)
                            }
                            _ => false,
                        }
                }
                _ => false,
            };
        self.entered[at] = Some(is_otherwise);
        is_otherwise
    }

    /// Whether anything in a loop is another one: a round begins with what the one before left.
    fn is_another_loop(&mut self, at: usize) -> bool {
        let mut inner = BTreeSet::new();
        let mut open: Vec<usize> = self.new.codes[at]
            .plan
            .inside
            .iter()
            .map(|it| it.0)
            .collect();
        let (mut is_other, mut needed) = (false, BTreeSet::new());
        while let Some(region) = open.pop() {
            is_other |= self.is_rewritten(region);
            needed.extend(self.ends(region));
            for id in &self.new.program.plan.regions[region].nodes {
                let at = index(*id);
                inner.insert(at);
                is_other |= self.is_own_other(at) || self.spawns_others(at);
                needed.extend(self.needs(at));
                open.extend(self.new.codes[at].plan.inside.iter().map(|it| it.0));
            }
        }
        is_other
            || needed
                .difference(&inner)
                .any(|needed| self.is_changed(*needed))
    }

    /// Whether something that a job may spawn is another one, or something in that.
    fn spawns_others(&self, at: usize) -> bool {
        let mut open: Vec<usize> = vec![at];
        let mut seen = BTreeSet::new();
        if self.new.codes[at].plan.kind != PlanKind::Job {
            return false;
        }
        while let Some(at) = open.pop() {
            let plan = &self.new.codes[at].plan;
            for kind in plan.kinds.iter().map(|kind| index(*kind)) {
                if seen.insert(kind) {
                    open.push(kind);
                }
            }
            let inner = plan.inside.iter().map(|inner| inner.0);
            for region in inner {
                if self.is_rewritten(region) {
                    return true;
                }
                let nodes = &self.new.program.plan.regions[region].nodes;
                for node in nodes.iter().map(|node| index(*node)) {
                    if seen.insert(node) {
                        open.push(node);
                    }
                }
            }
        }
        seen.into_iter().any(|at| self.is_own_other(at))
    }

    fn needs(&self, at: usize) -> Vec<usize> {
        let plan = &self.new.codes[at].plan;
        let sources = plan.uses.iter().chain(&plan.after);
        sources
            .map(|source| self.new.resolve(plan.region.0, *source))
            .collect()
    }

    /// What a region gives.
    fn ends(&self, region: usize) -> Vec<usize> {
        let part = &self.new.program.plan.regions[region];
        let given = part.result.iter().chain(&part.outs);
        given
            .map(|source| self.new.resolve(region, *source))
            .collect()
    }

    /// Whether a node is written in another way, or new.
    fn is_own_other(&self, at: usize) -> bool {
        let new = &self.new.codes[at];
        let old = self.old.codes.iter().find(|code| code.id == new.id);
        old.is_none_or(|old| told(self.old, old) != told(self.new, new))
    }

    /// Whether a region has other nodes, or ends otherwise.
    fn is_rewritten(&self, region: usize) -> bool {
        let Some(owner) = self.new.owners[region] else {
            return false;
        };
        let owner = &self.new.codes[owner];
        let place = owner
            .plan
            .inside
            .iter()
            .position(|inner| inner.0 == region)
            .unwrap();
        let old = self.old.codes.iter().find(|code| code.id == owner.id);
        old.is_none_or(|old| listed(self.old, old.plan.inside[place].0) != listed(self.new, region))
    }
}

/// What is written of a node.
fn told(version: &Version, code: &Code) -> (u64, String, Vec<u64>, Vec<u64>) {
    let ids = |sources: &[Source]| {
        let region = code.plan.region.0;
        let nodes = sources
            .iter()
            .map(|source| version.resolve(region, *source));
        nodes.map(|at| version.codes[at].id).collect()
    };
    let kind = match code.plan.kind {
        PlanKind::Each { .. } => String::new(),
        kind => format!("{kind:?}"),
    };
    (code.salt, kind, ids(&code.plan.uses), ids(&code.plan.after))
}

/// What is written of a region.
fn listed(version: &Version, region: usize) -> (Vec<u64>, Option<u64>, Exit, Vec<u64>) {
    let part = &version.program.plan.regions[region];
    let id = |source: &Source| version.codes[version.resolve(region, *source)].id;
    (
        part.nodes
            .iter()
            .map(|it| version.codes[index(*it)].id)
            .collect(),
        part.result.as_ref().map(id),
        part.exit,
        part.outs.iter().map(id).collect(),
    )
}
