//! Another process has the store, or the store can't be protected from others.

use super::file::directory_of;
use jiff::Timestamp;
use std::io;
use std::path::PathBuf;

/// Why a process may not use the store, although nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has the store.
    #[error(
        "the store {} is in use by {}", directory_of(.path).display(), holder(.host, .pid, .since)
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The host of the process that holds it; `None` if the record can't be read.
        host: Option<String>,
        /// The process that holds it.
        pid: Option<u32>,
        /// Since when it holds it.
        since: Option<Timestamp>,
    },
    /// Other processes read the store for longer than a start waits.
    #[error("the store {directory} is being read by another process, such as `flow-store export`")]
    BeingRead {
        /// The directory.
        directory: PathBuf,
    },
    /// A start waits for the readers, so no further reader is admitted.
    #[error(
        "the store {directory} is about to be used by another process, which waits until nobody \
         reads it"
    )]
    AboutToStart {
        /// The directory.
        directory: PathBuf,
    },
    /// The file system has no locks.
    #[error(
        "{path} can't be locked: {cause}. A flow starts only where its store can be kept from a \
         second run"
    )]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The store changed since the look.
    #[error("the store in {directory} changed while it was being looked at ({what})")]
    Changed {
        /// The directory.
        directory: PathBuf,
        /// What is different.
        what: String,
    },
    /// The look is for reading only.
    #[error("this look at the store {directory} is for reading only")]
    ReadOnly {
        /// The directory.
        directory: PathBuf,
    },
}

impl LockError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            LockError::Locked { .. } => "stop that process, or give another directory",
            LockError::BeingRead { .. } => "wait until that process has ended",
            LockError::AboutToStart { .. } => "try again",
            LockError::NoLocks { .. } => {
                "put the store on a local disk; on NFS start the lock daemon, or mount it with \
                 `nolock` if no other host runs the flow"
            }
            LockError::Changed { .. } => "start again",
            LockError::ReadOnly { .. } => "to change the store, look at it with `Look::at`",
        };
        Some(help.to_owned())
    }
}

fn holder(host: &Option<String>, pid: &Option<u32>, since: &Option<Timestamp>) -> String {
    match (host, pid, since) {
        (Some(host), Some(pid), Some(since)) => format!("process {pid} on {host} since {since}"),
        _ => "an unknown process".to_owned(),
    }
}
