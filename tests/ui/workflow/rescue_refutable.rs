include!("../prelude.rs");
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum PayError { Declined, Down }
impl std::fmt::Display for PayError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no") } }
impl std::error::Error for PayError {}
#[job]
async fn pay(user: &User) -> Result<Receipt, PayError> { let _ = user; Err(PayError::Down) }
workflow! {
    async fn onboard(user: User) -> Receipt {
        charge(&user).rescue(|MailError::Down| refund(&user, &MailError::Down));
        pay(&user).rescue(|PayError::Declined| charge(&user))
    }
}
fn main() {}
