//! A process that can die, its disk, its jobs and its clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zahir_store::{
    Attempt, DefinitionId, Ending, Failure, FailureKind, Position, Record, RunHead, RunId,
    RunStart, RunStatus, StoredRun, StoredStep, Timestamp,
};

use super::plans::{self, Program};
use super::reference::Expected;
use super::rng::Rng;
use crate::engine::{Action, AttemptOutcome, Engine, Evaluated, Evaluation, Place, Report};
use crate::plan::{Plan, PlanKind, RegionId, index};

/// An attempt that the engine asked for.
#[derive(Debug, Clone)]
struct Live {
    place: Place,
    position: Position,
    attempt: Attempt,
    inputs: Vec<u64>,
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
    expected: &'a Expected,
    inputs: Vec<u64>,
    /// How many jobs may be under way.
    slots: usize,
    /// What survives a crash.
    disk: Vec<StoredStep>,
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
    pub(super) fn new(
        program: &'a Program,
        expected: &'a Expected,
        inputs: &[u64],
        slots: usize,
    ) -> Self {
        Self {
            program,
            plan: Arc::clone(&program.plan),
            expected,
            inputs: inputs.to_vec(),
            slots,
            disk: Vec::new(),
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

    /// Starts a process: a fresh run, or a recovery from the disk.
    pub(super) fn boot(&mut self) {
        let plan = Arc::clone(&self.plan);
        let id = RunId::from_u128(42);
        let engine = if self.disk.is_empty() {
            let start = RunStart {
                workflow: "simulated".into(),
                key: None,
                definition: DefinitionId::from_u128(1),
                input: vec![],
            };
            Engine::start(plan, id, Some(start), self.inputs.clone(), 0)
        } else {
            let decode = &mut |_, bytes: &[u8]| Ok(u64::from_be_bytes(bytes.try_into().unwrap()));
            Engine::recover(plan, &self.stored(), self.inputs.clone(), 0, decode)
                .expect("a run goes on from its own records")
        };
        self.process = Some(Process {
            engine,
            writes: VecDeque::new(),
            live: vec![],
            evaluations: vec![],
            output: None,
            is_stopping: false,
        });
        self.perform();
    }

    fn stored(&self) -> StoredRun {
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
        self.disk
            .extend(process.writes.drain(..kept).map(|(_, step)| step));
        self.echoes.clear();
        if !self.is_over_on_disk() {
            self.cancel_asked &= self.cancel_answered;
        }
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
        self.disk.push(step);
        self.report(Report::Durable { seq });
    }

    /// Hands out job slots, at most `most`.
    pub(super) fn grant(&mut self, most: usize) {
        let slots = self.slots;
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
        let fails_first = self.program.fails_first[index(live.position.node)];
        let outcome = if interrupted {
            AttemptOutcome::Interrupted
        } else if self.failures_on_disk(&live.position) < fails_first {
            let message = "as planned".into();
            AttemptOutcome::Failed(Failure {
                kind: FailureKind::Error,
                message,
            })
        } else {
            let value = plans::output(live.position.node, &live.inputs);
            AttemptOutcome::Succeeded {
                value,
                encoded: value.to_be_bytes().to_vec(),
            }
        };
        self.report(Report::AttemptEnded {
            place: live.place,
            attempt: live.attempt,
            outcome,
        });
    }

    fn failures_on_disk(&self, position: &Position) -> u32 {
        let failed =
            |record: &&Record| matches!(record, Record::AttemptFailed { at, .. } if at == position);
        u32::try_from(self.disk_records().filter(failed).count()).unwrap()
    }

    /// An evaluation comes back.
    pub(super) fn end_evaluation(&mut self, at: usize) {
        let (place, what, inputs) = self.process().evaluations.swap_remove(at);
        let result = match (what, self.plan.node(place.node).kind) {
            (Evaluation::Join, _) => Evaluated::Value(plans::join(&inputs)),
            (Evaluation::Step, PlanKind::Each { .. }) => {
                Evaluated::Items(plans::items(place.node, &inputs))
            }
            (Evaluation::Step, PlanKind::Call { body }) => {
                let count = self.plan.region(body).inputs.len();
                Evaluated::Inputs(plans::call_inputs(place.node, &inputs, count))
            }
            (Evaluation::Step, _) => Evaluated::Value(plans::output(place.node, &inputs)),
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
                    inputs,
                    ..
                } => {
                    self.start(place, attempt, inputs);
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
                Action::Abort { place, attempt } => {
                    let cancelled = self
                        .disk_records()
                        .any(|it| matches!(it, Record::CancelRequested(_)));
                    assert!(cancelled, "aborted before the cancel was durable");
                    // It may have ended by itself meanwhile.
                    let live = &mut self.process().live;
                    live.retain(|live| (live.place, live.attempt) != (place, attempt));
                }
                Action::Answer { ticket } => {
                    assert_eq!(ticket, 9);
                    assert!(
                        self.is_over_on_disk(),
                        "a cancel was answered before it was durable"
                    );
                    self.cancel_answered = true;
                }
                Action::Finish { ending, output } => {
                    assert!(self.is_over_on_disk(), "finished before that was durable");
                    self.process().output = output;
                    self.finished = Some(ending);
                }
                Action::Halt(violation) => {
                    panic!("{violation}\n{:#?}", self.process().engine)
                }
            }
        }
    }

    fn write(&mut self, seq: u64, first: u64, records: Vec<Record>) {
        assert!(!records.is_empty());
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
    fn start(&mut self, place: Place, attempt: Attempt, inputs: Vec<u64>) {
        let position = self.process().engine.position(place);
        let started = Record::AttemptStarted {
            at: position.clone(),
            attempt,
        };
        assert!(
            self.disk_records().any(|it| *it == started),
            "{position:?} is not on record"
        );
        let has_result =
            |it: &Record| matches!(it, Record::AttemptSucceeded { at, .. } if *at == position);
        assert!(
            !self.disk_records().any(has_result),
            "{position:?} has its result"
        );
        assert!(
            !self.is_over_on_disk(),
            "{position:?} starts in a run that is over"
        );
        assert!(
            !self.is_stopping(),
            "{position:?} starts in a process that stops"
        );
        let has_failed = |it: &Record| matches!(it, Record::AttemptFailed { retry_at: None, .. });
        assert!(
            !self.disk_records().any(has_failed),
            "{position:?} starts in a run that fails"
        );
        let is_early = |it: &Record| {
            matches!(it, Record::AttemptFailed { at, retry_at: Some(due), .. }
                if *at == position && *due > self.latest)
        };
        assert!(
            !self.disk_records().any(is_early),
            "{position:?} is tried again too early"
        );
        if !self.expected.failures.contains(&position) {
            let job = self
                .expected
                .jobs
                .get(&position)
                .expect("a job of the program");
            assert_eq!(inputs, job.inputs, "{position:?} is given the wrong inputs");
            for needed in &job.rests_on {
                let is_durable = self
                    .disk_records()
                    .any(|it| matches!(it, Record::AttemptSucceeded { at, .. } if at == needed));
                assert!(
                    is_durable,
                    "{position:?} starts before {needed:?} is durable"
                );
            }
        }
        let slots = self.slots;
        let process = self.process();
        assert!(
            process.live.iter().all(|live| live.position != position),
            "twice at once"
        );
        assert!(process.live.len() < slots, "more jobs than slots");
        self.check_limits(&position);
        let process = self.process();
        process.live.push(Live {
            place,
            position: position.clone(),
            attempt,
            inputs,
        });
        *self.executions.entry(position).or_default() += 1;
    }

    /// No `for` around `starting` has more items under way than it may.
    fn check_limits(&mut self, starting: &Position) {
        let plan = Arc::clone(&self.plan);
        for (depth, step) in starting.frames.iter().enumerate() {
            let PlanKind::Each {
                limit: Some(limit), ..
            } = plan.node(step.node).kind
            else {
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
            assert!(
                items.len() <= usize::try_from(limit).unwrap(),
                "a `for` beyond its limit"
            );
        }
    }

    /// The run is over: is that what it had to give?
    pub(super) fn judge(&self) {
        let mut successes = BTreeSet::new();
        let mut ending = None;
        for record in self.disk_records() {
            assert!(ending.is_none(), "a record after the last");
            match record {
                Record::AttemptSucceeded { at, output, .. } => {
                    assert!(successes.insert(at.clone()), "{at:?} has two results");
                    let job = self.expected.jobs.get(at).expect("a job that can succeed");
                    assert_eq!(*output, job.output.to_be_bytes(), "the result of {at:?}");
                }
                Record::RunFinished(end) => ending = Some(end),
                Record::RunStarted(_)
                | Record::AttemptStarted { .. }
                | Record::AttemptFailed { .. }
                | Record::AttemptInterrupted { .. }
                | Record::ItemsCounted { .. }
                | Record::CancelRequested(_) => {}
            }
        }
        match ending.expect("the run is over") {
            Ending::Cancelled => assert!(self.cancel_asked, "cancelled, but nobody asked"),
            Ending::Succeeded { output } => {
                let expected = self.expected.output.expect("no job fails");
                assert!(!self.cancel_answered || !self.cancelled_before_the_end());
                assert_eq!(*output, expected.to_be_bytes(), "the output");
                assert!(
                    successes.iter().eq(self.expected.jobs.keys()),
                    "all jobs, and no other"
                );
            }
            Ending::Failed { at, .. } => {
                let at = at.as_ref().expect("a job failed");
                assert!(self.expected.failures.contains(at), "{at:?} can't fail");
            }
        }
    }

    fn cancelled_before_the_end(&self) -> bool {
        self.disk_records()
            .any(|record| matches!(record, Record::CancelRequested(_)))
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
