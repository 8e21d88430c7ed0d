include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let mut user = fetch_user(customer);
        loop {
            user = fetch_user(user.id);
        }
        open_ticket(&user)
    }
}
workflow! {
    async fn inner(user: User) -> Ticket {
        loop {
            loop { if user.active { break; } }
        }
    }
}
workflow! {
    async fn bounded(user: User) -> Ticket {
        #[max(5)]
        loop { write_audit(&user); }
        open_ticket(&user)
    }
}
fn main() {}
