//! A process that can die, its disk, its jobs and its clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{
    Attempt, Bond, ChildCall, DefinitionId, Ending, Failure, FailureKind, FrameStep, HeirInput,
    Inherited, NodeId, Position, Record, RunHead, RunId, RunStart, RunStatus, SpawnedChild,
    StoredRun, StoredStep, Timestamp,
};

use super::facts::{Facts, Past};
use super::families::{self, Families, PlainEnd};
use super::plans::{self, Program};
use super::reference::{self, ChildEnds, Expected, Oracle};
use super::rng::Rng;
use super::scripts::{self, Asked, Attempted, Heard, Want};
use super::versions::Version;
use crate::engine::{
    Action, AttemptOutcome, ChildEnd, Engine, Evaluated, Evaluation, Extra, Place, Refusal, Report,
    Tally, Verdict, Work,
};
use crate::history::entries::{self, Entry};
use crate::history::revise::{self, Case, Refused, Wish};
use crate::job::children::asked::Wait;
use crate::job::policy::Policy;
use crate::plan::{Plan, PlanKind, RegionId, SignalId, index};

/// An attempt that the engine asked for.
#[derive(Debug, Clone)]
struct Live {
    place: Place,
    position: Position,
    attempt: Attempt,
    inputs: Vec<u64>,
    work: Option<Box<Work<u64>>>,
    /// How far it has come, if it has children.
    doing: Option<Box<Doing>>,
}

/// How far an attempt has come that has children.
#[derive(Debug, Clone)]
struct Doing {
    heard: Heard,
    /// The children that it told of.
    told: BTreeSet<ChildCall>,
    stage: Stage,
    /// Whether it holds no slot.
    is_parked: bool,
    /// Whether it asked to go on for something else.
    is_woken: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Going,
    /// It waits for a value to be durable.
    Keeping(String, u64),
    /// It waits for children.
    Waiting(Vec<Wait>),
}

impl Doing {
    /// The children that it told of and whose end it was not told.
    fn left(&self, asked: &Asked) -> Vec<ChildCall> {
        let left = asked.spawned.iter().filter(|(spawn, _)| {
            spawn.bond == Bond::Held
                && self.told.contains(&spawn.call)
                && !self.heard.ended.contains_key(&spawn.call)
        });
        left.map(|(spawn, _)| spawn.call.clone()).collect()
    }
}

/// What is told of only with the end of an attempt, which nobody holds.
fn followers(mut spawned: Vec<SpawnedChild>) -> Vec<SpawnedChild> {
    for spawn in &mut spawned {
        if spawn.bond == Bond::Held {
            spawn.bond = Bond::Followed;
        }
    }
    spawned
}

impl Live {
    fn is_going(&self) -> bool {
        self.doing
            .as_ref()
            .is_none_or(|doing| doing.stage == Stage::Going)
    }

    fn is_parked(&self) -> bool {
        self.doing.as_ref().is_some_and(|doing| doing.is_parked)
    }

    fn waits(&self) -> Option<&[Wait]> {
        match &self.doing.as_ref()?.stage {
            Stage::Waiting(waits) => Some(waits),
            Stage::Going | Stage::Keeping(..) => None,
        }
    }
}

/// A report that may come again.
#[derive(Debug, Clone)]
enum Echo {
    Ended(Live),
    Parked(Live, Vec<SpawnedChild>, Vec<Wait>),
    Woken(Live),
    Kept(Live, String, u64),
}

impl Echo {
    const fn live(&self) -> &Live {
        match self {
            Self::Ended(live)
            | Self::Parked(live, ..)
            | Self::Woken(live)
            | Self::Kept(live, ..) => live,
        }
    }
}

/// What is in the hands of the process, and lost when it dies.
struct Process {
    engine: Engine<u64>,
    /// Appends that the writer has not acknowledged, by number.
    writes: VecDeque<(u64, StoredStep)>,
    live: Vec<Live>,
    evaluations: Vec<(Place, Evaluation, Vec<u64>)>,
    output: Option<u64>,
    is_stopping: bool,
}

pub(super) struct World<'a> {
    program: &'a Program,
    plan: Arc<Plan>,
    expected: Expected,
    /// Whether what is on the disk has decided more since.
    is_stale: bool,
    inputs: Vec<u64>,
    /// How many jobs may be under way.
    slots: usize,
    /// What node numbers refer to.
    definition: DefinitionId,
    /// What survives a crash: what of it counts.
    disk: Vec<StoredStep>,
    /// All of it, with the revisions in it.
    log: Vec<StoredStep>,
    /// Whether signals may have been given back, for others to take.
    is_repaired: bool,
    /// Whether its program was changed while it was undone: nothing of that runs any more.
    is_changed_in_vain: bool,
    /// What had begun when the program was changed, and goes on however much that is at once: blocks,
    /// as long as their `finally` is owed, and what was under way in a `for` whose limit is lower now.
    begun: BTreeSet<Position>,
    process: Option<Process>,
    now: Timestamp,
    /// The latest moment the process was told of.
    latest: Timestamp,
    echoes: Vec<Echo>,
    facts: Facts,
    /// The children on the disk ..
    families: Arc<Families>,
    /// .. and those of them and of what is being written.
    written: Families,
    /// The children that the engine is being told of.
    spawning: Vec<SpawnedChild>,
    /// What the attempt that ends has left.
    leaving: Vec<ChildCall>,
    /// How many values were computed that are to be kept.
    computed: u64,
    cancel_asked: bool,
    cancel_answered: bool,
    finished: Option<Ending>,
    /// How often each job instance was started.
    pub(super) executions: BTreeMap<Position, u32>,
    /// Everything handed out, when somebody wants to compare.
    pub(super) trace: Option<Vec<String>>,
    pub(super) crashes: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(program: &'a Program, inputs: &[u64], slots: usize) -> Self {
        Self {
            program,
            plan: Arc::clone(&program.plan),
            expected: reference::interpret(program, inputs, &Oracle::default()),
            is_stale: false,
            inputs: inputs.to_vec(),
            slots,
            definition: DefinitionId::from_u128(1),
            disk: Vec::new(),
            log: Vec::new(),
            is_repaired: false,
            is_changed_in_vain: false,
            begun: BTreeSet::new(),
            process: None,
            now: Timestamp::from_millis(1_000_000),
            latest: Timestamp::from_millis(1_000_000),
            echoes: Vec::new(),
            facts: Facts::default(),
            families: Arc::default(),
            written: Families::default(),
            spawning: Vec::new(),
            leaving: Vec::new(),
            computed: 0,
            cancel_asked: false,
            cancel_answered: false,
            finished: None,
            executions: BTreeMap::new(),
            trace: None,
            crashes: 0,
        }
    }

    /// A world whose program has versions, the first of them.
    pub(super) fn of(version: &'a Version, inputs: &[u64], slots: usize) -> Self {
        let mut world = Self::new(&version.program, inputs, slots);
        world.definition = version.definition.id;
        world
    }

    /// Starts a process: a fresh run, or a recovery from the disk.
    pub(super) fn boot(&mut self) {
        let plan = Arc::clone(&self.plan);
        let id = RunId::from_u128(42);
        let engine = if self.disk.is_empty() {
            let start = RunStart {
                workflow: "simulated".into(),
                key: None,
                definition: self.definition,
                input: vec![],
            };
            Engine::start(plan, id, Some(start), self.inputs.clone(), 0)
                .with_timeout(self.program.timeout)
        } else {
            let decode =
                &mut |_, _, bytes: &[u8]| Ok(u64::from_be_bytes(bytes.try_into().unwrap()));
            Engine::recover(plan, &self.stored(), self.inputs.clone(), 0, decode)
                .expect("a run goes on from its own records")
        };
        self.process = Some(Process {
            engine: engine
                .with_crashes_max(self.program.crashes_max)
                .begin(self.now),
            writes: VecDeque::new(),
            live: vec![],
            evaluations: vec![],
            output: None,
            is_stopping: false,
        });
        self.perform();
        // What came due while no process was there comes first.
        self.pass(0);
    }

    /// When the time of a node instance, or of the run, is over; set once.
    fn deadline(&self, position: Option<&Position>) -> Option<Timestamp> {
        self.written.deadlines.get(&position.cloned()).copied()
    }

    /// The same for what undoes the result of a node instance.
    fn undo_deadline(&self, position: &Position) -> Option<Timestamp> {
        self.written.undo_deadlines.get(position).copied()
    }

    pub(super) fn stored(&self) -> StoredRun {
        let records = self
            .disk
            .iter()
            .map(|step| step.records.len())
            .sum::<usize>();
        StoredRun {
            head: RunHead {
                id: RunId::from_u128(42),
                workflow: "simulated".into(),
                key: None,
                status: RunStatus::Running,
                started_at: self.now,
                updated_at: self.now,
                records: u64::try_from(records).unwrap(),
            },
            steps: self.disk.clone(),
        }
    }

    /// The process dies; of what it was writing, the first `kept` appends reached the disk.
    pub(super) fn crash(&mut self, kept: usize) {
        let mut process = self.process.take().expect("a process runs");
        self.crashes += 1;
        self.is_stale = true;
        for (_, step) in process.writes.drain(..kept) {
            self.persist(step);
        }
        self.written = Families::clone(&self.families);
        self.echoes.clear();
        if !self.is_cancelled_on_disk() {
            self.cancel_asked &= self.cancel_answered;
        }
    }

    fn persist(&mut self, step: StoredStep) {
        let families = Arc::make_mut(&mut self.families);
        for record in &step.records {
            families.apply(self.program, record);
            self.facts.apply(record);
        }
        self.log.push(step.clone());
        self.disk.push(step);
    }

    /// The run, which is over, is repaired: the disk has what counts from here on.
    pub(super) fn repair(&mut self, wish: &Wish) -> Result<(), Refused> {
        assert!(self.is_over_on_disk());
        self.revise(wish, None)?;
        let tried: BTreeSet<Position> = self.tried().into_iter().collect();
        self.executions.retain(|at, _| tried.contains(at));
        Ok(())
    }

    /// The run goes on as is wished, with another version of its program if there is one: the disk has
    /// what counts from here on.
    pub(super) fn revise(
        &mut self,
        wish: &Wish,
        change: Option<(&'a Version, &'a Version)>,
    ) -> Result<(), Refused> {
        assert!(self.is_over_on_disk() || self.process.is_none());
        let (was, now) = change.unzip();
        let id = now.map_or(self.definition, |now| now.definition.id);
        let case = Case {
            entries: entries::entries(self.stored()),
            plan: now.map_or(&self.plan, |now| &now.program.plan),
            id,
            path: &|at| format!("{at:?}"),
            change: was
                .map(|was| &was.definition)
                .zip(now.map(|now| &now.definition)),
        };
        let revised = revise::revise(case, wish)?;
        let was_over = self.is_over_on_disk();
        let made = revised.records.clone();
        self.log.push(StoredStep {
            at: self.now,
            records: revised.records,
        });
        // What was made is what is read, whatever was revised before.
        let counting = entries::entries(StoredRun {
            steps: self.log.clone(),
            ..self.stored()
        });
        let records = |entries: &[Entry]| -> Vec<Record> {
            entries.iter().map(|entry| entry.record.clone()).collect()
        };
        assert_eq!(records(&counting), records(&revised.entries));
        self.disk = entries::steps(counting);
        let program = now.map_or(self.program, |now| &now.program);
        let families = Families::of(program, self.disk_records());
        families.check_suspended(&made, was_over);
        self.written = families.clone();
        self.families = Arc::new(families);
        self.facts = Facts::of(self.disk_records());
        self.is_changed_in_vain &= self.is_undoing();
        self.is_changed_in_vain |= self.is_undoing() && change.is_some();
        self.definition = id;
        self.is_repaired = true;
        self.process = None;
        self.finished = None;
        if was_over {
            self.cancel_asked = self.is_cancelled_on_disk();
            self.cancel_answered = false;
        }
        self.is_stale = true;
        self.echoes.clear();
        if let Some((was, now)) = change {
            let lowered = was.with_lower_limits(now);
            let goes_on = |at: &Position| {
                self.past(at).is_under_way
                    && at.frames.iter().any(|step| lowered.contains(&step.node))
            };
            let begun = self.disk_records().filter_map(|it| match it {
                Record::BlockEntered { at } => Some(at.clone()),
                Record::AttemptStarted { at, .. } if goes_on(at) => Some(at.clone()),
                _ => None,
            });
            self.begun = begun.collect();
            self.program = &now.program;
            self.plan = Arc::clone(&now.program.plan);
            let executions = std::mem::take(&mut self.executions).into_iter();
            let there =
                executions.filter_map(|(at, count)| Some((was.translated(&at, now)?, count)));
            self.executions = there.collect();
        }
        Ok(())
    }

    /// The node instances that have their results.
    pub(super) fn succeeded_on_disk(&self) -> BTreeSet<Position> {
        let succeeded = self.disk_records().filter_map(|it| match it {
            Record::AttemptSucceeded { at, .. } | Record::AttemptRecovered { at, .. } => {
                Some(at.clone())
            }
            _ => None,
        });
        succeeded.collect()
    }

    /// The node instances that an attempt was made of.
    pub(super) fn tried(&self) -> Vec<Position> {
        let tried = self.disk_records().filter_map(|it| match it {
            Record::AttemptStarted {
                at,
                attempt: Attempt::FIRST,
            } => Some(at.clone()),
            _ => None,
        });
        tried.collect()
    }

    pub(super) fn is_over_on_disk(&self) -> bool {
        self.facts.is_over
    }

    pub(super) fn disk_records(&self) -> impl Iterator<Item = &Record> {
        self.disk.iter().flat_map(|step| &step.records)
    }

    pub(super) fn appends_on_disk(&self) -> usize {
        self.disk.len()
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn writes_under_way(&self) -> usize {
        self.process
            .as_ref()
            .map_or(0, |process| process.writes.len())
    }

    /// How many attempts can go on.
    pub(super) fn live(&self) -> usize {
        let live = self.process.iter().flat_map(|process| &process.live);
        live.filter(|live| live.is_going()).count()
    }

    /// How many attempts wait for children, and have not asked to go on.
    pub(super) fn parked(&self) -> usize {
        let live = self.process.iter().flat_map(|process| &process.live);
        live.filter(|live| live.is_parked() && !live.doing.as_ref().unwrap().is_woken)
            .count()
    }

    /// How many slots are in use.
    fn holding(&self) -> usize {
        let live = self.process.iter().flat_map(|process| &process.live);
        live.filter(|live| !live.is_parked()).count()
    }

    pub(super) fn evaluations(&self) -> usize {
        self.process
            .as_ref()
            .map_or(0, |process| process.evaluations.len())
    }

    pub(super) fn echoes(&self) -> usize {
        self.echoes.len()
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a process runs")
    }

    fn report(&mut self, report: Report<u64>) {
        let now = self.now;
        self.process().engine.handle(now, report);
        self.perform();
    }

    /// The writer acknowledges the next append.
    pub(super) fn acknowledge(&mut self) {
        let Some((seq, step)) = self.process().writes.pop_front() else {
            return;
        };
        let decides = |it: &Record| {
            matches!(
                it,
                Record::AttemptFailed { .. }
                    | Record::DeadlinePassed { .. }
                    | Record::RecoveryBegan { .. }
                    | Record::ChildrenSpawned { .. }
                    | Record::ChildrenLeft { .. }
                    | Record::ChildrenResumed { .. }
                    | Record::AttemptContinued { .. }
                    | Record::AttemptPostponed { .. }
                    | Record::ValueKept { .. }
            )
        };
        let has_children = |it: &Record| match it {
            Record::AttemptSucceeded { at, .. } | Record::AttemptRecovered { at, .. } => {
                self.program.scripts[index(at.node)].is_some()
            }
            _ => false,
        };
        self.is_stale |= step
            .records
            .iter()
            .any(|it| decides(it) || has_children(it));
        self.persist(step);
        self.report(Report::Durable { seq });
    }

    /// Hands out job slots, at most `most`.
    pub(super) fn grant(&mut self, most: usize) {
        let slots = self.slots;
        if self.process().engine.wants_lane() {
            self.report(Report::LaneGranted);
        }
        let holding = self.holding();
        let process = self.process();
        let granted = holding + process.engine.starting();
        let free = slots
            .saturating_sub(granted)
            .min(process.engine.wanted())
            .min(most);
        if free > 0 {
            self.report(Report::Granted { slots: free });
        }
    }

    /// A live attempt that can go on comes to its end, or to where it waits.
    pub(super) fn end_attempt(&mut self, at: usize, interrupted: bool) {
        let live = self.process().live.iter().enumerate();
        let mut going = live.filter(|(_, live)| live.is_going());
        let (at, live) = going.nth(at).expect("it can go on");
        if !interrupted && live.doing.is_some() {
            return self.go_on(at);
        }
        let live = self.process().live.swap_remove(at);
        self.report_attempt(&live, interrupted);
        self.echoes.push(Echo::Ended(live));
    }

    /// An attempt that has children goes on.
    fn go_on(&mut self, at: usize) {
        let live = self.process().live[at].clone();
        let asked = self.asked(&live);
        match asked.want {
            Want::Keep(name) => {
                self.computed += 1;
                let value = plans::mix(self.computed);
                self.doing(at).stage = Stage::Keeping(name.clone(), value);
                self.report(kept(&live, &name, value));
                self.echoes.push(Echo::Kept(live, name, value));
            }
            Want::Children(waits) => {
                let doing = self.doing(at);
                let mut spawned = Vec::new();
                for (spawn, is_late) in asked.spawned {
                    if !is_late && doing.told.insert(spawn.call.clone()) {
                        spawned.push(spawn);
                    }
                }
                doing.stage = Stage::Waiting(waits.clone());
                doing.is_woken = false;
                self.park(&live, &spawned, &waits);
                self.echoes.push(Echo::Parked(live, spawned, waits));
            }
            Want::Fails | Want::Postpones | Want::Gives(_) | Want::Continues(_) => {
                let live = self.process().live.swap_remove(at);
                self.report_attempt(&live, false);
                self.echoes.push(Echo::Ended(live));
            }
        }
    }

    fn doing(&mut self, at: usize) -> &mut Doing {
        let live = &mut self.process().live[at];
        live.doing.as_mut().expect("it has children")
    }

    fn asked(&self, live: &Live) -> Asked {
        let doing = live.doing.as_ref().expect("it has children");
        let past = self.past(&live.position);
        let node = live.position.node;
        let attempted = Attempted {
            node,
            inputs: &live.inputs,
            epoch: past.postponed,
            number: live.attempt.number(),
            fails: past.failed < self.fails(&live.position),
            postpones: past.postponed < self.program.habits[index(node)].postpones,
        };
        scripts::follow(self.program, &attempted, &doing.heard)
    }

    /// How often a node instance fails.
    fn fails(&self, position: &Position) -> u32 {
        let child = self.families.child(&self.plan, position);
        let child = child.map(|(number, _)| number);
        self.program.fails(position.node, child)
    }

    /// The policy of a node instance.
    fn policy(&self, position: &Position) -> Policy {
        let mut policy = self.plan.node(position.node).policy;
        if let Some((_, child)) = self.families.child(&self.plan, position) {
            policy.retry = child.limits.retry.unwrap_or(policy.retry);
            let limit = child.limits.total_timeout.map(Duration::from_millis);
            policy.total_timeout = limit.or(policy.total_timeout);
        }
        policy
    }

    fn park(&mut self, live: &Live, spawned: &[SpawnedChild], waits: &[Wait]) {
        self.spawning = spawned.to_vec();
        self.report(Report::Parked {
            place: live.place,
            attempt: live.attempt,
            spawned: spawned.to_vec(),
            waits: waits.to_vec(),
        });
        self.spawning.clear();
    }

    /// All children that an attempt told of are there, as it told.
    fn check_told(&self, live: &Live) {
        let doing = live.doing.as_ref().expect("it has children");
        let asked = self.asked(live);
        let told = asked.spawned.iter();
        for (spawn, _) in told.filter(|(spawn, _)| doing.told.contains(&spawn.call)) {
            let family = self.families.get(&live.position);
            let number = family.and_then(|family| family.bound.get(&spawn.call));
            let number = number.unwrap_or_else(|| panic!("{spawn:?} is lost"));
            let child = &family.unwrap().children[usize::try_from(*number).unwrap()];
            assert_eq!(
                (child.kind, &child.arguments),
                (spawn.kind, &spawn.arguments)
            );
        }
    }

    fn find(&self, place: Place, attempt: Attempt) -> Option<usize> {
        let live = &self.process.as_ref()?.live;
        live.iter()
            .position(|live| (live.place, live.attempt) == (place, attempt))
    }

    /// An attempt that is parked has something else to do.
    pub(super) fn awake(&mut self, at: usize) {
        let mut parked = self.process().live.iter_mut();
        let parked = parked.find_map({
            let mut left = at;
            move |live| {
                let doing = live.doing.as_ref()?;
                if !doing.is_parked || doing.is_woken {
                    return None;
                }
                left = left.checked_sub(1).map_or(usize::MAX, |left| left);
                (left == usize::MAX).then_some(live)
            }
        });
        let live = parked.expect("it is parked");
        live.doing.as_mut().unwrap().is_woken = true;
        let live = live.clone();
        self.report(woken(&live));
        self.echoes.push(Echo::Woken(live));
    }

    /// A report that came before comes again.
    pub(super) fn repeat_attempt(&mut self, at: usize) {
        let echo = self.echoes[at].clone();
        let live = echo.live();
        if self.find(live.place, live.attempt).is_some() {
            return;
        }
        match &echo {
            Echo::Ended(live) => self.report_attempt(live, false),
            Echo::Parked(live, spawned, waits) => self.report(Report::Parked {
                place: live.place,
                attempt: live.attempt,
                spawned: spawned.clone(),
                waits: waits.clone(),
            }),
            Echo::Woken(live) => self.report(woken(live)),
            Echo::Kept(live, name, value) => self.report(kept(live, name, *value)),
        }
    }

    fn report_attempt(&mut self, live: &Live, interrupted: bool) {
        let outcome = if interrupted {
            AttemptOutcome::Interrupted
        } else {
            self.outcome(live)
        };
        (self.spawning, self.leaving) = match &outcome {
            AttemptOutcome::Succeeded {
                extra: Some(extra), ..
            } => (extra.spawned.clone(), extra.left.clone()),
            AttemptOutcome::Postponed { spawned, left, .. } => (spawned.clone(), left.clone()),
            AttemptOutcome::Continued { spawned, .. } => (spawned.clone(), vec![]),
            _ => (vec![], vec![]),
        };
        self.report(Report::AttemptEnded {
            place: live.place,
            attempt: live.attempt,
            outcome,
        });
        self.spawning.clear();
        self.leaving.clear();
    }

    /// What an attempt comes to.
    fn outcome(&self, live: &Live) -> AttemptOutcome<u64> {
        let node = live.position.node;
        let habit = self.program.habits[index(node)];
        let salt = self.program.salt(node);
        let past = self.past(&live.position);
        let verdict = |is_fatal| {
            if is_fatal {
                Verdict::Final
            } else {
                Verdict::ByPolicy
            }
        };
        match live.work.as_deref() {
            Some(Work::Undo { .. }) if past.failed_undos < habit.undo_fails => {
                failed(Verdict::ByPolicy, None)
            }
            Some(Work::Undo { .. }) => succeeded(0, None),
            Some(Work::Recover { .. }) if past.failed_recoveries < habit.recovery_fails => {
                failed(Verdict::ByPolicy, Some(99))
            }
            Some(Work::Recover { .. }) => {
                self.succeeded(live, plans::recovered(salt, &live.inputs))
            }
            Some(Work::Resume { .. }) | None if live.doing.is_some() => self.scripted(live),
            Some(Work::Resume { .. }) | None => {
                if past.failed < self.fails(&live.position) {
                    let is_error = !self.program.panics[index(node)];
                    let error = is_error.then(|| plans::error(salt, &live.inputs));
                    failed(verdict(habit.is_fatal), error)
                } else if past.postponed < habit.postpones {
                    let state = vec![u8::try_from(past.postponed).unwrap() + 1];
                    AttemptOutcome::postponed(Duration::from_millis(30), state)
                } else {
                    self.succeeded(live, plans::output(salt, &live.inputs))
                }
            }
        }
    }

    /// What an attempt comes to that has children.
    fn scripted(&self, live: &Live) -> AttemptOutcome<u64> {
        let (node, asked) = (live.position.node, self.asked(live));
        let doing = live.doing.as_ref().expect("it has children");
        let new = asked.spawned.iter();
        let new = new.filter(|(spawn, _)| !doing.told.contains(&spawn.call));
        let new: Vec<_> = new.map(|(spawn, _)| spawn.clone()).collect();
        match asked.want {
            Want::Fails => {
                let habit = self.program.habits[index(node)];
                let is_error = !self.program.panics[index(node)];
                let error = is_error.then(|| plans::error(self.program.salt(node), &live.inputs));
                let is_planned = self.past(&live.position).failed < self.fails(&live.position);
                if habit.is_fatal && is_planned {
                    failed(Verdict::Final, error)
                } else {
                    failed(Verdict::ByPolicy, error)
                }
            }
            Want::Postpones => AttemptOutcome::Postponed {
                after: Duration::from_millis(30),
                state: vec![u8::try_from(self.past(&live.position).postponed).unwrap() + 1],
                spawned: followers(new),
                left: doing.left(&asked),
            },
            Want::Gives(value) => {
                let is_owed = self.plan.node(node).undo.is_some();
                AttemptOutcome::Succeeded {
                    value,
                    encoded: value.to_be_bytes().to_vec(),
                    extra: Some(Box::new(Extra {
                        undo: is_owed.then(|| plans::arguments(&live.inputs)),
                        spawned: followers(new),
                        left: doing.left(&asked),
                        ..Extra::default()
                    })),
                }
            }
            Want::Continues(heir) => AttemptOutcome::Continued {
                spawned: new,
                heir: Box::new(heir),
            },
            Want::Keep(_) | Want::Children(_) => {
                // A report that comes again from an attempt that is not live.
                failed(Verdict::ByPolicy, None)
            }
        }
    }

    fn succeeded(&self, live: &Live, value: u64) -> AttemptOutcome<u64> {
        let is_owed = self.plan.node(live.position.node).undo.is_some();
        succeeded(value, is_owed.then(|| plans::arguments(&live.inputs)))
    }

    /// What happened to a node instance so far, durably.
    fn past(&self, position: &Position) -> Past {
        self.facts.past(position)
    }

    /// An evaluation comes back.
    pub(super) fn end_evaluation(&mut self, at: usize) {
        let (place, what, inputs) = self.process().evaluations.swap_remove(at);
        let result = Ok(self.evaluated(place.node, what, &inputs));
        self.report(Report::Evaluated { place, result });
    }

    /// What an evaluation gives.
    fn evaluated(&self, id: NodeId, what: Evaluation, inputs: &[u64]) -> Evaluated<u64> {
        let node = self.plan.node(id);
        let salt = self.program.salt(id);
        match (what, node.kind) {
            (Evaluation::Join, _) => Evaluated::Value(plans::join(inputs)),
            (Evaluation::Succeeded, _) => Evaluated::Value(plans::succeeded(inputs[0])),
            (Evaluation::Won(entry), _) => Evaluated::Value(plans::won(entry, inputs[0])),
            (Evaluation::TimedOut, _) => Evaluated::Value(plans::TIMED_OUT),
            (Evaluation::Received(payload), _) => {
                Evaluated::Value(u64::from_be_bytes(payload[..].try_into().unwrap()))
            }
            (Evaluation::Caught(_), kind) => {
                let error = inputs.first().copied().unwrap_or(plans::FAILURE);
                Evaluated::Value(if matches!(kind, PlanKind::Result { .. }) {
                    plans::failed(error)
                } else {
                    error
                })
            }
            (Evaluation::Step, PlanKind::Each { .. }) => {
                Evaluated::Items(plans::items(salt, inputs))
            }
            (Evaluation::Step, PlanKind::Call) => {
                let count = self.plan.region(node.inside[0]).inputs.len();
                Evaluated::Inputs(plans::call_inputs(salt, inputs, count))
            }
            (Evaluation::Step, PlanKind::Branch) => {
                Evaluated::Arm(plans::arm(salt, inputs, node.inside.len()))
            }
            (Evaluation::Step, PlanKind::Sleep) => Evaluated::Sleep(plans::nap(salt, inputs)),
            (Evaluation::Step, _) => Evaluated::Value(plans::output(salt, inputs)),
            (Evaluation::Given(arguments), _) => Evaluated::Inputs(plans::decoded(&arguments)),
            (Evaluation::Arguments { inputs: given, .. }, _) => {
                Evaluated::Arguments(heir_arguments(&given, inputs))
            }
        }
    }

    /// How many children another process counts that finds what is on the disk before the end.
    fn recounted(&self) -> Vec<Tally> {
        let mut stored = self.stored();
        let (counting, end) = entries::before_end(entries::entries(stored.clone()));
        stored.steps = entries::steps(counting);
        let decode = &mut |_, _, bytes: &[u8]| Ok(u64::from_be_bytes(bytes.try_into().unwrap()));
        let plan = Arc::clone(&self.plan);
        let engine = Engine::recover(plan, &stored, self.inputs.clone(), 0, decode)
            .expect("a run goes on from its own records");
        engine.recount(end, |place, what, inputs| {
            Ok(self.evaluated(place.node, what, &inputs))
        })
    }

    /// Whether something is on record of a region, however it ends.
    fn is_recorded(&self, region: RegionId) -> bool {
        let nodes = self.plan.region(region).nodes.iter();
        let mut nodes = nodes.map(|id| self.plan.node(*id)).filter(|node| {
            let is_plain = matches!(
                node.kind,
                PlanKind::Input | PlanKind::Assigned | PlanKind::Value
            );
            !is_plain
        });
        // Behind the first of the others the region may be left.
        nodes.next().is_some_and(|node| match node.kind {
            PlanKind::Call
            | PlanKind::Loop { .. }
            | PlanKind::Rescue { .. }
            | PlanKind::Result { .. } => self.is_recorded(node.inside[0]),
            _ => true,
        })
    }

    /// Whether a region can fail with nothing on record: a loop in which all is pure has too many rounds.
    fn fails_unseen(&self, region: RegionId) -> bool {
        let nodes = self.plan.region(region).nodes.iter();
        nodes.map(|id| self.plan.node(*id)).any(|node| {
            let ends_in_failure = matches!(node.kind, PlanKind::Loop { or_last: false, .. });
            ends_in_failure && !self.is_recorded(node.inside[0])
                || node.inside.iter().any(|inner| self.fails_unseen(*inner))
        })
    }

    /// Whoever counts the children counts the same as a process that comes later. Unless nothing is on
    /// record of the end of some, which has come, or has not, before all came to its end.
    fn check_counts(&self, ending: &Ending) {
        let mut nodes = self.plan.nodes.iter();
        let sleeps = nodes.any(|node| node.kind == PlanKind::Sleep);
        if sleeps && !matches!(ending, Ending::Succeeded { .. }) {
            return;
        }
        let mut kinds = self.plan.nodes.iter().flat_map(|node| &node.kinds);
        let is_recorded = |kind: &NodeId| {
            let region = self.plan.node(*kind).region;
            self.is_recorded(region) && !self.fails_unseen(region)
        };
        if !kinds.all(is_recorded) {
            return;
        }
        let process = self.process.as_ref();
        if let Some(tally) = process.and_then(|process| process.engine.tally()) {
            assert_eq!(tally, self.recounted(), "children");
        }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, millis: u64) {
        self.now = Timestamp::from_millis(self.now.as_millis() + millis);
        let now = self.now;
        self.latest = self.latest.max(now);
        let process = self.process();
        if process.engine.poll_timeout().is_some_and(|due| due <= now) {
            process.engine.handle_timeout(now);
            self.perform();
        }
    }

    /// Time passes while no process is there.
    pub(super) fn wait(&mut self, millis: u64) {
        assert!(self.process.is_none());
        self.now = Timestamp::from_millis(self.now.as_millis() + millis);
        self.latest = self.latest.max(self.now);
    }

    /// Whether an attempt to undo a result is under way.
    pub(super) fn has_begun_to_undo(&self) -> bool {
        let undoes = |live: &Live| matches!(live.work.as_deref(), Some(Work::Undo { .. }));
        let mut live = self.process.iter().flat_map(|it| &it.live);
        live.any(undoes)
    }

    /// The clock jumps back.
    pub(super) fn jump_back(&mut self, millis: u64) {
        self.now = Timestamp::from_millis(self.now.as_millis().saturating_sub(millis));
    }

    /// Time passes until the next timer.
    pub(super) fn pass_to_timer(&mut self) {
        if let Some(due) = self.process().engine.poll_timeout() {
            let millis = due.as_millis().saturating_sub(self.now.as_millis());
            self.pass(millis);
        }
    }

    /// Somebody sends a signal.
    pub(super) fn signal(&mut self, name: usize, payload: u64) {
        let ticket = 100 + self.facts.signals;
        self.report(Report::SignalReceived {
            signal: SignalId(name),
            payload: payload.to_be_bytes().to_vec(),
            ticket,
        });
    }

    /// Whether the run can only go on with a signal.
    pub(super) fn awaits_signal(&self) -> bool {
        // An attempt that waits for children might be woken by something else; here, none is.
        let process = self.process.as_ref();
        process.is_some_and(|process| process.engine.awaits_signal())
    }

    pub(super) fn cancel(&mut self) {
        self.cancel_asked = true;
        self.report(Report::CancelRequested {
            reason: "enough".into(),
            ticket: 9,
        });
    }

    pub(super) fn stop(&mut self) {
        self.process().is_stopping = true;
        self.report(Report::ShutdownRequested);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.is_stopping)
    }

    /// Whether a process that was told to stop has nothing left to do.
    pub(super) fn has_stopped(&self) -> bool {
        let idle = |process: &Process| process.engine.is_idle() && process.writes.is_empty();
        self.process
            .as_ref()
            .is_some_and(|process| process.is_stopping && idle(process))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Takes actions until there are none.
    #[expect(clippy::too_many_lines, reason = "one arm for each action")]
    fn perform(&mut self) {
        while let Some(action) = self.process().engine.poll_action() {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("{action:?}"));
            }
            match action {
                Action::Append {
                    seq,
                    first,
                    records,
                } => self.write(seq, first, records),
                Action::Start {
                    place,
                    attempt,
                    frames,
                    inputs,
                    work,
                    ..
                } => {
                    let position = Position {
                        frames: frames.map_or_else(Vec::new, |frames| frames.to_vec()),
                        node: place.node,
                    };
                    let mut live = Live {
                        place,
                        position,
                        attempt,
                        inputs,
                        work,
                        doing: None,
                    };
                    self.prepare(&mut live);
                    self.start(live);
                }
                Action::Evaluate {
                    place,
                    what,
                    inputs,
                } => {
                    self.process().evaluations.push((place, what, inputs));
                }
                Action::EncodeOutput { output } => {
                    let encoded = output.to_be_bytes().to_vec();
                    let now = self.now;
                    let report = Report::OutputEncoded {
                        result: Ok((output, encoded)),
                    };
                    self.process().engine.handle(now, report);
                }
                Action::Abort { place, attempt } => self.abort(place, attempt),
                Action::Answer { ticket: 9 } => {
                    assert!(
                        self.is_cancelled_on_disk() || self.is_over_on_disk() || self.is_undoing(),
                        "a cancel was answered before it was durable"
                    );
                    self.cancel_answered = true;
                }
                Action::Answer { ticket } => {
                    let received = self.facts.signals;
                    assert!(ticket < 100 + received, "a signal was answered too early");
                }
                Action::Refuse { why, .. } => assert_eq!(why, Refusal::Over),
                Action::Skip { at } => {
                    assert!(!self.has_begun(&at), "{at:?} ran, and is skipped");
                }
                Action::Finish { ending, output, .. } => {
                    assert!(self.is_over_on_disk(), "finished before that was durable");
                    assert!(self.process().live.is_empty(), "jobs are under way");
                    self.process().output = output;
                    self.finished = Some(ending);
                }
                Action::Resume {
                    place,
                    attempt,
                    ended,
                } => self.resume(place, attempt, ended),
                Action::Kept {
                    place,
                    attempt,
                    name,
                } => self.confirm(place, attempt, &name),
                Action::Diverge {
                    place,
                    attempt,
                    call,
                    before,
                    now,
                } => {
                    let at = self.find(place, attempt).expect("it is live");
                    let live = self.process().live.swap_remove(at);
                    let before = (before.0, before.1.to_vec());
                    self.check_divergence(&live, &call, &before, &now);
                    let now = self.now;
                    self.process().engine.handle(
                        now,
                        Report::AttemptEnded {
                            place,
                            attempt,
                            outcome: AttemptOutcome::Failed {
                                failure: Failure {
                                    kind: FailureKind::Diverged,
                                    message: "it spawns something else".into(),
                                },
                                error: None,
                                verdict: Verdict::Final,
                            },
                        },
                    );
                }
                Action::Halt(violation) => {
                    panic!("{violation}")
                }
            }
        }
        let holding = self.holding();
        let process = self.process();
        if process.writes.is_empty() {
            let running = usize::try_from(process.engine.progress().running).unwrap();
            assert_eq!(running, holding, "attempts that hold a slot");
        }
    }

    /// An attempt is told how children ended.
    fn resume(&mut self, place: Place, attempt: Attempt, ended: Vec<(ChildCall, ChildEnd<u64>)>) {
        let at = self.find(place, attempt).expect("it is live");
        let live = self.process().live[at].clone();
        let waits = live.waits().expect("it waits for children").to_vec();
        self.check_told(&live);
        assert!(!live.is_parked(), "{:?} has no slot", live.position);
        assert!(!self.is_dropped(&live.position) || self.is_in_last(&live.position, 0));
        for (call, end) in ended {
            let is_awaited = waits.iter().any(|wait| wait.children.contains(&call));
            assert!(
                is_awaited,
                "{call:?} of {:?} was not asked for",
                live.position
            );
            let told = self.check_end(&live.position, &call, &end);
            let before = self.doing(at).heard.ended.insert(call, told);
            assert_eq!(before, None, "{:?} is told twice", live.position);
        }
        let doing = self.doing(at);
        let is_over = |wait: &Wait| {
            let open = wait.children.iter();
            let open = open.filter(|call| !doing.heard.ended.contains_key(*call));
            open.count() <= wait.open_max
        };
        assert!(
            doing.is_woken || waits.iter().any(is_over),
            "{:?} goes on, but nothing that it waits for is over",
            live.position
        );
        doing.is_woken = false;
        doing.stage = Stage::Going;
    }

    /// What an attempt is told of a child is so, and is durable.
    fn check_end(
        &mut self,
        parent: &Position,
        call: &ChildCall,
        end: &ChildEnd<u64>,
    ) -> Option<u64> {
        let family = self.families.get(parent).expect("it has children");
        let number = family.bound[call];
        let key = (parent.clone(), number);
        let is_known = |expected: &Expected| {
            let end = expected.children.get(&key);
            end.is_some_and(|end| *end != ChildEnds::Unknown)
        };
        if std::mem::take(&mut self.is_stale) || !is_known(&self.expected) {
            self.look_again();
        }
        let family = self.families.get(parent).expect("it has children");
        let child = &family.children[usize::try_from(number).unwrap()];
        let at = families::position(parent, number, child.kind);
        let expected = &self.expected.children[&key];
        match (end, expected) {
            (ChildEnd::Succeeded(value), ChildEnds::Gives(given, from)) => {
                assert_eq!(value, given, "what child {number} of {parent:?} gave");
                for needed in from {
                    assert!(
                        self.has_result(needed),
                        "what {needed:?} gave is not durable"
                    );
                }
                Some(*value)
            }
            (ChildEnd::Failed(caught, error), ChildEnds::Fails(given)) => {
                // Of several nodes of a workflow that fail, the first one in time tells how that does.
                let is_one = self.plan.node(child.kind).kind == PlanKind::Job;
                assert!(
                    error == given || !is_one,
                    "how child {number} of {parent:?} failed: {error:?}, not {given:?}"
                );
                assert!(
                    self.has_failed(&caught.at) || self.failed_otherwise(&caught.at),
                    "that {:?} failed is not durable",
                    caught.at
                );
                assert!(caught.at.frames.starts_with(&at.frames));
                if let Some(PlainEnd::Failed(failures)) = child.plain_end
                    && !child.is_spent
                {
                    assert_eq!(failures, family.failures, "{call:?} is not called again");
                }
                None
            }
            (_, _) => panic!("child {number} of {parent:?}: {end:?}, but {expected:?}"),
        }
    }

    /// Whether what failed there is no job.
    fn failed_otherwise(&self, position: &Position) -> bool {
        self.plan.node(position.node).kind != PlanKind::Job
    }

    fn has_heir(&self, position: &Position) -> bool {
        let family = self.written.get(position);
        family.is_some_and(|family| family.heir.is_some())
    }

    fn has_result(&self, position: &Position) -> bool {
        self.past(position).has_result
    }

    /// A value that an attempt keeps is durable.
    fn confirm(&mut self, place: Place, attempt: Attempt, name: &str) {
        let at = self.find(place, attempt).expect("it is live");
        let live = self.process().live[at].clone();
        let doing = live.doing.as_ref().expect("it has children");
        let Stage::Keeping(keeps, value) = &doing.stage else {
            panic!("{:?} keeps no value", live.position)
        };
        assert_eq!(keeps, name);
        let family = self.families.get(&live.position);
        let durable = family.and_then(|family| family.kept.get(name));
        assert_eq!(durable, Some(value), "what {:?} keeps", live.position);
        let doing = self.doing(at);
        doing.heard.kept.insert(name.to_owned(), *value);
        doing.stage = Stage::Going;
    }

    /// An attempt that is dropped for that spawned another child than one before it.
    fn check_divergence(
        &self,
        live: &Live,
        call: &ChildCall,
        before: &(NodeId, Vec<u8>),
        now: &(NodeId, Vec<u8>),
    ) {
        assert_ne!(before, now);
        let family = self.written.get(&live.position).expect("it has children");
        let child = &family.children[usize::try_from(family.bound[call]).unwrap()];
        assert_eq!(*before, (child.kind, child.arguments.clone()));
        let asked = self.asked(live);
        let spawned = asked.spawned.iter().find(|(spawn, _)| spawn.call == *call);
        let (spawn, _) = spawned.expect("it spawned that");
        assert_eq!(*now, (spawn.kind, spawn.arguments.clone()));
        let script = self.program.scripts[index(live.position.node)].as_ref();
        let is_fickle = script.is_some_and(scripts::Script::is_fickle);
        // A child that runs again after a repair may give something else.
        assert!(
            is_fickle || self.is_repaired,
            "{:?} diverges",
            live.position
        );
    }

    /// An attempt that is about to start is given what it needs.
    fn prepare(&self, live: &mut Live) {
        if let Some(
            Work::Resume {
                arguments: Some(arguments),
                ..
            }
            | Work::Recover {
                arguments: Some(arguments),
                ..
            },
        ) = live.work.as_deref()
        {
            assert!(live.inputs.is_empty());
            live.inputs = plans::decoded(arguments);
        }
        let is_job = matches!(live.work.as_deref(), Some(Work::Resume { .. }) | None);
        if !is_job || self.program.scripts[index(live.position.node)].is_none() {
            return;
        }
        let mut heard = Heard::default();
        if let Some(Work::Resume { kept, .. }) = live.work.as_deref() {
            let kept = kept.iter();
            heard.kept = kept
                .map(|(name, value)| (name.to_string(), plans::decoded(value)[0]))
                .collect();
        }
        live.doing = Some(Box::new(Doing {
            heard,
            told: BTreeSet::new(),
            stage: Stage::Going,
            is_parked: false,
            is_woken: false,
        }));
    }

    /// Shows the program and what is on the disk.
    fn describe(&self) {
        for (at, node) in self.plan.nodes.iter().enumerate() {
            println!(
                "node {at}: {:?} r{}.{} {:?} uses {:?} after {:?} inside {:?} assigned {:?} {:?}",
                (
                    node.policy,
                    &node.recovery,
                    &node.undo,
                    self.program.habits[at]
                ),
                node.region.0,
                node.slot,
                node.kind,
                node.uses,
                node.after,
                node.inside,
                node.assigned,
                self.program.scripts[at],
            );
        }
        for (at, region) in self.plan.regions.iter().enumerate() {
            println!("region {at}: {region:?}");
        }
        for step in &self.log {
            println!("log {} {:?}", step.at.as_millis(), step.records);
        }
        for step in &self.disk {
            println!("{} {:?}", step.at.as_millis(), step.records);
        }
        if let Some(process) = &self.process {
            println!("{:#?}", process.engine);
        }
    }

    fn abort(&mut self, place: Place, attempt: Attempt) {
        let live = &mut self.process.as_mut().expect("a process runs").live;
        // It may have ended by itself meanwhile.
        let Some(at) = live
            .iter()
            .position(|live| (live.place, live.attempt) == (place, attempt))
        else {
            return;
        };
        let aborted = live.swap_remove(at);
        // Where nothing begins any more, an attempt that waits is dropped; on record it is not under way.
        let may_end = aborted.waits().is_some()
            && (self.is_stopping()
                || self.has_failed_inside(&[])
                || !self.expected.failures.is_empty()
                || self.expected.output.is_none())
            && !self.past(&aborted.position).is_under_way;
        assert!(
            may_end
                || self.is_dropped(&aborted.position)
                || self.has_timed_out(&aborted.position)
                || self.has_undo_timed_out(&aborted.position),
            "{:?} is aborted before the reason is durable",
            aborted.position
        );
    }

    fn is_cancelled_on_disk(&self) -> bool {
        self.facts.is_cancelled
    }

    fn is_expired(&self) -> bool {
        self.facts.is_expired
    }

    fn is_undoing(&self) -> bool {
        self.facts.is_undoing
    }

    /// Whether all of its attempts together took too long.
    fn has_timed_out(&self, position: &Position) -> bool {
        self.facts.timed_out.contains(position)
    }

    /// Whether all attempts to undo its result together took too long.
    fn has_undo_timed_out(&self, position: &Position) -> bool {
        self.facts.undo_timed_out.contains(position)
    }

    /// Whether what is under way there is dropped.
    fn is_dropped(&self, position: &Position) -> bool {
        self.is_cancelled_on_disk() || self.is_expired() || self.has_lost(position)
    }

    /// Whether it is in an entry of a race that another one won.
    fn has_lost(&self, position: &Position) -> bool {
        self.facts.races.iter().any(|(at, entry)| {
            position
                .frames
                .get(at.frames.len())
                .is_some_and(|step| step.node == at.node && step.index != *entry)
                && position.frames.starts_with(&at.frames)
        })
    }

    /// Whether it is in a `finally`, at this depth or deeper.
    fn is_in_last(&self, position: &Position, depth: usize) -> bool {
        position.frames[depth..]
            .iter()
            .any(|step| step.index == 1 && self.plan.node(step.node).kind == PlanKind::Finally)
    }

    /// How many frames are around what catches the failure of a node there, or tells its parent.
    fn catcher(&self, position: &Position) -> usize {
        let catches = |step: &FrameStep| {
            matches!(
                self.plan.node(step.node).kind,
                PlanKind::Rescue { .. }
                    | PlanKind::Result { .. }
                    | PlanKind::Finally
                    | PlanKind::Race
                    | PlanKind::Job
            )
        };
        let at = position.frames.iter().rposition(catches);
        at.map_or(0, |at| at + 1)
    }

    /// Whether the failure of what is at `failed` stops what is at `position`.
    fn stops(&self, failed: &Position, position: &Position) -> bool {
        let depth = self.catcher(failed);
        let is_inside = position.frames.starts_with(&failed.frames[..depth])
            && !self.is_in_last(position, depth);
        if is_inside {
            return true;
        }
        let child = self.families.child(&self.plan, failed);
        let follows =
            child.is_some_and(|(_, child)| child.is_plain && child.bond == Bond::Followed);
        let parent = families::parent(&self.plan, failed).filter(|_| follows);
        parent.is_some_and(|(parent, ..)| {
            let depth = self.catcher(&parent);
            position.frames.starts_with(&parent.frames[..depth])
                && !self.is_in_last(position, depth)
        })
    }

    /// Whether something failed that stops what is at this position.
    fn is_stopped(&self, position: &Position) -> bool {
        let mut failed = self.facts.failed.iter();
        failed.any(|at| self.stops(at, position))
    }

    /// What is on the disk may have decided more.
    fn look_again(&mut self) {
        let families = Arc::clone(&self.families);
        let oracle = Oracle::of(self.disk_records(), families, self.is_repaired);
        self.expected = reference::interpret(self.program, &self.inputs, &oracle);
    }

    fn write(&mut self, seq: u64, first: u64, records: Vec<Record>) {
        assert!(!records.is_empty());
        for record in &records {
            if let Record::RecoveryBegan { at, .. } = record {
                assert!(!self.is_stopped(at), "{at:?} recovers beside a failure");
            }
            if let Record::UndoFailed { at, failure, .. } = record
                && failure.kind == FailureKind::TimedOut
            {
                let due = self.undo_deadline(at).expect("it had a deadline");
                assert!(due <= self.latest, "the undo of {at:?} has time left");
            }
            let position = match record {
                Record::DeadlinePassed { at, .. } => at.as_ref(),
                // The failure of an heir is that of its own time.
                Record::RecoveryBegan { at, failure, .. }
                    if failure.kind == FailureKind::TimedOut && !self.has_heir(at) =>
                {
                    Some(at)
                }
                _ => continue,
            };
            let due = self.deadline(position).expect("it had a deadline");
            assert!(due <= self.latest, "{position:?} has time left");
        }
        self.check_written(&records);
        let written = self.facts.records;
        let process = self.process.as_mut().expect("a process runs");
        let queued = process
            .writes
            .iter()
            .map(|(_, step)| step.records.len())
            .sum::<usize>();
        assert_eq!(
            first,
            u64::try_from(written + queued).unwrap(),
            "records are numbered"
        );
        process.writes.push_back((
            seq,
            StoredStep {
                at: self.now,
                records,
            },
        ));
    }

    /// What is recorded of children is what attempts told, and comes when it may.
    fn check_written(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::ChildrenSpawned { at, children } => {
                    for child in children {
                        self.check_spawned(at, child, records);
                    }
                }
                Record::AttemptParked { at, attempt } => self.park_at(at, *attempt, true),
                Record::AttemptResumed { at, attempt } => self.park_at(at, *attempt, false),
                Record::AttemptSucceeded { at, .. } | Record::AttemptPostponed { at, .. } => {
                    self.check_left(at);
                }
                _ => {}
            }
            self.written.apply(self.program, record);
        }
        assert!(self.holding() <= self.slots, "more jobs than slots");
    }

    fn check_spawned(&mut self, at: &Position, child: &SpawnedChild, records: &[Record]) {
        let like = SpawnedChild {
            kind: child.kind,
            call: child.call.clone(),
            bond: child.bond,
            arguments: child.arguments.clone(),
            fan: child.fan,
            limits: child.limits,
        };
        let told = self.spawning.iter().position(|spawn| *spawn == like);
        let told = told.unwrap_or_else(|| panic!("{at:?} did not spawn {like:?}"));
        self.spawning.remove(told);
        let has_ended = |it: &Record| match it {
            Record::AttemptSucceeded { at: ended, .. }
            | Record::AttemptPostponed { at: ended, .. }
            | Record::AttemptContinued { at: ended, .. } => ended == at,
            _ => false,
        };
        assert!(
            child.bond != Bond::Followed || records.iter().any(has_ended),
            "a follower of {at:?} comes before its result"
        );
    }

    /// What an attempt spawned is there when its end is, and nobody holds what it left.
    fn check_left(&self, at: &Position) {
        let family = self.written.get(at);
        for SpawnedChild { call, .. } in &self.spawning {
            let is_there = family.is_some_and(|family| family.bound.contains_key(call));
            assert!(is_there, "{at:?} ends without {call:?}");
        }
        for call in &self.leaving {
            let family = family.expect("it has children");
            let number = family.bound[call];
            let child = &family.children[usize::try_from(number).unwrap()];
            assert_ne!(child.bond, Bond::Held, "child {number} of {at:?} is left");
        }
    }

    fn park_at(&mut self, position: &Position, attempt: Attempt, parks: bool) {
        let live = &mut self.process().live;
        let mut live = live.iter_mut();
        let live = live.find(|live| (&live.position, live.attempt) == (position, attempt));
        let live = live.expect("it is live");
        assert!(live.waits().is_some(), "{position:?} waits for nothing");
        let doing = live.doing.as_mut().expect("it has children");
        assert_ne!(doing.is_parked, parks, "{position:?} parks");
        doing.is_parked = parks;
    }

    /// The engine wants an attempt started: is it allowed to?
    fn start(&mut self, live: Live) {
        assert!(
            !self.is_over_on_disk(),
            "{:?} starts in a run that is over",
            live.position
        );
        assert!(
            !self.is_stopping(),
            "{:?} starts in a process that stops",
            live.position
        );
        if let Some(Work::Undo { .. }) = live.work.as_deref() {
            self.check_undo(&live);
        } else {
            self.check_start(&live);
            *self.executions.entry(live.position.clone()).or_default() += 1;
            let node = self.plan.node(live.position.node);
            let count = self.executions[&live.position];
            let has_recovered = matches!(live.work.as_deref(), Some(Work::Recover { .. }));
            assert!(
                !node.policy.at_most_once || count == 1 || has_recovered,
                "{:?} is started twice",
                live.position
            );
        }
        let past = self.past(&live.position);
        let node = self.plan.node(live.position.node);
        let (failed, most) = match live.work.as_deref() {
            Some(Work::Undo { .. }) => (past.failed_undos, node.undo.as_ref().map(|it| it.retry)),
            Some(Work::Recover { .. }) => {
                let recovery = node.recovery.as_ref();
                (past.failed_recoveries, recovery.map(|it| it.policy.retry))
            }
            Some(Work::Resume { .. }) | None => {
                let retry = self.policy(&live.position).retry;
                (past.failed_since, Some(retry))
            }
        };
        assert!(
            most.is_some_and(|most| failed <= most),
            "{:?} is tried too often",
            live.position
        );
        let latest = self.latest;
        assert!(
            past.due.is_none_or(|due| due <= latest),
            "{:?} is tried again too early",
            live.position
        );
        assert!(
            past.crashes < self.program.crashes_max,
            "{:?} is tried again although it is poisoned",
            live.position
        );
        let (slots, holding) = (self.slots, self.holding());
        let process = self.process();
        assert!(
            process.live.iter().all(|it| it.position != live.position),
            "twice at once"
        );
        assert!(holding < slots, "more jobs than slots");
        process.live.push(live);
    }

    /// A result may be undone when it is owed, and everything that rests on it is undone.
    fn check_undo(&mut self, live: &Live) {
        let Live {
            position, attempt, ..
        } = live;
        let started = Record::UndoStarted {
            at: position.clone(),
            attempt: *attempt,
        };
        assert!(
            self.disk_records().any(|it| *it == started),
            "the undo of {position:?} is not on record"
        );
        assert!(self.is_undoing(), "{position:?} is undone too early");
        let undone = self.undone();
        assert!(!undone.contains(position), "{position:?} is undone twice");
        let policy = self.plan.node(position.node).undo.as_deref();
        if policy.is_some_and(|policy| policy.total_timeout.is_some()) {
            let due = self.undo_deadline(position).expect("it has a deadline");
            assert!(due > self.now, "{position:?} is undone too late");
        }
        self.look_again();
        for (owed, arguments, output) in self.owed() {
            let rests_on_it = self.expected.rests_on(&owed).contains(position);
            assert!(
                !rests_on_it || undone.contains(&owed),
                "{position:?} is undone before {owed:?}"
            );
            if owed == *position {
                let expected = Work::Undo {
                    arguments: arguments.into(),
                    output: output.into(),
                };
                assert_eq!(live.work.as_deref(), Some(&expected));
            }
        }
    }

    /// The results that can be undone, with what they were made from.
    fn owed(&self) -> Vec<(Position, Vec<u8>, Vec<u8>)> {
        let mut owed = Vec::new();
        let mut last = None;
        for record in self.disk_records() {
            match record {
                Record::UndoOwed { at, arguments } => last = Some((at, arguments)),
                Record::AttemptSucceeded { at, output, .. }
                | Record::AttemptRecovered { at, output, .. } => {
                    let is_owed = self.plan.node(at.node).undo.is_some();
                    assert_eq!(last.is_some(), is_owed, "what {at:?} is owed");
                    if let Some((owed_at, arguments)) = last.take() {
                        assert_eq!(owed_at, at);
                        owed.push((at.clone(), arguments.clone(), output.clone()));
                    }
                }
                _ => {}
            }
        }
        owed
    }

    fn undone(&self) -> BTreeSet<Position> {
        let undone = self.disk_records().filter_map(|it| match it {
            Record::UndoSucceeded { at, .. } => Some(at.clone()),
            _ => None,
        });
        undone.collect()
    }

    fn check_start(&mut self, live: &Live) {
        let (position, attempt) = (live.position.clone(), live.attempt);
        let past = self.past(&position);
        assert_eq!(
            past.started,
            attempt.number(),
            "{position:?} is not on record"
        );
        assert!(
            past.is_under_way && !past.has_result,
            "{position:?} is over"
        );
        assert!(
            !self.is_undoing(),
            "{position:?} starts while all is undone"
        );
        assert!(
            attempt != Attempt::FIRST || !self.is_stopped(&position),
            "{position:?} starts beside something that failed"
        );
        if self.is_dropped(&position) {
            assert!(
                self.is_in_last(&position, 0),
                "{position:?} starts after a cancel"
            );
        }
        if let Some(due) = self.deadline(None) {
            let is_last = self.is_in_last(&position, 0);
            assert!(due > self.now || is_last, "{position:?} starts too late");
        }
        let limit = self.policy(&position).total_timeout;
        if limit.is_some() && !self.past(&live.position).recovers {
            let due = self
                .deadline(Some(&live.position))
                .expect("it has a deadline");
            assert!(due > self.now, "{position:?} starts too late");
        }
        self.check_work(live);
        self.check_family(&position);
        self.check_inputs(&position, &live.inputs);
        self.check_limits(&position);
    }

    /// An attempt is given what the last one left, or how that failed.
    fn check_work(&self, live: &Live) {
        let past = self.past(&live.position);
        let node = self.plan.node(live.position.node);
        let family = self.families.get(&live.position);
        let kept = family.map(|family| family.kept.clone()).unwrap_or_default();
        let is_child = self.families.child(&self.plan, &live.position).is_some();
        if let Some(doing) = &live.doing {
            assert_eq!(doing.heard.kept, kept, "what {:?} keeps", live.position);
        }
        match live.work.as_deref() {
            None => assert!(past.state.is_none() && !past.recovers && !is_child),
            Some(Work::Resume {
                state, arguments, ..
            }) => {
                assert_eq!(state, &past.state);
                assert_eq!(arguments.is_some(), is_child);
                assert!(!past.recovers);
            }
            Some(Work::Recover {
                error, arguments, ..
            }) => {
                assert!(past.recovers, "recovers before that is durable");
                assert_eq!(arguments.is_some(), is_child);
                let recovery = node.recovery.as_ref().expect("it has a recovery job");
                let expected = plans::error(self.program.salt(live.position.node), &live.inputs);
                assert_eq!(*error, recovery.is_typed.then_some(expected));
            }
            Some(Work::Undo { .. }) => unreachable!("looked at elsewhere"),
        }
    }

    /// Every child that a position is in is on record, and so is what it comes behind.
    fn check_family(&self, position: &Position) {
        if let Some(family) = self.families.get(position) {
            let is_over = family.heir.is_some() && !family.recovers;
            assert!(!is_over, "{position:?} starts behind its heir");
        }
        for (depth, step) in position.frames.iter().enumerate() {
            if self.plan.node(step.node).kind != PlanKind::Job {
                continue;
            }
            let parent = Position {
                frames: position.frames[..depth].to_vec(),
                node: step.node,
            };
            let kind = position.frames.get(depth + 1);
            let kind = kind.map_or(position.node, |step| step.node);
            let family = self.families.get(&parent);
            let child = family.and_then(|it| it.children.get(usize::try_from(step.index).unwrap()));
            let child = child.unwrap_or_else(|| panic!("{position:?} is a child of nobody"));
            assert_eq!(child.kind, kind, "{position:?} is another child");
            assert!(
                !child.is_suspended,
                "{position:?} starts before it is called again"
            );
        }
    }

    /// A job is given what the program says, and all that it rests on is durable.
    fn check_inputs(&mut self, position: &Position, inputs: &[u64]) {
        let is_known = |expected: &Expected| {
            expected.failures.contains(position) || expected.jobs.contains_key(position)
        };
        if std::mem::take(&mut self.is_stale) || !is_known(&self.expected) {
            self.look_again();
        }
        if !self.expected.failures.contains(position) {
            let Some(job) = self.expected.jobs.get(position) else {
                let is_behind = self.has_kept_failure();
                assert!(is_behind, "{position:?} is no job of the program");
                return;
            };
            assert_eq!(inputs, job.inputs, "{position:?} is given the wrong inputs");
            for needed in &job.rests_on {
                let is_durable = self.has_result(needed);
                assert!(
                    is_durable,
                    "{position:?} starts before {needed:?} is durable"
                );
            }
        }
    }

    /// Whether something failed, before the run was repaired or its program changed, that now comes
    /// behind what runs again: it counts at once, and what is expected does not tell of it.
    fn has_kept_failure(&self) -> bool {
        let mut records = self.disk_records();
        let is_kept = |record: &Record| match record {
            Record::AttemptFailed {
                at, retry_at: None, ..
            } => !self.expected.failures.contains(at),
            _ => false,
        };
        self.is_repaired && records.any(is_kept)
    }

    /// No `for` around `starting` has more items under way than it may.
    fn check_limits(&self, starting: &Position) {
        let plan = Arc::clone(&self.plan);
        for (depth, step) in starting.frames.iter().enumerate() {
            let around = &starting.frames[..depth];
            let fan = self.fan(around, *step);
            let limit = match plan.node(step.node).kind {
                PlanKind::Each { limit: Some(limit) } => limit,
                PlanKind::Job if fan.is_some() => fan.unwrap().limit,
                _ => continue,
            };
            let live = self.process.iter().flat_map(|process| &process.live);
            let live = live.map(|live| &live.position);
            let items: BTreeSet<u32> = live
                .chain([starting])
                .filter(|it| it.frames.len() > depth && it.frames[..depth] == *around)
                .filter(|it| it.frames[depth].node == step.node)
                .map(|it| it.frames[depth])
                .filter(|it| self.fan(around, *it) == fan)
                .map(|it| it.index)
                .collect();
            let is_begun = |item: &u32| {
                let index = *item;
                let frames = [around, &[FrameStep { index, ..*step }]].concat();
                let mut begun = self.begun.iter();
                begun.any(|at| at.frames.starts_with(&frames))
            };
            let items = items.into_iter().filter(|item| !is_begun(item));
            let items: BTreeSet<u32> = items.collect();
            assert!(
                items.len() <= usize::try_from(limit).unwrap(),
                "a `for` beyond its limit"
            );
        }
    }

    /// The fan of the child that begins with this step, if it is one of a fan.
    fn fan(&self, around: &[FrameStep], step: FrameStep) -> Option<zahir_store::Fan> {
        let parent = Position {
            frames: around.to_vec(),
            node: step.node,
        };
        let children = &self.families.get(&parent)?.children;
        children.get(usize::try_from(step.index).unwrap())?.fan
    }

    /// The run is over: is that what it had to give?
    pub(super) fn judge(&mut self) {
        self.look_again();
        let (successes, ending) = self.successes();
        if !self.is_changed_in_vain {
            self.judge_finallys(&successes);
        }
        self.judge_undoing(ending);
        self.check_counts(ending);
        match ending {
            Ending::Cancelled => assert!(self.cancel_asked, "cancelled, but nobody asked"),
            Ending::Succeeded { .. } if self.has_kept_failure() => {}
            Ending::Succeeded { output } => {
                let expected = self.expected.output.expect("nothing fails");
                assert!(!self.cancel_answered || !self.is_cancelled_on_disk());
                assert_eq!(*output, expected.to_be_bytes(), "the output");
                for (position, job) in &self.expected.jobs {
                    assert!(
                        !job.is_certain || successes.contains(position),
                        "{position:?} did not run"
                    );
                }
            }
            Ending::Failed { .. } if self.is_changed_in_vain => {}
            Ending::Failed { at: None, failure } => {
                assert!(self.is_expired(), "no node failed");
                assert_eq!(failure.kind, FailureKind::TimedOut);
            }
            Ending::Failed { .. } if self.cancel_asked && self.is_stuck() => {}
            Ending::Failed { .. } if self.has_kept_failure() => {}
            Ending::Failed { at, .. } => {
                let at = at.as_ref().expect("a node failed");
                assert!(self.expected.failures.contains(at), "{at:?} can't fail");
                assert_eq!(self.expected.output, None, "it had to succeed");
            }
        }
    }

    fn successes(&self) -> (BTreeSet<Position>, &Ending) {
        let mut successes = BTreeSet::new();
        let mut ending = None;
        let last = self.disk_records().last();
        for record in self.disk_records() {
            assert!(ending.is_none(), "a record after the last");
            match record {
                Record::AttemptSucceeded { at, output, .. }
                | Record::AttemptRecovered { at, output, .. } => {
                    assert!(successes.insert(at.clone()), "{at:?} has two results");
                    let is_recovered = matches!(record, Record::AttemptRecovered { .. });
                    assert_eq!(
                        is_recovered,
                        self.past(at).recovers,
                        "whose result {at:?} has"
                    );
                    let Some(job) = self.expected.jobs.get(at) else {
                        // It may be kept, and what comes before it fail now, handled or not.
                        let is_vain =
                            !matches!(last, Some(Record::RunFinished(Ending::Succeeded { .. })));
                        let is_vain = is_vain || !self.expected.failures.is_empty();
                        assert!(self.is_repaired && is_vain, "{at:?} can't succeed");
                        continue;
                    };
                    let given = job.output.map(u64::to_be_bytes).map(Vec::from);
                    assert_eq!(Some(output), given.as_ref(), "the result of {at:?}");
                }
                Record::RunFinished(end) => ending = Some(end),
                _ => {}
            }
        }
        (successes, ending.expect("the run is over"))
    }

    /// Every `finally` that is owed ran, once: all of its jobs, unless one failed.
    fn judge_finallys(&self, successes: &BTreeSet<Position>) {
        let last = self.disk_records().last();
        let is_vain = !matches!(last, Some(Record::RunFinished(Ending::Succeeded { .. })));
        for record in self.disk_records() {
            let Record::BlockEntered { at: block } = record else {
                continue;
            };
            // If what it is given was to run again behind a change, and did not because the run was
            // stopped, or an entry of a race with it, there is nothing that it could be run with.
            if (is_vain || self.has_lost(block)) && self.begun.contains(block) {
                continue;
            }
            let mut frames = block.frames.clone();
            frames.push(FrameStep {
                node: block.node,
                index: 1,
            });
            let last = self.plan.region(self.plan.node(block.node).inside[1]);
            let at = |node: &NodeId| Position {
                frames: frames.clone(),
                node: *node,
            };
            let fails = self.has_failed_inside(&frames);
            let continues = |at: &Position| {
                let family = self.families.get(at);
                family.is_some_and(|family| family.heir.is_some() && !family.recovers)
            };
            for node in &last.nodes {
                assert!(
                    fails || successes.contains(&at(node)) || continues(&at(node)),
                    "{:?} of a `finally` did not run",
                    at(node)
                );
            }
            assert!(
                last.nodes.iter().any(|it| self.has_begun(&at(it))),
                "the `finally` of {block:?} did not run"
            );
        }
    }

    /// Whether a job failed for good.
    fn has_failed(&self, position: &Position) -> bool {
        self.past(position).has_failed
    }

    /// Whether something failed for good in these frames.
    fn has_failed_inside(&self, frames: &[FrameStep]) -> bool {
        let mut failed = self.facts.failed.iter();
        failed.any(|at| at.frames.starts_with(frames))
    }

    /// Whether something can't be undone.
    fn is_stuck(&self) -> bool {
        self.disk_records()
            .any(|it| matches!(it, Record::UndoFailed { retry_at: None, .. }))
    }

    /// What was done in vain is undone, once; all of it, unless something can't be.
    fn judge_undoing(&self, ending: &Ending) {
        let (owed, undone) = (self.owed(), self.undone());
        let successes = self
            .disk_records()
            .filter(|it| matches!(it, Record::UndoSucceeded { .. }));
        assert_eq!(successes.count(), undone.len(), "undone twice");
        let began = self
            .disk_records()
            .filter(|it| matches!(it, Record::UndoingBegan { .. }));
        let is_vain = !matches!(ending, Ending::Succeeded { .. });
        // What was undone may be gone since.
        let is_free = self.is_repaired && owed.is_empty();
        let expected = usize::from(is_vain && !owed.is_empty());
        assert!(
            began.count() == expected || is_free && is_vain,
            "undoing began"
        );
        for (at, ..) in owed.iter().filter(|_| is_vain) {
            assert!(
                undone.contains(at) || self.is_stuck(),
                "{at:?} is not undone"
            );
        }
        for record in self.disk_records() {
            if let Record::UndoFailed {
                at,
                retry_at: None,
                failure,
                ..
            } = record
            {
                let is_lost = matches!(failure.kind, FailureKind::Poisoned | FailureKind::TimedOut);
                assert!(is_lost || self.program.undo_fails_for_good(at.node));
            }
        }
    }

    fn has_begun(&self, position: &Position) -> bool {
        self.past(position).started > 0
    }
}

fn failed(verdict: Verdict, error: Option<u64>) -> AttemptOutcome<u64> {
    let kind = if error.is_some() {
        FailureKind::Error
    } else {
        FailureKind::Panic
    };
    AttemptOutcome::Failed {
        verdict,
        failure: Failure {
            kind,
            message: "as planned".into(),
        },
        error: error.map(|error| (error, error.to_be_bytes().to_vec())),
    }
}

fn succeeded(value: u64, undo: Option<Vec<u8>>) -> AttemptOutcome<u64> {
    let extra = undo.map(|undo| {
        Box::new(Extra {
            undo: Some(undo),
            ..Extra::default()
        })
    });
    AttemptOutcome::Succeeded {
        value,
        encoded: value.to_be_bytes().to_vec(),
        extra,
    }
}

fn kept(live: &Live, name: &str, value: u64) -> Report<u64> {
    Report::ValueKept {
        place: live.place,
        attempt: live.attempt,
        name: name.to_owned(),
        value: value.to_be_bytes().to_vec(),
    }
}

const fn woken(live: &Live) -> Report<u64> {
    Report::Woken {
        place: live.place,
        attempt: live.attempt,
    }
}

/// What an heir is given, encoded.
fn heir_arguments(given: &[HeirInput], results: &[u64]) -> Vec<u8> {
    let mut results = results.iter().copied();
    let arguments = given.iter().map(|input| match &input.value {
        Inherited::Value(bytes) => plans::decoded(bytes)[0],
        Inherited::Child(_) => results.next().expect("a result for each child"),
        Inherited::Children(numbers) => {
            let each: Vec<_> = results.by_ref().take(numbers.len()).collect();
            assert_eq!(each.len(), numbers.len(), "a result for each child");
            plans::join(&each)
        }
    });
    let arguments: Vec<_> = arguments.collect();
    assert_eq!(results.next(), None, "a result of no child");
    plans::arguments(&arguments)
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.describe();
        }
    }
}

/// Inputs for a run of the program.
pub(super) fn inputs(program: &Program, rng: &mut Rng) -> Vec<u64> {
    program
        .plan
        .region(RegionId::BODY)
        .inputs
        .iter()
        .map(|_| rng.next())
        .collect()
}
