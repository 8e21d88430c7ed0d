include!("../prelude.rs");
#[job]
async fn find_ticket(user: &User) -> Option<Receipt> { let _ = user; None }
workflow! {
    async fn onboard(customer: u64) -> String {
        let user = fetch_user(customer);
        if let Some(receipt) = find_ticket(&user) { receipt.id } else { greet(user.name) }
    }
}
workflow! {
    async fn parts(user: User) -> String {
        match user { User { name, active: true, .. } => { write_audit(&user); name } User { email, .. } => greet(email.into_bytes().len().to_string()) }
    }
}
fn main() {}
