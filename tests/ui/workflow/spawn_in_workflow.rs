include!("../prelude.rs");
workflow! {
    async fn onboard(user: User) -> usize {
        let child = ctx.spawn(open_ticket(&user));
        ctx.spawn(write_audit(&user)).detached();
        let sizes = ctx.join_all(vec![ctx.spawn(measure(&user.name))]);
        measure(&user.name)
    }
}
workflow! {
    async fn with_context(ctx: &Context, user: User) -> usize {
        measure(&user.name)
    }
}
workflow! {
    async fn ends(user: User) -> usize {
        ctx.continue_as(Measure::of(user.name.clone()))
    }
}
fn main() {}
