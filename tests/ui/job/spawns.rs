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
// Of a generic job.
#[job]
async fn keep<T: Payload>(value: T) -> T { value }
#[job(spawns(keep<T>, User, write_plain))]
async fn generic<T: Payload>(ctx: &Context, value: T) { drop(ctx.spawn(keep(value))); }
#[job(spawns(keep))]
async fn of_any(ctx: &Context) { let _ = ctx; }
#[job(spawns(keep<u8>))]
async fn of_one(ctx: &Context) { drop(ctx.spawn(keep(1_u16))); }
fn main() {}
