include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let a = charge(&user).finally(|| write_audit(&user));
        let b = charge(&user).finally(|paid| write_audit(&user));
        let c = charge(&user).finally();
        let d = charge(&user).finally({});
        let e = charge(&user).finally(user);
        let f = charge(&user).finally({ let ticket = open_ticket(&user); ticket.id + 1 });
        let g: Ticket = charge(&user).finally(open_ticket(&user));
        let h = charge(&user).finally(write_audit(&h));
        let i = charge(&user).finaly(write_audit(&user));
        let j = { let other = fetch_user(1); charge(&other) }.finally(write_audit(&other));
        refund(&user, &MailError::Down).after((a, b, c, d, e, f, g, h, i, j))
    }
}
fn main() {}
