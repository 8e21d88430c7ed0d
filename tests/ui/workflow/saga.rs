include!("../prelude.rs");
#[job(undo = refund_charge)]
async fn pay(user: &User) -> Receipt { Receipt { id: user.name.clone() } }
#[job]
async fn refund_charge(user: &User, receipt: &Receipt) { let _ = (user, receipt); }
#[job(no_undo)]
async fn tell(user: &User) { let _ = user; }
#[job(no_undo)]
async fn user_of(customer: u64) -> Result<User, MailError> { let _ = customer; Err(MailError::Down) }
#[job(pure)]
async fn add(a: u64, b: u64) -> u64 { a + b }
#[job]
async fn keep<T: Payload>(value: &T) { let _ = value; }
#[saga] workflow! { async fn outside() {} }
workflow! { async fn plain(customer: u64) -> u64 { add(customer, 1) } }
workflow! { #[saga] async fn safe(customer: u64) -> u64 { add(customer, 1) } }
workflow! { #[saga(undo)] async fn with_value(customer: u64) -> u64 { add(customer, 1) } }
workflow! { #[saga] #[saga] async fn twice(customer: u64) -> u64 { add(customer, 1) } }
workflow! { #[saaga] async fn typo(customer: u64) -> u64 { add(customer, 1) } }
workflow! { async fn inside(customer: u64) -> u64 { #[saga] { add(customer, 1) } } }
workflow! {
    #[saga]
    async fn onboard(customer: u64, list: Vec<u64>) -> u64 {
        let user = user_of(customer).retry(3);
        pay(&user);
        write_audit(&user).timeout(1s);
        let page = measure(&format!("{}", user.id));
        keep(&user.id);
        let sum = add(plain(customer), safe(customer));
        for item in list.clone() { fetch_user(item); };
        if sum > 3 { open_ticket(&user); } else { tell(&user); }
        let mut round = 0;
        while round < 3 { round += measure(&user.name); }
        let paid = charge(&user).rescue(|err| refund(&user, &err));
        let done = { fetch_prefs(customer) }.result();
        tell(&user).finally(open_ticket(&user));
        race((list_pages(&user), sleep(1s)));
        let secret = new_secret(greet(user.name.clone()).len() as u64).named("x");
        sum
    }
}
fn main() {}
