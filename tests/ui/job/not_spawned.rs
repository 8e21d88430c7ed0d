include!("../prelude.rs");
use std::time::Duration;
#[job(spawns(measure, greet))]
async fn limited(ctx: &Context, pages: &[String]) {
    let second = Duration::from_secs(1);
    drop(ctx.spawn(measure("").retry(3)));
    drop(ctx.spawn(measure("").backoff(second)));
    drop(ctx.spawn(measure("").timeout(second)));
    drop(ctx.spawn(measure("").total_timeout(second)));
    drop(ctx.spawn(measure("").key("page")));
    drop(ctx.spawn(measure("").detached()));
    drop(ctx.map(pages, |page| measure(page).retry(3)));
    // Awaited here, and so a value.
    drop(ctx.spawn(measure("").await));
    // For `continue_as` only.
    drop(ctx.spawn(Greet::of(String::new())));
}
fn main() {}
