include!("../prelude.rs");
use zahir::{Race2, Race3};
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let first = race((fetch_user(1), sleep(1h)));
        let found = match first {
            Race2::First(found) => open_ticket(&found),
        };
        let second = race((fetch_user(2), charge(&user), signal::<u64>("stop")));
        match second {
            Race3::First(other) => open_ticket(&other),
            Race3::Third(_stop) => found,
        }
    }
}
fn main() {}
