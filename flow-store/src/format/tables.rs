//! The tables of a part file.

use crate::file::guard::Failure;
use redb::{ReadTransaction, TableDefinition, TableHandle};

/// The only format that this version reads and writes.
pub(crate) const FORMAT: u64 = 6;

pub(crate) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
pub(crate) const EXECS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("execs");
/// The steps of the flow at each start, by its opening epoch.
pub(crate) const MANIFESTS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("manifests");
/// Changes that are not folded into `chunks` yet, by epoch and part.
pub(crate) const DELTAS: TableDefinition<'static, (u64, u32), &[u8]> =
    TableDefinition::new("deltas");
/// Folded rows, by step, key group, run and chunk.
pub(crate) const CHUNKS: TableDefinition<'static, ChunkKey, &[u8]> = TableDefinition::new("chunks");

pub(crate) type ChunkKey = (u16, u16, u64, u32);

/// The names of all tables.
pub(crate) const TABLES: [&str; 5] = ["meta", "execs", "manifests", "deltas", "chunks"];

/// The name of a table that this version does not know, if there is one.
pub(crate) fn unknown_table(transaction: &ReadTransaction) -> Result<Option<String>, Failure> {
    use redb::MultimapTableHandle;
    let multimap = transaction
        .list_multimap_tables()?
        .next()
        .map(|table| table.name().to_owned());
    let mut tables = transaction.list_tables()?;
    let unknown = tables.find(|table| !TABLES.contains(&table.name()));
    Ok(unknown.map(|table| table.name().to_owned()).or(multimap))
}

/// The damage that an unknown table is, in words.
pub(crate) fn unknown(table: &str) -> String {
    format!("it has a table `{table}`, which this version does not know")
}
