include!("../prelude.rs");
#[derive(Debug, Serialize, Deserialize)]
pub enum Vault { Open(Secret), Shut }
#[job]
async fn open_vault(user: &User) -> Vault { let _ = user; Vault::Shut }
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let user = fetch_user(customer);
        match open_vault(&user) {
            Vault::Open(secret) => { store(secret); }
            Vault::Shut => { write_audit(&user); }
        }
        let held = open_vault(&user);
        let again = match held { Vault::Open(secret) => secret, Vault::Shut => new_secret(1) };
        let id = match user.name.as_str() { name if name.len() > 3 => measure(name), name => measure(&name) };
        measure(&again.key);
        open_ticket(&user).after(id)
    }
}
fn main() {}
