//! What a look reads at once: everything but the rows.

use crate::delta::{self, Delta};
use crate::error::StoreError;
use crate::guard::{Failure, guard};
use crate::manifest::{Basis, StoredStep};
use crate::record::{ExecutionRecord, StoredExecution};
use crate::steps;
use crate::tables::{CHUNKS, EXECS, FORMAT, META, Meta};
use redb::{Database, ReadableDatabase, ReadableTable};
use std::collections::VecDeque;
use std::path::Path;

/// The contents of a store that is not new.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) meta: Meta,
    /// By number.
    pub(crate) steps: Vec<StoredStep>,
    pub(crate) last_execution: Option<ExecutionRecord>,
    /// What is not folded, oldest first.
    pub(crate) deltas: VecDeque<Delta>,
}

impl Contents {
    pub(crate) fn basis(&self) -> Basis {
        Basis {
            store: Some(self.meta.store),
            execution: self.meta.execution,
            maintained: self.meta.maintained,
        }
    }

    /// Reads and checks them.
    pub(crate) fn read(database: &Database, path: &Path) -> Result<Contents, StoreError> {
        guard(|| read(database, path)).map_err(|failure| failure.while_reading(path))
    }

    /// The deltas after epochs that can be gone back to.
    pub(crate) fn retained(&self) -> impl Iterator<Item = &Delta> {
        let oldest = self.meta.oldest;
        self.deltas
            .iter()
            .filter(move |delta| delta.before >= oldest)
    }
}

fn read(database: &Database, path: &Path) -> Result<Contents, Failure> {
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let meta = read_meta(database, path)?;
    let transaction = database.begin_read()?;
    transaction.open_table(CHUNKS)?;
    let steps = steps::read_last(database, meta.epoch, meta.next_step, path)?;
    let last_execution = match transaction.open_table(EXECS)?.last()? {
        Some((number, value)) => Some(record(number.value(), value.value()).map_err(&damaged)?),
        None => None,
    };
    let deltas = delta::chain(database, &meta, path)?;
    Ok(Contents {
        meta,
        steps,
        last_execution,
        deltas,
    })
}

fn read_meta(database: &Database, path: &Path) -> Result<Meta, Failure> {
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let transaction = database.begin_read()?;
    let table = transaction.open_table(META)?;
    let format = Meta::format(&table)?.ok_or_else(|| StoreError::NotAFlowStore {
        path: path.to_path_buf(),
        missing: "it names no format".to_owned(),
    })?;
    if format > FORMAT {
        return Err(Failure::Store(StoreError::FormatTooNew {
            path: path.to_path_buf(),
            found: format,
            known: FORMAT,
        }));
    }
    if format < FORMAT {
        return Err(Failure::Store(StoreError::FormatTooOld {
            path: path.to_path_buf(),
            what: "flow",
            found: format,
            known: FORMAT,
        }));
    }
    let meta = Meta::read(&table)?
        .map_err(|name| damaged(format!("`{name}` is missing in its table `meta`")))?;
    if (meta.part_index, meta.part_count) != (0, 1) {
        return Err(Failure::Store(StoreError::WrongPart {
            path: path.to_path_buf(),
            index: meta.part_index,
            count: meta.part_count,
        }));
    }
    if let Some(what) = meta.contradiction() {
        return Err(Failure::Store(damaged(what)));
    }
    Ok(meta)
}

/// All records that are kept, oldest first.
pub(crate) fn executions(
    database: &Database,
    path: &Path,
) -> Result<Vec<ExecutionRecord>, StoreError> {
    let read = || {
        let transaction = database.begin_read()?;
        let mut records = Vec::new();
        for entry in transaction.open_table(EXECS)?.iter()? {
            let (number, value) = entry?;
            records.push(record(number.value(), value.value()).map_err(|what| {
                StoreError::Damaged {
                    path: path.to_path_buf(),
                    what,
                }
            })?);
        }
        Ok(records)
    };
    guard(read).map_err(|failure| failure.while_reading(path))
}

fn record(number: u64, bytes: &[u8]) -> Result<ExecutionRecord, String> {
    crate::decode::<StoredExecution>(bytes)
        .map_err(|error| format!("the record of execution {number}: {error}"))?
        .into_record(number)
        .ok_or_else(|| format!("the record of execution {number} has an impossible time"))
}
