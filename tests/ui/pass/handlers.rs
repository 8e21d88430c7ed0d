//! `.result()`, `.rescue(..)` and `.finally(..)`, alone and nested.
#![deny(warnings, missing_debug_implementations, unreachable_pub, clippy::pedantic, clippy::nursery)]
#![allow(dead_code)]
include!("../prelude.rs");

#[job]
async fn release(user: &User) { let _ = user; }
#[job]
async fn tell(failure: &zahir::Failure) -> String { failure.message().to_owned() }
#[job]
async fn give_back(user: &User, failure: &zahir::Failure) -> Receipt { let _ = user; Receipt { id: failure.job().to_owned() } }
#[job]
async fn count(paid: bool) -> usize { usize::from(paid) }

workflow! { pub async fn results(user: User) -> usize {
    let tried = charge(&user).result();
    let untyped = fetch_user(user.id).retry(2).result();
    let missing = untyped.as_ref().err().map(|failure| failure.message().to_owned());
    let block = { let other = fetch_user(1); open_ticket(&other) }.result();
    let called = pays(user.clone()).result();
    let unit = write_audit(&user).result();
    let twice = { fetch_user(1).result() }.result();
    let down = matches!(tried, Err(MailError::Down));
    let all = down && missing.is_none() && block.is_ok() && called.is_ok() && unit.is_ok();
    count(all && twice.is_ok())
} }

workflow! { async fn pays(user: User) -> Receipt { charge(&user) } }

workflow! { pub async fn rescues(user: User) -> Receipt {
    let paid = charge(&user).retry(1).rescue(|err| refund(&user, &err)).timeout(30s);
    let again = charge(&user).rescue(|err: MailError| {
        let audit = write_audit(&user);
        refund(&user, &err).after(audit)
    });
    let known = charge(&fetch_user(user.id)).rescue(|_| paid);
    let pure = charge(&user).rescue(|err| Receipt { id: format!("{err}") });
    let block = { let other = fetch_user(1); charge(&other) }.rescue(|failure| give_back(&user, &failure));
    let named = charge(&user).named("the charge").rescue(|err| refund(&user, &err));
    write_audit(&user).rescue(|_| ());
    charge(&user).rescue(|_err| again);
    let kind = classify(&user).rescue(|failure| { tell(&failure); classify(&user) });
    let called = pays(user.clone()).rescue(|failure| give_back(&user, &failure));
    let long = charge(&User { name: format!("{}!", user.name), ..user.clone() }).rescue(|MailError::Down| known);
    let text = format!("{}{}{}{}{kind:?}", block.id, named.id, pure.id, called.id);
    Receipt { id: format!("{text}{}", long.id) }
} }

workflow! { pub async fn finals(user: User) -> Receipt {
    let paid = charge(&user).finally(release(&user));
    let block = { let other = fetch_user(1); charge(&other) }.finally({
        let audit = write_audit(&user);
        release(&user).after(audit);
    });
    charge(&user).finally({ release(&user) });
    ({ write_audit(&user); }).finally(release(&user));
    for name in list_pages(&user) { measure(&name).finally(release(&user)); }
    let _last = block;
    paid
} }

workflow! { pub async fn nested(user: User) -> Receipt {
    let chained = charge(&user).rescue(|err| refund(&user, &err)).finally(release(&user)).result();
    let inner = {
        let first = charge(&user).rescue(|err| {
            refund(&user, &err).rescue(|failure| give_back(&user, &failure))
        });
        let tried = { let other = charge(&user).result(); count(other.is_ok()) }.result();
        send_mail(&user, &Prefs { html: tried.is_ok() }).finally({
            write_audit(&user).rescue(|failure| { tell(&failure); });
            release(&user).finally(write_audit(&user));
        });
        first
    }.rescue(|failure| {
        let told = tell(&failure).result();
        Receipt { id: format!("{told:?}") }
    });
    let sizes = for page in list_pages(&user) {
        measure(&page).rescue(|failure| { let text = tell(&failure); text.len() })
    };
    let mut best = inner;
    let mut rounds = 0;
    while rounds < 3 {
        let tried = charge(&user).result();
        match tried {
            Ok(receipt) => {
                best = refund(&user, &MailError::Down).rescue(|_| receipt);
            }
            Err(err) => {
                { best = refund(&user, &err); }.finally(release(&user));
                if rounds > 1 { break; }
            }
        }
        { rounds += 1; }.rescue(|_| { rounds += 2; });
        charge(&user).rescue(|err| { refund(&user, &err); return best; });
    }
    Receipt { id: format!("{sizes:?}{chained:?}{}", best.id) }
} }

fn main() {
    for graph in [Results::graph(), Rescues::graph(), Finals::graph(), Nested::graph()] {
        assert!(graph.nodes().len() > 5);
    }
}
