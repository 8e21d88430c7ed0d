include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let a = charge(&user).rescue(|err| { write_audit(&user).after(user); });
        let b = { let ticket = open_ticket(&user); charge(&user).after(ticket) }.rescue(|err| refund(&user, &err));
        let c = write_audit(&user).rescue(|_| charge(&user));
        let e = charge(&user).rescue(|_| 3);
        let f: Ticket = charge(&user).rescue(|err| refund(&user, &err));
        let g = charge(&user).rescue(|err| refund(&user, &err.cause));
        let unused = charge(&user).rescue(|err| charge(&user));
        refund(&user, &MailError::Down).after((a, b, c, e, f, g))
    }
}
fn main() {}
