include!("../prelude.rs");
#[job(no_undo, spawns(tell, deeper))]
async fn wide(ctx: &Context, user: &User) { let _ = (ctx, user); }
// Round in circles.
#[job(no_undo, spawns(wide, deepest))]
async fn deeper(ctx: &Context, user: &User) { let _ = (ctx, user); }
#[job(no_undo, spawns(plain))]
async fn deepest(ctx: &Context, user: &User) { let _ = (ctx, user); }
#[job(no_undo)]
async fn tell(user: &User) { let _ = user; }
// No saga.
workflow! { async fn plain(user: User) -> () { tell(&user) } }
#[job(spawns(tell))]
async fn itself(ctx: &Context, user: &User) { let _ = (ctx, user); }
workflow! {
    #[saga]
    async fn onboard(user: User) -> () {
        tell(&user);
        wide(&user);
        deeper(&user);
        deepest(&user);
        itself(&user);
    }
}
fn main() {}
