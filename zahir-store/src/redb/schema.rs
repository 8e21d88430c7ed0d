//! The file format, version 1, byte by byte.
//!
//! The file is a redb database (format 3 of redb). Numbers are little-endian; a *varint* and the
//! bytes of a *record*, tag by tag, are defined in `record::encode`; a *text* is a varint length and
//! UTF-8.
//!
//! | table | key | value |
//! |---|---|---|
//! | `zahir` | `"format"` | format version, `u32` |
//! | `entries` | sequence `u64` | an entry: what one append added to one run |
//! | `live` | run number `u64` | the head of a run that is not over |
//! | `live` | `u64::MAX` | the ledger |
//! | `ended` | run number `u64` | the head of a run that is over |
//! | `starts` | run number `u64` | how the run began |
//! | `index` | a name, see below | run number `u64`; length and bytes of the next key |
//! | `definitions` | definition id `u128` | the definition |
//! | `shared` | key `u128` | a result that runs share; there is no such table before the first |
//!
//! Run numbers count runs from 0 in the order they were started; sequences count entries from 1.
//! Every value except that of `entries` is followed by a checksum: XXH3-64 of the table's tag (one
//! byte, see [`Tag`]), the key's bytes and the value's. A value that sits under another key, or in
//! another table, therefore does not pass.
//!
//! * **Entry**: running hash `u64`; then the body: run number, number of the first record, sequence
//!   of the run's entry before it (0: none), all varints; time of the append in milliseconds,
//!   count of records, both varints; the records. The running hash is XXH3-64 of the body, seeded
//!   with the running hash of the entry before it, or with the XXH3-64 of the run id's 16 bytes for
//!   the first. It is the entry's checksum and binds it to all that went before.
//! * **Head**: run id `u128`; status `u8` (0 running, 1 succeeded, 2 failed, 3 cancelled); count of
//!   records, sequence of the last entry, time of the last append, all varints; running hash of the
//!   last entry `u64`. A load walks from the last entry to the first and compares.
//!   A run that goes on behind its end has its head in `live` again, and in `ended` no more.
//! * **Index**: a name is `R` and a run id, big-endian; or `K`, a workflow as text and an
//!   idempotency key; or `D` and a definition id, big-endian, with the number 0; or `S` and the key
//!   of a shared result, big-endian, with the sequence in its row in place of a run number; or `V`
//!   and the id, big-endian, of a run that was over and went on, with the sequence of the last entry
//!   of the commit in which it last did: a head of it in `ended` whose last entry is an earlier one
//!   is old. The row of the empty name is the first. See `redb::index`.
//! * **Ledger**: how many runs were started, how many of them are over, sequence of the next entry,
//!   rows of `index`, rows of `definitions`, all varints; digest `u64`: the wrapping sum of the
//!   checksums of all heads in `live`. It is compared at each open, so that no unfinished run can be
//!   missing or be of an older state.
//! * **Start**: run id `u128`; time in milliseconds, varint; definition id `u128`; workflow, text;
//!   idempotency key, 0 or 1 and a text.
//! * **Shared result**: sequence of the entry that has it, varint; until when it holds, 0 or 1 and
//!   a varint of milliseconds; output, varint length and bytes. A copy: it is found without the run,
//!   and taken away, with its name, when its time is over.
//!   The index says whether there is one, and which; no count of these rows is in the ledger.
//!
//! What came after the first file of version 1 adds to it: programs that know neither `shared` nor
//! the names `S` and `V` can read and go on with such a file. They never look into a table or for a
//! name that they do not know, and the counts in the ledger are right for them, too. Only of a run
//! with a record whose tag they do not know do they say that it is damaged.
//!
//! Entries lie in commit order because that was measured against rows keyed by run and record
//! number with a head row each (256 runs at once, seven appends of 150 bytes each, two-phase commits
//! with quick repair): 143,000 to 153,000 appends/s against 88,000 to 98,000 for 10,000 runs, 123,000
//! against 91,000 for 100,000, half the file or the same (redb doubles it), and 18 to 23 ms against
//! 26 to 39 to load 10,000 runs of three entries. One block of bytes per commit in place of a row
//! per append made no difference beyond the noise (128,000 to 168,000 and 134,000 appends/s, 15 to
//! 22 ms) and could not give back the space of a single run.

use redb::TableDefinition;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::record::decode::{Malformed, Reader};
use crate::record::encode::{put_bytes, put_number, put_option};
use crate::rules::Shared;
use crate::{
    Append, DefinitionId, RunId, RunStart, RunStatus, SharedResult, StoreError, StoredStep,
    Timestamp,
};

pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const LEDGER: u64 = u64::MAX;

pub(super) const FORMAT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("zahir");
pub(super) const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
pub(super) const LIVE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("live");
pub(super) const ENDED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("ended");
pub(super) const STARTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("starts");
pub(super) const INDEX: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("index");
pub(super) const DEFINITIONS: TableDefinition<'_, u128, &[u8]> =
    TableDefinition::new("definitions");
pub(super) const SHARED: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("shared");

/// What a checksum begins with, one for each table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tag {
    Format,
    Live,
    Ended,
    Starts,
    Index,
    Definitions,
    Shared,
}

impl Tag {
    const fn byte(self) -> u8 {
        match self {
            Self::Format => b'F',
            Self::Live => b'L',
            Self::Ended => b'E',
            Self::Starts => b'S',
            Self::Index => b'I',
            Self::Definitions => b'D',
            Self::Shared => b'H',
        }
    }
}

/// The checksum of a value under a key.
fn checksum(tag: Tag, key: &[u8], value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key) ^ u64::from(tag.byte()))
}

/// Adds the checksum of `value`, which is all there is in it, to its end.
pub(super) fn seal(tag: Tag, key: &[u8], value: &mut Vec<u8>) -> u64 {
    let checksum = checksum(tag, key, value);
    value.extend_from_slice(&checksum.to_le_bytes());
    checksum
}

/// The value without its checksum, if that is right.
pub(super) fn unseal<'a>(
    tag: Tag,
    key: &[u8],
    row: &'a [u8],
) -> Result<(&'a [u8], u64), Malformed> {
    let (value, stored) = row
        .split_last_chunk()
        .ok_or(Malformed("it ends too early"))?;
    let stored = u64::from_le_bytes(*stored);
    if checksum(tag, key, value) == stored {
        Ok((value, stored))
    } else {
        Err(Malformed("its checksum is wrong"))
    }
}

/// The checksum a row carries and the one it should carry.
pub(super) fn checksums(tag: Tag, key: &[u8], row: &[u8]) -> (u64, u64) {
    match row.split_last_chunk() {
        Some((value, carried)) => (u64::from_le_bytes(*carried), checksum(tag, key, value)),
        None => (0, 0),
    }
}

/// What is known of the records of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: RunId,
    pub(super) status: RunStatus,
    pub(super) records: u64,
    /// The sequence of the last entry.
    pub(super) last: u64,
    pub(super) updated_at: Timestamp,
    /// The running hash of the last entry.
    pub(super) hash: u64,
}

impl Head {
    /// The head of a run without records.
    pub(super) fn new(id: RunId) -> Self {
        Self {
            id,
            status: RunStatus::Running,
            records: 0,
            last: 0,
            updated_at: Timestamp::default(),
            hash: first_hash(id),
        }
    }

    /// Whether its row is in `ended`.
    pub(super) fn is_over(&self) -> bool {
        self.status != RunStatus::Running
    }

    /// The bytes of the row, and its checksum.
    pub(super) fn encode(&self, number: u64, out: &mut Vec<u8>) -> u64 {
        let (tag, status) = match self.status {
            RunStatus::Running => (Tag::Live, 0),
            RunStatus::Succeeded => (Tag::Ended, 1),
            RunStatus::Failed => (Tag::Ended, 2),
            RunStatus::Cancelled => (Tag::Ended, 3),
        };
        out.clear();
        out.extend_from_slice(&self.id.as_u128().to_le_bytes());
        out.push(status);
        put_number(out, self.records);
        put_number(out, self.last);
        put_number(out, self.updated_at.as_millis());
        out.extend_from_slice(&self.hash.to_le_bytes());
        seal(tag, &number.to_le_bytes(), out)
    }

    /// The head in this row of `live` or `ended`, and its checksum.
    pub(super) fn decode(tag: Tag, number: u64, row: &[u8]) -> Result<(Self, u64), Malformed> {
        let (value, checksum) = unseal(tag, &number.to_le_bytes(), row)?;
        let mut reader = Reader::new(value);
        let head = Self {
            id: RunId::from_u128(u128::from_le_bytes(reader.array()?)),
            status: match reader.byte()? {
                0 => RunStatus::Running,
                1 => RunStatus::Succeeded,
                2 => RunStatus::Failed,
                3 => RunStatus::Cancelled,
                _ => return Err(Malformed("its status is unknown")),
            },
            records: reader.number()?,
            last: reader.number()?,
            updated_at: Timestamp::from_millis(reader.number()?),
            hash: u64::from_le_bytes(reader.array()?),
        };
        reader.end()?;
        Ok((head, checksum))
    }
}

/// What the whole store adds up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) started: u64,
    pub(super) ended: u64,
    /// The sequence of the next entry.
    pub(super) next: u64,
    /// The rows of the index.
    pub(super) indexed: u64,
    pub(super) definitions: u64,
    /// The sum of the checksums of all heads in `live`.
    pub(super) digest: u64,
}

impl Ledger {
    pub(super) const EMPTY: Self = Self {
        started: 0,
        ended: 0,
        next: 1,
        indexed: 1,
        definitions: 0,
        digest: 0,
    };

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        put_number(out, self.started);
        put_number(out, self.ended);
        put_number(out, self.next);
        put_number(out, self.indexed);
        put_number(out, self.definitions);
        out.extend_from_slice(&self.digest.to_le_bytes());
        seal(Tag::Live, &LEDGER.to_le_bytes(), out);
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, Malformed> {
        let (value, _) = unseal(Tag::Live, &LEDGER.to_le_bytes(), row)?;
        let mut reader = Reader::new(value);
        let ledger = Self {
            started: reader.number()?,
            ended: reader.number()?,
            next: reader.number()?,
            indexed: reader.number()?,
            definitions: reader.number()?,
            digest: u64::from_le_bytes(reader.array()?),
        };
        reader.end()?;
        Ok(ledger)
    }
}

/// How a run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: RunId,
    pub(super) at: Timestamp,
    pub(super) definition: DefinitionId,
    pub(super) workflow: String,
    pub(super) key: Option<String>,
}

pub(super) fn encode_start(number: u64, append: &Append, start: &RunStart, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&append.run.as_u128().to_le_bytes());
    put_number(out, append.at.as_millis());
    out.extend_from_slice(&start.definition.as_u128().to_le_bytes());
    put_bytes(out, start.workflow.as_bytes());
    put_option(out, start.key.as_deref(), |out, key| {
        put_bytes(out, key.as_bytes());
    });
    seal(Tag::Starts, &number.to_le_bytes(), out);
}

impl Start {
    pub(super) fn decode(number: u64, row: &[u8]) -> Result<Self, Malformed> {
        let (value, _) = unseal(Tag::Starts, &number.to_le_bytes(), row)?;
        let mut reader = Reader::new(value);
        let start = Self {
            id: RunId::from_u128(u128::from_le_bytes(reader.array()?)),
            at: Timestamp::from_millis(reader.number()?),
            definition: DefinitionId::from_u128(u128::from_le_bytes(reader.array()?)),
            workflow: reader.text()?.to_owned(),
            key: reader.option(|reader| reader.text().map(str::to_owned))?,
        };
        reader.end()?;
        Ok(start)
    }
}

pub(super) fn encode_shared(key: u128, sequence: u64, shared: &Shared<'_>, out: &mut Vec<u8>) {
    out.clear();
    put_number(out, sequence);
    put_option(out, shared.until, |out, until| {
        put_number(out, until.as_millis());
    });
    put_bytes(out, shared.output);
    seal(Tag::Shared, &key.to_le_bytes(), out);
}

/// The result in this row of `shared`, and its sequence.
pub(super) fn decode_shared(key: u128, row: &[u8]) -> Result<(SharedResult, u64), Malformed> {
    let (value, _) = unseal(Tag::Shared, &key.to_le_bytes(), row)?;
    let mut reader = Reader::new(value);
    let sequence = reader.number()?;
    let until = reader.option(|reader| reader.number().map(Timestamp::from_millis))?;
    let output = reader.bytes()?.to_vec();
    reader.end()?;
    Ok((SharedResult { output, until }, sequence))
}

/// The running hash before a run's first entry.
pub(super) fn first_hash(id: RunId) -> u64 {
    xxh3_64(&id.as_u128().to_le_bytes())
}

/// Adds the entry of an append to the end of `out` and gives its running hash.
pub(super) fn put_entry(
    number: u64,
    head: &Head,
    append: &Append,
    out: &mut Vec<u8>,
) -> Result<u64, StoreError> {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    put_number(out, number);
    put_number(out, append.first);
    put_number(out, head.last);
    crate::rules::put_step(out, append)?;
    let Some((place, body)) = out
        .get_mut(start..)
        .and_then(<[u8]>::split_first_chunk_mut::<8>)
    else {
        return Ok(0);
    };
    let hash = xxh3_64_with_seed(body, head.hash);
    *place = hash.to_le_bytes();
    Ok(hash)
}

/// An entry's envelope, and its records yet to be decoded.
pub(super) struct Entry<'a> {
    pub(super) hash: u64,
    pub(super) run: u64,
    pub(super) first: u64,
    /// The sequence of the run's entry before this one; 0 for none.
    pub(super) before: u64,
    body: &'a [u8],
    step: Reader<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn decode(row: &'a [u8]) -> Result<Self, Malformed> {
        let (hash, body) = row
            .split_first_chunk()
            .ok_or(Malformed("it ends too early"))?;
        let mut step = Reader::new(body);
        Ok(Self {
            hash: u64::from_le_bytes(*hash),
            run: step.number()?,
            first: step.number()?,
            before: step.number()?,
            body,
            step,
        })
    }

    /// Whether the entry follows one with this running hash.
    pub(super) fn follows(&self, hash: u64) -> bool {
        xxh3_64_with_seed(self.body, hash) == self.hash
    }

    pub(super) fn step(self) -> Result<StoredStep, Malformed> {
        crate::rules::read_step(self.step)
    }
}
