//! Very much of something: large results at once, and a workflow that goes deep.

use std::sync::Arc;

use tokio::sync::Barrier;
use zahir::{RunErrorKind, Runtime, job, workflow};
use zahir_store::{FailureKind, MemoryStore, Store};

/// How many results of a mebibyte there are at once: more than a store takes in one append.
const LARGE: u64 = 80;

static TOGETHER: std::sync::OnceLock<Barrier> = std::sync::OnceLock::new();

#[job]
pub async fn numbers(count: u64) -> Vec<u64> {
    (0..count).collect()
}

/// Ends when all of them do.
#[job]
pub async fn large(number: u64) -> String {
    let together = TOGETHER.get_or_init(|| Barrier::new(usize::try_from(LARGE).unwrap()));
    together.wait().await;
    char::from(b'a' + u8::try_from(number % 26).unwrap())
        .to_string()
        .repeat(1 << 20)
}

#[job]
pub async fn lengths(texts: &[String]) -> u64 {
    texts.iter().map(|text| text.len() as u64).sum()
}

workflow! {
    pub async fn much(count: u64) -> u64 {
        let numbers = numbers(count);
        let texts = for number in numbers {
            large(number)
        };
        lengths(&texts)
    }
}

#[tokio::test]
async fn many_large_results_at_once_are_kept() {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::with_store(Arc::clone(&store)).workflow::<Much>();
    let runtime = runtime.start().await.unwrap();
    let run = runtime.run(much(LARGE)).start().await.unwrap();
    assert_eq!(run.output().await.unwrap(), LARGE << 20);
    runtime.shutdown().await.unwrap();
    let stored = store.load(run.id()).unwrap().unwrap();
    assert!(stored.steps.len() > 3);
}

#[job]
pub async fn one_less(number: u64) -> Vec<u64> {
    number.checked_sub(1).into_iter().collect()
}

#[job]
pub async fn one_more(numbers: &[u64]) -> u64 {
    numbers.iter().sum::<u64>() + 1
}

workflow! {
    /// Calls itself, until there is nothing to go over.
    pub async fn deep(number: u64) -> u64 {
        let less = one_less(number);
        let depths = for number in less {
            deep(number)
        };
        one_more(&depths)
    }
}

#[tokio::test]
async fn a_workflow_that_calls_itself_too_deep_fails_and_harms_nobody() {
    let store = Arc::new(MemoryStore::new());
    for runtime in [
        Runtime::in_memory(),
        Runtime::with_store(Arc::clone(&store)),
    ] {
        let runtime = runtime.workflow::<Deep>().start().await.unwrap();
        let far = runtime.run(deep(1_000)).start().await.unwrap();
        let error = far.output().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Failed(FailureKind::TooLarge));
        let text = error.to_string();
        assert!(text.contains("`depths[0]/deep/depths[0]/deep/"), "{text}");
        assert!(text.contains("/../"), "{text}");
        assert!(text.ends_with("256 deep here, and no deeper"), "{text}");
        let near = runtime.run(deep(100)).start().await.unwrap();
        assert_eq!(near.output().await.unwrap(), 101);
        runtime.shutdown().await.unwrap();
    }
}
