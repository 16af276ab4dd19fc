//! Folding: the oldest deltas become chunks, a bounded part of them with each commit.
//!
//! What is folded of a key group is written as another run of it, or, when its later runs have become
//! large beside the first one, all its rows are merged into one run. So a row is written a few times in its life, and a
//! group has not many more bytes than its rows.

use crate::changes::Change;
use crate::chunk::{self, ChunkRow, Sizes};
use crate::delta::{Delta, Part};
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::guard::Failure;
use crate::steps;
use crate::tables::{CHUNKS, ChunkKey, DELTAS, Meta};
use crate::versions::Versions;
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// How many bytes of deltas may lie unfolded, beyond those that are retained: a quarter of what is folded, within these.
/// The less is folded, the sooner it is worth it, as keys come again; the more, the more rows find others of their group.
const LEAST: u64 = 256 << 10;
const MOST: u64 = 8 << 20;
/// A group of so few bytes is merged each time: to add to it costs as much.
const SMALL: u64 = 4 << 10;
/// A delta counts for this much more than its bytes, so that tiny ones are not too many.
const DELTA: u64 = 512;

/// How much is folded, and when.
#[derive(Debug)]
pub(crate) struct Folding {
    /// The bounds of how many bytes of deltas may lie unfolded.
    least: u64,
    most: u64,
    /// The bytes of groups that are merged each time.
    small: u64,
    /// Of the groups that were folded into since the start: to look it up costs a page of the file each time.
    sizes: HashMap<(u16, u16), Option<Sizes>>,
}

impl Folding {
    pub(crate) fn new() -> Folding {
        match crate::fail_point::unfolded() {
            Some(unfolded) => Folding::of(unfolded, unfolded, 0),
            None => Folding::of(LEAST, MOST, SMALL),
        }
    }

    fn of(least: u64, most: u64, small: u64) -> Folding {
        Folding {
            least,
            most,
            small,
            sizes: HashMap::new(),
        }
    }

    /// The bytes to fold when a commit has written so many; none if there is nothing that has to be.
    pub(crate) fn amount(
        &self,
        deltas: &VecDeque<Delta>,
        meta: &Meta,
        written: u64,
    ) -> Option<u64> {
        let unfolded = (meta.chunk_bytes / 4).clamp(self.least, self.most);
        let mut foldable = 0;
        for delta in deltas.iter().take_while(|delta| delta.epoch <= meta.oldest) {
            foldable += delta.bytes + DELTA;
            if foldable > unfolded {
                // more than comes in, so it ends
                return Some(unfolded.max(2 * written));
            }
        }
        None
    }

    /// Whether a group is merged: with so many bytes of runs, when more come.
    fn merges(&self, sizes: Sizes, more: u64, left: &mut u64) -> bool {
        let all = sizes.all() + more;
        if all <= self.small {
            return true;
        }
        if (sizes.later + more) * 2 <= sizes.first {
            return false;
        }
        // Groups grow at the same pace: what is left over has its turn at the next fold.
        let merges = *left > 0;
        *left = left.saturating_sub(all);
        merges
    }
}

/// Folds about so many bytes of the oldest deltas that need not stay as they are.
pub(crate) fn fold(
    transaction: &WriteTransaction,
    meta: &mut Meta,
    deltas: &mut VecDeque<Delta>,
    folding: &mut Folding,
    amount: u64,
    path: &Path,
) -> Result<(), Failure> {
    let damaged = |what: String| {
        Failure::Store(StoreError::Damaged {
            path: path.to_path_buf(),
            what,
        })
    };
    let known = steps::prune(transaction, meta, path)?;
    let taken = take(transaction, meta.oldest, amount)?;
    let mut changes: Vec<Change<'_>> = Vec::new();
    for (key, value) in &taken {
        let part = Part::checked(*key, value).map_err(damaged)?;
        let epoch = Epoch::from_u64(key.0);
        meta.base_epoch = if part.last { epoch } else { part.before };
        while deltas.front().is_some_and(|delta| delta.epoch < epoch) {
            deltas.pop_front();
        }
        if let Some(delta) = deltas.front_mut() {
            delta.bytes = delta.bytes.saturating_sub(value.len() as u64);
        }
        if part.last {
            deltas.pop_front();
        }
        // those of a step that is in no manifest any more go
        let of_steps = part.changes().filter_map(Result::ok);
        changes.extend(of_steps.filter(|change| known.binary_search(&change.step).is_ok()));
    }
    // stable, so of one row's changes the last one stays last; and cheap, which comparing keys is not
    changes.sort_by_key(place);

    meta.runs += 1;
    let mut table = transaction.open_table(CHUNKS)?;
    let mut left = amount.saturating_mul(4);
    let mut versions = Versions::default();
    for rows in changes.chunk_by_mut(|a, b| place(a) == place(b)) {
        let Some((step, group)) = rows.first().map(|row| (row.step, row.group)) else {
            continue;
        };
        rows.sort_by(|a, b| a.key.cmp(b.key));
        let key = (step, group, meta.runs);
        let sizes = match folding.sizes.get(&(step, group)) {
            Some(sizes) => *sizes,
            None => chunk::sizes(&table, step, group)?,
        };
        let bytes = rows
            .iter()
            .map(|row| row.key.len() + row.value.map_or(0, <[u8]>::len));
        let more = bytes.sum::<usize>() as u64;
        let written = if folding.merges(sizes.unwrap_or_default(), more, &mut left) {
            merge(&mut table, key, rows, &mut versions).map_err(|wrong| wrong.at(path))
        } else {
            let last_of_each = rows.chunk_by(|a, b| a.key == b.key).filter_map(<[_]>::last);
            let rows = last_of_each.map(|row| -> ChunkRow<'_> { (row.key, row.value) });
            chunk::write(&mut table, key, sizes, rows).map(Some)
        };
        let now = written?;
        let bytes = |sizes: Option<Sizes>| sizes.map_or(0, Sizes::all);
        meta.chunk_bytes = (meta.chunk_bytes + bytes(now)).saturating_sub(bytes(sizes));
        folding.sizes.insert((step, group), now);
    }
    Ok(())
}

/// Folds all that can be, and leaves one run of each group.
pub(crate) fn fold_all(
    transaction: &WriteTransaction,
    meta: &mut Meta,
    deltas: &mut VecDeque<Delta>,
    path: &Path,
) -> Result<(), Failure> {
    let mut all = Folding::of(0, 0, u64::MAX);
    fold(transaction, meta, deltas, &mut all, u64::MAX, path)?;
    let mut table = transaction.open_table(CHUNKS)?;
    let mut several = Vec::new();
    let mut last = None;
    for row in table.iter()? {
        let (step, group, run, _) = row?.0.value();
        let before = last.replace((step, group, run));
        let another = before.is_some_and(|(s, g, r)| (s, g) == (step, group) && r != run);
        if another && several.last() != Some(&(step, group)) {
            several.push((step, group));
        }
    }
    let mut versions = Versions::default();
    for (step, group) in several {
        let key = (step, group, meta.runs);
        merge(&mut table, key, &[], &mut versions).map_err(|wrong| wrong.at(path))?;
    }
    meta.chunk_bytes = 0;
    for row in table.iter()? {
        meta.chunk_bytes += row?.1.value().len() as u64;
    }
    Ok(())
}

/// Makes one run of what a group has and what is new.
fn merge(
    table: &mut Table<'_, ChunkKey, &'static [u8]>,
    (step, group, run): (u16, u16, u64),
    rows: &[Change<'_>],
    versions: &mut Versions,
) -> Result<Option<Sizes>, Wrong> {
    versions.clear();
    read_all(table, step, group, versions)?;
    for row in rows {
        versions.add(row.key, row.value);
    }
    versions.settle();
    table
        .retain_in(chunk::all_of(step, group), |_, _| false)
        .map_err(|error| Wrong::Failure(error.into()))?;
    if versions.len() == 0 {
        return Ok(None);
    }
    let rows = versions.iter().map(|(key, value)| (key, Some(value)));
    let sizes = chunk::write(table, (step, group, run), None, rows);
    sizes.map(Some).map_err(Wrong::Failure)
}

fn place(change: &Change<'_>) -> u32 {
    u32::from(change.step) << 16 | u32::from(change.group)
}

/// The rows of `deltas`, each a key and a value.
type Parts = Vec<((u64, u32), Vec<u8>)>;

/// Takes the oldest parts out of the table.
fn take(transaction: &WriteTransaction, oldest: Epoch, amount: u64) -> Result<Parts, Failure> {
    let mut table = transaction.open_table(DELTAS)?;
    let (mut taken, mut bytes) = (Parts::new(), 0);
    for row in table.range(..=(oldest.to_u64(), u32::MAX))? {
        let (key, value) = row?;
        let value = value.value().to_vec();
        bytes += value.len() as u64 + DELTA;
        taken.push((key.value(), value));
        if bytes >= amount {
            break;
        }
    }
    if let Some((last, _)) = taken.last() {
        table.retain_in::<(u64, u32), _>(..=*last, |_, _| false)?;
    }
    Ok(taken)
}

pub(crate) enum Wrong {
    Damaged(String),
    Failure(Failure),
}

impl Wrong {
    fn at(self, path: &Path) -> Failure {
        match self {
            Wrong::Damaged(what) => Failure::Store(StoreError::Damaged {
                path: path.to_path_buf(),
                what,
            }),
            Wrong::Failure(failure) => failure,
        }
    }
}

/// Adds all folded rows of a group.
pub(crate) fn read_all(
    table: &impl ReadableTable<ChunkKey, &'static [u8]>,
    step: u16,
    group: u16,
    into: &mut Versions,
) -> Result<(), Wrong> {
    let failure = |error| Wrong::Failure(Failure::from(error));
    for row in table.range(chunk::all_of(step, group)).map_err(failure)? {
        let (key, value) = row.map_err(failure)?;
        add_chunk(key.value(), value.value(), into)?;
    }
    Ok(())
}

/// Adds the rows of a chunk.
pub(crate) fn add_chunk(key: ChunkKey, chunk: &[u8], into: &mut Versions) -> Result<(), Wrong> {
    for row in chunk::read(key, chunk).map_err(Wrong::Damaged)? {
        let (key, value) = row.map_err(Wrong::Damaged)?;
        into.add(key, value);
    }
    Ok(())
}
