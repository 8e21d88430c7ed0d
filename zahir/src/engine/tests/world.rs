//! A process that can die, its disk, its jobs and its clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{
    Attempt, DefinitionId, Ending, Failure, FailureKind, FrameStep, NodeId, Position, Record,
    RunHead, RunId, RunStart, RunStatus, StoredRun, StoredStep, Timestamp,
};

use super::plans::{self, Program};
use super::reference::{self, Expected, Oracle};
use super::rng::Rng;
use super::versions::Version;
use crate::engine::{
    Action, AttemptOutcome, Engine, Evaluated, Evaluation, Extra, Place, Refusal, Report, Verdict,
    Work,
};
use crate::history::entries::{self, Entry};
use crate::history::revise::{self, Case, Refused, Wish};
use crate::plan::{Plan, PlanKind, RegionId, SignalId, index};

/// An attempt that the engine asked for.
#[derive(Debug, Clone)]
struct Live {
    place: Place,
    position: Position,
    attempt: Attempt,
    inputs: Vec<u64>,
    work: Option<Box<Work<u64>>>,
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
    /// Blocks that had begun when the program was changed. They are under way as long as their
    /// `finally` is owed, however many that are at once.
    begun: BTreeSet<Position>,
    process: Option<Process>,
    now: Timestamp,
    /// The latest moment the process was told of.
    latest: Timestamp,
    /// Attempts whose report may come again.
    echoes: Vec<Live>,
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
        self.time_is_over(position, false)
    }

    /// The same for what undoes the result of a node instance.
    fn undo_deadline(&self, position: &Position) -> Option<Timestamp> {
        self.time_is_over(Some(position), true)
    }

    fn time_is_over(&self, position: Option<&Position>, undoes: bool) -> Option<Timestamp> {
        let (mut found, mut is_undoing) = (None, false);
        let queued = self.process.iter().flat_map(|it| &it.writes);
        let queued = queued.flat_map(|(_, step)| &step.records);
        for record in self.disk_records().chain(queued) {
            is_undoing |= matches!(record, Record::UndoingBegan { .. });
            if let Record::DeadlineSet { at, due } = record
                && at.as_ref() == position
                && is_undoing == undoes
            {
                assert_eq!(found, None, "{at:?} is given its time twice");
                found = Some(*due);
            }
        }
        found
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
        let written = process.writes.drain(..kept).map(|(_, step)| step);
        let written: Vec<StoredStep> = written.collect();
        self.log.extend(written.iter().cloned());
        self.disk.extend(written);
        self.echoes.clear();
        if !self.is_cancelled_on_disk() {
            self.cancel_asked &= self.cancel_answered;
        }
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
            let begun = self.disk_records().filter_map(|it| match it {
                Record::BlockEntered { at } => Some(at.clone()),
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
        self.disk_records()
            .any(|record| matches!(record, Record::RunFinished(_)))
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

    pub(super) fn live(&self) -> usize {
        self.process
            .as_ref()
            .map_or(0, |process| process.live.len())
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
            )
        };
        self.is_stale |= step.records.iter().any(decides);
        self.log.push(step.clone());
        self.disk.push(step);
        self.report(Report::Durable { seq });
    }

    /// Hands out job slots, at most `most`.
    pub(super) fn grant(&mut self, most: usize) {
        let slots = self.slots;
        if self.process().engine.wants_lane() {
            self.report(Report::LaneGranted);
        }
        let process = self.process();
        let granted = process.live.len() + process.engine.starting();
        let free = slots
            .saturating_sub(granted)
            .min(process.engine.wanted())
            .min(most);
        if free > 0 {
            self.report(Report::Granted { slots: free });
        }
    }

    /// A live attempt comes to its end.
    pub(super) fn end_attempt(&mut self, at: usize, interrupted: bool) {
        let live = self.process().live.swap_remove(at);
        self.report_attempt(&live, interrupted);
        self.echoes.push(live);
    }

    /// A report that came before comes again.
    pub(super) fn repeat_attempt(&mut self, at: usize) {
        let echo = self.echoes[at].clone();
        if !self
            .process()
            .live
            .iter()
            .any(|live| live.place == echo.place)
        {
            self.report_attempt(&echo, false);
        }
    }

    fn report_attempt(&mut self, live: &Live, interrupted: bool) {
        let outcome = if interrupted {
            AttemptOutcome::Interrupted
        } else {
            self.outcome(live)
        };
        self.report(Report::AttemptEnded {
            place: live.place,
            attempt: live.attempt,
            outcome,
        });
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
            Some(Work::Resume { .. }) | None => {
                if past.failed < self.program.fails_first[index(node)] {
                    let is_error = !self.program.panics[index(node)];
                    let error = is_error.then(|| plans::error(salt, &live.inputs));
                    failed(verdict(habit.is_fatal), error)
                } else if past.postponed < habit.postpones {
                    AttemptOutcome::Postponed {
                        after: Duration::from_millis(30),
                        state: vec![u8::try_from(past.postponed).unwrap() + 1],
                    }
                } else {
                    self.succeeded(live, plans::output(salt, &live.inputs))
                }
            }
        }
    }

    fn succeeded(&self, live: &Live, value: u64) -> AttemptOutcome<u64> {
        let is_owed = self.plan.node(live.position.node).undo.is_some();
        succeeded(value, is_owed.then(|| plans::arguments(&live.inputs)))
    }

    /// What happened to a node instance so far, durably.
    fn past(&self, position: &Position) -> Past {
        let mut past = Past::default();
        let mut is_under_way = false;
        for record in self.disk_records() {
            match record {
                Record::AttemptStarted { at, .. } if at == position => {
                    past.crashes += u32::from(is_under_way);
                    is_under_way = true;
                    continue;
                }
                Record::AttemptInterrupted { at, .. } if at == position => {}
                Record::AttemptFailed { at, retry_at, .. } if at == position => {
                    past.due = *retry_at;
                    if past.recovers {
                        past.failed_recoveries += 1;
                    } else {
                        past.failed += 1;
                    }
                }
                Record::AttemptPostponed { at, due, state, .. } if at == position => {
                    past.due = Some(*due);
                    past.postponed += 1;
                    past.crashes = 0;
                    past.state = Some(state.as_slice().into());
                }
                Record::RecoveryBegan { at, .. } if at == position => {
                    past.recovers = true;
                    past.crashes = 0;
                    past.due = None;
                }
                Record::UndoFailed { at, retry_at, .. } if at == position => {
                    past.due = *retry_at;
                    past.failed_undos += 1;
                }
                _ => continue,
            }
            is_under_way = false;
        }
        past
    }

    /// An evaluation comes back.
    pub(super) fn end_evaluation(&mut self, at: usize) {
        let (place, what, inputs) = self.process().evaluations.swap_remove(at);
        let node = self.plan.node(place.node);
        let salt = self.program.salt(place.node);
        let result = match (what, node.kind) {
            (Evaluation::Join, _) => Evaluated::Value(plans::join(&inputs)),
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
                Evaluated::Items(plans::items(salt, &inputs))
            }
            (Evaluation::Step, PlanKind::Call) => {
                let count = self.plan.region(node.inside[0]).inputs.len();
                Evaluated::Inputs(plans::call_inputs(salt, &inputs, count))
            }
            (Evaluation::Step, PlanKind::Branch) => {
                Evaluated::Arm(plans::arm(salt, &inputs, node.inside.len()))
            }
            (Evaluation::Step, PlanKind::Sleep) => Evaluated::Sleep(plans::nap(salt, &inputs)),
            (Evaluation::Step, _) => Evaluated::Value(plans::output(salt, &inputs)),
        };
        self.report(Report::Evaluated {
            place,
            result: Ok(result),
        });
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
        let signals = self
            .disk_records()
            .filter(|it| matches!(it, Record::SignalReceived { .. }));
        let ticket = 100 + u64::try_from(signals.count()).unwrap();
        self.report(Report::SignalReceived {
            signal: SignalId(name),
            payload: payload.to_be_bytes().to_vec(),
            ticket,
        });
    }

    /// Whether the run can only go on with a signal.
    pub(super) fn awaits_signal(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.engine.awaits_signal())
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
                    self.start(Live {
                        place,
                        position,
                        attempt,
                        inputs,
                        work,
                    });
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
                    let received = self
                        .disk_records()
                        .filter(|it| matches!(it, Record::SignalReceived { .. }));
                    let received = u64::try_from(received.count()).unwrap();
                    assert!(ticket < 100 + received, "a signal was answered too early");
                }
                Action::Refuse { why, .. } => assert_eq!(why, Refusal::Over),
                Action::Skip { at } => {
                    let has_run = |it: &Record| matches!(it, Record::AttemptStarted { at: started, .. } if *started == at);
                    assert!(
                        !self.disk_records().any(has_run),
                        "{at:?} ran, and is skipped"
                    );
                }
                Action::Finish { ending, output, .. } => {
                    assert!(self.is_over_on_disk(), "finished before that was durable");
                    self.process().output = output;
                    self.finished = Some(ending);
                }
                Action::Halt(violation) => {
                    panic!("{violation}")
                }
            }
        }
    }

    /// Shows the program and what is on the disk.
    fn describe(&self) {
        for (at, node) in self.plan.nodes.iter().enumerate() {
            println!(
                "node {at}: {:?} r{}.{} {:?} uses {:?} after {:?} inside {:?} assigned {:?}",
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
                node.assigned
            );
        }
        for (at, region) in self.plan.regions.iter().enumerate() {
            println!("region {at}: {region:?}");
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
        assert!(
            self.is_dropped(&aborted.position)
                || self.has_timed_out(&aborted.position)
                || self.has_undo_timed_out(&aborted.position),
            "{:?} is aborted before the reason is durable",
            aborted.position
        );
    }

    fn is_cancelled_on_disk(&self) -> bool {
        self.disk_records()
            .any(|it| matches!(it, Record::CancelRequested(_)))
    }

    fn is_expired(&self) -> bool {
        self.disk_records()
            .any(|it| matches!(it, Record::DeadlinePassed { at: None, .. }))
    }

    fn is_undoing(&self) -> bool {
        self.disk_records()
            .any(|it| matches!(it, Record::UndoingBegan { .. }))
    }

    /// Whether all of its attempts together took too long.
    fn has_timed_out(&self, position: &Position) -> bool {
        self.disk_records().any(|it| match it {
            Record::DeadlinePassed { at: Some(at), .. } => at == position,
            Record::RecoveryBegan { at, failure, .. } => {
                at == position && failure.kind == FailureKind::TimedOut
            }
            _ => false,
        })
    }

    /// Whether all attempts to undo its result together took too long.
    fn has_undo_timed_out(&self, position: &Position) -> bool {
        self.disk_records().any(|it| match it {
            Record::UndoFailed { at, failure, .. } => {
                at == position && failure.kind == FailureKind::TimedOut
            }
            _ => false,
        })
    }

    /// Whether what is under way there is dropped.
    fn is_dropped(&self, position: &Position) -> bool {
        self.is_cancelled_on_disk() || self.is_expired() || self.has_lost(position)
    }

    /// Whether it is in an entry of a race that another one won.
    fn has_lost(&self, position: &Position) -> bool {
        self.disk_records().any(|it| match it {
            Record::RaceWon { at, entry } => {
                position
                    .frames
                    .get(at.frames.len())
                    .is_some_and(|step| step.node == at.node && step.index != *entry)
                    && position.frames.starts_with(&at.frames)
            }
            _ => false,
        })
    }

    /// Whether it is in a `finally`, at this depth or deeper.
    fn is_in_last(&self, position: &Position, depth: usize) -> bool {
        position.frames[depth..]
            .iter()
            .any(|step| step.index == 1 && self.plan.node(step.node).kind == PlanKind::Finally)
    }

    /// How many frames are around what catches the failure of a node there.
    fn catcher(&self, position: &Position) -> usize {
        let catches = |step: &FrameStep| {
            matches!(
                self.plan.node(step.node).kind,
                PlanKind::Rescue { .. }
                    | PlanKind::Result { .. }
                    | PlanKind::Finally
                    | PlanKind::Race
            )
        };
        let at = position.frames.iter().rposition(catches);
        at.map_or(0, |at| at + 1)
    }

    /// Whether something failed that stops what is at this position.
    fn is_stopped(&self, position: &Position) -> bool {
        let failed = |it: &Record| match it {
            Record::AttemptFailed {
                at, retry_at: None, ..
            }
            | Record::DeadlinePassed { at: Some(at), .. } => {
                let depth = self.catcher(at);
                position.frames.starts_with(&at.frames[..depth])
                    && !self.is_in_last(position, depth)
            }
            _ => false,
        };
        self.disk_records().any(failed)
    }

    /// What is on the disk may have decided more.
    fn look_again(&mut self) {
        let oracle = Oracle::of(self.disk_records(), self.is_repaired);
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
                Record::RecoveryBegan { at, failure, .. }
                    if failure.kind == FailureKind::TimedOut =>
                {
                    Some(at)
                }
                _ => continue,
            };
            let due = self.deadline(position).expect("it had a deadline");
            assert!(due <= self.latest, "{position:?} has time left");
        }
        let written = self.disk_records().count();
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
            Some(Work::Resume { .. }) | None => (past.failed, Some(node.policy.retry)),
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
        let slots = self.slots;
        let process = self.process();
        assert!(
            process.live.iter().all(|it| it.position != live.position),
            "twice at once"
        );
        assert!(process.live.len() < slots, "more jobs than slots");
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
        let started = Record::AttemptStarted {
            at: position.clone(),
            attempt,
        };
        assert!(
            self.disk_records().any(|it| *it == started),
            "{position:?} is not on record"
        );
        let has_result = |it: &Record| matches!(it, Record::AttemptSucceeded { at, .. } | Record::AttemptRecovered { at, .. } if *at == position);
        assert!(
            !self.disk_records().any(has_result),
            "{position:?} has its result"
        );
        assert!(
            !self.is_undoing(),
            "{position:?} starts while all is undone"
        );
        let begun = |it: &Record| matches!(it, Record::AttemptStarted { at, attempt: Attempt::FIRST } if *at == position);
        assert!(
            attempt != Attempt::FIRST || !self.is_stopped(&position),
            "{position:?} starts beside something that failed"
        );
        assert!(self.disk_records().any(begun));
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
        let node = self.plan.node(live.position.node);
        if node.policy.total_timeout.is_some() && !self.past(&live.position).recovers {
            let due = self
                .deadline(Some(&live.position))
                .expect("it has a deadline");
            assert!(due > self.now, "{position:?} starts too late");
        }
        self.check_work(live);
        self.check_inputs(&position, &live.inputs);
        self.check_limits(&position);
    }

    /// An attempt is given what the last one left, or how that failed.
    fn check_work(&self, live: &Live) {
        let past = self.past(&live.position);
        let node = self.plan.node(live.position.node);
        match live.work.as_deref() {
            None => assert!(past.state.is_none() && !past.recovers),
            Some(Work::Resume { state, arguments }) => {
                assert_eq!((state, arguments), (&past.state, &None));
                assert!(!past.recovers);
            }
            Some(Work::Recover {
                error, arguments, ..
            }) => {
                assert!(past.recovers, "recovers before that is durable");
                assert_eq!(*arguments, None);
                let recovery = node.recovery.as_ref().expect("it has a recovery job");
                let expected = plans::error(self.program.salt(live.position.node), &live.inputs);
                assert_eq!(*error, recovery.is_typed.then_some(expected));
            }
            Some(Work::Undo { .. }) => unreachable!("looked at elsewhere"),
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
            let job = self
                .expected
                .jobs
                .get(position)
                .unwrap_or_else(|| panic!("{position:?} is no job of the program"));
            assert_eq!(inputs, job.inputs, "{position:?} is given the wrong inputs");
            for needed in &job.rests_on {
                let is_durable = self
                    .disk_records()
                    .any(|it| matches!(it, Record::AttemptSucceeded { at, .. } | Record::AttemptRecovered { at, .. } if at == needed));
                assert!(
                    is_durable,
                    "{position:?} starts before {needed:?} is durable"
                );
            }
        }
    }

    /// No `for` around `starting` has more items under way than it may.
    fn check_limits(&mut self, starting: &Position) {
        let plan = Arc::clone(&self.plan);
        let begun = self.begun.clone();
        for (depth, step) in starting.frames.iter().enumerate() {
            let PlanKind::Each { limit: Some(limit) } = plan.node(step.node).kind else {
                continue;
            };
            let around = &starting.frames[..depth];
            let live = self.process().live.iter().map(|live| &live.position);
            let items: BTreeSet<u32> = live
                .chain([starting])
                .filter(|it| it.frames.len() > depth && it.frames[..depth] == *around)
                .filter(|it| it.frames[depth].node == step.node)
                .map(|it| it.frames[depth].index)
                .collect();
            let is_begun = |item: &u32| {
                let index = *item;
                let frames = [around, &[FrameStep { index, ..*step }]].concat();
                begun.iter().any(|at| at.frames.starts_with(&frames))
            };
            let items = items.into_iter().filter(|item| !is_begun(item));
            let items: BTreeSet<u32> = items.collect();
            assert!(
                items.len() <= usize::try_from(limit).unwrap(),
                "a `for` beyond its limit"
            );
        }
    }

    /// The run is over: is that what it had to give?
    pub(super) fn judge(&mut self) {
        self.look_again();
        let (successes, ending) = self.successes();
        if !self.is_changed_in_vain {
            self.judge_finallys(&successes);
        }
        self.judge_undoing(ending);
        match ending {
            Ending::Cancelled => assert!(self.cancel_asked, "cancelled, but nobody asked"),
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
                        // It may be kept, and what comes before it fail now.
                        let is_vain =
                            !matches!(last, Some(Record::RunFinished(Ending::Succeeded { .. })));
                        assert!(self.is_repaired && is_vain, "{at:?} can't succeed");
                        continue;
                    };
                    assert_eq!(*output, job.output.to_be_bytes(), "the result of {at:?}");
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
            // stopped, there is nothing that it could be run with.
            if is_vain && self.begun.contains(block) {
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
            let fails = last.nodes.iter().any(|it| self.has_failed(&at(it)));
            for node in &last.nodes {
                assert!(
                    fails || successes.contains(&at(node)),
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
        self.disk_records().any(|it| match it {
            Record::AttemptFailed {
                at, retry_at: None, ..
            }
            | Record::DeadlinePassed { at: Some(at), .. } => at == position,
            _ => false,
        })
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
        self.disk_records()
            .any(|it| matches!(it, Record::AttemptStarted { at, .. } if at == position))
    }
}

/// What happened to a node instance.
#[derive(Debug, Default)]
struct Past {
    failed: u32,
    postponed: u32,
    recovers: bool,
    failed_recoveries: u32,
    failed_undos: u32,
    /// How often the process died during an attempt that was followed by another one.
    crashes: u32,
    /// Until when it waits.
    due: Option<Timestamp>,
    /// What it left for its next attempt.
    state: Option<Arc<[u8]>>,
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
            shared: None,
        })
    });
    AttemptOutcome::Succeeded {
        value,
        encoded: value.to_be_bytes().to_vec(),
        extra,
    }
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
