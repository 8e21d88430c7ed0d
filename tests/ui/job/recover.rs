include!("../prelude.rs");
fn plain(error: &MailError, user: &User) -> Receipt { let _ = (error, user); Receipt { id: String::new() } }
#[job]
async fn right(error: &MailError, user: &User) -> Receipt { let _ = (error, user); Receipt { id: String::new() } }
#[job]
async fn other_error(error: &String, user: &User) -> Receipt { let _ = (error, user); Receipt { id: String::new() } }
#[job]
async fn by_value(error: MailError, user: &User) -> Receipt { let _ = (error, user); Receipt { id: String::new() } }
#[job]
async fn no_error(user: &User) -> Receipt { let _ = user; Receipt { id: String::new() } }
#[job]
async fn other_output(error: &MailError, user: &User) -> u64 { let _ = (error, user); 3 }
#[job]
async fn other_input(error: &MailError, user: &Prefs) -> Receipt { let _ = (error, user); Receipt { id: String::new() } }
#[job]
async fn failure(failure: &zahir::Failure, user: &User) -> Receipt { let _ = (failure, user); Receipt { id: String::new() } }
#[job]
async fn owned(failure: &zahir::Failure, user: User) -> Receipt { let _ = (failure, user); Receipt { id: String::new() } }
#[job]
async fn nothing() -> Receipt { Receipt { id: String::new() } }
#[job]
async fn again(failure: &zahir::Failure, user: &User) -> zahir::Again<Receipt> { let _ = (failure, user); zahir::Again::Done(Receipt { id: String::new() }) }
workflow! { async fn flow(failure: zahir::Failure, user: User) -> Receipt { charge(&user) } }

#[job(recover = plain)]
async fn a(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = missing)]
async fn b(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = other_error)]
async fn c(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = by_value)]
async fn d(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = no_error)]
async fn e(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = other_output)]
async fn f(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = other_input)]
async fn g(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = owned)]
async fn h(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = nothing)]
async fn i(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = again)]
async fn j(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = flow)]
async fn k(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(recover = right)]
async fn l(user: &User) -> Result<Receipt, FetchError> { let _ = user; Err(FetchError) }
#[job(recover = right)]
async fn m(user: &User) -> Receipt { let _ = user; Receipt { id: String::new() } }
#[job]
async fn unstorable(error: &FetchError, user: &User) -> Receipt { let _ = (error, user); Receipt { id: String::new() } }
#[job(recover = unstorable)]
async fn n(user: &User) -> Result<Receipt, FetchError> { let _ = user; Err(FetchError) }
fn main() {}
