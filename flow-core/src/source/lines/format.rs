//! How a line is read: as text, JSON, or bytes.

use std::marker::PhantomData;

use super::{LineError, line::Line, raw_line::RawLine};
use crate::record::OwnsItsData;

/// Makes records of lines. Implemented by flow's formats: [`Text`], [`Json`], [`Bytes`],
/// [`OrDead`](super::OrDead).
///
/// A format of your own is a step behind [`ByteLines::open`](crate::ByteLines::open).
pub trait LineFormat: 'static {
    /// The record.
    type Item: 'static;

    /// The kind of a source of such lines.
    #[doc(hidden)]
    const KIND: &'static str;

    /// Whether lines must be UTF-8.
    #[doc(hidden)]
    const IS_TEXT: bool = true;

    /// Makes a record of a line that can't be read, if the format has such records.
    #[doc(hidden)]
    const DEAD: Option<fn(RawLine, LineError) -> Self::Item> = None;

    /// Makes a record of a line, or skips the line.
    #[doc(hidden)]
    fn parse(line: Line<'_>) -> Result<Option<Self::Item>, LineError>;
}

/// Lines of UTF-8 as `String`s.
#[derive(Clone, Copy, Debug)]
pub enum Text {}

/// Lines that hold one JSON value each.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(PhantomData<fn() -> T>);

/// Lines of any bytes as `Vec<u8>`s.
#[derive(Clone, Copy, Debug)]
pub enum Bytes {}

impl LineFormat for Text {
    type Item = String;

    const KIND: &'static str = "text_lines";

    fn parse(line: Line<'_>) -> Result<Option<String>, LineError> {
        let text = match line {
            Line::Text(text) => text,
            Line::Bytes(bytes) => {
                std::str::from_utf8(bytes).map_err(|error| LineError::NotUtf8 { error })?
            }
        };
        Ok(Some(text.to_owned()))
    }
}

impl<T: for<'any> OwnsItsData<'any> + 'static> LineFormat for Json<T> {
    type Item = T;

    const KIND: &'static str = "json_lines";

    fn parse(line: Line<'_>) -> Result<Option<T>, LineError> {
        if line.bytes().iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let record = match line {
            Line::Text(text) => serde_json::from_str(text),
            // The parser reports where the line stops being JSON. The bytes may be in a field that
            // nobody reads.
            Line::Bytes(bytes) => serde_json::from_slice(bytes),
        };
        match record {
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(LineError::json(line.bytes(), error)),
        }
    }
}

impl LineFormat for Bytes {
    type Item = Vec<u8>;

    const KIND: &'static str = "byte_lines";
    const IS_TEXT: bool = false;

    fn parse(line: Line<'_>) -> Result<Option<Vec<u8>>, LineError> {
        Ok(Some(line.bytes().to_vec()))
    }
}

/// The byte order mark of UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";
