//! The ends of a chain: what is to go to another operator waits here until it is sent.
//!
//! While records move through a fallible chain one by one, whatever a record has put into outlets
//! can be taken back until [`Outlet::settle`] is called at its end. So nothing of a record that
//! fails in any branch ever leaves.

use std::{cell::RefCell, rc::Rc};

use flow_store::{group, hash, worker_of};

use super::{
    At, Consumer, Fault, Wiring,
    parcel::{Keyed, Parcel, Plain},
    pool::Pool,
};
use crate::{
    error::{BoxError, Kept, NotKept},
    record::{Key, Record},
};

/// The input of one step behind a shuffle, by which engine and outlets find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InletId(pub(crate) usize);

/// So many keys of a batch are encoded before they are hashed.
const HASHED: usize = 32;

/// So many records that came one by one are sorted by worker together.
const SORTED: usize = 256;

/// What waits to leave an operator.
pub(crate) trait Outlet {
    /// Where it goes.
    fn inlet(&self) -> InletId;

    /// The worker that gets all of it, where there is only one. It may be another one in the outlets of other workers.
    fn to_one(&self) -> Option<usize> {
        None
    }

    /// The end of a record: what is staged stays.
    fn settle(&mut self);

    /// Takes back all that was staged since the last `settle`.
    fn rollback(&mut self);

    /// Gives up what is staged for each worker, where it is at least `least` records.
    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel));
}

pub(crate) type OutletRef = Rc<RefCell<dyn Outlet>>;

/// The end of a record that has passed all branches of its chain.
pub(crate) fn settle(outlets: &[OutletRef]) {
    for outlet in outlets {
        outlet.borrow_mut().settle();
    }
}

/// Takes a record back that has failed in one of them.
pub(crate) fn rollback(outlets: &[OutletRef]) {
    for outlet in outlets {
        outlet.borrow_mut().rollback();
    }
}

/// Sends each record to the worker that its key belongs to.
///
/// A record's key is encoded when it comes, so that one which can't be is an error of its record. All that
/// have come are hashed and sorted together when they are to leave: a hash would have to wait for bytes that were
/// written right before it, and what is taken back needs no undoing.
pub(crate) struct Shuffle<K, V> {
    inlet: InletId,
    at: At,
    records: Vec<(K, V)>,
    /// The bytes of their keys, one behind the other, and where each ends.
    key_bytes: Vec<u8>,
    key_ends: Vec<usize>,
    hashes: Vec<u64>,
    /// How many of them stay.
    settled: usize,
    /// What has been sorted, for each worker.
    #[allow(clippy::vec_box)] // boxed, as they travel
    staged: Vec<Box<Keyed<K, V>>>,
    pool: Pool<Keyed<K, V>>,
}

impl<K: Key, V: Record> Shuffle<K, V> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach(inlet: InletId, at: At, wiring: &mut Wiring) -> Box<dyn Consumer<(K, V)>> {
        let pool = Pool::new(wiring.workers);
        let outlet = Rc::new(RefCell::new(Shuffle {
            inlet,
            at,
            records: Vec::new(),
            key_bytes: Vec::new(),
            key_ends: Vec::new(),
            hashes: Vec::new(),
            settled: 0,
            staged: (0..wiring.workers).map(|_| pool.take()).collect(),
            pool,
        }));
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }

    #[inline]
    fn encode(&mut self, key: &K) -> Result<(), Fault> {
        if let Err(error) = key.encode(&mut self.key_bytes) {
            return Err(self.not_encoded(error));
        }
        self.key_ends.push(self.key_bytes.len());
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn not_encoded(&self, error: flow_store::CodecError) -> Fault {
        self.at.fault(NotKept::new::<K>(Kept::Key, None, error))
    }

    /// Hashes the keys that have been encoded.
    fn hash(&mut self) {
        let mut start = 0;
        self.hashes.extend(self.key_ends.iter().map(|end| {
            let bytes = self.key_bytes.get(start..*end).unwrap_or_default();
            start = *end;
            hash(bytes)
        }));
        self.key_bytes.clear();
        self.key_ends.clear();
    }

    /// Sorts records, whose keys have been hashed, by worker.
    fn sort(&mut self, records: &mut Vec<(K, V)>) {
        if let [staged] = &mut *self.staged {
            // There is only one worker: the batch goes to it as it is.
            move_all(&mut self.hashes, &mut staged.hashes);
            move_all(records, &mut staged.records);
            return;
        }
        let workers = self.staged.len();
        for (hash, record) in self.hashes.drain(..).zip(records.drain(..)) {
            let staged = &mut self.staged[worker_of(group(hash), workers)];
            staged.hashes.push(hash);
            staged.records.push(record);
        }
    }

    /// Sorts what has come one by one.
    fn sort_all(&mut self) {
        self.hash();
        let mut records = std::mem::take(&mut self.records);
        self.sort(&mut records);
        self.records = records;
        self.settled = 0;
    }
}

/// Moves all records of `from` behind those of `to`; where there are none, the vectors change places.
fn move_all<T>(from: &mut Vec<T>, to: &mut Vec<T>) {
    if to.is_empty() {
        std::mem::swap(from, to);
    } else {
        to.append(from);
    }
}

impl<K: Key, V: Record> Outlet for Shuffle<K, V> {
    fn inlet(&self) -> InletId {
        self.inlet
    }

    fn settle(&mut self) {
        self.settled = self.records.len();
    }

    fn rollback(&mut self) {
        self.records.truncate(self.settled);
        self.key_ends.truncate(self.settled);
        self.key_bytes
            .truncate(self.key_ends.last().copied().unwrap_or(0));
    }

    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel)) {
        if !self.records.is_empty() && self.records.len() >= least.min(SORTED) {
            self.sort_all();
        }
        for (worker, staged) in self.staged.iter_mut().enumerate() {
            if !staged.records.is_empty() && staged.records.len() >= least {
                let full = std::mem::replace(staged, self.pool.take());
                send(Parcel::new(worker, full));
            }
        }
    }
}

/// Sends all records to one worker, as what `format` makes of them.
pub(crate) struct ToOne<T, F> {
    inlet: InletId,
    at: At,
    worker: usize,
    format: F,
    staged: Box<Plain<T>>,
    settled: usize,
    pool: Pool<Plain<T>>,
}

impl<T: Record, F: 'static> ToOne<T, F> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach<P>(
        inlet: InletId,
        at: At,
        worker: usize,
        format: F,
        wiring: &mut Wiring,
    ) -> Box<dyn Consumer<P>>
    where
        F: FnMut(P) -> Result<T, BoxError>,
    {
        let pool = Pool::new(1);
        let outlet = Rc::new(RefCell::new(ToOne {
            inlet,
            at,
            worker,
            format,
            staged: pool.take(),
            settled: 0,
            pool,
        }));
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }
}

impl<T: Record, F> Outlet for ToOne<T, F> {
    fn inlet(&self) -> InletId {
        self.inlet
    }

    fn to_one(&self) -> Option<usize> {
        Some(self.worker)
    }

    fn settle(&mut self) {
        self.settled = self.staged.records.len();
    }

    fn rollback(&mut self) {
        self.staged.records.truncate(self.settled);
    }

    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel)) {
        if !self.staged.records.is_empty() && self.staged.records.len() >= least {
            let full = std::mem::replace(&mut self.staged, self.pool.take());
            send(Parcel::new(self.worker, full));
            self.settled = 0;
        }
    }
}

/// The last step of a chain: puts records into an outlet.
struct Into<O>(Rc<RefCell<O>>);

impl<K: Key, V: Record> Consumer<(K, V)> for Into<Shuffle<K, V>> {
    fn push(&mut self, record: (K, V)) -> Result<(), Fault> {
        let mut outlet = self.0.borrow_mut();
        outlet.at.enter();
        outlet.encode(&record.0)?;
        outlet.records.push(record);
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<(K, V)>) -> Result<(), Fault> {
        let outlet = &mut *self.0.borrow_mut();
        outlet.at.enter();
        // Of a batch nothing is ever taken back.
        outlet.sort_all();
        for some in records.chunks(HASHED) {
            for (key, _) in some {
                outlet.encode(key)?;
            }
            outlet.hash();
        }
        outlet.sort(records);
        Ok(())
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }
}

impl<P, T: Record, F: FnMut(P) -> Result<T, BoxError>> Consumer<P> for Into<ToOne<T, F>> {
    fn push(&mut self, record: P) -> Result<(), Fault> {
        let mut outlet = self.0.borrow_mut();
        outlet.at.enter();
        let item = (outlet.format)(record).map_err(|error| outlet.at.fault(error))?;
        outlet.staged.records.push(item);
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<P>) -> Result<(), Fault> {
        let outlet = &mut *self.0.borrow_mut();
        outlet.at.enter();
        let staged = &mut outlet.staged.records;
        staged.reserve(records.len());
        for record in records.drain(..) {
            staged.push((outlet.format)(record).map_err(|error| outlet.at.fault(error))?);
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chain::{OutletRef, Whereabouts},
        graph::StepIndex,
        run::Skips,
    };

    type Pairs = Vec<(String, u64)>;

    fn shuffle(workers: usize) -> (Box<dyn Consumer<(String, u64)>>, OutletRef) {
        let mut wiring = Wiring {
            worker: 0,
            workers,
            whereabouts: Whereabouts::new(),
            outlets: Vec::new(),
            fallible: true,
            only_first: false,
            may_rest: false,
            rests: false,
            skips: std::sync::Arc::new(Skips::none()),
        };
        let at = wiring.whereabouts.of(StepIndex(0));
        let consumer = Shuffle::attach(InletId(0), at, &mut wiring);
        (consumer, wiring.outlets.remove(0))
    }

    fn record(n: u64) -> (String, u64) {
        (format!("key {}", n % 50), n)
    }

    /// What is sent to each worker, with its hashes looked at.
    fn sent(outlet: &OutletRef, workers: usize, least: usize) -> Vec<Pairs> {
        let mut all = vec![Vec::new(); workers];
        outlet.borrow_mut().send(least, &mut |parcel| {
            let worker = parcel.to();
            let batch = parcel.open::<Keyed<String, u64>>().unwrap();
            assert_eq!(batch.hashes.len(), batch.records.len());
            for (known, (key, _)) in batch.hashes.iter().zip(&batch.records) {
                let mut bytes = Vec::new();
                Key::encode(key, &mut bytes).unwrap();
                assert_eq!(*known, hash(&bytes));
                assert_eq!(worker_of(group(*known), workers), worker);
            }
            all[worker].extend_from_slice(&batch.records);
            super::super::recycle(batch);
        });
        all
    }

    #[test]
    fn records_go_to_their_workers_in_order() {
        for workers in [1, 3] {
            let (mut consumer, outlet) = shuffle(workers);
            for round in 0..3 {
                // Some one by one, some as a batch, and a batch behind those.
                let numbers = round * 1000..round * 1000 + 900;
                for n in numbers.clone().take(300) {
                    consumer.push(record(n)).unwrap();
                    outlet.borrow_mut().settle();
                }
                let mut batch: Vec<_> = numbers.clone().skip(300).map(record).collect();
                consumer.push_batch(&mut batch).unwrap();
                assert!(batch.is_empty());
                let all = sent(&outlet, workers, 1);
                for pairs in &all {
                    assert!(!pairs.is_empty() && pairs.is_sorted_by_key(|(_, n)| *n));
                }
                let mut all: Vec<u64> = all.iter().flatten().map(|(_, n)| *n).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(numbers));
            }
            assert!(sent(&outlet, workers, 1).iter().all(Vec::is_empty));
        }
    }

    #[test]
    fn what_a_failed_record_has_put_in_is_taken_back() {
        for workers in [1, 3] {
            let (mut consumer, outlet) = shuffle(workers);
            let mut kept = Vec::new();
            for n in 0..600 {
                // Several of one record, as through a `flat_map`.
                consumer.push(record(n)).unwrap();
                consumer.push(record(n + 7)).unwrap();
                if n % 5 == 3 {
                    outlet.borrow_mut().rollback();
                } else {
                    outlet.borrow_mut().settle();
                    kept.extend([n, n + 7]);
                }
            }
            let mut all: Vec<u64> = sent(&outlet, workers, 1)
                .concat()
                .iter()
                .map(|r| r.1)
                .collect();
            all.sort_unstable();
            kept.sort_unstable();
            assert_eq!(all, kept);
        }
    }
}
