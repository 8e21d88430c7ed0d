//! What a run of a program must give: the same program, interpreted by plain recursion.
//!
//! What depends on time (who wins a race, which signal a wait gets) is looked up in the run's own
//! records; everything else follows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use zahir_store::{
    Bond, ChildCall, Failure, FailureKind, FrameStep, Heir, Inherited, NodeId, Position, Record,
};

use super::families::{self, Child, Families, Family};
use super::plans::{self, Program};
use super::scripts::{self, Asked, Attempted, Heard, Want};
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
    /// How each child on record ends, by parent and number.
    pub(super) children: BTreeMap<(Position, u32), ChildEnds>,
}

/// How a child ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChildEnds {
    /// With this value, made from the results of these jobs.
    Gives(u64, BTreeSet<Position>),
    /// With a failure, and the error if it is kept.
    Fails(Option<u64>),
    Unknown,
}

impl Expected {
    /// All job instances that one rests on, directly or not.
    pub(super) fn rests_on(&self, position: &Position) -> BTreeSet<Position> {
        let mut found = BTreeSet::new();
        let mut open = vec![position];
        while let Some(position) = open.pop() {
            let job = self.jobs.get(position);
            for needed in job.iter().flat_map(|it| it.rests_on.iter().chain(&it.used)) {
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
    /// Its result; `None` if nobody can tell yet.
    pub(super) output: Option<u64>,
    /// The job instances whose results it rests on, and that are there when it starts.
    pub(super) rests_on: BTreeSet<Position>,
    /// What else is undone behind it.
    pub(super) used: BTreeSet<Position>,
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
    /// Those that failed without being recovered, as that was beside something else that failed, which
    /// does not count any more, or is not found again yet.
    unrecovered: BTreeSet<Position>,
    /// The jobs that spawned something else than before, which no handler is given.
    diverged: BTreeSet<Position>,
    /// The children.
    families: Arc<Families>,
}

impl Oracle {
    /// What these records, and the children in them, tell. If the run was repaired, signals may have
    /// been given back.
    pub(super) fn of<'r>(
        records: impl Iterator<Item = &'r Record>,
        families: Arc<Families>,
        is_repaired: bool,
    ) -> Self {
        let mut oracle = Self {
            families,
            ..Self::default()
        };
        let mut signals = Vec::new();
        let mut recovering = BTreeSet::new();
        // Whether something else may have failed before, so that what fails is not recovered.
        let mut may_be_beside = is_repaired;
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
                    if failure.kind == FailureKind::Diverged {
                        oracle.diverged.insert(at.clone());
                    }
                    oracle.lose(at, recovering.contains(at), may_be_beside);
                }
                Record::AttemptFailed {
                    at, retry_at: None, ..
                } if may_be_beside && !recovering.contains(at) => {
                    oracle.unrecovered.insert(at.clone());
                }
                _ => {}
            }
            may_be_beside |= matches!(
                record,
                Record::AttemptFailed { retry_at: None, .. } | Record::DeadlinePassed { .. }
            );
        }
        oracle
    }

    fn lose(&mut self, at: &Position, recovers: bool, may_be_beside: bool) {
        if recovers {
            self.lost_recoveries.insert(at.clone());
            return;
        }
        self.lost.insert(at.clone());
        if may_be_beside {
            self.unrecovered.insert(at.clone());
        }
    }

    fn wait_ends(&mut self, at: &Position, got: Option<u64>) {
        let before = self.received.insert(at.clone(), got);
        assert_eq!(before, None, "a wait ends twice");
    }
}

/// Whether time or a crash is the reason.
fn is_lost(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::TimedOut
        | FailureKind::Interrupted
        | FailureKind::Poisoned
        | FailureKind::Diverged => true,
        kind => {
            // Of a loop in a child that gives the result of its parent.
            let is_loop = kind == FailureKind::TooLarge;
            assert!(is_loop || matches!(kind, FailureKind::Error | FailureKind::Panic));
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

    /// The result of a job.
    fn result(value: u64, at: Position) -> Self {
        let from = Rc::new(BTreeSet::from([at]));
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
        children: BTreeMap::new(),
        trail: Trail::default(),
        diverges: false,
        divergent: BTreeSet::new(),
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
        children: interpreter.children,
    }
}

struct Interpreter<'a> {
    program: &'a Program,
    oracle: &'a Oracle,
    jobs: Vec<(Position, Job)>,
    failures: BTreeSet<Position>,
    children: BTreeMap<(Position, u32), ChildEnds>,
    /// What the region that is interpreted has behind its jobs.
    trail: Trail,
    /// Whether a failure of what is interpreted can't be handled.
    diverges: bool,
    /// The children whose failure can't be handled.
    divergent: BTreeSet<(Position, u32)>,
}

/// What runs behind the jobs of a region.
#[derive(Clone, Copy, Debug, Default)]
struct Trail {
    /// A child fails, and nobody waits for it.
    fails: bool,
    /// Nobody can tell yet how a child ends.
    is_unknown: bool,
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
        let around = std::mem::take(&mut self.trail);
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
        let trail = std::mem::replace(&mut self.trail, around);
        if let Some(error) = fails {
            return End::Fails(error.filter(|_| !trail.fails));
        }
        if trail.fails {
            return End::Fails(None);
        }
        if is_unknown || trail.is_unknown {
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
                self.call(&site, &plans::call_inputs(salt, &values, count))
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
        if self.program.scripts[index(id)].is_some() {
            return self.parent(site, inputs);
        }
        let salt = self.program.salt(id);
        let mut output = plans::output(salt, &inputs);
        let is_lost = self.oracle.lost.contains(&at);
        if is_lost || self.fails_for_good(&at) {
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
            output: Some(output),
            rests_on: (*site.from).clone(),
            used: BTreeSet::new(),
            is_certain: true,
        };
        self.jobs.push((site.position(), job));
        End::Value(Known::result(output, at), vec![])
    }

    fn fails_for_good(&self, at: &Position) -> bool {
        let child = self.oracle.families.child(&self.program.plan, at);
        let child = child.map(|(number, child)| (number, child.limits));
        self.program.fails_for_good(at.node, child)
    }

    /// A job with children. Which of its calls is which child, how far it has come, and what it keeps
    /// is looked up.
    fn parent(&mut self, site: &Site<'_>, inputs: Vec<u64>) -> End {
        let (oracle, at) = (self.oracle, site.position());
        let none = Family::default();
        let family = oracle.families.get(&at).unwrap_or(&none);
        let spawned = family.children.len() - usize::from(family.heir.is_some());
        let mut ends = Vec::new();
        for (child, number) in family.children[..spawned].iter().zip(0..) {
            ends.push(self.spawned(site, family, child, number));
        }
        let end = self.parent_ends(site, family, &inputs, &ends);
        let mut job = Job {
            inputs,
            output: None,
            rests_on: (*site.from).clone(),
            used: BTreeSet::new(),
            is_certain: family.heir.is_none(),
        };
        if let (End::Value(known, _), true) = (&end, family.output.is_some()) {
            job.output = Some(known.value);
            for (child, end) in family.children.iter().zip(&ends) {
                if let (Bond::Held, End::Value(known, _)) = (child.bond, end) {
                    job.used.extend(known.from.iter().cloned());
                }
            }
        }
        if !matches!(end, End::Fails(_)) || family.heir.is_some() {
            self.jobs.push((at, job));
        }
        end
    }

    /// A child on record.
    fn spawned(&mut self, site: &Site<'_>, family: &Family, child: &Child, number: u32) -> End {
        let at = site.position();
        let mut from = (*site.from).clone();
        let has_result = family.output.is_some();
        let follows = child.bond == Bond::Followed && child.is_late(family) || child.is_left;
        if has_result && follows && !child.is_left {
            from.insert(at.clone());
        }
        let before = self.jobs.len();
        let arguments = plans::decoded(&child.arguments);
        let end = self.child(site, (number, child.kind), arguments, Rc::new(from));
        if child.is_suspended {
            self.uncertain(before);
            return end;
        }
        if has_result && child.is_left {
            for (_, job) in &mut self.jobs[before..] {
                job.used.insert(at.clone());
            }
        }
        match (&end, child.bond) {
            (End::Fails(_), Bond::Followed) => {
                self.trail.fails = true;
                self.diverges |= self.divergent.contains(&(at, number));
            }
            (End::Unknown, _) => self.trail.is_unknown = true,
            (_, _) => {}
        }
        end
    }

    fn child(
        &mut self,
        site: &Site<'_>,
        (number, kind): (u32, NodeId),
        arguments: Vec<u64>,
        from: Rc<BTreeSet<Position>>,
    ) -> End {
        let parent = site.position();
        let scope = Scope {
            values: vec![],
            outer: None,
        };
        let path = families::position(&parent, number, kind).frames;
        let child = Site {
            id: kind,
            scope: &scope,
            path: &path,
            from,
        };
        let before = self.jobs.len();
        let around = std::mem::take(&mut self.trail);
        let around_diverges = std::mem::take(&mut self.diverges);
        let end = match self.program.plan.node(kind).kind {
            PlanKind::Job => self.job(&child, arguments),
            _ => match self.call(&child, &arguments) {
                End::Fails(_) => End::Fails(None),
                end => end,
            },
        };
        let trail = std::mem::replace(&mut self.trail, around);
        let diverges = std::mem::replace(&mut self.diverges, around_diverges);
        let end = match end {
            End::Fails(error) => End::Fails(error.filter(|_| !trail.fails)),
            _ if trail.fails => End::Fails(None),
            _ if trail.is_unknown => End::Unknown,
            end => end,
        };
        let ends = match &end {
            End::Value(known, _) => ChildEnds::Gives(known.value, (*known.from).clone()),
            End::Fails(error) => {
                self.uncertain(before);
                if diverges {
                    self.divergent.insert((parent.clone(), number));
                }
                ChildEnds::Fails(*error)
            }
            End::Unknown | End::Leaves(..) => ChildEnds::Unknown,
        };
        self.children.insert((parent, number), ends);
        end
    }

    fn parent_ends(
        &mut self,
        site: &Site<'_>,
        family: &Family,
        inputs: &[u64],
        ends: &[End],
    ) -> End {
        let (id, at) = (site.id, site.position());
        let is_lost = self.oracle.lost.contains(&at);
        let heir = family.heir.as_ref();
        let heir = heir.map(|heir| self.heir(site, family, heir, ends));
        if family.has_failed || family.recovers {
            let mut ends = ends.iter().chain(&heir);
            let passes_on = ends.any(|it| matches!(it, End::Fails(_)));
            if is_lost || self.fails_for_good(&at) || passes_on {
                self.failures.insert(at.clone());
            }
        }
        if family.has_failed {
            self.diverges |= self.oracle.diverged.contains(&at);
            let keeps = self.program.plan.node(id).keeps_error;
            // That of an heir is none of its own, also behind a recovery in vain.
            let keeps = keeps && family.heir.is_none();
            let keeps = keeps && !self.program.panics[index(id)] && !is_lost;
            // The error of an heir is not one of its parent.
            let keeps = keeps && family.heir.is_none();
            return End::Fails(keeps.then(|| plans::error(self.program.salt(id), inputs)));
        }
        if family.output.is_none() {
            return heir.filter(|_| !family.recovers).unwrap_or(End::Unknown);
        }
        if family.recovers {
            return End::Value(
                Known::result(plans::recovered(self.program.salt(id), inputs), at),
                vec![],
            );
        }
        let attempted = Attempted {
            node: id,
            inputs,
            epoch: family.epoch,
            number: 0,
            fails: false,
            postpones: false,
        };
        let mut heard = Heard {
            kept: family.kept.clone(),
            ended: BTreeMap::new(),
        };
        for (call, number) in &family.bound {
            let told = match &ends[usize::try_from(*number).unwrap()] {
                End::Value(known, _) => Some(known.value),
                End::Fails(_) => None,
                End::Unknown | End::Leaves(..) => continue,
            };
            heard.ended.insert(call.clone(), told);
        }
        let asked = scripts::follow(self.program, &attempted, &heard);
        let Want::Gives(value) = asked.want else {
            panic!("{at:?} has a result, but would go on with {:?}", asked.want)
        };
        self.check_children(&at, family, &asked);
        End::Value(Known::result(value, at), vec![])
    }

    /// The children of a job that has its result are those that it had to spawn.
    fn check_children(&self, at: &Position, family: &Family, asked: &Asked) {
        let mut calls: BTreeSet<&ChildCall> = family.bound.keys().collect();
        for (spawn, _) in &asked.spawned {
            assert!(
                calls.remove(&spawn.call),
                "{:?} of {at:?} is not there",
                spawn.call
            );
            let number = usize::try_from(family.bound[&spawn.call]).unwrap();
            let child = &family.children[number];
            let is_awaited = asked.awaited.contains(&spawn.call);
            let bond = match spawn.bond {
                Bond::Held if !is_awaited => Bond::Followed,
                bond => bond,
            };
            assert_eq!(
                child.kind, spawn.kind,
                "the kind of child {number} of {at:?}"
            );
            assert_eq!((child.fan, child.limits), (spawn.fan, spawn.limits));
            assert!(
                child.bond == bond || bond == Bond::Followed && !child.is_left,
                "child {number} of {at:?} is {:?}, not {bond:?}",
                child.bond
            );
            let is_fickle = |it: &scripts::Script| it.is_fickle();
            assert!(
                child.arguments == spawn.arguments
                    || self.program.scripts[index(at.node)]
                        .as_ref()
                        .is_some_and(is_fickle),
                "the inputs of child {number} of {at:?}"
            );
        }
        calls.retain(|call| {
            let number = usize::try_from(family.bound[call]).unwrap();
            !family.children[number].is_suspended
        });
        assert!(
            calls.is_empty(),
            "{at:?} has children that it did not spawn"
        );
    }

    /// The job that gives the result of another.
    fn heir(&mut self, site: &Site<'_>, family: &Family, heir: &Heir, ends: &[End]) -> End {
        let mut from = (*site.from).clone();
        let at = site.position();
        let (mut fails, mut is_unknown, mut diverges) = (false, false, false);
        let mut child = |number: &u32| match &ends[usize::try_from(*number).unwrap()] {
            End::Value(known, _) => {
                from.extend(known.from.iter().cloned());
                known.value
            }
            End::Fails(_) => {
                fails = true;
                diverges |= self.divergent.contains(&(at.clone(), *number));
                0
            }
            End::Unknown | End::Leaves(..) => {
                is_unknown = true;
                0
            }
        };
        let arguments = heir.inputs.iter().map(|input| match &input.value {
            Inherited::Value(bytes) => plans::decoded(bytes)[0],
            Inherited::Child(number) => child(number),
            Inherited::Children(numbers) => {
                plans::join(&numbers.iter().map(&mut child).collect::<Vec<_>>())
            }
        });
        let arguments: Vec<_> = arguments.collect();
        if is_unknown {
            return End::Unknown;
        }
        if fails {
            self.diverges |= diverges;
            return End::Fails(None);
        }
        let number = u32::try_from(family.children.len() - 1).unwrap();
        match self.child(site, (number, heir.kind), arguments, Rc::new(from)) {
            End::Fails(_) => {
                self.diverges |= self.divergent.contains(&(at, number));
                End::Fails(None)
            }
            end => end,
        }
    }

    /// A called workflow.
    fn call(&mut self, site: &Site<'_>, inputs: &[u64]) -> End {
        let inputs = inputs.iter().map(|it| Known::new(*it, &site.from));
        let body = self.program.plan.node(site.id).inside[0];
        match self.region(site.entry(body, 0, inputs.collect())) {
            End::Leaves(Exit::Return, known, _) | End::Value(known, _) => End::Value(known, vec![]),
            end => end,
        }
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
    fn body(&mut self, site: &Site<'_>, at: u32) -> (End, bool) {
        let before = self.jobs.len();
        let region = self.program.plan.node(site.id).inside[usize::try_from(at).unwrap()];
        let around = std::mem::take(&mut self.diverges);
        let end = self.region(site.entry(region, at, vec![]));
        let diverges = std::mem::replace(&mut self.diverges, around);
        if let End::Fails(_) = end {
            self.uncertain(before);
        }
        let diverges = diverges && matches!(end, End::Fails(_));
        (end, diverges)
    }

    fn rescue(&mut self, site: &Site<'_>, is_typed: bool) -> End {
        let error = match self.body(site, 0) {
            (End::Fails(error), false) => error,
            (end, diverges) => {
                self.diverges |= diverges;
                return end;
            }
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
        let (end, diverges) = self.body(site, 0);
        if diverges {
            self.diverges = true;
            return End::Fails(None);
        }
        match end {
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
        let (end, diverges) = self.body(site, 0);
        self.diverges |= diverges;
        if let End::Unknown = end {
            // It may be stopped from outside, and then this runs as well.
            let before = self.jobs.len();
            self.body(site, 1);
            self.uncertain(before);
            return end;
        }
        let (last, diverges) = self.body(site, 1);
        self.diverges |= diverges;
        match (end, last) {
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
