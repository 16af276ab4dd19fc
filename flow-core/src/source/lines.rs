//! Reads a file line by line, in runs.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use memchr::{memchr, memchr_iter};

use super::{
    At, Excerpt, FileToken, Next, SourceError,
    file::{FileHead, Opened, grown_line, open_at},
    input::Input,
};
use crate::stream::OnError;

/// How lines are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineOptions {
    /// The longest line that is read, in bytes.
    pub(super) max_line: usize,
    /// What is to be done with lines that are not as they should be.
    pub(super) on_error: OnError,
    /// Whether the worker that reads a file also makes records of all of its lines.
    pub(super) whole: bool,
}

impl Default for LineOptions {
    fn default() -> Self {
        LineOptions {
            max_line: 16 << 20,
            on_error: OnError::Fail,
            whole: false,
        }
    }
}

/// Makes records of lines. All workers have the same, so it does not matter which of them has a line.
#[derive(Debug)]
pub struct LineParser<T> {
    options: LineOptions,
    parse: fn(&[u8]) -> Result<Option<T>, String>,
}

impl<T> Clone for LineParser<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LineParser<T> {}

impl<T> LineParser<T> {
    /// `parse` gets lines without their ends, and makes a record of each or leaves it out.
    pub(super) fn new(options: LineOptions, parse: fn(&[u8]) -> Result<Option<T>, String>) -> Self {
        LineParser { options, parse }
    }

    /// Makes a record of a line with its end.
    pub(super) fn record(&self, line: &[u8]) -> Result<Option<T>, String> {
        let line = line_content(line);
        let max_line = self.options.max_line;
        if line.len() > max_line {
            return Err(format!(
                "the line is longer than {max_line} bytes\nhelp: `.max_line(..)` sets what is allowed"
            ));
        }
        (self.parse)(line)
    }

    /// Whether lines of which no record can be made are left out.
    pub(super) fn skips(&self) -> bool {
        self.options.on_error == OnError::Skip
    }

    /// Whether other workers may make records of a file's lines.
    pub(super) fn splits(&self) -> bool {
        !self.options.whole
    }
}

/// A run ends after this many lines or bytes.
const RUN_LINES: usize = 256;
const RUN_BYTES: u64 = 64 << 10;

/// A block is about as long, and no longer than a line of the second length: what is longer is read line by line.
const BLOCK: usize = 64 << 10;
const LONG: usize = 1 << 20;

/// How much of a line is shown in a message, in characters.
const EXCERPT: usize = 200;

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    offset: u64,
    line: u64,
}

/// Reads the lines of one file, in runs of records or in blocks that are not looked into.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    name: String,
    input: Input,
    options: LineOptions,
    head: FileHead,
    /// Where each record of the last run starts.
    starts: Vec<Position>,
    /// Where the next unread line starts.
    next: Position,
    /// How many bytes and lines before it are in blocks that have been taken and not been worked off.
    ahead: Position,
    /// What `look` has found last: how many lines, and how many bytes they are.
    seen: (usize, usize),
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
        at: At<&FileToken>,
    ) -> Result<Self, SourceError> {
        let Opened {
            file,
            head,
            token,
            open_line,
        } = open_at(path, name, at)?;
        Ok(Lines {
            path: path.to_path_buf(),
            name: name.to_owned(),
            input: Input::new(file),
            options,
            head,
            starts: Vec::new(),
            next: Position {
                offset: token.offset,
                line: token.line,
            },
            ahead: Position::default(),
            seen: (0, 0),
            run_bytes: 0,
            run_skipped: 0,
            open_line,
            line: Vec::new(),
        })
    }

    /// Reads a run of lines, and makes records of them.
    pub(super) fn read<T>(
        &mut self,
        out: &mut Vec<T>,
        parser: &LineParser<T>,
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
            match parser.record(&self.line) {
                Ok(Some(record)) => {
                    self.starts.push(self.next);
                    self.run_bytes += self.line.len();
                    out.push(record);
                }
                Ok(None) => {}
                Err(cause) if !parser.skips() => return Err(self.error(&cause)),
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

    /// How many whole lines can be taken as a block, at most `most`, and how many bytes they are. There is none where
    /// the file ends without a line's end, at a line that is very long, or where reading fails: all that is for
    /// [`Lines::read`] to meet.
    pub(super) fn look(&mut self, most: usize) -> Option<(usize, usize)> {
        if self.open_line {
            return None;
        }
        let mut ahead = self.input.look(BLOCK).ok()?;
        if memchr(b'\n', ahead).is_none() {
            ahead = self.input.look(LONG).ok()?;
        }
        let ends = memchr_iter(b'\n', &ahead[..ahead.len().min(LONG)]);
        let mut block = None;
        for (before, end) in ends.take(most).enumerate() {
            if before > 0 && end >= BLOCK {
                break;
            }
            block = Some((before + 1, end + 1));
        }
        self.seen = block.unwrap_or_default();
        block
    }

    /// Takes the next lines as they are, at most `most` of those that `look` has found.
    pub(super) fn take_block(
        &mut self,
        most: usize,
        mut into: Vec<u8>,
    ) -> Option<(usize, Vec<u8>)> {
        let (lines, bytes) = match self.seen.0 <= most {
            true => self.seen,
            false => self.look(most)?,
        };
        into.clear();
        into.extend_from_slice(self.input.look(bytes).ok()?.get(..bytes)?);
        self.input.consume(bytes);
        self.head.read(self.next.offset, &into);
        self.next.offset += bytes as u64;
        self.next.line += lines as u64;
        self.ahead.offset += bytes as u64;
        self.ahead.line += lines as u64;
        // Tokens are now those of blocks.
        self.starts.clear();
        self.run_bytes = 0;
        self.run_skipped = 0;
        Some((lines, into))
    }

    /// Notes that the next lines that had been taken have been worked off.
    pub(super) fn worked_off(&mut self, lines: usize, bytes: usize) {
        self.ahead.line -= lines as u64;
        self.ahead.offset -= bytes as u64;
    }

    /// Where the first line starts that has not been worked off, unless it is in a run.
    fn first(&self) -> Position {
        Position {
            offset: self.next.offset - self.ahead.offset,
            line: self.next.line - self.ahead.line,
        }
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
    pub(super) fn error(&self, cause: &str) -> SourceError {
        SourceError::new(format!(
            "{}, line {}: {cause}",
            self.name,
            self.first().line + 1
        ))
    }

    pub(super) fn token(&self, index: usize) -> FileToken {
        let at = self.starts.get(index).copied();
        let at = at.unwrap_or_else(|| self.first());
        self.head.token(self.input.file(), at.offset, at.line)
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
