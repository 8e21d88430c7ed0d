include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let first = race((fetch_user(1), new_secret(customer), sleep(1h)));
        let second = race(({ let secret = new_secret(customer); secret }, charge(&user)));
        open_ticket(&user).after((first, second))
    }
}
fn main() {}
