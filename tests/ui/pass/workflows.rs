//! Every construct, alone and combined, in a crate that denies every warning.
#![deny(warnings, missing_debug_implementations, unreachable_pub)]
#![allow(dead_code)]
include!("../prelude.rs");

#[job]
async fn echo<T: Payload + Clone>(value: &T) -> T { value.clone() }
#[job]
async fn notify(_names: &[String], _total: usize) {}
#[job]
async fn pair(user: &User) -> (u64, String) { (user.id, user.name.clone()) }

fn shout(name: &str) -> String { name.to_uppercase() }
const RETRIES: u32 = 3;

workflow! {
    /// All of it.
    pub async fn everything(customer: u64, names: Vec<String>) -> Ticket {
        let user = fetch_user(customer).retry(RETRIES).timeout(1h30m).backoff(1s..10s).named("the user");
        let prefs = fetch_prefs(user.id + 1).after(user);
        let audit = write_audit(&user).after((user, prefs));
        let mail = send_mail(&user, &prefs).after(audit);
        let (id, name) = pair(&user);
        let Receipt { id: receipt } = mail;
        let loud = pure(shout(&name));
        let copies: Vec<String> = names.iter().map(|name| format!("{name}{loud}")).collect();
        let kind = if id > 3 { "high" } else { "low" };
        let word = match user.active { true if id > 1 => kind.len(), true => 1, false => 0 };
        let sum = { let mut sum = 0; sum += word; sum };
        greet(format!("{receipt} {sum} {user:?} {}", prefs.html));
        let sizes = for name in copies { measure(&name) };
        let nested = #[limit(2)] for name in names {
            let size = measure(&name);
            for number in 0..size { greet(format!("{name}{number}{kind}")) }
        };
        for (number, name) in names.iter().cloned().enumerate() {
            measure(&format!("{number}{name}{}", user.name.trim()));
        };
        for _ in 0..3 { write_audit(&user); };
        let flat: Vec<String> = nested.iter().flatten().cloned().collect();
        notify(&flat, sizes.iter().sum::<usize>());
        let block = { let inner = fetch_user(id); open_ticket(&inner) };
        let again = open_ticket(&fetch_user(measure(&greet(name)) as u64));
        let echoed = echo(&again);
        let typed = echo::<Ticket>(&echoed);
        let open_ticket = open_ticket(&user);
        let called = inner(user, open_ticket.id);
        let _unused = fetch_prefs(called.id);
        let list = vec![typed.id, block.id];
        let total: u64 = list.iter().map(|id| { let doubled = id * 2; doubled }).sum();
        let secret = new_secret(total);
        for word in &user.name.split(' ').map(String::from).collect::<Vec<_>>() { measure(word.as_str()); };
        measure(&secret.key);
        again
    }
}

workflow! { async fn inner(user: User, number: u64) -> Ticket { open_ticket(&fetch_user(user.id + number)) } }
workflow! { async fn empty() {} }
workflow! { async fn identity(x: u64) -> u64 { x } }
workflow! { async fn effects(names: Vec<String>) { for name in names { measure(&name) } } }
workflow! { async fn generic<T: Payload + Clone, U>(first: T, second: U) -> (T, U) where U: Payload + Clone {
    let first = echo(&first).named("again");
    (first, second)
} }
workflow! { async fn forever(number: u64) -> u64 { forever(number) } }

fn main() {
    assert!(Everything::graph().nodes().len() > 30);
    assert_eq!(Empty::graph().nodes().len(), 0);
    assert_eq!(Forever::graph().nodes()[1].subgraph().map(|graph| graph.name()), Some(Forever::graph().name()));
    assert_ne!(Generic::<u8, u16>::graph().name(), Generic::<u16, u8>::graph().name());
    let _ = (Identity::graph(), Effects::graph(), everything(1, vec![]), inner, empty, identity, effects, generic::<u8, u8>, forever);
}
