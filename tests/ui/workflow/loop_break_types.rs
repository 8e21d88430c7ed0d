include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let mut user = fetch_user(customer);
        let last = loop {
            let ticket = open_ticket(&user);
            if ticket.id > 5 { break ticket; }
            if user.active { break user; }
            if user.id > 3 { break; }
            user = open_ticket(&user);
        };
        last
    }
}
workflow! {
    async fn unit(user: User) -> Ticket {
        let last = loop { if user.active { break; } };
        last
    }
}
fn main() {}
