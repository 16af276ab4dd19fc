//! Clocks: how far the times of a worker's partitions and steps have come.
//!
//! An `event_time` step has a clock on each worker. While a source pushes records of a partition,
//! the clock follows the times of that partition. Between pushes it holds the mark of each source
//! that leads to it: up to where no partition of that source will bring a time any more, except for
//! late records. A step behind a shuffle has a clock with a mark of its own.
//!
//! An outlet asks the clocks that lead to it for the mark that it sends behind its records.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::{EventTime, Mark, NEVER};
use crate::{
    chain::{Parent, Staged},
    graph::StepIndex,
};

pub(crate) type ClockRef = Rc<Clock>;

/// The clock of a step on one worker.
pub(crate) struct Clock {
    pub(crate) step: StepIndex,
    /// How long a partition's watermark stays behind its latest time, in microseconds.
    wait: i64,
    /// The latest time of the partition in hand, also of records that are not settled.
    latest: Cell<i64>,
    /// The latest time of the settled records.
    settled: Cell<i64>,
    /// The earliest time since the partition was taken in hand.
    earliest: Cell<i64>,
    /// The records that are not settled and raised the latest time: their places in the push, and
    /// their times.
    rises: RefCell<Vec<(u32, i64)>>,
    /// The mark of each sender: of each source that leads here, or of this step.
    marks: RefCell<Vec<(StepIndex, Mark)>>,
}

impl Clock {
    pub(crate) fn new(step: StepIndex, wait: i64) -> ClockRef {
        Rc::new(Clock {
            step,
            wait,
            latest: Cell::new(NEVER),
            settled: Cell::new(NEVER),
            earliest: Cell::new(NEVER),
            rises: RefCell::default(),
            marks: RefCell::default(),
        })
    }

    /// Takes a partition in hand, whose latest time so far is this.
    pub(crate) fn begin(&self, latest: i64) {
        self.latest.set(latest);
        self.settled.set(latest);
        self.earliest.set(i64::MAX);
        self.rises.borrow_mut().clear();
    }

    /// The latest time of the partition in hand.
    pub(crate) fn latest(&self) -> i64 {
        self.settled.get()
    }

    /// The earliest time since the partition was taken in hand.
    pub(crate) fn earliest(&self) -> i64 {
        self.earliest.get()
    }

    /// The watermark of a partition whose latest time is this.
    pub(crate) fn watermark(&self, latest: i64) -> i64 {
        match latest {
            NEVER => NEVER,
            latest => latest.saturating_sub(self.wait),
        }
    }

    /// The times of records of the partition in hand, in their order.
    pub(crate) fn ticking(&self) -> Ticking<'_> {
        Ticking {
            clock: self,
            latest: self.latest.get(),
            earliest: self.earliest.get(),
            rises: self.rises.borrow_mut(),
        }
    }

    /// Sets the mark of a sender.
    pub(crate) fn set_mark(&self, sender: StepIndex, mark: Mark) {
        let mut marks = self.marks.borrow_mut();
        match marks.iter_mut().find(|(known, _)| *known == sender) {
            Some((_, known)) => *known = mark,
            None => marks.push((sender, mark)),
        }
    }

    /// The mark of a sender; `None` if it does not lead to this clock.
    pub(crate) fn mark(&self, sender: StepIndex) -> Option<Mark> {
        let marks = self.marks.borrow();
        let known = marks.iter().find(|(known, _)| *known == sender);
        known.map(|(_, mark)| *mark)
    }
}

/// A push that was taken back in part leaves no trace on the clock either.
impl Staged for ClockRef {
    fn settle(&mut self) {
        self.settled.set(self.latest.get());
        self.rises.borrow_mut().clear();
    }

    fn take_back(&mut self, place: u32) {
        let mut rises = self.rises.borrow_mut();
        let kept = rises.partition_point(|(rise, _)| *rise < place);
        rises.truncate(kept);
        let latest = rises.last().map_or(self.settled.get(), |(_, time)| *time);
        self.latest.set(latest);
    }
}

/// Gives records of the partition in hand their times.
pub(crate) struct Ticking<'a> {
    clock: &'a Clock,
    latest: i64,
    earliest: i64,
    rises: std::cell::RefMut<'a, Vec<(u32, i64)>>,
}

impl Ticking<'_> {
    /// The time of the next record.
    #[inline]
    pub(crate) fn tick(&mut self, at: i64, parent: Parent) -> EventTime {
        let time = EventTime::new(at, self.clock.watermark(self.latest));
        self.earliest = self.earliest.min(at);
        if at > self.latest {
            self.latest = at;
            if let Some(place) = parent.place() {
                self.rises.push((place, at));
            }
        }
        time
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.clock.latest.set(self.latest);
        self.clock.earliest.set(self.earliest);
    }
}

/// The clocks of a chain, while it is made.
#[derive(Clone, Default)]
pub(crate) struct Clocks {
    /// Those that lead to what is attached now.
    pub(crate) leading: Vec<ClockRef>,
    /// Those of all `event_time` steps in the chain.
    pub(crate) all: Vec<ClockRef>,
}

/// Adds clocks to others, each once.
pub(crate) fn add_clocks(to: &mut Vec<ClockRef>, clocks: &[ClockRef]) {
    for clock in clocks {
        if !to.iter().any(|known| Rc::ptr_eq(known, clock)) {
            to.push(clock.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Batch;

    fn tick(clock: &Clock, times: &[i64]) -> Vec<u64> {
        let mut batch = Batch::of_source(times.to_vec());
        let at = crate::chain::Whereabouts::new().of(StepIndex(0));
        let mut ticking = clock.ticking();
        let records = batch.drain(&at);
        let times = records.map(|(at, parent)| ticking.tick(at, parent).behind);
        times.collect()
    }

    #[test]
    fn a_record_is_behind_the_watermark_of_those_before_it() {
        let mut clock = Clock::new(StepIndex(0), 10);
        clock.begin(NEVER);
        assert_eq!(
            tick(&clock, &[5, 30, 21, 20, 18, 40, 25]),
            [0, 0, 0, 0, 2, 0, 5]
        );
        clock.settle();
        assert_eq!((clock.latest(), clock.earliest()), (40, 5));
        assert_eq!(tick(&clock, &[29, 31]), [1, 0]);
    }

    #[test]
    fn what_is_taken_back_has_not_been_seen() {
        let mut clock = Clock::new(StepIndex(0), 0);
        clock.begin(7);
        tick(&clock, &[10, 9, 30, 20, 40]);
        clock.take_back(2);
        clock.settle();
        assert_eq!(clock.latest(), 10);
        tick(&clock, &[12]);
        clock.take_back(0);
        clock.settle();
        assert_eq!(clock.latest(), 10);
        assert_eq!(tick(&clock, &[8]), [2]);
    }
}
