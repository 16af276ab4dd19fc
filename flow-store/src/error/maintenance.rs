//! Maintenance of a store can't be done.

use super::cause::Cause;
use super::steps::list;
use crate::step::StoredStep;
use std::path::PathBuf;

/// Why maintenance of a store could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// The directory has no store.
    #[error("there is no store in {directory}")]
    NoStore {
        /// The directory.
        directory: PathBuf,
    },
    /// The requested step is not in the store.
    #[error(
        "there is no step `{id}` in the store in {}: it has {}", .directory.display(), list(.stored)
    )]
    UnknownStep {
        /// The directory.
        directory: PathBuf,
        /// The id that was given.
        id: String,
        /// The steps of the store.
        stored: Vec<StoredStep>,
    },
    /// Another step has the new id already.
    #[error(
        "step `{from}` cannot be renamed to `{to}`, which the store in {} has already: it has {}",
        .directory.display(), list(.stored)
    )]
    StepExists {
        /// The directory.
        directory: PathBuf,
        /// The step.
        from: String,
        /// The id that it should get.
        to: String,
        /// The steps of the store.
        stored: Vec<StoredStep>,
    },
    /// The target of a backup exists already.
    #[error("{path} is there already, and a backup makes a directory of its own")]
    TargetExists {
        /// The path.
        path: PathBuf,
    },
    /// A copy of the store could not be written.
    #[error("the copy {path} could not be written: {cause}. The store is as it was")]
    CopyFailed {
        /// The file of the copy.
        path: PathBuf,
        /// What happened.
        cause: Cause,
    },
    /// A commit that changes the steps failed, and it is unknown whether it is durable.
    #[error("could not {attempt} in {path}: {cause}. It is done as a whole or not at all")]
    MaintenanceFailed {
        /// What was attempted.
        attempt: String,
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: Cause,
    },
}

impl MaintenanceError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            MaintenanceError::NoStore { .. } => {
                "give the directory that a flow was started with `--recover`"
            }
            MaintenanceError::TargetExists { .. } => "give another path",
            MaintenanceError::MaintenanceFailed { .. } => {
                "`flow-store steps` shows whether it is done"
            }
            MaintenanceError::UnknownStep { .. }
            | MaintenanceError::StepExists { .. }
            | MaintenanceError::CopyFailed { .. } => return None,
        };
        Some(help.to_owned())
    }
}
