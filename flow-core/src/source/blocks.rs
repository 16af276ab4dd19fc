//! Blocks of lines: read by the worker that has the file, worked off by any.
//!
//! A block is worked off as its lines would be in their turn, so it does not show in the results by whom it was. The
//! worker that has the file takes what came of the blocks in their order, and only then counts them as read.

use std::ops::Range;

use memchr::memchr_iter;

use super::{
    LineError, Reader, Source, SourceError,
    lines::{BadLine, LineParser, excerpt_of, line_content, log_skipped},
    reading::{Hand, Reading},
};
use crate::{
    chain::{Fault, rollback, settle},
    engine::{Block, FailedLine, Offer, Origin, Receipt, RecordFailure, StopFlag, Worked},
    error::BoxError,
    graph::StepIndex,
    record::NoKey,
};

/// So many records go through the chain at a time.
const BATCH: usize = 256;

/// The step that failed on a record, none if no record could be made of its line, and why.
type FailedAt = (Option<StepIndex>, BoxError);

impl<S: Source> Reading<S> {
    /// What can be taken as a block, at most so many lines.
    pub(super) fn offer_block(&mut self, lines: usize) -> Option<Offer> {
        self.parser?;
        self.at.enter();
        for _ in 0..self.partitions.len() {
            let waits = self.waits(self.turn);
            let partition = self.partitions.get_mut(self.turn)?;
            if !partition.at_end && !waits {
                if !partition.run.is_empty() || partition.failure.is_some() {
                    return None;
                }
                let (lines, bytes) = partition.reader.file_lines()?.look(lines)?;
                return Some(Offer {
                    lines,
                    bytes,
                    bytes_each: size_of::<S::Item>() + bytes / lines,
                });
            }
            self.turn = (self.turn + 1) % self.partitions.len();
        }
        None
    }

    /// Takes the next lines of the partition that has its turn.
    pub(super) fn take_lines(&mut self, lines: usize, into: Vec<u8>) -> Option<(Block, Receipt)> {
        let partition = self.partitions.get_mut(self.turn)?;
        let file = partition.reader.file_lines()?;
        let (lines, bytes) = file.take_block(lines, into)?;
        let start = file.block_start(lines, bytes.len());
        partition.pushed = 0;
        let receipt = Receipt {
            partition: self.turn,
            lines,
            bytes: bytes.len(),
        };
        self.turn = (self.turn + 1) % self.partitions.len();
        let block = Block {
            start,
            lines,
            bytes,
        };
        Some((block, receipt))
    }

    /// Has the lines of a block, which may be another worker's, go through the chain of this one.
    ///
    /// Where a stop comes between two lines, or two batches of them, the rest of the block is not begun.
    pub(super) fn work_off(&mut self, block: &Block, stop: &StopFlag) -> Result<Worked, Fault> {
        let mut worked = Worked::default();
        let Some(parser) = self.parser else {
            return Ok(worked);
        };
        let counted = self.skips.counts();
        let mut bytes = 0;
        self.hand = Hand::Lines;
        self.lines = 0..0;
        let mut failed = None;
        // A failed step may have left some.
        self.batch.clear();
        for end in memchr_iter(b'\n', &block.bytes) {
            if stop.is_set() && self.batch.is_empty() {
                worked.cut = Some((self.lines.end, bytes));
                break;
            }
            let line = &block.bytes[bytes..=end];
            self.at.enter();
            let taken = match parser.record(line) {
                Ok(Some(record)) => self.take_record(record, &mut worked),
                Ok(None) => None,
                Err(error) => match self.bad_line(&parser, error, block, bytes, line) {
                    Ok(Some(record)) => self.take_record(record, &mut worked),
                    Ok(None) => None,
                    Err(error) => Some((None, error.into())),
                },
            };
            if taken.is_some() {
                failed = taken;
                break;
            }
            bytes += line.len();
            self.lines.end += 1;
            if self.batch.len() == BATCH {
                worked.records += BATCH;
                self.push_lines()?;
                self.lines.start = self.lines.end;
            }
        }
        worked.records += self.batch.len();
        self.push_lines()?;
        worked.skips = self.skips.take_since(&counted);
        worked.failed = failed.map(|(step, cause)| FailedLine {
            lines: self.lines.end,
            bytes,
            step,
            cause,
        });
        Ok(worked)
    }

    /// Has a record of a block go through the chain, at once or with others. Returns the step that failed on it, and why.
    #[inline]
    fn take_record(&mut self, record: S::Item, worked: &mut Worked) -> Option<FailedAt> {
        if self.fallible {
            if let Err(fault) = self.chain.push((NoKey, record)) {
                rollback(&self.outlets);
                let (step, cause) = fault.into_parts();
                return Some((Some(step), cause));
            }
            settle(&self.outlets);
            worked.records += 1;
        } else {
            self.batch.push((NoKey, record));
        }
        None
    }

    /// What becomes of a line of a block, at `bytes`, of which no record can be made.
    #[cold]
    fn bad_line(
        &mut self,
        parser: &LineParser<S::Item>,
        error: LineError,
        block: &Block,
        bytes: usize,
        line: &[u8],
    ) -> Result<Option<S::Item>, SourceError> {
        let start = &block.start;
        let (before, offset) = (
            start.line + self.lines.end as u64,
            start.offset + bytes as u64,
        );
        let place = || (start.partition.clone(), before, offset);
        match parser.bad(error, line, place) {
            BadLine::Dead(record) => Ok(Some(record)),
            BadLine::Skipped(error) => {
                log_skipped(&self.id, &start.partition, before, &error);
                self.skips.add(self.step);
                Ok(None)
            }
            BadLine::Fails(error) => Err(SourceError::because(error)),
        }
    }

    /// Has a batch of lines go through the chain, to its end: what comes of a block is sent by the worker that has the file.
    fn push_lines(&mut self) -> Result<(), Fault> {
        self.chain.push_batch(&mut self.batch)?;
        while self.rests && self.chain.resume()? {}
        Ok(())
    }

    /// Where the lines of a block stand that were being worked on.
    pub(super) fn origin_in(&self, block: &Block) -> Origin {
        // A line of which a record is being made, or a record that goes alone.
        let one = self.fallible || self.at.is_last();
        let (first, last) = match self.lines {
            Range { end, .. } if one => (end, end),
            Range { start, end } => (start, end.saturating_sub(1)),
        };
        let position = |line: usize| format!("line {}", block.start.line + line as u64 + 1);
        let line = block.bytes.split(|byte| *byte == b'\n').nth(first);
        Origin {
            source_step: self.step,
            partition: block.start.partition.clone(),
            positions: Some((position(first), position(last))),
            excerpt: line
                .filter(|_| first == last)
                .map(|line| excerpt_of(line_content(line))),
        }
    }

    /// Notes that a block has been worked off, as far as it was. The failure that ended it comes back in the words of
    /// the source.
    pub(super) fn note(&mut self, receipt: &Receipt, worked: &mut Worked) -> Option<RecordFailure> {
        for (step, count) in worked.skips.drain(..) {
            self.skips.add_many(step, count);
        }
        let partition = self.partitions.get_mut(receipt.partition)?;
        partition.moved = true;
        let lines = partition.reader.file_lines()?;
        let Some(failed) = worked.failed.take() else {
            let (read, bytes) = worked.cut.unwrap_or((receipt.lines, receipt.bytes));
            lines.worked_off(read, bytes);
            return None;
        };
        lines.worked_off(failed.lines, failed.bytes);
        let step = failed.step.unwrap_or(self.step);
        let cause = failed.cause;
        self.turn = receipt.partition;
        Some(self.failure(step, cause))
    }
}
