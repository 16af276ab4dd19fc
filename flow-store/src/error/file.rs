//! The files in the directory are not a store that can be used.

use std::path::{Path, PathBuf};

/// Why the files in a directory are not a store that this version can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The path is not that of a directory.
    #[error("{path} is not a directory, and the store needs one of its own")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The file is empty.
    #[error("the store file {path} is empty, though it held data: nothing is created in its place")]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// The directory held a store, and its file is missing.
    #[error(
        "the store in {directory} has lost its data: its lock file names the store {store}, and \
         there is no {part}"
    )]
    EmptyWhereDataWas {
        /// The directory.
        directory: PathBuf,
        /// The uuid in the lock file, or `unknown` when that cannot be read.
        store: String,
        /// The name of the missing file.
        part: String,
    },
    /// The file is not a redb file.
    #[error("{path} is not a store: it does not begin as a redb file does")]
    NotARedbFile {
        /// The file.
        path: PathBuf,
    },
    /// The file is a redb file, but not a store of flow.
    #[error("{path} is a redb file, but not a store of flow: {missing}")]
    NotAFlowStore {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        missing: String,
    },
    /// The file is shorter than its header says.
    #[error("the store file {path} was cut short: it has {length} bytes and needs {needed}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// The least length it should have.
        needed: u64,
    },
    /// Something other than the store changed the bytes of the file, or cut it short.
    #[error("the store file {path} is damaged: {what}. Nothing was changed")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file was written by a later version.
    #[error(
        "the store file {path} has format {found}, and this version of flow reads up to {known}"
    )]
    FormatTooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format this version writes.
        known: u64,
    },
    /// The file was written by a version that is too old.
    #[error(
        "the store file {path} has {what} format {found}, and this version of flow reads {what} \
         format {known}"
    )]
    FormatTooOld {
        /// The file.
        path: PathBuf,
        /// Whose format it is: `flow` or `redb`.
        what: &'static str,
        /// Its format.
        found: u64,
        /// The format that this version reads.
        known: u64,
    },
    /// The file is one of several parts, or another part than its name says.
    #[error("the store file {path} is part {index} of {count}, and its name says part 0 of 1")]
    WrongPart {
        /// The file.
        path: PathBuf,
        /// Which part it is.
        index: u64,
        /// Of how many.
        count: u64,
    },
    /// The directory has other part files than the expected one.
    #[error(
        "the store in {directory} should have the one file {expected}, and has {}",
        .found.join(", ")
    )]
    OtherParts {
        /// The directory.
        directory: PathBuf,
        /// The name of the expected file.
        expected: String,
        /// The names of the files that are there.
        found: Vec<String>,
    },
    /// The file belongs to another store than the one that this directory held.
    #[error("{path} is of the store {found}, and this directory held the store {expected}")]
    ForeignPart {
        /// The file.
        path: PathBuf,
        /// The lock file, which remembers the store.
        lock: PathBuf,
        /// The uuid in the lock file.
        expected: String,
        /// The uuid in the part file.
        found: String,
    },
}

impl FileError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            FileError::NotADirectory { .. } => "give another path",
            FileError::EmptyFile { .. } | FileError::EmptyWhereDataWas { .. } => {
                "put a backup there, or remove the directory to start from nothing"
            }
            FileError::NotARedbFile { .. } | FileError::NotAFlowStore { .. } => {
                "give another directory"
            }
            FileError::Truncated { .. } | FileError::Damaged { .. } => "put a backup in its place",
            FileError::FormatTooNew { .. } => "use the version that wrote it, or a later one",
            FileError::FormatTooOld { path, .. } => {
                return Some(format!(
                    "run the flow with the version that wrote the store, or move {} away and \
                     start with a new store",
                    directory_of(path).display()
                ));
            }
            FileError::WrongPart { .. } => "give it back its name",
            FileError::OtherParts { .. } => "keep the right one, with that name",
            FileError::ForeignPart { lock, .. } => {
                return Some(format!(
                    "put the right file in its place, or remove {} to accept this one",
                    lock.display()
                ));
            }
        };
        Some(help.to_owned())
    }
}

/// The directory that a file of a store is in.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}
