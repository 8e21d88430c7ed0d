//! What the tests share: random numbers from a seed, random but valid appends, and all there is in
//! a store as one value that can be compared.

use std::collections::{BTreeMap, HashMap};

use zahir_store::conformance::{finish, inner_records, more, revise, run, share, start};
use zahir_store::{
    Append, Attempt, DefinitionId, MemoryStore, NodeId, Position, Record, RunId, SharedResult,
    Store, StoreError, StoredRun, Timestamp,
};

pub(crate) mod disk;

/// The number in this environment variable, or `default`.
pub(crate) fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).unwrap())).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// All there is in a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    unfinished: Vec<RunId>,
    runs: Vec<StoredRun>,
    definition: Option<Vec<u8>>,
    /// What is found by each key that a record shares something with.
    shared: BTreeMap<u128, Option<SharedResult>>,
}

impl Content {
    /// Reads everything and checks that every way to a run leads to the same one.
    pub(crate) fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let mut runs: Vec<StoredRun> = Vec::new();
        let mut last = None;
        loop {
            let heads = store.runs(last, 7)?;
            let Some(head) = heads.last() else { break };
            last = Some(head.id);
            for head in heads {
                let stored = store.load(head.id)?;
                let stored = stored.unwrap_or_else(|| panic!("run {} is listed only", head.id));
                assert_eq!(stored.head, head);
                if let Some(key) = &head.key {
                    assert_eq!(store.find(&head.workflow, key)?, Some(head.id));
                }
                runs.push(stored);
            }
        }
        let records = runs.iter().flat_map(|run| &run.steps);
        let records = records.flat_map(|step| &step.records);
        let mut shared = BTreeMap::new();
        for key in records.filter_map(shared_key) {
            shared.insert(key, store.shared(key)?);
        }
        Ok(Self {
            unfinished: store.unfinished()?,
            runs,
            shared,
            definition: store.definition(DefinitionId::from_u128(7))?,
        })
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> usize {
        let steps = self.runs.iter().flat_map(|run| &run.steps);
        steps.map(|step| step.records.len()).sum()
    }

    /// What there is after these batches.
    pub(crate) fn after(batches: &[Vec<Append>]) -> Self {
        let store = MemoryStore::new();
        for batch in batches {
            store.append(batch).unwrap();
        }
        Self::of(&store).unwrap()
    }
}

/// The key with which a record shares a result.
pub(crate) fn shared_key(record: &Record) -> Option<u128> {
    if let Record::ResultShared { key, .. } = record {
        Some(*key)
    } else {
        None
    }
}

/// Random batches that keep to the contract.
#[derive(Debug)]
pub(crate) struct Workload {
    rng: Rng,
    pub(crate) batches: Vec<Vec<Append>>,
    /// Number and count of records of the runs that are not over.
    open: Vec<(u128, u64)>,
    /// Those of the runs that are over.
    over: Vec<(u128, u64)>,
    runs: u128,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            batches: Vec::new(),
            open: Vec::new(),
            over: Vec::new(),
            runs: 0,
        }
    }

    /// One more batch, which is also kept.
    pub(crate) fn batch(&mut self) -> Vec<Append> {
        let appends = if self.rng.one_in(6) { 40 } else { 5 };
        let appends = 1 + self.rng.below(appends);
        let batch: Vec<Append> = (0..appends).map(|_| self.append()).collect();
        self.batches.push(batch.clone());
        batch
    }

    fn append(&mut self) -> Append {
        if self.open.is_empty() || self.rng.one_in(5) {
            self.runs += 1;
            // Ids neither rise nor fall.
            let number = self
                .runs
                .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            self.open.push((number, 1));
            let key = format!("key {number}");
            return start(number, "order", self.rng.one_in(2).then_some(&key));
        }
        if !self.over.is_empty() && self.rng.one_in(8) {
            // One of a few, so that some go on more than once.
            let index = self.rng.index(self.over.len().min(4));
            let (number, first) = self.over.swap_remove(index);
            self.open.push((number, first + 1));
            return revise(number, first);
        }
        let index = self.rng.index(self.open.len());
        let (number, first) = self.open[index];
        if self.rng.one_in(6) {
            self.open.swap_remove(index);
            self.over.push((number, first + 1));
            return finish(number, first);
        }
        let records = self.records();
        self.open[index].1 += u64::try_from(records.len()).unwrap();
        more(number, first, records)
    }

    fn records(&mut self) -> Vec<Record> {
        let count = 1 + self.rng.below(2);
        (0..count)
            .flat_map(|_| any_records(&mut self.rng))
            .collect()
    }

    /// Forgets all but the first batches.
    pub(crate) fn truncate(&mut self, batches: usize) {
        self.batches.truncate(batches);
        self.open.clear();
        self.over.clear();
        for append in self.batches.iter().flatten() {
            let number = append.run.as_u128();
            for runs in [&mut self.open, &mut self.over] {
                runs.retain(|(run, _)| *run != number);
            }
            let records = append.first + u64::try_from(append.records.len()).unwrap();
            if matches!(append.records.last(), Some(Record::RunFinished(_))) {
                self.over.push((number, records));
            } else {
                self.open.push((number, records));
            }
        }
    }

    pub(crate) fn first_run(&self) -> Option<RunId> {
        (self.runs > 0).then(|| run(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }
}

/// A record, or two that belong together.
fn any_records(rng: &mut Rng) -> Vec<Record> {
    if rng.one_in(3) {
        let records = inner_records();
        let index = rng.index(records.len());
        let count = 1 + usize::from(shared_key(&records[index]).is_some());
        return records[index..index + count].to_vec();
    }
    let bytes_max = if rng.one_in(30) { 30_000 } else { 500 };
    let bytes = rng.index(bytes_max);
    let output = rng.bytes(bytes);
    if rng.one_in(5) {
        let until = rng
            .one_in(2)
            .then(|| Timestamp::from_millis(rng.below(1_000)));
        // Few keys, so that many are shared again.
        let key = u128::from(rng.below(20)) << 100;
        return share(1, 1, key, SharedResult { output, until }).records;
    }
    vec![Record::AttemptSucceeded {
        at: Position {
            frames: Vec::new(),
            node: NodeId::new(1),
        },
        attempt: Attempt::FIRST,
        output,
    }]
}

/// The tests that cut a workload short rest on it: runs go on behind their ends, some more than
/// once, and keys are shared again.
#[test]
fn a_workload_goes_on_behind_ends_and_shares_again() {
    let mut workload = Workload::new(1);
    (0..60).for_each(|_| drop(workload.batch()));
    let mut ends: HashMap<RunId, usize> = HashMap::new();
    let mut keys: HashMap<u128, usize> = HashMap::new();
    for append in workload.batches.iter().flatten() {
        if matches!(append.records.last(), Some(Record::RunFinished(_))) {
            *ends.entry(append.run).or_default() += 1;
        }
        for key in append.records.iter().filter_map(shared_key) {
            *keys.entry(key).or_default() += 1;
        }
    }
    assert!(ends.values().filter(|ends| **ends > 1).count() > 3);
    assert!(ends.values().any(|ends| *ends > 2));
    assert!(keys.values().filter(|shares| **shares > 1).count() > 3);
}
