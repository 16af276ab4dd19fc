//! Whether an open file is still the one under its name.

use crate::error::Lost;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The file that a name led to when it was opened.
#[derive(Debug)]
pub(crate) struct Named {
    /// From the root, whatever becomes of the process's directory.
    path: PathBuf,
    /// None where files have no numbers.
    file: Option<(u64, u64)>,
}

impl Named {
    /// The file that a name leads to, which has just been opened.
    pub(crate) fn new(path: &Path) -> Named {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let file = fs::metadata(&path).ok().and_then(|file| number(&file));
        Named { path, file }
    }

    /// How it was lost, if it was. What the system can't say now is no loss.
    pub(crate) fn lost(&self) -> Option<Lost> {
        let file = self.file?;
        match fs::metadata(&self.path) {
            Ok(there) => (number(&there) != Some(file)).then_some(Lost::Replaced),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Some(Lost::Gone),
                _ => None,
            },
        }
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // elsewhere there is none
fn number(file: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> Option<(u64, u64)> {
    None
}
