include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let paid = charge(&user).result();
        match paid {
            Ok(receipt) => refund(&user, &receipt),
        }
    }
}
workflow! {
    async fn other(user: User) -> Receipt {
        let paid = charge(&user).result();
        match paid {
            Ok(receipt) => receipt,
            Err(MailError::Gone) => charge(&user),
        }
    }
}
fn main() {}
