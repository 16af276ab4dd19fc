//! Stores of format 1, and how they become format 2.
//!
//! Format 1 had a row of redb for each row, in `base`, and kept what commits replaced in `undo`. A look upgrades what it
//! sees, in memory; a start does the same to the store itself, in the transaction that opens the execution.
//! Going back along `undo` gives the rows of the oldest epoch, which become chunks, and on the way what each later
//! epoch had changed, which become deltas.

use crate::changes::Changes;
use crate::chunk;
use crate::delta::Delta;
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::fold::Wrong;
use crate::guard::Failure;
use crate::manifest::StoredStep;
use crate::steps;
use crate::tables::format_1::{BASE, STEPS, UNDO};
use crate::tables::{CHUNKS, DELTAS, META, Meta};
use redb::{ReadableTable, Table, TableHandle, WriteTransaction};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Makes format 2 of format 1, and returns what `meta` says then.
pub(crate) fn upgrade(
    transaction: &WriteTransaction,
    meta: Meta,
    path: &Path,
) -> Result<Meta, Failure> {
    let damaged = |what: String| {
        Failure::Store(StoreError::Damaged {
            path: path.to_path_buf(),
            what,
        })
    };
    let mut base = transaction.open_table(BASE)?;
    let mut step_rows = transaction.open_table(STEPS)?;
    let mut now: BTreeMap<u16, StoredStep> = BTreeMap::new();
    for row in step_rows.iter()? {
        let (number, value) = row?;
        let step = decode_step(number.value(), value.value()).map_err(damaged)?;
        now.insert(number.value(), step);
    }

    // from the last epoch back to the oldest
    let (mut deltas, mut manifests) = (Vec::new(), Vec::new());
    let mut reached = meta.epoch;
    for entry in entries(transaction, meta.epoch)? {
        let (mut changes, mut before) = (Changes::new(), now.clone());
        let mut changed = HashSet::new();
        for record in entry.records.iter().rev() {
            match record {
                Record::Base(key, old) => {
                    let current = base.get(&key[..])?.map(|value| value.value().to_vec());
                    // of several records of a row the last one is met first, which knows what it was after the epoch
                    if changed.insert(&key[..]) {
                        put_change(key, current.as_deref(), &mut changes).map_err(damaged)?;
                    }
                    match old {
                        Some(old) => drop(base.insert(&key[..], &old[..])?),
                        None => drop(base.remove(&key[..])?),
                    }
                }
                Record::Step(number, old) => match old {
                    Some(old) => {
                        drop(before.insert(*number, decode_step(*number, old).map_err(damaged)?))
                    }
                    None => drop(before.remove(number)),
                },
            }
        }
        if before != now {
            manifests.push((entry.epoch, std::mem::replace(&mut now, before)));
        }
        let mut delta = Delta::new(entry.epoch, entry.before);
        delta.at = entry.at;
        reached = entry.before;
        deltas.push((delta, changes));
    }
    manifests.push((reached, now));

    transaction.open_table(DELTAS)?;
    for (epoch, steps) in manifests {
        let steps: Vec<StoredStep> = steps.into_values().collect();
        steps::write(transaction, epoch, &steps, path)?;
    }
    for (delta, changes) in deltas.into_iter().rev() {
        delta.write(transaction, std::iter::once(&changes))?;
    }
    let chunk_bytes = chunk_all(transaction, &base).map_err(|wrong| wrong.at(path))?;
    base.retain(|_, _| false)?;
    step_rows.retain(|_, _| false)?;
    forget_undo(transaction)?;
    let meta = Meta {
        base_epoch: reached,
        oldest: reached,
        runs: 1,
        chunk_bytes,
        ..meta
    };
    meta.write(&mut transaction.open_table(META)?)?;
    Ok(meta)
}

fn decode_step(number: u16, value: &[u8]) -> Result<StoredStep, String> {
    let step: StoredStep =
        crate::decode(value).map_err(|error| format!("step number {number}: {error}"))?;
    match step.number == number {
        true => Ok(step),
        false => Err(format!(
            "step `{}` has the number {number}, which is not its own",
            step.id
        )),
    }
}

/// Adds what a row is after an epoch to what that changed.
fn put_change(key: &[u8], current: Option<&[u8]>, changes: &mut Changes) -> Result<(), String> {
    let (step, group, short) = split_key(key)?;
    match current {
        None => changes.remove(step, group, short),
        Some(stored) => {
            let value = value(key, stored)?;
            let Ok(()) = changes.put(step, group, short, |bytes| {
                bytes.extend_from_slice(value);
                Ok::<(), std::convert::Infallible>(())
            });
        }
    }
    Ok(())
}

/// Writes the rows of `base` as chunks; returns how many bytes these have.
fn chunk_all(
    transaction: &WriteTransaction,
    base: &Table<'_, &'static [u8], &'static [u8]>,
) -> Result<u64, Wrong> {
    let mut bytes = 0;
    let mut chunks = transaction.open_table(CHUNKS)?;
    let mut group: Option<(u16, u16)> = None;
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut write = |group: Option<(u16, u16)>, rows: &mut Vec<(Vec<u8>, Vec<u8>)>| {
        if let Some((step, group)) = group {
            let all = rows.iter().map(|(key, value)| (&key[..], Some(&value[..])));
            bytes += chunk::write(&mut chunks, (step, group, 1), None, all)?.all();
        }
        rows.clear();
        Ok::<(), Failure>(())
    };
    for row in base.iter()? {
        let (key, stored) = row?;
        let (key, stored) = (key.value(), stored.value());
        let (step, of, short) = split_key(key).map_err(Wrong::Damaged)?;
        let value = value(key, stored).map_err(Wrong::Damaged)?;
        if group != Some((step, of)) {
            write(group, &mut rows)?;
            group = Some((step, of));
        }
        rows.push((short.to_vec(), value.to_vec()));
    }
    write(group, &mut rows)?;
    Ok(bytes)
}

fn split_key(key: &[u8]) -> Result<(u16, u16, &[u8]), String> {
    match key.split_first_chunk::<4>() {
        Some(([s0, s1, g0, g1], short)) => Ok((
            u16::from_be_bytes([*s0, *s1]),
            u16::from_be_bytes([*g0, *g1]),
            short,
        )),
        None => Err("a row has a key that is too short".to_owned()),
    }
}

/// What is behind `flags u8`, which are 0, and the `CRC-32C u32` of flags, whole key and value.
fn value<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], String> {
    let whole = stored.split_first_chunk::<5>().filter(|(head, value)| {
        let [flags, sum @ ..] = **head;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[flags]), key);
        flags == 0 && u32::from_be_bytes(sum) == crc32c::crc32c_append(crc, value)
    });
    match whole {
        Some((_, value)) => Ok(value),
        None => {
            let (step, group, _) = split_key(key)?;
            Err(format!(
                "a row of step {step}, key group {group}, does not match its CRC"
            ))
        }
    }
}

/// What one epoch had replaced.
struct Entry {
    epoch: Epoch,
    before: Epoch,
    at: i64,
    /// In the order in which they were written.
    records: Vec<Record>,
}

enum Record {
    Base(Vec<u8>, Option<Vec<u8>>),
    Step(u16, Option<Vec<u8>>),
}

/// The entries by which one could go back from the last epoch, the latest first; those behind a gap or damage led
/// nowhere.
fn entries(transaction: &WriteTransaction, last: Epoch) -> Result<Vec<Entry>, Failure> {
    let mut tables = transaction.list_tables()?;
    if !tables.any(|table| table.name() == UNDO.name()) {
        return Ok(Vec::new());
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut expected = last;
    let mut parts: Vec<Vec<Record>> = Vec::new();
    // The part before those of an entry that has begun.
    let mut next = None;
    for row in transaction.open_table(UNDO)?.iter()?.rev() {
        let (key, value) = row?;
        let key = key.value();
        let Some((before, at, last, records)) = entry_part(key, value.value()) else {
            break;
        };
        let follows = match next {
            None => last,
            Some(index) => !last && key.1 == index,
        };
        if Epoch::from_u64(key.0) != expected || !follows {
            break;
        }
        next = key.1.checked_sub(1);
        parts.push(records);
        if key.1 == 0 {
            entries.push(Entry {
                epoch: expected,
                before,
                at,
                records: parts.drain(..).rev().flatten().collect(),
            });
            expected = before;
        }
    }
    Ok(entries)
}

/// A row of `undo`: `CRC-32C u32`, `last u8`, `before u64`, `at u64`, records.
fn entry_part(
    (epoch, index): (u64, u32),
    stored: &[u8],
) -> Option<(Epoch, i64, bool, Vec<Record>)> {
    let (sum, rest) = stored.split_first_chunk::<4>()?;
    let crc = crc32c::crc32c(&epoch.to_be_bytes());
    let crc = crc32c::crc32c_append(crc, &index.to_be_bytes());
    if u32::from_be_bytes(*sum) != crc32c::crc32c_append(crc, rest) {
        return None;
    }
    let (last, rest) = rest.split_first()?;
    let (before, rest) = rest.split_first_chunk::<8>()?;
    let (at, mut rest) = rest.split_first_chunk::<8>()?;
    let mut records = Vec::new();
    while let Some((tag, tail)) = rest.split_first() {
        rest = tail;
        let key = counted(&mut rest)?;
        let old = match tag & 1 {
            0 => None,
            _ => Some(counted(&mut rest)?),
        };
        records.push(match tag & !1 {
            0 => Record::Base(key, old),
            2 => Record::Step(u16::from_be_bytes(key.try_into().ok()?), old),
            _ => return None,
        });
    }
    let (before, at) = (u64::from_be_bytes(*before), i64::from_be_bytes(*at));
    Some((Epoch::from_u64(before), at, *last != 0, records))
}

fn counted(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, tail) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
    let (bytes, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(bytes.to_vec())
}

fn forget_undo(transaction: &WriteTransaction) -> Result<(), Failure> {
    let mut tables = transaction.list_tables()?;
    if tables.any(|table| table.name() == UNDO.name()) {
        transaction.open_table(UNDO)?.retain(|_, _| false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::Look;
    use crate::manifest::StepKind;
    use crate::tables::EXECS;
    use crate::{part, write};
    use redb::TableDefinition;
    use uuid::Uuid;

    const GROUP: u16 = 7;

    type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    fn whole_key(key: &[u8]) -> Vec<u8> {
        [&0u16.to_be_bytes()[..], &GROUP.to_be_bytes(), key].concat()
    }

    fn stored(key: &[u8], value: &[u8]) -> Vec<u8> {
        let crc = crc32c::crc32c(&[&[0][..], &whole_key(key), value].concat());
        [&[0][..], &crc.to_be_bytes(), value].concat()
    }

    /// As `undo` had what a row was before.
    fn record(key: &[u8], old: Option<&Vec<u8>>) -> Vec<u8> {
        let counted = |bytes: &[u8]| [&(bytes.len() as u64).to_be_bytes()[..], bytes].concat();
        let mut record = vec![u8::from(old.is_some())];
        record.extend(counted(&whole_key(key)));
        record.extend(old.map_or(vec![], |old| counted(&stored(key, old))));
        record
    }

    fn undo_part((epoch, index): (u64, u32), last: bool, records: &[u8]) -> Vec<u8> {
        let before = (epoch - 1).to_be_bytes();
        let rest = [&[u8::from(last)][..], &before, &[0; 8], records].concat();
        let covered = [&epoch.to_be_bytes()[..], &index.to_be_bytes(), &rest].concat();
        [&crc32c::crc32c(&covered).to_be_bytes()[..], &rest].concat()
    }

    fn put<K: redb::Key + 'static>(
        transaction: &WriteTransaction,
        table: TableDefinition<'static, K, &[u8]>,
        key: K::SelfType<'_>,
        value: &[u8],
    ) {
        let mut table = transaction.open_table(table).unwrap();
        table.insert(key, value).unwrap();
    }

    /// With so many rows that looking for each among all others would not come to an end.
    #[test]
    fn each_retained_epoch_has_what_it_had() {
        let first = Epoch::opening(1).to_u64();
        let (mut rows, mut past) = (Rows::new(), Vec::new());
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let transaction = write::begin(Some(&database)).unwrap();
        for (epoch, size) in [(0, 3), (1, 100), (2, 40_000), (3, 50)] {
            let epoch = first + epoch;
            let mut parts = vec![Vec::new()];
            for n in 0..size {
                let key = u32::to_be_bytes(n * 7 % size);
                // some come, some get another value, some go, and some do that twice
                for turn in 0..=u64::from(n % 5 == 0) {
                    let old = match (epoch + turn + u64::from(n)) % 4 {
                        0 => rows.remove(&key[..]),
                        _ => rows.insert(key.to_vec(), vec![epoch as u8, turn as u8, n as u8]),
                    };
                    let part = parts.last_mut().unwrap();
                    part.extend(record(&key, old.as_ref()));
                    if part.len() > 100_000 {
                        parts.push(Vec::new());
                    }
                }
            }
            past.push((Epoch::from_u64(epoch), rows.clone()));
            // to what was before the first one one cannot go back
            for (index, part) in parts.iter().enumerate().skip(usize::from(epoch == first)) {
                let key = (epoch, index as u32);
                let value = undo_part(key, index + 1 == parts.len(), part);
                put(&transaction, UNDO, key, &value);
            }
        }
        for (key, value) in &rows {
            put(&transaction, BASE, &whole_key(key)[..], &stored(key, value));
        }
        let step = StoredStep {
            number: 0,
            id: "a".to_owned(),
            kind: StepKind::State,
            operator: String::new(),
            key_type: String::new(),
            state_type: String::new(),
            key_schema: None,
            state_schema: None,
        };
        let bytes = write::encoded(&step, "a step", Path::new("")).unwrap();
        put(&transaction, STEPS, 0, &bytes);
        let last = past[3].0;
        let meta = Meta {
            execution: 1,
            epoch: last,
            base_epoch: last,
            next_step: 1,
            ..Meta::new(Uuid::nil())
        };
        meta.write(&mut transaction.open_table(META).unwrap())
            .unwrap();
        put(&transaction, META, "format_version", &1u64.to_be_bytes());
        for name in ["oldest", "runs"] {
            drop(transaction.open_table(META).unwrap().remove(name).unwrap());
        }
        drop(transaction.open_table(EXECS).unwrap());
        transaction.commit().unwrap();

        let mut look = Look::of(database, Path::new("state/part")).unwrap();
        let retained: Vec<Epoch> = look.retained().iter().map(|it| it.epoch).collect();
        let expected: Vec<Epoch> = past[..3].iter().map(|(epoch, _)| *epoch).collect();
        assert_eq!(retained, expected);
        for (epoch, rows) in past.into_iter().rev() {
            look = look.see(epoch).unwrap();
            let read: Rows = look
                .rows(0, 0..1024)
                .unwrap()
                .map(|row| row.map(|row| (row.key, row.value)))
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(read == rows, "{epoch}");
        }
    }
}
