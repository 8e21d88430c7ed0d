include!("../prelude.rs");
fn waits(failures: u32) -> std::time::Duration { std::time::Duration::from_secs(failures.into()) }
const TIMES: u64 = 3;
workflow! {
    async fn onboard(customer: u64) -> User {
        fetch_user(customer).retry();
        fetch_user(customer).retry(1, 2);
        fetch_user(customer).retry("forever");
        fetch_user(customer).retry(3s);
        fetch_user(customer).retry(2.5);
        fetch_user(customer).retry(1..3);
        fetch_user(customer).retry(-1);
        fetch_user(customer).retry(for_ever);
        fetch_user(customer).retry(TIMES);
        fetch_user(customer).retry(3).retry(forever);
        fetch_user(customer).total_timeout();
        fetch_user(customer).total_timeout(5);
        fetch_user(customer).total_timeout("5m");
        fetch_user(customer).total_timeout(0s);
        fetch_user(customer).total_timeout(customer);
        fetch_user(customer).total_timout(5m);
        fetch_user(customer).timeout(1s, 2s);
        { fetch_user(customer) }.total_timeout(5m);
        let block = { fetch_user(customer) }.timeout(1s).retry(2);
        sleep(1s).total_timeout(5m);
        fetch_user(customer)
    }
}
workflow! {
    async fn waiting(customer: u64) -> User {
        fetch_user(customer).backoff();
        fetch_user(customer).backoff(1s, 10s);
        fetch_user(customer).backoff(3);
        fetch_user(customer).backoff("5s");
        fetch_user(customer).backoff(10s..1s);
        fetch_user(customer).backoff(1s..);
        fetch_user(customer).backoff(..10s);
        fetch_user(customer).backoff(1s..customer);
        fetch_user(customer).backoff([]);
        fetch_user(customer).backoff([1s, 10, 1min]);
        fetch_user(customer).backoff([1s; 3]);
        fetch_user(customer).backoff((1s, 10s));
        fetch_user(customer).backoff(waits);
        fetch_user(customer).backoff(|failures| waits(failures));
        fetch_user(customer).backoff(1s).retry(1).backoff(2s);
        fetch_user(customer)
    }
}
fn main() {}
