//! What a run of a program must give: the same program, interpreted by plain recursion.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use zahir_store::{FrameStep, NodeId, Position};

use super::plans::{self, Program};
use crate::plan::{PlanKind, RegionId, Source, index};

/// What must come out of a run.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// The output, if no job fails for good.
    pub(super) output: Option<u64>,
    /// Every job instance that succeeds if nothing stops the run before: its inputs and output.
    pub(super) jobs: BTreeMap<Position, Job>,
    /// Every job instance that fails for good if nothing stops the run before.
    pub(super) failures: BTreeSet<Position>,
}

/// One job instance.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) inputs: Vec<u64>,
    pub(super) output: u64,
    /// The job instances whose results it rests on, directly or through pure values.
    pub(super) rests_on: BTreeSet<Position>,
}

/// A value and the job instances it was made from.
#[derive(Clone)]
struct Known {
    value: u64,
    from: Rc<BTreeSet<Position>>,
}

/// The values of a frame and of those around it.
struct Scope<'a> {
    values: Vec<Option<Known>>,
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn get(&self, source: Source) -> Option<&Known> {
        let mut scope = self;
        for _ in 0..source.up {
            scope = scope.outer.expect("regions nest");
        }
        scope.values[source.slot].as_ref()
    }
}

pub(super) fn interpret(program: &Program, inputs: &[u64]) -> Expected {
    let mut expected = Expected::default();
    let inputs = inputs.iter().map(|value| Known {
        value: *value,
        from: Rc::default(),
    });
    let result = region(
        program,
        &mut expected,
        RegionId::BODY,
        inputs.collect(),
        None,
        &[],
    );
    expected.output = result.map(|known| known.value);
    expected
}

fn region(
    program: &Program,
    expected: &mut Expected,
    id: RegionId,
    inputs: Vec<Known>,
    outer: Option<&Scope<'_>>,
    path: &[FrameStep],
) -> Option<Known> {
    let plan = program.plan.region(id);
    let mut scope = Scope {
        values: inputs.into_iter().map(Some).collect(),
        outer,
    };
    let mut is_whole = true;
    for node in &plan.nodes[plan.inputs.len()..] {
        let value = run(program, expected, *node, &scope, path);
        is_whole &= value.is_some();
        scope.values.push(value);
    }
    if !is_whole {
        return None;
    }
    match plan.result {
        None => Some(Known {
            value: 0,
            from: Rc::default(),
        }),
        Some(source) => scope.get(source).cloned(),
    }
}

fn run(
    program: &Program,
    expected: &mut Expected,
    id: NodeId,
    scope: &Scope<'_>,
    path: &[FrameStep],
) -> Option<Known> {
    let node = program.plan.node(id);
    let mut from = BTreeSet::new();
    let mut inputs = Vec::new();
    for source in &node.uses {
        let known = scope.get(*source)?;
        inputs.push(known.value);
        from.extend(known.from.iter().cloned());
    }
    for source in &node.after {
        from.extend(scope.get(*source)?.from.iter().cloned());
    }
    let position = Position {
        frames: path.to_vec(),
        node: id,
    };
    let inside = |step| {
        [
            path,
            &[FrameStep {
                node: id,
                index: step,
            }],
        ]
        .concat()
    };
    match node.kind {
        PlanKind::Input => unreachable!("inputs are given"),
        PlanKind::Value => Some(Known {
            value: plans::output(id, &inputs),
            from: Rc::new(from),
        }),
        PlanKind::Job if program.fails_first[index(id)] > node.policy.retry => {
            expected.failures.insert(position);
            None
        }
        PlanKind::Job => {
            let value = plans::output(id, &inputs);
            let job = Job {
                inputs,
                output: value,
                rests_on: from,
            };
            expected.jobs.insert(position.clone(), job);
            Some(Known {
                value,
                from: Rc::new(BTreeSet::from([position])),
            })
        }
        PlanKind::Each { body, .. } => {
            if !captures_are_there(program, body, scope, 1) {
                return None;
            }
            let mut results = Some(Vec::new());
            let items_from = Rc::new(from.clone());
            for (item, step) in plans::items(id, &inputs).into_iter().zip(0..) {
                let item = Known {
                    value: item,
                    from: Rc::clone(&items_from),
                };
                let result = region(
                    program,
                    expected,
                    body,
                    vec![item],
                    Some(scope),
                    &inside(step),
                );
                results = results.zip(result).map(|(mut all, one)| {
                    from.extend(one.from.iter().cloned());
                    all.push(one.value);
                    all
                });
            }
            Some(Known {
                value: plans::join(&results?),
                from: Rc::new(from),
            })
        }
        PlanKind::Call { body } => {
            let count = program.plan.region(body).inputs.len();
            let inputs = plans::call_inputs(id, &inputs, count).into_iter();
            let inputs = inputs.map(|value| Known {
                value,
                from: Rc::new(from.clone()),
            });
            region(program, expected, body, inputs.collect(), None, &inside(0))
        }
    }
}

/// Whether every value from around a `for` that its body uses is there.
fn captures_are_there(program: &Program, body: RegionId, scope: &Scope<'_>, depth: u32) -> bool {
    let region = program.plan.region(body);
    let is_there = |source: &Source| {
        source.up < depth
            || scope
                .get(Source {
                    up: source.up - depth,
                    slot: source.slot,
                })
                .is_some()
    };
    region.result.iter().all(is_there)
        && region.nodes.iter().all(|id| {
            let node = program.plan.node(*id);
            node.uses.iter().chain(&node.after).all(is_there)
                && match node.kind {
                    PlanKind::Each { body, .. } => {
                        captures_are_there(program, body, scope, depth + 1)
                    }
                    _ => true,
                }
        })
}
