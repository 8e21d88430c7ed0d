include!("../prelude.rs");
workflow! {
    async fn onboard(user: User) -> Ticket {
        let mut count = 0;
        #[max(0)]
        while count < 3 { count += measure("a"); }
        #[max("5")]
        while count < 3 { count += measure("a"); }
        #[max]
        while count < 3 { count += measure("a"); }
        #[max(user.id)]
        while count < 3 { count += measure("a"); }
        #[max(5, or_first)]
        while count < 3 { count += measure("a"); }
        #[limit(5)]
        while count < 3 { count += measure("a"); }
        #[max(5)]
        for name in user.name.split(' ').map(String::from) { measure(&name); }
        #[max(5)]
        if user.active { write_audit(&user); }
        let found = #[max(5, or_last)] loop {
            let size = measure("a");
            if size > 3 { break size; }
        };
        #[max(3)]
        open_ticket(&user).after(found)
    }
}
fn main() {}
