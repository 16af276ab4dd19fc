//! Reads a file line by line, in runs.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    Excerpt, FileToken, Next, SourceError,
    file::{FileHead, Opened, grown_line, open_at},
};
use crate::stream::OnError;

/// What is to be done with lines that are not as they should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineOptions {
    /// The longest line that is read, in bytes.
    pub(super) max_line: usize,
    pub(super) on_error: OnError,
}

impl Default for LineOptions {
    fn default() -> Self {
        LineOptions {
            max_line: 16 << 20,
            on_error: OnError::Fail,
        }
    }
}

/// A run ends after this many lines or bytes.
const RUN_LINES: usize = 256;
const RUN_BYTES: u64 = 64 << 10;

/// How much of a line is shown in a message, in characters.
const EXCERPT: usize = 200;

#[derive(Clone, Copy, Debug)]
struct Position {
    offset: u64,
    line: u64,
}

/// Reads the lines of one file.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    name: String,
    input: BufReader<File>,
    options: LineOptions,
    head: FileHead,
    /// Where each record of the last run starts.
    starts: Vec<Position>,
    /// Where the next unread line starts.
    next: Position,
    run_bytes: usize,
    run_skipped: u64,
    /// The last line that was read had no end: what comes next must be that end.
    open_line: bool,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn open(
        path: &Path,
        name: &str,
        options: LineOptions,
        resume: Option<&FileToken>,
    ) -> Result<Self, SourceError> {
        let Opened {
            file,
            head,
            token,
            open_line,
        } = open_at(path, name, resume)?;
        Ok(Lines {
            path: path.to_path_buf(),
            name: name.to_owned(),
            input: BufReader::with_capacity(1 << 16, file),
            options,
            head,
            starts: Vec::new(),
            next: Position {
                offset: token.offset,
                line: token.line,
            },
            run_bytes: 0,
            run_skipped: 0,
            open_line,
            line: Vec::new(),
        })
    }

    /// Reads a run of lines; `parse` makes a record of each, or leaves the line out.
    pub(super) fn read<T>(
        &mut self,
        out: &mut Vec<T>,
        mut parse: impl FnMut(&[u8]) -> Result<Option<T>, String>,
    ) -> Result<Next, SourceError> {
        self.starts.clear();
        let start = self.next.offset;
        self.run_bytes = 0;
        self.run_skipped = 0;
        while self.starts.len() < RUN_LINES && self.next.offset - start < RUN_BYTES {
            let Some(mut length) = self.read_line()? else {
                return Ok(Next::End);
            };
            if std::mem::take(&mut self.open_line) {
                if !matches!(&self.line[..], b"\n" | b"\r\n") {
                    return Err(grown_line(&self.name, self.next.line));
                }
                self.advance(length, 0);
                continue;
            }
            let max_line = self.options.max_line;
            let line = line_content(&self.line);
            let record = if line.len() > max_line {
                Err(format!(
                    "the line is longer than {max_line} bytes\nhelp: `.max_line(..)` sets what is allowed"
                ))
            } else {
                parse(line)
            };
            match record {
                Ok(Some(record)) => {
                    self.starts.push(self.next);
                    self.run_bytes += self.line.len();
                    out.push(record);
                }
                Ok(None) => {}
                Err(cause) if self.options.on_error == OnError::Fail => {
                    return Err(self.error(&cause));
                }
                Err(_) => {
                    self.run_skipped += 1;
                    length += self.skip_rest()?;
                }
            }
            self.advance(length, 1);
            if self.line.last() != Some(&b'\n') && self.line.len() as u64 == length {
                // The file may be growing right now: whatever comes behind this line is for a later run to judge.
                self.open_line = true;
                return Ok(Next::End);
            }
        }
        Ok(Next::Ready)
    }

    fn advance(&mut self, length: u64, lines: u64) {
        self.head.read(self.next.offset, &self.line);
        self.next.offset += length;
        self.next.line += lines;
    }

    /// Reads one line with its end into `self.line`; `None` at the end of the file.
    fn read_line(&mut self) -> Result<Option<u64>, SourceError> {
        self.line.clear();
        let limit = self.options.max_line as u64;
        let limit = limit.saturating_add(2);
        let length = (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| self.error(&error.to_string()))?;
        Ok((length > 0).then_some(length as u64))
    }

    /// Reads over what is left of a line that was too long; returns its length.
    fn skip_rest(&mut self) -> Result<u64, SourceError> {
        if self.line.last() == Some(&b'\n') {
            return Ok(0);
        }
        let skipped = self.input.skip_until(b'\n');
        let skipped = skipped.map_err(|error| self.error(&error.to_string()))?;
        Ok(skipped as u64)
    }

    /// An error about the line that comes next.
    fn error(&self, cause: &str) -> SourceError {
        SourceError::new(format!(
            "{}, line {}: {cause}",
            self.name,
            self.next.line + 1
        ))
    }

    pub(super) fn token(&self, index: usize) -> FileToken {
        let at = self.starts.get(index).unwrap_or(&self.next);
        self.head.token(self.input.get_ref(), at.offset, at.line)
    }

    pub(super) fn run_bytes(&self) -> usize {
        self.run_bytes
    }

    pub(super) fn run_skipped(&self) -> u64 {
        self.run_skipped
    }

    pub(super) fn excerpt(&self, at: &FileToken) -> Excerpt {
        Excerpt {
            position: format!("line {}", at.line + 1),
            text: self.text_at(at.offset).ok(),
        }
    }

    fn text_at(&self, offset: u64) -> std::io::Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut line = Vec::new();
        BufReader::new(file.take(4 * EXCERPT as u64)).read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(line_content(&line)).into_owned();
        Ok(match text.char_indices().nth(EXCERPT) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        })
    }
}

/// A line without its end, `\n` or `\r\n`.
fn line_content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
