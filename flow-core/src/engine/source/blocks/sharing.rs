//! How the operator of a source shares its lines: it hands out blocks, processes some, and accepts
//! them.

use std::time::Instant;

use flow_store::Epoch;

use super::{
    super::{Driver, RECORDS, TURN, origin, traced},
    Processed,
    outstanding::Out,
    queue::Job,
};
use crate::{chain::Fault, engine::EpochEvent};

/// What a source that may hand out blocks does next.
pub(in crate::engine::source) enum Sharing {
    /// It has made progress.
    Done,
    /// It waits for a block to return.
    Wait,
    /// It continues alone, record by record.
    Alone,
}

impl Driver {
    /// Accepts the next block and sends its results, if it has returned. Returns whether it had.
    pub(in crate::engine::source) fn accept(&mut self, open: Epoch, records: &mut u64) -> bool {
        let (Some(outstanding), Some(capabilities)) = (&mut self.outstanding, &self.open) else {
            return false;
        };
        let Some((out, mut processed)) = outstanding.accept() else {
            return false;
        };
        // Records that were pushed here before the block was taken go first.
        self.outputs.send(capabilities, 1);
        let parcels = std::mem::take(&mut processed.parcels);
        let mut blocks = self.task.blocks();
        let times = blocks.as_mut();
        let times = times.map(|blocks| blocks.times(&out.receipt, &processed));
        let times = times.unwrap_or_default();
        self.outputs.forward(capabilities, parcels, &times);
        let failure = blocks.and_then(|blocks| blocks.accept(&out.receipt, &mut processed));
        let read = processed.records as u64;
        let unused = out.receipt.lines as u64 - read;
        self.release(unused, out.bytes_each);
        self.count(open, read, out.bytes_each);
        if let Some(failure) = failure {
            self.state.fail(failure);
        }
        *records = records.saturating_sub(read);
        true
    }

    /// Hands out the next block, or processes one, if there is a worker to share with and it is
    /// worth it.
    pub(in crate::engine::source) fn share(
        &mut self,
        open: Epoch,
        records: &mut u64,
    ) -> Result<Sharing, Fault> {
        let Some(outstanding) = &mut self.outstanding else {
            return Ok(Sharing::Alone);
        };
        if outstanding.has_place() && outstanding.queue.has_idle() && self.hand_out(open) {
            return Ok(Sharing::Done);
        }
        let outstanding = self.outstanding.as_ref();
        let Some(outstanding) = outstanding.filter(|outstanding| !outstanding.is_empty()) else {
            return Ok(Sharing::Alone);
        };
        match outstanding.queue.pop() {
            Some(job) => {
                *records = records.saturating_sub(self.process(job)?);
                Ok(Sharing::Done)
            }
            None => Ok(Sharing::Wait),
        }
    }

    /// Hands out the next block, unless it would be too small or nothing can be read now.
    fn hand_out(&mut self, open: Epoch) -> bool {
        let Some(outstanding) = &mut self.outstanding else {
            return false;
        };
        let room = self.state.open.room();
        let room = usize::try_from(room)
            .unwrap_or(usize::MAX)
            .saturating_sub(outstanding.lines());
        if room == 0 {
            return false;
        }
        let blocks = self.task.blocks();
        let Some(offer) = blocks.and_then(|blocks| blocks.offer(outstanding.size())) else {
            return false;
        };
        let worth = outstanding.worth(&offer);
        // The first block is handed out only if there will be a second one.
        let is_first = outstanding.is_empty();
        let least = if is_first { 2 * worth } else { 1 };
        if room < least || (is_first && offer.lines < worth) {
            return false;
        }
        // The rest of an epoch is shared by all workers.
        let share = room.div_ceil(outstanding.queue.workers()).max(worth);
        let lines = offer.lines.min(share).min(room);
        let bytes_each = offer.bytes_each as u64;
        let asked = lines.max(least);
        let granted = self.state.reserve(&self.bell, asked as u64, bytes_each);
        if granted < asked as u64 {
            let in_flight = self.state.budget.records_in_flight();
            self.state
                .end_epoch(open, EpochEvent::LittleRoom { in_flight });
        }
        #[allow(clippy::cast_possible_truncation)] // at most what was asked for
        let lines = lines.min(granted as usize);
        let taken = match granted < least as u64 || lines == 0 {
            true => None,
            false => {
                let blocks = self.task.blocks();
                blocks.and_then(|blocks| blocks.take(lines, outstanding.buffer()))
            }
        };
        let used = taken.as_ref().map_or(0, |(block, _)| block.lines as u64);
        if granted > used {
            self.state.refund(&self.bell, granted - used, bytes_each);
        }
        let (Some((block, receipt)), Some(outstanding)) = (taken, &mut self.outstanding) else {
            return false;
        };
        outstanding.hand_out(block, receipt, bytes_each);
        true
    }

    /// Processes blocks of other workers, in a source that has nothing more to read.
    pub(in crate::engine::source) fn help(&mut self) -> Result<(), Fault> {
        let Some(outstanding) = &self.outstanding else {
            return Ok(());
        };
        let (queue, helper) = (outstanding.queue.clone(), outstanding.helper.clone());
        let began = Instant::now();
        let mut records = RECORDS;
        while !self.state.aborted() {
            if records == 0 || began.elapsed() > TURN {
                self.activator.activate();
                return Ok(());
            }
            match queue.pop() {
                Some(job) => records = records.saturating_sub(self.process(job)?),
                None => {
                    helper.wait();
                    if queue.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Pushes a block through the chain of this worker, and returns it to its owner. Returns the
    /// number of its records.
    fn process(&mut self, job: Job) -> Result<u64, Fault> {
        if let Some(capabilities) = &self.open {
            // The outlets may hold records that were pushed here before.
            self.outputs.send(capabilities, 1);
        }
        let began = Instant::now();
        let processed = traced(&mut *self.task, Some(&job.block), |task| {
            let blocks = task.blocks();
            blocks.map_or_else(
                || Ok(Processed::default()),
                |blocks| blocks.process(&job.block, &self.state.stopping),
            )
        });
        let mut processed = processed.map_err(|mut fault| {
            fault.set_origin(origin(&mut *self.task, Some(&job.block)));
            fault
        })?;
        processed.parcels = self.outputs.take();
        processed.took = began.elapsed();
        let records = processed.records as u64;
        job.returns.put(job.number, processed, job.block);
        Ok(records)
    }

    /// Gives up the blocks that are out.
    pub(in crate::engine::source) fn give_up(&mut self) {
        let Some(outstanding) = &mut self.outstanding else {
            return;
        };
        for Out {
            receipt,
            bytes_each,
        } in outstanding.give_up()
        {
            self.release(receipt.lines as u64, bytes_each);
        }
    }

    /// Gives back records that were reserved and not read.
    pub(in crate::engine::source) fn release(&self, records: u64, bytes_each: u64) {
        if records > 0 {
            self.state.budget.release(records, records * bytes_each);
            // Another source may have waited for this room.
            self.state.ring_waiting();
        }
    }
}
