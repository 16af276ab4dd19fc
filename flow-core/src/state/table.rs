//! The states of one step on one worker, by key.

use flow_store::{Changes, CodecError, group};
use hashbrown::HashTable;

use crate::record::{Key, StateCodec};

/// A hash table of states, which knows the keys that changed since the last snapshot.
///
/// The hash is that of the key's bytes, made once for routing, table and store. The lower bits of
/// it chose the worker, so the table takes the upper ones for its buckets.
pub(crate) struct Table<K, S> {
    slots: HashTable<Slot<K, S>>,
    /// The hashes of the keys that were touched since the last snapshot, each once.
    dirty: Vec<u64>,
    #[cfg(debug_assertions)]
    by_eq: std::collections::HashMap<K, u64>,
}

struct Slot<K, S> {
    hash: u64,
    key: K,
    state: Option<S>,
    dirty: bool,
}

fn bucket(hash: u64) -> u64 {
    hash.rotate_right(32)
}

/// Two keys are equal but have different bytes.
#[derive(Debug, thiserror::Error)]
#[error(
    "two keys are equal but are written with different bytes: after a restart they would be two keys\nhelp: make `Eq` as fine as what is serialized, for example by normalising the key in `key_on`"
)]
pub(crate) struct CoarseKey;

impl<K: Key, S> Table<K, S> {
    pub(crate) fn new() -> Self {
        Table {
            slots: HashTable::new(),
            dirty: Vec::new(),
            #[cfg(debug_assertions)]
            by_eq: std::collections::HashMap::new(),
        }
    }

    /// Puts a stored state back.
    pub(crate) fn restore(&mut self, hash: u64, key: K, state: S) -> Result<(), CoarseKey> {
        #[cfg(debug_assertions)]
        self.new_key(hash, &key)?;
        let slot = Slot {
            hash,
            key,
            state: Some(state),
            dirty: false,
        };
        self.slots
            .insert_unique(bucket(hash), slot, |slot| bucket(slot.hash));
        Ok(())
    }

    /// The state of a key, which counts as changed from now on.
    pub(crate) fn touch(&mut self, hash: u64, key: &K) -> Result<&mut Option<S>, CoarseKey> {
        let same = |slot: &Slot<K, S>| slot.hash == hash && slot.key == *key;
        #[cfg(debug_assertions)]
        if self.slots.find(bucket(hash), same).is_none() {
            self.new_key(hash, key)?;
        }
        let slot = self
            .slots
            .entry(bucket(hash), same, |slot| bucket(slot.hash))
            .or_insert_with(|| Slot {
                hash,
                key: key.clone(),
                state: None,
                dirty: false,
            })
            .into_mut();
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(hash);
        }
        Ok(&mut slot.state)
    }

    /// Writes the rows of all keys touched since the last snapshot, where there is a store to write
    /// them to, and forgets the keys without a state.
    pub(crate) fn snapshot(
        &mut self,
        step: Option<u16>,
        codec: &StateCodec<S>,
        rows: &mut Changes,
    ) -> Result<(), CodecError> {
        let mut key_bytes = Vec::new();
        for hash in self.dirty.drain(..) {
            let mut forgotten = false;
            // Keys that share a hash are all in the list: each pass takes those still dirty.
            for slot in self.slots.iter_hash_mut(bucket(hash)) {
                if slot.hash != hash || !std::mem::take(&mut slot.dirty) {
                    continue;
                }
                forgotten |= slot.state.is_none();
                let Some(step) = step else { continue };
                key_bytes.clear();
                slot.key.encode(&mut key_bytes)?;
                match &slot.state {
                    Some(state) => rows.put(step, group(hash), &key_bytes, |into| {
                        (codec.encode)(state, into)
                    })?,
                    None => rows.remove(step, group(hash), &key_bytes),
                }
            }
            while forgotten {
                let gone = |slot: &Slot<K, S>| slot.hash == hash && slot.state.is_none();
                match self.slots.find_entry(bucket(hash), gone) {
                    Ok(entry) => {
                        let (_slot, _) = entry.remove();
                        #[cfg(debug_assertions)]
                        self.by_eq.remove(&_slot.key);
                    }
                    Err(_) => forgotten = false,
                }
            }
        }
        Ok(())
    }

    /// In debug builds, refuses a key that is equal to another one with other bytes.
    #[cfg(debug_assertions)]
    fn new_key(&mut self, hash: u64, key: &K) -> Result<(), CoarseKey> {
        match self.by_eq.insert(key.clone(), hash) {
            Some(other) if other != hash => Err(CoarseKey),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StepState;

    fn codec() -> StateCodec<u64> {
        <() as StepState<u64>>::codec()
    }

    fn rows(table: &mut Table<String, u64>) -> Vec<(String, Option<u64>)> {
        let mut changes = Changes::new();
        table.snapshot(Some(1), &codec(), &mut changes).unwrap();
        let text = |bytes| flow_store::decode::<String>(bytes).unwrap();
        let number = |bytes| flow_store::decode::<u64>(bytes).unwrap();
        changes
            .iter()
            .map(|row| (text(row.key), row.value.map(number)))
            .collect()
    }

    #[test]
    fn a_snapshot_holds_what_changed_since_the_last_one() {
        let mut table = Table::new();
        *table.touch(1, &"a".to_string()).unwrap() = Some(1);
        *table.touch(2, &"b".to_string()).unwrap() = Some(2);
        *table.touch(1, &"a".to_string()).unwrap() = Some(3);
        assert_eq!(
            rows(&mut table),
            [("a".into(), Some(3)), ("b".into(), Some(2))]
        );
        assert!(rows(&mut table).is_empty());
        table.touch(2, &"b".to_string()).unwrap().take();
        assert_eq!(rows(&mut table), [("b".into(), None)]);
        assert_eq!(table.slots.len(), 1);
    }

    #[test]
    fn keys_that_share_a_hash_are_kept_apart() {
        let mut table = Table::new();
        for (key, state) in [("a", 1), ("b", 2), ("c", 3)] {
            *table.touch(7, &key.to_string()).unwrap() = Some(state);
        }
        assert_eq!(rows(&mut table).len(), 3);
        table.touch(7, &"b".to_string()).unwrap().take();
        assert_eq!(rows(&mut table), [("b".into(), None)]);
        assert_eq!(*table.touch(7, &"a".to_string()).unwrap(), Some(1));
        assert_eq!(*table.touch(7, &"c".to_string()).unwrap(), Some(3));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_debug_build_refuses_a_key_whose_eq_is_coarser_than_its_bytes() {
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        struct Caseless(String);
        impl PartialEq for Caseless {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }
        impl Eq for Caseless {}
        impl std::hash::Hash for Caseless {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.to_ascii_lowercase().hash(state);
            }
        }
        let mut table: Table<Caseless, u64> = Table::new();
        assert!(table.touch(1, &Caseless("A".into())).is_ok());
        assert!(table.touch(2, &Caseless("a".into())).is_err());
    }
}
