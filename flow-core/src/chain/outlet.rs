//! The ends of a chain: what is to go to another operator waits here until it is sent.
//!
//! While records move through a fallible chain one by one, whatever a record has put into outlets
//! can be taken back until [`Outlet::settle`] is called at its end. So nothing of a record that
//! fails in any branch ever leaves.

use std::{cell::RefCell, rc::Rc};

use flow_store::{group, hash, worker_of};

use super::{
    At, Consumer, Fault, Wiring,
    parcel::{Keyed, Parcel, Plain, Routed},
};
use crate::record::{Key, Record};

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
    staged: Vec<Vec<Routed<K, V>>>,
    /// The workers that got something since the last `settle`, in order.
    unsettled: Vec<usize>,
    key_bytes: Vec<u8>,
}

impl<K: Key, V: Record> Shuffle<K, V> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach(inlet: InletId, at: At, wiring: &mut Wiring) -> Box<dyn Consumer<(K, V)>> {
        let outlet = Rc::new(RefCell::new(Shuffle {
            inlet,
            at,
            staged: (0..wiring.workers).map(|_| Vec::new()).collect(),
            unsettled: Vec::new(),
            key_bytes: Vec::new(),
        }));
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }

    fn route(&mut self, (key, value): (K, V)) -> Result<usize, Fault> {
        self.key_bytes.clear();
        if let Err(error) = key.encode(&mut self.key_bytes) {
            return Err(self.at.fault(error));
        }
        let hash = hash(&self.key_bytes);
        let worker = worker_of(group(hash), self.staged.len());
        self.staged[worker].push(Routed { hash, key, value });
        Ok(worker)
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
        for worker in self.unsettled.drain(..).rev() {
            self.staged[worker].pop();
        }
    }

    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel)) {
        for (worker, staged) in self.staged.iter_mut().enumerate() {
            if !staged.is_empty() && staged.len() >= least {
                send(Parcel::new(worker, Keyed(std::mem::take(staged))));
            }
        }
    }
}

/// Sends all records to one worker.
pub(crate) struct ToOne<T> {
    inlet: InletId,
    at: At,
    worker: usize,
    staged: Vec<T>,
    settled: usize,
}

impl<T: Record> ToOne<T> {
    /// Makes the outlet and the consumer that fills it.
    pub(crate) fn attach(
        inlet: InletId,
        at: At,
        worker: usize,
        wiring: &mut Wiring,
    ) -> Box<dyn Consumer<T>> {
        let outlet = Rc::new(RefCell::new(ToOne {
            inlet,
            at,
            worker,
            staged: Vec::new(),
            settled: 0,
        }));
        wiring.outlets.push(outlet.clone());
        Box::new(Into(outlet))
    }
}

impl<T: Record> Outlet for ToOne<T> {
    fn inlet(&self) -> InletId {
        self.inlet
    }

    fn to_one(&self) -> Option<usize> {
        Some(self.worker)
    }

    fn settle(&mut self) {
        self.settled = self.staged.len();
    }

    fn rollback(&mut self) {
        self.staged.truncate(self.settled);
    }

    fn send(&mut self, least: usize, send: &mut dyn FnMut(Parcel)) {
        if !self.staged.is_empty() && self.staged.len() >= least {
            send(Parcel::new(
                self.worker,
                Plain(std::mem::take(&mut self.staged)),
            ));
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
        let worker = outlet.route(record)?;
        outlet.unsettled.push(worker);
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<(K, V)>) -> Result<(), Fault> {
        let mut outlet = self.0.borrow_mut();
        outlet.at.enter();
        for record in records.drain(..) {
            outlet.route(record)?;
        }
        Ok(())
    }
}

impl<T: Record> Consumer<T> for Into<ToOne<T>> {
    fn push(&mut self, record: T) -> Result<(), Fault> {
        let mut outlet = self.0.borrow_mut();
        outlet.at.enter();
        outlet.staged.push(record);
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        let mut outlet = self.0.borrow_mut();
        outlet.at.enter();
        outlet.staged.append(records);
        Ok(())
    }
}
