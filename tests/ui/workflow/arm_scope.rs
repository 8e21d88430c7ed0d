include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> usize {
        let user = fetch_user(customer);
        if user.active {
            let ticket = open_ticket(&user);
            write_audit(&user);
        }
        write_audit(&user).after(ticket);
        match classify(&user) {
            Kind::Billing(ticket) => write_audit(&user),
            Kind::Tech => write_audit(&user),
            other => write_audit(&user),
        }
        loop { let round = measure(&user.name); if round > 3 { break; } }
        measure(&format!("{}{}", ticket.name, round))
    }
}
fn main() {}
