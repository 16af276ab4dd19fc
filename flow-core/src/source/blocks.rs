//! A source's lines as blocks: read by the worker that has the file, processed by any.
//!
//! A block is processed as its lines would be in their turn, so the results do not show by whom.

use std::ops::Range;

use super::{
    LineError, Reader, Source, SourceError,
    line::{Line, line_content},
    lines::{BadLine, LineParser, excerpt_of, log_skipped},
    reading::{Hand, Reading},
};
use crate::{
    chain::{Fault, rollback, settle},
    engine::{
        Block, Blocks, FailedLine, Offer, Origin, Processed, Receipt, RecordFailure, StopFlag,
    },
    error::BoxError,
    graph::StepIndex,
    record::NoKey,
};

/// So many records go through the chain at a time.
const BATCH: usize = 256;

/// The step that failed on a record, none if no record could be made of its line, and why.
type FailedAt = (Option<StepIndex>, BoxError);

impl<S: Source> Blocks for Reading<S> {
    fn offer(&mut self, lines: usize) -> Option<Offer> {
        self.parser?;
        self.at.enter();
        for _ in 0..self.partitions.len() {
            let waits = self.waits(self.turn);
            let partition = self.partitions.get_mut(self.turn)?;
            if !partition.at_end && !waits {
                if !partition.run.is_empty() || partition.failure.is_some() {
                    return None;
                }
                let (lines, bytes) = partition.reader.file_lines()?.offer(lines)?;
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

    fn take(&mut self, lines: usize, into: Vec<u8>) -> Option<(Block, Receipt)> {
        let partition = self.partitions.get_mut(self.turn)?;
        let block = partition.reader.file_lines()?.take(lines, into)?;
        partition.pushed = 0;
        let receipt = Receipt {
            partition: self.turn,
            lines: block.lines,
            bytes: block.bytes.len(),
        };
        self.turn = (self.turn + 1) % self.partitions.len();
        Some((block, receipt))
    }

    /// Where a stop comes between two lines, or two batches of them, the rest of the block is not
    /// begun.
    fn process(&mut self, block: &Block, stop: &StopFlag) -> Result<Processed, Fault> {
        let mut processed = Processed::default();
        let Some(parser) = self.parser else {
            return Ok(processed);
        };
        let counted = self.skips.counts();
        let mut bytes = 0;
        self.hand = Hand::Lines;
        self.lines = 0..0;
        let mut failed = None;
        // A failed step may have left some.
        self.batch.clear();
        let mut lines = parser.whole_lines(&block.bytes);
        while let Some(line) = lines.next() {
            if stop.is_set() && self.batch.is_empty() {
                processed.stopped = Some((self.lines.end, bytes));
                break;
            }
            self.at.enter();
            let taken = match parser.record(line) {
                Ok(Some(record)) => self.take_record(record, &mut processed),
                Ok(None) => None,
                Err(error) => match self.bad_line(&parser, error, block, bytes, line) {
                    Ok(Some(record)) => self.take_record(record, &mut processed),
                    Ok(None) => None,
                    Err(error) => Some((None, error.into())),
                },
            };
            if taken.is_some() {
                failed = taken;
                break;
            }
            bytes = lines.position();
            self.lines.end += 1;
            if self.batch.len() == BATCH {
                processed.records += BATCH;
                self.push_lines()?;
                self.lines.start = self.lines.end;
            }
        }
        processed.records += self.batch.len();
        self.push_lines()?;
        processed.skips = self.skips.take_since(&counted);
        processed.failed = failed.map(|(step, cause)| FailedLine {
            lines: self.lines.end,
            bytes,
            step,
            cause,
        });
        Ok(processed)
    }

    fn accept(&mut self, receipt: &Receipt, processed: &mut Processed) -> Option<RecordFailure> {
        for (step, count) in processed.skips.drain(..) {
            self.skips.add_many(step, count);
        }
        let partition = self.partitions.get_mut(receipt.partition)?;
        partition.moved = true;
        let lines = partition.reader.file_lines()?;
        let Some(failed) = processed.failed.take() else {
            let (read, bytes) = processed.stopped.unwrap_or((receipt.lines, receipt.bytes));
            lines.accept(read, bytes);
            return None;
        };
        lines.accept(failed.lines, failed.bytes);
        let step = failed.step.unwrap_or(self.step);
        let cause = failed.cause;
        self.turn = receipt.partition;
        Some(self.failure(step, cause))
    }
}

impl<S: Source> Reading<S> {
    /// Has a record of a block go through the chain, at once or with others. Returns the step that
    /// failed on it, and why.
    #[inline]
    fn take_record(&mut self, record: S::Item, processed: &mut Processed) -> Option<FailedAt> {
        if self.fallible {
            if let Err(fault) = self.chain.push((NoKey, record)) {
                rollback(&self.outlets);
                let (step, cause) = fault.into_parts();
                return Some((Some(step), cause));
            }
            settle(&self.outlets);
            processed.records += 1;
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
        line: Line<'_>,
    ) -> Result<Option<S::Item>, SourceError> {
        let (before, offset) = (
            block.line + self.lines.end as u64,
            block.offset + bytes as u64,
        );
        let place = || (block.partition.clone(), before, offset);
        match parser.bad(error, line, place) {
            BadLine::Dead(record) => Ok(Some(record)),
            BadLine::Skipped(error) => {
                log_skipped(&self.id, &block.partition, before, &error);
                self.skips.add(self.step);
                Ok(None)
            }
            BadLine::Fails(error) => Err(SourceError::because(error)),
        }
    }

    /// Has a batch of lines go through the chain, to its end: what comes of a block is sent by the
    /// worker that has the file.
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
        let position = |line: usize| format!("line {}", block.line + line as u64 + 1);
        let line = block.bytes.split(|byte| *byte == b'\n').nth(first);
        Origin {
            source_step: self.step,
            partition: block.partition.clone(),
            positions: Some((position(first), position(last))),
            excerpt: line
                .filter(|_| first == last)
                .map(|line| excerpt_of(line_content(line))),
        }
    }
}
