//! A source whose lines other workers help with.
//!
//! The worker that has a file reads it in blocks of lines, which any worker may work off: each has a copy of the chain up
//! to the next shuffle, and gives back what it made, unsent. The owner sends that, block by block in the order of the
//! file, as if it had made it itself: in its open epoch, within the budget, and with its token behind the block. So a
//! block that has not come back, or that comes behind a failure, has never been read.

use std::time::Instant;

use super::{Driver, RECORDS, TURN, ahead::Out, desk::Job, origin, traced};
use crate::chain::Fault;

/// How a source goes on that may give out blocks.
pub(super) enum Share {
    /// Something has been done.
    Done,
    /// It has to wait for a block to come back.
    Wait,
    /// It goes on alone, record by record.
    Alone,
}

impl Driver {
    /// Sends what came of the next block, if it is back. Returns whether it was.
    pub(super) fn take_back(&mut self, open: u64, records: &mut u64) -> bool {
        let (Some(ahead), Some(capabilities)) = (&mut self.ahead, &self.open) else {
            return false;
        };
        let Some((out, mut worked)) = ahead.next_back() else {
            return false;
        };
        // What was pushed here before the block was taken.
        self.outputs.send(capabilities, 1);
        let parcels = std::mem::take(&mut worked.parcels);
        self.outputs.forward(capabilities, parcels);
        let failure = self.task.worked_off(&out.receipt, &mut worked);
        let read = worked.records as u64;
        let unused = out.receipt.lines as u64 - read;
        self.release(unused, out.bytes_each);
        self.count(open, read, out.bytes_each);
        if let Some(failure) = failure {
            self.state.fail(failure);
        }
        *records = records.saturating_sub(read);
        true
    }

    /// Gives out the next block, or works one off, if there is somebody to share with and it is worth it.
    pub(super) fn share(&mut self, open: u64, records: &mut u64) -> Result<Share, Fault> {
        let Some(ahead) = &mut self.ahead else {
            return Ok(Share::Alone);
        };
        if ahead.has_place() && ahead.desk.has_idle() && self.give_out(open) {
            return Ok(Share::Done);
        }
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| !ahead.is_empty()) else {
            return Ok(Share::Alone);
        };
        match ahead.desk.take() {
            Some(job) => {
                *records = records.saturating_sub(self.work(job)?);
                Ok(Share::Done)
            }
            None => Ok(Share::Wait),
        }
    }

    /// Gives out the next block, unless it would be too small or nothing can be read now.
    fn give_out(&mut self, open: u64) -> bool {
        let Some(ahead) = &mut self.ahead else {
            return false;
        };
        let room = self.state.room_in_epoch();
        let room = usize::try_from(room)
            .unwrap_or(usize::MAX)
            .saturating_sub(ahead.lines());
        if room == 0 {
            return false;
        }
        let Some(offer) = self.task.offer(ahead.size()) else {
            return false;
        };
        let worth = ahead.worth(&offer);
        // The first one is given out when there will be a second one.
        let least = if ahead.is_empty() { 2 * worth } else { 1 };
        if room < least || (ahead.is_empty() && offer.lines < worth) {
            return false;
        }
        // What is left of an epoch is for all.
        let share = room.div_ceil(ahead.desk.workers()).max(worth);
        let lines = offer.lines.min(share).min(room);
        let bytes_each = offer.bytes_each as u64;
        let asked = lines.max(least);
        let granted = self.state.reserve(&self.bell, asked as u64, bytes_each);
        if granted < asked as u64 && self.state.holds_most() {
            // The budget is used up: what has been read may become durable while the blocks that are out are worked off.
            self.state.cut(open);
        }
        #[allow(clippy::cast_possible_truncation)] // at most what was asked for
        let lines = lines.min(granted as usize);
        let taken = match granted < least as u64 || lines == 0 {
            true => None,
            false => self.task.take(lines, ahead.buffer()),
        };
        let used = taken.as_ref().map_or(0, |(block, _)| block.lines as u64);
        if granted > used {
            self.state.refund(&self.bell, granted - used, bytes_each);
        }
        let (Some((block, receipt)), Some(ahead)) = (taken, &mut self.ahead) else {
            return false;
        };
        ahead.give(block, receipt, bytes_each);
        true
    }

    /// Works off blocks of other workers. Done by a source that has nothing to read any more.
    pub(super) fn help(&mut self) -> Result<(), Fault> {
        let Some(ahead) = &self.ahead else {
            return Ok(());
        };
        let (desk, helper) = (ahead.desk.clone(), ahead.helper.clone());
        let began = Instant::now();
        let mut records = RECORDS;
        while !self.state.aborted() {
            if records == 0 || began.elapsed() > TURN {
                self.activator.activate();
                return Ok(());
            }
            match desk.take() {
                Some(job) => records = records.saturating_sub(self.work(job)?),
                None => {
                    helper.wait();
                    if desk.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Has a block go through the chain of this worker, and gives it back. Returns how many records it had.
    fn work(&mut self, job: Job) -> Result<u64, Fault> {
        if let Some(capabilities) = &self.open {
            // The outlets may hold what was pushed here before.
            self.outputs.send(capabilities, 1);
        }
        let began = Instant::now();
        let worked = traced(&mut *self.task, Some(&job.block), |task| {
            task.work(&job.block, &self.state.stopping)
        });
        let mut worked = worked.map_err(|mut fault| {
            fault.set_origin(origin(&mut *self.task, Some(&job.block)));
            fault
        })?;
        worked.parcels = self.outputs.take();
        worked.took = began.elapsed();
        let records = worked.records as u64;
        job.tray.put(job.number, worked, job.block);
        Ok(records)
    }

    /// Gives up the blocks that are out.
    pub(super) fn give_up(&mut self) {
        let Some(ahead) = &mut self.ahead else {
            return;
        };
        for Out {
            receipt,
            bytes_each,
        } in ahead.give_up()
        {
            self.release(receipt.lines as u64, bytes_each);
        }
    }

    /// Gives back what was reserved and not read.
    pub(super) fn release(&self, records: u64, bytes_each: u64) {
        if records > 0 {
            self.state.budget.release(records, records * bytes_each);
            // Another source may have found no room for it.
            self.state.ring_waiting();
        }
    }
}
