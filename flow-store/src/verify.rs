//! Reading everything that a store has, to find what is damaged.

use crate::copy::{unknown, unknown_table};
use crate::error::StoreError;
use crate::guard::guard;
use crate::key::KEY_GROUPS;
use crate::look::Look;
use crate::manifest::StoredStep;
use crate::msgpack;
use crate::row::{self, Parts};
use crate::tables::{BASE, UNDO};
use crate::undo;
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

/// How many of what is damaged are kept in words.
const KEPT: usize = 1000;

/// What [`Look::verify`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// How many rows were read, the damaged ones included.
    pub rows: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// How much is damaged.
    pub damaged: u64,
    /// The first thousand of it, each in a sentence that names step and key.
    pub damage: Vec<String>,
}

impl Verified {
    fn add(&mut self, what: String) {
        self.damaged += 1;
        if self.damage.len() < KEPT {
            self.damage.push(what);
        }
    }
}

impl Look {
    /// Reads all records and rows, and finds those that are damaged.
    ///
    /// Every page was verified by the look already. A row is whole if its CRC is right, its step
    /// is in the store, it is in the key group of its key, and key and value are MessagePack to
    /// their last byte. `progress` is told how many rows are done, of how many.
    ///
    /// # Errors
    ///
    /// [`NoStore`](StoreError::NoStore), [`Io`](StoreError::Io), or
    /// [`Damaged`](StoreError::Damaged) when not even the next row can be found.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let look = Look::at(directory.path())?;
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start {
    /// #     manifest: &manifest, flow_name: "f", workers: 1, build: "", changes: &changes,
    /// # })?.end(End::Finished)?;
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
            Err(StoreError::Damaged { what, .. }) => found.add(what),
            Err(error) => return Err(error),
        }
        let read = || {
            let transaction = database.begin_read()?;
            if let Some(table) = unknown_table(&transaction)? {
                found.add(unknown(&table));
            }
            match transaction.open_table(UNDO) {
                Ok(undo) => {
                    for row in undo.iter()? {
                        let (key, value) = row?;
                        if let Err(what) = undo::check(key.value(), value.value()) {
                            found.add(what);
                        }
                    }
                }
                Err(redb::TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let table = transaction.open_table(BASE)?;
            let all = table.len()?;
            for entry in table.iter()? {
                let (key, value) = entry?;
                let (key, value) = (key.value(), value.value());
                found.rows += 1;
                found.bytes += key.len() as u64 + value.len() as u64;
                let checked = row::read(key, value).and_then(|row| check(&row, self.steps()));
                if let Err(what) = checked {
                    found.add(row::with_id(&what, self.steps()));
                }
                progress(found.rows, all);
            }
            Ok(())
        };
        guard(read).map_err(|failure| failure.while_reading(&self.place.part))?;
        Ok(found)
    }
}

/// What a CRC does not say.
fn check(row: &Parts<'_>, steps: &[StoredStep]) -> Result<(), String> {
    let name = || row::name(row.step, row.group, row.key);
    let Some(step) = steps.iter().find(|step| step.number == row.step) else {
        return Err(format!("{} is of a step that it has not", name()));
    };
    let group = step.kind.group(row.key);
    if row.group != group {
        return Err(format!(
            "{} should be in key group {group} of {KEY_GROUPS}",
            name()
        ));
    }
    msgpack::check(row.key).map_err(|error| format!("{}: its key: {error}", name()))?;
    step.kind
        .split(row.value)
        .and_then(|(_, value)| msgpack::check(value))
        .map_err(|error| format!("{}: its value: {error}", name()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StepKind;

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
        let row = Parts {
            step: 3,
            group,
            key,
            value,
        };
        match check(&row, std::slice::from_ref(&step)) {
            Ok(()) => String::new(),
            Err(what) => row::with_id(&what, &[step]),
        }
    }

    #[test]
    fn what_a_row_can_be_damaged_by() {
        use StepKind::{Sink, Source, State};
        let group = State.group(&[7]);
        assert_eq!(damage(State, group, &[7], &[8]), "");
        assert_eq!(damage(Source, 0, &[7], &[0xc2, 8]), "");
        assert_eq!(damage(Sink, 0, &[7], &[8]), "");
        // a time of MessagePack's own, which no type of Rust is written as
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
                 left over behind the value: they were written as another type"
            )
        );
        assert_eq!(
            damage(Source, 0, &[7], &[8]),
            "the row of step `counts`, key group 0, key 7: its value: the bytes cannot be read as \
             this type: it does not say whether the partition was read to its end"
        );
        // as deep as a value is read, on the stack of a thread like any other
        let mut deep = vec![0x91; 1000];
        deep.push(1);
        assert_eq!(damage(Sink, 0, &[7], &deep), "");
        assert!(damage(Sink, 0, &[0xc1], &[8]).contains("key 0xc1: its key: the bytes cannot"));
        assert!(damage(Sink, 0, &[7], &[0x91]).contains("its value: the bytes cannot be read"));
        let nowhere = check(
            &Parts {
                step: 3,
                group: 0,
                key: &[7],
                value: &[8],
            },
            &[],
        );
        assert_eq!(
            nowhere.unwrap_err(),
            "the row of step 3, key group 0, key 7 is of a step that it has not"
        );
    }
}
