//! Files that are compressed: what they are, and that they can't be read.

use super::SourceError;

/// A file that was to be read as lines is compressed.
///
/// It can't be read: a flow goes on in the middle of a file, and several workers work off parts of a large one, and neither
/// is possible in a file that can only be read from its beginning. It is the cause of a [`SourceError`].
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
#[error(
    "{file} is compressed ({format}): it can't be read from the middle, nor by several workers\nhelp: decompress it first: `{command}`"
)]
#[non_exhaustive]
pub struct Compressed {
    /// The file.
    pub file: String,
    /// What it is compressed with: `gzip` or `zstd`.
    pub format: &'static str,
    command: String,
}

impl Compressed {
    /// Tells by the first bytes of a file. No text begins like this: neither is UTF-8.
    pub(super) fn of(start: &[u8], file: &str) -> Option<Self> {
        let (format, command) = match start {
            [0x1f, 0x8b, ..] => ("gzip", format!("gzip -dc {file} > ..")),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", format!("zstd -dc {file} > ..")),
            _ => return None,
        };
        Some(Compressed {
            file: file.to_owned(),
            format,
            command,
        })
    }
}

impl From<Compressed> for SourceError {
    fn from(compressed: Compressed) -> Self {
        SourceError::because(compressed)
    }
}
