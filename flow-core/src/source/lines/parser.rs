//! Makes records of lines, and decides what becomes of a line of which none can be made.

use super::{
    LineError,
    format::LineFormat,
    line::{Line, WholeLines, line_content},
    raw_line::RawLine,
};
use crate::error::OnError;

/// How lines are to be read.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct LineOptions {
    /// The longest line that is read, in bytes.
    pub(in crate::source) max_line: usize,
    /// What is to be done with lines that are not as they should be.
    pub(in crate::source) on_error: OnError,
    /// Whether the worker that reads a file also makes records of all of its lines.
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

/// Makes records of lines. All workers have the same, so it does not matter which of them has a
/// line.
#[derive(Debug)]
pub struct LineParser<T> {
    options: LineOptions,
    parse: fn(Line<'_>) -> Result<Option<T>, LineError>,
    dead: Option<fn(RawLine, LineError) -> T>,
    /// Whether it matters to the format that a line is UTF-8.
    is_text: bool,
}

impl<T> Clone for LineParser<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LineParser<T> {}

/// What is to be done with a line of which no record can be made.
pub(in crate::source) enum BadLine<T> {
    /// The flow stops at it.
    Fails(LineError),
    /// It is left out.
    Skipped(LineError),
    /// It goes on as this record.
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

    /// A line that may have an end.
    pub(in crate::source) fn line<'a>(&self, line: &'a [u8]) -> Line<'a> {
        Line::of(line_content(line), self.is_text)
    }

    /// Makes a record of a line.
    pub(in crate::source) fn record(&self, line: Line<'_>) -> Result<Option<T>, LineError> {
        self.check_length(line)?;
        (self.parse)(line)
    }

    /// Makes a record of a line with the format that this parser was made of, which then is part of
    /// the caller's loop.
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

    /// Decides what becomes of a line of which no record can be made.
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

/// Names a line that is left out. `before` lines come before it.
pub(in crate::source) fn log_skipped(step: &str, partition: &str, before: u64, cause: &LineError) {
    tracing::debug!(step, partition, line = before + 1, %cause, "a line is skipped");
}
