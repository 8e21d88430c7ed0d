//! What each record tells an observer.

use expect_test::expect;
use futures_util::FutureExt as _;
use zahir_store::{
    Attempt, CancelRequest, DefinitionId, Ending, Failure, FailureKind, FrameStep, NodeId,
    Position, Record, Revision, RunId, Timestamp,
};

use super::*;
use crate::event::{EventKind, Hub, Pending};

/// What these records tell, a line for each event.
fn told(records: &[Record]) -> Vec<String> {
    let flow = Flow::new("told")
        .job("charge", &[0], add(1))
        .each("all", 0, add(1))
        .build();
    let hub = Arc::new(Hub::default());
    let mut events = hub.subscribe(None);
    let mut pending = Pending::default();
    let run = (RunId::from_u128(1), &*flow);
    pending.keep(1, run, Timestamp::from_millis(5), records);
    assert!(events.next().now_or_never().is_none(), "not durable yet");
    pending.release(1, &hub);
    pending.finish(&hub);
    let mut told = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        told.push(line(event.unwrap().kind));
    }
    told
}

fn line(kind: EventKind) -> String {
    match kind {
        EventKind::RecoveryBegan {
            node,
            attempt,
            message,
        } => format!("{node}#{attempt} failed: {message}, is recovered"),
        EventKind::Recovered { node, attempt } => format!("{node}#{attempt} recovered"),
        EventKind::AttemptPostponed {
            node,
            attempt,
            until,
        } => format!("{node}#{attempt} again at {}", until.as_millis()),
        EventKind::DeadlineSet { node, until } => {
            format!("{} until {}", of(node), until.as_millis())
        }
        EventKind::DeadlinePassed { node, message } => format!("{} over: {message}", of(node)),
        EventKind::UndoingBegan { status } => format!("undoing, then {status:?}"),
        EventKind::UndoStarted { node, attempt } => format!("undo of {node}#{attempt} started"),
        EventKind::UndoSucceeded { node, attempt } => format!("undo of {node}#{attempt} succeeded"),
        EventKind::UndoFailed {
            node,
            attempt,
            message,
            retry_at,
        } => format!(
            "undo of {node}#{attempt} failed: {message}, again: {:?}",
            retry_at.map(Timestamp::as_millis)
        ),
        EventKind::UndoInterrupted { node, attempt } => {
            format!("undo of {node}#{attempt} interrupted")
        }
        EventKind::ArgumentsReplaced { node } => format!("{node} has other inputs"),
        other => format!("{other:?}"),
    }
}

fn of(node: Option<Arc<str>>) -> Arc<str> {
    node.unwrap_or_else(|| "the run".into())
}

fn charge() -> Position {
    Position {
        frames: Vec::new(),
        node: NodeId::new(1),
    }
}

/// The job of the third item.
fn third() -> Position {
    Position {
        frames: vec![FrameStep {
            node: NodeId::new(2),
            index: 2,
        }],
        node: NodeId::new(4),
    }
}

fn try_number(number: u32) -> Attempt {
    Attempt::new(number).unwrap()
}

fn declined() -> Failure {
    Failure {
        kind: FailureKind::Error,
        message: "declined".to_owned(),
    }
}

#[test]
fn a_recovery_a_wish_to_go_on_later_and_a_deadline_are_told() {
    let due = Timestamp::from_millis(9);
    let told = told(&[
        Record::DeadlineSet { at: None, due },
        Record::DeadlineSet {
            at: Some(third()),
            due,
        },
        Record::AttemptPostponed {
            at: third(),
            attempt: try_number(1),
            due,
            state: vec![1],
        },
        Record::RecoveryBegan {
            at: charge(),
            attempt: try_number(2),
            failure: declined(),
        },
        Record::AttemptRecovered {
            at: charge(),
            attempt: try_number(3),
            output: vec![1],
        },
        Record::DeadlinePassed {
            at: Some(third()),
            failure: declined(),
        },
        Record::DeadlinePassed {
            at: None,
            failure: declined(),
        },
    ]);
    expect![[r#"
        the run until 9
        all[2]/body until 9
        all[2]/body#1 again at 9
        charge#2 failed: declined, is recovered
        charge#3 recovered
        all[2]/body over: declined
        the run over: declined"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn what_is_undone_is_told() {
    let undo = |number, retry_at: Option<u64>| Record::UndoFailed {
        at: charge(),
        attempt: try_number(number),
        failure: declined(),
        retry_at: retry_at.map(Timestamp::from_millis),
    };
    let told = told(&[
        Record::UndoingBegan {
            ending: Ending::Cancelled,
        },
        Record::UndoStarted {
            at: third(),
            attempt: try_number(1),
        },
        Record::UndoInterrupted {
            at: third(),
            attempt: try_number(1),
        },
        Record::UndoSucceeded {
            at: third(),
            attempt: try_number(2),
        },
        undo(1, Some(7)),
        undo(2, None),
        Record::RunFinished(Ending::Cancelled),
    ]);
    expect![[r#"
        undoing, then Cancelled
        undo of all[2]/body#1 started
        undo of all[2]/body#1 interrupted
        undo of all[2]/body#2 succeeded
        undo of charge#1 failed: declined, again: Some(7)
        undo of charge#2 failed: declined, again: None
        RunFinished { status: Cancelled }"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_revision_is_told_and_what_tells_nobody_anything_is_not() {
    let told = told(&[
        Record::UndoOwed {
            at: charge(),
            arguments: vec![1],
        },
        Record::ResultShared {
            at: charge(),
            key: 1,
            until: None,
        },
        Record::ErrorKept {
            at: charge(),
            error: vec![1],
        },
        Record::BlockEntered { at: charge() },
        Record::CancelRequested(CancelRequest {
            reason: "enough".to_owned(),
        }),
        Record::RunRevised(Revision {
            definition: DefinitionId::from_u128(2),
            moved: Vec::new(),
            dropped: Vec::new(),
        }),
        Record::ArgumentsReplaced {
            at: charge(),
            arguments: vec![1],
        },
    ]);
    assert_eq!(told, ["RunRevised", "charge has other inputs"]);
}
