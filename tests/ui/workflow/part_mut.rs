include!("../prelude.rs");
workflow! {
    async fn onboard(user: User, number: Option<u64>) -> Ticket {
        match number {
            Some(mut number) => { number += 1; open_ticket(&User { id: number, ..user }) }
            None => open_ticket(&user),
        }
    }
}
fn main() {}
