include!("../prelude.rs");
use zahir::{Race2, Race3};
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let second = race((fetch_user(2), charge(&user)));
        let found = match second {
            Race2::First(other) => open_ticket(&other),
            Race2::Second(receipt) => open_ticket(&receipt),
        };
        let third = race((fetch_user(2), charge(&user)));
        match third {
            Race3::Third(()) => open_ticket(&user),
            _ => found,
        }
    }
}
fn main() {}
