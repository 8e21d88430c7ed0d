include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Receipt {
        let user = fetch_user(customer);
        let mut prefs = fetch_prefs(customer);
        while !prefs.html {
            user = fetch_user(user.id);
            pref = fetch_prefs(user.id);
            prefs.html = true;
            break 5;
        }
        break;
        send_mail(&user, &prefs)
    }
}
workflow! {
    async fn types(customer: u64, names: Vec<String>) -> u64 {
        let mut count = 0;
        let mut user = fetch_user(customer);
        let mut name = greet(String::new());
        user = charge(&user);
        count += "one";
        count = name.len();
        names[0] = String::new();
        name += 5;
        customer = 3;
        if user.active { user = 7; }
        let twice = count = 3;
        names.push({ count = 4; name });
        count as u64
    }
}
fn main() {}
