include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64, names: Vec<String>) -> Ticket {
        user = fetch_user(customer);
        let prefs = fetch_prefs(customer);
        let (a, b) = tokio::join!(fetch_user(customer), fetch_prefs(customer));
        let total = 0;
        for name in names {
            if name.len() > 3 { continue; }
            total += name.len();
        };
        if user.active { println!("active"); }
        match prefs.html { true => {} false => {} }
        send_mail(&a, &b);
        Ok(open_ticket(&user))
    }
}
workflow! {
    async fn early(customer: u64) -> User {
        let user = fetch_user(customer);
        return user;
    }
}
fn main() {}
