include!("../prelude.rs");
// No call of a job.
#[job(spawns(measure, greet))]
async fn values(ctx: &Context, pages: &[String]) {
    let _ = ctx.map(0..3, |number| number + 1).await;
    let _ = ctx.map(0..3, async |number| number + 1).await;
    let _ = ctx.map(pages, |page| { measure(page); }).await;
    let _ = ctx.map(pages, |page| ctx.spawn(measure(page))).await;
    let _ = ctx.map(pages, async |page| measure(page).await).await;
    let _ = ctx.map(pages, |page| measure(page).await).await;
}
// No items, and others than the job takes.
#[job(spawns(measure, greet))]
async fn items(ctx: &Context, pages: &[String]) {
    let _ = ctx.map(3, |_| measure("")).await;
    let _ = ctx.map(["a"], greet).await;
    let _ = ctx.map(pages, |page| greet(page)).await;
}
// Not declared.
#[job(spawns(measure))]
async fn undeclared(ctx: &Context, pages: &[String]) {
    let _ = ctx.map(pages, |page| greet(page.clone())).await;
}
#[job]
async fn undeclaring(ctx: &Context, pages: &[String]) {
    let _ = ctx.map(pages, |page| greet(page.clone())).await;
    let _ = ctx.map(0..3, |number| number + 1).await;
}
// Not what it gives.
#[job(spawns(measure))]
async fn given(ctx: &Context, pages: &[String]) -> Vec<usize> {
    let _: Vec<String> = ctx.map(pages, |page| measure(page)).await.unwrap();
    let _ = ctx.map(pages, |page| measure(page)).await.limit(3);
    ctx.map(pages, |page| measure(page)).limit(3).await
}
fn main() {}
