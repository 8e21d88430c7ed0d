include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer).needs(gpu);
        open_ticket(&user)
    }
}
fn main() {}
