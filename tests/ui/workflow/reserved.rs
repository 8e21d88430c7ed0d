include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let tried = charge(&user).result();
        let paid = charge(&user).rescue(|err| refund(&user, &err));
        let closed = charge(&user).finally(write_audit(&user));
        sleep(30s);
        let approval: Prefs = signal("approve").timeout(1h);
        let first = race((charge(&user), sleep(1h)));
        open_ticket(&user)
    }
}
fn main() {}
