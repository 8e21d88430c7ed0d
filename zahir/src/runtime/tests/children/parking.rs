//! Attempts that wait for children: they need no slot, and can be woken by others.

use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn four_parents_under_a_limit_of_four_jobs_do_not_stand_still() {
    let _watch = watch();
    for builder in both() {
        let runtime = builder
            .jobs_max(4)
            .workflow::<SumOf>()
            .start()
            .await
            .unwrap();
        let mut runs = Vec::new();
        for n in 0..4 {
            runs.push(runtime.run(sum_of(vec![n, 10, 20])).start().await.unwrap());
        }
        for (n, run) in (0..).zip(&runs) {
            assert_eq!(run.output().await.unwrap(), n + 33);
        }
        assert_eq!(runtime.core().slots.free(), 4);
    }
}

workflow! {
    async fn four_parents(numbers: Vec<u64>) -> Vec<u64> {
        for n in numbers {
            sums(&[n, 10, 20])
        }
    }
}

#[tokio::test]
async fn four_parents_in_one_run_do_not_either() {
    let _watch = watch();
    for jobs_max in [1, 4] {
        for builder in both() {
            let builder = builder.jobs_max(jobs_max).workflow::<FourParents>();
            let runtime = builder.start().await.unwrap();
            let run = runtime
                .run(four_parents(vec![0, 1, 2, 3]))
                .start()
                .await
                .unwrap();
            assert_eq!(run.output().await.unwrap(), [33, 34, 35, 36]);
            assert_eq!(runtime.core().slots.free(), jobs_max);
        }
    }
}

/// Awaits a child beside other things, in several ways.
#[job(spawns(slowly))]
async fn mixes(ctx: &Context, n: u64) -> Result<Vec<u64>, ChildError<Infallible>> {
    let mut seen = Vec::new();
    // A sleep that is over first, and a child that is dropped: it follows.
    tokio::select! {
        late = ctx.spawn(slowly(n + 5)) => seen.push(late?),
        () = tokio::time::sleep(Duration::from_secs(1)) => seen.push(1),
    }
    // The same, but it is awaited again.
    let mut child = ctx.spawn(slowly(n));
    tokio::select! {
        early = &mut child => seen.push(early?),
        () = tokio::time::sleep(Duration::from_secs(1)) => seen.push(2),
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    seen.push(child.await?);
    // Both at once, in a task of its own, and behind a channel.
    let child = ctx.spawn(slowly(n));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = tokio::runtime::Handle::current().spawn(async move {
        let n = child.await.map_or(0, |n| n);
        sender.send(n).ok();
        n
    });
    let other = ctx.spawn(slowly(n - 1));
    let (sent, other) = tokio::join!(receiver, other);
    seen.extend([sent.unwrap_or(0), other?, task.await.unwrap_or(0)]);
    // Many, polled by wakers of their own.
    let many = (0..40).map(|_| ctx.spawn(slowly(1)));
    let many = futures_util::future::join_all(many).await;
    seen.push(many.into_iter().filter_map(Result::ok).sum());
    Ok(seen)
}

workflow! {
    async fn mixed(n: u64) -> Vec<u64> {
        mixes(n)
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_can_be_awaited_beside_anything() {
    let _watch = watch();
    let expected = [1, 2, 4, 4, 3, 4, 40];
    assert_eq!(mixed(4).await.unwrap(), expected);
    for builder in both() {
        let runtime = builder
            .jobs_max(100)
            .workflow::<Mixed>()
            .start()
            .await
            .unwrap();
        let run = runtime.run(mixed(4)).start().await.unwrap();
        assert_eq!(run.output().await.unwrap(), expected);
        assert_eq!(runtime.core().slots.free(), 100);
    }
}

/// Takes a second of its own, twice, and waits an hour in between.
#[job(timeout = 3s, spawns(slowly))]
async fn patient(ctx: &Context, own: u64) -> Result<u64, ChildError<Infallible>> {
    tokio::time::sleep(Duration::from_secs(own)).await;
    let n = ctx.spawn(slowly(3600)).await?;
    tokio::time::sleep(Duration::from_secs(own)).await;
    Ok(n)
}

workflow! {
    async fn waits_long(own: u64) -> u64 {
        patient(own)
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_an_attempt_is_parked_is_none_of_its_own() {
    let _watch = watch();
    let began = Instant::now();
    assert_eq!(waits_long(1).await.unwrap(), 3600);
    let error = waits_long(2).await.unwrap_err();
    assert_eq!(error.message(), "it took longer than its `timeout` of 3s");
    assert_eq!(began.elapsed().as_secs(), 3602 + 2 + 3600 + 1);
}

workflow! {
    async fn waits_for(name: String) -> u64 {
        awaits(&name)
    }
}

/// Waits for two, one after the other.
#[job(spawns(gated))]
async fn awaits(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
    trace(&format!("{name} parent"));
    let (a, b) = (
        ctx.spawn(gated(name, 1)),
        ctx.spawn(gated(&format!("{name} b"), 2)),
    );
    Ok(a.await? + b.await?)
}

#[tokio::test]
async fn a_cancel_ends_parents_and_children() {
    let _watch = watch();
    for (n, builder) in both().into_iter().enumerate() {
        let name = format!("cancel {n}");
        let runtime = builder
            .jobs_max(2)
            .workflow::<WaitsFor>()
            .start()
            .await
            .unwrap();
        let run = runtime.run(waits_for(name.clone())).start().await.unwrap();
        until(|| traced(&format!("{name} b")) == 1).await;
        assert_eq!(run.cancel("enough").await.unwrap(), RunStatus::Cancelled);
        assert_eq!(runtime.core().slots.free(), 2);
    }
}

#[tokio::test]
async fn a_shutdown_drops_what_is_parked_and_lets_children_end() {
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<WaitsFor>(&store).await;
    let name = "shutdown";
    let run = runtime
        .run(waits_for(name.to_owned()))
        .start()
        .await
        .unwrap();
    until(|| traced("shutdown b") == 1).await;
    let ending = {
        let runtime = runtime.clone();
        tokio::runtime::Handle::current().spawn(async move { runtime.shutdown().await })
    };
    until(|| runtime.core().live.is_closed()).await;
    open(name);
    open("shutdown b");
    ending.await.unwrap().unwrap();
    assert_eq!(run.status(), RunStatus::Running);
    let again = knowing::<WaitsFor>(&store).await;
    let run = again.handle::<WaitsFor>(run.id()).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 3);
    assert_eq!((traced(name), traced("shutdown b")), (1, 1));
    assert_eq!(traced("shutdown parent"), 2);
}

#[tokio::test]
async fn a_shutdown_that_drops_children_counts_no_crash() {
    let _watch = watch();
    let store = TestStore::default();
    let name = "short shutdowns";
    let mut id = None;
    for _ in 0..5 {
        let runtime = knowing::<WaitsFor>(&store).await;
        let before = traced("short shutdowns b");
        if id.is_none() {
            let run = runtime
                .run(waits_for(name.to_owned()))
                .start()
                .await
                .unwrap();
            id = Some(run.id());
        }
        until(|| traced("short shutdowns b") > before).await;
        runtime
            .shutdown_within(Duration::from_millis(1))
            .await
            .unwrap();
    }
    open(name);
    open("short shutdowns b");
    let runtime = knowing::<WaitsFor>(&store).await;
    let run = runtime.handle::<WaitsFor>(id.unwrap()).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 3);
}

/// Panics, aborts nothing, and is retried, while a child is under way.
#[job(retry = 1, backoff = 1ms, spawns(gated))]
async fn panics_first(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
    let a = ctx.spawn(gated(name, 1));
    let b = ctx.spawn(gated(&format!("{name} b"), 2));
    let b = b.await?;
    assert!(ctx.attempt() > 1, "the first attempt");
    Ok(a.await? + b)
}

workflow! {
    async fn panicking(name: String) -> u64 {
        panics_first(&name)
    }
}

#[tokio::test]
async fn the_next_attempt_is_given_what_the_last_one_asked_for() {
    let _watch = watch();
    for (n, builder) in both().into_iter().enumerate() {
        let name = format!("again {n}");
        let runtime = builder.workflow::<Panicking>().start().await.unwrap();
        let run = runtime.run(panicking(name.clone())).start().await.unwrap();
        until(|| traced(&name) == 1).await;
        open(&format!("{name} b"));
        let mut events = run.events();
        drop(events.next());
        tokio::time::sleep(Duration::from_millis(20)).await;
        open(&name);
        assert_eq!(run.output().await.unwrap(), 3);
        assert_eq!((traced(&name), traced(&format!("{name} b"))), (1, 1));
    }
}

/// Has five seconds, in all.
#[job(total_timeout = 5s, spawns(slowly))]
async fn hasty(ctx: &Context, n: u64) -> Result<u64, ChildError<Infallible>> {
    ctx.spawn(slowly(n)).await
}

workflow! {
    async fn hastens(n: u64) -> u64 {
        hasty(n)
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_an_attempt_is_parked_counts_for_all_of_them() {
    let _watch = watch();
    assert_eq!(hastens(4).await.unwrap(), 4);
    let error = hastens(6).await.unwrap_err();
    assert!(error.message().contains("`total_timeout` of 5s"), "{error}");
}

/// Fails at first, and is slow then.
#[job]
async fn flaky(ctx: &Context, time: u64) -> Result<u32, String> {
    if ctx.attempt() == 1 {
        return Err("the first attempt".into());
    }
    tokio::time::sleep(Duration::from_secs(time)).await;
    Ok(ctx.attempt())
}

#[job(spawns(flaky))]
async fn limits(ctx: &Context, time: u64) -> Vec<String> {
    let children = [
        ctx.spawn(flaky(time)),
        ctx.spawn(flaky(time)).retry(1),
        ctx.spawn(flaky(time))
            .retry(1)
            .timeout(Duration::from_secs(2)),
        ctx.spawn(flaky(time))
            .retry(1)
            .total_timeout(Duration::from_secs(9)),
    ];
    let ends = ctx.join_settled(children).await;
    let told = |end: Result<u32, ChildError<String>>| match end {
        Ok(attempt) => attempt.to_string(),
        Err(error) => format!("{:?}", error.failure().kind()),
    };
    ends.into_iter().map(told).collect()
}

workflow! {
    async fn limited(time: u64) -> Vec<String> {
        limits(time)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_says_how_its_child_is_tried() {
    let _watch = watch();
    assert_eq!(limited(1).await.unwrap(), ["Error", "2", "2", "2"]);
    assert_eq!(limited(3).await.unwrap(), ["Error", "2", "TimedOut", "2"]);
    assert_eq!(limited(20).await.unwrap()[3], "TimedOut");
}
