include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer).rescue(|err| open_ticket(&err));
        let paid = charge(&user).rescue(|err: FetchError| refund(&user, &err));
        let back = charge(&user).rescue(|_err| open_ticket(&user));
        let bad = charge(&user).rescue(refund);
        refund(&user, &MailError::Down).after((paid, back, bad))
    }
}
fn main() {}
