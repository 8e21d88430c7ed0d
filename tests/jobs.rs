//! Jobs on their own, and what they say about failure and effects.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zahir::{
    Again, Context, Failure, FailureKind, Fatal, FatalExt as _, Job as _, Payload, RunErrorKind,
    fatal, job, workflow,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    id: u64,
    name: String,
}

#[derive(Debug)]
pub struct MailError;

impl std::fmt::Display for MailError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no mail today")
    }
}

impl std::error::Error for MailError {}

/// Sends a mail.
#[job(retry = 3, backoff = 100ms..10s, timeout = 30s, tags = ["mail"], version = 2)]
pub async fn send_mail(
    ctx: &Context,
    user: &User,
    text: &str,
    copies: &[String],
) -> Result<usize, MailError> {
    if text.is_empty() {
        return Err(MailError);
    }
    Ok(user.name.len() + copies.len() + ctx.attempt() as usize)
}

#[job]
async fn echo<T: Payload + Clone>(value: &T) -> T {
    value.clone()
}

#[job]
async fn count(n: u64) -> u64 {
    if n == 0 { 0 } else { 1 + count(n - 1).await }
}

#[tokio::test]
async fn a_job_is_called_like_the_function_it_is() {
    let user = User {
        id: 1,
        name: "ada".into(),
    };
    assert_eq!(send_mail(&user, "hi", &[]).await.unwrap(), 4);
    assert!(send_mail(&user, "", &[]).await.is_err());
    let ctx = Context::detached();
    assert_eq!(
        send_mail(&user, "hi", &["x".into()])
            .with(&ctx)
            .await
            .unwrap(),
        5
    );
    assert_eq!(echo(&user).await, user);
    assert_eq!(count(5).await, 5);
}

#[test]
fn a_call_is_a_map_from_the_names_of_its_inputs() {
    let call = SendMail {
        user: User {
            id: 1,
            name: "ada".into(),
        },
        text: "hi".into(),
        copies: vec![],
    };
    let json = serde_json::to_value(&call).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "user": { "id": 1, "name": "ada" }, "text": "hi", "copies": [] })
    );
    let text =
        r#"{ "later": 1, "copies": ["x"], "text": "hi", "user": { "id": 1, "name": "ada" } }"#;
    let read: SendMail = serde_json::from_str(text).unwrap();
    assert_eq!((read.text.as_str(), read.copies.len()), ("hi", 1));
    let error = |text| {
        serde_json::from_str::<SendMail>(text)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(r#"{ "text": "hi" }"#).contains("missing field `user`"));
    assert!(error(r#"{ "text": "hi", "text": "hi" }"#).contains("`text` is given twice"));
    let echo: Echo<u8> = serde_json::from_str(r#"{ "value": 3 }"#).unwrap();
    assert_eq!(echo.value, 3);
}

/// How often each job ran, by name. One counter for each test.
#[derive(Default)]
struct Counter(std::sync::atomic::AtomicU32);

impl Counter {
    const fn new() -> Self {
        Self(std::sync::atomic::AtomicU32::new(0))
    }

    /// Counts one more, and says how many there are.
    fn count(&self) -> u32 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    }

    fn total(&self) -> u32 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum PayError {
    Declined,
    Busy,
}

impl std::fmt::Display for PayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for PayError {}

static BUSY: Counter = Counter::new();
static DECLINED: Counter = Counter::new();
static FATAL: Counter = Counter::new();
static REFUSED: Counter = Counter::new();
static UNVERIFIED: Counter = Counter::new();

#[job(retry = 3, backoff = 0s, retry_if = |error| *error == PayError::Busy)]
async fn busy(cents: u64) -> Result<u64, PayError> {
    match BUSY.count() {
        1 | 2 => Err(PayError::Busy),
        _ => Ok(cents),
    }
}

#[job(retry = forever, backoff = 0s, retry_if = |error| *error == PayError::Busy)]
async fn declined(cents: u64) -> Result<u64, PayError> {
    let _ = (cents, DECLINED.count());
    Err(PayError::Declined)
}

#[job(retry = forever, backoff = 0s)]
async fn doomed(cents: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    FATAL.count();
    let number: u64 = cents.to_string().repeat(30).parse().fatal()?;
    Ok(number)
}

#[job(retry = forever, backoff = 0s, check = |cents| if *cents > 3 { Err("too much") } else { Ok(()) })]
async fn refused(cents: u64) -> u64 {
    REFUSED.count();
    cents
}

#[job(retry = 3, backoff = 0s, verify = |tries| if *tries < 3 { Err("too few") } else { Ok(()) })]
async fn unverified() -> u32 {
    UNVERIFIED.count()
}

workflow! {
    async fn pay_when_busy(cents: u64) -> u64 { busy(cents) }
}

workflow! {
    async fn pay_declined(cents: u64) -> u64 { declined(cents) }
}

workflow! {
    async fn pay_doomed(cents: u64) -> u64 { doomed(cents) }
}

workflow! {
    async fn pay_refused(cents: u64) -> u64 { refused(cents) }
}

workflow! {
    async fn count_to_three() -> u32 { unverified() }
}

#[tokio::test]
async fn only_what_may_be_tried_again_is() {
    assert_eq!(pay_when_busy(5).await.unwrap(), 5);
    assert_eq!(BUSY.total(), 3);
    let error = pay_declined(5).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Error));
    assert_eq!(DECLINED.total(), 1);
    let error = pay_doomed(7).await.unwrap_err().to_string();
    assert!(error.contains("number too large"), "{error}");
    assert_eq!(FATAL.total(), 1);
}

#[tokio::test]
async fn a_refused_input_is_not_tried_and_a_refused_output_is_tried_again() {
    let error = pay_refused(5).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Refused));
    assert_eq!(REFUSED.total(), 0);
    assert_eq!(pay_refused(3).await.unwrap(), 3);
    assert_eq!(count_to_three().await.unwrap(), 3);
    assert_eq!(UNVERIFIED.total(), 3);
}

#[job(recover = pay_later)]
async fn pay_now(ctx: &Context, cents: u64) -> Result<String, PayError> {
    assert!(!ctx.idempotency_key().ends_with("recover"));
    match cents {
        0 => panic!("nothing to pay"),
        1 => Err(PayError::Declined),
        2 => Err(PayError::Busy),
        _ => Ok("now".into()),
    }
}

#[job(retry = 3)]
async fn pay_later(ctx: &Context, error: &PayError, cents: u64) -> Result<String, Fatal> {
    assert!(ctx.idempotency_key().ends_with("/recover"));
    match error {
        PayError::Declined => Ok(format!("{cents} later")),
        PayError::Busy => Err(fatal("nobody is there")),
    }
}

#[job(recover = whatever, timeout = 10ms)]
async fn read(number: u64) -> Result<u64, std::num::TryFromIntError> {
    if number == 300 {
        std::future::pending::<()>().await;
    }
    Ok(u8::try_from(number)?.into())
}

#[job]
async fn whatever(failure: &Failure, number: u64) -> u64 {
    number + failure.message().len() as u64 * 1_000
}

workflow! {
    async fn pay_somehow(cents: u64) -> String { pay_now(cents) }
}

workflow! {
    async fn read_somehow(number: u64) -> u64 { read(number) }
}

#[tokio::test]
async fn a_recovery_job_takes_over() {
    assert_eq!(pay_somehow(3).await.unwrap(), "now");
    assert_eq!(pay_somehow(1).await.unwrap(), "1 later");
    let error = pay_somehow(2).await.unwrap_err().to_string();
    assert!(
        error.contains("nobody is there") && error.contains("Busy"),
        "{error}"
    );
    // A panic is no error of the job.
    let error = pay_somehow(0).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Panic));
    assert_eq!(read_somehow(3).await.unwrap(), 3);
    assert!(read_somehow(256).await.unwrap() > 1_000);
    assert!(read_somehow(300).await.unwrap() > 1_000);
}

#[job]
async fn count_up(#[state] so_far: Option<Vec<u64>>, to: u64) -> Again<usize, Vec<u64>> {
    let mut so_far = so_far.unwrap_or_default();
    if so_far.len() as u64 == to {
        return Again::Done(so_far.len());
    }
    so_far.push(to);
    Again::after(Duration::ZERO, so_far)
}

workflow! {
    async fn count_all(to: u64) -> usize { count_up(to) }
}

#[tokio::test]
async fn a_job_that_asks_for_it_is_run_again_with_what_it_has_so_far() {
    assert_eq!(count_all(4).await.unwrap(), 4);
    // On its own it is given nothing, unless it is run as the `Job` that it is.
    let first = Again::after(Duration::ZERO, vec![4]);
    assert_eq!(count_up(4).await, first);
    let context = Context::detached();
    let second = CountUp::run((1, Some(vec![4])), &context).await;
    assert_eq!(second, Again::Done(1));
}

static UNDONE: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

#[job(undo = give_back)]
async fn take(ctx: &Context, what: &str, number: u64) -> Vec<u64> {
    let _ = (ctx, what);
    vec![number]
}

#[job]
async fn give_back(
    ctx: &Context,
    what: &str,
    number: u64,
    taken: &Vec<u64>,
) -> Result<u64, PayError> {
    assert!(ctx.idempotency_key().ends_with("/undo"));
    let text = format!("{what} {number} {taken:?}");
    UNDONE.lock().unwrap().push(text);
    Ok(1)
}

workflow! {
    #[saga]
    async fn take_all(names: Vec<String>) -> u64 {
        let first = take(&names[0], 1);
        let second = take(&names[1], first[0] + 1);
        refuse(second)
    }
}

#[job(no_undo)]
async fn refuse(number: Vec<u64>) -> Result<u64, PayError> {
    let _ = number;
    Err(PayError::Declined)
}

#[tokio::test]
async fn what_is_done_is_undone_when_the_run_fails() {
    let error = take_all(vec!["a".into(), "b".into()]).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Error));
    assert_eq!(*UNDONE.lock().unwrap(), ["b 2 [2]", "a 1 [1]"]);
}
