//! How a run ends: with its output, with a failure, cancelled, or left for the next process.

use std::collections::BTreeSet;

use zahir_store::{Attempt, CancelRequest, Ending, Failure, Position, Record};

use super::action::Action;
use super::frame::{FrameId, Stop};
use super::state::Change;
use super::{Engine, Phase};

impl<V: Clone> Engine<V> {
    /// The body has its value.
    pub(super) fn conclude(&mut self, output: V) {
        match self.phase {
            Phase::Going | Phase::Stopping if self.outbox.is_durable() => {
                self.phase = Phase::Concluding;
                self.outbox.push(Action::EncodeOutput { output });
            }
            Phase::Going | Phase::Stopping => {
                let ending = Ending::Succeeded { output: Vec::new() };
                self.end(ending, None, Some(output));
            }
            Phase::Replaying
            | Phase::Concluding
            | Phase::Undoing
            | Phase::Ended
            | Phase::Halted => {}
        }
    }

    /// The run's output is encoded, or can't be.
    pub(super) fn end_concluding(&mut self, result: Result<(V, Vec<u8>), Failure>) {
        if self.phase != Phase::Concluding {
            return;
        }
        match result {
            Ok((value, output)) => self.end(Ending::Succeeded { output }, None, Some(value)),
            Err(failure) => self.end_failed(None, None, failure),
        }
    }

    pub(super) fn end_failed(
        &mut self,
        at: Option<Position>,
        attempt: Option<Attempt>,
        failure: Failure,
    ) {
        self.end(Ending::Failed { at, failure }, attempt, None);
    }

    pub(super) fn end_cancelled(&mut self) {
        self.end(Ending::Cancelled, None, None);
    }

    /// Ends the run; but first undoes what it did, if it was in vain.
    fn end(&mut self, ending: Ending, attempt: Option<Attempt>, output: Option<V>) {
        if !matches!(ending, Ending::Succeeded { .. }) && self.undoing.is_owed() {
            return self.begin_undoing(ending, attempt);
        }
        self.finish(ending, attempt, output);
    }

    pub(super) fn finish(&mut self, ending: Ending, attempt: Option<Attempt>, output: Option<V>) {
        self.phase = Phase::Ended;
        self.drop_waiting();
        self.outbox.record(|| Record::RunFinished(ending.clone()));
        self.outbox.gate(Action::Finish {
            ending,
            attempt,
            output,
        });
    }

    /// Ends the run on request. What is under way is dropped once that is durable; `finally`s that
    /// are owed run before the run is over.
    pub(super) fn cancel(&mut self, reason: String, ticket: u64) {
        if matches!(self.phase, Phase::Ended | Phase::Undoing) || self.is_cancelled {
            return self.outbox.gate(Action::Answer { ticket });
        }
        self.outbox
            .record(|| Record::CancelRequested(CancelRequest { reason }));
        self.outbox.gate(Action::Answer { ticket });
        self.is_cancelled = true;
        match self.phase {
            Phase::Concluding => self.end_cancelled(),
            Phase::Going | Phase::Stopping => {
                self.stop(self.body, Stop::Cancelled);
                self.settle(self.body);
            }
            Phase::Replaying | Phase::Undoing | Phase::Ended | Phase::Halted => {}
        }
    }

    /// Starts nothing more: the process is about to end.
    pub(super) fn shut_down(&mut self) {
        if matches!(self.phase, Phase::Going | Phase::Undoing) {
            self.phase = Phase::Stopping;
            self.take_back_starts();
            self.drop_all_parked();
            self.drop_waiting();
        }
    }

    /// Forgets what waits for a slot, a timer or an item: none of it will start.
    pub(super) fn drop_waiting(&mut self) {
        self.ready.clear();
        self.ready_count = 0;
        self.suspects.clear();
        self.deadlines.clear();
        for place in std::mem::take(&mut self.owed) {
            self.shift_live(place.frame, false);
        }
        self.forget_rebuilt_attempts();
        self.going.clear();
        self.timers.clear();
        self.tasks.clear();
        self.letters.clear();
        self.settling.clear();
    }

    /// Attempts that were under way when an earlier process died, in frames that this one has not
    /// come to, are not under way here.
    fn forget_rebuilt_attempts(&mut self) {
        // Each once: what was rebuilt is also inside what was rebuilt around it.
        let rebuilt = self.replayed.values();
        let found: BTreeSet<FrameId> = rebuilt.flat_map(|id| self.frames.tree(*id)).collect();
        for id in found {
            for place in self.attempts_in(id) {
                self.shift_live(id, false);
                self.change(place, Change::Interrupted);
            }
        }
    }

    /// Attempts that are on record but were not handed out never were: they are interrupted.
    fn take_back_starts(&mut self) {
        for (place, attempt) in self.outbox.take_starts(|_| true) {
            if let Some(number) = place.frame.undo() {
                self.take_back_undo(number, attempt);
                continue;
            }
            self.shift_live(place.frame, false);
            self.progress.running = self.progress.running.saturating_sub(1);
            self.change(place, Change::Interrupted);
            self.outbox.record(|| Record::AttemptInterrupted {
                at: self.frames.position(place),
                attempt,
            });
        }
    }
}
