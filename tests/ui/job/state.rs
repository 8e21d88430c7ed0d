include!("../prelude.rs");
use zahir::Again;
pub struct Cursor;
#[job]
async fn not_again(id: u64, #[state] cursor: Option<u64>) -> u64 { cursor.unwrap_or(id) }
#[job]
async fn twice(#[state] one: Option<u64>, #[state] two: Option<u64>) -> Again<u64, u64> { let _ = two; Again::Done(one.unwrap_or(0)) }
#[job]
async fn always(#[state] cursor: u64) -> Again<u64, u64> { Again::Done(cursor) }
#[job]
async fn lent(#[state] cursor: &Option<u64>) -> Again<u64, u64> { Again::Done(cursor.unwrap_or(0)) }
#[job]
async fn told(#[state(u64)] cursor: Option<u64>) -> Again<u64, u64> { Again::Done(cursor.unwrap_or(0)) }
#[job]
async fn not_taken(id: u64) -> Again<u64, Vec<u64>> { Again::Done(id) }
#[job]
async fn not_left(id: u64, #[state] cursor: Option<u64>) -> Result<Again<u64>, MailError> { let _ = cursor; Ok(Again::Done(id)) }
workflow! {
    async fn flow(id: u64, #[state] cursor: Option<u64>) -> u64 { not_again(id) }
}
fn main() {}
