//! The children of jobs, as records tell of them.

use std::collections::{BTreeMap, BTreeSet};

use zahir_store::{
    Bond, ChildCall, ChildLimits, FailureKind, Fan, FrameStep, Heir, NodeId, Position, Record,
    SpawnedChild, Timestamp,
};

use super::plans::{self, Program};
use crate::plan::{Plan, PlanKind};

/// All children of a run, by parent.
#[derive(Clone, Debug, Default)]
pub(super) struct Families {
    all: BTreeMap<Position, Family>,
    /// When the time of node instances is over, and that of the run.
    pub(super) deadlines: BTreeMap<Option<Position>, Timestamp>,
    /// The same for what undoes results.
    pub(super) undo_deadlines: BTreeMap<Position, Timestamp>,
    is_undoing: bool,
    /// How jobs failed whose recovery jobs have taken over.
    recovering: BTreeMap<Position, FailureKind>,
    /// Attempts under way, as far as records tell, and blocks with a `finally`.
    busy: BTreeSet<Position>,
    /// Whether attempts may be gone between which children were spawned.
    is_repaired: bool,
}

/// A parent.
#[derive(Clone, Debug, Default)]
pub(super) struct Family {
    /// In the order of their numbers; the heir, if there is one, is the last.
    pub(super) children: Vec<Child>,
    /// The first child that attempts since the last one that asked for another have called.
    first_called: usize,
    /// Which child a call of the next attempt is.
    pub(super) bound: BTreeMap<ChildCall, u32>,
    /// The values that the next attempt is given.
    pub(super) kept: BTreeMap<String, u64>,
    /// How often an attempt asked for another one.
    pub(super) epoch: u32,
    /// The attempts of it that failed, but were not the last.
    pub(super) failures: u32,
    pub(super) heir: Option<Heir>,
    /// Whether an attempt is under way that waits for children, as far as records tell.
    pub(super) is_parked: bool,
    /// The encoding of its result.
    pub(super) output: Option<Vec<u8>>,
    pub(super) recovers: bool,
    /// Whether it failed for good.
    pub(super) has_failed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) kind: NodeId,
    pub(super) bond: Bond,
    /// Its bond when it was spawned.
    pub(super) was: Bond,
    pub(super) arguments: Vec<u8>,
    pub(super) fan: Option<Fan>,
    pub(super) limits: ChildLimits,
    /// How often its parent had failed when it was spawned.
    failures: u32,
    /// Whether it does nothing until its parent calls it again.
    pub(super) is_suspended: bool,
    /// Whether it follows its parent and was there before that had its result.
    pub(super) is_left: bool,
    /// Whether it is a job without children.
    pub(super) is_plain: bool,
    /// Whether it is over; known only of such a job.
    pub(super) plain_end: Option<PlainEnd>,
    /// Whether it has failed, and is never started again.
    pub(super) is_spent: bool,
    /// Whether something was started in it that is never started twice.
    has_once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainEnd {
    Succeeded,
    /// With how many failures of its parent before it.
    Failed(u32),
}

/// The parent of the innermost child that a position is in, its number, and how many frames are
/// around the child's own nodes.
pub(super) fn parent(plan: &Plan, position: &Position) -> Option<(Position, u32, usize)> {
    let is_job = |step: &FrameStep| plan.node(step.node).kind == PlanKind::Job;
    let at = position.frames.iter().rposition(is_job)?;
    let FrameStep { node, index } = position.frames[at];
    let frames = position.frames[..at].to_vec();
    Some((Position { frames, node }, index, at + 1))
}

impl Families {
    /// Those of a run that was repaired.
    pub(super) fn of<'r>(program: &Program, records: impl Iterator<Item = &'r Record>) -> Self {
        let mut families = Self {
            is_repaired: true,
            ..Self::default()
        };
        for record in records {
            families.apply(program, record);
        }
        families
    }

    pub(super) fn get(&self, parent: &Position) -> Option<&Family> {
        self.all.get(parent)
    }

    /// The child that a node instance is, if it is the node of a kind.
    pub(super) fn child(&self, plan: &Plan, position: &Position) -> Option<(u32, &Child)> {
        let (parent, number, depth) = parent(plan, position)?;
        if depth < position.frames.len() {
            return None;
        }
        let child = self.all.get(&parent)?.children.get(usize(number))?;
        Some((number, child))
    }

    /// Of each job whose attempts do not count any more, all children wait for it that it has called
    /// since it asked for another attempt, but for those in which something is under way.
    pub(super) fn check_suspended(&self, made: &[Record], was_over: bool) {
        let mut suspended: BTreeMap<&Position, BTreeSet<u32>> = BTreeMap::new();
        for record in made {
            match record {
                Record::AttemptsDropped { at } => drop(suspended.insert(at, BTreeSet::new())),
                Record::ChildrenSuspended { at, children } => {
                    suspended.get_mut(at).unwrap().extend(children);
                }
                _ => {}
            }
        }
        for (parent, suspended) in suspended {
            let family = self.get(parent).filter(|it| it.heir.is_none());
            let recent = family.map_or(0..0, |it| it.first_called..it.children.len());
            let busy = self.busy.iter().filter_map(|it| index_in(parent, it));
            let busy: BTreeSet<u32> = busy.filter(|_| !was_over).collect();
            let recent = recent.map(|number| u32::try_from(number).unwrap());
            let expected: BTreeSet<u32> = recent.filter(|it| !busy.contains(it)).collect();
            assert_eq!(suspended, expected, "what is suspended of {parent:?}");
        }
    }

    fn family(&mut self, at: &Position) -> &mut Family {
        self.all.entry(at.clone()).or_default()
    }

    fn note_busy(&mut self, record: &Record) {
        match record {
            Record::AttemptStarted { at, .. }
            | Record::AttemptResumed { at, .. }
            | Record::BlockEntered { at } => {
                self.busy.insert(at.clone());
            }
            Record::AttemptSucceeded { at, .. }
            | Record::AttemptRecovered { at, .. }
            | Record::AttemptFailed { at, .. }
            | Record::AttemptInterrupted { at, .. }
            | Record::AttemptParked { at, .. }
            | Record::AttemptPostponed { at, .. }
            | Record::AttemptContinued { at, .. }
            | Record::RecoveryBegan { at, .. }
            | Record::DeadlinePassed { at: Some(at), .. } => {
                self.busy.remove(at);
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    pub(super) fn apply(&mut self, program: &Program, record: &Record) {
        self.note_busy(record);
        match record {
            Record::ChildrenSpawned { at, children } => {
                let is_repaired = self.is_repaired;
                let family = self.family(at);
                for child in children {
                    family.spawn(program, child, is_repaired);
                }
            }
            Record::ChildrenLeft { at, children } => {
                for number in children {
                    let child = &mut self.family(at).children[usize(*number)];
                    assert_eq!(child.bond, Bond::Held, "child {number} of {at:?} is left");
                    child.bond = Bond::Followed;
                    child.is_left = true;
                }
            }
            Record::AttemptContinued { at, heir, .. } => {
                let family = self.family(at);
                assert!(family.heir.is_none(), "{at:?} has two heirs");
                family.is_parked = false;
                family.heir = Some(heir.clone());
                family.children.push(Child {
                    kind: heir.kind,
                    bond: Bond::Held,
                    was: Bond::Held,
                    arguments: vec![],
                    fan: None,
                    limits: heir.limits,
                    failures: family.failures,
                    is_suspended: false,
                    is_left: false,
                    is_plain: program.is_plain(heir.kind),
                    plain_end: None,
                    is_spent: false,
                    has_once: false,
                });
            }
            Record::DeadlineSet { at, due } => {
                let before = match at {
                    Some(at) if self.is_undoing => self.undo_deadlines.insert(at.clone(), *due),
                    at => self.deadlines.insert(at.clone(), *due),
                };
                assert_eq!(before, None, "{at:?} is given its time twice");
            }
            Record::ChildrenSuspended { at, children } => {
                for number in children {
                    self.family(at).children[usize(*number)].is_suspended = true;
                }
            }
            Record::ChildrenResumed { at, children } => {
                for number in children {
                    let child = &mut self.family(at).children[usize(*number)];
                    assert!(child.is_suspended, "{number} of {at:?} is resumed twice");
                    child.is_suspended = false;
                }
            }
            Record::UndoingBegan { .. } => self.is_undoing = true,
            Record::ValueKept { at, name, value } => {
                let value = plans::decoded(value)[0];
                let before = self.family(at).kept.insert(name.clone(), value);
                assert_eq!(before, None, "{name:?} of {at:?} is kept twice");
            }
            Record::AttemptParked { at, .. } => self.family(at).is_parked = true,
            Record::AttemptResumed { at, .. }
            | Record::AttemptStarted { at, .. }
            | Record::AttemptInterrupted { at, .. } => {
                if matches!(record, Record::AttemptStarted { .. }) {
                    self.note_once(program, at);
                }
                if let Some(family) = self.all.get_mut(at) {
                    family.is_parked = false;
                }
            }
            Record::AttemptPostponed { at, .. } => self.family(at).begin_again(),
            Record::AttemptFailed {
                at,
                retry_at: Some(_),
                ..
            } => self.family(at).fail(),
            Record::RecoveryBegan { at, failure, .. } => {
                self.recovering.insert(at.clone(), failure.kind);
                self.family(at).recovers = true;
                self.family(at).is_parked = false;
            }
            Record::AttemptFailed {
                at,
                retry_at: None,
                failure,
                ..
            }
            | Record::DeadlinePassed {
                at: Some(at),
                failure,
            } => {
                let kind = self.recovering.remove(at).unwrap_or(failure.kind);
                self.family(at).has_failed = true;
                self.family(at).is_parked = false;
                self.end_plain(program, at, Some(kind));
            }
            Record::AttemptSucceeded { at, output, .. }
            | Record::AttemptRecovered { at, output, .. } => {
                self.family(at).output = Some(output.clone());
                self.recovering.remove(at);
                self.end_plain(program, at, None);
            }
            _ => {}
        }
    }

    /// If what begins is never started twice, none of the children that it is in is.
    fn note_once(&mut self, program: &Program, at: &Position) {
        let node = program.plan.node(at.node);
        let policy = match &node.recovery {
            Some(recovery) if self.recovering.contains_key(at) => recovery.policy,
            _ => node.policy,
        };
        let mut inner = at.clone();
        while let Some((parent, number, _)) = parent(&program.plan, &inner) {
            self.family(&parent).children[usize(number)].has_once |= policy.at_most_once;
            inner = parent;
        }
    }

    /// If this is a child that is a job without children, it is over.
    fn end_plain(&mut self, program: &Program, at: &Position, failed: Option<FailureKind>) {
        let Some((parent, number, depth)) = parent(&program.plan, at) else {
            return;
        };
        if depth < at.frames.len() || !program.is_plain(at.node) {
            return;
        }
        let family = self.family(&parent);
        let failures = family.failures;
        let child = &mut family.children[usize(number)];
        let Some(kind) = failed else {
            child.plain_end = Some(PlainEnd::Succeeded);
            return;
        };
        child.plain_end = Some(PlainEnd::Failed(failures));
        child.is_spent = program.plan.node(at.node).policy.at_most_once
            || matches!(kind, FailureKind::Poisoned | FailureKind::Interrupted);
    }
}

impl Child {
    /// Whether it is there because its parent has its result.
    pub(super) fn is_late(&self, family: &Family) -> bool {
        let follows = self.bond == Bond::Followed && self.was == Bond::Followed;
        follows && !self.is_left && family.output.is_some()
    }
}

impl Family {
    fn spawn(&mut self, program: &Program, child: &SpawnedChild, is_repaired: bool) {
        let number = u32::try_from(self.children.len()).unwrap();
        let before = self.bound.insert(child.call.clone(), number);
        if let Some(before) = before {
            let before = &self.children[usize(before)];
            let is_other = before.kind != child.kind || before.arguments != child.arguments;
            assert!(
                is_repaired || is_other || !before.has_once,
                "{:?} is started twice",
                child.call
            );
            assert!(
                is_repaired
                    || before.failures < self.failures && (is_other || before.plain_end.is_none()),
                "{:?} is spawned twice",
                child.call
            );
        }
        self.children.push(Child {
            kind: child.kind,
            bond: child.bond,
            was: child.bond,
            arguments: child.arguments.clone(),
            fan: child.fan,
            limits: child.limits,
            failures: self.failures,
            is_suspended: false,
            is_left: false,
            is_plain: program.is_plain(child.kind),
            plain_end: None,
            is_spent: false,
            has_once: false,
        });
    }

    /// An attempt failed, and another one follows: it calls children that failed again.
    fn fail(&mut self) {
        self.failures += 1;
        self.is_parked = false;
        let children = &self.children;
        self.bound.retain(|_, number| {
            let child = &children[usize(*number)];
            child.is_spent || !matches!(child.plain_end, Some(PlainEnd::Failed(_)))
        });
    }

    /// An attempt asked for another one, which begins with nothing. What it held is over, or follows.
    fn begin_again(&mut self) {
        for child in &mut self.children {
            let is_going = child.bond == Bond::Held && !child.is_suspended;
            assert!(!is_going || !child.is_plain || child.plain_end.is_some());
            child.is_left |= child.bond == Bond::Followed;
        }
        self.epoch += 1;
        self.is_parked = false;
        self.first_called = self.children.len();
        self.bound.clear();
        self.kept.clear();
    }
}

/// The number of the frame of a node that something is in.
fn index_in(owner: &Position, inner: &Position) -> Option<u32> {
    let step = inner.frames.get(owner.frames.len())?;
    let is_inside = inner.frames.starts_with(&owner.frames) && step.node == owner.node;
    is_inside.then_some(step.index)
}

fn usize(number: u32) -> usize {
    usize::try_from(number).unwrap()
}

/// Where the node of a child is.
pub(super) fn position(parent: &Position, number: u32, kind: NodeId) -> Position {
    let mut frames = parent.frames.clone();
    frames.push(FrameStep {
        node: parent.node,
        index: number,
    });
    Position { frames, node: kind }
}
