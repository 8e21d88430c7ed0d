include!("../prelude.rs");
use zahir::Again;
pub struct Cursor;
#[job]
async fn other(id: u64, #[state] so_far: Option<u32>) -> Again<u64, u64> { let _ = so_far; Again::Done(id) }
#[job]
async fn unstorable(id: u64, #[state] so_far: Option<Cursor>) -> Again<u64, Cursor> { let _ = so_far; Again::Done(id) }
#[job]
async fn no_output(id: u64) -> Again<Cursor> { let _ = id; Again::Done(Cursor) }
type Aliased = Again<u64, u64>;
#[job]
async fn hidden(id: u64) -> Aliased { Again::Done(id) }
fn main() {}
