//! Lines of text from files.

use std::{path::PathBuf, task::Waker};

use super::{
    Excerpt, FileToken, Next, Reader, Source, SourceError,
    file::Files,
    lines::{LineOptions, Lines},
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

    fn open(
        &self,
        partition: &str,
        resume: Option<FileToken>,
    ) -> Result<TextLinesReader, SourceError> {
        let path = self.files.path(partition)?;
        Lines::open(path, partition, self.options, resume.as_ref()).map(TextLinesReader)
    }
}

/// Reads the lines of one file.
#[derive(Debug)]
pub struct TextLinesReader(Lines);

impl Reader for TextLinesReader {
    type Item = String;
    type Token = FileToken;

    fn read(&mut self, out: &mut Vec<String>, _: &Waker) -> Result<Next, SourceError> {
        self.0.read(out, |line| match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => Err(format!(
                "the line is not UTF-8, from its byte {} on",
                error.valid_up_to() + 1
            )),
        })
    }

    fn token(&self, index: usize) -> FileToken {
        self.0.token(index)
    }

    fn run_skipped(&self) -> u64 {
        self.0.run_skipped()
    }

    fn run_bytes(&self) -> usize {
        self.0.run_bytes()
    }

    fn excerpt(&mut self, at: &FileToken) -> Option<Excerpt> {
        Some(self.0.excerpt(at))
    }
}
