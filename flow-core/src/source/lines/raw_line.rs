//! Lines of which no record can be made, as records.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Serialize};

use super::{LineError, format::LineFormat, line::Line};
use crate::error::Dead;

/// A line as it stands in its file, and where.
///
/// As JSON it is `{"partition":"orders.json","line":4,"offset":120,"content":"the line"}`; where
/// the line is not UTF-8, its content is a list of numbers, so that no byte is lost.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLine {
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// The number of the line, from 1.
    pub line: u64,
    /// The byte of the file at which the line begins.
    pub offset: u64,
    /// The line without its end, `\n` or `\r\n`. Of a line that is too long, as many bytes as are
    /// allowed.
    #[serde(with = "content")]
    pub content: Vec<u8>,
}

impl RawLine {
    /// The line as text; what is not UTF-8 shows as `\u{fffd}`.
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

/// Text where it is text, and bytes elsewhere.
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

/// The records of a format, or the lines of which it makes none; see
/// [`Flow::source_or_dead`](crate::Flow::source_or_dead).
#[derive(Clone, Copy, Debug)]
pub struct OrDead<F>(PhantomData<fn() -> F>);

impl<F: LineFormat> LineFormat for OrDead<F> {
    type Item = Result<F::Item, Dead<RawLine, String>>;

    const KIND: &'static str = F::KIND;
    const IS_TEXT: bool = F::IS_TEXT;

    const DEAD: Option<fn(RawLine, LineError) -> Self::Item> = Some(|record, error| {
        let cause = error.to_string();
        Err(Dead { record, cause })
    });

    fn parse(line: Line<'_>) -> Result<Option<Self::Item>, LineError> {
        Ok(F::parse(line)?.map(Ok))
    }
}
