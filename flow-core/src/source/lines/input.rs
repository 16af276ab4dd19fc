//! The bytes of a file, with a look ahead.

use std::{
    fs::File,
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::reader::BATCH_BYTES;
use crate::source::file::{Changed, FileNumber, Leave, TAIL, changed, number, open, read_at};

/// The number of bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Reads a file from an offset on.
///
/// The last 256 bytes stay in memory, and each further read begins with them again. So a file that
/// is truncated or overwritten meanwhile is noticed before a line is put together from two
/// contents.
///
/// The bytes before each record of a batch are kept too, because the file may be gone when a token
/// needs them.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    /// The number of the file, so that another file is noticed when it is opened again.
    number: Option<FileNumber>,
    /// The open file; `None` while it rests.
    file: Option<File>,
    /// Leave to stay open, and to keep the look ahead, while other files are read.
    leave: Option<Leave>,
    buffer: Vec<u8>,
    /// Where the unread bytes of the buffer start.
    start: usize,
    /// The offset in the file at which the buffer ends.
    end: u64,
    /// The bytes that have left the buffer since the batch began.
    aside: Vec<u8>,
    /// The offset in the file at which they begin.
    aside_from: u64,
    /// How the file differs from what was read, if it does. Nothing more is read then.
    changed: Option<Changed>,
}

impl Input {
    /// Reads an open file, from `offset` on.
    pub(super) fn new(path: &Path, file: File, offset: u64) -> io::Result<Self> {
        let mut tail = vec![0; before(offset)];
        let from = offset - tail.len() as u64;
        let read = read_at(&file, &mut tail, from)?;
        if read < tail.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut input = Input {
            path: path.to_path_buf(),
            number: number(&file.metadata()?),
            file: Some(file),
            leave: Leave::take(),
            start: tail.len(),
            buffer: tail,
            end: offset,
            aside: Vec::new(),
            aside_from: offset,
            changed: None,
        };
        if input.leave.is_none() {
            input.close();
        }
        Ok(input)
    }

    /// How the file differs from what was read of it, if it does. The file began with `head`.
    pub(super) fn changed(&self, head: &[u8]) -> io::Result<Option<Changed>> {
        if let Some(changed) = &self.changed {
            return Ok(Some(changed.clone()));
        }
        let tail = &self.buffer[self.buffer.len() - before(self.end).min(self.buffer.len())..];
        self.with_file(|file| changed(file, head, tail, self.end))
    }

    /// Notes that a batch begins at this point.
    pub(super) fn begin_batch(&mut self) {
        self.forget_batch();
        let position = self.end - (self.buffer.len() - self.start) as u64;
        self.aside_from = position - before(position).min(self.start) as u64;
    }

    /// Notes that the bytes before the records of the batch are not needed any more. Those behind
    /// them are.
    pub(super) fn forget_batch(&mut self) {
        self.aside = Vec::new();
        self.aside_from = u64::MAX;
    }

    /// Keeps the first `bytes` of the buffer, which are about to leave it, if the batch needs them.
    fn set_aside(&mut self, bytes: usize) {
        let at = self.end - self.buffer.len() as u64;
        let next = self.aside_from.saturating_add(self.aside.len() as u64);
        let Some(from) = next.checked_sub(at) else {
            return;
        };
        let from = usize::try_from(from).map_or(bytes, |from| from.min(bytes));
        let most = (BATCH_BYTES as usize + TAIL).saturating_sub(self.aside.len());
        let to = bytes.min(from.saturating_add(most));
        self.aside.extend_from_slice(&self.buffer[from..to]);
    }

    /// The last bytes before an offset as they were read, if they are still in memory.
    pub(super) fn tail_before(&self, offset: u64) -> Option<Vec<u8>> {
        let from = offset - before(offset) as u64;
        let begin = self.end - self.buffer.len() as u64;
        let mut tail = Vec::with_capacity(TAIL);
        for (at, bytes) in [(self.aside_from, &self.aside), (begin, &self.buffer)] {
            let next = from + tail.len() as u64;
            let place = |offset: u64| usize::try_from(offset.checked_sub(at)?).ok();
            let (Some(from), Some(to)) = (place(next), place(offset)) else {
                continue;
            };
            let there = bytes.get(from..to.min(bytes.len())).unwrap_or_default();
            tail.extend_from_slice(there);
        }
        (from + tail.len() as u64 == offset).then_some(tail)
    }

    /// Calls `f` with the file, which may have to be opened first.
    pub(super) fn with_file<T>(&self, f: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        match &self.file {
            Some(file) => f(file),
            None => f(&self.reopened()?),
        }
    }

    fn reopened(&self) -> io::Result<File> {
        let file = open(&self.path)?;
        let number = number(&file.metadata()?).zip(self.number);
        if number.is_some_and(|(now, was)| was.is(now) != Some(true)) {
            return Err(io::Error::other(
                "it was moved or replaced while it was read",
            ));
        }
        Ok(file)
    }

    /// Opens the file again if it is closed.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.reopened()?);
            self.leave = Leave::take();
        }
        Ok(())
    }

    /// Whether it must be closed while others have their turn.
    pub(super) fn must_rest(&self) -> bool {
        self.leave.is_none()
    }

    /// Closes the file and drops the look ahead.
    pub(super) fn close(&mut self) {
        self.file = None;
        self.leave = None;
        self.end -= (self.buffer.len() - self.start) as u64;
        self.buffer.truncate(self.start);
        let tail = self.start - before(self.end).min(self.start);
        self.set_aside(tail);
        self.buffer = self.buffer[tail..].to_vec();
        self.start = self.buffer.len();
    }

    /// The next bytes: at least this many, unless the file ends before.
    pub(super) fn look(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let there = self.buffer.len() - self.start;
        if there < bytes && self.changed.is_none() {
            self.read_more((bytes - there).next_multiple_of(CHUNK))?;
        }
        Ok(&self.buffer[self.start..])
    }

    fn read_more(&mut self, bytes: usize) -> io::Result<()> {
        let done = self.start - self.start.min(TAIL);
        self.set_aside(done);
        let Some(mut file) = self.file.as_ref() else {
            return Err(io::Error::other("the file is closed"));
        };
        self.buffer.drain(..done);
        self.start -= done;
        let known = self.buffer.len() - self.buffer.len().min(TAIL);
        let tail = self.buffer.split_off(known);
        self.buffer.reserve(tail.len() + bytes);
        file.seek(SeekFrom::Start(self.end - tail.len() as u64))?;
        let most = tail.len() + bytes;
        let read = file.take(most as u64).read_to_end(&mut self.buffer);
        if self.buffer[known..].starts_with(&tail) {
            self.end += (self.buffer.len() - known - tail.len()) as u64;
        } else {
            self.buffer.truncate(known);
            self.buffer.extend_from_slice(&tail);
            if read.is_ok() {
                let changed = changed(file, &[], &tail, self.end)?;
                self.changed = changed.or(Some(Changed::Overwritten));
            }
        }
        read.map(|_| ())
    }
}

/// The number of bytes before an offset that are kept.
fn before(offset: u64) -> usize {
    usize::try_from(offset).map_or(TAIL, |offset| offset.min(TAIL))
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
        let mut input = Input::new(file.path(), file.reopen().unwrap(), 0).unwrap();
        let mut read = Vec::new();
        for step in [0, 1, 10, CHUNK, 7, CHUNK + 1, 3, 5 * CHUNK, 1] {
            if step == 7 {
                input.close();
                assert!(input.look(1).is_err());
            }
            input.open().unwrap();
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
        assert_eq!(input.changed(&content[..1024]).unwrap(), None);
    }

    #[test]
    fn content_that_changes_is_not_read_on() {
        let content = |byte: u8| vec![byte; 3 * CHUNK];
        let longer = [content(b'a'), content(b'b')].concat();
        // The content after the first read, and how it differs: shorter, overwritten, or not.
        let cases: [(&[u8], Option<bool>); 6] = [
            (&longer, None),
            (&content(b'a')[..CHUNK], None),
            (&content(b'a')[..CHUNK - 1], Some(true)),
            (b"", Some(true)),
            (&content(b'b'), Some(false)),
            (&[&content(b'a')[..CHUNK - 1], b"bb"].concat(), Some(false)),
        ];
        for (now, is_shorter) in cases {
            for rests in [false, true] {
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(file.path(), content(b'a')).unwrap();
                let mut input = Input::new(file.path(), file.reopen().unwrap(), 0).unwrap();
                assert_eq!(input.look(1).unwrap().len(), CHUNK);
                input.consume(CHUNK);
                if rests {
                    input.close();
                }
                std::fs::write(file.path(), now).unwrap();
                let changed = input.changed(&[]).unwrap();
                let found = changed
                    .as_ref()
                    .map(|changed| matches!(changed, Changed::Shorter(_)));
                assert_eq!(found, is_shorter);
                input.open().unwrap();
                let more = input.look(1).unwrap();
                match is_shorter {
                    Some(_) => assert!(more.is_empty()),
                    None => assert_eq!(more, &now[CHUNK..now.len().min(2 * CHUNK)]),
                }
                assert_eq!(input.changed(&[]).unwrap(), changed);
            }
        }
        // Far before the position, only the beginning of the file is compared.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content(b'a')).unwrap();
        let input = Input::new(file.path(), file.reopen().unwrap(), CHUNK as u64).unwrap();
        assert_eq!(input.changed(b"aaa").unwrap(), None);
        assert_eq!(input.changed(b"bbb").unwrap(), Some(Changed::Overwritten));
    }

    #[test]
    fn another_file_is_not_taken_for_one_that_rested() {
        let directory = tempfile::tempdir().unwrap();
        let [path, moved] = ["in", "moved"].map(|name| directory.path().join(name));
        std::fs::write(&path, "a\nb\n").unwrap();
        let mut input = Input::new(&path, File::open(&path).unwrap(), 2).unwrap();
        input.close();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::write(&path, "c\nd\n").unwrap();
        assert!(input.open().unwrap_err().to_string().contains("replaced"));
        std::fs::rename(&moved, &path).unwrap();
        input.open().unwrap();
        assert_eq!(input.look(1).unwrap(), b"b\n");
    }
}
