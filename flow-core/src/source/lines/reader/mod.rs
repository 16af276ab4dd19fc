//! Reads the lines of a file in batches of records.

mod blocks;

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use memchr::memchr;

use super::{
    format::{BOM, LineFormat},
    grown::{grown_line, rest_of_line},
    input::Input,
    line::{EXCERPT, excerpt_of, line_content},
    parser::{BadLine, LineOptions, LineParser, log_skipped},
    skipped::Skipped,
};
use crate::source::{
    At, Excerpt, FileToken, Next, SourceError, UnfinishedLine,
    file::{Changed, FileHead, Opened, open_at, tail_hash},
};

/// A batch ends after this many lines or bytes.
pub(in crate::source) const BATCH_LINES: usize = 256;
pub(in crate::source) const BATCH_BYTES: u64 = 64 << 10;

/// A longer buffer of a line is not kept, in bytes.
const LONG: usize = 1 << 20;

/// The number of bytes that are checked for UTF-8 at a time.
const AT_ONCE: usize = 4 << 10;

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    offset: u64,
    line: u64,
}

/// Reads the lines of one file, in batches of records or in blocks.
#[derive(Debug)]
pub struct Lines {
    /// The id of the step that reads, for the log.
    step: String,
    name: String,
    input: Input,
    options: LineOptions,
    head: FileHead,
    /// Where each record of the last batch starts.
    starts: Vec<Position>,
    /// Where the next unread line starts.
    next: Position,
    /// The bytes and lines before it that have been taken in blocks and not accepted.
    ahead: Position,
    /// The last result of `offer`: the number of lines, and their bytes.
    offered: (usize, usize),
    batch_bytes: usize,
    skipped: Skipped,
    /// Whether the last line that was read had no end. Then its end must come next.
    open_line: bool,
    /// Set when the end of the file has been reached.
    end: Option<End>,
    line: Vec<u8>,
    /// Why the last token has no hash of the bytes before it.
    no_tail: RefCell<Option<std::io::Error>>,
}

#[derive(Debug)]
struct End {
    token: FileToken,
    unfinished: Option<String>,
    /// How the file at its end differs from what was read of it.
    changed: Option<Changed>,
}

impl Lines {
    pub(in crate::source) fn open(
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
        if open_line {
            let rest = rest_of_line(&file, name)?;
            // The end of the line may be there by now, or half of it.
            if !matches!(&rest[..], b"" | b"\n" | b"\r\n" | b"\r") {
                return Err(grown_line(name).at(name, token.line));
            }
        }
        let input = Input::new(path, file, token.offset);
        Ok(Lines {
            step: String::new(),
            name: name.to_owned(),
            input: input
                .map_err(|error| SourceError::caused_by(format!("{name}: can't be read"), error))?,
            options,
            head,
            starts: Vec::new(),
            next: Position {
                offset: token.offset,
                line: token.line,
            },
            ahead: Position::default(),
            offered: (0, 0),
            batch_bytes: 0,
            skipped: Skipped::default(),
            open_line,
            end: None,
            line: Vec::new(),
            no_tail: RefCell::default(),
        })
    }

    /// Sets the step for which it reads, and whether the run takes unfinished last lines.
    pub(in crate::source) fn belong_to(&mut self, step: &str, take_unfinished: bool) {
        step.clone_into(&mut self.step);
        self.options.take_unfinished |= take_unfinished;
    }

    /// Reads a batch of lines, and makes records of them.
    pub(in crate::source) fn read<F: LineFormat>(
        &mut self,
        out: &mut Vec<F::Item>,
        parser: &LineParser<F::Item>,
    ) -> Result<Next, SourceError> {
        // It probably makes as many records as the last batch.
        out.reserve(self.starts.len());
        self.starts.clear();
        self.batch_bytes = 0;
        self.skipped.clear();
        self.input.open().map_err(|error| self.unreadable(error))?;
        self.input.begin_batch();
        let next = self.read_batch::<F>(out, parser)?;
        if next == Next::End {
            let token = self.token_at(self.next);
            let unfinished = self.unfinished_text(parser);
            let changed = self.changed().map_err(|error| self.unreadable(error))?;
            self.end = Some(End {
                token,
                unfinished,
                changed,
            });
            self.input.close();
        } else {
            self.rest();
        }
        if self.starts.is_empty() {
            self.input.forget_batch();
        }
        if self.line.capacity() > LONG {
            self.line = Vec::new(); // a flow may have many files, and few lines are that long
        }
        Ok(next)
    }

    fn read_batch<F: LineFormat>(
        &mut self,
        out: &mut Vec<F::Item>,
        parser: &LineParser<F::Item>,
    ) -> Result<Next, SourceError> {
        let start = self.next.offset;
        while self.starts.len() < BATCH_LINES && self.next.offset - start < BATCH_BYTES {
            let left = BATCH_BYTES - (self.next.offset - start);
            if self.read_whole_lines::<F>(left, out, parser)? {
                continue;
            }
            let Some(mut length) = self.read_line()? else {
                return Ok(Next::End);
            };
            if self.open_line {
                match &self.line[..] {
                    b"\n" | b"\r\n" => self.open_line = false,
                    b"\r" => return Ok(Next::End),
                    _ => return Err(grown_line(&self.name)),
                }
                self.advance(length, 0);
                continue;
            }
            let mut ends = self.line.last() == Some(&b'\n');
            if !ends && !self.is_cut() && !self.options.take_unfinished {
                return Ok(Next::End);
            }
            let line = parser.line(self.content());
            match parser.record(line) {
                Ok(Some(record)) => {
                    self.starts.push(self.next);
                    self.batch_bytes += self.line.len();
                    out.push(record);
                }
                Ok(None) => {}
                Err(error) => {
                    let bad = parser.bad(error, line, || self.place());
                    if let BadLine::Fails(error) = bad {
                        return Err(SourceError::because(error));
                    }
                    if !ends {
                        let (rest, found) = self.skip_rest()?;
                        if !found && !self.options.take_unfinished {
                            // Its end may come later, and all bytes before that belong to the line.
                            return Ok(Next::End);
                        }
                        length += rest;
                        ends = found;
                    }
                    match bad {
                        BadLine::Dead(record) => {
                            self.starts.push(self.next);
                            self.batch_bytes += self.line.len();
                            out.push(record);
                        }
                        BadLine::Skipped(error) | BadLine::Fails(error) => {
                            self.skipped.add(self.starts.len());
                            log_skipped(&self.step, &self.name, self.next.line, &error);
                        }
                    }
                }
            }
            self.advance(length, 1);
            if !ends {
                // The file may be growing right now. A later run decides what follows this line.
                self.open_line = true;
                return Ok(Next::End);
            }
        }
        Ok(Next::Ready)
    }

    /// Makes records of the whole lines at the beginning of the bytes in memory, at most this many
    /// bytes. Returns whether there were any and all of them became records.
    fn read_whole_lines<F: LineFormat>(
        &mut self,
        bytes: u64,
        out: &mut Vec<F::Item>,
        parser: &LineParser<F::Item>,
    ) -> Result<bool, SourceError> {
        let is_first = self.next.offset == 0;
        let ahead = match self.input.fill_buf() {
            Ok(ahead) => ahead,
            Err(error) => return Err(self.unreadable(error)),
        };
        if self.open_line || (is_first && ahead.starts_with(BOM)) {
            return Ok(false);
        }
        let most = usize::try_from(bytes).map_or(AT_ONCE, |bytes| bytes.min(AT_ONCE));
        let ahead = &ahead[..ahead.len().min(most)];
        let mut lines = parser.whole_lines(ahead);
        let (mut is_good, mut length) = (true, 0);
        // The position moves with each line, so that it is right after a panic.
        let (start, next) = (self.next.offset, &mut self.next);
        while self.starts.len() < BATCH_LINES
            && let Some(line) = lines.next()
        {
            match parser.record_of::<F>(line) {
                Ok(Some(record)) => {
                    self.starts.push(*next);
                    out.push(record);
                }
                Ok(None) => {}
                Err(_) => {
                    is_good = false;
                    break;
                }
            }
            length = lines.position();
            next.offset = start + length as u64;
            next.line += 1;
        }
        self.batch_bytes += length;
        self.head.read(start, &ahead[..length]);
        self.input.consume(length);
        Ok(is_good && length > 0)
    }

    /// The line that was just read, without a byte order mark at the beginning of the file.
    fn content(&self) -> &[u8] {
        match self.next.offset {
            0 => self.line.strip_prefix(BOM).unwrap_or(&self.line),
            _ => &self.line,
        }
    }

    /// Whether the line that was just read is too long, so that it was not read to its end.
    fn is_cut(&self) -> bool {
        self.line.len() as u64 >= self.limit()
    }

    /// The number of bytes that show that a line is too long.
    fn limit(&self) -> u64 {
        (self.options.max_line as u64).saturating_add(2 + BOM.len() as u64)
    }

    /// The beginning of a last line that was left unread. Lines that would be skipped anyway don't
    /// count.
    fn unfinished_text<T>(&self, parser: &LineParser<T>) -> Option<String> {
        let is_left = !self.open_line && !self.line.is_empty() && self.line.last() != Some(&b'\n');
        let is_record = || !matches!(parser.record(parser.line(self.content())), Ok(None));
        let is_line = is_left && !self.content().is_empty() && is_record();
        is_line.then(|| excerpt_of(line_content(self.content())))
    }

    /// The last line, if it was left unread because it has no end.
    pub(in crate::source) fn unfinished(&self) -> Option<UnfinishedLine> {
        let text = self.end.as_ref()?.unfinished.clone()?;
        Some(UnfinishedLine {
            step: self.step.clone(),
            partition: self.name.clone(),
            line: self.next.line + 1,
            text,
        })
    }

    /// Notes that all records of the last batch have been processed.
    pub(in crate::source) fn batch_is_over(&mut self) {
        self.input.forget_batch();
    }

    /// Closes the file if it must not stay open while others have their turn.
    fn rest(&mut self) {
        if self.input.must_rest() {
            self.input.close();
        }
    }

    fn place(&self) -> (String, u64, u64) {
        (self.name.clone(), self.next.line, self.next.offset)
    }

    /// Where the first line starts that has not been accepted, unless it is in a batch.
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
        let limit = self.limit();
        let length = (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| self.unreadable(error))?;
        Ok((length > 0).then_some(length as u64))
    }

    /// Skips the rest of a line that was too long. Returns its length, and whether the line has an
    /// end.
    fn skip_rest(&mut self) -> Result<(u64, bool), SourceError> {
        let mut skipped = 0;
        loop {
            let ahead = self.input.fill_buf();
            let ahead = ahead.map_err(|error| SourceError::caused_by("it can't be read", error))?;
            let (bytes, found) = match memchr(b'\n', ahead) {
                Some(end) => (end + 1, true),
                None => (ahead.len(), false),
            };
            self.input.consume(bytes);
            skipped += bytes as u64;
            if found || bytes == 0 {
                return Ok((skipped, found));
            }
        }
    }

    /// Fails if the file has changed since it was read, or if it could not be read for the last
    /// token.
    pub(in crate::source) fn check(&self) -> Result<(), SourceError> {
        let changed = match &self.end {
            Some(end) => end.changed.clone(),
            None => self.changed().map_err(|error| self.not_checked(error))?,
        };
        if let (None, Some(error)) = (&changed, self.no_tail.take()) {
            return Err(self.not_checked(error));
        }
        let what = match changed {
            None => return Ok(()),
            Some(Changed::Shorter(length)) => format!(
                "{} was truncated while it was read: it has {length} bytes, and {} had been read",
                self.name, self.next.offset
            ),
            Some(Changed::Overwritten) => format!(
                "{} was overwritten while it was read: what had been read of it is not there any \
                 more",
                self.name
            ),
        };
        Err(SourceError::new(what).and_help(
            "start again: if it was copied before, as log rotation does that copies and \
             truncates, reading continues in the copy beside it; otherwise the start says what to \
             do",
        ))
    }

    fn changed(&self) -> std::io::Result<Option<Changed>> {
        self.input.changed(self.head.before(self.next.offset))
    }

    fn not_checked(&self, error: std::io::Error) -> SourceError {
        let what = format!(
            "{}: it can't be seen whether it still has what was read of it",
            self.name
        );
        SourceError::caused_by(what, error).and_help(
            "start again when it can be read: the run resumes behind the last epoch that is safe, \
             also in a file that log rotation has renamed",
        )
    }

    fn unreadable(&self, error: std::io::Error) -> SourceError {
        SourceError::caused_by("it can't be read", error)
    }

    /// Where record `index` of the last batch starts, or the next line behind the batch.
    fn start_of(&self, index: usize) -> Position {
        let start = self.starts.get(index).copied();
        start.unwrap_or_else(|| self.first())
    }

    pub(in crate::source) fn token(&self, index: usize) -> FileToken {
        self.token_at(self.start_of(index))
    }

    /// The number of lines before record `index` of the last batch. Unlike its token, it needs no
    /// bytes of the file.
    pub(in crate::source) fn lines_before(&self, index: usize) -> u64 {
        self.start_of(index).line
    }

    fn token_at(&self, at: Position) -> FileToken {
        match &self.end {
            // This token was made while the file was open.
            Some(end) if end.token.offset == at.offset => end.token.clone(),
            _ => {
                let tail = match self.input.tail_before(at.offset) {
                    Some(tail) => Ok(flow_store::hash(&tail)),
                    None => self.input.with_file(|file| tail_hash(file, at.offset)),
                };
                let (tail, error) =
                    tail.map_or_else(|error| (None, Some(error)), |tail| (Some(tail), None));
                self.no_tail.replace(error);
                self.head.token(tail, at.offset, at.line)
            }
        }
    }

    pub(in crate::source) fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    pub(in crate::source) fn skipped_before(&self, index: usize) -> u64 {
        self.skipped.before(index)
    }

    pub(in crate::source) fn excerpt(&self, at: &FileToken) -> Excerpt {
        Excerpt {
            position: format!("line {}", at.line + 1),
            line: Some(at.line + 1),
            text: self.text_at(at.offset).ok(),
        }
    }

    fn text_at(&self, offset: u64) -> std::io::Result<String> {
        let mut line = Vec::new();
        self.input.with_file(|mut file| {
            let before = file.stream_position()?;
            file.seek(SeekFrom::Start(offset))?;
            BufReader::new(file.take(4 * EXCERPT as u64)).read_until(b'\n', &mut line)?;
            file.seek(SeekFrom::Start(before))
        })?;
        let line = match offset {
            0 => line.strip_prefix(BOM).unwrap_or(&line),
            _ => &line,
        };
        Ok(excerpt_of(line_content(line)))
    }
}
