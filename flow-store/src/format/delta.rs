//! Deltas: the changes of each commit, appended in the order of commits.
//!
//! A delta is written in parts. It names the epoch before it. So the deltas that are not folded are
//! a chain from the epoch of the chunks to the last epoch, and a gap in the chain is damage. To go
//! back to an epoch is to delete the deltas after it.

use crate::clock::now;
use crate::epoch::Epoch;
use crate::error::FileError;
use crate::file::guard::Failure;
use crate::format::changes::{Changes, Records};
use crate::format::meta::Meta;
use crate::format::tables::DELTAS;
use crate::retain::Retained;
use jiff::Timestamp;
use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use std::collections::VecDeque;
use std::ops::Bound;
use std::path::Path;

/// The greatest length of a part in bytes, unless a single change is longer.
const PART: usize = 256 << 10;
/// redb allocates a power of two of bytes for a value. These bytes of it are needed for redb's data
/// and our key.
const PAGE_HEAD: usize = 64;
/// A rest of fewer bytes goes into one part.
const LEAST: usize = 16 << 10;
/// The length of a part's head in bytes: `CRC-32C u32`, `last u8`, `before u64`, `at i64`, `time
/// i64`.
const HEAD: usize = 4 + 1 + 8 + 8 + 8;

/// A delta, without its changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delta {
    /// The epoch whose commit wrote it.
    pub(crate) epoch: Epoch,
    /// The epoch before it, which the store is at without this delta.
    pub(crate) before: Epoch,
    /// When it was written, by the clock, in milliseconds since 1970.
    pub(crate) at: i64,
    /// When it was written, by the time of its execution, which decides when it is forgotten.
    pub(crate) time: i64,
    /// The length in bytes of its parts that are not folded.
    pub(crate) bytes: u64,
}

impl Delta {
    pub(crate) fn new(epoch: Epoch, before: Epoch, time: i64) -> Delta {
        Delta {
            epoch,
            before,
            at: now().as_millisecond(),
            time,
            bytes: 0,
        }
    }

    pub(crate) fn retained(&self) -> Option<Retained> {
        Some(Retained {
            epoch: self.before,
            until: Timestamp::from_millisecond(self.at).ok()?,
        })
    }

    /// Writes the delta with these changes.
    pub(crate) fn write<'a>(
        mut self,
        transaction: &WriteTransaction,
        changes: impl Iterator<Item = &'a Changes> + Clone,
    ) -> Result<Delta, Failure> {
        let mut table = transaction.open_table(DELTAS)?;
        let mut left: usize = changes.clone().map(Changes::stored_len).sum();
        let (mut part, mut index) = (Vec::new(), 0);
        let mut room = room(left);
        start(&mut part, &self);
        let mut write = |part: &mut Vec<u8>, last: bool| -> Result<(), Failure> {
            let key = (self.epoch.to_u64(), index);
            seal(part, key, last);
            table.insert(key, &part[..])?;
            self.bytes += part.len() as u64;
            index += 1;
            Ok(())
        };
        for changes in changes {
            let mut records = changes.records();
            while let Some(record) = records.next_raw() {
                if part.len() > HEAD && part.len() + record.len() > room {
                    write(&mut part, false)?;
                    part.truncate(HEAD);
                    room = self::room(left);
                }
                part.extend_from_slice(record);
                left -= record.len();
            }
        }
        write(&mut part, true)?;
        Ok(self)
    }
}

/// The greatest length of the next part of a delta of which `left` bytes are left. The part fills a
/// power of two, so that little of the file is wasted.
fn room(left: usize) -> usize {
    let pages = left + PAGE_HEAD;
    let fits = match pages {
        0..LEAST => PART,
        _ => (1 << pages.ilog2()).min(PART),
    };
    fits - PAGE_HEAD
}

fn start(part: &mut Vec<u8>, delta: &Delta) {
    part.extend_from_slice(&[0; 5]);
    part.extend_from_slice(&delta.before.to_u64().to_be_bytes());
    part.extend_from_slice(&delta.at.to_be_bytes());
    part.extend_from_slice(&delta.time.to_be_bytes());
}

/// Fills in the fields that are known only at the end: the flag and the CRC.
fn seal(part: &mut [u8], key: (u64, u32), last: bool) {
    if let Some(flag) = part.get_mut(4) {
        *flag = last.into();
    }
    let crc = crc(key, part.get(4..).unwrap_or_default()).to_be_bytes();
    if let Some(sum) = part.first_chunk_mut() {
        *sum = crc;
    }
}

fn crc((epoch, index): (u64, u32), rest: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&epoch.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &index.to_be_bytes()), rest)
}

/// A part with these records.
#[cfg(feature = "fuzzing")]
pub(crate) fn whole(key: (u64, u32), last: bool, before: Epoch, records: &[u8]) -> Vec<u8> {
    let delta = Delta {
        epoch: Epoch::from_u64(key.0),
        before,
        at: 0,
        time: 0,
        bytes: 0,
    };
    let mut part = Vec::new();
    start(&mut part, &delta);
    part.extend_from_slice(records);
    seal(&mut part, key, last);
    part
}

/// A row of `deltas`.
pub(crate) struct Part<'a> {
    pub(crate) before: Epoch,
    pub(crate) at: i64,
    pub(crate) time: i64,
    pub(crate) last: bool,
    records: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads the head, without checking the CRC or the records.
    fn read(value: &'a [u8]) -> Option<Part<'a>> {
        let (head, records) = value.split_first_chunk::<HEAD>()?;
        let number = |from: usize| -> Option<[u8; 8]> { head.get(from..from + 8)?.try_into().ok() };
        Some(Part {
            before: Epoch::from_u64(u64::from_be_bytes(number(5)?)),
            at: i64::from_be_bytes(number(13)?),
            time: i64::from_be_bytes(number(21)?),
            last: head[4] != 0,
            records,
        })
    }

    /// Reads a part and checks its CRC and records. The error says what is wrong with it.
    pub(crate) fn checked(key: (u64, u32), value: &'a [u8]) -> Result<Part<'a>, String> {
        let whole = value
            .split_first_chunk::<4>()
            .filter(|(sum, rest)| u32::from_be_bytes(**sum) == crc(key, rest))
            .and_then(|_| Part::read(value));
        let part = whole.ok_or_else(|| format!("{} does not match its CRC", name(key)))?;
        match Records(part.records).all(|record| record.is_ok()) {
            true => Ok(part),
            false => Err(format!("{} is not what this version writes", name(key))),
        }
    }

    pub(crate) fn changes(&self) -> Records<'a> {
        Records(self.records)
    }
}

pub(crate) fn name((epoch, index): (u64, u32)) -> String {
    let epoch = Epoch::from_u64(epoch);
    format!("part {index} of what epoch {epoch} changed")
}

/// The deltas that are not folded, oldest first. Returns an error unless they lead from the chunks
/// to the last epoch.
pub(crate) fn chain(
    database: &Database,
    meta: &Meta,
    path: &Path,
) -> Result<VecDeque<Delta>, Failure> {
    let damaged = |what: String| {
        Failure::from(FileError::Damaged {
            path: path.to_path_buf(),
            what,
        })
    };
    let table = database.begin_read()?.open_table(DELTAS)?;
    let mut deltas: VecDeque<Delta> = VecDeque::new();
    let mut reached = meta.base_epoch;
    // The key of the next part, within a delta.
    let mut next = None;
    for row in table.iter()? {
        let (key, value) = row?;
        let (key, value) = (key.value(), value.value());
        let part =
            Part::read(value).ok_or_else(|| damaged(format!("{} is too short", name(key))))?;
        let epoch = Epoch::from_u64(key.0);
        let continues = match next {
            Some(expected) => key == expected && part.before == reached,
            // The first parts of the first delta may be folded already, if it is not retained.
            None => {
                let may_lack = deltas.is_empty() && epoch <= meta.oldest;
                part.before == reached && epoch > reached && (key.1 == 0 || may_lack)
            }
        };
        if !continues {
            return Err(damaged(format!("{} is out of place", name(key))));
        }
        match deltas.back_mut().filter(|delta| delta.epoch == epoch) {
            Some(delta) => delta.bytes += value.len() as u64,
            None => deltas.push_back(Delta {
                epoch,
                before: part.before,
                at: part.at,
                time: part.time,
                bytes: value.len() as u64,
            }),
        }
        next = match part.last {
            true => {
                reached = epoch;
                None
            }
            false => Some((key.0, key.1.saturating_add(1))),
        };
    }
    if next.is_some() || reached != meta.epoch {
        let (last, epoch) = (reached, meta.epoch);
        return Err(damaged(format!(
            "its deltas end with epoch {last}, and it is at {epoch}"
        )));
    }
    Ok(deltas)
}

/// Deletes all deltas of later epochs.
pub(crate) fn remove_after(transaction: &WriteTransaction, epoch: Epoch) -> Result<(), Failure> {
    let mut table = transaction.open_table(DELTAS)?;
    let later = (
        Bound::Excluded((epoch.to_u64(), u32::MAX)),
        Bound::Unbounded,
    );
    table.retain_in::<(u64, u32), _>(later, |_, _| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::part;
    use crate::format::write;

    fn delta() -> Delta {
        Delta {
            epoch: Epoch::first(3),
            before: Epoch::opening(3),
            at: 1_234,
            time: 5_678,
            bytes: 0,
        }
    }

    fn changes(rows: u8, len: usize) -> Changes {
        let mut changes = Changes::new();
        for key in 0..rows {
            let Ok(()) = changes.put(1, 2, &[key], |bytes| {
                bytes.resize(len, key);
                Ok::<(), std::convert::Infallible>(())
            });
        }
        changes
    }

    /// All parts that are written for these changes.
    fn written(changes: &[Changes]) -> Vec<((u64, u32), Vec<u8>)> {
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let transaction = write::begin(Some(&database)).unwrap();
        let delta = delta().write(&transaction, changes.iter()).unwrap();
        transaction.commit().unwrap();
        let table = database.begin_read().unwrap().open_table(DELTAS).unwrap();
        let parts = table.iter().unwrap().map(|row| {
            let (key, value) = row.unwrap();
            (key.value(), value.value().to_vec())
        });
        let parts: Vec<_> = parts.collect();
        let bytes: usize = parts.iter().map(|(_, part)| part.len()).sum();
        assert_eq!(delta.bytes, bytes as u64);
        parts
    }

    /// Part of the format.
    #[test]
    fn a_part_to_the_byte() {
        let parts = written(&[changes(1, 2)]);
        let [(key, value)] = &parts[..] else {
            panic!("{} parts", parts.len())
        };
        assert_eq!(*key, (3u64 << 40 | 1, 0));
        let rest = [
            &[1][..],
            &(3u64 << 40).to_be_bytes(),
            &1_234u64.to_be_bytes(),
            &5_678u64.to_be_bytes(),
            &[0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
        ]
        .concat();
        let covered = [&(3u64 << 40 | 1).to_be_bytes()[..], &[0; 4], &rest].concat();
        let crc = crc32c::crc32c(&covered).to_be_bytes();
        assert_eq!(*value, [&crc[..], &rest].concat());
        assert!(Part::checked(*key, value).is_ok());
        for bit in 0..8 * value.len() {
            let mut value = value.clone();
            value[bit / 8] ^= 1 << (bit % 8);
            assert!(Part::checked(*key, &value).is_err(), "bit {bit}");
        }
        for cut in 0..value.len() {
            assert!(Part::checked(*key, &value[..cut]).is_err(), "{cut} bytes");
        }
        assert!(Part::checked((key.0, 1), value).is_err(), "another row");
    }

    #[test]
    fn a_large_delta_has_several_parts() {
        for (rows, len, buffers) in [(0, 0, 1), (5, 100_000, 1), (200, 5_000, 3), (3, 600_000, 2)] {
            let changes = vec![changes(rows, len); buffers];
            let parts = written(&changes);
            let mut read = Vec::new();
            for (n, (key, value)) in parts.iter().enumerate() {
                assert_eq!(key.1 as usize, n);
                let part = Part::checked(*key, value).unwrap();
                assert_eq!(part.last, n + 1 == parts.len());
                let changes: Vec<_> = part.changes().map(Result::unwrap).collect();
                assert!(value.len() <= PART - PAGE_HEAD || changes.len() == 1);
                read.extend(
                    changes
                        .iter()
                        .map(|change| (change.key.to_vec(), change.value.map(<[u8]>::len))),
                );
            }
            let expected: Vec<_> = changes
                .iter()
                .flat_map(Changes::iter)
                .map(|change| (change.key.to_vec(), change.value.map(<[u8]>::len)))
                .collect();
            assert_eq!(read, expected);
        }
    }

    /// redb allocates a power of two for a value: a delta does not take much more space than it
    /// needs.
    #[test]
    fn parts_fill_what_they_take() {
        for left in [20_000, 45_000, 70_000, 131_000, 300_000, 1_000_000] {
            let (mut left, mut taken) = (left, 0);
            let total = left;
            while left > 0 {
                let part = room(left).min(left);
                taken += (part + PAGE_HEAD).next_power_of_two();
                left -= part;
            }
            assert!(taken < total + total / 4 + LEAST, "{total}: {taken}");
        }
    }
}
