//! What a process finds of children that one before it has left.

use zahir_store::{Record, RunId};

use super::*;
use crate::job::Job as _;
use crate::runtime::recovery::{OnChange, ProblemKind};
use crate::workflow::WorkflowDef;

/// Awaits two, and has a value kept before.
#[job(spawns(gated))]
async fn careful(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
    trace(&format!("{name} begun"));
    let drawn = ctx
        .record("drawn", || trace(&format!("{name} drawn")))
        .await;
    let (a, b) = (
        ctx.spawn(gated(&format!("{name} a"), 10)),
        ctx.spawn(gated(&format!("{name} b"), 100)),
    );
    Ok(drawn + a.await? + b.await?)
}

workflow! {
    async fn carefully(name: String) -> u64 {
        careful(&name)
    }
}

#[tokio::test]
async fn a_parent_that_is_killed_finds_its_children_again() {
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<Carefully>(&store).await;
    let run = runtime
        .run(carefully("killed".to_owned()))
        .start()
        .await
        .unwrap();
    until(|| traced("killed b") == 1).await;
    open("killed a");
    let is_done = |record: &Record| matches!(record, Record::AttemptSucceeded { at, .. } if !at.frames.is_empty());
    until(|| store.records(run.id()).iter().any(is_done)).await;
    drop(runtime);
    until(|| store.holders() == 1).await;
    let runtime = knowing::<Carefully>(&store).await;
    let run = runtime.handle::<Carefully>(run.id()).await.unwrap();
    until(|| traced("killed b") == 2).await;
    open("killed b");
    assert_eq!(run.output().await.unwrap(), 111);
    let traces = ["begun", "drawn", "a", "b"].map(|what| traced(&format!("killed {what}")));
    assert_eq!(traces, [2, 1, 1, 2]);
}

#[tokio::test]
async fn cut_after_any_append_nothing_that_is_recorded_runs_again() {
    let _watch = watch();
    // What a whole run leaves, append by append.
    let store = TestStore::default();
    for gate in ["cut a", "cut b"] {
        super::gate(gate).add_permits(1000);
    }
    let appends = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&appends);
    store.on_append(move |batch| {
        seen.lock().unwrap().extend(batch.iter().cloned());
        Ok(())
    });
    let runtime = knowing::<Carefully>(&store).await;
    let run = runtime
        .run(carefully("cut".to_owned()))
        .start()
        .await
        .unwrap();
    let whole = run.output().await.unwrap();
    runtime.shutdown().await.unwrap();
    let appends = appends.lock().unwrap().clone();
    assert!(appends.len() > 3, "{}", appends.len());
    for cut in 1..appends.len() {
        let store = TestStore::default();
        store.write_behind(&appends[..cut]);
        let records = store.records(run.id());
        let was_drawn = records
            .iter()
            .any(|record| matches!(record, Record::ValueKept { .. }));
        let before = traced("cut drawn");
        let runtime = knowing::<Carefully>(&store).await;
        let run = runtime.handle::<Carefully>(run.id()).await.unwrap();
        let drawn = traced("cut drawn").max(before);
        let output = run.output().await.unwrap();
        let expected = if was_drawn {
            whole
        } else {
            whole - 1 + traced("cut drawn")
        };
        assert_eq!(output, expected, "cut behind append {cut}, drawn {drawn}");
        runtime.shutdown().await.unwrap();
    }
}

#[job(spawns(gated, plus_one))]
async fn fickle(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
    let nth = trace(&format!("{name} begun"));
    let changed = traced(&format!("{name} kind")) > 0;
    if changed {
        return ctx.spawn(plus_one(nth)).await;
    }
    ctx.spawn(gated(name, nth)).await
}

workflow! {
    async fn fickly(name: String) -> u64 {
        fickle(&name)
    }
}

#[tokio::test]
async fn a_parent_that_spawns_something_else_is_told_both() {
    const NAME: &str = "fickle";
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<Fickly>(&store).await;
    let run = runtime
        .run(fickly("fickle".to_owned()))
        .start()
        .await
        .unwrap();
    until(|| traced("fickle") == 1).await;
    drop(runtime);
    until(|| store.holders() == 1).await;
    let runtime = knowing::<Fickly>(&store).await;
    let run = runtime.handle::<Fickly>(run.id()).await.unwrap();
    // The child ends before the run does.
    until(|| traced(NAME) == 2).await;
    open(NAME);
    let error = run.output().await.unwrap_err();
    assert_eq!(error.node(), Some("fickle"));
    let told = error.message().replace(concat!(module_path!(), "::"), "");
    let told = told.replace("zahir::runtime::tests::children::", "");
    assert_eq!(
        told,
        "child 0 of this job is on record as `gated(name: \"fickle\", n: 1)`, and this attempt spawned \
         `gated(name: \"fickle\", n: 2)`: a job that runs again has to spawn the same children. Make \
         what its children depend on the result of a job before it, or `ctx.record(..)` it, or give \
         each child a `.key(..)` that tells it apart"
    );
}

#[tokio::test]
async fn another_kind_is_something_else_too() {
    const NAME: &str = "kinds";
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<Fickly>(&store).await;
    let run = runtime
        .run(fickly("kinds".to_owned()))
        .start()
        .await
        .unwrap();
    until(|| traced("kinds") == 1).await;
    drop(runtime);
    until(|| store.holders() == 1).await;
    trace("kinds kind");
    let runtime = knowing::<Fickly>(&store).await;
    let run = runtime.handle::<Fickly>(run.id()).await.unwrap();
    // The child ends before the run does.
    until(|| traced(NAME) == 2).await;
    open(NAME);
    let error = run.output().await.unwrap_err().to_string();
    assert!(error.contains("plus_one(n: 2)`"), "{error}");
}

#[tokio::test]
async fn an_heir_is_found_again() {
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<HandedOver>(&store).await;
    let name = "heir again";
    let run = runtime
        .run(handed_over(name.to_owned(), vec![2, 4]))
        .start()
        .await
        .unwrap();
    until(|| traced(name) == 1).await;
    drop(runtime);
    until(|| store.holders() == 1).await;
    let runtime = knowing::<HandedOver>(&store).await;
    until(|| traced(name) == 2).await;
    open(name);
    let run = runtime.handle::<HandedOver>(run.id()).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 106);
    assert_eq!(traced("heir again begun"), 1, "it is over");
}

/// What a value was, and is.
#[job(spawns(gated))]
async fn retyped(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
    if trace(&format!("{name} begun")) == 1 {
        ctx.record("value", || "text".to_owned()).await;
        return ctx.spawn(gated(name, 1)).await;
    }
    Ok(ctx.record("value", || 5_u64).await)
}

workflow! {
    async fn retypes(name: String) -> u64 {
        retyped(&name)
    }
}

#[tokio::test]
async fn a_kept_value_of_another_type_fails_the_attempt() {
    let _watch = watch();
    let store = TestStore::default();
    let runtime = knowing::<Retypes>(&store).await;
    let run = runtime
        .run(retypes("retyped".to_owned()))
        .start()
        .await
        .unwrap();
    until(|| traced("retyped") == 1).await;
    drop(runtime);
    until(|| store.holders() == 1).await;
    let runtime = knowing::<Retypes>(&store).await;
    until(|| traced("retyped") == 2).await;
    open("retyped");
    let run = runtime.handle::<Retypes>(run.id()).await.unwrap();
    let error = run.output().await.unwrap_err().to_string();
    assert!(
        error.contains("the value `value` that was kept can't be decoded"),
        "{error}"
    );
}

/// Keeps a value without spawning anything.
#[job(retry = 2, backoff = 1ms)]
async fn keeps(ctx: &Context, name: &str) -> Result<u64, String> {
    let drawn = ctx.record("drawn", || trace(name)).await;
    let same = ctx.record("drawn", || trace(name)).await;
    if ctx.attempt() < 3 {
        return Err("again".into());
    }
    Ok(drawn + same)
}

workflow! {
    async fn keeping(name: String) -> u64 {
        keeps(&name)
    }
}

#[tokio::test]
async fn a_value_is_computed_once() {
    let _watch = watch();
    for (n, builder) in both().into_iter().enumerate() {
        let runtime = builder.workflow::<Keeping>().start().await.unwrap();
        let run = runtime
            .run(keeping(format!("kept {n}")))
            .start()
            .await
            .unwrap();
        assert_eq!(run.output().await.unwrap(), 2);
    }
    assert_eq!(keeping("kept inline".to_owned()).await.unwrap(), 2);
    assert!(keeps("kept alone").await.is_err());
    assert_eq!(traced("kept alone"), 2, "nothing is kept outside of a run");
}

/// The same run, by a program whose job spawns something else.
mod before {
    use super::super::*;

    #[job(name = "renamed::child")]
    pub(super) async fn old_child(name: &str) -> u64 {
        trace(name);
        gate(name).acquire().await.unwrap().forget();
        1
    }

    #[job(name = "renamed::parent", spawns(old_child))]
    pub(super) async fn parent(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
        ctx.spawn(old_child(name)).await
    }

    workflow! {
        pub(super) async fn renamed(name: String) -> u64 {
            parent(&name)
        }
    }
}

mod after {
    use super::super::*;

    #[job(name = "renamed::other_child")]
    pub(super) async fn new_child(name: &str) -> u64 {
        u64::try_from(name.len()).unwrap()
    }

    #[job(name = "renamed::parent", spawns(new_child))]
    pub(super) async fn parent(ctx: &Context, name: &str) -> Result<u64, ChildError<Infallible>> {
        ctx.spawn(new_child(name)).await
    }

    workflow! {
        pub(super) async fn renamed(name: String) -> u64 {
            parent(&name)
        }
    }
}

/// A runtime over a run of `before` that was killed while its child was under way, with `after` in its
/// place.
async fn renamed(name: &str, on_change: OnChange) -> (Runtime, RunId) {
    let store = TestStore::default();
    let runtime = knowing::<before::Renamed>(&store).await;
    let run = runtime.run(before::renamed(name.to_owned())).start();
    let run = run.await.unwrap().id();
    until(|| traced(name) == 1).await;
    drop(runtime);
    until(|| store.holders() == 1).await;
    let mut executable = Executable::of(&WorkflowDef::of::<after::Renamed>());
    executable.name = before::Renamed::name();
    let builder = Runtime::with_store(store).on_change(on_change);
    let runtime = builder.executable(&Arc::new(executable)).start().await;
    (runtime.unwrap(), run)
}

#[tokio::test]
async fn a_child_of_a_kind_that_is_gone_is_told_by_name() {
    let _watch = watch();
    let (runtime, run) = renamed("gone", OnChange::Refuse).await;
    let problem = &runtime.recovered().problems()[0];
    assert_eq!(problem.run(), run);
    let kind = problem.kind();
    assert!(
        matches!(kind, ProblemKind::DefinitionChanged { .. }),
        "{problem}"
    );
    assert!(problem.to_string().contains("renamed::child"), "{problem}");
}

#[tokio::test]
async fn a_parent_whose_kinds_have_changed_runs_again() {
    let _watch = watch();
    let (runtime, run) = renamed("migrated", OnChange::Migrate).await;
    assert!(
        runtime.recovered().problems().is_empty(),
        "{:?}",
        runtime.recovered()
    );
    let changes = runtime.recovered().runs()[0].changes().unwrap().to_string();
    assert!(changes.contains("parent"), "{changes}");
    let run = runtime.handle::<before::Renamed>(run).await.unwrap();
    assert_eq!(run.output().await.unwrap(), 8);
}
