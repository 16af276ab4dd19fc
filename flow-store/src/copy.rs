//! A whole copy of a store, row by row, in the order of their keys: what a backup and a compaction
//! are made of.

use crate::error::StoreError;
use crate::guard::{Failure, guard};
use crate::manifest::StoredStep;
use crate::part;
use crate::row;
use crate::tables::{BASE, EXECS, META, STEPS, TABLES, UNDO};
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableHandle, Value, WriteTransaction,
};
use std::path::Path;

/// What a copy is made of.
pub(crate) struct Source<'a> {
    pub(crate) database: &'a Database,
    /// For messages.
    pub(crate) path: &'a Path,
    /// For messages.
    pub(crate) steps: &'a [StoredStep],
}

impl Source<'_> {
    /// Copies everything into a file that is made for it; returns the number of rows in `base`.
    ///
    /// The copy is closed, synced by redb, and read again before this returns. Every row is
    /// checked on its way. `progress` is told how many rows are done, of how many.
    pub(crate) fn copy_to(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, StoreError> {
        let failed = |cause| StoreError::CopyFailed {
            path: target.to_path_buf(),
            cause,
        };
        let copy = || self.fill(part::write(target, true)?, progress);
        let rows = guard(copy).map_err(|failure| failure.while_writing(failed))?;
        self.compare(target, rows)?;
        Ok(rows)
    }

    /// Copies everything into a database that is empty, and closes that.
    pub(crate) fn fill(
        &self,
        mut target: Database,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, Failure> {
        let from = self.database.begin_read().map_err(|e| self.unreadable(e))?;
        self.check_tables(&from)?;
        let mut to = target.begin_write()?;
        to.set_durability(redb::Durability::Immediate)?;
        self.table(&from, &to, META, |_, _| Ok(()))?;
        self.table(&from, &to, STEPS, |_, _| Ok(()))?;
        self.table(&from, &to, EXECS, |_, _| Ok(()))?;
        match from.open_table(UNDO) {
            Ok(_) => self.table(&from, &to, UNDO, |_, _| Ok(()))?,
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(self.unreadable(error)),
        }
        let all = from
            .open_table(BASE)
            .map_err(|e| self.unreadable(e))?
            .len()
            .map_err(|e| self.unreadable(e))?;
        let mut done = 0;
        self.table(&from, &to, BASE, |key, value| {
            row::read(key, value).map_err(|what| StoreError::Damaged {
                path: self.path.to_path_buf(),
                what: row::with_id(&what, self.steps),
            })?;
            done += 1;
            progress(done, all);
            Ok(())
        })?;
        to.commit()?;
        // redb gives the pages back that it only needed for a while
        target.compact()?;
        target.close()?;
        Ok(done)
    }

    /// One table, each row of which `check` may refuse.
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        from: &ReadTransaction,
        to: &WriteTransaction,
        definition: TableDefinition<'static, K, V>,
        mut check: impl FnMut(K::SelfType<'_>, V::SelfType<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Failure> {
        let from = from
            .open_table(definition)
            .map_err(|e| self.unreadable(e))?;
        let mut to = to.open_table(definition)?;
        for entry in from.iter().map_err(|e| self.unreadable(e))? {
            let (key, value) = entry.map_err(|e| self.unreadable(e))?;
            check(key.value(), value.value())?;
            to.insert(key.value(), value.value())?;
        }
        Ok(())
    }

    /// A copy that left something out would be worse than none.
    fn check_tables(&self, from: &ReadTransaction) -> Result<(), Failure> {
        match unknown_table(from).map_err(|failure| failure.while_reading(self.path))? {
            None => Ok(()),
            Some(name) => Err(Failure::Store(StoreError::Damaged {
                path: self.path.to_path_buf(),
                what: unknown(&name),
            })),
        }
    }

    /// Reads the copy as any other store is read, and holds it against the original.
    fn compare(&self, target: &Path, rows: u64) -> Result<(), StoreError> {
        let (copy, _) = part::look(target)?;
        let count = |database: &Database, path: &Path| {
            guard(|| {
                let transaction = database.begin_read()?;
                let (meta, steps) = (
                    transaction.open_table(META)?,
                    transaction.open_table(STEPS)?,
                );
                let (execs, base) = (
                    transaction.open_table(EXECS)?,
                    transaction.open_table(BASE)?,
                );
                let undo = match transaction.open_table(UNDO) {
                    Ok(undo) => undo.len()?,
                    Err(redb::TableError::TableDoesNotExist(_)) => 0,
                    Err(error) => return Err(error.into()),
                };
                Ok([meta.len()?, steps.len()?, execs.len()?, undo, base.len()?])
            })
            .map_err(|failure| failure.while_reading(path))
        };
        let (here, there) = (count(self.database, self.path)?, count(&copy, target)?);
        if here == there && here[4] == rows {
            return Ok(());
        }
        Err(StoreError::Damaged {
            path: target.to_path_buf(),
            what: format!("its tables have {there:?} rows, and those it was copied from {here:?}"),
        })
    }

    fn unreadable(&self, error: impl Into<Failure>) -> Failure {
        Failure::Store(error.into().while_reading(self.path))
    }
}

/// The name of a table that this version does not know, if there is one.
pub(crate) fn unknown_table(transaction: &ReadTransaction) -> Result<Option<String>, Failure> {
    use redb::MultimapTableHandle;
    let multimap = transaction
        .list_multimap_tables()?
        .next()
        .map(|table| table.name().to_owned());
    let mut tables = transaction.list_tables()?;
    let unknown = tables.find(|table| !TABLES.contains(&table.name()));
    Ok(unknown.map(|table| table.name().to_owned()).or(multimap))
}

/// The same in words.
pub(crate) fn unknown(table: &str) -> String {
    format!("it has a table `{table}`, which this version does not know")
}
