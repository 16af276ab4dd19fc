//! An execution can't start, commit or end.

use super::cause::{Cause, Lost};
use crate::codec::CodecError;
use crate::epoch::Epoch;
use std::path::PathBuf;

/// Why an execution could not start, commit or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// No number is left for a new execution.
    #[error("the store in {directory} has used all of its 16,777,215 execution numbers")]
    TooManyExecutions {
        /// The directory.
        directory: PathBuf,
    },
    /// The commit that starts an execution failed; nothing of the execution ran.
    #[error(
        "the start of an execution could not be written to {path}: {cause}. Nothing ran, and \
         everything that was durable still is"
    )]
    StartFailed {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: Cause,
    },
    /// A later execution has the store, so this one must stop.
    #[error(
        "execution {mine} of the flow was replaced: the store file {path} is at execution \
         {current} now. Nothing was written"
    )]
    Fenced {
        /// The file.
        path: PathBuf,
        /// The execution that was refused.
        mine: u64,
        /// The execution that has the store.
        current: u64,
    },
    /// The file of the store was removed, moved or replaced while an execution had it.
    #[error(
        "the store file {path} {}. It is at epoch {last}, and nothing more was written",
        match .how {
            Lost::Gone => "was removed or moved away while the flow ran",
            Lost::Replaced => {
                "is another one than the flow began with: it was replaced while the flow ran"
            }
        }
    )]
    Gone {
        /// The file.
        path: PathBuf,
        /// How it was lost.
        how: Lost,
        /// The last epoch in the file, wherever that is now.
        last: Epoch,
    },
    /// The epoch to commit is not greater than the last one, or belongs to another execution.
    #[error(
        "epoch {epoch} cannot be committed to {path} by execution {execution}, whose last is \
         {last}. Nothing was written; this is a mistake in the program, not in the store"
    )]
    WrongEpoch {
        /// The file.
        path: PathBuf,
        /// The epoch that was refused.
        epoch: Epoch,
        /// The execution that tried to commit it.
        execution: u64,
        /// The last epoch that is durable.
        last: Epoch,
    },
    /// A change is too large, or no reader would find it.
    #[error(
        "a change of step number {step} cannot be stored in {path}: {why}. Nothing was written; \
         this is a mistake in the program, not in the store"
    )]
    WrongChange {
        /// The file.
        path: PathBuf,
        /// The number of the step.
        step: u16,
        /// What is wrong with it.
        why: String,
    },
    /// A commit failed, and it is unknown whether it is durable.
    #[error(
        "the commit of epoch {epoch} to {path} failed: {cause}. {}; it is unknown whether epoch \
         {epoch} is durable",
        safe(*.last)
    )]
    CommitFailed {
        /// The file.
        path: PathBuf,
        /// The epoch.
        epoch: Epoch,
        /// The last epoch known to be durable.
        last: Epoch,
        /// What happened.
        cause: Cause,
    },
    /// An earlier commit of this execution failed, so nothing more can be committed.
    #[error("an earlier commit to {path} failed, so nothing more can be written")]
    AfterFailedCommit {
        /// The file.
        path: PathBuf,
    },
    /// The commit that records how an execution ended failed; its data is safe.
    #[error(
        "the end of execution {execution} could not be written to {path}: {cause}. {}",
        safe(*.last)
    )]
    EndFailed {
        /// The file.
        path: PathBuf,
        /// The execution.
        execution: u64,
        /// The last epoch that is durable.
        last: Epoch,
        /// What happened.
        cause: Cause,
    },
    /// A record of the store itself could not be encoded.
    #[error("could not encode {what} for the store file {path}: {cause}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What could not be encoded.
        what: &'static str,
        /// Why.
        cause: CodecError,
    },
}

impl ExecutionError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            ExecutionError::TooManyExecutions { .. } => "start with a new directory",
            ExecutionError::StartFailed { .. } => "start the flow again",
            ExecutionError::Fenced { .. } => "stop this process",
            ExecutionError::Gone { .. } => {
                "if it was moved, move it back and start again; if it was removed, put a backup \
                 in its place, or start with a new store and new outputs"
            }
            ExecutionError::CommitFailed { .. } | ExecutionError::AfterFailedCommit { .. } => {
                "start the flow again: it resumes from what is on the disk"
            }
            ExecutionError::Encode { cause, .. } => return cause.help().map(str::to_owned),
            ExecutionError::WrongEpoch { .. }
            | ExecutionError::WrongChange { .. }
            | ExecutionError::EndFailed { .. } => return None,
        };
        Some(help.to_owned())
    }
}

/// What is durable, as the beginning of a sentence.
fn safe(last: Epoch) -> String {
    match last.is_start() {
        true => "Nothing is durable yet".to_owned(),
        false => format!("Everything up to epoch {last} is safe"),
    }
}
