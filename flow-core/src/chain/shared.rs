//! The chain behind a `merge`, which several streams lead into.
//!
//! All operators of a worker run on its thread, one after the other, so they can share the steps
//! behind a merge. That keeps a failure there exact: the record is still on the chain of its
//! source.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use super::{Batch, BoxConsumer, Consumer, Fault, OutletRef, Port, StagedRef, Wiring};
use crate::{
    graph::StepIndex,
    time::{ClockRef, add_clocks},
};

/// One consumer with several owners.
pub(crate) struct Shared<T>(Rc<RefCell<BoxConsumer<T>>>);

/// The chain behind a merge. The first input makes it, and the others reuse it.
pub(crate) struct Merge<T> {
    port: Rc<Port<T>>,
    made: RefCell<Option<Made<T>>>,
}

struct Made<T> {
    chain: Rc<RefCell<BoxConsumer<T>>>,
    outlets: Vec<OutletRef>,
    others: Vec<StagedRef>,
    fallible: BTreeSet<StepIndex>,
    keys_may_fail: bool,
    locates: bool,
    clocks: Vec<ClockRef>,
}

impl<T: 'static> Shared<T> {
    /// Attaches `port` behind each of `inputs`.
    pub(crate) fn merge(inputs: &[&Port<T>], port: Rc<Port<T>>) {
        let merge = Rc::new(Merge {
            port,
            made: RefCell::new(None),
        });
        for input in inputs {
            let merge = merge.clone();
            input.attach(move |wiring| Box::new(Shared(merge.chain(wiring))));
        }
    }
}

impl<T: 'static> Merge<T> {
    fn chain(&self, wiring: &mut Wiring) -> Rc<RefCell<BoxConsumer<T>>> {
        let mut made = self.made.borrow_mut();
        let made = made.get_or_insert_with(|| {
            // No step behind a merge may rest: its rest would belong to the epoch of only one
            // input.
            let mut own = Wiring::new(
                wiring.worker,
                wiring.workers,
                wiring.whereabouts.clone(),
                wiring.locator.clone(),
                wiring.skips.clone(),
            );
            own.clocks.leading.clone_from(&wiring.clocks.leading);
            let chain = self.port.build(&mut own);
            Made {
                chain: Rc::new(RefCell::new(chain)),
                outlets: own.outlets,
                others: own.others,
                fallible: own.fallible,
                keys_may_fail: own.keys_may_fail,
                locates: own.locates,
                clocks: own.clocks.all,
            }
        });
        wiring.fallible.extend(&made.fallible);
        wiring.keys_may_fail |= made.keys_may_fail;
        wiring.locates |= made.locates;
        add_clocks(&mut wiring.clocks.all, &made.clocks);
        for outlet in &made.outlets {
            outlet.borrow_mut().lead(&wiring.clocks.leading);
            // Two branches of one source may meet here, so an outlet may be known already.
            if !wiring.outlets.iter().any(|known| Rc::ptr_eq(known, outlet)) {
                wiring.outlets.push(outlet.clone());
            }
        }
        for other in &made.others {
            if !wiring.others.iter().any(|known| Rc::ptr_eq(known, other)) {
                wiring.others.push(other.clone());
            }
        }
        made.chain.clone()
    }
}

impl<T> Consumer<T> for Shared<T> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        // If branches meet again several times in a row, empty batches would double each time.
        if batch.is_empty() {
            return Ok(());
        }
        self.0.borrow_mut().push_batch(batch)
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        // No step behind a merge rests.
        Ok(false)
    }
}
