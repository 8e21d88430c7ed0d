#![deny(unused_mut, unused_variables)]
include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let mut user = fetch_user(customer);
        let mut count = 0;
        let mut size = measure(&user.name);
        if user.active { count = 1; size += 2; }
        open_ticket(&user).after(size)
    }
}
fn main() {}
