//! Jobs outside of a workflow.

use serde::{Deserialize, Serialize};
use zahir::{Context, Payload, job};

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

zahir::workflow! {
    /// One mail.
    pub async fn notify(user: User, texts: Vec<String>) -> usize {
        let first = send_mail(&user, "hi", &texts).retry(1).timeout(3s).backoff(1s..2s);
        let second = send_mail(&user, &format!("{first}"), &[]).after(first);
        let sizes = #[limit(2)] for text in texts {
            let sent = send_mail(&user, &text, &[]);
            sent + 1
        };
        let total: usize = sizes.iter().sum::<usize>() + second;
        let copy = echo(&total);
        let (a, _b) = pure((copy, 1u8));
        a + total
    }
}

#[test]
fn g() {
    println!("{:#?}", Notify::graph());
}
