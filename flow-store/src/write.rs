//! What every writing transaction does.

use crate::changes::{Change, Changes};
use crate::error::StoreError;
use crate::guard::Failure;
use crate::key::KEY_GROUPS;
use crate::row;
use crate::tables::BASE;
use crate::undo::Entry;
use redb::{Database, Durability, WriteTransaction};
use serde::Serialize;
use std::path::Path;

/// Changes as they are written: by key, each row once.
pub(crate) struct Sorted<'a>(Vec<Change<'a>>);

impl<'a> Sorted<'a> {
    /// The last change of a row wins.
    pub(crate) fn new(changes: impl IntoIterator<Item = &'a Changes>) -> Sorted<'a> {
        let mut rows: Vec<Change<'a>> = changes.into_iter().flat_map(Changes::iter).collect();
        let place = |change: &Change<'a>| (change.step, change.group, change.key);
        // stable: of one row's changes the last put stays last
        rows.sort_by(|a, b| place(a).cmp(&place(b)));
        rows.reverse();
        rows.dedup_by(|a, b| place(a) == place(b));
        rows.reverse();
        Sorted(rows)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Refuses what no reader would find, or redb would not take.
    ///
    /// `steps` are the numbers of the steps, sorted.
    pub(crate) fn check(&self, steps: &[u16], path: &Path) -> Result<(), StoreError> {
        for change in &self.0 {
            let bytes = row::len(change.key, change.value.unwrap_or_default());
            let why = if steps.binary_search(&change.step).is_err() {
                "the flow has no step of this number".to_owned()
            } else if change.group >= KEY_GROUPS {
                format!(
                    "its key group is {}, and there are {KEY_GROUPS}",
                    change.group
                )
            } else if bytes > row::MOST_BYTES {
                format!("it has {bytes} bytes, and {} are the most", row::MOST_BYTES)
            } else {
                continue;
            };
            return Err(StoreError::WrongChange {
                path: path.to_path_buf(),
                step: change.step,
                why,
            });
        }
        Ok(())
    }

    /// Writes them; what they replace goes into the entry.
    pub(crate) fn apply(
        &self,
        transaction: &WriteTransaction,
        entry: &mut Option<Entry>,
    ) -> Result<(), Failure> {
        let mut table = transaction.open_table(BASE)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for change in &self.0 {
            key.clear();
            row::write_key(change.step, change.group, change.key, &mut key);
            let old = match change.value {
                Some(bytes) => {
                    value.clear();
                    row::write_value(&key, bytes, &mut value);
                    table.insert(&key[..], &value[..])?
                }
                None => table.remove(&key[..])?,
            };
            if let Some(entry) = entry {
                entry.base(&key, old.as_ref().map(|old| old.value()));
            }
        }
        Ok(())
    }
}

/// A transaction that is durable when it is committed, and opened again in constant time after it.
pub(crate) fn begin(database: Option<&Database>) -> Result<WriteTransaction, Failure> {
    let database = database.ok_or(Failure::Redb(redb::Error::DatabaseClosed))?;
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// The bytes of one of the store's own records.
pub(crate) fn encoded<T: Serialize>(
    record: &T,
    what: &'static str,
    path: &Path,
) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    crate::encode(record, &mut bytes).map_err(|cause| StoreError::Encode {
        path: path.to_path_buf(),
        what,
        cause,
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_of_a_row_wins() {
        let (mut first, mut second) = (Changes::new(), Changes::new());
        let put = |changes: &mut Changes, key: &[u8], value: u8| {
            changes
                .put(1, 0, key, |bytes| {
                    bytes.push(value);
                    Ok::<(), ()>(())
                })
                .unwrap();
        };
        put(&mut first, b"b", 1);
        put(&mut first, b"a", 2);
        put(&mut first, b"b", 3);
        first.remove(0, 0, b"z");
        put(&mut first, b"c", 4);
        second.remove(1, 0, b"a");
        put(&mut second, b"c", 5);
        let sorted = Sorted::new([&first, &second]);
        let rows: Vec<_> = sorted.0.iter().map(|c| (c.step, c.key, c.value)).collect();
        assert_eq!(
            rows,
            [
                (0, &b"z"[..], None),
                (1, b"a", None),
                (1, b"b", Some(&[3][..])),
                (1, b"c", Some(&[5])),
            ]
        );
    }
}
