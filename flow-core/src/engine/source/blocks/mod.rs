//! Sharing the lines of one file among the workers of a process.
//!
//! The worker that has the file, its owner, reads whole lines in blocks. Any worker may process a
//! block: each has a copy of the chain up to the next shuffle, and returns what it made, unsent.
//! The owner accepts the blocks in the order of the file and sends what came of them as if it had
//! made it itself: in its open epoch, within the budget, and with its token behind the block. So a
//! block that has not returned, or that comes behind a failure, has never been read.
//!
//! A block is [offered](Blocks::offer), [taken](Blocks::take) and handed out to the queue;
//! [processed](Blocks::process) by any worker; and [accepted](Blocks::accept) by its owner, or
//! given up.

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
    /// What could be taken as a block now, at most `lines` lines. None if records wait to be
    /// pushed.
    fn offer(&mut self, lines: usize) -> Option<Offer>;

    /// Takes a block of what has been offered, in the buffer `into`. It does not count as read
    /// before it is accepted.
    fn take(&mut self, lines: usize, into: Vec<u8>) -> Option<(Block, Receipt)>;

    /// Pushes the lines of a block through the chain, up to its end or to the line at which a stop
    /// comes. The block may be another worker's.
    fn process(&mut self, block: &Block, stop: &StopFlag) -> Result<Processed, Fault>;

    /// Counts a block that was taken here as read: the first one that has not been accepted. On a
    /// failure the token of its partition points at the line that failed.
    fn accept(&mut self, receipt: &Receipt, processed: &mut Processed) -> Option<RecordFailure>;
}

/// Lines of a source that may be taken as a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    /// About how large a record of them is, in bytes.
    pub(crate) bytes_each: usize,
}

/// Whole lines of a source, which any worker can process.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) partition: String,
    /// How many lines of the partition come before it.
    pub(crate) line: u64,
    /// Where in the partition it starts, in bytes.
    pub(crate) offset: u64,
    pub(crate) lines: usize,
    pub(crate) bytes: Vec<u8>,
}

/// What the owner of a block has to remember of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) partition: usize,
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// What came of a block.
#[derive(Default)]
pub(crate) struct Processed {
    /// How many records went through the chain.
    pub(crate) records: usize,
    /// What is to be sent, with the place of its outlet.
    pub(crate) parcels: Vec<(usize, Parcel)>,
    /// The steps that have skipped records, and how many. They count when the block is accepted.
    pub(crate) skips: Vec<(StepIndex, u64)>,
    /// What ended it before its end. All of the above is of the lines before.
    pub(crate) failed: Option<FailedLine>,
    /// A stop ended it before its end: how many lines and bytes come before the first one that was
    /// not begun.
    pub(crate) stopped: Option<(usize, usize)>,
    pub(crate) took: Duration,
}

/// A line of a block that failed.
pub(crate) struct FailedLine {
    /// How many lines and bytes of the block come before it.
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    /// The step that failed; none if no record could be made of the line.
    pub(crate) step: Option<StepIndex>,
    pub(crate) cause: BoxError,
}
