include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let a = charge(&user).rescue(|_| {});
        let b = { write_audit(&user); charge(&user) }.rescue(|err| { });
        let c = charge(&user).rescue();
        let d = charge(&user).rescue(|| refund(&user, &MailError::Down));
        let e = charge(&user).rescue(|err, user| refund(&user, &err));
        let f = charge(&user).rescue(async |err| refund(&user, &err));
        let g = charge(&user).rescue(|err| -> Receipt { refund(&user, &err) });
        let h = charge(&user).rescue(refund(&user, &MailError::Down));
        let i = charge(&user).rescu(|err| refund(&user, &err));
        let j = charge(&user).rescue(|mut err| refund(&user, &err));
        let k = { charge(&user) }.retry(3).rescue(|err| refund(&user, &MailError::Down));
        refund(&user, &MailError::Down).after((a, b, c, d, e, f, g, h, i, j, k))
    }
}
fn main() {}
