include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let kind = classify(&user);
        match kind {
            Kind::Billing(ticket) => open_ticket(&user),
            Kind::Tech => open_ticket(&user),
        }
    }
}
workflow! {
    async fn call(user: User) {
        match classify(&user) { Kind::Tech => { write_audit(&user); } }
        match user.active { true => write_audit(&user) }
        match (user.active, user.id) { (true, 1) => { write_audit(&user); } (false, _) => {} }
    }
}
fn main() {}
