include!("../prelude.rs");
#[job(spawns())]
async fn empty(ctx: &Context) { let _ = ctx; }
#[job(spawns)]
async fn bare(ctx: &Context) { let _ = ctx; }
#[job(spawns = measure)]
async fn unlisted(ctx: &Context) { let _ = ctx; }
#[job(spawns("measure", 3, measure("")))]
async fn no_names(ctx: &Context) { let _ = ctx; }
#[job(spawns(&measure))]
async fn lent(ctx: &Context) { let _ = ctx; }
#[job(spawns(measure, greet, Measure))]
async fn twice(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(spawns(measure))]
async fn without_context(page: &str) { let _ = page; }
#[job]
async fn foreign_context(ctx: &Context<measure>) { let _ = ctx; }
#[job(spawns(measure), pure)]
async fn effect(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(spawns(measure), once)]
async fn shared(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(spawns(measure), once_by = |page| page.len())]
async fn shared_by(ctx: &Context, page: &str) { drop(ctx.spawn(measure(page))); }
#[job(spawns(measure), pure, cache = 1h)]
async fn cached(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(at_most_once, spawns(measure))]
async fn only(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(spawn(measure))]
async fn slip(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(recover = takes_over, undo = undoes)]
async fn assisted(page: &str) -> usize { page.len() }
#[job(spawns(measure))]
async fn takes_over(ctx: &Context, failure: &zahir::Failure, page: &str) -> usize { drop((ctx.spawn(measure(page)), failure)); 1 }
#[job(spawns(measure))]
async fn undoes(ctx: &Context, page: &str, output: &usize) { drop((ctx.spawn(measure(page)), output)); }
#[job(spawns(measure))]
async fn of_another(ctx: &Context<measure>) { drop(ctx.spawn(measure(""))); }
#[job(spawns(measure))]
async fn of_itself(ctx: &Context<of_itself>) { drop(ctx.spawn(measure(""))); }
#[job(spawns(Self))]
async fn own_type(ctx: &Context) { drop(ctx.spawn(own_type())); }
#[job(spawns(measure,, greet))]
async fn twice_a_comma(ctx: &Context) { drop(ctx.spawn(measure(""))); }
fn main() {}
