//! The names under which sources and sinks of lines are found.

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
    /// A line that is not UTF-8, or longer than 16 MiB, stops the flow exactly there. A last line
    /// without a newline is left unread, because its writer may still be writing it; see
    /// [`take_unfinished_line`](TextLinesSource::take_unfinished_line). At the end of the file the
    /// source ends; a later run reads what has been added since, and refuses a file that has become
    /// shorter or another one.
    ///
    /// A large file is worked off by all workers that have none of their own; see
    /// [`on_one_worker`](TextLinesSource::on_one_worker). A file that is compressed, or UTF-16 or
    /// UTF-32, is refused; the byte order mark of UTF-8 is skipped. So is all that is no regular
    /// file: a directory, a pipe, a device.
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

    /// A source: the lines of standard input.
    ///
    /// It can't resume: what a run did not read is not there for the next one. So under a store it
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

    /// A sink: a line on standard output for each record, as soon as it arrives there. After a
    /// crash, the records of epochs that were not durable are written again.
    #[must_use]
    pub fn stdout() -> LineSink<Text, StdoutLines> {
        LineSink::new(StdoutLines::new("text_lines"))
    }

    /// A sink: a line in a file for each record, exactly once under a recovery store.
    ///
    /// See [`JsonLines::write_to`] for what holds for the file. A record with a line end in it
    /// fails, because it would be read back as several, unless [`multi_line`](LineSink::multi_line)
    /// agrees to that.
    pub fn write_to(path: impl Into<PathBuf>) -> LineSink<Text, FileLines> {
        LineSink::new(FileLines::new("text_lines", path.into()))
    }
}

/// Lines of any bytes, as `Vec<u8>`s: for other encodings than UTF-8, and for parsers of your own.
#[derive(Clone, Copy, Debug)]
pub struct ByteLines;

impl ByteLines {
    /// A source: the lines of a file, without their ends (`\n` or `\r\n`).
    ///
    /// All that [`TextLines::open`] says holds here too, except that each line may have any bytes.
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

    /// A source: the lines of several files, which are read independently. Each is a partition.
    pub fn open_all(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> ByteLinesSource {
        ByteLinesSource::new(paths)
    }

    /// A source: the lines of standard input; see [`TextLines::stdin`].
    #[must_use]
    pub fn stdin() -> StdinSource<Bytes> {
        StdinSource::new()
    }
}

/// Lines with a JSON value each.
#[derive(Clone, Copy, Debug)]
pub struct JsonLines;

impl JsonLines {
    /// A source: the records of a file with a JSON value on each line. Blank lines are left out.
    ///
    /// A line that is not a `T` stops the flow exactly there; see
    /// [`on_error`](JsonLinesSource::on_error) for leaving such lines out, and
    /// [`Flow::source_or_dead`](crate::Flow::source_or_dead) for keeping them. All else that
    /// [`TextLines::open`] says holds here too.
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

    /// A source: the records of several files, which are read independently. Each is a partition.
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

    /// A sink: a line of JSON on standard output for each record, as soon as it arrives there.
    /// After a crash, the records of epochs that were not durable are written again.
    #[must_use]
    pub fn stdout() -> LineSink<Json, StdoutLines> {
        LineSink::new(StdoutLines::new("json_lines"))
    }

    /// A sink: a line of JSON in a file for each record, exactly once under a recovery store.
    ///
    /// The store holds how much of the file belongs to durable epochs. A run that goes on cuts the
    /// file back to that length first, so whoever reads along (`tail -f`) may see lines that are
    /// taken back and written again after a crash. A file that is shorter than the store says has
    /// lost output and is refused. So is a file that the store knows nothing of and that is not
    /// empty, unless [`append`](LineSink::append) or [`overwrite`](LineSink::overwrite) says what
    /// is to happen to it.
    ///
    /// After a run that ended cleanly nothing is cut off: what stands behind that length is someone
    /// else's, and refused. A file that is removed, moved, replaced or cut short during a run fails
    /// the run at its next commit; see [`OutputError`](crate::OutputError). A file that the flow
    /// also reads is refused. A link is followed, also to a file that is not there yet.
    ///
    /// A record with a number that has no form in JSON (`NaN`, infinities) fails, unless
    /// [`nan_as_null`](LineSink::nan_as_null) agrees to `null`.
    pub fn write_to(path: impl Into<PathBuf>) -> LineSink<Json, FileLines> {
        LineSink::new(FileLines::new("json_lines", path.into()))
    }
}
