//! Every form of a job, in a crate that denies every warning.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]

use zahir::{Context, Job, Payload, job};

/// Jobs of another module.
pub mod jobs {
    use zahir::job;

    /// Adds.
    #[job]
    pub async fn add(left: u64, right: u64) -> u64 {
        left + right
    }

    /// A raw name, an old one.
    #[job(name = "jobs::old", crate = zahir)]
    #[deprecated(note = "use `add`")]
    pub async fn r#type(r#in: &str) -> String {
        r#in.to_owned()
    }

    #[cfg(any())]
    #[job]
    pub async fn absent(missing: Missing) -> Missing {}
}

use jobs::add;

/// Everything at once.
#[job(retry = 3, backoff = 100ms..10s, timeout = 1h30m, tags = ["a", "b"], version = 2)]
#[must_use]
#[allow(clippy::needless_return)]
pub async fn all(ctx: &Context, list: &[u8], text: &str, mut number: u32, pair: (u8, Option<u8>)) -> std::io::Result<usize> {
    number += ctx.attempt();
    return Ok(list.len() + text.len() + number as usize + usize::from(pair.0));
}

#[job]
async fn nothing() {}

#[job]
async fn sized<T: Payload + Clone, const N: usize>(values: &Vec<T>) -> Vec<T>
where
    T: PartialEq,
{
    values.iter().take(N).cloned().collect()
}

/// Called as one of std's that have no size.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Path {
    points: Vec<u64>,
}

#[job(once)]
async fn walk(path: &Path, by: &str) -> usize {
    path.points.len() + by.len()
}

#[job]
async fn countdown(from: u64) -> u64 {
    if from == 0 { 0 } else { countdown(from - 1).await }
}

fn main() {
    let call: add = jobs::Add { left: 1, right: 2 };
    assert_eq!((call.left, call.right), (1, 2));
    assert_eq!(<add as Job>::NAME, concat!(module_path!(), "::jobs::add"));
    assert_eq!(jobs::Type::NAME, "jobs::old");
    assert_eq!(All::OPTIONS.retry_max(), 3);
    assert_ne!(Sized::<u8, 1>::name(), Sized::<u16, 1>::name());
    let path = Path { points: vec![1, 2] };
    drop(walk(&path, "train"));
    let _ = (nothing(), countdown(3), sized::<u8, 2>(&vec![]), all(&[], "", 1, (1, None)), add(1, 2));
}
