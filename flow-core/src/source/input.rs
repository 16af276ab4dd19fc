//! The bytes of a file, of which one may look at some before they are read.

use std::{
    fs::File,
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::files::FileId;

use super::open::{self, Leave};

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// Reads a file from where it stands.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    /// Which file it is, so that another one is not taken for it when it is opened again.
    id: Option<FileId>,
    /// None while it rests.
    file: Option<File>,
    /// It stays open, and keeps what it has read ahead, while others are read.
    leave: Option<Leave>,
    buffer: Vec<u8>,
    /// What is before it has been read.
    start: usize,
}

impl Input {
    pub(super) fn new(path: &Path, file: File) -> Self {
        let mut input = Input {
            path: path.to_path_buf(),
            id: id_of(&file),
            file: Some(file),
            leave: Leave::take(),
            buffer: Vec::new(),
            start: 0,
        };
        if input.leave.is_none() {
            input.close();
        }
        input
    }

    /// Calls `f` with the file, which may have to be opened for that.
    pub(super) fn with_file<T>(&self, f: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        match &self.file {
            Some(file) => f(file),
            None => f(&self.reopened()?),
        }
    }

    fn reopened(&self) -> io::Result<File> {
        let file = open::open(&self.path)?;
        if id_of(&file) != self.id {
            return Err(io::Error::other(
                "it was moved or replaced while it was read",
            ));
        }
        Ok(file)
    }

    /// Opens the file again where it is closed; the next byte is at `offset`.
    pub(super) fn open(&mut self, offset: u64) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = self.reopened()?;
            file.seek(SeekFrom::Start(offset))?;
            self.file = Some(file);
            self.leave = Leave::take();
        }
        Ok(())
    }

    /// Whether it must not stay open now that others have their turn.
    pub(super) fn must_rest(&self) -> bool {
        self.leave.is_none()
    }

    /// Closes the file, and drops what was read ahead.
    pub(super) fn close(&mut self) {
        self.file = None;
        self.leave = None;
        self.buffer = Vec::new();
        self.start = 0;
    }

    /// The next bytes: so many and more, unless the file ends before.
    pub(super) fn look(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let there = self.buffer.len() - self.start;
        if there < bytes {
            self.buffer.drain(..self.start);
            self.start = 0;
            let more = (bytes - there).next_multiple_of(CHUNK);
            self.buffer.reserve(more);
            let Some(file) = &self.file else {
                return Err(io::Error::other("the file is closed"));
            };
            file.take(more as u64).read_to_end(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.start..])
    }
}

fn id_of(file: &File) -> Option<FileId> {
    FileId::of_open(&file.metadata().ok()?)
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

    use super::*;

    #[test]
    fn what_was_looked_at_is_read_all_the_same() {
        let content: Vec<u8> = (0..3 * CHUNK)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let mut input = Input::new(file.path(), file.reopen().unwrap());
        let mut read = Vec::new();
        for step in [0, 1, 10, CHUNK, 7, CHUNK + 1, 3, 5 * CHUNK, 1] {
            if step == 7 {
                input.close();
                assert!(input.look(1).is_err());
            }
            input.open(read.len() as u64).unwrap();
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

    #[test]
    fn another_file_is_not_taken_for_one_that_rested() {
        let directory = tempfile::tempdir().unwrap();
        let [path, moved] = ["in", "moved"].map(|name| directory.path().join(name));
        std::fs::write(&path, "a\nb\n").unwrap();
        let mut input = Input::new(&path, File::open(&path).unwrap());
        input.close();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::write(&path, "c\nd\n").unwrap();
        assert!(input.open(2).unwrap_err().to_string().contains("replaced"));
        std::fs::rename(&moved, &path).unwrap();
        input.open(2).unwrap();
        assert_eq!(input.look(1).unwrap(), b"b\n");
    }
}
