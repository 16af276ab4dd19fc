//! The first bytes of a file can show that it is compressed, or in another encoding than UTF-8.

use crate::{names::quoted, source::SourceError};

/// The number of first bytes that are examined.
pub(in crate::source) const TELLING: usize = 1024;

/// The name of standard input in messages.
pub(in crate::source) const STDIN: &str = "standard input";

/// A file that should be read as lines is compressed, and can't be read.
///
/// A flow resumes in the middle of a file, and several workers share a large one. Neither is
/// possible in a compressed file, which can only be read from its beginning. This error is the
/// cause of a [`SourceError`].
///
/// ```
/// use std::error::Error;
/// use flow::{BuildError, prelude::*, source::Compressed};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("orders.gz");
/// std::fs::write(&path, [0x1f, 0x8b, 8, 0]).unwrap();
/// let runner = Runner::new(move |flow| {
///     flow.source(TextLines::open(&path)).named("orders").sink(TextLines::stdout());
/// });
/// let Err(RunError::Build(BuildError::Source { error, .. })) = runner.run() else { panic!() };
/// let compressed = error.source().unwrap().downcast_ref::<Compressed>().unwrap();
/// assert_eq!(compressed.format, "gzip");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is compressed ({format}){}", why(.file))]
#[non_exhaustive]
pub struct Compressed {
    /// The file.
    pub file: String,
    /// The compression format: `gzip`, `zstd`, `bzip2`, `xz`, `lz4`, `zip`, ...
    pub format: &'static str,
    command: String,
}

/// A file that should be read as lines is in another encoding than UTF-8. This error is the cause
/// of a [`SourceError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is {encoding}, not UTF-8")]
#[non_exhaustive]
pub struct OtherEncoding {
    /// The file.
    pub file: String,
    /// The encoding: `UTF-16` or `UTF-32`.
    pub encoding: &'static str,
}

/// Refuses a file that does not begin like lines of UTF-8.
pub(in crate::source) fn check(start: &[u8], file: &str) -> Result<(), SourceError> {
    if let Some(compressed) = Compressed::of(start, file) {
        let help = compressed.help();
        return Err(SourceError::because(compressed).and_help(&help));
    }
    if let Some(encoding) = encoding_of(start) {
        let file = file.to_owned();
        let other = OtherEncoding { file, encoding };
        let help = other.help();
        return Err(SourceError::because(other).and_help(&help));
    }
    Ok(())
}

impl OtherEncoding {
    /// Advice on how to convert it.
    #[must_use]
    pub fn help(&self) -> String {
        let convert = format!("iconv -f {} -t UTF-8", self.encoding);
        format!("convert it first: `{}`", command(&convert, &self.file))
    }
}

impl Compressed {
    /// Advice on how to decompress it.
    #[must_use]
    pub fn help(&self) -> String {
        format!("decompress it first: `{}`", self.command)
    }

    /// Recognizes a compressed file by its first bytes. No text begins like this: these bytes are
    /// not UTF-8, or have control characters.
    fn of(start: &[u8], file: &str) -> Option<Self> {
        let (format, program) = match start {
            [0x1f, 0x8b, ..] => ("gzip", "gzip -dc"),
            [0x1f, 0x9d, ..] => ("compress", "gzip -dc"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", "zstd -dc"),
            [0x04, 0x22, 0x4d, 0x18, ..] => ("lz4", "lz4 -dc"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", "xz -dc"),
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if is_bzip2(rest) => ("bzip2", "bzip2 -dc"),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => ("zip", "unzip -p"),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => ("7z", "7z x -so"),
            [0xff, 0x06, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y', ..] => ("snappy", "snzip -dc"),
            _ => return None,
        };
        Some(Compressed {
            file: file.to_owned(),
            format,
            command: command(program, file),
        })
    }
}

fn why(file: &str) -> &'static str {
    match file {
        STDIN => "",
        _ => ": it can't be read from the middle, nor by several workers",
    }
}

/// The command that turns a file into one that can be read.
fn command(program: &str, file: &str) -> String {
    match file {
        STDIN => format!("{program} .. | .."),
        file => format!("{program} {} > ..", quoted(file)),
    }
}

/// Recognizes the magic number of a block, or of the end of an empty stream.
fn is_bzip2(rest: &[u8]) -> bool {
    rest.starts_with(b"1AY&SY") || rest.starts_with(&[0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
}

/// The encoding that a byte order mark names. A line of other bytes may begin like the mark of
/// UTF-16. But UTF-16 has NULs behind it, because it has line ends or spaces.
fn encoding_of(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] if rest.contains(&0) => Some("UTF-16"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_begins_like_a_compressed_file_is_text() {
        for text in [
            "BZh",
            "BZh9",
            "BZh91 is a",
            "PK",
            "PKZIP",
            "7z",
            "7zip",
            "(\u{b5}",
        ] {
            assert!(check(text.as_bytes(), "in").is_ok(), "{text}");
        }
        assert!(check(b"", "in").is_ok());
        // These bytes begin a line of something else.
        assert!(check(b"\xff\xfe\nnext\n", "in").is_ok());
    }
}
