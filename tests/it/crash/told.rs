//! What is left of a case when its processes are gone: what is on record, and what was run.
//!
//! What was run is told by the jobs themselves, with [`note`], outside of zahir. One test is one
//! thread, so that a world of its own is kept for each of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zahir::Context;
use zahir_store::{MemoryStore, Position, Record, RunHead, Store, Timestamp};

/// No more attempts than this are under way at once, in all of these workflows.
pub(super) const UNDER_WAY_MAX: usize = 3;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// What outlives a process.
#[derive(Default)]
struct World {
    store: Arc<MemoryStore>,
    /// What each attempt did, in the order in which it happened.
    ran: Vec<(Key, String)>,
    /// How much of what was broken works.
    mended: u32,
}

/// One attempt: the revision of the run that it was made in, its idempotency key, its number.
type Key = (usize, String, u32);

/// Makes a world of which nothing is known yet.
pub(super) fn begin_world(store: &Arc<MemoryStore>) {
    let store = Arc::clone(store);
    WORLD.replace(World {
        store,
        ..World::default()
    });
}

/// So much of what was broken works from here on.
pub(super) fn mend(mended: u32) {
    WORLD.with_borrow_mut(|world| world.mended = mended);
}

pub(super) fn mended() -> u32 {
    WORLD.with_borrow(|world| world.mended)
}

/// An attempt does something, after its start was on record, and for the first time.
pub(super) fn note(ctx: &Context, what: impl fmt::Display) {
    WORLD.with_borrow_mut(|world| {
        let run = world.store.load(ctx.run()).unwrap().expect("its run");
        let all = run.steps.iter().flat_map(|step| &step.records);
        let revision = all.filter(|it| matches!(it, Record::RunRevised(_))).count();
        let attempt = (revision, ctx.idempotency_key(), ctx.attempt());
        let tries = tries(&world.store);
        let tries = tries.get(&(revision, attempt.1.clone())).into_iter();
        let own = tries.flatten().find(|it| it.attempt == attempt.2);
        let own = own.unwrap_or_else(|| panic!("{attempt:?} {what} and is not on record"));
        assert_eq!(own.outcome, None, "{attempt:?} {what} and was over");
        let is_known = world.ran.iter().any(|(known, _)| *known == attempt);
        assert!(!is_known, "{attempt:?} {what} a second time");
        world.ran.push((attempt, what.to_string()));
    });
}

/// How often the job of this attempt has failed, as far as that is on record.
pub(super) fn failures(ctx: &Context) -> usize {
    WORLD.with_borrow(|world| {
        let key = ctx.idempotency_key();
        let last = tries(&world.store);
        let last = last.into_iter().rfind(|((_, of), _)| *of == key);
        let failed = |it: &Try| {
            it.outcome
                .as_ref()
                .is_some_and(|it| it.starts_with("failed"))
        };
        last.map_or(0, |(_, tries)| tries.iter().filter(|it| failed(it)).count())
    })
}

/// All that was done, in order.
pub(super) fn ran() -> Vec<String> {
    WORLD.with_borrow(|world| world.ran.iter().map(|(_, what)| what.clone()).collect())
}

/// An attempt that is on record.
pub(super) struct Try {
    attempt: u32,
    /// Of an attempt that was cut off, there is none.
    outcome: Option<String>,
}

/// The attempts on record, by revision and idempotency key.
fn tries(store: &MemoryStore) -> BTreeMap<(usize, String), Vec<Try>> {
    let mut tries = BTreeMap::new();
    for head in store.runs(None, 10).unwrap() {
        Tries::of(&head, &mut tries).read(store);
    }
    tries
}

/// Reads the attempts of one run.
struct Tries<'a> {
    head: &'a RunHead,
    tries: &'a mut BTreeMap<(usize, String), Vec<Try>>,
    revision: usize,
    /// Where the recovery job has taken over.
    recovering: BTreeSet<Position>,
    /// When the next attempt may be made.
    due: BTreeMap<String, Timestamp>,
}

impl<'a> Tries<'a> {
    fn of(head: &'a RunHead, tries: &'a mut BTreeMap<(usize, String), Vec<Try>>) -> Self {
        Self {
            head,
            tries,
            revision: 0,
            recovering: BTreeSet::new(),
            due: BTreeMap::new(),
        }
    }

    fn read(mut self, store: &MemoryStore) {
        // Virtual time begins anew in each process, and a run does not go back in time.
        let mut now = Timestamp::default();
        for step in store.load(self.head.id).unwrap().unwrap().steps {
            now = now.max(step.at);
            for record in step.records {
                self.take(now, record);
            }
        }
    }

    fn key(&self, at: &Position) -> String {
        let role = if self.recovering.contains(at) {
            "/recover"
        } else {
            ""
        };
        format!("{}/{at:?}{role}", self.head.id)
    }

    fn undo_key(&self, at: &Position) -> String {
        format!("{}/{at:?}/undo", self.head.id)
    }

    fn take(&mut self, now: Timestamp, record: Record) {
        match record {
            Record::AttemptStarted { at, attempt } => {
                self.start(self.key(&at), attempt.number(), now);
            }
            Record::UndoStarted { at, attempt } => {
                self.start(self.undo_key(&at), attempt.number(), now);
            }
            Record::AttemptSucceeded { at, attempt, .. }
            | Record::AttemptRecovered { at, attempt, .. } => {
                self.end(&self.key(&at), attempt.number(), "succeeded".to_owned());
            }
            Record::UndoSucceeded { at, attempt } => {
                self.end(&self.undo_key(&at), attempt.number(), "undone".to_owned());
            }
            Record::AttemptPostponed {
                at, attempt, due, ..
            } => {
                let outcome = format!("postponed by {}", seconds(now, due));
                let key = self.key(&at);
                self.end(&key, attempt.number(), outcome);
                self.due.insert(key, due);
            }
            Record::AttemptFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => self.fail(
                self.key(&at),
                attempt.number(),
                (now, retry_at),
                &failure.message,
            ),
            Record::UndoFailed {
                at,
                attempt,
                failure,
                retry_at,
            } => {
                let key = self.undo_key(&at);
                self.fail(key, attempt.number(), (now, retry_at), &failure.message);
            }
            Record::RecoveryBegan {
                at,
                attempt,
                failure,
            } => {
                self.fail(
                    self.key(&at),
                    attempt.number(),
                    (now, None),
                    &failure.message,
                );
                self.recovering.insert(at);
            }
            Record::RunRevised(revision) => {
                self.revision += 1;
                let dropped = |at: &Position| revision.dropped.iter().any(|it| it.at == *at);
                self.recovering.retain(|at| !dropped(at));
                self.due.clear();
            }
            _ => {}
        }
    }

    fn start(&mut self, key: String, attempt: u32, now: Timestamp) {
        if let Some(due) = self.due.remove(&key) {
            assert!(now >= due, "attempt {attempt} of {key} comes too early");
        }
        let tries = self.tries.entry((self.revision, key)).or_default();
        let outcome = None;
        tries.push(Try { attempt, outcome });
    }

    fn end(&mut self, key: &str, attempt: u32, outcome: String) {
        let tries = self.tries.get_mut(&(self.revision, key.to_owned()));
        let last = tries.and_then(|tries| tries.last_mut());
        let last = last.unwrap_or_else(|| panic!("{key} {outcome} and was not begun"));
        assert_eq!(last.attempt, attempt, "{key} {outcome} later than it may");
        assert_eq!(last.outcome, None, "attempt {attempt} of {key} {outcome}");
        last.outcome = Some(outcome);
    }

    fn fail(
        &mut self,
        key: String,
        attempt: u32,
        (now, due): (Timestamp, Option<Timestamp>),
        message: &str,
    ) {
        let then = match due {
            Some(due) => format!("again in {}", seconds(now, due)),
            None => "for good".to_owned(),
        };
        self.end(&key, attempt, format!("failed {then} ({message})"));
        if let Some(due) = due {
            self.due.insert(key, due);
        }
    }
}

/// A record is written a moment after it was made.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    (to.since(from) + Duration::from_millis(500)).as_secs()
}

/// What became of each job, and what its attempts did, but for those that were cut off; and how many
/// those were.
pub(super) fn attempts(store: &MemoryStore) -> (BTreeMap<String, String>, usize) {
    let (mut told, mut lost) = (BTreeMap::new(), 0);
    let runs = store.runs(None, 10).unwrap();
    for ((revision, key), tries) in tries(store) {
        let run = runs.iter().find(|run| key.starts_with(&run.id.to_string()));
        let run = run.expect("its run");
        let name = key.replace(&run.id.to_string(), run.key.as_deref().unwrap_or_default());
        let mut all = Vec::new();
        for Try { attempt, outcome } in tries {
            let Some(outcome) = outcome else {
                lost += 1;
                continue;
            };
            let attempt = (revision, key.clone(), attempt);
            let what = WORLD.with_borrow(|world| {
                let mut own = world.ran.iter().filter(|(of, _)| *of == attempt);
                own.next().map(|(_, what)| what.clone())
            });
            let what = what.as_deref().unwrap_or("nothing ran");
            all.push(format!("{what}: {outcome}"));
        }
        told.insert(format!("{name} in revision {revision}"), all.join("; "));
    }
    (told, lost)
}
