//! The one gate to redb: its errors and panics become errors of the store.

use crate::error::{Cause, ExecutionError, FileError, LockError, StoreError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Why an operation on redb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store's own refusal.
    Store(StoreError),
    /// An error of redb.
    Redb(redb::Error),
    /// redb panicked, as it may on a file that was changed from outside.
    Panic(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

macro_rules! from_refusal {
    ($($error:ty),*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::Store(error.into())
            }
        }
    )* };
}
from_refusal!(FileError, LockError, ExecutionError);

macro_rules! from_redb {
    ($($error:ty),*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::Redb(error.into())
            }
        }
    )* };
}
from_redb!(
    redb::CommitError,
    redb::CompactionError,
    redb::DatabaseError,
    redb::SetDurabilityError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);

/// Runs an operation on redb, and catches its panics.
///
/// After a panic the objects of redb may only be dropped.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => Err(Failure::Panic(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "an unknown panic".to_owned(),
    }
}

impl Failure {
    /// The error of an operation that was reading this file.
    pub(crate) fn while_reading(self, path: &Path) -> StoreError {
        let path = path.to_path_buf();
        match self {
            Failure::Store(error) => error,
            Failure::Panic(what) => StoreError::File(FileError::Damaged { path, what }),
            Failure::Redb(redb::Error::DatabaseAlreadyOpen) => locked(path),
            Failure::Redb(redb::Error::UpgradeRequired(found)) => {
                StoreError::File(FileError::FormatTooOld {
                    path,
                    what: "redb",
                    found: u64::from(found),
                    known: 3,
                })
            }
            Failure::Redb(redb::Error::Corrupted(what)) => {
                StoreError::File(FileError::Damaged { path, what })
            }
            // redb returns `InvalidData` for bytes that are not its own, and the overlay
            // `UnexpectedEof` for reads past the end.
            Failure::Redb(redb::Error::Io(cause)) => match cause.kind() {
                io::ErrorKind::InvalidData => StoreError::File(FileError::NotARedbFile { path }),
                io::ErrorKind::UnexpectedEof => StoreError::File(FileError::Damaged {
                    path,
                    what: "it points past its end".to_owned(),
                }),
                _ => StoreError::Io {
                    attempt: "read",
                    path,
                    cause,
                },
            },
            Failure::Redb(
                error @ (redb::Error::TableDoesNotExist(_)
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::TypeDefinitionChanged { .. }
                | redb::Error::TableIsMultimap(_)),
            ) => StoreError::File(FileError::NotAFlowStore {
                path,
                missing: error.to_string(),
            }),
            // redb returns it for each access after an error of the operating system.
            Failure::Redb(redb::Error::PreviousIo) => StoreError::Io {
                attempt: "read",
                path,
                cause: io::Error::other("an earlier access failed"),
            },
            Failure::Redb(error) => StoreError::File(FileError::Damaged {
                path,
                what: error.to_string(),
            }),
        }
    }

    /// The error of an operation that was writing: the store's own, or the one that `failed` makes
    /// of the cause.
    pub(crate) fn while_writing(self, failed: impl FnOnce(Cause) -> StoreError) -> StoreError {
        match self {
            Failure::Store(error) => error,
            Failure::Panic(text) => failed(Cause::Other(text)),
            Failure::Redb(redb::Error::Io(error)) => failed(Cause::Io(error)),
            Failure::Redb(error) => failed(Cause::Other(error.to_string())),
        }
    }

    /// The error of opening a file, which another process may have.
    pub(crate) fn while_opening(
        self,
        path: &Path,
        failed: impl FnOnce(Cause) -> StoreError,
    ) -> StoreError {
        match self {
            Failure::Redb(redb::Error::DatabaseAlreadyOpen) => locked(path.to_path_buf()),
            other => other.while_writing(failed),
        }
    }
}

/// What is wrong with a part of the file, without the path of the file.
pub(crate) enum Wrong {
    Damaged(String),
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Wrong {
    fn from(error: E) -> Wrong {
        Wrong::Failure(error.into())
    }
}

impl Wrong {
    pub(crate) fn at(self, path: &Path) -> Failure {
        match self {
            Wrong::Damaged(what) => Failure::from(FileError::Damaged {
                path: path.to_path_buf(),
                what,
            }),
            Wrong::Failure(failure) => failure,
        }
    }
}

/// The error for a locked file. redb does not know the holder.
fn locked(path: std::path::PathBuf) -> StoreError {
    StoreError::Lock(LockError::Locked {
        path,
        host: None,
        pid: None,
        since: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let panics = |formatted: bool| {
            guard(|| -> Result<(), Failure> {
                if formatted {
                    panic!("page {}", 7)
                }
                panic!("no page")
            })
        };
        let path = Path::new("state/part");
        assert_eq!(
            panics(true).unwrap_err().while_reading(path).to_string(),
            "the store file state/part is damaged: page 7. Nothing was changed\
             \nhelp: put a backup in its \
             place"
        );
        let error = panics(false).unwrap_err().while_writing(|cause| {
            StoreError::Execution(ExecutionError::StartFailed {
                path: path.to_path_buf(),
                cause,
            })
        });
        assert_eq!(
            error.to_string(),
            "the start of an execution could not be written to state/part: no page. Nothing ran, \
             and everything that was durable still is\nhelp: start the flow again"
        );
    }

    #[test]
    fn redbs_errors_have_a_name() {
        let path = Path::new("state/part");
        let name = |error: redb::Error| Failure::Redb(error).while_reading(path);
        assert!(matches!(
            name(redb::Error::UpgradeRequired(2)),
            StoreError::File(FileError::FormatTooOld {
                what: "redb",
                found: 2,
                known: 3,
                ..
            })
        ));
        assert!(matches!(
            name(redb::Error::DatabaseAlreadyOpen),
            StoreError::Lock(LockError::Locked { .. })
        ));
        assert!(matches!(
            name(io::Error::from(io::ErrorKind::PermissionDenied).into()),
            StoreError::Io { .. }
        ));
        assert!(matches!(
            name(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            StoreError::File(FileError::Damaged { .. })
        ));
        assert!(matches!(
            name(redb::Error::PreviousIo),
            StoreError::Io { .. }
        ));
    }
}
