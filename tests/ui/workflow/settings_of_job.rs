include!("../prelude.rs");
#[job(at_most_once)]
async fn call_customer(user: &User) -> Result<u64, MailError> { Ok(user.id) }
#[job(at_most_once)]
async fn keep_once<T: Payload>(value: T) -> T { value }
workflow! { async fn inner(customer: u64) -> User { fetch_user(customer) } }
workflow! {
    async fn onboard(customer: u64) -> User {
        let user = inner(customer).retry(3);
        inner(customer).timeout(1s).total_timeout(1m).backoff(1s);
        call_customer(&user).timeout(1s).retry(1);
        call_customer(&user).backoff(1s).total_timeout(1m).retry(0);
        let told = call_customer(&user).retry(1).rescue(|err| measure(&format!("{err}")) as u64);
        race((call_customer(&user).retry(forever), keep_once(user.clone()).backoff([1s, 2s])));
        keep_once(inner(customer).timeout(1s)).retry(1)
    }
}
workflow! { async fn any<T: Payload>(value: T) -> T { keep_once(value).retry(1) } }
fn main() {}
