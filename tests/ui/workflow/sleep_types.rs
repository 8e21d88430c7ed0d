include!("../prelude.rs");
workflow! {
    async fn onboard(user: User) -> Ticket {
        sleep(user.id);
        sleep(user);
        sleep(user.name.len() as u64 * 3);
        sleep(user.missing);
        sleep(missing);
        sleep_until(user.id);
        sleep_until(std::time::Duration::from_secs(user.id));
        sleep(open_ticket(&user));
        open_ticket(&user)
    }
}
fn main() {}
