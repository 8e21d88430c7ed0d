include!("../prelude.rs");
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        let a = async { user.id };
        let b = unsafe { user.id };
        let c = pure(user.id, 1);
        let d;
        let e = greet(&mut user.name);
        let f = { write_audit(&user); };
        let g = std::rc::Rc::new(user.id);
        let h = pure(return);
        open_ticket(&user)
    }
}
fn main() {}
