//! A partition that is read on this worker.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc, task::Waker, time::Instant};

use crate::{
    engine::{PartitionBell, UnfinishedLine},
    source::{Reader, Source, SourceError},
};

/// A partition, and its records that have been read.
pub(super) struct Partition<S: Source> {
    pub(super) name: String,
    pub(super) key: Vec<u8>,
    /// Shared with the locator, which finds the positions of records while they are pushed.
    pub(super) reader: Rc<RefCell<S::Reader>>,
    /// Records of the last batch that have not been pushed yet.
    pub(super) records: VecDeque<S::Item>,
    /// The number of records of the last batch that have been pushed.
    pub(super) pushed: usize,
    /// The number of records skipped in the last batch that have been counted: those before the
    /// next record to push, because its token stands behind them.
    pub(super) skipped: u64,
    /// The latest time of its records, for each clock of the chain.
    pub(super) latest: Vec<i64>,
    pub(super) bytes_each: usize,
    pub(super) at_end: bool,
    pub(super) bell: Arc<PartitionBell>,
    pub(super) waker: Waker,
    /// Set while there is nothing to read, until the waker is woken or until this time.
    pub(super) idle: Option<Option<Instant>>,
    /// Set if the record behind `records` could not be read.
    pub(super) failure: Option<SourceError>,
    /// Whether the flow stops at a record of this partition. Records that were taken behind it
    /// can't be processed.
    pub(super) failed: bool,
    /// Whether it has been read since its token was written.
    pub(super) moved: bool,
    /// The value of its row in the store.
    pub(super) written: Vec<u8>,
    /// The partitions that have to come to their end before this one is read.
    pub(super) after: Vec<usize>,
}

impl<S: Source> Partition<S> {
    /// Whether it was read to its end, and all of its records have been pushed.
    pub(super) fn is_over(&self) -> bool {
        self.at_end && self.records.is_empty() && self.failure.is_none()
    }

    /// Whether the reader has taken records that it can't take again. Asked when the run stops.
    pub(super) fn has_taken(&mut self) -> bool {
        !self.failed && self.reader.borrow_mut().has_taken()
    }

    /// The number of skipped records before the next one to push that have not been counted yet.
    pub(super) fn take_skipped(&mut self) -> u64 {
        let skipped = self.reader.borrow_mut().skipped_before(self.pushed);
        let counted = std::mem::replace(&mut self.skipped, skipped);
        skipped.saturating_sub(counted)
    }

    /// The last line, if it was left unread.
    pub(super) fn unfinished(&mut self) -> Option<UnfinishedLine> {
        self.at_end.then(|| self.reader.borrow_mut().unfinished())?
    }
}
