include!("../prelude.rs");
pub struct Handle { fd: i32 }
#[derive(Serialize)]
pub struct Piece { fd: i32 }
#[job(spawns(measure))]
async fn written(ctx: &Context) -> i32 { ctx.record("handle", || Handle { fd: 3 }).await.fd }
// Can't be read back.
#[job]
async fn half(ctx: &Context) -> i32 {
    let half = ctx.record("half", || Piece { fd: 3 }).await;
    half.fd
}
// Awaits.
#[job]
async fn awaiting(ctx: &Context, page: &str) {
    drop(ctx.record("size", async || measure(page).await).await);
}
// No function.
#[job]
async fn value(ctx: &Context, page: &str) -> usize { ctx.record("size", page.len()).await }
// No name.
#[job]
async fn nameless(ctx: &Context, page: &str) -> usize { ctx.record(|| page.len()).await }
// Other types than are asked for.
#[job]
async fn typed(ctx: &Context, page: &str) -> usize {
    let size: String = ctx.record("size", || page.len()).await;
    size.len()
}
// Not awaited.
#[job]
async fn unawaited(ctx: &Context, page: &str) -> usize { ctx.record("size", || page.len()) }
#[job]
async fn emits(ctx: &Context) {
    ctx.emit(&Handle { fd: 3 });
    ctx.emit(3);
    ctx.progress(1.5, -2);
}
fn main() {}
