//! Signals: values that are sent to a run from outside.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// The name of a signal that carries a `T`.
///
/// `workflow!` makes one for each signal that a workflow waits for: `signal::<Approval>("approve")`
/// in `onboard` is `Onboard::APPROVE`. The constant has the visibility of the workflow.
///
/// ```
/// use zahir::{Signal, TimedOut, job, workflow};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// pub struct Approval { by: String }
///
/// #[job]
/// async fn publish(text: &str, approval: &Approval) -> String {
///     format!("{text} ({})", approval.by)
/// }
///
/// workflow! {
///     pub async fn article(text: String) -> String {
///         let approval = signal::<Approval>("approve").timeout(3d);
///         match approval {
///             Ok(approval) => publish(&text, &approval),
///             Err(TimedOut) => "nobody read it".to_owned(),
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let runtime = zahir::Runtime::in_memory().workflow::<Article>().start().await?;
/// let run = runtime.run(article("zahir".to_owned())).start().await?;
/// let approve: Signal<Approval> = Article::APPROVE;
/// run.signal(approve, Approval { by: "Ada".to_owned() }).await?;
/// assert_eq!(run.output().await?, "zahir (Ada)");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Signal<T> {
    name: &'static str,
    payload: PhantomData<fn(T)>,
}

impl<T> Signal<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            payload: PhantomData,
        }
    }

    /// The name, as it is written in the workflow.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Signal<T> {}

impl<T> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.name).finish()
    }
}

/// No signal came in time: what a wait with `.timeout(..)` gives then, as in [`Signal`]'s example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "it says all there is to say")]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no signal came in time")
    }
}

impl std::error::Error for TimedOut {}
