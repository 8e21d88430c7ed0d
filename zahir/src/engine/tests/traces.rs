//! Golden traces: these reports give exactly these actions, in this order and with these records.
//!
//! A difference here is a change of the file format, or of the order of effects.

use expect_test::{Expect, expect};

use super::plans;
use super::schedules::drive_in_order;
use super::world::World;

/// A `for` over as many items as the input gives, in which each job fails `retry` times.
fn check(retry: u32, input: u64, expected: &Expect) {
    let program = plans::fan(retry);
    let mut world = World::new(&program, &[input], 2);
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
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[0]]), timeout: None, inputs: [418579537664111267] }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [4906566073209572766] }
            Append { seq: 4, first: 4, records: [AttemptSucceeded { at: 1[0]/3, attempt: Attempt(1), output: [154, 58, 245, 229, 70, 207, 126, 63] }] }
            Append { seq: 5, first: 5, records: [AttemptStarted { at: 1[2]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 3, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[2]]), timeout: None, inputs: [9656795155753307463] }
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
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[0]]), timeout: None, inputs: [15109143698054783702] }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[1]]), timeout: None, inputs: [9300382359073595230] }
            Append { seq: 4, first: 4, records: [AttemptFailed { at: 1[0]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000116)) }] }
            Append { seq: 5, first: 5, records: [AttemptStarted { at: 1[2]/3, attempt: Attempt(1) }] }
            Start { place: Place { frame: FrameId { index: 3, generation: 0 }, node: 3 }, attempt: Attempt(1), frames: Some([1[2]]), timeout: None, inputs: [9194189028845198] }
            Append { seq: 6, first: 6, records: [AttemptFailed { at: 1[1]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000105)) }] }
            Append { seq: 7, first: 7, records: [AttemptFailed { at: 1[2]/3, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000111)) }] }
            Append { seq: 8, first: 8, records: [AttemptStarted { at: 1[1]/3, attempt: Attempt(2) }] }
            Start { place: Place { frame: FrameId { index: 2, generation: 0 }, node: 3 }, attempt: Attempt(2), frames: Some([1[1]]), timeout: None, inputs: [9300382359073595230] }
            Append { seq: 9, first: 9, records: [AttemptSucceeded { at: 1[1]/3, attempt: Attempt(2), output: [127, 156, 33, 100, 227, 97, 85, 95] }] }
            Append { seq: 10, first: 10, records: [AttemptStarted { at: 1[2]/3, attempt: Attempt(2) }] }
            Start { place: Place { frame: FrameId { index: 3, generation: 0 }, node: 3 }, attempt: Attempt(2), frames: Some([1[2]]), timeout: None, inputs: [9194189028845198] }
            Append { seq: 11, first: 11, records: [AttemptSucceeded { at: 1[2]/3, attempt: Attempt(2), output: [154, 125, 215, 65, 18, 22, 193, 151] }] }
            Append { seq: 12, first: 12, records: [AttemptStarted { at: 1[0]/3, attempt: Attempt(2) }] }
            Start { place: Place { frame: FrameId { index: 1, generation: 0 }, node: 3 }, attempt: Attempt(2), frames: Some([1[0]]), timeout: None, inputs: [15109143698054783702] }
            Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Join, inputs: [2213433407751965009, 9195261256378963295, 11132290528406061463] }
            Append { seq: 13, first: 13, records: [AttemptSucceeded { at: 1[0]/3, attempt: Attempt(2), output: [30, 183, 177, 245, 3, 9, 201, 81] }] }
            EncodeOutput { output: 1417311367171743447 }
            Append { seq: 14, first: 14, records: [RunFinished(Succeeded { output: [19, 171, 77, 45, 224, 101, 30, 215] })] }
            Finish { ending: Succeeded { output: [19, 171, 77, 45, 224, 101, 30, 215] }, attempt: None, output: Some(1417311367171743447) }"#]],
    );
}
