//! What all writing transactions have in common.

use crate::codec::encode;
use crate::error::{ExecutionError, StoreError};
use crate::file::guard::Failure;
use redb::{Database, Durability, WriteTransaction};
use serde::Serialize;
use std::path::Path;

/// Begins a transaction that is durable once it is committed.
///
/// A commit is synced once, and checksums reveal an incomplete one. With two-phase commits redb
/// could open a file after a crash in constant time. But they take twice as long, and a start
/// verifies all pages in any case.
pub(crate) fn begin(database: Option<&Database>) -> Result<WriteTransaction, Failure> {
    let database = database.ok_or(Failure::Redb(redb::Error::DatabaseClosed))?;
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    Ok(transaction)
}

/// The bytes of one of the store's own records.
pub(crate) fn encoded<T: Serialize>(
    record: &T,
    what: &'static str,
    path: &Path,
) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes).map_err(|cause| {
        StoreError::Execution(ExecutionError::Encode {
            path: path.to_path_buf(),
            what,
            cause,
        })
    })?;
    Ok(bytes)
}
