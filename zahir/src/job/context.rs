//! Stand-in.
use std::sync::Arc;

use zahir_store::{Attempt, FrameStep, NodeId, RunId};

/// What a running job may ask.
#[derive(Clone, Debug)]
pub struct Context {
    run: RunId,
    name: &'static str,
    frames: Option<Arc<[FrameStep]>>,
    node: NodeId,
    attempt: Attempt,
}

impl Context {
    pub(crate) fn new(
        run: RunId,
        name: &'static str,
        frames: Option<Arc<[FrameStep]>>,
        node: NodeId,
        attempt: Attempt,
    ) -> Self {
        Self {
            run,
            name,
            frames,
            node,
            attempt,
        }
    }

    /// Of no run.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(
            RunId::from_u128(0),
            "",
            None,
            NodeId::new(0),
            Attempt::FIRST,
        )
    }

    /// The attempt.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt.number()
    }
}
