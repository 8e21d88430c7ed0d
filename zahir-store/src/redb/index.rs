//! From names to run numbers, with proof that a name is not there.
//!
//! A row that is found can be checked; a row that is not found might have been lost with a damaged
//! page. So each row also holds the key of the row behind it, as the NSEC records of DNS do: a key
//! is absent if the row before the place where it would be says that the next one is behind that
//! place. The row of the empty key, which is always there, is before all others; the last one's
//! next key is empty.

use redb::{ReadableTable, Table};

use crate::record::decode::{Malformed, Reader};
use crate::record::encode::put_bytes;
use crate::{DefinitionId, RunId};

use super::guard::Fault;
use super::schema::{Tag, seal, unseal};

/// A key of the index.
pub(super) fn run_key(run: RunId) -> Vec<u8> {
    key(b'R', &run.as_u128().to_be_bytes())
}

/// A key of the index.
pub(super) fn definition_key(definition: DefinitionId) -> Vec<u8> {
    key(b'D', &definition.as_u128().to_be_bytes())
}

/// A key of the index: no two pairs of texts have the same one.
pub(super) fn idempotency_key(workflow: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(workflow.len() + text.len() + 4);
    bytes.push(b'K');
    put_bytes(&mut bytes, workflow.as_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A key of the index.
pub(super) fn shared_key(key: u128) -> Vec<u8> {
    self::key(b'S', &key.to_be_bytes())
}

/// A key of the index.
pub(super) fn revision_key(run: RunId) -> Vec<u8> {
    key(b'V', &run.as_u128().to_be_bytes())
}

fn key(tag: u8, id: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + id.len());
    bytes.push(tag);
    bytes.extend_from_slice(id);
    bytes
}

/// What the index says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Number(u64),
    Absent,
}

/// A row of the index.
struct Row {
    key: Vec<u8>,
    number: u64,
    next: Vec<u8>,
}

impl Row {
    /// Whether a key that is behind this row is before the next.
    fn is_last_before(&self, key: &[u8]) -> bool {
        self.next.is_empty() || key < self.next.as_slice()
    }
}

/// Looks a key up; the inner error says what is wrong with the index.
pub(super) fn find(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Result<Found, Malformed>, Fault> {
    Ok(last_up_to(table, key)?.and_then(|row| {
        if row.key == key {
            Ok(Found::Number(row.number))
        } else if row.is_last_before(key) {
            Ok(Found::Absent)
        } else {
            Err(Malformed("a row of the index is missing"))
        }
    }))
}

/// The row of the key, or else the one before it.
fn last_up_to(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Result<Row, Malformed>, Fault> {
    let Some(row) = table.range::<&[u8]>(..=key)?.next_back() else {
        return Ok(Err(Malformed("the first row of the index is missing")));
    };
    let (found, row) = row?;
    Ok(decode(found.value(), row.value()))
}

fn decode(key: &[u8], row: &[u8]) -> Result<Row, Malformed> {
    let (value, _) = unseal(Tag::Index, key, row)?;
    let mut reader = Reader::new(value);
    let number = u64::from_le_bytes(reader.array()?);
    let next = reader.bytes()?.to_vec();
    reader.end()?;
    Ok(Row {
        key: key.to_vec(),
        number,
        next,
    })
}

/// The bytes of a row.
pub(super) fn encode(key: &[u8], number: u64, next: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&number.to_le_bytes());
    put_bytes(out, next);
    seal(Tag::Index, key, out);
}

/// Changes the number of a key, and tells whether it is there.
pub(super) fn renumber(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    key: &[u8],
    number: u64,
) -> Result<Result<bool, Malformed>, Fault> {
    let row = match last_up_to(table, key)? {
        Ok(row) if row.key == key => row,
        Ok(row) if row.is_last_before(key) => return Ok(Ok(false)),
        Ok(_) => return Ok(Err(Malformed("a row of the index is missing"))),
        Err(what) => return Ok(Err(what)),
    };
    let mut buffer = Vec::with_capacity(128);
    encode(key, number, &row.next, &mut buffer);
    table.insert(key, buffer.as_slice())?;
    Ok(Ok(true))
}

/// Takes a key away, and tells whether it was there.
pub(super) fn remove(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Result<bool, Malformed>, Fault> {
    let row = match last_up_to(table, key)? {
        Ok(row) if row.key == key => row,
        Ok(row) if row.is_last_before(key) => return Ok(Ok(false)),
        Ok(_) => return Ok(Err(Malformed("a row of the index is missing"))),
        Err(what) => return Ok(Err(what)),
    };
    let before = match table.range::<&[u8]>(..key)?.next_back() {
        Some(before) => {
            let (found, row) = before?;
            decode(found.value(), row.value())
        }
        None => Err(Malformed("the first row of the index is missing")),
    };
    let before = match before {
        Ok(before) if before.next == key => before,
        Ok(_) => return Ok(Err(Malformed("a row of the index is missing"))),
        Err(what) => return Ok(Err(what)),
    };
    let mut buffer = Vec::with_capacity(128);
    encode(&before.key, before.number, &row.next, &mut buffer);
    table.insert(before.key.as_slice(), buffer.as_slice())?;
    table.remove(key)?;
    Ok(Ok(true))
}

/// Why rows could not be added.
#[derive(Debug)]
pub(super) enum Conflict {
    /// This key is there already.
    Taken(Vec<u8>),
    /// The index is damaged.
    Damaged(Malformed),
}

/// Adds rows, which must be in the order of their keys.
///
/// Neighbors are linked to each other at once, so keys that rise with time, as those of runs do,
/// cost one search and one rewritten row per batch.
pub(super) fn insert(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    rows: &[(Vec<u8>, u64)],
) -> Result<Result<(), Conflict>, Fault> {
    let mut buffer = Vec::with_capacity(128);
    let mut rest = rows;
    while let Some((first, _)) = rest.first() {
        let before = match last_up_to(table, first)? {
            Ok(row) if row.key == *first => return Ok(Err(Conflict::Taken(row.key))),
            Ok(row) if row.is_last_before(first) => row,
            Ok(_) => return Ok(Err(Conflict::Damaged(Malformed("a row is missing")))),
            Err(what) => return Ok(Err(Conflict::Damaged(what))),
        };
        encode(&before.key, before.number, first, &mut buffer);
        table.insert(before.key.as_slice(), buffer.as_slice())?;
        while let Some(((key, number), others)) = rest.split_first() {
            rest = others;
            let neighbor = others.first().map(|(next, _)| next);
            if neighbor == Some(key) {
                return Ok(Err(Conflict::Taken(key.clone())));
            }
            let neighbor = neighbor.filter(|next| before.is_last_before(next));
            encode(key, *number, neighbor.unwrap_or(&before.next), &mut buffer);
            table.insert(key.as_slice(), buffer.as_slice())?;
            if neighbor.is_none() {
                break;
            }
        }
    }
    Ok(Ok(()))
}
