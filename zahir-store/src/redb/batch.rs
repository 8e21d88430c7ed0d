//! Many appends, one transaction.
//!
//! A batch is first staged in memory, where most of what can be wrong with it is found, and each
//! record is encoded, once. Then its rows go to redb, those of a table together and in the order of
//! their keys. What is staged takes effect in memory only after the commit.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::ops::Range;

use redb::WriteTransaction;

use crate::rules::{self, Known};
use crate::{Append, RunId, RunStart, StoreError, StoreErrorKind};

use super::guard::Fault;
use super::index::{idempotency_key, run_key};
use super::names::Names;
use super::schema::{ENDED, ENTRIES, Head, LEDGER, LIVE, Ledger, put_entry};

/// How much memory for encoded records a store keeps from batch to batch.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What is kept in memory of a run that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) number: u64,
    pub(super) head: Head,
    /// The checksum of its row: what the run adds to the digest of the ledger.
    pub(super) checksum: u64,
}

/// A run that a batch adds to.
#[derive(Debug)]
struct Touched {
    number: u64,
    head: Head,
    /// What its row added to the digest before; 0 for a run that had no row in `live`.
    checksum: u64,
    /// The append that starts it, by its place in the batch.
    started_by: Option<usize>,
    /// Whether it was over before this batch.
    was_over: bool,
}

/// A batch that keeps to the contract as far as memory can tell.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// All entries, one behind the other.
    bytes: Vec<u8>,
    entries: Vec<Range<usize>>,
    runs: Vec<Touched>,
    by_id: HashMap<RunId, usize>,
    /// Whether a record names a definition, as that of every start does.
    names_definitions: bool,
    /// Whether a record shares a result.
    shares: bool,
}

impl Staged {
    /// Forgets the batch, and gives back the memory of a large one.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.entries.clear();
        self.runs.clear();
        self.by_id.clear();
        self.names_definitions = false;
        self.shares = false;
    }

    /// Encodes a batch. `ended` gives the number and the head of a run that is over.
    pub(super) fn stage(
        &mut self,
        batch: &[Append],
        live: &HashMap<RunId, Live>,
        ledger: &mut Ledger,
        ended: impl Fn(RunId) -> Result<Option<(u64, Head)>, StoreError>,
    ) -> Result<(), StoreError> {
        for (place, append) in batch.iter().enumerate() {
            let index = match self.by_id.entry(append.run) {
                MapEntry::Occupied(entry) => *entry.get(),
                MapEntry::Vacant(entry) => {
                    let index = self.runs.len();
                    let touched = match live.get(&append.run) {
                        Some(live) => Touched::live(live),
                        // That a run which begins here exists already is found as it is named.
                        None if append.first == 0 => Touched::started(append.run, place, ledger),
                        None => match ended(append.run)? {
                            Some((number, head)) => Touched::over(number, head),
                            None => Touched::started(append.run, place, ledger),
                        },
                    };
                    self.runs.push(touched);
                    *entry.insert(index)
                }
            };
            if let Some(touched) = self.runs.get_mut(index) {
                let start = self.bytes.len();
                touched.add(append, ledger, &mut self.bytes)?;
                self.entries.push(start..self.bytes.len());
            }
            self.names_definitions |= rules::named(append).next().is_some();
            self.shares |= rules::shared(append).next().is_some();
        }
        Ok(())
    }

    /// Writes the rows of a staged batch, without committing them.
    pub(super) fn write(
        &mut self,
        batch: &[Append],
        transaction: &WriteTransaction,
        ledger: &mut Ledger,
    ) -> Result<(), Fault> {
        self.write_entries(transaction, ledger)?;
        // What a revision of a run that is over adds comes with the definition that it names.
        if self.names_definitions || self.shares {
            self.write_names(batch, transaction, ledger)?;
        }
        self.write_heads(transaction, ledger)
    }

    /// The sequence of the first entry of a batch that the ledger counts already.
    fn first_sequence(&self, ledger: &Ledger) -> u64 {
        ledger.next - count(self.entries.len())
    }

    fn write_entries(&self, transaction: &WriteTransaction, ledger: &Ledger) -> Result<(), Fault> {
        let mut table = transaction.open_table(ENTRIES)?;
        let first = self.first_sequence(ledger);
        for (sequence, range) in (first..).zip(&self.entries) {
            let entry = self.bytes.get(range.clone()).unwrap_or_default();
            table.insert(sequence, entry)?;
        }
        Ok(())
    }

    fn write_names(
        &self,
        batch: &[Append],
        transaction: &WriteTransaction,
        ledger: &mut Ledger,
    ) -> Result<(), Fault> {
        let started = self.runs.iter().filter_map(|run| {
            let append = batch.get(run.started_by?)?;
            Some((append, rules::start(append)?, run.number))
        });
        let mut names = Names::open(transaction)?;
        names.put_starts(started.clone())?;
        ledger.definitions += names.put_definitions(batch)?;
        if self.shares {
            names.put_shared(batch, self.first_sequence(ledger))?;
        }
        for run in self.runs.iter().filter(|run| run.was_over) {
            names.put_revision(run.head.id, run.head.last)?;
        }
        match names.insert()? {
            Ok(added) => {
                ledger.indexed += added;
                Ok(())
            }
            Err(name) => Err(taken(started, &name).into()),
        }
    }

    fn write_heads(
        &mut self,
        transaction: &WriteTransaction,
        ledger: &mut Ledger,
    ) -> Result<(), Fault> {
        let mut row = Vec::with_capacity(256);
        self.runs.sort_unstable_by_key(|run| run.number);
        let mut live = transaction.open_table(LIVE)?;
        for run in &mut self.runs {
            ledger.digest = ledger.digest.wrapping_sub(run.checksum);
            if run.head.is_over() {
                live.remove(run.number)?;
            } else {
                run.checksum = run.head.encode(run.number, &mut row);
                ledger.digest = ledger.digest.wrapping_add(run.checksum);
                live.insert(run.number, row.as_slice())?;
            }
        }
        if self
            .runs
            .iter()
            .any(|run| run.was_over || run.head.is_over())
        {
            let mut ended = transaction.open_table(ENDED)?;
            for run in &self.runs {
                if run.head.is_over() {
                    run.head.encode(run.number, &mut row);
                    ended.insert(run.number, row.as_slice())?;
                } else if run.was_over {
                    ended.remove(run.number)?;
                }
                ledger.ended += u64::from(run.head.is_over());
                ledger.ended -= u64::from(run.was_over);
            }
        }
        ledger.encode(&mut row);
        live.insert(LEDGER, row.as_slice())?;
        Ok(())
    }

    /// Makes a committed batch visible in memory.
    pub(super) fn apply(&self, live: &mut HashMap<RunId, Live>) {
        for run in &self.runs {
            if run.head.is_over() {
                live.remove(&run.head.id);
            } else {
                live.insert(
                    run.head.id,
                    Live {
                        number: run.number,
                        head: run.head,
                        checksum: run.checksum,
                    },
                );
            }
        }
    }

    /// How many bytes of entries the batch has.
    pub(super) fn bytes(&self) -> u64 {
        count(self.bytes.len())
    }
}

impl Touched {
    const fn live(live: &Live) -> Self {
        Self {
            number: live.number,
            head: live.head,
            checksum: live.checksum,
            started_by: None,
            was_over: false,
        }
    }

    const fn over(number: u64, head: Head) -> Self {
        Self {
            number,
            head,
            checksum: 0,
            started_by: None,
            was_over: true,
        }
    }

    fn started(run: RunId, place: usize, ledger: &mut Ledger) -> Self {
        ledger.started += 1;
        Self {
            number: ledger.started - 1,
            head: Head::new(run),
            checksum: 0,
            started_by: Some(place),
            was_over: false,
        }
    }

    fn add(
        &mut self,
        append: &Append,
        ledger: &mut Ledger,
        bytes: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let known = if self.head.last == 0 {
            Known::Nothing
        } else {
            Known::of(self.head.status, self.head.records)
        };
        rules::check(append, known)?;
        self.head.hash = put_entry(self.number, &self.head, append, bytes)?;
        self.head.last = ledger.next;
        self.head.records += count(append.records.len());
        self.head.updated_at = append.at;
        self.head.status = rules::status(append);
        ledger.next += 1;
        Ok(())
    }
}

/// The error for a batch that starts a run under a name that is taken.
fn taken<'a>(
    started: impl Iterator<Item = (&'a Append, &'a RunStart, u64)>,
    name: &[u8],
) -> StoreError {
    let mut refused = None;
    for (append, start, _) in started {
        if run_key(append.run) == name {
            refused = Some(rules::started_twice(append));
        } else if let Some(key) = &start.key
            && idempotency_key(&start.workflow, key) == name
        {
            // The last of the batch: the first may be the one it collides with.
            refused = Some(rules::key_taken(append, start, key));
        }
    }
    refused.unwrap_or_else(|| StoreError::new(StoreErrorKind::Refused, "a name is taken"))
}

pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
