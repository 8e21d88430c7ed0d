//! Workflows with handlers, sleeps, signals and races, run in memory.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use zahir::{Race2, Race3, Runtime, TimedOut, job, workflow};

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Declined(u64);

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "declined: {}", self.0)
    }
}

impl std::error::Error for Declined {}

/// What ran, by the number of the test.
static RAN: Mutex<Vec<(u64, &str)>> = Mutex::new(Vec::new());

fn ran(test: u64) -> Vec<&'static str> {
    let ran = RAN.lock().unwrap();
    ran.iter()
        .filter(|(of, _)| *of == test)
        .map(|(_, what)| *what)
        .collect()
}

#[job]
async fn pay(amount: u64) -> Result<u64, Declined> {
    if amount > 100 {
        Err(Declined(amount))
    } else {
        Ok(amount)
    }
}

#[job]
async fn parse(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[job]
async fn step(test: u64, name: String) -> u64 {
    let name = name.leak();
    RAN.lock().unwrap().push((test, name));
    test
}

#[job]
async fn fails(test: u64, name: String) -> Result<u64, Declined> {
    let name = name.leak();
    RAN.lock().unwrap().push((test, name));
    Err(Declined(test))
}

#[job]
async fn forever(test: u64) -> u64 {
    std::future::pending::<()>().await;
    test
}

workflow! { async fn tried(amount: u64) -> String {
    let paid = pay(amount).result();
    match paid {
        Ok(paid) => format!("paid {paid}"),
        Err(Declined(amount)) => format!("declined {amount}"),
    }
} }

#[tokio::test]
async fn a_result_is_data() {
    assert_eq!(tried(7).await.unwrap(), "paid 7");
    assert_eq!(tried(700).await.unwrap(), "declined 700");
}

workflow! { async fn rescued(amount: u64, text: String) -> u64 {
    let paid = pay(amount).rescue(|err| pay(err.0 - 100));
    let parsed = parse(&text).rescue(|failure| failure.message().len() as u64);
    let block = { let first = pay(1); pay(first + amount) }.rescue(|failure| {
        let length = failure.job().len() as u64;
        pay(length)
    });
    paid + parsed * 1_000 + block * 1_000_000
} }

#[tokio::test]
async fn a_rescue_gives_what_its_handler_gives() {
    assert_eq!(rescued(7, "8".to_owned()).await.unwrap(), 8_008_007);
    let message = "invalid digit found in string".len() as u64;
    let block = "block/pay".len() as u64;
    let expected = 50 + message * 1_000 + block * 1_000_000;
    assert_eq!(rescued(150, "x".to_owned()).await.unwrap(), expected);
}

workflow! { async fn twice(amount: u64) -> u64 {
    pay(amount).rescue(|err| pay(err.0)).finally(step(1, "last".to_owned()))
} }

#[tokio::test]
async fn a_failed_rescue_fails_and_finally_runs() {
    let error = twice(101).await.unwrap_err();
    assert!(error.to_string().contains("declined: 101"), "{error}");
    assert_eq!(ran(1), ["last"]);
}

workflow! { async fn tree(test: u64) -> u64 {
    let a1 = step(test, "a1".to_owned());
    {
        let a2 = step(test, "a2".to_owned()).after(a1);
        let inner = {
            let a3 = step(test, "a3".to_owned()).after(a2);
            step(test, "a4".to_owned()).after(a3)
        };
        let a5 = step(test, "a5".to_owned()).after(inner);
        let a6 = step(test, "a6".to_owned()).after(a5);
        let a7 = fails(test, "a7".to_owned()).after(a6);
        let a8 = step(test, "a8".to_owned()).after(a7);
        step(test, "a9".to_owned()).after(a8)
    }.rescue(|_| {
        let r1 = step(test, "r1".to_owned());
        fails(test, "r2".to_owned()).after(r1)
    }).finally(step(test, "f1".to_owned()))
} }

#[tokio::test]
async fn a_tree_of_handlers_runs_what_it_says() {
    tree(2).await.unwrap_err();
    assert_eq!(
        ran(2),
        ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "r1", "r2", "f1"]
    );
}

workflow! { async fn raced(amount: u64) -> u64 {
    let first = race((forever(amount), pay(amount), sleep(1h)));
    let found = match first {
        Race3::First(_) => 0,
        Race3::Second(paid) => paid,
        Race3::Third(()) => 1,
    };
    let slept = race((forever(amount), { sleep(1ms); let sum = found + 1; sum }));
    match slept { Race2::First(_) => 0, Race2::Second(sum) => sum }
} }

#[tokio::test]
async fn the_first_entry_of_a_race_wins() {
    assert_eq!(raced(7).await.unwrap(), 8);
}

workflow! { async fn slept(amount: u64) -> u64 {
    let mut sum = amount;
    if amount > 5 {
        sum = sum + 100;
        sleep(Duration::from_millis(amount));
        sum += 1;
    } else {
        sum = sum * 2;
    }
    sleep_until(SystemTime::UNIX_EPOCH);
    pay(sum).rescue(|err| err.0)
} }

#[tokio::test]
async fn a_branch_may_sleep() {
    assert_eq!(slept(10).await.unwrap(), 111);
    assert_eq!(slept(5).await.unwrap(), 10);
}

workflow! { async fn signalled(rounds: u64) -> u64 {
    let mut sum = 0;
    let mut round = 0;
    while round < rounds {
        let next = signal::<u64>("number");
        sum += next;
        round += 1;
    }
    let late = signal::<u64>("late").timeout(1ms);
    match late { Ok(late) => pay(late), Err(TimedOut) => pay(0).rescue(|_| 0).after(sum) }.rescue(|_| 1);
    sum
} }

#[tokio::test]
async fn signals_arrive_in_order() {
    assert_eq!(Signalled::NUMBER.name(), "number");
    let runtime = Runtime::in_memory()
        .workflow::<Signalled>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(signalled(10)).start().await.unwrap();
    for _ in 0..10 {
        run.signal(Signalled::NUMBER, 42).await.unwrap();
    }
    assert_eq!(run.output().await.unwrap(), 420);
}

workflow! { async fn undone(amount: u64) -> (u64, u64) {
    let mut first = 1;
    let mut second = 2;
    { first += 10; second = pay(amount); }.rescue(|_| { first += 100; });
    (first, second)
} }

#[tokio::test]
async fn what_failed_has_assigned_nothing() {
    assert_eq!(undone(7).await.unwrap(), (11, 7));
    assert_eq!(undone(700).await.unwrap(), (101, 2));
}
