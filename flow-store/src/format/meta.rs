//! The rows of the table `meta`: the state of a store.

use crate::epoch::Epoch;
use crate::file::guard::Failure;
use crate::format::tables::FORMAT;
use crate::key::KEY_GROUPS;
use redb::{ReadableTable, Table};
use uuid::Uuid;

/// The rows of `meta`, each under its name. Numbers are big-endian `u64`, the uuid is 16 bytes, and
/// the name of the flow is UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) store: Uuid,
    /// Shown, not compared.
    pub(crate) flow_name: String,
    pub(crate) part_index: u64,
    pub(crate) part_count: u64,
    pub(crate) key_groups: u64,
    /// The last execution that started.
    pub(crate) execution: u64,
    /// The last epoch that is durable in this file.
    pub(crate) epoch: Epoch,
    /// The last epoch that was known to be durable when `epoch` was written.
    pub(crate) durable_seen: Epoch,
    /// The epoch of the chunks. The changes of later epochs are in `deltas`.
    pub(crate) base_epoch: Epoch,
    /// The oldest epoch that the store can go back to. No later delta is folded.
    pub(crate) oldest: Epoch,
    /// The number of the last run that was written.
    pub(crate) runs: u64,
    /// The bytes of all chunks.
    pub(crate) chunk_bytes: u64,
    /// Whether the last execution recorded how it ended.
    pub(crate) clean: bool,
    /// The number of the next new step.
    pub(crate) next_step: u32,
    /// How often steps were dropped or renamed by maintenance.
    pub(crate) maintained: u64,
}

impl Meta {
    /// The rows of a store that is about to be made.
    pub(crate) fn new(store: Uuid) -> Meta {
        Meta {
            store,
            flow_name: String::new(),
            part_index: 0,
            part_count: 1,
            key_groups: u64::from(KEY_GROUPS),
            execution: 0,
            epoch: Epoch::default(),
            durable_seen: Epoch::default(),
            base_epoch: Epoch::default(),
            oldest: Epoch::default(),
            runs: 0,
            chunk_bytes: 0,
            clean: false,
            next_step: 0,
            maintained: 0,
        }
    }

    /// Only the format, which decides whether the rest can be read.
    pub(crate) fn format(
        table: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<u64>, Failure> {
        match table.get("format_version")? {
            Some(value) => Ok(value.value().try_into().ok().map(u64::from_be_bytes)),
            None => Ok(None),
        }
    }

    /// Reads all rows. The inner error names a row that is missing or has a wrong length.
    pub(crate) fn read(
        table: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Result<Meta, &'static str>, Failure> {
        let number = |name: &'static str| -> Result<Result<u64, &'static str>, Failure> {
            let value = table.get(name)?;
            let bytes = value
                .as_ref()
                .and_then(|value| value.value().try_into().ok());
            Ok(bytes.map(u64::from_be_bytes).ok_or(name))
        };
        let uuid = table.get("store_uuid")?;
        let uuid = uuid
            .as_ref()
            .and_then(|value| Uuid::from_slice(value.value()).ok());
        let flow_name = table.get("flow_name")?;
        let flow_name = flow_name
            .as_ref()
            .and_then(|value| String::from_utf8(value.value().to_vec()).ok());
        let part_index = number("part_index")?;
        let part_count = number("part_count")?;
        let key_groups = number("key_groups")?;
        let execution = number("execution")?;
        let epoch = number("epoch")?;
        let durable_seen = number("durable_seen")?;
        let base_epoch = number("base_epoch")?;
        let clean = number("clean")?;
        let next_step = number("next_step")?;
        let maintained = number("maintained")?;
        let oldest = number("oldest")?;
        let runs = number("runs")?;
        let chunk_bytes = number("chunk_bytes")?;
        let meta = || {
            Ok(Meta {
                store: uuid.ok_or("store_uuid")?,
                flow_name: flow_name.ok_or("flow_name")?,
                part_index: part_index?,
                part_count: part_count?,
                key_groups: key_groups?,
                execution: execution?,
                epoch: Epoch::from_u64(epoch?),
                durable_seen: Epoch::from_u64(durable_seen?),
                base_epoch: Epoch::from_u64(base_epoch?),
                oldest: Epoch::from_u64(oldest?),
                runs: runs?,
                chunk_bytes: chunk_bytes?,
                clean: clean? != 0,
                next_step: u32::try_from(next_step?).map_err(|_| "next_step")?,
                maintained: maintained?,
            })
        };
        Ok(meta())
    }

    /// Writes all rows.
    pub(crate) fn write(&self, table: &mut Table<'_, &str, &[u8]>) -> Result<(), Failure> {
        let mut number = |name: &str, value: u64| -> Result<(), Failure> {
            table.insert(name, &value.to_be_bytes()[..])?;
            Ok(())
        };
        number("format_version", FORMAT)?;
        number("part_index", self.part_index)?;
        number("part_count", self.part_count)?;
        number("key_groups", self.key_groups)?;
        number("execution", self.execution)?;
        number("next_step", u64::from(self.next_step))?;
        number("clean", u64::from(self.clean))?;
        number("maintained", self.maintained)?;
        table.insert("store_uuid", &self.store.as_bytes()[..])?;
        table.insert("flow_name", self.flow_name.as_bytes())?;
        self.write_epoch(table)
    }

    /// Writes the rows that a commit changes.
    pub(crate) fn write_epoch(&self, table: &mut Table<'_, &str, &[u8]>) -> Result<(), Failure> {
        for (name, epoch) in [
            ("epoch", self.epoch),
            ("durable_seen", self.durable_seen),
            ("base_epoch", self.base_epoch),
            ("oldest", self.oldest),
        ] {
            table.insert(name, &epoch.to_u64().to_be_bytes()[..])?;
        }
        for (name, number) in [("runs", self.runs), ("chunk_bytes", self.chunk_bytes)] {
            table.insert(name, &number.to_be_bytes()[..])?;
        }
        Ok(())
    }

    /// A contradiction between the rows, in words.
    pub(crate) fn contradiction(&self) -> Option<String> {
        if self.key_groups != u64::from(KEY_GROUPS) {
            return Some(format!(
                "it has {} key groups, and every store has {KEY_GROUPS}",
                self.key_groups
            ));
        }
        if self.epoch.execution() != self.execution || self.execution == 0 {
            return Some(format!(
                "it is at epoch {} of execution {}",
                self.epoch, self.execution
            ));
        }
        if self.runs > u64::MAX / 2 {
            return Some(format!("it has written {} runs", self.runs));
        }
        let ordered = self.base_epoch <= self.oldest && self.oldest <= self.epoch;
        if !ordered || self.durable_seen > self.epoch {
            return Some(format!(
                "it is at epoch {}, its chunks at {}, it can go back to {}, and it saw {} durable",
                self.epoch, self.base_epoch, self.oldest, self.durable_seen
            ));
        }
        None
    }
}
