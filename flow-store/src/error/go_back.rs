//! The store can't go back to an epoch.

use crate::epoch::Epoch;
use crate::retain::Retained;
use std::path::PathBuf;

/// Why a store can't go back to an earlier epoch, or resume from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoBackError {
    /// The epoch is not retained.
    #[error(
        "the store in {} can't go back to epoch {epoch}: it is at {last}, and retains {}",
        .directory.display(), list(.retained)
    )]
    NotRetained {
        /// The directory.
        directory: PathBuf,
        /// The epoch that was asked for.
        epoch: Epoch,
        /// The epoch that the store is at.
        last: Epoch,
        /// The epochs that it can go back to, oldest first.
        retained: Box<[Retained]>,
    },
    /// The store went back to this epoch before, and has moved on since.
    #[error(
        "execution {execution} has gone back to epoch {epoch} already, and the store in {} is at \
         {last} now",
        .directory.display()
    )]
    WentBack {
        /// The directory.
        directory: PathBuf,
        /// The epoch that was asked for.
        epoch: Epoch,
        /// The execution that went back to it.
        execution: u64,
        /// The first epoch of that execution, which has the same state.
        opened: Epoch,
        /// The epoch that the store is at.
        last: Epoch,
    },
    /// The look went back to an earlier epoch, so it can only be used for a start.
    #[error(
        "the look at the store in {directory} shows epoch {epoch}, which is not its last: only a \
         start can continue from there"
    )]
    GoneBack {
        /// The directory.
        directory: PathBuf,
        /// The epoch that the look shows.
        epoch: Epoch,
    },
}

impl GoBackError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            GoBackError::NotRetained { .. } => {
                "start the flow with `--retain` to retain epochs from then on".to_owned()
            }
            GoBackError::WentBack { opened, .. } => format!(
                "omit `--from-epoch` to resume from there; to go back once more, and give up what \
                 came after, say `--from-epoch {opened}`"
            ),
            GoBackError::GoneBack { .. } => "look at the store again".to_owned(),
        })
    }
}

fn list(retained: &[Retained]) -> String {
    match retained {
        [] => "no other".to_owned(),
        [one] => one.epoch.to_string(),
        [first, .., last] => format!(
            "{} others, from {} to {} (`flow-store epochs` lists them)",
            retained.len(),
            first.epoch,
            last.epoch
        ),
    }
}
