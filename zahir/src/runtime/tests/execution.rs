//! What happens to jobs: panics, time-outs, retries, cancels, limits, and where they run.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_chain_ends_with_its_output() {
    let mut flow = Flow::new("chain");
    for at in 0..100 {
        flow = flow.job("next", &[at], add(1));
    }
    let flow = flow.build();
    let runtime = in_memory(&flow).await;
    let run = begin(&runtime, &flow, &[5]).await;
    assert_eq!(run.output().await.unwrap(), [105]);
    assert_eq!(
        run.output().await.unwrap(),
        [105],
        "it can be asked for again"
    );
    assert_eq!(run.progress().done(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_joins_in_item_order() {
    let flow = Flow::new("fan").each("all", 0, wait(Duration::from_secs(1), 1));
    let flow = flow.job("sum", &[1], add(0)).build();
    let runtime = in_memory(&flow).await;
    let items: Vec<u64> = (0..1000).collect();
    let run = begin(&runtime, &flow, &items).await;
    assert_eq!(
        run.output().await.unwrap(),
        [items.iter().sum::<u64>() + 1000]
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_over_a_store() {
    let flow = Flow::new("fan").each("all", 0, add(1));
    let flow = flow.job("sum", &[1], add(0)).build();
    let store = TestStore::default();
    let runtime = over(&store, &flow).await;
    let items: Vec<u64> = (0..1000).collect();
    let run = begin(&runtime, &flow, &items).await;
    assert_eq!(
        run.output().await.unwrap(),
        [items.iter().sum::<u64>() + 1000]
    );
    runtime.shutdown().await.unwrap();
}
