//! Random plans, and what their jobs do.

use std::sync::Arc;

use zahir_store::NodeId;

use super::rng::Rng;
use crate::job::policy::Policy;
use crate::plan::{Plan, PlanKind, PlanNode, PlanRegion, RegionId, Source};

/// A plan and the behavior of its jobs.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) plan: Arc<Plan>,
    /// How many times each node's job fails before it succeeds.
    pub(super) fails_first: Vec<u32>,
}

/// What a job, or pure code, of this node gives for these inputs.
pub(super) fn output(node: NodeId, inputs: &[u64]) -> u64 {
    let mut hash = u64::from(node.number()) + 1;
    for input in inputs {
        hash = super::super::mix(hash.rotate_left(17) ^ input);
    }
    super::super::mix(hash)
}

/// What a `for` goes over.
pub(super) fn items(node: NodeId, inputs: &[u64]) -> Vec<u64> {
    let seed = output(node, inputs);
    (0..seed % 4)
        .map(|item| super::super::mix(seed ^ item))
        .collect()
}

/// The inputs of a called workflow with `count` of them.
pub(super) fn call_inputs(node: NodeId, inputs: &[u64], count: usize) -> Vec<u64> {
    let seed = output(node, inputs);
    (0..count)
        .map(|at| super::super::mix(seed.wrapping_add(u64::try_from(at).unwrap())))
        .collect()
}

/// The results of a `for` as one value.
pub(super) fn join(results: &[u64]) -> u64 {
    results
        .iter()
        .fold(7, |hash, result| super::super::mix(hash ^ result))
}

/// `for item in input { job(item) }`: node 0 the input, 1 the `for`, 2 the item, 3 the job.
pub(super) fn fan(retry: u32) -> Program {
    let node = |region, slot, kind, uses| PlanNode {
        kind,
        region: RegionId(region),
        slot,
        uses,
        after: vec![],
        policy: Policy {
            retry,
            ..Policy::ONCE
        },
        waits: 0,
        dependents: vec![],
    };
    let here = |slot| Source { up: 0, slot };
    let each = PlanKind::Each {
        body: RegionId(1),
        limit: None,
    };
    let nodes = vec![
        node(0, 0, PlanKind::Input, vec![]),
        node(0, 1, each, vec![here(0)]),
        node(1, 0, PlanKind::Input, vec![]),
        node(1, 1, PlanKind::Job, vec![here(0)]),
    ];
    let region = |first: u32, result, jobs| PlanRegion {
        nodes: vec![NodeId::new(first), NodeId::new(first + 1)],
        inputs: vec![0],
        result: Some(here(result)),
        jobs,
    };
    let plan = Plan::new(nodes, vec![region(0, 1, 0), region(2, 1, 1)]);
    Program {
        plan: Arc::new(plan),
        fails_first: vec![0, 0, 0, retry],
    }
}

/// A workflow that does nothing but call itself.
pub(super) fn endless() -> Program {
    let node = |slot, kind, uses| PlanNode {
        kind,
        region: RegionId::BODY,
        slot,
        uses,
        after: vec![],
        policy: Policy::ONCE,
        waits: 0,
        dependents: vec![],
    };
    let here = Source { up: 0, slot: 0 };
    let nodes = vec![
        node(0, PlanKind::Input, vec![]),
        node(
            1,
            PlanKind::Call {
                body: RegionId::BODY,
            },
            vec![here],
        ),
    ];
    let body = PlanRegion {
        nodes: vec![NodeId::new(0), NodeId::new(1)],
        inputs: vec![0],
        result: Some(Source { up: 0, slot: 1 }),
        jobs: 0,
    };
    Program {
        plan: Arc::new(Plan::new(nodes, vec![body])),
        fails_first: vec![0, 0],
    }
}

/// A random program. Some have jobs that fail for good.
pub(super) fn random(rng: &mut Rng) -> Program {
    let inputs = 1 + rng.below(2);
    let may_fail = rng.chance(1, 3);
    let mut maker = Maker {
        may_fail,
        nodes: vec![],
        regions: vec![],
        fails_first: vec![],
    };
    let body = maker.region(rng, 0, &[], inputs);
    assert_eq!(body, RegionId::BODY);
    Program {
        plan: Arc::new(Plan::new(maker.nodes, maker.regions)),
        fails_first: maker.fails_first,
    }
}

struct Maker {
    /// Whether some jobs fail for good.
    may_fail: bool,
    nodes: Vec<PlanNode>,
    regions: Vec<PlanRegion>,
    fails_first: Vec<u32>,
}

impl Maker {
    /// A region in which the values of `around` can be used: how many slots each region around it
    /// has so far, innermost first.
    fn region(&mut self, rng: &mut Rng, depth: usize, around: &[usize], inputs: usize) -> RegionId {
        let id = RegionId(self.regions.len());
        self.regions.push(PlanRegion {
            nodes: vec![],
            inputs: vec![],
            result: None,
            jobs: 0,
        });
        for slot in 0..inputs {
            self.node(rng, id, PlanKind::Input, &[]);
            self.regions[id.0].inputs.push(slot);
        }
        for _ in 0..rng.below(if depth == 0 { 6 } else { 4 }) + usize::from(depth == 0) {
            let mut visible = vec![self.regions[id.0].nodes.len()];
            visible.extend(around);
            let kind = match rng.below(10) {
                0..=4 => PlanKind::Job,
                5 | 6 => PlanKind::Value,
                7 | 8 if depth < 2 => {
                    let limit = rng.chance(1, 3).then_some(1 + u32::from(rng.chance(1, 2)));
                    PlanKind::Each {
                        body: self.region(rng, depth + 1, &visible, 1),
                        limit,
                    }
                }
                9 if depth < 2 => {
                    let inputs = rng.below(3);
                    // A called workflow sees nothing of its caller.
                    PlanKind::Call {
                        body: self.region(rng, depth + 1, &[], inputs),
                    }
                }
                _ => PlanKind::Job,
            };
            self.node(rng, id, kind, &visible);
        }
        if rng.chance(5, 6) {
            let mut visible = vec![self.regions[id.0].nodes.len()];
            visible.extend(around);
            self.regions[id.0].result = source(rng, &visible);
        }
        id
    }

    fn node(&mut self, rng: &mut Rng, region: RegionId, kind: PlanKind, visible: &[usize]) {
        let id = NodeId::new(u32::try_from(self.nodes.len()).unwrap());
        let slot = self.regions[region.0].nodes.len();
        self.regions[region.0].nodes.push(id);
        let mut uses = Vec::new();
        let mut after = Vec::new();
        if kind != PlanKind::Input {
            uses.extend((0..rng.below(3)).filter_map(|_| source(rng, visible)));
            if rng.chance(1, 4) {
                after.extend(source(rng, visible));
            }
        }
        let mut policy = Policy::ONCE;
        let mut fails = 0;
        if kind == PlanKind::Job {
            self.regions[region.0].jobs += 1;
            if rng.chance(1, 3) {
                policy.retry = 1 + u32::from(rng.chance(1, 2));
                fails = u32::from(rng.chance(1, 2));
            }
            if self.may_fail && rng.chance(1, 6) {
                fails = policy.retry + 1;
            }
        }
        self.fails_first.push(fails);
        self.nodes.push(PlanNode {
            kind,
            region,
            slot,
            uses,
            after,
            policy,
            waits: 0,
            dependents: vec![],
        });
    }
}

fn source(rng: &mut Rng, visible: &[usize]) -> Option<Source> {
    let up = if rng.chance(2, 3) {
        0
    } else {
        rng.below(visible.len())
    };
    let slots = visible[up];
    (slots > 0).then(|| Source {
        up: u32::try_from(up).unwrap(),
        slot: rng.below(slots),
    })
}
