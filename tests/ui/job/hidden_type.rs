include!("../prelude.rs");
use zahir::Again;
#[job]
async fn again(number: u64) -> Again<u64> { Again::Done(number) }
#[job]
async fn context(ctx: &Context, number: u64) -> u64 { number + u64::from(ctx.attempt()) }
#[job]
async fn result(number: u64) -> Result<u64, MailError> { Ok(number) }
#[job]
async fn string(number: u64) -> String { number.to_string() }
#[job(spawns(again, context, result, string))]
async fn all(ctx: &Context) -> Vec<u64> { let _ = ctx.spawn(again(1)); vec![] }
fn main() {}
