//! The keys of a step on all workers, to find two that are equal but have other bytes.

use std::{
    any::Any,
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::Arc,
};

use flow_store::{CodecError, text_of};
use hashbrown::HashTable;

use crate::{
    error::{Kept, NotKept},
    graph::StepIndex,
    lock::{Mutex, MutexGuard},
    record::Key,
};

/// The keys of a step, each with the hash of its bytes.
///
/// The bytes of a key choose its worker, so an equal key with other bytes may be on any other.
pub(crate) struct Keys<K> {
    hasher: RandomState,
    parts: [Part<K>; 64],
}

type Part<K> = Mutex<HashTable<(K, u64)>>;

impl<K: Key> Keys<K> {
    pub(crate) fn new() -> Self {
        Keys {
            hasher: RandomState::new(),
            parts: std::array::from_fn(|_| Part::default()),
        }
    }

    /// The part of the table for a key, and its hash by `Hash`, which equal keys share.
    fn part(&self, key: &K) -> (MutexGuard<'_, HashTable<(K, u64)>>, u64) {
        let hash = self.hasher.hash_one(key);
        let part = &self.parts[(hash >> 32) as usize % self.parts.len()];
        (part.lock(), hash)
    }

    /// Adds a key whose bytes have this hash. Refuses a key that equals one with other bytes.
    pub(crate) fn add(&self, bytes: u64, key: &K) -> Result<(), NotKept> {
        let (mut part, hash) = self.part(key);
        match part.find(hash, |(known, _)| known == key) {
            Some((_, known)) if *known == bytes => Ok(()),
            Some((known, _)) => {
                let other = text(known).unwrap_or_default();
                let error = CodecError::EqualsAnother { other };
                Err(NotKept::new::<K>(Kept::Key, text(key), error))
            }
            None => {
                let again = |(key, _): &(K, u64)| self.hasher.hash_one(key);
                part.insert_unique(hash, (key.clone(), bytes), again);
                Ok(())
            }
        }
    }

    pub(crate) fn remove(&self, key: &K) {
        let (mut part, hash) = self.part(key);
        if let Ok(known) = part.find_entry(hash, |(known, _)| known == key) {
            known.remove();
        }
    }
}

fn text<K: Key>(key: &K) -> Option<String> {
    let mut bytes = Vec::new();
    // An error is not expected, because the key has been encoded before.
    key.encode(&mut bytes).ok().map(|()| text_of(&bytes))
}

/// The keys of all steps. Workers fetch those of their steps while they are built.
#[derive(Default)]
pub(crate) struct AllKeys(Mutex<HashMap<StepIndex, Arc<dyn Any + Send + Sync>>>);

impl AllKeys {
    pub(crate) fn of<K: Key>(&self, step: StepIndex) -> Option<Arc<Keys<K>>> {
        let mut all = self.0.lock();
        let keys = all
            .entry(step)
            .or_insert_with(|| Arc::new(Keys::<K>::new()));
        keys.clone().downcast().ok()
    }
}
