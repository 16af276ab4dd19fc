//! A source's lines as blocks: read by the worker that has the file, and processed by any.
//!
//! A block is processed as its lines would be in their turn. So the results do not depend on the
//! worker.

use std::ops::Range;

use memchr::memchr_iter;

use super::{Hand, Reading};
use crate::{
    chain::{Fault, FaultOrigin, StopFlag},
    engine::{Block, BlockTime, Blocks, FailedLine, Offer, Processed, Receipt, RecordFailure},
    error::{BoxError, RecordPosition},
    graph::StepIndex,
    record::NoKey,
    source::{
        LineError, Reader, Source, SourceError,
        lines::{BadLine, Line, LineParser, excerpt_of, line_content, log_skipped},
    },
    time::NoTime,
};

/// The number of records that go through the chain at a time.
const BATCH: usize = 256;

/// The line before which processing ended, counted from the start of its block. If that line
/// failed: the step (`None` if the line could not become a record) and the cause.
type EndedAt = (usize, Option<(Option<StepIndex>, BoxError)>);

impl<S: Source> Blocks for Reading<S> {
    fn offer(&mut self, lines: usize) -> Option<Offer> {
        self.parser?;
        self.at.enter();
        for _ in 0..self.partitions.len() {
            let waits = self.waits(self.turn);
            let partition = self.partitions.get_mut(self.turn)?;
            if !partition.at_end && !waits {
                if !partition.records.is_empty() || partition.failure.is_some() {
                    return None;
                }
                let (lines, bytes) = partition.reader.borrow_mut().file_lines()?.offer(lines)?;
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
        let block = partition
            .reader
            .borrow_mut()
            .file_lines()?
            .take(lines, into)?;
        partition.pushed = 0;
        let receipt = Receipt {
            partition: self.turn,
            lines: block.lines,
            bytes: block.bytes.len(),
        };
        self.turn = (self.turn + 1) % self.partitions.len();
        Some((block, receipt))
    }

    /// If a stop comes between two lines, or two batches of them, the rest of the block is not
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
        self.times.begin_block();
        let mut ended: Option<EndedAt> = None;
        // A step that failed may have left some.
        self.batch.clear();
        self.holes.clear();
        let mut lines = parser.whole_lines(&block.bytes);
        while let Some(line) = lines.next() {
            if stop.is_set() && self.batch.is_empty() {
                processed.stopped = Some((self.lines.end, bytes));
                break;
            }
            self.at.enter();
            let record = match parser.record(line) {
                Err(error) => self.bad_line(&parser, error, block, bytes, line),
                Ok(Some(record)) => Ok(Some(record)),
                Ok(None) => {
                    self.holes.push((self.lines.end, false));
                    Ok(None)
                }
            };
            match record {
                Ok(record) => self
                    .batch
                    .extend(record.map(|record| (NoTime, (NoKey, record)))),
                Err(error) => {
                    ended = Some((self.lines.end, Some((None, error.into()))));
                    break;
                }
            }
            bytes = lines.position();
            self.lines.end += 1;
            if self.batch.len() == BATCH {
                ended = self.push_lines(block, &mut processed, stop)?;
                if ended.is_some() {
                    break;
                }
                self.lines.start = self.lines.end;
            }
        }
        // These are the lines before one that could not become a record.
        ended = self.push_lines(block, &mut processed, stop)?.or(ended);
        processed.skips = self.skips.take_since(&counted);
        processed.times = self.times.end_block();
        if let Some((lines, failure)) = ended {
            let bytes = start_of(lines, &block.bytes);
            processed.stopped = Some((lines, bytes));
            processed.failed = failure.map(|(step, cause)| FailedLine {
                lines,
                bytes,
                step,
                cause,
            });
        }
        Ok(processed)
    }

    fn times(&self, receipt: &Receipt, processed: &Processed) -> Vec<BlockTime> {
        let partition = self.partitions.get(receipt.partition);
        let latest = partition.map(|partition| &*partition.latest);
        self.times
            .of_block(&processed.times, latest.unwrap_or_default())
    }

    fn accept(&mut self, receipt: &Receipt, processed: &mut Processed) -> Option<RecordFailure> {
        for (step, count) in processed.skips.drain(..) {
            self.skips.add_many(step, count);
        }
        let partition = self.partitions.get_mut(receipt.partition)?;
        partition.moved = true;
        for (latest, time) in partition.latest.iter_mut().zip(&processed.times) {
            *latest = (*latest).max(time.latest);
        }
        let failed = processed.failed.take();
        let (read, bytes) = match &failed {
            Some(failed) => (failed.lines, failed.bytes),
            None => processed.stopped.unwrap_or((receipt.lines, receipt.bytes)),
        };
        partition
            .reader
            .borrow_mut()
            .file_lines()?
            .accept(read, bytes);
        let failed = failed?;
        let step = failed.step.unwrap_or(self.step);
        let cause = failed.cause;
        self.turn = receipt.partition;
        Some(self.failure(step, cause))
    }
}

impl<S: Source> Reading<S> {
    /// Decides what becomes of a line of a block, at `bytes`, that can't become a record.
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
                self.holes.push((self.lines.end, true));
                Ok(None)
            }
            BadLine::Fails(error) => Err(SourceError::because(error)),
        }
    }

    /// Pushes the records of some lines through the chain, up to one that fails or up to a stop.
    /// The results of a block are sent by the worker that has the file, so no step rests.
    fn push_lines(
        &mut self,
        block: &Block,
        processed: &mut Processed,
        stop: &StopFlag,
    ) -> Result<Option<EndedAt>, Fault> {
        let records = self.batch.len();
        let batch = std::mem::take(&mut self.batch);
        let mut batch = self.batch_of(batch, stop);
        self.locate_lines(block);
        let pushed = self.chain.push_batch(&mut batch);
        let ended = self.settle(pushed)?;
        while self.rests && self.chain.resume()? {}
        self.pushed.settle();
        let (good, line) = match &ended {
            None => (records, self.lines.end),
            Some((place, _)) => (*place, self.line_of(*place)),
        };
        processed.records += good;
        let skipped = self.holes.drain(..);
        let skipped = skipped.filter(|(hole, is_bad)| *is_bad && *hole < line);
        self.skips.add_many(self.step, skipped.count() as u64);
        batch.clear();
        self.batch = batch.into_records();
        Ok(ended.map(|(_, fault)| {
            let failure = fault.map(Fault::into_parts);
            (line, failure.map(|(step, cause)| (Some(step), cause)))
        }))
    }

    /// Lets the steps of the chain find the positions of the lines that are about to be pushed.
    fn locate_lines(&self, block: &Block) {
        let Some(locator) = &self.locator else {
            return;
        };
        let (source_step, partition) = (self.id.clone(), block.partition.clone());
        let (first, before, holes) = (self.lines.start, block.line, self.holes.clone());
        locator.begin(move |place| {
            let number = before + line_of(first, &holes, place as usize) as u64 + 1;
            Some(RecordPosition {
                source_step: source_step.clone(),
                partition: partition.clone(),
                position: format!("line {number}"),
                line: Some(number),
            })
        });
    }

    /// The line from which the record at `place` of the batch was made.
    fn line_of(&self, place: usize) -> usize {
        line_of(self.lines.start, &self.holes, place)
    }

    /// The origin of the lines of a block that were being processed.
    pub(super) fn origin_in(&self, block: &Block) -> FaultOrigin {
        let (first, last) = match (self.lines.clone(), self.at.record()) {
            (_, Some(place)) => {
                let line = self.line_of(place as usize);
                (line, line)
            }
            // A record is being made from this line.
            (Range { end, .. }, _) if self.at.is_last() => (end, end),
            (Range { start, end }, None) => (start, end.saturating_sub(1)),
        };
        let number = |line: usize| block.line + line as u64 + 1;
        let position = |line: usize| format!("line {}", number(line));
        let line = block.bytes.split(|byte| *byte == b'\n').nth(first);
        FaultOrigin {
            source_step: self.step,
            partition: block.partition.clone(),
            positions: Some((position(first), position(last))),
            line: Some(number(first)),
            excerpt: line
                .filter(|_| first == last)
                .map(|line| excerpt_of(line_content(line))),
        }
    }
}

/// The line from which the record at `place` of a batch was made. `first` is the first line of the
/// batch.
fn line_of(first: usize, holes: &[(usize, bool)], place: usize) -> usize {
    let mut line = first + place;
    for (hole, _) in holes {
        if *hole <= line {
            line += 1;
        }
    }
    line
}

/// The byte of a block at which a line starts.
fn start_of(line: usize, block: &[u8]) -> usize {
    let mut ends = memchr_iter(b'\n', block);
    match line.checked_sub(1) {
        None => 0,
        Some(before) => ends.nth(before).map_or(block.len(), |end| end + 1),
    }
}
