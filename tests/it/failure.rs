//! What the guide says of failures, and does not show.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;

use expect_test::expect;
use serde::{Deserialize, Serialize, Serializer};
use zahir::{EventKind, Failure, RunErrorKind, Runtime, RuntimeBuilder, Workflow, job, workflow};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Odd {
    is_fatal: bool,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd")
    }
}

impl std::error::Error for Odd {}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Text(#[serde(serialize_with = "write")] String);

fn write<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if text == "unencodable" {
        return Err(serde::ser::Error::custom("no"));
    }
    serializer.serialize_str(text)
}

fn text(text: impl Into<String>) -> Text {
    Text(text.into())
}

/// How often each case was begun.
static BEGUN: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

async fn fail(case: &str) -> Result<Text, Odd> {
    *BEGUN.lock().unwrap().entry(case.to_owned()).or_default() += 1;
    let (what, _) = case.split_once('/').expect("the case and who asks");
    match what {
        "error" => Err(Odd { is_fatal: false }),
        "fatal" => Err(Odd { is_fatal: true }),
        "panic" => panic!("at the disco"),
        "timed out" => std::future::pending().await,
        "too large" => Ok(text("x".repeat(3 << 20))),
        other => Ok(text(other)),
    }
}

fn is_passing(error: &Odd) -> bool {
    !error.is_fatal
}

fn accept(case: &str) -> Result<(), String> {
    if case.starts_with("refused") {
        return Err("not this".to_owned());
    }
    Ok(())
}

fn approve(text: &Text) -> Result<(), String> {
    if text.0 == "unverified" {
        return Err("not that".to_owned());
    }
    Ok(())
}

#[job(retry = 1, backoff = 0s, timeout = 20ms, retry_if = is_passing, check = accept, verify = approve)]
async fn alone(case: &str) -> Result<Text, Odd> {
    fail(case).await
}

#[job(retry = 1, backoff = 0s, timeout = 20ms, retry_if = is_passing, check = accept, verify = approve, recover = of_any)]
async fn with_any(case: &str) -> Result<Text, Odd> {
    fail(case).await
}

#[job(retry = 1, backoff = 0s, timeout = 20ms, retry_if = is_passing, check = accept, verify = approve, recover = of_odd)]
async fn with_odd(case: &str) -> Result<Text, Odd> {
    fail(case).await
}

#[job]
async fn of_any(failure: &Failure, _case: &str) -> Text {
    text(format!("{:?}", failure.kind()))
}

#[job]
async fn of_odd(_error: &Odd, _case: &str) -> Text {
    text("odd")
}

workflow! { async fn fails(case: String) -> Text { alone(&case) } }
workflow! { async fn recovers_any(case: String) -> Text { with_any(&case) } }
workflow! { async fn recovers_odd(case: String) -> Text { with_odd(&case) } }
workflow! { async fn rescues_any(case: String) -> Text {
    { alone(&case) }.rescue(|failure| of_any(&failure, &case))
} }
workflow! { async fn rescues_odd(case: String) -> Text {
    alone(&case).rescue(|error: Odd| of_odd(&error, &case))
} }
workflow! { async fn altogether(case: String) -> Text {
    alone(&case).timeout(1h).total_timeout(20ms).retry(forever)
} }
workflow! { async fn altogether_any(case: String) -> Text {
    with_any(&case).timeout(1h).total_timeout(20ms).retry(forever)
} }
workflow! { async fn altogether_odd(case: String) -> Text {
    with_odd(&case).timeout(1h).total_timeout(20ms).retry(forever)
} }

/// Whether the run of `call` ends well.
async fn holds<W: Workflow<Output = Text>>(
    runtime: &Runtime,
    call: zahir::Call<'static, W>,
) -> &'static str {
    match runtime.run(call).start().await.unwrap().output().await {
        Ok(_) => "yes",
        Err(_) => "no",
    }
}

async fn row(runtime: &Runtime, case: &str) -> String {
    let of = |who: &str| format!("{case}/{who}");
    let run = runtime.run(fails(of("fails"))).start().await.unwrap();
    let RunErrorKind::Failed(kind) = run.output().await.unwrap_err().kind() else {
        panic!("{case} does not fail");
    };
    let begun = BEGUN.lock().unwrap().get(&of("fails")).copied();
    let begun = begun.unwrap_or_default();
    let any = holds(runtime, recovers_any(of("any"))).await;
    let odd = holds(runtime, recovers_odd(of("odd"))).await;
    let rescued = holds(runtime, rescues_any(of("rescue"))).await;
    let typed = holds(runtime, rescues_odd(of("rescue odd"))).await;
    let kind = format!("{kind:?}");
    format!("{case:<11}  {kind:<11}  {begun}  {any:<3} {odd:<3}  {rescued:<3} {typed}\n")
}

fn open(file: &Path) -> RuntimeBuilder {
    Runtime::open(file)
        .workflow::<Fails>()
        .workflow::<RecoversAny>()
        .workflow::<RecoversOdd>()
        .workflow::<RescuesAny>()
        .workflow::<RescuesOdd>()
        .workflow::<Altogether>()
        .workflow::<AltogetherAny>()
        .workflow::<AltogetherOdd>()
}

/// The table of the guide: what is retried, and who is given what has failed for good.
#[tokio::test]
async fn the_table_of_what_is_retried_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = open(&folder.path().join("runs.redb")).start().await;
    let runtime = runtime.unwrap();
    let mut table =
        String::from("begun, recovered from any and typed, rescued from any and typed:\n");
    for case in [
        "error",
        "fatal",
        "panic",
        "timed out",
        "refused",
        "unverified",
        "too large",
        "unencodable",
    ] {
        table += &row(&runtime, case).await;
    }
    let hang = || "timed out/altogether".to_owned();
    let any = holds(&runtime, altogether_any(hang())).await;
    let odd = holds(&runtime, altogether_odd(hang())).await;
    let alone = holds(&runtime, altogether(hang())).await;
    let begun = BEGUN.lock().unwrap().get(&hang()).copied();
    let begun = begun.unwrap_or_default();
    // Once each, or not at all if the time was over before the job was polled.
    assert!(begun <= 3, "{begun}");
    table += &format!("altogether   {any} {odd}, alone {alone}\n");
    runtime.shutdown().await.unwrap();
    expect![[r#"
        begun, recovered from any and typed, rescued from any and typed:
        error        Error        2  yes yes  yes yes
        fatal        Error        1  yes yes  yes yes
        panic        Panic        2  yes no   yes no
        timed out    TimedOut     2  yes no   yes no
        refused      Refused      0  yes no   yes no
        unverified   Unverified   2  yes no   yes no
        too large    TooLarge     2  yes no   yes no
        unencodable  Unencodable  2  yes no   yes no
        altogether   yes no, alone no
    "#]]
    .assert_eq(&table);
}

#[job(at_most_once)]
async fn hang_once() -> u64 {
    std::future::pending().await
}
#[job(at_most_once, recover = count)]
async fn hang_once_recovered() -> u64 {
    std::future::pending().await
}
#[job]
async fn hang() -> u64 {
    std::future::pending().await
}
#[job(recover = count)]
async fn hang_recovered() -> u64 {
    std::future::pending().await
}
#[job]
async fn count(failure: &Failure) -> u64 {
    u64::from(failure.attempt())
}

workflow! { async fn once() -> u64 { hang_once() } }
workflow! { async fn once_recovered() -> u64 { hang_once_recovered() } }
workflow! { async fn once_rescued() -> u64 { { hang_once() }.rescue(|failure| count(&failure)) } }
workflow! { async fn deadly() -> u64 { hang() } }
workflow! { async fn deadly_recovered() -> u64 { hang_recovered() } }
workflow! { async fn deadly_rescued() -> u64 { { hang() }.rescue(|failure| count(&failure)) } }

/// Each workflow in a file of its own, in a process that dies again and again.
fn dies<W: Workflow<Output = u64>>(call: fn() -> zahir::Call<'static, W>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let open = || Runtime::open(folder.path().join("runs.redb")).workflow::<W>();
    let tokio = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    for life in 0.. {
        let ended = tokio().block_on(async {
            let runtime = open().start().await.unwrap();
            let mut events = runtime.events();
            let run = runtime.run(call()).key("1").start().await.unwrap();
            let started = async {
                while let Some(event) = events.next().await {
                    match event.unwrap().kind {
                        EventKind::AttemptStarted { node, .. } if node.contains("hang") => return,
                        // It won't hang again.
                        EventKind::RecoveryBegan { .. } => break,
                        _ => {}
                    }
                }
                std::future::pending().await
            };
            tokio::select! {
                biased;
                output = run.output() => Some(output.map_err(|error| error.kind())),
                () = started => None,
            }
        });
        if let Some(ended) = ended {
            return format!("{life} {ended:?}");
        }
    }
    unreachable!()
}

#[test]
fn what_dies_with_the_process_is_tried_again_unless_it_is_known_better() {
    let ended = [
        dies(once),
        dies(once_recovered),
        dies(once_rescued),
        dies(deadly),
        dies(deadly_recovered),
        dies(deadly_rescued),
    ];
    expect![[r#"
        1 Err(Failed(Interrupted))
        1 Ok(1)
        1 Ok(1)
        3 Err(Failed(Poisoned))
        3 Ok(3)
        3 Ok(3)"#]]
    .assert_eq(&ended.join("\n"));
}

/// Versions of one workflow, which have one name, as they are in one module.
mod versions {
    use super::*;
    use std::path::PathBuf;

    macro_rules! version {
        ($name:ident, $holds:expr, { $($program:tt)* }, $call:ident ( $($input:expr),* )) => {
            pub(super) fn $name(file: PathBuf) -> String {
                $($program)*
                run_version::<Order>($call($($input),*), &file, $holds)
            }
        };
    }

    fn run_version<W: Workflow>(call: zahir::Call<'static, W>, file: &Path, holds: bool) -> String
    where
        W::Output: fmt::Debug,
    {
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        tokio.enable_all().build().unwrap().block_on(async {
            let runtime = Runtime::open(file).workflow::<W>().start().await.unwrap();
            let mut events = runtime.events();
            if holds {
                drop(runtime.run(call).key("1").start().await.unwrap());
                while let Some(event) = events.next().await {
                    if matches!(event.unwrap().kind, EventKind::AttemptSucceeded { .. }) {
                        break;
                    }
                }
                runtime.shutdown().await.unwrap();
                return String::new();
            }
            let recovered = runtime.recovered();
            let mut told = String::new();
            for run in recovered.runs() {
                match run.changes() {
                    Some(changes) => told += &format!("{changes}"),
                    None => told += "as it was",
                }
            }
            for problem in recovered.problems() {
                told += &format!("{:?}", problem.kind());
            }
            runtime.shutdown().await.unwrap();
            told.replace('\n', "; ")
        })
    }

    version!(
        first,
        true,
        {
            #[job]
            async fn twice(number: u64) -> u64 {
                number * 2
            }
            workflow! { async fn order(number: u64) -> u64 {
                let doubled = twice(number + 1);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                twice(more + gate)
            } }
        },
        order(7)
    );
    version!(
        same,
        false,
        {
            #[job(retry = 3)]
            async fn twice(number: u64) -> u64 {
                number * 3
            }
            workflow! { async fn order(number: u64) -> u64 {
                let double = twice(number + 1).retry(2);
                let more = double + 1;
                let gate = signal::<u64>("go");
                twice(more + gate).named("last")
            } }
        },
        order(7)
    );
    version!(
        narrow,
        false,
        {
            #[job]
            async fn twice(number: u64) -> u64 {
                number * 2
            }
            workflow! { async fn order(number: u32) -> u64 {
                let doubled = twice(u64::from(number) + 1);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                twice(more + gate)
            } }
        },
        order(7)
    );
    version!(
        wider,
        false,
        {
            #[job]
            async fn twice(number: u64) -> u64 {
                number * 2
            }
            workflow! { async fn order(number: u64, other: u64) -> u64 {
                let doubled = twice(number + 1);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                twice(more + gate + other)
            } }
        },
        order(7, 8)
    );
    version!(
        texts,
        false,
        {
            #[job]
            async fn twice(number: u64) -> u64 {
                number * 2
            }
            workflow! { async fn order(number: String) -> u64 {
                let doubled = twice(number.len() as u64 + 1);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                twice(more + gate)
            } }
        },
        order(String::new())
    );
    version!(
        sum,
        false,
        {
            #[job]
            async fn twice(number: u64) -> u64 {
                number * 2
            }
            workflow! { async fn order(number: u64) -> u64 {
                let doubled = twice(number + 2);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                twice(more + gate)
            } }
        },
        order(7)
    );
    version!(
        output,
        false,
        {
            #[job]
            async fn twice(number: u64) -> u64 {
                number * 2
            }
            workflow! { async fn order(number: u64) -> String {
                let doubled = twice(number + 1);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                twice(more + gate).to_string()
            } }
        },
        order(7)
    );
    version!(
        moved,
        false,
        {
            mod inner {
                #[zahir::job]
                pub async fn twice(number: u64) -> u64 {
                    number * 2
                }
            }
            workflow! { async fn order(number: u64) -> u64 {
                let doubled = inner::twice(number + 1);
                let more = doubled + 1;
                let gate = signal::<u64>("go");
                inner::twice(more + gate)
            } }
        },
        order(7)
    );
}

#[test]
fn the_table_of_changes_is_right() {
    let mut table = String::new();
    for (name, version) in [
        ("same", versions::same as fn(_) -> _),
        ("moved", versions::moved),
        ("sum", versions::sum),
        ("narrow", versions::narrow),
        ("wider", versions::wider),
        ("texts", versions::texts),
        ("output", versions::output),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs.redb");
        versions::first(file.clone());
        let told = version(file);
        table += &format!("{name}: {told}\n");
    }
    expect![[r#"
        same: kept: `double`
        moved: runs again: `doubled`
        sum: runs again: `doubled`
        narrow: runs again: `doubled`
        wider: Undecodable { at: "the inputs", reason: "`it::failure::versions::wider::Order`: no input `other`" }
        texts: Undecodable { at: "the inputs", reason: "`alloc::string::String`: `number`: invalid type: integer `7`, expected a string" }
        output: kept: `doubled`
    "#]].assert_eq(&table);
}
