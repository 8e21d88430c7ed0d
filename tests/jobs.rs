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
