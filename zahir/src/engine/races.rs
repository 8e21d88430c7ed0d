//! Races: the first entry to end wins, the others are cancelled.

use zahir_store::Record;

use super::action::Evaluation;
use super::advance::violation;
use super::frame::{FrameId, Place, Stop};
use super::state::{Change, Outcome, Race, State};
use super::{Engine, Phase};

impl<V: Clone> Engine<V> {
    /// Enters all entries of a race or, if it is on record that one won, that one and those that
    /// had begun.
    pub(super) fn enter_race(&mut self, place: Place) {
        let winner = match self.race_mut(place) {
            Some(race) if race.is_entered => return self.end_race(place),
            Some(race) => {
                race.is_entered = true;
                Some(race.winner)
            }
            None => {
                self.change(place, Change::Raced);
                None
            }
        };
        let mut entered = Vec::new();
        for (_, entry) in self.plan.node(place.node).inside.iter().zip(0..) {
            let had_begun = self.replayed.contains_key(&(place, entry));
            if winner.is_none_or(|winner| winner == entry) || had_begun {
                entered.push(entry);
            }
        }
        for entry in entered {
            if let Some(frame) = self.frame_of(place, entry) {
                self.wake(frame, None);
            }
        }
    }

    /// An entry of a race ended.
    pub(super) fn win(&mut self, place: Place, entry: u32, outcome: Outcome<V>) {
        match self.race_mut(place) {
            Some(race) if race.winner == entry => race.outcome = Some(outcome),
            Some(_) => {}
            None => {
                self.outbox.record(|| Record::RaceWon {
                    at: self.frames.position(place),
                    entry,
                });
                self.change(
                    place,
                    Change::Won(Race {
                        winner: entry,
                        outcome: Some(outcome),
                        is_entered: true,
                    }),
                );
                self.cancel_losers(place);
            }
        }
        self.end_race(place);
    }

    /// Whether it is on record who won.
    pub(super) fn is_decided(&self, place: Place) -> bool {
        self.instance(place)
            .is_some_and(|instance| matches!(instance.state, State::Won(_)))
    }

    /// Drops what the entries that lost have under way.
    pub(super) fn cancel_losers(&mut self, place: Place) {
        for loser in self.losers(place) {
            self.stop(loser, Stop::Cancelled);
            self.settle(loser);
        }
    }

    /// The frames of entries that lost a race.
    pub(super) fn losers(&self, place: Place) -> Vec<FrameId> {
        let winner = match self.instance(place).map(|instance| &instance.state) {
            Some(State::Won(race)) => race.winner,
            _ => return Vec::new(),
        };
        self.frames
            .inside(place.frame)
            .filter(|(_, frame)| frame.owner == Some(place) && frame.index != winner)
            .map(|(id, _)| id)
            .collect()
    }

    /// If a race is decided and its losers are gone: goes on with what the winner gave.
    pub(super) fn end_race(&mut self, place: Place) {
        if self.phase != Phase::Going || !self.losers(place).is_empty() {
            return;
        }
        let Some(race) = self.race_mut(place) else {
            return;
        };
        let winner = race.winner;
        match race.outcome.take() {
            Some(Outcome::Ended(departure)) => {
                self.change(place, Change::Evaluating);
                let what = Evaluation::Won(winner);
                self.evaluate(place, what, vec![departure.value]);
            }
            Some(Outcome::Failed(failing)) => self.fail_with(place, failing),
            Some(Outcome::Stopped) => self.halt(violation("I7 what wins a race ended", place)),
            None => {}
        }
    }

    fn race_mut(&mut self, place: Place) -> Option<&mut Race<V>> {
        self.instance_mut(place)?.state.race_mut()
    }
}
