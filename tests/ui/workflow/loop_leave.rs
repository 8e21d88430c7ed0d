include!("../prelude.rs");
workflow! {
    async fn onboard(users: Vec<User>) -> Ticket {
        let mut count = 0;
        'outer: loop {
            loop { if count > 3 { break 'outer; } else { continue 'outer; } }
            count += 1;
        }
        continue;
        while count < 3 {
            count += 1;
            if count == 2 { break count; }
        }
        for user in users {
            if user.active { break; }
            if user.id > 3 { continue; }
            loop { if count > 3 { break; } write_audit(&user); }
        };
        let x = measure(break);
        let y = if count > 3 { return users[0].clone() } else { open_ticket(&users[0]) };
        y
    }
}
workflow! {
    async fn unreachable(user: User) -> Ticket {
        let mut count = 0;
        loop {
            break;
            count += 1;
        }
        loop { if user.active { continue; } else { break; } write_audit(&user); }
        match classify(&user) { Kind::Tech => return open_ticket(&user), _ => return Ticket { id: count } }
        open_ticket(&user)
    }
}
workflow! {
    async fn after_return(user: User) -> Ticket {
        { return open_ticket(&user); }
        open_ticket(&user);
        open_ticket(&user)
    }
}
fn main() {}
