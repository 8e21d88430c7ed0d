//! Waiting: for a time, and for a signal.

use std::time::{Duration, SystemTime};

use crate::signal::{Signal, TimedOut};
use crate::value::{self, CodecError, Payload, Value};
use crate::wire::{Description, Out, PayloadDef, Step};

/// What `sleep(..)` does.
#[must_use]
pub fn sleep<'e>(time: Duration) -> Step<'e> {
    Step::Sleep(time)
}

/// What `sleep_until(..)` does.
#[must_use]
pub fn sleep_until<'e>(end: SystemTime) -> Step<'e> {
    Step::SleepUntil(end)
}

/// What a signal can carry.
#[diagnostic::on_unimplemented(
    message = "a signal can't carry `{Self}`: it can't be stored",
    label = "not `Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "a signal is kept until the workflow has used it",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`, or use an owned type"
)]
pub trait Carried: Payload {}

#[diagnostic::do_not_recommend]
impl<T: Payload> Carried for T {}

/// A wait for a signal, and its value.
#[must_use]
pub fn signal<T: Carried>() -> (Out<T>, Wait) {
    let wait = Wait(PayloadDef {
        received: received::<T>,
        timed_out: || Value::new(()),
    });
    (Out::new(), wait)
}

/// A wait for a signal that may not come, and its value.
#[must_use]
pub fn signal_within<T: Carried>() -> (Out<Result<T, TimedOut>>, Wait) {
    let wait = Wait(PayloadDef {
        received: received_in_time::<T>,
        timed_out: || Value::new(Err::<T, TimedOut>(TimedOut)),
    });
    (Out::new(), wait)
}

fn received<T: Payload>(bytes: &[u8]) -> Result<Value, CodecError> {
    value::decode::<T>(bytes).map(Value::new)
}

fn received_in_time<T: Payload>(bytes: &[u8]) -> Result<Value, CodecError> {
    value::decode::<T>(bytes).map(|payload| Value::new(Ok::<T, TimedOut>(payload)))
}

/// What a wait for a signal gives.
#[derive(Clone, Copy, Debug)]
pub struct Wait(PayloadDef);

impl Wait {
    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(Description::Signal(self.0))
    }
}

/// Stands for the payload of a signal where only its type matters. Never called.
#[must_use]
#[expect(clippy::unreachable, reason = "guarded by `never`")]
pub fn payload_of<T>(_: Signal<T>) -> (T,) {
    unreachable!("only for types")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_what_was_sent() {
        let bytes = value::encode(&42_u64).unwrap();
        let (_, Wait(plain)) = signal::<u64>();
        assert_eq!((plain.received)(&bytes).unwrap().get(), Some(&42_u64));
        let error = (plain.received)(b"\xa1x").unwrap_err();
        assert!(error.to_string().contains("u64"), "{error}");
    }

    #[test]
    fn a_wait_with_a_limit_gives_a_result() {
        let bytes = value::encode(&42_u64).unwrap();
        let (_, Wait(limited)) = signal_within::<u64>();
        let received: Result<u64, TimedOut> = Ok(42);
        assert_eq!((limited.received)(&bytes).unwrap().get(), Some(&received));
        let timed_out: Result<u64, TimedOut> = Err(TimedOut);
        assert_eq!((limited.timed_out)().get(), Some(&timed_out));
    }
}
