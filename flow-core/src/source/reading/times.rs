//! The times of a source's partitions, which the clocks of its chain follow.

use std::collections::BTreeMap;

use super::partition::Partition;
use crate::{
    engine::{BlockTime, HeadContext},
    graph::StepIndex,
    source::Source,
    time::{ClockRef, END, Mark, NEVER},
};

/// The clocks of a source's chain.
pub(super) struct Times {
    source: StepIndex,
    clocks: Vec<ClockRef>,
    /// Their numbers in the store.
    numbers: Vec<Option<u16>>,
}

impl Times {
    pub(super) fn new(source: StepIndex, context: &mut HeadContext<'_>) -> Self {
        let clocks = std::mem::take(&mut context.wiring.clocks.all);
        for clock in &clocks {
            // From now on the clock knows that this source leads to it.
            clock.set_mark(source, Mark::NEVER);
        }
        let numbers = clocks.iter().map(|clock| context.number_of(clock.step));
        Times {
            source,
            numbers: numbers.collect(),
            clocks,
        }
    }

    /// The latest times of a partition that has not been read.
    pub(super) fn none(&self) -> Vec<i64> {
        vec![NEVER; self.clocks.len()]
    }

    /// The latest times in a partition's row.
    pub(super) fn of_row(&self, times: &BTreeMap<u16, i64>) -> Vec<i64> {
        let time = |number: &Option<u16>| times.get(&(*number)?).copied();
        let numbers = self.numbers.iter();
        numbers
            .map(|number| time(number).unwrap_or(NEVER))
            .collect()
    }

    /// The same times, for a row.
    pub(super) fn to_row(&self, latest: &[i64]) -> BTreeMap<u16, i64> {
        let times = self.numbers.iter().zip(latest);
        let known = times.filter(|(_, latest)| **latest != NEVER);
        known
            .filter_map(|(number, latest)| Some(((*number)?, *latest)))
            .collect()
    }

    /// Takes a partition in hand.
    pub(super) fn begin(&self, latest: &[i64]) {
        for (clock, latest) in self.clocks.iter().zip(latest) {
            clock.begin(*latest);
        }
    }

    /// Takes a block in hand. What comes before it in its partition is not known here.
    pub(super) fn begin_block(&self) {
        for clock in &self.clocks {
            clock.begin(NEVER);
        }
    }

    /// Notes the times of the settled records of the partition in hand.
    pub(super) fn end(&self, latest: &mut [i64]) {
        for (clock, latest) in self.clocks.iter().zip(latest) {
            *latest = clock.latest();
        }
    }

    /// The times of the block in hand.
    pub(super) fn end_block(&self) -> Vec<BlockTime> {
        let time = |clock: &ClockRef| BlockTime {
            clock: clock.step,
            earliest: clock.earliest(),
            latest: clock.latest(),
            watermark: NEVER,
        };
        self.clocks.iter().map(time).collect()
    }

    /// The times of a block, with the watermarks of its partition before it.
    pub(super) fn of_block(&self, times: &[BlockTime], latest: &[i64]) -> Vec<BlockTime> {
        let clocks = times.iter().zip(&self.clocks).zip(latest);
        let time = |((time, clock), latest): ((&BlockTime, &ClockRef), &i64)| BlockTime {
            watermark: clock.watermark(*latest),
            ..*time
        };
        clocks.map(time).collect()
    }

    /// Whether the lines of the source may be shared as far as times are concerned: if the records
    /// of an outlet may have come by two clocks, nobody knows which.
    pub(super) fn allow_blocks(&self) -> bool {
        self.clocks.len() <= 1
    }

    /// Tells the clocks how far the partitions have come.
    pub(super) fn set_marks<S: Source>(&self, partitions: &[Partition<S>]) {
        for (index, clock) in self.clocks.iter().enumerate() {
            let mark = |partition: &Partition<S>| {
                let latest = partition.latest.get(index).copied();
                let last = clock.watermark(latest.unwrap_or(NEVER));
                let at = if partition.is_over() { END } else { last };
                Mark { at, last }
            };
            let all = Mark::all(partitions.iter().map(mark));
            clock.set_mark(self.source, all.unwrap_or(Mark::NONE));
        }
    }
}
