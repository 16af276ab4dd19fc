//! Checks that an output file is still the one under its name.

use std::{
    fs::{self, File, Metadata},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{
    error::{OutputError, OutputProblem, SinkError},
    files::FileId,
};

/// An open file, and the name that it must keep.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// The id of the sink, for messages.
    step: String,
    /// The path as the user wrote it, for messages.
    name: PathBuf,
    /// The absolute path, which stays right if the process changes its directory.
    path: PathBuf,
    /// `None` if the system has no number for the file, or not always the same one.
    file: Option<FileId>,
}

/// Whether opening this path gives a file with the number of the path. If there is nothing at the
/// path, it says yes.
fn gives_one_number(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(named) if named.is_file() => {
            let again = File::open(path).and_then(|file| file.metadata()).ok();
            again.as_ref().and_then(FileId::of_open) == Some(FileId::of(path))
        }
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

impl Watch {
    /// Starts to watch: from now on the name must lead to this file.
    pub(super) fn new(step: &str, name: &Path, file: &File) -> Self {
        let path = std::path::absolute(name).unwrap_or_else(|_| name.to_path_buf());
        let open = file.metadata().ok();
        let open = open.as_ref().and_then(FileId::of_open);
        Watch {
            step: step.to_owned(),
            name: name.to_path_buf(),
            file: open.filter(|open| *open == FileId::of(&path) || gives_one_number(&path)),
            path,
        }
    }

    /// Refuses a file that has been removed, replaced or moved since, or that is shorter than its
    /// written length.
    pub(super) fn check(&self, open: &File, written: u64) -> Result<(), SinkError> {
        let lost = |problem| {
            Err(SinkError::because(OutputError::new(
                &self.step, &self.name, problem,
            )))
        };
        let unreadable = |error| {
            SinkError::caused_by(format!("{} can't be checked", self.name.display()), error)
        };
        let there = open.metadata().map_err(unreadable)?.len();
        if there < written {
            return lost(OutputProblem::CutShort { there, written });
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        match fs::metadata(&self.path) {
            Ok(named) if FileId::of_open(&named).as_ref() == Some(file) => Ok(()),
            // The open file is checked after the name, because it may have been removed in between.
            _ if open.metadata().is_ok_and(|open| is_unlinked(&open)) => {
                lost(OutputProblem::Removed)
            }
            Ok(_) => lost(OutputProblem::Replaced),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => lost(OutputProblem::Moved),
                // The answer is not known, but the file still has some name.
                _ => Ok(()),
            },
        }
    }
}

/// Whether the file has no name any more.
#[cfg(unix)]
fn is_unlinked(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) == 0
}

#[cfg(not(unix))]
fn is_unlinked(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_before_the_watch_begins_is_missed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let file = File::create(&path).unwrap();
        Watch::new("out", &path, &file).check(&file, 0).unwrap();
        // The file is moved away, once without and once with another file in its place.
        fs::rename(&path, directory.path().join("out.1")).unwrap();
        Watch::new("out", &path, &file).check(&file, 0).unwrap_err();
        File::create(&path).unwrap();
        Watch::new("out", &path, &file).check(&file, 0).unwrap_err();
    }
}
