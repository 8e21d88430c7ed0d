include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64, names: Vec<String>, text: String) -> Ticket {
        let user = fetch_user(customer);
        let sizes = for name in names.iter() { measure(&name) };
        let name = user.name.as_str();
        let list = list_pages(&user).iter();
        for page in list_pages(&user).iter() { measure(&page) };
        let total: usize = sizes.iter().sum();
        greet(format!("{name}{list:?}{total}"));
        open_ticket(&user)
    }
}
workflow! {
    async fn deeper(customer: u64, text: String) -> Ticket {
        let user = fetch_user(customer);
        let first = user.name.split(' ').next();
        for line in text.lines() { measure(line) };
        greet(format!("{first:?}"));
        open_ticket(&user)
    }
}
fn main() {}
