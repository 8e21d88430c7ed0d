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
    outer: Option<&'a Self>,
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
    let mut interpreter = Interpreter {
        program,
        expected: Expected::default(),
    };
    let inputs = inputs.iter().map(|value| Known {
        value: *value,
        from: Rc::default(),
    });
    let result = interpreter.region(RegionId::BODY, inputs.collect(), None, &[]);
    Expected {
        output: result.map(|known| known.value),
        ..interpreter.expected
    }
}

struct Interpreter<'a> {
    program: &'a Program,
    expected: Expected,
}

impl Interpreter<'_> {
    fn region(
        &mut self,
        id: RegionId,
        inputs: Vec<Known>,
        outer: Option<&Scope<'_>>,
        path: &[FrameStep],
    ) -> Option<Known> {
        let plan = self.program.plan.region(id);
        let mut scope = Scope {
            values: inputs.into_iter().map(Some).collect(),
            outer,
        };
        let mut is_whole = true;
        for node in &plan.nodes[plan.inputs.len()..] {
            let value = self.node(*node, &scope, path);
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

    fn node(&mut self, id: NodeId, scope: &Scope<'_>, path: &[FrameStep]) -> Option<Known> {
        let node = self.program.plan.node(id);
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
        match node.kind {
            PlanKind::Input => unreachable!("inputs are given"),
            PlanKind::Value => Some(Known {
                value: plans::output(id, &inputs),
                from: Rc::new(from),
            }),
            PlanKind::Job => self.job(
                Position {
                    frames: path.to_vec(),
                    node: id,
                },
                inputs,
                from,
            ),
            PlanKind::Each { body, .. } => {
                if !captures_are_there(self.program, body, scope, 1) {
                    return None;
                }
                let items = plans::items(id, &inputs);
                self.each((id, body), items, from, (scope, path))
            }
            PlanKind::Call { body } => {
                let count = self.program.plan.region(body).inputs.len();
                let from = Rc::new(from);
                let inputs = plans::call_inputs(id, &inputs, count).into_iter();
                let inputs = inputs.map(|value| Known {
                    value,
                    from: Rc::clone(&from),
                });
                self.region(body, inputs.collect(), None, &inside(path, id, 0))
            }
        }
    }

    fn job(
        &mut self,
        position: Position,
        inputs: Vec<u64>,
        rests_on: BTreeSet<Position>,
    ) -> Option<Known> {
        let node = position.node;
        if self.program.fails_first[index(node)] > self.program.plan.node(node).policy.retry {
            self.expected.failures.insert(position);
            return None;
        }
        let output = plans::output(node, &inputs);
        self.expected.jobs.insert(
            position.clone(),
            Job {
                inputs,
                output,
                rests_on,
            },
        );
        Some(Known {
            value: output,
            from: Rc::new(BTreeSet::from([position])),
        })
    }

    fn each(
        &mut self,
        (id, body): (NodeId, RegionId),
        items: Vec<u64>,
        mut from: BTreeSet<Position>,
        (scope, path): (&Scope<'_>, &[FrameStep]),
    ) -> Option<Known> {
        let mut results = Some(Vec::new());
        let items_from = Rc::new(from.clone());
        for (item, step) in items.into_iter().zip(0..) {
            let item = Known {
                value: item,
                from: Rc::clone(&items_from),
            };
            let result = self.region(body, vec![item], Some(scope), &inside(path, id, step));
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
}

fn inside(path: &[FrameStep], node: NodeId, index: u32) -> Vec<FrameStep> {
    [path, &[FrameStep { node, index }]].concat()
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
                    PlanKind::Input | PlanKind::Job | PlanKind::Value | PlanKind::Call { .. } => {
                        true
                    }
                }
        })
}
