//! Branches and loops give what the same Rust gives.
//!
//! Each workflow is written a second time as a plain function, word for word.

use serde::{Deserialize, Serialize};
use zahir::{job, workflow};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    Dot,
    Circle(u64),
    Box { width: u64, height: u64 },
    Named(String, Option<u64>),
}

#[job]
async fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[job]
async fn make(number: u64) -> Shape {
    plain::make(number)
}

#[job]
async fn half(number: u64) -> Option<u64> {
    plain::half(number)
}

#[job]
async fn repeat(text: &str, count: u64) -> String {
    plain::repeat(text, count)
}

#[job]
async fn longer(list: &[u64], last: u64) -> Vec<u64> {
    plain::longer(list, last)
}

#[job]
async fn area(shape: &Shape) -> u64 {
    plain::area(shape)
}

/// The jobs as functions, and the bodies of the workflows.
mod plain {
    use super::Shape;

    pub(super) fn add(a: u64, b: u64) -> u64 {
        a + b
    }

    pub(super) fn make(number: u64) -> Shape {
        match number % 4 {
            0 => Shape::Dot,
            1 => Shape::Circle(number),
            2 => Shape::Box {
                width: number,
                height: number / 2,
            },
            _ => Shape::Named(
                "x".repeat(usize::try_from(number % 6).expect("small")),
                (number > 5).then_some(number),
            ),
        }
    }

    pub(super) fn half(number: u64) -> Option<u64> {
        number.is_multiple_of(2).then_some(number / 2)
    }

    pub(super) fn repeat(text: &str, count: u64) -> String {
        text.repeat(usize::try_from(count).expect("small"))
    }

    pub(super) fn longer(list: &[u64], last: u64) -> Vec<u64> {
        [list, &[last]].concat()
    }

    pub(super) fn area(shape: &Shape) -> u64 {
        match shape {
            Shape::Dot => 0,
            Shape::Circle(radius) => radius * 3,
            Shape::Box { width, height } => width * height,
            Shape::Named(..) => 1,
        }
    }
}

/// The body as a workflow, as a function, and a test that both give the same for some numbers.
macro_rules! same {
    ($name:ident($number:ident) -> $output:ty = $body:tt) => {
        mod $name {
            mod wired {
                #[allow(unused_imports)]
                use super::super::*;
                zahir::workflow! {
                    pub(super) async fn $name($number: u64) -> $output $body
                }
                pub(super) fn call(number: u64) -> zahir::Call<'static, $name> {
                    $name(number)
                }
            }
            mod written {
                #[allow(unused_imports)]
                use super::super::{plain::*, Shape};
                #[allow(clippy::all, unused_braces, unused_assignments)]
                pub(super) fn $name($number: u64) -> $output $body
            }

            #[tokio::test]
            async fn gives_what_rust_gives() {
                for number in 0..13 {
                    let run = wired::call(number).await.expect("no job fails");
                    assert_eq!(run, written::$name(number), "for {number}");
                }
            }
        }
    };
}

same! { decides(number) -> String = {
    let found = make(number);
    let wide = match found.clone() {
        Shape::Dot => repeat("dot", number),
        Shape::Circle(radius) if radius > 5 || number == 1 => { let twice = add(radius, radius); repeat("c", twice) }
        Shape::Circle(_) => format!("circle {number}"),
        Shape::Box { width: side, .. } | Shape::Named(_, Some(side)) => if side > 6 { repeat("big", 1) } else if let Some(less) = half(side) { repeat("h", less) } else { repeat("odd", 2) },
        Shape::Named(name, None) => repeat(&name, 2),
    };
    format!("{wide} {}", area(&found))
} }

same! { collatz(number) -> (u64, u64) = {
    let mut current = number + 1;
    let mut steps = 0;
    let mut most = current;
    let last = loop {
        if current == 1 { break add(most, steps); }
        if steps > 40 { break 0; }
        steps += 1;
        if current > most { most = current; }
        if let Some(less) = half(current) { current = less; continue; }
        let three = current * 3;
        current = add(three, 1);
    };
    (last, steps)
} }

same! { returns(number) -> u64 = {
    let mut sum = 0;
    if number == 3 { return 77; }
    let mut round = 0;
    while round < 4 {
        round += 1;
        let more = add(sum, round);
        match make(more) {
            Shape::Dot => { sum = more; }
            Shape::Circle(size) if size == number => return add(size, 1000),
            Shape::Circle(size) => { if size > 8 { break; } sum += size; }
            Shape::Box { width, height } if width > height + 2 => { let mut inner = width; while inner > height { inner = inner - 1; if inner == number { return inner; } } sum = add(sum, inner); }
            other => { let size = area(&other); if size == number { continue; } sum = add(size, more); }
        }
    }
    add(sum, round)
} }

same! { versions(number) -> String = {
    let mut current = make(number);
    let mut log = repeat("-", 1);
    match current {
        Shape::Circle(radius) if radius > 3 => { current = make(radius + 1); log = format!("{log}{radius}{current:?}"); }
        Shape::Box { width, height } => { current = Shape::Circle(add(width, height)); log = format!("{log}{width}{height}{current:?}"); if let Shape::Circle(width) = current { log = format!("{log}{width}"); current = Shape::Dot; } }
        _ => { log += "other"; }
    }
    let text = format!("{log} {current:?}");
    match (number, text.len() as u64) { (1, size) => repeat("one", size), (2..=5, size) if size > 10 => repeat("long", 2), (small, _) => { let kept = add(small, 2); repeat(&text, kept % 3) } }
} }

same! { nested(number) -> Vec<u64> = {
    let mut left = number;
    let mut total = 0;
    let mut list = vec![number];
    loop {
        let mut inner = left;
        let found = loop {
            if inner == 0 { break None; }
            inner -= 1;
            if let Some(less) = half(inner) && less > 2 { break Some(less); }
            if inner == 7 { continue; }
            total = add(total, inner);
        };
        let kept = list.clone();
        list = match found { Some(less) => { left = less; longer(&kept, less) } None => break };
        if total > 60 { break; }
        { let more = add(total, 1); total = more; }
    }
    longer(&list, total)
} }

same! { shadows(number) -> Vec<u64> = {
    let mut value = number;
    let mut other = 1;
    if number > 2 {
        let mut value = 5;
        value += 1;
        other = value;
        { value = add(value, 1); other += value; }
        if value > number { value = 9; }
        other += value;
    }
    let kept = other;
    while value < 20 {
        let mut other = value;
        loop { let value = other; if value > 15 { break; } other += add(3, 1); }
        { let value = other; if value == 17 { break; } }
        value = other + kept;
    }
    match make(value) { Shape::Circle(value) => { other = value; { let mut other = 3; other += value; if other > number { return vec![other]; } } } _ => { value += 100; } }
    vec![value, other]
} }

same! { options(number) -> (Option<u64>, u64) = {
    let mut next = Some(number * 8);
    let mut count = 0;
    let mut last = None;
    while let Some(current) = next && count < 6 {
        count += 1;
        next = half(current);
        if count == 3 { continue; }
        last = Some(add(current, count));
        if let Some(less) = next {
            if less == 5 { break; }
            match last {
                Some(sum) if sum > 30 => { last = None; }
                Some(sum) => { next = if sum == 7 { None } else { Some(less) }; last = Some(add(sum, less)); }
                None => {}
            }
        }
    }
    (last, count)
} }

same! { tail(number) -> u64 = {
    let mut sum = number;
    let found = make(number);
    if let Shape::Named(name, place) = &found && name.len() > 2 {
        let size = area(&found);
        match place { Some(place) => add(*place, size), None => return size }
    } else if number == 4 {
        loop { sum += 3; if sum > 9 { return sum; } else if sum == 8 { continue; } sum = add(sum, 2); }
    } else {
        while sum > 0 { let less = half(sum); match less { Some(less) if less > 1 => { sum = less; } Some(_) | None => break } }
        add(sum, number)
    }
} }

same! { direct(number) -> u64 = {
    let mut count = number;
    let first = loop { count = add(count, 1); break count * 2; };
    loop { if count > 12 { break; } count = add(count, 2); continue; }
    let second = loop { loop { if count % 2 == 0 { count += 1; } break; } if count > 13 { return count; } break first + 1; };
    while count > 3 { count -= 1; if count == 9 { { break; } } { continue } }
    let kind = make(second);
    if let Shape::Dot = kind { return first; } else { count += 1; }
    loop { if count == 3 { return 3; } else { return add(count, second); } }
} }

workflow! {
    async fn rounds(number: u64) -> Vec<Vec<u64>> {
        let mut limit = 2;
        #[max(3, or_last)]
        while limit < number { limit = add(limit, 1); }
        let kinds = for index in 0..limit { make(index + number) };
        for (place, kind) in kinds.into_iter().enumerate() {
            let mut size = area(&kind);
            while size > 9 { size = size - 5; }
            if size == 8 { return vec![vec![8, place as u64]]; }
            match kind {
                Shape::Dot => vec![],
                Shape::Circle(radius) => for step in 0..radius % 4 { if step > 1 { add(step, size) } else { step } },
                _ => { let one = add(size, 0); vec![one] }
            }
        }
    }
}

#[tokio::test]
async fn lists_have_one_value_for_each_item() {
    let expected = |number: u64| {
        let mut limit = 2;
        for _ in 0..3 {
            if limit < number {
                limit += 1;
            }
        }
        let mut all = vec![];
        for place in 0..limit {
            let kind = plain::make(place + number);
            let mut size = plain::area(&kind);
            while size > 9 {
                size -= 5;
            }
            if size == 8 {
                return vec![vec![8, place]];
            }
            all.push(match kind {
                Shape::Dot => vec![],
                Shape::Circle(radius) => (0..radius % 4)
                    .map(|step| if step > 1 { step + size } else { step })
                    .collect(),
                _ => vec![size],
            });
        }
        all
    };
    for number in 0..20 {
        assert_eq!(
            rounds(number).await.expect("no job fails"),
            expected(number),
            "for {number}"
        );
    }
}

workflow! {
    async fn earliest(number: u64) -> u64 {
        let list = for place in 0..number {
            let twice = add(place, place);
            if twice > 5 { return twice; }
            twice
        };
        for first in list { return add(first, 100); };
        7
    }
}

#[tokio::test]
async fn the_first_item_that_returns_decides() {
    for (number, expected) in [(0, 7), (1, 100), (3, 100), (9, 6)] {
        assert_eq!(
            earliest(number).await.expect("no job fails"),
            expected,
            "for {number}"
        );
    }
}

workflow! {
    async fn limited(number: u64) -> u64 {
        let mut sum = number;
        let found = #[max(4)] loop {
            sum = add(sum, 1);
            if sum > 10 { break sum; }
        };
        found
    }
}

#[tokio::test]
async fn a_loop_that_reaches_its_limit_fails_the_run_by_its_name() {
    assert_eq!(limited(7).await.expect("within the limit"), 11);
    let error = limited(3).await.expect_err("one round too many");
    assert!(error.to_string().contains("found"), "{error}");
}
