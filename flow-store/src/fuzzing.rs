//! For the fuzz targets: what parses the bytes of a store, without a file around them.

use crate::chunk::{self, Sizes};
use crate::codec::CodecError;
use crate::delta::{self, Part};
use crate::directory::Place;
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::guard::{Failure, guard};
use crate::look::Look;
use crate::msgpack;
use crate::part;
use crate::tables::format_1::{BASE, STEPS, UNDO};
use crate::tables::{CHUNKS, ChunkKey, DELTAS, EXECS, MANIFESTS, META};
use crate::write;
use redb::Database;
use redb::backends::InMemoryBackend;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static UNFOLDED: AtomicU64 = AtomicU64::new(4 << 20);

/// Has executions fold as soon as so many bytes of deltas lie unfolded.
pub fn fold_at(bytes: u64) {
    UNFOLDED.store(bytes, Relaxed);
}

pub(crate) fn unfolded() -> u64 {
    UNFOLDED.load(Relaxed)
}

/// A row of one of the tables, as it is stored.
#[derive(Clone, Debug)]
pub enum RawRow {
    /// A name and its value.
    Meta(String, Vec<u8>),
    /// An execution.
    Execution(u64, Vec<u8>),
    /// The steps of an epoch.
    Manifest(u64, Vec<u8>),
    /// Rows of a key group.
    Chunk(ChunkKey, Vec<u8>),
    /// A part of what an epoch changed.
    Delta((u64, u32), Vec<u8>),
    /// Of format 1: a step.
    Step(u16, Vec<u8>),
    /// Of format 1: a row of a step, the whole key, and the value with its head.
    Base(Vec<u8>, Vec<u8>),
    /// Of format 1: a part of what an epoch replaced.
    Undo((u64, u32), Vec<u8>),
}

/// A chunk whose CRC is right.
#[must_use]
pub fn whole_chunk(key: ChunkKey, first: u64, later: u64, rows: &[u8]) -> RawRow {
    RawRow::Chunk(key, chunk::whole(key, Sizes { first, later }, rows))
}

/// A part of what an epoch changed, whose CRC is right.
#[must_use]
pub fn whole_delta(key: (u64, u32), last: bool, before: u64, changes: &[u8]) -> RawRow {
    let part = delta::whole(key, last, Epoch::from_u64(before), changes);
    RawRow::Delta(key, part)
}

/// Of format 1: a row of a step, whose CRC is right.
#[must_use]
pub fn whole_base(step: u16, group: u16, key: &[u8], value: &[u8]) -> RawRow {
    let whole_key = [&step.to_be_bytes()[..], &group.to_be_bytes(), key].concat();
    let crc = crc32c::crc32c(&[&[0][..], &whole_key, value].concat());
    let stored = [&[0][..], &crc.to_be_bytes(), value].concat();
    RawRow::Base(whole_key, stored)
}

/// Of format 1: a part of what an epoch replaced, whose CRC is right.
#[must_use]
pub fn whole_undo((epoch, index): (u64, u32), last: bool, before: u64, records: &[u8]) -> RawRow {
    let rest = [
        &[u8::from(last)][..],
        &before.to_be_bytes(),
        &[0; 8],
        records,
    ]
    .concat();
    let covered = [&epoch.to_be_bytes()[..], &index.to_be_bytes(), &rest].concat();
    let crc = crc32c::crc32c(&covered).to_be_bytes();
    RawRow::Undo((epoch, index), [&crc[..], &rest].concat())
}

/// Checks a chunk; returns how many rows it has.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn chunk(key: ChunkKey, value: &[u8]) -> Result<usize, String> {
    let rows = chunk::read(key, value)?;
    rows.collect::<Result<Vec<_>, _>>().map(|rows| rows.len())
}

/// Checks a part of what an epoch changed; returns how many rows it has.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn delta(key: (u64, u32), value: &[u8]) -> Result<usize, String> {
    Ok(Part::checked(key, value)?.changes().count())
}

/// Checks that the bytes are one MessagePack value.
///
/// # Errors
///
/// Where they are not.
pub fn message_pack(bytes: &[u8]) -> Result<(), CodecError> {
    msgpack::check(bytes)
}

/// A look at a store in memory that has these rows.
///
/// # Errors
///
/// Those of [`Look::at`].
pub fn look(rows: &[RawRow]) -> Result<Look, StoreError> {
    let place = Place::new(Path::new("fuzzed"));
    let make = || {
        let database = part::open(InMemoryBackend::new())?;
        put(&database, rows)?;
        Ok(database)
    };
    let database = guard(make).map_err(|failure| failure.while_reading(&place.part))?;
    Look::of(database, &place.part)
}

/// Puts rows into the tables of a store file.
///
/// # Errors
///
/// If the file is not one.
pub fn edit(part: &Path, rows: &[RawRow]) -> Result<(), StoreError> {
    let edit = || {
        let database = part::write(part, false)?;
        put(&database, rows)?;
        Ok(database.close()?)
    };
    guard(edit).map_err(|failure| failure.while_reading(part))
}

fn put(database: &Database, rows: &[RawRow]) -> Result<(), Failure> {
    let transaction = write::begin(Some(database))?;
    {
        let mut meta = transaction.open_table(META)?;
        let mut executions = transaction.open_table(EXECS)?;
        let mut manifests = transaction.open_table(MANIFESTS)?;
        let mut chunks = transaction.open_table(CHUNKS)?;
        let mut deltas = transaction.open_table(DELTAS)?;
        let mut steps = transaction.open_table(STEPS)?;
        let mut base = transaction.open_table(BASE)?;
        let mut undo = transaction.open_table(UNDO)?;
        for row in rows {
            match row {
                RawRow::Meta(name, value) => drop(meta.insert(name.as_str(), &value[..])?),
                RawRow::Execution(number, value) => {
                    drop(executions.insert(number, &value[..])?);
                }
                RawRow::Manifest(epoch, value) => drop(manifests.insert(epoch, &value[..])?),
                RawRow::Chunk(key, value) => drop(chunks.insert(*key, &value[..])?),
                RawRow::Delta(key, value) => drop(deltas.insert(*key, &value[..])?),
                RawRow::Step(number, value) => drop(steps.insert(number, &value[..])?),
                RawRow::Base(key, value) => drop(base.insert(&key[..], &value[..])?),
                RawRow::Undo(key, value) => drop(undo.insert(*key, &value[..])?),
            }
        }
    }
    Ok(transaction.commit()?)
}
