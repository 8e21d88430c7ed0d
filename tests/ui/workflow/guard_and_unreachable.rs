#![deny(unused_variables, unreachable_patterns)]
include!("../prelude.rs");
#[job]
async fn is_big(ticket: &Ticket) -> bool { ticket.id > 3 }
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let kind = classify(&user);
        match kind {
            Kind::Billing(ticket) if ticket.id > 3 => open_ticket(&user),
            Kind::Billing(t) => open_ticket(&user),
            Kind::Tech => open_ticket(&user),
            Kind::Spam | Kind::Tech => open_ticket(&user),
            Kind::Tech => open_ticket(&user),
        }
    }
}
workflow! {
    async fn guards(user: User) -> Ticket {
        match classify(&user) {
            Kind::Billing(ticket) if ticket.name.is_empty() => ticket,
            Kind::Billing(ticket) if ticket => ticket,
            _ => open_ticket(&user),
        }
    }
}
workflow! {
    async fn jobs(user: User) -> Ticket {
        match classify(&user) {
            Kind::Billing(ticket) if is_big(&ticket) => ticket,
            Kind::Billing(ticket) if ticket.id > 3 && is_big(&ticket) => ticket,
            _ => open_ticket(&user),
        }
    }
}
fn main() {}
