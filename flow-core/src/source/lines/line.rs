//! Lines in memory. They are checked for UTF-8 many at a time.

use memchr::{Memchr, memchr_iter};

/// A line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line is UTF-8.
    Text(&'a str),
    /// The line is not UTF-8, or that does not matter.
    Bytes(&'a [u8]),
}

impl<'a> Line<'a> {
    /// A line without its end. It is checked for UTF-8 if that matters.
    pub(in crate::source) fn of(content: &'a [u8], is_text: bool) -> Self {
        let text = is_text.then(|| simdutf8::basic::from_utf8(content).ok());
        text.flatten().map_or(Line::Bytes(content), Line::Text)
    }

    #[inline]
    pub(in crate::source) fn bytes(self) -> &'a [u8] {
        match self {
            Line::Text(text) => text.as_bytes(),
            Line::Bytes(bytes) => bytes,
        }
    }
}

/// The lines in some bytes that have an end, without it.
///
/// They are checked for UTF-8 together. Only if that fails is each line checked by itself.
pub(in crate::source) struct WholeLines<'a> {
    bytes: &'a [u8],
    is_text: bool,
    /// The same bytes, if they are UTF-8.
    text: Option<&'a str>,
    ends: Memchr<'a>,
    /// The byte at which the next line starts.
    start: usize,
}

impl<'a> WholeLines<'a> {
    /// The bytes behind the last line end in `bytes` do not count.
    pub(in crate::source) fn of(bytes: &'a [u8], is_text: bool) -> Self {
        let bytes = bytes.get(..end_of_last(bytes)).unwrap_or_default();
        WholeLines {
            bytes,
            is_text,
            text: is_text
                .then(|| simdutf8::basic::from_utf8(bytes).ok())
                .flatten(),
            ends: memchr_iter(b'\n', bytes),
            start: 0,
        }
    }

    /// The byte at which the next line starts.
    #[inline]
    pub(in crate::source) fn position(&self) -> usize {
        self.start
    }
}

impl<'a> Iterator for WholeLines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        let (start, end) = (self.start, self.ends.next()?);
        self.start = end + 1;
        let line = self.bytes.get(start..end)?;
        let content = line.strip_suffix(b"\r").unwrap_or(line);
        let text = self.text.unwrap_or_default();
        Some(match text.get(start..start + content.len()) {
            Some(text) => Line::Text(text),
            None => Line::of(content, self.is_text),
        })
    }
}

/// The byte behind the last line end in `bytes`.
fn end_of_last(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1)
}

/// A line without its end, `\n` or `\r\n`.
#[inline]
pub(in crate::source) fn line_content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The most characters of a line in a message.
pub(in crate::source) const EXCERPT: usize = 200;

/// The beginning of a line, for a message.
pub(in crate::source) fn excerpt_of(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * EXCERPT)]);
    match text.char_indices().nth(EXCERPT) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}
