include!("../prelude.rs");
workflow! {
    async fn onboard(user: User) -> Ticket {
        sleep(10);
        sleep("30s");
        sleep(30sek);
        sleep(1.5h);
        sleep();
        sleep(1s, 2s);
        let _x = sleep(1s);
        let y = sleep_until(user.due);
        measure(&sleep(1s));
        measure(&user.name).after(sleep(1s));
        sleep(1s).timeout(3s);
        sleep(1s).result();
        sleep(1s).rescue(|_| write_audit(&user));
        sleep_until(30s);
        sleep_until();
        sleep(1s).await;
        let z = if user.active { sleep(1s) } else { 3 };
        open_ticket(&user)
    }
}
fn main() {}
