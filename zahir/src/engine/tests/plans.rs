//! Random plans, and what their jobs and pure code do.

use std::sync::Arc;
use std::time::Duration;

use zahir_store::{ChildLimits, NodeId};

use super::rng::Rng;
use super::scripts::{self, Kind, Script};
use crate::job::policy::Policy;
use crate::plan::{
    Exit, Plan, PlanKind, PlanNode, PlanRegion, Recovery, RegionId, SignalId, Source, index,
};

/// A plan and the behavior of its jobs.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) plan: Arc<Plan>,
    /// How many times each node's job fails before it succeeds.
    pub(super) fails_first: Vec<u32>,
    /// Whether its failures are no errors of the job's own type.
    pub(super) panics: Vec<bool>,
    pub(super) habits: Vec<Habit>,
    /// What the jobs do that have children.
    pub(super) scripts: Vec<Option<Script>>,
    /// Whether a node is what children are instances of.
    pub(super) is_kind: Vec<bool>,
    /// What makes the code of each node another one than that of all others.
    pub(super) salts: Vec<u64>,
    /// After how many crashes a job is poisoned.
    pub(super) crashes_max: u32,
    /// How long the run may take.
    pub(super) timeout: Option<Duration>,
}

/// What else the job of a node does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habit {
    /// Whether a failure says that trying again is of no use.
    pub(super) is_fatal: bool,
    /// How many times it asks to be run again later, behind its failures.
    pub(super) postpones: u32,
    /// How many times its recovery job fails before it succeeds.
    pub(super) recovery_fails: u32,
    /// How many times its undo fails before it succeeds.
    pub(super) undo_fails: u32,
    /// Whether every third child that it is fails for good.
    pub(super) is_moody: bool,
}

impl Program {
    pub(super) fn new(nodes: Vec<PlanNode>, regions: Vec<PlanRegion>) -> Self {
        let signals = vec!["red".to_owned(), "green".to_owned()];
        Self::of(Plan::new(nodes, regions, signals))
    }

    /// Of a plan whose nodes do nothing but succeed.
    pub(super) fn of(plan: Plan) -> Self {
        let count = plan.nodes.len();
        let (fails_first, panics) = (vec![0; count], vec![false; count]);
        let mut is_kind = vec![false; count];
        for kind in plan.nodes.iter().flat_map(|node| &node.kinds) {
            is_kind[index(*kind)] = true;
        }
        Self {
            plan: Arc::new(plan),
            habits: vec![Habit::default(); fails_first.len()],
            scripts: vec![None; fails_first.len()],
            is_kind,
            salts: (1..).take(fails_first.len()).collect(),
            fails_first,
            panics,
            crashes_max: u32::MAX,
            timeout: None,
        }
    }

    pub(super) fn salt(&self, node: NodeId) -> u64 {
        self.salts[index(node)]
    }

    /// How many times a node's job fails before it succeeds, if it is the child of this number.
    pub(super) fn fails(&self, node: NodeId, child: Option<u32>) -> u32 {
        let is_bad = |child| mix(self.salt(node) << 32 | u64::from(child)).is_multiple_of(3);
        if self.habits[index(node)].is_moody && child.is_some_and(is_bad) {
            return u32::MAX;
        }
        self.fails_first[index(node)]
    }

    /// Whether the attempts of a node's job are spent, whatever its recovery job does then.
    pub(super) fn fails_for_good(&self, node: NodeId, child: Option<(u32, ChildLimits)>) -> bool {
        let fails = self.fails(node, child.map(|(number, _)| number));
        let is_fatal = self.habits[index(node)].is_fatal;
        let policy = self.plan.node(node).policy;
        let retry = child.and_then(|(_, limits)| limits.retry);
        let retry = retry.unwrap_or(policy.retry);
        fails > retry || fails > 0 && (is_fatal || policy.at_most_once)
    }

    /// How deep the children of a job may go.
    pub(super) fn fuel(&self, node: NodeId, inputs: &[u64]) -> u64 {
        if self.is_kind[index(node)] {
            return inputs[0];
        }
        output(self.salt(node), inputs) % 2
    }

    /// Whether what this node is an instance of has no children.
    pub(super) fn is_plain(&self, node: NodeId) -> bool {
        self.plan.node(node).kind == PlanKind::Job && self.scripts[index(node)].is_none()
    }

    /// Whether the attempts of a node's recovery job are spent.
    pub(super) fn recovery_fails_for_good(&self, node: NodeId) -> bool {
        let recovery = self.plan.node(node).recovery.as_deref();
        let fails = self.habits[index(node)].recovery_fails;
        recovery.is_some_and(|recovery| fails > recovery.policy.retry)
    }

    /// Whether the result of a node can't be undone.
    pub(super) fn undo_fails_for_good(&self, node: NodeId) -> bool {
        let undo = self.plan.node(node).undo.as_deref();
        undo.is_some_and(|undo| self.habits[index(node)].undo_fails > undo.retry)
    }
}

pub(super) fn mix(bits: u64) -> u64 {
    super::super::mix(bits)
}

/// What a job, or pure code, with this salt gives for these inputs.
pub(super) fn output(salt: u64, inputs: &[u64]) -> u64 {
    let mut hash = salt;
    for input in inputs {
        hash = mix(hash.rotate_left(17) ^ input);
    }
    mix(hash)
}

/// What its recovery job gives.
pub(super) fn recovered(salt: u64, inputs: &[u64]) -> u64 {
    mix(output(salt, inputs) ^ 0x4ec0)
}

/// The encoded inputs of a job.
pub(super) fn arguments(inputs: &[u64]) -> Vec<u8> {
    inputs
        .iter()
        .flat_map(|input| input.to_be_bytes())
        .collect()
}

/// The inputs of a job from their encoding.
pub(super) fn decoded(arguments: &[u8]) -> Vec<u64> {
    let each = arguments.chunks(8);
    each.map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// What a `for` goes over.
pub(super) fn items(salt: u64, inputs: &[u64]) -> Vec<u64> {
    let seed = output(salt, inputs);
    (0..seed % 4).map(|item| mix(seed ^ item)).collect()
}

/// The inputs of a called workflow with `count` of them.
pub(super) fn call_inputs(salt: u64, inputs: &[u64], count: usize) -> Vec<u64> {
    let seed = output(salt, inputs);
    (0..count)
        .map(|at| mix(seed.wrapping_add(u64::try_from(at).unwrap())))
        .collect()
}

/// The results of a `for` as one value.
pub(super) fn join(results: &[u64]) -> u64 {
    results.iter().fold(7, |hash, result| mix(hash ^ result))
}

/// Which of `arms` arms a branch takes.
pub(super) fn arm(salt: u64, inputs: &[u64], arms: usize) -> u32 {
    let arms = u64::try_from(arms).unwrap();
    u32::try_from(output(salt, inputs) % arms).unwrap()
}

/// How long a sleep takes.
pub(super) fn nap(salt: u64, inputs: &[u64]) -> Duration {
    Duration::from_millis(output(salt, inputs) % 100)
}

/// The error of a job.
pub(super) fn error(salt: u64, inputs: &[u64]) -> u64 {
    mix(output(salt, inputs) ^ 0xe44)
}

/// What a handler is given if the error was not kept.
pub(super) const FAILURE: u64 = 0xfa11;

/// The value of a block as a result.
pub(super) fn succeeded(value: u64) -> u64 {
    mix(value ^ 0x0c)
}

/// The error of a block as a result.
pub(super) fn failed(error: u64) -> u64 {
    mix(error ^ 0xbad)
}

/// The value of an entry as that of its race.
pub(super) fn won(entry: u32, value: u64) -> u64 {
    mix(value.rotate_left(entry) ^ u64::from(entry))
}

/// What a wait without a signal gives.
pub(super) const TIMED_OUT: u64 = 0x71;

/// A region that runs to its end.
pub(super) fn region(nodes: Vec<NodeId>, inputs: Vec<usize>, result: Option<Source>) -> PlanRegion {
    PlanRegion {
        nodes,
        inputs,
        result,
        exit: Exit::Value,
        outs: vec![],
        jobs: 0,
    }
}

/// A node that does not fail.
pub(super) fn node(kind: PlanKind, region: usize, slot: usize, uses: Vec<Source>) -> PlanNode {
    PlanNode {
        kind,
        region: RegionId(region),
        slot,
        uses,
        after: vec![],
        inside: vec![],
        kinds: vec![],
        assigned: vec![],
        keeps_error: false,
        policy: Policy::ONCE,
        recovery: None,
        undo: None,
        waits: 0,
        dependents: vec![],
    }
}

/// The value of a slot of the same frame.
pub(super) const fn here(slot: usize) -> Source {
    Source { up: 0, slot }
}

/// `for item in input { job(item) }`: node 0 the input, 1 the `for`, 2 the item, 3 the job.
pub(super) fn fan(retry: u32) -> Program {
    let policy = Policy {
        retry,
        ..Policy::ONCE
    };
    let each = PlanKind::Each { limit: None };
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            inside: vec![RegionId(1)],
            ..node(each, 0, 1, vec![here(0)])
        },
        node(PlanKind::Input, 1, 0, vec![]),
        PlanNode {
            policy,
            ..node(PlanKind::Job, 1, 1, vec![here(0)])
        },
    ];
    let of = |first: u32, jobs| PlanRegion {
        jobs,
        ..region(
            vec![NodeId::new(first), NodeId::new(first + 1)],
            vec![0],
            Some(here(1)),
        )
    };
    let mut program = Program::new(nodes, vec![of(0, 0), of(2, 1)]);
    program.fails_first[3] = retry;
    program
}

/// A workflow that does nothing but call itself.
pub(super) fn endless() -> Program {
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            inside: vec![RegionId::BODY],
            ..node(PlanKind::Call, 0, 1, vec![here(0)])
        },
    ];
    let body = region(vec![NodeId::new(0), NodeId::new(1)], vec![0], Some(here(1)));
    Program::new(nodes, vec![body])
}

/// A random program. Some have jobs that fail for good, some have jobs with children.
pub(super) fn random(rng: &mut Rng) -> Program {
    let has_children = rng.chance(1, 3);
    let inputs = 1 + rng.below(2);
    let may_fail = rng.chance(1, 2);
    let mut maker = Maker {
        may_fail,
        nodes: vec![],
        regions: vec![],
        may_undo: rng.chance(1, 3),
        fails_first: vec![],
        panics: vec![],
        habits: vec![],
        scripts: vec![],
    };
    let body = maker.region(rng, &Around::body(), Given::Inputs(inputs));
    assert_eq!(body, RegionId::BODY);
    if has_children {
        maker.children(rng);
    }
    maker.scripts.resize(maker.nodes.len(), None);
    let mut program = Program::new(maker.nodes, maker.regions);
    program.scripts = maker.scripts;
    program.fails_first = maker.fails_first;
    program.panics = maker.panics;
    program.habits = maker.habits;
    if may_fail && rng.chance(1, 3) {
        program.crashes_max = u32::try_from(1 + rng.below(3)).unwrap();
    }
    if may_fail && rng.chance(1, 10) {
        program.timeout = Some(millis(rng, 20, 1_500));
    }
    program
}

fn millis(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + rng.next() % (most - least))
}

/// What a region is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// A body, or what is inside a node, with so many values.
    Inputs(usize),
    /// One round of a loop with so many carried variables.
    Round(usize),
    /// What assigns so many variables.
    Assigning(usize),
    /// A handler that is given an error and assigns so many variables.
    Handler(usize),
    /// One job, whose error is kept.
    OneJob,
    /// What always runs: a few jobs.
    Last,
}

impl Given {
    /// What may fail.
    fn body(is_typed: bool, assigned: usize) -> Self {
        if is_typed {
            Self::OneJob
        } else {
            Self::Assigning(assigned)
        }
    }
}

/// What a node does, the regions it enters, and how many variables they assign.
struct Made {
    kind: PlanKind,
    inside: Vec<RegionId>,
    assigned: usize,
}

impl Made {
    fn new(kind: PlanKind, inside: Vec<RegionId>, assigned: usize) -> Self {
        Self {
            kind,
            inside,
            assigned,
        }
    }

    fn leaf(kind: PlanKind) -> Self {
        Self::new(kind, vec![], 0)
    }
}

/// What is around a region.
#[derive(Clone)]
struct Around {
    depth: usize,
    /// How many slots each region around it has so far, innermost first.
    visible: Vec<usize>,
    /// The variables of the innermost loop around it that can be left from here.
    carried: Option<usize>,
    /// Whether the workflow can be left from here.
    can_return: bool,
}

impl Around {
    fn body() -> Self {
        Self {
            depth: 0,
            visible: vec![],
            carried: None,
            can_return: true,
        }
    }

    /// How many variables to assign: none where there are no values for them.
    fn variables(&self, rng: &mut Rng) -> usize {
        if self.visible.iter().any(|slots| *slots > 0) {
            rng.below(3)
        } else {
            0
        }
    }

    fn inside(&self, slots: usize) -> Self {
        let mut visible = vec![slots];
        visible.extend(&self.visible);
        Self {
            depth: self.depth + 1,
            visible,
            ..self.clone()
        }
    }
}

struct Maker {
    /// Whether some jobs fail for good.
    may_fail: bool,
    nodes: Vec<PlanNode>,
    regions: Vec<PlanRegion>,
    /// Whether some results can be undone.
    may_undo: bool,
    fails_first: Vec<u32>,
    panics: Vec<bool>,
    habits: Vec<Habit>,
    scripts: Vec<Option<Script>>,
}

impl Maker {
    /// Gives children to some jobs, of kinds that have children of their own.
    fn children(&mut self, rng: &mut Rng) {
        let body = self.nodes.len();
        let mut kinds: Vec<_> = (0..=rng.below(2)).map(|_| self.job_kind(rng)).collect();
        if rng.chance(1, 3) {
            let (kind, _) = self.workflow_kind(rng);
            kinds.push(kind);
        }
        let leaves = kinds.clone();
        if rng.chance(1, 3) {
            let kind = self.job_kind(rng);
            let own = rng.chance(2, 3).then_some(kind.node);
            self.script(rng, kind.node, &leaves, own);
            kinds.push(kind);
        }
        if rng.chance(1, 4) {
            let (kind, jobs) = self.workflow_kind(rng);
            self.parents(rng, jobs, &leaves);
            kinds.push(kind);
        }
        self.parents(rng, 0..body, &kinds);
    }

    /// Gives children to some of these nodes.
    fn parents(&mut self, rng: &mut Rng, among: std::ops::Range<usize>, kinds: &[Kind]) {
        let jobs = among.filter(|at| self.nodes[*at].kind == PlanKind::Job);
        let jobs: Vec<_> = jobs.collect();
        for _ in 0..(1 + rng.below(2)).min(jobs.len()) {
            // Those whose error somebody handles are of interest.
            let typed = jobs.iter().find(|at| self.nodes[**at].keeps_error);
            let typed = typed.copied().filter(|_| rng.chance(1, 3));
            let at = typed.unwrap_or(jobs[rng.below(jobs.len())]);
            let node = NodeId::new(u32::try_from(at).unwrap());
            self.script(rng, node, kinds, None);
        }
    }

    fn script(&mut self, rng: &mut Rng, node: NodeId, kinds: &[Kind], own: Option<NodeId>) {
        let at = index(node);
        if self.nodes[at].keeps_error {
            self.habits[at].postpones = 0;
        } else if rng.chance(1, 6) {
            self.habits[at].postpones = 1;
        }
        let scope = scripts::Scope {
            kinds,
            own,
            may_fail: self.may_fail,
        };
        let script = scripts::random(rng, scope);
        self.nodes[at].kinds = script.kinds();
        self.nodes[at].policy.at_most_once = false;
        self.scripts.resize(self.nodes.len(), None);
        self.scripts[at] = Some(script);
    }

    /// A job that can be a child.
    fn job_kind(&mut self, rng: &mut Rng) -> Kind {
        let node = self.kind(rng, PlanKind::Job);
        let at = index(node);
        self.habits[at].is_moody = self.may_fail && rng.chance(1, 2);
        self.nodes[at].keeps_error = rng.chance(1, 2);
        Kind { node, is_job: true }
    }

    /// A workflow that can be a child, and the nodes in it.
    fn workflow_kind(&mut self, rng: &mut Rng) -> (Kind, std::ops::Range<usize>) {
        let node = self.kind(rng, PlanKind::Call);
        let first = self.nodes.len();
        let around = Around {
            depth: 2,
            ..Around::body()
        };
        let body = self.region(rng, &around, Given::Inputs(scripts::INPUTS));
        self.nodes[index(node)].inside = vec![body];
        let kind = Kind {
            node,
            is_job: false,
        };
        (kind, first..self.nodes.len())
    }

    /// A node alone in its region.
    fn kind(&mut self, rng: &mut Rng, kind: PlanKind) -> NodeId {
        let id = RegionId(self.regions.len());
        self.regions.push(region(vec![], vec![], Some(here(0))));
        self.node(rng, id, kind, &Around::body());
        self.regions[id.0].nodes[0]
    }

    fn region(&mut self, rng: &mut Rng, around: &Around, given: Given) -> RegionId {
        let id = RegionId(self.regions.len());
        self.regions.push(region(vec![], vec![], None));
        let inputs = match given {
            Given::Inputs(count) | Given::Round(count) => count,
            Given::Handler(_) => 1,
            Given::Assigning(_) | Given::OneJob | Given::Last => 0,
        };
        for slot in 0..inputs {
            self.node(rng, id, PlanKind::Input, around);
            self.regions[id.0].inputs.push(slot);
        }
        let mut fence = None;
        match given {
            Given::OneJob => {
                self.node(rng, id, PlanKind::Job, around);
                self.nodes.last_mut().unwrap().keeps_error = true;
            }
            Given::Last => {
                for _ in 0..=rng.below(2) {
                    self.node(rng, id, PlanKind::Job, around);
                }
            }
            Given::Inputs(_) | Given::Round(_) | Given::Assigning(_) | Given::Handler(_) => {
                let most = if around.depth == 0 { 6 } else { 4 };
                for _ in 0..rng.below(most) + usize::from(around.depth == 0) {
                    self.any(rng, id, around, &mut fence);
                }
            }
        }
        self.exit(rng, id, around, given);
        id
    }

    /// How the region ends, and what it gives.
    fn exit(&mut self, rng: &mut Rng, id: RegionId, around: &Around, given: Given) {
        let inner = around.inside(self.regions[id.0].nodes.len());
        let result = if given == Given::OneJob {
            Some(here(0))
        } else if rng.chance(5, 6) {
            source(rng, &inner.visible)
        } else {
            None
        };
        let leaves = matches!(given, Given::Assigning(_)) && rng.chance(1, 4);
        let (exit, outs) = match (given, around.carried) {
            (Given::Round(count), _) => (Exit::Continue, count),
            (_, Some(count)) if leaves && rng.chance(3, 4) => {
                let exit = if rng.chance(2, 3) {
                    Exit::Break
                } else {
                    Exit::Continue
                };
                (exit, count)
            }
            _ if leaves && around.can_return => (Exit::Return, 0),
            (Given::Assigning(count) | Given::Handler(count), _) => (Exit::Value, count),
            (Given::Inputs(_) | Given::OneJob | Given::Last, _) => (Exit::Value, 0),
        };
        let outs: Vec<_> = (0..outs)
            .filter_map(|_| source(rng, &inner.visible))
            .collect();
        let region = &mut self.regions[id.0];
        region.exit = exit;
        region.outs = outs;
        region.result = result;
    }

    /// A node of any kind.
    fn any(&mut self, rng: &mut Rng, id: RegionId, around: &Around, fence: &mut Option<usize>) {
        let inner = around.inside(self.regions[id.0].nodes.len());
        let is_deep = around.depth >= 3;
        let made = match rng.below(30) {
            0..=9 => Made::leaf(PlanKind::Job),
            10..=12 => Made::leaf(PlanKind::Value),
            13 => Made::leaf(PlanKind::Sleep),
            14 => Made::leaf(signal(rng)),
            _ if is_deep => Made::leaf(PlanKind::Job),
            choice @ 15..=23 => self.going(rng, &inner, choice),
            choice => self.handling(rng, &inner, choice),
        };
        let leaves = made
            .inside
            .iter()
            .any(|inner| self.exits(*inner, made.kind).next().is_some());
        let slot = self.regions[id.0].nodes.len();
        self.node(rng, id, made.kind, around);
        let node = self.nodes.last_mut().unwrap();
        node.after.extend(fence.map(here));
        if let PlanKind::Loop { .. } = made.kind {
            let starts = (0..made.assigned).filter_map(|_| source(rng, &inner.visible));
            node.uses = starts.collect();
        }
        node.inside = made.inside;
        node.assigned = (0..made.assigned).map(|at| slot + 1 + at).collect();
        for _ in 0..made.assigned {
            self.node(rng, id, PlanKind::Assigned, around);
        }
        if leaves {
            *fence = Some(slot);
        }
    }

    /// What goes on somewhere: a `for`, a call, a branch, a loop.
    fn going(&mut self, rng: &mut Rng, inner: &Around, choice: usize) -> Made {
        let assigned = inner.variables(rng);
        match choice {
            15 | 16 => {
                let limit = rng.chance(1, 3).then_some(1 + u32::from(rng.chance(1, 2)));
                let around = Around {
                    carried: None,
                    can_return: inner.can_return && !self.may_fail,
                    ..inner.clone()
                };
                let body = self.region(rng, &around, Given::Inputs(1));
                Made::new(PlanKind::Each { limit }, vec![body], 0)
            }
            17 => {
                let inputs = rng.below(3);
                // A called workflow sees nothing of its caller.
                let around = Around {
                    depth: inner.depth,
                    ..Around::body()
                };
                let body = self.region(rng, &around, Given::Inputs(inputs));
                Made::new(PlanKind::Call, vec![body], 0)
            }
            18..=21 => {
                let given = Given::Assigning(assigned);
                let arms = (0..2 + rng.below(2)).map(|_| self.region(rng, inner, given));
                Made::new(PlanKind::Branch, arms.collect(), assigned)
            }
            _ => {
                let around = Around {
                    carried: Some(assigned),
                    ..inner.clone()
                };
                let body = self.region(rng, &around, Given::Round(assigned));
                let or_last = !self.may_fail || rng.chance(3, 4);
                let max = Some(u32::try_from(1 + rng.below(4)).unwrap());
                Made::new(PlanKind::Loop { max, or_last }, vec![body], assigned)
            }
        }
    }

    /// What handles failure, and races.
    fn handling(&mut self, rng: &mut Rng, inner: &Around, choice: usize) -> Made {
        let assigned = inner.variables(rng);
        let outside = Around {
            carried: None,
            can_return: false,
            ..inner.clone()
        };
        let is_typed = rng.chance(1, 2);
        match choice {
            24 | 25 => {
                let is_typed = is_typed && assigned == 0;
                let body = self.region(rng, inner, Given::body(is_typed, assigned));
                let handler = self.region(rng, inner, Given::Handler(assigned));
                Made::new(PlanKind::Rescue { is_typed }, vec![body, handler], assigned)
            }
            26 => {
                let body = self.region(rng, inner, Given::body(is_typed, 0));
                Made::new(PlanKind::Result { is_typed }, vec![body], 0)
            }
            27 | 28 => {
                let body = self.region(rng, inner, Given::Assigning(assigned));
                let last = self.region(rng, &outside, Given::Last);
                Made::new(PlanKind::Finally, vec![body, last], assigned)
            }
            _ => {
                let entries = 2 + rng.below(2);
                let entries = (0..entries).map(|_| self.region(rng, &outside, Given::Inputs(0)));
                Made::new(PlanKind::Race, entries.collect(), 0)
            }
        }
    }

    /// The exits that are taken from a region of a node of this kind and reach beyond it.
    fn exits(&self, id: RegionId, of: PlanKind) -> std::vec::IntoIter<Exit> {
        let region = &self.regions[id.0];
        let mut found = vec![region.exit];
        for id in &region.nodes {
            let node = &self.nodes[index(*id)];
            for inner in &node.inside {
                found.extend(self.exits(*inner, node.kind));
            }
        }
        found.retain(|exit| match (exit, of) {
            (Exit::Value, _) | (_, PlanKind::Call) => false,
            (Exit::Break | Exit::Continue, PlanKind::Loop { .. }) => false,
            (_, _) => true,
        });
        found.into_iter()
    }

    fn node(&mut self, rng: &mut Rng, region: RegionId, kind: PlanKind, around: &Around) {
        let id = NodeId::new(u32::try_from(self.nodes.len()).unwrap());
        let slot = self.regions[region.0].nodes.len();
        let visible = around.inside(slot).visible;
        self.regions[region.0].nodes.push(id);
        let mut uses = Vec::new();
        let mut after = Vec::new();
        // A loop uses what its variables begin with, and nothing else.
        if !matches!(
            kind,
            PlanKind::Input | PlanKind::Assigned | PlanKind::Loop { .. }
        ) {
            uses.extend((0..rng.below(3)).filter_map(|_| source(rng, &visible)));
            if rng.chance(1, 4) {
                after.extend(source(rng, &visible));
            }
        }
        self.panics.push(rng.chance(1, 4));
        self.fails_first.push(0);
        self.habits.push(Habit::default());
        self.nodes.push(PlanNode {
            after,
            ..node(kind, region.0, slot, uses)
        });
        if kind == PlanKind::Job {
            self.regions[region.0].jobs += 1;
            self.job(rng);
        }
    }

    /// What the job of the last node does, and what becomes of it.
    fn job(&mut self, rng: &mut Rng) {
        let (mut policy, mut habit, mut fails) = (Policy::ONCE, Habit::default(), 0);
        if rng.chance(1, 3) {
            policy.retry = 1 + u32::from(rng.chance(1, 2));
            fails = u32::from(rng.chance(1, 2));
        }
        if self.may_fail && rng.chance(1, 5) {
            fails = policy.retry + 1;
        }
        if rng.chance(1, 10) {
            habit.postpones = 1 + u32::from(rng.chance(1, 3));
        }
        if self.may_fail {
            policy.at_most_once = policy.retry + habit.postpones == 0 && rng.chance(1, 8);
            habit.is_fatal = fails > 0 && rng.chance(1, 6);
            if rng.chance(1, 8) {
                policy.total_timeout = Some(millis(rng, 1, 150));
            }
        }
        let recovery = rng.chance(1, 5).then(|| {
            let mut policy = Policy::ONCE;
            policy.retry = u32::from(rng.chance(1, 2));
            habit.recovery_fails = u32::from(policy.retry > 0 && rng.chance(1, 2));
            if self.may_fail && rng.chance(1, 4) {
                habit.recovery_fails = policy.retry + 1;
            }
            let is_typed = rng.chance(1, 2);
            Box::new(Recovery { policy, is_typed })
        });
        let undo = (self.may_undo && rng.chance(1, 2)).then(|| {
            let mut policy = Policy::ONCE;
            policy.retry = u32::from(rng.chance(1, 2));
            habit.undo_fails = policy.retry + u32::from(rng.chance(1, 12));
            if rng.chance(1, 5) {
                policy.total_timeout = Some(millis(rng, 1, 150));
            }
            Box::new(policy)
        });
        let node = self.nodes.last_mut().unwrap();
        node.policy = policy;
        node.keeps_error = recovery.as_ref().is_some_and(|recovery| recovery.is_typed);
        node.recovery = recovery;
        node.undo = undo;
        *self.fails_first.last_mut().unwrap() = fails;
        *self.habits.last_mut().unwrap() = habit;
    }
}

fn signal(rng: &mut Rng) -> PlanKind {
    let timeout = rng.chance(1, 2);
    PlanKind::Signal {
        signal: SignalId(rng.below(2)),
        timeout: timeout.then(|| Duration::from_millis(u64::try_from(rng.below(120)).unwrap())),
    }
}

/// Some value that is there.
fn source(rng: &mut Rng, visible: &[usize]) -> Option<Source> {
    let up = if rng.chance(2, 3) {
        0
    } else {
        rng.below(visible.len())
    };
    let up = if visible[up] > 0 {
        up
    } else {
        visible.iter().position(|slots| *slots > 0)?
    };
    Some(Source {
        up: u32::try_from(up).unwrap(),
        slot: rng.below(visible[up]),
    })
}
