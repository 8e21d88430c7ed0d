include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let done = if user.active {
            let t = open_ticket(&user);
            t
        } else {
            charge(&user)
        };
        let more = if user.active { charge(&user) };
        let third = if user.active { charge(&user) } else if user.id > 3 { open_ticket(&user) } else { charge(&user) };
        if user { write_audit(&user); }
        if user.id { write_audit(&user); }
        open_ticket(&user).after((done, more, third))
    }
}
fn main() {}
