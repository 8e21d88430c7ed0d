include!("../prelude.rs");
#[job(spawns(send_mail, measure, audit))]
async fn crawl(ctx: &Context, user: &User) {
    // Not declared.
    drop(ctx.spawn(open_ticket(user)));
    // No job.
    drop(ctx.spawn(write_plain(user)));
    // The function itself, not a call of it.
    drop(ctx.spawn(measure));
    // Other inputs than it takes.
    drop(ctx.spawn(measure(user)));
    drop(ctx.spawn(measure()));
    // Not what it gives.
    let size: String = ctx.spawn(measure("page")).await.unwrap();
    let sizes: Vec<String> = ctx.join_all([ctx.spawn(measure("page"))]).await.unwrap();
    drop((size, sizes));
}
async fn write_plain(user: &User) { let _ = user; }
workflow! { async fn audit(user: User) -> () { write_audit(&user) } }
workflow! { async fn other(user: User) -> () { write_audit(&user) } }
// Declares nothing.
#[job]
async fn first(ctx: &Context, user: &User) {
    drop(ctx.spawn(open_ticket(user)));
    helper(ctx, user);
}
// A function that spawns for a job.
fn helper(ctx: &Context, user: &User) {
    drop(ctx.spawn(open_ticket(user)));
}
fn typed(ctx: &Context<crawl>, user: &User) {
    drop(ctx.spawn(open_ticket(user)));
    drop(ctx.spawn(other(user.clone())));
}
fn of_another(ctx: &Context<first>, user: &User) {
    drop(ctx.spawn(open_ticket(user)));
    typed(ctx, user);
}
fn of_none(ctx: &Context<User>) { let _ = ctx; }
fn main() {}
