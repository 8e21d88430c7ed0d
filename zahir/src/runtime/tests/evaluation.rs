//! What the runtime computes for the engine: steps, and the values that control flow makes.

use std::time::{SystemTime, UNIX_EPOCH};

use zahir_store::{Attempt, FrameStep, NodeId, Position, RunId, Timestamp};

use super::*;
use crate::engine::{Action, AttemptOutcome, Caught, Engine, Evaluated, Evaluation, Place};
use crate::plan::PlanKind;
use crate::runtime::executor::{self, Key, Start};
use crate::runtime::run::Run;
use crate::value::CodecError;
use crate::wire::{Description, Failed, Outcome, PayloadDef, Produced, RaceDef, ResultDef, Step};

const TEXTS: ResultDef = ResultDef {
    succeeded: |value| Value::new(format!("ok {:?}", value.get::<u64>())),
    failed: |error| match error.get::<crate::Failure>() {
        Some(failure) => Value::new(format!("{}#{} {failure}", failure.job(), failure.attempt())),
        None => Value::new(format!("err {:?}", error.get::<u64>())),
    },
};

const BAD: PayloadDef = PayloadDef {
    received: |_| Err(CodecError::new::<u64>("no number")),
    timed_out: || panic!("in the time limit"),
};

fn a_value(_: Vec<u64>) -> Step<'static> {
    Step::Value(Value::new(vec![7]))
}

/// What the last node of a flow computes for this.
fn evaluate(
    flow: Flow,
    what: Evaluation,
    inputs: Vec<Value>,
) -> Result<Evaluated<Value>, zahir_store::Failure> {
    let flow = flow.build();
    let id = RunId::from_u128(7);
    let last = u32::try_from(flow.plan.nodes.len() - 1).unwrap();
    let place = Place {
        node: NodeId::new(last),
        ..any_place()
    };
    let run = Run::new(id, flow, false, usize::MAX);
    executor::evaluate(&run, place, what, inputs)
}

/// Some place that an engine made.
pub(super) fn any_place() -> Place {
    let flow = Flow::new("any")
        .pure("value", PlanKind::Value, &[], a_value)
        .build();
    let plan = Arc::clone(&flow.plan);
    let inputs = vec![Value::new(0)];
    let engine = Engine::start(plan, RunId::from_u128(1), None, inputs, Value::new(()));
    match engine.begin(Timestamp::default()).poll_action() {
        Some(Action::Evaluate { place, .. }) => place,
        other => panic!("{other:?}"),
    }
}

/// The text that was computed, or the failure.
fn text(result: Result<Evaluated<Value>, zahir_store::Failure>) -> String {
    match result {
        Ok(Evaluated::Value(value)) => match value.get::<String>() {
            Some(text) => text.clone(),
            None => format!("{:?}", value.get::<Vec<u64>>()),
        },
        Ok(other) => format!("{other:?}"),
        Err(failure) => format!("{:?}: {}", failure.kind, failure.message),
    }
}

fn of(kind: PlanKind) -> Flow {
    Flow::new("of").pure("node", kind, &[], a_value)
}

fn caught() -> Evaluation {
    Evaluation::Caught(Box::new(Caught {
        at: Position {
            frames: Vec::new(),
            node: NodeId::new(1),
        },
        attempt: Attempt::new(3),
        failure: error("the disk is full"),
    }))
}

#[test]
fn a_step_gives_an_arm_or_a_time() {
    let _watch = watch();
    let step = |step: fn() -> Step<'static>| {
        let flow = Flow::new("step").pure("node", PlanKind::Branch, &[], move |_| step());
        evaluate(flow, Evaluation::Step, Vec::new()).unwrap()
    };
    assert!(matches!(step(|| Step::Arm(3)), Evaluated::Arm(3)));
    let hour = Duration::from_secs(3600);
    let slept = step(|| Step::Sleep(Duration::from_secs(3600)));
    assert!(matches!(slept, Evaluated::Sleep(time) if time == hour));
}

#[test]
fn a_sleep_until_a_time_is_never_early() {
    let _watch = watch();
    let until = |time: SystemTime| {
        let step = move |_| Step::SleepUntil(time);
        let flow = Flow::new("until").pure("node", PlanKind::Sleep, &[], step);
        let evaluated = evaluate(flow, Evaluation::Step, Vec::new()).unwrap();
        let Evaluated::SleepUntil(until) = evaluated else {
            panic!("{evaluated:?}");
        };
        until.as_millis()
    };
    assert_eq!(until(UNIX_EPOCH + Duration::from_micros(1_500)), 2);
    assert_eq!(until(UNIX_EPOCH + Duration::from_millis(2)), 2);
    let before = UNIX_EPOCH - Duration::from_secs(9);
    assert_eq!(until(before), Timestamp::default().as_millis());
}

#[test]
fn a_result_is_made_of_the_value_or_the_error() {
    let _watch = watch();
    let result = || of(PlanKind::Result { is_typed: true }).described(Description::Result(TEXTS));
    let made = |what, inputs| text(evaluate(result(), what, inputs));
    assert_eq!(
        made(Evaluation::Succeeded, vec![Value::new(4_u64)]),
        "ok Some(4)"
    );
    assert_eq!(made(caught(), vec![Value::new(5_u64)]), "err Some(5)");
    assert_eq!(
        made(caught(), Vec::new()),
        "node#3 `node` failed: the disk is full"
    );
}

#[test]
fn a_handler_is_given_the_error_itself_or_a_failure() {
    let _watch = watch();
    let given = |inputs| {
        let rescue = of(PlanKind::Rescue { is_typed: true });
        let evaluated = evaluate(rescue, caught(), inputs).unwrap();
        let Evaluated::Value(value) = evaluated else {
            panic!("{evaluated:?}");
        };
        value
    };
    assert_eq!(given(vec![Value::new(5_u64)]).get::<u64>(), Some(&5));
    let failure = given(Vec::new()).get::<crate::Failure>().cloned().unwrap();
    assert_eq!((failure.job(), failure.attempt()), ("node", 3));
    assert_eq!(failure.message(), "the disk is full");
}

#[test]
fn a_race_is_made_of_the_entry_that_won() {
    let _watch = watch();
    let race = RaceDef {
        won: &[
            |value| Value::new(format!("first {:?}", value.get::<u64>())),
            |value| Value::new(format!("second {:?}", value.get::<u64>())),
        ],
    };
    let made = |entry| {
        let race = of(PlanKind::Race).described(Description::Race(race));
        text(evaluate(
            race,
            Evaluation::Won(entry),
            vec![Value::new(6_u64)],
        ))
    };
    assert_eq!(made(0), "first Some(6)");
    assert_eq!(made(1), "second Some(6)");
    assert_eq!(made(2), "Bug: the node is a race without this entry");
}

#[test]
fn a_wait_is_made_of_the_payload_or_of_the_time_limit() {
    let _watch = watch();
    let wait = || Flow::new("wait").signal("approve", &[], None);
    let received = Evaluation::Received(flow::encode(&[1, 2]));
    assert_eq!(text(evaluate(wait(), received, Vec::new())), "Some([1, 2])");
    let timed_out = evaluate(wait(), Evaluation::TimedOut, Vec::new());
    assert_eq!(text(timed_out), "Some([])");
    let bad = || wait().described(Description::Signal(BAD));
    let received = Evaluation::Received(Vec::new());
    assert_eq!(
        text(evaluate(bad(), received, Vec::new())),
        "Undecodable: the signal `approve` can't be decoded as `u64`: no number"
    );
    assert_eq!(
        text(evaluate(bad(), Evaluation::TimedOut, Vec::new())),
        "Panic: in the time limit"
    );
}

#[test]
fn what_does_not_fit_its_node_is_a_bug() {
    let _watch = watch();
    for what in [Evaluation::Join, Evaluation::Succeeded, Evaluation::Won(0)] {
        assert_eq!(
            text(evaluate(of(PlanKind::Value), what, Vec::new())),
            "Bug: the node is not what is to be computed for it"
        );
    }
}

#[test]
fn only_items_and_rounds_are_numbered() {
    let _watch = watch();
    let flow = of(PlanKind::Loop {
        max: None,
        or_last: false,
    });
    let flow = flow.pure("verdict", PlanKind::Branch, &[], a_value);
    let flow = flow
        .pure("all", PlanKind::Each { limit: None }, &[], a_value)
        .build();
    let step = |node, index| FrameStep {
        node: NodeId::new(node),
        index,
    };
    let at = Position {
        frames: vec![step(1, 4), step(2, 1), step(3, 9)],
        node: NodeId::new(0),
    };
    assert_eq!(flow.path(&at), "node[4]/verdict/all[9]/input");
}

/// A job that fails with an error of so many bytes, which is kept.
fn fails_with(bytes: usize) -> Flow {
    let fail = move |_| {
        Step::Run(Box::pin(std::future::ready(Outcome::Failed(Failed {
            failure: error("declined"),
            error: Some(Produced {
                value: Value::new(5_u64),
                encoded: vec![0; bytes],
                extra: None,
            }),
            is_final: false,
        }))))
    };
    Flow::new("fails").pure("charge", PlanKind::Job, &[], fail)
}

#[test]
fn an_error_that_is_kept_has_the_limit_of_an_output() {
    let _watch = watch();
    let attempt = |bytes| {
        let run = Run::new(RunId::from_u128(7), fails_with(bytes).build(), true, 10);
        let place = Place {
            node: NodeId::new(1),
            ..any_place()
        };
        let start = Start {
            key: Key {
                place,
                attempt: Attempt::FIRST,
            },
            frames: None,
            timeout: None,
            inputs: Vec::new(),
            work: None,
        };
        match executor::run_in_place(&Arc::new(run), start) {
            Some(AttemptOutcome::Failed { failure, error, .. }) => (failure.message, error),
            other => panic!("{other:?}"),
        }
    };
    let (message, error) = attempt(10);
    let (value, encoded) = error.unwrap();
    assert_eq!((message.as_str(), encoded.len()), ("declined", 10));
    assert_eq!(value.get::<u64>(), Some(&5));
    let (message, error) = attempt(11);
    assert!(error.is_none());
    assert_eq!(
        message,
        "the error of `charge` has 11 bytes; `value_bytes_max` allows 10: raise it, or pass a \
         reference to where the data is"
    );
}
