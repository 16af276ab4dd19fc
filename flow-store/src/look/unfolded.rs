//! The changes that are not folded, in memory: those of all deltas, by step and key group. A look
//! reads them once.

use crate::error::{FileError, StoreError};
use crate::file::guard::guard;
use crate::format::delta::Part;
use crate::format::tables::DELTAS;
use crate::format::versions::Versions;
use redb::{Database, ReadableDatabase, ReadableTable};
use std::path::Path;

/// Number of bytes after which replaced versions are dropped from memory. The retained versions may
/// be much more than the present rows.
const SETTLE: usize = if cfg!(test) { 1000 } else { 64 << 20 };

/// The changes of all deltas, by step and key group, and within a group in the order of writing.
#[derive(Default)]
pub(crate) struct Unfolded {
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    step: u16,
    group: u16,
    start: usize,
    key_len: usize,
    value_len: Option<usize>,
}

impl Unfolded {
    pub(crate) fn read(database: &Database, path: &Path) -> Result<Unfolded, StoreError> {
        let read = || {
            let (mut unfolded, mut settle_at) = (Unfolded::default(), SETTLE);
            let table = database.begin_read()?.open_table(DELTAS)?;
            for row in table.iter()? {
                let (key, value) = row?;
                let part = Part::checked(key.value(), value.value());
                let part = part.map_err(|what| {
                    StoreError::File(FileError::Damaged {
                        path: path.to_path_buf(),
                        what,
                    })
                })?;
                for change in part.changes().filter_map(Result::ok) {
                    unfolded.rows.push(Place {
                        step: change.step,
                        group: change.group,
                        start: unfolded.bytes.len(),
                        key_len: change.key.len(),
                        value_len: change.value.map(<[u8]>::len),
                    });
                    unfolded.bytes.extend_from_slice(change.key);
                    unfolded
                        .bytes
                        .extend_from_slice(change.value.unwrap_or_default());
                }
                if unfolded.bytes.len() > settle_at {
                    unfolded.settle();
                    settle_at = SETTLE.max(2 * unfolded.bytes.len());
                }
            }
            // The sort is stable, so the changes of a group stay in order.
            unfolded.rows.sort_by_key(|row| (row.step, row.group));
            Ok(unfolded)
        };
        guard(read).map_err(|failure| failure.while_reading(path))
    }

    /// The total length of all keys and values in bytes.
    pub(crate) fn byte_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Keeps only the last version of each row.
    fn settle(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let key = |row: &Place| bytes.get(row.start..row.start + row.key_len);
        let whole = |row: &Place| (row.step, row.group, key(row));
        // The sort is stable, so the last version of a row stays last.
        self.rows.sort_by(|a, b| whole(a).cmp(&whole(b)));
        let rows = std::mem::take(&mut self.rows);
        let last_of_each = rows.chunk_by(|a, b| whole(a) == whole(b));
        for row in last_of_each.filter_map(<[_]>::last) {
            let end = row.start + row.key_len + row.value_len.unwrap_or_default();
            self.rows.push(Place {
                start: self.bytes.len(),
                ..*row
            });
            let row = bytes.get(row.start..end);
            self.bytes.extend_from_slice(row.unwrap_or_default());
        }
    }

    /// The index of a step's first row in this group or a later one.
    pub(crate) fn first_of(&self, step: u16, group: u16) -> usize {
        let place = (step, group);
        self.rows
            .partition_point(|row| (row.step, row.group) < place)
    }

    /// The group of the row at an index, if it belongs to this step.
    pub(crate) fn group(&self, step: u16, index: usize) -> Option<u16> {
        let row = self.rows.get(index).filter(|row| row.step == step);
        row.map(|row| row.group)
    }

    /// Adds the rows of a group, from `index` on, and returns the index of the next row.
    pub(crate) fn add_to(
        &self,
        step: u16,
        group: u16,
        mut index: usize,
        versions: &mut Versions,
    ) -> usize {
        while self.group(step, index) == Some(group)
            && let Some(row) = self.rows.get(index)
        {
            let bytes = self.bytes.get(row.start..).unwrap_or_default();
            let (key, rest) = bytes.split_at_checked(row.key_len).unwrap_or_default();
            versions.add(key, row.value_len.and_then(|len| rest.get(..len)));
            index += 1;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Changes;
    use crate::epoch::Epoch;
    use crate::file::part;
    use crate::format::delta::Delta;
    use crate::format::write;

    /// The retained versions may be much more than the present rows, and are not all kept in
    /// memory.
    #[test]
    fn of_many_deltas_the_last_versions_are_kept() {
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let mut expected = std::collections::BTreeMap::new();
        let mut epoch = Epoch::opening(1);
        for n in 0..100u8 {
            let mut changes = Changes::new();
            // Some keys stop changing.
            for key in if n < 50 { 0..10 } else { 5..10 } {
                let value = (n % 7 != key % 5).then(|| vec![n; 50]);
                match &value {
                    Some(value) => {
                        let put = changes.put(1, u16::from(key / 4), &[key], |bytes| {
                            bytes.extend_from_slice(value);
                            Ok::<(), ()>(())
                        });
                        put.unwrap();
                    }
                    None => changes.remove(1, u16::from(key / 4), &[key]),
                }
                expected.insert((u16::from(key / 4), vec![key]), value);
            }
            let transaction = write::begin(Some(&database)).unwrap();
            let delta = Delta::new(epoch.next(), epoch, 0);
            delta.write(&transaction, [changes].iter()).unwrap();
            transaction.commit().unwrap();
            epoch = epoch.next();
        }
        let unfolded = Unfolded::read(&database, Path::new("")).unwrap();
        assert!(
            unfolded.bytes.len() <= 3 * SETTLE,
            "{}",
            unfolded.bytes.len()
        );
        let (mut versions, mut rows) = (Versions::default(), Vec::new());
        let mut index = unfolded.first_of(1, 0);
        while let Some(group) = unfolded.group(1, index) {
            versions.clear();
            index = unfolded.add_to(1, group, index, &mut versions);
            versions.settle();
            let of_group = versions.iter();
            rows.extend(of_group.map(|(key, value)| ((group, key.to_vec()), value.to_vec())));
        }
        let expected: Vec<_> = expected
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        assert_eq!(rows, expected);
    }
}
