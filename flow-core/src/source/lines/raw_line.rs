//! Lines that can't become records of a format, as records of their own.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Serialize};

use super::{LineError, format::LineFormat, line::Line};

/// A line as it is in its file, with its place.
///
/// As JSON it is `{"partition":"orders.json","line":4,"offset":120,"content":"the line"}`. If the
/// line is not UTF-8, its content is a list of numbers, so that no byte is lost.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLine {
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// The number of the line, from 1.
    pub line: u64,
    /// The byte of the file at which the line begins.
    pub offset: u64,
    /// The line without its end, `\n` or `\r\n`. If the line is too long, only its first bytes, as
    /// many as are allowed.
    #[serde(with = "content")]
    pub content: Vec<u8>,
}

impl RawLine {
    /// The line as text. Bytes that are not UTF-8 are replaced by `\u{fffd}`.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.content)
    }
}

impl fmt::Debug for RawLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLine")
            .field("partition", &self.partition)
            .field("line", &self.line)
            .field("offset", &self.offset)
            .field("content", &self.text())
            .finish()
    }
}

/// The content is text if it is UTF-8, and otherwise bytes.
mod content {
    use std::fmt;

    use serde::{
        Deserializer, Serializer,
        de::{SeqAccess, Visitor},
    };

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(bytes),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        struct Content;

        impl<'de> Visitor<'de> for Content {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text or the bytes of a line")
            }

            fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.as_bytes().to_vec())
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }

        deserializer.deserialize_any(Content)
    }
}

/// The records of a format, or the lines that can't become one; see
/// [`Flow::source_or_dead`](crate::Flow::source_or_dead).
#[derive(Clone, Copy, Debug)]
pub struct OrDead<F>(PhantomData<fn() -> F>);

impl<F: LineFormat> LineFormat for OrDead<F> {
    type Item = Result<F::Item, (RawLine, String)>;

    const KIND: &'static str = F::KIND;
    const IS_TEXT: bool = F::IS_TEXT;

    const DEAD: Option<fn(RawLine, LineError) -> Self::Item> =
        Some(|record, error| Err((record, error.to_string())));

    fn parse(line: Line<'_>) -> Result<Option<Self::Item>, LineError> {
        Ok(F::parse(line)?.map(Ok))
    }
}
