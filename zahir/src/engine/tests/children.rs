//! Single rules of children, each in the smallest run that shows it. After each record the run is
//! recovered from those so far, and has to go on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{
    Attempt, Bond, ChildCall, ChildLimits, DefinitionId, Ending, Failure, FailureKind, Fan, Heir,
    NodeId, Position, Record, RunHead, RunId, RunStart, RunStatus, SpawnedChild, StoredRun,
    StoredStep, Timestamp,
};

use super::plans::{here, node, region};
use crate::engine::{
    Action, AttemptOutcome, ChildEnd, ChildrenMax, Engine, Evaluated, Evaluation, Extra, Place,
    Report, Verdict, Work,
};
use crate::job::children::asked::{Bequest, Successor, Wait};
use crate::job::policy::Policy;
use crate::plan::{Plan, PlanKind, PlanNode, PlanRegion, Recovery, RegionId};

const PARENT: NodeId = NodeId::new(0);
/// A child that is a job, and may spawn its like.
const JOB: NodeId = NodeId::new(2);
/// A child that is a workflow of one job, node 5.
const CALL: NodeId = NodeId::new(3);
/// A child whose result can be undone, as can those of `PARENT` and 1.
const EFFECT: NodeId = NodeId::new(6);

/// A job that spawns, and one behind it.
fn family(change: impl FnOnce(&mut Vec<PlanNode>)) -> Arc<Plan> {
    family_of(change, &[4, 5])
}

/// The same with these nodes in the workflow.
fn family_of(change: impl FnOnce(&mut Vec<PlanNode>), workflow: &[u32]) -> Arc<Plan> {
    let kinds = vec![JOB, CALL, EFFECT];
    let mut nodes = vec![
        PlanNode {
            kinds: kinds.clone(),
            ..node(PlanKind::Job, 0, 0, vec![])
        },
        node(PlanKind::Job, 0, 1, vec![here(0)]),
        PlanNode {
            kinds,
            keeps_error: true,
            ..node(PlanKind::Job, 1, 0, vec![])
        },
        PlanNode {
            inside: vec![RegionId(3)],
            ..node(PlanKind::Call, 2, 0, vec![])
        },
        node(PlanKind::Input, 3, 0, vec![]),
        node(PlanKind::Job, 3, 1, vec![here(0)]),
        node(PlanKind::Job, 4, 0, vec![]),
    ];
    change(&mut nodes);
    let of = |nodes: &[u32], inputs, result, jobs| PlanRegion {
        jobs,
        ..region(
            nodes.iter().copied().map(NodeId::new).collect(),
            inputs,
            Some(here(result)),
        )
    };
    let jobs = u64::try_from(workflow.len()).unwrap() - 1;
    let regions = vec![
        of(&[0, 1], vec![], 1, 2),
        of(&[2], vec![], 0, 1),
        of(&[3], vec![], 0, 0),
        of(workflow, vec![0], 1, jobs),
        of(&[6], vec![], 0, 1),
    ];
    Arc::new(Plan::new(nodes, regions, vec![]))
}

fn plain() -> Arc<Plan> {
    family(|_| {})
}

struct Live {
    place: Place,
    attempt: Attempt,
    work: Option<Box<Work<u64>>>,
}

struct Story {
    plan: Arc<Plan>,
    engine: Engine<u64>,
    records: Vec<Record>,
    slots: usize,
    crashes_max: u32,
    max: ChildrenMax,
    now: Timestamp,
    live: BTreeMap<String, Live>,
    log: Vec<String>,
    appends: Vec<usize>,
}

fn path(frames: Option<&Arc<[zahir_store::FrameStep]>>, node: NodeId) -> String {
    let frames = frames.map(|frames| frames.to_vec()).unwrap_or_default();
    format!("{:?}", Position { frames, node })
}

fn started() -> RunStart {
    RunStart {
        workflow: "family".into(),
        key: None,
        definition: DefinitionId::from_u128(1),
        input: vec![],
    }
}

impl Story {
    fn new(plan: Arc<Plan>) -> Self {
        Self::with(plan, |story| story)
    }

    fn with(plan: Arc<Plan>, change: impl FnOnce(Self) -> Self) -> Self {
        let now = Timestamp::from_millis(1_000);
        let engine = Engine::start(
            Arc::clone(&plan),
            RunId::from_u128(1),
            Some(started()),
            vec![],
            0,
        );
        let story = Self {
            plan,
            engine: engine.begin(now),
            records: vec![],
            slots: usize::MAX,
            crashes_max: u32::MAX,
            max: ChildrenMax::NONE,
            now,
            live: BTreeMap::new(),
            log: vec![],
            appends: vec![],
        };
        let mut story = change(story);
        let max = story.max;
        let engine = Engine::start(
            Arc::clone(&story.plan),
            RunId::from_u128(1),
            Some(started()),
            vec![],
            0,
        );
        story.engine = engine
            .with_crashes_max(story.crashes_max)
            .with_children_max(max)
            .begin(now);
        story.run();
        story
    }

    fn recovered(&self, records: usize) -> Engine<u64> {
        let stored = StoredRun {
            head: RunHead {
                id: RunId::from_u128(1),
                workflow: "family".into(),
                key: None,
                status: RunStatus::Running,
                started_at: self.now,
                updated_at: self.now,
                records: u64::try_from(records).unwrap(),
            },
            steps: vec![StoredStep {
                at: self.now,
                records: self.records[..records].to_vec(),
            }],
        };
        let decode = &mut |_, _, bytes: &[u8]| Ok(u64::from(bytes[0]));
        Engine::recover(Arc::clone(&self.plan), &stored, vec![], 0, decode)
            .unwrap_or_else(|error| panic!("{error}: {:#?}", &self.records[..records]))
            .with_crashes_max(self.crashes_max)
            .with_children_max(self.max)
            .begin(self.now)
    }

    /// The process dies, and another one goes on.
    fn crash(&mut self) {
        self.engine = self.recovered(self.records.len());
        self.live.clear();
        self.log.clear();
        self.run();
    }

    /// Carries out what the engine wants, and starts what may start.
    fn run(&mut self) {
        loop {
            if self.engine.wants_lane() && !self.engine.uses_lane() {
                self.engine.handle(self.now, Report::LaneGranted);
            }
            let running = usize::try_from(self.engine.progress().running).unwrap();
            let slots = self.engine.wanted().min(self.slots.saturating_sub(running));
            if slots > 0 {
                self.engine.handle(self.now, Report::Granted { slots });
            }
            match self.engine.poll_action() {
                Some(action) => self.perform(action),
                None => return,
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each action")]
    fn perform(&mut self, action: Action<u64>) {
        match action {
            Action::Append { seq, records, .. } => {
                let is_over = matches!(records.last(), Some(Record::RunFinished(_)));
                self.appends.push(records.len());
                for record in records {
                    self.records.push(record);
                    let count = self.records.len();
                    if !is_over && count < 60 {
                        let mut engine = self.recovered(count);
                        while let Some(action) = engine.poll_action() {
                            let is_halt = matches!(action, Action::Halt(_));
                            assert!(!is_halt, "{action:?} after {:#?}", self.records);
                        }
                    }
                }
                self.engine.handle(self.now, Report::Durable { seq });
            }
            Action::Evaluate {
                place,
                what,
                inputs,
            } => {
                let result = Ok(match what {
                    Evaluation::Given(bytes) => Evaluated::Inputs(vec![u64::from(bytes[0])]),
                    Evaluation::Arguments { nodes, .. } => {
                        assert_eq!(nodes.len(), inputs.len());
                        let sum = inputs.iter().sum::<u64>();
                        Evaluated::Arguments(vec![u8::try_from(sum).unwrap()])
                    }
                    Evaluation::Step => Evaluated::Value(inputs.iter().sum()),
                    other => panic!("{other:?}"),
                });
                self.engine
                    .handle(self.now, Report::Evaluated { place, result });
            }
            Action::Start {
                place,
                attempt,
                frames,
                work,
                ..
            } => {
                let path = path(frames.as_ref(), place.node);
                let kind = match work.as_deref() {
                    Some(Work::Undo { .. }) => "undo",
                    Some(Work::Recover { .. }) => "recover",
                    _ => "start",
                };
                self.log
                    .push(format!("{kind} {path} #{}", attempt.number()));
                self.live.insert(
                    path,
                    Live {
                        place,
                        attempt,
                        work,
                    },
                );
            }
            Action::Resume { place, ended, .. } => {
                let mut line = format!("resume {}", self.name(place));
                for (call, end) in ended {
                    let call = match call {
                        ChildCall::Number(number) => number.to_string(),
                        ChildCall::Key(key) => key,
                    };
                    let end = match end {
                        ChildEnd::Succeeded(value) => value.to_string(),
                        ChildEnd::Failed(caught, _) => caught.failure.message,
                    };
                    write!(line, " {call}={end}").unwrap();
                }
                self.log.push(line);
            }
            Action::Abort { place, .. } => self.log.push(format!("abort {}", self.name(place))),
            Action::Kept { name, .. } => self.log.push(format!("kept {name}")),
            Action::Diverge { before, now, .. } => {
                self.log.push(format!("diverge {before:?} {now:?}"));
            }
            Action::Finish { ending, .. } => self.log.push(match ending {
                Ending::Succeeded { .. } => "succeeded".to_owned(),
                Ending::Failed { failure, .. } => format!("failed: {}", failure.message),
                Ending::Cancelled => "cancelled".to_owned(),
            }),
            Action::EncodeOutput { output } => {
                let result = Ok((output, vec![u8::try_from(output).unwrap()]));
                self.engine
                    .handle(self.now, Report::OutputEncoded { result });
            }
            Action::Answer { .. } | Action::Skip { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn name(&self, place: Place) -> String {
        let found = self.live.iter().find(|(_, live)| live.place == place);
        found.unwrap().0.clone()
    }

    #[track_caller]
    fn expect(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.log), expected);
    }

    fn report(&mut self, report: Report<u64>) {
        self.engine.handle(self.now, report);
        self.run();
    }

    #[track_caller]
    fn end(&mut self, path: &str, outcome: AttemptOutcome<u64>) {
        let Live { place, attempt, .. } = &self.live[path];
        self.report(Report::AttemptEnded {
            place: *place,
            attempt: *attempt,
            outcome,
        });
    }

    #[track_caller]
    fn succeed(&mut self, path: &str, value: u8) {
        self.succeed_with(path, value, Extra::default());
    }

    #[track_caller]
    fn succeed_with(&mut self, path: &str, value: u8, extra: Extra) {
        let outcome = AttemptOutcome::Succeeded {
            value: u64::from(value),
            encoded: vec![value],
            extra: Some(Box::new(extra)),
        };
        self.end(path, outcome);
    }

    #[track_caller]
    fn fail(&mut self, path: &str, message: &str) {
        let outcome = AttemptOutcome::Failed {
            verdict: Verdict::ByPolicy,
            error: Some((0, vec![0])),
            failure: Failure {
                kind: FailureKind::Error,
                message: message.to_owned(),
            },
        };
        self.end(path, outcome);
    }

    #[track_caller]
    fn park(&mut self, path: &str, spawned: Vec<SpawnedChild>, waits: &[(&[u32], usize)]) {
        let wait = |(calls, open_max): &(&[u32], usize)| Wait {
            children: calls.iter().copied().map(ChildCall::Number).collect(),
            open_max: *open_max,
        };
        let Live { place, attempt, .. } = &self.live[path];
        self.report(Report::Parked {
            place: *place,
            attempt: *attempt,
            spawned,
            waits: waits.iter().map(wait).collect(),
        });
    }

    fn continue_as(&mut self, path: &str, spawned: Vec<SpawnedChild>, given: &[u32]) {
        self.continue_as_kind(JOB, path, spawned, given);
    }

    fn continue_as_kind(
        &mut self,
        kind: NodeId,
        path: &str,
        spawned: Vec<SpawnedChild>,
        given: &[u32],
    ) {
        let calls = given.iter().copied().map(ChildCall::Number).collect();
        let heir = Successor {
            kind,
            inputs: vec![("all".into(), Bequest::Children(calls))],
            limits: ChildLimits::default(),
        };
        let heir = Box::new(heir);
        self.end(path, AttemptOutcome::Continued { spawned, heir });
    }

    fn pass(&mut self, millis: u64) {
        self.now = Timestamp::from_millis(self.now.as_millis() + millis);
        self.engine.handle_timeout(self.now);
        self.run();
    }

    fn count(&self, is_it: impl Fn(&Record) -> bool) -> usize {
        self.records.iter().filter(|record| is_it(record)).count()
    }
}

fn child(kind: NodeId, call: u32, bond: Bond) -> SpawnedChild {
    SpawnedChild {
        kind,
        call: ChildCall::Number(call),
        bond,
        arguments: vec![u8::try_from(call % 200).unwrap()],
        fan: None,
        limits: ChildLimits::default(),
    }
}

/// Jobs that the parent holds, called by these numbers.
fn held(calls: std::ops::Range<u32>) -> Vec<SpawnedChild> {
    calls.map(|call| child(JOB, call, Bond::Held)).collect()
}

fn following(bond: Bond, calls: std::ops::Range<u32>) -> Extra {
    Extra {
        spawned: calls.map(|call| child(JOB, call, bond)).collect(),
        ..Extra::default()
    }
}

fn in_fan(calls: std::ops::Range<u32>, limit: u32) -> Vec<SpawnedChild> {
    let fan = Some(Fan { number: 0, limit });
    let all = held(calls).into_iter();
    all.map(|spawn| SpawnedChild { fan, ..spawn }).collect()
}

#[test]
fn an_attempt_that_waits_holds_no_slot_and_goes_on_before_what_has_not_begun() {
    let mut story = Story::with(plain(), |story| Story { slots: 1, ..story });
    story.expect(&["start 0 #1"]);
    story.park("0", held(0..3), &[(&[0], 0)]);
    story.expect(&["start 0[0]/2 #1"]);
    assert_eq!(story.engine.progress().running, 1);
    assert_eq!(story.engine.progress().known, 5);
    story.succeed("0[0]/2", 10);
    story.expect(&["resume 0 0=10"]);
    story.park("0", vec![], &[(&[1, 2], 0)]);
    story.expect(&["start 0[1]/2 #1"]);
    story.succeed("0[1]/2", 20);
    story.expect(&["start 0[2]/2 #1"]);
    story.succeed("0[2]/2", 30);
    story.expect(&["resume 0 1=20 2=30"]);
    story.succeed("0", 60);
    story.succeed("1", 61);
    story.expect(&["start 1 #1", "succeeded"]);
    assert_eq!(story.engine.progress().done, 5);
}

#[test]
fn four_parents_with_three_children_each_do_not_starve_each_other() {
    let mut story = Story::with(plain(), |story| Story { slots: 4, ..story });
    story.park("0", held(0..4), &[(&[0, 1, 2, 3], 0)]);
    for parent in 0..4 {
        story.park(&format!("0[{parent}]/2"), held(0..3), &[(&[0, 1, 2], 0)]);
    }
    let mut ended = 0;
    while let Some(at) = story.log.iter().position(|line| {
        let is_leaf = line.matches('[').count() == 2;
        line.starts_with("start") && is_leaf
    }) {
        let line = story.log.remove(at);
        story.succeed(line.split(' ').nth(1).unwrap(), 1);
        ended += 1;
    }
    assert_eq!(ended, 12);
    for parent in 0..4 {
        story.succeed(&format!("0[{parent}]/2"), 3);
    }
    assert_eq!(story.log.last().unwrap(), "resume 0 0=3 1=3 2=3 3=3");
}

#[test]
fn a_wait_for_what_is_over_does_not_park() {
    let mut story = Story::new(plain());
    story.park("0", held(0..2), &[(&[0, 1], 1)]);
    story.succeed("0[0]/2", 1);
    story.log.clear();
    let records = story.records.len();
    story.park("0", vec![], &[(&[], 0)]);
    story.expect(&["resume 0"]);
    story.park("0", vec![], &[(&[1], 0), (&[0], 0)]);
    story.expect(&["resume 0"]);
    assert_eq!(story.records.len(), records);
    story.succeed("0[1]/2", 2);
    story.park("0", vec![], &[(&[0, 1], 0)]);
    story.expect(&["resume 0 1=2"]);
}

#[test]
fn an_attempt_that_has_something_else_to_do_is_given_a_slot() {
    let mut story = Story::with(plain(), |story| Story { slots: 1, ..story });
    story.park("0", held(0..2), &[(&[0, 1], 0)]);
    story.log.clear();
    let Live { place, attempt, .. } = story.live["0"];
    story.report(Report::Woken { place, attempt });
    story.expect(&[]);
    story.succeed("0[0]/2", 5);
    story.expect(&["resume 0 0=5"]);
    story.report(Report::Woken { place, attempt });
    story.expect(&[]);
}

#[test]
fn what_is_over_answers_after_a_crash_and_the_rest_goes_on_by_itself() {
    let mut story = Story::new(plain());
    story.park("0", held(0..2), &[(&[0, 1], 0)]);
    story.succeed("0[0]/2", 10);
    story.crash();
    story.expect(&["start 0 #2", "start 0[1]/2 #2"]);
    story.park("0", held(0..3), &[(&[0, 1], 0)]);
    story.expect(&["start 0[2]/2 #1"]);
    story.succeed("0[1]/2", 20);
    story.expect(&["resume 0 0=10 1=20"]);
    assert_eq!(story.engine.progress().known, 5);
}

#[test]
fn another_child_under_the_same_call_is_told_with_both() {
    let mut story = Story::new(plain());
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.crash();
    story.log.clear();
    let other = SpawnedChild {
        arguments: vec![9],
        ..child(CALL, 0, Bond::Held)
    };
    story.park("0", vec![other.clone()], &[(&[0], 0)]);
    story.expect(&["diverge (2, [0]) (3, [9])"]);
    story.succeed_with(
        "0",
        1,
        Extra {
            spawned: vec![other],
            ..Extra::default()
        },
    );
    story.expect(&["diverge (2, [0]) (3, [9])"]);
    let failure = Failure {
        kind: FailureKind::Diverged,
        message: "another one".into(),
    };
    let outcome = AttemptOutcome::Failed {
        failure,
        error: None,
        verdict: Verdict::Final,
    };
    story.end("0", outcome);
    story.succeed("0[0]/2", 1);
    story.expect(&["failed: another one"]);
}

#[test]
fn a_process_that_dies_while_an_attempt_waits_is_no_crash_of_it() {
    let make = || {
        Story::with(plain(), |story| Story {
            crashes_max: 2,
            ..story
        })
    };
    let spawn = || SpawnedChild {
        limits: ChildLimits {
            retry: Some(1),
            ..ChildLimits::default()
        },
        ..child(JOB, 0, Bond::Held)
    };
    let mut story = make();
    story.park("0", vec![spawn()], &[(&[0], 0)]);
    // Nothing is under way.
    story.fail("0[0]/2", "no");
    for attempt in 2..6 {
        story.crash();
        story.expect(&[&format!("start 0 #{attempt}")]);
        story.park("0", vec![spawn()], &[(&[0], 0)]);
    }
    let mut story = make();
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.succeed("0[0]/2", 1);
    story.crash();
    story.expect(&["start 0 #2"]);
    story.crash();
    story.expect(&["failed: the process died 2 times while it was under way"]);
}

#[test]
fn a_suspect_that_waits_leaves_the_lane_to_its_child() {
    let mut story = Story::with(plain(), |story| Story {
        crashes_max: 3,
        ..story
    });
    story.crash();
    story.crash();
    story.park("0", held(0..1), &[(&[0], 0)]);
    assert!(!story.engine.uses_lane());
    story.succeed("0[0]/2", 1);
    assert!(story.engine.uses_lane());
    assert_eq!(story.log.last().unwrap(), "resume 0 0=1");
}

#[test]
fn what_follows_is_on_record_with_the_result_and_the_run_ends_behind_it() {
    let mut story = Story::new(plain());
    story.appends.clear();
    story.succeed_with("0", 1, following(Bond::Followed, 0..2));
    // Both children and the result, before anything starts; then the three starts.
    assert_eq!(story.appends[0], 5);
    story.expect(&[
        "start 0 #1",
        "start 1 #1",
        "start 0[0]/2 #1",
        "start 0[1]/2 #1",
    ]);
    story.succeed("1", 2);
    story.succeed("0[0]/2", 3);
    story.expect(&[]);
    story.succeed("0[1]/2", 4);
    story.expect(&["succeeded"]);
}

#[test]
fn the_failure_of_a_follower_fails_the_run_and_that_of_a_detached_child_does_not() {
    for (bond, end) in [
        (Bond::Followed, "failed: no"),
        (Bond::Detached, "succeeded"),
    ] {
        for crashes in [false, true] {
            let mut story = Story::new(plain());
            story.succeed_with("0", 1, following(bond, 0..1));
            story.succeed("1", 2);
            if crashes {
                story.crash();
            }
            story.log.clear();
            story.fail("0[0]/2", "no");
            story.expect(&[end]);
        }
    }
}

#[test]
fn a_failure_that_was_not_asked_for_is_one_of_the_workflow() {
    let mut story = Story::new(plain());
    story.park("0", held(0..2), &[(&[0, 1], 1)]);
    story.succeed("0[0]/2", 1);
    story.fail("0[1]/2", "no");
    story.log.clear();
    let extra = Extra {
        left: vec![ChildCall::Number(1)],
        ..Extra::default()
    };
    story.succeed_with("0", 1, extra);
    story.expect(&["failed: no"]);
}

#[test]
fn a_child_that_is_left_under_way_follows() {
    for (crashes, fails) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut story = Story::new(plain());
        story.park("0", held(0..2), &[(&[0, 1], 1)]);
        story.succeed("0[0]/2", 1);
        story.succeed("0", 1);
        story.succeed("1", 2);
        if crashes {
            story.crash();
        }
        story.log.clear();
        if fails {
            story.fail("0[1]/2", "no");
            story.expect(&["failed: no"]);
        } else {
            story.succeed("0[1]/2", 2);
            story.expect(&["succeeded"]);
        }
    }
}

#[test]
fn a_failure_that_was_given_to_the_parent_concerns_nobody_else() {
    for crashes in [false, true] {
        let mut story = Story::new(plain());
        story.park("0", held(0..3), &[(&[0, 1, 2], 0)]);
        story.fail("0[0]/2", "a");
        story.fail("0[2]/2", "c");
        story.succeed("0[1]/2", 2);
        assert_eq!(story.log.pop().unwrap(), "resume 0 0=a 2=c 1=2");
        story.succeed("0", 1);
        if crashes {
            story.crash();
        }
        story.succeed("1", 2);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

#[test]
fn what_failed_is_spawned_again_by_the_next_attempt_and_what_succeeded_is_not() {
    let retry = |nodes: &mut Vec<PlanNode>| nodes[0].policy.retry = 1;
    for crashes in [false, true] {
        let mut story = Story::new(family(retry));
        story.park("0", held(0..3), &[(&[0, 1], 0)]);
        story.succeed("0[0]/2", 10);
        story.fail("0[1]/2", "no");
        story.fail("0", "a child failed");
        story.log.clear();
        if crashes {
            story.crash();
            story.expect(&["start 0[2]/2 #2"]);
        }
        story.pass(60_000);
        story.expect(&["start 0 #2"]);
        story.park("0", held(0..3), &[(&[0, 1, 2], 0)]);
        story.expect(&["start 0[3]/2 #1"]);
        story.succeed("0[3]/2", 11);
        story.succeed("0[2]/2", 12);
        story.expect(&["resume 0 0=10 1=11 2=12"]);
    }
}

#[test]
fn what_is_never_started_twice_is_not_by_the_next_attempt_of_its_parent() {
    let once = |nodes: &mut Vec<PlanNode>| {
        nodes[0].policy.retry = 2;
        nodes[2].policy.at_most_once = true;
    };
    for crashes in [false, true] {
        let mut story = Story::new(family(once));
        story.park("0", held(0..1), &[(&[0], 0)]);
        if crashes {
            story.crash();
            story.log.clear();
            story.park("0", held(0..1), &[(&[0], 0)]);
            let lost = "the process ended while it was under way, and it is never started twice";
            story.expect(&[&format!("resume 0 0={lost}")]);
        } else {
            story.fail("0[0]/2", "no");
        }
        for _ in 0..2 {
            story.fail("0", "a child failed");
            story.log.clear();
            if crashes {
                story.crash();
            }
            story.pass(600_000);
            story.park("0", held(0..1), &[(&[0], 0)]);
            assert!(story.log.pop().unwrap().starts_with("resume 0 0="));
            assert!(!story.log.iter().any(|line| line.starts_with("start 0[")));
        }
        story.log.clear();
        // Another call is another child.
        let mut other = held(0..1);
        other[0].call = ChildCall::Number(1);
        story.park("0", other, &[(&[1], 0)]);
        story.expect(&["start 0[1]/2 #1"]);
    }
}

#[test]
fn what_something_was_started_in_that_is_never_started_twice_is_not_called_as_a_new_one() {
    let more = || PlanNode {
        after: vec![here(1)],
        ..node(PlanKind::Job, 3, 2, vec![])
    };
    for (is_once, begins_again) in [(5, false), (7, true)] {
        for crashes in [false, true] {
            let once = |nodes: &mut Vec<PlanNode>| {
                nodes.push(more());
                nodes[0].policy.retry = 1;
                nodes[is_once].policy.at_most_once = true;
            };
            let mut story = Story::new(family_of(once, &[4, 5, 7]));
            let call = || vec![child(CALL, 0, Bond::Held)];
            story.park("0", call(), &[(&[0], 0)]);
            if begins_again {
                story.fail("0[0]/3[0]/5", "no");
            } else {
                story.succeed("0[0]/3[0]/5", 9);
                story.fail("0[0]/3[0]/7", "no");
            }
            story.fail("0", "a child failed");
            story.log.clear();
            if crashes {
                story.crash();
            }
            story.pass(60_000);
            story.park("0", call(), &[(&[0], 0)]);
            let then = if begins_again {
                "start 0[1]/3[0]/5 #1"
            } else {
                "resume 0 0=no"
            };
            story.expect(&["start 0 #2", then]);
        }
    }
}

/// The effect is a child of the child.
#[test]
fn a_child_that_has_had_such_an_effect_is_not_called_as_a_new_one() {
    let once = |nodes: &mut Vec<PlanNode>| {
        nodes[0].policy.retry = 1;
        nodes[6].policy.at_most_once = true;
    };
    for crashes in [false, true] {
        let mut story = Story::new(family(once));
        story.park("0", held(0..1), &[(&[0], 0)]);
        story.park("0[0]/2", vec![child(EFFECT, 0, Bond::Held)], &[(&[0], 0)]);
        story.succeed("0[0]/2[0]/6", 1);
        story.fail("0[0]/2", "no");
        story.fail("0", "a child failed");
        story.log.clear();
        if crashes {
            story.crash();
        }
        story.pass(60_000);
        story.park("0", held(0..1), &[(&[0], 0)]);
        story.expect(&["start 0 #2", "resume 0 0=no"]);
    }
}

#[test]
fn what_kills_the_process_is_not_started_again_by_the_next_attempt_of_its_parent() {
    let retry = |nodes: &mut Vec<PlanNode>| nodes[0].policy.retry = 1;
    let crashes_max = 1;
    let mut story = Story::with(family(retry), |story| Story {
        crashes_max,
        ..story
    });
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.crash();
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.log.clear();
    story.fail("0", "a child failed");
    story.pass(600_000);
    story.park("0", held(0..1), &[(&[0], 0)]);
    let killed = "the process died once while it was under way";
    story.expect(&["start 0 #3", &format!("resume 0 0={killed}")]);
}

/// An attempt that failed may have gone another way because of a child that failed.
#[test]
fn the_next_attempt_may_call_another_child_by_the_same_number() {
    let retry = |nodes: &mut Vec<PlanNode>| nodes[0].policy.retry = 1;
    for crashes in [false, true] {
        let mut story = Story::new(family(retry));
        story.park("0", held(0..2), &[(&[0], 0)]);
        story.fail("0[0]/2", "no");
        story.fail("0", "for another reason");
        if crashes {
            story.crash();
        }
        story.pass(60_000);
        story.log.clear();
        let other = SpawnedChild {
            arguments: vec![9],
            ..child(JOB, 1, Bond::Held)
        };
        story.park("0", vec![other.clone()], &[(&[1], 0)]);
        story.expect(&["start 0[2]/2 #1"]);
        // What was called so before goes on, and concerns nobody.
        story.fail("0[1]/2", "no");
        story.succeed("0[2]/2", 12);
        story.expect(&["resume 0 1=12"]);
        // From here on the call means this one.
        let another = SpawnedChild {
            arguments: vec![8],
            ..other
        };
        story.park("0", vec![another], &[(&[1], 0)]);
        story.expect(&["diverge (2, [9]) (2, [8])"]);
    }
}

/// What a call no longer means goes on, whether or not it had begun when the attempt failed.
#[test]
fn a_child_that_is_replaced_before_it_has_begun_runs_once_all_the_same() {
    let retry = |nodes: &mut Vec<PlanNode>| nodes[0].policy.retry = 1;
    let (number, limit) = (0, 1);
    let fan = Some(Fan { number, limit });
    for crashes in [false, true] {
        let mut story = Story::new(family(retry));
        let fanned = |call: u32, argument| SpawnedChild {
            arguments: vec![argument],
            fan,
            ..child(JOB, call, Bond::Held)
        };
        let first = (0..3).map(|call| fanned(call, 0)).collect();
        story.park("0", first, &[(&[0], 0)]);
        story.fail("0[0]/2", "no");
        story.fail("0", "for another reason");
        if crashes {
            story.crash();
        }
        story.pass(60_000);
        let other = (0..3).map(|call| fanned(call, 9)).collect();
        story.park("0", other, &[(&[0, 1, 2], 0)]);
        for number in 1..6 {
            story.succeed(&format!("0[{number}]/2"), number);
        }
        assert_eq!(story.log.pop().unwrap(), "resume 0 0=3 1=4 2=5");
        story.succeed("0", 1);
        story.succeed("1", 2);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

/// What failed, or was undone, may not be called again, or be called with other inputs: it does not
/// run before the parent calls it.
#[test]
fn after_a_repair_no_child_without_a_result_runs_before_its_parent_calls_it() {
    for crashes in [false, true] {
        let mut story = repaired();
        story.expect(&["start 0 #1"]);
        if crashes {
            story.crash();
            story.expect(&["start 0 #2"]);
        }
        let mut again = held(0..3);
        again[1].arguments = vec![9];
        story.park("0", again, &[(&[0, 1, 2], 0)]);
        story.expect(&["start 0[3]/2 #1"]);
        if crashes {
            story.crash();
            story.expect(&["start 0 #3", "start 0[3]/2 #2"]);
            let mut again = held(0..3);
            again[1].arguments = vec![9];
            story.park("0", again, &[(&[0, 1, 2], 0)]);
        }
        story.succeed("0[3]/2", 11);
        story.expect(&["resume 0 0=10 2=12 1=11"]);
        story.succeed("0", 1);
        story.succeed("1", 2);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

#[test]
fn after_a_repair_a_child_that_is_called_again_goes_on() {
    for crashes in [false, true] {
        let mut story = repaired();
        story.expect(&["start 0 #1"]);
        story.park("0", held(0..3), &[(&[0, 1, 2], 0)]);
        story.expect(&["start 0[1]/2 #1"]);
        if crashes {
            story.crash();
            story.expect(&["start 0 #2", "start 0[1]/2 #2"]);
            story.park("0", held(0..3), &[(&[0, 1, 2], 0)]);
        }
        story.succeed("0[1]/2", 11);
        story.expect(&["resume 0 0=10 2=12 1=11"]);
        story.succeed("0", 1);
        story.succeed("1", 2);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

#[test]
fn after_a_repair_a_child_that_is_not_called_again_never_runs() {
    for crashes in [false, true] {
        let mut story = repaired();
        story.expect(&["start 0 #1"]);
        assert_eq!(story.engine.progress().known, 5);
        story.succeed("0", 1);
        story.expect(&["start 1 #1"]);
        assert_eq!(story.engine.progress().known, 4);
        let left = story.count(|it| matches!(it, Record::ChildrenLeft { .. }));
        assert_eq!(left, 0);
        let counts = story.engine.tally().unwrap()[0].counts;
        assert_eq!((counts.waiting, counts.done), (0, 2));
        if crashes {
            story.crash();
            story.expect(&["start 1 #2"]);
        }
        story.succeed("1", 2);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

/// A run that was not over when it was repaired.
#[test]
fn after_a_repair_a_child_that_was_under_way_goes_on() {
    let mut story = Story::new(plain());
    story.park("0", held(0..2), &[(&[0, 1], 0)]);
    story.succeed("0[0]/2", 10);
    story.log.clear();
    drop_failed_attempts(&mut story, 0..1, |at| at.frames.is_empty());
    story.expect(&["start 0 #1", "start 0[1]/2 #2"]);
    story.park("0", held(0..2), &[(&[0, 1], 0)]);
    story.succeed("0[1]/2", 11);
    story.expect(&["resume 0 0=10 1=11"]);
}

/// A child of which a part has its result.
#[test]
fn after_a_repair_a_workflow_that_is_not_called_again_does_not_go_on() {
    for is_called in [false, true] {
        let more = node(PlanKind::Job, 3, 2, vec![here(1)]);
        let plan = family_of(|nodes| nodes.push(more), &[4, 5, 7]);
        let mut story = Story::new(plan);
        let call = || vec![child(CALL, 0, Bond::Held)];
        story.park("0", call(), &[(&[0], 0)]);
        story.succeed("0[0]/3[0]/5", 9);
        story.fail("0[0]/3[0]/7", "no");
        story.fail("0", "a child failed");
        story.log.clear();
        drop_failed_attempts(&mut story, 0..1, |at| {
            at.frames.is_empty() || at.node == NodeId::new(7)
        });
        story.expect(&["start 0 #1"]);
        if is_called {
            story.park("0", call(), &[(&[0], 0)]);
            story.expect(&["start 0[0]/3[0]/7 #1"]);
            story.crash();
            story.expect(&["start 0 #2", "start 0[0]/3[0]/7 #2"]);
            story.park("0", call(), &[(&[0], 0)]);
            story.succeed("0[0]/3[0]/7", 11);
            story.expect(&["resume 0 0=9"]);
        }
        story.succeed("0", 1);
        story.expect(&["start 1 #1"]);
        story.crash();
        story.succeed("1", 2);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

/// The attempts behind one that asked for another are numbered on.
#[test]
fn after_a_repair_the_same_call_may_mean_another_child_behind_an_attempt_that_was_postponed() {
    let mut story = Story::new(plain());
    let postponed = AttemptOutcome::postponed(Duration::from_millis(5), vec![1]);
    story.end("0", postponed);
    story.pass(10);
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.succeed("0[0]/2", 10);
    story.fail("0", "no");
    story.log.clear();
    drop_failed_attempts(&mut story, 0..1, |at| at.frames.is_empty());
    story.pass(10);
    story.expect(&["start 0 #2"]);
    let mut other = held(0..1);
    other[0].arguments = vec![9];
    story.park("0", other, &[(&[0], 0)]);
    story.expect(&["start 0[1]/2 #1"]);
}

/// What was over when it was called again may itself run again later.
#[test]
fn after_two_repairs_an_heir_is_given_what_runs_again() {
    let mut story = repaired();
    story.continue_as("0", held(0..3), &[0, 1]);
    story.succeed("0[1]/2", 11);
    story.succeed("0[3]/2", 1);
    story.succeed("1", 2);
    assert_eq!(story.log.pop().unwrap(), "succeeded");
    // 0[0] runs again, and with it what depends on that.
    story.records.retain(|record| match record {
        Record::RunFinished(_) => false,
        Record::AttemptStarted { at, .. } | Record::AttemptSucceeded { at, .. } => {
            match at.frames.first() {
                Some(step) => step.index == 1 || step.index == 2,
                None => at.node == PARENT,
            }
        }
        _ => true,
    });
    story.crash();
    story.expect(&["start 0[0]/2 #1"]);
    story.succeed("0[0]/2", 10);
    assert!(story.log.pop().unwrap().starts_with("start 0[3]/2"));
}

/// As a repair does: the attempts of these count no more, but for those before one that asked for
/// another; nor does the end of the run. These children are suspended.
fn drop_failed_attempts(
    story: &mut Story,
    suspended: std::ops::Range<u32>,
    of: impl Fn(&Position) -> bool,
) {
    let is_seal = |it: &Record| matches!(it, Record::AttemptPostponed { .. });
    let seal = story.records.iter().position(is_seal);
    let mut number = 0..;
    story.records.retain(|record| {
        let is_sealed = seal.is_some_and(|seal| number.next().unwrap() < seal);
        match record {
            Record::ErrorKept { .. } | Record::RunFinished(_) => false,
            Record::AttemptStarted { at, .. }
            | Record::AttemptParked { at, .. }
            | Record::AttemptResumed { at, .. }
            | Record::AttemptFailed { at, .. } => is_sealed || !of(at),
            _ => true,
        }
    });
    let at = Position {
        frames: vec![],
        node: PARENT,
    };
    let dropped = Record::AttemptsDropped { at: at.clone() };
    let children = suspended.collect();
    let suspended = Record::ChildrenSuspended { at, children };
    story.records.extend([dropped, suspended]);
    story.crash();
}

/// A run of which a job failed, as one of its three children did; then it was repaired.
fn repaired() -> Story {
    let mut story = Story::new(plain());
    story.park("0", held(0..3), &[(&[0, 1, 2], 0)]);
    story.succeed("0[0]/2", 10);
    story.succeed("0[2]/2", 12);
    story.fail("0[1]/2", "no");
    story.fail("0", "a child failed");
    story.expect(&[
        "start 0 #1",
        "start 0[0]/2 #1",
        "start 0[1]/2 #1",
        "start 0[2]/2 #1",
        "resume 0 0=10 2=12 1=no",
        "failed: a child failed",
    ]);
    drop_failed_attempts(&mut story, 0..3, |at| {
        at.frames.first().is_none_or(|step| step.index == 1)
    });
    story
}

#[test]
fn an_attempt_that_asks_for_another_one_begins_anew() {
    for crashes in [false, true] {
        let mut story = Story::new(plain());
        let Live { place, attempt, .. } = story.live["0"];
        let (name, value) = ("seed".to_owned(), vec![1]);
        story.report(Report::ValueKept {
            place,
            attempt,
            name,
            value,
        });
        story.park("0", held(0..2), &[(&[0], 0)]);
        story.succeed("0[0]/2", 10);
        let (after, state) = (Duration::from_millis(5), vec![8]);
        story.end("0", AttemptOutcome::postponed(after, state));
        if crashes {
            story.crash();
        }
        story.log.clear();
        story.pass(5);
        story.expect(&["start 0 #2"]);
        let Some(Work::Resume { state, kept, .. }) = story.live["0"].work.as_deref() else {
            panic!("a state")
        };
        assert_eq!((state.as_deref(), kept.len()), (Some(&[8][..]), 0));
        story.park("0", held(0..1), &[(&[0], 0)]);
        story.expect(&["start 0[2]/2 #1"]);
        // What it had under way follows it.
        story.fail("0[1]/2", "no");
        story.expect(&["abort 0"]);
        story.succeed("0[2]/2", 1);
        story.expect(&["failed: no"]);
    }
}

/// An attempt that asks for another one with these children and without the outcome of `left`.
fn postponed(spawned: Vec<SpawnedChild>, left: &[u32]) -> AttemptOutcome<u64> {
    AttemptOutcome::Postponed {
        after: Duration::from_millis(5),
        state: vec![8],
        spawned,
        left: left.iter().copied().map(ChildCall::Number).collect(),
    }
}

#[test]
fn what_an_attempt_spawned_that_asks_for_another_one_is_on_record_with_that() {
    for crashes in [false, true] {
        let mut story = Story::new(plain());
        let followers = vec![child(JOB, 0, Bond::Followed), child(JOB, 1, Bond::Detached)];
        let (appends, records) = (story.appends.len(), story.records.len());
        story.end("0", postponed(followers, &[]));
        let together = &story.records[records..][..story.appends[appends]];
        let [
            Record::ChildrenSpawned { children, .. },
            Record::AttemptPostponed { .. },
            ..,
        ] = together
        else {
            panic!("{together:?}")
        };
        assert_eq!(children.len(), 2);
        if crashes {
            story.crash();
        }
        story.fail("0[1]/2", "nobody");
        story.log.clear();
        story.pass(5);
        story.expect(&["start 0 #2"]);
        // Another attempt calls other children.
        story.end("0", postponed(vec![child(JOB, 0, Bond::Followed)], &[]));
        story.expect(&["start 0[2]/2 #1"]);
        story.succeed("0[0]/2", 1);
        story.fail("0[2]/2", "no");
        story.expect(&["failed: no"]);
    }
}

#[test]
fn a_failure_that_an_attempt_left_when_it_asked_for_another_one_is_one_of_the_block() {
    for (fails_before, crashes) in [(true, false), (false, false), (false, true)] {
        let mut story = Story::new(plain());
        story.park("0", held(0..2), &[(&[1], 0)]);
        if fails_before {
            story.fail("0[0]/2", "no");
        }
        story.succeed("0[1]/2", 1);
        story.end("0", postponed(vec![], &[0]));
        if crashes {
            story.crash();
        }
        if !fails_before {
            story.fail("0[0]/2", "no");
        }
        assert_eq!(story.log.pop().unwrap(), "failed: no");
    }
}

#[test]
fn an_attempt_that_asks_for_another_one_spawns_what_it_spawned_before() {
    let mut story = Story::new(plain());
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.crash();
    story.log.clear();
    let other = SpawnedChild {
        arguments: vec![77],
        ..child(JOB, 0, Bond::Followed)
    };
    story.end("0", postponed(vec![other], &[]));
    story.expect(&["diverge (2, [0]) (2, [77])"]);
}

/// A parent with a job beside it.
fn beside() -> Arc<Plan> {
    family(|nodes| nodes[1].uses = vec![])
}

#[test]
fn where_everything_comes_to_its_end_nobody_waits_and_nothing_begins() {
    for late in [false, true] {
        let mut story = Story::new(beside());
        if !late {
            story.park("0", in_fan(0..2, 1), &[(&[0, 1], 0)]);
        }
        story.log.clear();
        if late {
            // Something is under way still.
            story.fail("1", "no");
            story.park("0", in_fan(0..2, 1), &[(&[0, 1], 0)]);
            story.expect(&["abort 0", "failed: no"]);
            continue;
        }
        story.fail("1", "no");
        story.expect(&["abort 0"]);
        story.succeed("0[0]/2", 1);
        story.expect(&["failed: no"]);
    }
}

#[test]
fn a_cancel_drops_parents_and_children() {
    let mut story = Story::new(plain());
    story.park("0", held(0..2), &[(&[0, 1], 0)]);
    story.log.clear();
    story.report(Report::CancelRequested {
        reason: "enough".into(),
        ticket: 1,
    });
    story.expect(&["abort 0", "abort 0[0]/2", "abort 0[1]/2", "cancelled"]);
}

#[test]
fn a_shutdown_drops_what_waits() {
    let mut story = Story::new(plain());
    story.park("0", held(0..1), &[(&[0], 0)]);
    story.log.clear();
    story.report(Report::ShutdownRequested);
    story.expect(&["abort 0"]);
    assert!(!story.engine.is_idle());
    story.end("0[0]/2", AttemptOutcome::Interrupted);
    assert!(story.engine.is_idle());
    story.crash();
    story.expect(&["start 0 #2", "start 0[0]/2 #2"]);
}

#[test]
fn a_job_that_continues_as_another_gives_what_that_gives() {
    for crash_at in 0..4 {
        let mut story = Story::new(plain());
        story.continue_as("0", held(0..3), &[2, 0]);
        assert_eq!(story.engine.progress().running, 3);
        let crash = |story: &mut Story, at| {
            if crash_at == at {
                story.crash();
            }
        };
        crash(&mut story, 1);
        story.succeed("0[0]/2", 10);
        story.succeed("0[2]/2", 20);
        assert!(story.log.pop().unwrap().starts_with("start 0[3]/2"));
        crash(&mut story, 2);
        let Some(Work::Resume { arguments, .. }) = story.live["0[3]/2"].work.as_deref() else {
            panic!("arguments")
        };
        assert_eq!(arguments.as_deref(), Some(&[30][..]));
        story.succeed("0[3]/2", 33);
        assert!(story.log.pop().unwrap().starts_with("start 1 "));
        crash(&mut story, 3);
        story.log.clear();
        story.succeed("1", 34);
        story.expect(&[]);
        story.succeed("0[1]/2", 5);
        story.expect(&["succeeded"]);
        assert_eq!(story.engine.progress().done, 6);
        assert_eq!(story.engine.progress().known, 6);
    }
}

/// Of such an heir nothing is on record, and what comes behind it is under way when the run fails.
#[test]
fn an_heir_in_which_all_is_pure_gives_its_result_again_where_everything_comes_to_its_end() {
    for crashes in [false, true] {
        let plan = family(|nodes| {
            nodes[5] = node(PlanKind::Value, 3, 1, vec![here(0)]);
        });
        let mut story = Story::new(plan);
        story.continue_as_kind(CALL, "0", vec![child(JOB, 0, Bond::Followed)], &[]);
        story.expect(&["start 0 #1", "start 0[0]/2 #1", "start 1 #1"]);
        story.fail("0[0]/2", "no");
        story.expect(&[]);
        if crashes {
            story.crash();
            story.expect(&["start 1 #2"]);
        }
        story.succeed("1", 1);
        story.expect(&["failed: no"]);
    }
}

#[test]
fn a_job_that_continues_fails_with_all_that_its_heir_lacks() {
    for crashes in [false, true] {
        let mut story = Story::new(plain());
        story.continue_as("0", held(0..3), &[0, 1, 2]);
        story.fail("0[2]/2", "c");
        story.fail("0[0]/2", "a");
        if crashes {
            story.crash();
        }
        story.log.clear();
        story.succeed("0[1]/2", 1);
        story.expect(&["failed: 2 children failed: a; c"]);
        let Some(Record::RunFinished(Ending::Failed { at, .. })) = story.records.last() else {
            panic!("a failure")
        };
        assert_eq!(format!("{:?}", at.as_ref().unwrap()), "0[0]/2");
    }
}

#[test]
fn the_failure_of_an_heir_is_its_parents_and_may_be_recovered_from() {
    let recovering = |nodes: &mut Vec<PlanNode>| {
        nodes[0].recovery = Some(Box::new(Recovery {
            policy: Policy::ONCE,
            is_typed: false,
        }));
    };
    let mut story = Story::new(plain());
    story.continue_as("0", vec![], &[]);
    story.log.clear();
    story.fail("0[0]/2", "no");
    story.expect(&["failed: no"]);
    for fails_early in [false, true] {
        for crashes in [false, true] {
            let mut story = Story::new(family(recovering));
            story.continue_as("0", held(0..1), &[0]);
            if fails_early {
                story.fail("0[0]/2", "no");
            } else {
                story.succeed("0[0]/2", 1);
                story.fail("0[1]/2", "no");
            }
            assert_eq!(story.log.pop().unwrap(), "recover 0 #2");
            if crashes {
                story.crash();
                story.expect(&["recover 0 #3"]);
            }
            story.log.clear();
            story.succeed("0", 1);
            story.succeed("1", 1);
            story.expect(&["start 1 #1", "succeeded"]);
        }
    }
}

#[test]
fn a_value_is_kept_once_and_given_to_later_attempts() {
    let mut story = Story::new(plain());
    let keep = |story: &mut Story, value| {
        let Live { place, attempt, .. } = story.live["0"];
        story.report(Report::ValueKept {
            place,
            attempt,
            name: "seed".into(),
            value,
        });
    };
    story.log.clear();
    keep(&mut story, vec![1]);
    keep(&mut story, vec![2]);
    story.expect(&["kept seed", "kept seed"]);
    assert_eq!(story.count(|it| matches!(it, Record::ValueKept { .. })), 1);
    story.crash();
    let Some(Work::Resume { kept, .. }) = story.live["0"].work.as_deref() else {
        panic!("a value")
    };
    assert_eq!(*kept, vec![("seed".into(), [1][..].into())]);
}

#[test]
fn what_is_too_much_is_an_error_that_names_its_limit() {
    let cases = [
        (
            ChildrenMax {
                per_job: 2,
                ..ChildrenMax::NONE
            },
            "a job may have 2 children (`children_per_job_max`), and this one spawned more",
        ),
        (
            ChildrenMax {
                per_run: 2,
                ..ChildrenMax::NONE
            },
            "the jobs of a run may have 2 children together (`children_per_run_max`), and this one \
             spawned more",
        ),
        (
            ChildrenMax {
                depth: 0,
                ..ChildrenMax::NONE
            },
            "children may have children down to depth 0 (`child_depth_max`), and this job spawned one \
             below that",
        ),
    ];
    for (max, message) in cases {
        for at_end in [false, true] {
            let mut story = Story::with(plain(), |story| Story { max, ..story });
            story.log.clear();
            let failed = format!("failed: {message}");
            if at_end {
                story.succeed_with("0", 1, following(Bond::Followed, 0..3));
                story.expect(&[&failed]);
            } else {
                story.park("0", held(0..3), &[(&[0], 0)]);
                story.expect(&["abort 0", &failed]);
            }
            assert_eq!(
                story.count(|it| matches!(it, Record::ChildrenSpawned { .. })),
                0
            );
        }
    }
}

#[test]
fn of_a_fan_only_so_many_are_under_way() {
    let mut story = Story::new(plain());
    story.park("0", in_fan(0..5, 2), &[(&[0, 1, 2, 3, 4], 0)]);
    story.expect(&["start 0 #1", "start 0[0]/2 #1", "start 0[1]/2 #1"]);
    // One that waits for children of its own counts.
    story.park("0[0]/2", held(0..1), &[(&[0], 0)]);
    story.expect(&["start 0[0]/2[0]/2 #1"]);
    story.succeed("0[1]/2", 1);
    story.expect(&["start 0[2]/2 #1"]);
    story.crash();
    story.log.sort();
    story.expect(&[
        "start 0 #2",
        "start 0[0]/2 #2",
        "start 0[0]/2[0]/2 #2",
        "start 0[2]/2 #2",
    ]);
    story.fail("0[2]/2", "no");
    story.expect(&["start 0[3]/2 #1"]);
}

#[test]
fn a_child_is_over_when_its_own_children_are() {
    for crashes in [false, true] {
        let mut story = Story::new(plain());
        story.park("0", held(0..1), &[(&[0], 0)]);
        story.succeed_with("0[0]/2", 1, following(Bond::Followed, 0..1));
        story.log.clear();
        if crashes {
            story.crash();
            story.park("0", held(0..1), &[(&[0], 0)]);
            story.log.clear();
        }
        story.succeed("0[0]/2[0]/2", 2);
        story.expect(&["resume 0 0=1"]);
    }
}

#[test]
fn a_workflow_is_a_child_that_is_given_its_inputs() {
    for crashes in [false, true] {
        let mut story = Story::new(plain());
        let spawned = vec![child(CALL, 7, Bond::Held)];
        story.park("0", spawned.clone(), &[(&[7], 0)]);
        assert_eq!(story.log.pop().unwrap(), "start 0[0]/3[0]/5 #1");
        story.log.clear();
        if crashes {
            story.crash();
            story.park("0", spawned, &[(&[7], 0)]);
            story.log.clear();
        }
        story.succeed("0[0]/3[0]/5", 9);
        story.expect(&["resume 0 7=9"]);
        story.succeed("0", 9);
        story.succeed("1", 9);
        assert_eq!(story.log.pop().unwrap(), "succeeded");
    }
}

#[test]
fn a_call_overrides_the_policy_of_the_job() {
    let mut story = Story::new(plain());
    let limits = ChildLimits {
        retry: Some(1),
        total_timeout: Some(50_000),
        timeout: None,
    };
    let spawn = SpawnedChild {
        limits,
        ..child(JOB, 0, Bond::Held)
    };
    story.park("0", vec![spawn], &[(&[0], 0)]);
    story.fail("0[0]/2", "no");
    story.log.clear();
    story.pass(10_000);
    story.expect(&["start 0[0]/2 #2"]);
    story.pass(40_000);
    let message = "its attempts took longer than its `total_timeout` of 50s";
    story.expect(&["abort 0[0]/2", &format!("resume 0 0={message}")]);
}

#[test]
fn time_passes_for_an_attempt_that_waits() {
    let limited = |nodes: &mut Vec<PlanNode>| {
        nodes[0].policy.total_timeout = Some(Duration::from_secs(1));
    };
    for crashes in [false, true] {
        let mut story = Story::new(family(limited));
        story.park("0", held(0..1), &[(&[0], 0)]);
        if crashes {
            story.crash();
            story.park("0", held(0..1), &[(&[0], 0)]);
        }
        story.log.clear();
        story.pass(1_000);
        story.expect(&["abort 0"]);
        story.succeed("0[0]/2", 1);
        story.expect(&["failed: its attempts took longer than its `total_timeout` of 1s"]);
    }
}

#[test]
fn what_follows_is_undone_before_its_parent_and_what_was_held_behind_it() {
    let undoable = |nodes: &mut Vec<PlanNode>| {
        for at in [0, 6] {
            nodes[at].undo = Some(Box::new(Policy::ONCE));
        }
    };
    let effect = || Extra {
        undo: Some(vec![1]),
        ..Extra::default()
    };
    for crashes in [false, true] {
        let mut story = Story::new(family(undoable));
        let spawned = (0..2).map(|call| child(EFFECT, call, Bond::Held)).collect();
        story.park("0", spawned, &[(&[0, 1], 0)]);
        story.succeed_with("0[0]/6", 1, effect());
        story.succeed_with("0[1]/6", 1, effect());
        let extra = Extra {
            spawned: vec![child(EFFECT, 2, Bond::Followed)],
            ..effect()
        };
        story.succeed_with("0", 1, extra);
        story.succeed_with("0[2]/6", 1, effect());
        story.log.clear();
        story.fail("1", "no");
        story.expect(&["undo 0[2]/6 #1"]);
        story.succeed("0[2]/6", 0);
        story.expect(&["undo 0 #1"]);
        story.succeed("0", 0);
        if crashes {
            story.crash();
            story.expect(&["undo 0[0]/6 #2", "undo 0[1]/6 #2"]);
        } else {
            story.expect(&["undo 0[0]/6 #1", "undo 0[1]/6 #1"]);
        }
        story.succeed("0[0]/6", 0);
        story.succeed("0[1]/6", 0);
        story.expect(&["failed: no"]);
    }
}

/// What was spawned later may rest on what was over by then.
#[test]
fn children_are_undone_in_reverse_and_at_once_if_they_were_spawned_at_once() {
    let effect = |call| child(EFFECT, call, Bond::Held);
    let undo = || Extra {
        undo: Some(vec![1]),
        ..Extra::default()
    };
    for crashes in [false, true] {
        let mut story = Story::new(family(|nodes| {
            nodes[6].undo = Some(Box::new(Policy::ONCE));
        }));
        story.park("0", vec![effect(0), effect(1)], &[(&[0, 1], 0)]);
        story.succeed_with("0[0]/6", 1, undo());
        story.succeed_with("0[1]/6", 1, undo());
        story.park("0", vec![effect(2)], &[(&[2], 0)]);
        story.succeed_with("0[2]/6", 1, undo());
        story.succeed("0", 1);
        story.log.clear();
        story.fail("1", "no");
        if crashes {
            story.crash();
            story.expect(&["undo 0[2]/6 #2"]);
        } else {
            story.expect(&["undo 0[2]/6 #1"]);
        }
        story.succeed("0[2]/6", 0);
        story.expect(&["undo 0[0]/6 #1", "undo 0[1]/6 #1"]);
        story.succeed("0[0]/6", 0);
        story.succeed("0[1]/6", 0);
        story.expect(&["failed: no"]);
    }
}

#[test]
fn many_children_take_up_no_frames_until_they_run() {
    const MANY: u32 = 20_000;
    let mut story = Story::with(plain(), |story| Story { slots: 8, ..story });
    let calls: Vec<u32> = (0..MANY).collect();
    story.park("0", held(0..MANY), &[(&calls, 0)]);
    let spawned = story.count(|it| matches!(it, Record::ChildrenSpawned { .. }));
    assert_eq!(spawned, 20);
    for number in 0..MANY / 2 {
        story.succeed(&format!("0[{number}]/2"), 1);
    }
    assert!(story.engine.frames.count() < 300);
    story.live.clear();
    story.crash();
    assert!(story.engine.frames.count() < 300);
    story.park("0", held(0..MANY), &[(&calls, 0)]);
    for number in MANY / 2..MANY {
        story.succeed(&format!("0[{number}]/2"), 1);
    }
    assert!(story.log.pop().unwrap().starts_with("resume 0 0=1"));
    assert!(story.engine.frames.cells() < 600);
}

#[test]
fn records_of_children_that_do_not_fit_are_refused() {
    let story = Story::new(plain());
    let at = |node| Position {
        frames: vec![],
        node: NodeId::new(node),
    };
    let attempt = Attempt::FIRST;
    let heir = Heir {
        kind: PARENT,
        inputs: vec![],
        limits: ChildLimits::default(),
    };
    let cases = [
        (
            Record::AttemptParked { at: at(1), attempt },
            "that attempt was not under way",
        ),
        (
            Record::AttemptResumed { at: at(0), attempt },
            "that attempt did not wait",
        ),
        (
            Record::AttemptContinued {
                at: at(0),
                attempt,
                heir,
            },
            "the job does not spawn that",
        ),
    ];
    for (record, reason) in cases {
        let mut records = story.records.clone();
        records.push(record);
        let stored = StoredRun {
            head: RunHead {
                id: RunId::from_u128(1),
                workflow: "family".into(),
                key: None,
                status: RunStatus::Running,
                started_at: story.now,
                updated_at: story.now,
                records: 3,
            },
            steps: vec![StoredStep {
                at: story.now,
                records,
            }],
        };
        let decode = &mut |_, _, _: &[u8]| Ok(0);
        let plan = Arc::clone(&story.plan);
        let error = Engine::<u64>::recover(plan, &stored, vec![], 0, decode).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("record 2 does not fit: {reason}")
        );
    }
}
