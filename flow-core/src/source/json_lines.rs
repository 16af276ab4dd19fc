//! Records from files with a JSON value on each line.

use std::{marker::PhantomData, path::PathBuf, task::Waker};

use serde::de::DeserializeOwned;

use super::{
    At, Excerpt, FileToken, Next, Reader, Source, SourceError,
    file::Files,
    lines::{LineOptions, LineParser, Lines},
};
use crate::stream::OnError;

/// The records of files with a JSON value on each line; made by
/// [`JsonLines::open`](crate::JsonLines::open).
#[derive(Clone, Debug)]
pub struct JsonLinesSource<T> {
    files: Files,
    options: LineOptions,
    item: PhantomData<fn() -> T>,
}

impl<T> JsonLinesSource<T> {
    pub(crate) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        JsonLinesSource {
            files: Files::new(paths),
            options: LineOptions::default(),
            item: PhantomData,
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
    /// See [`TextLinesSource::on_one_worker`](super::TextLinesSource::on_one_worker).
    #[must_use]
    pub fn on_one_worker(mut self) -> Self {
        self.options.whole = true;
        self
    }
}

impl<T: DeserializeOwned> JsonLinesSource<T> {
    fn parser(&self) -> LineParser<T> {
        LineParser::new(self.options, |line| {
            if line.iter().all(u8::is_ascii_whitespace) {
                return Ok(None);
            }
            serde_json::from_slice(line).map(Some).map_err(|error| {
                // The line is always 1: only the column says something.
                let text = error.to_string();
                text.replace(" at line 1 column ", ", at column ")
            })
        })
    }
}

impl<T: DeserializeOwned + 'static> Source for JsonLinesSource<T> {
    type Item = T;
    type Token = FileToken;
    type Reader = JsonLinesReader<T>;

    fn kind(&self) -> String {
        "json_lines".to_owned()
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

    fn open(&self, partition: &str, at: At<FileToken>) -> Result<JsonLinesReader<T>, SourceError> {
        let path = self.files.path(partition)?;
        Ok(JsonLinesReader {
            lines: Lines::open(path, partition, self.options, at.as_ref())?,
            parser: self.parser(),
        })
    }

    fn line_parser(&self) -> Option<LineParser<T>> {
        Some(self.parser())
    }
}

/// Reads the records of one file. Lines of nothing but white space are left out.
#[derive(Debug)]
pub struct JsonLinesReader<T> {
    lines: Lines,
    parser: LineParser<T>,
}

impl<T: DeserializeOwned + 'static> Reader for JsonLinesReader<T> {
    type Item = T;
    type Token = FileToken;

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
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
