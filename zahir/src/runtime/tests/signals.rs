//! Signals on their way to a run: what is refused before it is sent, and how a sender is answered.

use zahir_store::RunId;

use super::*;
use crate::engine::Refusal;
use crate::error::SignalError;
use crate::plan::SignalId;
use crate::runtime::run::{Left, Message, Outcome, Run};
use crate::runtime::signal;
use crate::signal::Signal;

const APPROVE: Signal<Vec<u64>> = Signal::new("approve");

/// A run that waits for `approve` beside a job that never ends.
fn waits() -> Flow {
    let stuck = work(|_, _| std::future::pending());
    Flow::new("onboard")
        .signal("approve", &[], None)
        .job("stuck", &[0], stuck)
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_nobody_waits_for_is_refused() {
    let _watch = watch();
    let flow = waits().build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    let error = run.signal_named("aprove", &[1]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`onboard` waits for no signal `aprove`; did you mean `approve`? (it waits for `approve`)"
    );
    let other = Signal::<u64>::new("count");
    let error = run.signal(other, 1).await.unwrap_err();
    assert!(matches!(error, SignalError::Unknown { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_not_what_is_waited_for_is_refused() {
    let _watch = watch();
    let flow = waits().build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    let error = run.signal_named("approve", "yes").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is no payload of the signal `approve` of `onboard`: `alloc::vec::Vec<u64>`: invalid \
         type: string \"yes\", expected a sequence"
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_has_the_limit_of_a_value() {
    let _watch = watch();
    let flow = waits().build();
    let runtime = Runtime::in_memory().executable(&flow).value_bytes_max(10);
    let runtime = runtime.start().await.unwrap();
    let run = begin(&runtime, &flow, &[1]).await;
    let error = run.signal(APPROVE, vec![7; 10]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the signal `approve` for `onboard` has 11 bytes; `value_bytes_max` allows 10: raise it, \
         or pass a reference to where the data is"
    );
}

/// A payload that panics when it is written.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("never")
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_panics_is_refused() {
    let _watch = watch();
    let flow = waits().build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    let error = run.signal_named("approve", &Unwritable).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is no payload of the signal `approve` of `onboard`: never"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_over_takes_no_signal() {
    let _watch = watch();
    let flow = waits().build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    run.cancel("enough").await.unwrap();
    let error = run.signal(APPROVE, vec![1]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "run {} of `onboard` is over, and takes no signals",
            run.id()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_left_says_why_it_takes_no_signal() {
    let _watch = watch();
    let flow = waits().build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[1]).await;
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
    let error = run.signal(APPROVE, vec![1]).await.unwrap_err();
    assert!(matches!(error, SignalError::ShutDown), "{error}");
}

/// Sends a signal to a run that this drives, and says what the sender is told.
async fn sent(drive: impl FnOnce(&Run, Message)) -> Result<(), SignalError> {
    let run = Run::new(RunId::from_u128(5), waits().build(), false, usize::MAX);
    let send = signal::send(&run, "approve", SignalId(0), vec![1]);
    let drive = async {
        let mut mail = Vec::new();
        run.inbox.take(&mut mail);
        drive(&run, mail.pop().unwrap());
    };
    let (result, ()) = tokio::join!(biased; send, drive);
    result
}

fn answer(message: Message, answer: Result<(), Refusal>) {
    let Message::Signal {
        signal: SignalId(0),
        payload,
        answer: sender,
    } = message
    else {
        panic!("{message:?}");
    };
    assert_eq!(payload, [1]);
    sender.send(answer).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_told_that_its_signal_is_taken_or_why_not() {
    let _watch = watch();
    sent(|_, message| answer(message, Ok(()))).await.unwrap();
    let full = sent(|_, message| answer(message, Err(Refusal::Full))).await;
    assert_eq!(
        full.unwrap_err().to_string(),
        "run 00000000-0000-0000-0000-000000000005 of `onboard` keeps 10000 signals that it has not \
         waited for, and no more: send `approve` again when it has"
    );
    let over = sent(|_, message| answer(message, Err(Refusal::Over))).await;
    assert!(matches!(over, Err(SignalError::Over { .. })), "{over:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_does_not_wait_for_a_driver_that_is_gone() {
    let _watch = watch();
    // Read, but not answered.
    let unanswered = sent(|run, message| {
        drop(message);
        run.set_outcome(Outcome::Cancelled);
    });
    let over = unanswered.await;
    assert!(matches!(over, Err(SignalError::Over { .. })), "{over:?}");
    // Never read.
    let mut kept = None;
    let unread = sent(|run, message| {
        kept = Some(message);
        run.set_outcome(Outcome::Left(Left::Stopped));
    });
    let left = unread.await;
    assert!(matches!(left, Err(SignalError::ShutDown)), "{left:?}");
    assert!(kept.is_some());
}
