//! Whether an open file still has its name.

use crate::error::Lost;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The file that had a name when it was opened.
#[derive(Debug)]
pub(crate) struct Named {
    /// The absolute path, so that a change of the working directory does not matter.
    path: PathBuf,
    /// Device and inode; `None` where files have no such numbers.
    file: Option<(u64, u64)>,
}

impl Named {
    /// The file that has a name now. It must just have been opened.
    pub(crate) fn new(path: &Path) -> Named {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let file = fs::metadata(&path).ok().and_then(|file| number(&file));
        Named { path, file }
    }

    /// How the file was lost, if it was. If the system can't say, it counts as not lost.
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
#[allow(clippy::unnecessary_wraps)] // Elsewhere there is no number.
fn number(file: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> Option<(u64, u64)> {
    None
}
