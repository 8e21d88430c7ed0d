include!("../prelude.rs");
fn plain(user: &User, receipt: &Receipt) { let _ = (user, receipt); }
#[job]
async fn by_value(user: &User, receipt: Receipt) { let _ = (user, receipt); }
#[job]
async fn no_output(user: &User) { let _ = user; }
#[job]
async fn other_output(user: &User, number: &u64) { let _ = (user, number); }
#[job]
async fn other_input(user: &Prefs, receipt: &Receipt) { let _ = (user, receipt); }
#[job]
async fn again(user: &User, receipt: &Receipt) -> zahir::Again<()> { let _ = (user, receipt); zahir::Again::Done(()) }

#[job(undo = plain)]
async fn a(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = missing)]
async fn b(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = by_value)]
async fn c(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = no_output)]
async fn d(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = other_output)]
async fn e(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = other_input)]
async fn f(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
#[job(undo = again)]
async fn g(user: &User) -> Result<Receipt, MailError> { let _ = user; Err(MailError::Down) }
pub struct Handle;
#[job]
async fn close(handle: &Handle, list: &[Handle], done: &()) { let _ = (handle, list, done); }
#[job(undo = close)]
async fn open(handle: &Handle, list: &[Handle]) { let _ = (handle, list); }
#[job(once)]
async fn once(handle: Handle, rc: std::rc::Rc<u8>) { let _ = (handle, rc); }
#[job(pure, cache = 1h)]
async fn cached(missing: &Missing) { let _ = missing; }
fn main() {}
