//! Reads the stored states of a step when a run begins, and converts those of an earlier type.

use std::collections::{HashMap, hash_map::Entry};

use flow_store::{Checked, CodecError, KEY_GROUPS, OWN_KEY, RowRef, group, groups_of, text_of};

use super::{Table, table::KeyError};
use crate::{
    engine::HeadContext,
    error::{BuildError, Kept, NotKept, ResumeError, RunError, TypeChange},
    record::{Key, StateCodec},
    resume::{ConvertedRows, Read},
};

/// Decodes the stored states of this worker's keys, and refuses the start if one can't be decoded.
///
/// If the types have changed, the rows are also written again, in the commit that opens the
/// execution.
pub(super) fn restore<K: Key, S: 'static>(
    codec: &StateCodec<S>,
    context: &mut HeadContext<'_>,
) -> Result<Table<K, S>, RunError> {
    context.wiring.whereabouts.of(context.step).enter();
    let keys = context
        .resume
        .and_then(|resume| resume.keys.of(context.step));
    let mut table = Table::new(keys);
    let conversions = std::mem::take(&mut context.conversions);
    let rewrite = context.rewrite().cloned();
    let old_key = rewrite.as_ref().and_then(|rewrite| rewrite.old_key);
    let old_state = rewrite.as_ref().and_then(|rewrite| rewrite.old_state);
    let old_key = old_key.map(|index| conversions.keys.get(index).and_then(|c| c.reader::<K>()));
    let old_state =
        old_state.map(|index| conversions.states.get(index).and_then(|c| c.reader::<S>()));
    if old_key.is_some_and(|reader| reader.is_none())
        || old_state.is_some_and(|reader| reader.is_none())
    {
        // The check of the graph has refused such a flow, so this should not happen.
        return Err(BuildError::Setting {
            message: format!("`{}` has no such conversion", context.id()),
            help: None,
        }
        .into());
    }
    let states = States {
        step: context.id(),
        change: context.change(),
        codec,
        old: old_state.flatten(),
    };
    let mut keys = Keys {
        step: context.id(),
        stored_id: context.stored_id(),
        old: old_key.flatten(),
        own: groups_of(context.wiring.worker, context.wiring.workers),
        met: HashMap::new(),
        bytes: Vec::new(),
    };
    let number = context.store_number();
    let mut written = flow_store::Changes::new();
    let mut checked = Checked::default();
    // A converted key may belong to any worker, so each worker reads all rows.
    let groups = match keys.old {
        Some(_) => 0..KEY_GROUPS,
        None => keys.own.clone(),
    };
    let mut taken = ConvertedRows {
        step: context.step,
        ..ConvertedRows::default()
    };
    let mut rows = context.rows(groups)?;
    while let Some(rows) = &mut rows {
        let Some(row) = rows.advance().map_err(ResumeError::from)? else {
            break;
        };
        if row.key == OWN_KEY {
            // The row that a windowed step has for itself.
            continue;
        }
        if keys.old.is_some() {
            ConvertedRows::add(&mut taken.all, row.key);
        }
        let Some((hash, key)) = keys.read(row)? else {
            continue;
        };
        if keys.old.is_some() {
            ConvertedRows::add(&mut taken.own, row.key);
        }
        let state = states.read(row)?;
        if let (Some(_), Some(number)) = (&rewrite, number) {
            written
                .put(number, group(hash), &keys.bytes, |into| {
                    (codec.encode)(&state, &mut checked, into)
                })
                .map_err(|error| {
                    let key = Some(text_of(&keys.bytes));
                    states.not_kept(NotKept::new::<S>(Kept::State, key, error))
                })?;
        }
        let first = table.is_empty();
        table
            .restore(hash, key, state)
            .map_err(|error| keys.not_added(error))?;
        if first {
            // To grow the table step by step would cost as much as the rest of the restore.
            table.reserve(rows.estimate());
        }
    }
    context.opening.append(&mut written);
    if keys.old.is_some() {
        context.taken.push(taken);
    }
    Ok(table)
}

struct States<'a, S> {
    step: String,
    change: TypeChange,
    codec: &'a StateCodec<S>,
    /// Reads states of the type that the step had before.
    old: Option<&'a Read<S>>,
}

impl<S> States<'_, S> {
    fn read(&self, row: RowRef<'_>) -> Result<S, ResumeError> {
        let state = match self.old {
            Some(old) => old(row.value),
            None => (self.codec.decode)(row.value),
        };
        state.map_err(|error| self.error(row, &error))
    }

    fn not_kept(&self, error: NotKept) -> ResumeError {
        ResumeError::NotKept {
            step: self.step.clone(),
            error: error.into(),
        }
    }

    fn error(&self, row: RowRef<'_>, error: &CodecError) -> ResumeError {
        ResumeError::State {
            step: self.step.clone(),
            key: text_of(row.key),
            state: crate::names::short(std::any::type_name::<S>()),
            cause: error.to_string(),
            change: Box::new(self.change.clone()),
        }
    }
}

struct Keys<'a, K> {
    step: String,
    stored_id: String,
    /// Reads keys of the type that the step had before.
    old: Option<&'a Read<K>>,
    own: std::ops::Range<u16>,
    /// The bytes of each converted key, with the text of the stored key that it was made of.
    met: HashMap<Vec<u8>, String>,
    /// The bytes of the key that was read last.
    bytes: Vec<u8>,
}

impl<K: Key> Keys<'_, K> {
    /// A row's key, with its hash; `None` if it belongs to another worker.
    fn read(&mut self, row: RowRef<'_>) -> Result<Option<(u64, K)>, ResumeError> {
        let shown = || text_of(row.key);
        let key = match self.old {
            Some(old) => old(row.key),
            None => K::decode(row.key),
        };
        let key =
            key.map_err(|error| self.error(format!("the stored key {}: {error}", shown())))?;
        self.bytes.clear();
        key.encode(&mut self.bytes)
            .map_err(|error| ResumeError::NotKept {
                step: self.step.clone(),
                error: NotKept::new::<K>(Kept::Key, None, error).into(),
            })?;
        let hash = flow_store::hash(&self.bytes);
        if self.old.is_none() {
            if self.bytes != row.key {
                let now = text_of(&self.bytes);
                return Err(self.error(format!(
                    "the stored key {} would now be written as {now}",
                    shown()
                )));
            }
            return Ok(Some((hash, key)));
        }
        if !self.own.contains(&group(hash)) {
            return Ok(None);
        }
        key.check(&self.bytes)
            .map_err(|error| ResumeError::NotKept {
                step: self.step.clone(),
                error: NotKept::new::<K>(Kept::Key, Some(text_of(&self.bytes)), error).into(),
            })?;
        match self.met.entry(self.bytes.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(shown());
                Ok(Some((hash, key)))
            }
            Entry::Occupied(entry) => Err(ResumeError::KeysMeet {
                step: self.step.clone(),
                first: entry.get().clone(),
                second: shown(),
                key: text_of(entry.key()),
            }),
        }
    }

    fn not_added(&self, error: KeyError) -> ResumeError {
        match error {
            KeyError::NotKept(error) => ResumeError::NotKept {
                step: self.step.clone(),
                error: error.into(),
            },
            other => self.error(other.to_string()),
        }
    }

    fn error(&self, cause: String) -> ResumeError {
        ResumeError::Key {
            step: self.step.clone(),
            stored_id: self.stored_id.clone(),
            key: crate::names::short(std::any::type_name::<K>()),
            cause,
        }
    }
}
