//! The bytes of a file, of which one may look at some before they are read.

use std::{
    fs::File,
    io::{self, BufRead, Read},
};

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// Reads a file from where it stands.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    buffer: Vec<u8>,
    /// What is before it has been read.
    start: usize,
}

impl Input {
    pub(super) fn new(file: File) -> Self {
        Input {
            file,
            buffer: Vec::new(),
            start: 0,
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The next bytes: so many and more, unless the file ends before.
    pub(super) fn look(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let there = self.buffer.len() - self.start;
        if there < bytes {
            self.buffer.drain(..self.start);
            self.start = 0;
            let more = (bytes - there).next_multiple_of(CHUNK);
            self.buffer.reserve(more);
            self.file
                .by_ref()
                .take(more as u64)
                .read_to_end(&mut self.buffer)?;
            if self.buffer.is_empty() {
                self.buffer = Vec::new(); // a flow may have many files, and this one has ended
            }
        }
        Ok(&self.buffer[self.start..])
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.look(1)
    }

    fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_looked_at_is_read_all_the_same() {
        let content: Vec<u8> = (0..3 * CHUNK)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut input = Input::new(file);
        let mut read = Vec::new();
        for step in [0, 1, 10, CHUNK, 7, CHUNK + 1, 3, 5 * CHUNK, 1] {
            let ahead = input.look(step).unwrap();
            assert!(ahead.len() >= step.min(content.len() - read.len()));
            assert!(content[read.len()..].starts_with(ahead));
            let take = step / 2 + 1;
            (&mut input)
                .take(take as u64)
                .read_to_end(&mut read)
                .unwrap();
        }
        input.read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
        assert!(input.look(1).unwrap().is_empty());
    }
}
