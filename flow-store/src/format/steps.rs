//! The steps of a store, for each start that the store can go back to.

use crate::codec;
use crate::epoch::Epoch;
use crate::error::{FileError, StoreError};
use crate::file::guard::{Failure, guard};
use crate::format::chunk;
use crate::format::meta::Meta;
use crate::format::tables::{CHUNKS, MANIFESTS};
use crate::format::write;
use crate::step::StoredStep;
use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use std::collections::BTreeSet;
use std::path::Path;

/// The steps at the last epoch, by number.
pub(crate) fn last(
    database: &Database,
    epoch: Epoch,
    next_step: u32,
    path: &Path,
) -> Result<Vec<StoredStep>, StoreError> {
    guard(|| read_last(database, epoch, next_step, path))
        .map_err(|failure| failure.while_reading(path))
}

/// The steps at the last epoch. Those of earlier epochs are checked too.
pub(crate) fn read_last(
    database: &Database,
    epoch: Epoch,
    next_step: u32,
    path: &Path,
) -> Result<Vec<StoredStep>, Failure> {
    let damaged = |what: String| {
        Failure::from(FileError::Damaged {
            path: path.to_path_buf(),
            what,
        })
    };
    let table = database.begin_read()?.open_table(MANIFESTS)?;
    let mut last = None;
    for row in table.iter()? {
        let (from, value) = row?;
        let from = Epoch::from_u64(from.value());
        let steps = decode(from, value.value()).map_err(damaged)?;
        check(&steps, next_step).map_err(damaged)?;
        if from > epoch {
            let what = format!("it has the steps of epoch {from}, and it is at {epoch}");
            return Err(damaged(what));
        }
        last = Some(steps);
    }
    last.ok_or_else(|| damaged("it has no list of steps".to_owned()))
}

pub(crate) fn decode(epoch: Epoch, value: &[u8]) -> Result<Vec<StoredStep>, String> {
    codec::decode(value).map_err(|error| format!("the steps of epoch {epoch}: {error}"))
}

/// Refuses a list of steps that no start writes.
pub(crate) fn check(steps: &[StoredStep], next_step: u32) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    let mut least = 0;
    for step in steps {
        let number = u32::from(step.number);
        if number < least || number >= next_step {
            return Err(format!(
                "step `{}` has the number {number}, which is not its own",
                step.id
            ));
        }
        least = number + 1;
        if !ids.insert(&step.id) {
            return Err(format!("it has two steps `{}`", step.id));
        }
    }
    Ok(())
}

/// Writes the steps that hold from this epoch on.
pub(crate) fn write(
    transaction: &WriteTransaction,
    epoch: Epoch,
    steps: &[StoredStep],
    path: &Path,
) -> Result<(), Failure> {
    let mut steps: Vec<&StoredStep> = steps.iter().collect();
    steps.sort_by_key(|step| step.number);
    let bytes = write::encoded(&steps, "the steps", path)?;
    let mut table = transaction.open_table(MANIFESTS)?;
    table.insert(epoch.to_u64(), &bytes[..])?;
    Ok(())
}

/// Deletes the steps of later epochs.
pub(crate) fn remove_after(transaction: &WriteTransaction, epoch: Epoch) -> Result<(), Failure> {
    let mut table = transaction.open_table(MANIFESTS)?;
    table.retain(|written, _| written <= epoch.to_u64())?;
    Ok(())
}

/// Forgets the manifests before that of the oldest epoch, and removes the chunks of steps that are
/// in no manifest any more. Returns the numbers of the remaining steps, sorted.
pub(crate) fn prune(
    transaction: &WriteTransaction,
    meta: &mut Meta,
    path: &Path,
) -> Result<Vec<u16>, Failure> {
    let mut table = transaction.open_table(MANIFESTS)?;
    let first = match table.range(..=meta.oldest.to_u64())?.next_back() {
        Some(row) => row?.0.value(),
        None => 0,
    };
    table.retain_in(..first, |_, _| false)?;
    let mut known = BTreeSet::new();
    for row in table.iter()? {
        let (epoch, value) = row?;
        let steps = decode(Epoch::from_u64(epoch.value()), value.value()).map_err(|what| {
            Failure::from(FileError::Damaged {
                path: path.to_path_buf(),
                what,
            })
        })?;
        known.extend(steps.iter().map(|step| step.number));
    }
    let mut chunks = transaction.open_table(CHUNKS)?;
    for step in chunk::steps(&chunks)? {
        if !known.contains(&step) {
            let bytes = chunk::remove_all_of(step, &mut chunks)?;
            meta.chunk_bytes = meta.chunk_bytes.saturating_sub(bytes);
        }
    }
    Ok(known.into_iter().collect())
}
