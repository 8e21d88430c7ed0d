//! Branches, loops and assignments, alone and inside each other, in a crate that denies every warning.
#![deny(warnings, missing_debug_implementations, unreachable_pub, clippy::pedantic, clippy::nursery)]
#![allow(dead_code)]
include!("../prelude.rs");

#[job]
async fn revise(draft: &str, note: &str) -> String { format!("{draft}{note}") }
#[job]
async fn critique(draft: &str) -> Option<String> { Some(draft.to_owned()) }
#[job]
async fn add(a: u64, b: u64) -> u64 { a + b }

workflow! { async fn one_if(user: User) -> Ticket {
    let done = if user.active { open_ticket(&user) } else { Ticket { id: 1 } };
    done
} }
workflow! { async fn statement_if(user: User) {
    if user.active { open_ticket(&user); }
    if user.id > 3 { write_audit(&user); } else if user.id > 2 { charge(&user); measure(&user.name); } else { greet(user.name.clone()); }
} }
workflow! { async fn if_let(user: User, names: Vec<String>) -> usize {
    if let Some(first) = names.first() && first.len() > 2 && let Some(last) = names.last() {
        measure(&format!("{first}{last}"))
    } else if let Some(note) = critique(&user.name) {
        measure(&note)
    } else { 0 }
} }
workflow! { async fn one_match(user: User) -> Ticket {
    let kind = classify(&user);
    match kind {
        Kind::Billing(ticket) if ticket.id > 3 => { write_audit(&user).after(user); ticket }
        Kind::Billing(_) => open_ticket(&user),
        Kind::Tech | Kind::Spam => { let other = fetch_user(user.id); open_ticket(&other) }
    }
} }
workflow! { async fn matches(user: User, pair: (u64, Option<String>)) -> u64 {
    match (user.id, user.active) { (id, true) if id > 2 => { add(id, 1); } (_, _) => { write_audit(&user); } }
    match user.name.as_str() { "x" => { add(1, 2); } other => { measure(other); } }
    match &pair { (number, Some(name)) => { greet(name.clone()); add(*number, 1) } (number, None) => add(*number, 2) }
} }
workflow! { async fn one_loop(user: User) -> String {
    let mut draft = greet(user.name.clone());
    let verdict = loop {
        let note = critique(&draft);
        match note {
            None => break draft,
            Some(text) => { draft = revise(&draft, &text); }
        }
    };
    verdict
} }
workflow! { async fn counts(number: u64) -> u64 {
    let mut count = 0;
    let mut sum = number;
    while count < 5 {
        count += 1;
        if sum > 100 { continue; }
        sum = add(sum, count);
        if sum == 7 { break; }
    }
    sum + count
} }
workflow! { async fn bounded(user: User) -> String {
    let mut draft = greet(user.name.clone());
    #[max(5, or_last)]
    while let Some(note) = critique(&draft) { draft = revise(&draft, &note); }
    #[max(3)]
    loop { if draft.len() > 3 { break; } draft = revise(&draft, "x"); }
    draft
} }
workflow! { async fn early(user: User) -> Ticket {
    if user.active { return open_ticket(&user); }
    let kind = classify(&user);
    match kind { Kind::Billing(ticket) => return ticket, Kind::Tech => { write_audit(&user); } Kind::Spam => return Ticket { id: 0 } }
    let other = fetch_user(user.id);
    if other.active { return open_ticket(&other); } else { return open_ticket(&user); }
} }
workflow! { async fn lists(users: Vec<User>) -> Vec<usize> {
    let mut total = 0;
    let sizes = for (place, user) in users.into_iter().enumerate() {
        let mut size = measure(&user.name);
        if size > 3 { size = measure(&user.email); }
        for letter in user.name.chars().collect::<Vec<_>>() {
            if letter == 'x' { greet(format!("{letter}{place}")); }
        };
        let mut rounds = 0;
        while rounds < size { rounds += measure("a"); }
        match classify(&user) { Kind::Billing(ticket) => { open_ticket(&user).after(size); ticket.id as usize } Kind::Tech => rounds, Kind::Spam => 0 }
    };
    while total < 4 {
        let more = for size in sizes { add(size as u64, 1) };
        total += more.iter().sum::<u64>();
    }
    sizes
} }
workflow! { async fn nested(user: User, mut_kind: Kind) -> Ticket {
    let mut ticket = open_ticket(&user);
    let mut kind = mut_kind;
    loop {
        let mut inner = 0;
        loop {
            if inner > 3 { break; }
            inner += 1;
            match kind {
                Kind::Billing(found) => { ticket = found; kind = classify(&user); if ticket.id == 0 { return found; } }
                Kind::Tech => break,
                Kind::Spam => { if inner == 2 { continue; } kind = classify(&user); }
            }
        }
        if let Kind::Tech = kind { break; }
        { let again = fetch_user(ticket.id); ticket = open_ticket(&again); }
    }
    if user.active { if user.id > 1 { ticket = Ticket { id: 3 }; } else { write_audit(&user); } }
    ticket
} }

fn main() {
    let _ = (OneIf::graph(), StatementIf::graph(), IfLet::graph(), OneMatch::graph(), Matches::graph(), OneLoop::graph(),
        Counts::graph(), Bounded::graph(), Early::graph(), Lists::graph(), Nested::graph());
}
