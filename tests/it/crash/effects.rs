//! Jobs that fail, ask to be run again, hang, are recovered, and those that are never started twice,
//! cut at every append: what their attempts did, and how each of them ended, is the same.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zahir::{Again, Call, Context, Failure, Workflow, fatal, job, workflow};
use zahir_store::Fault;

use super::told::{failures, mend, mended, note, ran};
use super::undos::does;
use super::{Case, Ended, Outside, Told, add, ended, one_run};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bad {
    pub number: u64,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad {}", self.number)
    }
}

impl std::error::Error for Bad {}

/// Fails this many times.
pub fn stumble(ctx: &Context, times: usize) -> Result<(), Bad> {
    let number = u64::try_from(failures(ctx)).unwrap();
    if failures(ctx) < times {
        Err(Bad { number })
    } else {
        Ok(())
    }
}

pub async fn check_all<W>(call: impl Fn() -> Call<'static, W> + Clone + 'static, outside: Outside)
where
    W: Workflow<Output: PartialEq + fmt::Debug>,
{
    let case = one_run(call, outside, true);
    case.check().await;
    case.check_twice().await;
}

#[job(retry = 2, backoff = [1s, 10s, 1m])]
pub async fn stumbles(ctx: &Context, number: u64, times: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("stumbles {number} {times}"));
    stumble(ctx, usize::try_from(times).unwrap())?;
    Ok(number + 1)
}

fn is_low(bad: &Bad) -> bool {
    bad.number < 1
}

#[job(retry = forever, backoff = 1s, retry_if = is_low)]
pub async fn picky(ctx: &Context, number: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("picky {number}"));
    stumble(ctx, 5)?;
    Ok(number)
}

#[job(retry = 5, backoff = 1s)]
pub async fn fatal_at_second(ctx: &Context, number: u64) -> Result<u64, BoxError> {
    note(ctx, format_args!("fatal {number}"));
    if failures(ctx) == 0 {
        return Err(Bad { number }.into());
    }
    Err(fatal(Bad { number }).into())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

workflow! {
    pub async fn retries(number: u64) -> u64 {
        let first = stumbles(number, 2);
        let second = stumbles(first, 4).retry(forever).backoff([2s, 3s, 5s]);
        add(first, second)
    }
}

workflow! {
    pub async fn spends(number: u64) -> u64 {
        let spent = stumbles(number, 9).rescue(|bad| add(bad.number, 100));
        let refused = picky(spent).rescue(|bad| add(bad.number, 200));
        { fatal_at_second(refused) }.rescue(|failure| add(failure.message().len() as u64, 1))
    }
}

#[tokio::test(start_paused = true)]
async fn retries_cut_anywhere_are_counted_on() {
    check_all(|| retries(5), Outside::Nothing).await;
    check_all(|| spends(5), Outside::Nothing).await;
}

/// Looks until the state is four, and stumbles over each that is odd.
#[job(retry = 1, backoff = [1s, 7s])]
pub async fn watch(
    ctx: &Context,
    #[state] looks: Option<u64>,
    from: u64,
) -> Result<Again<u64, u64>, Bad> {
    let looks = looks.unwrap_or(from);
    note(ctx, format_args!("watch {looks}"));
    if looks % 2 == 1 && failures(ctx) < usize::try_from(looks.div_ceil(2)).unwrap() {
        return Err(Bad { number: looks });
    }
    if looks == 4 {
        return Ok(Again::Done(looks * 10));
    }
    Ok(Again::after(Duration::from_secs(60 * looks), looks + 1))
}

workflow! {
    pub async fn looks(number: u64) -> u64 {
        let one = watch(1);
        let other = watch(2).after(one);
        add(one + other, number)
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_ask_for_another_time_cut_anywhere_keep_their_state() {
    check_all(|| looks(5), Outside::Nothing).await;
}

#[job(retry = 1, backoff = 1s, recover = take_over)]
pub async fn breaks(ctx: &Context, number: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("breaks {number}"));
    Err(Bad { number })
}

/// Fails, too, for an odd number.
#[job(retry = 2, backoff = [3s, 4s])]
pub async fn take_over(ctx: &Context, bad: &Bad, number: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("takes over {number} {}", bad.number));
    stumble(ctx, if number.is_multiple_of(2) { 1 } else { 9 })?;
    Ok(number * 2)
}

#[job(recover = calm_down)]
pub async fn panics_first(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("panics {number}"));
    panic!("at {number}");
}

#[job]
pub async fn calm_down(ctx: &Context, failure: &Failure, number: u64) -> u64 {
    note(ctx, format_args!("calms {number}, {}", failure.message()));
    number + 1
}

workflow! {
    pub async fn recoveries(number: u64) -> u64 {
        let taken = breaks(number);
        let numbers = [taken, taken + 1];
        let all = for number in numbers {
            { breaks(number) }.rescue(|failure| add(failure.message().len() as u64, 1))
        };
        all.iter().sum::<u64>()
    }
}

workflow! {
    pub async fn recovers_in_vain(number: u64) -> u64 {
        let calm = panics_first(number);
        breaks(calm + 1)
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_jobs_cut_anywhere_take_over_once() {
    one_run(|| recoveries(6), Outside::Nothing, true)
        .check()
        .await;
    check_all(|| recovers_in_vain(5), Outside::Nothing).await;
}

fn accept(number: &u64) -> Result<(), String> {
    if *number < 100 {
        Ok(())
    } else {
        Err(format!("{number} is too much"))
    }
}

fn approve(output: &u64) -> Result<(), String> {
    if *output > 1 {
        Ok(())
    } else {
        Err(format!("{output} is too little"))
    }
}

/// Gives how often it failed.
#[job(retry = 2, backoff = 1s, check = accept, verify = approve)]
pub async fn counts_failures(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("counts {number}"));
    u64::try_from(failures(ctx)).unwrap()
}

workflow! {
    pub async fn checks(number: u64) -> u64 {
        let counted = counts_failures(number);
        let spent = { counts_failures(counted).retry(1) }.rescue(|failure| add(failure.message().len() as u64, 1));
        let refused = { counts_failures(spent + 100) }.rescue(|failure| add(failure.message().len() as u64, 1));
        counts_failures(refused + 100)
    }
}

#[tokio::test(start_paused = true)]
async fn checks_cut_anywhere_refuse_the_same() {
    check_all(|| checks(5), Outside::Nothing).await;
}

#[job(timeout = 30s, retry = 2, backoff = [1s, 5s], recover = calm_down)]
pub async fn hangs(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("hangs {number}"));
    std::future::pending().await
}

/// Hangs until it has failed once, and takes a while then.
#[job(timeout = 30s, retry = 2, backoff = 5s)]
pub async fn hangs_once(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("hangs once {number}"));
    if failures(ctx) == 0 {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    number + 1
}

workflow! {
    pub async fn too_slow(number: u64) -> u64 {
        let one = hangs_once(number);
        let other = hangs(one);
        add(other, 1)
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts_cut_anywhere_are_failed_attempts() {
    check_all(|| too_slow(5), Outside::Nothing).await;
}

#[job(recover = calm_down)]
pub async fn hangs_for_ever(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("hangs {number}"));
    std::future::pending().await
}

#[job(retry = forever, backoff = 1s)]
pub async fn hangs_alone(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("hangs {number}"));
    std::future::pending().await
}

workflow! {
    pub async fn altogether(number: u64) -> u64 {
        let one = hangs_for_ever(number).total_timeout(1h);
        let other = { hangs_alone(one).total_timeout(1h) }
            .rescue(|failure| add(failure.message().len() as u64, 1));
        add(one, other)
    }
}

workflow! {
    pub async fn for_too_long(number: u64) -> u64 {
        let done = does(1, number);
        { hangs_alone(done) }.rescue(|failure| does(2, failure.message().len() as u64)).finally(add(done, 3))
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Time stands still until a job hangs, and goes on by hours then.
fn hour_by_hour<W>(
    call: impl Fn() -> Call<'static, W> + 'static,
    limit: Option<Duration>,
) -> Case<Ended<u64>>
where
    W: Workflow<Output = u64>,
{
    Case {
        process: Box::new(move |runtime, _| {
            let mut run = runtime.run(call()).key("the one");
            if let Some(limit) = limit {
                run = run.timeout(limit);
            }
            let starting = Box::pin(run.start());
            Box::pin(async move {
                // While something blocks, tokio leaves a time that is paused as it is.
                let (stands, still) = std::sync::mpsc::channel::<()>();
                let blocked = tokio::task::spawn_blocking(move || still.recv());
                let run = starting.await?;
                let passes = async {
                    loop {
                        while hung() == mended() {
                            tokio::task::yield_now().await;
                        }
                        mend(hung());
                        // More than in all processes before: time begins anew in each of them.
                        tokio::time::advance(HOUR * 2 * 3_u32.pow(hung())).await;
                    }
                };
                let ended = tokio::select! {
                    ended = ended(&run) => ended,
                    never = passes => never,
                };
                drop(stands);
                let _ = blocked.await;
                ended
            })
        }),
        ..one_run::<W>(
            || unreachable!("it has a process of its own"),
            Outside::Nothing,
            true,
        )
    }
}

/// How often a job has hung.
fn hung() -> u32 {
    let hung = ran()
        .iter()
        .filter(|line| line.starts_with("hangs"))
        .count();
    u32::try_from(hung).unwrap()
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_all_attempts_cut_anywhere_are_kept() {
    let case = hour_by_hour(|| altogether(5), None);
    case.check().await;
    case.check_twice().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_cut_anywhere_is_undone() {
    let case = Case {
        holds: |told: &Told<_>| assert!(told.ran.iter().all(|line| !line.starts_with("does 2"))),
        ..hour_by_hour(|| for_too_long(5), Some(HOUR))
    };
    case.check().await;
    case.check_twice().await;
}

#[job(at_most_once)]
pub async fn strikes(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("strikes {number}"));
    number + 2
}

#[job(at_most_once, recover = calm_down)]
pub async fn strikes_recovered(ctx: &Context, number: u64) -> u64 {
    note(ctx, format_args!("strikes {number}"));
    number + 2
}

workflow! {
    pub async fn strikes_alone(number: u64) -> u64 {
        let one = does(1, number);
        let struck = strikes(one);
        add(struck, one)
    }
}

workflow! {
    pub async fn strikes_and_recovers(number: u64) -> u64 {
        let one = does(1, number);
        let struck = strikes_recovered(one);
        add(struck, 1_000)
    }
}

workflow! {
    pub async fn strikes_and_rescues(number: u64) -> u64 {
        let one = does(1, number);
        let struck = { strikes(one) }.rescue(|failure| add(failure.message().len() as u64, 1_000));
        add(struck, one)
    }
}

const LOST: &str = "the process ended while it was under way, and it is never started twice";

/// What is never started twice ends as it would have, or as what it is given when it was cut off, which
/// is at one place for each way to cut.
async fn check_strikes<W>(call: impl Fn() -> Call<'static, W> + 'static, interrupted: Ended<u64>)
where
    W: Workflow<Output = u64>,
{
    let case = one_run(call, Outside::Nothing, true);
    let (expected, ..) = case.processes(&[]).await;
    for fault in [Fault::UnknownNotWritten, Fault::UnknownWritten] {
        let mut were_interrupted = 0;
        for cut in 0.. {
            let mut were_cut = 0;
            for second in 0.. {
                let cuts = [(cut, fault), (second, Fault::UnknownNotWritten)];
                let (told, cuts_made, lost) = case.processes(&cuts).await;
                were_cut = cuts_made;
                let strikes = told.ran.iter().filter(|line| line.starts_with("strikes"));
                assert!(strikes.count() <= 1, "{cuts:?}: {:?}", told.ran);
                if told.ended == interrupted {
                    assert!(lost <= 2);
                    were_interrupted += usize::from(were_cut < 2);
                } else {
                    assert_eq!(told.ended, expected.ended, "{cuts:?}");
                    assert_eq!(told.results, expected.results, "{cuts:?}");
                    assert_eq!(told.attempts, expected.attempts, "{cuts:?}");
                }
                if were_cut < 2 {
                    break;
                }
            }
            if were_cut == 0 {
                break;
            }
        }
        assert_eq!(were_interrupted, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_never_started_twice_cut_anywhere_is_not() {
    check_strikes(|| strikes_alone(5), Err(LOST.to_owned())).await;
    // It is given the number that the other one was.
    check_strikes(|| strikes_and_recovers(5), Ok(1_007)).await;
    let told = u64::try_from(LOST.len()).unwrap();
    check_strikes(|| strikes_and_rescues(5), Ok(told + 1_000 + 6)).await;
}
