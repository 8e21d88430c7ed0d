//! What an attempt spawns: which of it are children already, and whether there may be so many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zahir_store::{Attempt, Bond, ChildCall, Failure, FailureKind, NodeId, Record, SpawnedChild};

use super::Engine;
use super::action::Action;
use super::bonds::NUMBERS_MAX;
use super::frame::Place;
use super::parents::misspawned;
use super::report::AttemptOutcome;
use crate::job::children::asked::weight;
use crate::plan::PlanKind;

/// The most children that one record holds.
const RECORD_CHILDREN_MAX: usize = 1024;

/// About the most bytes of arguments and keys that one record holds.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// How many jobs on the way to one may continue as another. Each stays in memory until the last is
/// over, as about 6 kB, and the way to each is 8 bytes longer than to the one before it: 28 MB in all.
const LINKS_MAX: usize = 2048;

/// What an attempt asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What it is the first to ask for.
    fresh: Vec<SpawnedChild>,
    /// The numbers of what is there already, and what it is to be to its parent.
    known: Vec<(u32, Bond)>,
}

impl Asked {
    /// The numbers of what is there already and is to be this to its parent.
    pub(super) fn known_as(&self, bond: Bond) -> BTreeSet<u32> {
        let known = self.known.iter().filter(|(_, known)| *known == bond);
        known.map(|(number, _)| *number).collect()
    }
}

/// Why an attempt is not given what it asks for.
#[derive(Debug)]
pub(super) enum Denied {
    /// There may not be so many.
    TooMany(Failure),
    /// It is told so: it asks for something else than an attempt before it, or a bug was found.
    Told,
}

impl<V: Clone> Engine<V> {
    /// Finds out what of that which an attempt asks for is there already, by what it calls it. It asks
    /// for so many heirs besides.
    pub(super) fn ask(
        &mut self,
        parent: Place,
        attempt: Attempt,
        spawned: Vec<SpawnedChild>,
        heirs: usize,
    ) -> Result<Asked, Denied> {
        let mut asked = Asked::default();
        if spawned.is_empty() && heirs == 0 {
            return Ok(asked);
        }
        let kinds = &self.plan.node(parent.node).kinds;
        let is_listed = |spawn: &SpawnedChild| kinds.contains(&spawn.kind);
        if !spawned.iter().all(is_listed) || self.is_recovering(parent) {
            self.halt(misspawned(parent));
            return Err(Denied::Told);
        }
        let mut fresh: BTreeMap<ChildCall, usize> = BTreeMap::new();
        for spawn in spawned {
            let known = self.children(parent).and_then(|children| {
                let number = children.called(&spawn.call)?;
                let child = children.get(number)?;
                let arguments = child.arguments.as_deref().unwrap_or_default();
                let is_same = child.kind == spawn.kind && arguments == spawn.arguments;
                let is_it = child.is_held() || spawn.bond != Bond::Held;
                let is_it = is_it && (is_same || !children.is_loose(child));
                is_it.then_some((number, child, arguments, is_same))
            });
            if let Some((number, child, arguments, is_same)) = known {
                if !is_same {
                    let before = (child.kind, arguments.into());
                    self.diverge(parent, attempt, before, spawn);
                    return Err(Denied::Told);
                }
                asked.known.push((number, spawn.bond));
            } else if let Some(at) = fresh.get(&spawn.call) {
                let first = &asked.fresh[*at];
                if first.kind != spawn.kind || first.arguments != spawn.arguments {
                    let before = (first.kind, first.arguments.as_slice().into());
                    self.diverge(parent, attempt, before, spawn);
                    return Err(Denied::Told);
                }
            } else {
                fresh.insert(spawn.call.clone(), asked.fresh.len());
                asked.fresh.push(spawn);
            }
        }
        match self.too_many(parent, asked.fresh.len(), heirs) {
            Some(failure) => Err(Denied::TooMany(failure)),
            None => Ok(asked),
        }
    }

    /// The same for what an attempt asks for at its end.
    pub(super) fn ask_last(
        &mut self,
        parent: Place,
        attempt: Attempt,
        mut outcome: AttemptOutcome<V>,
    ) -> Result<(AttemptOutcome<V>, Asked), Denied> {
        let asked = match &mut outcome {
            AttemptOutcome::Succeeded {
                extra: Some(extra), ..
            } => self.ask(parent, attempt, std::mem::take(&mut extra.spawned), 0)?,
            AttemptOutcome::Postponed { spawned, .. } => {
                self.ask(parent, attempt, std::mem::take(spawned), 0)?
            }
            AttemptOutcome::Continued { spawned, .. } => {
                self.ask(parent, attempt, std::mem::take(spawned), 1)?
            }
            AttemptOutcome::Succeeded { .. }
            | AttemptOutcome::Failed { .. }
            | AttemptOutcome::Interrupted => Asked::default(),
        };
        Ok((outcome, asked))
    }

    /// Tells that an attempt asks for something else than one before it, under the same name. It is
    /// under way until it is reported as failed.
    fn diverge(
        &mut self,
        place: Place,
        attempt: Attempt,
        before: (NodeId, Arc<[u8]>),
        spawn: SpawnedChild,
    ) {
        self.outbox.gate(Action::Diverge {
            place,
            attempt,
            call: spawn.call,
            before,
            now: (spawn.kind, spawn.arguments),
        });
    }

    /// Why a job may not have so many more children.
    fn too_many(&self, parent: Place, children: usize, heirs: usize) -> Option<Failure> {
        let more = children.saturating_add(heirs);
        if more == 0 {
            return None;
        }
        let (depth, links) = self.descent(parent);
        let of_job = self.children(parent).map_or(0, |children| children.len());
        let of_job = of_job.saturating_add(more);
        let of_run = self.spawned.saturating_add(more);
        let max = self.children_max;
        let per_job = max
            .per_job
            .min(usize::try_from(u32::MAX).unwrap_or(usize::MAX));
        let message = if of_job > per_job {
            format!(
                "a job may have {per_job} children (`children_per_job_max`), and this one spawned more"
            )
        } else if of_run > max.per_run {
            format!(
                "the jobs of a run may have {} children together (`children_per_run_max`), and this one \
                 spawned more",
                max.per_run
            )
        } else if heirs > 0 && links >= LINKS_MAX {
            format!(
                "jobs may continue as another one {LINKS_MAX} times on the way to one, and this one went \
                 on: let a loop of the workflow go on from there"
            )
        } else if children > 0 && depth >= max.depth {
            format!(
                "children may have children down to depth {} (`child_depth_max`), and this job spawned \
                 one below that",
                max.depth
            )
        } else {
            return None;
        };
        Some(Failure {
            kind: FailureKind::TooLarge,
            message,
        })
    }

    /// How deep a job is among children, and how many of those that it is in it continues. An heir is
    /// as deep as what it continues.
    fn descent(&self, job: Place) -> (usize, usize) {
        let (mut depth, mut links, mut at) = (0, 0, job.frame);
        while let Some(frame) = self.frames.get(at)
            && let Some(owner) = frame.owner
        {
            let children = self.children(owner);
            let heir = children
                .and_then(|it| it.inheritance.as_ref())
                .map(|it| it.heir);
            if heir == Some(frame.index) {
                links += 1;
            } else if self.plan.node(owner.node).kind == PlanKind::Job {
                depth += 1;
            }
            at = owner.frame;
        }
        (depth, links)
    }

    /// Makes what an attempt asks for its children.
    pub(super) fn spawn(&mut self, parent: Place, attempt: Attempt, asked: Asked) {
        let known = asked.known.into_iter().map(|(number, _)| number);
        let resumed: Vec<u32> = known
            .filter(|number| self.resume_child(parent, *number, attempt.number()))
            .collect();
        for some in resumed.chunks(NUMBERS_MAX) {
            self.outbox.record(|| Record::ChildrenResumed {
                at: self.frames.position(parent),
                children: some.to_vec(),
            });
        }
        let (mut record, mut bytes) = (Vec::new(), 0);
        for child in asked.fresh {
            let size = weight(&child);
            let is_full = record.len() >= RECORD_CHILDREN_MAX || bytes + size > RECORD_BYTES_MAX;
            if is_full && !record.is_empty() {
                self.record_spawned(parent, std::mem::take(&mut record));
                bytes = 0;
            }
            self.adopt(parent, &child);
            bytes += size;
            record.push(child);
        }
        if !record.is_empty() {
            self.record_spawned(parent, record);
        }
    }

    fn record_spawned(&mut self, parent: Place, children: Vec<SpawnedChild>) {
        let all = self.children(parent).map_or(0, |children| children.len());
        let first = u32::try_from(all - children.len()).unwrap_or(u32::MAX);
        self.begin_wave(parent, first);
        self.outbox.record(|| Record::ChildrenSpawned {
            at: self.frames.position(parent),
            children,
        });
    }
}
