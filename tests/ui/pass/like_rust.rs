//! Workflows that give what the same plain Rust gives, in a crate that denies every warning. All of
//! it goes through a `macro_rules!`, whose fragments are groups.
#![deny(warnings, missing_debug_implementations, unreachable_pub, clippy::pedantic)]
#![allow(dead_code, clippy::unused_async)]
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use zahir::{job, workflow};

pub mod types {
    use super::{Deserialize, Serialize};
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Point { pub x: i64, pub y: i64 }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Wrap(pub u64, pub String);
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Unit;
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Inner { A(u64), B { s: String, p: Point }, C }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Outer { In(Inner), Boxed(Box<Outer>), List(Vec<u64>), Pair(Inner, Option<Inner>), Nil }
}
use types::{Inner, Outer, Point, Wrap};

pub const LOW: u64 = 3;
pub const HIGH: u64 = 10;

macro_rules! jobs {
    ($(fn $name:ident($($arg:ident : $ty:ty),*) -> $out:ty { $($body:tt)* })*) => {
        $(#[job] async fn $name($($arg: $ty),*) -> $out { $($body)* })*
        #[allow(clippy::wildcard_imports, clippy::ptr_arg)]
        mod plain { use super::*; $(pub(super) fn $name($($arg: $ty),*) -> $out { $($body)* })* }
    };
}
jobs! {
    fn add(a: u64, b: u64) -> u64 { a + b }
    fn mk_outer(n: u64) -> Outer {
        match n % 6 { 0 => Outer::Nil, 1 => Outer::In(Inner::A(n)), 2 => Outer::In(Inner::B { s: n.to_string(), p: Point { x: 1, y: 2 } }),
          3 => Outer::Boxed(Box::new(Outer::Pair(Inner::C, Some(Inner::A(n))))), 4 => Outer::List((0..n).collect()), _ => Outer::Pair(Inner::A(n), None) }
    }
    fn nothing(p: &Point) -> () { let _ = p; }
    fn text(n: u64) -> String { "x".repeat(usize::try_from(n).unwrap_or(0)) }
    fn len(s: &str) -> usize { s.len() }
    fn make_point(x: i64, y: i64) -> Point { Point { x, y } }
    fn mk_wrap(n: u64, s: &str) -> Wrap { Wrap(n, s.to_owned()) }
    fn maybe(n: u64) -> Option<u64> { n.is_multiple_of(2).then_some(n / 2) }
    fn res(n: u64) -> Vec<Result<u64, String>> { vec![if n > 5 { Ok(n) } else { Err(n.to_string()) }] }
    fn inner_n(i: &Inner) -> u64 { match i { Inner::A(n) => *n, Inner::B { s, .. } => s.len() as u64, Inner::C => 7 } }
    fn list(n: u64) -> Vec<u64> { (0..n).collect() }
}
macro_rules! both {
    ($($name:ident / $m:ident ( $($arg:ident : $ty:ty),* ) -> $out:ty { $($body:tt)* })*) => {
        $(workflow! { async fn $name($($arg: $ty),*) -> $out { $($body)* } }
        #[allow(clippy::wildcard_imports, clippy::too_many_lines, unused_imports, clippy::all, clippy::pedantic)]
        mod $m { use super::types::*; use super::{LOW, HIGH, BTreeMap, HashMap}; use super::plain::*; pub(super) fn run($($arg: $ty),*) -> $out { $($body)* } })*
        async fn all(n: u64) { $( assert_eq!($name(n).await.unwrap(), $m::run(n), "{} {n}", stringify!($name)); )* }
    };
}
both! {
patterns / plain_patterns (n: u64) -> u64 {
    let o = mk_outer(n);
    match o {
        Outer::In(Inner::A(n @ (0..=LOW | HIGH..=20))) => add(n, 1),
        Outer::In(Inner::A(n)) if n > LOW && n < HIGH => { let s = text(n); add(s.len() as u64, n) }
        Outer::In(whole @ Inner::B { .. }) => inner_n(&whole),
        Outer::In(Inner::A(_) | Inner::C) => 0,
        Outer::Boxed(inner) => match *inner {
            Outer::Pair(a, Some(b)) => { let x = inner_n(&a); let y = inner_n(&b); x * 100 + y }
            Outer::Nil | Outer::List(_) => add(1, 1),
            _ => 5,
        },
        Outer::List(list) => match list.as_slice() {
            [] => 0,
            [one] => add(*one, 1),
            [first, .., last] if *first == 0 => add(*first, *last),
            [_, rest @ ..] => add(rest.len() as u64, 2),
        },
        Outer::Pair(Inner::A(x), None) => add(x, 1000),
        Outer::Pair(..) => 1,
        Outer::Nil => add(9, 9),
    }
}
one_name / plain_one_name (n: u64) -> String {
    let s0 = text(n);
    let s = if s0.len() > 3 { let s = text(n + 1); s } else { text(1) };
    let x = match s.len() { 0 => String::from("zero"), 2 => text(2), 4..=6 => format!("mid {s}"), _ => text(n * 2) };
    x
}
nested_loops / plain_nested_loops (n: u64) -> (u64, String, Vec<u64>) {
    let mut p = mk_wrap(n, "a");
    let mut all = Vec::<u64>::new();
    let mut i = 0_u64;
    while i < 4 {
        let mut j = 0;
        loop {
            j += 1;
            if j > i { break; }
            match maybe(i + j) {
                Some(h) if h > 1 => { p = mk_wrap(p.0 + h, &p.1); }
                Some(h) => { let old = p; p = mk_wrap(old.0, &format!("{}{h}", old.1)); continue; }
                None => { i += 0; }
            }
            all = { let mut all = all; all.push(p.0); all };
        }
        i += 1;
    }
    let Wrap(a, b) = p;
    (a, b, all)
}
references / plain_references (n: u64) -> u64 {
    let r = res(n);
    let out = match &r[0] { Ok(v) if *v > 7 => add(*v, 1), Ok(v) => *v, Err(text) => { let k = len(text); k as u64 } };
    let m = maybe(n);
    let z = if let Some(k) = &m && *k > 2 { let q = maybe(*k); if let Some(q) = q { add(*k, q) } else { 1 } } else if let None = m { add(0, 1) } else { 3 };
    out + z
}
tuples / plain_tuples (n: u64) -> u64 {
    // shadowing in inner scopes, tuples, nested tuples
    let (a, (b, c)) = (n, (n + 1, text(n)));
    let k = { let a = add(a, b); let b = add(a, 1); a * b };
    let t = match (a, &c, maybe(n)) {
        (0, _, Some(h)) => add(h, 1),
        (x, s, None) if s.len() as u64 == x => { let y = add(x, 1); y }
        (x, _, Some(h)) if x > h + 3 => { let z = add(x, h); let z2 = add(z, k); z2 }
        _ => add(1, 2),
    };
    t + k
}
lists / plain_lists (n: u64) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut map = BTreeMap::new();
    let mut k = n;
    let last = loop {
        let w = text(k);
        if w.is_empty() { break w; }
        words = [words.as_slice(), &[w.clone()]].concat();
        map = { let mut map = map; map.insert(k, w.len()); map };
        k = match k { 0 => 0, 1..=3 => k - 1, _ => { let l = list(k / 2); l.len() as u64 } };
    };
    let sum: usize = map.values().sum();
    let mut out = words;
    out = { let mut o = out; o.push(format!("{last}{sum}")); o };
    out
}
structs / plain_structs (n: u64) -> Point {
    let mut p = make_point(0, 0);
    let mut q = p.clone();
    let mut steps = 0_i32;
    while steps < 5 && p.x < 100 {
        let Point { x, y } = p;
        steps += 1;
        p = if x % 2 == 0 { make_point(x + 3, y) } else { let r = make_point(x, y + 1); Point { x: r.x + 2, ..r } };
        q = Point { x: q.x - 1, ..q };
        if p.y > i64::try_from(n).unwrap_or(0) { return q; }
    }
    Point { x: p.x + q.x, y: p.y }
}
pure_conditions / plain_pure_conditions (n: u64) -> u64 {
    let o = mk_outer(n);
    let c = matches!(o, Outer::In(Inner::A(x)) if x > 2);
    let d = if let Outer::Pair(Inner::A(ref_), second) = &o { add(*ref_, second.is_none() as u64) } else if c { add(50, 1) } else { add(0, 0) };
    let e = if c && d > 3 || !c && matches!(&o, Outer::Nil) { add(d, d) } else { d };
    let list = list(n);
    let f: u64 = list.iter().map(|v| v * e).filter(|v| *v > d).sum();
    let g = match list.first() { Some(&first) if first == 0 => add(first, 5), Some(first) => *first, None => 2 };
    let h = match list.iter().max() { Some(max) => add(*max, g), None => g };
    let r = match list[..] { [] => 1, [x] => add(x, 1), [x, y] => add(x, y), [.., z] => add(z, 0) };
    e + f + g + h + r
}
odd_names / plain_odd_names (n: u64) -> (u64, u64) {
    let wire = add(n, 1);
    let out = add(wire, 2);
    let value = add(out, 3);
    let def = maybe(value);
    let r#type = add(value, 1);
    let r#match = if let Some(r#in) = def { add(r#in, r#type) } else { r#type };
    let step = match r#match { wire if wire > 10 => { let arms = add(wire, 1); arms } out => add(out, 1) };
    let name = step; let node = name; let call = node + 1;
    (call, wire + out + value + r#type)
}
carried_options / plain_carried_options (n: u64) -> u64 {
    let mut a = n; let mut b = 1; let mut c: Option<u64> = None;
    loop {
        if let Some(x) = c { if x > 20 { break; } else if x > 10 { a += x; c = Some(x * 2); continue; } c = Some(x + 7); }
        else { c = maybe(a); if c.is_none() { a += 1; b = add(b, a); continue; } }
        match (a, b) {
            (x, y) if x > y => { b = add(x, y); }
            (0, _) => { a = 1; }
            (_, y) => { a = add(a, 1); b = y; }
        }
        if b > 200 { return b; }
    }
    a * 1000 + b
}
results / plain_results (n: u64) -> String {
    let r = res(n);
    let s = match r.into_iter().next() { Some(Ok(v)) => { let t = text(v); format!("{t}{v}") } Some(Err(e)) => e, None => text(0) };
    let i: Result<u64, String> = if n > 4 { Err(s) } else { Ok(n) };
    let j = match i { Ok(0) => String::new(), Ok(n) => text(n), Err(s) => { let l = len(&s); format!("{l}{s}") } };
    j
}
boxes / plain_boxes (n: u64) -> Option<Box<Outer>> {
    let o = mk_outer(n);
    let b = Box::new(o);
    match *b {
        Outer::Boxed(inner) => { let x = mk_outer(1); if *inner == x { None } else { Some(inner) } }
        Outer::Nil => { let y = mk_outer(2); Some(Box::new(y)) }
        other => Some(Box::new(other)),
    }
}
arrays / plain_arrays (n: u64) -> [u64; 3] {
    let mut arr = [n, 1, 2];
    let mut i = 0_usize;
    while i < arr.len() {
        let [a, b, c] = arr;
        let next = add(a, b);
        arr = match i { 0 => [b, c, next], 1 if next > 3 => [next, a, b], _ => { let z = add(c, c); [z; 3] } };
        i += 1;
    }
    arr
}
casts / plain_casts (n: u64) -> u64 {
    let w = mk_wrap(n, "abc");
    let num = w.0; let l = len(&w.1);
    let x = match w { Wrap(0, _) => 0, Wrap(n, s) if s.starts_with('a') && n != 3 => { let q = len(&s); q as u64 + n } Wrap(n, ..) => add(n, 1) };
    let u = x as f64 * 1.5;
    let done = { let y = add(u as u64, l as u64); y } + num;
    done
}
pure_arms / plain_pure_arms (n: u64) -> String {
    let o = mk_outer(n);
    let w = mk_wrap(n, "wrapped");
    let long = matches!(&o, Outer::In(Inner::B { s, p: Point { x, .. } }) if s.len() > 1 && *x > 0);
    let small = matches!(w, Wrap(size, _) if size < HIGH);
    let number = match w.0 { 0 => u64::from(small), size if size > LOW => size - LOW, size => u64::max(size, 2) };
    let text = if let Wrap(LOW..=HIGH, text) = w { text } else { String::from("out") };
    let found = match o {
        Outer::In(Inner::B { s, .. }) if long => s,
        Outer::In(Inner::A(n)) if n > LOW => n.to_string(),
        Outer::Pair(first, Some(second)) => format!("{first:?}{second:?}"),
        Outer::List(list) => list.into_iter().map(|n| match n { 0 => String::new(), n => n.to_string() }).collect(),
        other => format!("{other:?}"),
    };
    let last = text.len() as u64 + number;
    let end = mk_wrap(last, &found);
    end.1.clone()
}
}
#[tokio::main]
async fn main() { for n in 0..14 { all(n).await; } }
