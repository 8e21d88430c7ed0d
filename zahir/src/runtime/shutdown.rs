//! How a runtime ends: in order, at once, or dropped.
//!
//! In order: no more runs are taken, jobs under way may finish until the deadline, then they are
//! dropped and recorded as interrupted, everything is written, and the store is closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::runtime::core::Core;
use crate::runtime::run::{Left, Message};

/// How long after the deadline the last records may take to be written. A job that blocks its
/// thread can't be dropped; it is left behind.
const GRACE: Duration = Duration::from_secs(5);

/// How long dropping a runtime waits for its store to close.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// Ends a runtime in order.
pub(crate) async fn shut_down(core: &Arc<Core>, limit: Duration) -> Result<(), Error> {
    core.live.close();
    core.live.tell(|| Message::Stop);
    if !is_emptied_within(core, limit).await {
        tracing::warn!(
            target: "zahir",
            ?limit,
            "jobs did not finish before the shutdown's deadline: they are interrupted"
        );
        core.live.tell(|| Message::Interrupt);
        if !is_emptied_within(core, GRACE).await {
            tracing::error!(target: "zahir", "a job blocks its thread: it is left behind");
            core.live.tell(|| Message::Leave(Left::Stopped));
        }
    }
    close(core);
    core.threads.ended().await;
    match core.halted() {
        Some(halted) => Err(Error::Halted(halted.clone())),
        None => Ok(()),
    }
}

async fn is_emptied_within(core: &Core, limit: Duration) -> bool {
    // The deadline is set once, whatever the runs do meanwhile.
    match Instant::now().checked_add(limit) {
        Some(deadline) => tokio::time::timeout_at(deadline, core.live.emptied())
            .await
            .is_ok(),
        None => {
            core.live.emptied().await;
            true
        }
    }
}

/// Ends a runtime that was dropped. What was queued is written; nothing else is recorded.
pub(crate) fn abandon(core: &Core) {
    core.live.close();
    core.live.tell(|| Message::Leave(Left::Stopped));
    close(core);
    core.threads.join(DROP_PATIENCE);
}

fn close(core: &Core) {
    core.hub.close();
    core.writer.close();
    core.reader.close();
}
