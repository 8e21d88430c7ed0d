include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64, names: Vec<String>) -> Ticket {
        let user = fetch_user(customer);
        #[limit(3)]
        let sizes = for name in names { measure(&name) };
        #[cfg(feature = "audit")]
        let audit = write_audit(&user);
        #[limit(3)]
        write_audit(&user);
        let prefs = #[allow(unused)] fetch_prefs(customer);
        send_mail(&user, &prefs).after((sizes, audit));
        #[limit(1)] open_ticket(&user)
    }
}
fn main() {}
