include!("../prelude.rs");
#[job(retry = Forever, backoff = fast, timeout = 30, total_timeout = 0s, check = 3, verify = is_fine(), recover = "other")]
async fn a(id: u64) -> u64 { id }
#[job(retry = 1 + 2, backoff = [], timeout, recover = || other(), undo, no_undo = true, at_most_once(yes))]
async fn b(id: u64) -> u64 { id }
#[job(backoff = "5s", retry_if, check = async |id| Ok(()), once_by = "id", pure = yes, cache = forever)]
async fn c(id: u64) -> Result<u64, MailError> { Ok(id) }
#[job(backoff = [1s, 10], retri_if = is_busy, verfy = is_fine, undoo = other, at_least_once, cached = 1h)]
async fn d(id: u64) -> u64 { id }
// Nothing of this is an error of who calls them.
workflow! {
    #[saga]
    async fn all(id: u64) -> u64 {
        let one = a(id).retry(3);
        let two = b(one).retry(3);
        let three = c(two);
        d(three)
    }
}
fn main() {}
