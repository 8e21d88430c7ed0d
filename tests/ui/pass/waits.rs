//! `sleep(..)`, `signal(..)` and `race(..)`, alone and nested.
#![deny(warnings, missing_debug_implementations, unreachable_pub, clippy::pedantic, clippy::nursery)]
#![allow(dead_code)]
include!("../prelude.rs");
use std::time::{Duration, SystemTime};
use zahir::{Race2, Race3, Race8, TimedOut};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Approval { pub by: String }
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stop;
const LIMIT: Duration = Duration::from_secs(60);

#[job]
async fn publish(approval: &Approval) -> Ticket { Ticket { id: approval.by.len() as u64 } }
#[job]
async fn due(user: &User) -> SystemTime { let _ = user; SystemTime::now() }
#[job]
async fn pause(user: &User) -> Duration { let _ = user; LIMIT }

workflow! { pub async fn sleeps(user: User, seconds: u64) -> Ticket {
    let first = open_ticket(&user);
    sleep(30s);
    sleep(Duration::from_secs(seconds) + LIMIT).named("as long as asked");
    let end = due(&user);
    let other = open_ticket(&user).after(first);
    { write_audit(&user); sleep(1h30m); write_audit(&user); }
    sleep_until(end + LIMIT).after(other);
    sleep(pause(&user));
    sleep_until(SystemTime::UNIX_EPOCH);
    for name in list_pages(&user) { measure(&name); sleep(1s); measure(&name); }
    let mut rounds = 0;
    loop {
        rounds += 1;
        if rounds > seconds { break; }
        sleep(1s);
        write_audit(&user);
    }
    if user.active { sleep(1m) } else { write_audit(&user); sleep(2m) }
    match seconds { 0 => sleep(1s), 1 => { sleep(2s); } _ => { write_audit(&user); } }
    first
} }
workflow! { async fn only_sleeps() { sleep(1d) } }

workflow! { pub async fn signals(user: User) -> Ticket {
    let approval: Approval = signal("approve");
    let again = signal::<Approval>("approve").timeout(1h);
    let Approval { by } = signal::<Approval>("approve-again").named("second look").after(again);
    let last: Result<Approval, TimedOut> = signal::<Approval>("last.call").timeout(LIMIT);
    let _ignored: () = signal::<()>("wake");
    signal::<u64>("wait for it");
    let id = match again {
        Ok(approval) => publish(&approval),
        Err(TimedOut) => open_ticket(&user),
    };
    let lists = for _ in 0..3 { signal::<Vec<u64>>("numbers") };
    let direct = publish(&signal::<Approval>("direct"));
    let sum: u64 = lists.iter().flatten().sum::<u64>() + id.id + direct.id;
    let done = last.is_ok() && by.is_empty() && sum > 3;
    let cleaned = signal::<bool>("clean").finally(write_audit(&user));
    if done && cleaned { publish(&approval) } else { open_ticket(&user) }
} }

workflow! { pub async fn races(user: User) -> Ticket {
    let first = race((charge(&user), sleep(1h)));
    let stopped = race((
        open_ticket(&user).retry(3),
        signal::<Stop>("stop"),
        { write_audit(&user); sleep(30s); write_audit(&user); },
    )).named("or stop").after(first);
    let won = match stopped {
        Race3::First(ticket) => ticket,
        Race3::Second(_) => open_ticket(&user),
        Race3::Third(()) => {
            let inner = race((race((fetch_user(1), fetch_prefs(2))), { let pages = list_pages(&user); for page in pages { measure(&page) } }));
            if let Race2::First(Race2::First(other)) = inner { open_ticket(&other) } else { open_ticket(&user) }
        }
    };
    let eight = race((
        fetch_user(1), fetch_prefs(2), charge(&user).rescue(|err| refund(&user, &err)), classify(&user),
        fetch_user(3).result(), signal::<Stop>("stop").timeout(1s), sleep_until(SystemTime::UNIX_EPOCH),
        { let user = fetch_user(8); user.id + won.id }
    ));
    let handled = race((fetch_user(1), fetch_user(2))).rescue(|failure| {
        let id = failure.message().len() as u64;
        let user = fetch_user(id);
        Race2::First(user)
    });
    let found = match &handled { Race2::First(user) | Race2::Second(user) => user.clone() };
    let mut rounds = 0;
    let last = loop {
        let next = race((fetch_user(rounds), signal::<u64>("enough"))).result();
        match next {
            Ok(Race2::First(user)) => { rounds += user.id; }
            Ok(Race2::Second(enough)) => { break enough; }
            Err(failure) => { break failure.message().len() as u64; }
        }
    };
    let id = match &eight { Race8::First(user) => user.id + last, Race8::Eighth(id) => *id, _ => 0 };
    open_ticket(&User { id, ..found })
} }

workflow! { pub async fn generic<T: Payload + Clone>(first: T) -> T {
    let second: T = signal("second");
    let third = race((signal::<T>("third"), { sleep(1s); first }));
    let fourth = match &third { Race2::First(value) | Race2::Second(value) => value.clone() };
    race((signal::<Stop>("stop"), { sleep(1s); fourth }));
    second
} }

fn main() {
    assert!(Sleeps::graph().nodes().len() > 10);
    assert_eq!(OnlySleeps::graph().nodes().len(), 1);
    assert_eq!(Signals::APPROVE.name(), "approve");
    assert_eq!(Signals::APPROVE_AGAIN.name(), "approve-again");
    assert_eq!((Signals::LAST_CALL.name(), Signals::WAIT_FOR_IT.name()), ("last.call", "wait for it"));
    let _: zahir::Signal<Vec<u64>> = Signals::NUMBERS;
    let _: zahir::Signal<u8> = Generic::<u8>::SECOND;
    assert!(Signals::graph().nodes().len() > 8);
    assert!(Races::graph().nodes().len() > 20);
    assert_eq!(Generic::<u8>::graph().nodes().len(), 9);
}
