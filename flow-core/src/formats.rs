//! The names under which sources and sinks of lines are found.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use crate::{
    sink::{FileLines, Json, LineSink, StdoutLines, Text},
    source::{JsonLinesSource, TextLinesSource},
};

/// Lines of text: as a source, `String`s; as a sink, anything that implements `Display`.
#[derive(Clone, Copy, Debug)]
pub struct TextLines;

impl TextLines {
    /// A source: the lines of a file, without their ends (`\n` or `\r\n`).
    ///
    /// A last line without an end is a line. A line that is not UTF-8, or longer than 16 MiB, stops the
    /// flow exactly there. At the end of the file the source ends; a later run reads what has been added
    /// since, and refuses a file that has become shorter or another one.
    ///
    /// A large file is worked off by all workers that have none of their own; see
    /// [`on_one_worker`](TextLinesSource::on_one_worker). A compressed file (gzip, zstd) is refused.
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

    /// A source: the lines of several files, which are read independently. Each is a partition.
    pub fn open_all(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> TextLinesSource {
        TextLinesSource::new(paths)
    }

    /// A sink: a line on standard output for each record, as soon as it arrives there. After a crash, the
    /// records of epochs that were not durable are written again.
    #[must_use]
    pub fn stdout() -> LineSink<Text, StdoutLines> {
        LineSink::new(StdoutLines::new("text_lines"))
    }

    /// A sink: a line in a file for each record, exactly once under a recovery store.
    ///
    /// See [`JsonLines::write_to`] for what holds for the file.
    pub fn write_to(path: impl Into<PathBuf>) -> LineSink<Text, FileLines> {
        LineSink::new(FileLines::new("text_lines", path.into()))
    }
}

/// Lines with a JSON value each.
#[derive(Clone, Copy, Debug)]
pub struct JsonLines;

impl JsonLines {
    /// A source: the records of a file with a JSON value on each line. Blank lines are left out.
    ///
    /// A line that is not a `T` stops the flow exactly there.
    ///
    /// ```no_run
    /// # use flow::prelude::*;
    /// # #[derive(Clone, Serialize, Deserialize)] struct Order { id: u64 }
    /// # Runner::new(|flow| {
    /// let orders = flow.source(JsonLines::open::<Order>("orders.json"));
    /// # orders.sink(JsonLines::stdout());
    /// # });
    /// ```
    pub fn open<T: DeserializeOwned + 'static>(path: impl Into<PathBuf>) -> JsonLinesSource<T> {
        JsonLinesSource::new([path])
    }

    /// A source: the records of several files, which are read independently. Each is a partition.
    pub fn open_all<T: DeserializeOwned + 'static>(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
    ) -> JsonLinesSource<T> {
        JsonLinesSource::new(paths)
    }

    /// A sink: a line of JSON on standard output for each record, as soon as it arrives there. After a
    /// crash, the records of epochs that were not durable are written again.
    #[must_use]
    pub fn stdout() -> LineSink<Json, StdoutLines> {
        LineSink::new(StdoutLines::new("json_lines"))
    }

    /// A sink: a line of JSON in a file for each record, exactly once under a recovery store.
    ///
    /// The store holds how much of the file belongs to durable epochs. A run that goes on cuts the file back to
    /// that length first, so whoever reads along (`tail -f`) may see lines that are taken back and written
    /// again after a crash. A file that is shorter than the store says has lost output and is refused. So
    /// is a file that the store knows nothing of and that is not empty, unless
    /// [`append`](LineSink::append) or [`overwrite`](LineSink::overwrite) says what is to happen to it.
    pub fn write_to(path: impl Into<PathBuf>) -> LineSink<Json, FileLines> {
        LineSink::new(FileLines::new("json_lines", path.into()))
    }
}
