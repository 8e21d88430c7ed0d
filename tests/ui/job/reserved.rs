include!("../prelude.rs");
#[job(limit = "smtp" / 4, spawns(Measure), at_most_once, pure, retry_if = transient, needs = gate)]
async fn later(user: &User) -> u64 { user.id }
workflow! {
    async fn uses_it(user: User) -> u64 { later(&user) }
}
fn main() {}
