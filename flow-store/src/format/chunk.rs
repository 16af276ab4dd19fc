//! Chunks: folded rows of a key group, sorted by key.
//!
//! The chunks of a group form runs. The first run has all rows of its time. Each later one has the
//! changes that were folded since, removals included. A merge makes one run of all of them.

use crate::file::guard::Failure;
use crate::format::tables::ChunkKey;
use crate::format::versions::Versions;
use redb::{ReadableTable, Table};
use std::ops::RangeInclusive;

/// The greatest length of a chunk in bytes, unless a single row is longer. With redb's own data it
/// fills 16 KiB.
const CHUNK: usize = (16 << 10) - 64;
/// The length of a chunk's head in bytes: `CRC-32C u32`, `first u64`, `later u64`.
const HEAD: usize = 4 + 8 + 8;

/// The lengths of a group's runs in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Sizes {
    /// The length of the first run.
    pub(crate) first: u64,
    /// The length of all later runs, up to the one with this head.
    pub(crate) later: u64,
}

impl Sizes {
    pub(crate) fn all(self) -> u64 {
        self.first.saturating_add(self.later)
    }
}

/// One row of a chunk. Without a value the row is gone.
pub(crate) type ChunkRow<'a> = (&'a [u8], Option<&'a [u8]>);

/// The keys of all chunks of a group.
pub(crate) fn all_of(step: u16, group: u16) -> RangeInclusive<ChunkKey> {
    (step, group, 0, 0)..=(step, group, u64::MAX, u32::MAX)
}

/// Removes all chunks of a step, and returns their total length in bytes.
pub(crate) fn remove_all_of(
    step: u16,
    table: &mut Table<'_, ChunkKey, &[u8]>,
) -> Result<u64, Failure> {
    let all = (step, 0, 0, 0)..=(step, u16::MAX, u64::MAX, u32::MAX);
    let mut bytes = 0;
    table.retain_in::<ChunkKey, _>(all, |_, chunk| {
        bytes += chunk.len() as u64;
        false
    })?;
    Ok(bytes)
}

/// The steps that have chunks.
pub(crate) fn steps(table: &Table<'_, ChunkKey, &[u8]>) -> Result<Vec<u16>, Failure> {
    let (mut steps, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let first = table.range((from, 0, 0, 0)..)?.next().transpose()?;
        let step = first.map(|(key, _)| key.value().0);
        steps.extend(step);
        next = step.and_then(|step| step.checked_add(1));
    }
    Ok(steps)
}

/// The key of a group's last chunk, and the sizes of the group.
pub(crate) fn last_of(
    table: &Table<'_, ChunkKey, &[u8]>,
    step: u16,
    group: u16,
) -> Result<Option<(ChunkKey, Sizes)>, Failure> {
    let last = table.range(all_of(step, group))?.next_back();
    match last.transpose()? {
        Some((key, chunk)) => Ok(Some((key.value(), head(chunk.value())))),
        None => Ok(None),
    }
}

/// Writes these rows, which must be sorted, as a new run of a group. Returns the new sizes of the
/// group.
pub(crate) fn write<'a>(
    table: &mut Table<'_, ChunkKey, &[u8]>,
    (step, group, run): (u16, u16, u64),
    before: Option<Sizes>,
    rows: impl Iterator<Item = ChunkRow<'a>>,
) -> Result<Sizes, Failure> {
    let mut chunks = vec![];
    let mut chunk = vec![0; HEAD];
    for row in rows {
        if chunk.len() > HEAD && chunk.len() + len(row) > CHUNK {
            chunks.push(std::mem::replace(&mut chunk, vec![0; HEAD]));
        }
        push(&mut chunk, row);
    }
    chunks.push(chunk);
    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let sizes = match before {
        None => Sizes {
            first: bytes,
            later: 0,
        },
        Some(before) => Sizes {
            first: before.first,
            later: before.later.saturating_add(bytes),
        },
    };
    for (index, mut chunk) in chunks.into_iter().enumerate() {
        let key = (step, group, run, u32::try_from(index).unwrap_or(u32::MAX));
        seal(&mut chunk, key, sizes);
        table.insert(key, &chunk[..])?;
    }
    Ok(sizes)
}

fn push(into: &mut Vec<u8>, (key, value): ChunkRow<'_>) {
    number(into, key.len() as u64);
    // 0 stands for no value.
    number(into, value.map_or(0, |value| value.len() as u64 + 1));
    into.extend_from_slice(key);
    into.extend_from_slice(value.unwrap_or_default());
}

/// The length of a row in a chunk, in bytes.
fn len((key, value): ChunkRow<'_>) -> usize {
    let digits = |number: usize| (number | 1).ilog2() as usize / 7 + 1;
    let of_value = value.map_or(1, |value| digits(value.len() + 1) + value.len());
    digits(key.len()) + key.len() + of_value
}

/// Writes a number as LEB128: seven bits a byte, the lowest first. The eighth bit says that more
/// bytes follow.
fn number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn seal(chunk: &mut [u8], key: ChunkKey, sizes: Sizes) {
    for (at, number) in [(4, sizes.first), (12, sizes.later)] {
        if let Some(bytes) = chunk.get_mut(at..at + 8) {
            bytes.copy_from_slice(&number.to_be_bytes());
        }
    }
    let crc = crc(key, chunk.get(4..).unwrap_or_default()).to_be_bytes();
    if let Some(sum) = chunk.first_chunk_mut() {
        *sum = crc;
    }
}

fn crc((step, group, run, index): ChunkKey, rest: &[u8]) -> u32 {
    let mut key = [0; 16];
    key[..2].copy_from_slice(&step.to_be_bytes());
    key[2..4].copy_from_slice(&group.to_be_bytes());
    key[4..12].copy_from_slice(&run.to_be_bytes());
    key[12..].copy_from_slice(&index.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&key), rest)
}

/// A chunk with these rows.
#[cfg(feature = "fuzzing")]
pub(crate) fn whole(key: ChunkKey, sizes: Sizes, rows: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0; HEAD];
    chunk.extend_from_slice(rows);
    seal(&mut chunk, key, sizes);
    chunk
}

/// The sizes in a chunk's head; 0 if the chunk is too short.
fn head(chunk: &[u8]) -> Sizes {
    let number = |at: usize| {
        let bytes = chunk
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_be_bytes)
    };
    Sizes {
        first: number(4),
        later: number(12),
    }
}

/// The rows of a chunk, after a check of its CRC. The error says what is wrong with it.
pub(crate) fn read(key: ChunkKey, chunk: &[u8]) -> Result<ChunkRows<'_>, String> {
    let whole = chunk
        .split_first_chunk::<4>()
        .filter(|(sum, rest)| u32::from_be_bytes(**sum) == crc(key, rest))
        .and_then(|_| chunk.get(HEAD..));
    match whole {
        Some(rows) => Ok(ChunkRows { rows, key }),
        None => Err(format!("{} does not match its CRC", name(key))),
    }
}

/// Reads the chunks of a group in order, and checks that none is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The number of the last run of the store. A later run is an error.
    runs: u64,
    /// The key and the head of the chunk before.
    before: Option<(ChunkKey, Sizes)>,
    /// The bytes that were read up to the chunk before, that one included.
    read: Sizes,
}

impl Reader {
    pub(crate) fn new(runs: u64) -> Reader {
        Reader {
            runs,
            before: None,
            read: Sizes::default(),
        }
    }

    /// The rows of the next chunk.
    pub(crate) fn next<'a>(
        &mut self,
        key: ChunkKey,
        chunk: &'a [u8],
    ) -> Result<ChunkRows<'a>, String> {
        let rows = read(key, chunk)?;
        let (_, _, run, index) = key;
        let said = head(chunk);
        let in_place = match self.before {
            Some(((_, _, before, last), sizes)) if before == run => {
                Some(index) == last.checked_add(1) && sizes == said
            }
            _ => {
                self.end()?;
                index == 0 && run <= self.runs
            }
        };
        let bytes = match said.later {
            0 => &mut self.read.first,
            _ => &mut self.read.later,
        };
        *bytes = bytes.saturating_add(chunk.len() as u64);
        self.before = Some((key, said));
        match in_place {
            true => Ok(rows),
            false => Err(out_of_place(key)),
        }
    }

    /// Adds the rows of the next chunk.
    pub(crate) fn add(
        &mut self,
        key: ChunkKey,
        chunk: &[u8],
        into: &mut Versions,
    ) -> Result<(), String> {
        for row in self.next(key, chunk)? {
            let (key, value) = row?;
            into.add(key, value);
        }
        Ok(())
    }

    /// Checks that the chunks that were read are all.
    pub(crate) fn end(&self) -> Result<(), String> {
        match self.before {
            Some((key, said)) if said != self.read => {
                let (step, group, run, _) = key;
                Err(format!(
                    "run {run} of step {step}, key group {group}, is not whole"
                ))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn out_of_place(key: ChunkKey) -> String {
    format!("{} is out of place", name(key))
}

/// A chunk as messages name it.
fn name((step, group, run, index): ChunkKey) -> String {
    format!("chunk {run}.{index} of step {step}, key group {group},")
}

/// The rows of a chunk. After an error there are no more.
pub(crate) struct ChunkRows<'a> {
    rows: &'a [u8],
    key: ChunkKey,
}

impl<'a> Iterator for ChunkRows<'a> {
    type Item = Result<ChunkRow<'a>, String>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty() {
            return None;
        }
        let next = split(self.rows);
        self.rows = next.map_or(&[], |(_, rest)| rest);
        Some(match next {
            Some((row, _)) => Ok(row),
            None => Err(format!(
                "{} is not what this version writes",
                name(self.key)
            )),
        })
    }
}

#[inline]
fn split(mut bytes: &[u8]) -> Option<(ChunkRow<'_>, &[u8])> {
    let key = usize::try_from(read_number(&mut bytes)?).ok()?;
    let value = usize::try_from(read_number(&mut bytes)?).ok()?;
    let (key, rest) = bytes.split_at_checked(key)?;
    match value.checked_sub(1) {
        None => Some(((key, None), rest)),
        Some(len) => {
            let (value, rest) = rest.split_at_checked(len)?;
            Some(((key, Some(value)), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::part;
    use crate::format::tables::CHUNKS;
    use crate::format::write as transaction;

    fn run(rows: &[ChunkRow<'_>], before: Option<Sizes>) -> Vec<(ChunkKey, Vec<u8>)> {
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let transaction = transaction::begin(Some(&database)).unwrap();
        let mut table = transaction.open_table(CHUNKS).unwrap();
        write(&mut table, (1, 2, 7), before, rows.iter().copied()).unwrap();
        let chunks = table.iter().unwrap().map(|row| {
            let (key, value) = row.unwrap();
            (key.value(), value.value().to_vec())
        });
        chunks.collect()
    }

    /// Part of the format.
    #[test]
    fn a_chunk_to_the_byte() {
        let before = Sizes { first: 5, later: 6 };
        let chunks = run(&[(b"a", Some(b"xyz")), (b"b", None)], Some(before));
        let [(key, value)] = &chunks[..] else {
            panic!("{} chunks", chunks.len())
        };
        assert_eq!(*key, (1, 2, 7, 0));
        let rest = [
            &5u64.to_be_bytes()[..],
            &(6u64 + 29).to_be_bytes(),
            &[1, 4],
            b"axyz",
            &[1, 0],
            b"b",
        ]
        .concat();
        let whole_key = [&[0, 1, 0, 2][..], &7u64.to_be_bytes(), &[0; 4]].concat();
        let crc = crc32c::crc32c(&[&whole_key[..], &rest].concat()).to_be_bytes();
        assert_eq!(*value, [&crc[..], &rest].concat());
        let read_back: Vec<_> = read(*key, value).unwrap().map(Result::unwrap).collect();
        assert_eq!(read_back, [(&b"a"[..], Some(&b"xyz"[..])), (b"b", None)]);
        for bit in 0..8 * value.len() {
            let mut value = value.clone();
            value[bit / 8] ^= 1 << (bit % 8);
            assert!(read(*key, &value).is_err(), "bit {bit}");
        }
        for cut in 0..value.len() {
            assert!(read(*key, &value[..cut]).is_err(), "{cut} bytes");
        }
        for other in [(2, 2, 7, 0), (1, 3, 7, 0), (1, 2, 8, 0), (1, 2, 7, 1)] {
            assert!(read(other, value).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_long_run_has_several_chunks() {
        let value = vec![7; 1000];
        let large = vec![8; 3 * CHUNK];
        let keys: Vec<[u8; 2]> = (0..100u16).map(u16::to_be_bytes).collect();
        let mut rows: Vec<ChunkRow<'_>> = keys
            .iter()
            .map(|key| (&key[..], Some(&value[..])))
            .collect();
        rows.insert(50, (b"large", Some(&large)));
        let chunks = run(&rows, None);
        let bytes: usize = chunks.iter().map(|(_, chunk)| chunk.len()).sum();
        let mut found = Vec::new();
        for (n, (key, chunk)) in chunks.iter().enumerate() {
            assert_eq!(key.3 as usize, n);
            assert_eq!(
                head(chunk),
                Sizes {
                    first: bytes as u64,
                    later: 0
                }
            );
            let rows: Vec<_> = read(*key, chunk).unwrap().map(Result::unwrap).collect();
            assert!(chunk.len() <= CHUNK || rows.len() == 1);
            found.extend(rows);
        }
        assert!(found == rows);
    }

    /// The group itself shows that a chunk is missing: redb can't know.
    #[test]
    fn a_group_that_is_not_whole_is_damaged() {
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let transaction = transaction::begin(Some(&database)).unwrap();
        let mut table = transaction.open_table(CHUNKS).unwrap();
        let value = vec![7; CHUNK / 3];
        let keys: Vec<[u8; 1]> = (0..5).map(|key| [key]).collect();
        for run in [3, 5, 9] {
            let before = last_of(&table, 1, 2).unwrap().map(|(_, sizes)| sizes);
            let rows = keys.iter().map(|key| (&key[..], Some(&value[..])));
            write(&mut table, (1, 2, run), before, rows).unwrap();
        }
        assert_eq!(steps(&table).unwrap(), [1]);
        let chunks: Vec<(ChunkKey, Vec<u8>)> = table
            .iter()
            .unwrap()
            .map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())))
            .collect::<Result<_, _>>()
            .unwrap();
        let read = |runs, chunks: &[&(ChunkKey, Vec<u8>)]| {
            let (mut reader, mut versions) = (Reader::new(runs), Versions::default());
            for (key, chunk) in chunks {
                reader.add(*key, chunk, &mut versions)?;
            }
            reader.end().map(|()| versions.len())
        };
        let all: Vec<_> = chunks.iter().collect();
        assert_eq!(all.len(), 9);
        assert_eq!(read(9, &all), Ok(15));
        // A missing run at the end is not noticed: nothing else knows of it.
        for missing in 0..all.len() {
            let mut some = all.clone();
            some.remove(missing);
            let error = read(9, &some).unwrap_err();
            let says = ["is out of place", "is not whole"];
            assert!(says.iter().any(|says| error.contains(says)), "{error}");
        }
        assert_eq!(
            read(8, &all),
            Err("chunk 9.0 of step 1, key group 2, is out of place".to_owned())
        );
    }

    #[test]
    fn the_length_of_a_row_is_known_before_it_is_written() {
        for value in [
            None,
            Some(0),
            Some(1),
            Some(126),
            Some(127),
            Some(16_382),
            Some(16_383),
        ] {
            for key in [0, 127, 128, 20_000] {
                let (key, value) = (vec![1; key], value.map(|len| vec![2; len]));
                let row = (&key[..], value.as_deref());
                let mut bytes = Vec::new();
                push(&mut bytes, row);
                assert_eq!(bytes.len(), len(row));
            }
        }
    }

    #[test]
    fn numbers_of_any_length() {
        for n in [0, 1, 127, 128, 300, 1 << 20, u64::from(u32::MAX), 1 << 62] {
            let mut bytes = Vec::new();
            number(&mut bytes, n);
            let mut rest = &bytes[..];
            assert_eq!(read_number(&mut rest), Some(n));
            assert!(rest.is_empty());
        }
        assert_eq!(read_number(&mut &[0x80; 20][..]), None);
        assert_eq!(read_number(&mut &[0x80][..]), None);
    }
}
