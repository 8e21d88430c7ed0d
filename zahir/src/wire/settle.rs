//! `.result()`: failure becomes a value.

use crate::value::{self, Payload, Typed, Value};
use crate::wire::value::owned;
use crate::wire::{ByValue, Description, Out, ResultDef, Step};

/// What `.result()` can give when all goes well.
#[diagnostic::on_unimplemented(
    message = "`.result()` can't hand over what this gives: `{T}` isn't `Clone`",
    label = "gives a `{T}`",
    note = "the `Result` owns its value, which others may share, too: derive `Clone` for its type"
)]
pub trait Outcomes<T> {
    /// The `Result` of what gives `T` or fails with `E`.
    #[doc(hidden)]
    fn result<E: Payload>(value: Out<T>, error: Out<E>) -> (Out<Result<T, E>>, Settled);
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Outcomes<T> for ByValue {
    fn result<E: Payload>(_: Out<T>, _: Out<E>) -> (Out<Result<T, E>>, Settled) {
        let settled = Settled(ResultDef {
            succeeded: succeeded::<T, E>,
            failed: failed::<T, E>,
        });
        (Out::new(), settled)
    }
}

fn succeeded<T: Clone + Send + Sync + 'static, E: Payload>(value: Value) -> Value {
    Value::new(Ok::<T, E>(owned(value)))
}

/// An error need not be `Clone`: a shared one is copied the way it is stored.
fn failed<T: Send + Sync + 'static, E: Payload>(error: Value) -> Value {
    const CODEC_ERROR: &str = "an error that a handler is given can be stored";
    let Typed { take, .. } = value::codec::<E>();
    #[expect(clippy::expect_used, reason = "it was stored and read once before")]
    let error = take(error).expect(CODEC_ERROR);
    Value::new(Err::<T, E>(error))
}

/// How the end of a body becomes a `Result`.
#[derive(Clone, Copy, Debug)]
pub struct Settled(ResultDef);

impl Settled {
    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(Description::Result(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Declined {
        code: u16,
    }

    fn def() -> ResultDef {
        let (_, settled) = ByValue::result(Out::<String>::new(), Out::<Declined>::new());
        settled.0
    }

    #[test]
    fn a_value_becomes_ok_and_an_error_err() {
        let paid = (def().succeeded)(Value::new("paid".to_owned()));
        let expected: Result<String, Declined> = Ok("paid".to_owned());
        assert_eq!(paid.get(), Some(&expected));
        let declined = (def().failed)(Value::new(Declined { code: 7 }));
        let expected: Result<String, Declined> = Err(Declined { code: 7 });
        assert_eq!(declined.get(), Some(&expected));
    }

    #[test]
    fn values_and_errors_that_others_share_are_copied() {
        let (value, error) = (
            Value::new("paid".to_owned()),
            Value::new(Declined { code: 7 }),
        );
        let paid = (def().succeeded)(value.clone());
        assert!(paid.get::<Result<String, Declined>>().is_some());
        assert_eq!(value.get::<String>().unwrap(), "paid");
        let declined = (def().failed)(error.clone());
        assert!(declined.get::<Result<String, Declined>>().is_some());
        assert_eq!(error.get(), Some(&Declined { code: 7 }));
    }
}
