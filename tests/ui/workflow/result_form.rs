include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let secret = new_secret(customer).result();
        let held = { new_secret(customer) }.result();
        let code = charge(&user).result(3);
        let mut count = 0;
        let counted = { count += 1; charge(&user) }.result();
        let late = { charge(&user) }.result().timeout(30s);
        let typo = charge(&user).reslt();
        let chained = charge(&user).result().rescue(|err| refund(&user, &err));
        let paid: Receipt = charge(&user).result();
        measure(&held.is_ok().to_string()).after((secret, code, counted, late, typo, chained));
        charge(&user).after(paid)
    }
}
fn main() {}
