//! The table with the records of executions.

use crate::codec;
use crate::error::{FileError, StoreError};
use crate::file::guard::{Failure, guard};
use crate::format::record::{ExecutionRecord, StoredExecution};
use crate::format::tables::EXECS;
use crate::format::write;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction};
use std::path::Path;

/// The number of records that are kept.
const KEPT_EXECUTIONS: u64 = 1000;

/// Writes the record of an execution, and removes the oldest ones if there are too many.
pub(crate) fn write(
    path: &Path,
    transaction: &WriteTransaction,
    record: &ExecutionRecord,
) -> Result<(), Failure> {
    let mut table = transaction.open_table(EXECS)?;
    let bytes = write::encoded(&StoredExecution::from(record), "an execution", path)?;
    table.insert(record.number, &bytes[..])?;
    while table.len()? > KEPT_EXECUTIONS {
        table.pop_first()?;
    }
    Ok(())
}

/// All records that are kept, oldest first.
pub(crate) fn all(database: &Database, path: &Path) -> Result<Vec<ExecutionRecord>, StoreError> {
    let read = || {
        let transaction = database.begin_read()?;
        let mut records = Vec::new();
        for entry in transaction.open_table(EXECS)?.iter()? {
            let (number, value) = entry?;
            records.push(decode(number.value(), value.value()).map_err(|what| {
                StoreError::File(FileError::Damaged {
                    path: path.to_path_buf(),
                    what,
                })
            })?);
        }
        Ok(records)
    };
    guard(read).map_err(|failure| failure.while_reading(path))
}

pub(crate) fn decode(number: u64, bytes: &[u8]) -> Result<ExecutionRecord, String> {
    codec::decode::<StoredExecution>(bytes)
        .map_err(|error| format!("the record of execution {number}: {error}"))?
        .into_record(number)
        .ok_or_else(|| format!("the record of execution {number} has an impossible time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use crate::epoch::Epoch;
    use crate::file::part;

    fn record(number: u64) -> ExecutionRecord {
        ExecutionRecord {
            number,
            started: now(),
            host: "host".to_owned(),
            pid: 1,
            workers: 2,
            resumed_from: Epoch::opening(number - 1),
            went_back_from: None,
            build: String::new(),
            ended: None,
        }
    }

    #[test]
    fn the_last_thousand_executions_are_kept() {
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let path = Path::new("in memory");
        let transaction = write::begin(Some(&database)).unwrap();
        for number in 1..=KEPT_EXECUTIONS + 5 {
            write(path, &transaction, &record(number)).unwrap();
        }
        // Rewriting the record of a known execution removes none.
        write(path, &transaction, &record(KEPT_EXECUTIONS)).unwrap();
        transaction.commit().unwrap();
        let kept = all(&database, path).unwrap();
        let numbers: Vec<u64> = kept.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (6..=KEPT_EXECUTIONS + 5).collect::<Vec<_>>());
    }
}
