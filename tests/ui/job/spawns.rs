include!("../prelude.rs");
#[job(spawns(Missing, mesure, User, write_plain, audit::<u8>))]
async fn unknown(ctx: &Context) { drop(ctx.spawn(measure(""))); }
async fn write_plain(user: &User) { let _ = user; }
workflow! { async fn audit(user: User) -> () { write_audit(&user) } }
#[job(spawns(u64))]
async fn no_job(ctx: &Context) { let _ = ctx; }
mod other { pub use super::Measure as Measured; }
#[job(spawns(measure, other::Measured))]
async fn by_another_name(ctx: &Context) { let _ = ctx; }
fn main() {}
