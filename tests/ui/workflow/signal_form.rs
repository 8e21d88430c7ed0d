include!("../prelude.rs");
const NAME: &str = "approve";
workflow! {
    async fn onboard(user: User, limit: u64) -> Ticket {
        let a: Prefs = signal(NAME);
        let b = signal::<Prefs>(user.name.as_str());
        let c = signal::<Prefs>();
        let d = signal::<Prefs>("one").timeout(60);
        let e = signal::<Prefs>("one").timeout("1h");
        let f = signal::<Prefs>("one").timeout(limit);
        let g = signal::<Prefs>("one").retry(3);
        let h = signal::<Prefs>("one").result();
        let i = signal::<Prefs>("one").timeout(1h).finally(3);
        let j = signal::<Prefs>("");
        let k = signal::<Prefs>("2nd");
        let l = signal::<Prefs>("order-paid");
        let m = signal::<Prefs>("order_paid");
        let n = signal::<Prefs, User>("two");
        let o = signal::<_>("any");
        let p = signal::<Prefs>("one").timeout();
        let q = signal::<Prefs>("one").timeout(3 + 4);
        open_ticket(&user).after((a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q))
    }
}
fn main() {}
