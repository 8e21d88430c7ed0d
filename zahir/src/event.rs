//! What an observer sees of runs, as it happens.
//!
//! Events are for watching: for a progress display, a log, a metric. An event is seen only after
//! what it tells of is durable. What was not read in time is lost, and its reader is told how much;
//! the store has it all.

mod kind;
mod value;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use zahir_store::{Position, Record, RunId, Timestamp};

pub use kind::EventKind;
pub use value::{EmittedValue, NotDecoded};

use crate::job::children::line::Told;
use crate::runtime::executable::Executable;
use crate::runtime::run::{Run, lock};

/// How many events are kept for slow readers, over all runs of a runtime.
const EVENTS_MAX: usize = 4096;

/// Something that happened in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// The name of its workflow.
    pub workflow: &'static str,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// Events, as they happen. See [`Runtime::events`](crate::Runtime::events).
#[derive(Debug)]
#[must_use = "events are lost unless they are read"]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    /// The run that is watched; `None` for all.
    run: Option<Arc<Run>>,
    is_over: bool,
    hub: Arc<Hub>,
}

/// Events that were not read in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    count: u64,
}

impl Lost {
    /// How many events, over all runs of the runtime.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events were not read in time", self.count)
    }
}

impl std::error::Error for Lost {}

impl Events {
    /// The next event; `None` when the runtime is gone, or when the run that is watched is over.
    ///
    /// # Errors
    ///
    /// If events were not read in time. The next call goes on behind them.
    ///
    /// # Cancel safety
    ///
    /// No event is lost when the future is dropped.
    ///
    /// # Durability
    ///
    /// What an event tells of is on disk, unless the runtime is in memory.
    pub async fn next(&mut self) -> Option<Result<Event, Lost>> {
        while !self.is_over {
            match self.receive().await {
                Ok(event) if self.run.as_ref().is_none_or(|run| run.id == event.run) => {
                    self.is_over = event.is_end() && self.run.is_some();
                    return Some(Ok(event));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => return Some(Err(Lost { count })),
                Err(RecvError::Closed) => self.is_over = true,
            }
        }
        None
    }

    /// The next event of any run. What a run tells is in the channel before it has its outcome: a
    /// run that is over, or was left, tells no more than that.
    async fn receive(&mut self) -> Result<Event, RecvError> {
        let Some(run) = &self.run else {
            return self.receiver.recv().await;
        };
        tokio::select! {
            biased;
            received = self.receiver.recv() => received,
            _ = run.finished() => self.receiver.try_recv().map_err(|error| match error {
                TryRecvError::Empty | TryRecvError::Closed => RecvError::Closed,
                TryRecvError::Lagged(count) => RecvError::Lagged(count),
            }),
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.hub.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands events to whoever reads them.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// Counted here, because asking the channel takes its lock.
    readers: AtomicUsize,
    channel: Mutex<Channel>,
}

#[derive(Debug, Default)]
struct Channel {
    /// Made for the first reader: it takes up memory from the start.
    sender: Option<broadcast::Sender<Event>>,
    is_closed: bool,
}

impl Hub {
    pub(crate) fn subscribe(self: &Arc<Self>, run: Option<Arc<Run>>) -> Events {
        let mut channel = lock(&self.channel);
        let is_closed = channel.is_closed;
        let sender = channel
            .sender
            .get_or_insert_with(|| broadcast::Sender::new(EVENTS_MAX));
        let receiver = sender.subscribe();
        if is_closed {
            channel.sender = None;
        }
        self.readers.fetch_add(1, Ordering::Relaxed);
        Events {
            receiver,
            run,
            is_over: false,
            hub: Arc::clone(self),
        }
    }

    /// Whether anybody reads.
    pub(crate) fn is_watched(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn emit(&self, events: impl Iterator<Item = Event>) {
        let channel = lock(&self.channel);
        if let Some(sender) = &channel.sender {
            for event in events {
                // Without readers there is nobody to tell.
                drop(sender.send(event));
            }
        }
    }

    /// No event will follow.
    pub(crate) fn close(&self) {
        let mut channel = lock(&self.channel);
        channel.is_closed = true;
        channel.sender = None;
    }
}

/// The events of one run whose records are not durable yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    events: VecDeque<(u64, Event)>,
}

impl Pending {
    /// Keeps what these records tell until append `seq` is durable.
    pub(crate) fn keep(
        &mut self,
        seq: u64,
        run: (RunId, &Executable),
        at: Timestamp,
        records: &[Record],
    ) {
        let (run, executable) = run;
        let events = records.iter().filter_map(|record| {
            let event = Event {
                run,
                workflow: executable.name,
                at,
                kind: EventKind::of(record, executable)?,
            };
            Some((seq, event))
        });
        self.events.extend(events);
    }

    /// Everything up to append `seq` is durable. That the run is over is told by `finish`: nodes of
    /// it may have been skipped, of which there is no record.
    pub(crate) fn release(&mut self, seq: u64, hub: &Hub) {
        let count = self
            .events
            .partition_point(|(of, event)| *of <= seq && !event.is_end());
        if count > 0 {
            hub.emit(self.events.drain(..count).map(|(_, event)| event));
        }
    }

    /// The run is over.
    pub(crate) fn finish(&mut self, hub: &Hub) {
        if !self.events.is_empty() {
            hub.emit(self.events.drain(..).map(|(_, event)| event));
        }
    }
}

impl Event {
    const fn is_end(&self) -> bool {
        matches!(self.kind, EventKind::RunFinished { .. })
    }

    /// What a job tells. There is no record of that either.
    pub(crate) fn told(
        run: (RunId, &Executable),
        at: Timestamp,
        node: &Position,
        told: Told,
    ) -> Self {
        let (run, executable) = run;
        Self {
            run,
            workflow: executable.name,
            at,
            kind: EventKind::of_told(executable.path(node).into(), told),
        }
    }

    /// A node will not run. There is no record of that: it follows from another.
    pub(crate) fn skipped(run: (RunId, &Executable), at: Timestamp, node: &Position) -> Self {
        let (run, executable) = run;
        let node = executable.path(node).into();
        Self {
            run,
            workflow: executable.name,
            at,
            kind: EventKind::Skipped { node },
        }
    }
}
