include!("../prelude.rs");
workflow! {
    pub async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let prefs = signal::<Prefs>("approve");
        send_mail(&user, &prefs);
        open_ticket(&user)
    }
}
async fn send(run: &zahir::RunHandle<Ticket>, ticket: Ticket, prefs: Prefs) {
    run.signal(Onboard::APPROVE, ticket).await.ok();
    run.signal(Onboard::APROVE, prefs).await.ok();
    run.signal("approve", Prefs { html: true }).await.ok();
}
fn main() {}
