//! Chains: the steps between a source or shuffle and the next shuffle.
//!
//! The steps of a chain are consumers, each of which owns the next. One call moves a batch through
//! all of them. A chain ends in outlets, which hold records until the operator sends them.

mod batch;
mod fan_out;
mod locator;
mod origin;
mod outlet;
mod parcel;
mod pool;
mod port;
mod shared;
mod skips;
mod stop;

pub(crate) use batch::{Batch, Parent};
pub(crate) use fan_out::{Branches, FanOut};
pub(crate) use locator::Locator;
pub(crate) use origin::FaultOrigin;
pub(crate) use outlet::{InletId, OutletRef, Shuffle, Staged, StagedRef, ToOne};
pub(crate) use parcel::{Keyed, Parcel, Plain};
pub(crate) use pool::recycle;
pub(crate) use port::{Port, Pushed, Wiring};
pub(crate) use shared::Shared;
pub(crate) use skips::Skips;
pub(crate) use stop::{Stop, StopFlag};

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    error::{BoxError, SinkError},
    graph::StepIndex,
};

/// A step of a chain.
pub(crate) trait Consumer<T> {
    /// Processes all records of a batch in order, passes on the results, and leaves the batch
    /// empty.
    ///
    /// After a failure whose [parent](Fault::parent) is known, everything that came from earlier
    /// parents has been passed on.
    ///
    /// A step that makes many records of one [may rest](Wiring::may_rest) before it has passed on
    /// all of them. Then nothing may be pushed before [`resume`](Consumer::resume) has returned
    /// false.
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault>;

    /// Processes a bounded part of what a batch has left behind. Returns false when nothing is
    /// left.
    fn resume(&mut self) -> Result<bool, Fault>;
}

pub(crate) type BoxConsumer<T> = Box<dyn Consumer<T>>;

/// A record of a [`Stream<T, Key, Time>`](crate::Stream).
///
/// Key and value are a pair in it, so that a keyed step can look at the pair in place.
pub(crate) type Carried<T, Key, Time> = (Time, (Key, T));

/// A failure in a step.
#[derive(Debug)]
pub(crate) struct Fault(Box<Details>);

#[derive(Debug)]
struct Details {
    step: StepIndex,
    cause: BoxError,
    parent: Option<u32>,
    origin: Option<FaultOrigin>,
}

impl Fault {
    pub(crate) fn new(step: StepIndex, cause: impl Into<BoxError>) -> Self {
        Fault(Box::new(Details {
            step,
            cause: cause.into(),
            parent: None,
            origin: None,
        }))
    }

    /// The failure of a record with this parent.
    pub(crate) fn of(mut self, parent: Parent) -> Self {
        self.0.parent = parent.place();
        self
    }

    /// The place, within the source's push, of the record that failed. It is known before the first
    /// shuffle; then nothing that came from this record or from later ones need leave.
    pub(crate) fn parent(&self) -> Option<u32> {
        self.0.parent
    }

    pub(crate) fn step(&self) -> StepIndex {
        self.0.step
    }

    /// Sets the origin of the records among which one failed.
    pub(crate) fn set_origin(&mut self, origin: Option<FaultOrigin>) {
        self.0.origin = origin;
    }

    pub(crate) fn take_origin(&mut self) -> Option<FaultOrigin> {
        self.0.origin.take()
    }

    /// Whether a sink failed because nobody reads its output any more.
    pub(crate) fn has_no_reader(&self) -> bool {
        let cause = self.0.cause.downcast_ref::<SinkError>();
        cause.is_some_and(SinkError::has_no_reader)
    }

    pub(crate) fn cause(&self) -> &BoxError {
        &self.0.cause
    }

    pub(crate) fn into_parts(self) -> (StepIndex, BoxError) {
        (self.0.step, self.0.cause)
    }
}

/// The step whose code a worker runs, readable from other threads.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts(Arc<Place>);

#[derive(Debug)]
struct Place {
    step: AtomicU32,
    /// The place, within the source's push, of the record at which a step panicked.
    record: AtomicU32,
    /// The place of the first record of the push that was not begun because of a stop.
    cut: AtomicU32,
}

/// No step, or no record.
const NONE: u32 = u32::MAX;

/// The push goes through whole, although the run stops.
const WHOLE: u32 = NONE - 1;

impl Whereabouts {
    pub(crate) fn new() -> Self {
        Whereabouts(Arc::new(Place {
            step: AtomicU32::new(NONE),
            record: AtomicU32::new(NONE),
            cut: AtomicU32::new(NONE),
        }))
    }

    /// The step that the worker was last seen in.
    pub(crate) fn get(&self) -> Option<StepIndex> {
        let step = self.0.step.load(Ordering::Relaxed);
        (step != NONE).then_some(StepIndex(step))
    }

    /// The place, within the source's push, of the record at which a step panicked.
    pub(crate) fn record(&self) -> Option<u32> {
        let record = self.0.record.load(Ordering::Relaxed);
        (record != NONE).then_some(record)
    }

    pub(crate) fn of(&self, step: StepIndex) -> StepContext {
        StepContext {
            whereabouts: self.clone(),
            step,
        }
    }
}

/// A step's handle on [`Whereabouts`]. The step enters before it runs user code, so that a panic is
/// attributed to it.
#[derive(Clone, Debug)]
pub(crate) struct StepContext {
    whereabouts: Whereabouts,
    step: StepIndex,
}

impl StepContext {
    #[inline]
    pub(crate) fn enter(&self) {
        let place = &self.whereabouts.0;
        place.step.store(self.step.0, Ordering::Relaxed);
    }

    /// Begins a push of a source, which nothing has cut yet.
    pub(crate) fn begin(&self) {
        self.whereabouts.0.cut.store(NONE, Ordering::Relaxed);
    }

    /// The place of the first record of the push that was not begun because of a stop.
    pub(crate) fn cut(&self) -> Option<u32> {
        let cut = self.whereabouts.0.cut.load(Ordering::Relaxed);
        (cut < WHOLE).then_some(cut)
    }

    /// Whether a stop cuts the push before the record with this parent.
    ///
    /// The first step that sees the stop decides, before its next record or behind its last one.
    /// What it has begun goes through all other steps.
    #[cold]
    fn cuts(&self, parent: Option<Parent>) -> bool {
        let place = parent.and_then(Parent::place);
        let cut = &self.whereabouts.0.cut;
        let first = cut.compare_exchange(
            NONE,
            place.unwrap_or(WHOLE),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        match first {
            Ok(_) => place.is_some(),
            // Records behind the cut are dropped, so no step need begin them.
            Err(cut) => cut < WHOLE && place.is_some_and(|place| place >= cut),
        }
    }

    /// Notes the record at which the step panics.
    #[cold]
    fn note(&self, parent: Parent) {
        if let Some(place) = parent.place() {
            let record = &self.whereabouts.0.record;
            // The panic also unwinds the steps before this one, which know the record less exactly.
            let _ = record.compare_exchange(NONE, place, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The place, within the source's push, of the record at which a step panicked.
    pub(crate) fn record(&self) -> Option<u32> {
        self.whereabouts.record()
    }

    pub(crate) fn step(&self) -> StepIndex {
        self.step
    }

    /// Whether the worker was last in this step.
    pub(crate) fn is_last(&self) -> bool {
        self.whereabouts.get() == Some(self.step)
    }

    pub(crate) fn fault(&self, cause: impl Into<BoxError>) -> Fault {
        Fault::new(self.step, cause)
    }
}
