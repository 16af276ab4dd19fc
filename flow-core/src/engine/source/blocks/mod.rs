//! Sharing the lines of one file among the workers of a process.
//!
//! The worker that has the file is its owner, and reads whole lines in blocks. Any worker may
//! process a block, because each has a copy of the chain up to the next shuffle. It returns the
//! results unsent. The owner accepts the blocks in the order of the file. It sends the results as
//! if it had made them itself: in its open epoch, within the budget, and with its token behind the
//! block. So a block that has not returned, or that comes behind a failure, has never been read.
//!
//! The life of a block:
//! 1. its owner [offers](Blocks::offer) it, [takes](Blocks::take) it and hands it out to the queue,
//! 2. any worker [processes](Blocks::process) it,
//! 3. its owner [accepts](Blocks::accept) it, or gives it up.

mod outstanding;
mod queue;
mod sharing;

use std::time::Duration;

pub(crate) use self::queue::Queues;
pub(super) use self::{outstanding::Outstanding, sharing::Sharing};
use crate::{
    chain::{Fault, Parcel, StopFlag},
    engine::RecordFailure,
    error::BoxError,
    graph::StepIndex,
};

/// A source whose lines any worker can process.
pub(crate) trait Blocks {
    /// The lines that could be taken as a block now, at most `lines`. `None` if records wait to be
    /// pushed.
    fn offer(&mut self, lines: usize) -> Option<Offer>;

    /// Takes a block of the lines that have been offered, in the buffer `into`. It does not count
    /// as read before it is accepted.
    fn take(&mut self, lines: usize, into: Vec<u8>) -> Option<(Block, Receipt)>;

    /// Pushes the lines of a block through the chain, up to its end or to the line at which a stop
    /// comes. The block may be another worker's.
    fn process(&mut self, block: &Block, stop: &StopFlag) -> Result<Processed, Fault>;

    /// The times of a block that was taken here, with the watermarks of its partition before it.
    fn times(&self, receipt: &Receipt, processed: &Processed) -> Vec<BlockTime>;

    /// Counts a block that was taken here as read. It is the first one that has not been accepted.
    /// After a failure, the token of its partition points at the line that failed.
    fn accept(&mut self, receipt: &Receipt, processed: &mut Processed) -> Option<RecordFailure>;
}

/// Lines of a source that may be taken as a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    /// The approximate size of one record, in bytes.
    pub(crate) bytes_each: usize,
}

/// Whole lines of a source, which any worker can process.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) partition: String,
    /// The number of lines of the partition before it.
    pub(crate) line: u64,
    /// Its place in the partition, in bytes.
    pub(crate) offset: u64,
    pub(crate) lines: usize,
    pub(crate) bytes: Vec<u8>,
}

/// What the owner of a block remembers about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) partition: usize,
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// The results of a block.
#[derive(Default)]
pub(crate) struct Processed {
    /// The number of records that went through the chain.
    pub(crate) records: usize,
    /// The parcels to send, each with the index of its outlet.
    pub(crate) parcels: Vec<(usize, Parcel)>,
    /// The number of records that each step has skipped. They count when the block is accepted.
    pub(crate) skips: Vec<(StepIndex, u64)>,
    /// The line that failed. The fields above cover the lines before it.
    pub(crate) failed: Option<FailedLine>,
    /// If a stop came before the end of the block: the number of lines and bytes before the first
    /// line that was not begun.
    pub(crate) stopped: Option<(usize, usize)>,
    /// The times of its records, for each `event_time` step that they passed.
    pub(crate) times: Vec<BlockTime>,
    pub(crate) took: Duration,
}

/// The times of a block's records, as an `event_time` step has seen them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockTime {
    /// The step.
    pub(crate) clock: StepIndex,
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
    /// The watermark of the partition before the block, which only its owner knows.
    pub(crate) watermark: i64,
}

/// A line of a block that failed.
pub(crate) struct FailedLine {
    /// The number of lines and bytes of the block before it.
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    /// The step that failed; `None` if the line could not become a record.
    pub(crate) step: Option<StepIndex>,
    pub(crate) cause: BoxError,
}
