//! Chains: what happens to a record between its source or shuffle and the next shuffle.
//!
//! The steps of a chain are consumers, each of which owns the next. One call moves one record, or a
//! whole batch, through all of them. A chain ends in outlets, which hold what is to leave the worker's
//! operator until it is sent.

mod fan_out;
mod outlet;
mod parcel;
mod pool;
mod port;
mod shared;

pub(crate) use fan_out::FanOut;
pub(crate) use outlet::{InletId, OutletRef, Shuffle, ToOne, rollback, settle};
pub(crate) use parcel::{Keyed, Parcel, Plain};
pub(crate) use pool::recycle;
pub(crate) use port::{Port, Wiring};
pub(crate) use shared::Shared;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    engine::Origin,
    error::{BoxError, SinkError},
    graph::StepIndex,
};

/// A step of a chain.
pub(crate) trait Consumer<T> {
    /// Takes one record and passes on what becomes of it, before it returns.
    fn push(&mut self, record: T) -> Result<(), Fault>;

    /// Takes all records of a batch, in order, and leaves it empty.
    ///
    /// A step that makes many records of one [may rest](Wiring::may_rest) before it has passed on all of them. Then nothing
    /// may be pushed before [`resume`](Consumer::resume) has returned false.
    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault>;

    /// Goes on with what a batch has left behind, a bounded part of it; false when there is nothing more.
    fn resume(&mut self) -> Result<bool, Fault>;
}

pub(crate) type BoxConsumer<T> = Box<dyn Consumer<T>>;

/// A failure in a step.
#[derive(Debug)]
pub(crate) struct Fault(Box<Details>);

#[derive(Debug)]
struct Details {
    step: StepIndex,
    cause: BoxError,
    good: Option<usize>,
    origin: Option<Origin>,
}

impl Fault {
    pub(crate) fn new(step: StepIndex, cause: impl Into<BoxError>) -> Self {
        Fault(Box::new(Details {
            step,
            cause: cause.into(),
            good: None,
            origin: None,
        }))
    }

    /// The failure of a batch's record behind `good` others, which went on by themselves.
    pub(crate) fn behind(mut self, good: usize) -> Self {
        self.0.good = Some(good);
        self
    }

    /// How many records of the batch that was pushed went through whole, and nothing of any other: known if the step that
    /// failed is [the only one that may](Wiring::only_first).
    pub(crate) fn good(&self) -> Option<usize> {
        self.0.good
    }

    /// Says where the records come from of which one failed.
    pub(crate) fn set_origin(&mut self, origin: Option<Origin>) {
        self.0.origin = origin;
    }

    pub(crate) fn take_origin(&mut self) -> Option<Origin> {
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

/// Where a worker is: the step whose code it runs, readable from other threads.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts(Arc<AtomicU32>);

impl Whereabouts {
    pub(crate) fn new() -> Self {
        Whereabouts(Arc::new(AtomicU32::new(u32::MAX)))
    }

    /// The step that the worker was last seen in.
    pub(crate) fn get(&self) -> Option<StepIndex> {
        let step = self.0.load(Ordering::Relaxed);
        (step != u32::MAX).then_some(StepIndex(step))
    }

    pub(crate) fn of(&self, step: StepIndex) -> At {
        At {
            whereabouts: self.clone(),
            step,
        }
    }
}

/// What a step calls before it runs user code, so that a panic can be laid at its door.
#[derive(Clone, Debug)]
pub(crate) struct At {
    whereabouts: Whereabouts,
    step: StepIndex,
}

impl At {
    #[inline]
    pub(crate) fn enter(&self) {
        self.whereabouts.0.store(self.step.0, Ordering::Relaxed);
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
