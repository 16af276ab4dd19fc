//! Lines of text from files.

use std::{path::PathBuf, task::Waker};

use super::{
    Excerpt, FileToken, Next, Reader, Source, SourceError,
    file::Files,
    lines::{Lines, MAX_LINE},
};

/// The lines of text files; made by [`TextLines::open`](crate::TextLines::open).
#[derive(Clone, Debug)]
pub struct TextLinesSource {
    files: Files,
    max_line: usize,
}

impl TextLinesSource {
    pub(crate) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        TextLinesSource {
            files: Files::new(paths),
            max_line: MAX_LINE,
        }
    }

    /// Sets how long a line may be, in bytes without its end: 16 MiB unless told otherwise.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
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

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.files.names()
    }

    fn open(
        &self,
        partition: &str,
        resume: Option<FileToken>,
    ) -> Result<TextLinesReader, SourceError> {
        let path = self.files.path(partition)?;
        Lines::open(path, partition, self.max_line, resume.as_ref()).map(TextLinesReader)
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

    fn run_bytes(&self) -> usize {
        self.0.run_bytes()
    }

    fn excerpt(&mut self, at: &FileToken) -> Option<Excerpt> {
        Some(self.0.excerpt(at))
    }
}
