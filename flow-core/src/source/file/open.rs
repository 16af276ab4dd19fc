//! Opens inputs: only regular files, and without waiting.

use std::{
    fs::{self, File, FileType},
    io::{self, ErrorKind},
    path::Path,
};

use crate::{names::quoted, source::SourceError};

/// Why a file was not opened.
#[derive(Debug)]
pub(in crate::source) enum NotOpened {
    Io(io::Error),
    /// It is not a regular file.
    Kind(FileType),
}

/// Opens a regular file for reading. Refuses anything else without opening it, because opening a
/// pipe waits for its writer.
pub(in crate::source) fn open(path: &Path) -> Result<File, NotOpened> {
    let regular = |kind: FileType| match kind.is_file() {
        true => Ok(()),
        false => Err(NotOpened::Kind(kind)),
    };
    regular(fs::metadata(path)?.file_type())?;
    // It may have become a pipe in between.
    let file = without_waiting(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        NotOpened::Io(error)
    }
}

impl From<NotOpened> for io::Error {
    fn from(not_opened: NotOpened) -> Self {
        match not_opened {
            NotOpened::Io(error) => error,
            NotOpened::Kind(_) => ErrorKind::InvalidInput.into(),
        }
    }
}

impl NotOpened {
    pub(in crate::source) fn is_not_found(&self) -> bool {
        matches!(self, NotOpened::Io(error) if error.kind() == ErrorKind::NotFound)
    }

    /// The error about the file of this name.
    pub(in crate::source) fn about(self, name: &str) -> SourceError {
        match self {
            NotOpened::Io(error) => cannot_open(name, error),
            NotOpened::Kind(kind) => not_a_file(name, kind),
        }
    }
}

#[cfg(unix)]
fn without_waiting(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn cannot_open(name: &str, error: io::Error) -> SourceError {
    let help = if is_out_of_files(&error) {
        "the process has as many files open as it may: `ulimit -n` shows and raises the limit"
    } else if error.kind() == ErrorKind::NotFound && name == "-" {
        "`-` is a file like any other; `TextLines::stdin()` reads standard input"
    } else if error.kind() == ErrorKind::NotFound && name.contains(['*', '?', '[']) {
        "no file matches this pattern, so the shell left it as it is"
    } else {
        ""
    };
    SourceError::caused_by(format!("{name}: can't be opened"), error).and_help(help)
}

#[cfg(unix)]
fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;

    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

#[cfg(not(unix))]
fn is_out_of_files(_: &io::Error) -> bool {
    false
}

fn not_a_file(name: &str, kind: FileType) -> SourceError {
    if kind.is_dir() {
        return SourceError::new(format!("{name} is a directory, not a file"));
    }
    let what = what_it_is(kind);
    SourceError::new(format!(
        "{name} is {what}: a flow that resumes reads its input from the middle, so that must \
         be a regular file"
    ))
    .and_help(&format!(
        "write it to a file first; or read standard input with `TextLines::stdin()`, which can't \
         resume: `cat {} | ..`",
        quoted(name)
    ))
}

#[cfg(unix)]
fn what_it_is(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() => "a character device",
        kind if kind.is_block_device() => "a block device",
        _ => "no regular file",
    }
}

#[cfg(not(unix))]
fn what_it_is(_: FileType) -> &'static str {
    "no regular file"
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_open_files_is_named() {
        let error = io::Error::from(rustix::io::Errno::MFILE);
        let error = NotOpened::from(error).about("in").to_string();
        assert!(
            error.contains("Too many open files") && error.contains("ulimit -n"),
            "{error}"
        );
    }
}
