include!("../prelude.rs");
// Calls, and no children.
#[job(spawns(measure, greet))]
async fn calls(ctx: &Context) {
    let _ = ctx.join_all([measure("a"), measure("b")]).await;
    ctx.join_settled([measure("a"), measure("b")]).await;
}
// Lent, a tuple, one.
#[job(spawns(measure, greet))]
async fn lists(ctx: &Context) {
    let children = [ctx.spawn(measure("a"))];
    let _ = ctx.join_all(&children).await;
    let _ = ctx.join_all((ctx.spawn(measure("a")), ctx.spawn(measure("b")))).await;
    let _ = ctx.join_all(ctx.spawn(measure("a"))).await;
}
// Of two jobs.
#[job(spawns(measure, greet))]
async fn two(ctx: &Context) {
    let _ = ctx.join_all([ctx.spawn(measure("a")), ctx.spawn(greet(String::new()))]).await;
}
// Not what it gives.
#[job(spawns(measure, greet))]
async fn given(ctx: &Context) -> Vec<usize> {
    let _: Vec<usize> = ctx.join_settled([ctx.spawn(measure("a"))]).await;
    ctx.join_all([ctx.spawn(measure("a"))]).await
}
fn main() {}
