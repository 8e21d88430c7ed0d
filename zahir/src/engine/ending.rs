//! How a run ends: with its output, with a failure, cancelled, or left for the next process.

use zahir_store::{CancelRequest, Ending, Failure, Position, Record};

use super::action::Action;
use super::frame::{FrameId, Place};
use super::state::{Change, State};
use super::{Engine, Phase};

impl<V: Clone> Engine<V> {
    /// A node instance failed for good, and nothing handles it: the run starts nothing more and
    /// fails when what is under way has ended.
    pub(super) fn fail(&mut self, place: Place, failure: Failure) {
        self.change(place, Change::Failed);
        let position = self.frames.position(place);
        let catcher = self.catcher(place.frame);
        if let Some(frame) = self.frames.get_mut(catcher)
            && frame.failure.is_none()
        {
            frame.failure = Some(Box::new((position, failure)));
        }
        self.drop_waiting();
        self.settle_failure(catcher);
    }

    /// The frame in which the failure of a node in `frame` stops.
    const fn catcher(&self, _frame: FrameId) -> FrameId {
        self.body
    }

    /// Whether the frame, or one around it, has failed.
    pub(super) fn is_failing(&self, id: FrameId) -> bool {
        let mut at = self.frames.get(id);
        while let Some(frame) = at {
            if frame.failure.is_some() {
                return true;
            }
            at = frame.owner.and_then(|owner| self.frames.get(owner.frame));
        }
        false
    }

    /// Forgets what waits for a slot, a timer or an item: none of it will start.
    fn drop_waiting(&mut self) {
        self.ready.clear();
        self.going.clear();
        self.timers.clear();
    }

    /// If the frame that catches failures around `frame` has one, and nothing in it is under way:
    /// ends it.
    pub(super) fn settle_failure(&mut self, frame: FrameId) {
        if !matches!(self.phase, Phase::Going | Phase::Stopping) {
            return;
        }
        let catcher = self.catcher(frame);
        let Some(frame) = self.frames.get(catcher) else {
            return;
        };
        if frame.live > 0 {
            return;
        }
        if let Some(failure) = frame.failure.as_deref() {
            let (at, failure) = failure.clone();
            self.end_failed(Some(at), failure);
        }
    }

    fn end_failed(&mut self, at: Option<Position>, failure: Failure) {
        self.end(Ending::Failed { at, failure }, None);
    }

    /// The body has its value.
    pub(super) fn conclude(&mut self, output: V) {
        match self.phase {
            Phase::Going | Phase::Stopping if self.outbox.is_durable() => {
                self.phase = Phase::Concluding;
                self.outbox.push(Action::EncodeOutput { output });
            }
            Phase::Going | Phase::Stopping => {
                self.end(Ending::Succeeded { output: Vec::new() }, Some(output));
            }
            // Replay concludes when it is over.
            Phase::Replaying | Phase::Concluding | Phase::Ended | Phase::Halted => {}
        }
    }

    /// The run's output is encoded, or can't be.
    pub(super) fn end_concluding(&mut self, result: Result<(V, Vec<u8>), Failure>) {
        if self.phase != Phase::Concluding {
            return;
        }
        match result {
            Ok((value, output)) => self.end(Ending::Succeeded { output }, Some(value)),
            Err(failure) => self.end_failed(None, failure),
        }
    }

    fn end(&mut self, ending: Ending, output: Option<V>) {
        self.phase = Phase::Ended;
        self.drop_waiting();
        self.outbox.record(|| Record::RunFinished(ending.clone()));
        self.outbox.gate(Action::Finish {
            ending,
            attempt: None,
            output,
        });
    }

    /// Ends the run on request. What is under way is dropped once that is durable.
    pub(super) fn cancel(&mut self, reason: String, ticket: u64) {
        if self.phase == Phase::Ended {
            return self.outbox.gate(Action::Answer { ticket });
        }
        self.take_back_starts();
        self.outbox
            .record(|| Record::CancelRequested(CancelRequest { reason }));
        let live = self.live_attempts();
        self.phase = Phase::Ended;
        self.drop_waiting();
        self.outbox
            .record(|| Record::RunFinished(Ending::Cancelled));
        for (place, attempt) in live {
            self.outbox.gate(Action::Abort { place, attempt });
        }
        self.outbox.gate(Action::Answer { ticket });
        self.outbox.gate(Action::Finish {
            ending: Ending::Cancelled,
            attempt: None,
            output: None,
        });
    }

    /// Starts nothing more.
    pub(super) fn stop(&mut self) {
        if self.phase == Phase::Going {
            self.phase = Phase::Stopping;
            self.take_back_starts();
            self.drop_waiting();
        }
    }

    /// Attempts that are on record but were not handed out never were: they are interrupted.
    fn take_back_starts(&mut self) {
        for start in self.outbox.take_starts() {
            let Action::Start { place, attempt, .. } = start else {
                continue;
            };
            self.shift_live(place.frame, false);
            self.progress.running = self.progress.running.saturating_sub(1);
            self.change(place, Change::Interrupted);
            self.outbox.record(|| Record::AttemptInterrupted {
                at: self.frames.position(place),
                attempt,
            });
        }
    }

    fn live_attempts(&self) -> Vec<(Place, zahir_store::Attempt)> {
        let mut live = Vec::new();
        for (id, frame) in self.frames.iter() {
            for (slot, instance) in frame.nodes.iter().enumerate() {
                if let State::Running(tries) = &instance.state
                    && let Some(attempt) = zahir_store::Attempt::new(tries.attempts)
                {
                    let node = self.plan.region(frame.region).nodes[slot];
                    live.push((Place { frame: id, node }, attempt));
                }
            }
        }
        live
    }
}
