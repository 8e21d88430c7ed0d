//! What is wrong is said, with what to do about it, and nothing is lost.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use expect_test::{Expect, expect};
use serde::{Deserialize, Deserializer, Serialize, de};
use zahir::{Runtime, job, workflow};

#[job]
pub async fn double(value: u64) -> u64 {
    value * 2
}

workflow! {
    pub async fn doubled(value: u64) -> u64 {
        double(value)
    }
}

/// The whole chain of causes, with the folder's own name left out.
fn told(error: &dyn Error, folder: &Path) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  caused by: {error}"));
        cause = error.source();
    }
    let text = text.replace(&folder.display().to_string(), "<folder>");
    without_sizes(&text)
}

/// How large a file is depends on when it was last made smaller.
fn without_sizes(text: &str) -> String {
    let mut parts = text.split("_len=");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told.push_str("_len=..");
        told.push_str(part.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    told
}

async fn refused(folder: &Path, path: &Path, expected: Expect) {
    let before = std::fs::read(path).ok();
    let error = Runtime::open(path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap_err();
    expected.assert_eq(&told(&error, folder));
    assert_eq!(std::fs::read(path).ok(), before, "the file is as it was");
}

#[tokio::test]
async fn a_path_that_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    refused(
        folder.path(),
        &at("folder"),
        expect![[r#"
        the store can't be used
          caused by: <folder>/folder is a folder: give the path of a file in it"#]],
    )
    .await;
    refused(folder.path(), &at("missing").join("runs.redb"), expect![[r#"
        the store can't be used
          caused by: the folder of <folder>/missing/runs.redb does not exist: make it or choose another path
          caused by: No such file or directory (os error 2)"#]]).await;
    std::fs::write(at("notes.txt"), "call the plumber\n".repeat(1_000)).unwrap();
    refused(folder.path(), &at("notes.txt"), expect![[r#"
        the store can't be used
          caused by: <folder>/notes.txt is not a zahir store, or its beginning is lost: nothing was changed; choose another path or restore a backup"#]]).await;
    std::fs::write(at("empty.redb"), "").unwrap();
    refused(folder.path(), &at("empty.redb"), expect![[r#"
        the store can't be used
          caused by: <folder>/empty.redb exists and is empty: delete it, so that a store can be made there, or choose another path"#]]).await;
}

#[tokio::test]
async fn a_store_that_is_open_is_refused_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.redb");
    let first = Runtime::open(&path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap();
    let second = Runtime::open(&path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap_err();
    expect![[r#"
        the store can't be used
          caused by: <folder>/runs.redb is open in another process, or twice in this one: one runtime at a time can work on a store; end the other one or choose another path"#]].assert_eq(&told(&second, folder.path()));
    assert_eq!(
        first
            .run(doubled(4))
            .start()
            .await
            .unwrap()
            .output()
            .await
            .unwrap(),
        8
    );
    first.shutdown().await.unwrap();
    Runtime::open(&path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap()
        .shutdown()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_damaged_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.redb");
    let runtime = Runtime::open(&path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap();
    runtime
        .run(doubled(4))
        .start()
        .await
        .unwrap()
        .output()
        .await
        .unwrap();
    runtime.shutdown().await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(folder.path(), &path, expect![[r#"
        the store can't be used
          caused by: <folder>/runs.redb is damaged: redb finds it corrupt; keep a copy of it and restore a backup
          caused by: DB corrupted: File truncated below stored layout: file_len=.., layout_len=.."#]]).await;
}

#[job]
pub async fn length(text: &str) -> usize {
    text.len()
}

#[job]
pub async fn repeat(times: usize) -> String {
    "x".repeat(times)
}

workflow! {
    pub async fn measured(text: String, times: usize) -> usize {
        let long = repeat(times);
        let sum = length(&text);
        let other = length(&long);
        sum + other
    }
}

#[tokio::test]
async fn values_above_the_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.redb");
    let builder = Runtime::open(&path)
        .workflow::<Measured>()
        .value_bytes_max(1_000);
    let runtime = builder.start().await.unwrap();
    let long = "y".repeat(2_000);
    let error = runtime
        .run(measured(long, 1))
        .key("big")
        .start()
        .await
        .unwrap_err();
    expect!["the input of `it::bad_inputs::measured` has 2028 bytes; `value_bytes_max` allows 1000: raise it, or pass a reference to where the data is"].assert_eq(&told(&error, folder.path()));
    assert!(
        runtime.find::<Measured>("big").await.unwrap().is_none(),
        "nothing was started"
    );

    let run = runtime
        .run(measured("y".into(), 2_000))
        .start()
        .await
        .unwrap();
    let error = run.output().await.unwrap_err();
    expect!["node `long` failed: the output of `long` has 2003 bytes; `value_bytes_max` allows 1000: raise it, or pass a reference to where the data is"].assert_eq(&told(&error, folder.path()).replace(&run.id().to_string(), "<run>"));
    runtime.shutdown().await.unwrap();
}

/// A type that a new version of the program can't read any more.
#[derive(Clone, Debug, Serialize)]
pub struct Fragile(u64);

static IS_BROKEN: AtomicBool = AtomicBool::new(false);
static IS_HELD: AtomicBool = AtomicBool::new(true);

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if IS_BROKEN.load(Ordering::SeqCst) {
            return Err(de::Error::custom("missing field `currency`"));
        }
        u64::deserialize(deserializer).map(Self)
    }
}

#[job]
pub async fn quote(value: u64) -> Fragile {
    Fragile(value)
}

#[job]
pub async fn approve(quote: &Fragile) -> u64 {
    if IS_HELD.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    quote.0
}

workflow! {
    pub async fn purchase(value: u64) -> u64 {
        let quote = quote(value);
        approve(&quote)
    }
}

#[tokio::test]
async fn an_output_that_no_longer_decodes_parks_its_run_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.redb");
    let open = || {
        Runtime::open(&path)
            .workflow::<Purchase>()
            .workflow::<Doubled>()
            .start()
    };
    let runtime = open().await.unwrap();
    let run = runtime.run(purchase(7)).key("desk").start().await.unwrap();
    while run.progress().done() == 0 {
        tokio::task::yield_now().await;
    }
    runtime
        .shutdown_within(std::time::Duration::ZERO)
        .await
        .unwrap();

    IS_BROKEN.store(true, Ordering::SeqCst);
    let runtime = open().await.unwrap();
    let [problem] = runtime.recovered().problems() else {
        panic!("one problem")
    };
    assert_eq!(problem.run(), run.id());
    expect!["run <run> of `it::bad_inputs::purchase` can't go on: the recorded value of node `quote` can't be decoded: `it::bad_inputs::Fragile`: missing field `currency`; it is kept as it is"].assert_eq(&problem.to_string().replace(&run.id().to_string(), "<run>"));
    assert_eq!(
        runtime
            .run(doubled(4))
            .start()
            .await
            .unwrap()
            .output()
            .await
            .unwrap(),
        8
    );
    runtime.shutdown().await.unwrap();

    // With a program that can read it, the run goes on: its records were not touched.
    IS_BROKEN.store(false, Ordering::SeqCst);
    IS_HELD.store(false, Ordering::SeqCst);
    let runtime = open().await.unwrap();
    assert!(runtime.recovered().problems().is_empty());
    let run = runtime.find::<Purchase>("desk").await.unwrap().unwrap();
    assert_eq!(run.output().await.unwrap(), 7);
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_run_of_a_workflow_that_was_not_given_is_reported_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.redb");
    let error = Runtime::open(&path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap();
    let refused = error.run(wait(1)).start().await.unwrap_err();
    expect!["this runtime does not know the workflow `it::bad_inputs::wait`: add `.workflow::<..>()` for it where the runtime is opened"].assert_eq(&told(&refused, folder.path()));
    error.shutdown().await.unwrap();

    let runtime = Runtime::open(&path)
        .workflow::<Wait>()
        .start()
        .await
        .unwrap();
    let run = runtime.run(wait(1)).start().await.unwrap();
    runtime
        .shutdown_within(std::time::Duration::ZERO)
        .await
        .unwrap();
    let runtime = Runtime::open(&path)
        .workflow::<Doubled>()
        .start()
        .await
        .unwrap();
    let [problem] = runtime.recovered().problems() else {
        panic!("one problem")
    };
    expect!["run <run> of `it::bad_inputs::wait` can't go on: this runtime does not know its workflow: add `.workflow::<..>()` for it where the runtime is opened"].assert_eq(&problem.to_string().replace(&run.id().to_string(), "<run>"));
    runtime.shutdown().await.unwrap();
    let runtime = Runtime::open(&path)
        .workflow::<Wait>()
        .start()
        .await
        .unwrap();
    assert_eq!(runtime.recovered().runs().len(), 1);
    runtime
        .shutdown_within(std::time::Duration::ZERO)
        .await
        .unwrap();
}

#[job]
pub async fn never(value: u64) -> u64 {
    std::future::pending::<()>().await;
    value
}

workflow! {
    pub async fn wait(value: u64) -> u64 {
        never(value)
    }
}
