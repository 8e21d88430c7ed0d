//! What a batch puts under a name: starts, definitions, shared results, and that a run goes on.

use redb::{Table, WriteTransaction};

use crate::rules;
use crate::{Append, DefinitionId, RunId, RunStart};

use super::guard::Fault;
use super::index::{
    self, Conflict, Found, definition_key, idempotency_key, revision_key, run_key, shared_key,
};
use super::schema::{
    DEFINITIONS, INDEX, LEDGER, LIVE, Ledger, SHARED, STARTS, Tag, encode_shared, encode_start,
    seal,
};

/// Takes shared results away, with their names.
pub(super) fn remove_shared(
    transaction: &WriteTransaction,
    keys: &[u128],
    ledger: &mut Ledger,
) -> Result<(), Fault> {
    let mut index = transaction.open_table(INDEX)?;
    let mut table = transaction.open_table(SHARED)?;
    for key in keys {
        // One whose name is not there, or can't be taken away, is damaged: whoever asks for it is
        // told so.
        if let Ok(true) = index::remove(&mut index, &shared_key(*key))? {
            table.remove(*key)?;
            ledger.indexed = ledger.indexed.saturating_sub(1);
        }
    }
    let mut row = Vec::with_capacity(128);
    ledger.encode(&mut row);
    let mut live = transaction.open_table(LIVE)?;
    live.insert(LEDGER, row.as_slice())?;
    Ok(())
}

/// Rows of one transaction and the names that lead to them.
pub(super) struct Names<'a> {
    transaction: &'a WriteTransaction,
    index: Table<'a, &'static [u8], &'static [u8]>,
    added: Vec<(Vec<u8>, u64)>,
    row: Vec<u8>,
}

impl<'a> Names<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            transaction,
            index: transaction.open_table(INDEX)?,
            added: Vec::new(),
            row: Vec::with_capacity(256),
        })
    }

    /// Adds how runs began, each with its number.
    pub(super) fn put_starts<'b>(
        &mut self,
        started: impl Iterator<Item = (&'b Append, &'b RunStart, u64)>,
    ) -> Result<(), Fault> {
        let mut starts = self.transaction.open_table(STARTS)?;
        for (append, start, number) in started {
            encode_start(number, append, start, &mut self.row);
            starts.insert(number, self.row.as_slice())?;
            self.added.push((run_key(append.run), number));
            if let Some(key) = &start.key {
                let name = idempotency_key(&start.workflow, key);
                self.added.push((name, number));
            }
        }
        Ok(())
    }

    /// Adds the definitions that are not there; gives how many.
    pub(super) fn put_definitions(&mut self, batch: &[Append]) -> Result<u64, Fault> {
        let mut added = 0;
        for named in rules::definitions(batch) {
            let name = definition_key(named.id);
            match index::find(&self.index, &name)? {
                Ok(Found::Absent) => {}
                Ok(Found::Number(_)) => continue,
                Err(what) => return Err(Fault::Damaged(what.0)),
            }
            let Some(definition) = named.bytes else {
                return Err(rules::unknown_definition(&named).into());
            };
            self.put_definition(named.id, definition)?;
            self.added.push((name, 0));
            added += 1;
        }
        Ok(added)
    }

    fn put_definition(&mut self, id: DefinitionId, definition: &[u8]) -> Result<(), Fault> {
        self.row.clear();
        self.row.extend_from_slice(definition);
        seal(Tag::Definitions, &id.as_u128().to_le_bytes(), &mut self.row);
        let mut table = self.transaction.open_table(DEFINITIONS)?;
        table.insert(id.as_u128(), self.row.as_slice())?;
        Ok(())
    }

    /// Adds the results that are shared, the last one of each key. `first` is the sequence of the
    /// batch's first entry.
    pub(super) fn put_shared(&mut self, batch: &[Append], first: u64) -> Result<(), Fault> {
        let mut table = self.transaction.open_table(SHARED)?;
        for (key, (sequence, shared)) in rules::last_shared((first..).zip(batch)) {
            encode_shared(key, sequence, &shared, &mut self.row);
            table.insert(key, self.row.as_slice())?;
            self.set(shared_key(key), sequence)?;
        }
        Ok(())
    }

    /// Notes that a run went on behind its end, and the sequence of its last entry.
    pub(super) fn put_revision(&mut self, run: RunId, sequence: u64) -> Result<(), Fault> {
        self.set(revision_key(run), sequence)
    }

    /// Adds a name, or gives one that is there another number.
    fn set(&mut self, name: Vec<u8>, number: u64) -> Result<(), Fault> {
        match index::renumber(&mut self.index, &name, number)? {
            Ok(true) => {}
            Ok(false) => self.added.push((name, number)),
            Err(what) => return Err(Fault::Damaged(what.0)),
        }
        Ok(())
    }

    /// Writes the names that were added; gives how many, or one that is taken.
    pub(super) fn insert(mut self) -> Result<Result<u64, Vec<u8>>, Fault> {
        self.added.sort_unstable();
        match index::insert(&mut self.index, &self.added)? {
            Ok(()) => Ok(Ok(super::batch::count(self.added.len()))),
            Err(Conflict::Taken(name)) => Ok(Err(name)),
            Err(Conflict::Damaged(what)) => Err(Fault::Damaged(what.0)),
        }
    }
}
