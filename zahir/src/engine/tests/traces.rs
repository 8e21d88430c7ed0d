//! Golden traces: these reports give exactly these actions, in this order and with these records.
//!
//! A difference here is a change of the file format, or of the order of effects.

use expect_test::{Expect, expect};
use zahir_store::NodeId;

use super::plans::{self, Program, here, node, region};
use super::schedules::drive_in_order;
use super::scripts;
use super::world::World;
use crate::job::policy::Policy;
use crate::plan::{Exit, PlanKind, PlanNode, PlanRegion, Recovery, RegionId, SignalId, Source};

/// A `for` over as many items as the input gives, in which each job fails `retry` times.
fn check(retry: u32, input: u64, expected: &Expect) {
    trace(&plans::fan(retry), input, expected);
}

fn trace(program: &Program, input: u64, expected: &Expect) {
    let mut world = World::new(program, &[input], 2);
    world.trace = Some(Vec::new());
    world.boot();
    drive_in_order(&mut world, usize::MAX);
    expected.assert_eq(&world.trace.take().unwrap().join("\n"));
}

#[test]
fn a_for_over_three_items() {
    check(
        0,
        5,
        &expect![[r#"
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Step, inputs: [5] }
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
            Append { seq: 2, first: 1, records: [ItemsCounted { at: 1, items: 3 }] }
            Append { seq: 3, first: 2, records: [AttemptStarted { at: 1[0]/3, attempt: Attempt(1) }, AttemptStarted { at: 1[1]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[0]]), timeout: None, inputs: [418579537664111267], work: None }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [4906566073209572766], work: None }
            Append { seq: 4, first: 4, records: [AttemptSucceeded { at: 1[0]/3, attempt: Attempt(1), output: [154, 58, 245, 229, 70, 207, 126, 63] }] }
            Append { seq: 5, first: 5, records: [AttemptStarted { at: 1[2]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 3, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[2]]), timeout: None, inputs: [9656795155753307463], work: None }
            Append { seq: 6, first: 6, records: [AttemptSucceeded { at: 1[1]/3, attempt: Attempt(1), output: [165, 148, 253, 7, 64, 8, 77, 2] }] }
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Join, inputs: [11113465395574439487, 11931439520392170754, 4936180915476117796] }
            Append { seq: 7, first: 7, records: [AttemptSucceeded { at: 1[2]/3, attempt: Attempt(1), output: [68, 128, 214, 99, 190, 4, 57, 36] }] }
            EncodeOutput { output: 14650938575939331563 }
            Append { seq: 8, first: 8, records: [RunFinished(Succeeded { output: [203, 82, 151, 2, 196, 238, 101, 235] })] }
            Finish { ending: Succeeded { output: [203, 82, 151, 2, 196, 238, 101, 235] }, attempt: None, output: Some(14650938575939331563) }"#]],
    );
}

#[test]
fn a_for_over_no_items() {
    check(
        0,
        1,
        &expect![[r#"
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Step, inputs: [1] }
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Join, inputs: [] }
            Append { seq: 2, first: 1, records: [ItemsCounted { at: 1, items: 0 }] }
            EncodeOutput { output: 7 }
            Append { seq: 3, first: 2, records: [RunFinished(Succeeded { output: [0, 0, 0, 0, 0, 0, 0, 7] })] }
            Finish { ending: Succeeded { output: [0, 0, 0, 0, 0, 0, 0, 7] }, attempt: None, output: Some(7) }"#]],
    );
}

#[test]
fn a_failure_that_is_tried_again() {
    check(
        1,
        2,
        &expect![[r#"
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Step, inputs: [2] }
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
            Append { seq: 2, first: 1, records: [ItemsCounted { at: 1, items: 3 }] }
            Append { seq: 3, first: 2, records: [AttemptStarted { at: 1[0]/3, attempt: Attempt(1) }, AttemptStarted { at: 1[1]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[0]]), timeout: None, inputs: [15109143698054783702], work: None }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [9300382359073595230], work: None }
            Append { seq: 4, first: 4, records: [AttemptFailed { at: 1[0]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000116)) }] }
            Append { seq: 5, first: 5, records: [AttemptStarted { at: 1[2]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 3, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[2]]), timeout: None, inputs: [9194189028845198], work: None }
            Append { seq: 6, first: 6, records: [AttemptFailed { at: 1[1]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000105)) }] }
            Append { seq: 7, first: 7, records: [AttemptFailed { at: 1[2]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000111)) }] }
            Append { seq: 8, first: 8, records: [AttemptStarted { at: 1[1]/3, attempt: Attempt(2) }] }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(2), frames: Some([1[1]]), timeout: None, inputs: [9300382359073595230], work: None }
            Append { seq: 9, first: 9, records: [AttemptSucceeded { at: 1[1]/3, attempt: Attempt(2), output: [127, 156, 33, 100, 227, 97, 85, 95] }] }
            Append { seq: 10, first: 10, records: [AttemptStarted { at: 1[2]/3, attempt: Attempt(2) }] }
            Start { place: Place { frame: FrameId { index: 3, generation: 0 }, node: 3 }, attempt: Attempt(2), frames: Some([1[2]]), timeout: None, inputs: [9194189028845198], work: None }
            Append { seq: 11, first: 11, records: [AttemptSucceeded { at: 1[2]/3, attempt: Attempt(2), output: [154, 125, 215, 65, 18, 22, 193, 151] }] }
            Append { seq: 12, first: 12, records: [AttemptStarted { at: 1[0]/3, attempt: Attempt(2) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 3 }, attempt: Attempt(2), frames: Some([1[0]]), timeout: None, inputs: [15109143698054783702], work: None }
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Join, inputs: [2213433407751965009, 9195261256378963295, 11132290528406061463] }
            Append { seq: 13, first: 13, records: [AttemptSucceeded { at: 1[0]/3, attempt: Attempt(2), output: [30, 183, 177, 245, 3, 9, 201, 81] }] }
            EncodeOutput { output: 1417311367171743447 }
            Append { seq: 14, first: 14, records: [RunFinished(Succeeded { output: [19, 171, 77, 45, 224, 101, 30, 215] })] }
            Finish { ending: Succeeded { output: [19, 171, 77, 45, 224, 101, 30, 215] }, attempt: None, output: Some(1417311367171743447) }"#]],
    );
}

const fn around(slot: usize) -> Source {
    Source { up: 1, slot }
}

fn ids(numbers: &[u32]) -> Vec<NodeId> {
    numbers.iter().copied().map(NodeId::new).collect()
}

/// A node that enters these regions.
fn entering(kind: PlanKind, at: (usize, usize), uses: Vec<Source>, inside: &[usize]) -> PlanNode {
    PlanNode {
        inside: inside.iter().copied().map(RegionId).collect(),
        ..node(kind, at.0, at.1, uses)
    }
}

/// `let mut n = input; loop { n = job(n); if odd(n) { break n } }`
#[test]
fn a_loop_that_breaks() {
    let kind = PlanKind::Loop {
        max: Some(9),
        or_last: false,
    };
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            assigned: vec![2],
            ..entering(kind, (0, 1), vec![here(0)], &[1])
        },
        node(PlanKind::Assigned, 0, 2, vec![]),
        node(PlanKind::Input, 1, 0, vec![]),
        node(PlanKind::Job, 1, 1, vec![here(0)]),
        entering(PlanKind::Branch, (1, 2), vec![here(1)], &[2, 3]),
    ];
    let regions = vec![
        region(ids(&[0, 1, 2]), vec![0], Some(here(2))),
        PlanRegion {
            exit: Exit::Continue,
            outs: vec![here(1)],
            ..region(ids(&[3, 4, 5]), vec![0], None)
        },
        region(vec![], vec![], None),
        PlanRegion {
            exit: Exit::Break,
            outs: vec![around(1)],
            ..region(vec![], vec![], Some(around(1)))
        },
    ];
    trace(
        &Program::new(nodes, regions),
        1,
        &expect![[r#"
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
            Append { seq: 2, first: 1, records: [AttemptStarted { at: 1[0]/4, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 4 }, attempt: Attempt(1), frames: Some([1[0]]), timeout: None, inputs: [1], work: None }
            Evaluate { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 5 }, what: Step, inputs: [6851577548659813878] }
            Append { seq: 3, first: 2, records: [AttemptSucceeded { at: 1[0]/4, attempt: Attempt(1), output: [95, 21, 177, 122, 178, 232, 237, 246] }] }
            Append { seq: 4, first: 3, records: [BranchTaken { at: 1[0]/5, arm: 0 }] }
            Append { seq: 5, first: 4, records: [AttemptStarted { at: 1[1]/4, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 1 }, node: 4 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [6851577548659813878], work: None }
            Evaluate { place: Place { frame: FrameId { index: 1, generation: 1 }, node: 5 }, what: Step, inputs: [12169835512314614516] }
            Append { seq: 6, first: 5, records: [AttemptSucceeded { at: 1[1]/4, attempt: Attempt(1), output: [168, 227, 240, 235, 126, 114, 82, 244] }] }
            EncodeOutput { output: 12169835512314614516 }
            Append { seq: 7, first: 6, records: [BranchTaken { at: 1[1]/5, arm: 1 }, RunFinished(Succeeded { output: [168, 227, 240, 235, 126, 114, 82, 244] })] }
            Finish { ending: Succeeded { output: [168, 227, 240, 235, 126, 114, 82, 244] }, attempt: None, output: Some(12169835512314614516) }"#]],
    );
}

/// `{ job(input) }.rescue(|error| job(error)).finally(job(input))`
#[test]
fn a_failure_that_is_handled() {
    let kind = PlanKind::Rescue { is_typed: false };
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        entering(PlanKind::Finally, (0, 1), vec![], &[1, 2]),
        entering(kind, (1, 0), vec![], &[3, 4]),
        node(PlanKind::Job, 3, 0, vec![Source { up: 2, slot: 0 }]),
        node(PlanKind::Input, 4, 0, vec![]),
        node(PlanKind::Job, 4, 1, vec![here(0)]),
        node(PlanKind::Job, 2, 0, vec![around(0)]),
    ];
    let regions = vec![
        region(ids(&[0, 1]), vec![0], Some(here(1))),
        region(ids(&[2]), vec![], Some(here(0))),
        region(ids(&[6]), vec![], Some(here(0))),
        region(ids(&[3]), vec![], Some(here(0))),
        region(ids(&[4, 5]), vec![0], Some(here(1))),
    ];
    let mut program = Program::new(nodes, regions);
    program.fails_first[3] = 1;
    trace(
        &program,
        5,
        &expect![[r#"
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] }), BlockEntered { at: 1 }] }
            Append { seq: 2, first: 2, records: [AttemptStarted { at: 1[0]/2[0]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[0], 2[0]]), timeout: None, inputs: [5], work: None }
            Evaluate { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 2 }, what: Caught(Caught { at: 1[0]/2[0]/3, attempt: Some(Attempt(1)), failure: Failure { kind: Error, message: "as planned" } }), inputs: [] }
            Append { seq: 3, first: 3, records: [AttemptFailed { at: 1[0]/2[0]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: None }] }
            Append { seq: 4, first: 4, records: [AttemptStarted { at: 1[0]/2[1]/5, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 2, generation: 1 }, node: 5 }, attempt: Attempt(1), frames: Some([1[0], 2[1]]), timeout: None, inputs: [64017], work: None }
            Append { seq: 5, first: 5, records: [AttemptSucceeded { at: 1[0]/2[1]/5, attempt: Attempt(1), output: [16, 200, 200, 27, 212, 183, 251, 241] }] }
            Append { seq: 6, first: 6, records: [AttemptStarted { at: 1[1]/6, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 1 }, node: 6 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [5], work: None }
            EncodeOutput { output: 1209436521807477745 }
            Append { seq: 7, first: 7, records: [AttemptSucceeded { at: 1[1]/6, attempt: Attempt(1), output: [130, 36, 42, 21, 158, 209, 167, 66] }, RunFinished(Succeeded { output: [16, 200, 200, 27, 212, 183, 251, 241] })] }
            Finish { ending: Succeeded { output: [16, 200, 200, 27, 212, 183, 251, 241] }, attempt: None, output: Some(1209436521807477745) }"#]],
    );
}

/// `job(race((signal(), sleep(input))))`
#[test]
fn a_race_that_time_wins() {
    let wait = PlanKind::Signal {
        signal: SignalId(0),
        timeout: None,
    };
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        entering(PlanKind::Race, (0, 1), vec![], &[1, 2]),
        node(wait, 1, 0, vec![]),
        node(PlanKind::Sleep, 2, 0, vec![around(0)]),
        node(PlanKind::Job, 0, 2, vec![here(1)]),
    ];
    let regions = vec![
        region(ids(&[0, 1, 4]), vec![0], Some(here(2))),
        region(ids(&[2]), vec![], Some(here(0))),
        region(ids(&[3]), vec![], Some(here(0))),
    ];
    trace(
        &Program::new(nodes, regions),
        5,
        &expect![[r#"
            Evaluate { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, what: Step, inputs: [5] }
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
            Append { seq: 2, first: 1, records: [TimerSet { at: 1[1]/3, due: Timestamp(1000011) }] }
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Won(1), inputs: [0] }
            Append { seq: 3, first: 2, records: [RaceWon { at: 1, entry: 1 }] }
            Append { seq: 4, first: 3, records: [AttemptStarted { at: 4, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 4 }, attempt: Attempt(1), frames: None, timeout: None, inputs: [6238072747940578789], work: None }
            EncodeOutput { output: 941399418723038769 }
            Append { seq: 5, first: 4, records: [AttemptSucceeded { at: 4, attempt: Attempt(1), output: [13, 16, 133, 200, 152, 190, 246, 49] }, RunFinished(Succeeded { output: [13, 16, 133, 200, 152, 190, 246, 49] })] }
            Finish { ending: Succeeded { output: [13, 16, 133, 200, 152, 190, 246, 49] }, attempt: None, output: Some(941399418723038769) }"#]],
    );
}

/// `job(signal())`
#[test]
fn a_wait_that_gets_a_signal() {
    let wait = PlanKind::Signal {
        signal: SignalId(0),
        timeout: None,
    };
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        node(wait, 0, 1, vec![]),
        node(PlanKind::Job, 0, 2, vec![here(1)]),
    ];
    let regions = vec![region(ids(&[0, 1, 2]), vec![0], Some(here(2)))];
    trace(
        &Program::new(nodes, regions),
        5,
        &expect![[r#"
            Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Received([0, 0, 0, 0, 0, 0, 0, 7]), inputs: [] }
            Append { seq: 2, first: 1, records: [SignalReceived { name: "red", payload: [0, 0, 0, 0, 0, 0, 0, 7] }, SignalConsumed { at: 1, signal: 0 }] }
            Append { seq: 3, first: 3, records: [AttemptStarted { at: 2, attempt: Attempt(1) }] }
            Answer { ticket: 100 }
            Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 2 }, attempt: Attempt(1), frames: None, timeout: None, inputs: [7], work: None }
            EncodeOutput { output: 6919705762120082025 }
            Append { seq: 4, first: 4, records: [AttemptSucceeded { at: 2, attempt: Attempt(1), output: [96, 7, 187, 186, 125, 100, 34, 105] }, RunFinished(Succeeded { output: [96, 7, 187, 186, 125, 100, 34, 105] })] }
            Finish { ending: Succeeded { output: [96, 7, 187, 186, 125, 100, 34, 105] }, attempt: None, output: Some(6919705762120082025) }"#]],
    );
}

/// `let a = job(); job(a)`: the second fails for good after its recovery, and the first is undone.
#[test]
fn a_recovery_that_fails_and_an_undo() {
    let once = || Box::new(Policy::ONCE);
    let recovery = Recovery {
        policy: Policy::ONCE,
        is_typed: true,
    };
    let nodes = vec![
        PlanNode {
            undo: Some(once()),
            ..node(PlanKind::Job, 0, 0, vec![])
        },
        PlanNode {
            keeps_error: true,
            recovery: Some(Box::new(recovery)),
            ..node(PlanKind::Job, 0, 1, vec![here(0)])
        },
    ];
    let mut program = Program::new(nodes, vec![region(ids(&[0, 1]), vec![], Some(here(1)))]);
    program.fails_first[1] = 1;
    program.habits[1].recovery_fails = 1;
    let mut world = World::new(&program, &[], 2);
    world.trace = Some(Vec::new());
    world.boot();
    drive_in_order(&mut world, usize::MAX);
    world.judge();
    expect![[r#"
        Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
        Append { seq: 2, first: 1, records: [AttemptStarted { at: 0, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 0 }, attempt: Attempt(1), frames: None, timeout: None, inputs: [], work: None }
        Append { seq: 3, first: 2, records: [UndoOwed { at: 0, arguments: [] }, AttemptSucceeded { at: 0, attempt: Attempt(1), output: [86, 146, 22, 29, 16, 11, 5, 229] }] }
        Append { seq: 4, first: 4, records: [AttemptStarted { at: 1, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, attempt: Attempt(1), frames: None, timeout: None, inputs: [6238072747940578789], work: None }
        Append { seq: 5, first: 5, records: [ErrorKept { at: 1, error: [122, 228, 231, 165, 136, 131, 235, 172] }, RecoveryBegan { at: 1, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" } }] }
        Append { seq: 6, first: 7, records: [AttemptStarted { at: 1, attempt: Attempt(2) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, attempt: Attempt(2), frames: None, timeout: None, inputs: [6238072747940578789], work: Some(Recover { caught: Caught { at: 1, attempt: Some(Attempt(1)), failure: Failure { kind: Error, message: "as planned" } }, error: Some(8855457465463204780), arguments: None }) }
        Append { seq: 7, first: 8, records: [AttemptFailed { at: 1, attempt: Attempt(2), failure: Failure { kind: Error, message: "as planned" }, retry_at: None }, UndoingBegan { ending: Failed { at: Some(1), failure: Failure { kind: Error, message: "as planned; its recovery failed: as planned" } } }] }
        Append { seq: 8, first: 10, records: [UndoStarted { at: 0, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 4294967294 }, node: 0 }, attempt: Attempt(1), frames: None, timeout: None, inputs: [], work: Some(Undo { arguments: [], output: [86, 146, 22, 29, 16, 11, 5, 229] }) }
        Append { seq: 9, first: 11, records: [UndoSucceeded { at: 0, attempt: Attempt(1) }, RunFinished(Failed { at: Some(1), failure: Failure { kind: Error, message: "as planned; its recovery failed: as planned" } })] }
        Finish { ending: Failed { at: Some(1), failure: Failure { kind: Error, message: "as planned; its recovery failed: as planned" } }, attempt: Some(Attempt(2)), output: None }"#]].assert_eq(&world.trace.take().unwrap().join("\n"));
}

/// `job(input)`, which keeps a value, waits for two children, and leaves one that follows.
#[test]
fn a_job_with_three_children() {
    let nodes = vec![
        node(PlanKind::Input, 0, 0, vec![]),
        PlanNode {
            kinds: vec![NodeId::new(2)],
            ..node(PlanKind::Job, 0, 1, vec![here(0)])
        },
        node(PlanKind::Job, 1, 0, vec![]),
    ];
    let body = PlanRegion {
        jobs: 1,
        ..region(ids(&[0, 1]), vec![0], Some(here(1)))
    };
    let kind = PlanRegion {
        jobs: 1,
        ..region(ids(&[2]), vec![], Some(here(0)))
    };
    let mut program = Program::new(nodes, vec![body, kind]);
    program.scripts[1] = Some(scripts::story(NodeId::new(2)));
    trace(
        &program,
        5,
        &expect![[r#"
        Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
        Append { seq: 2, first: 1, records: [AttemptStarted { at: 1, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, attempt: Attempt(1), frames: None, timeout: None, inputs: [5], work: None }
        Append { seq: 3, first: 2, records: [ValueKept { at: 1, name: "value", value: [86, 146, 22, 29, 16, 11, 5, 229] }] }
        Kept { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, attempt: Attempt(1), name: "value" }
        Append { seq: 4, first: 3, records: [ChildrenSpawned { at: 1, children: [SpawnedChild { kind: 2, call: Number(0), bond: Held, arguments: [0, 0, 0, 0, 0, 0, 0, 1, 5, 207, 23, 223, 44, 183, 114, 163], fan: None, limits: ChildLimits { retry: None, timeout: None, total_timeout: None } }, SpawnedChild { kind: 2, call: Key("second"), bond: Held, arguments: [0, 0, 0, 0, 0, 0, 0, 1, 68, 23, 159, 216, 244, 163, 205, 158], fan: None, limits: ChildLimits { retry: None, timeout: None, total_timeout: None } }] }, AttemptParked { at: 1, attempt: Attempt(1) }] }
        Append { seq: 5, first: 5, records: [AttemptStarted { at: 1[0]/2, attempt: Attempt(1) }, AttemptStarted { at: 1[1]/2, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 2 }, attempt: Attempt(1), frames: Some([1[0]]), timeout: None, inputs: [], work: Some(Resume { state: None, arguments: Some([0, 0, 0, 0, 0, 0, 0, 1, 5, 207, 23, 223, 44, 183, 114, 163]), kept: [] }) }
        Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 2 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [], work: Some(Resume { state: None, arguments: Some([0, 0, 0, 0, 0, 0, 0, 1, 68, 23, 159, 216, 244, 163, 205, 158]), kept: [] }) }
        Append { seq: 6, first: 7, records: [AttemptSucceeded { at: 1[0]/2, attempt: Attempt(1), output: [175, 60, 226, 175, 69, 97, 145, 236] }] }
        Append { seq: 7, first: 8, records: [AttemptSucceeded { at: 1[1]/2, attempt: Attempt(1), output: [163, 86, 238, 218, 69, 233, 123, 164] }] }
        Append { seq: 8, first: 9, records: [AttemptResumed { at: 1, attempt: Attempt(1) }] }
        Resume { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, attempt: Attempt(1), ended: [(Number(0), Succeeded(12627216697651204588)), (Key("second"), Succeeded(11769857297422580644))] }
        Append { seq: 9, first: 10, records: [ChildrenSpawned { at: 1, children: [SpawnedChild { kind: 2, call: Number(1), bond: Followed, arguments: [0, 0, 0, 0, 0, 0, 0, 1, 134, 3, 212, 7, 191, 99, 141, 71], fan: None, limits: ChildLimits { retry: None, timeout: None, total_timeout: None } }] }, AttemptSucceeded { at: 1, attempt: Attempt(1), output: [245, 12, 43, 112, 174, 66, 223, 235] }] }
        Append { seq: 10, first: 12, records: [AttemptStarted { at: 1[2]/2, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 2, generation: 1 }, node: 2 }, attempt: Attempt(1), frames: Some([1[2]]), timeout: None, inputs: [], work: Some(Resume { state: None, arguments: Some([0, 0, 0, 0, 0, 0, 0, 1, 134, 3, 212, 7, 191, 99, 141, 71]), kept: [] }) }
        EncodeOutput { output: 17657536001972821995 }
        Append { seq: 11, first: 13, records: [AttemptSucceeded { at: 1[2]/2, attempt: Attempt(1), output: [23, 82, 199, 150, 184, 165, 176, 60] }, RunFinished(Succeeded { output: [245, 12, 43, 112, 174, 66, 223, 235] })] }
        Finish { ending: Succeeded { output: [245, 12, 43, 112, 174, 66, 223, 235] }, attempt: None, output: Some(17657536001972821995) }"#]],
    );
}
