//! What makes a redb database a store: made, and recognized.

use redb::{Database, ReadTransaction, TableError};

use crate::{StoreError, StoreErrorKind};

use super::guard::{Fault, damaged};
use super::index;
use super::schema::{
    DEFINITIONS, ENDED, ENTRIES, FORMAT, FORMAT_KEY, FORMAT_VERSION, INDEX, LEDGER, LIVE, Ledger,
    STARTS, Tag, seal, unseal,
};

/// Makes a fresh database a store of format [`FORMAT_VERSION`] without runs.
pub(super) fn write_empty(database: &Database) -> Result<(), Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    {
        let mut row = FORMAT_VERSION.to_le_bytes().to_vec();
        seal(Tag::Format, FORMAT_KEY.as_bytes(), &mut row);
        transaction
            .open_table(FORMAT)?
            .insert(FORMAT_KEY, row.as_slice())?;
        Ledger::EMPTY.encode(&mut row);
        transaction
            .open_table(LIVE)?
            .insert(LEDGER, row.as_slice())?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(ENDED)?;
        transaction.open_table(STARTS)?;
        index::encode(b"", 0, b"", &mut row);
        transaction
            .open_table(INDEX)?
            .insert(&b""[..], row.as_slice())?;
        transaction.open_table(DEFINITIONS)?;
    }
    Ok(transaction.commit()?)
}

pub(super) fn check_format(name: &str, transaction: &ReadTransaction) -> Result<(), Fault> {
    let foreign = || {
        StoreError::new(
            StoreErrorKind::Foreign,
            format!("{name} is a redb database of another program: choose another path"),
        )
    };
    let table = match transaction.open_table(FORMAT) {
        Ok(table) => table,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(foreign().into()),
    };
    let row = table.get(FORMAT_KEY)?.ok_or_else(foreign)?;
    let version = unseal(Tag::Format, FORMAT_KEY.as_bytes(), row.value())
        .ok()
        .and_then(|(value, _)| value.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or_else(|| damaged(name, "its format version can't be read"))?;
    if version == FORMAT_VERSION {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::TooNew,
        format!(
            "{name} has format version {version} and this zahir knows versions up to \
             {FORMAT_VERSION}: use a newer zahir"
        ),
    )
    .into())
}
