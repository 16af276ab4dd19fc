//! The partitions of a source on one worker. It reads them in turn and pushes their records.

mod blocks;
mod open;
mod partition;
mod settle;
mod times;
mod token;

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Instant};

use flow_store::Checked;

pub(crate) use self::{open::head, settle::forget};
use self::{
    partition::Partition,
    times::Times,
    token::{put, token_row},
};
use super::{Excerpt, Next, Reader, Source, UnfinishedLine, cannot_resume, lines::LineParser};
use crate::{
    chain::{
        Batch, BoxConsumer, Carried, Fault, FaultOrigin, Locator, Pushed, Skips, StepContext,
        StopFlag,
    },
    engine::{
        Block, Blocks, EpochRows, Filled, RecordFailure, RunHandle, SourceBell, SourceFault,
        SourceTask,
    },
    error::{Kept, NotKept, RecordPosition},
    graph::StepIndex,
    record::NoKey,
    time::NoTime,
};

struct Reading<S: Source> {
    step: StepIndex,
    /// The id of the step, for the log.
    id: String,
    at: StepContext,
    number: Option<u16>,
    checked: Checked,
    partitions: Vec<Partition<S>>,
    /// The partition to push from.
    turn: usize,
    /// Makes records of lines, if any worker may do that.
    parser: Option<LineParser<S::Item>>,
    chain: BoxConsumer<Carried<S::Item, NoKey, NoTime>>,
    /// Records of a block on their way to the chain.
    batch: Vec<Carried<S::Item, NoKey, NoTime>>,
    /// The lines of the batch that made no record, and whether each was skipped because it is bad.
    holes: Vec<(usize, bool)>,
    /// What a push has left in the chain.
    pushed: Pushed,
    /// The steps of the chain that may fail.
    fallible: BTreeSet<StepIndex>,
    /// Whether a key at the end of the chain may have no bytes.
    keys_may_fail: bool,
    /// Whether a step of the chain may rest in the middle of a batch.
    rests: bool,
    skips: Arc<Skips>,
    /// The clocks of the chain, by which records get a time.
    times: Times,
    /// Where steps of the chain find the positions of records. `None` if no step asks.
    locator: Option<Locator>,
    /// The partition of the last push, and the number of records of its last batch before that.
    pushing: (usize, usize),
    /// What is being processed, for the message about a panic. Set once for each batch.
    hand: Hand,
    /// The lines of a block that are being processed: from the first one of the batch to the next
    /// one.
    lines: Range<usize>,
    /// Whether the run stops. Then only records that a reader has taken and can't take again are
    /// read.
    stops: bool,
}

/// What a source is processing.
enum Hand {
    /// It reads from the partition whose turn it is.
    Read,
    /// It pushes this many records of that partition.
    Records(usize),
    /// It processes the lines of a block.
    Lines,
}

impl<S: Source> Reading<S> {
    /// The origin of the records in hand, of the partition whose turn it is.
    fn origin_of_turn(&mut self) -> Option<FaultOrigin> {
        let partition = self.partitions.get_mut(self.turn)?;
        let reader = &mut *partition.reader.borrow_mut();
        let (first, last) = match self.hand {
            Hand::Records(count) => match self.at.record() {
                Some(place) => (
                    partition.pushed + place as usize,
                    partition.pushed + place as usize,
                ),
                None => (partition.pushed, partition.pushed + count.saturating_sub(1)),
            },
            // A reader of lines knows which line it is at. Other readers are not reliable in the
            // middle of a read.
            Hand::Read if reader.file_lines().is_some() => (usize::MAX, usize::MAX),
            Hand::Read | Hand::Lines => (1, 0),
        };
        let (mut positions, mut number, mut excerpt) = (None, None, None);
        if first <= last {
            let token = reader.token(first);
            let start = reader.excerpt(&token);
            if first == last {
                excerpt = start.as_ref().and_then(|start| start.text.clone());
            }
            let end = match first == last {
                true => start.clone(),
                false => {
                    let token = reader.token(last);
                    reader.excerpt(&token)
                }
            };
            number = start.as_ref().and_then(|start| start.line);
            positions = start
                .zip(end)
                .map(|(start, end)| (start.position, end.position));
        }
        Some(FaultOrigin {
            source_step: self.step,
            partition: partition.name.clone(),
            positions,
            line: number,
            excerpt,
        })
    }

    /// A failure at the first record that has not been pushed, of the partition whose turn it is.
    fn failure(&mut self, step: StepIndex, cause: crate::error::BoxError) -> RecordFailure {
        let mut failure = RecordFailure {
            step,
            source_step: self.step,
            partition: String::new(),
            position: None,
            line: None,
            excerpt: None,
            cause,
        };
        if let Some(partition) = self.partitions.get_mut(self.turn) {
            self.at.enter();
            let excerpt = partition.reader.borrow_mut().excerpt_of(partition.pushed);
            if let Some(Excerpt {
                position,
                line,
                text,
            }) = excerpt
            {
                failure.position = Some(position);
                failure.line = line;
                failure.excerpt = text;
            }
            failure.partition.clone_from(&partition.name);
        }
        failure
    }

    /// Whether a partition waits for another one to come to its end.
    fn waits(&self, turn: usize) -> bool {
        let partition = self.partitions.get(turn);
        let mut first = partition.iter().flat_map(|partition| &partition.after);
        first.any(|first| {
            self.partitions
                .get(*first)
                .is_some_and(|first| !first.at_end || !first.records.is_empty())
        })
    }

    /// Pushes the next records of the partition whose turn it is. Returns how many were processed.
    /// They are fewer if a stop comes between two of them.
    fn push_records(&mut self, count: usize, stop: &StopFlag) -> Result<usize, SourceFault> {
        let Some(partition) = self.partitions.get_mut(self.turn) else {
            return Ok(0);
        };
        self.hand = Hand::Records(count);
        self.pushing = (self.turn, partition.pushed);
        let batch: Vec<_> = if count == partition.records.len() {
            let all = std::mem::take(&mut partition.records);
            Vec::from(all)
                .into_iter()
                .map(|item| (NoTime, (NoKey, item)))
                .collect()
        } else {
            partition
                .records
                .drain(..count)
                .map(|item| (NoTime, (NoKey, item)))
                .collect()
        };
        let mut batch = self.batch_of(batch, stop);
        self.begin();
        let pushed = self.chain.push_batch(&mut batch);
        let ended = self.settle(pushed).map_err(SourceFault::Step)?;
        let Some(partition) = self.partitions.get_mut(self.turn) else {
            return Ok(0);
        };
        self.times.end(&mut partition.latest);
        partition.pushed += ended.as_ref().map_or(count, |(pushed, _)| *pushed);
        self.skips.add_many(self.step, partition.take_skipped());
        let Some((pushed, fault)) = ended else {
            return Ok(count);
        };
        // The partition has not been read to its end, because the next run starts at this record.
        partition.at_end = false;
        let Some(fault) = fault else {
            return Ok(pushed);
        };
        partition.failed = true;
        let (step, cause) = fault.into_parts();
        let failure = self.failure(step, cause);
        Err(SourceFault::Record { pushed, failure })
    }

    /// Whether each record is pushed alone, because it can't be read again. Otherwise the records
    /// behind one that fails would be lost with its batch. A record that has not been begun has not
    /// been read.
    fn goes_alone(&self) -> bool {
        let keys_fail = self.keys_may_fail && !self.rests;
        cannot_resume::<S>() && (keys_fail || !self.fallible.is_empty())
    }

    /// Lets the steps of the chain know whose records come: those of the last push.
    fn begin(&self) {
        if let Some(partition) = self.partitions.get(self.pushing.0) {
            self.times.begin(&partition.latest);
        }
        self.locate();
    }

    /// Lets the steps of the chain find the positions of the records of the last push.
    fn locate(&self) {
        let (turn, first) = self.pushing;
        let (Some(locator), Some(partition)) = (&self.locator, self.partitions.get(turn)) else {
            return;
        };
        let (at, reader) = (self.at.clone(), partition.reader.clone());
        let (source_step, partition) = (self.id.clone(), partition.name.clone());
        locator.begin(move |place| {
            let mut reader = reader.try_borrow_mut().ok()?;
            // The reader is user code of the source.
            at.enter();
            let found = reader.position_of(first + place as usize)?;
            Some(RecordPosition {
                source_step: source_step.clone(),
                partition: partition.clone(),
                position: found.position,
                line: found.line,
            })
        });
    }

    /// A batch of these records. A stop may cut it if a step may fail and nothing would be lost.
    fn batch_of<R>(&self, records: Vec<R>, stop: &StopFlag) -> Batch<R> {
        self.at.begin();
        let batch = Batch::of_source(records);
        match self.fallible.is_empty() || self.rests || cannot_resume::<S>() {
            true => batch,
            false => batch.until(stop),
        }
    }

    /// Ends a push. If it ended before one of its records, takes back the results of that record
    /// and later ones. Returns the place of that record in the push, and its failure, or `None` for
    /// a stop.
    fn settle(&self, pushed: Result<(), Fault>) -> Result<Option<(usize, Option<Fault>)>, Fault> {
        let failed = match pushed {
            Ok(()) => None,
            Err(fault) => match fault.parent() {
                // If a step rests, part of a record may have left. But none leaves before a step
                // that is known to be fallible.
                Some(place) if !self.rests || self.fallible.contains(&fault.step()) => {
                    Some((place, fault))
                }
                _ => return Err(fault),
            },
        };
        let (place, fault) = match (failed, self.at.cut()) {
            (None, None) => {
                self.pushed.settle();
                return Ok(None);
            }
            (Some((place, fault)), cut) if cut.is_none_or(|cut| place < cut) => {
                (place, Some(fault))
            }
            (_, cut) => (cut.unwrap_or(0), None),
        };
        self.pushed.settle_before(place);
        Ok(Some((place as usize, fault)))
    }
}

impl<S: Source> SourceTask for Reading<S> {
    fn attach(&mut self, bell: &Arc<SourceBell>, run: &RunHandle) {
        self.at.enter();
        for partition in &mut self.partitions {
            partition.bell.attach(bell.clone());
            partition.reader.borrow_mut().set_run(run);
        }
    }

    fn fill(&mut self, now: Instant) -> Result<Filled, RecordFailure> {
        let mut until: Option<Instant> = None;
        let (mut idle, mut again) = (false, false);
        let mut waiting = Vec::new();
        for _ in 0..self.partitions.len() {
            if self.waits(self.turn) {
                waiting.push(self.turn);
                self.turn = (self.turn + 1) % self.partitions.len();
                continue;
            }
            let Some(partition) = self.partitions.get_mut(self.turn) else {
                break;
            };
            if let Some(until) = partition.idle
                && (self.stops || until.is_some_and(|time| time <= now) || partition.bell.woken())
            {
                partition.idle = None;
            }
            self.at.enter();
            if partition.records.is_empty()
                && partition.failure.is_none()
                && partition.idle.is_none()
                && !partition.at_end
                && (!self.stops || partition.has_taken())
            {
                self.hand = Hand::Read;
                let mut out = Vec::from(std::mem::take(&mut partition.records));
                partition.bell.woken();
                let mut reader = partition.reader.borrow_mut();
                let next = reader.read(&mut out, &partition.waker);
                partition.pushed = 0;
                partition.skipped = 0;
                partition.moved = true;
                if !out.is_empty() {
                    partition.bytes_each = size_of::<S::Item>() + reader.batch_bytes() / out.len();
                }
                drop(reader);
                self.skips.add_many(self.step, partition.take_skipped());
                partition.records = out.into();
                match next {
                    Ok(Next::Ready) => again = true,
                    // A manual clock would not ring for a time that has passed.
                    Ok(Next::IdleUntil(time)) if time <= now => again = true,
                    Ok(Next::IdleUntil(time)) => partition.idle = Some(Some(time)),
                    Ok(Next::Idle) => partition.idle = Some(None),
                    Ok(Next::End) => partition.at_end = true,
                    Err(error) => partition.failure = Some(error),
                }
            }
            if !partition.records.is_empty() {
                return Ok(Filled::Records {
                    count: partition.records.len(),
                    bytes_each: partition.bytes_each,
                });
            }
            if let Some(error) = partition.failure.take() {
                partition.failed = true;
                return Err(self.failure(self.step, error.into()));
            }
            idle |= !partition.at_end;
            if let Some(Some(time)) = partition.idle {
                until = Some(until.map_or(time, |other| other.min(time)));
            }
            self.turn = (self.turn + 1) % self.partitions.len();
        }
        // A partition may have come to its end for which another one waited that had its turn
        // before.
        again |= waiting.iter().any(|turn| !self.waits(*turn));
        Ok(match (again, idle) {
            (true, _) => Filled::Again,
            (false, true) => Filled::Idle(until),
            (false, false) => Filled::End,
        })
    }

    fn push(&mut self, count: usize, stop: &StopFlag) -> Result<usize, SourceFault> {
        if let Some(partition) = self.partitions.get_mut(self.turn) {
            // Also if a record fails, because the records before it have been read.
            partition.moved = true;
        }
        let mut pushed = 0;
        if self.goes_alone() {
            while pushed < count && !stop.is_set() {
                let one = self.push_records(1, stop);
                pushed += one.map_err(|fault| fault.behind(pushed))?;
                if self.rests {
                    // A step may rest inside this record. Nothing else is pushed before it resumes.
                    break;
                }
            }
        } else {
            pushed = self.push_records(count, stop)?;
        }
        if let Some(partition) = self.partitions.get_mut(self.turn) {
            // A batch is pushed to its end before the next partition has its turn.
            if partition.records.is_empty() && partition.failure.is_none() && pushed == count {
                if let Some(lines) = partition.reader.borrow_mut().file_lines() {
                    lines.batch_is_over();
                }
                self.turn = (self.turn + 1) % self.partitions.len();
            }
        }
        Ok(pushed)
    }

    fn origin(&mut self, block: Option<&Block>) -> Option<FaultOrigin> {
        match block {
            Some(block) => Some(self.origin_in(block)),
            None => self.origin_of_turn(),
        }
    }

    fn has_taken(&mut self) -> bool {
        if !cannot_resume::<S>() {
            return false;
        }
        let first = !std::mem::replace(&mut self.stops, true);
        self.at.enter();
        let mut has_taken = false;
        for partition in &mut self.partitions {
            if first {
                let rest = std::mem::take(&mut partition.records);
                partition.records = partition.reader.borrow_mut().take_back(rest);
            }
            if partition.failed {
                partition.records.clear();
                continue;
            }
            has_taken |= !partition.records.is_empty()
                || partition.failure.is_some()
                || (!partition.at_end && partition.has_taken());
        }
        has_taken
    }

    fn leave(&mut self) -> (u64, Option<RecordFailure>) {
        self.at.enter();
        let (mut left, mut failed) = (0, None);
        for (turn, partition) in self.partitions.iter_mut().enumerate() {
            if partition.failed {
                continue;
            }
            let mut records = partition.records.len() as u64;
            partition.records.clear();
            if !partition.at_end {
                records += partition.reader.borrow_mut().taken();
            }
            if let Some(error) = partition.failure.take() {
                failed = failed.or(Some((turn, error)));
            }
            if records > 0 {
                // The partition has not been read to its end.
                partition.at_end = false;
            }
            partition.failed = true;
            left += records;
        }
        let failure = failed.map(|(turn, error)| {
            self.turn = turn;
            self.failure(self.step, error.into())
        });
        (left, failure)
    }

    fn rests(&self) -> bool {
        self.rests
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        // Another source may have pushed since.
        self.begin();
        let more = self.chain.resume()?;
        self.pushed.settle();
        if let Some(partition) = self.partitions.get_mut(self.pushing.0) {
            self.times.end(&mut partition.latest);
        }
        Ok(more)
    }

    fn set_marks(&mut self) {
        self.times.set_marks(&self.partitions);
    }

    fn write_tokens(&mut self, rows: &mut EpochRows) -> Result<(), Fault> {
        self.at.enter();
        for partition in &mut self.partitions {
            if !std::mem::take(&mut partition.moved) {
                continue;
            }
            // The token is taken before the check, so that all it says of the file was read before
            // the check.
            let mut reader = partition.reader.borrow_mut();
            let token = self
                .number
                .map(|number| (number, reader.token(partition.pushed)));
            let checked = reader.check();
            drop(reader);
            checked.map_err(|error| self.at.fault(error))?;
            let Some((number, token)) = token else {
                continue;
            };
            let done = partition.is_over() && partition.unfinished().is_none();
            let times = self.times.to_row(&partition.latest);
            let value = token_row(done, &times, &token, &mut self.checked).map_err(|error| {
                let of = Some(partition.name.clone());
                self.at
                    .fault(NotKept::new::<S::Token>(Kept::Token, of, error))
            })?;
            if value != partition.written {
                put(&mut rows.changes, number, &partition.key, &value);
                partition.written = value;
            }
        }
        Ok(())
    }

    fn unfinished(&mut self) -> Vec<UnfinishedLine> {
        let partitions = self.partitions.iter_mut();
        let unfinished = partitions.filter_map(Partition::unfinished);
        let of_step = |line| UnfinishedLine {
            step: self.id.clone(),
            ..line
        };
        unfinished.map(of_step).collect()
    }

    fn blocks(&mut self) -> Option<&mut dyn Blocks> {
        self.parser.is_some().then_some(self as &mut dyn Blocks)
    }
}
