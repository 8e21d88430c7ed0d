//! Single rules of failure and effects, each in the smallest run that shows it.

use std::time::Duration;

use zahir_store::{
    Attempt, Ending, Failure, FailureKind, NodeId, Position, Record, RunId, RunStart, Timestamp,
};

use super::plans::{Program, here, node, region};
use super::schedules::drive_in_order;
use super::world::World;
use crate::engine::{
    Action, AttemptOutcome, Engine, Evaluated, Evaluation, Extra, Place, Report, Verdict, Work,
};
use crate::job::policy::Policy;
use crate::plan::{PlanKind, PlanNode, PlanRegion, Recovery, RegionId, SignalId};

const NOW: Timestamp = Timestamp::from_millis(1_000);

/// A body of these jobs, one after the other if they say so.
fn jobs(nodes: Vec<PlanNode>) -> Program {
    let ids = (0..nodes.len()).map(|id| NodeId::new(u32::try_from(id).unwrap()));
    let body = region(ids.collect(), vec![], None);
    Program::new(nodes, vec![body])
}

fn job(slot: usize) -> PlanNode {
    node(PlanKind::Job, 0, slot, vec![])
}

fn retrying(slot: usize, retry: u32) -> PlanNode {
    PlanNode {
        policy: Policy {
            retry,
            ..Policy::ONCE
        },
        ..job(slot)
    }
}

fn undoable(slot: usize, after: &[usize]) -> PlanNode {
    PlanNode {
        undo: Some(Box::new(Policy::ONCE)),
        after: after.iter().copied().map(here).collect(),
        ..job(slot)
    }
}

struct Session {
    engine: Engine<u64>,
    now: Timestamp,
}

/// An attempt that was started.
struct Started {
    place: Place,
    attempt: Attempt,
    work: Option<Box<Work<u64>>>,
}

impl Session {
    fn new(program: &Program) -> Self {
        Self::begun(Engine::start(
            program.plan.clone(),
            RunId::from_u128(1),
            None::<RunStart>,
            vec![],
            0,
        ))
    }

    fn begun(engine: Engine<u64>) -> Self {
        Self {
            engine: engine.begin(NOW),
            now: NOW,
        }
    }

    /// Starts all that can be started. Branches take their first arm.
    fn start(&mut self) -> Vec<Started> {
        let mut started = Vec::new();
        loop {
            let slots = self.engine.wanted();
            self.engine.handle(self.now, Report::Granted { slots });
            let Some(action) = self.engine.poll_action() else {
                return started;
            };
            match action {
                Action::Start {
                    place,
                    attempt,
                    work,
                    ..
                } => started.push(Started {
                    place,
                    attempt,
                    work,
                }),
                Action::Evaluate { place, what, .. } => {
                    let result = Ok(match what {
                        Evaluation::Step => Evaluated::Arm(0),
                        _ => Evaluated::Value(0),
                    });
                    self.engine
                        .handle(self.now, Report::Evaluated { place, result });
                }
                Action::Skip { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The one attempt that can be started.
    fn start_one(&mut self) -> Started {
        let mut started = self.start();
        assert_eq!(started.len(), 1);
        started.remove(0)
    }

    fn end(&mut self, started: &Started, outcome: AttemptOutcome<u64>) {
        let report = Report::AttemptEnded {
            place: started.place,
            attempt: started.attempt,
            outcome,
        };
        self.engine.handle(self.now, report);
    }

    fn pass(&mut self, millis: u64) {
        self.now = Timestamp::from_millis(self.now.as_millis() + millis);
        self.engine.handle_timeout(self.now);
    }

    fn ending(&mut self) -> Ending {
        match self.engine.poll_action() {
            Some(Action::Finish { ending, .. }) => ending,
            other => panic!("{other:?}"),
        }
    }
}

fn fails(message: &str, verdict: Verdict) -> AttemptOutcome<u64> {
    AttemptOutcome::Failed {
        verdict,
        error: None,
        failure: Failure {
            kind: FailureKind::Error,
            message: message.to_owned(),
        },
    }
}

/// A success that is owed an undo with the number of its node as arguments.
fn owed(number: u8) -> AttemptOutcome<u64> {
    AttemptOutcome::Succeeded {
        value: 7,
        encoded: vec![70 + number],
        extra: Some(Box::new(Extra {
            undo: Some(vec![number]),
            shared: None,
            ..Extra::default()
        })),
    }
}

fn message(ending: Ending) -> String {
    match ending {
        Ending::Failed { failure, .. } => failure.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_attempt_is_made_as_often_as_the_policy_says() {
    for (retry, most) in [(0, 1), (3, 4)] {
        let mut session = Session::new(&jobs(vec![retrying(0, retry)]));
        for _ in 0..most {
            let started = session.start_one();
            session.end(&started, fails("no", Verdict::ByPolicy));
            session.pass(60_000);
        }
        assert_eq!(message(session.ending()), "no");
    }
}

#[test]
fn a_failure_that_is_final_is_not_tried_again() {
    let mut session = Session::new(&jobs(vec![retrying(0, crate::FOREVER)]));
    let started = session.start_one();
    session.end(&started, fails("never", Verdict::Final));
    assert_eq!(message(session.ending()), "never");
}

#[test]
fn a_custom_wait_takes_the_place_of_the_backoff() {
    let mut session = Session::new(&jobs(vec![retrying(0, 1)]));
    let started = session.start_one();
    session.end(
        &started,
        fails("no", Verdict::After(Duration::from_millis(7))),
    );
    assert_eq!(
        session.engine.poll_timeout(),
        Some(NOW.after(Duration::from_millis(7)))
    );
}

#[test]
fn a_postponed_attempt_is_given_what_the_last_one_left_and_no_failure_is_counted() {
    let mut session = Session::new(&jobs(vec![retrying(0, 1)]));
    let started = session.start_one();
    session.end(&started, fails("no", Verdict::ByPolicy));
    session.pass(200);
    for state in 0..3 {
        let started = session.start_one();
        let postponed = AttemptOutcome::postponed(Duration::from_secs(1), vec![state]);
        session.end(&started, postponed);
        assert_eq!(session.engine.wanted(), 0, "its slot is given back");
        session.pass(999);
        assert_eq!(session.engine.wanted(), 0);
        session.pass(1);
        let started = session.start_one();
        let Some(Work::Resume {
            state: Some(given), ..
        }) = started.work.as_deref()
        else {
            panic!("{:?}", started.work)
        };
        assert_eq!(**given, [state]);
        // The one failure that is allowed in a row.
        session.end(&started, fails("no", Verdict::ByPolicy));
        session.pass(200);
    }
}

#[test]
fn a_recovery_that_fails_tells_both_failures() {
    let recovery = Recovery {
        policy: Policy::ONCE,
        is_typed: false,
    };
    let mut session = Session::new(&jobs(vec![PlanNode {
        recovery: Some(Box::new(recovery)),
        ..job(0)
    }]));
    let started = session.start_one();
    session.end(&started, fails("declined", Verdict::ByPolicy));
    let recovery = session.start_one();
    assert_eq!(recovery.attempt.number(), 2);
    session.end(&recovery, fails("closed", Verdict::ByPolicy));
    assert_eq!(
        message(session.ending()),
        "declined; its recovery failed: closed"
    );
}

#[test]
fn all_attempts_together_have_their_time() {
    let mut session = Session::new(&jobs(vec![PlanNode {
        policy: Policy {
            retry: 9,
            total_timeout: Some(Duration::from_millis(250)),
            ..Policy::ONCE
        },
        ..job(0)
    }]));
    let started = session.start_one();
    session.pass(150);
    session.end(&started, fails("no", Verdict::ByPolicy));
    session.pass(99);
    assert_eq!(session.engine.wanted(), 0, "it waits to be tried again");
    session.pass(1);
    assert_eq!(
        message(session.ending()),
        "its attempts took longer than its `total_timeout` of 250ms"
    );
}

#[test]
fn the_time_of_a_job_is_not_that_of_its_recovery_job() {
    let recovery = Recovery {
        policy: Policy::ONCE,
        is_typed: false,
    };
    let mut session = Session::new(&jobs(vec![PlanNode {
        policy: Policy {
            total_timeout: Some(Duration::from_millis(250)),
            ..Policy::ONCE
        },
        recovery: Some(Box::new(recovery)),
        ..job(0)
    }]));
    let started = session.start_one();
    session.pass(100);
    session.end(&started, fails("no", Verdict::ByPolicy));
    let recovery = session.start_one();
    session.pass(10_000);
    assert_eq!(session.engine.poll_action(), None);
    session.end(&recovery, undo_done());
    assert!(matches!(session.ending(), Ending::Succeeded { .. }));
}

#[test]
fn a_run_that_takes_too_long_drops_what_is_under_way() {
    let program = jobs(vec![job(0)]);
    let engine = Engine::start(program.plan.clone(), RunId::from_u128(1), None, vec![], 0);
    let limit = Some(Duration::from_secs(2));
    let mut session = Session::begun(engine.with_timeout(limit));
    let started = session.start_one();
    session.pass(1_999);
    assert_eq!(session.engine.poll_action(), None);
    session.pass(1);
    let dropped = Action::Abort {
        place: started.place,
        attempt: started.attempt,
    };
    assert_eq!(session.engine.poll_action(), Some(dropped));
    assert_eq!(
        message(session.ending()),
        "it took longer than its `timeout` of 2s"
    );
}

/// Runs the first jobs of a program, of which the last fails, and gives the session and what is
/// undone first.
fn failed(program: &Program, succeed: u8) -> (Session, Vec<Started>) {
    let mut session = Session::new(program);
    for number in 0..succeed {
        let started = session.start();
        for started in &started {
            let id = u8::try_from(started.place.node.number()).unwrap();
            session.end(started, owed(id));
        }
        if started.is_empty() {
            panic!("nothing starts before {number}");
        }
    }
    let last = session.start_one();
    session.end(&last, fails("no", Verdict::ByPolicy));
    let undone = session.start();
    (session, undone)
}

fn numbers(undone: &[Started]) -> Vec<u8> {
    let number = |it: &Started| match it.work.as_deref() {
        Some(Work::Undo { arguments, output }) => {
            assert_eq!(output[0], 70 + arguments[0]);
            arguments[0]
        }
        other => panic!("{other:?}"),
    };
    undone.iter().map(number).collect()
}

fn undo_done() -> AttemptOutcome<u64> {
    AttemptOutcome::Succeeded {
        value: 0,
        encoded: vec![],
        extra: None,
    }
}

#[test]
fn what_was_done_is_undone_in_reverse_and_at_once_where_it_can_be() {
    // 0, then 1 and 2 beside each other, then 3, which fails.
    let program = jobs(vec![
        undoable(0, &[]),
        undoable(1, &[0]),
        undoable(2, &[0]),
        undoable(3, &[1, 2]),
    ]);
    let (mut session, undone) = failed(&program, 2);
    let mut both = numbers(&undone);
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    session.end(&undone[0], undo_done());
    assert_eq!(session.start().len(), 0, "the other rests on 0, too");
    session.end(&undone[1], undo_done());
    let first = session.start();
    assert_eq!(numbers(&first), [0]);
    session.end(&first[0], undo_done());
    assert_eq!(message(session.ending()), "no");
}

#[test]
fn what_uses_a_variable_is_undone_before_what_assigned_it() {
    // `let mut x = 0; if .. { x = a(); } b(x); c();`
    let nodes = vec![
        PlanNode {
            inside: vec![RegionId(1)],
            assigned: vec![1],
            ..node(PlanKind::Branch, 0, 0, vec![])
        },
        node(PlanKind::Assigned, 0, 1, vec![]),
        PlanNode {
            uses: vec![here(1)],
            ..undoable(2, &[])
        },
        PlanNode {
            after: vec![here(2)],
            ..job(3)
        },
        PlanNode {
            region: RegionId(1),
            ..undoable(0, &[])
        },
    ];
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    let arm = PlanRegion {
        outs: vec![here(0)],
        ..region(ids(&[4]), vec![], None)
    };
    let body = region(ids(&[0, 1, 2, 3]), vec![], None);
    let (mut session, undone) = failed(&Program::new(nodes, vec![body, arm]), 2);
    assert_eq!(numbers(&undone), [2]);
    session.end(&undone[0], undo_done());
    assert_eq!(numbers(&session.start()), [4]);
}

#[test]
fn what_a_handler_did_is_undone_before_what_it_handled() {
    // `{ a(); fails(); }.rescue(|_| b()); c();`
    let inner = |at, slot, after: &[usize]| PlanNode {
        region: RegionId(at),
        ..undoable(slot, after)
    };
    let rescue = PlanKind::Rescue { is_typed: false };
    let nodes = vec![
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(rescue, 0, 0, vec![])
        },
        PlanNode {
            after: vec![here(0)],
            ..job(1)
        },
        inner(1, 0, &[]),
        inner(1, 1, &[0]),
        node(PlanKind::Input, 2, 0, vec![]),
        inner(2, 1, &[]),
    ];
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    let regions = vec![
        region(ids(&[0, 1]), vec![], None),
        region(ids(&[2, 3]), vec![], None),
        region(ids(&[4, 5]), vec![0], None),
    ];
    let mut session = Session::new(&Program::new(nodes, regions));
    let first = session.start_one();
    session.end(&first, owed(2));
    let second = session.start_one();
    session.end(&second, fails("no", Verdict::ByPolicy));
    let handler = session.start_one();
    session.end(&handler, owed(5));
    let last = session.start_one();
    session.end(&last, fails("no", Verdict::ByPolicy));
    let undone = session.start();
    assert_eq!(numbers(&undone), [5]);
    session.end(&undone[0], undo_done());
    assert_eq!(numbers(&session.start()), [2]);
}

/// One job that can be undone, within 250 ms, and one behind it that fails.
fn undone_in_time() -> Program {
    let undo = Policy {
        retry: 9,
        total_timeout: Some(Duration::from_millis(250)),
        ..Policy::ONCE
    };
    jobs(vec![
        PlanNode {
            undo: Some(Box::new(undo)),
            ..job(0)
        },
        PlanNode {
            after: vec![here(0)],
            ..job(1)
        },
    ])
}

const UNDO_TIMED_OUT: &str = "no; and not all of it could be undone: its attempts took longer than \
                              its `total_timeout` of 250ms";

/// The `total_timeout` of a job that undoes had no effect.
#[test]
fn all_attempts_to_undo_a_result_together_have_their_time() {
    let (mut session, undone) = failed(&undone_in_time(), 1);
    session.pass(150);
    session.end(&undone[0], fails("too late", Verdict::ByPolicy));
    session.pass(99);
    assert_eq!(session.engine.wanted(), 0, "it waits to be tried again");
    session.pass(1);
    assert_eq!(message(session.ending()), UNDO_TIMED_OUT);
}

#[test]
fn an_attempt_to_undo_that_is_over_its_time_is_dropped() {
    let (mut session, undone) = failed(&undone_in_time(), 1);
    session.pass(249);
    assert_eq!(session.engine.poll_action(), None);
    session.pass(1);
    let dropped = Action::Abort {
        place: undone[0].place,
        attempt: undone[0].attempt,
    };
    assert_eq!(session.engine.poll_action(), Some(dropped));
    session.end(&undone[0], undo_done());
    assert_eq!(message(session.ending()), UNDO_TIMED_OUT);
}

#[test]
fn what_waits_for_a_slot_to_be_undone_has_its_time_as_well() {
    let (mut session, undone) = failed(&undone_in_time(), 1);
    let again = fails("too late", Verdict::After(Duration::from_millis(1)));
    session.end(&undone[0], again);
    session.pass(1);
    assert_eq!(session.engine.wanted(), 1);
    session.pass(249);
    assert_eq!(session.engine.wanted(), 0);
    assert_eq!(message(session.ending()), UNDO_TIMED_OUT);
}

/// The time to undo is a point in time on record: while no process is there it passes, too.
#[test]
fn the_time_to_undo_a_result_goes_on_over_a_restart() {
    let mut program = undone_in_time();
    program.fails_first[1] = 1;
    for (down, is_over) in [(249, false), (250, true)] {
        let mut world = World::new(&program, &[], 2);
        world.boot();
        while !world.has_begun_to_undo() {
            world.grant(1);
            world.acknowledge();
            if world.live() > 0 && !world.has_begun_to_undo() {
                world.end_attempt(0, false);
            }
        }
        world.crash(0);
        world.wait(down);
        world.boot();
        drive_in_order(&mut world, usize::MAX);
        world.judge();
        let stuck = |it: &Record| matches!(it, Record::UndoFailed { retry_at: None, .. });
        assert_eq!(world.disk_records().any(stuck), is_over, "{down}");
    }
}

/// A recovery job was given the inputs that its job is wired to, also if a repair had replaced them.
#[test]
fn a_recovery_job_is_given_the_inputs_that_replace_those_of_its_job() {
    let recovery = Recovery {
        policy: Policy::ONCE,
        is_typed: false,
    };
    let program = jobs(vec![PlanNode {
        recovery: Some(Box::new(recovery)),
        ..job(0)
    }]);
    let mut world = World::new(&program, &[], 2);
    world.boot();
    world.acknowledge();
    let mut stored = world.stored();
    let at = Position {
        frames: vec![],
        node: NodeId::new(0),
    };
    let arguments = b"edited".to_vec();
    let replaced = Record::ArgumentsReplaced { at, arguments };
    stored.steps[0].records.push(replaced);
    let decode = &mut |_, _, _: &[u8]| Ok(0);
    let engine = Engine::recover(program.plan.clone(), &stored, vec![], 0, decode).unwrap();
    let mut session = Session::begun(engine);
    let acknowledged = |session: &mut Session, seq| {
        session.engine.handle(NOW, Report::Granted { slots: 1 });
        assert!(matches!(
            session.engine.poll_action(),
            Some(Action::Append { .. })
        ));
        session.engine.handle(NOW, Report::Durable { seq });
        match session.engine.poll_action() {
            Some(Action::Start {
                place,
                attempt,
                work,
                ..
            }) => Started {
                place,
                attempt,
                work,
            },
            other => panic!("{other:?}"),
        }
    };
    let started = acknowledged(&mut session, 1);
    session.end(&started, fails("declined", Verdict::ByPolicy));
    let recovery = acknowledged(&mut session, 2);
    let Some(Work::Recover { arguments, .. }) = recovery.work.as_deref() else {
        panic!("{:?}", recovery.work)
    };
    assert_eq!(arguments.as_deref(), Some(&b"edited"[..]));
}

#[test]
fn what_can_not_be_undone_keeps_what_it_rests_on() {
    let program = jobs(vec![undoable(0, &[]), undoable(1, &[0]), undoable(2, &[1])]);
    let (mut session, undone) = failed(&program, 2);
    assert_eq!(numbers(&undone), [1]);
    session.end(&undone[0], fails("too late", Verdict::ByPolicy));
    assert_eq!(
        message(session.ending()),
        "no; and not all of it could be undone: too late"
    );
}

#[test]
fn a_cancel_undoes_what_was_done_and_another_one_changes_nothing() {
    let program = jobs(vec![undoable(0, &[]), undoable(1, &[0])]);
    let mut session = Session::new(&program);
    let started = session.start_one();
    session.end(&started, owed(0));
    let cancel = || Report::CancelRequested {
        reason: "enough".to_owned(),
        ticket: 1,
    };
    session.engine.handle(NOW, cancel());
    assert_eq!(
        session.engine.poll_action(),
        Some(Action::Answer { ticket: 1 })
    );
    let undone = session.start();
    assert_eq!(numbers(&undone), [0]);
    session.engine.handle(NOW, cancel());
    assert_eq!(
        session.engine.poll_action(),
        Some(Action::Answer { ticket: 1 })
    );
    session.end(&undone[0], undo_done());
    assert_eq!(session.ending(), Ending::Cancelled);
}

#[test]
fn a_job_that_died_with_the_process_stops_nothing_that_is_not_awake() {
    // `pay(); sleep(..); { signal() }.finally(tidy())`: the process dies in all three.
    let wait = PlanKind::Signal {
        signal: SignalId(0),
        timeout: None,
    };
    let nodes = vec![
        PlanNode {
            policy: Policy {
                at_most_once: true,
                ..Policy::ONCE
            },
            ..job(0)
        },
        node(PlanKind::Sleep, 0, 1, vec![]),
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            after: vec![here(1)],
            ..node(PlanKind::Finally, 0, 2, vec![])
        },
        node(wait, 1, 0, vec![]),
        node(PlanKind::Job, 2, 0, vec![]),
    ];
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    let regions = vec![
        region(ids(&[0, 1, 2]), vec![], None),
        region(ids(&[3]), vec![], None),
        region(ids(&[4]), vec![], None),
    ];
    let program = Program::new(nodes, regions);
    let mut world = World::new(&program, &[], 2);
    world.boot();
    let has_begun = |world: &World<'_>| {
        let mut records = world.disk_records();
        records.any(|it| matches!(it, Record::BlockEntered { .. }))
    };
    while !has_begun(&world) {
        world.grant(2);
        if world.evaluations() > 0 {
            world.end_evaluation(0);
        }
        world.acknowledge();
        world.pass_to_timer();
    }
    assert_eq!(world.live(), 1);
    world.crash(0);
    world.boot();
    drive_in_order(&mut world, usize::MAX);
    world.judge();
    assert_eq!(world.executions.len(), 2, "the `finally` ran");
}

/// The two jobs of this program were under way when the process died, and may die once more.
fn both_crashed(program: &Program) -> Session {
    let mut world = World::new(program, &[], 2);
    world.boot();
    world.acknowledge();
    world.grant(2);
    world.acknowledge();
    assert_eq!(world.live(), 2);
    world.crash(0);
    let disk = world.stored();
    let decode = &mut |_, _, _: &[u8]| Ok(0);
    let engine = Engine::recover(program.plan.clone(), &disk, vec![], 0, decode).unwrap();
    Session::begun(engine.with_crashes_max(2))
}

#[test]
fn no_two_attempts_run_whose_next_crash_would_be_their_last() {
    let mut session = both_crashed(&jobs(vec![job(0), job(1)]));
    assert_eq!(session.engine.wanted(), 0);
    assert!(session.engine.wants_lane());
    session.engine.handle(NOW, Report::LaneGranted);
    assert!(session.engine.uses_lane() && !session.engine.wants_lane());
    assert_eq!(session.engine.wanted(), 1, "the other one waits");
}

/// `race { job(), job() }` and a job behind it.
fn race_of_two() -> Program {
    let nodes = vec![
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(PlanKind::Race, 0, 0, vec![])
        },
        node(PlanKind::Job, 1, 0, vec![]),
        node(PlanKind::Job, 2, 0, vec![]),
        PlanNode {
            after: vec![here(0)],
            ..job(1)
        },
    ];
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    let regions = vec![
        region(ids(&[0, 3]), vec![], None),
        region(ids(&[1]), vec![], Some(here(0))),
        region(ids(&[2]), vec![], Some(here(0))),
    ];
    Program::new(nodes, regions)
}

#[test]
fn what_waits_for_the_lane_and_is_cancelled_waits_no_more() {
    let mut session = both_crashed(&race_of_two());
    session.engine.handle(NOW, Report::LaneGranted);
    let slots = session.engine.wanted();
    session.engine.handle(NOW, Report::Granted { slots });
    let Some(Action::Append { seq, .. }) = session.engine.poll_action() else {
        panic!("one of them starts")
    };
    session.engine.handle(NOW, Report::Durable { seq });
    let winner = session.start_one();
    session.end(&winner, owed(1));
    assert!(!session.engine.uses_lane() && !session.engine.wants_lane());
}

#[test]
fn an_undo_that_kills_the_process_is_given_up() {
    for (crashes_max, told) in [(1, "once"), (2, "2 times")] {
        let behind = PlanNode {
            after: vec![here(0)],
            ..job(1)
        };
        let mut program = jobs(vec![undoable(0, &[]), behind]);
        program.fails_first[1] = 1;
        program.crashes_max = crashes_max;
        let mut world = World::new(&program, &[], 1);
        let is_undoing = |world: &World<'_>| {
            let mut records = world.disk_records();
            records.any(|it| matches!(it, Record::UndoStarted { .. }))
        };
        for _ in 0..crashes_max {
            world.boot();
            while !is_undoing(&world) || world.live() == 0 {
                world.grant(1);
                world.acknowledge();
                if !is_undoing(&world) && world.live() > 0 {
                    world.end_attempt(0, false);
                }
            }
            world.crash(0);
        }
        world.boot();
        drive_in_order(&mut world, usize::MAX);
        let ended = world.disk_records().find_map(|it| match it {
            Record::RunFinished(Ending::Failed { failure, .. }) => Some(failure.message.clone()),
            _ => None,
        });
        let told = format!("the process died {told} while it was under way");
        assert!(ended.is_some_and(|it| it.contains(&told)), "{told}");
    }
}
