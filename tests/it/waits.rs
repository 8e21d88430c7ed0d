//! Sleeps, signals and races: what is waited for, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zahir::{
    EventKind, Race2, Race3, RunErrorKind, RunHandle, Runtime, SignalError, TimedOut, job, workflow,
};
use zahir_store::{FailureKind, MemoryStore, Store};

use crate::watched::{Log, add, fail, forever, give, held, over, watch, watch_with};

/// Waits until the run has told this.
async fn told<O: Send + Sync + 'static>(
    events: &mut zahir::Events,
    _run: &RunHandle<O>,
    is_it: impl Fn(&EventKind) -> bool,
) {
    while !is_it(
        &events
            .next()
            .await
            .expect("it is told")
            .expect("in time")
            .kind,
    ) {}
}

workflow! { pub async fn slept(log: Log, value: u64) -> (u64, u64) {
    let first = give(log, "first", value);
    let mut carried = first;
    if value == 10 {
        carried = add(carried, 100);
        sleep(1h);
        carried = give(log, "woken", carried + 1);
    }
    let doubled = if value == 10 { add(first, first) } else { 0 };
    (doubled, carried)
} }

#[tokio::test(start_paused = true)]
async fn a_value_is_carried_through_an_arm_that_sleeps() {
    let log = Log::new();
    assert_eq!(*watch(slept(log, 10)).await.value(), (20, 111));
    assert_eq!(log.ran(), ["first", "woken"]);
    assert_eq!(*watch(slept(log, 11)).await.value(), (0, 11));
}

/// Nothing but the run itself has a clock here.
#[tokio::test(start_paused = true)]
async fn a_sleep_takes_as_long_as_it_says() {
    let began = tokio::time::Instant::now();
    assert_eq!(slept(Log::new(), 10).await.unwrap(), (20, 111));
    let took = began.elapsed();
    assert!(
        took.abs_diff(Duration::from_secs(3600)) < Duration::from_secs(1),
        "{took:?}"
    );
}

/// Time is paused only where nobody waits for the store, whose thread has no part in it.
#[tokio::test]
async fn a_value_is_carried_through_a_sleep_in_which_the_process_dies() {
    for is_shut_down in [false, true] {
        let log = Log::new();
        let store = Arc::new(MemoryStore::new());
        let killed = over::<Slept>(&store).await;
        let mut events = killed.events();
        let run = killed.run(slept(log, 10)).start().await.unwrap();
        told(&mut events, &run, |kind| {
            matches!(kind, EventKind::TimerSet { .. })
        })
        .await;
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(600)).await;
        if is_shut_down {
            killed.shutdown().await.unwrap();
        }
        let id = run.id();
        drop((run, events, killed));

        assert_eq!(log.ran(), ["first"]);
        let runtime = over::<Slept>(&store).await;
        let run = runtime.handle::<Slept>(id).await.unwrap();
        assert_eq!(run.output().await.unwrap(), (20, 111));
        assert_eq!(log.ran(), ["first", "woken"]);
        runtime.shutdown().await.unwrap();
        tokio::time::resume();
    }
}

workflow! { pub async fn fenced(log: Log) -> u64 {
    let above = held(log, "above", 1);
    let beside = give(log, "beside", 2);
    sleep(30s);
    let below = give(log, "below", 3);
    above + beside + below
} }

#[tokio::test(start_paused = true)]
async fn a_sleep_holds_what_is_below_it_until_all_above_it_is_done() {
    let log = Log::new();
    let run = watch_with(fenced(log), async |_| {
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(log.ran(), ["above begins", "beside"]);
        log.open();
    })
    .await;
    assert_eq!(*run.value(), 6);
    assert_eq!(log.ran(), ["above begins", "beside", "above", "below"]);
    assert_eq!(run.told_of("waits"), ["sleep"]);
}

workflow! { pub async fn sums_ten(log: Log) -> u64 {
    let mut sum = 0;
    let mut round = 0;
    while round < 10 {
        let number = signal::<u64>("number");
        sum = give(log, &format!("round {round}"), sum + number);
        round += 1;
    }
    sum
} }

#[tokio::test]
async fn each_round_is_given_a_signal_of_its_own() {
    let log = Log::new();
    let run = watch_with(sums_ten(log), async |run| {
        for _ in 0..10 {
            run.signal(SumsTen::NUMBER, 42).await.unwrap();
        }
    })
    .await;
    assert_eq!(*run.value(), 420);
    assert_eq!(log.ran().len(), 10);
    assert_eq!(run.told_of("consumed").len(), 10);
}

workflow! { pub async fn waits_late(log: Log) -> u64 {
    let first = held(log, "first", 100);
    let number: u64 = signal("number").after(first);
    give(log, "last", first + number)
} }

#[tokio::test]
async fn a_signal_that_came_before_the_wait_is_there_at_once() {
    let log = Log::new();
    let run = watch_with(waits_late(log), async |run| {
        run.signal(WaitsLate::NUMBER, 7).await.unwrap();
        log.open();
    })
    .await;
    assert_eq!(*run.value(), 107);
    let expected = [
        "first started",
        "number received",
        "first succeeded",
        "number consumed",
        "give started",
        "give succeeded",
    ];
    assert_eq!(run.told, expected);
}

workflow! { pub async fn uses_late(log: Log) -> u64 {
    let first = held(log, "first", 100);
    let number: u64 = signal("number").after(first);
    held(log, "last", first + number)
} }

/// Received, or even consumed, but not used yet when the process dies.
#[tokio::test]
async fn a_signal_is_given_out_once_whenever_the_process_dies() {
    for is_waited_for in [false, true] {
        let log = Log::new();
        let store = Arc::new(MemoryStore::new());
        let killed = over::<UsesLate>(&store).await;
        let run = killed.run(uses_late(log)).start().await.unwrap();
        if is_waited_for {
            log.open();
            while log.ran().len() < 2 {
                tokio::task::yield_now().await;
            }
        }
        run.signal(UsesLate::NUMBER, 7).await.unwrap();
        if is_waited_for {
            while log.ran().len() < 3 {
                tokio::task::yield_now().await;
            }
        }
        run.signal(UsesLate::NUMBER, 900).await.unwrap();
        let id = run.id();
        drop((run, killed));

        log.open();
        log.open();
        let runtime = over::<UsesLate>(&store).await;
        let run = runtime.handle::<UsesLate>(id).await.unwrap();
        assert_eq!(run.output().await.unwrap(), 107);
        runtime.shutdown().await.unwrap();
        let consumed = store.load(id).unwrap().unwrap().steps;
        let records = consumed.iter().flat_map(|step| &step.records);
        let consumed =
            records.filter(|record| matches!(record, zahir_store::Record::SignalConsumed { .. }));
        assert_eq!(consumed.count(), 1);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    Yes { by: String },
    No,
}

#[job]
pub async fn publish(log: Log, by: &str) -> String {
    log.note("publish");
    format!("published by {by}")
}

workflow! { pub async fn reviewed(log: Log) -> String {
    let verdict = signal::<Verdict>("verdict").timeout(1d);
    match verdict {
        Ok(Verdict::Yes { by }) => publish(log, &by),
        Ok(Verdict::No) => { give(log, "reject", 0); format!("rejected") }
        Err(TimedOut) => { give(log, "remind", 0); format!("nobody answered") }
    }
} }

#[tokio::test(start_paused = true)]
async fn a_wait_without_a_signal_has_a_value_too() {
    let log = Log::new();
    let run = watch(reviewed(log)).await;
    assert_eq!(run.value(), "nobody answered");
    assert_eq!(log.ran(), ["remind"]);
    assert_eq!(run.told_of("timed out"), ["verdict"]);
}

#[tokio::test]
async fn what_was_sent_is_matched_on() {
    let yes = Verdict::Yes {
        by: "Ada".to_owned(),
    };
    for (verdict, output, ran) in [
        (yes, "published by Ada", "publish"),
        (Verdict::No, "rejected", "reject"),
    ] {
        let log = Log::new();
        let run = watch_with(reviewed(log), async |run| {
            run.signal(Reviewed::VERDICT, verdict).await.unwrap();
        })
        .await;
        assert_eq!(
            (run.value().as_str(), log.ran()),
            (output, vec![ran.to_owned()])
        );
        assert_eq!(run.told_of("timed out"), [""; 0]);
    }
}

workflow! { pub async fn two_waits(log: Log) -> (u64, u64, Vec<u64>) {
    let gate = held(log, "gate", 0);
    let second: u64 = signal("number").after(gate);
    let first: u64 = signal("number").after(gate);
    let rest = for _ in 0..3 { signal::<u64>("number").after(first) };
    (second, first, rest)
} }

#[tokio::test]
async fn waits_side_by_side_are_given_signals_in_program_order() {
    for is_sent_first in [true, false] {
        let log = Log::new();
        let run = watch_with(two_waits(log), async |run| {
            if !is_sent_first {
                log.open();
                while log.ran().len() < 2 {
                    tokio::task::yield_now().await;
                }
            }
            for number in 1..=5 {
                run.signal(TwoWaits::NUMBER, number).await.unwrap();
            }
            log.open();
        })
        .await;
        assert_eq!(*run.value(), (1, 2, vec![3, 4, 5]), "{:?}", run.told);
    }
}

#[tokio::test]
async fn a_signal_that_does_not_fit_is_refused_and_says_why() {
    let log = Log::new();
    let run = watch_with(waits_late(log), async |run| {
        let error = run.signal_named("numbre", &1_u64).await.unwrap_err();
        assert!(
            matches!(&error, SignalError::Unknown { known, .. } if *known == ["number"]),
            "{error}"
        );
        for error in [
            run.signal_named("number", "seven").await.unwrap_err(),
            run.signal_named("number", &Verdict::No).await.unwrap_err(),
        ] {
            assert!(matches!(error, SignalError::Unfit { .. }), "{error}");
            assert!(error.to_string().contains("u64"), "{error}");
        }
        run.signal_named("number", &7_u64).await.unwrap();
        log.open();
        run.output().await.unwrap();
        let error = run.signal(WaitsLate::NUMBER, 8).await.unwrap_err();
        assert!(matches!(error, SignalError::Over { .. }), "{error}");
    })
    .await;
    assert_eq!(*run.value(), 107);
    assert_eq!(run.told_of("received").len(), 1);
}

#[tokio::test]
async fn a_run_that_an_earlier_process_ended_takes_no_signal() {
    let log = Log::new();
    let store = Arc::new(MemoryStore::new());
    let runtime = over::<WaitsLate>(&store).await;
    let run = runtime.run(waits_late(log)).start().await.unwrap();
    run.cancel("not needed").await.unwrap();
    runtime.shutdown().await.unwrap();
    let error = run.signal(WaitsLate::NUMBER, 8).await.unwrap_err();
    assert!(matches!(error, SignalError::Over { .. }), "{error}");
    let runtime = over::<WaitsLate>(&store).await;
    let run = runtime.handle::<WaitsLate>(run.id()).await.unwrap();
    let error = run.signal(WaitsLate::NUMBER, 8).await.unwrap_err();
    assert!(matches!(error, SignalError::Over { .. }), "{error}");
}

workflow! { pub async fn needs_a_signal() -> u64 { signal::<u64>("number") } }

#[tokio::test]
async fn nobody_can_send_a_signal_to_a_call_that_is_awaited() {
    let error = needs_a_signal().await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::NoSender);
}

workflow! { pub async fn raced(log: Log) -> String {
    let won = race((forever(log, "job"), signal::<u64>("stop"), { sleep(1h); give(log, "late", 1); sleep(1h); }));
    match won {
        Race3::First(value) => format!("job {value}"),
        Race3::Second(number) => { let stopped = give(log, "stopped", number); format!("stopped {stopped}") }
        Race3::Third(()) => format!("slept"),
    }
} }

#[tokio::test]
async fn a_signal_wins_a_race_and_the_job_is_dropped() {
    let log = Log::new();
    let run = watch_with(raced(log), async |run| {
        while log.ran().is_empty() {
            tokio::task::yield_now().await;
        }
        run.signal(Raced::STOP, 3).await.unwrap();
    })
    .await;
    assert_eq!(run.value(), "stopped 3");
    assert_eq!(run.told_of("won by 1"), ["won"]);
    assert_eq!(log.ran_sorted(), ["job", "job dropped", "stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_wins_a_race_when_nothing_else_ends() {
    let log = Log::new();
    let run = watch(raced(log)).await;
    assert_eq!(run.value(), "slept");
    assert_eq!(log.ran_sorted(), ["job", "job dropped", "late"]);
}

workflow! { pub async fn job_wins(log: Log) -> u64 {
    let won = race((signal::<u64>("stop"), give(log, "job", 5), sleep(1h)));
    let value = match won { Race3::First(number) => number, Race3::Second(value) => value, Race3::Third(()) => 0 };
    let next: u64 = signal("stop");
    value * 10 + next
} }

#[tokio::test]
async fn a_race_that_a_job_won_takes_no_signal() {
    let log = Log::new();
    let run = watch_with(job_wins(log), async |run| {
        while run.progress().done() == 0 {
            tokio::task::yield_now().await;
        }
        run.signal(JobWins::STOP, 7).await.unwrap();
    })
    .await;
    assert_eq!(*run.value(), 57);
    assert_eq!(run.told_of("won by 1"), ["won"]);
}

workflow! { pub async fn gives_back(log: Log) -> u64 {
    let won = race((forever(log, "slow"), { sleep(1s); 7 }));
    let value = match won { Race2::First(value) | Race2::Second(value) => value };
    give(log, "next", value)
} }

#[tokio::test(start_paused = true)]
async fn what_lost_a_race_gives_its_slot_back() {
    let log = Log::new();
    let runtime = Runtime::in_memory()
        .workflow::<GivesBack>()
        .jobs_max(1)
        .start()
        .await
        .unwrap();
    let run = runtime.run(gives_back(log)).start().await.unwrap();
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!(log.ran_sorted(), ["next", "slow", "slow dropped"]);
    runtime.shutdown().await.unwrap();
}

workflow! { pub async fn cleans_after_losing(log: Log) -> u64 {
    let won = race((
        { { forever(log, "slow") }.finally(held(log, "clean", 0)) },
        signal::<u64>("stop"),
    ));
    let value = match won { Race2::First(value) | Race2::Second(value) => value };
    give(log, "next", value)
} }

#[tokio::test]
async fn what_lost_a_race_is_cleaned_up_before_the_race_is_over() {
    let log = Log::new();
    let run = watch_with(cleans_after_losing(log), async |run| {
        while log.ran().is_empty() {
            tokio::task::yield_now().await;
        }
        run.signal(CleansAfterLosing::STOP, 3).await.unwrap();
        while !log.ran().contains(&"clean begins".to_owned()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(run.progress().running(), 1);
        log.open();
    })
    .await;
    assert_eq!(*run.value(), 3);
    let mut ran = log.ran();
    ran.retain(|line| line != "slow dropped");
    assert_eq!(ran, ["slow", "clean begins", "clean", "next"]);
}

workflow! { pub async fn failing_race(log: Log) -> u64 {
    race((fail(log, "bad"), forever(log, "slow"))).rescue(|failure| { let told = give(log, failure.message(), 3); Race2::First(told) });
    let tried = race((forever(log, "slow too"), { fail(log, "worse") })).result();
    match &tried { Ok(_) => 0, Err(failure) => failure.job().len() as u64 }
} }

#[tokio::test]
async fn an_entry_that_fails_fails_the_race() {
    let log = Log::new();
    let run = watch(failing_race(log)).await;
    assert_eq!(*run.value(), "tried/race/fail".len() as u64);
    let mut ran = log.ran_sorted();
    ran.retain(|line| !line.starts_with("slow"));
    assert_eq!(ran, ["bad", "bad is lost", "worse"]);
    let error = watch(only_a_race(log)).await.output.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::Error));
}
workflow! { pub async fn only_a_race(log: Log) -> u64 {
    let won = race((fail(log, "bad"), forever(log, "slow")));
    match won { Race2::First(value) | Race2::Second(value) => value }
} }
