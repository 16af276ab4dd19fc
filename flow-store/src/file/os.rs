//! Calls of the operating system that a file system may not support.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in a directory durable.
///
/// Returns false where that is not supported: on systems other than Unix, and on file systems such
/// as SMB and VirtualBox folders.
///
/// # Errors
///
/// Any other error of the operating system.
#[doc(hidden)]
pub fn sync_directory(path: &Path) -> io::Result<bool> {
    if cfg!(not(unix)) {
        return Ok(false);
    }
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    match synced {
        Ok(()) => Ok(true),
        Err(error) if has_no_sync(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Checks that files may be created in a directory, without creating one.
///
/// # Errors
///
/// Why files can't be created there.
#[doc(hidden)]
pub fn may_create_in(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let both = Access::WRITE_OK | Access::EXEC_OK;
        accessat(CWD, path, both, AtFlags::EACCESS)?;
    }
    match std::fs::metadata(path)?.is_dir() {
        true => Ok(()),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Whether an error means that the file system has no locks.
///
/// Most such file systems report that they don't support them. NFS without a lock daemon reports
/// that none are left.
#[doc(hidden)]
#[must_use]
pub fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let errors = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
        errors
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::Unsupported
    }
}

#[cfg(unix)]
fn has_no_sync(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errors = [
        Errno::INVAL,
        Errno::BADF,
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
        Errno::NOSYS,
    ];
    errors
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(not(unix))]
fn has_no_sync(_: &io::Error) -> bool {
    true
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_is_not_supported_is_told_from_what_failed() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for (errno, no_sync, no_locks) in [
            (Errno::INVAL, true, false),
            (Errno::NOTSUP, true, true),
            (Errno::NOSYS, true, true),
            (Errno::NOLCK, false, true),
            (Errno::IO, false, false),
            (Errno::NOSPC, false, false),
            (Errno::ROFS, false, false),
        ] {
            assert_eq!(has_no_sync(&error(errno)), no_sync, "{errno:?}");
            assert_eq!(has_no_locks(&error(errno)), no_locks, "{errno:?}");
        }
    }

    #[test]
    fn files_may_be_made_in_directories_only() {
        let directory = tempfile::tempdir().unwrap();
        may_create_in(directory.path()).unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(may_create_in(&file).is_err());
        assert!(may_create_in(&directory.path().join("nothing")).is_err());
        assert!(sync_directory(directory.path()).unwrap());
    }
}
