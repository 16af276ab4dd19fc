//! Makes records of lines, and decides what happens to a line that can't become one.

use super::{
    LineError,
    format::LineFormat,
    line::{Line, WholeLines, line_content},
    raw_line::RawLine,
};
use crate::error::OnError;

/// How lines are read.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct LineOptions {
    /// The longest line that is read, in bytes without its end.
    pub(in crate::source) max_line: usize,
    /// What to do with lines that can't be read.
    pub(in crate::source) on_error: OnError,
    /// Whether the worker that reads a file also makes all records of its lines.
    pub(in crate::source) whole: bool,
    /// Whether a last line without a newline is a line.
    pub(in crate::source) take_unfinished: bool,
}

impl Default for LineOptions {
    fn default() -> Self {
        LineOptions {
            max_line: 16 << 20,
            on_error: OnError::Fail,
            whole: false,
            take_unfinished: false,
        }
    }
}

/// Makes records of lines. All workers have the same one, so any of them can process a line.
#[derive(Debug)]
pub struct LineParser<T> {
    options: LineOptions,
    parse: fn(Line<'_>) -> Result<Option<T>, LineError>,
    dead: Option<fn(RawLine, LineError) -> T>,
    /// Whether the format needs lines that are UTF-8.
    is_text: bool,
}

impl<T> Clone for LineParser<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LineParser<T> {}

/// What happens to a line that can't become a record.
pub(in crate::source) enum BadLine<T> {
    /// The flow stops at it.
    Fails(LineError),
    /// The line is skipped.
    Skipped(LineError),
    /// The line becomes this record.
    Dead(T),
}

impl<T> LineParser<T> {
    pub(in crate::source) fn new<F: LineFormat<Item = T>>(options: LineOptions) -> Self {
        LineParser {
            options,
            parse: F::parse,
            dead: F::DEAD,
            is_text: F::IS_TEXT,
        }
    }

    /// The lines in some bytes, up to the last line end.
    pub(in crate::source) fn whole_lines<'a>(&self, bytes: &'a [u8]) -> WholeLines<'a> {
        WholeLines::of(bytes, self.is_text)
    }

    /// A line from bytes that may include its end.
    pub(in crate::source) fn line<'a>(&self, line: &'a [u8]) -> Line<'a> {
        Line::of(line_content(line), self.is_text)
    }

    /// Makes a record of a line.
    pub(in crate::source) fn record(&self, line: Line<'_>) -> Result<Option<T>, LineError> {
        self.check_length(line)?;
        (self.parse)(line)
    }

    /// Makes a record of a line with the format of this parser. The format is a type here, so its
    /// code is inlined in the caller's loop.
    #[inline]
    pub(super) fn record_of<F>(&self, line: Line<'_>) -> Result<Option<T>, LineError>
    where
        F: LineFormat<Item = T>,
    {
        self.check_length(line)?;
        F::parse(line)
    }

    #[inline]
    fn check_length(&self, line: Line<'_>) -> Result<(), LineError> {
        let limit = self.options.max_line;
        match line.bytes().len() > limit {
            true => Err(LineError::TooLong { limit }),
            false => Ok(()),
        }
    }

    /// Decides what happens to a line that can't become a record.
    pub(in crate::source) fn bad(
        &self,
        error: LineError,
        line: Line<'_>,
        place: impl FnOnce() -> (String, u64, u64),
    ) -> BadLine<T> {
        match (self.dead, self.options.on_error) {
            (Some(dead), _) => {
                let (partition, line_before, offset) = place();
                let mut content = line.bytes().to_vec();
                content.truncate(self.options.max_line);
                let raw = RawLine {
                    partition,
                    line: line_before + 1,
                    offset,
                    content,
                };
                BadLine::Dead(dead(raw, error))
            }
            (None, OnError::Skip) => BadLine::Skipped(error),
            (None, OnError::Fail) => BadLine::Fails(error),
        }
    }

    /// Whether other workers may make records of a file's lines.
    pub(in crate::source) fn splits(&self) -> bool {
        !self.options.whole
    }
}

/// Logs a line that is skipped. `before` is the number of lines before it.
pub(in crate::source) fn log_skipped(step: &str, partition: &str, before: u64, cause: &LineError) {
    tracing::debug!(step, partition, line = before + 1, %cause, "a line is skipped");
}
