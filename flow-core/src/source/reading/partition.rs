//! A partition that is read on this worker.

use std::{collections::VecDeque, sync::Arc, task::Waker, time::Instant};

use crate::{
    engine::{PartitionBell, UnfinishedLine},
    source::{Reader, Source, SourceError},
};

/// A partition, and what it has brought.
pub(super) struct Partition<S: Source> {
    pub(super) name: String,
    pub(super) key: Vec<u8>,
    pub(super) reader: S::Reader,
    /// What the last read brought and has not been pushed yet.
    pub(super) run: VecDeque<S::Item>,
    /// How many records of the last read have been pushed.
    pub(super) pushed: usize,
    /// How many records that the last read left out have been counted: those before the next one
    /// to push, as the token stands behind them.
    pub(super) skipped: u64,
    pub(super) bytes_each: usize,
    pub(super) at_end: bool,
    pub(super) bell: Arc<PartitionBell>,
    pub(super) waker: Waker,
    /// It has nothing to read until its waker is woken, or until this time.
    pub(super) idle: Option<Option<Instant>>,
    /// The record behind `run` could not be read.
    pub(super) failure: Option<SourceError>,
    /// The flow stops at a record of it: what it has taken behind that can't be processed.
    pub(super) failed: bool,
    /// Whether it was read from since its token was written.
    pub(super) moved: bool,
    /// The value of its row in the store.
    pub(super) written: Vec<u8>,
    /// The partitions that have to come to their end before this one is read.
    pub(super) after: Vec<usize>,
}

impl<S: Source> Partition<S> {
    /// Whether there is something to read that can't be taken again, now that the run stops.
    pub(super) fn has_taken(&mut self) -> bool {
        !self.failed && self.reader.has_taken()
    }

    /// How many records that were left out come before the next one to push, and have not been
    /// counted yet.
    pub(super) fn take_skipped(&mut self) -> u64 {
        let skipped = self.reader.skipped_before(self.pushed);
        let counted = std::mem::replace(&mut self.skipped, skipped);
        skipped.saturating_sub(counted)
    }

    /// A last line that was left unread.
    pub(super) fn unfinished(&mut self) -> Option<UnfinishedLine> {
        self.at_end.then(|| self.reader.unfinished())?
    }
}
