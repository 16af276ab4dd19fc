//! What commits replaced, kept so that an older epoch can be gone back to.
//!
//! With a [`Retain`] each commit writes down, in its own transaction, what was in the place of the
//! rows that it changes: its entry. Going back puts back what the entries of all later epochs say,
//! the latest first. An entry names the epoch that it goes back to, so a chain with a gap, which a
//! version of flow that knows nothing of this would leave, is not gone along.

use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::guard::Failure;
use crate::record::now;
use crate::retain::Retain;
use crate::tables::{BASE, STEPS, UNDO};
use jiff::Timestamp;
use redb::{Database, ReadableDatabase, ReadableTable, TableHandle, WriteTransaction};
use std::collections::VecDeque;
use std::ops::Bound;
use std::path::Path;

/// An epoch before the last one that the store can go back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Retained {
    /// The epoch.
    pub epoch: Epoch,
    /// Until when it was the last one, to the millisecond.
    pub until: Timestamp,
}

/// An entry is split into rows of about this many bytes.
const CHUNK: usize = 1 << 20;
/// `CRC-32C u32`, `last u8`, `before u64`, `at u64`.
const HEAD: usize = 4 + 1 + 8 + 8;

/// What an entry says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// The epoch whose commit wrote it.
    pub(crate) epoch: Epoch,
    /// The one before, to which it goes back.
    pub(crate) before: Epoch,
    /// When, in milliseconds since 1970.
    pub(crate) at: i64,
}

impl Head {
    pub(crate) fn retained(&self) -> Option<Retained> {
        Some(Retained {
            epoch: self.before,
            until: Timestamp::from_millisecond(self.at).ok()?,
        })
    }
}

/// What one commit replaces, as it is written down.
pub(crate) struct Entry {
    head: Head,
    chunks: Vec<Vec<u8>>,
}

/// Of a row that was put back: a row of `base` or of `steps`, and whether there was one.
mod tag {
    pub(super) const BASE: u8 = 0;
    pub(super) const STEPS: u8 = 2;
    pub(super) const WAS_THERE: u8 = 1;
}

impl Entry {
    pub(crate) fn new(epoch: Epoch, before: Epoch) -> Entry {
        let at = now().as_millisecond();
        Entry {
            head: Head { epoch, before, at },
            chunks: vec![Vec::new()],
        }
    }

    /// Writes down what is replaced in `base`.
    pub(crate) fn base(&mut self, key: &[u8], old: Option<&[u8]>) {
        self.add(tag::BASE, key, old);
    }

    /// Writes down what is replaced in `steps`.
    pub(crate) fn step(&mut self, number: u16, old: Option<&[u8]>) {
        self.add(tag::STEPS, &number.to_be_bytes(), old);
    }

    fn add(&mut self, table: u8, key: &[u8], old: Option<&[u8]>) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.chunks.push(Vec::new());
        }
        let Some(chunk) = self.chunks.last_mut() else {
            return;
        };
        let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
        chunk.push(table | old.map_or(0, |_| tag::WAS_THERE));
        chunk.extend_from_slice(&length(key));
        chunk.extend_from_slice(key);
        if let Some(old) = old {
            chunk.extend_from_slice(&length(old));
            chunk.extend_from_slice(old);
        }
    }

    fn write(self, transaction: &WriteTransaction) -> Result<(), Failure> {
        let mut table = transaction.open_table(UNDO)?;
        let last = self.chunks.len() - 1;
        for (index, records) in self.chunks.iter().enumerate() {
            let key = (
                self.head.epoch.to_u64(),
                u32::try_from(index).unwrap_or(u32::MAX),
            );
            let value = chunk(key, &self.head, index == last, records);
            table.insert(key, &value[..])?;
        }
        Ok(())
    }
}

/// The value of a row of `undo`.
fn chunk(key: (u64, u32), head: &Head, last: bool, records: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.reserve(HEAD + records.len());
    value.push(last.into());
    value.extend_from_slice(&head.before.to_u64().to_be_bytes());
    value.extend_from_slice(&head.at.to_be_bytes());
    value.extend_from_slice(records);
    let crc = crc(key, &value[4..]).to_be_bytes();
    value[..4].copy_from_slice(&crc);
    value
}

/// A row of `undo` with these records.
#[cfg(feature = "fuzzing")]
pub(crate) fn whole(key: (u64, u32), last: bool, before: Epoch, records: &[u8]) -> Vec<u8> {
    let epoch = Epoch::from_u64(key.0);
    let head = Head {
        epoch,
        before,
        at: 0,
    };
    chunk(key, &head, last, records)
}

fn crc((epoch, index): (u64, u32), rest: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&epoch.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &index.to_be_bytes()), rest)
}

/// What a row of `undo` holds.
struct Chunk<'a> {
    head: Head,
    last: bool,
    records: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Without a look at the CRC or the records.
    fn read((epoch, _): (u64, u32), value: &'a [u8]) -> Option<Chunk<'a>> {
        let (head, records) = value.split_first_chunk::<HEAD>()?;
        let number = |from: usize| -> Option<[u8; 8]> { head.get(from..from + 8)?.try_into().ok() };
        Some(Chunk {
            head: Head {
                epoch: Epoch::from_u64(epoch),
                before: Epoch::from_u64(u64::from_be_bytes(number(5)?)),
                at: i64::from_be_bytes(number(13)?),
            },
            last: head[4] != 0,
            records,
        })
    }

    /// The same, of one that is whole; the error says what is wrong with it.
    pub(crate) fn checked(key: (u64, u32), value: &'a [u8]) -> Result<Chunk<'a>, String> {
        let whole = value
            .split_first_chunk::<4>()
            .filter(|(sum, rest)| u32::from_be_bytes(**sum) == crc(key, rest))
            .and_then(|_| Chunk::read(key, value));
        whole.ok_or_else(|| format!("{} does not match its CRC", name(key)))
    }

    /// What it puts back, in the order in which it was written.
    fn records(&self) -> Option<Vec<Record<'a>>> {
        fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
            let (length, tail) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
            let (bytes, tail) = tail.split_at_checked(length)?;
            *rest = tail;
            Some(bytes)
        }
        let (mut rest, mut records) = (self.records, Vec::new());
        while let Some((tag, tail)) = rest.split_first() {
            rest = tail;
            let key = bytes(&mut rest)?;
            let old = match tag & tag::WAS_THERE {
                0 => None,
                _ => Some(bytes(&mut rest)?),
            };
            records.push(match tag & !tag::WAS_THERE {
                tag::BASE => Record::Base(key, old),
                tag::STEPS => Record::Step(u16::from_be_bytes(key.try_into().ok()?), old),
                _ => return None,
            });
        }
        Some(records)
    }
}

enum Record<'a> {
    Base(&'a [u8], Option<&'a [u8]>),
    Step(u16, Option<&'a [u8]>),
}

fn name((epoch, index): (u64, u32)) -> String {
    let epoch = Epoch::from_u64(epoch);
    format!("part {index} of what epoch {epoch} replaced")
}

/// Whether a row of `undo` is whole; the error says what is wrong with it.
pub(crate) fn check(key: (u64, u32), value: &[u8]) -> Result<(), String> {
    match Chunk::checked(key, value)?.records() {
        Some(_) => Ok(()),
        None => Err(format!("{} is not what this version writes", name(key))),
    }
}

/// The entries by which one can go back from the last epoch, oldest first.
pub(crate) fn chain(database: &Database, last: Epoch) -> Result<Vec<Head>, Failure> {
    let table = match database.begin_read()?.open_table(UNDO) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let (mut heads, mut expected) = (Vec::new(), last);
    for row in table.iter()?.rev() {
        let (key, value) = row?;
        let Some(chunk) = Chunk::read(key.value(), value.value()) else {
            break;
        };
        if chunk.head.epoch != expected {
            break;
        }
        if key.value().1 == 0 {
            expected = chunk.head.before;
            heads.push(chunk.head);
        }
    }
    heads.reverse();
    Ok(heads)
}

/// Puts everything back to where it was at an epoch of the [`chain`].
pub(crate) fn go_back(
    transaction: &WriteTransaction,
    from: Epoch,
    to: Epoch,
    path: &Path,
) -> Result<(), Failure> {
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let mut undo = transaction.open_table(UNDO)?;
    let mut base = transaction.open_table(BASE)?;
    let mut steps = transaction.open_table(STEPS)?;
    let later = (Bound::Excluded((to.to_u64(), u32::MAX)), Bound::Unbounded);
    // Which row comes next, of an entry that has been begun.
    let (mut expected, mut next) = (from, None);
    for row in undo.range::<(u64, u32)>(later)?.rev() {
        let (key, value) = row?;
        let (key, value) = (key.value(), value.value());
        let chunk = Chunk::checked(key, value).map_err(damaged)?;
        let in_order = match next {
            None => chunk.last && chunk.head.epoch == expected,
            Some(next) => !chunk.last && key == next,
        };
        let records = chunk.records().filter(|_| in_order);
        let records = records.ok_or_else(|| damaged(format!("{} is out of place", name(key))))?;
        for record in records.into_iter().rev() {
            match record {
                Record::Base(key, Some(old)) => drop(base.insert(key, old)?),
                Record::Base(key, None) => drop(base.remove(key)?),
                Record::Step(number, Some(old)) => drop(steps.insert(number, old)?),
                Record::Step(number, None) => drop(steps.remove(number)?),
            }
        }
        next = key.1.checked_sub(1).map(|index| (key.0, index));
        if next.is_none() {
            expected = chunk.head.before;
        }
    }
    if next.is_some() || expected != to {
        let what = format!("what the epochs after {to} replaced is not all there");
        return Err(Failure::Store(damaged(what)));
    }
    undo.retain_in::<(u64, u32), _>(later, |_, _| false)?;
    Ok(())
}

/// Forgets everything.
pub(crate) fn forget(transaction: &WriteTransaction) -> Result<(), Failure> {
    let mut tables = transaction.list_tables()?;
    match tables.any(|table| table.name() == UNDO.name()) {
        true => remove_before(transaction, None),
        // It is not made to be empty.
        false => Ok(()),
    }
}

/// What an execution keeps, for as long as it says.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    retain: Retain,
    /// Oldest first.
    entries: VecDeque<Head>,
}

impl Keeper {
    /// Goes on with a chain, or forgets it.
    pub(crate) fn new(
        retain: Retain,
        chain: Vec<Head>,
        transaction: &WriteTransaction,
    ) -> Result<Keeper, Failure> {
        let entries = match retain {
            Retain::Nothing => {
                forget(transaction)?;
                VecDeque::new()
            }
            _ => {
                // what is not in the chain leads nowhere
                let first = chain.first().map(|head| head.epoch);
                remove_before(transaction, first)?;
                chain.into()
            }
        };
        Ok(Keeper { retain, entries })
    }

    /// What is to be filled by a commit, if it is to be kept.
    pub(crate) fn entry(&self, epoch: Epoch, before: Epoch) -> Option<Entry> {
        (self.retain != Retain::Nothing).then(|| Entry::new(epoch, before))
    }

    /// Keeps an entry, and lets go of what is too old.
    pub(crate) fn keep(
        &mut self,
        entry: Option<Entry>,
        transaction: &WriteTransaction,
    ) -> Result<(), Failure> {
        let Some(entry) = entry else { return Ok(()) };
        let now = entry.head.at;
        self.entries.push_back(entry.head);
        entry.write(transaction)?;
        let before = self.entries.len();
        match self.retain {
            Retain::Nothing => {}
            Retain::Epochs(most) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                self.entries.drain(..before.saturating_sub(most));
            }
            Retain::For(duration) => {
                let age = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                let oldest = now.saturating_sub(age);
                let old = self.entries.iter().take_while(|head| head.at < oldest);
                let old = old.count();
                self.entries.drain(..old);
            }
        }
        if self.entries.len() == before {
            return Ok(());
        }
        remove_before(transaction, self.entries.front().map(|head| head.epoch))
    }
}

/// Removes all entries of epochs before this one; all that are there, if there is none.
fn remove_before(transaction: &WriteTransaction, first: Option<Epoch>) -> Result<(), Failure> {
    let mut table = transaction.open_table(UNDO)?;
    let end = match first {
        Some(first) => Bound::Excluded((first.to_u64(), 0)),
        None => Bound::Unbounded,
    };
    table.retain_in::<(u64, u32), _>((Bound::Unbounded, end), |_, _| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            epoch: Epoch::first(3),
            before: Epoch::opening(3),
            at: 1_234,
        }
    }

    /// Part of the format.
    #[test]
    fn an_entry_to_the_byte() {
        let mut entry = Entry::new(head().epoch, head().before);
        entry.head.at = 1_234;
        entry.base(b"key", None);
        entry.base(b"k", Some(b"old"));
        entry.step(0x0102, Some(b"s"));
        let records = [
            &[0, 0, 0, 0, 0, 0, 0, 0, 3][..],
            b"key",
            &[1, 0, 0, 0, 0, 0, 0, 0, 1],
            b"k",
            &[0, 0, 0, 0, 0, 0, 0, 3],
            b"old",
            &[3, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            b"s",
        ]
        .concat();
        assert_eq!(entry.chunks, std::slice::from_ref(&records));
        let key = (head().epoch.to_u64(), 0);
        let value = chunk(key, &head(), true, &records);
        let rest = [
            &[1][..],
            &(3u64 << 40).to_be_bytes(),
            &1_234u64.to_be_bytes(),
            &records,
        ]
        .concat();
        let covered = [&(3u64 << 40 | 1).to_be_bytes()[..], &[0; 4], &rest].concat();
        let crc = crc32c::crc32c(&covered).to_be_bytes();
        assert_eq!(value, [&crc[..], &rest].concat());
        assert_eq!(check(key, &value), Ok(()));
        for bit in 0..8 * value.len() {
            let mut value = value.clone();
            value[bit / 8] ^= 1 << (bit % 8);
            assert!(check(key, &value).is_err(), "bit {bit}");
        }
        for cut in 0..value.len() {
            assert!(check(key, &value[..cut]).is_err(), "{cut} bytes");
        }
        assert!(check((key.0, 1), &value).is_err(), "another row");
    }

    #[test]
    fn a_large_entry_has_several_rows() {
        let mut entry = Entry::new(head().epoch, head().before);
        let old = vec![7; CHUNK / 2];
        for key in 0..5u8 {
            entry.base(&[key], Some(&old));
        }
        assert_eq!(entry.chunks.len(), 3);
    }
}
