include!("../prelude.rs");
use zahir::Again;
fn is_busy(error: &MailError) -> bool { matches!(error, MailError::Down) }
#[job]
async fn unsend(user: &User, receipt: &Receipt) { let _ = (user, receipt); }
#[job(at_most_once, retry = 3, backoff = 1s..10s, retry_if = is_busy, pure)]
async fn send_once(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(retry = forever, at_most_once)]
async fn again_and_again(user: &User) -> Result<Again<Receipt>, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = unsend, no_undo)]
async fn undone(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(pure, undo = unsend)]
async fn pure_and_undone(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(once, undo = unsend)]
async fn shared_and_undone(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(once_by = |user| user.id, undo = unsend)]
async fn keyed_and_undone(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(pure, once, no_undo)]
async fn pure_and_once(user: &User) -> u64 { user.id }
#[job(pure, once_by = |user| user.id)]
async fn pure_and_keyed(user: &User) -> u64 { user.id }
#[job(once, once_by = |user| user.id)]
async fn twice_once(user: &User) -> u64 { user.id }
#[job(cache = 1h)]
async fn cached(user: &User) -> u64 { user.id }
#[job(retry = 3, retry_if = is_busy)]
async fn never_fails(user: &User) -> u64 { user.id }
// Nothing of this is an error of who calls them.
workflow! {
    #[saga]
    async fn all(user: User) -> u64 {
        let receipt = send_once(&user).retry(3);
        again_and_again(&user).backoff(1s..10s).after(receipt);
        undone(&user);
        pure_and_undone(&user);
        cached(&user)
    }
}
fn main() {}
