//! Turns a stream's records into a sink's items.
//!
//! A sink with one output gets its items from all workers. The worker that has the record makes the
//! item before it is sent. So `#[derive(Serialize)]` is enough for a record that ends in a line of
//! JSON, and all workers share the work.

use std::{fmt::Display, io, marker::PhantomData};

use serde::Serialize;

use super::{
    FileLines, Sink, SinkError,
    finite::{Finite, NO_FORM},
};

/// A sink for a stream of `T`: every [`Sink`] of `T`, and sinks that write `T` in some format.
#[diagnostic::on_unimplemented(
    message = "records of type `{T}` can't end in a `{Self}`",
    label = "the records that arrive here are of type `{T}`",
    note = "lines of JSON need `#[derive(Serialize)]` on the record, lines of text need \
        `Display`, any other sink takes its own `Item`",
    note = "a `Result` is the work of a step that may fail: give its function to `try_map` \
        instead of `map`",
    note = "a future is never run: a step is an ordinary function, not an `async` one"
)]
pub trait IntoSink<T> {
    /// The sink that gets the items.
    type Sink: Sink;
    /// Whether making an item may fail.
    #[doc(hidden)]
    const FALLIBLE: bool;
    /// Whether it writes any record as it is, without naming its type.
    #[doc(hidden)]
    const AS_IT_IS: bool = false;

    #[doc(hidden)]
    fn into_sink(self) -> Self::Sink;

    /// Makes an item of a record.
    #[doc(hidden)]
    fn item(record: T) -> Result<<Self::Sink as Sink>::Item, SinkError>;

    /// Makes an item of a record on its worker.
    #[doc(hidden)]
    fn item_of(_worker: usize, record: T) -> Result<<Self::Sink as Sink>::Item, SinkError> {
        Self::item(record)
    }
}

#[diagnostic::do_not_recommend]
impl<S: Sink> IntoSink<S::Item> for S {
    type Sink = S;
    const FALLIBLE: bool = false;

    fn into_sink(self) -> S {
        self
    }

    fn item(record: S::Item) -> Result<S::Item, SinkError> {
        Ok(record)
    }
}

/// A sink that writes records as lines.
#[derive(Clone, Debug)]
pub struct LineSink<F, S> {
    lines: S,
    format: PhantomData<fn() -> F>,
}

impl<F, S> LineSink<F, S> {
    pub(crate) fn new(lines: S) -> Self {
        LineSink {
            lines,
            format: PhantomData,
        }
    }
}

impl<F> LineSink<F, FileLines> {
    /// Writes behind the present content of the file, if the store does not know the file yet.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.lines = self.lines.append();
        self
    }

    /// Replaces the present content of the file, if the store does not know the file yet.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.lines = self.lines.overwrite();
        self
    }
}

impl<S> LineSink<Json, S> {
    /// Writes `NaN` and infinities as `null`, as serde_json does. By default a record with such a
    /// number fails, because a reader of the line would find no number there.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::source;
    /// # Runner::new(|flow| {
    /// let means = flow.source(source::from_iter([1.5, f64::NAN]));
    /// means.sink(JsonLines::stdout().nan_as_null()); // 1.5, null
    /// # }).run().unwrap();
    /// ```
    #[must_use]
    pub fn nan_as_null(self) -> LineSink<JsonOrNull, S> {
        LineSink::new(self.lines)
    }
}

impl<S> LineSink<Text, S> {
    /// Writes records of several lines as they are. By default a record with a line end in it
    /// fails, because a reader of the file would find several records.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::source;
    /// # Runner::new(|flow| {
    /// let poems = flow.source(source::from_iter(["roses\nred"]));
    /// poems.sink(TextLines::stdout().multi_line());
    /// # }).run().unwrap();
    /// ```
    #[must_use]
    pub fn multi_line(self) -> LineSink<MultiLineText, S> {
        LineSink::new(self.lines)
    }
}

/// How a record is written as a line.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be written as a line of {Self}",
    label = "the records that arrive here are of type `{T}`",
    note = "a line of JSON needs `#[derive(Serialize)]` on the record, a line of text needs \
        `Display`"
)]
pub trait LineFormat<T>: 'static {
    /// Whether some records can't be written like this.
    #[doc(hidden)]
    const FALLIBLE: bool;

    /// The line, without its end.
    #[doc(hidden)]
    fn line(record: T) -> Result<String, SinkError>;
}

/// Lines of JSON. A record with a number that JSON can't express (`NaN`, infinities) fails.
#[derive(Clone, Copy, Debug)]
pub struct Json;

#[diagnostic::do_not_recommend]
impl<T: Serialize> LineFormat<T> for Json {
    const FALLIBLE: bool = true;

    fn line(record: T) -> Result<String, SinkError> {
        json_line(&Finite(&record))
    }
}

/// Lines of JSON with `null` for `NaN` and infinities; see [`nan_as_null`](LineSink::nan_as_null).
#[derive(Clone, Copy, Debug)]
pub struct JsonOrNull;

#[diagnostic::do_not_recommend]
impl<T: Serialize> LineFormat<T> for JsonOrNull {
    const FALLIBLE: bool = true;

    fn line(record: T) -> Result<String, SinkError> {
        json_line(&record)
    }
}

fn json_line(record: &impl Serialize) -> Result<String, SinkError> {
    let line = serde_json::to_string(record).map_err(|error| not_json(record, error))?;
    Ok(match memchr::memchr(b'\n', line.as_bytes()) {
        None => line,
        // serde_json writes a `RawValue` as it is. JSON has line ends only between tokens.
        Some(_) => line.replace(['\n', '\r'], " "),
    })
}

/// The error of a record. The part that was written before it failed identifies the record.
#[cold]
fn not_json(record: &impl Serialize, error: serde_json::Error) -> SinkError {
    let mut start = Start::default();
    // Serializing fails again at the same place.
    let _ = serde_json::to_writer(&mut start, record);
    let text = String::from_utf8_lossy(&start.0);
    let begins = match text.is_empty() {
        true => String::new(),
        false => format!(" (it begins with `{text}`)"),
    };
    let message = format!("the record can't be written as JSON{begins}");
    let cause = error.to_string();
    let help = if cause.ends_with(NO_FORM) {
        "make it an `Option`, leave such records out before the sink, or write `null` with \
         `.nan_as_null()`"
    } else if cause.contains("key must be a string") {
        "the keys of an object are texts: make the keys of the map texts in a `map` before the \
         sink, or make the map a list of pairs, as `map.into_iter().collect::<Vec<_>>()` does"
    } else {
        return SinkError::caused_by(message, error);
    };
    SinkError::new(format!("{message}: {cause}")).and_help(help)
}

/// The first bytes of a record.
#[derive(Default)]
struct Start(Vec<u8>);

/// The number of bytes that identify a record in a message.
const SHOWN: usize = 200;

impl io::Write for Start {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = SHOWN.saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines of text. A record with a line end in it fails, because it would be read back as several.
#[derive(Clone, Copy, Debug)]
pub struct Text;

#[diagnostic::do_not_recommend]
impl<T: Display> LineFormat<T> for Text {
    const FALLIBLE: bool = true;

    fn line(record: T) -> Result<String, SinkError> {
        let line = record.to_string();
        match memchr::memchr(b'\n', line.as_bytes()) {
            None => Ok(line),
            Some(_) => Err(several_lines(&line)),
        }
    }
}

#[cold]
fn several_lines(line: &str) -> SinkError {
    let start: String = line.chars().take(SHOWN).collect();
    SinkError::new(format!(
        "the record has a line end in it, so it would be read back as several: {start:?}"
    ))
    .and_help("write lines of JSON, or agree to it with `.multi_line()`")
}

/// Text, any number of lines for each record; see [`multi_line`](LineSink::multi_line).
#[derive(Clone, Copy, Debug)]
pub struct MultiLineText;

#[diagnostic::do_not_recommend]
impl<T: Display> LineFormat<T> for MultiLineText {
    const FALLIBLE: bool = false;

    fn line(record: T) -> Result<String, SinkError> {
        Ok(record.to_string())
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static, F: LineFormat<T>, S: Sink<Item = String>> IntoSink<T> for LineSink<F, S> {
    type Sink = S;
    const FALLIBLE: bool = F::FALLIBLE;
    const AS_IT_IS: bool = true;

    fn into_sink(self) -> S {
        self.lines
    }

    fn item(record: T) -> Result<String, SinkError> {
        F::line(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_written_as_it_is_stays_on_its_line() {
        let raw: &serde_json::value::RawValue =
            serde_json::from_str("{\n  \"a\": \"x\\ny\",\r\n  \"b\": 1\n}").unwrap();
        let line = Json::line(raw).unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value, serde_json::json!({"a": "x\ny", "b": 1}));
    }
}
