include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let pages = list_pages(&user);
        let a = #[limit(0)] for page in pages { measure(&page) };
        let b = #[limit("8")] for page in pages { measure(&page) };
        let c = #[parallel(8)] for page in pages { measure(&page) };
        let d = 'outer: for page in pages { measure(&page) };
        let e = for mut page in pages { measure(&page) };
        let f = for page in pages { measure(&page); };
        measure(&f);
        open_ticket(&user)
    }
}
fn main() {}
