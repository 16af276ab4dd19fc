//! Folding: each commit turns a bounded part of the oldest deltas into chunks.
//!
//! The folded rows of a key group become a new run of the group. If its later runs have become
//! large compared with the first one, all its rows are merged into one run instead. So each row is
//! written only a few times, and a group takes little more space than its rows.

use crate::epoch::Epoch;
use crate::error::FileError;
use crate::file::guard::{Failure, Wrong};
use crate::format::changes::Change;
use crate::format::chunk::{self, ChunkRow, Sizes};
use crate::format::delta::{Delta, Part};
use crate::format::meta::Meta;
use crate::format::steps;
use crate::format::tables::{CHUNKS, ChunkKey, DELTAS};
use crate::format::versions::Versions;
use crate::hooks::unfolded::unfolded;
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// The bounds of how many bytes of deltas may stay unfolded, besides retained ones. Within them it
/// is a third of the folded bytes. In a small store folding soon pays, because keys recur. In a
/// large one it pays to wait until more rows share a group.
const LEAST: u64 = 256 << 10;
const MOST: u64 = 8 << 20;
/// A group of up to this many bytes is always merged: adding a run would cost as much.
const SMALL: u64 = 4 << 10;
/// Number of bytes that each delta counts in addition to its own, so that tiny deltas do not pile
/// up.
const DELTA: u64 = 512;

/// Number of bytes per round when everything is folded.
const ALL_AT_ONCE: u64 = if cfg!(test) { 1000 } else { 64 << 20 };

/// Decides how much is folded, and when.
#[derive(Debug)]
pub(crate) struct Folding {
    /// The bounds of how many bytes of deltas may stay unfolded.
    least: u64,
    most: u64,
    /// The size in bytes up to which a group is always merged.
    small: u64,
    /// The sizes of groups that were folded since the start. Looking one up in the file costs a
    /// page each time.
    sizes: HashMap<(u16, u16), Option<Sizes>>,
}

impl Folding {
    pub(crate) fn new() -> Folding {
        match unfolded() {
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

    /// The number of bytes to fold after a commit of `written` bytes; `None` if nothing needs
    /// folding.
    pub(crate) fn amount(
        &self,
        deltas: &VecDeque<Delta>,
        meta: &Meta,
        written: u64,
    ) -> Option<u64> {
        let unfolded = (meta.chunk_bytes / 3).clamp(self.least, self.most);
        let mut foldable = 0;
        for delta in deltas.iter().take_while(|delta| delta.epoch <= meta.oldest) {
            foldable += delta.bytes + DELTA;
            if foldable > unfolded {
                // This is all that is likely to be there, and more than comes in, so folding
                // catches up.
                return Some(unfolded.max(written).saturating_add(written));
            }
        }
        None
    }

    /// Whether a group is merged, given its sizes and `more` new bytes.
    fn merges(&self, sizes: Sizes, more: u64, left: &mut u64) -> bool {
        let later = sizes.later.saturating_add(more);
        let all = sizes.first.saturating_add(later);
        // In an empty group there is nothing to read, and removals need not hide anything.
        if all <= self.small || sizes == Sizes::default() {
            return true;
        }
        if later <= sizes.first / 2 {
            return false;
        }
        // Groups grow at the same pace, so this limits the work of one fold. The others are merged
        // by the next folds.
        let merges = *left > 0;
        *left = left.saturating_sub(all);
        merges
    }
}

/// Folds about `amount` bytes of the oldest deltas that are not retained.
pub(crate) fn fold(
    transaction: &WriteTransaction,
    meta: &mut Meta,
    deltas: &mut VecDeque<Delta>,
    folding: &mut Folding,
    amount: u64,
    path: &Path,
) -> Result<(), Failure> {
    let damaged = |what: String| {
        Failure::from(FileError::Damaged {
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
        // Changes of a step that is in no manifest any more are dropped.
        let of_steps = part.changes().filter_map(Result::ok);
        changes.extend(of_steps.filter(|change| known.binary_search(&change.step).is_ok()));
    }
    // The sort is stable, so the last change of a row stays last. Keys are compared only within a
    // group, as it is expensive.
    changes.sort_by_key(place);

    meta.runs += 1;
    let mut table = transaction.open_table(CHUNKS)?;
    let mut left = amount.saturating_mul(2);
    let mut versions = Versions::default();
    for rows in changes.chunk_by_mut(|a, b| place(a) == place(b)) {
        let Some((step, group)) = rows.first().map(|row| (row.step, row.group)) else {
            continue;
        };
        rows.sort_by(|a, b| a.key.cmp(b.key));
        let key = (step, group, meta.runs);
        let sizes = match folding.sizes.get(&(step, group)) {
            Some(sizes) => *sizes,
            None => {
                let last = chunk::last_of(&table, step, group)?;
                if let Some((last, _)) = last.filter(|((_, _, run, _), _)| *run >= meta.runs) {
                    return Err(damaged(chunk::out_of_place(last)));
                }
                last.map(|(_, sizes)| sizes)
            }
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

/// Folds everything that is not retained, and leaves one run of each group.
pub(crate) fn fold_all(
    transaction: &WriteTransaction,
    meta: &mut Meta,
    deltas: &mut VecDeque<Delta>,
    path: &Path,
) -> Result<(), Failure> {
    let oldest = meta.oldest;
    let foldable = |deltas: &VecDeque<Delta>| deltas.front().is_some_and(|it| it.epoch <= oldest);
    let mut folding = Folding::new();
    while {
        // It folds at least once, which forgets steps that are gone.
        fold(transaction, meta, deltas, &mut folding, ALL_AT_ONCE, path)?;
        foldable(deltas)
    } {}
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

/// Merges the runs of a group and the new rows into one run.
fn merge(
    table: &mut Table<'_, ChunkKey, &'static [u8]>,
    (step, group, run): (u16, u16, u64),
    rows: &[Change<'_>],
    versions: &mut Versions,
) -> Result<Option<Sizes>, Wrong> {
    versions.clear();
    read_all(table, (step, group, run), versions)?;
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

/// Rows of `deltas`, each a key and a value.
type Parts = Vec<((u64, u32), Vec<u8>)>;

/// Removes the oldest parts from the table, and returns them.
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

/// Adds all folded rows of a group.
fn read_all(
    table: &impl ReadableTable<ChunkKey, &'static [u8]>,
    (step, group, runs): (u16, u16, u64),
    into: &mut Versions,
) -> Result<(), Wrong> {
    let failure = |error| Wrong::Failure(Failure::from(error));
    let mut chunks = chunk::Reader::new(runs);
    for row in table.range(chunk::all_of(step, group)).map_err(failure)? {
        let (key, value) = row.map_err(failure)?;
        chunks
            .add(key.value(), value.value(), into)
            .map_err(Wrong::Damaged)?;
    }
    chunks.end().map_err(Wrong::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Changes;
    use crate::file::part;
    use crate::format::delta;
    use crate::format::write;
    use crate::look::rows::Rows;
    use crate::look::unfolded::Unfolded;
    use crate::step::{StepKind, StoredStep};
    use redb::{Database, ReadableDatabase};
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use uuid::Uuid;

    type Now = BTreeMap<Vec<u8>, Vec<u8>>;

    /// A store without directory and executions: rows of one step and one key group.
    struct Store {
        database: Database,
        steps: [StoredStep; 1],
        meta: Meta,
        deltas: VecDeque<Delta>,
        now: Now,
    }

    impl Store {
        fn new() -> Store {
            let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
            let steps = [StoredStep {
                number: 1,
                id: "a".to_owned(),
                kind: StepKind::State,
                operator: String::new(),
                key_type: String::new(),
                state_type: String::new(),
                key_schema: None,
                state_schema: None,
            }];
            let first = Epoch::opening(1);
            let meta = Meta {
                execution: 1,
                epoch: first,
                base_epoch: first,
                oldest: first,
                ..Meta::new(Uuid::nil())
            };
            let transaction = write::begin(Some(&database)).unwrap();
            steps::write(&transaction, first, &steps, Path::new("")).unwrap();
            transaction.open_table(CHUNKS).unwrap();
            transaction.commit().unwrap();
            Store {
                database,
                steps,
                meta,
                deltas: VecDeque::new(),
                now: Now::new(),
            }
        }

        /// Commits rows with values of the given lengths; `None` removes the row.
        fn commit(&mut self, rows: &[(u8, Option<usize>)]) {
            let mut changes = Changes::new();
            for (n, (key, value)) in rows.iter().enumerate() {
                let value = value.map(|len| vec![n as u8; len]);
                match &value {
                    Some(value) => {
                        let put = changes.put(1, 2, &[*key], |bytes| {
                            bytes.extend_from_slice(value);
                            Ok::<(), ()>(())
                        });
                        put.unwrap();
                    }
                    None => changes.remove(1, 2, &[*key]),
                }
                match value {
                    Some(value) => drop(self.now.insert(vec![*key], value)),
                    None => drop(self.now.remove(&[*key][..])),
                }
            }
            let transaction = write::begin(Some(&self.database)).unwrap();
            let delta = Delta::new(self.meta.epoch.next(), self.meta.epoch, 0);
            let delta = delta.write(&transaction, [changes].iter()).unwrap();
            transaction.commit().unwrap();
            self.deltas.push_back(delta);
            self.meta.epoch = delta.epoch;
        }

        fn fold(&mut self, amount: u64) {
            let transaction = write::begin(Some(&self.database)).unwrap();
            let (meta, deltas) = (&mut self.meta, &mut self.deltas);
            let mut folding = Folding::of(1000, 1000, 0);
            fold(
                &transaction,
                meta,
                deltas,
                &mut folding,
                amount,
                Path::new(""),
            )
            .unwrap();
            transaction.commit().unwrap();
            let chain = delta::chain(&self.database, &self.meta, Path::new("")).unwrap();
            assert_eq!(chain, self.deltas);
        }

        fn rows(&self) -> Now {
            let path = Path::new("");
            let unfolded = Arc::new(Unfolded::read(&self.database, path).unwrap());
            let runs = (self.meta.runs, self.meta.chunk_bytes);
            let rows = Rows::of(
                &self.database,
                unfolded,
                runs,
                path,
                &self.steps,
                1,
                0..1024,
            );
            let rows = rows.unwrap().map(|row| row.map(|row| (row.key, row.value)));
            rows.collect::<Result<_, _>>().unwrap()
        }

        fn runs(&self) -> usize {
            let chunks = self.database.begin_read().unwrap();
            let chunks = chunks.open_table(CHUNKS).unwrap();
            let keys = chunks.iter().unwrap().map(|row| row.unwrap().0.value());
            keys.map(|(.., run, _)| run).collect::<BTreeSet<_>>().len()
        }
    }

    /// The last version of a row counts, among those that are folded together and among all runs.
    /// If it is a removal, the row is gone.
    #[test]
    fn what_was_folded_later_hides_what_was_before() {
        let mut store = Store::new();
        let all: Vec<_> = (0..100).map(|key| (key, Some(100))).collect();
        store.commit(&all);
        store.meta.oldest = store.meta.epoch;
        store.fold(u64::MAX);
        assert_eq!((store.runs(), store.deltas.len()), (1, 0));
        store.commit(&[(3, Some(5)), (7, None), (3, Some(6)), (8, None)]);
        store.commit(&[
            (3, Some(7)),
            (8, Some(1)),
            (50, Some(2)),
            (50, None),
            (200, None),
        ]);
        store.meta.oldest = store.meta.epoch;
        assert_eq!(store.rows(), store.now);
        store.fold(u64::MAX);
        assert_eq!((store.runs(), store.rows() == store.now), (2, true));
        // A merge removes hidden versions.
        let half: Vec<_> = (40..95).map(|key| (key, Some(101))).collect();
        store.commit(&half);
        store.meta.oldest = store.meta.epoch;
        store.fold(u64::MAX);
        assert_eq!((store.runs(), store.rows() == store.now), (1, true));
    }

    #[test]
    fn what_can_be_gone_back_to_is_not_folded() {
        let mut store = Store::new();
        store.commit(&[(1, Some(500)), (2, Some(500))]);
        let (oldest, then) = (store.meta.epoch, store.now.clone());
        store.commit(&[(1, Some(501)), (2, None)]);
        store.commit(&[(1, None), (3, Some(1))]);
        store.meta.oldest = oldest;
        store.fold(u64::MAX);
        assert_eq!((store.meta.base_epoch, store.deltas.len()), (oldest, 2));
        assert_eq!(store.rows(), store.now);
        let transaction = write::begin(Some(&store.database)).unwrap();
        delta::remove_after(&transaction, oldest).unwrap();
        transaction.commit().unwrap();
        assert_eq!(store.rows(), then);
    }

    #[test]
    fn a_part_of_a_delta_is_folded() {
        let mut store = Store::new();
        let before = store.meta.epoch;
        let rows: Vec<_> = (0..30).map(|key| (key % 25, Some(50_000))).collect();
        store.commit(&rows);
        let last = store.meta.epoch;
        store.meta.oldest = last;
        for more in [true, true, false] {
            store.fold(600_000);
            assert_eq!(store.deltas.is_empty(), !more);
            let at = if more { before } else { last };
            assert_eq!(store.meta.base_epoch, at);
            assert_eq!(store.rows(), store.now);
        }
    }

    /// Even if nothing may be merged, the first run of a group has no removals.
    #[test]
    fn what_was_never_there_leaves_nothing() {
        let mut store = Store::new();
        store.commit(&[(1, None)]);
        store.meta.oldest = store.meta.epoch;
        store.fold(0);
        let transaction = store.database.begin_read().unwrap();
        let chunks = transaction.open_table(CHUNKS).unwrap();
        assert!(store.deltas.is_empty() && chunks.first().unwrap().is_none());
        assert_eq!(store.meta.chunk_bytes, 0);
    }
}
