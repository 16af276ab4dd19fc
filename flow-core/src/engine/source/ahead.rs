//! The blocks that a worker has given out and that have not come back.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    TURN,
    desk::{Desk, Helper, Job, Tray},
};
use crate::engine::{Block, Offer, Receipt, Worked, state::SourceBell};

/// How many blocks may be out for each worker: enough that none of them waits for the next one while the worker that
/// reads is at something else.
const BLOCKS: usize = 4;

/// A block has that many lines or bytes, at least, where lines are quickly worked off: fewer are not worth the way.
const LINES: usize = 256;
const BYTES: usize = 32 << 10;

/// No block has more lines.
const MOST: usize = 4096;

/// Gives out blocks, and takes back what came of them in their order.
pub(super) struct Ahead {
    pub(super) desk: Arc<Desk>,
    pub(super) helper: Arc<Helper>,
    tray: Arc<Tray>,
    out: VecDeque<Out>,
    /// The number of the next block.
    next: u64,
    /// How many lines are out.
    lines: usize,
    /// How many lines a block should have: about as many as take a tenth of a turn.
    size: usize,
    /// Fixed by a test.
    fixed: bool,
    buffers: Vec<Vec<u8>>,
}

/// A block that is out.
pub(super) struct Out {
    pub(super) receipt: Receipt,
    pub(super) bytes_each: u64,
}

impl Ahead {
    pub(super) fn new(
        desk: Arc<Desk>,
        worker: usize,
        bell: &Arc<SourceBell>,
        fixed: Option<usize>,
    ) -> Self {
        Ahead {
            helper: desk.join(worker, bell.clone()),
            tray: Arc::new(Tray::new(bell.clone())),
            desk,
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
        self.out.len() < BLOCKS * self.desk.workers()
    }

    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// How many lines a block should have.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many lines like these are worth to be given to another worker.
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

    /// Gives out a block.
    pub(super) fn give(&mut self, block: Block, receipt: Receipt, bytes_each: u64) {
        self.lines += receipt.lines;
        self.out.push_back(Out {
            receipt,
            bytes_each,
        });
        self.desk.put(Job {
            number: self.next,
            block,
            tray: self.tray.clone(),
        });
        self.next += 1;
    }

    fn first(&self) -> u64 {
        self.next - self.out.len() as u64
    }

    /// Whether there is something to do: the first block is back, or one waits to be worked off.
    pub(super) fn is_ready(&self) -> bool {
        !self.out.is_empty() && (self.tray.has(self.first()) || !self.desk.is_empty())
    }

    /// Takes the first block that is out, if it is back.
    pub(super) fn next_back(&mut self) -> Option<(Out, Worked)> {
        let (worked, block) = self
            .tray
            .take(self.first())
            .filter(|_| !self.out.is_empty())?;
        let out = self.out.pop_front()?;
        self.lines -= out.receipt.lines;
        self.adapt(out.receipt.lines, worked.took);
        self.buffers.push(block.bytes);
        Some((out, worked))
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

    /// Gives up all blocks that are out: they have not been read.
    pub(super) fn give_up(&mut self) -> VecDeque<Out> {
        self.desk.take_back(&self.tray);
        self.tray.close();
        self.lines = 0;
        std::mem::take(&mut self.out)
    }
}

impl Drop for Ahead {
    /// What came of blocks holds records, which are dropped on a worker, as all of the user's.
    fn drop(&mut self) {
        self.give_up();
    }
}
