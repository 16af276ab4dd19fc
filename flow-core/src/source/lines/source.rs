//! Records from the lines of files.

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
    task::Waker,
};

use super::{
    format::{Bytes, Json, LineFormat, Text},
    grown::skip_rest_of_line,
    parser::{LineOptions, LineParser},
    raw_line::{OrDead, RawLine},
    reader::Lines,
};
use crate::{
    error::OnError,
    source::{
        At, Excerpt, FileToken, Found, Known, Next, Reader, Source, SourceError, SourceOrDead,
        UnfinishedLine, file::Files,
    },
};

/// The lines of text files; made by [`TextLines::open`](crate::TextLines::open).
pub type TextLinesSource = LinesSource<Text>;

/// The records of files with a JSON value on each line; made by
/// [`JsonLines::open`](crate::JsonLines::open).
pub type JsonLinesSource<T> = LinesSource<Json<T>>;

/// The lines of files as they are; made by [`ByteLines::open`](crate::ByteLines::open).
pub type ByteLinesSource = LinesSource<Bytes>;

/// The records of the lines of files: [`TextLinesSource`], [`JsonLinesSource`],
/// [`ByteLinesSource`].
#[derive(Clone, Debug)]
pub struct LinesSource<F> {
    files: Files,
    options: LineOptions,
    /// Whether the source may have no files.
    may_be_none: bool,
    format: PhantomData<fn() -> F>,
}

impl<F> LinesSource<F> {
    pub(crate) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        LinesSource {
            files: Files::new(paths),
            options: LineOptions::default(),
            may_be_none: false,
            format: PhantomData,
        }
    }

    /// Sets the longest line, in bytes without its end: 16 MiB by default.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.options.max_line = bytes;
        self
    }

    /// Sets what happens at a line that can't be read. By default the flow stops there.
    ///
    /// Skipped lines are counted in [`Outcome::skipped`](crate::Outcome::skipped). `tracing` names
    /// each of them with its file and line number, at debug level.
    /// [`Flow::source_or_dead`](crate::Flow::source_or_dead) keeps them.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.options.on_error = on_error;
        self
    }

    /// Reads a last line that does not end with a newline.
    ///
    /// By default such a line is left for a later run, because its writer may still be writing it.
    /// The run names the line in [`Outcome::unfinished`](crate::Outcome::unfinished) when it ends.
    /// Use this method for files that are complete and whose last line has no end.
    ///
    /// If a line that was taken grows, later starts are refused, because a part of it has been read
    /// as a record. Then [`Recovery::skip_rest_of_line`](crate::Recovery::skip_rest_of_line) is the
    /// way out.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::sink;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("orders.txt");
    /// std::fs::write(&path, "first\nsecond").unwrap();
    /// let run = |take: bool| {
    ///     let (path, (out, seen)) = (path.clone(), sink::collect());
    ///     let outcome = Runner::new(move |flow| {
    ///         let lines = TextLines::open(&path);
    ///         let lines = if take { lines.take_unfinished_line() } else { lines };
    ///         flow.source(lines).named("orders").sink(out.clone());
    ///     }).run().unwrap();
    ///     (outcome.unfinished.len(), seen.take())
    /// };
    /// assert_eq!(run(false), (1, vec!["first".to_owned()]));
    /// assert_eq!(run(true), (0, vec!["first".to_owned(), "second".to_owned()]));
    /// ```
    #[must_use]
    pub fn take_unfinished_line(mut self) -> Self {
        self.options.take_unfinished = true;
        self
    }

    /// Allows the source to have no files, and so no records. By default the start is refused,
    /// because a pattern that matches nothing is mostly a mistake.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::sink;
    /// let run = |may: bool| Runner::new(move |flow| {
    ///     let lines = TextLines::open_all(Vec::<String>::new());
    ///     let lines = if may { lines.allow_no_files() } else { lines };
    ///     flow.source(lines).named("today").sink(sink::from_fn(|_| ()));
    /// }).run();
    /// assert!(run(false).unwrap_err().to_string().contains("no files"));
    /// assert_eq!(run(true).unwrap().records, 0);
    /// ```
    #[must_use]
    pub fn allow_no_files(mut self) -> Self {
        self.may_be_none = true;
        self
    }

    /// Processes all lines of a file on one worker, even when others are idle.
    ///
    /// By default, workers that have read their own files help with the lines of a large one. Each
    /// of them runs the steps up to the next shuffle on blocks of lines, in its own copy.
    ///
    /// The results are the same, unless a closure in one of these steps keeps something from one
    /// record to the next, such as a count. Each copy then sees only some of the lines. Such a
    /// closure needs this method, or one worker.
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
}

impl<F: LineFormat> LinesSource<F> {
    fn parser(&self) -> LineParser<F::Item> {
        LineParser::new::<F>(self.options)
    }
}

impl<F: LineFormat> Source for LinesSource<F> {
    type Item = F::Item;
    type Token = FileToken;
    type Reader = LinesReader<F::Item>;

    fn kind(&self) -> String {
        F::KIND.to_owned()
    }

    fn find(
        &self,
        known: &[Known<FileToken>],
        _: &[String],
    ) -> Result<Vec<Found<FileToken>>, SourceError> {
        Ok(self.files.find(known, &|_| false))
    }

    fn find_apart(
        &self,
        known: &[Known<FileToken>],
        _: &[String],
        is_output: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<Found<FileToken>>, SourceError> {
        Ok(self.files.find(known, is_output))
    }

    fn may_be_missed(&self, partition: &str) -> bool {
        self.files.may_be_missed(partition)
    }

    fn renamed(&self, token: FileToken) -> FileToken {
        FileToken {
            number: None,
            rest_of: None,
            ..token
        }
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        let names = self.files.names()?;
        if names.is_empty() && !self.may_be_none {
            let error = SourceError::new("it has no files to read");
            let help = "name at least one, or allow none with `.allow_no_files()`";
            return Err(error.and_help(help));
        }
        Ok(names)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    fn open(
        &self,
        partition: &str,
        at: At<FileToken>,
    ) -> Result<LinesReader<F::Item>, SourceError> {
        let path = self.files.path(partition);
        Ok(LinesReader {
            lines: Lines::open(&path, partition, self.options, at.as_ref())?,
            parser: self.parser(),
            read: Lines::read::<F>,
        })
    }

    fn skip_rest_of_line(
        &self,
        partition: &str,
        token: &FileToken,
    ) -> Result<FileToken, SourceError> {
        skip_rest_of_line(&self.files.path(partition), partition, token)
    }

    fn line_parser(&self) -> Option<LineParser<F::Item>> {
        Some(self.parser())
    }
}

impl<F: LineFormat> SourceOrDead for LinesSource<F> {
    type Raw = RawLine;
    type OrDead = LinesSource<OrDead<F>>;

    fn or_dead(self) -> Self::OrDead {
        LinesSource {
            files: self.files,
            options: self.options,
            may_be_none: self.may_be_none,
            format: PhantomData,
        }
    }
}

/// Reads the records of one file.
#[derive(Debug)]
pub struct LinesReader<T> {
    lines: Lines,
    parser: LineParser<T>,
    read: ReadLines<T>,
}

/// Reads a batch of records in the format of the source.
type ReadLines<T> = fn(&mut Lines, &mut Vec<T>, &LineParser<T>) -> Result<Next, SourceError>;

impl<T: 'static> Reader for LinesReader<T> {
    type Item = T;
    type Token = FileToken;

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
        (self.read)(&mut self.lines, out, &self.parser)
    }

    fn unfinished(&mut self) -> Option<UnfinishedLine> {
        self.lines.unfinished()
    }

    fn file_lines(&mut self) -> Option<&mut Lines> {
        Some(&mut self.lines)
    }

    fn check(&mut self) -> Result<(), SourceError> {
        self.lines.check()
    }

    fn token(&self, index: usize) -> FileToken {
        self.lines.token(index)
    }

    fn skipped_before(&self, index: usize) -> u64 {
        self.lines.skipped_before(index)
    }

    fn batch_bytes(&self) -> usize {
        self.lines.batch_bytes()
    }

    fn position_of(&mut self, index: usize) -> Option<Excerpt> {
        let before = self.lines.lines_before(index);
        Some(Excerpt {
            position: format!("line {}", before + 1),
            line: Some(before + 1),
            text: None,
        })
    }

    fn excerpt(&mut self, at: &FileToken) -> Option<Excerpt> {
        Some(self.lines.excerpt(at))
    }
}
