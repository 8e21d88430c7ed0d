use serde::{Deserialize, Serialize};
#[allow(unused_imports)]
use zahir::{Context, Payload, job, workflow};
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User { pub id: u64, pub name: String, pub email: String, pub active: bool }
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prefs { pub html: bool }
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt { pub id: String }
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ticket { pub id: u64 }
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Kind { Billing(Ticket), Tech, Spam }
#[derive(Debug, Serialize, Deserialize)]
pub struct Secret { pub key: String }
#[derive(Debug, Serialize, Deserialize)]
pub enum MailError { Down }
impl std::fmt::Display for MailError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("down") } }
impl std::error::Error for MailError {}
#[derive(Debug)]
pub struct FetchError;
impl std::fmt::Display for FetchError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no") } }
impl std::error::Error for FetchError {}
#[job]
pub async fn fetch_user(id: u64) -> Result<User, FetchError> { let _ = id; Err(FetchError) }
#[job]
pub async fn fetch_prefs(id: u64) -> Result<Prefs, FetchError> { let _ = id; Err(FetchError) }
#[job]
pub async fn send_mail(ctx: &Context, user: &User, prefs: &Prefs) -> Result<Receipt, MailError> { let _ = (ctx, user, prefs); Err(MailError::Down) }
#[job]
pub async fn write_audit(user: &User) { let _ = user; }
#[job]
pub async fn classify(user: &User) -> Kind { let _ = user; Kind::Tech }
#[job]
pub async fn open_ticket(user: &User) -> Ticket { Ticket { id: user.id } }
#[job]
pub async fn charge(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job]
pub async fn refund(user: &User, err: &MailError) -> Receipt { let _ = (user, err); Receipt { id: String::new() } }
#[job]
pub async fn new_secret(id: u64) -> Secret { Secret { key: id.to_string() } }
#[job]
pub async fn store(secret: Secret) { let _ = secret; }
#[job]
pub async fn list_pages(user: &User) -> Vec<String> { vec![user.name.clone()] }
#[job]
pub async fn measure(page: &str) -> usize { page.len() }
#[job]
pub async fn greet(name: String) -> String { name }
