//! Where the next steps of a stream are attached while a flow is built.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use super::{BoxConsumer, FanOut, OutletRef, Skips, StagedRef, Whereabouts};
use crate::graph::StepIndex;

/// Makes the consumer that was attached to a port.
type Attach<T> = Box<dyn FnOnce(&mut Wiring) -> BoxConsumer<T>>;

/// Copies a record for another branch.
pub(crate) type Duplicate<T> = fn(&T) -> T;

/// The output of a step: what has been attached to it so far.
pub(crate) struct Port<T> {
    attached: RefCell<Vec<Attach<T>>>,
    /// How records are copied where the port has several consumers, and the step that made them.
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

    /// Attaches nothing any more. What is behind a chain that is too long is refused, and must not
    /// overflow the stack when it is dropped.
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
        // In reverse: what is built first runs last, so a step finds in `wiring` what runs after
        // it.
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
    /// From now on the port, the output of `step`, may have several consumers.
    pub(crate) fn allow_fan_out(&self, step: StepIndex, duplicate: Duplicate<T>) {
        self.fork.set(Some((step, duplicate)));
    }
}

/// What is gathered while the chain behind one source or shuffle is made.
pub(crate) struct Wiring {
    /// The worker that the chain runs on.
    pub(crate) worker: usize,
    /// How many workers there are.
    pub(crate) workers: usize,
    pub(crate) whereabouts: Whereabouts,
    /// Every outlet that the chain leads to.
    pub(crate) outlets: Vec<OutletRef>,
    /// What else a push leaves behind.
    pub(crate) others: Vec<StagedRef>,
    /// The steps of the chain that may fail. No step rests that runs before one of them, so that
    /// nothing of a record leaves before it has passed them all.
    pub(crate) fallible: BTreeSet<StepIndex>,
    /// Whether the chain leads to a shuffle by a key that may have no bytes, which is a failure of
    /// its record too.
    pub(crate) keys_may_fail: bool,
    /// Whether a step may rest while it makes many records of one, so that what it has made is sent
    /// and taken in meanwhile. Not in a chain that several streams lead into: what rests belongs to
    /// the epoch of one of them.
    pub(crate) may_rest: bool,
    /// Whether there is such a step.
    pub(crate) rests: bool,
    pub(crate) skips: Arc<Skips>,
}

impl Wiring {
    pub(crate) fn new(
        worker: usize,
        workers: usize,
        whereabouts: Whereabouts,
        skips: Arc<Skips>,
    ) -> Self {
        Wiring {
            worker,
            workers,
            whereabouts,
            outlets: Vec::new(),
            others: Vec::new(),
            fallible: BTreeSet::new(),
            keys_may_fail: false,
            may_rest: false,
            rests: false,
            skips,
        }
    }

    /// All that a push leaves behind in the chain.
    pub(crate) fn pushed(&self) -> Pushed {
        Pushed {
            outlets: self.outlets.clone(),
            others: self.others.clone(),
        }
    }
}

/// All that a source's push leaves behind in its chain.
pub(crate) struct Pushed {
    outlets: Vec<OutletRef>,
    others: Vec<StagedRef>,
}

impl Pushed {
    /// The end of a push: what it has left stays.
    pub(crate) fn settle(&self) {
        for outlet in &self.outlets {
            outlet.borrow_mut().settle();
        }
        for other in &self.others {
            other.borrow_mut().settle();
        }
    }

    /// The end of a push whose record at `place` failed: what came from it and from later ones is
    /// taken back.
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
