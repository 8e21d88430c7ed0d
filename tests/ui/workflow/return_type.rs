include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        if user.active { return user; }
        if user.id > 3 { return; }
        for page in list_pages(&user) { if page.is_empty() { return charge(&user); } };
        loop { if user.active { return Ok(open_ticket(&user)); } return user.id; }
    }
}
workflow! {
    async fn unit(user: User) {
        if user.active { return charge(&user); }
        if user.id > 3 { return; }
        write_audit(&user);
    }
}
workflow! {
    async fn falls_through(user: User) -> Ticket {
        if user.active { return open_ticket(&user); }
    }
}
workflow! {
    async fn one_arm(user: User) -> Ticket {
        match classify(&user) { Kind::Tech => return open_ticket(&user), _ => { write_audit(&user); } }
    }
}
fn main() {}
