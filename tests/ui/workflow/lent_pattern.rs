include!("../prelude.rs");
workflow! {
    async fn onboard(pair: (u64, String)) -> Ticket {
        let (id, name) = &pair;
        let user = fetch_user(*id);
        let User { email, .. } = &user;
        measure(name);
        open_ticket(&User { email: email.clone(), ..user })
    }
}
fn main() {}
