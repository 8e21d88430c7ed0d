//! What a run of a program must give: the same program, interpreted by plain recursion.
//!
//! What depends on time (who wins a race, which signal a wait gets) is looked up in the run's own
//! records; everything else follows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use zahir_store::{Failure, FailureKind, FrameStep, NodeId, Position, Record};

use super::plans::{self, Program};
use crate::plan::{Exit, PlanKind, RegionId, Source, index};

/// What must come out of a run.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// The output, if nothing fails for good that nobody handles.
    pub(super) output: Option<u64>,
    /// Every job instance that can succeed: its inputs and output.
    pub(super) jobs: BTreeMap<Position, Job>,
    /// Every node instance that can fail for good.
    pub(super) failures: BTreeSet<Position>,
}

impl Expected {
    /// All job instances that one rests on, directly or not.
    pub(super) fn rests_on(&self, position: &Position) -> BTreeSet<Position> {
        let mut found = BTreeSet::new();
        let mut open = vec![position];
        while let Some(position) = open.pop() {
            for needed in self.jobs.get(position).iter().flat_map(|it| &it.rests_on) {
                if found.insert(needed.clone()) {
                    open.push(needed);
                }
            }
        }
        found
    }
}

/// One job instance.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) inputs: Vec<u64>,
    pub(super) output: u64,
    /// The job instances whose results it rests on.
    pub(super) rests_on: BTreeSet<Position>,
    /// Whether it succeeds in every run that succeeds. If not: something beside it fails, ends a
    /// race or returns, before it or after it.
    pub(super) is_certain: bool,
}

/// What only the run itself can tell.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// Who won each race.
    winners: BTreeMap<Position, u32>,
    /// What each wait got; `None` if it timed out.
    received: BTreeMap<Position, Option<u64>>,
    /// The jobs whose attempts ended because of time or a crash.
    lost: BTreeSet<Position>,
    /// Those whose recovery job did.
    lost_recoveries: BTreeSet<Position>,
    /// In a run that was repaired: those that failed without being recovered, as that was beside
    /// something else that failed, which does not count any more.
    unrecovered: BTreeSet<Position>,
}

impl Oracle {
    /// What these records tell. If the run was repaired, signals may have been given back.
    pub(super) fn of<'r>(records: impl Iterator<Item = &'r Record>, is_repaired: bool) -> Self {
        let mut oracle = Self::default();
        let mut signals = Vec::new();
        let mut recovering = BTreeSet::new();
        for record in records {
            match record {
                Record::RaceWon { at, entry } => {
                    assert_eq!(oracle.winners.insert(at.clone(), *entry), None, "won twice");
                }
                Record::SignalReceived { name, payload } => {
                    let payload = u64::from_be_bytes(payload[..].try_into().unwrap());
                    signals.push((name, Some(payload)));
                }
                Record::SignalConsumed { at, signal } => {
                    let signal = usize::try_from(*signal).unwrap();
                    let (name, payload) = (signals[signal].0, signals[signal].1.take());
                    assert!(payload.is_some(), "a signal is delivered twice");
                    let earlier = &signals[..signal];
                    assert!(
                        is_repaired
                            || earlier
                                .iter()
                                .all(|(it, left)| *it != name || left.is_none()),
                        "a signal overtakes another of its name"
                    );
                    oracle.wait_ends(at, payload);
                }
                Record::WaitTimedOut { at } => oracle.wait_ends(at, None),
                Record::RecoveryBegan { at, failure, .. } => {
                    if is_lost(failure) {
                        oracle.lost.insert(at.clone());
                    }
                    assert!(recovering.insert(at.clone()), "recovers twice");
                }
                Record::AttemptFailed {
                    at,
                    failure,
                    retry_at: None,
                    ..
                }
                | Record::DeadlinePassed {
                    at: Some(at),
                    failure,
                } if is_lost(failure) => {
                    let lost = if recovering.contains(at) {
                        &mut oracle.lost_recoveries
                    } else {
                        &mut oracle.lost
                    };
                    lost.insert(at.clone());
                }
                Record::AttemptFailed {
                    at, retry_at: None, ..
                } if is_repaired && !recovering.contains(at) => {
                    oracle.unrecovered.insert(at.clone());
                }
                _ => {}
            }
        }
        oracle
    }

    fn wait_ends(&mut self, at: &Position, got: Option<u64>) {
        let before = self.received.insert(at.clone(), got);
        assert_eq!(before, None, "a wait ends twice");
    }
}

/// Whether time or a crash is the reason.
fn is_lost(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::TimedOut | FailureKind::Interrupted | FailureKind::Poisoned => true,
        kind => {
            assert!(matches!(kind, FailureKind::Error | FailureKind::Panic));
            false
        }
    }
}

/// A value and the job instances it was made from.
#[derive(Clone, Debug)]
struct Known {
    value: u64,
    from: Rc<BTreeSet<Position>>,
}

impl Known {
    fn new(value: u64, from: &Rc<BTreeSet<Position>>) -> Self {
        let from = Rc::clone(from);
        Self { value, from }
    }
}

/// How a node or region ends.
#[derive(Clone, Debug)]
enum End {
    /// Right behind it, with the variables it assigns.
    Value(Known, Vec<Known>),
    /// Elsewhere.
    Leaves(Exit, Known, Vec<Known>),
    /// With a failure, and the error if it is kept.
    Fails(Option<u64>),
    /// Nobody can tell yet.
    Unknown,
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

/// A region that is entered: what it is given, what is around it, where it is, and what the decision
/// to enter it rests on.
struct Entry<'a> {
    region: RegionId,
    inputs: Vec<Known>,
    outer: Option<&'a Scope<'a>>,
    path: Vec<FrameStep>,
    from: Rc<BTreeSet<Position>>,
}

pub(super) fn interpret(program: &Program, inputs: &[u64], oracle: &Oracle) -> Expected {
    let mut interpreter = Interpreter {
        program,
        oracle,
        jobs: vec![],
        failures: BTreeSet::new(),
    };
    let from = Rc::default();
    let end = interpreter.region(Entry {
        region: RegionId::BODY,
        inputs: inputs.iter().map(|it| Known::new(*it, &from)).collect(),
        outer: None,
        path: vec![],
        from: Rc::clone(&from),
    });
    let output = match end {
        End::Value(known, _) | End::Leaves(Exit::Return, known, _) => Some(known.value),
        End::Fails(_) => {
            interpreter.uncertain(0);
            None
        }
        End::Unknown => None,
        End::Leaves(..) => unreachable!("loops catch what leaves them"),
    };
    Expected {
        output,
        jobs: interpreter.jobs.into_iter().collect(),
        failures: interpreter.failures,
    }
}

struct Interpreter<'a> {
    program: &'a Program,
    oracle: &'a Oracle,
    jobs: Vec<(Position, Job)>,
    failures: BTreeSet<Position>,
}

impl Interpreter<'_> {
    /// The jobs from the `first` on may or may not run.
    fn uncertain(&mut self, first: usize) {
        for (_, job) in &mut self.jobs[first..] {
            job.is_certain = false;
        }
    }

    fn region(&mut self, entry: Entry<'_>) -> End {
        let program = self.program;
        let plan = program.plan.region(entry.region);
        let mut scope = Scope {
            values: vec![None; plan.nodes.len()],
            outer: entry.outer,
        };
        for (slot, input) in plan.inputs.iter().zip(entry.inputs) {
            scope.values[*slot] = Some(input);
        }
        let (mut fails, mut is_unknown, mut left) = (None, false, None);
        for (slot, id) in plan.nodes.iter().enumerate() {
            let node = program.plan.node(*id);
            if matches!(node.kind, PlanKind::Input | PlanKind::Assigned) {
                continue;
            }
            match self.node(*id, &scope, (&entry.path, &entry.from)) {
                None => {}
                Some(End::Value(value, outs)) => {
                    scope.values[slot] = Some(value);
                    for (slot, out) in node.assigned.iter().zip(outs) {
                        scope.values[*slot] = Some(out);
                    }
                }
                Some(end @ End::Leaves(..)) => {
                    assert!(left.is_none(), "behind what leaves nothing runs");
                    left = Some(end);
                }
                Some(End::Fails(error)) => fails = fails.or(Some(error)),
                Some(End::Unknown) => is_unknown = true,
            }
        }
        if let Some(error) = fails {
            return End::Fails(error);
        }
        if is_unknown {
            return End::Unknown;
        }
        if let Some(left) = left {
            return left;
        }
        let value = match plan.result {
            None => Known::new(0, &entry.from),
            Some(source) => scope.get(source).expect("all is there").clone(),
        };
        let outs = plan.outs.iter();
        let outs = outs.map(|out| scope.get(*out).expect("all is there").clone());
        match plan.exit {
            Exit::Value => End::Value(value, outs.collect()),
            exit => End::Leaves(exit, value, outs.collect()),
        }
    }

    /// `None` if something that the node needs is not there.
    fn node(
        &mut self,
        id: NodeId,
        scope: &Scope<'_>,
        (path, around): (&[FrameStep], &Rc<BTreeSet<Position>>),
    ) -> Option<End> {
        let node = self.program.plan.node(id);
        let mut from = (**around).clone();
        let mut inputs = Vec::new();
        for source in &node.uses {
            let known = scope.get(*source)?;
            inputs.push(known.clone());
            from.extend(known.from.iter().cloned());
        }
        for source in &node.after {
            from.extend(scope.get(*source)?.from.iter().cloned());
        }
        if node.kind != PlanKind::Call
            && !node
                .inside
                .iter()
                .all(|inner| captures_are_there(self.program, *inner, scope, 1))
        {
            return None;
        }
        let site = Site {
            id,
            scope,
            path,
            from: Rc::new(from),
        };
        let values: Vec<u64> = inputs.iter().map(|known| known.value).collect();
        let salt = self.program.salt(id);
        let value = |value| End::Value(Known::new(value, &site.from), vec![]);
        Some(match node.kind {
            PlanKind::Input | PlanKind::Assigned => unreachable!("they are given"),
            PlanKind::Value => value(plans::output(salt, &values)),
            PlanKind::Job => self.job(&site, values),
            PlanKind::Each { .. } => self.each(&site, plans::items(salt, &values)),
            PlanKind::Call => {
                let count = self.program.plan.region(node.inside[0]).inputs.len();
                let inputs = plans::call_inputs(salt, &values, count);
                let inputs = inputs.iter().map(|it| Known::new(*it, &site.from));
                let end = self.region(site.entry(node.inside[0], 0, inputs.collect()));
                match end {
                    End::Leaves(Exit::Return, known, _) | End::Value(known, _) => {
                        End::Value(known, vec![])
                    }
                    end => end,
                }
            }
            PlanKind::Branch => {
                let arm = plans::arm(salt, &values, node.inside.len());
                let region = node.inside[usize::try_from(arm).unwrap()];
                self.region(site.entry(region, arm, vec![]))
            }
            PlanKind::Loop { max, or_last } => self.rounds(&site, inputs, (max.unwrap(), or_last)),
            PlanKind::Rescue { is_typed } => self.rescue(&site, is_typed),
            PlanKind::Result { is_typed } => self.result(&site, is_typed),
            PlanKind::Finally => self.finally(&site),
            PlanKind::Race => self.race(&site),
            PlanKind::Sleep => value(0),
            PlanKind::Signal { .. } => match self.oracle.received.get(&site.position()) {
                None => End::Unknown,
                Some(None) => value(plans::TIMED_OUT),
                Some(Some(payload)) => value(*payload),
            },
        })
    }

    fn job(&mut self, site: &Site<'_>, inputs: Vec<u64>) -> End {
        let (id, at) = (site.id, site.position());
        let salt = self.program.salt(id);
        let mut output = plans::output(salt, &inputs);
        let is_lost = self.oracle.lost.contains(&at);
        if is_lost || self.program.fails_for_good(id) {
            // It may fail for good even if it can recover: beside something that has failed.
            self.failures.insert(at.clone());
            let node = self.program.plan.node(id);
            let keeps = node.keeps_error && !self.program.panics[index(id)] && !is_lost;
            let error = keeps.then(|| plans::error(salt, &inputs));
            let recovers = node.recovery.as_ref().is_some_and(|recovery| {
                (error.is_some() || !recovery.is_typed)
                    && !self.program.recovery_fails_for_good(id)
                    && !self.oracle.lost_recoveries.contains(&at)
                    && !self.oracle.unrecovered.contains(&at)
            });
            if !recovers {
                return End::Fails(error);
            }
            output = plans::recovered(salt, &inputs);
        }
        let job = Job {
            inputs,
            output,
            rests_on: (*site.from).clone(),
            is_certain: true,
        };
        self.jobs.push((site.position(), job));
        let from = Rc::new(BTreeSet::from([site.position()]));
        End::Value(
            Known {
                value: output,
                from,
            },
            vec![],
        )
    }

    fn each(&mut self, site: &Site<'_>, items: Vec<u64>) -> End {
        let body = self.program.plan.node(site.id).inside[0];
        let (mut results, mut from) = (Vec::new(), (*site.from).clone());
        let (mut fails, mut is_unknown) = (None, false);
        let mut returns: Option<End> = None;
        for (item, at) in items.into_iter().zip(0..) {
            let before = self.jobs.len();
            let item = Known::new(item, &site.from);
            let end = self.region(site.entry(body, at, vec![item]));
            if returns.is_some() {
                // Behind an item that returns: may have begun, or not.
                self.uncertain(before);
                continue;
            }
            match end {
                End::Value(known, _) => {
                    from.extend(known.from.iter().cloned());
                    results.push(known.value);
                }
                End::Fails(error) => fails = fails.or(Some(error)),
                End::Unknown => is_unknown = true,
                end @ End::Leaves(..) => returns = Some(end),
            }
        }
        match (fails, is_unknown, returns) {
            (Some(_), _, _) => End::Fails(None),
            (None, true, _) => End::Unknown,
            (None, false, Some(returns)) => returns,
            (None, false, None) => {
                let from = Rc::new(from);
                End::Value(Known::new(plans::join(&results), &from), vec![])
            }
        }
    }

    fn rounds(&mut self, site: &Site<'_>, starts: Vec<Known>, (max, or_last): (u32, bool)) -> End {
        let body = self.program.plan.node(site.id).inside[0];
        let mut variables = starts;
        for round in 0..max {
            match self.region(site.entry(body, round, variables)) {
                End::Leaves(Exit::Continue, _, outs) => variables = outs,
                End::Leaves(Exit::Break, value, outs) => return End::Value(value, outs),
                End::Value(..) => unreachable!("a round goes on to the next"),
                end => return end,
            }
        }
        if or_last {
            return End::Value(Known::new(0, &site.from), variables);
        }
        self.failures.insert(site.position());
        End::Fails(None)
    }

    /// What may fail; if it does, how much of it runs depends on time.
    fn body(&mut self, site: &Site<'_>, at: u32) -> End {
        let before = self.jobs.len();
        let region = self.program.plan.node(site.id).inside[usize::try_from(at).unwrap()];
        let end = self.region(site.entry(region, at, vec![]));
        if let End::Fails(_) = end {
            self.uncertain(before);
        }
        end
    }

    fn rescue(&mut self, site: &Site<'_>, is_typed: bool) -> End {
        let error = match self.body(site, 0) {
            End::Fails(error) => error,
            end => return end,
        };
        let Some(error) = caught(error, is_typed) else {
            return End::Fails(None);
        };
        let handler = self.program.plan.node(site.id).inside[1];
        let error = Known::new(error, &site.from);
        let before = self.jobs.len();
        let end = self.region(site.entry(handler, 1, vec![error]));
        if let End::Fails(_) = end {
            self.uncertain(before);
            return End::Fails(None);
        }
        end
    }

    fn result(&mut self, site: &Site<'_>, is_typed: bool) -> End {
        match self.body(site, 0) {
            End::Value(known, _) => {
                let value = plans::succeeded(known.value);
                End::Value(Known::new(value, &known.from), vec![])
            }
            End::Fails(error) => caught(error, is_typed).map_or(End::Fails(None), |error| {
                End::Value(Known::new(plans::failed(error), &site.from), vec![])
            }),
            end => end,
        }
    }

    fn finally(&mut self, site: &Site<'_>) -> End {
        let end = self.body(site, 0);
        if let End::Unknown = end {
            // It may be stopped from outside, and then this runs as well.
            let before = self.jobs.len();
            self.body(site, 1);
            self.uncertain(before);
            return end;
        }
        match (end, self.body(site, 1)) {
            (End::Fails(_), _) | (_, End::Fails(_)) => End::Fails(None),
            (end, _) => end,
        }
    }

    fn race(&mut self, site: &Site<'_>) -> End {
        let winner = self.oracle.winners.get(&site.position()).copied();
        let entries = self.program.plan.node(site.id).inside.clone();
        let mut won = End::Unknown;
        for (region, entry) in entries.into_iter().zip(0_u32..) {
            let before = self.jobs.len();
            let end = self.region(site.entry(region, entry, vec![]));
            if winner != Some(entry) || matches!(end, End::Fails(_)) {
                self.uncertain(before);
            }
            if winner == Some(entry) {
                won = match end {
                    End::Value(known, _) => {
                        let value = plans::won(entry, known.value);
                        End::Value(Known::new(value, &known.from), vec![])
                    }
                    End::Fails(_) => End::Fails(None),
                    End::Unknown | End::Leaves(..) => unreachable!("it ended"),
                };
            }
        }
        won
    }
}

/// A node that is interpreted, and where.
struct Site<'a> {
    id: NodeId,
    scope: &'a Scope<'a>,
    path: &'a [FrameStep],
    from: Rc<BTreeSet<Position>>,
}

impl<'a> Site<'a> {
    fn position(&self) -> Position {
        Position {
            frames: self.path.to_vec(),
            node: self.id,
        }
    }

    fn entry(&self, region: RegionId, index: u32, inputs: Vec<Known>) -> Entry<'a> {
        Entry {
            region,
            inputs,
            outer: Some(self.scope),
            path: [
                self.path,
                &[FrameStep {
                    node: self.id,
                    index,
                }],
            ]
            .concat(),
            from: Rc::clone(&self.from),
        }
    }
}

/// What a handler is given for a failure; `None` if it does not handle it.
fn caught(error: Option<u64>, is_typed: bool) -> Option<u64> {
    if is_typed {
        error
    } else {
        Some(plans::FAILURE)
    }
}

/// Whether every value from around a region that is used in it is there.
fn captures_are_there(program: &Program, inner: RegionId, scope: &Scope<'_>, depth: u32) -> bool {
    let region = program.plan.region(inner);
    let is_there = |source: &Source| {
        source.up < depth
            || scope
                .get(Source {
                    up: source.up - depth,
                    slot: source.slot,
                })
                .is_some()
    };
    region.result.iter().chain(&region.outs).all(is_there)
        && region.nodes.iter().all(|id| {
            let node = program.plan.node(*id);
            node.uses.iter().chain(&node.after).all(is_there)
                && (node.kind == PlanKind::Call
                    || node
                        .inside
                        .iter()
                        .all(|inner| captures_are_there(program, *inner, scope, depth + 1)))
        })
}
