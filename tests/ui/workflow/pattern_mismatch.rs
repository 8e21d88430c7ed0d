include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let kind = classify(&user);
        let paid = match kind {
            Ok(receipt) => refund(&user, &receipt),
            Kind::Billing { id } => open_ticket(&user),
            Kind::Bogus => open_ticket(&user),
            _ => open_ticket(&user),
        };
        if let Some(name) = user.name { measure(&name); }
        while let Ok(name) = greet(user.name.clone()) { measure(&name); }
        let Some(x) = user;
        let (a, b) = fetch_prefs(customer);
        paid
    }
}
fn main() {}
