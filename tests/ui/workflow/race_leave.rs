include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let mut count = 0;
        let paid = race((charge(&user), { count += 1; sleep(1h); }));
        let back = race((charge(&user), { sleep(1h); return charge(&user); }));
        loop {
            race((charge(&user), { sleep(1h); break; }));
            race((charge(&user), { sleep(1h); if user.active { continue; } }));
            if count > 3 { break; }
            count += 1;
        }
        charge(&user).after((paid, back))
    }
}
fn main() {}
