//! Reads of the store, on a thread of their own: no async worker ever waits for the disk, and
//! tokio's blocking pool, which jobs may fill, is not needed.

use std::sync::{Mutex, mpsc};

use tokio::sync::oneshot;
use zahir_store::{Store, StoreError, StoreErrorKind};

use crate::runtime::run::lock;
use crate::runtime::writer::guard;

pub(crate) type Questions = mpsc::Receiver<Question>;

pub(crate) type Question = Box<dyn FnOnce(&dyn Store) + Send>;

/// The reader's end that everybody else sees.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    questions: Mutex<Option<mpsc::Sender<Question>>>,
}

impl Reader {
    /// The reader, and what its thread is to be given.
    pub(crate) fn new() -> (Self, Questions) {
        let (sender, receiver) = mpsc::channel();
        let reader = Self {
            questions: Mutex::new(Some(sender)),
        };
        (reader, receiver)
    }

    /// Asks the store. At most one question per caller is under way.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |store| {
            let result = guard(|| question(store));
            // Whoever asked may be gone.
            drop(answer.send(result));
        });
        let is_sent = match &*lock(&self.questions) {
            Some(questions) => questions.send(question).is_ok(),
            None => false,
        };
        if !is_sent {
            return Err(closed());
        }
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.questions).is_none()
    }

    /// Lets the thread end when it has answered what was asked.
    pub(crate) fn close(&self) {
        drop(lock(&self.questions).take());
    }
}

fn closed() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unusable,
        "the runtime is shut down, and its store is closed",
    )
}

/// The reader's thread.
pub(crate) fn read(questions: &Questions, store: &dyn Store) {
    while let Ok(question) = questions.recv() {
        question(store);
    }
}
