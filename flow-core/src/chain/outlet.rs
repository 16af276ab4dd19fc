//! The ends of a chain: what is to go to another operator waits here until it is sent.
//!
//! While records move through a fallible chain one by one, whatever a record has put into outlets
//! can be taken back until [`Outlet::settle`] is called at its end. So nothing of a record that
//! fails in any branch ever leaves.

use std::{cell::RefCell, rc::Rc};

use flow_store::{CodecError, group, hash, worker_of};

use super::{
    At, Consumer, Fault, Wiring,
    parcel::{Keyed, Parcel, Plain},
    pool::Pool,
};
use crate::{
    error::BoxError,
    record::{Key, Record},
};

/// The input of one step behind a shuffle, by which engine and outlets find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InletId(pub(crate) usize);

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
pub(crate) struct Shuffle<K, V> {
    inlet: InletId,
    at: At,
    /// For each worker.
    staged: Vec<Box<Keyed<K, V>>>,
    /// The workers that got something since the last `settle`, in order.
    unsettled: Vec<usize>,
    keys: KeyHashes,
    pool: Pool<Keyed<K, V>>,
}

impl<K: Key, V: Record> Shuffle<K, V> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach(inlet: InletId, at: At, wiring: &mut Wiring) -> Box<dyn Consumer<(K, V)>> {
        let pool = Pool::new(wiring.workers);
        let outlet = Rc::new(RefCell::new(Shuffle {
            inlet,
            at,
            staged: (0..wiring.workers).map(|_| pool.take()).collect(),
            unsettled: Vec::new(),
            keys: KeyHashes::default(),
            pool,
        }));
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }

    fn worker(&self, hash: u64) -> usize {
        worker_of(group(hash), self.staged.len())
    }

    fn push(&mut self, record: (K, V)) -> Result<(), Fault> {
        let hash = self.keys.one(&record.0);
        let hash = hash.map_err(|error| self.at.fault(error))?;
        let worker = self.worker(hash);
        let staged = &mut self.staged[worker];
        staged.hashes.push(hash);
        staged.records.push(record);
        self.unsettled.push(worker);
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<(K, V)>) -> Result<(), Fault> {
        if let [staged] = &mut *self.staged {
            // There is only one worker: the batch goes to it as it is.
            let hashed = self.keys.all(records, &mut staged.hashes);
            hashed.map_err(|error| self.at.fault(error))?;
            move_all(records, &mut staged.records);
            return Ok(());
        }
        let mut hashes = std::mem::take(&mut self.keys.hashes);
        let hashed = self.keys.all(records, &mut hashes);
        hashed.map_err(|error| self.at.fault(error))?;
        for (hash, record) in hashes.drain(..).zip(records.drain(..)) {
            let worker = self.worker(hash);
            let staged = &mut self.staged[worker];
            staged.hashes.push(hash);
            staged.records.push(record);
        }
        self.keys.hashes = hashes;
        Ok(())
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
        self.unsettled.clear();
    }

    fn rollback(&mut self) {
        for worker in self.unsettled.drain(..) {
            self.staged[worker].hashes.pop();
            self.staged[worker].records.pop();
        }
    }

    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel)) {
        for (worker, staged) in self.staged.iter_mut().enumerate() {
            if !staged.records.is_empty() && staged.records.len() >= least {
                let full = std::mem::replace(staged, self.pool.take());
                send(Parcel::new(worker, full));
            }
        }
    }
}

/// Hashes keys over their bytes.
#[derive(Default)]
struct KeyHashes {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Room for the hashes of a batch.
    hashes: Vec<u64>,
}

impl KeyHashes {
    fn one<K: Key>(&mut self, key: &K) -> Result<u64, CodecError> {
        self.bytes.clear();
        key.encode(&mut self.bytes)?;
        Ok(hash(&self.bytes))
    }

    /// Appends the hash of each record's key, or nothing where one can't be encoded.
    fn all<K: Key, V>(
        &mut self,
        records: &[(K, V)],
        hashes: &mut Vec<u64>,
    ) -> Result<(), CodecError> {
        self.bytes.clear();
        self.ends.clear();
        // All keys are encoded before the first is hashed: the processor would have to wait for bytes that it
        // reads as words right after they were written one by one.
        for (key, _) in records {
            key.encode(&mut self.bytes)?;
            self.ends.push(self.bytes.len());
        }
        let mut start = 0;
        hashes.extend(self.ends.iter().map(|end| {
            let bytes = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            hash(bytes)
        }));
        Ok(())
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
        outlet.push(record)
    }

    fn push_batch(&mut self, records: &mut Vec<(K, V)>) -> Result<(), Fault> {
        let mut outlet = self.0.borrow_mut();
        outlet.at.enter();
        outlet.push_batch(records)
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
}
