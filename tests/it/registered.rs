//! What comes along when a workflow is registered.

use std::time::Duration;

use zahir::{Payload, Runtime, job, workflow};

#[job]
pub async fn twice(number: u64) -> u64 {
    number * 2
}

#[job]
pub async fn same<T: Payload + Clone>(value: &T) -> T {
    value.clone()
}

#[job]
pub async fn stay(number: u64) -> u64 {
    std::future::pending::<()>().await;
    number
}

workflow! {
    pub async fn inner(number: u64) -> u64 {
        twice(number)
    }
}

workflow! {
    pub async fn outer(number: u64) -> u64 {
        let half = inner(number);
        inner(half)
    }
}

workflow! {
    pub async fn copied<T: Payload + Clone>(value: T, number: u64) -> T {
        let first = same(&value);
        let _wait = stay(number);
        same(&first)
    }
}

/// Workflows that a registered one calls can be started on their own, and go on after a restart.
#[tokio::test]
async fn called_workflows_come_along() {
    let runtime = Runtime::in_memory()
        .workflow::<Outer>()
        .start()
        .await
        .unwrap();
    assert_eq!(
        runtime
            .run(outer(5))
            .start()
            .await
            .unwrap()
            .output()
            .await
            .unwrap(),
        20
    );
    assert_eq!(
        runtime
            .run(inner(5))
            .start()
            .await
            .unwrap()
            .output()
            .await
            .unwrap(),
        10
    );
}

/// Two instances of a generic workflow are two workflows, also in the file.
#[tokio::test]
async fn instances_of_a_generic_workflow_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.redb");
    let open = || {
        let builder = Runtime::open(&path).workflow::<Copied<String>>();
        builder.workflow::<Copied<u64>>().start()
    };
    let runtime = open().await.unwrap();
    let text = runtime
        .run(copied("a".to_owned(), 1))
        .key("one")
        .start()
        .await
        .unwrap();
    let number = runtime
        .run(copied(7_u64, 1))
        .key("one")
        .start()
        .await
        .unwrap();
    assert_ne!(text.id(), number.id());
    runtime.shutdown_within(Duration::ZERO).await.unwrap();

    let runtime = open().await.unwrap();
    assert!(
        runtime.recovered().problems().is_empty(),
        "{:?}",
        runtime.recovered()
    );
    assert_eq!(runtime.recovered().runs().len(), 2);
    let found = runtime.find::<Copied<u64>>("one").await.unwrap().unwrap();
    assert_eq!(found.id(), number.id());
    assert!(
        runtime.handle::<Copied<u64>>(text.id()).await.is_err(),
        "of another type"
    );
    runtime.shutdown_within(Duration::ZERO).await.unwrap();
}
