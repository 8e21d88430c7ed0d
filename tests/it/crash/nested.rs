//! Each construct alone, and each one inside of each other one, cut at every append.

use std::fmt;

use serde::{Deserialize, Serialize};
use zahir::job;

use super::Outside;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Off {
    by: u64,
}

impl Off {
    pub fn by(&self) -> u64 {
        self.by
    }
}

impl fmt::Display for Off {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "off by {}", self.by)
    }
}

impl std::error::Error for Off {}

#[job]
pub async fn fails(by: u64) -> Result<u64, Off> {
    Err(Off { by })
}

#[job]
pub async fn never(number: u64) -> u64 {
    std::future::pending::<()>().await;
    number
}

/// A workflow with this body, and a test that cuts its runs.
macro_rules! cut {
    ($name:ident, $signals:expr, |$input:ident| $body:tt) => {
        mod $name {
            #[allow(unused_imports)]
            use super::super::super::{add, collect, diamond, split};
            #[allow(unused_imports)]
            use super::super::{Outside, fails, never};
            #[allow(unused_imports)]
            use zahir::{Race2, TimedOut};

            zahir::workflow! {
                pub async fn whole($input: u64) -> u64 $body
            }

            /// Time is paused: nobody waits for a sleep.
            #[tokio::test(start_paused = true)]
            async fn cut_anywhere_gives_the_same() {
                super::super::super::check_with(|| whole(5), $signals).await;
            }
        }
    };
}

/// Puts each construct that may be left into what `$around` makes of a body.
macro_rules! inside {
    ($around:ident, $waits:expr) => {
        mod $around {
            inside_anything!($around, $waits);
            $around! { returns, Outside::Nothing, |input| {
                let one = add(input, 1);
                if one > 2 { return add(one, 100); }
                add(one, 2)
            } }
        }
    };
}

/// Puts each other construct into it.
macro_rules! inside_whole {
    ($around:ident, $waits:expr) => {
        mod $around {
            inside_anything!($around, $waits);
        }
    };
}

macro_rules! inside_anything {
    ($around:ident, $waits:expr) => {
        #[allow(unused_imports)]
        use super::Outside;

        $around! { branches, Outside::Nothing, |input| {
            let one = add(input, 10);
            if one > 1_000 { add(one, 1) } else { let two = add(one, 2); add(two, 3) }
        } }
        $around! { matches, Outside::Nothing, |input| {
            let one = split(input);
            match one.as_slice() {
                [] => add(input, 1),
                [first, ..] if *first > 7 => 7,
                [_, second, rest @ ..] => { let two = collect(rest); add(two, *second) }
                _ => 8,
            }
        } }
        $around! { loops, Outside::Nothing, |input| {
            let mut rounds = 0;
            let mut all = input;
            while rounds < 2 { rounds += 1; all = add(all, rounds); }
            all
        } }
        $around! { bounded, Outside::Nothing, |input| {
            let mut all = input;
            #[max(2, or_last)] loop { all = add(all, 1); if all > 100 { break; } if all == 6 { continue; } all += 1; }
            all
        } }
        $around! { items, Outside::Nothing, |input| {
            let some = split(2);
            let sums = for one in some { let two = add(one, input); add(two, one) };
            collect(&sums)
        } }
        $around! { handles, Outside::Nothing, |input| {
            let handled = { let one = add(input, 1); fails(one) }.rescue(|failure| add(failure.message().len() as u64, 4));
            fails(handled).rescue(|err| add(err.by, 1))
        } }
        $around! { tries, Outside::Nothing, |input| {
            let tried = fails(input).result();
            match tried { Ok(value) => add(value, 1), Err(off) => add(off.by, 2) }
        } }
        $around! { cleans, Outside::Nothing, |input| {
            let kept = { let one = add(input, 1); add(one, 1) }.finally(add(input, 5));
            { { let one = add(kept, 1); fails(one) }.finally({ let two = add(input, 2); add(two, 2); }) }
                .rescue(|failure| failure.message().len() as u64)
        } }
        $around! { sleeps, Outside::Nothing, |input| {
            let one = add(input, 1);
            sleep(1h);
            add(one, 1)
        } }
        $around! { waits, Outside::Signals($waits), |input| {
            let one = add(input, 1);
            let sent: u64 = signal("go").after(one);
            add(one, sent)
        } }
        $around! { times_out, Outside::Nothing, |input| {
            let sent = signal::<u64>("never").timeout(1h);
            match sent { Ok(value) => value, Err(TimedOut) => add(input, 1) }
        } }
        $around! { races, Outside::Nothing, |input| {
            let won = race((never(input), { let one = add(input, 1); add(one, 1) }));
            match won { Race2::First(value) => value, Race2::Second(value) => add(value, 2) }
        } }
        $around! { races_a_signal, Outside::Signals($waits), |input| {
            let won = race((never(input), signal::<u64>("go"), sleep(365d)));
            match won { zahir::Race3::First(value) | zahir::Race3::Second(value) => add(value, 2), zahir::Race3::Third(()) => 0 }
        } }
        $around! { calls, Outside::Nothing, |input| {
            let called = diamond(input);
            add(called, 1)
        } }
    };
}

macro_rules! alone {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| $inner }
    };
}
inside!(alone, 1);

macro_rules! in_branch {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let before = add($input, 1);
            let chosen = if before > 1 $inner else { add(before, 2) };
            add(chosen, 3)
        } }
    };
}
inside!(in_branch, 1);

macro_rules! in_match {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let before = split($input);
            let chosen = match before.len() { 0 => 0, len if len > 3 => { let more = $inner; add(more, len as u64) } _ => add(1, 2) };
            chosen + 3
        } }
    };
}
inside!(in_match, 1);

macro_rules! in_loop {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let mut round = 0;
            let mut sum = $input;
            let last = loop {
                round += 1;
                let more = $inner;
                sum = add(sum, more);
                if round == 2 { break add(sum, round); }
            };
            last + sum
        } }
    };
}
inside!(in_loop, 2);

macro_rules! in_for {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let numbers = split(2);
            let all = for number in numbers { let more = $inner; more + number };
            collect(&all)
        } }
    };
}
inside_whole!(in_for, 2);

macro_rules! in_rescue {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let rescued = { let more = $inner; fails(more) }.rescue(|failure| add(failure.message().len() as u64, 1));
            add(rescued, 1)
        } }
    };
}
inside!(in_rescue, 1);

macro_rules! in_handler {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let mut state = 1;
            let rescued = fails($input).rescue(|off| { let more = $inner; state = off.by; add(more, state) });
            add(rescued, state)
        } }
    };
}
inside!(in_handler, 1);

macro_rules! in_result {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let outcome = $inner.result();
            match outcome { Ok(value) => add(value, 1), Err(_) => 0 }
        } }
    };
}
inside!(in_result, 1);

macro_rules! in_finally_body {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let clean = $inner.finally({ let last = add($input, 1); add(last, 2); });
            add(clean, 1)
        } }
    };
}
inside!(in_finally_body, 1);

macro_rules! in_finally {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let rescued = { fails($input).finally({ let more = $inner; add(more, 2); }) }.rescue(|_| add($input, 1));
            add(rescued, 1)
        } }
    };
}
inside_whole!(in_finally, 1);

macro_rules! in_race {
    ($name:ident, $signals:expr, |$input:ident| $inner:tt) => {
        cut! { $name, $signals, |$input| {
            let first = race(($inner, never($input), signal::<u64>("nobody")));
            match first { zahir::Race3::First(value) => add(value, 1), zahir::Race3::Second(value) | zahir::Race3::Third(value) => value }
        } }
    };
}
inside_whole!(in_race, 1);
