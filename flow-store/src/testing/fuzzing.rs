//! For fuzz targets: the parsers of a store's bytes, without a file.

use crate::codec::CodecError;
use crate::codec::msgpack;
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::file::directory::Place;
use crate::file::guard::{Failure, guard};
use crate::file::part;
use crate::format::chunk::{self, Sizes};
use crate::format::delta::{self, Part};
use crate::format::tables::{CHUNKS, ChunkKey, DELTAS, EXECS, MANIFESTS, META};
use crate::format::write;
use crate::hooks::unfolded;
use crate::look::Look;
use redb::Database;
use redb::backends::InMemoryBackend;
use std::path::Path;

/// Makes executions fold as soon as this many bytes of deltas are unfolded.
pub fn fold_at(bytes: u64) {
    unfolded::fuzzed::set(bytes);
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
    /// A part of a delta.
    Delta((u64, u32), Vec<u8>),
}

/// A chunk with a correct CRC.
#[must_use]
pub fn whole_chunk(key: ChunkKey, first: u64, later: u64, rows: &[u8]) -> RawRow {
    RawRow::Chunk(key, chunk::whole(key, Sizes { first, later }, rows))
}

/// A part of a delta with a correct CRC.
#[must_use]
pub fn whole_delta(key: (u64, u32), last: bool, before: u64, changes: &[u8]) -> RawRow {
    let part = delta::whole(key, last, Epoch::from_u64(before), changes);
    RawRow::Delta(key, part)
}

/// Checks a chunk, and returns the number of its rows.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn chunk(key: ChunkKey, value: &[u8]) -> Result<usize, String> {
    let rows = chunk::read(key, value)?;
    rows.collect::<Result<Vec<_>, _>>().map(|rows| rows.len())
}

/// Checks a part of a delta, and returns the number of its changes.
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
/// The error says how they are not.
pub fn message_pack(bytes: &[u8]) -> Result<(), CodecError> {
    msgpack::check(bytes)
}

/// A look at a store in memory with these rows.
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
/// [`StoreError`] if the file is not a store file, or can't be written.
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
        for row in rows {
            match row {
                RawRow::Meta(name, value) => drop(meta.insert(name.as_str(), &value[..])?),
                RawRow::Execution(number, value) => {
                    drop(executions.insert(number, &value[..])?);
                }
                RawRow::Manifest(epoch, value) => drop(manifests.insert(epoch, &value[..])?),
                RawRow::Chunk(key, value) => drop(chunks.insert(*key, &value[..])?),
                RawRow::Delta(key, value) => drop(deltas.insert(*key, &value[..])?),
            }
        }
    }
    Ok(transaction.commit()?)
}
