//! Runs that fail, or are cancelled, cut at every append while they do, and while they are undone.

use std::fmt;

use zahir::{Call, Context, Workflow, job, workflow};

use super::effects::{Bad, stumble};
use super::nested::{fails, never};
use super::told::note;
use super::{Case, Ended, Outside, Told, add, one_run, split};

#[job(undo = takes_back)]
pub async fn does(ctx: &Context, what: u64, after: u64) -> u64 {
    note(ctx, format_args!("does {what} after {after}"));
    after + 1
}

#[job(retry = forever)]
pub async fn takes_back(ctx: &Context, what: u64, after: u64, done: &u64) {
    note(
        ctx,
        format_args!("undoes {what} after {after}, which gave {done}"),
    );
}

#[job(undo = takes_back_slowly)]
pub async fn does_slowly(ctx: &Context, what: u64, after: u64) -> u64 {
    note(ctx, format_args!("does {what} after {after}"));
    after + 1
}

#[job(retry = 2, backoff = [2s, 3s])]
pub async fn takes_back_slowly(
    ctx: &Context,
    what: u64,
    after: u64,
    done: &u64,
) -> Result<(), Bad> {
    note(
        ctx,
        format_args!("undoes {what} after {after}, which gave {done}"),
    );
    stumble(ctx, 2)
}

#[job(undo = sticks)]
pub async fn does_for_good(ctx: &Context, what: u64, after: u64) -> u64 {
    note(ctx, format_args!("does {what} after {after}"));
    after + 1
}

#[job(retry = 1, backoff = 1s)]
pub async fn sticks(ctx: &Context, what: u64, after: u64, done: &u64) -> Result<(), Bad> {
    note(
        ctx,
        format_args!("undoes {what} after {after}, which gave {done}"),
    );
    Err(Bad { number: what })
}

#[job(undo = takes_back, recover = does_instead)]
pub async fn can_not(ctx: &Context, what: u64, after: u64) -> Result<u64, Bad> {
    note(ctx, format_args!("can not do {what} after {after}"));
    Err(Bad { number: what })
}

#[job]
pub async fn does_instead(ctx: &Context, bad: &Bad, what: u64, after: u64) -> u64 {
    note(
        ctx,
        format_args!("does {what} after {after}, instead of {bad}"),
    );
    after + 1
}

#[job(no_undo)]
pub async fn gives_up(number: u64) -> Result<u64, Bad> {
    Err(Bad { number })
}

/// What `told` says was done to these is in this order: whatever comes again, too.
fn assert_order(ran: &[String], order: &[&str]) {
    let places = |start: &str| {
        let places = ran.iter().enumerate();
        let own: Vec<usize> = places
            .filter(|(_, line)| line.starts_with(&format!("{start} ")))
            .map(|(place, _)| place)
            .collect();
        assert!(!own.is_empty(), "nothing {start}: {ran:?}");
        own
    };
    for pair in order.windows(2) {
        let (first, then) = (places(pair[0]), places(pair[1]));
        assert!(first.last() < then.first(), "{pair:?}: {ran:?}");
    }
}

async fn check_undone<W>(
    call: impl Fn() -> Call<'static, W> + 'static,
    outside: Outside,
    holds: fn(&Told<Ended<W::Output>>),
) where
    W: Workflow<Output: PartialEq + fmt::Debug>,
{
    let case = Case {
        holds,
        ..one_run(call, outside, true)
    };
    case.check().await;
    case.check_twice().await;
}

workflow! {
    #[saga]
    pub async fn chain(number: u64) -> u64 {
        let one = does(1, number);
        let two = does_slowly(2, one);
        let three = can_not(3, two);
        gives_up(three)
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_cut_anywhere_is_undone_backwards() {
    check_undone(
        || chain(5),
        Outside::Nothing,
        |told| {
            assert_eq!(told.ended, Err("bad 8".to_owned()));
            let order = [
                "does 1", "does 2", "does 3", "undoes 3", "undoes 2", "undoes 1",
            ];
            assert_order(&told.ran, &order);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_being_undone_cut_anywhere_is_not_cancelled() {
    check_undone(
        || chain(5),
        Outside::CancelUndoing(2),
        |told| assert_eq!(told.ended, Err("bad 8".to_owned())),
    )
    .await;
}

workflow! {
    /// Two chains beside each other, and what rests on both.
    pub async fn beside(number: u64) -> u64 {
        let one = does(1, number);
        let two = does(2, number);
        let eleven = does_slowly(11, one);
        let twelve = does(12, two);
        let both = does(20, eleven + twelve);
        gives_up(both)
    }
}

#[tokio::test(start_paused = true)]
async fn chains_beside_each_other_cut_anywhere_are_undone() {
    check_undone(
        || beside(5),
        Outside::Nothing,
        |told| {
            assert_order(&told.ran, &["undoes 20", "undoes 11", "undoes 1"]);
            assert_order(&told.ran, &["undoes 20", "undoes 12", "undoes 2"]);
        },
    )
    .await;
}

workflow! {
    pub async fn inner(number: u64) -> u64 {
        let one = does(30 + number, number);
        does(40 + number, one)
    }
}

workflow! {
    /// Rounds and items, and a handler that has taken a failure.
    pub async fn inside(number: u64) -> u64 {
        let mut sum = does(1, number);
        let mut round = 0;
        while round < 2 { round += 1; sum = does(10 + round, sum); }
        let numbers = split(2);
        let all = for item in numbers { let one = does(20 + item, sum); inner(item).after(one) };
        let total = all.iter().sum::<u64>();
        let handled = { let four = does(4, total); gives_up(four) }.rescue(|_| does(5, total)).finally(does(6, total));
        gives_up(handled)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_done_inside_cut_anywhere_is_undone() {
    let case = Case {
        holds: |told: &Told<_>| {
            let end = ["undoes 12", "undoes 11", "undoes 1"];
            for item in ["0", "1"] {
                let own = ["4", "3", "2"].map(|tens| format!("undoes {tens}{item}"));
                let mut order: Vec<&str> = vec!["undoes 5", "undoes 4"];
                order.extend(own.iter().map(String::as_str));
                order.extend(end);
                assert_order(&told.ran, &order);
            }
            assert_order(&told.ran, &["does 6", "undoes 6", "undoes 5"]);
        },
        ..one_run(|| inside(5), Outside::Nothing, true)
    };
    case.check().await;
}

workflow! {
    /// When one undo has failed for good, another one is not done yet.
    pub async fn stuck(number: u64) -> u64 {
        let one = does(1, number);
        let two = does_for_good(2, one);
        let three = does(3, two);
        let other = does_slowly(4, number);
        fails(three + other)
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_undone_cut_anywhere_stays() {
    check_undone(
        || stuck(5),
        Outside::Nothing,
        |told| {
            let error = told.ended.as_ref().unwrap_err();
            assert!(error.ends_with(r#"left: ["two"]"#), "{error}");
            assert_order(&told.ran, &["undoes 3", "undoes 2"]);
            assert_order(&told.ran, &["does 4", "undoes 4"]);
            assert!(told.ran.iter().all(|line| !line.starts_with("undoes 1 ")));
        },
    )
    .await;
}

workflow! {
    pub async fn called_off(number: u64) -> u64 {
        let one = does(1, number);
        let two = does_slowly(2, one);
        let waited = { never(two) }.finally(does(3, two));
        add(waited, 1)
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_cut_anywhere_is_undone() {
    check_undone(
        || called_off(5),
        Outside::Cancel(3),
        |told| {
            assert_eq!(told.ended, Err("cancelled".to_owned()));
            assert_order(&told.ran, &["does 3", "undoes 3", "undoes 2", "undoes 1"]);
        },
    )
    .await;
}
