//! A store that forgets everything when it is dropped.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::decode::Reader;
use crate::rules::{self, Known};
use crate::{
    Append, DefinitionId, RunHead, RunId, RunStatus, SharedResult, Store, StoreError,
    StoreErrorKind, StoredRun, Timestamp,
};

/// A store in memory: the contract of [`Store`] without its durability.
///
/// Records are kept encoded, so what a file could not hold is refused here too.
#[derive(Debug, Default)]
pub struct MemoryStore {
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    /// In the order they were started.
    runs: Vec<Run>,
    by_id: HashMap<RunId, usize>,
    by_key: HashMap<(String, String), usize>,
    definitions: HashMap<DefinitionId, Arc<[u8]>>,
    shared: BTreeMap<u128, SharedResult>,
}

#[derive(Clone, Debug)]
struct Run {
    head: RunHead,
    steps: Vec<Arc<[u8]>>,
}

/// What undoes the appends of a batch that is refused, last first.
enum Undo {
    Start(usize),
    Step(usize, RunHead),
}

impl MemoryStore {
    /// A store without runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    /// # Durability
    ///
    /// None.
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        let mut runs = self.runs();
        let mut undo = Vec::with_capacity(batch.len());
        let added = batch
            .iter()
            .try_for_each(|append| runs.add(append).map(|done| undo.push(done)));
        let result = added.and_then(|()| runs.define(batch));
        match result {
            Ok(()) => runs.share(batch),
            Err(_) => {
                while let Some(done) = undo.pop() {
                    runs.undo(done);
                }
            }
        }
        result
    }

    fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        let runs = self.runs();
        let Some(stored) = runs.by_id.get(&run).and_then(|index| runs.runs.get(*index)) else {
            return Ok(None);
        };
        let steps = stored
            .steps
            .iter()
            .map(|step| rules::read_step(Reader::new(step)))
            .collect::<Result<_, _>>()
            .map_err(|what| StoreError::new(StoreErrorKind::Damaged, what.0).of_run(run))?;
        Ok(Some(StoredRun {
            head: stored.head.clone(),
            steps,
        }))
    }

    fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        let runs = self.runs();
        let unfinished = runs
            .runs
            .iter()
            .filter(|run| run.head.status == RunStatus::Running);
        Ok(unfinished.map(|run| run.head.id).collect())
    }

    fn find(&self, workflow: &str, key: &str) -> Result<Option<RunId>, StoreError> {
        let runs = self.runs();
        let index = runs.by_key.get(&(workflow.to_owned(), key.to_owned()));
        Ok(index
            .and_then(|index| runs.runs.get(*index))
            .map(|run| run.head.id))
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, StoreError> {
        let runs = self.runs();
        let first = match after {
            None => 0,
            Some(run) => match runs.by_id.get(&run) {
                Some(index) => index + 1,
                None => return Err(rules::no_such_run(run)),
            },
        };
        let heads = runs.runs.iter().skip(first).take(limit);
        Ok(heads.map(|run| run.head.clone()).collect())
    }

    fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, StoreError> {
        let runs = self.runs();
        Ok(runs.definitions.get(&id).map(|bytes| bytes.to_vec()))
    }

    fn shared(&self, key: u128) -> Result<Option<SharedResult>, StoreError> {
        Ok(self.runs().shared.get(&key).cloned())
    }

    fn remove_expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Option<u128>, StoreError> {
        let mut runs = self.runs();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = runs.shared.range((from, Bound::Unbounded));
        let looked_at: Vec<(u128, bool)> = behind
            .take(limit)
            .map(|(key, shared)| (*key, shared.is_over(now)))
            .collect();
        for (key, _) in looked_at.iter().filter(|(_, is_over)| *is_over) {
            runs.shared.remove(key);
        }
        let last = looked_at.last().filter(|_| looked_at.len() == limit);
        Ok(last.map(|(key, _)| *key))
    }

    /// Always: memory can't be detached.
    fn check_attached(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Runs {
    fn add(&mut self, append: &Append) -> Result<Undo, StoreError> {
        let mut step = Vec::new();
        let records = u64::try_from(append.records.len()).unwrap_or(u64::MAX);
        let index = self.by_id.get(&append.run).copied();
        let Some((index, run)) = index.and_then(|index| Some((index, self.runs.get_mut(index)?)))
        else {
            rules::check(append, Known::Nothing)?;
            rules::put_step(&mut step, append)?;
            return self.start(append, records, step.into());
        };
        rules::check(append, Known::of(run.head.status, run.head.records))?;
        rules::put_step(&mut step, append)?;
        let before = run.head.clone();
        run.head.records += records;
        run.head.updated_at = append.at;
        run.head.status = rules::status(append);
        run.steps.push(step.into());
        Ok(Undo::Step(index, before))
    }

    fn start(
        &mut self,
        append: &Append,
        records: u64,
        step: Arc<[u8]>,
    ) -> Result<Undo, StoreError> {
        let index = self.runs.len();
        let Some(start) = rules::start(append) else {
            return Err(rules::started_twice(append));
        };
        if let Some(key) = &start.key {
            let pair = (start.workflow.clone(), key.clone());
            if self.by_key.contains_key(&pair) {
                return Err(rules::key_taken(append, start, key));
            }
            self.by_key.insert(pair, index);
        }
        self.by_id.insert(append.run, index);
        self.runs.push(Run {
            head: RunHead {
                id: append.run,
                workflow: start.workflow.clone(),
                key: start.key.clone(),
                status: rules::status(append),
                started_at: append.at,
                updated_at: append.at,
                records,
            },
            steps: vec![step],
        });
        Ok(Undo::Start(index))
    }

    /// Takes the definitions of a batch: all, or none if one is missing.
    fn define(&mut self, batch: &[Append]) -> Result<(), StoreError> {
        let mut definitions = rules::definitions(batch);
        definitions.retain(|named| !self.definitions.contains_key(&named.id));
        if let Some(missing) = definitions.iter().find(|named| named.bytes.is_none()) {
            return Err(rules::unknown_definition(missing));
        }
        let definitions = definitions
            .into_iter()
            .filter_map(|named| Some((named.id, Arc::clone(named.bytes?))));
        self.definitions.extend(definitions);
        Ok(())
    }

    fn share(&mut self, batch: &[Append]) {
        for (key, (_, shared)) in rules::last_shared((0..).zip(batch)) {
            let shared = SharedResult {
                output: shared.output.to_vec(),
                until: shared.until,
            };
            self.shared.insert(key, shared);
        }
    }

    fn undo(&mut self, done: Undo) {
        match done {
            Undo::Start(index) => {
                if let Some(run) = self.runs.pop() {
                    self.by_id.remove(&run.head.id);
                    self.by_key.retain(|_, other| *other != index);
                }
            }
            Undo::Step(index, head) => {
                if let Some(run) = self.runs.get_mut(index) {
                    run.head = head;
                    run.steps.pop();
                }
            }
        }
    }
}
