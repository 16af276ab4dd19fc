//! Reads the rows of a step in a range of key groups.

use crate::codec::decode;
use crate::error::{FileError, StoreError};
use crate::file::guard::{Failure, Wrong, guard};
use crate::format::chunk;
use crate::format::tables::{CHUNKS, ChunkKey};
use crate::format::versions::Versions;
use crate::key::OWN_KEY;
use crate::look::unfolded::Unfolded;
use crate::step::StoredStep;
use redb::{AccessGuard, Database, ReadableDatabase};
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

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
        self.as_ref().name(step)
    }

    fn as_ref(&self) -> RowRef<'_> {
        RowRef {
            group: self.group,
            key: &self.key,
            value: &self.value,
        }
    }
}

/// One row of the store, borrowed from the reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowRef<'a> {
    /// The key group, in `0..KEY_GROUPS`.
    pub group: u16,
    /// The canonical bytes of the key.
    pub key: &'a [u8],
    /// The bytes of the value.
    pub value: &'a [u8],
}

impl RowRef<'_> {
    /// The row as messages name it: step, key group and key.
    #[must_use]
    pub fn name(&self, step: &StoredStep) -> String {
        name(step, self.group, self.key)
    }

    fn to_row(self) -> Row {
        Row {
            group: self.group,
            key: self.key.to_vec(),
            value: self.value.to_vec(),
        }
    }
}

/// A row as messages name it.
pub(crate) fn name(step: &StoredStep, group: u16, key: &[u8]) -> String {
    let step = &step.id;
    if key == OWN_KEY {
        return format!("the row of step `{step}` for itself, key group {group}");
    }
    format!(
        "the row of step `{step}`, key group {group}, key {}",
        show(key)
    )
}

/// A key as text or as a whole number, if it is one; otherwise its bytes.
fn show(key: &[u8]) -> String {
    if let Ok(text) = decode::<String>(key)
        && text.len() <= 200
    {
        return format!("{text:?}");
    }
    if let Ok(number) = decode::<i64>(key) {
        return number.to_string();
    }
    hex(key)
}

fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let digits: String = bytes
        .iter()
        .take(SHOWN)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("0x{digits}{more}")
}

/// Replaces the number of a step in a message by its id.
pub(crate) fn with_id(message: &str, steps: &[StoredStep]) -> String {
    steps
        .iter()
        .find_map(|step| {
            let (before, after) = message.split_once(&format!("step {},", step.number))?;
            Some(format!("{before}step `{}`,{after}", step.id))
        })
        .unwrap_or_else(|| message.to_owned())
}

/// The rows of a step, by key group and key, from [`Look::rows`](crate::Look::rows).
///
/// Everything that is read is checked against its CRC. After an error there are no more rows.
pub struct Rows<'a> {
    /// `None` at the end, or after an error.
    source: Option<Source>,
    step: u16,
    groups: Range<u16>,
    /// The group of the loaded rows.
    group: u16,
    /// The rows of the group, and the index of the next one.
    versions: Versions,
    next: usize,
    /// The length in bytes of all rows of the store, of all steps.
    stored: u64,
    path: &'a Path,
    steps: &'a [StoredStep],
}

struct Source {
    chunks: redb::Range<'static, ChunkKey, &'static [u8]>,
    /// The number of the store's last run.
    runs: u64,
    /// The chunk that comes next.
    chunk: Option<Chunk>,
    unfolded: Arc<Unfolded>,
    /// The index of the next row in `unfolded`.
    row: usize,
}

type Chunk = (
    AccessGuard<'static, ChunkKey>,
    AccessGuard<'static, &'static [u8]>,
);

impl Source {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, Failure> {
        let next = self.chunks.next().transpose()?;
        Ok(std::mem::replace(&mut self.chunk, next))
    }

    /// Adds the rows of the next group that has any.
    fn load(
        &mut self,
        step: u16,
        groups: &Range<u16>,
        versions: &mut Versions,
    ) -> Result<Option<u16>, Wrong> {
        let of_chunk = self.chunk.as_ref().map(|(key, _)| key.value().1);
        let of_row = self.unfolded.group(step, self.row);
        let next = of_chunk.into_iter().chain(of_row).min();
        let Some(group) = next.filter(|group| *group < groups.end) else {
            return Ok(None);
        };
        let mut chunks = chunk::Reader::new(self.runs);
        while self
            .chunk
            .as_ref()
            .is_some_and(|(key, _)| key.value().1 == group)
        {
            if let Some((key, value)) = self.next_chunk().map_err(Wrong::Failure)? {
                chunks
                    .add(key.value(), value.value(), versions)
                    .map_err(Wrong::Damaged)?;
            }
        }
        chunks.end().map_err(Wrong::Damaged)?;
        self.row = self.unfolded.add_to(step, group, self.row, versions);
        Ok(Some(group))
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn none(path: &'a Path) -> Rows<'a> {
        Rows {
            source: None,
            step: 0,
            groups: 0..0,
            group: 0,
            versions: Versions::default(),
            next: 0,
            stored: 0,
            path,
            steps: &[],
        }
    }

    pub(crate) fn of(
        database: &Database,
        unfolded: Arc<Unfolded>,
        (runs, chunk_bytes): (u64, u64),
        path: &'a Path,
        steps: &'a [StoredStep],
        step: u16,
        groups: Range<u16>,
    ) -> Result<Rows<'a>, StoreError> {
        // A dropped step may still have chunks, as long as the store can go back to before the
        // drop.
        if groups.is_empty() || !steps.iter().any(|stored| stored.number == step) {
            return Ok(Rows::none(path));
        }
        let stored = chunk_bytes + unfolded.byte_len();
        let open = || {
            let table = database.begin_read()?.open_table(CHUNKS)?;
            let chunks = table.range((step, groups.start, 0, 0)..(step, groups.end, 0, 0))?;
            let mut source = Source {
                chunks,
                runs,
                chunk: None,
                row: unfolded.first_of(step, groups.start),
                unfolded,
            };
            source.next_chunk()?;
            Ok(source)
        };
        let source = guard(open).map_err(|failure| failure.while_reading(path))?;
        Ok(Rows {
            source: Some(source),
            step,
            groups,
            stored,
            steps,
            ..Rows::none(path)
        })
    }

    /// The next row, borrowed.
    ///
    /// # Errors
    ///
    /// [`Damaged`](crate::FileError::Damaged) or [`Io`](StoreError::Io). After an error there are
    /// no more rows.
    pub fn advance(&mut self) -> Result<Option<RowRef<'_>>, StoreError> {
        while self.next >= self.versions.len() {
            if !self.load()? {
                return Ok(None);
            }
        }
        let row = self.versions.get(self.next);
        self.next += 1;
        let group = self.group;
        Ok(row.map(|(key, value)| RowRef { group, key, value }))
    }

    /// Estimates how many rows are left.
    ///
    /// It assumes that every key group has as many rows as the current one, and rows of the same
    /// length. The total length of the store limits the estimate.
    #[must_use]
    pub fn estimate(&self) -> usize {
        let rows = self.versions.len();
        let left = rows.saturating_sub(self.next);
        let groups = self.groups.end.saturating_sub(self.group).saturating_sub(1);
        let each = (self.versions.byte_len() / rows.max(1)).max(1);
        let stored = usize::try_from(self.stored).unwrap_or(usize::MAX);
        (left + rows * usize::from(groups)).min(stored / each)
    }

    /// Loads the next group with rows. Returns false if there is none.
    fn load(&mut self) -> Result<bool, StoreError> {
        self.versions.clear();
        self.next = 0;
        let Some(source) = &mut self.source else {
            return Ok(false);
        };
        let (step, groups, versions) = (self.step, &self.groups, &mut self.versions);
        let loaded = guard(|| {
            let loaded = source.load(step, groups, versions);
            loaded.map_err(|wrong| match wrong {
                Wrong::Failure(failure) => failure,
                Wrong::Damaged(what) => Failure::from(FileError::Damaged {
                    path: self.path.to_path_buf(),
                    what: with_id(&what, self.steps),
                }),
            })
        });
        match loaded {
            Ok(Some(group)) => {
                self.group = group;
                self.versions.settle();
                Ok(true)
            }
            Ok(None) => {
                self.source = None;
                Ok(false)
            }
            Err(failure) => {
                self.source = None;
                self.versions.clear();
                Err(failure.while_reading(self.path))
            }
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance()
            .map(|row| row.map(RowRef::to_row))
            .transpose()
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
