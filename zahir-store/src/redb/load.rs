//! What is in the file, checked as it is read.
//!
//! Every function copies out what it needs and ends its read transaction: one that stays open
//! keeps every page alive that is replaced meanwhile.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTableMetadata, TableDefinition, TableError};

use crate::{DefinitionId, RunHead, RunId, SharedResult, StoredRun, Timestamp};

use super::guard::{Fault, damaged, damaged_run};
use super::index::{
    self, Found, definition_key, idempotency_key, revision_key, run_key, shared_key,
};
use super::schema::{
    DEFINITIONS, ENDED, ENTRIES, Entry, Head, INDEX, LEDGER, LIVE, Ledger, SHARED, STARTS, Start,
    Tag, checksums, decode_shared, unseal,
};

/// No more shared results are looked at in one go once they had so many bytes.
const LOOKED_AT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A snapshot of the file called `name`.
pub(super) struct Snapshot<'a> {
    pub(super) name: &'a str,
    pub(super) transaction: ReadTransaction,
}

/// The runs that are not over, as an open finds them.
pub(super) struct Unfinished {
    pub(super) ledger: Ledger,
    /// Run number, head, checksum of the head.
    pub(super) heads: Vec<(u64, Head, u64)>,
    /// What does not add up, in words.
    pub(super) damage: Option<String>,
    /// Whether all of `heads` are those that were last written.
    pub(super) are_current: bool,
}

impl Snapshot<'_> {
    /// The number of a run.
    pub(super) fn number(&self, run: RunId) -> Result<Option<u64>, Fault> {
        match index::find(&self.transaction.open_table(INDEX)?, &run_key(run))? {
            Ok(Found::Number(number)) => Ok(Some(number)),
            Ok(Found::Absent) => Ok(None),
            Err(what) => Err(self.damaged_run(run, what.0)),
        }
    }

    /// Every record of a run.
    pub(super) fn run(&self, run: RunId) -> Result<Option<StoredRun>, Fault> {
        let Some(number) = self.number(run)? else {
            return Ok(None);
        };
        let start = self.start(number, Some(run))?;
        let head = self.head(number, run)?;
        let steps = self.steps(number, &head)?;
        Ok(Some(StoredRun {
            head: run_head(start, &head),
            steps,
        }))
    }

    /// How a run began. `run` is its id, if that is known from elsewhere.
    pub(super) fn start(&self, number: u64, run: Option<RunId>) -> Result<Start, Fault> {
        let table = self.transaction.open_table(STARTS)?;
        let row = table.get(number)?;
        let start = match row {
            None => Err("its row in `starts` is missing".to_owned()),
            Some(row) => Start::decode(number, row.value())
                .map_err(|what| format!("its row in `starts`: {}", what.0)),
        };
        match (start, run) {
            (Ok(start), Some(run)) if start.id != run => {
                Err(self.damaged_run(run, "its number is another run's"))
            }
            (Ok(start), _) => Ok(start),
            (Err(what), Some(run)) => Err(self.damaged_run(run, &what)),
            (Err(what), None) => Err(match self.id_by_head(number)? {
                Some(run) => self.damaged_run(run, &what),
                None => self.damaged(&format!("run number {number}: {what}")),
            }),
        }
    }

    /// The id of a run whose start can't be read.
    fn id_by_head(&self, number: u64) -> Result<Option<RunId>, Fault> {
        for (table, tag) in [(LIVE, Tag::Live), (ENDED, Tag::Ended)] {
            let table = self.transaction.open_table(table)?;
            let row = table.get(number)?;
            if let Some(Ok((head, _))) = row.map(|row| Head::decode(tag, number, row.value())) {
                return Ok(Some(head.id));
            }
        }
        Ok(None)
    }

    /// The head of a run, in one table or the other.
    fn head(&self, number: u64, run: RunId) -> Result<Head, Fault> {
        match self.head_in((LIVE, Tag::Live), number, run)? {
            Some(head) => Ok(head),
            None => self.ended_head(number, run),
        }
    }

    /// The head of a run that is over. If it went on behind an end before, it had another head in
    /// the same place.
    fn ended_head(&self, number: u64, run: RunId) -> Result<Head, Fault> {
        let head = self
            .head_in((ENDED, Tag::Ended), number, run)?
            .ok_or_else(|| self.damaged_run(run, "its head is missing"))?;
        match index::find(&self.transaction.open_table(INDEX)?, &revision_key(run))? {
            Ok(Found::Number(sequence)) if head.last < sequence => {
                Err(self.damaged_run(run, "its head is an old one"))
            }
            Ok(Found::Number(_) | Found::Absent) => Ok(head),
            Err(what) => Err(self.damaged_run(run, what.0)),
        }
    }

    fn head_in(
        &self,
        (table, tag): (TableDefinition<'_, u64, &[u8]>, Tag),
        number: u64,
        run: RunId,
    ) -> Result<Option<Head>, Fault> {
        let Some(row) = self.transaction.open_table(table)?.get(number)? else {
            return Ok(None);
        };
        match Head::decode(tag, number, row.value()) {
            Ok((head, _)) if head.id == run => Ok(Some(head)),
            Ok(_) => Err(self.damaged_run(run, "its head is another run's")),
            Err(what) => Err(self.damaged_run(run, &format!("its head: {}", what.0))),
        }
    }

    /// The number and the head of a run that is over; `None` if there is no such run.
    pub(super) fn ended(&self, run: RunId) -> Result<Option<(u64, Head)>, Fault> {
        let Some(number) = self.number(run)? else {
            return Ok(None);
        };
        let head = self.ended_head(number, run)?;
        Ok(Some((number, head)))
    }

    /// The steps of a run: from its last entry back to its first, then compared in order.
    fn steps(&self, number: u64, head: &Head) -> Result<Vec<crate::StoredStep>, Fault> {
        let table = self.transaction.open_table(ENTRIES)?;
        let mut rows = Vec::new();
        let mut sequence = head.last;
        let mut records = head.records;
        while sequence != 0 {
            let Some(row) = table.get(sequence)? else {
                return Err(self.damaged_run(head.id, &format!("record {records} is missing")));
            };
            let entry = Entry::decode(row.value())
                .map_err(|what| self.damaged_run(head.id, &entry_damage(records, what.0)))?;
            // Falls with every step, so that a damaged link can't lead in a circle.
            if entry.run != number || entry.first >= records {
                return Err(self.damaged_run(head.id, &entry_damage(records, "it is another's")));
            }
            records = entry.first;
            sequence = entry.before;
            rows.push(row);
        }
        let mut steps = Vec::with_capacity(rows.len());
        let mut next = 0;
        let mut hash = super::schema::first_hash(head.id);
        for row in rows.iter().rev() {
            let broken = |what| self.damaged_run(head.id, &entry_damage(next, what));
            let entry = Entry::decode(row.value()).map_err(|what| broken(what.0))?;
            if !entry.follows(hash) {
                return Err(broken("its checksum is wrong"));
            }
            if entry.first != next {
                return Err(broken("the numbering has a gap"));
            }
            hash = entry.hash;
            let step = entry.step().map_err(|what| broken(what.0))?;
            next += u64::try_from(step.records.len()).unwrap_or(u64::MAX);
            steps.push(step);
        }
        if next != head.records || hash != head.hash {
            return Err(self.damaged_run(head.id, "its records are not those its head counts"));
        }
        Ok(steps)
    }

    /// The run started with a key.
    pub(super) fn by_key(&self, workflow: &str, key: &str) -> Result<Option<RunId>, Fault> {
        let table = self.transaction.open_table(INDEX)?;
        let what = format!("key `{key}` of workflow `{workflow}`");
        let number = match index::find(&table, &idempotency_key(workflow, key))? {
            Ok(Found::Number(number)) => number,
            Ok(Found::Absent) => return Ok(None),
            Err(malformed) => return Err(self.damaged(&format!("{what}: {}", malformed.0))),
        };
        let start = self.start(number, None)?;
        if start.workflow != workflow || start.key.as_deref() != Some(key) {
            return Err(self.damaged(&format!("{what} leads to another run")));
        }
        Ok(Some(start.id))
    }

    /// The heads of at most `limit` runs from run number `first` on.
    pub(super) fn heads(&self, first: u64, limit: usize) -> Result<Vec<RunHead>, Fault> {
        let started = self.ledger()?.started;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let end = first.saturating_add(limit).min(started);
        (first..end)
            .map(|number| {
                let start = self.start(number, None)?;
                let head = self.head(number, start.id)?;
                Ok(run_head(start, &head))
            })
            .collect()
    }

    pub(super) fn definition(&self, id: DefinitionId) -> Result<Option<Vec<u8>>, Fault> {
        let damaged = |what| self.damaged(&format!("definition {id:?}: {what}"));
        match index::find(&self.transaction.open_table(INDEX)?, &definition_key(id))? {
            Ok(Found::Number(_)) => {}
            Ok(Found::Absent) => return Ok(None),
            Err(what) => return Err(damaged(what.0)),
        }
        let key = id.as_u128();
        let table = self.transaction.open_table(DEFINITIONS)?;
        let row = table.get(key)?.ok_or_else(|| damaged("it is missing"))?;
        unseal(Tag::Definitions, &key.to_le_bytes(), row.value())
            .map(|(value, _)| Some(value.to_vec()))
            .map_err(|what| damaged(what.0))
    }

    /// The result shared with a key. The index and the table have to agree, also that there is
    /// none: a page of either may be an old one.
    pub(super) fn shared(&self, key: u128) -> Result<Option<SharedResult>, Fault> {
        let damaged = |what| self.damaged(&format!("the shared result {key:032x}: {what}"));
        let named = index::find(&self.transaction.open_table(INDEX)?, &shared_key(key))?
            .map_err(|what| damaged(what.0))?;
        match (named, self.shared_row(key)?) {
            (Found::Absent, None) => Ok(None),
            (Found::Number(sequence), Some(row)) => match decode_shared(key, &row) {
                Ok((shared, found)) if found == sequence => Ok(Some(shared)),
                Ok(_) => Err(damaged("it is not the last one")),
                Err(what) => Err(damaged(what.0)),
            },
            (Found::Absent, Some(_)) => Err(damaged("its name is missing")),
            (Found::Number(_), None) => Err(damaged("it is missing")),
        }
    }

    /// Of up to `limit` shared results behind a key: those whose time is over, and the last one, if
    /// more may be behind it. Fewer are looked at where they are large.
    pub(super) fn expired(
        &self,
        now: Timestamp,
        after: Option<u128>,
        limit: usize,
    ) -> Result<(Vec<u128>, Option<u128>), Fault> {
        let table = match self.transaction.open_table(SHARED) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok((Vec::new(), None)),
            Err(error) => return Err(error.into()),
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut expired, mut bytes) = (Vec::new(), 0);
        for (row, count) in table.range((from, Bound::Unbounded))?.zip(1..) {
            let (key, row) = row?;
            let (key, row) = (key.value(), row.value());
            bytes += row.len();
            let decoded = decode_shared(key, row);
            let is_over = decoded.is_ok_and(|(shared, _)| shared.is_over(now));
            // What is damaged, or an old one, stays to be told of.
            if is_over && matches!(self.shared(key), Ok(Some(_))) {
                expired.push(key);
            }
            if count >= limit || bytes >= LOOKED_AT_BYTES_MAX {
                return Ok((expired, Some(key)));
            }
        }
        Ok((expired, None))
    }

    fn shared_row(&self, key: u128) -> Result<Option<Vec<u8>>, Fault> {
        let table = match self.transaction.open_table(SHARED) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let row = table.get(key)?;
        Ok(row.map(|row| row.value().to_vec()))
    }

    fn ledger(&self) -> Result<Ledger, Fault> {
        let table = self.transaction.open_table(LIVE)?;
        let row = table.get(LEDGER)?;
        match row.map(|row| Ledger::decode(row.value())) {
            Some(Ok(ledger)) => Ok(ledger),
            Some(Err(what)) => Err(self.damaged(&format!("the ledger: {}", what.0))),
            None => Err(self.damaged("the ledger is missing")),
        }
    }

    /// Every run that is not over, compared with the ledger.
    pub(super) fn unfinished(&self) -> Result<Unfinished, Fault> {
        let ledger = self.ledger()?;
        let live = self.transaction.open_table(LIVE)?;
        let mut heads = Vec::new();
        let mut digest = 0_u64;
        let mut broken = Broken::default();
        let mut damage = None;
        for row in live.range(..LEDGER)? {
            let (number, row) = row?;
            let (number, row) = (number.value(), row.value());
            match Head::decode(Tag::Live, number, row) {
                Ok((head, checksum)) => {
                    digest = digest.wrapping_add(checksum);
                    heads.push((number, head, checksum));
                }
                Err(what) => {
                    broken.add(number, row);
                    damage = Some(format!("the head of an unfinished run: {}", what.0));
                }
            }
        }
        let counted = broken.rows + u64::try_from(heads.len()).unwrap_or(u64::MAX);
        let are_current = ledger.started.checked_sub(ledger.ended) == Some(counted)
            && broken.add_up(ledger.digest.wrapping_sub(digest));
        if !are_current {
            damage = Some("its unfinished runs are not those its ledger counts".to_owned());
        }
        if damage.is_none() {
            damage = self.miscounted(&ledger)?;
        }
        Ok(Unfinished {
            ledger,
            heads,
            damage,
            are_current,
        })
    }

    /// Whether a table has more or fewer rows than the ledger says. Costs one page per table.
    fn miscounted(&self, ledger: &Ledger) -> Result<Option<String>, Fault> {
        let rows = [
            (
                "starts",
                self.transaction.open_table(STARTS)?.len()?,
                ledger.started,
            ),
            (
                "index",
                self.transaction.open_table(INDEX)?.len()?,
                ledger.indexed,
            ),
            (
                "definitions",
                self.transaction.open_table(DEFINITIONS)?.len()?,
                ledger.definitions,
            ),
            (
                "ended",
                self.transaction.open_table(ENDED)?.len()?,
                ledger.ended,
            ),
            (
                "entries",
                self.transaction.open_table(ENTRIES)?.len()?,
                ledger.next - 1,
            ),
        ];
        Ok(rows
            .into_iter()
            .find(|(_, found, expected)| found != expected)
            .map(|(table, found, expected)| {
                format!("`{table}` has {found} rows and not {expected}")
            }))
    }

    /// The runs that are neither over nor among `heads`: what is left of damaged heads.
    pub(super) fn lost(&self, unfinished: &Unfinished) -> Result<Vec<(u64, RunId)>, Fault> {
        let ended = self.transaction.open_table(ENDED)?;
        let mut heads = unfinished
            .heads
            .iter()
            .map(|(number, ..)| *number)
            .peekable();
        let mut lost = Vec::new();
        for number in 0..unfinished.ledger.started {
            if heads.next_if_eq(&number).is_some() || ended.get(number)?.is_some() {
                continue;
            }
            if let Ok(start) = self.start(number, None) {
                lost.push((number, start.id));
            }
        }
        Ok(lost)
    }

    fn damaged(&self, what: &str) -> Fault {
        damaged(self.name, what).into()
    }

    fn damaged_run(&self, run: RunId, what: &str) -> Fault {
        damaged_run(self.name, run, what).into()
    }
}

/// The heads whose checksum is wrong: they still tell whether the others add up.
#[derive(Default)]
struct Broken {
    rows: u64,
    /// The sum of the checksums they carry, right if the damage is elsewhere in them.
    carried: u64,
    /// The sum of those they should carry, right if the damage is in the checksum.
    computed: u64,
}

impl Broken {
    fn add(&mut self, number: u64, row: &[u8]) {
        let (carried, computed) = checksums(Tag::Live, &number.to_le_bytes(), row);
        self.rows += 1;
        self.carried = self.carried.wrapping_add(carried);
        self.computed = self.computed.wrapping_add(computed);
    }

    fn add_up(&self, digest: u64) -> bool {
        self.carried == digest || self.computed == digest
    }
}

fn entry_damage(record: u64, what: &str) -> String {
    format!("the entry at record {record}: {what}")
}

fn run_head(start: Start, head: &Head) -> RunHead {
    RunHead {
        id: start.id,
        workflow: start.workflow,
        key: start.key,
        status: head.status,
        started_at: start.at,
        updated_at: head.updated_at,
        records: head.records,
    }
}
