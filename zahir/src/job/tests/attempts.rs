//! Attempts of jobs that say something about failure and effects.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use zahir_store::{Attempt, Failure, FailureKind, NodeId, RunId};

use crate::job;
use crate::job::attempt;
use crate::job::context::{Role, Task};
use crate::job::share::Recall;
use crate::job::{BoxError, BoxFuture, Call, Job, JobDef};
use crate::value::{self, Value};
use crate::wire::{Extra, Failed, Outcome, Produced};
use crate::{Again, Context, Fatal, FatalExt, fatal};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    cents: u64,
}

fn order(cents: u64) -> Order {
    Order { id: 7, cents }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum PayError {
    Declined,
    Busy,
}

impl std::fmt::Display for PayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for PayError {}

fn context(task: Option<Role>) -> &'static Context {
    let task = task.map(|role| Task {
        role,
        shared: None,
        value_bytes_max: 200,
        host: None,
    });
    with_task(task)
}

/// It outlives every call, which borrows for as long as it does.
fn with_task(task: Option<Task>) -> &'static Context {
    let (run, node) = (RunId::from_u128(1), NodeId::new(3));
    let context = Context::new(run, "pay", None, node, Attempt::FIRST);
    Box::leak(Box::new(context.with(task)))
}

/// An attempt that ends at its first poll. Nothing is asked to be encoded.
fn attempted<'e, J: Job>(call: Call<'e, J>, context: &'e Context) -> Outcome {
    attempt::begin(call, context, false).now_or_never().unwrap()
}

fn first<J: Job>(call: Call<'_, J>) -> Outcome {
    attempted(call, context(None))
}

#[track_caller]
fn failed(outcome: Outcome) -> Failed {
    outcome.result().unwrap_err()
}

#[track_caller]
fn is_refused(outcome: Outcome, kind: FailureKind, message: &str, is_final: bool) {
    let failed = failed(outcome);
    assert_eq!(failed.failure.message, message);
    assert_eq!((failed.failure.kind, failed.is_final), (kind, is_final));
}

fn len(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap()
}

static SEEN: AtomicU32 = AtomicU32::new(0);

#[job(
    check = |order, note| if len(note) == order.cents { Err("odd") } else { Ok(()) },
    verify = |paid| if *paid > 100 { Err(format!("{paid} is too much")) } else { Ok(()) },
    retry_if = |error| *error == PayError::Busy,
)]
async fn pay(order: &Order, note: String) -> Result<u64, PayError> {
    SEEN.fetch_add(1, Ordering::Relaxed);
    match note.as_str() {
        "declined" => Err(PayError::Declined),
        "busy" => Err(PayError::Busy),
        _ => Ok(order.cents),
    }
}

#[test]
fn refused_inputs_are_final_and_nothing_runs() {
    let before = SEEN.load(Ordering::Relaxed);
    let outcome = first(pay(&order(3), "abc".to_owned()));
    is_refused(outcome, FailureKind::Refused, "odd", true);
    assert_eq!(SEEN.load(Ordering::Relaxed), before);
}

#[test]
fn a_refused_output_is_a_failure_like_any_other() {
    let outcome = first(pay(&order(101), String::new()));
    is_refused(outcome, FailureKind::Unverified, "101 is too much", false);
    let outcome = first(pay(&order(100), String::new())).result().unwrap();
    assert_eq!(outcome.value.get(), Some(&100_u64));
}

#[test]
fn retry_if_says_which_errors_are_final() {
    let outcome = first(pay(&order(1), "busy".to_owned()));
    is_refused(outcome, FailureKind::Error, "Busy", false);
    let outcome = first(pay(&order(1), "declined".to_owned()));
    is_refused(outcome, FailureKind::Error, "Declined", true);
}

/// An error that keeps to itself what it is, and shows only its cause, as that of `anyhow`.
#[derive(Debug)]
struct Opaque(Fatal);

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("opaque")
    }
}

impl std::error::Error for Opaque {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

#[derive(Debug)]
struct Outer(Opaque);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[job(retry = forever)]
async fn boxed(how: u64) -> Result<u64, BoxError> {
    match how {
        0 => Err("not fatal".into()),
        1 => Err(fatal("fatal").into()),
        2 => Ok("x".parse::<u64>().fatal()?),
        3 => Err(Opaque(fatal(PayError::Declined)).into()),
        _ => Err(Outer(Opaque(fatal(PayError::Declined))).into()),
    }
}

#[job]
async fn plainly() -> Result<u64, Fatal> {
    Err(PayError::Busy).fatal()
}

#[test]
fn a_fatal_error_is_final_wherever_it_is() {
    let check = |how, message, is_final| {
        is_refused(first(boxed(how)), FailureKind::Error, message, is_final);
    };
    check(0, "not fatal", false);
    check(1, "fatal", true);
    check(2, "invalid digit found in string", true);
    check(3, "opaque: Declined", true);
    check(4, "outer: opaque: Declined", true);
    is_refused(first(plainly()), FailureKind::Error, "Busy", true);
    let inner = fatal(PayError::Busy).into_inner();
    assert!(inner.is::<PayError>());
}

#[job]
async fn pages(
    ctx: &Context,
    from: u64,
    #[state] seen: Option<(u64, String)>,
    to: &str,
) -> Result<Again<String, (u64, String)>, PayError> {
    let (number, mut text) = seen.unwrap_or((from, String::new()));
    text.push_str(&ctx.attempt().to_string());
    if number == 9 {
        return Ok(Again::Done(text + to));
    }
    Ok(Again::after(Duration::from_secs(5), (number + 1, text)))
}

fn resumed(state: &impl Serialize) -> Role {
    Role::Run {
        state: Some(value::encode(state).unwrap().into()),
        arguments: None,
    }
}

#[test]
fn an_attempt_is_given_what_the_one_before_has_left() {
    let Outcome::Postponed { wait, state } = first(pages(8, "!")) else {
        panic!("it asks to be run again");
    };
    assert_eq!(wait, Duration::from_secs(5));
    let left: (u64, String) = value::decode(&state).unwrap();
    assert_eq!(left, (9, "1".to_owned()));
    let context = context(Some(resumed(&left)));
    let done = attempted(pages(8, "!"), context).result().unwrap();
    assert_eq!(done.value.get::<String>().unwrap(), "11!");
}

#[test]
fn a_state_of_another_type_is_final() {
    let failed = failed(attempted(
        pages(8, "!"),
        context(Some(resumed(&"what an older version has left"))),
    ));
    assert_eq!(failed.failure.kind, FailureKind::Undecodable);
    assert!(failed.is_final);
    let message = failed.failure.message;
    assert!(
        message.starts_with("what is stored as the state of `")
            && message.contains("::pages` can't be decoded as `(u64, alloc::string::String)`: "),
        "{message}"
    );
}

#[job(recover = pay_later, undo = refund)]
async fn charge(order: Order, note: &str, tags: &[u64]) -> Result<u64, PayError> {
    let _ = (note, tags);
    Err(if order.cents == 0 {
        PayError::Busy
    } else {
        PayError::Declined
    })
}

/// What is left to do.
#[job(check = |_, _, note, _| if note.is_empty() { Err("no note") } else { Ok(()) }, retry = 2, timeout = 3s)]
async fn pay_later(ctx: &Context, error: &PayError, order: Order, note: &str, tags: &[u64]) -> u64 {
    let _ = tags;
    assert!(ctx.idempotency_key().ends_with("/3/recover"));
    assert_eq!(*error, PayError::Declined);
    order.cents + len(note)
}

/// What was given back: the inputs and the result.
type GivenBack = (Order, String, Vec<u64>, u64);

static REFUNDED: Mutex<Vec<GivenBack>> = Mutex::new(Vec::new());

#[job(retry = forever)]
async fn refund(
    ctx: &Context,
    order: Order,
    note: &str,
    tags: &[u64],
    paid: &u64,
) -> Result<String, PayError> {
    assert!(ctx.idempotency_key().ends_with("/3/undo"));
    if note == "busy" {
        return Err(PayError::Busy);
    }
    let mut refunded = REFUNDED.lock().unwrap();
    refunded.push((order, note.to_owned(), tags.to_owned(), *paid));
    Ok("nobody needs this".to_owned())
}

fn recovering(error: Value) -> Role {
    let arguments = None;
    Role::Recover { error, arguments }
}

#[test]
fn the_error_is_kept_for_a_recovery_job_that_takes_it() {
    let failed = failed(first(charge(order(3), "n", &[])));
    let error = failed.error.unwrap().value;
    assert_eq!(error.get(), Some(&PayError::Declined));
    let def = JobDef::of::<Charge>();
    let recovery = def.recovery.unwrap();
    assert!(recovery.error.is_some() && def.error.is_none());
    assert!(def.recovered_by().unwrap().ends_with("::pay_later"));
    assert!(def.undone_by().unwrap().ends_with("::refund"));
    assert_eq!(recovery.options.retry_max(), 2);
    assert_eq!(def.undo.unwrap().options.retry_max(), crate::FOREVER);
}

#[test]
fn a_recovery_job_takes_over_and_its_result_can_be_undone() {
    let role = recovering(Value::new(PayError::Declined));
    let outcome = attempted(charge(order(3), "n", &[1]), context(Some(role)));
    let produced = outcome.result().unwrap();
    assert_eq!(produced.value.get(), Some(&4_u64));
    assert_eq!(produced.encoded, value::encode(&4_u64).unwrap());
    let call = Charge {
        order: order(3),
        note: "n".to_owned(),
        tags: vec![1],
    };
    let Extra { undo, shared } = *produced.extra.unwrap();
    assert_eq!(undo, Some(value::encode(&call).unwrap()));
    assert_eq!(shared, None);
}

#[test]
fn a_recovery_job_has_a_check_of_its_own() {
    let role = recovering(Value::new(PayError::Declined));
    let outcome = attempted(charge(order(3), "", &[]), context(Some(role)));
    is_refused(outcome, FailureKind::Refused, "no note", true);
}

#[job(recover = no_number)]
async fn numeral(text: String) -> Result<String, std::num::ParseIntError> {
    text.parse::<u64>().map(|number| number.to_string())
}

#[job]
async fn no_number(failure: &crate::Failure, text: String) -> String {
    format!("{} {text}", failure.message())
}

#[test]
fn a_recovery_job_that_takes_any_failure_is_given_what_happened() {
    let failed = failed(first(numeral("x".to_owned())));
    assert!(failed.error.is_none() && !failed.is_final);
    let failure = crate::Failure::new("n".to_owned(), 1, failed.failure);
    let role = recovering(Value::new(failure));
    let outcome = attempted(numeral("x".to_owned()), context(Some(role)));
    let text = outcome.result().unwrap().value;
    assert_eq!(
        text.get::<String>().unwrap(),
        "invalid digit found in string x"
    );
    assert!(JobDef::of::<Numeral>().recovery.unwrap().error.is_none());
}

/// Undoes a result through nothing but what is stored.
fn undone(arguments: &[u8], output: &[u8]) -> Outcome {
    let role = Role::Undo {
        arguments: arguments.into(),
        output: output.into(),
    };
    let stored = JobDef::of::<Charge>().stored.unwrap();
    let context = context(Some(role));
    let attempt = stored.undo(context, arguments, output);
    attempt.now_or_never().unwrap()
}

fn charge_bytes(note: &str) -> Vec<u8> {
    let call = Charge {
        order: order(5),
        note: note.to_owned(),
        tags: vec![8, 9],
    };
    value::encode(&call).unwrap()
}

#[test]
fn what_undoes_a_result_is_given_its_inputs_and_itself() {
    let output = value::encode(&5_u64).unwrap();
    let produced = undone(&charge_bytes("n"), &output).result().unwrap();
    assert!(produced.value.get::<()>().is_some() && produced.encoded.is_empty());
    let refunded = REFUNDED.lock().unwrap();
    let last = refunded.last().unwrap();
    assert_eq!(*last, (order(5), "n".to_owned(), vec![8, 9], 5));
}

#[test]
fn an_attempt_to_undo_can_fail() {
    let output = value::encode(&5_u64).unwrap();
    let outcome = undone(&charge_bytes("busy"), &output);
    is_refused(outcome, FailureKind::Error, "Busy", false);
}

#[test]
fn what_can_not_be_read_is_not_undone_and_says_why() {
    let message = |outcome| {
        let failed = failed(outcome);
        assert_eq!(failed.failure.kind, FailureKind::Undecodable);
        assert!(failed.is_final);
        failed.failure.message
    };
    let number = value::encode(&5_u64).unwrap();
    let text = message(undone(&number, &number));
    assert!(
        text.contains("as the inputs of `") && text.contains("::charge`"),
        "{text}"
    );
    let text = message(undone(&charge_bytes("n"), &charge_bytes("n")));
    assert!(
        text.contains("as the output of `") && text.contains("`u64`: "),
        "{text}"
    );
}

#[test]
fn inputs_that_are_too_large_to_be_undone_are_refused_before_anything_happens() {
    let role = Role::Run {
        state: None,
        arguments: None,
    };
    let note = "n".repeat(200);
    let failed = failed(attempted(charge(order(3), &note, &[]), context(Some(role))));
    assert_eq!(failed.failure.kind, FailureKind::TooLarge);
    assert!(failed.is_final && failed.error.is_none());
}

const fn fail_of<J: Job>(fail: attempt::Fail<J>) -> attempt::Fail<J> {
    fail
}

/// An attempt with inputs that were stored in place of those of the node.
fn with_arguments<J: Job>(arguments: &[u8], keeps_error: bool) -> Outcome {
    let def = JobDef::of::<J>();
    let fail = keeps_error.then(|| {
        let fail: &'static (dyn std::any::Any + Send + Sync) =
            const { &fail_of::<Pay>(attempt::kept::<Pay>) };
        fail
    });
    let attempt = def
        .stored
        .unwrap()
        .begin(context(None), arguments, fail, true);
    attempt.now_or_never().unwrap()
}

#[test]
fn a_job_runs_with_inputs_that_were_stored() {
    let bytes = |note: &str| {
        value::encode(&Pay {
            order: order(30),
            note: note.to_owned(),
        })
        .unwrap()
    };
    let produced = with_arguments::<Pay>(&bytes(""), false).result().unwrap();
    assert_eq!(produced.encoded, value::encode(&30_u64).unwrap());
    // Its error is kept if a handler is given it.
    let told = failed(with_arguments::<Pay>(&bytes("busy"), false));
    assert!(told.error.is_none());
    let kept = failed(with_arguments::<Pay>(&bytes("busy"), true));
    assert_eq!(kept.error.unwrap().value.get(), Some(&PayError::Busy));
    // They are checked like all others.
    let refused = with_arguments::<Pay>(&bytes(&"x".repeat(30)), false);
    is_refused(refused, FailureKind::Refused, "odd", true);
}

#[test]
fn inputs_are_checked_before_anything_runs() {
    let stored = JobDef::of::<Pay>().stored.unwrap();
    let json = |note: &str| {
        value::encode(
            &[("note", note)]
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>(),
        )
    };
    let error = stored.check(&json("n").unwrap()).unwrap_err().to_string();
    assert!(error.contains("Pay`: no input `order`"), "{error}");
}

/// What other runs have stored, and what was asked for.
#[derive(Default)]
struct Stored {
    result: Option<Result<Vec<u8>, Failure>>,
    asked: Mutex<Vec<u128>>,
}

impl Recall for Stored {
    fn recall(&self, key: u128) -> BoxFuture<'_, Result<Option<Vec<u8>>, Failure>> {
        self.asked.lock().unwrap().push(key);
        let result = self.result.clone().transpose();
        Box::pin(std::future::ready(result))
    }
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[job(once)]
async fn invoice(order: &Order, text: String) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    order.cents + len(&text)
}

#[job(once_by = |order, _| order.id)]
async fn remind(order: &Order, text: String) -> u64 {
    order.cents + len(&text)
}

#[job(pure, cache = 1h)]
async fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

/// The outcome of a job whose result is shared, and the keys that were asked for.
fn shared<J: Job>(
    call: Call<'_, J>,
    result: Option<Result<Vec<u8>, Failure>>,
) -> (Outcome, Vec<u128>) {
    let stored = Arc::new(Stored {
        result,
        ..Stored::default()
    });
    let asked: Arc<dyn Recall> = Arc::<Stored>::clone(&stored);
    let task = Task {
        role: Role::Run {
            state: None,
            arguments: None,
        },
        shared: Some(asked),
        value_bytes_max: 200,
        host: None,
    };
    let outcome = attempted(call, with_task(Some(task)));
    let asked = stored.asked.lock().unwrap().clone();
    (outcome, asked)
}

/// The key that a result is shared by.
fn key<J: Job>(call: Call<'_, J>) -> (u128, Option<Duration>) {
    let (outcome, asked) = shared(call, None);
    let Produced { encoded, extra, .. } = outcome.result().unwrap();
    assert!(!encoded.is_empty());
    let key = extra.unwrap().shared.unwrap();
    assert_eq!(asked, [key.0]);
    key
}

#[test]
fn a_result_is_shared_by_job_and_inputs() {
    let mine = key(invoice(&order(1), "a".to_owned()));
    assert_eq!(mine, key(invoice(&order(1), "a".to_owned())));
    assert_eq!(mine.1, None);
    assert_ne!(mine, key(invoice(&order(2), "a".to_owned())));
    assert_ne!(mine, key(invoice(&order(1), "b".to_owned())));
    assert_ne!(mine, key(remind(&order(1), "a".to_owned())));
    assert_eq!(key(sum(&[1, 2])).1, Some(Duration::from_secs(3600)));
    assert_ne!(key(sum(&[1, 2])), key(sum(&[2, 1])));
}

#[test]
fn a_result_is_shared_by_a_key_of_its_own() {
    let mine = key(remind(&order(1), "a".to_owned()));
    assert_eq!(mine, key(remind(&order(2), "b".to_owned())));
    let other = Order { id: 8, cents: 1 };
    assert_ne!(mine, key(remind(&other, "a".to_owned())));
}

#[test]
fn what_another_run_has_computed_is_not_computed_again() {
    let before = RUNS.load(Ordering::Relaxed);
    let stored = value::encode(&77_u64).unwrap();
    let (outcome, _) = shared(invoice(&order(1), String::new()), Some(Ok(stored.clone())));
    let produced = outcome.result().unwrap();
    assert_eq!(produced.value.get(), Some(&77_u64));
    assert_eq!(produced.encoded, stored);
    assert!(produced.extra.is_none());
    assert_eq!(RUNS.load(Ordering::Relaxed), before);
}

#[test]
fn a_shared_result_that_can_not_be_read_is_never_made_again_unless_it_is_pure() {
    let text = || Some(Ok(value::encode("x").unwrap()));
    let failed = failed(shared(invoice(&order(1), String::new()), text()).0);
    assert_eq!(failed.failure.kind, FailureKind::Undecodable);
    assert!(failed.is_final);
    assert!(
        failed
            .failure
            .message
            .contains("::invoice` that another run")
    );
    let sum = shared(sum(&[1, 2]), text()).0.result().unwrap();
    assert_eq!(sum.value.get(), Some(&3_u64));
    assert!(sum.extra.unwrap().shared.is_some());
}

#[test]
fn an_attempt_fails_if_nobody_can_tell_what_other_runs_have() {
    let lost = attempt::failure(FailureKind::Error, "no disk".to_owned());
    let (outcome, _) = shared(invoice(&order(1), String::new()), Some(Err(lost)));
    is_refused(outcome, FailureKind::Error, "no disk", false);
}

#[job]
async fn generic<T: crate::Payload + PartialEq>(value: T, list: &[T]) -> bool {
    list.contains(&value)
}

#[test]
fn inputs_of_a_generic_job_can_be_stored() {
    let call = Generic {
        value: 3_u8,
        list: vec![1, 3],
        __zahir_generics: std::marker::PhantomData,
    };
    let bytes = value::encode(&call).unwrap();
    let produced = with_arguments::<Generic<u8>>(&bytes, false)
        .result()
        .unwrap();
    assert_eq!(produced.value.get(), Some(&true));
}

#[job]
async fn waits(number: u64) -> u64 {
    let held = [number; 64];
    std::future::pending::<()>().await;
    held.iter().sum()
}

/// What a pending job costs: its function once, how its error is kept, and whether bytes are wanted.
#[test]
fn a_pending_job_costs_little_more_than_its_function() {
    let context = context(None);
    let function = size_of_val(&Waits::run((3,), context));
    let attempt = attempt::begin(waits(3), context, true);
    assert!(function > 512);
    assert!(size_of_val(&*attempt) <= function + 16);
    assert_eq!(size_of::<Context>(), 64);
}
