//! Verification: reads the whole store to find damage.

use crate::codec::msgpack;
use crate::epoch::Epoch;
use crate::error::{FileError, StoreError};
use crate::file::guard::guard;
use crate::format::chunk;
use crate::format::delta::Part;
use crate::format::steps;
use crate::format::tables::{CHUNKS, DELTAS, MANIFESTS, unknown, unknown_table};
use crate::key::{KEY_GROUPS, OWN_KEY};
use crate::look::Look;
use crate::look::rows;
use crate::step::{StepKind, StoredStep};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::collections::BTreeMap;

/// Number of damages that are described.
const KEPT: usize = 1000;

/// What [`Look::verify`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// The number of rows of all steps. In a damaged store, only readable rows count.
    pub rows: u64,
    /// The total length of their keys and values in bytes.
    pub bytes: u64,
    /// The number of damages.
    pub damaged: u64,
    /// The first 1,000 damages, each in words.
    pub damage: Vec<String>,
}

impl Verified {
    fn add(&mut self, what: String) {
        self.damaged += 1;
        if self.damage.len() < KEPT {
            self.damage.push(what);
        }
    }

    fn check(&mut self, checked: Result<(), String>, steps: &[StoredStep]) {
        if let Err(what) = checked {
            self.add(rows::with_id(&what, steps));
        }
    }
}

impl Look {
    /// Reads all records and rows, and finds damage.
    ///
    /// The look has verified every page already. This reads all chunks and deltas, including
    /// replaced rows, and checks that
    ///
    /// - each CRC is right,
    /// - the step of each row is in the store,
    /// - each row is in the key group of its key,
    /// - each key and value is exactly one MessagePack value, except for the key of the row that a
    ///   stateful step has for itself.
    ///
    /// `progress` gets the number of chunks and parts of deltas that are done, and the number of
    /// all.
    ///
    /// # Errors
    ///
    /// [`NoStore`](crate::MaintenanceError::NoStore), [`Io`](StoreError::Io), or
    /// [`Damaged`](crate::FileError::Damaged) if the damage prevents further reading.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let look = Look::at(directory.path())?;
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start::new("f", &manifest, &changes))?.end(End::Finished)?;
    /// let verified = Look::at(directory.path())?.verify(&mut |_done, _all| ())?;
    /// assert_eq!((verified.rows, verified.damaged), (0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, StoreError> {
        let Some(database) = self.database.get() else {
            return Err(self.no_store());
        };
        let mut found = Verified::default();
        match self.executions() {
            Ok(_) => {}
            Err(StoreError::File(FileError::Damaged { what, .. })) => found.add(what),
            Err(error) => return Err(error),
        }
        let read = || {
            let transaction = database.begin_read()?;
            if let Some(table) = unknown_table(&transaction)? {
                found.add(unknown(&table));
            }
            // Steps of earlier starts have rows too, while the store can go back to them.
            let mut known: BTreeMap<u16, StoredStep> = BTreeMap::new();
            for entry in transaction.open_table(MANIFESTS)?.iter()? {
                let (epoch, value) = entry?;
                match steps::decode(Epoch::from_u64(epoch.value()), value.value()) {
                    Ok(steps) => known.extend(steps.into_iter().map(|step| (step.number, step))),
                    Err(what) => found.add(what),
                }
            }
            let known: Vec<StoredStep> = known.into_values().collect();
            let (chunks, deltas) = (
                transaction.open_table(CHUNKS)?,
                transaction.open_table(DELTAS)?,
            );
            let (all, mut done) = (chunks.len()? + deltas.len()?, 0);
            let mut chunk_bytes = 0;
            let runs = self.contents.as_ref().map_or(0, |it| it.meta.runs);
            let (mut reader, mut place) = (chunk::Reader::new(runs), None);
            for entry in chunks.iter()? {
                let (key, value) = entry?;
                chunk_bytes += value.value().len() as u64;
                let (step, group, ..) = key.value();
                if place.replace((step, group)) != Some((step, group)) {
                    found.check(reader.end(), &known);
                    reader = chunk::Reader::new(runs);
                }
                match reader.next(key.value(), value.value()) {
                    Ok(rows) => {
                        for row in rows {
                            let checked =
                                row.and_then(|(key, value)| check(step, group, key, value, &known));
                            found.check(checked, &known);
                        }
                    }
                    Err(what) => found.check(Err(what), &known),
                }
                done += 1;
                progress(done, all);
            }
            found.check(reader.end(), &known);
            let noted = self
                .contents
                .as_ref()
                .map(|contents| contents.meta.chunk_bytes);
            if noted != Some(chunk_bytes) {
                found.add(format!(
                    "its chunks have {chunk_bytes} bytes, which is not the recorded number"
                ));
            }
            for entry in deltas.iter()? {
                let (key, value) = entry?;
                match Part::checked(key.value(), value.value()) {
                    Ok(part) => {
                        for change in part.changes().filter_map(Result::ok) {
                            let (step, group) = (change.step, change.group);
                            // A step that is in no manifest was dropped for good, so its rows do
                            // not matter.
                            if known
                                .binary_search_by_key(&step, |step| step.number)
                                .is_ok()
                            {
                                let checked = check(step, group, change.key, change.value, &known);
                                found.check(checked, &known);
                            }
                        }
                    }
                    Err(what) => found.check(Err(what), &known),
                }
                done += 1;
                progress(done, all);
            }
            Ok(())
        };
        guard(read).map_err(|failure| failure.while_reading(&self.place.part))?;
        for step in self.steps() {
            // Unreadable rows have been found above.
            let Ok(mut rows) = self.rows(step.number, 0..KEY_GROUPS) else {
                break;
            };
            while let Ok(Some(row)) = rows.advance() {
                found.rows += 1;
                found.bytes += (row.key.len() + row.value.len()) as u64;
            }
        }
        Ok(found)
    }
}

/// Checks a row beyond its CRC. `steps` are sorted by number.
fn check(
    step: u16,
    group: u16,
    key: &[u8],
    value: Option<&[u8]>,
    steps: &[StoredStep],
) -> Result<(), String> {
    let known = steps.binary_search_by_key(&step, |step| step.number);
    let Some(step) = known.ok().and_then(|index| steps.get(index)) else {
        return Err(format!(
            "a row of step {step}, key group {group}, belongs to a step that it does not have"
        ));
    };
    if step.kind == StepKind::Time {
        return Err(format!("step `{}` has a row, and it keeps none", step.id));
    }
    let name = || rows::name(step, group, key);
    let right = step.kind.group(key);
    if group != right {
        return Err(format!(
            "{} should be in key group {right} of {KEY_GROUPS}",
            name()
        ));
    }
    if (step.kind, key) != (StepKind::State, OWN_KEY) {
        msgpack::check(key).map_err(|error| format!("{}: its key: {error}", name()))?;
    }
    let Some(value) = value else { return Ok(()) };
    step.kind
        .split(value)
        .and_then(|(_, value)| msgpack::check(value))
        .map_err(|error| format!("{}: its value: {error}", name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damage(kind: StepKind, group: u16, key: &[u8], value: &[u8]) -> String {
        let step = StoredStep {
            number: 3,
            id: "counts".to_owned(),
            kind,
            operator: String::new(),
            key_type: String::new(),
            state_type: String::new(),
            key_schema: None,
            state_schema: None,
        };
        match check(3, group, key, Some(value), &[step]) {
            Ok(()) => String::new(),
            Err(what) => what,
        }
    }

    #[test]
    fn what_a_row_can_be_damaged_by() {
        use StepKind::{Sink, Source, State};
        let group = State.group(&[7]);
        assert_eq!(damage(State, group, &[7], &[8]), "");
        assert_eq!(damage(Source, 0, &[7], &[0xc2, 0x80, 8]), "");
        assert_eq!(damage(Sink, 0, &[7], &[8]), "");
        // A timestamp of MessagePack, which no Rust type is written as.
        assert_eq!(damage(State, group, &[7], &[0xd6, 0xff, 0, 0, 0, 1]), "");
        assert_eq!(
            damage(State, 0, &[7], &[8]),
            format!(
                "the row of step `counts`, key group 0, key 7 should be in key group {group} of \
                 1024"
            )
        );
        assert_eq!(
            damage(State, group, &[7], &[8, 9]),
            format!(
                "the row of step `counts`, key group {group}, key 7: its value: 1 of 2 bytes are \
                 left over after the value: they were written as another type"
            )
        );
        assert_eq!(
            damage(Source, 0, &[7], &[8]),
            "the row of step `counts`, key group 0, key 7: its value: the bytes cannot be read as \
             this type: it does not say whether the partition was read to its end"
        );
        // The row that a stateful step has for itself.
        let own = State.group(OWN_KEY);
        assert_eq!(damage(State, own, OWN_KEY, &[0x80]), "");
        assert_eq!(
            damage(State, own, OWN_KEY, &[0x81, 7]),
            format!(
                "the row of step `counts` for itself, key group {own}: its value: the bytes cannot \
                 be read as this type: the value is cut short"
            )
        );
        assert_eq!(
            damage(State, 0, OWN_KEY, &[0x80]),
            format!(
                "the row of step `counts` for itself, key group 0 should be in key group {own} of \
                 1024"
            )
        );
        for kind in [Source, Sink] {
            let said = damage(kind, 0, OWN_KEY, &[0xc2, 0x80, 8]);
            assert!(
                said.contains(" for itself, key group 0: its key: "),
                "{said}"
            );
        }
        assert_eq!(
            damage(StepKind::Time, 0, &[7], &[8]),
            "step `counts` has a row, and it keeps none"
        );
        // A value that is deeper than values are read does not overflow the stack.
        let mut deep = vec![0x91; 100_000];
        deep.push(1);
        assert_eq!(damage(Sink, 0, &[7], &deep), "");
        assert!(damage(Sink, 0, &[0xc1], &[8]).contains("key 0xc1: its key: the bytes cannot"));
        assert!(damage(Sink, 0, &[7], &[0x91]).contains("its value: the bytes cannot be read"));
        let nowhere = check(3, 0, &[7], Some(&[8]), &[]);
        assert_eq!(
            nowhere.unwrap_err(),
            "a row of step 3, key group 0, belongs to a step that it does not have"
        );
    }
}
