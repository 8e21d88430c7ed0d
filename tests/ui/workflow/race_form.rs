include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let a = race((charge(&user),));
        let b = race(charge(&user), sleep(1h));
        let c = race(charge(&user));
        let d = race();
        let e = race([charge(&user), charge(&user)]);
        let f = race((
            fetch_user(1), fetch_user(2), fetch_user(3), fetch_user(4), fetch_user(5),
            fetch_user(6), fetch_user(7), fetch_user(8), fetch_user(9), fetch_user(10),
        ));
        let g = race((user, charge(&user)));
        let h = race((3, || charge(&user)));
        let i = race((charge(&user), sleep(1h))).retry(3);
        let j = race((charge(&user), sleep(10)));
        refund(&user, &MailError::Down).after((a, b, c, d, e, f, g, h, i, j))
    }
}
fn main() {}
