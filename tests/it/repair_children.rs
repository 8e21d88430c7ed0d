//! Repairs of runs whose jobs have children: what runs again, how often, and what comes out.

use std::sync::atomic::{AtomicU64, Ordering};

use zahir::{ChildError, Context, JoinError, RunHandle, Runtime, job, workflow};

use crate::ledger::{break_job, mend, ran, run, test};

#[job]
pub async fn page(test: u64, number: u64) -> Result<u64, String> {
    run(test, &format!("page {number}"))?;
    Ok(number * 10)
}

#[job]
pub async fn bind(test: u64, pages: &[u64]) -> Result<u64, String> {
    run(test, "bind")?;
    Ok(pages.iter().sum())
}

#[job]
pub async fn file(test: u64) -> Result<(), String> {
    run(test, "file")
}

/// Waits for its pages, and leaves one job behind.
#[job(spawns(page, file))]
pub async fn print(ctx: &Context, test: u64, pages: u64) -> Result<u64, JoinError<String>> {
    let _ = run(test, "print");
    let pages = ctx.join_all((0..pages).map(|number| ctx.spawn(page(test, number))));
    let pages = pages.await?;
    drop(ctx.spawn(file(test)));
    Ok(pages.iter().sum())
}

/// Lets another job give the result.
#[job(spawns(page, bind))]
pub async fn publish(ctx: &Context, test: u64, pages: u64) -> Result<u64, String> {
    run(test, "publish")?;
    let pages: Vec<_> = (0..pages)
        .map(|number| ctx.spawn(page(test, number)))
        .collect();
    ctx.continue_as(Bind::of(test, pages)).await
}

#[job]
pub async fn sell(test: u64, book: u64) -> Result<u64, String> {
    run(test, "sell")?;
    Ok(book + 1)
}

workflow! {
    pub async fn printed(test: u64) -> u64 {
        let book = print(test, 3);
        sell(test, book).named("sold")
    }
}

workflow! {
    pub async fn published(test: u64) -> u64 {
        let book = publish(test, 2);
        sell(test, book).named("sold")
    }
}

/// How many reservations there ever were: each is another one.
static RESERVATIONS: AtomicU64 = AtomicU64::new(0);

#[job(undo = release)]
pub async fn reserve(test: u64) -> Result<u64, String> {
    run(test, "reserve")?;
    Ok(RESERVATIONS.fetch_add(1, Ordering::Relaxed))
}

#[job]
pub async fn release(test: u64, _reservation: &u64) -> Result<(), String> {
    run(test, "release")
}

#[job(undo = refund)]
pub async fn charge(test: u64, reservation: u64) -> Result<u64, String> {
    let last = RESERVATIONS.load(Ordering::Relaxed) - 1;
    let which = if reservation == last { "last" } else { "old" };
    run(test, &format!("charge the {which}"))?;
    Ok(1)
}

#[job]
pub async fn refund(test: u64, _reservation: u64, _receipt: &u64) -> Result<(), String> {
    run(test, "refund")
}

#[job(no_undo)]
pub async fn ship(test: u64, receipt: u64) -> Result<u64, String> {
    run(test, "ship")?;
    Ok(receipt)
}

/// What it calls second depends on what came of the first call.
#[job(spawns(reserve, charge), no_undo)]
pub async fn settle(ctx: &Context, test: u64) -> Result<u64, ChildError<String>> {
    let _ = run(test, "settle");
    let reservation = ctx.spawn(reserve(test)).await?;
    ctx.spawn(charge(test, reservation)).await
}

workflow! {
    #[saga]
    pub async fn ordered(test: u64) -> u64 {
        let receipt = settle(test);
        ship(test, receipt)
    }
}

#[job(undo = take_down)]
pub async fn post(test: u64, number: u64) -> Result<u64, String> {
    run(test, "post")?;
    Ok(number)
}

#[job]
pub async fn take_down(test: u64, _number: u64, _posted: &u64) -> Result<(), String> {
    run(test, "take down")
}

/// What follows it is never the same twice.
#[job(spawns(post), undo = revoke)]
pub async fn announce(ctx: &Context, test: u64) -> Result<u64, String> {
    run(test, "announce")?;
    let number = RESERVATIONS.fetch_add(1, Ordering::Relaxed);
    drop(ctx.spawn(post(test, number)));
    Ok(number)
}

#[job]
pub async fn revoke(test: u64, _number: &u64) -> Result<(), String> {
    run(test, "revoke")
}

/// Its first attempt fails behind its child, and the second one calls another child.
#[job(spawns(post), retry = 1, backoff = 0s, no_undo)]
pub async fn insist(ctx: &Context, test: u64) -> Result<u64, String> {
    run(test, "insist")?;
    let attempt = u64::from(ctx.attempt());
    let posted = ctx.spawn(post(test, attempt)).await;
    posted
        .map_err(|error| error.to_string())
        .and_then(|posted| {
            if posted % 2 == 0 {
                Ok(posted)
            } else {
                Err("odd".to_owned())
            }
        })
}

workflow! {
    #[saga]
    pub async fn announced(test: u64) -> u64 {
        let number = announce(test);
        ship(test, number)
    }
}

workflow! {
    #[saga]
    pub async fn insisted(test: u64) -> u64 {
        let number = insist(test);
        ship(test, number)
    }
}

async fn open() -> (Runtime, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let builder = Runtime::open(folder.path().join("runs.redb"));
    let builder = builder.workflow::<Printed>().workflow::<Published>();
    let builder = builder.workflow::<Ordered>();
    let builder = builder.workflow::<Announced>().workflow::<Insisted>();
    (builder.start().await.unwrap(), folder)
}

/// Repairs a run: gives what was told of it, what ran, and what came out.
async fn repaired(test: u64, repair: zahir::Repair<u64>) -> (String, String, RunHandle<u64>) {
    ran(test);
    let told = repair.plan().await.unwrap().to_string();
    let run = repair.start().await.unwrap();
    let output = run.output().await;
    let output = output.map_or_else(|error| error.to_string(), |output| output.to_string());
    (told, format!("{}: {output}", ran(test)), run)
}

#[tokio::test]
async fn a_failed_parent_keeps_its_finished_children() {
    let (test, (runtime, _folder)) = (test(), open().await);
    break_job(test, "page 1");
    let run = runtime.run(printed(test)).start().await.unwrap();
    assert!(run.output().await.is_err());
    assert_eq!(ran(test), "page 0, page 1, page 2, print");
    mend(test);
    let (told, done, run) = repaired(test, run.retry_failed()).await;
    assert_eq!(
        told,
        "kept: `book[0]/page`, `book[2]/page`\nruns again: `book`, `book[1]/page`"
    );
    assert_eq!(done, "file, page 1, print, sell: 31");
    // One child, what asked for it, and what depends on that.
    let (told, done, run) = repaired(test, run.rerun_from("book[1]/page")).await;
    assert_eq!(
        told,
        "kept: `book[0]/page`, `book[2]/page`, `book[3]/file`\n\
         runs again: `book`, `book[1]/page`, `sold`"
    );
    assert_eq!(done, "page 1, print, sell: 31");
    // All of it.
    let (_, done, _) = repaired(test, run.rerun_from("book")).await;
    assert_eq!(done, "file, page 0, page 1, page 2, print, sell: 31");
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_failed_child_that_follows_runs_again_alone() {
    let (test, (runtime, _folder)) = (test(), open().await);
    break_job(test, "file");
    let run = runtime.run(printed(test)).start().await.unwrap();
    assert!(run.output().await.is_err());
    mend(test);
    let repair = run.retry_failed();
    let changes = repair.plan().await.unwrap();
    assert!(changes.runs_again().contains(&"book[3]/file".to_owned()));
    assert!(changes.kept().contains(&"book".to_owned()));
    let (_, done, run) = repaired(test, repair).await;
    assert!(done.starts_with("file") && done.ends_with(": 31"), "{done}");
    assert!(!done.contains("print"), "{done}");
    // And alone also if it is named.
    let (_, done, _) = repaired(test, run.rerun_from("book[3]/file")).await;
    assert_eq!(done, "file: 31");
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_failed_heir_runs_again_and_what_it_is_given_stays() {
    let (test, (runtime, _folder)) = (test(), open().await);
    break_job(test, "bind");
    let run = runtime.run(published(test)).start().await.unwrap();
    assert!(run.output().await.is_err());
    assert_eq!(ran(test), "bind, page 0, page 1, publish");
    mend(test);
    let (told, done, run) = repaired(test, run.retry_failed()).await;
    assert_eq!(
        told,
        "kept: `book`, `book[0]/page`, `book[1]/page`\nruns again: `book[2]/bind`"
    );
    assert_eq!(done, "bind, sell: 11");
    let (_, done, _) = repaired(test, run.rerun_from("book[0]/page")).await;
    assert_eq!(done, "bind, page 0, sell: 11");
    runtime.shutdown().await.unwrap();
}

/// A child is given other inputs than its parent gave it.
#[tokio::test]
async fn a_child_is_given_other_inputs() {
    let (test, (runtime, _folder)) = (test(), open().await);
    let run = runtime.run(printed(test)).start().await.unwrap();
    assert_eq!(run.output().await.unwrap(), 31);
    let repair = run
        .rerun_from("book[1]/page")
        .with(Page { test, number: 7 });
    let (_, done, _) = repaired(test, repair).await;
    assert_eq!(done, "page 7, print, sell: 91");
    runtime.shutdown().await.unwrap();
}

/// What was undone runs again when its parent calls it, with the inputs that the parent gives it then.
#[tokio::test]
async fn what_was_undone_waits_for_its_parent_to_call_it_again() {
    let (test, (runtime, _folder)) = (test(), open().await);
    break_job(test, "ship");
    let run = runtime.run(ordered(test)).start().await.unwrap();
    assert!(run.output().await.is_err());
    assert_eq!(
        ran(test),
        "charge the last, refund, release, reserve, settle, ship"
    );
    mend(test);
    let (_, done, _) = repaired(test, run.retry_failed()).await;
    assert_eq!(done, "charge the last, reserve, settle, ship: 1");
    runtime.shutdown().await.unwrap();
}

/// What follows an attempt that does not count any more, or was replaced by one that failed, is not
/// called again, and does not run.
#[tokio::test]
async fn what_no_attempt_calls_again_does_not_run() {
    let (test, (runtime, _folder)) = (test(), open().await);
    break_job(test, "ship");
    let run = runtime.run(announced(test)).start().await.unwrap();
    assert!(run.output().await.is_err());
    // Whether what follows had begun by then, or not.
    assert!(ran(test).starts_with("announce, "));
    mend(test);
    let run = run.retry_failed().start().await.unwrap();
    assert!(run.output().await.is_ok());
    assert_eq!(ran(test), "announce, post, ship");

    break_job(test, "ship");
    let run = runtime.run(insisted(test)).start().await.unwrap();
    assert!(run.output().await.is_err());
    assert_eq!(ran(test), "insist x2, post x2, ship, take down x2");
    mend(test);
    let run = run.retry_failed().start().await.unwrap();
    assert_eq!(run.output().await.unwrap(), 2);
    assert_eq!(ran(test), "insist x2, post x2, ship");
    runtime.shutdown().await.unwrap();
}

/// Its parent has called another one in its place.
#[tokio::test]
async fn a_child_that_was_replaced_is_not_run_again() {
    let (test, (runtime, _folder)) = (test(), open().await);
    let run = runtime.run(insisted(test)).start().await.unwrap();
    assert_eq!(run.output().await.unwrap(), 2);
    let refused = run.rerun_from("number[0]/post").plan().await.unwrap_err();
    assert!(matches!(refused, zahir::RepairError::Replaced { .. }));
    assert_eq!(
        refused.to_string(),
        "nobody asks for `number[0]/post` any more: the job that did has called another child in its \
         place since"
    );
    let told = run.rerun_from("number[1]/post").plan().await.unwrap();
    assert_eq!(
        told.runs_again(),
        [
            "number".to_owned(),
            "number[1]/post".to_owned(),
            "ship".to_owned()
        ]
    );
    runtime.shutdown().await.unwrap();
}
