//! Each construct in each other one, and what patterns bind in all of them, in a crate that denies
//! every warning.
#![deny(warnings, missing_debug_implementations, unreachable_pub, clippy::pedantic, clippy::nursery)]
#![allow(dead_code)]
include!("../prelude.rs");

#[derive(Debug, Serialize, Deserialize)]
pub enum Vault { Open(Secret, u64), Pair { left: Box<Secret>, right: Option<Secret> }, Shut }
#[job]
async fn open_vault(user: &User) -> Vault { let _ = user; Vault::Shut }
#[job]
async fn look(secret: &Secret, depth: u64) -> Option<u64> { Some(depth + secret.key.len() as u64) }
#[job]
async fn echo<T: Payload + Clone>(value: &T) -> T { value.clone() }

// In a branch.
workflow! { async fn branch_in_branch(user: User) -> u64 {
    let held = open(user);
    let depth = match held {
        Vault::Open(secret, depth) if depth > 3 || secret.key.is_empty() => if let Some(found) = look(&secret, depth) { found } else { match look(&secret, 1) { Some(more) => more + depth, None => depth } },
        Vault::Open(secret, depth) => { store_len(secret.key.len()); depth }
        Vault::Pair { left, right: Some(right) } => match look(&left, 1) { Some(n) if n == 1 => n, Some(n) => { look(&right, n); n } None => 0 },
        Vault::Pair { right: None, .. } | Vault::Shut => 0,
    };
    depth
} }
#[job]
async fn store_len(len: usize) { let _ = len; }
workflow! { async fn open(user: User) -> Vault { open_vault(&user) } }
workflow! { async fn loop_in_branch(user: User) -> u64 {
    let mut total = 1;
    let found = if user.active {
        loop { total += 1; if total > user.id { break total * 2; } store_len(3); }
    } else {
        while total < 5 { total = echo(&total) + 1; }
        total
    };
    found + total
} }
workflow! { async fn for_in_branch(user: User) -> Vec<usize> {
    match classify(&user) {
        Kind::Billing(ticket) => for number in 0..ticket.id { measure(&format!("{number}{}", user.name)) },
        Kind::Tech => { for page in list_pages(&user) { measure(&page); }; vec![] }
        Kind::Spam => for (place, page) in list_pages(&user).into_iter().enumerate() { let size = measure(&page); size + place },
    }
} }
// In a loop.
workflow! { async fn branch_in_loop(user: User) -> Kind {
    let mut kind = classify(&user);
    let mut rounds = 0_u32;
    loop {
        rounds += 1;
        kind = match kind {
            Kind::Billing(ticket) if rounds < 3 => { let next = fetch_user(ticket.id); classify(&next) }
            Kind::Tech => break,
            other => { if rounds == 4 { continue; } if let Kind::Billing(ticket) = &other && ticket.id == 3 { return other; } other }
        };
    }
    kind
} }
workflow! { async fn loop_in_loop(user: User) -> u64 {
    let mut sum = 0;
    while sum < 100 {
        let mut step = 0;
        let more = loop {
            step += 1;
            #[max(3, or_last)]
            loop { store_len(step); if step > 1 { break; } }
            if step > 3 { break sum + 1; }
        };
        while let Some(next) = echo(&Some(step)) && next < 10 { step = next + 1; }
        sum = more + step as u64 + user.id;
    }
    sum
} }
workflow! { async fn for_in_loop(user: User) -> Vec<usize> {
    let mut pages = list_pages(&user);
    #[max(10)]
    loop {
        let sizes = #[limit(2)] for page in pages { measure(&page) };
        if sizes.iter().sum::<usize>() > 100 { break sizes; }
        pages = for size in sizes { greet(format!("{size}")) };
    }
} }
// In a `for`.
workflow! { async fn branch_in_for(users: Vec<User>) -> Vec<Option<Ticket>> {
    for user in users {
        if user.active { let ticket = open_ticket(&user); Some(ticket) } else if user.id == 0 { return vec![None] } else { None }
    }
} }
workflow! { async fn loop_in_for(users: Vec<User>) -> Vec<(usize, u64)> {
    let limit = users.len();
    for (place, User { id, name, .. }) in users.into_iter().enumerate() {
        let mut size = measure(&name);
        while size < limit { size += measure(&format!("{id}")); }
        let rest = loop { if size > 3 { break id; } size += 1; };
        (place, rest)
    }
} }
workflow! { async fn for_in_for(users: Vec<User>) -> Vec<Vec<Vec<usize>>> {
    for user in users {
        let pages = list_pages(&user);
        for (place, page) in pages.into_iter().enumerate() {
            for word in page.split(' ').map(String::from) { measure(&format!("{word}{place}{}", user.id)) }
        }
    }
} }
// In blocks, generic, recursive.
workflow! { async fn generic<T: Payload + Clone + PartialEq>(first: T, second: T) -> T {
    let mut current = echo(&first);
    { let next = echo(&second); if next == current { return next; } current = next; }
    while current == first { current = echo(&second); }
    if current == second { current } else { generic(second, current) }
} }
workflow! { async fn factorial(number: u64) -> u64 {
    if number < 2 { return 1; }
    let rest = factorial(number - 1);
    rest * number
} }
// A name is what is bound last, and a part is of what was matched.
workflow! { async fn names(user: User) -> usize {
    let mut kind = classify(&user);
    let name = user.name.clone();
    match kind {
        Kind::Billing(name) => { kind = classify(&user); let size = measure(&format!("{name:?}{kind:?}")); { let name = greet(format!("{}{size}", name.id)); measure(&name); } }
        Kind::Tech | Kind::Spam => { let kind = name.len(); store_len(kind); }
    }
    if let Kind::Billing(kind) = kind { store_len(kind.id as usize); }
    let size = match name.as_str() { "" => 0, name if name.len() > 3 => measure(name), other => measure(&other.to_uppercase()) };
    match (&user, size) { (User { active: true, name, .. }, 1..=3) => { measure(name) } (user, size) => size + measure(&user.email) }
} }
workflow! { async fn statements(user: User, count: u64) {
    if count > 3 { return; }
    match classify(&user) { Kind::Tech => write_audit(&user), Kind::Spam => {} Kind::Billing(_) => return }
    let mut left = count;
    while left > 0 { left -= 1; if left == 2 { write_audit(&user); continue } else if left == 1 { break } write_audit(&user).retry(2); }
    if left == 0 { write_audit(&user) } else { write_audit(&user).after(left) }
} }

fn main() {
    let _ = (BranchInBranch::graph(), Open::graph(), LoopInBranch::graph(), ForInBranch::graph(), BranchInLoop::graph());
    let _ = (LoopInLoop::graph(), ForInLoop::graph(), BranchInFor::graph(), LoopInFor::graph(), ForInFor::graph());
    let _ = (Generic::<u8>::graph(), Factorial::graph(), Names::graph(), Statements::graph());
}
