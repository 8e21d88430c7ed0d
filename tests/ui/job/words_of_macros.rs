include!("../prelude.rs");
use std::time::Duration;
#[job(spawns(measure))]
async fn durations(ctx: &Context) {
    drop(ctx.spawn(measure("")).timeout(30s).total_timeout(1h30m));
    drop(ctx.spawn(measure("")).timeout(1500ms));
}
#[job(spawns(measure))]
async fn endless(ctx: &Context) { drop(ctx.spawn(measure("")).retry(forever)); }
// Names of the user's, and what other macros are given.
#[job(spawns(measure))]
async fn named(ctx: &Context, forever: u32) { drop(ctx.spawn(measure("")).retry(forever)); }
#[job(spawns(measure))]
async fn bound(ctx: &Context) {
    let forever = 3;
    drop(ctx.spawn(measure("")).retry(forever));
    workflow! { async fn inner() -> usize { measure("").retry(forever).timeout(30s) } }
}
// Other types than they take.
#[job(spawns(measure))]
async fn typed(ctx: &Context) {
    drop(ctx.spawn(measure("")).timeout(30));
    drop(ctx.spawn(measure("")).timeout("30s"));
    drop(ctx.spawn(measure("")).retry(Duration::from_secs(3)));
    drop(ctx.spawn(measure("")).backoff(Duration::from_secs(3)));
}
fn main() {}
