//! Continuing as another job: the attempt is over, and a child that begins when the others are over
//! gives the result.

use std::collections::BTreeSet;

use zahir_store::{Attempt, Bond, Failure, Heir, HeirInput, Inherited, Record};

use super::action::Evaluation;
use super::children::ChildState;
use super::frame::Place;
use super::parents::misspawned;
use super::spawning::Asked;
use super::state::{Change, Failing, State};
use super::tally::Counted;
use super::{Engine, Phase};
use crate::job::children::asked::{Bequest, Successor};
use crate::plan::PlanKind;

/// How many failures of children are told when their parent fails because of them.
const TOLD_MAX: usize = 16;

/// What a job leaves to the one that gives its result.
#[derive(Debug)]
pub(super) struct Inheritance {
    /// The number of that job among the children.
    pub(super) heir: u32,
    inputs: Vec<HeirInput>,
    /// The children whose results it is given.
    pub(super) children: BTreeSet<u32>,
    /// Those of them that are not over.
    pub(super) open: BTreeSet<u32>,
    /// Whether its inputs are being computed, or were.
    is_computing: bool,
}

/// The numbers of the children that an input comes from, in order.
fn numbers(input: &HeirInput) -> &[u32] {
    match &input.value {
        Inherited::Value(_) => &[],
        Inherited::Child(number) => std::slice::from_ref(number),
        Inherited::Children(numbers) => numbers,
    }
}

impl<V: Clone> Engine<V> {
    /// An attempt ended, and another job gives the result.
    pub(super) fn continue_as(
        &mut self,
        place: Place,
        attempt: Attempt,
        asked: Asked,
        successor: Successor,
    ) {
        let detached = asked.known_as(Bond::Detached);
        self.spawn(place, attempt, asked);
        let Successor {
            kind,
            inputs,
            limits,
        } = successor;
        let inputs = inputs.into_iter();
        let inputs = inputs.map(|(name, bequest)| self.bequeath(place, name, bequest));
        let inputs: Option<Vec<HeirInput>> = inputs.collect();
        let is_listed = self.plan.node(place.node).kinds.contains(&kind);
        let Some(inputs) = inputs.filter(|_| is_listed && !self.is_recovering(place)) else {
            return self.halt(misspawned(place));
        };
        let inherited: BTreeSet<u32> = inputs.iter().flat_map(numbers).copied().collect();
        let mut left = self.unfinished(place);
        left.extend(self.unseen(place, attempt));
        left.retain(|number| !inherited.contains(number) && !detached.contains(number));
        self.leave_behind(place, left);
        let heir = Heir {
            kind,
            inputs,
            limits,
        };
        self.outbox.record(|| Record::AttemptContinued {
            at: self.frames.position(place),
            attempt,
            heir: heir.clone(),
        });
        self.inherit(place, heir);
        self.inherit_if_ready(place);
    }

    /// Those that failed, and that this attempt asked for without being told.
    fn unseen(&self, place: Place, attempt: Attempt) -> Vec<u32> {
        let Some(children) = self.children(place) else {
            return Vec::new();
        };
        let unseen = children.recent().filter(|(number, child)| {
            let is_asked = child.asked == attempt.number() && child.told != attempt.number();
            let has_failed = matches!(child.state, ChildState::Failed(_));
            is_asked && has_failed && children.is_called(*number)
        });
        unseen.map(|(number, _)| number).collect()
    }

    /// Where an input comes from, on record; `None` if that is no child that the job holds.
    fn bequeath(&self, place: Place, name: String, bequest: Bequest) -> Option<HeirInput> {
        let number = |call| {
            let children = self.children(place)?;
            let number = children.called(call)?;
            let is_held = children.get(number)?.is_held();
            is_held.then_some(number)
        };
        let value = match bequest {
            Bequest::Value(bytes) => Inherited::Value(bytes),
            Bequest::Child(call) => Inherited::Child(number(&call)?),
            Bequest::Children(calls) => {
                let numbers: Option<Vec<u32>> = calls.iter().map(number).collect();
                Inherited::Children(numbers?)
            }
        };
        Some(HeirInput { name, value })
    }

    /// A job hands over: the same for what is live and for what is on record.
    pub(super) fn inherit(&mut self, place: Place, heir: Heir) {
        self.change(place, Change::Continued);
        self.drop_deadline(place);
        self.keep(place, |kept| {
            kept.deadline = None;
            kept.state = None;
            kept.values.clear();
        });
        let jobs = self.plan.region(self.plan.node(heir.kind).region).jobs;
        let Some(frame) = self.frames.get_mut(place.frame) else {
            return;
        };
        let children = frame.children_of(place.node);
        let number = children.add_heir(heir.kind, heir.limits);
        let inherited: BTreeSet<u32> = heir.inputs.iter().flat_map(numbers).copied().collect();
        let is_open = |number: &u32| children.get(*number).is_some_and(|child| !child.is_over());
        let open = inherited.iter().copied().filter(is_open).collect();
        children.inheritance = Some(Box::new(Inheritance {
            heir: number,
            inputs: heir.inputs,
            children: inherited,
            open,
            is_computing: false,
        }));
        frame.open += 1;
        self.release_children(place);
        self.count_child(place, heir.kind, Counted::Spawned);
        self.spawned = self.spawned.saturating_add(1);
        self.progress.known = self.progress.known.saturating_add(jobs);
        self.follow(place, number);
    }

    /// If all that an heir is given is there: computes its inputs. If some of it will never be there,
    /// its parent fails, also where everything comes to its end; there no heir begins.
    pub(super) fn inherit_if_ready(&mut self, place: Place) {
        let Some(inheritance) = self.children(place).and_then(|it| it.inheritance.as_ref()) else {
            return;
        };
        let heir = inheritance.heir;
        let is_ready = inheritance.open.is_empty() && !inheritance.is_computing;
        let is_awake = self.frames.get(place.frame).is_some_and(|it| it.is_awake);
        if !is_ready || !is_awake || self.phase != Phase::Going {
            return;
        }
        if let Some(failing) = self.disinherited(place) {
            return self.end_heir(place, heir, Err(Box::new(failing)));
        }
        if !self.may_inherit(place, heir) {
            return;
        }
        let Some(children) = self.children_mut(place) else {
            return;
        };
        let Some(inheritance) = children.inheritance.as_mut() else {
            return;
        };
        inheritance.is_computing = true;
        let inputs = std::mem::take(&mut inheritance.inputs);
        let (mut values, mut nodes) = (Vec::new(), Vec::new());
        for number in inputs.iter().flat_map(numbers) {
            if let Some(child) = children.get(*number)
                && let ChildState::Succeeded(value) = &child.state
            {
                values.push(value.clone());
                nodes.push(child.kind);
            }
        }
        let what = Evaluation::Arguments { inputs, nodes };
        self.evaluate(place, what, values);
    }

    /// Where everything comes to its end, no heir begins. But of a workflow nothing is on record if all
    /// in it is pure: it may have been over before, and what comes behind it under way.
    fn may_inherit(&self, place: Place, heir: u32) -> bool {
        let kind = self.children(place).and_then(|it| it.get(heir));
        let is_job = kind.is_some_and(|it| self.plan.node(it.kind).kind == PlanKind::Job);
        !is_job || !self.is_stopped(place.frame) || self.replayed.contains_key(&(place, heir))
    }

    /// How a job fails if one of the children fails that its heir is given.
    fn disinherited(&self, place: Place) -> Option<Failing<V>> {
        let children = self.children(place)?;
        let inheritance = children.inheritance.as_ref()?;
        let mut failed = Vec::new();
        let mut seen = BTreeSet::new();
        for number in inheritance.inputs.iter().flat_map(numbers) {
            if let Some(child) = children.get(*number)
                && let ChildState::Failed(failing) = &child.state
                && seen.insert(*number)
            {
                failed.push(failing);
            }
        }
        let first = failed.first()?;
        let mut failure = first.failure.clone();
        let told = failed.iter().take(TOLD_MAX);
        let told: Vec<&str> = told.map(|it| it.failure.message.as_str()).collect();
        if failed.len() > 1 {
            failure.message = format!("{} children failed: {}", failed.len(), told.join("; "));
        }
        if failed.len() > TOLD_MAX {
            let more = failed.len() - TOLD_MAX;
            failure.message = format!("{}; and {more} more", failure.message);
        }
        Some(Failing {
            at: first.at.clone(),
            attempt: first.attempt,
            failure,
            error: None,
        })
    }

    /// The inputs of an heir are there: it begins.
    pub(super) fn begin_heir(&mut self, place: Place, arguments: &[u8]) {
        let Some(children) = self.children_mut(place) else {
            return;
        };
        let Some(inheritance) = children.inheritance.as_mut() else {
            return;
        };
        let heir = inheritance.heir;
        // Nobody else needs what it is given.
        for number in std::mem::take(&mut inheritance.children) {
            if let Some(child) = children.get_mut(number) {
                child.state = ChildState::Over;
                child.arguments = None;
            }
        }
        let Some(child) = children.get_mut(heir) else {
            return;
        };
        child.arguments = Some(arguments.into());
        child.state = ChildState::Open;
        if self.may_inherit(place, heir)
            && let Some(frame) = self.frame_of(place, heir)
        {
            self.wake(frame, None);
        }
    }

    /// An heir is over: so is its parent.
    pub(super) fn end_heir(&mut self, place: Place, heir: u32, end: Result<V, Box<Failing<V>>>) {
        if let Some(children) = self.children_mut(place)
            && let Some(child) = children.get_mut(heir)
        {
            // It never begins if it is not given what it needs.
            let has_begun = matches!(child.state, ChildState::Open);
            child.state = ChildState::Over;
            child.arguments = None;
            let kind = child.kind;
            children.inheritance = None;
            if end.is_ok() {
                self.count_child(place, kind, Counted::Succeeded);
            } else if has_begun {
                self.count_child(place, kind, Counted::Failed);
            }
        }
        self.count_over(place);
        match end {
            Ok(value) => self.give(place, value),
            Err(failing) => self.fail_heir(place, *failing),
        }
    }

    /// The inputs of an heir can't be computed.
    pub(super) fn fail_inheritance(&mut self, place: Place, failure: Failure) {
        let heir = self.children(place).and_then(|it| it.inheritance.as_ref());
        let Some(heir) = heir.map(|it| it.heir) else {
            return;
        };
        let failing = Failing {
            at: self.frames.position(place),
            attempt: None,
            failure,
            error: None,
        };
        self.end_heir(place, heir, Err(Box::new(failing)));
    }

    /// A recovery job takes over from an heir.
    pub(super) fn disown(&mut self, place: Place) {
        let Some(children) = self.children_mut(place) else {
            return;
        };
        let Some(inheritance) = children.inheritance.take() else {
            return;
        };
        if let Some(child) = children.get_mut(inheritance.heir)
            && matches!(child.state, ChildState::Waiting)
        {
            child.state = ChildState::Over;
            let kind = child.kind;
            self.expect_less(kind);
            self.count_over(place);
        }
    }

    /// A job that handed over has failed. The error itself is none of its own.
    fn fail_heir(&mut self, place: Place, mut failing: Failing<V>) {
        failing.error = None;
        let Some(State::Continuing(tries)) = self.instance(place).map(|it| &it.state) else {
            return;
        };
        let last = Attempt::new(tries.attempts);
        if let Some(attempt) = last
            && self.can_recover(place, &failing)
        {
            let at = self.frames.position(place);
            let failure = failing.failure.clone();
            self.outbox.record(|| Record::RecoveryBegan {
                at,
                attempt,
                failure,
            });
            self.recover_from(place, failing);
            return self.unblock_if_free(place);
        }
        self.give_up(place, failing);
        self.settle(place.frame);
    }
}
