//! The states of one step on one worker, by key.

use std::{hint::black_box, sync::Arc};

use flow_store::{Changes, Checked, CodecError, group, text_of};
use hashbrown::HashTable;

use crate::{
    error::{Advised, BoxError, Kept, NotKept},
    record::{Key, StateCodec},
    resume::Keys,
};

/// A hash table of states that knows which keys were touched since the last snapshot.
///
/// The hash of a key's bytes is computed once, for routing, table and store. Its lower bits choose
/// the worker, so the table uses the upper ones for its buckets.
///
/// An index of the numbers of slots finds them. Neither growing nor forgetting renumbers a slot, so
/// an id is valid until its key is forgotten. Then the slot waits for the next new key.
pub(crate) struct Table<K, S> {
    index: HashTable<SlotId>,
    slots: Vec<Slot<K, S>>,
    /// The slots of forgotten keys.
    free: Vec<SlotId>,
    /// The slots that the next snapshot looks at, each once.
    dirty: Vec<SlotId>,
    /// Whether snapshots write rows. If so, each slot that is touched is dirty; otherwise only a
    /// slot without a state.
    writes: bool,
    key_bytes: Vec<u8>,
    checked: Checked,
    /// The keys of all workers, if there is a store with a row for each.
    keys: Option<Arc<Keys<K>>>,
}

struct Slot<K, S> {
    hash: u64,
    key: K,
    state: Option<S>,
    dirty: bool,
}

/// The number of a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SlotId(u32);

impl SlotId {
    /// The id of a key that was not found.
    const NONE: SlotId = SlotId(u32::MAX);

    fn new(at: usize) -> Option<SlotId> {
        let id = u32::try_from(at).ok().map(SlotId);
        id.filter(|id| *id != SlotId::NONE)
    }

    fn at(self) -> usize {
        self.0 as usize
    }
}

/// The number of records looked up at a time. It is small enough that their slots are still in the
/// cache when they are used.
pub(super) const AT_A_TIME: usize = 64;

fn bucket(hash: u64) -> u64 {
    hash.rotate_right(32)
}

/// Why a key can't be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("there are more keys than one worker can keep: 4 billion")]
    TooMany,
    /// A key is not equal to what its bytes are read as, or is equal to another key.
    #[error(transparent)]
    NotKept(#[from] NotKept),
}

impl KeyError {
    /// The cause of a failure, in a type that error reports recognise.
    pub(super) fn into_cause(self) -> BoxError {
        match self {
            KeyError::NotKept(error) => error.into(),
            KeyError::TooMany => Advised::new(self.to_string(), "use more workers").into(),
        }
    }
}

impl<K: Key, S> Table<K, S> {
    /// A table whose snapshots write rows. `keys` are the keys of all workers.
    pub(crate) fn new(keys: Option<Arc<Keys<K>>>) -> Self {
        Table {
            keys: keys.filter(|_| !K::is_plain()),
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            writes: true,
            key_bytes: Vec::new(),
            checked: Checked::default(),
        }
    }

    /// Makes snapshots write nothing, because there is no store.
    pub(crate) fn write_nothing(&mut self) {
        self.writes = false;
        self.keys = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Makes room for this many further keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        let slots = &self.slots;
        self.index.reserve(keys, |id| bucket(slots[id.at()].hash));
        self.slots.reserve(keys);
    }

    /// Puts a stored state back.
    pub(crate) fn restore(&mut self, hash: u64, key: K, state: S) -> Result<(), KeyError> {
        self.add(hash, key, Some(state))?;
        Ok(())
    }

    /// Finds the slot of each key, and adds one for each new key.
    ///
    /// With many keys, a lookup waits for memory three times: for the index, the slot, and the key
    /// in it. No read here depends on the key before, so the processor overlaps the waits of many
    /// keys.
    pub(crate) fn find<'a>(
        &mut self,
        hashes: &[u64],
        keys: impl Iterator<Item = &'a K>,
        ids: &mut Vec<SlotId>,
    ) -> Result<(), KeyError> {
        ids.clear();
        // The right slot is almost always the first whose hash seems to match.
        let first = |hash: &u64| self.index.find(bucket(*hash), |_| true).copied();
        ids.extend(
            hashes
                .iter()
                .map(|hash| first(hash).unwrap_or(SlotId::NONE)),
        );
        self.fetch(ids);
        for ((id, hash), key) in ids.iter_mut().zip(hashes).zip(keys) {
            if !self.is(*id, *hash, key) {
                *id = self.find_one(*hash, key)?;
            }
        }
        Ok(())
    }

    /// Reads both ends of each slot, so that the slots are in the cache when they are used.
    fn fetch(&self, ids: &[SlotId]) {
        let read = |id: &SlotId| {
            let slot = self.slots.get(id.at());
            slot.map_or(0, |slot| slot.hash ^ u64::from(slot.state.is_some()))
        };
        black_box(ids.iter().fold(0, |all, id| all ^ read(id)));
    }

    /// Whether this is the slot of this key.
    fn is(&self, id: SlotId, hash: u64, key: &K) -> bool {
        let slot = self.slots.get(id.at());
        slot.is_some_and(|slot| slot.hash == hash && slot.key == *key)
    }

    fn find_one(&mut self, hash: u64, key: &K) -> Result<SlotId, KeyError> {
        let same = |id: &SlotId| self.is(*id, hash, key);
        match self.index.find(bucket(hash), same) {
            Some(id) => Ok(*id),
            None => {
                self.check(hash, key)?;
                self.add(hash, key.clone(), None)
            }
        }
    }

    /// Checks that a new key is equal to the key that its bytes are read as.
    ///
    /// So no two keys share a row: their bytes are read as one key, and both can't be equal to it.
    fn check(&mut self, hash: u64, key: &K) -> Result<(), NotKept> {
        if K::is_plain() || !self.writes {
            return Ok(());
        }
        self.key_bytes.clear();
        let bytes = &mut self.key_bytes;
        let encoded = key.encode(bytes);
        encoded.map_err(|error| NotKept::new::<K>(Kept::Key, None, error))?;
        let checked = match flow_store::hash(bytes) == hash {
            true => key.check(bytes),
            false => Err(CodecError::Unsteady),
        };
        checked.map_err(|error| NotKept::new::<K>(Kept::Key, Some(text_of(bytes)), error))
    }

    fn add(&mut self, hash: u64, key: K, state: Option<S>) -> Result<SlotId, KeyError> {
        if let Some(keys) = &self.keys {
            keys.add(hash, &key)?;
        }
        let slot = Slot {
            hash,
            key,
            state,
            dirty: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.at()] = slot;
                id
            }
            None => {
                let id = SlotId::new(self.slots.len()).ok_or(KeyError::TooMany)?;
                self.slots.push(slot);
                id
            }
        };
        let slots = &self.slots;
        self.index
            .insert_unique(bucket(hash), id, |id| bucket(slots[id.at()].hash));
        Ok(id)
    }

    /// Calls a function with the state in a slot, and marks the slot for the next snapshot.
    pub(crate) fn update<R>(&mut self, id: SlotId, f: impl FnOnce(&mut Option<S>) -> R) -> R {
        let slot = &mut self.slots[id.at()];
        let result = f(&mut slot.state);
        if !slot.dirty && (self.writes || slot.state.is_none()) {
            slot.dirty = true;
            self.dirty.push(id);
        }
        result
    }

    /// Forgets the touched keys that have no state. If there is a store, it also writes the rows of
    /// all keys touched since the last snapshot.
    pub(crate) fn snapshot(
        &mut self,
        step: Option<u16>,
        codec: &StateCodec<S>,
        rows: &mut Changes,
    ) -> Result<(), NotKept> {
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut forgotten = Vec::new();
        for some in dirty.chunks(AT_A_TIME) {
            self.fetch(some);
            for id in some {
                let slot = &mut self.slots[id.at()];
                slot.dirty = false;
                if slot.state.is_none() {
                    forgotten.push(*id);
                }
                let Some(step) = step else { continue };
                self.key_bytes.clear();
                let key = slot.key.encode(&mut self.key_bytes);
                key.map_err(|error| NotKept::new::<K>(Kept::Key, None, error))?;
                let group = group(slot.hash);
                let (key, checked) = (&self.key_bytes, &mut self.checked);
                match &slot.state {
                    Some(state) => rows
                        .put(step, group, key, |into| {
                            (codec.encode)(state, checked, into)
                        })
                        .map_err(|error| {
                            NotKept::new::<S>(Kept::State, Some(text_of(key)), error)
                        })?,
                    None => rows.remove(step, group, key),
                }
            }
        }
        dirty.clear();
        self.dirty = dirty;
        for id in forgotten {
            self.forget(id);
        }
        Ok(())
    }

    fn forget(&mut self, id: SlotId) {
        let gone = &self.slots[id.at()];
        let there = |known: &SlotId| *known == id;
        if let Ok(entry) = self.index.find_entry(bucket(gone.hash), there) {
            entry.remove();
        }
        if let Some(keys) = &self.keys {
            keys.remove(&gone.key);
        }
        self.free.push(id);
    }

    /// The key in a slot, as a text for messages.
    pub(crate) fn key_text(&self, id: SlotId) -> String {
        let mut bytes = Vec::new();
        // The key has been encoded once already, to be routed, so this does not fail.
        let _ = self.key(id).encode(&mut bytes);
        text_of(&bytes)
    }

    /// The key in a slot.
    pub(crate) fn key(&self, id: SlotId) -> &K {
        &self.slots[id.at()].key
    }

    /// All slots with a state.
    pub(crate) fn states(&self) -> impl Iterator<Item = (SlotId, &S)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, slot)| Some((SlotId::new(at)?, slot.state.as_ref()?)))
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

    fn set(table: &mut Table<String, u64>, hash: u64, key: &str, state: Option<u64>) {
        let id = table.find_one(hash, &key.to_owned()).unwrap();
        table.update(id, |now| *now = state);
    }

    fn get(table: &mut Table<String, u64>, hash: u64, key: &str) -> Option<u64> {
        let id = table.find_one(hash, &key.to_owned()).unwrap();
        table.update(id, |now| *now)
    }

    #[test]
    fn a_snapshot_holds_what_changed_since_the_last_one() {
        let mut table = Table::new(None);
        set(&mut table, 1, "a", Some(1));
        set(&mut table, 2, "b", Some(2));
        set(&mut table, 1, "a", Some(3));
        assert_eq!(
            rows(&mut table),
            [("a".into(), Some(3)), ("b".into(), Some(2))]
        );
        assert!(rows(&mut table).is_empty());
        set(&mut table, 2, "b", None);
        assert_eq!(rows(&mut table), [("b".into(), None)]);
        assert_eq!(table.index.len(), 1);
    }

    #[test]
    fn keys_that_share_a_hash_are_kept_apart() {
        let mut table = Table::new(None);
        for (key, state) in [("a", 1), ("b", 2), ("c", 3)] {
            set(&mut table, 7, key, Some(state));
        }
        assert_eq!(rows(&mut table).len(), 3);
        set(&mut table, 7, "b", None);
        assert_eq!(rows(&mut table), [("b".into(), None)]);
        assert_eq!(get(&mut table, 7, "a"), Some(1));
        assert_eq!(get(&mut table, 7, "c"), Some(3));
    }

    #[test]
    fn keys_are_forgotten_and_come_back() {
        let mut table = Table::new(None);
        let state = |n: u64, round: u64| (n % 3 != round % 3).then_some(n + round);
        for round in 0..6 {
            // The keys of the upper half share a hash.
            for n in 0..100u64 {
                let hash = n.min(50) << 40;
                set(&mut table, hash, &n.to_string(), state(n, round));
            }
            let written = rows(&mut table);
            assert_eq!(written.len(), 100);
            for (n, (key, value)) in (0u64..).zip(written) {
                assert_eq!((key, value), (n.to_string(), state(n, round)));
            }
            let kept = (0..100).filter(|n| state(*n, round).is_some()).count();
            assert_eq!(table.index.len(), kept);
        }
    }

    #[test]
    fn without_a_store_only_what_is_forgotten_is_looked_at() {
        let mut table: Table<String, u64> = Table::new(None);
        table.write_nothing();
        for n in 0..10u64 {
            set(&mut table, n, &n.to_string(), Some(n));
            set(&mut table, n, &n.to_string(), (n % 2 == 0).then_some(n));
        }
        set(&mut table, 1, "1", Some(1));
        assert_eq!(table.dirty.len(), 5);
        let mut changes = Changes::new();
        table.snapshot(None, &codec(), &mut changes).unwrap();
        assert!(changes.is_empty() && table.dirty.is_empty());
        assert_eq!(table.index.len(), 6);
        assert_eq!(get(&mut table, 1, "1"), Some(1));
        assert_eq!(get(&mut table, 3, "3"), None);
    }

    #[test]
    fn a_batch_finds_old_and_new_keys() {
        let mut table: Table<String, u64> = Table::new(None);
        let mut ids = Vec::new();
        for round in 0..3u64 {
            // Some keys are known already, some share a hash, and some come twice.
            let numbers: Vec<u64> = (50 * round..50 * round + 100).chain(60..160).collect();
            let hashes: Vec<u64> = numbers.iter().map(|n| (n % 70) << 40).collect();
            let keys: Vec<_> = numbers.iter().map(u64::to_string).collect();
            table.find(&hashes, keys.iter(), &mut ids).unwrap();
            assert_eq!(ids.len(), numbers.len());
            for (id, number) in ids.iter().zip(&numbers) {
                assert_eq!(table.slots[id.at()].key, number.to_string());
            }
        }
        assert_eq!(table.slots.len(), 200);
        assert_eq!(table.index.len(), 200);
    }

    /// Looks a key up with the hash that a shuffle gives it.
    fn find<K: Key>(table: &mut Table<K, u64>, key: &K) -> Result<SlotId, KeyError> {
        let mut bytes = Vec::new();
        key.encode(&mut bytes).unwrap();
        table.find_one(flow_store::hash(&bytes), key)
    }

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

    #[test]
    fn a_key_that_equals_another_one_on_any_worker_is_refused() {
        let keys = Arc::new(Keys::new());
        let mut workers: [Table<Caseless, u64>; 2] =
            [(); 2].map(|()| Table::new(Some(keys.clone())));
        let key = |key: &str| Caseless(key.to_owned());
        let id = find(&mut workers[0], &key("A")).unwrap();
        find(&mut workers[1], &key("B")).unwrap();
        find(&mut workers[0], &key("A")).unwrap();
        for table in &mut workers {
            let KeyError::NotKept(error) = find(table, &key("a")).unwrap_err() else {
                panic!();
            };
            let other = "\"A\"".to_owned();
            assert_eq!(error.of(), Some("\"a\""));
            assert_eq!(error.cause(), &CodecError::EqualsAnother { other });
        }
        // A forgotten key has no row, so a key that is equal to it is accepted.
        workers[0].update(id, |state| *state = None);
        let codec = <() as StepState<u64>>::codec();
        workers[0]
            .snapshot(Some(1), &codec, &mut Changes::new())
            .unwrap();
        find(&mut workers[1], &key("a")).unwrap();
    }

    #[test]
    fn without_a_store_keys_are_not_checked() {
        let mut table = Table::new(Some(Arc::new(Keys::new())));
        table.write_nothing();
        find(&mut table, &Caseless("A".to_owned())).unwrap();
        find(&mut table, &Caseless("a".to_owned())).unwrap();
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    struct Id {
        id: u64,
        #[serde(skip)]
        shown: String,
    }

    fn id(id: u64, shown: &str) -> Id {
        let shown = shown.to_owned();
        Id { id, shown }
    }

    #[test]
    fn a_key_that_is_not_what_its_bytes_are_is_refused() {
        let mut table: Table<Id, u64> = Table::new(None);
        find(&mut table, &id(1, "")).unwrap();
        // Its bytes are those of the key in the table.
        let error = find(&mut table, &id(1, "one")).unwrap_err().into_cause();
        let error = error.downcast::<NotKept>().unwrap();
        assert_eq!(error.kind(), Kept::Key);
        assert_eq!(
            error.to_string(),
            "the key {\"id\":1}, of type `Id`, can't be kept: it is not equal to what its bytes \
             are read as\nhelp: a key is identified by its bytes. Write all that `Eq` compares, \
             without `#[serde(skip)]` and as it \
             is, or normalise the key \
             before it becomes one"
        );
        find(&mut table, &id(1, "")).unwrap();
        assert_eq!(table.index.len(), 1);
    }

    #[test]
    fn a_key_that_cannot_be_read_is_refused() {
        #[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(untagged)]
        enum Loose {
            Name(String),
            Wide { wide: u128 },
        }
        let mut table: Table<Loose, u64> = Table::new(None);
        find(&mut table, &Loose::Name("a".to_owned())).unwrap();
        let error = find(&mut table, &Loose::Wide { wide: 1 }).unwrap_err();
        let KeyError::NotKept(error) = error else {
            panic!("{error}");
        };
        assert!(matches!(error.cause(), CodecError::Unreadable(_)));
        assert_eq!(
            error.of(),
            Some("{\"wide\":0x00000000000000000000000000000001}")
        );
    }

    #[test]
    fn a_key_with_other_bytes_each_time_is_refused() {
        use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        #[derive(Clone, PartialEq, Eq, Hash, serde::Deserialize)]
        struct Moving(u64);
        impl serde::Serialize for Moving {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(WRITTEN.fetch_add(1, SeqCst))
            }
        }
        let error = find(&mut Table::new(None), &Moving(7)).unwrap_err();
        let KeyError::NotKept(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.cause(), &CodecError::Unsteady);
    }

    #[test]
    fn a_state_that_cannot_be_read_is_refused_with_its_key() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Cart {
            #[serde(skip_serializing_if = "Option::is_none")]
            note: Option<std::num::NonZeroU8>,
            #[serde(skip_serializing)]
            #[allow(dead_code)]
            total: u64,
        }
        let mut table: Table<u64, Cart> = Table::new(None);
        let id = find_any(&mut table, 7);
        let cart = Cart {
            note: None,
            total: 1,
        };
        table.update(id, |state| *state = Some(cart));
        let codec = <() as StepState<Cart>>::codec();
        let mut changes = Changes::new();
        let error = table.snapshot(Some(1), &codec, &mut changes).unwrap_err();
        assert!(changes.is_empty());
        assert_eq!((error.kind(), error.of()), (Kept::State, Some("7")));
        assert_eq!(
            error.cause(),
            &CodecError::Unreadable("missing field `total`".to_owned())
        );
    }

    fn find_any<S>(table: &mut Table<u64, S>, key: u64) -> SlotId {
        table.find_one(1, &key).unwrap()
    }
}
