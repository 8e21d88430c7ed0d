//! Makes the revision with which a run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zahir_store::{
    DefinitionId, Dropped, Ending, Failure, FailureKind, FrameStep, NodeId, Position, Record,
    Revision,
};

use super::address::is_meant;
use super::changes::{Changes, Gathered};
use super::drops::{self, Drops};
use super::entries::{self, Entry};
use super::facts::{Fact, Facts, Failed};
use super::failures::{self, Stopper};
use super::families::Family;
use super::reach::Reach;
use crate::definition::Definition;
use crate::definition::matching::Matching;
use crate::engine::NUMBERS_MAX;
use crate::plan::{Plan, PlanKind};

/// What is revised, and for which program.
pub(crate) struct Case<'a> {
    /// The records that count.
    pub(crate) entries: Vec<Entry>,
    pub(crate) plan: &'a Plan,
    /// What node numbers refer to now.
    pub(crate) id: DefinitionId,
    /// Where a node instance is, in words.
    pub(crate) path: &'a dyn Fn(&Position) -> String,
    /// The definition that the records are of and the one they are to be of, if these differ.
    pub(crate) change: Option<(&'a Definition, &'a Definition)>,
}

/// What is wanted of a run.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// That it goes on.
    GoOn,
    /// That what failed is tried again.
    RetryFailed,
    /// That these run again.
    Again(Again),
}

/// What is to run again.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    pub(crate) nodes: Vec<Named>,
    /// Whether that is so if they have their results.
    pub(crate) even_if_done: bool,
    /// What the first of them, one node instance, is given in place of what it is wired to.
    pub(crate) arguments: Option<Vec<u8>>,
}

/// Node instances by the name that somebody gave.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// In their numbers, [`super::drops::EVERY`] stands for every frame.
    pub(crate) nodes: Vec<Position>,
}

/// How a run goes on.
#[derive(Debug)]
pub(crate) struct Revised {
    /// What is appended: the revision, and what follows from it.
    pub(crate) records: Vec<Record>,
    /// What counts then.
    pub(crate) entries: Vec<Entry>,
    pub(crate) changes: Changes,
}

/// Why a run is not revised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing has failed.
    NothingFailed,
    /// Nothing of what has this name is on record.
    NeverRan(String),
    /// All that has this name is in children in whose places others were called since.
    Replaced(String),
    /// All that has this name has its result.
    Succeeded(String),
    /// What has this name is to be given inputs, and is not one node instance.
    Several(String),
    /// These jobs are never started twice, and would be.
    Twice(Vec<BlockedJob>),
    /// These jobs have spawned what the program does not let them spawn.
    Unlisted(Vec<(String, String)>),
    /// The run is being undone, and of this nobody would know any more how to undo it.
    Undoing(Vec<String>),
}

/// A job that would be started a second time, although it says that it never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedJob {
    node: String,
    reason: String,
}

impl BlockedJob {
    /// The node, as it is written in the workflow.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What is on record of it, and why it would run again: what it was, and what it is.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for BlockedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.node, self.reason)
    }
}

/// The revision of a run.
pub(crate) fn revise(case: Case<'_>, wish: &Wish) -> Result<Revised, Refused> {
    let matching = case.change.map(|(before, now)| Matching::new(before, now));
    let reviser = Reviser {
        before: Facts::of(&case.entries),
        is_over: entries::ending(&case.entries).is_some(),
        matching,
        case,
    };
    reviser.revise(wish)
}

/// What runs again because somebody wants it to.
#[derive(Default)]
struct Seeds {
    again: BTreeSet<Position>,
    /// Those of them that begin anew, and not only their attempts: nothing inside them stays.
    anew: BTreeSet<Position>,
    /// Those of them that somebody named, and the one that is given inputs.
    named: Vec<Position>,
    given: Option<Position>,
    /// Not this itself, but what depends on it.
    behind: Option<Position>,
}

struct Reviser<'a> {
    case: Case<'a>,
    /// What is on record, in the numbering that it is recorded in.
    before: Facts,
    is_over: bool,
    matching: Option<Matching>,
}

impl<'a> Reviser<'a> {
    fn revise(self, wish: &Wish) -> Result<Revised, Refused> {
        let moved = self.moved();
        let facts = self.facts(moved.clone(), Vec::new());
        self.check_kinds(&facts)?;
        let mut reach = Reach::new(self.case.plan, &facts);
        let seeds = self.seeds(wish, &facts)?;
        reach.again(seeds.anew.iter().cloned());
        reach.retry(seeds.again.difference(&seeds.anew).cloned());
        reach.behind(seeds.behind.iter().cloned());
        reach.again(self.lost_races(&facts));
        self.retry_below(&mut reach, &facts);
        let undoes_again =
            matches!(wish, Wish::RetryFailed) && entries::is_stuck(&self.case.entries);
        let after = if undoes_again {
            self.facts(moved.clone(), reach.dropped())
        } else {
            self.take_back(&mut reach, &moved, &facts)
        };
        let dropped = reach.dropped();
        self.check_undoing(&after)?;
        self.check_twice(&after, &seeds.named)?;
        let changes = self.changes(&after);
        let mut attempts = drops::attempts(&dropped);
        attempts.retain(|at| after.outlives_attempts(at));
        let mut follows = replaced(wish, &seeds, (&facts, &after));
        if !undoes_again {
            follows.extend(self.follows(&after, &reach, &attempts));
        }
        for at in &attempts {
            follows.push(Record::AttemptsDropped { at: at.clone() });
            follows.extend(self.suspended(&after, at));
        }
        let revision = Revision {
            definition: self.case.id,
            moved,
            dropped,
        };
        let mut entries = self.case.entries;
        entries::revise(&mut entries, &revision);
        let mut records = vec![Record::RunRevised(revision)];
        append(&mut entries, &follows);
        entries::drop_attempts(&mut entries, attempts);
        records.extend(follows);
        Ok(Revised {
            records,
            entries,
            changes,
        })
    }

    /// What failed among the children of jobs whose attempts no longer count is tried again, too.
    fn retry_below(&self, reach: &mut Reach<'_>, facts: &Facts) {
        let mut known = BTreeSet::new();
        loop {
            let mut jobs = drops::attempts(&reach.dropped());
            jobs.retain(|job| known.insert(job.clone()));
            if jobs.is_empty() {
                return;
            }
            for job in jobs {
                reach.retry(failures::below(self.case.plan, facts, &job));
            }
        }
    }

    fn moved(&self) -> Vec<(NodeId, NodeId)> {
        match (&self.matching, self.case.change) {
            (Some(matching), Some((_, now))) => matching.moved(now).collect(),
            (_, _) => Vec::new(),
        }
    }

    /// What is on record after this revision.
    fn facts(&self, moved: Vec<(NodeId, NodeId)>, dropped: Vec<Dropped>) -> Facts {
        let revision = Revision {
            definition: self.case.id,
            moved,
            dropped,
        };
        Facts::revised(&self.case.entries, &revision)
    }

    /// A job that counts lists all kinds that it has spawned.
    fn check_kinds(&self, facts: &Facts) -> Result<(), Refused> {
        let unknown = self.before.families.iter().filter_map(|(was, family)| {
            let now = self.translated(was)?;
            let counts = facts.families.get(&now)?;
            let listed = &self.case.plan.node(now.node).kinds;
            let mut kinds = family.kinds().zip(counts.kinds());
            let (kind, _) = kinds.find(|(_, now)| !listed.contains(now))?;
            Some((
                self.path_before(was),
                self.path_before(&Position {
                    frames: Vec::new(),
                    node: kind,
                }),
            ))
        });
        let unknown: Vec<(String, String)> = unknown.collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Refused::Unlisted(unknown))
        }
    }

    /// What runs again because somebody wants it to.
    fn seeds(&self, wish: &Wish, facts: &Facts) -> Result<Seeds, Refused> {
        let mut seeds = match wish {
            Wish::GoOn => return Ok(Seeds::default()),
            Wish::RetryFailed if entries::is_stuck(&self.case.entries) => {
                return Ok(Seeds::default());
            }
            Wish::RetryFailed => {
                let seeds = self.failed(facts);
                let has_failed = match entries::cause(&self.case.entries) {
                    Some(Ending::Succeeded { .. }) => false,
                    Some(Ending::Failed { .. } | Ending::Cancelled) => true,
                    None => !seeds.again.is_empty(),
                };
                if !has_failed {
                    return Err(Refused::NothingFailed);
                }
                seeds
            }
            Wish::Again(again) => {
                // As long as a failure counts, nothing goes on.
                let mut seeds = self.failed(facts);
                for (at, named) in again.nodes.iter().enumerate() {
                    let is_given = at == 0 && again.arguments.is_some();
                    let found = self.meant(named, again.even_if_done, facts)?;
                    if is_given && found.len() != 1 {
                        return Err(Refused::Several(named.name.clone()));
                    }
                    if is_given {
                        seeds.given = found.first().cloned();
                    }
                    if is_given || again.even_if_done {
                        seeds.anew.extend(found.iter().cloned());
                    }
                    seeds.named.extend(found);
                }
                let stopping = failures::stopping(self.case.plan, facts, &seeds.named);
                seeds.again.extend(stopping);
                seeds.again.extend(seeds.named.iter().cloned());
                seeds
            }
        };
        seeds.again.extend(self.undone(facts));
        let with_children = seeds
            .again
            .iter()
            .filter(|at| facts.families.contains_key(*at));
        let below = with_children.flat_map(|at| failures::below(self.case.plan, facts, at));
        let below: Vec<Position> = below.collect();
        seeds.again.extend(below);
        Ok(seeds)
    }

    /// What failed for good, and keeps the run from going on.
    fn failed(&self, facts: &Facts) -> Seeds {
        let mut seeds = Seeds {
            again: failures::unhandled(self.case.plan, facts),
            ..Seeds::default()
        };
        if let Some(Ending::Failed { at: Some(at), .. }) = entries::cause(&self.case.entries) {
            // What is pure is computed again anyway. A loop goes on where it was.
            let at = self.translated(at);
            seeds.behind = at.filter(|at| !seeds.again.contains(at));
        }
        seeds
    }

    /// What was undone has no result any more.
    fn undone(&self, facts: &Facts) -> Vec<Position> {
        let undone = entries::undone(&self.case.entries);
        let now = undone.iter().filter_map(|at| self.translated(at));
        now.filter(|at| facts.nodes.contains_key(at)).collect()
    }

    /// Races in whose winner something runs again: who wins now is not known.
    fn lost_races(&self, facts: &Facts) -> Vec<Position> {
        let (Some(matching), Some((_, now))) = (&self.matching, self.case.change) else {
            return Vec::new();
        };
        let lost = facts.nodes.iter().filter(|(at, fact)| {
            let race = now.node(at.node);
            fact.won
                .zip(race)
                .is_some_and(|(won, race)| matching.runs_again(race, won))
        });
        lost.map(|(at, _)| at.clone()).collect()
    }

    /// What came of failures, or of a cancel, that do not count any more runs again, too: jobs that
    /// failed beside them and were not recovered, and `finally`s of blocks that had not ended.
    ///
    /// Gives what is on record then.
    fn take_back(&self, reach: &mut Reach<'_>, moved: &[(NodeId, NodeId)], facts: &Facts) -> Facts {
        loop {
            let after = self.facts(moved.to_vec(), reach.dropped());
            let stoppers = self.stoppers(facts, &after);
            let short = failures::cut_short(self.case.plan, &after, &stoppers);
            if short.is_empty() {
                let lasts = self.lasts(&after, &stoppers);
                if lasts.is_empty() {
                    return after;
                }
                reach.again_from(lasts, 1);
                return self.facts(moved.to_vec(), reach.dropped());
            }
            // Each of them stops nothing any more, either.
            for at in short {
                let below = failures::below(self.case.plan, facts, &at);
                reach.retry(below);
                reach.retry([at]);
            }
        }
    }

    /// What has stopped something, and does not count any more.
    fn stoppers(&self, facts: &Facts, after: &Facts) -> Vec<Stopper> {
        let mut stoppers = Vec::new();
        for (at, fact) in &self.before.nodes {
            let Some((number, failed)) = &fact.failed else {
                continue;
            };
            let now = self.translated(at);
            let counts = now.and_then(|now| after.nodes.get(&now)?.failed.as_ref());
            if counts.is_none() {
                stoppers.push(Stopper {
                    number: *number,
                    frames: self.stopped(&at.frames, facts, failed),
                });
            }
        }
        if self.is_over {
            stoppers.extend(self.ends().map(|entry| Stopper {
                number: entry.number,
                frames: Vec::new(),
            }));
        }
        stoppers
    }

    /// What has stopped the run as a whole.
    fn ends(&self) -> impl Iterator<Item = &Entry> {
        self.case.entries.iter().filter(|entry| {
            matches!(
                entry.record,
                Record::CancelRequested(_) | Record::DeadlinePassed { at: None, .. }
            )
        })
    }

    /// Blocks whose `finally` has run and is to run again, behind what runs again or goes on.
    fn lasts(&self, after: &Facts, stoppers: &[Stopper]) -> BTreeSet<Position> {
        let mut lasts = failures::stale_lasts(self.case.plan, after, stoppers);
        let cause = entries::cause(&self.case.entries);
        if let Some(Ending::Failed { at: Some(at), .. }) = cause
            && self
                .before
                .nodes
                .get(at)
                .is_none_or(|fact| fact.failed.is_none())
        {
            // What is pure has failed, when is not on record.
            lasts.extend(failures::early_lasts(self.case.plan, after));
        }
        lasts
    }

    /// The frame that a failure has stopped, as far as it is there now.
    fn stopped(&self, frames: &[FrameStep], facts: &Facts, failed: &Failed) -> Vec<FrameStep> {
        let now = |step: &FrameStep| {
            let node = self.now(step.node)?;
            let is_kept = self
                .matching
                .as_ref()
                .is_none_or(|matching| matching.is_kept(node));
            is_kept.then_some(FrameStep { node, ..*step })
        };
        let now: Vec<FrameStep> = frames.iter().map_while(now).collect();
        failures::stopped(self.case.plan, facts, &now, failed).to_vec()
    }

    /// What the numbers of a position are now, whether or not its records count.
    fn translated(&self, at: &Position) -> Option<Position> {
        let frames = at.frames.iter().map(|step| {
            Some(FrameStep {
                node: self.now(step.node)?,
                ..*step
            })
        });
        Some(Position {
            frames: frames.collect::<Option<_>>()?,
            node: self.now(at.node)?,
        })
    }

    fn now(&self, node: NodeId) -> Option<NodeId> {
        match &self.matching {
            Some(matching) => matching.now(node),
            None => Some(node),
        }
    }

    /// What a name means: of jobs, sleeps and waits those that are on record; of a construct all of
    /// it, if anything in it is.
    fn meant(
        &self,
        named: &Named,
        even_if_done: bool,
        facts: &Facts,
    ) -> Result<Vec<Position>, Refused> {
        let mut found = Vec::new();
        let mut has_run = false;
        for meant in &named.nodes {
            let only = Drops::of(&[Dropped {
                at: meant.clone(),
                from: None,
            }]);
            let known = self.before.nodes.iter();
            let known = known.filter_map(|(at, fact)| Some((self.translated(at)?, fact)));
            let known: Vec<_> = known.filter(|(at, _)| only.cover(at)).collect();
            has_run |= !known.is_empty();
            if known
                .iter()
                .any(|(at, fact)| fact.is_run && is_meant(meant, at))
            {
                let wanted = known
                    .iter()
                    .filter(|(at, fact)| is_meant(meant, at) && (even_if_done || !fact.is_done));
                found.extend(wanted.map(|(at, _)| at.clone()));
            } else if !known.is_empty() && self.is_in_child(meant) {
                // Which children these are is on record.
                let depth = meant.frames.len();
                let inside = known.iter().filter_map(|(at, _)| {
                    let around = Position {
                        frames: at.frames.get(..depth)?.to_vec(),
                        node: at.frames.get(depth)?.node,
                    };
                    is_meant(meant, &around).then_some(around)
                });
                let inside: BTreeSet<Position> = inside.collect();
                found.extend(inside);
            } else if !known.is_empty() {
                found.push(meant.clone());
            }
        }
        let count = found.len();
        found.retain(|at| !failures::is_replaced(self.case.plan, facts, &at.frames));
        match (found.is_empty(), has_run) {
            (false, _) => Ok(found),
            (true, _) if count > 0 => Err(Refused::Replaced(named.name.clone())),
            (true, true) => Err(Refused::Succeeded(named.name.clone())),
            (true, false) => Err(Refused::NeverRan(named.name.clone())),
        }
    }

    fn is_in_child(&self, at: &Position) -> bool {
        let mut frames = at.frames.iter();
        frames.any(|step| self.case.plan.node(step.node).kind == PlanKind::Job)
    }

    /// What is recorded behind the revision, so that nothing is taken for under way that is not.
    ///
    /// What was under way when the run ended was dropped; it did not die. And what was under way in a
    /// construct that waits for something that runs again is not, nor is it in a child that waits until
    /// one of the jobs `anew` calls it again: the engine would wait for it before it ends.
    fn follows(&self, after: &Facts, reach: &Reach<'_>, anew: &BTreeSet<Position>) -> Vec<Record> {
        let waiting = reach.waiting().iter().map(|at| Dropped {
            at: at.clone(),
            from: None,
        });
        let waiting = Drops::of(&waiting.collect::<Vec<_>>());
        let inside = anew.iter().flat_map(|job| after.within(job));
        // Children wait until they are called again, if nothing goes on by itself.
        let suspended = inside.filter(|_| self.is_over).map(|(at, _)| at);
        let suspended: BTreeSet<&Position> = suspended.collect();
        let is_waiting = |at: &Position| {
            let matching = self.matching.as_ref();
            let waits = |step: &FrameStep| matching.is_some_and(|it| it.is_waiting(step.node));
            waiting.cover(at) || suspended.contains(at) || at.frames.iter().any(waits)
        };
        let is_stopped = !self.is_over && self.ends().next().is_some();
        let mut records = Vec::new();
        for (at, fact) in &after.nodes {
            let Some(attempt) = fact.open else { continue };
            let is_stopped = is_stopped && !failures::is_last(self.case.plan, &at.frames);
            if is_stopped || failures::has_lost(after, &at.frames) {
                // It was dropped with the record that says so.
                continue;
            }
            let node = self.case.plan.node(at.node);
            let recovery = node.recovery.as_ref().filter(|_| fact.is_recovering());
            let policy = recovery.map_or(node.policy, |recovery| recovery.policy);
            let is_once = policy.at_most_once;
            if is_waiting(at) && is_once {
                records.push(Record::AttemptFailed {
                    at: at.clone(),
                    attempt,
                    failure: Failure {
                        kind: FailureKind::Interrupted,
                        message: "the process ended while it was under way, and it is never \
                                  started twice"
                            .to_owned(),
                    },
                    retry_at: None,
                });
            } else if is_waiting(at) || self.is_over && !is_once {
                records.push(Record::AttemptInterrupted {
                    at: at.clone(),
                    attempt,
                });
            }
        }
        records
    }

    /// The children of a job whose attempts no longer count that are to wait until they are called
    /// again: all but those in which something is under way.
    fn suspended(&self, after: &Facts, job: &Position) -> Vec<Record> {
        let depth = job.frames.len();
        let is_under_way = |at: &Position, fact: &Fact| {
            let owes_finally = self.case.plan.node(at.node).kind == PlanKind::Finally;
            !self.is_over && (fact.open.is_some() || owes_finally)
        };
        let under_way = after
            .within(job)
            .filter(|(at, fact)| is_under_way(at, fact));
        let under_way: BTreeSet<u32> = under_way
            .filter_map(|(at, _)| at.frames.get(depth).map(|step| step.index))
            .collect();
        let recent = after.families.get(job).into_iter().flat_map(Family::recent);
        let numbers: Vec<u32> = recent.filter(|it| !under_way.contains(it)).collect();
        let records = numbers.chunks(NUMBERS_MAX);
        let records = records.map(|children| Record::ChildrenSuspended {
            at: job.clone(),
            children: children.to_vec(),
        });
        records.collect()
    }

    /// While a run is undone, what is to be undone has to stay what it was.
    fn check_undoing(&self, after: &Facts) -> Result<(), Refused> {
        let mut records = self.case.entries.iter().map(|entry| &entry.record);
        let is_undoing = records.any(|record| matches!(record, Record::UndoingBegan { .. }));
        if self.is_over || !is_undoing {
            return Ok(());
        }
        let lost = self.before.nodes.iter().filter(|(at, fact)| {
            let now = self.translated(at);
            let is_owed = now
                .and_then(|at| after.nodes.get(&at))
                .is_some_and(|it| it.is_owed);
            fact.is_owed && !is_owed
        });
        let lost: Vec<String> = lost.map(|(at, _)| self.path_before(at)).collect();
        if lost.is_empty() {
            Ok(())
        } else {
            Err(Refused::Undoing(lost))
        }
    }

    /// What is never started twice is not, unless somebody names it.
    fn check_twice(&self, after: &Facts, named: &[Position]) -> Result<(), Refused> {
        let is_named = |at: &Position| named.iter().any(|named| is_meant(named, at));
        let mut twice = BTreeMap::new();
        for (was, fact) in self.before.nodes.iter().filter(|(_, fact)| fact.is_tried) {
            let Some(now) = self.translated(was) else {
                continue;
            };
            let is_once = self.case.plan.node(now.node).policy.at_most_once;
            let counts = after.nodes.get(&now).is_some_and(|fact| fact.is_tried);
            if is_once && !counts && !is_named(&now) {
                let node = (self.case.path)(&now);
                let reason = self.reason(was, &now, fact);
                twice.entry(node).or_insert(reason);
            }
        }
        if twice.is_empty() {
            return Ok(());
        }
        let twice = twice.into_iter();
        let twice = twice.map(|(node, reason)| BlockedJob { node, reason });
        Err(Refused::Twice(twice.collect()))
    }

    /// Why a job would be started again, as far as the definitions tell.
    fn reason(&self, was: &Position, now: &Position, fact: &Fact) -> String {
        let has = if fact.is_done {
            "it has its result"
        } else {
            "it was begun"
        };
        let (Some(matching), Some((before, current))) = (&self.matching, self.case.change) else {
            return has.to_owned();
        };
        let steps = was.frames.iter().zip(&now.frames);
        let mut nodes = steps.map(|(was, now)| (was.node, now.node));
        let around = nodes.position(|(_, now)| !matching.is_kept(now));
        let around = around.and_then(|depth| {
            Some(Position {
                frames: was.frames.get(..depth)?.to_vec(),
                node: was.frames.get(depth)?.node,
            })
        });
        let changed = match &around {
            Some(around) => (around.node, now.frames[around.frames.len()].node),
            None => (was.node, now.node),
        };
        match (matching.reason(before, current, changed), around) {
            (Some(reason), Some(around)) => {
                let around = self.path_before(&around);
                format!("{has}, and `{around}`, which it is in, has changed: {reason}")
            }
            (Some(reason), None) => format!("{has}, and {reason}"),
            (None, _) => has.to_owned(),
        }
    }

    /// What is told about it.
    fn changes(&self, after: &Facts) -> Changes {
        let mut told = Gathered::default();
        for (was, fact) in self.in_source_order() {
            let now = self.translated(was);
            let counts = now.as_ref().and_then(|now| after.nodes.get(now));
            if fact.is_owed && !counts.is_some_and(|fact| fact.is_owed) {
                told.effects.add(was, || self.path_before(was));
            }
            let (Some(now), true) = (&now, fact.is_run) else {
                continue;
            };
            let is_kept = counts.is_some_and(|it| it.is_run && (!it.is_tried || it.is_ended()));
            let path = || (self.case.path)(now);
            if is_kept {
                told.kept.add(was, path);
            } else if counts.is_none_or(|it| fact.is_tried && !it.is_tried) || self.is_over {
                told.again.add(was, path);
            }
        }
        if let (Some(matching), Some((before, now))) = (&self.matching, self.case.change) {
            told.new = now.runs(|id| matching.before(id).is_none());
            told.gone = before.runs(|id| matching.now(id).is_none());
        }
        told.changes()
    }

    /// What is on record, inner nodes behind those around them.
    fn in_source_order(&self) -> Vec<(&Position, &Fact)> {
        let mut facts: Vec<_> = self.before.nodes.iter().collect();
        facts.sort_by_cached_key(|(at, _)| {
            let steps = at.frames.iter().map(|step| (step.node, step.index));
            steps.chain([(at.node, 0)]).collect::<Vec<_>>()
        });
        facts
    }

    fn path_before(&self, at: &Position) -> String {
        match self.case.change {
            Some((before, _)) => before.path(at),
            None => (self.case.path)(at),
        }
    }
}

impl Fact {
    /// Whether nothing more is to come of it.
    pub(crate) const fn is_ended(&self) -> bool {
        self.is_done || self.failed.is_some() || self.has_handed_over
    }
}

/// The inputs that node instances are given in place of those they are wired to: what is new, and
/// what they were given before.
fn replaced(wish: &Wish, seeds: &Seeds, (facts, after): (&Facts, &Facts)) -> Vec<Record> {
    let arguments = match wish {
        Wish::Again(again) => again.arguments.as_ref(),
        Wish::GoOn | Wish::RetryFailed => None,
    };
    let given = seeds.given.as_ref().zip(arguments);
    let mut records = Vec::new();
    for (at, fact) in &facts.nodes {
        if let Some(arguments) = &fact.arguments
            && seeds.again.iter().any(|seed| is_meant(seed, at))
            && given.is_none_or(|(given, _)| given != at)
            && after
                .nodes
                .get(at)
                .is_none_or(|fact| fact.arguments.is_none())
        {
            records.push((at, arguments));
        }
    }
    records.extend(given);
    let replaced = records.into_iter();
    let replaced = replaced.map(|(at, arguments)| Record::ArgumentsReplaced {
        at: at.clone(),
        arguments: arguments.clone(),
    });
    replaced.collect()
}

/// Adds records behind those that count.
fn append(entries: &mut Vec<Entry>, records: &[Record]) {
    let Some(last) = entries.last() else { return };
    let (step, at, number) = (last.step + 1, last.at, last.number);
    for (record, more) in records.iter().zip(2..) {
        entries.push(Entry {
            step,
            at,
            number: number + more,
            record: record.clone(),
        });
    }
}
