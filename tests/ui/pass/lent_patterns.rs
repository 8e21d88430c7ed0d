//! What patterns bind of a variable is lent, also where there are no jobs, and copied where it is
//! handed over; in a crate that denies every warning.
#![deny(warnings, clippy::pedantic)]
use serde::{Deserialize, Serialize};
use zahir::{Race2, job, workflow};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct P { id: u64, name: String, next: Option<Box<P>>, kind: K }
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum K { A(String), B { n: u64, o: Option<String> }, C }
#[derive(Debug, Serialize, Deserialize)]
pub struct NoClone { key: String, n: u64 }
#[job] async fn mk(id: u64) -> P { P { id, name: "n".repeat(3), next: Some(Box::new(P { id: 9, name: "in".into(), next: None, kind: K::A("a".into()) })), kind: K::B { n: id, o: Some("o".into()) } } }
#[job] async fn nc(n: u64) -> Option<NoClone> { Some(NoClone { key: "k".into(), n }) }
#[job] async fn len(s: &str) -> usize { s.len() }
workflow! { async fn patterns(n: u64) -> String {
    let p = mk(n);
    let c = nc(n);
    let a = match p.kind { K::A(s) => s, K::B { n, o: Some(o) } if o.len() as u64 <= n => format!("{o}!"), K::B { o, .. } => o.clone().unwrap_or_default(), K::C => String::new() };
    let b = match p.next { Some(next) => match next.kind { K::A(name) => format!("{name}{}{}", next.id, p.name), K::B { n, .. } => n.to_string(), K::C => next.name.clone() }, None => p.name.clone() };
    let d = if let Some(NoClone { key, n }) = c && n > 0 { key.len() as u64 + n } else { 0 };
    let e = if let Some(next) = p.next && let K::A(s) = &next.kind && let K::B { n: id, .. } = p.kind { let q = P { id, name: s.clone(), next: None, kind: K::C }; q.id + next.id } else { 0 };
    let g = match p { P { id: 0, .. } => 1, P { id, next: Some(next), .. } => id + next.id, P { id, .. } => id };
    let h: Vec<String> = (0..2).map(|i| match p.kind { K::B { n, .. } if n > i => n.to_string(), _ => i.to_string() }).collect();
    let w = match (p.id, &p.name) { (0, _) => 0, (id, name) => id + name.len() as u64 };
    let lit = match p.name.as_str() { "nnn" => 1, other => other.len() };
    let z = match p.id { 1 | 2 => 'a', x if x % 2 == 0 => 'b', _ => 'c' };
    let m = matches!(c, Some(NoClone { ref key, .. }) if !key.is_empty()) && matches!(p.kind, K::B { n, .. } if n == p.id) && matches!(z, 'a'..='c');
    let r = race((mk(1), { sleep(1h); mk(2) }));
    let u = match r { Race2::First(u) | Race2::Second(u) => u };
    let mut acc = p.kind.clone();
    let mut k = 0;
    while k < 3 { k += 1; let l = len(&u.name); acc = match acc { K::A(s) => K::A(format!("{s}x")), K::B { o: Some(o), n } => K::A(format!("{o}{n}{l}")), other => other }; }
    let last = pure(match acc { K::A(s) => { let s2 = s; s2 } _ => String::new() });
    format!("{a} {b} {d} {e} {g} {h:?} {w} {lit} {z} {m} {} {last}", u.id)
} }
#[tokio::main]
async fn main() {
    assert_eq!(patterns(4).await.unwrap(), r#"o! a9nnn 5 13 13 ["4", "4"] 7 1 b true 1 o43xx"#);
    assert_eq!(patterns(0).await.unwrap(), r#"o a9nnn 0 9 1 ["0", "1"] 0 1 b true 1 o03xx"#);
}
