//! All errors of the store, in words for the person who has to act.

mod cause;
mod execution;
mod file;
mod go_back;
mod lock;
mod maintenance;
mod steps;

pub use cause::{Cause, Lost};
pub use execution::ExecutionError;
pub use file::FileError;
pub use go_back::GoBackError;
pub use lock::LockError;
pub use maintenance::MaintenanceError;
pub use steps::{AnotherType, StepsError};

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why an operation on the store failed.
///
/// There is a type for each family of operations. `Display` says what is wrong and in which file.
/// If something can be done, a second line that begins with `help: ` says what. [`message`] and
/// [`help`] return the two parts separately.
///
/// After an error of [`Look`](crate::Look) the store is unchanged.
///
/// [`message`]: StoreError::message
/// [`help`]: StoreError::help
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// A call of the operating system failed.
    Io {
        /// What was attempted, such as `open`.
        attempt: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The files in the directory are not a store that can be used.
    File(FileError),
    /// Another process has the store, or it can't be locked.
    Lock(LockError),
    /// The steps of the flow and those of the store do not match.
    Steps(StepsError),
    /// The store can't go back to an epoch.
    GoBack(GoBackError),
    /// An execution could not start, commit or end.
    Execution(ExecutionError),
    /// Maintenance of a store could not be done.
    Maintenance(MaintenanceError),
}

impl StoreError {
    /// What is wrong, including the cause, without the help.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            StoreError::Io {
                attempt,
                path,
                cause,
            } => format!("could not {attempt} {}: {cause}", path.display()),
            StoreError::File(error) => error.to_string(),
            StoreError::Lock(error) => error.to_string(),
            StoreError::Steps(error) => error.to_string(),
            StoreError::GoBack(error) => error.to_string(),
            StoreError::Execution(error) => error.to_string(),
            StoreError::Maintenance(error) => error.to_string(),
        }
    }

    /// What to do about it: a sentence without a period that names the command or the setting.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            StoreError::Io { .. } => None,
            StoreError::File(error) => error.help(),
            StoreError::Lock(error) => error.help(),
            StoreError::Steps(error) => error.help(),
            StoreError::GoBack(error) => error.help(),
            StoreError::Execution(error) => error.help(),
            StoreError::Maintenance(error) => error.help(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        match self.help() {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StoreError {}

macro_rules! families {
    ($($family:ident $error:ident,)*) => { $(
        impl From<$error> for StoreError {
            fn from(error: $error) -> StoreError {
                StoreError::$family(error)
            }
        }
    )* };
}
families! {
    File FileError,
    Lock LockError,
    Steps StepsError,
    GoBack GoBackError,
    Execution ExecutionError,
    Maintenance MaintenanceError,
}
