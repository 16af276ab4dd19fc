//! Lines of text from files.

use std::{path::PathBuf, task::Waker};

use super::{
    At, Excerpt, FileToken, Next, Reader, Source, SourceError,
    file::Files,
    lines::{LineOptions, LineParser, Lines},
};
use crate::stream::OnError;

/// The lines of text files; made by [`TextLines::open`](crate::TextLines::open).
#[derive(Clone, Debug)]
pub struct TextLinesSource {
    files: Files,
    options: LineOptions,
}

impl TextLinesSource {
    pub(crate) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        TextLinesSource {
            files: Files::new(paths),
            options: LineOptions::default(),
        }
    }

    /// Sets how long a line may be, in bytes without its end: 16 MiB unless told otherwise.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.options.max_line = bytes;
        self
    }

    /// Sets what happens at a line that can't be read: the flow stops there, unless told to skip it.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.options.on_error = on_error;
        self
    }

    /// Has all lines of a file worked off by one worker, also where others have nothing to do.
    ///
    /// Else workers that have read their own files help with the lines of a large one: each of them runs the steps up to
    /// the next shuffle on blocks of lines, in a copy of its own. The results are the same, unless a closure in one of these
    /// steps keeps something from one record to the next, such as a count of what it has seen: each copy then sees some of
    /// the lines. Such a closure needs this, or one worker.
    ///
    /// ```no_run
    /// # use flow::prelude::*;
    /// # Runner::new(|flow| {
    /// let lines = flow.source(TextLines::open("orders.csv").on_one_worker());
    /// let mut first = true;
    /// let orders = lines.filter(move |_| !std::mem::take(&mut first)); // without the header
    /// # orders.sink(TextLines::stdout());
    /// # });
    /// ```
    #[must_use]
    pub fn on_one_worker(mut self) -> Self {
        self.options.whole = true;
        self
    }

    fn parser(&self) -> LineParser<String> {
        LineParser::new(self.options, |line| match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => Err(format!(
                "the line is not UTF-8, from its byte {} on",
                error.valid_up_to() + 1
            )),
        })
    }
}

impl Source for TextLinesSource {
    type Item = String;
    type Token = FileToken;
    type Reader = TextLinesReader;

    fn kind(&self) -> String {
        "text_lines".to_owned()
    }

    fn is_renamed(&self, old: &str, token: &FileToken, new: &str) -> Result<bool, SourceError> {
        self.files.is_renamed(old, token, new)
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.files.names()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    fn open(&self, partition: &str, at: At<FileToken>) -> Result<TextLinesReader, SourceError> {
        let path = self.files.path(partition)?;
        Ok(TextLinesReader {
            lines: Lines::open(path, partition, self.options, at.as_ref())?,
            parser: self.parser(),
        })
    }

    fn line_parser(&self) -> Option<LineParser<String>> {
        Some(self.parser())
    }
}

/// Reads the lines of one file.
#[derive(Debug)]
pub struct TextLinesReader {
    lines: Lines,
    parser: LineParser<String>,
}

impl Reader for TextLinesReader {
    type Item = String;
    type Token = FileToken;

    fn read(&mut self, out: &mut Vec<String>, _: &Waker) -> Result<Next, SourceError> {
        self.lines.read(out, &self.parser)
    }

    fn file_lines(&mut self) -> Option<&mut Lines> {
        Some(&mut self.lines)
    }

    fn token(&self, index: usize) -> FileToken {
        self.lines.token(index)
    }

    fn run_skipped(&self) -> u64 {
        self.lines.run_skipped()
    }

    fn run_bytes(&self) -> usize {
        self.lines.run_bytes()
    }

    fn excerpt(&mut self, at: &FileToken) -> Option<Excerpt> {
        Some(self.lines.excerpt(at))
    }
}
