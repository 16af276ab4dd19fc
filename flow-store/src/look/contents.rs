//! What a look reads immediately: everything but the rows.

use crate::error::{FileError, StoreError};
use crate::file::guard::{Failure, guard};
use crate::format::delta::{self, Delta};
use crate::format::executions;
use crate::format::meta::Meta;
use crate::format::record::ExecutionRecord;
use crate::format::steps;
use crate::format::tables::{CHUNKS, EXECS, FORMAT, META};
use crate::manifest::Basis;
use crate::step::StoredStep;
use redb::{Database, ReadableDatabase, ReadableTable};
use std::collections::VecDeque;
use std::path::Path;

/// The contents of a store that is not new.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) meta: Meta,
    /// The steps, by number.
    pub(crate) steps: Vec<StoredStep>,
    pub(crate) last_execution: Option<ExecutionRecord>,
    /// The deltas that are not folded, oldest first.
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

    /// Reads and checks the contents.
    pub(crate) fn read(database: &Database, path: &Path) -> Result<Contents, StoreError> {
        guard(|| read(database, path)).map_err(|failure| failure.while_reading(path))
    }

    /// The deltas after the epochs that the store can go back to.
    pub(crate) fn retained(&self) -> impl Iterator<Item = &Delta> {
        let oldest = self.meta.oldest;
        self.deltas
            .iter()
            .filter(move |delta| delta.before >= oldest)
    }
}

fn read(database: &Database, path: &Path) -> Result<Contents, Failure> {
    let damaged = |what: String| {
        StoreError::File(FileError::Damaged {
            path: path.to_path_buf(),
            what,
        })
    };
    let meta = read_meta(database, path)?;
    let transaction = database.begin_read()?;
    transaction.open_table(CHUNKS)?;
    let steps = steps::read_last(database, meta.epoch, meta.next_step, path)?;
    let last_execution = match transaction.open_table(EXECS)?.last()? {
        Some((number, value)) => {
            Some(executions::decode(number.value(), value.value()).map_err(&damaged)?)
        }
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
    let damaged = |what: String| {
        StoreError::File(FileError::Damaged {
            path: path.to_path_buf(),
            what,
        })
    };
    let transaction = database.begin_read()?;
    let table = transaction.open_table(META)?;
    let format = Meta::format(&table)?.ok_or_else(|| {
        StoreError::File(FileError::NotAFlowStore {
            path: path.to_path_buf(),
            missing: "it names no format".to_owned(),
        })
    })?;
    if format > FORMAT {
        return Err(Failure::from(FileError::FormatTooNew {
            path: path.to_path_buf(),
            found: format,
            known: FORMAT,
        }));
    }
    if format < FORMAT {
        return Err(Failure::from(FileError::FormatTooOld {
            path: path.to_path_buf(),
            what: "flow",
            found: format,
            known: FORMAT,
        }));
    }
    let meta = Meta::read(&table)?
        .map_err(|name| damaged(format!("`{name}` is missing in its table `meta`")))?;
    if (meta.part_index, meta.part_count) != (0, 1) {
        return Err(Failure::from(FileError::WrongPart {
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
