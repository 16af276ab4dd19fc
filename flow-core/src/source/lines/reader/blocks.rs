//! Takes lines of a file as blocks without looking into them, so that any worker can process them.

use std::io::BufRead;

use memchr::{memchr, memchr_iter};

use super::Lines;
use crate::{engine::Block, source::lines::format::BOM};

/// The approximate size of a block, in bytes. It is larger only if it is one line.
const BLOCK: usize = 64 << 10;

/// The longest line in a block, in bytes. Longer lines are read one by one.
const LONGEST: usize = 1 << 20;

impl Lines {
    /// The number of whole lines that can be taken as a block, at most `most`, and their bytes.
    ///
    /// `None` if the file ends without a line end, at a byte order mark, at a very long line, or if
    /// reading fails. [`Lines::read`] handles these cases.
    pub(in crate::source) fn offer(&mut self, most: usize) -> Option<(usize, usize)> {
        if self.open_line {
            return None;
        }
        self.input.open().ok()?;
        let mut ahead = self.input.look(BLOCK).ok()?;
        if self.next.offset == 0 && ahead.starts_with(BOM) {
            return None;
        }
        if memchr(b'\n', ahead).is_none() {
            ahead = self.input.look(LONGEST).ok()?;
        }
        let ends = memchr_iter(b'\n', &ahead[..ahead.len().min(LONGEST)]);
        let mut block = None;
        for (before, end) in ends.take(most).enumerate() {
            if before > 0 && end >= BLOCK {
                break;
            }
            block = Some((before + 1, end + 1));
        }
        self.offered = block.unwrap_or_default();
        block
    }

    /// Takes the next lines as a block in the buffer `into`: at most `most` of those that were
    /// offered.
    pub(in crate::source) fn take(&mut self, most: usize, mut into: Vec<u8>) -> Option<Block> {
        let (lines, bytes) = match self.offered.0 <= most {
            true => self.offered,
            false => self.offer(most)?,
        };
        into.clear();
        into.extend_from_slice(self.input.look(bytes).ok()?.get(..bytes)?);
        let block = Block {
            partition: self.name.clone(),
            line: self.next.line,
            offset: self.next.offset,
            lines,
            bytes: into,
        };
        self.input.consume(bytes);
        self.head.read(self.next.offset, &block.bytes);
        self.next.offset += bytes as u64;
        self.next.line += lines as u64;
        self.ahead.offset += bytes as u64;
        self.ahead.line += lines as u64;
        // Tokens are now those of blocks.
        self.starts.clear();
        self.batch_bytes = 0;
        self.skipped.clear();
        self.rest();
        Some(block)
    }

    /// Counts the next lines that were taken as read.
    pub(in crate::source) fn accept(&mut self, lines: usize, bytes: usize) {
        self.ahead.line -= lines as u64;
        self.ahead.offset -= bytes as u64;
    }
}
