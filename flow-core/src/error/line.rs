//! Why a line can't become a record, and what to do about it.

use std::str::Utf8Error;

use crate::{names::quoted, record::json_number};

/// Why a line can't become a record. It is the cause of a
/// [`SourceError`](crate::source::SourceError).
///
/// ```
/// use std::error::Error;
/// use flow::{prelude::*, source::LineError};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("orders.json");
/// std::fs::write(&path, "[\n1,\n2\n]\n").unwrap();
/// let runner = Runner::new(move |flow| {
///     flow.source(JsonLines::open::<u64>(&path)).named("orders").sink(JsonLines::stdout());
/// });
/// let Err(RunError::Record(failed)) = runner.run() else { panic!() };
/// let line = failed.cause.source().unwrap().downcast_ref::<LineError>().unwrap();
/// assert!(line.help().unwrap().contains("jq -c '.[]'"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The line is longer than the source allows.
    #[error("the line is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The line is not UTF-8.
    #[error("the line is not UTF-8, from its byte {} on", .error.valid_up_to() + 1)]
    NotUtf8 {
        /// The error, which says where the line stops being UTF-8.
        error: Utf8Error,
    },
    /// The line is not JSON, or not of the type that the source reads.
    #[error("{}", json_text(.error))]
    Json {
        /// The parser's error; its line number is always 1. The text of this error contains it, so
        /// it is not a `source`.
        error: serde_json::Error,
        /// What the line looks like, if that says more.
        looks: Option<Looks>,
    },
}

/// What a line looks like that can't be read as a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Looks {
    /// The beginning of an array, or a whole one.
    Array,
    /// The beginning or the end of a value that takes several lines.
    Pretty,
    /// Several values.
    Several,
    /// A line in the middle of a file that begins with a byte order mark.
    Marked,
    /// A line with NUL bytes, as UTF-16 and UTF-32 have for ASCII.
    Wide,
    /// JSON with a number that this program keeps as text. Such a number can't be read in a tagged,
    /// untagged or flattened part.
    ExactNumber,
}

impl LineError {
    #[cold]
    pub(crate) fn json(line: &[u8], error: serde_json::Error) -> Self {
        let looks = Looks::of(line, &error);
        LineError::Json { error, looks }
    }

    /// Advice on what to do about it, if there is any.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.help_in("in.json")
    }

    /// The same for a line of this file.
    pub(crate) fn help_in(&self, file: &str) -> Option<String> {
        let text = match self {
            LineError::TooLong { .. } => "`.max_line(..)` sets what is allowed",
            LineError::NotUtf8 { .. } => {
                "`ByteLines::open` reads lines of any bytes; `flow.source_or_dead(..)` gives such \
                 lines a stream of their own"
            }
            LineError::Json { looks, .. } => match (*looks)? {
                Looks::Array => {
                    "flow reads one JSON value from each line; `jq -c '.[]' in.json` makes such \
                     lines of an array"
                }
                Looks::Pretty | Looks::Several => {
                    "flow reads one JSON value from each line; `jq -c . in.json` writes each \
                     value on a line"
                }
                Looks::Marked => {
                    "the line begins with a byte order mark, which flow skips only at the \
                     beginning of a file"
                }
                Looks::Wide => {
                    "the line has NUL bytes: if the file is UTF-16 or UTF-32, convert it with \
                     `iconv -f UTF-16 -t UTF-8 in.json`"
                }
                Looks::ExactNumber => {
                    "a dependency has switched on the feature `arbitrary_precision` of \
                     `serde_json`. With it a number with a fraction can't be read behind \
                     `#[serde(flatten)]`, in an enum with a tag beside its fields, or in one \
                     without a tag; `cargo tree -e features -i serde_json` names the dependency"
                }
            },
        };
        Some(text.replace("in.json", &quoted(file)))
    }
}

impl Looks {
    /// Called only for lines that failed, so it may be slow.
    fn of(line: &[u8], error: &serde_json::Error) -> Option<Looks> {
        if line.starts_with("\u{feff}".as_bytes()) {
            return Some(Looks::Marked);
        }
        if line.contains(&0) {
            return Some(Looks::Wide);
        }
        // Until serde knows the type, it takes such a number for a map.
        let is_map = |text: &str| {
            text.starts_with("invalid type: map") || text.starts_with("data did not match any")
        };
        if error.is_data() && json_number::are_text() && is_map(&error.to_string()) {
            return Some(Looks::ExactNumber);
        }
        let text = error.to_string();
        if text.starts_with("trailing characters") {
            return Some(Looks::Several);
        }
        let line = line.trim_ascii();
        if let Some(inner) = line.strip_prefix(b"[") {
            let inner = inner.trim_ascii_start();
            let is_array = error.is_eof()
                || inner.is_empty()
                || inner.starts_with(b"{")
                || text.starts_with("invalid type: sequence");
            return is_array.then_some(Looks::Array);
        }
        let opens = line.starts_with(b"{") && (error.is_eof() || line == b"{");
        let closes = matches!(line, b"}" | b"]" | b"}," | b"],");
        (opens || closes).then_some(Looks::Pretty)
    }
}

/// The parser's text with only the column as its place, because the line is always 1.
fn json_text(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.replace(" at line 1 column ", ", at column ")
}
