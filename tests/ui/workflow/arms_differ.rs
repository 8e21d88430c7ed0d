include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let kind = classify(&user);
        let done = match kind {
            Kind::Billing(_) => open_ticket(&user),
            Kind::Tech => charge(&user),
            Kind::Spam => open_ticket(&user),
        };
        let more = match kind {
            Kind::Billing(ticket) => ticket,
            Kind::Tech => { open_ticket(&user); }
            Kind::Spam => return done,
        };
        open_ticket(&user).after((done, more))
    }
}
fn main() {}
