//! Blocks that handle failure: `.rescue(..)`, `.result()` and `.finally(..)`.

use zahir_store::{FailureKind, Record};

use super::Engine;
use super::action::{Caught, Evaluation};
use super::advance::violation;
use super::frame::Place;
use super::state::{Change, Departure, Failing, Outcome};
use crate::plan::{Exit, PlanKind};

impl<V: Clone> Engine<V> {
    /// Enters a block that has a `finally`: from here on that will run.
    pub(super) fn begin_finally(&mut self, place: Place) {
        self.outbox.record(|| Record::BlockEntered {
            at: self.frames.position(place),
        });
        self.change(place, Change::Begun);
        self.enter(place, 0, Change::Entered, None);
    }

    /// What may fail came to its end in a block whose outcome is a value.
    pub(super) fn land_result(&mut self, place: Place, departure: Departure<V>) {
        if departure.exit != Exit::Value {
            return self.leave(place, departure);
        }
        self.change(place, Change::Evaluating);
        self.evaluate(place, Evaluation::Succeeded, vec![departure.value]);
    }

    /// A frame of `owner` failed, and nothing in it is under way any more.
    pub(super) fn catch(&mut self, owner: Place, index: u32, mut failing: Box<Failing<V>>) {
        match (self.plan.node(owner.node).kind, index) {
            (PlanKind::Rescue { is_typed } | PlanKind::Result { is_typed }, 0) => {
                self.handle_failure(owner, failing, is_typed);
            }
            (PlanKind::Rescue { .. }, _) => self.fail_with(owner, failing),
            (PlanKind::Finally, 0) => self.begin_last(owner, Outcome::Failed(failing)),
            (PlanKind::Finally, _) => self.end_last(owner, Some(failing)),
            (PlanKind::Race, _) => self.win(owner, index, Outcome::Failed(failing)),
            (PlanKind::Job, _) => {
                let kind = self.children(owner).and_then(|it| it.get(index));
                let kind = kind.map(|child| self.plan.node(child.kind).kind);
                if kind != Some(PlanKind::Job) {
                    // The error of a job inside it is none of its own.
                    failing.error = None;
                }
                self.end_child(owner, index, Err(failing));
                self.settle(owner.frame);
            }
            _ => self.halt(violation(
                "I7 failures stop at blocks, races and children",
                owner,
            )),
        }
    }

    fn handle_failure(&mut self, place: Place, mut failing: Box<Failing<V>>, is_typed: bool) {
        let error = failing.error.take().filter(|_| is_typed);
        if !can_be_handled(failing.failure.kind) || is_typed && error.is_none() {
            return self.fail_with(place, failing);
        }
        self.change(place, Change::Evaluating);
        let caught = Caught {
            at: failing.at,
            attempt: failing.attempt,
            failure: failing.failure,
        };
        let what = Evaluation::Caught(Box::new(caught));
        self.evaluate(place, what, error.into_iter().collect());
    }

    /// Runs the `finally` of a block; then comes `outcome`.
    pub(super) fn begin_last(&mut self, place: Place, outcome: Outcome<V>) {
        self.shift_closing(place, true);
        self.enter(place, 1, Change::Closed(outcome), None);
    }

    /// The `finally` of a block is over.
    pub(super) fn end_last(&mut self, place: Place, failing: Option<Box<Failing<V>>>) {
        self.shift_closing(place, false);
        let outcome = self
            .instance_mut(place)
            .and_then(|instance| instance.state.outcome_mut())
            .map(|outcome| std::mem::replace(outcome, Outcome::Stopped));
        match (outcome, failing) {
            // What failed first is what is told.
            (Some(Outcome::Failed(failing)), _) | (Some(_), Some(failing)) => {
                self.fail_with(place, failing);
            }
            (Some(Outcome::Ended(departure)), None) => self.land(place, departure),
            (Some(Outcome::Stopped), None) => self.change(place, Change::Failed),
            (None, _) => self.halt(violation("I7 a `finally` follows its block", place)),
        }
        self.settle(place.frame);
    }

    /// Counts a `finally` in the frames around it.
    fn shift_closing(&mut self, place: Place, begins: bool) {
        let mut at = Some(place.frame);
        while let Some(frame) = at.and_then(|id| self.frames.get_mut(id)) {
            frame.closing = if begins {
                frame.closing + 1
            } else {
                frame.closing.saturating_sub(1)
            };
            at = frame.owner.map(|owner| owner.frame);
        }
    }
}

/// Whether a handler may be given it. What says that the run itself went wrong is for nobody to
/// handle.
pub(crate) const fn can_be_handled(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Error
        | FailureKind::Panic
        | FailureKind::TimedOut
        | FailureKind::TooLarge
        | FailureKind::Unencodable
        | FailureKind::Refused
        | FailureKind::Unverified
        | FailureKind::Interrupted
        | FailureKind::Poisoned => true,
        FailureKind::Undecodable | FailureKind::Diverged | FailureKind::Bug => false,
    }
}
