include!("../prelude.rs");
#[job]
async fn is_vip(user: &User) -> bool { user.active }
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let mut user = fetch_user(customer);
        let kind = classify(&user);
        if user.active { write_audit(&user); }
        let ticket = match kind {
            Kind::Billing(ticket) => open_ticket(&user),
            _ => open_ticket(&user),
        };
        if let Kind::Tech = kind { write_audit(&user); }
        loop { write_audit(&user); }
        while user.active { write_audit(&user); }
        break;
        continue;
        user = fetch_user(customer);
        let tried = charge(&user).result();
        let paid = charge(&user).rescue(|err| refund(&user, &err));
        let closed = charge(&user).finally(write_audit(&user));
        let vip = user.active && is_vip(&user);
        sleep(30s);
        let approval: Prefs = signal("approve").timeout(1h);
        let first = race((charge(&user), sleep(1h)));
        return open_ticket(&user);
        ticket
    }
}
fn main() {}
