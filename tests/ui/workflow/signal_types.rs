include!("../prelude.rs");
pub struct Opaque(u8);
workflow! {
    async fn onboard(user: User) -> Ticket {
        let opaque = signal::<Opaque>("opaque");
        let first = signal::<Prefs>("approve").timeout(1h);
        let second = signal::<Ticket>("approve");
        let third: User = signal("approve");
        let fourth = signal::<Missing>("missing");
        let fifth: Prefs = signal::<Ticket>("fifth");
        let sixth = match first { Ok(prefs) => send_mail(&user, prefs), Err(error) => charge(&error) };
        open_ticket(&user).after((opaque, second, third, fourth, fifth, sixth))
    }
}
fn main() {}
