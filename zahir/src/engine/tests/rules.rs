//! Single rules of the engine, each in a story of its own.

use std::sync::Arc;

use zahir_store::{
    Attempt, DefinitionId, Ending, Failure, FailureKind, FrameStep, NodeId, Position, Record,
    RunHead, RunId, RunStart, RunStatus, StoredRun, StoredStep, Timestamp,
};

use super::plans::{self, Program, here, node, region};
use crate::engine::{
    Action, AttemptOutcome, Engine, Evaluated, Place, Progress, RecoverError, Refusal, Report,
    SIGNALS_MAX, Verdict,
};
use crate::plan::{Exit, Plan, PlanKind, PlanNode, PlanRegion, RegionId, SignalId, Source};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn started() -> RunStart {
    let definition = DefinitionId::from_u128(1);
    RunStart {
        workflow: "fan".into(),
        key: None,
        definition,
        input: vec![],
    }
}

fn job(item: u32) -> Position {
    let frames = vec![FrameStep {
        node: NodeId::new(1),
        index: item,
    }];
    Position {
        frames,
        node: NodeId::new(3),
    }
}

fn stored(records: Vec<Record>) -> StoredRun {
    let mut all = vec![Record::RunStarted(started())];
    all.extend(records);
    StoredRun {
        head: RunHead {
            id: RunId::from_u128(1),
            workflow: "fan".into(),
            key: None,
            status: RunStatus::Running,
            started_at: NOW,
            updated_at: NOW,
            records: u64::try_from(all.len()).unwrap(),
        },
        steps: vec![StoredStep {
            at: NOW,
            records: all,
        }],
    }
}

fn recover(records: Vec<Record>) -> Result<Engine<u64>, RecoverError> {
    recover_in(plans::fan(0).plan, records)
}

/// The run is given as many inputs as its body takes, each of them 5.
fn recover_in(plan: Arc<Plan>, records: Vec<Record>) -> Result<Engine<u64>, RecoverError> {
    let decode = &mut |_, _, bytes: &[u8]| match bytes {
        [byte] => Ok(u64::from(*byte)),
        _ => Err(Failure {
            kind: FailureKind::Undecodable,
            message: "not one byte".into(),
        }),
    };
    let inputs = vec![5; plan.region(RegionId::BODY).inputs.len()];
    let recovered = Engine::recover(plan, &stored(records), inputs, 0, decode);
    recovered.map(|engine| engine.begin(NOW))
}

fn actions(engine: &mut Engine<u64>) -> Vec<Action<u64>> {
    std::iter::from_fn(|| engine.poll_action()).collect()
}

fn counted(items: u32) -> Record {
    Record::ItemsCounted {
        at: Position {
            frames: vec![],
            node: NodeId::new(1),
        },
        items,
    }
}

fn tried(item: u32) -> Record {
    Record::AttemptStarted {
        at: job(item),
        attempt: Attempt::FIRST,
    }
}

/// Answers the one evaluation that is asked for.
fn give_items(engine: &mut Engine<u64>, items: Vec<u64>) -> Vec<Action<u64>> {
    let [Action::Evaluate { place, .. }] = actions(engine)[..] else {
        panic!("one evaluation")
    };
    engine.handle(
        NOW,
        Report::Evaluated {
            place,
            result: Ok(Evaluated::Items(items)),
        },
    );
    actions(engine)
}

#[test]
fn a_for_that_counts_differently_after_a_restart_fails_the_run() {
    let mut engine = recover(vec![counted(3)]).unwrap();
    let end = give_items(&mut engine, vec![1, 2]);
    let [Action::Append { records, .. }] = &end[..] else {
        panic!("{end:?}")
    };
    let [Record::RunFinished(Ending::Failed { failure, .. })] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(failure.kind, FailureKind::Diverged);
    assert_eq!(
        failure.message,
        "this `for` went over 3 items before the restart and would go over 2 now: what it goes over \
         must depend on nothing but values of the workflow"
    );
}

#[test]
fn finished_items_are_not_run_again() {
    let done = Record::AttemptSucceeded {
        at: job(1),
        attempt: Attempt::FIRST,
        output: vec![9],
    };
    let mut engine = recover(vec![counted(3), tried(1), done]).unwrap();
    assert_eq!(
        engine.progress(),
        Progress {
            skipped: 0,
            done: 1,
            running: 0,
            known: 3
        }
    );
    give_items(&mut engine, vec![1, 2, 3]);
    assert_eq!(engine.wanted(), 2);
}

/// What a repair says of a job and its children may be of one that is over with all that is around it.
#[test]
fn what_a_repair_says_of_a_finished_item_begins_nothing() {
    let records = |repair: Record| {
        let done = Record::AttemptSucceeded {
            at: job(0),
            attempt: Attempt::FIRST,
            output: vec![9],
        };
        vec![counted(1), tried(0), done, repair]
    };
    let suspended = Record::ChildrenSuspended {
        at: job(0),
        children: vec![0],
    };
    for repair in [Record::AttemptsDropped { at: job(0) }, suspended] {
        let mut engine = recover(records(repair)).unwrap();
        drop(give_items(&mut engine, vec![1]));
        assert_eq!(engine.wanted(), 0);
    }
}

#[test]
fn what_comes_behind_a_branch_waits_for_all_that_the_branch_does() {
    // `let a = job(); let b = if .. { job() } else { a }; job(b)`: the first job runs again, the arm that
    // was taken stays.
    let nodes = vec![
        node(PlanKind::Job, 0, 0, vec![]),
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(PlanKind::Branch, 0, 1, vec![])
        },
        node(PlanKind::Job, 1, 0, vec![]),
        node(PlanKind::Job, 0, 2, vec![here(1)]),
    ];
    let ids = |ids: &[u32]| ids.iter().copied().map(NodeId::new).collect();
    let regions = vec![
        region(ids(&[0, 1, 3]), vec![], None),
        region(ids(&[2]), vec![], Some(here(0))),
        region(vec![], vec![], Some(Source { up: 1, slot: 0 })),
    ];
    let at = |node| Position {
        frames: vec![],
        node: NodeId::new(node),
    };
    let mut inner = at(2);
    inner.frames.push(FrameStep {
        node: NodeId::new(1),
        index: 0,
    });
    let records = vec![
        Record::BranchTaken { at: at(1), arm: 0 },
        Record::AttemptStarted {
            at: inner.clone(),
            attempt: Attempt::FIRST,
        },
        Record::AttemptSucceeded {
            at: inner,
            attempt: Attempt::FIRST,
            output: vec![7],
        },
    ];
    let mut engine = recover_in(Program::new(nodes, regions).plan, records).unwrap();
    engine.handle(NOW, Report::Granted { slots: 1 });
    assert_eq!(engine.wanted(), 0);
    let [Action::Append { seq, .. }] = actions(&mut engine)[..] else {
        panic!("one job starts")
    };
    engine.handle(NOW, Report::Durable { seq });
    let [Action::Start { place, attempt, .. }] = actions(&mut engine)[..] else {
        panic!("one job starts")
    };
    assert_eq!(place.node, NodeId::new(0));
    let outcome = AttemptOutcome::Succeeded {
        value: 7,
        encoded: vec![],
        extra: None,
    };
    engine.handle(
        NOW,
        Report::AttemptEnded {
            place,
            attempt,
            outcome,
        },
    );
    assert_eq!(engine.wanted(), 1);
}

#[test]
fn an_item_that_had_begun_goes_on_behind_one_that_returns() {
    // `#[limit(2)] for item in items { if item == 2 { return item } else { work() } item }`: the first item
    // is over, the second has returned, which is not on record, and the third had begun by then.
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            inside: vec![RegionId(1)],
            ..node(PlanKind::Each { limit: Some(2) }, 0, 1, vec![here(0)])
        },
        node(PlanKind::Input, 1, 0, vec![]),
        PlanNode {
            inside: vec![RegionId(2), RegionId(3)],
            ..node(PlanKind::Branch, 1, 1, vec![here(0)])
        },
        node(PlanKind::Job, 3, 0, vec![]),
    ];
    let ids = |ids: &[u32]| ids.iter().copied().map(NodeId::new).collect();
    let returns = PlanRegion {
        exit: Exit::Return,
        ..region(vec![], vec![], Some(Source { up: 1, slot: 0 }))
    };
    let works = PlanRegion {
        jobs: 1,
        ..region(ids(&[4]), vec![], Some(here(0)))
    };
    let regions = vec![
        region(ids(&[0, 1]), vec![0], None),
        region(ids(&[2, 3]), vec![0], Some(here(0))),
        returns,
        works,
    ];
    let branch = |item| Position {
        node: NodeId::new(3),
        ..job(item)
    };
    let mut work = branch(0);
    work.frames.push(FrameStep {
        node: NodeId::new(3),
        index: 1,
    });
    work.node = NodeId::new(4);
    let taken = |item, arm| Record::BranchTaken {
        at: branch(item),
        arm,
    };
    let records = vec![
        counted(3),
        taken(0, 1),
        Record::AttemptStarted {
            at: work.clone(),
            attempt: Attempt::FIRST,
        },
        Record::AttemptSucceeded {
            at: work,
            attempt: Attempt::FIRST,
            output: vec![7],
        },
        taken(1, 0),
        taken(2, 1),
    ];
    let mut engine = recover_in(Program::new(nodes, regions).plan, records).unwrap();
    assert_eq!(give_items(&mut engine, vec![1, 2, 3]), []);
    assert_eq!(engine.wanted(), 1, "the third item goes on");
}

#[test]
fn an_undecodable_result_is_reported_with_its_node() {
    let done = Record::AttemptSucceeded {
        at: job(0),
        attempt: Attempt::FIRST,
        output: vec![],
    };
    let error = recover(vec![counted(3), tried(0), done]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the result of node 1[0]/3 can't be decoded: not one byte"
    );
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let done = || Record::AttemptSucceeded {
        at: job(0),
        attempt: Attempt::FIRST,
        output: vec![1],
    };
    let nowhere = Position {
        frames: vec![],
        node: NodeId::new(77),
    };
    let cases = [
        (
            vec![tried(0)],
            "record 1 does not fit: there is no such node",
        ),
        (
            vec![counted(1), tried(1)],
            "record 2 does not fit: there is no such node",
        ),
        (
            vec![counted(1), done()],
            "record 2 does not fit: that attempt was not under way",
        ),
        (
            vec![counted(1), tried(0), tried(0)],
            "record 3 does not fit: the node can't have changed like that",
        ),
        (
            vec![counted(1), tried(0), done(), done()],
            "record 4 does not fit: that attempt was not under way",
        ),
        (
            vec![Record::ItemsCounted {
                at: nowhere,
                items: 1,
            }],
            "record 1 does not fit: there is no such node",
        ),
        (
            vec![Record::RunStarted(started())],
            "record 1 does not fit: the run started before",
        ),
        (
            vec![Record::RunFinished(Ending::Cancelled)],
            "record 1 does not fit: the run is over",
        ),
    ];
    for (records, expected) in cases {
        assert_eq!(recover(records).unwrap_err().to_string(), expected);
    }
}

/// Starts a fresh run over `items` items and hands out one slot.
fn one_under_way(retry: u32, items: Vec<u64>) -> (Engine<u64>, Place, Attempt) {
    let mut engine = Engine::start(
        plans::fan(retry).plan,
        RunId::from_u128(1),
        None,
        vec![5],
        0,
    )
    .begin(NOW);
    give_items(&mut engine, items);
    engine.handle(NOW, Report::Granted { slots: 1 });
    let [Action::Start { place, attempt, .. }] = actions(&mut engine)[..] else {
        panic!("a start")
    };
    (engine, place, attempt)
}

fn fail() -> AttemptOutcome<u64> {
    AttemptOutcome::Failed {
        verdict: Verdict::ByPolicy,
        error: None,
        failure: Failure {
            kind: FailureKind::Error,
            message: "no".into(),
        },
    }
}

#[test]
fn a_failed_attempt_waits_for_its_backoff() {
    let (mut engine, place, attempt) = one_under_way(1, vec![1]);
    engine.handle(
        NOW,
        Report::AttemptEnded {
            place,
            attempt,
            outcome: fail(),
        },
    );
    assert_eq!((actions(&mut engine), engine.wanted()), (vec![], 0));
    let due = engine.poll_timeout().unwrap();
    assert!(due > NOW);
    engine.handle_timeout(Timestamp::from_millis(due.as_millis() - 1));
    assert_eq!(engine.wanted(), 0);
    engine.handle_timeout(due);
    assert_eq!(engine.wanted(), 1);
}

#[test]
fn nothing_starts_after_a_failure_and_siblings_end_first() {
    let (mut engine, place, attempt) = one_under_way(0, vec![1, 2, 3]);
    engine.handle(NOW, Report::Granted { slots: 1 });
    let [Action::Start { place: sibling, .. }] = actions(&mut engine)[..] else {
        panic!()
    };
    engine.handle(
        NOW,
        Report::AttemptEnded {
            place,
            attempt,
            outcome: fail(),
        },
    );
    assert_eq!((actions(&mut engine), engine.wanted()), (vec![], 0));
    let outcome = AttemptOutcome::Succeeded {
        value: 7,
        encoded: vec![],
        extra: None,
    };
    engine.handle(
        NOW,
        Report::AttemptEnded {
            place: sibling,
            attempt,
            outcome,
        },
    );
    let end = actions(&mut engine);
    let [
        Action::Finish {
            ending: Ending::Failed { at: Some(at), .. },
            ..
        },
    ] = &end[..]
    else {
        panic!("{end:?}")
    };
    assert_eq!(*at, job(0));
}

/// `race { { a() }.finally(c()), { b(); d() } }`, which the second had won before it was changed.
fn won_anew() -> (Program, Vec<Record>) {
    let nodes = vec![
        PlanNode {
            inside: vec![RegionId(1), RegionId(4)],
            ..node(PlanKind::Race, 0, 0, vec![])
        },
        PlanNode {
            inside: vec![RegionId(2), RegionId(3)],
            ..node(PlanKind::Finally, 1, 0, vec![])
        },
        node(PlanKind::Job, 2, 0, vec![]),
        node(PlanKind::Job, 3, 0, vec![]),
        node(PlanKind::Job, 4, 0, vec![]),
        node(PlanKind::Job, 4, 1, vec![]),
    ];
    let of = |ids: &[u32]| {
        let ids = ids.iter().copied().map(NodeId::new);
        region(ids.collect(), vec![], Some(here(0)))
    };
    let regions = [&[0][..], &[1], &[2], &[3], &[4, 5]];
    let program = Program::new(nodes, regions.map(of).to_vec());
    let at = |way: &[(u32, u32)], node| Position {
        frames: way
            .iter()
            .map(|(node, index)| FrameStep {
                node: NodeId::new(*node),
                index: *index,
            })
            .collect(),
        node: NodeId::new(node),
    };
    let records = vec![
        Record::BlockEntered {
            at: at(&[(0, 0)], 1),
        },
        Record::AttemptStarted {
            at: at(&[(0, 0), (1, 0)], 2),
            attempt: Attempt::FIRST,
        },
        Record::RaceWon {
            at: at(&[], 0),
            entry: 1,
        },
    ];
    (program, records)
}

#[test]
fn a_cancelled_race_ends_whether_or_not_its_winner_had() {
    let (program, records) = won_anew();
    for fails_before in [false, true] {
        let mut engine = recover_in(program.plan.clone(), records.clone()).unwrap();
        engine.handle(NOW, Report::Granted { slots: 3 });
        assert!(matches!(
            actions(&mut engine)[..],
            [Action::Append { seq: 1, .. }]
        ));
        engine.handle(NOW, Report::Durable { seq: 1 });
        let started = actions(&mut engine);
        let end = |engine: &mut Engine<u64>, node, outcome| {
            let started = started.iter().find_map(|action| match action {
                Action::Start { place, attempt, .. } if place.node == NodeId::new(node) => {
                    Some((*place, *attempt))
                }
                _ => None,
            });
            let (place, attempt) = started.unwrap();
            engine.handle(
                NOW,
                Report::AttemptEnded {
                    place,
                    attempt,
                    outcome,
                },
            );
        };
        if fails_before {
            end(&mut engine, 4, fail());
        }
        engine.handle(
            NOW,
            Report::CancelRequested {
                reason: "enough".into(),
                ticket: 1,
            },
        );
        let outcome = AttemptOutcome::Succeeded {
            value: 7,
            encoded: vec![],
            extra: None,
        };
        end(&mut engine, 3, outcome);
        let end = actions(&mut engine);
        let [Action::Append { records, .. }] = &end[..] else {
            panic!("{end:?}")
        };
        assert_eq!(
            records.last(),
            Some(&Record::RunFinished(Ending::Cancelled))
        );
    }
}

#[test]
fn what_died_in_an_entry_that_has_lost_has_not_failed() {
    // Whose first entry was over, but for pure code, and whose second is never started twice.
    let mut nodes = vec![
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(PlanKind::Race, 0, 0, vec![])
        },
        node(PlanKind::Job, 1, 0, vec![]),
        node(PlanKind::Job, 2, 0, vec![]),
    ];
    nodes[2].policy.at_most_once = true;
    let of = |id| region(vec![NodeId::new(id)], vec![], Some(here(0)));
    let program = Program::new(nodes, (0..3).map(of).collect());
    let at = |entry| Position {
        frames: vec![FrameStep {
            node: NodeId::new(0),
            index: entry,
        }],
        node: NodeId::new(entry + 1),
    };
    let started = |entry| Record::AttemptStarted {
        at: at(entry),
        attempt: Attempt::FIRST,
    };
    let done = Record::AttemptSucceeded {
        at: at(0),
        attempt: Attempt::FIRST,
        output: vec![7],
    };
    let records = vec![started(0), started(1), done];
    let mut engine = recover_in(program.plan, records).unwrap();
    let won = actions(&mut engine);
    let recorded = won.iter().filter_map(|action| match action {
        Action::Append { records, .. } => Some(records.clone()),
        _ => None,
    });
    let at = Position {
        frames: vec![],
        node: NodeId::new(0),
    };
    assert_eq!(
        recorded.flatten().collect::<Vec<_>>(),
        [Record::RaceWon { at, entry: 0 }],
        "{won:?}"
    );
}

#[test]
fn a_broken_rule_halts_the_run_with_a_report() {
    let (mut engine, ..) = one_under_way(0, vec![1]);
    engine.handle(NOW, Report::Granted { slots: 5 });
    let halted = actions(&mut engine);
    let [Action::Halt(violation)] = &halted[..] else {
        panic!("{halted:?}")
    };
    assert_eq!(
        violation.to_string(),
        "invariant I8 no more is granted than is wanted: 5 slots for 0 nodes"
    );
    engine.handle(
        NOW,
        Report::CancelRequested {
            reason: "late".into(),
            ticket: 1,
        },
    );
    assert_eq!(
        actions(&mut engine),
        vec![],
        "a halted run does nothing more"
    );
}

#[test]
fn an_append_acknowledged_out_of_order_halts_the_run() {
    let mut engine = Engine::start(
        plans::fan(0).plan,
        RunId::from_u128(1),
        Some(started()),
        vec![5],
        0,
    )
    .begin(NOW);
    actions(&mut engine);
    engine.handle(NOW, Report::Durable { seq: 2 });
    let halted = actions(&mut engine);
    let [Action::Halt(violation)] = &halted[..] else {
        panic!("{halted:?}")
    };
    assert!(violation.invariant.starts_with("I1 "));
}

#[test]
fn a_for_over_many_items_opens_only_the_frames_it_has_use_for() {
    let mut engine =
        Engine::start(plans::fan(0).plan, RunId::from_u128(1), None, vec![5], 0).begin(NOW);
    give_items(&mut engine, (0..1_000_000).collect());
    assert_eq!(engine.wanted(), 256);
    assert_eq!(engine.frames.count(), 1 + 256);
}

#[test]
fn a_workflow_that_calls_itself_for_ever_fails() {
    let program = plans::endless();
    let mut engine = Engine::start(program.plan, RunId::from_u128(1), None, vec![5], 0).begin(NOW);
    let failure = loop {
        let action = engine.poll_action().unwrap();
        if let Action::Evaluate { place, inputs, .. } = action {
            let result = Ok(Evaluated::Inputs(inputs));
            engine.handle(NOW, Report::Evaluated { place, result });
            continue;
        }
        let Action::Finish {
            ending: Ending::Failed { failure, .. },
            ..
        } = action
        else {
            panic!("{action:?}")
        };
        break failure;
    };
    assert_eq!(
        failure.message,
        "workflows call each other 256 deep here, and no deeper"
    );
}

/// Two waits for one signal at once, the second of them in a region that is written first.
#[test]
fn waits_for_one_name_are_given_signals_in_program_order() {
    let wait = PlanKind::Signal {
        signal: SignalId(0),
        timeout: None,
    };
    let nodes = vec![
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(PlanKind::Finally, 0, 0, vec![])
        },
        node(wait, 0, 1, vec![]),
        node(wait, 1, 0, vec![]),
    ];
    let ids = |numbers: &[u32]| numbers.iter().copied().map(NodeId::new).collect();
    let regions = vec![
        region(ids(&[0, 1]), vec![], None),
        region(ids(&[2]), vec![], None),
        region(vec![], vec![], None),
    ];
    let program = Program::new(nodes, regions);
    let run = RunId::from_u128(1);
    let mut engine = Engine::start(program.plan, run, None, vec![], 0).begin(NOW);
    for (ticket, waits) in [(1, 2), (2, 1)] {
        drop(actions(&mut engine));
        let signal = Report::SignalReceived {
            signal: SignalId(0),
            payload: vec![],
            ticket,
        };
        engine.handle(NOW, signal);
        let given = actions(&mut engine).into_iter().find_map(|action| {
            if let Action::Evaluate { place, .. } = action {
                Some(place.node)
            } else {
                None
            }
        });
        assert_eq!(given, Some(NodeId::new(waits)));
    }
}

#[test]
fn a_run_keeps_no_more_signals_than_it_may() {
    let wait = PlanKind::Signal {
        signal: SignalId(0),
        timeout: None,
    };
    let nodes = vec![
        node(PlanKind::Job, 0, 0, vec![]),
        PlanNode {
            after: vec![here(0)],
            ..node(wait, 0, 1, vec![])
        },
    ];
    let ids = vec![NodeId::new(0), NodeId::new(1)];
    let program = Program::new(nodes, vec![region(ids, vec![], None)]);
    let run = RunId::from_u128(1);
    let mut engine = Engine::start(program.plan, run, None, vec![], 0).begin(NOW);
    let mut send = |ticket| {
        let signal = Report::SignalReceived {
            signal: SignalId(0),
            payload: vec![],
            ticket,
        };
        engine.handle(NOW, signal);
        actions(&mut engine)
    };
    let most = u64::try_from(SIGNALS_MAX).unwrap();
    for ticket in 0..most {
        assert_eq!(send(ticket), [Action::Answer { ticket }]);
    }
    let refused = Action::Refuse {
        ticket: most,
        why: Refusal::Full,
    };
    assert_eq!(send(most), [refused]);
}

/// `if input { return input } job()`
#[test]
fn what_is_behind_a_return_is_skipped_and_no_longer_expected() {
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(PlanKind::Branch, 0, 1, vec![here(0)])
        },
        PlanNode {
            after: vec![here(1)],
            ..node(PlanKind::Job, 0, 2, vec![])
        },
    ];
    let ids = (0..3).map(NodeId::new).collect();
    let regions = vec![
        PlanRegion {
            jobs: 1,
            ..region(ids, vec![0], Some(here(2)))
        },
        PlanRegion {
            exit: Exit::Return,
            ..region(vec![], vec![], Some(Source { up: 1, slot: 0 }))
        },
        region(vec![], vec![], None),
    ];
    let program = Program::new(nodes, regions);
    let run = RunId::from_u128(1);
    let mut engine = Engine::start(program.plan, run, Some(started()), vec![5], 0).begin(NOW);
    let Some(Action::Evaluate { place, .. }) = engine.poll_action() else {
        panic!("the choice")
    };
    let result = Ok(Evaluated::Arm(0));
    engine.handle(NOW, Report::Evaluated { place, result });
    let expected = Progress {
        skipped: 1,
        ..Progress::default()
    };
    assert_eq!(engine.progress(), expected);
    let Some(Action::EncodeOutput { output: 5 }) = engine.poll_action() else {
        panic!("the value that is returned")
    };
}

/// `if input { loop { .. } } else { { job() }.finally(job()) }`, with the first arm taken: what is
/// inside the other is skipped, however deep.
#[test]
fn what_is_inside_an_arm_that_is_not_taken_is_skipped() {
    let entering = |kind, at: (usize, usize), inside: &[usize]| PlanNode {
        inside: inside.iter().copied().map(RegionId).collect(),
        ..node(kind, at.0, at.1, vec![])
    };
    let nodes = vec![
        entering(PlanKind::Branch, (0, 0), &[1, 2]),
        entering(PlanKind::Finally, (2, 0), &[3, 4]),
        node(PlanKind::Job, 3, 0, vec![]),
        node(PlanKind::Job, 4, 0, vec![]),
    ];
    let of = |ids: &[u32]| {
        let ids = ids.iter().copied().map(NodeId::new);
        region(ids.collect(), vec![], None)
    };
    let regions = vec![of(&[0]), of(&[]), of(&[1]), of(&[2]), of(&[3])];
    let program = Program::new(nodes, regions);
    let run = RunId::from_u128(1);
    let mut engine = Engine::start(program.plan, run, Some(started()), vec![], 0).begin(NOW);
    let Some(Action::Evaluate { place, .. }) = engine.poll_action() else {
        panic!("the choice")
    };
    let result = Ok(Evaluated::Arm(0));
    engine.handle(NOW, Report::Evaluated { place, result });
    assert_eq!(engine.progress().skipped, 2);
    let appended = actions(&mut engine);
    assert!(matches!(
        appended.last(),
        Some(Action::Append { seq: 1, .. })
    ));
    engine.handle(NOW, Report::Durable { seq: 1 });
    let skipped = actions(&mut engine).into_iter().filter_map(|action| {
        if let Action::Skip { at } = action {
            Some(format!("{at:?}"))
        } else {
            None
        }
    });
    let skipped: Vec<String> = skipped.collect();
    assert_eq!(skipped, ["0[1]/1", "0[1]/1[0]/2", "0[1]/1[1]/3"]);
}

/// A loop over pure values: what a round leaves behind is gone when the next begins.
#[test]
fn rounds_that_are_over_take_up_no_memory() {
    let kind = PlanKind::Loop {
        max: Some(5_000),
        or_last: true,
    };
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            inside: vec![RegionId(1)],
            assigned: vec![2],
            ..node(kind, 0, 1, vec![here(0)])
        },
        node(PlanKind::Assigned, 0, 2, vec![]),
        node(PlanKind::Input, 1, 0, vec![]),
        node(PlanKind::Value, 1, 1, vec![here(0)]),
    ];
    let ids = |numbers: [u32; 2]| numbers.map(NodeId::new).to_vec();
    let regions = vec![
        region((0..3).map(NodeId::new).collect(), vec![0], Some(here(2))),
        PlanRegion {
            exit: Exit::Continue,
            outs: vec![here(1)],
            ..region(ids([3, 4]), vec![0], None)
        },
    ];
    let program = Program::new(nodes, regions);
    let run = RunId::from_u128(1);
    let mut engine = Engine::start(program.plan, run, None, vec![7], 0).begin(NOW);
    let mut rounds = 0;
    while let Some(Action::Evaluate { place, inputs, .. }) = engine.poll_action() {
        rounds += 1;
        assert_eq!(engine.frames.count(), 2);
        let result = Ok(Evaluated::Value(inputs[0] + 1));
        engine.handle(NOW, Report::Evaluated { place, result });
    }
    assert_eq!(rounds, 5_000);
    assert_eq!(engine.frames.cells(), 2);
}

/// `job().rescue(|error| job(error))`, whose error is not on record.
#[test]
fn a_kept_error_that_is_not_on_record_is_reported() {
    let kind = PlanKind::Rescue { is_typed: true };
    let nodes = vec![
        PlanNode {
            inside: vec![RegionId(1), RegionId(2)],
            ..node(kind, 0, 0, vec![])
        },
        PlanNode {
            keeps_error: true,
            ..node(PlanKind::Job, 1, 0, vec![])
        },
        node(PlanKind::Input, 2, 0, vec![]),
    ];
    let of = |id: u32, inputs| region(vec![NodeId::new(id)], inputs, Some(here(0)));
    let regions = vec![of(0, vec![]), of(1, vec![]), of(2, vec![0])];
    let program = Program::new(nodes, regions);
    let at = Position {
        frames: vec![FrameStep {
            node: NodeId::new(0),
            index: 0,
        }],
        node: NodeId::new(1),
    };
    let attempt = Attempt::FIRST;
    let failure = |kind| Record::AttemptFailed {
        at: at.clone(),
        attempt,
        failure: Failure {
            kind,
            message: "sold out".into(),
        },
        retry_at: None,
    };
    let begun = Record::AttemptStarted {
        at: at.clone(),
        attempt,
    };
    let recover = |kind| {
        let records = stored(vec![begun.clone(), failure(kind)]);
        let decode = &mut |_, _, _: &[u8]| Ok(7);
        Engine::recover(program.plan.clone(), &records, vec![], 0, decode)
    };
    let Err(RecoverError::Misfit { record: 2, reason }) = recover(FailureKind::Error) else {
        panic!("an error without a value")
    };
    assert_eq!(
        reason,
        "its error, which a handler is to be given, is not on record"
    );
    assert!(recover(FailureKind::Panic).is_ok());
}
