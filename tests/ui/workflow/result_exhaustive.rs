include!("../prelude.rs");
workflow! {
    async fn onboard(user: User) -> Receipt {
        let paid = charge(&user).result();
        match paid {
            Ok(receipt) => receipt,
        }
    }
}
fn main() {}
