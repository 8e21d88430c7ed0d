include!("../prelude.rs");
use std::time::Duration;
workflow! { async fn audit(user: User) -> () { write_audit(&user) } }
workflow! { async fn length(page: String) -> usize { measure(&page) } }
#[job(at_most_once)]
async fn call(page: &str) -> usize { page.len() }
#[job(spawns(audit, length, call))]
async fn root(ctx: &Context, user: &User) -> usize {
    let second = Duration::from_secs(1);
    // A workflow has no attempts.
    drop(ctx.spawn(audit(user.clone())).retry(3));
    drop(ctx.spawn(audit(user.clone())).key("audit").timeout(second).total_timeout(second));
    // This job has one.
    drop(ctx.spawn(call("")).timeout(second).retry(1));
    if user.active {
        return ctx.continue_as(Length::of(String::new()).retry(1).timeout(second).total_timeout(second)).await;
    }
    ctx.continue_as(Call::of("").timeout(second).retry(1)).await
}
fn main() {}
