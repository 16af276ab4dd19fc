//! From a stream's records to a sink's items.
//!
//! A sink with one output gets its items from all workers. What it writes is made before they are sent, by
//! the worker that has the record: so a `#[derive(Serialize)]` is enough for a record that ends in a line
//! of JSON, and the work is spread.

use std::{fmt::Display, marker::PhantomData};

use serde::Serialize;

use super::{FileLines, Sink, SinkError};

/// What a stream of `T` can end in: every [`Sink`] of `T`, and sinks that write `T` in some format.
#[diagnostic::on_unimplemented(
    message = "records of type `{T}` can't end in a `{Self}`",
    label = "the records that arrive here are of type `{T}`",
    note = "lines of JSON need `#[derive(Serialize)]` on the record, lines of text need `Display`, any other sink takes its own `Item`",
    note = "a `Result` is the work of a step that may fail: give its function to `try_map` instead of `map`",
    note = "a future is never run: a step is an ordinary function, not an `async` one"
)]
pub trait IntoSink<T> {
    /// The sink that is written to.
    type Sink: Sink;
    /// Whether making an item may fail.
    #[doc(hidden)]
    const FALLIBLE: bool;
    /// Whether it writes any record as it is, and has not named its type.
    #[doc(hidden)]
    const AS_IT_IS: bool = false;

    #[doc(hidden)]
    fn into_sink(self) -> Self::Sink;

    /// Makes an item of a record.
    #[doc(hidden)]
    fn item(record: T) -> Result<<Self::Sink as Sink>::Item, SinkError>;

    /// Makes an item of a record that a worker has.
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
    /// Writes behind what the file already holds, where the store knows nothing of it yet.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.lines = self.lines.append();
        self
    }

    /// Replaces what the file already holds, where the store knows nothing of it yet.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.lines = self.lines.overwrite();
        self
    }
}

/// How a record is written as a line.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be written as a line of {Self}",
    label = "the records that arrive here are of type `{T}`",
    note = "a line of JSON needs `#[derive(Serialize)]` on the record, a line of text needs `Display`"
)]
pub trait LineFormat<T>: 'static {
    /// Whether a record may have no such form.
    #[doc(hidden)]
    const FALLIBLE: bool;

    /// The line, without its end.
    #[doc(hidden)]
    fn line(record: T) -> Result<String, SinkError>;
}

/// Lines of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Json;

#[diagnostic::do_not_recommend]
impl<T: Serialize> LineFormat<T> for Json {
    const FALLIBLE: bool = true;

    fn line(record: T) -> Result<String, SinkError> {
        serde_json::to_string(&record)
            .map_err(|error| SinkError::caused_by("the record can't be written as JSON", error))
    }
}

/// Lines of text.
#[derive(Clone, Copy, Debug)]
pub struct Text;

#[diagnostic::do_not_recommend]
impl<T: Display> LineFormat<T> for Text {
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
