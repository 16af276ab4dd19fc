//! The blocks that a worker has handed out and not accepted yet.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    super::TURN,
    Block, Offer, Processed, Receipt,
    queue::{Helper, Job, Queue, Returns},
};
use crate::engine::SourceBell;

/// How many blocks may be out for each worker. They are enough that no worker waits for the next
/// block while the owner does something else.
const BLOCKS: usize = 4;

/// The least lines or bytes of a block if lines are processed quickly. Smaller blocks are not worth
/// handing out.
const LINES: usize = 256;
const BYTES: usize = 32 << 10;

/// The most lines of a block.
const MOST: usize = 4096;

/// Hands out blocks, and accepts their results in order.
pub(in crate::engine::source) struct Outstanding {
    pub(super) queue: Arc<Queue>,
    pub(super) helper: Arc<Helper>,
    returns: Arc<Returns>,
    out: VecDeque<Out>,
    /// The number of the next block.
    next: u64,
    /// The number of lines that are out.
    lines: usize,
    /// How many lines a block should have: about as many as take a tenth of a turn.
    size: usize,
    /// Whether a test has fixed the size.
    fixed: bool,
    buffers: Vec<Vec<u8>>,
}

/// A block that is out.
pub(super) struct Out {
    pub(super) receipt: Receipt,
    pub(super) bytes_each: u64,
}

impl Outstanding {
    pub(in crate::engine::source) fn new(
        queue: Arc<Queue>,
        worker: usize,
        bell: &Arc<SourceBell>,
        fixed: Option<usize>,
    ) -> Self {
        Outstanding {
            helper: queue.join(worker, bell.clone()),
            returns: Arc::new(Returns::new(bell.clone())),
            queue,
            out: VecDeque::new(),
            next: 0,
            lines: 0,
            size: fixed.unwrap_or(64),
            fixed: fixed.is_some(),
            buffers: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether more blocks may be out.
    pub(super) fn has_place(&self) -> bool {
        self.out.len() < BLOCKS * self.queue.workers()
    }

    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// How many lines a block should have.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The least number of such lines that is worth handing out.
    pub(super) fn worth(&self, offer: &Offer) -> usize {
        if self.fixed {
            return 1;
        }
        let line = (offer.bytes / offer.lines.max(1)).max(1);
        self.size.min(LINES).min((BYTES / line).max(1))
    }

    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Hands out a block.
    pub(super) fn hand_out(&mut self, block: Block, receipt: Receipt, bytes_each: u64) {
        self.lines += receipt.lines;
        self.out.push_back(Out {
            receipt,
            bytes_each,
        });
        self.queue.put(Job {
            number: self.next,
            block,
            returns: self.returns.clone(),
        });
        self.next += 1;
    }

    fn first(&self) -> u64 {
        self.next - self.out.len() as u64
    }

    /// Whether there is something to do: the first block has returned, or a block waits to be
    /// processed.
    pub(in crate::engine::source) fn is_ready(&self) -> bool {
        !self.out.is_empty() && (self.returns.has(self.first()) || !self.queue.is_empty())
    }

    /// Accepts the first block that is out, if it has returned.
    pub(super) fn accept(&mut self) -> Option<(Out, Processed)> {
        let (processed, block) = self
            .returns
            .take(self.first())
            .filter(|_| !self.out.is_empty())?;
        let out = self.out.pop_front()?;
        self.lines -= out.receipt.lines;
        self.adapt(out.receipt.lines, processed.took);
        self.buffers.push(block.bytes);
        Some((out, processed))
    }

    fn adapt(&mut self, lines: usize, took: Duration) {
        if self.fixed {
            return;
        }
        if took > TURN / 5 {
            self.size = (lines / 2).max(1);
        } else if lines == self.size && took < TURN / 20 {
            self.size = (lines * 2).min(MOST);
        }
    }

    /// Gives up all blocks that are out. They count as not read.
    pub(super) fn give_up(&mut self) -> VecDeque<Out> {
        self.queue.remove(&self.returns);
        self.returns.close();
        self.lines = 0;
        std::mem::take(&mut self.out)
    }
}

impl Drop for Outstanding {
    /// The results of blocks hold records of the user, which must be dropped on a worker.
    fn drop(&mut self) {
        self.give_up();
    }
}
