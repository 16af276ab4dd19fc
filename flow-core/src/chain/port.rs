//! Ports, to which the next steps of a stream are attached while a flow is built.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use super::{BoxConsumer, FanOut, Locator, OutletRef, Skips, StagedRef, Whereabouts};
use crate::{graph::StepIndex, time::Clocks};

/// Makes the consumer that was attached to a port.
type Attach<T> = Box<dyn FnOnce(&mut Wiring) -> BoxConsumer<T>>;

/// Copies a record for another branch.
pub(crate) type Duplicate<T> = fn(&T) -> T;

/// The output of a step, with the consumers attached to it so far.
pub(crate) struct Port<T> {
    attached: RefCell<Vec<Attach<T>>>,
    /// How records are copied if the port has several consumers, and the step that made them.
    fork: Cell<Option<(StepIndex, Duplicate<T>)>>,
    closed: Cell<bool>,
}

impl<T: 'static> Port<T> {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Port {
            attached: RefCell::new(Vec::new()),
            fork: Cell::new(None),
            closed: Cell::new(false),
        })
    }

    /// Makes the port ignore further consumers. They are behind a chain that is too long, which is
    /// refused, and must not overflow the stack when it is dropped.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    pub(crate) fn attach(&self, consumer: impl FnOnce(&mut Wiring) -> BoxConsumer<T> + 'static) {
        if self.closed.get() {
            return;
        }
        self.attached.borrow_mut().push(Box::new(consumer));
    }

    /// Makes the chain behind this port. Called once, by the step whose output it is.
    pub(crate) fn build(&self, wiring: &mut Wiring) -> BoxConsumer<T> {
        let attached = std::mem::take(&mut *self.attached.borrow_mut());
        // Consumers are built in reverse, so that a step finds in `wiring` what runs after it.
        let mut consumers: Vec<_> = attached
            .into_iter()
            .rev()
            .map(|make| make(wiring))
            .collect();
        consumers.reverse();
        match (consumers.len(), self.fork.get()) {
            (1, _) => consumers.remove(0),
            (_, Some((step, duplicate))) => {
                let at = wiring.whereabouts.of(step);
                Box::new(FanOut::new(at, consumers, duplicate))
            }
            // Only a cloned stream can be used twice, and an unused one is refused before this.
            (_, None) => Box::new(super::fan_out::Nowhere),
        }
    }
}

impl<T> Port<T> {
    /// Allows several consumers on the port, which is the output of `step`.
    pub(crate) fn allow_fan_out(&self, step: StepIndex, duplicate: Duplicate<T>) {
        self.fork.set(Some((step, duplicate)));
    }
}

/// What the steps of the chain behind one source or shuffle share while it is built.
pub(crate) struct Wiring {
    /// The worker that the chain runs on.
    pub(crate) worker: usize,
    /// The number of workers.
    pub(crate) workers: usize,
    pub(crate) whereabouts: Whereabouts,
    pub(crate) locator: Locator,
    /// Whether a step of the chain asks for the positions of records.
    pub(crate) locates: bool,
    /// Every outlet that the chain leads to.
    pub(crate) outlets: Vec<OutletRef>,
    /// What else a push leaves behind, such as counts of skipped records.
    pub(crate) others: Vec<StagedRef>,
    /// The steps of the chain that may fail. A step that runs before one of them does not rest, so
    /// that nothing of a record leaves before it has passed them all.
    pub(crate) fallible: BTreeSet<StepIndex>,
    /// Whether the chain leads to a shuffle by a key that may fail to be encoded, which is a
    /// failure of its record.
    pub(crate) keys_may_fail: bool,
    /// Whether a step that makes many records of one may rest, so that its results are sent and
    /// received meanwhile. No step may rest in a chain that a merge leads into: its rest would
    /// belong to the epoch of only one of the inputs.
    pub(crate) may_rest: bool,
    /// Whether the chain has a step that may rest.
    pub(crate) rests: bool,
    pub(crate) skips: Arc<Skips>,
    pub(crate) clocks: Clocks,
}

impl Wiring {
    pub(crate) fn new(
        worker: usize,
        workers: usize,
        whereabouts: Whereabouts,
        locator: Locator,
        skips: Arc<Skips>,
    ) -> Self {
        Wiring {
            worker,
            workers,
            whereabouts,
            locator,
            locates: false,
            outlets: Vec::new(),
            others: Vec::new(),
            fallible: BTreeSet::new(),
            keys_may_fail: false,
            may_rest: false,
            rests: false,
            skips,
            clocks: Clocks::default(),
        }
    }

    /// Everything that a push will leave behind in the chain.
    pub(crate) fn pushed(&self) -> Pushed {
        Pushed {
            outlets: self.outlets.clone(),
            others: self.others.clone(),
        }
    }
}

/// Everything that a source's push leaves behind in its chain.
pub(crate) struct Pushed {
    outlets: Vec<OutletRef>,
    others: Vec<StagedRef>,
}

impl Pushed {
    /// Ends a push: everything that it has left behind stays.
    pub(crate) fn settle(&self) {
        for outlet in &self.outlets {
            outlet.borrow_mut().settle();
        }
        for other in &self.others {
            other.borrow_mut().settle();
        }
    }

    /// Ends a push whose record at `place` failed: what came from this record and from later ones
    /// is taken back.
    pub(crate) fn settle_before(&self, place: u32) {
        for outlet in &self.outlets {
            outlet.borrow_mut().take_back(place);
        }
        for other in &self.others {
            other.borrow_mut().take_back(place);
        }
        self.settle();
    }
}
