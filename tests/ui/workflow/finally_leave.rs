include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let mut count = 0;
        let paid = charge(&user).finally({ count += 1; write_audit(&user); });
        let back = charge(&user).finally({ return paid; });
        loop {
            charge(&user).finally({ break; });
            charge(&user).finally({ if user.active { continue; } });
            if count > 3 { break; }
            count += 1;
        }
        back
    }
}
fn main() {}
