//! Takes lines of a file as blocks that are not looked into, so that any worker can process them.

use std::io::BufRead;

use memchr::{memchr, memchr_iter};

use super::Lines;
use crate::{engine::Block, source::lines::format::BOM};

/// A block is about as long as this, in bytes. It is longer only if it is one line.
const BLOCK: usize = 64 << 10;

/// A longer line is in no block, in bytes: it is read line by line.
const LONGEST: usize = 1 << 20;

impl Lines {
    /// How many whole lines can be taken as a block, at most `most`, and how many bytes they are.
    /// There is none where the file ends without a line's end, at a byte order mark, at a line that
    /// is very long, or where reading fails: all that is for [`Lines::read`] to meet.
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

    /// Takes the next lines as a block, at most `most` of those that were offered, in the buffer
    /// `into`.
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
        self.run_bytes = 0;
        self.skipped.clear();
        self.rest();
        Some(block)
    }

    /// Counts the next lines that had been taken as read.
    pub(in crate::source) fn accept(&mut self, lines: usize, bytes: usize) {
        self.ahead.line -= lines as u64;
        self.ahead.offset -= bytes as u64;
    }
}
