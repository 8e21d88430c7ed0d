//! Very much of something: large results at once, wide and deep workflows, a key that is too long.

use std::sync::Arc;

use tokio::sync::Barrier;
use zahir::{Runtime, job, workflow};
use zahir_store::{MemoryStore, Store};

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
