//! Outlets: the ends of a chain, where records wait until they are sent to another operator.
//!
//! What a source's push has put into outlets can be taken back until [`Staged::settle`] is called
//! at its end. So if a record fails in any branch, nothing of it leaves.

use std::{cell::RefCell, rc::Rc};

use flow_store::{group, hash, worker_of};

use super::{
    Batch, Carried, Consumer, Fault, StepContext, Wiring,
    batch::Parents,
    parcel::{Keyed, Parcel, Plain},
    pool::Pool,
};
use crate::{
    error::{BoxError, Kept, NotKept},
    record::{Key, Record},
    time::{ClockRef, TimeKind, add_clocks},
};

/// The number of the input of a step behind a shuffle, by which engine and outlets find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InletId(pub(crate) usize);

/// Number of keys encoded per round before hashing.
const HASHED: usize = 32;

/// What a push leaves behind. It can be taken back until it is settled.
pub(crate) trait Staged {
    /// Ends a push: what is staged stays.
    fn settle(&mut self);

    /// Takes back what was staged since the last `settle` and came from the source's record at
    /// `place` or from later ones.
    fn take_back(&mut self, place: u32);
}

pub(crate) type StagedRef = Rc<RefCell<dyn Staged>>;

/// Records that wait to leave an operator.
pub(crate) trait Outlet: Staged {
    /// The inlet that they go to.
    fn inlet(&self) -> InletId;

    /// The worker that gets all of them, if there is only one. The outlets of other workers may
    /// have another.
    fn to_one(&self) -> Option<usize> {
        None
    }

    /// Notes that these clocks lead here.
    fn lead(&mut self, clocks: &[ClockRef]) {
        let _ = clocks;
    }

    /// The clocks that lead here.
    fn clocks(&self) -> &[ClockRef] {
        &[]
    }

    /// Sends what is settled for each worker, if that is at least `least` records.
    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel));
}

pub(crate) type OutletRef = Rc<RefCell<dyn Outlet>>;

/// Sends each record to the worker that its key belongs to.
///
/// Keys are encoded and hashed when their records arrive, so a key that can't be encoded is an
/// error of its record. Records are sorted by worker when they are settled.
pub(crate) struct Shuffle<K, V, Time> {
    inlet: InletId,
    at: StepContext,
    /// The records that are not settled, and the hashes of their keys.
    pending: Batch<Carried<V, K, Time>>,
    hashes: Vec<u64>,
    /// The bytes of the keys of one round, one after the other, and the end of each.
    key_bytes: Vec<u8>,
    key_ends: Vec<usize>,
    /// The settled records, for each worker.
    #[allow(clippy::vec_box)] // boxed, as they travel
    staged: Vec<Box<Keyed<K, V, Time>>>,
    pool: Pool<Keyed<K, V, Time>>,
    clocks: Vec<ClockRef>,
}

impl<K: Key, V: Record, Time: TimeKind> Shuffle<K, V, Time> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach(
        inlet: InletId,
        at: StepContext,
        wiring: &mut Wiring,
    ) -> Box<dyn Consumer<Carried<V, K, Time>>> {
        let pool = Pool::new(wiring.workers);
        let outlet = Rc::new(RefCell::new(Shuffle {
            inlet,
            at,
            pending: Batch::new(),
            hashes: Vec::new(),
            key_bytes: Vec::new(),
            key_ends: Vec::new(),
            staged: (0..wiring.workers).map(|_| pool.take()).collect(),
            pool,
            clocks: match Time::IS_TIMED {
                true => wiring.clocks.leading.clone(),
                false => Vec::new(),
            },
        }));
        wiring.keys_may_fail |= !K::is_plain();
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }

    /// Encodes and hashes the keys of a batch, up to the first one that can't be encoded. That
    /// record and those behind it are dropped.
    fn hash_keys(&mut self, batch: &mut Batch<Carried<V, K, Time>>) -> Result<(), Fault> {
        let Shuffle {
            at,
            hashes,
            key_bytes,
            key_ends,
            ..
        } = self;
        key_bytes.clear();
        key_ends.clear();
        let encoded = batch.look(at, |(_, (key, _))| {
            if key_ends.len() == HASHED {
                hash_all(key_bytes, key_ends, hashes);
            }
            key.encode(key_bytes)
                .map_err(|error| not_encoded::<K>(at, error))?;
            key_ends.push(key_bytes.len());
            Ok(())
        });
        hash_all(key_bytes, key_ends, hashes);
        encoded
    }

    /// Sorts records, whose keys have been hashed, by worker.
    fn sort(&mut self, batch: &mut Batch<Carried<V, K, Time>>) {
        let records = &mut batch.records;
        if let [staged] = &mut *self.staged {
            // With only one worker, the batch is moved as a whole.
            move_all(&mut self.hashes, &mut staged.hashes);
            move_all(records, &mut staged.records);
        } else {
            let workers = self.staged.len();
            for (hash, record) in self.hashes.drain(..).zip(records.drain(..)) {
                let staged = &mut self.staged[worker_of(group(hash), workers)];
                staged.hashes.push(hash);
                staged.records.push(record);
            }
        }
        batch.clear();
    }
}

#[cold]
#[inline(never)]
fn not_encoded<K>(at: &StepContext, error: flow_store::CodecError) -> Fault {
    at.fault(NotKept::new::<K>(Kept::Key, None, error))
}

/// Hashes the keys that have been encoded.
fn hash_all(bytes: &mut Vec<u8>, ends: &mut Vec<usize>, hashes: &mut Vec<u64>) {
    let mut start = 0;
    hashes.extend(ends.iter().map(|end| {
        let key = bytes.get(start..*end).unwrap_or_default();
        start = *end;
        hash(key)
    }));
    bytes.clear();
    ends.clear();
}

/// Moves all records of `from` behind those of `to`. If `to` is empty, the vectors are swapped.
fn move_all<T>(from: &mut Vec<T>, to: &mut Vec<T>) {
    if to.is_empty() {
        std::mem::swap(from, to);
    } else {
        to.append(from);
    }
}

impl<K: Key, V: Record, Time: TimeKind> Staged for Shuffle<K, V, Time> {
    fn settle(&mut self) {
        let mut pending = std::mem::replace(&mut self.pending, Batch::new());
        self.sort(&mut pending);
        self.pending = pending;
    }

    fn take_back(&mut self, place: u32) {
        let parents = self.pending.retain_before(place);
        let mut kept = parents.iter();
        self.hashes
            .retain(|_| kept.next().copied().unwrap_or(false));
    }
}

impl<K: Key, V: Record, Time: TimeKind> Outlet for Shuffle<K, V, Time> {
    fn inlet(&self) -> InletId {
        self.inlet
    }

    fn lead(&mut self, clocks: &[ClockRef]) {
        if Time::IS_TIMED {
            add_clocks(&mut self.clocks, clocks);
        }
    }

    fn clocks(&self) -> &[ClockRef] {
        &self.clocks
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

/// Formats all records with `format`, and sends the results to one worker.
pub(crate) struct ToOne<T, F> {
    inlet: InletId,
    at: StepContext,
    worker: usize,
    format: F,
    staged: Box<Plain<T>>,
    /// The number of items that are settled, and the parents of the others.
    settled: usize,
    parents: Parents,
    pool: Pool<Plain<T>>,
}

impl<T: Record, F: 'static> ToOne<T, F> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach<P>(
        inlet: InletId,
        at: StepContext,
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
            parents: Parents::Unknown,
            pool,
        }));
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }
}

impl<T: Record, F> Staged for ToOne<T, F> {
    fn settle(&mut self) {
        self.settled = self.staged.records.len();
    }

    fn take_back(&mut self, place: u32) {
        let mut index = 0_usize;
        let (settled, parents) = (self.settled, &self.parents);
        self.staged.records.retain(|_| {
            let parent = index.checked_sub(settled).map(|place| parents.get(place));
            index += 1;
            parent.is_none_or(|parent| parent.is_before(place))
        });
        self.settle();
    }
}

impl<T: Record, F> Outlet for ToOne<T, F> {
    fn inlet(&self) -> InletId {
        self.inlet
    }

    fn to_one(&self) -> Option<usize> {
        Some(self.worker)
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

impl<K: Key, V: Record, Time: TimeKind> Consumer<Carried<V, K, Time>>
    for Into<Shuffle<K, V, Time>>
{
    fn push_batch(&mut self, batch: &mut Batch<Carried<V, K, Time>>) -> Result<(), Fault> {
        let outlet = &mut *self.0.borrow_mut();
        outlet.at.enter();
        let hashed = outlet.hash_keys(batch);
        if batch.is_tracked() {
            outlet.pending.append(batch);
        } else {
            outlet.sort(batch);
        }
        hashed
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }
}

impl<P, T: Record, F: FnMut(P) -> Result<T, BoxError>> Consumer<P> for Into<ToOne<T, F>> {
    fn push_batch(&mut self, batch: &mut Batch<P>) -> Result<(), Fault> {
        let outlet = &mut *self.0.borrow_mut();
        let staged = &mut outlet.staged.records;
        let (before, more) = (staged.len() - outlet.settled, batch.len());
        staged.reserve(more);
        outlet.parents.append(before, &batch.parents, more);
        for (record, parent) in batch.drain(&outlet.at) {
            let item = (outlet.format)(record);
            staged.push(item.map_err(|error| outlet.at.fault(error).of(parent))?);
        }
        if !batch.is_tracked() {
            outlet.settled = staged.len();
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
        chain::{Batch, BoxConsumer, Locator, OutletRef, Skips, Whereabouts},
        graph::StepIndex,
        time::EventTime,
    };

    type Timed = Carried<u64, String, EventTime>;
    type Pairs = Vec<(String, u64)>;

    fn shuffle(workers: usize) -> (BoxConsumer<Timed>, OutletRef) {
        let skips = std::sync::Arc::new(Skips::none());
        let mut wiring = Wiring::new(0, workers, Whereabouts::new(), Locator::default(), skips);
        let at = wiring.whereabouts.of(StepIndex(0));
        let consumer = Shuffle::attach(InletId(0), at, &mut wiring);
        (consumer, wiring.outlets.remove(0))
    }

    fn record(n: u64) -> Timed {
        (time(n), (format!("key {}", n % 50), n))
    }

    fn time(n: u64) -> EventTime {
        let at = i64::try_from(n).unwrap() - 1000;
        EventTime { at, behind: n % 3 }
    }

    /// The records sent to each worker, once their times and hashes are checked.
    fn sent(outlet: &OutletRef, workers: usize, least: usize) -> Vec<Pairs> {
        let mut all = vec![Vec::new(); workers];
        outlet.borrow_mut().send(least, &mut |parcel| {
            let worker = parcel.to();
            let batch = parcel.open::<Keyed<String, u64, EventTime>>().unwrap();
            assert_eq!(batch.hashes.len(), batch.records.len());
            for (known, (at, (key, n))) in batch.hashes.iter().zip(&batch.records) {
                assert_eq!((at.at, at.behind), (time(*n).at, time(*n).behind));
                let mut bytes = Vec::new();
                Key::encode(key, &mut bytes).unwrap();
                assert_eq!(*known, hash(&bytes));
                assert_eq!(worker_of(group(*known), workers), worker);
            }
            all[worker].extend(batch.records.iter().map(|(_, pair)| pair.clone()));
            super::super::recycle(batch);
        });
        all
    }

    #[test]
    fn records_go_to_their_workers_in_order() {
        for workers in [1, 3] {
            let (mut consumer, outlet) = shuffle(workers);
            for round in 0..3 {
                // There are several batches of a push, and one behind a shuffle.
                let numbers = round * 1000..round * 1000 + 900;
                for from in [0, 100] {
                    let records = numbers.clone().skip(from).take(100 + from).map(record);
                    let mut batch = Batch::of_source(records.collect());
                    consumer.push_batch(&mut batch).unwrap();
                    assert!(batch.is_empty());
                }
                outlet.borrow_mut().settle();
                let mut batch = Batch::untracked(numbers.clone().skip(300).map(record).collect());
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
    fn what_came_from_a_failed_record_and_later_ones_is_taken_back() {
        for (workers, failed) in [(1, 0), (1, 300), (3, 1), (3, 599), (3, 600)] {
            let (mut consumer, outlet) = shuffle(workers);
            // These are two branches of one push. The second makes two of some records.
            let mut twice = Batch::new();
            let mut push = Batch::of_source((0..600).collect());
            let at = Whereabouts::new().of(StepIndex(1));
            twice.restart(&push);
            for (n, parent) in push.drain(&at) {
                twice.push(record(n + 1000), parent);
                if n % 3 == 0 {
                    twice.push(record(n + 2000), parent);
                }
            }
            let mut once = Batch::of_source((0..600).map(record).collect());
            consumer.push_batch(&mut once).unwrap();
            consumer.push_batch(&mut twice).unwrap();
            outlet.borrow_mut().take_back(failed);
            outlet.borrow_mut().settle();
            let mut all: Vec<u64> = sent(&outlet, workers, 1)
                .concat()
                .iter()
                .map(|(_, n)| *n)
                .collect();
            all.sort_unstable();
            let numbers = 0..u64::from(failed);
            let first = numbers.clone().chain(numbers.clone().map(|n| n + 1000));
            let second = numbers.filter(|n| n % 3 == 0).map(|n| n + 2000);
            assert!(
                all.into_iter().eq(first.chain(second)),
                "{workers}, {failed}"
            );
        }
    }
}
