#![deny(unused_variables)]
include!("../prelude.rs");
workflow! {
    async fn onboard(user: User) -> Receipt {
        let ticket = open_ticket(&user).rescue(|_| open_ticket(&user));
        charge(&user).rescue(|err| charge(&user))
    }
}
fn main() {}
