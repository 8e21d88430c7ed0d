//! Jobs with children, cut at every append.

use std::time::Duration;

use zahir::{Again, Context, JoinError, job, workflow};

use super::nested::{Off, fails};
use super::{Add, Case, Collect, Outside, add, check, collect, flaky, one_run, split};

/// Fire and follow, two levels deep.
#[job(spawns(scatter, add))]
pub async fn scatter(ctx: &Context, number: u64) -> u64 {
    for child in 1..number {
        ctx.spawn(scatter(child));
    }
    ctx.spawn(add(number, 1));
    number
}

workflow! {
    pub async fn scattered(number: u64) -> u64 {
        let scattered = scatter(number);
        add(scattered, 1)
    }
}

#[tokio::test]
async fn children_that_follow_cut_anywhere_run_the_same() {
    check(|| scattered(3)).await;
}

#[job(spawns(add, flaky))]
pub async fn gather(
    ctx: &Context,
    number: u64,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let base: u64 = ctx.record("base", || number * 7).await;
    let first = ctx.spawn(add(base, 1)).key("first");
    let flaky: Vec<_> = (0..number).map(|n| ctx.spawn(flaky(n))).collect();
    let first = first.await?;
    let rest = ctx.join_all(flaky).await?;
    let last = ctx.spawn(add(first, rest.len() as u64)).await?;
    ctx.spawn(add(last, 0));
    Ok(rest.iter().fold(last, |sum, n| sum * 31 + n))
}

workflow! {
    pub async fn gathered(number: u64) -> u64 {
        let gathered = gather(number);
        add(gathered, 1)
    }
}

#[tokio::test(start_paused = true)]
async fn awaited_children_cut_anywhere_give_the_same() {
    check(|| gathered(3)).await;
}

#[job(spawns(tree, add, collect))]
pub async fn tree(ctx: &Context, number: u64) -> u64 {
    if number == 0 {
        return 1;
    }
    let children: Vec<_> = (0..number).map(|n| ctx.spawn(tree(n))).collect();
    ctx.spawn(add(number, 0));
    ctx.continue_as(Collect::of(children)).await
}

workflow! {
    pub async fn grown(number: u64) -> u64 {
        let numbers = split(number);
        let trees = for number in numbers { tree(number) };
        collect(&trees)
    }
}

#[tokio::test]
async fn jobs_that_go_on_as_others_cut_anywhere_give_the_same() {
    check(|| grown(4)).await;
}

#[job(spawns(add, fails))]
pub async fn copes(ctx: &Context, number: u64) -> u64 {
    let children: Vec<_> = (0..number).map(|n| ctx.spawn(fails(n))).collect();
    ctx.spawn(fails(number)).detached();
    let failed = ctx.join_settled(children).await;
    let count = failed.iter().filter(|outcome| outcome.is_err()).count() as u64;
    ctx.spawn(add(count, number)).await.unwrap_or(0)
}

#[job(retry = 1, backoff = 1ms, spawns(add, fails))]
pub async fn gives_up(ctx: &Context, number: u64) -> Result<u64, Off> {
    let kept = ctx.spawn(add(number, 1)).await.unwrap_or(0);
    let failed = ctx.spawn(fails(kept)).await;
    failed.map_err(|error| error.into_error().expect("an error that is kept"))
}

workflow! {
    pub async fn coped(number: u64) -> u64 {
        let coped = copes(number);
        let rescued = gives_up(coped).rescue(|off| add(off.by(), 5));
        add(rescued, 1)
    }
}

#[tokio::test(start_paused = true)]
async fn children_that_fail_cut_anywhere_fail_the_same() {
    check(|| coped(2)).await;
}

#[job(spawns(fails))]
pub async fn followed_by_failure(ctx: &Context, number: u64) -> u64 {
    ctx.spawn(fails(number));
    number
}

workflow! {
    /// What fails behind its parent is taken by the block around.
    pub async fn caught(number: u64) -> u64 {
        { let one = followed_by_failure(number); add(one, 1) }.rescue(|failure| failure.message().len() as u64)
    }
}

workflow! {
    pub async fn not_caught(number: u64) -> u64 {
        { let one = followed_by_failure(number); add(one, 1) }.finally(add(number, 2))
    }
}

#[tokio::test]
async fn failures_behind_a_parent_cut_anywhere_go_as_far() {
    check(|| caught(3)).await;
    check(|| not_caught(3)).await;
}

#[job(spawns(add, flaky, split))]
pub async fn asks_again(
    ctx: &Context,
    number: u64,
    #[state] round: Option<u64>,
) -> Again<u64, u64> {
    let round = round.unwrap_or_default();
    let held = ctx.spawn(add(number, round)).await.unwrap_or(0);
    let left = ctx.spawn(flaky(round));
    ctx.spawn(add(held, 1));
    if round < number {
        ctx.spawn(split(round)).detached();
        // Its handle is dropped when the attempt is over.
        drop(ctx.spawn(add(held, 2)).await);
        drop(left);
        return Again::after(Duration::from_secs(1), round + 1);
    }
    Again::Done(held + left.await.unwrap_or(0))
}

workflow! {
    pub async fn asked_again(number: u64) -> u64 {
        let asked = asks_again(number);
        add(asked, 1)
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_ask_for_another_attempt_cut_anywhere_leave_the_same_children() {
    let case = Case {
        holds: |told| {
            let counts = told
                .children
                .iter()
                .map(|count| count.done() + count.failed());
            assert_eq!(counts.sum::<u64>(), 5 + 5 + 3, "{:?}", told.children);
        },
        ..one_run(|| asked_again(2), Outside::Nothing, false)
    };
    case.check().await;
}

/// Has children in all states: over or not, of several kinds, one inside the other.
#[job(spawns(add, fails, copes, grown_small, tree, broken, add_up_vain))]
pub async fn has_all(ctx: &Context, number: u64) -> u64 {
    let failed = ctx.spawn(broken(number));
    let coped = ctx.spawn(copes(number));
    ctx.spawn(tree(number));
    ctx.spawn(fails(number)).detached();
    ctx.spawn(grown_small(number)).detached();
    ctx.spawn(add_up_vain(number)).detached();
    drop(failed.await);
    coped.await.unwrap_or(0)
}

/// Its heir never begins.
#[job(spawns(fails, add))]
pub async fn add_up_vain(ctx: &Context, number: u64) -> u64 {
    let failed = ctx.spawn(fails(number));
    ctx.continue_as(Add::of(failed, number)).await
}

workflow! {
    /// Fails behind a job, and beside another one.
    pub async fn broken(number: u64) -> u64 {
        let one = add(number, 1);
        let two = fails(one);
        add(two, add(number, 2).named("beside"))
    }
}

workflow! {
    pub async fn rich(number: u64) -> u64 {
        let all = has_all(number);
        add(all, 1)
    }
}

workflow! {
    pub async fn rich_in_vain(number: u64) -> u64 {
        let all = has_all(number);
        fails(all)
    }
}

#[tokio::test(start_paused = true)]
async fn children_are_counted_the_same_before_and_behind_a_restart() {
    check(|| rich(2)).await;
    check(|| rich_in_vain(2)).await;
}

/// Its children fail behind it, one of them before it asks for another attempt.
#[job(spawns(add, fails))]
pub async fn asks_behind_a_failure(
    ctx: &Context,
    number: u64,
    #[state] round: Option<u64>,
) -> Again<u64, u64> {
    if let Some(round) = round {
        return Again::Done(round);
    }
    let failed = ctx.spawn(fails(number));
    let last = ctx.spawn(add(number, 1)).await.unwrap_or(0);
    drop(failed);
    Again::after(Duration::from_secs(1), last)
}

workflow! {
    pub async fn asked_in_vain(number: u64) -> u64 {
        { let one = asks_behind_a_failure(number); add(one, 1) }.rescue(|failure| failure.message().len() as u64)
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_left_behind_another_attempt_cut_anywhere_goes_as_far() {
    let told = asked_in_vain(3).await.unwrap();
    assert_eq!(told, "off by 3".len() as u64, "the block takes it");
    check(|| asked_in_vain(3)).await;
}

#[job(spawns(grown_small))]
pub async fn calls(
    ctx: &Context,
    number: u64,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let one = ctx.spawn(grown_small(number));
    let two = ctx.spawn(grown_small(number + 1));
    Ok(one.await? * 100 + two.await?)
}

workflow! {
    pub async fn grown_small(number: u64) -> u64 {
        let numbers = split(number);
        let more = for number in numbers { flaky(number) };
        sleep(1s);
        collect(&more)
    }
}

workflow! { pub async fn called(number: u64) -> u64 { calls(number) } }

#[tokio::test(start_paused = true)]
async fn workflows_as_children_cut_anywhere_give_the_same() {
    check(|| called(2)).await;
}

#[job(spawns(add))]
pub async fn fans(ctx: &Context, number: u64) -> Result<u64, JoinError<std::convert::Infallible>> {
    let all = ctx.map(0..number, |n| add(n, 1)).limit(2).await?;
    Ok(all.iter().fold(3, |sum, n| sum * 31 + n))
}

workflow! { pub async fn fanned(number: u64) -> u64 { fans(number) } }

#[tokio::test]
async fn large_fans_cut_anywhere_give_the_same() {
    check(|| fanned(7)).await;
}
