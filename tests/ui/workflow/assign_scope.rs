include!("../prelude.rs");
workflow! {
    async fn onboard(users: Vec<User>) -> u64 {
        let mut total = 0;
        let mut last = users[0].clone();
        for user in users {
            let mut size = measure(&user.name);
            size += 1;
            total += size as u64;
            if size > 3 { last = user; }
            user = fetch_user(1);
        };
        match last {
            User { mut id, ref name, .. } => { id = 4; measure(&name); }
        }
        let (mut a, b) = (1, 2);
        total + a + b
    }
}
fn main() {}
