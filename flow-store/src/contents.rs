//! What a look reads at once: everything but the rows of `base`.

use crate::error::StoreError;
use crate::guard::{Failure, guard};
use crate::manifest::{Basis, StoredStep};
use crate::record::{ExecutionRecord, StoredExecution};
use crate::tables::{BASE, EXECS, FORMAT, META, Meta, OLDEST_FORMAT, STEPS};
use crate::undo::{self, Head};
use redb::{Database, ReadableDatabase, ReadableTable};
use std::collections::BTreeSet;
use std::path::Path;

/// The contents of a store that is not new.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) meta: Meta,
    /// By number.
    pub(crate) steps: Vec<StoredStep>,
    pub(crate) last_execution: Option<ExecutionRecord>,
    /// The entries by which the store can go back, oldest first.
    pub(crate) chain: Vec<Head>,
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
}

fn read(database: &Database, path: &Path) -> Result<Contents, Failure> {
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
    if format < OLDEST_FORMAT {
        return Err(Failure::Store(StoreError::FormatTooOld {
            path: path.to_path_buf(),
            what: "flow",
            found: format,
            known: OLDEST_FORMAT,
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
    transaction.open_table(BASE)?;

    let steps = read_steps(database, meta.next_step, path)?;
    let last_execution = match transaction.open_table(EXECS)?.last()? {
        Some((number, value)) => Some(record(number.value(), value.value()).map_err(&damaged)?),
        None => None,
    };
    let chain = undo::chain(database, meta.epoch)?;
    Ok(Contents {
        meta,
        steps,
        last_execution,
        chain,
    })
}

/// The steps, by number.
pub(crate) fn steps(
    database: &Database,
    next_step: u32,
    path: &Path,
) -> Result<Vec<StoredStep>, StoreError> {
    guard(|| read_steps(database, next_step, path)).map_err(|failure| failure.while_reading(path))
}

fn read_steps(
    database: &Database,
    next_step: u32,
    path: &Path,
) -> Result<Vec<StoredStep>, Failure> {
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let mut steps: Vec<StoredStep> = Vec::new();
    let mut ids = BTreeSet::new();
    for entry in database.begin_read()?.open_table(STEPS)?.iter()? {
        let (number, value) = entry?;
        let number = number.value();
        let step: StoredStep = crate::decode(value.value())
            .map_err(|error| damaged(format!("step number {number}: {error}")))?;
        if step.number != number || u32::from(number) >= next_step {
            return Err(Failure::Store(damaged(format!(
                "step `{}` has the number {number}, which is not its own",
                step.id
            ))));
        }
        if !ids.insert(step.id.clone()) {
            return Err(Failure::Store(damaged(format!(
                "it has two steps `{}`",
                step.id
            ))));
        }
        steps.push(step);
    }
    Ok(steps)
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
