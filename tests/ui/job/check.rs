include!("../prelude.rs");
fn one(user: &User) -> Result<(), String> { let _ = user; Ok(()) }
fn boolean(user: &User, id: &u64) -> bool { let _ = (user, id); true }
fn other(user: &Prefs, id: &u64) -> Result<(), String> { let _ = (user, id); Ok(()) }
fn by_value(user: &User, id: u64) -> Result<(), String> { let _ = (user, id); Ok(()) }
fn value(user: &User, id: &u64) -> Result<u8, String> { let _ = (user, id); Ok(1) }
fn no_error(user: &User, id: &u64) -> Result<(), u8> { let _ = (user, id); Ok(()) }
async fn waits(user: &User, id: &u64) -> Result<(), String> { let _ = (user, id); Ok(()) }
#[job(check = one)]
async fn arity(user: &User, id: u64) { let _ = (user, id); }
#[job(check = boolean)]
async fn says_yes(user: &User, id: u64) { let _ = (user, id); }
#[job(check = other)]
async fn wrong_input(user: &User, id: u64) { let _ = (user, id); }
#[job(check = by_value)]
async fn takes(user: &User, id: u64) { let _ = (user, id); }
#[job(check = value)]
async fn gives(user: &User, id: u64) { let _ = (user, id); }
#[job(check = no_error)]
async fn errs(user: &User, id: u64) { let _ = (user, id); }
#[job(check = waits)]
async fn future(user: &User, id: u64) { let _ = (user, id); }
#[job(check = missing)]
async fn unknown(user: &User, id: u64) { let _ = (user, id); }
#[job(check = |user| Ok::<(), String>(()))]
async fn closure_arity(user: &User, id: u64) { let _ = (user, id); }
#[job(check = |user, id| user.id == *id)]
async fn closure_says_yes(user: &User, id: u64) { let _ = (user, id); }
#[job(verify = one)]
async fn wrong_output(id: u64) -> u64 { id }
#[job(verify = |id| *id > 3)]
async fn output_says_yes(id: u64) -> u64 { id }
#[job(verify = |user| if user.age > 3 { Ok(()) } else { Err("young") })]
async fn no_field(user: User) -> User { user }
#[job(retry_if = one)]
async fn not_of_the_error(id: u64) -> Result<u64, MailError> { Ok(id) }
#[job(retry_if = |error| error.is_busy())]
async fn no_method(id: u64) -> Result<u64, MailError> { Ok(id) }
#[job(retry_if = |_| 3)]
async fn no_answer(id: u64) -> Result<u64, MailError> { Ok(id) }
pub struct Key;
fn key(user: &User) -> Key { let _ = user; Key }
#[job(once_by = key)]
async fn no_key(user: User) -> u64 { user.id }
fn wait(failures: u64) -> std::time::Duration { std::time::Duration::from_secs(failures) }
#[job(backoff = wait)]
async fn waits_wrongly(user: User) -> u64 { user.id }
fn main() {}
