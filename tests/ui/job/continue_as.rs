include!("../prelude.rs");
#[job]
async fn total(title: &str, sizes: &[usize]) -> usize { title.len() + sizes.len() }
#[job]
async fn undeclared(title: &str) -> usize { title.len() }
#[job]
async fn titled(title: &str) -> String { title.to_owned() }
#[job(spawns(measure, greet, total, titled))]
async fn root(ctx: &Context, pages: &[String]) -> usize {
    let sizes: Vec<_> = pages.iter().map(|page| ctx.spawn(measure(page))).collect();
    let greeting = ctx.spawn(greet(String::new()));
    if pages.is_empty() {
        // Not what this job gives.
        return ctx.continue_as(Titled::of(greeting)).await;
    }
    // Not declared.
    ctx.continue_as(undeclared("")).await;
    let size = ctx.spawn(measure(""));
    let greetings = vec![ctx.spawn(greet(String::new()))];
    // Other children than it takes.
    let _ = Total::of(size, sizes);
    let _ = Total::of("", greetings);
    let _ = Total::of("", ctx.spawn(measure("")));
    // Other values than it takes.
    let _ = Total::of(3, &[1, 2]);
    let _ = Total::of("", vec!["a"]);
    // A call, and no child.
    let _ = Total::of(greet(String::new()), vec![]);
    // More, and fewer.
    let _ = Total::of("");
    // No call of a job.
    ctx.continue_as(Total { title: String::new(), sizes: vec![] }).await
}
#[job]
async fn nothing(ctx: &Context) -> usize {
    ctx.continue_as(Total::of("", &[1, 2])).await
}
// Its `undo`, its `verify`, or both would be left out.
#[job(undo = take_back, spawns(measure, undone))]
async fn undone(ctx: &Context, page: &str) -> usize {
    ctx.continue_as(measure(page)).await
}
#[job]
async fn take_back(page: &str, size: &usize) { let _ = (page, size); }
fn adds_up(_: &usize) -> Result<(), String> { Ok(()) }
#[job(verify = adds_up, spawns(measure, doubled))]
async fn verified(ctx: &Context, page: &str) -> usize {
    let size = ctx.spawn(measure(page));
    ctx.continue_as(Doubled::of(size)).await
}
#[job]
async fn doubled(size: usize) -> usize { size * 2 }
#[job(undo = take_back, verify = adds_up, spawns(measure))]
async fn both(ctx: &Context, page: &str) -> usize { by_helper(ctx, page).await }
async fn by_helper(ctx: &Context<both>, page: &str) -> usize { ctx.continue_as(measure(page)).await }
// Said once: the option is wrong.
#[job(undo = 3, verify = adds_up, spawns(measure))]
async fn broken(ctx: &Context, page: &str) -> usize { ctx.continue_as(measure(page)).await }
fn main() {}
