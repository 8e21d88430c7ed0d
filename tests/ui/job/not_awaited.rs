include!("../prelude.rs");
#[job]
async fn double(number: usize) -> usize { number * 2 }
#[job(spawns(double))]
async fn sum(ctx: &Context) -> Result<usize, MailError> {
    let number: usize = ctx.spawn(double(1));
    let more = ctx.spawn(double(1)) + 1;
    let unwrapped = ctx.spawn(double(1)).unwrap();
    let expected = ctx.spawn(double(1)).expect("a number");
    let tried = ctx.spawn(double(1))?;
    Ok(number + more + unwrapped + expected + tried)
}
// A child in place of what it gives.
#[job(spawns(double))]
async fn fourfold(ctx: &Context) -> usize {
    let twice = ctx.spawn(double(1));
    ctx.continue_as(double(twice)).await
}
#[job(spawns(double))]
async fn unended(ctx: &Context) -> usize {
    let twice = ctx.spawn(double(1));
    ctx.continue_as(Double::of(twice))
}
// Awaited, it has a result.
#[job(spawns(double))]
async fn unhandled(ctx: &Context) -> usize { ctx.spawn(double(1)).await }
#[job(spawns(double))]
async fn awaited(ctx: &Context) -> usize {
    let twice = ctx.spawn(double(1)).await;
    ctx.continue_as(Double::of(twice)).await
}
fn main() {}
