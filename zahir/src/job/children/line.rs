//! What the context of a job and the runtime that runs it have to tell each other about children.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use zahir_store::{Bond, ChildCall, ChildLimits, Fan};

use crate::failure::Failure;
use crate::job::children::child::numbered;
use crate::job::children::kind::KindDef;
use crate::job::children::later::Succession;
use crate::value::Value;

/// How a child ended: its output; or its failure, and the error itself if it was kept.
pub(crate) type End = Result<Value, (Failure, Option<Value>)>;

/// What one attempt says about children, and is told of them.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Never held while something waits or user code runs.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the next child without a key is called.
    next: u32,
    /// Every child that was spawned, in order.
    noted: Vec<Noted>,
    /// Why the attempt has to fail, whatever its job does.
    refused: Option<zahir_store::Failure>,
    /// The job that gives the result.
    heir: Option<Succession>,
}

/// A child, as it was spawned.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) kind: KindDef,
    pub(crate) call: ChildCall,
    pub(crate) bond: Bond,
    /// Its inputs, encoded.
    pub(crate) arguments: Vec<u8>,
    pub(crate) fan: Option<Fan>,
    pub(crate) limits: ChildLimits,
    /// Whether the job still has it in hand.
    pub(crate) is_held: bool,
}

impl Noted {
    /// A child of which nothing more is said. The line gives it its number.
    pub(crate) fn new(kind: KindDef, arguments: Vec<u8>) -> Self {
        Self {
            kind,
            call: numbered(0),
            bond: Bond::Held,
            arguments,
            fan: None,
            limits: ChildLimits::default(),
            is_held: true,
        }
    }
}

impl Line {
    /// Notes a child. Gives its place among all of the attempt.
    pub(crate) fn note(&self, mut noted: Noted) -> u32 {
        let mut state = self.state();
        noted.call = numbered(state.next);
        state.next += 1;
        let place = u32::try_from(state.noted.len()).unwrap_or(u32::MAX);
        state.noted.push(noted);
        place
    }

    /// Changes what is said of a child.
    pub(crate) fn amend(&self, place: u32, change: impl FnOnce(&mut Noted)) {
        if let Some(noted) = self.state().at(place) {
            change(noted);
        }
    }

    /// Gives a child a key in place of its number.
    pub(crate) fn key(&self, place: u32, key: String) {
        let mut state = self.state();
        let Some(noted) = state.at(place) else {
            return;
        };
        let before = std::mem::replace(&mut noted.call, ChildCall::Key(key));
        // Those with keys are not counted.
        if before == numbered(state.next.wrapping_sub(1)) {
            state.next -= 1;
        }
    }

    /// The job no longer has the child in hand: unless it is over, it follows.
    pub(crate) fn let_go(&self, place: u32) {
        self.amend(place, |noted| noted.is_held = false);
    }

    /// The attempt fails with this, whatever its job does.
    pub(crate) fn refuse(&self, failure: zahir_store::Failure) {
        self.state().refused.get_or_insert(failure);
    }

    /// Another job gives the result.
    pub(crate) fn pass_on(&self, heir: Succession) {
        self.state().heir = Some(heir);
    }

    /// The end of a child; wakes the task when it is there.
    pub(crate) fn poll_end(&self, _: u32, _: &mut Context<'_>) -> Poll<End> {
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&mut self, place: u32) -> Option<&mut Noted> {
        self.noted.get_mut(usize::try_from(place).ok()?)
    }
}
