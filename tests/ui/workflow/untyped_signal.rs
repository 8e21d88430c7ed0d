include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let approval = signal("approve").timeout(1h);
        let other = signal("other");
        let third: Prefs = signal("third").timeout(1h);
        signal("fourth");
        let user = fetch_user(customer);
        send_mail(&user, &signal("fifth")).after((approval, other, third));
        open_ticket(&user)
    }
}
fn main() {}
