//! Blocks of lines on their way to the worker that works them off, and back.

use std::time::Duration;

use crate::{chain::Parcel, error::BoxError, graph::StepIndex, source::BlockStart};

/// Lines of a source that may go to another worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    /// About how large a record of them is, in bytes.
    pub(crate) bytes_each: usize,
}

/// Whole lines of a source, which any worker can work off.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) start: BlockStart,
    pub(crate) lines: usize,
    pub(crate) bytes: Vec<u8>,
}

/// What the worker that a block was taken on has to remember of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) partition: usize,
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// What came of a block.
#[derive(Default)]
pub(crate) struct Worked {
    /// How many records went through the chain.
    pub(crate) records: usize,
    /// What is to be sent, with the place of its outlet.
    pub(crate) parcels: Vec<(usize, Parcel)>,
    /// The steps that have skipped records, and how many. They do not count before the block does.
    pub(crate) skips: Vec<(StepIndex, u64)>,
    /// What ended it before its end. All of the above is of the lines before.
    pub(crate) failed: Option<FailedLine>,
    /// A stop ended it before its end: how many lines and bytes come before the first one that was not begun.
    pub(crate) cut: Option<(usize, usize)>,
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
