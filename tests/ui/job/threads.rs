include!("../prelude.rs");
use std::{cell::RefCell, rc::Rc};
#[job]
async fn takes(number: Rc<u64>, cell: &RefCell<u64>) -> u64 { *number + *cell.borrow() }
#[job]
async fn gives(number: u64) -> Rc<u64> { Rc::new(number) }
#[job]
async fn fails(number: u64) -> Result<u64, Box<dyn std::error::Error>> { Ok(number) }
fn main() {}
