//! A complete copy of a store, folded as far as possible. Backup and compaction are built on it.

use crate::error::{FileError, MaintenanceError, StoreError};
use crate::execution::fold;
use crate::file::guard::{Failure, guard};
use crate::file::part;
use crate::format::chunk;
use crate::format::delta::Part;
use crate::format::tables::{CHUNKS, DELTAS, EXECS, MANIFESTS, META, unknown, unknown_table};
use crate::key::KEY_GROUPS;
use crate::look::Look;
use crate::look::rows;
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, Value, WriteTransaction,
};
use std::path::Path;

/// Copies everything into a new file, and returns the number of rows.
///
/// Before this returns, the copy is synced, closed and read back. Every row is checked while it is
/// copied. `progress` gets the number of chunks and parts of deltas that are done, and the number
/// of all.
pub(crate) fn to(
    look: &Look,
    target: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, StoreError> {
    let failed = |cause| {
        StoreError::Maintenance(MaintenanceError::CopyFailed {
            path: target.to_path_buf(),
            cause,
        })
    };
    let copy = || fill(look, part::write(target, true)?, progress);
    let rows = guard(copy).map_err(|failure| failure.while_writing(failed))?;
    let copy = Look::of_part(target)?;
    let (here, there) = (about(look)?, about(&copy)?);
    match here == there && rows == there.rows {
        true => Ok(rows),
        false => Err(StoreError::File(FileError::Damaged {
            path: target.to_path_buf(),
            what: format!("it has {there:?}, but the original has {here:?}"),
        })),
    }
}

/// What a copy must have in common with the original.
#[derive(PartialEq, Debug)]
struct About {
    epoch: u64,
    executions: usize,
    steps: usize,
    retained: usize,
    rows: u64,
    /// The CRC of all rows.
    crc: u32,
}

fn about(look: &Look) -> Result<About, StoreError> {
    let (mut rows, mut crc) = (0, 0);
    for step in look.steps() {
        let mut of_step = look.rows(step.number, 0..KEY_GROUPS)?;
        while let Some(row) = of_step.advance()? {
            rows += 1;
            crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, row.key), row.value);
        }
    }
    Ok(About {
        epoch: look.epoch().to_u64(),
        executions: look.executions()?.len(),
        steps: look.steps().len(),
        retained: look.retained().len(),
        rows,
        crc,
    })
}

/// Copies everything into an empty database, and closes the database.
pub(crate) fn fill(
    look: &Look,
    mut target: Database,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Failure> {
    let path = &look.place.part;
    let (Some(database), Some(contents)) = (look.database.get(), &look.contents) else {
        return Err(Failure::Store(look.no_store()));
    };
    let source = Source {
        path,
        from: database
            .begin_read()
            .map_err(|error| unreadable(path, error))?,
    };
    source.check_tables()?;
    let mut to = target.begin_write()?;
    to.set_durability(redb::Durability::Immediate)?;
    source.table(&to, META, |_, _| Ok(()))?;
    source.table(&to, MANIFESTS, |_, _| Ok(()))?;
    source.table(&to, EXECS, |_, _| Ok(()))?;
    let (mut done, all) = (0, source.len(CHUNKS)? + source.len(DELTAS)?);
    let damaged = |what: String| {
        StoreError::File(FileError::Damaged {
            path: path.clone(),
            what: rows::with_id(&what, look.steps()),
        })
    };
    source.table(&to, CHUNKS, |key, value| {
        for row in chunk::read(key, value).map_err(damaged)? {
            row.map_err(damaged)?;
        }
        done += 1;
        progress(done, all);
        Ok(())
    })?;
    source.table(&to, DELTAS, |key, value| {
        Part::checked(key, value).map_err(damaged)?;
        done += 1;
        progress(done, all);
        Ok(())
    })?;
    let (mut meta, mut deltas) = (contents.meta.clone(), contents.deltas.clone());
    fold::fold_all(&to, &mut meta, &mut deltas, path)?;
    meta.write(&mut to.open_table(META)?)?;
    to.commit()?;
    // This releases the pages that redb needed only for the copying.
    target.compact()?;
    target.close()?;
    Ok(about(look)?.rows)
}

struct Source<'a> {
    path: &'a Path,
    from: ReadTransaction,
}

impl Source<'_> {
    /// Copies one table. `check` may refuse a row.
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        to: &WriteTransaction,
        definition: TableDefinition<'static, K, V>,
        mut check: impl FnMut(K::SelfType<'_>, V::SelfType<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Failure> {
        let from = self.open(definition)?;
        let mut to = to.open_table(definition)?;
        for entry in from.iter().map_err(|e| unreadable(self.path, e))? {
            let (key, value) = entry.map_err(|e| unreadable(self.path, e))?;
            check(key.value(), value.value())?;
            to.insert(key.value(), value.value())?;
        }
        Ok(())
    }

    fn open<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>, Failure> {
        let table = self.from.open_table(definition);
        table.map_err(|error| unreadable(self.path, error))
    }

    fn len<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<u64, Failure> {
        let table = self.open(definition)?;
        table.len().map_err(|error| unreadable(self.path, error))
    }

    /// Refuses unknown tables: an incomplete copy would be worse than none.
    fn check_tables(&self) -> Result<(), Failure> {
        let name = unknown_table(&self.from).map_err(|failure| failure.while_reading(self.path))?;
        match name {
            None => Ok(()),
            Some(name) => Err(Failure::from(FileError::Damaged {
                path: self.path.to_path_buf(),
                what: unknown(&name),
            })),
        }
    }
}

fn unreadable(path: &Path, error: impl Into<Failure>) -> Failure {
    Failure::Store(error.into().while_reading(path))
}
