include!("../prelude.rs");
#[job(limit = "smtp" / 4, needs = gate)]
async fn later(user: &User) -> u64 { user.id }
workflow! {
    async fn uses_it(user: User) -> u64 { later(&user) }
}
fn main() {}
