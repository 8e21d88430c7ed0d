//! Settings of calls, and sagas of all that a workflow is made of.
#![deny(warnings)]
include!("../prelude.rs");
#[job(undo = give_back)]
async fn take(ctx: &Context, user: &User, count: u64) -> Result<Ticket, MailError> { let _ = (ctx, user); Ok(Ticket { id: count }) }
#[job]
async fn give_back(user: &User, count: u64, ticket: &Ticket) { let _ = (user, count, ticket); }
#[job(undo = join)]
async fn split(whole: u64, parts: u64, names: &[u64], other: &[u64], a: &str, b: String) -> u64 { let _ = (names, other, a, b); whole / parts }
#[job]
async fn join(whole: u64, parts: u64, names: &[u64], other: &[u64], a: &str, b: String, part: &u64) { let _ = (whole, parts, names, other, a, b, part); }
#[job(no_undo)]
async fn tell(user: &User, error: &str) -> u64 { let _ = error; user.id }
#[job(pure)]
async fn add(a: u64, b: u64) -> u64 { a + b }
#[job(no_undo, at_most_once)]
async fn call_customer(user: &User) -> Result<u64, MailError> { Ok(user.id) }
#[job(pure)]
async fn same<T: Payload + Clone>(value: T) -> T { value }
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
workflow! {
    /// Calls itself.
    #[saga]
    pub async fn inner(left: u64) -> u64 {
        if left > 0 { add(inner(left - 1), 1) } else { left }
    }
}
workflow! {
    #[saga]
    #[must_use]
    async fn any<T: Payload + Clone>(value: T) -> T { same(value).retry(1).timeout(1s) }
}
workflow! {
    #[saga]
    async fn outer(user: User, counts: Vec<u64>) -> u64 {
        let first = take(&user, 1).retry(forever).backoff(5s).total_timeout(5m);
        let rest = for count in counts { take(&user, count).backoff([1s, 10s, 1m]).retry(3) };
        let word = format!("{}", first.id);
        let told = tell(&user, word.as_str()).total_timeout(PATIENCE);
        let called = call_customer(&user).timeout(30s).total_timeout(1m).rescue(|err| tell(&user, &format!("{err}")).retry(1));
        let mut sum = 0;
        while sum < 3 { sum = add(sum, inner(called)); }
        split(sum, 2, &rest.iter().map(|ticket| ticket.id).collect::<Vec<_>>(), &[sum], "a", word.clone());
        { take(&user, 2) }.finally(tell(&user, "end")).result();
        race((take(&user, told), signal::<u64>("stop"), sleep(1s)));
        let limit = same(rest.len() as u64).backoff(1s..1m).retry(zahir::FOREVER).after(told);
        match limit { 0 => add(sum, 1), _ => sum }
    }
}
macro_rules! shop {
    ($name:ident, $job:ident, $setting:ident, $value:expr) => {
        workflow! { #[saga] async fn $name(user: User) -> Ticket { $job(&user, 3).$setting($value).retry(1) } }
    };
}
shop!(hygienic, take, timeout, PATIENCE);
fn main() {
    let _ = (inner(1), outer(User { id: 1, name: String::new(), email: String::new(), active: true }, vec![]));
    assert!(Hygienic::graph().nodes().len() == 2);
    let policies: Vec<_> = Outer::graph().nodes().iter().filter(|node| node.calls().is_some()).map(|node| *node.policy()).collect();
    assert_eq!((policies[0].retry, policies[0].total_timeout), (zahir::FOREVER, Some(60 * PATIENCE)));
    assert!(matches!(policies[0].backoff, zahir::Backoff::Fixed(PATIENCE)));
    assert!(matches!(policies[1].backoff, zahir::Backoff::Steps([_, _, last]) if *last == 12 * PATIENCE));
}
