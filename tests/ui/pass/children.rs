//! Every way to spawn, in a crate that denies every warning.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]

use std::error::Error;
use std::time::Duration;

use zahir::{Call, Child, ChildError, Context, Job, JoinError, Map, Payload, SpawnedBy, job, workflow};

/// Jobs of another module.
pub mod pages {
    use zahir::{Context, job};

    /// A page.
    #[job(spawns(super::measure))]
    pub async fn fetch_page(ctx: &Context, url: &str) -> String {
        drop(ctx.spawn(super::measure(url)));
        url.to_owned()
    }

    /// An alias is as good.
    pub use fetch_page as fetched;
}

use pages::fetch_page;

#[job]
async fn measure(text: &str) -> usize {
    text.len()
}

#[job]
async fn load<T: Payload + Clone>(values: &[T]) -> Result<Vec<T>, std::io::Error> {
    Ok(values.to_vec())
}

#[job]
async fn total(title: &str, sizes: &[usize], first: usize, more: Vec<u8>, r#in: &String) -> usize {
    sizes.iter().sum::<usize>() + first + title.len() + more.len() + r#in.len()
}

workflow! {
    /// A workflow can be spawned, too.
    pub async fn report(text: String) -> usize {
        measure(&text)
    }
}

/// The function, the type, another path, itself, a workflow, an instance of a generic job.
#[job(retry = 2, spawns(pages::fetched, Measure, crawl, report, load::<u8>, Load<u16>, total))]
pub async fn crawl(ctx: &Context, url: &str, depth: u32) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let page = ctx.spawn(fetch_page(url)).key("page").retry(3).total_timeout(Duration::from_secs(9)).await?;
    if depth > 0 {
        drop(ctx.spawn(crawl(&page, depth - 1)));
        ctx.spawn(crawl(&page, depth - 1)).timeout(Duration::from_secs(1)).detached();
    }
    let reported = ctx.spawn(report(page.clone()));
    let sizes: Vec<Child<measure>> = page.split(' ').map(|word| ctx.spawn(measure(word))).collect();
    let sizes = ctx.join_all(sizes).await?;
    let settled = ctx.join_settled([ctx.spawn(load(&[1_u16]))]).await;
    assert!(settled.iter().all(Result::is_ok));
    let bytes = helper(ctx).await.map_err(|failed| failed.into_error().unwrap_or_else(|_| std::io::Error::other("")))?;
    let borrowed = by_any(ctx);
    Ok(sizes.iter().sum::<usize>() + reported.await? + bytes.len() + borrowed)
}

/// Spawns for a job.
async fn helper(ctx: &Context<crawl>) -> Result<Vec<u8>, ChildError<std::io::Error>> {
    ctx.spawn(load(&[1_u8])).await
}

fn by_any(ctx: &Context) -> usize {
    ctx.attempt() as usize
}

/// Spawns for any job that declares what it is given.
fn for_any<'c, P: Job, C: SpawnedBy<P>>(ctx: &Context<P>, call: Call<'c, C>, more: fn(usize) -> Call<'c, C>) -> (Child<C>, Map<'c, C>) {
    (ctx.spawn(call), ctx.map([1, 2], more))
}

/// Keeps what any type has.
async fn keep_any<T: Payload + Default>(ctx: &Context) -> T {
    ctx.record("default", T::default).await
}

/// Uses both.
#[job(spawns(measure_all))]
pub async fn generally(ctx: &Context) -> Result<usize, JoinError<std::convert::Infallible>> {
    let (one, more) = for_any(ctx, measure_all(3), measure_all);
    let ended = ctx.join_all(vec![one]).await?.len() + more.limit(1).await?.len();
    Ok(ended + keep_any::<usize>(ctx).await)
}

/// Takes a number.
#[job]
pub async fn measure_all(pages: usize) -> usize {
    pages
}

/// Ends with what another job gives.
#[job(spawns(total, measure, load<u8>))]
async fn tail(ctx: &Context, words: &[String]) -> usize {
    let sizes: Vec<_> = words.iter().map(|word| ctx.spawn(measure(word))).collect();
    if words.len() > 10 {
        return ctx.continue_as(Total::of("title", sizes, 3, vec![1], String::new())).await;
    }
    let first = ctx.spawn(measure("first"));
    let more = ctx.spawn(load(&[1_u8]));
    ctx.continue_as(Total::of(String::new(), &[1, 2], first, more, &words[0]).retry(1).timeout(Duration::from_secs(1))).await
}

/// A generic job spawns instances of others, and of itself.
#[job(spawns(load::<T>, each::<T, N>))]
async fn each<T: Payload + Clone, const N: usize>(ctx: &Context, values: &[T]) -> Result<usize, JoinError<std::io::Error>> {
    let halves = values.chunks(N).map(|half| ctx.spawn(load(half)));
    drop(ctx.spawn(each::<T, N>(&[])));
    Ok(ctx.join_all(halves).await?.len())
}

workflow! {
    /// All of them.
    pub async fn all(url: String, words: Vec<String>) -> usize {
        let found = crawl(&url, 3);
        let tail = tail(&words);
        let each = each::<String, 2>(&words);
        found + tail + each
    }
}

/// What a saga calls spawns what can be undone, round in circles.
#[job(no_undo, spawns(quiet, quieter))]
pub async fn quiet(ctx: &Context) {
    let _ = ctx;
}

#[job(no_undo, spawns(quiet, undoable, same::<u8>, careful, handed_over))]
async fn quieter(ctx: &Context) {
    let _ = ctx;
}

/// Continues as itself, a call is as good as its inputs; and then as a job that can be undone.
#[job(no_undo, recover = in_place, spawns(handed_over, undoable))]
async fn handed_over(ctx: &Context, left: u64) -> Result<u64, std::io::Error> {
    if left > 0 {
        return ctx.continue_as(handed_over(left - 1)).await;
    }
    ctx.continue_as(undoable(left)).await
}

#[job(no_undo)]
async fn in_place(failure: &zahir::Failure, left: u64) -> u64 {
    let _ = failure;
    left
}

#[job(undo = take_back, verify = |_| Ok::<_, String>(()), spawns(quiet, undoable))]
async fn undoable(ctx: &Context, left: u64) -> Result<u64, std::io::Error> {
    drop(ctx.spawn(undoable(left)));
    let _: Vec<()> = ctx.map([1, 2, 3], |_| quiet()).limit(2).await.map_err(std::io::Error::other)?;
    Ok(left)
}

#[job]
async fn take_back(left: u64, given: &u64) {
    let _ = (left, given);
}

#[job(pure)]
async fn same<T: Payload + Clone>(value: T) -> T {
    value
}

workflow! {
    #[saga]
    async fn careful(left: u64) -> u64 {
        quiet();
        let handed = handed_over(left);
        undoable(handed)
    }
}

macro_rules! spawning {
    ($name:ident, $path:path, $ty:ty, $ident:ident, $($tokens:tt)*) => {
        #[job(spawns($path, $ty, $ident, $($tokens)*))]
        async fn $name(ctx: &Context) {
            drop(ctx.spawn($ident("")));
        }
    };
}
spawning!(hygienic, pages::fetched, Load<u8>, measure, crawl, load::<u16>);

/// A variable may be called as a context is.
fn context() -> String {
    String::new()
}

workflow! {
    async fn named(text: String) -> usize {
        let ctx = pure(context());
        let trimmed = ctx.trim().to_owned();
        let sized = measure(&trimmed);
        sized + text.len()
    }
}

fn main() {
    let _ = (Careful::graph(), Named::graph(), quieter(), hygienic());
    let _ = (All::graph(), fetch_page(""), total("", &[], 1, vec![], &String::new()));
}
