//! Reading the rows of a step, for a range of key groups.

use crate::error::StoreError;
use crate::guard::{Failure, guard};
use crate::manifest::StoredStep;
use crate::row;
use crate::tables::BASE;
use redb::{Database, ReadableDatabase};
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::path::Path;

/// One row of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The key group, in `0..KEY_GROUPS`.
    pub group: u16,
    /// The canonical bytes of the key.
    pub key: Vec<u8>,
    /// The bytes of the value.
    pub value: Vec<u8>,
}

impl Row {
    /// The row as messages name it: step, key group and key.
    #[must_use]
    pub fn name(&self, step: &StoredStep) -> String {
        let name = row::name(step.number, self.group, &self.key);
        row::with_id(&name, std::slice::from_ref(step))
    }
}

/// The rows of a step, by key group and key; made by [`Look::rows`](crate::Look::rows).
///
/// Each row's CRC is checked. After an error there are no more rows.
pub struct Rows<'a> {
    /// None: at the end, or after an error.
    range: Option<redb::Range<'static, &'static [u8], &'static [u8]>>,
    path: &'a Path,
    steps: &'a [StoredStep],
}

impl<'a> Rows<'a> {
    pub(crate) fn none(path: &'a Path) -> Rows<'a> {
        Rows {
            range: None,
            path,
            steps: &[],
        }
    }

    pub(crate) fn of(
        database: &Database,
        path: &'a Path,
        steps: &'a [StoredStep],
        step: u16,
        groups: &Range<u16>,
    ) -> Result<Rows<'a>, StoreError> {
        if groups.is_empty() {
            return Ok(Rows::none(path));
        }
        let (start, end) = row::some_of(step, groups);
        let bounds = (
            start.as_ref().map(Vec::as_slice),
            end.as_ref().map(Vec::as_slice),
        );
        let range = guard(|| {
            let table = database.begin_read()?.open_table(BASE)?;
            Ok(table.range::<&[u8]>(bounds)?)
        });
        Ok(Rows {
            range: Some(range.map_err(|failure| failure.while_reading(path))?),
            path,
            steps,
        })
    }
}

/// The row of a step with this key.
pub(crate) fn one(
    database: &Database,
    path: &Path,
    steps: &[StoredStep],
    step: &StoredStep,
    key: &[u8],
) -> Result<Option<Row>, StoreError> {
    let mut whole_key = Vec::new();
    row::write_key(step.number, step.kind.group(key), key, &mut whole_key);
    let read = || {
        let table = database.begin_read()?.open_table(BASE)?;
        match table.get(&whole_key[..])? {
            Some(value) => row_of(&whole_key, value.value(), path, steps).map(Some),
            None => Ok(None),
        }
    };
    guard(read).map_err(|failure| failure.while_reading(path))
}

fn row_of(
    whole_key: &[u8],
    value: &[u8],
    path: &Path,
    steps: &[StoredStep],
) -> Result<Row, Failure> {
    let row = row::read(whole_key, value).map_err(|what| StoreError::Damaged {
        path: path.to_path_buf(),
        what: row::with_id(&what, steps),
    })?;
    Ok(Row {
        group: row.group,
        key: row.key.to_vec(),
        value: row.value.to_vec(),
    })
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.range.as_mut()?;
        let next = guard(|| {
            let Some(entry) = range.next() else {
                return Ok(None);
            };
            let (key, value) = entry?;
            row_of(key.value(), value.value(), self.path, self.steps).map(Some)
        });
        match next {
            Ok(Some(row)) => Some(Ok(row)),
            Ok(None) => {
                self.range = None;
                None
            }
            Err(failure) => {
                self.range = None;
                Some(Err(failure.while_reading(self.path)))
            }
        }
    }
}

impl FusedIterator for Rows<'_> {}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
