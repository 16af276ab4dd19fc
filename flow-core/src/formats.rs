//! `TextLines`, `ByteLines` and `JsonLines`: sources and sinks of lines.

use std::path::PathBuf;

use crate::{
    record::OwnsItsData,
    sink::{FileLines, Json, LineSink, StdoutLines, Text},
    source::{self, ByteLinesSource, Bytes, JsonLinesSource, StdinSource, TextLinesSource},
};

/// Lines of text: as a source, `String`s; as a sink, anything that implements `Display`.
#[derive(Clone, Copy, Debug)]
pub struct TextLines;

impl TextLines {
    /// A source: the lines of a file, without their ends (`\n` or `\r\n`).
    ///
    /// - A line that is not UTF-8, or is longer than 16 MiB, stops the flow exactly there.
    /// - A last line without a newline is not read, because its writer may not have finished it;
    ///   see [`take_unfinished_line`](TextLinesSource::take_unfinished_line).
    /// - The source ends at the end of the file. A later run reads what has been added since. It
    ///   refuses a file that has become shorter or was replaced.
    /// - Workers without input of their own help with a large file; see
    ///   [`on_one_worker`](TextLinesSource::on_one_worker).
    /// - The byte order mark of UTF-8 is skipped. Compressed files, UTF-16 and UTF-32 are refused.
    /// - Anything but a regular file is refused: a directory, a pipe, a device.
    ///
    /// ```no_run
    /// # use flow::prelude::*;
    /// # Runner::new(|flow| {
    /// let lines = flow.source(TextLines::open("orders.txt"));
    /// # lines.sink(TextLines::stdout());
    /// # });
    /// ```
    pub fn open(path: impl Into<PathBuf>) -> TextLinesSource {
        TextLinesSource::new([path])
    }

    /// A source: the lines of several files. Each file is a partition and is read independently.
    pub fn open_all(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> TextLinesSource {
        TextLinesSource::new(paths)
    }

    /// A source: the lines of standard input.
    ///
    /// It can't resume, because the next run can't read the same input again. So under a store it
    /// needs [`lossy`](source::Source::lossy). A last line without a newline is a line. Only one
    /// source at a time may read standard input.
    ///
    /// ```no_run
    /// # use flow::prelude::*;
    /// use flow::source::Source;
    ///
    /// # Runner::new(|flow| {
    /// let lines = flow.source(TextLines::stdin().lossy());
    /// # lines.sink(TextLines::stdout());
    /// # });
    /// ```
    #[must_use]
    pub fn stdin() -> StdinSource<source::Text> {
        StdinSource::new()
    }

    /// A sink: one line on standard output for each record, written as soon as the record arrives.
    ///
    /// After a crash, records of epochs that were not yet durable are written again.
    #[must_use]
    pub fn stdout() -> LineSink<Text, StdoutLines> {
        LineSink::new(StdoutLines::new("text_lines"))
    }

    /// A sink: one line in a file for each record, exactly once under a recovery store.
    ///
    /// [`JsonLines::write_to`] says how the file is resumed and when it is refused. A record with a
    /// line end in it fails, because it would be read back as several lines.
    /// [`multi_line`](LineSink::multi_line) allows it.
    pub fn write_to(path: impl Into<PathBuf>) -> LineSink<Text, FileLines> {
        LineSink::new(FileLines::new("text_lines", path.into()))
    }
}

/// Lines of arbitrary bytes, as `Vec<u8>`s: for encodings other than UTF-8, and for custom parsers.
#[derive(Clone, Copy, Debug)]
pub struct ByteLines;

impl ByteLines {
    /// A source: the lines of a file, without their ends (`\n` or `\r\n`).
    ///
    /// It behaves like [`TextLines::open`], except that a line may contain any bytes.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::sink;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("latin1.txt");
    /// std::fs::write(&path, b"caf\xe9\n").unwrap();
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(ByteLines::open(&path));
    /// let text = lines.map(|line| line.iter().copied().map(char::from).collect::<String>());
    /// # text.sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["caf\u{e9}"]);
    /// ```
    pub fn open(path: impl Into<PathBuf>) -> ByteLinesSource {
        ByteLinesSource::new([path])
    }

    /// A source: the lines of several files. Each file is a partition and is read independently.
    pub fn open_all(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> ByteLinesSource {
        ByteLinesSource::new(paths)
    }

    /// A source: the lines of standard input; see [`TextLines::stdin`].
    #[must_use]
    pub fn stdin() -> StdinSource<Bytes> {
        StdinSource::new()
    }
}

/// Lines of JSON, with one value on each line.
#[derive(Clone, Copy, Debug)]
pub struct JsonLines;

impl JsonLines {
    /// A source: the records of a file with a JSON value on each line. Blank lines are ignored.
    ///
    /// A line that is not a `T` stops the flow exactly there.
    /// [`on_error`](JsonLinesSource::on_error) skips such lines instead, and
    /// [`Flow::source_or_dead`](crate::Flow::source_or_dead) puts them into a second stream.
    /// Otherwise the source behaves like [`TextLines::open`].
    ///
    /// ```no_run
    /// # use flow::prelude::*;
    /// # #[derive(Clone, Serialize, Deserialize)] struct Order { id: u64 }
    /// # Runner::new(|flow| {
    /// let orders = flow.source(JsonLines::open::<Order>("orders.json"));
    /// # orders.sink(JsonLines::stdout());
    /// # });
    /// ```
    pub fn open<T: for<'any> OwnsItsData<'any> + 'static>(
        path: impl Into<PathBuf>,
    ) -> JsonLinesSource<T> {
        JsonLinesSource::new([path])
    }

    /// A source: the records of several files. Each file is a partition and is read independently.
    pub fn open_all<T: for<'any> OwnsItsData<'any> + 'static>(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
    ) -> JsonLinesSource<T> {
        JsonLinesSource::new(paths)
    }

    /// A source: the records of standard input, with a JSON value on each line; see
    /// [`TextLines::stdin`].
    #[must_use]
    pub fn stdin<T: for<'any> OwnsItsData<'any> + 'static>() -> StdinSource<source::Json<T>> {
        StdinSource::new()
    }

    /// A sink: one line of JSON on standard output for each record, written as soon as the record
    /// arrives.
    ///
    /// After a crash, records of epochs that were not yet durable are written again.
    #[must_use]
    pub fn stdout() -> LineSink<Json, StdoutLines> {
        LineSink::new(StdoutLines::new("json_lines"))
    }

    /// A sink: one line of JSON in a file for each record, exactly once under a recovery store.
    ///
    /// The store holds the length of the file up to the last durable epoch. A run that resumes
    /// first truncates the file to that length. So a reader such as `tail -f` may see lines that
    /// are removed after a crash and written again.
    ///
    /// A file is refused:
    /// - if it is shorter than that length, because output is lost;
    /// - if it is longer after a run that ended cleanly, because another program wrote the rest;
    /// - if the store does not know it and it is not empty, unless [`append`](LineSink::append) or
    ///   [`overwrite`](LineSink::overwrite) says what happens to its content;
    /// - if the flow also reads it.
    ///
    /// If the file is removed, moved, replaced or truncated during a run, the run fails at its next
    /// commit; see [`OutputError`](crate::OutputError). A link is followed, even to a file that
    /// does not exist yet.
    ///
    /// A record with a number that JSON can't express (`NaN`, infinities) fails, unless
    /// [`nan_as_null`](LineSink::nan_as_null) allows `null`.
    pub fn write_to(path: impl Into<PathBuf>) -> LineSink<Json, FileLines> {
        LineSink::new(FileLines::new("json_lines", path.into()))
    }
}
