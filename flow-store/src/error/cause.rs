//! The causes of a failure.

use std::fmt;
use std::io;

/// What made a commit fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// An error of the operating system, such as a full or broken disk.
    Io(io::Error),
    /// The text of any other error of redb, or of a panic in it.
    Other(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => error.fmt(f),
            Cause::Other(text) => f.write_str(text),
        }
    }
}

/// How a process lost a file that it had open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Lost {
    /// Nothing has its name: the file, or a directory above it, was removed or moved.
    Gone,
    /// Another file has its name.
    Replaced,
}
