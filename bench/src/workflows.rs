//! The workflows that are measured. Their jobs do nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zahir::{job, workflow};

#[job]
pub async fn step(value: u64) -> u64 {
    value + 1
}

#[job]
pub async fn range(width: u64) -> Vec<u64> {
    (0..width).collect()
}

#[job]
pub async fn sum(values: &[u64]) -> u64 {
    values.iter().sum()
}

workflow! {
    pub async fn five(from: u64) -> u64 {
        let a = step(from);
        let b = step(a);
        let c = step(b);
        let d = step(c);
        step(d)
    }
}

workflow! {
    pub async fn ten(from: u64) -> u64 {
        let a = five(from);
        five(a)
    }
}

workflow! {
    pub async fn hundred(from: u64) -> u64 {
        let a = ten(from);
        let b = ten(a);
        let c = ten(b);
        let d = ten(c);
        let e = ten(d);
        let f = ten(e);
        let g = ten(f);
        let h = ten(g);
        let i = ten(h);
        ten(i)
    }
}

workflow! {
    /// A thousand jobs in a row.
    pub async fn thousand(from: u64) -> u64 {
        let a = hundred(from);
        let b = hundred(a);
        let c = hundred(b);
        let d = hundred(c);
        let e = hundred(d);
        let f = hundred(e);
        let g = hundred(f);
        let h = hundred(g);
        let i = hundred(h);
        hundred(i)
    }
}

workflow! {
    pub async fn fan(width: u64) -> u64 {
        let values = for value in 0..width {
            step(value)
        };
        sum(&values)
    }
}

static HOLDS: AtomicBool = AtomicBool::new(false);
static HELD: AtomicU64 = AtomicU64::new(0);

/// Whether [`stay`] stays.
pub fn hold(holds: bool) {
    HELD.store(0, Ordering::SeqCst);
    HOLDS.store(holds, Ordering::SeqCst);
}

/// Until so many jobs stay.
pub async fn all_held(count: u64) {
    while HELD.load(Ordering::SeqCst) < count {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// Never ends while jobs are held.
#[job]
pub async fn stay(value: u64) -> u64 {
    if HOLDS.load(Ordering::SeqCst) {
        HELD.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    value
}

workflow! {
    pub async fn held(from: u64) -> u64 {
        let a = step(from);
        let b = step(a);
        let c = stay(b);
        let d = step(c);
        step(d)
    }
}

workflow! {
    pub async fn held_fan(width: u64) -> u64 {
        let values = for value in 0..width {
            stay(value)
        };
        sum(&values)
    }
}
