//! What an attempt makes of what a job returns.

mod attempts;

use std::fmt;

use zahir_store::FailureKind;

use super::*;
use crate::job::attempt::{describe, failure, kept, told};
use crate::value;

#[derive(Debug)]
struct Outer(std::num::ParseIntError, bool);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 {
            write!(f, "no number: {}", self.0)
        } else {
            f.write_str("no number")
        }
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_failure_names_each_cause_once() {
    let cause = || "x".parse::<u8>().unwrap_err();
    let expected = "no number: invalid digit found in string";
    assert_eq!(describe(&Outer(cause(), false)), expected);
    assert_eq!(describe(&Outer(cause(), true)), expected);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let cut = |message| failure(FailureKind::Error, message).message;
    assert_eq!(cut("é".repeat(2048)).len(), 4096);
    let long = cut(format!("`job` failed: {}: no disk", "é".repeat(4096)));
    assert!(long.starts_with("`job` failed: é") && long.ends_with("é: no disk"));
    assert!(long.contains("é [..] é") && (4090..=4096).contains(&long.len()));
}

/// A job that is never run.
struct Pay<E>(std::marker::PhantomData<fn() -> E>);

impl<E: JobError> Job for Pay<E> {
    type Args<'a> = ();
    type Returns = Result<(), E>;
    type Output = ();
    type Error = E;
    type Effect = ();
    type Reach = ();
    const CODEC: Typed<()> = value::codec();
    const ERROR: fn(E) -> BoxError = boxed();
    const NAME: &'static str = "pay";
    const OPTIONS: Options = Options::NONE;
    const SIGNATURE: &'static str = "()";
    async fn run((): (), _: &Context) -> Result<(), E> {
        Ok(())
    }
    fn settle(returned: Result<(), E>) -> Returned<(), E> {
        returned.into()
    }
}

#[test]
fn a_kept_error_has_its_text_and_its_bytes_if_asked() {
    let failed = kept::<Pay<String>>("declined".to_owned(), true);
    assert_eq!(failed.failure.message, "declined");
    let error = failed.error.unwrap();
    assert_eq!(error.value.get::<String>().unwrap(), "declined");
    let codec = Codec::of::<String>();
    let read = (codec.decode)(&error.encoded).unwrap();
    assert_eq!(read.get::<String>().unwrap(), "declined");
    let failed = kept::<Pay<String>>("declined".to_owned(), false);
    assert!(failed.error.unwrap().encoded.is_empty());
    assert!(told::<Pay<String>>(String::new(), true).error.is_none());
}

#[test]
fn an_error_that_does_not_survive_being_stored_is_told_but_not_kept() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Odd(#[serde(serialize_with = "no")] u8);
    fn no<S: serde::Serializer>(_: &u8, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
    impl fmt::Display for Odd {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("odd")
        }
    }
    impl std::error::Error for Odd {}
    let failed = kept::<Pay<Odd>>(Odd(0), true);
    assert!(failed.error.is_none());
    assert_eq!(failed.failure.kind, FailureKind::Unencodable);
    let message = failed.failure.message;
    assert!(
        message.starts_with("odd; the error can't be stored"),
        "{message}"
    );
}

#[test]
fn a_handler_is_given_the_jobs_error_if_that_can_be_stored() {
    use crate::wire::{Def, Untyped as _};
    fn error_of<J: Job, E>(_: crate::wire::Keep<J, E>) -> &'static str {
        std::any::type_name::<E>()
    }
    let (_, typed) = Def::<Pay<String>>::node();
    assert_eq!(error_of(typed.keep()), "alloc::string::String");
    let (_, untyped) = Def::<Pay<BoxError>>::node();
    assert!(error_of(untyped.keep()).ends_with("Failure"));
    let kept = |step: Step<'_>| matches!(step, Step::Described(Description::Job(job)) if job.error.is_some());
    assert!(kept(typed.keep().describe()) && !kept(untyped.keep().describe()));
    assert!(!kept(typed.describe()));
}
