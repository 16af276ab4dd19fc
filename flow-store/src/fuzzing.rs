//! For the fuzz targets: what parses the bytes of a store, without a file around them.

use crate::codec::CodecError;
use crate::contents::Contents;
use crate::directory::Place;
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::guard::{Failure, guard};
use crate::look::Look;
use crate::msgpack;
use crate::part::{self, Header};
use crate::retain::Retain;
use crate::row;
use crate::tables::{BASE, EXECS, META, STEPS, UNDO};
use crate::undo;
use crate::write;
use redb::Database;
use redb::backends::InMemoryBackend;
use std::path::Path;

/// A row of one of the tables, as it is stored.
#[derive(Clone, Debug)]
pub enum RawRow {
    /// A name and its value.
    Meta(String, Vec<u8>),
    /// A step.
    Step(u16, Vec<u8>),
    /// A row of a step: the whole key, and the value with its head.
    Base(Vec<u8>, Vec<u8>),
    /// An execution.
    Execution(u64, Vec<u8>),
    /// A part of what an epoch replaced.
    Undo((u64, u32), Vec<u8>),
}

/// Takes a row of `base` apart, and makes it again.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn row(whole_key: &[u8], stored: &[u8]) -> Result<RawRow, String> {
    let row = row::read(whole_key, stored)?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    row::write_key(row.step, row.group, row.key, &mut key);
    row::write_value(&key, row.value, &mut value);
    Ok(RawRow::Base(key, value))
}

/// A row of `base` whose CRC is right.
#[must_use]
pub fn whole_row(step: u16, group: u16, key: &[u8], value: &[u8]) -> RawRow {
    let (mut whole_key, mut stored) = (Vec::new(), Vec::new());
    row::write_key(step, group, key, &mut whole_key);
    row::write_value(&whole_key, value, &mut stored);
    RawRow::Base(whole_key, stored)
}

/// A part of what an epoch replaced, with a CRC that is right.
#[must_use]
pub fn whole_undo(key: (u64, u32), last: bool, before: u64, records: &[u8]) -> RawRow {
    RawRow::Undo(
        key,
        undo::whole(key, last, Epoch::from_u64(before), records),
    )
}

/// Checks a part of what an epoch replaced.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn undo(key: (u64, u32), value: &[u8]) -> Result<(), String> {
    undo::check(key, value)
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
    let contents = Contents::read(&database, &place.part)?;
    Ok(Look {
        place,
        database: database.into(),
        contents: Some(contents),
        header: Header::default(),
        back_to: None,
        retain: Retain::Nothing,
        read_only: false,
        lock: None,
    })
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
        let mut steps = transaction.open_table(STEPS)?;
        let mut base = transaction.open_table(BASE)?;
        let mut executions = transaction.open_table(EXECS)?;
        let mut undo = transaction.open_table(UNDO)?;
        for row in rows {
            match row {
                RawRow::Meta(name, value) => drop(meta.insert(name.as_str(), &value[..])?),
                RawRow::Step(number, value) => drop(steps.insert(number, &value[..])?),
                RawRow::Base(key, value) => drop(base.insert(&key[..], &value[..])?),
                RawRow::Execution(number, value) => {
                    drop(executions.insert(number, &value[..])?);
                }
                RawRow::Undo(key, value) => drop(undo.insert(*key, &value[..])?),
            }
        }
    }
    Ok(transaction.commit()?)
}
