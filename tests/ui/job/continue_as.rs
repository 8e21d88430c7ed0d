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
fn main() {}
