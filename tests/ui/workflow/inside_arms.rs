include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let a = if user.active { fetch_usr(1) } else { open_ticket(&user) };
        let b: Ticket = match classify(&user) { Kind::Tech => open_ticket(user.id), Kind::Billing(ticket) => tiket, Kind::Spam => a };
        let mut c = open_ticket(&user);
        loop {
            let more = fetch_prefs("x");
            if more.htlm { break; }
            c = open_ticket(&more);
            write_audit(&user).after(d);
        }
        let d = match user.id { 1 => { println!("x"); open_ticket(&user) } 2 => open_ticket(&user).await, _ => later };
        let later = open_ticket(&user);
        let e: Receipt = if user.active { c } else { d };
        for page in list_pages(&user) { if page { measure(&page); } };
        while user { measure(&user.name); }
        b
    }
}
fn main() {}
