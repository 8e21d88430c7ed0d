//! Golden traces: these reports give exactly these actions, in this order and with these records.
//!
//! A difference here is a change of the file format, or of the order of effects.

use expect_test::{Expect, expect};

use super::plans;
use super::reference;
use super::rng::Rng;
use super::schedules::drive_in_order;
use super::world::{World, inputs};

fn check(seed: u64, expected: Expect) {
    let rng = &mut Rng::new(seed);
    let program = plans::random(rng);
    let inputs = inputs(&program, rng);
    let reference = reference::interpret(&program, &inputs);
    let mut world = World::new(&program, &reference, &inputs, 2);
    world.trace = Some(Vec::new());
    world.boot();
    drive_in_order(&mut world, usize::MAX);
    expected.assert_eq(&world.trace.unwrap().join("\n"));
}

#[test]
fn a_chain() {
    check(
        1,
        expect![[r#"
        Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
        Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 1 }, what: Step, inputs: [13994075201890765697] }
        Append { seq: 2, first: 1, records: [AttemptStarted { at: 2, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 2 }, attempt: Attempt(1), timeout: None, inputs: [] }
        Append { seq: 3, first: 2, records: [AttemptSucceeded { at: 2, attempt: Attempt(1), output: [30, 83, 94, 237, 227, 20, 40, 240] }] }
        Append { seq: 4, first: 3, records: [AttemptStarted { at: 3, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 3 }, attempt: Attempt(1), timeout: None, inputs: [609608402272046702, 13994075201890765697] }
        Append { seq: 5, first: 4, records: [AttemptSucceeded { at: 3, attempt: Attempt(1), output: [151, 7, 75, 175, 72, 42, 21, 153] }] }
        Append { seq: 6, first: 5, records: [AttemptStarted { at: 4, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 4 }, attempt: Attempt(1), timeout: None, inputs: [2185194620014831856, 609608402272046702] }
        Append { seq: 7, first: 6, records: [AttemptSucceeded { at: 4, attempt: Attempt(1), output: [33, 113, 88, 237, 113, 225, 96, 206] }] }
        EncodeOutput { output: 2185194620014831856 }
        Append { seq: 8, first: 7, records: [RunFinished(Succeeded { output: [30, 83, 94, 237, 227, 20, 40, 240] })] }
        Finish { ending: Succeeded { output: [30, 83, 94, 237, 227, 20, 40, 240] }, output: Some(2185194620014831856) }"#]],
    );
}

#[test]
fn a_for() {
    check(
        2,
        expect![[r#"
        Append { seq: 1, first: 0, records: [RunStarted(RunStart { workflow: "simulated", key: None, definition: 00000000000000000000000000000001, input: [] })] }
        Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 4 }, what: Step, inputs: [10434063207895363194, 10434063207895363194] }
        Append { seq: 2, first: 1, records: [AttemptStarted { at: 2, attempt: Attempt(1) }, AttemptStarted { at: 5, attempt: Attempt(1) }] }
        Append { seq: 3, first: 3, records: [ItemsCounted { at: 4, items: 3 }] }
        Evaluate { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 4 }, what: Join, inputs: [16207295196654482189, 16207295196654482189, 16207295196654482189] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 2 }, attempt: Attempt(1), timeout: None, inputs: [] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 5 }, attempt: Attempt(1), timeout: None, inputs: [] }
        Append { seq: 4, first: 4, records: [AttemptFailed { at: 2, attempt: Attempt(1), failure: Failure { kind: Error, message: "as planned" }, retry_at: Some(Timestamp(1000101)) }] }
        Append { seq: 5, first: 5, records: [AttemptStarted { at: 7, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 7 }, attempt: Attempt(1), timeout: None, inputs: [] }
        Append { seq: 6, first: 6, records: [AttemptSucceeded { at: 5, attempt: Attempt(1), output: [209, 119, 7, 151, 112, 120, 51, 108] }] }
        Append { seq: 7, first: 7, records: [AttemptStarted { at: 6, attempt: Attempt(1) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 6 }, attempt: Attempt(1), timeout: None, inputs: [15093541023163888492, 10434063207895363194] }
        Append { seq: 8, first: 8, records: [AttemptSucceeded { at: 7, attempt: Attempt(1), output: [213, 107, 31, 187, 156, 235, 169, 232] }] }
        Append { seq: 9, first: 9, records: [AttemptSucceeded { at: 6, attempt: Attempt(1), output: [99, 219, 3, 171, 139, 95, 127, 58] }] }
        Append { seq: 10, first: 10, records: [AttemptStarted { at: 2, attempt: Attempt(2) }] }
        Start { place: Place { frame: FrameId { index: 0, generation: 0 }, node: 2 }, attempt: Attempt(2), timeout: None, inputs: [] }
        Append { seq: 11, first: 11, records: [AttemptSucceeded { at: 2, attempt: Attempt(2), output: [30, 83, 94, 237, 227, 20, 40, 240] }] }
        EncodeOutput { output: 16207295196654482189 }
        Append { seq: 12, first: 12, records: [RunFinished(Succeeded { output: [224, 235, 225, 28, 134, 124, 51, 13] })] }
        Finish { ending: Succeeded { output: [224, 235, 225, 28, 134, 124, 51, 13] }, output: Some(16207295196654482189) }"#]],
    );
}
